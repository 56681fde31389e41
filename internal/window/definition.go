// SPDX-License-Identifier: Apache-2.0

package window

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/aggregate"
)

// Definition is one aggregation as users write it. It is kept as JSON beside the state that it made.
type Definition struct {
	// Name of the events that carry results, and of their table unless Table.Name is set.
	Name        string `mapstructure:"name" json:"name"`
	Description string `mapstructure:"description" json:"description,omitempty"`
	Window      Window `mapstructure:"window" json:"window"`
	// Events are the names of those that count; all of the log's if it is empty. Results of stages before count only if they are named.
	Events []string `mapstructure:"events" json:"events,omitempty"`
	// IncludeFailed counts events that failed at the door too, such as those that violate their schema.
	IncludeFailed bool `mapstructure:"include_failed" json:"include_failed,omitempty"`
	// Where are conditions, all of which must hold.
	Where []Condition `mapstructure:"where" json:"where,omitempty"`
	// Filter is an OTTL condition in the context of a log record. Events for which it does not hold do not count.
	Filter string `mapstructure:"filter" json:"filter,omitempty"`
	// GroupBy are the fields that make a group. Without any there is one group.
	GroupBy []Group `mapstructure:"group_by" json:"group_by,omitempty"`
	// CardinalityLimit is how many groups a partition may open in a window; events of others count in the overflow group. 0 is 100,000.
	CardinalityLimit int `mapstructure:"cardinality_limit" json:"cardinality_limit,omitempty"`
	// Values are the columns of results beside window and group. Without any it is the count of events.
	Values []Value `mapstructure:"values" json:"values,omitempty"`
	// Early panes.
	Early Early `mapstructure:"early" json:"early,omitzero"`
	// Table that results go into.
	Table Table `mapstructure:"table" json:"table,omitzero"`
}

// Window says which events belong together in time.
type Window struct {
	// Type is tumbling, hopping, rolling or session.
	Type string `mapstructure:"type" json:"type"`
	// Time is event or processing: when it happened, or when the log took it.
	Time string `mapstructure:"time" json:"time,omitempty"`

	// Size of tumbling, hopping and rolling windows.
	Size time.Duration `mapstructure:"size" json:"size,omitempty"`
	// Slide is the time from one hopping window's start to the next one's, or what a rolling window moves on by.
	Slide time.Duration `mapstructure:"slide" json:"slide,omitempty"`
	// Offset of the first window from the epoch, or from midnight of the time zone.
	Offset time.Duration `mapstructure:"offset" json:"offset,omitempty"`
	// TimeZone by whose calendar tumbling windows are cut, such as Europe/Berlin; UTC if empty.
	TimeZone string `mapstructure:"time_zone" json:"time_zone,omitempty"`

	// Gap without events that ends a session.
	Gap time.Duration `mapstructure:"gap" json:"gap,omitempty"`
	// MaxDuration is what a session is shorter than, from its first event to its last; 0 is 24h.
	MaxDuration time.Duration `mapstructure:"max_duration" json:"max_duration,omitempty"`
}

// Window.Type and Window.Time.
const (
	Tumbling   = "tumbling"
	Hopping    = "hopping"
	Rolling    = "rolling"
	Session    = "session"
	EventTime  = "event"
	Processing = "processing"
)

// Group is a field of the group key. In a configuration it may be the field's name alone.
type Group struct {
	// Field is a reference as in event.Fields.
	Field string `mapstructure:"field" json:"field"`
	// As names the column; the field's first alternative with _ for what a column's name cannot have, if empty.
	As string `mapstructure:"as" json:"as,omitempty"`
	// Type is string, integer, number or boolean; string if empty. A value of another type counts as missing.
	Type aggregate.Type `mapstructure:"type" json:"type,omitempty"`
	// LowCardinality says that there are few distinct texts.
	LowCardinality bool `mapstructure:"low_cardinality" json:"low_cardinality,omitempty"`
}

// UnmarshalText reads a group that is written as its field alone.
func (g *Group) UnmarshalText(b []byte) error {
	*g = Group{Field: string(b)}
	return nil
}

// UnmarshalJSON reads what was written as JSON, which UnmarshalText would else be asked to.
func (g *Group) UnmarshalJSON(b []byte) error {
	type plain Group
	return json.Unmarshal(b, (*plain)(g))
}

// Value is one function over the events of a window and group.
type Value struct {
	Function string `mapstructure:"function" json:"function"`
	// Field whose values are aggregated: a reference as in event.Fields. Or Expression, an OTTL value expression.
	Field      string `mapstructure:"field" json:"field,omitempty"`
	Expression string `mapstructure:"expression" json:"expression,omitempty"`
	// By is what arg_max and arg_min compare.
	By string `mapstructure:"by" json:"by,omitempty"`
	// As names the column.
	As string `mapstructure:"as" json:"as,omitempty"`
	// Type of the field's values, and of By's: see aggregate.Spec.
	Type   aggregate.Type `mapstructure:"type" json:"type,omitempty"`
	ByType aggregate.Type `mapstructure:"by_type" json:"by_type,omitempty"`
	// Where are conditions that an event must meet to be counted by this function.
	Where []Condition `mapstructure:"where" json:"where,omitempty"`

	Quantile  float64 `mapstructure:"quantile" json:"quantile,omitempty"`
	Accuracy  float64 `mapstructure:"accuracy" json:"accuracy,omitempty"`
	K         int     `mapstructure:"k" json:"k,omitempty"`
	Capacity  int     `mapstructure:"capacity" json:"capacity,omitempty"`
	Precision int     `mapstructure:"precision" json:"precision,omitempty"`
	Exact     int     `mapstructure:"exact" json:"exact,omitempty"`
	MaxBytes  int     `mapstructure:"max_bytes" json:"max_bytes,omitempty"`
}

