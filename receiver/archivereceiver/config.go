// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/internal/parquetfile"
)

// Config is what users set.
type Config struct {
	// Source is where the files are: a directory or a bucket.
	Source objectstore.Config `mapstructure:"source"`
	// Prefix is what the keys of the files begin with, such as "event_name=order_completed/".
	Prefix string `mapstructure:"prefix"`
	// Glob is what a file's own name, without folders, has to match.
	Glob string `mapstructure:"glob"`

	// Kind is events, failed_events or results: which of the exporter's files are read.
	Kind string `mapstructure:"kind"`
	// From (inclusive) and To (exclusive) select by time: of events by event time, of failed events by the time received.
	From time.Time `mapstructure:"from"`
	To   time.Time `mapstructure:"to"`
	// EventNames selects by name. Empty is all.
	EventNames []string `mapstructure:"event_names"`
	// Filters select by columns. All have to hold.
	Filters []Filter `mapstructure:"filters"`
	// ClearSchema says whether events forget which schema they were found to have, so that schema_validation judges them
	// anew: always, never, or auto, which is always for failed events and never for others.
	ClearSchema string `mapstructure:"clear_schema"`
	// RepairKeys are the files of the private keys that failed events were sealed to.
	RepairKeys []string `mapstructure:"repair_keys"`
	// Mapping reads files that the exporter did not write.
	Mapping configoptional.Optional[MappingConfig] `mapstructure:"mapping"`

	// Job names the reading. One that is done does not start again under its name.
	Job string `mapstructure:"job"`
	// StateStore is the extension that keeps how far a job is.
	StateStore component.ID `mapstructure:"state_store"`
	// OnFinish is idle, or shutdown to end the collector.
	OnFinish string `mapstructure:"on_finish"`

	// RateLimit is how many events are passed on in a second at most. 0 is as many as the pipeline takes.
	RateLimit int `mapstructure:"rate_limit"`
	// BatchEvents is how many events are passed on at once.
	BatchEvents int `mapstructure:"batch_events"`
	// ParallelFiles is how many files are read at a time.
	ParallelFiles int `mapstructure:"parallel_files"`
}

// Filter selects rows of which a column has one of the values.
type Filter struct {
	Column string `mapstructure:"column"`
	// Values as texts. "" stands for NULL too, and for a column that a file lacks.
	Values []string `mapstructure:"values"`
}

// MappingConfig says what the columns of a foreign file mean.
type MappingConfig struct {
	EventName    Field     `mapstructure:"event_name"`
	EventID      Field     `mapstructure:"event_id"`
	EventTime    TimeField `mapstructure:"event_time"`
	ReceivedTime TimeField `mapstructure:"received_time"`
	UserID       Field     `mapstructure:"user_id"`
	AnonymousID  Field     `mapstructure:"anonymous_id"`
	SessionID    Field     `mapstructure:"session_id"`
	Tenant       Field     `mapstructure:"tenant"`
	Source       Field     `mapstructure:"source"`
	Schema       Field     `mapstructure:"schema"`
	// SchemaVersion is of Schema.
	SchemaVersion Field `mapstructure:"schema_version"`
	// Properties lists the columns that become properties. Empty is all that nothing else names.
	Properties []string `mapstructure:"properties"`
}

// Field is a column, or one value for all events.
type Field struct {
	Column string `mapstructure:"column"`
	Value  string `mapstructure:"value"`
}

