// SPDX-License-Identifier: Apache-2.0

package sessionizationprocessor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/session"
	"github.com/millrace/millrace/internal/watermark"
)

// What is done with a session.id that an event brings.
const (
	producerOverride = "override"
	producerKeep     = "keep"
)

// Config is what users set.
type Config struct {
	// Key are the fields whose values make two events ones of the same visitor. A field may have alternatives, as in
	// "user.id|enduser.pseudo.id": the first that an event has counts. An event that lacks one passes without a session; the
	// tenant may be missing.
	Key []string `mapstructure:"key"`
	// Gap is the longest time between two events of a session.
	Gap time.Duration `mapstructure:"gap"`
	// MaxDuration is what a session is shorter than; 0 is no bound.
	MaxDuration time.Duration `mapstructure:"max_duration"`
	// MaxOutOfOrderness is by how much an event may come after one that is younger.
	MaxOutOfOrderness time.Duration `mapstructure:"max_out_of_orderness"`
	// AllowedLateness is how much longer a session stays open for events that come later still.
	AllowedLateness time.Duration `mapstructure:"allowed_lateness"`
	// MaxFutureSkew is by how much an event's time may be ahead of when it was received by the log and still move the watermark.
	MaxFutureSkew time.Duration `mapstructure:"max_future_skew"`
	// CutAt says what ends a session beside the gap.
	CutAt CutConfig `mapstructure:"cut_at"`
	// ProducerSessions says what is done with a session.id that an event brings: override or keep.
	ProducerSessions string `mapstructure:"producer_sessions"`
	// PreviousSessionWithin is how long after its end a session is still named as the one before the next.
	PreviousSessionWithin time.Duration `mapstructure:"previous_session_within"`
	// Page and Campaign are the fields that entry_page, exit_page and campaign are read from; empty leaves the columns out.
	Page     string `mapstructure:"page"`
	Campaign string `mapstructure:"campaign"`
	// CountEvents adds the number of events by name to the summary.
	CountEvents bool `mapstructure:"count_events"`
	// Aggregates are further columns of the summary.
	Aggregates []AggregateConfig `mapstructure:"aggregates"`
	// Summary is what is emitted for each session that has closed.
	Summary SummaryConfig `mapstructure:"summary"`
	// MaxMemoryBytes is what sessions may take in memory over all partitions; what is beyond is moved to the state store.
	MaxMemoryBytes int `mapstructure:"max_memory_bytes"`
}

// CutConfig says what ends a session beside the gap.
type CutConfig struct {
	// Events begin a session, by name.
	Events []string `mapstructure:"events"`
	// Fields begin a session where they have another value than the session's last one.
	Fields []string `mapstructure:"fields"`
	// MidnightIn is the time zone at whose midnight sessions end, such as Europe/Berlin or UTC; empty for never.
	MidnightIn string `mapstructure:"midnight_in"`
}

// AggregateConfig is one column of the summary.
type AggregateConfig struct {
	// Name of the column.
	Name string `mapstructure:"name"`
	// Function is one of count, sum, min, max, avg, sum_squares, variance, stddev, first, last, arg_max, arg_min, count_distinct,
	// quantile, top_k and last_k.
	Function string `mapstructure:"function"`
	Field    string `mapstructure:"field"`
	By       string `mapstructure:"by"`
	// Events that count, by name; all if empty.
	Events []string `mapstructure:"events"`
	// Type of the field: integer, number, string, boolean or time.
	Type     string  `mapstructure:"type"`
	Quantile float64 `mapstructure:"quantile"`
	K        int     `mapstructure:"k"`
}

// SummaryConfig is what is emitted for each session that has closed.
type SummaryConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// EventName of the summary.
	EventName string `mapstructure:"event_name"`
	// Table that it is a row of.
	Table string `mapstructure:"table"`
	// TTL of the table's rows; 0 is for ever.
	TTL time.Duration `mapstructure:"ttl"`
}

// Unmarshal says of what cannot be read what to write instead.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

func createDefaultConfig() component.Config {
	return &Config{
		Key:                   []string{event.FieldTenant, event.FieldUser + "|" + event.FieldAnonymous},
		Gap:                   30 * time.Minute,
		MaxOutOfOrderness:     time.Minute,
		MaxFutureSkew:         10 * time.Minute,
		ProducerSessions:      producerKeep,
		PreviousSessionWithin: 24 * time.Hour,
		Page:                  "url.path|url.full|page_path|page_url|page_urlpath|path|url|page.path|page.url|segment.context.page.path",
		Campaign:              "utm_campaign|campaign|mkt_campaign|campaign.name|segment.context.campaign.name",
		CountEvents:           true,
		Summary:               SummaryConfig{Enabled: true, EventName: "session.end", Table: "sessions"},
		MaxMemoryBytes:        512 << 20,
	}
}