// Condition compares a field. Exactly one of its comparisons is set.
type Condition struct {
	Field string `mapstructure:"field" json:"field"`
	// In and NotIn are texts, numbers and booleans that the value is, or is not, one of. A missing value is in no list.
	In    []any `mapstructure:"in" json:"in,omitempty"`
	NotIn []any `mapstructure:"not_in" json:"not_in,omitempty"`
	// Exists is whether there is a value that is not empty.
	Exists *bool `mapstructure:"exists" json:"exists,omitempty"`
	// Bounds of a number. A missing value, or one that is no number, is within none.
	GT  *float64 `mapstructure:"gt" json:"gt,omitempty"`
	GTE *float64 `mapstructure:"gte" json:"gte,omitempty"`
	LT  *float64 `mapstructure:"lt" json:"lt,omitempty"`
	LTE *float64 `mapstructure:"lte" json:"lte,omitempty"`
}

// Early says when results are emitted before their window is complete.
type Early struct {
	// Every is the processing time between two early panes; 0 is none.
	Every time.Duration `mapstructure:"every" json:"every,omitempty"`
}

// Table says where results go.
type Table struct {
	// Name of the table; the aggregation's, with _ for what it cannot have, if empty.
	Name string `mapstructure:"name" json:"name,omitempty"`
	// TTL after which rows are removed, from window_start on, of rolling windows from window_end on; 0 is never.
	TTL time.Duration `mapstructure:"ttl" json:"ttl,omitempty"`
	// OrderBy are the columns that rows are sorted by; window_start if empty, the group's of rolling windows. A group's column that is among them is not NULL but
	// empty where the field is missing.
	OrderBy []string `mapstructure:"order_by" json:"order_by,omitempty"`
}

// DefaultCardinalityLimit and DefaultMaxDuration are for what is left out.
const (
	DefaultCardinalityLimit = 100_000
	DefaultMaxDuration      = 24 * time.Hour
)

// identity of what state depends on: state of another one is not added to.
type identity [8]byte

// normal is the definition with its defaults.
func (d *Definition) normal() Definition {
	n := *d
	if n.CardinalityLimit == 0 {
		n.CardinalityLimit = DefaultCardinalityLimit
	}
	if n.Window.Type == Session && n.Window.MaxDuration == 0 {
		n.Window.MaxDuration = DefaultMaxDuration
	}
	if n.Window.Time == "" {
		n.Window.Time = EventTime
	}
	if n.Window.TimeZone == "" {
		n.Window.TimeZone = "UTC"
	}
	if n.Table.Name == "" {
		n.Table.Name = columnName(n.Name)
	}
	n.GroupBy = append([]Group(nil), n.GroupBy...)
	for i := range n.GroupBy {
		g := &n.GroupBy[i]
		if g.As == "" {
			first, _, _ := strings.Cut(g.Field, "|")
			g.As = columnName(strings.TrimSpace(first))
		}
		if g.Type == "" {
			g.Type = aggregate.String
		}
	}
	n.Values = append([]Value(nil), n.Values...)
	if len(n.Values) == 0 {
		n.Values = []Value{{Function: aggregate.Count, As: "events"}}
	}
	for i := range n.Values {
		if n.Values[i].As == "" {
			n.Values[i].As = n.Values[i].column()
		}
	}
	return n
}

// column is the name of a value's column if it has none.
func (v *Value) column() string {
	name := v.Function
	if v.Function == aggregate.Quantile {
		name = fmt.Sprintf("p%g", v.Quantile*100)
	}
	if v.Field != "" {
		first, _, _ := strings.Cut(v.Field, "|")
		name += "_" + strings.TrimSpace(first)
	}
	return columnName(name)
}

var notInName = regexp.MustCompile(`[^a-z0-9_]+`)

// columnName makes a name of any text: user.id becomes user_id.
func columnName(s string) string {
	return notInName.ReplaceAllString(strings.ToLower(s), "_")
}

// identity of a normal definition whose accumulators are laid out so.
func (d *Definition) identity(layout string) identity {
	c := *d
	c.Description, c.Early, c.Table = "", Early{}, Table{}
	b, err := json.Marshal(&c)
	if err != nil { // texts, numbers and booleans only: Check has seen to it
		panic(err)
	}
	sum := sha256.Sum256(append(b, layout...))
	return identity(sum[:8])
}