// TimeField is a column of times.
type TimeField struct {
	Column string `mapstructure:"column"`
	// Unit of a column of numbers: s, ms, us or ns since 1970. A column of type timestamp or of RFC 3339 texts has none.
	Unit string `mapstructure:"unit"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
	_ confmap.Validator   = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

// Values of ClearSchema and OnFinish.
const (
	clearAuto, clearAlways, clearNever = "auto", "always", "never"
	finishIdle, finishShutdown         = "idle", "shutdown"
)

const (
	maxBatchEvents   = 100_000
	maxParallelFiles = 16
	maxFilterValues  = 10_000
)

var units = map[string]int64{"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}

func createDefaultConfig() component.Config {
	return &Config{
		Source: objectstore.NewDefaultConfig(), Glob: "*.parquet", Kind: parquetfile.KindEvents, ClearSchema: clearAuto,
		Job: "default", StateStore: component.MustNewID("state_store"), OnFinish: finishIdle, BatchEvents: 5000, ParallelFiles: 1,
	}
}

// Validate names the field, its value and the mend. Source validates itself.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := path.Match(c.Glob, ""); err != nil || c.Glob == "" || strings.Contains(c.Glob, "/") {
		fail("glob: %q is no pattern of a file's name: use one such as *.parquet, and prefix for folders", c.Glob)
	}
	if strings.HasPrefix(c.Prefix, "/") {
		fail("prefix: %q begins with a slash: write it without", c.Prefix)
	}
	oneOf := func(field, value string, of ...string) {
		for _, v := range of {
			if v == value {
				return
			}
		}
		fail("%s: %q is unknown: use %s", field, value, strings.Join(of, " or "))
	}
	oneOf("kind", c.Kind, parquetfile.KindEvents, parquetfile.KindFailedEvents, parquetfile.KindResults)
	oneOf("clear_schema", c.ClearSchema, clearAuto, clearAlways, clearNever)
	oneOf("on_finish", c.OnFinish, finishIdle, finishShutdown)
	if !c.From.IsZero() && !c.To.IsZero() && !c.From.Before(c.To) {
		fail("to: %s is not after from, %s: nothing would be read", c.To.Format(time.RFC3339), c.From.Format(time.RFC3339))
	}
	for _, t := range []struct {
		field string
		at    time.Time
	}{{"from", c.From}, {"to", c.To}} {
		if !t.at.IsZero() && (t.at.Year() < 1900 || t.at.Year() > 2261) {
			fail("%s: %s is out of range: use a time from 1900 to 2261", t.field, t.at.Format(time.RFC3339))
		}
	}
	for i, f := range c.Filters {
		if f.Column == "" {
			fail("filters[%d].column is empty: name a column of the files", i)
		}
		if len(f.Values) == 0 || len(f.Values) > maxFilterValues {
			fail("filters[%d].values has %d values: give 1 to %d", i, len(f.Values), maxFilterValues)
		}
	}
	if c.Job == "" || len(c.Job) > 200 {
		fail("job: %q cannot name a job: give 1 to 200 bytes", c.Job)
	}
	if c.StateStore == (component.ID{}) {
		fail("state_store is empty: name an extension of type state_store")
	}
	for _, n := range []struct {
		field         string
		n, low, above int
	}{
		{"rate_limit", c.RateLimit, 0, 1_000_000_000}, {"batch_events", c.BatchEvents, 1, maxBatchEvents},
		{"parallel_files", c.ParallelFiles, 1, maxParallelFiles},
	} {
		if n.n < n.low || n.n > n.above {
			fail("%s: %d is out of range: use %d to %d", n.field, n.n, n.low, n.above)
		}
	}
	if len(c.RepairKeys) > 0 && c.Kind != parquetfile.KindFailedEvents {
		fail("repair_keys: are for failed events: remove them, or use kind: failed_events")
	}
	for i, path := range c.RepairKeys {
		if path == "" {
			fail("repair_keys[%d]: is empty: name the file of a private repair key, such as r1.repair.key", i)
		}
	}
	if c.Mapping.HasValue() {
		if c.Kind != parquetfile.KindEvents {
			fail("mapping: is for files of events: remove it, or use kind: events")
		}
		errs = append(errs, c.Mapping.Get().validate())
	}
	return errors.Join(errs...)
}

func (m *MappingConfig) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("mapping."+format, args...)) }
	if m.EventName == (Field{}) {
		fail("event_name is empty: give its column, or one name as value")
	}
	if m.EventTime.Column == "" {
		fail("event_time.column is empty: name the column that has the time")
	}
	for _, f := range m.fields() {
		if f.field.Column != "" && f.field.Value != "" {
			fail("%s: column %q and value %q are both given: give one", f.name, f.field.Column, f.field.Value)
		}
	}
	for _, t := range []struct {
		name  string
		field TimeField
	}{{"event_time", m.EventTime}, {"received_time", m.ReceivedTime}} {
		if _, known := units[t.field.Unit]; !known && t.field.Unit != "" {
			fail("%s.unit: %q is unknown: use s, ms, us or ns", t.name, t.field.Unit)
		}
	}
	if m.EventID.Value != "" {
		fail("event_id.value: %q would be the ID of all events: name a column, or leave it out", m.EventID.Value)
	}
	return errors.Join(errs...)
}

type namedField struct {
	name  string
	field Field
}

func (m *MappingConfig) fields() []namedField {
	return []namedField{
		{"event_name", m.EventName}, {"event_id", m.EventID}, {"user_id", m.UserID}, {"anonymous_id", m.AnonymousID},
		{"session_id", m.SessionID}, {"tenant", m.Tenant}, {"source", m.Source}, {"schema", m.Schema}, {"schema_version", m.SchemaVersion},
	}
}

// clearsSchema says what ClearSchema comes to.
func (c *Config) clearsSchema() bool {
	return c.ClearSchema == clearAlways || c.ClearSchema == clearAuto && c.Kind == parquetfile.KindFailedEvents
}