// Validate says in one line what is wrong, and the mend.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Key) == 0 {
		fail("key: empty: name the fields of a visitor, such as [tenant.id, \"user.id|enduser.pseudo.id\"]")
	}
	required := false
	for i, k := range c.Key {
		if k == "" {
			fail("key[%d]: empty: name a field, or remove it", i)
		}
		required = required || k != event.FieldTenant
	}
	if len(c.Key) > 0 && !required {
		fail("key: %v: the tenant alone is no visitor: add a field such as user.id", c.Key)
	}
	if c.Gap <= 0 {
		fail("gap: %s: use a positive duration, such as 30m", c.Gap)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"max_duration", c.MaxDuration}, {"max_out_of_orderness", c.MaxOutOfOrderness}, {"allowed_lateness", c.AllowedLateness},
		{"max_future_skew", c.MaxFutureSkew}, {"previous_session_within", c.PreviousSessionWithin}, {"summary::ttl", c.Summary.TTL},
	} {
		if d.value < 0 {
			fail("%s: %s: use 0 or more", d.name, d.value)
		}
	}
	if late := c.MaxOutOfOrderness + c.AllowedLateness; c.MaxDuration > 0 && c.MaxDuration < late {
		fail("max_duration: %s: use at least max_out_of_orderness and allowed_lateness together, %s: else where a session is cut would depend on the order of arrival", c.MaxDuration, late)
	}
	if c.ProducerSessions != producerOverride && c.ProducerSessions != producerKeep {
		fail("producer_sessions: %q: use %s or %s", c.ProducerSessions, producerOverride, producerKeep)
	}
	if _, err := c.midnight(); err != nil {
		fail("cut_at::midnight_in: %q is no time zone: use a name such as Europe/Berlin or UTC", c.CutAt.MidnightIn)
	}
	if c.MaxMemoryBytes < 1<<20 {
		fail("max_memory_bytes: %d: use at least 1048576", c.MaxMemoryBytes)
	}
	if c.Summary.Enabled && c.Summary.EventName == "" {
		fail("summary::event_name: empty: use a name such as session.end")
	}
	if _, err := event.NewFields(c.fields()...); err != nil {
		fail("%w", err)
	}
	for i := range c.Aggregates {
		a := &c.Aggregates[i]
		if _, err := a.compile(); err != nil {
			fail("aggregates[%d]: %s: %w", i, a.Name, err)
		}
	}
	if len(errs) == 0 {
		if err := c.table().Validate(); err != nil {
			errs = append(errs, fmt.Errorf("summary: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) midnight() (*time.Location, error) {
	if c.CutAt.MidnightIn == "" {
		return nil, nil
	}
	return time.LoadLocation(c.CutAt.MidnightIn)
}

// fields are all references.
func (c *Config) fields() []string {
	all := slices.Concat(c.Key, c.CutAt.Fields)
	for _, a := range c.Aggregates {
		all = append(all, a.Field, a.By)
	}
	all = append(all, c.Page, c.Campaign)
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

var errNeedsField = errors.New("field: empty: name the field that the function is of")

func (a *AggregateConfig) compile() (session.Aggregate, error) {
	out := session.Aggregate{Name: a.Name, Field: a.Field, By: a.By, Names: a.Events, Spec: aggregate.Spec{
		Function: a.Function, Type: aggregate.Type(a.Type), Quantile: a.Quantile, K: a.K,
		Column: aggregate.None, By: aggregate.None, Filter: aggregate.None,
	}}
	if a.Field == "" && a.Function != aggregate.Count {
		return out, errNeedsField
	}
	if a.By == "" && (a.Function == aggregate.ArgMax || a.Function == aggregate.ArgMin) {
		return out, errors.New("by: empty: name the field that is compared")
	}
	check := out.Spec
	if a.Field != "" {
		check.Column = 0
	}
	if a.By != "" {
		check.By = 0
	}
	return out, check.Validate()
}

// Names of aggregates that summaries have by default.
const (
	aggregateUser      = "user.id"
	aggregateAnonymous = "enduser.pseudo.id"
	aggregateEntry     = "entry_page"
	aggregateExit      = "exit_page"
	aggregateCampaign  = "campaign"
)

// engine is what the sessions are made by.
func (c *Config) engine() (session.Config, error) {
	out := session.Config{
		Gap: c.Gap, MaxDuration: c.MaxDuration, PreviousWithin: c.PreviousSessionWithin, CutEvents: c.CutAt.Events, MaxBytes: c.MaxMemoryBytes,
		Time: watermark.Config{MaxOutOfOrderness: c.MaxOutOfOrderness, AllowedLateness: c.AllowedLateness, MaxFutureSkew: c.MaxFutureSkew},
	}
	var err error
	if out.CutDay, err = c.midnight(); err != nil {
		return out, fmt.Errorf("cut_at::midnight_in: %w", err)
	}
	d := &out.Definition
	d.Client, d.CutFields, d.CountNames = c.ProducerSessions == producerKeep, c.CutAt.Fields, c.CountEvents
	has := map[string]bool{}
	for _, k := range c.Key {
		part := session.KeyPart{Optional: k == event.FieldTenant}
		for alternative := range strings.SplitSeq(k, "|") {
			part.Of = append(part.Of, strings.TrimSpace(alternative))
		}
		has[part.Of[0]] = true
		d.Key = append(d.Key, part)
	}
	text := func(name, function, field string) {
		d.Aggregates = append(d.Aggregates, session.Aggregate{Name: name, Field: field, Spec: aggregate.Spec{Function: function, Type: aggregate.String, MaxBytes: 512}})
	}
	if !c.Summary.Enabled {
		d.CountNames = false
		return out, nil
	}
	// Who it was, where the key does not say it for every event.
	for _, name := range []string{aggregateUser, aggregateAnonymous} {
		if !has[name] {
			text(name, aggregate.Last, name)
		}
	}
	if c.Page != "" {
		text(aggregateEntry, aggregate.First, c.Page)
		text(aggregateExit, aggregate.Last, c.Page)
	}
	if c.Campaign != "" {
		text(aggregateCampaign, aggregate.First, c.Campaign)
	}
	for i := range c.Aggregates {
		a, err := c.Aggregates[i].compile()
		if err != nil {
			return out, fmt.Errorf("aggregates[%d]: %w", i, err)
		}
		d.Aggregates = append(d.Aggregates, a)
	}
	return out, nil
}
