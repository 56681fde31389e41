// SPDX-License-Identifier: Apache-2.0

package result

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Table says which columns results have. It is immutable once a Writer or a Reader has it.
type Table struct {
	// Name of the table that readers query. Rows by pane are stored in Name_panes.
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Columns     []Column `json:"columns"`
	// Key are the columns that rows are sorted by, the identity of a result: equal for all of its panes.
	Key []string `json:"key"`
	// Time is a column of type timestamp: its months part the table if it belongs to the key, and TTL counts from it.
	Time string `json:"time,omitempty"`
	// TTL is how long rows are kept. 0 is for ever.
	TTL time.Duration `json:"ttl,omitempty"`
}

// Column is one column of a Table.
type Column struct {
	Name string `json:"name"`
	// Attribute of the event that has the value; the column's name if empty. The values of tenant.id go onto the resource.
	Attribute   string `json:"attribute,omitempty"`
	Type        Type   `json:"type"`
	Description string `json:"description,omitempty"`
	// Nullable says that an absent value is NULL and not the type's zero. Of scalars only: an absent list is an empty one.
	Nullable bool `json:"nullable,omitempty"`
	// LowCardinality says that there are few distinct texts. Of strings, and of the texts in lists and maps.
	LowCardinality bool `json:"low_cardinality,omitempty"`
}

// Source is the attribute that the column's values are read from.
func (c *Column) Source() string {
	if c.Attribute == "" {
		return c.Name
	}
	return c.Attribute
}

// Type of a column's values.
type Type string

// The types.
const (
	String    Type = "string"
	Int64     Type = "int64"
	Float64   Type = "float64"
	Bool      Type = "bool"
	Timestamp Type = "timestamp" // Unix nanoseconds, as an integer
	Strings   Type = "strings"   // a list of texts
	Counts    Type = "counts"    // a map from text to int64, sorted by text
	Ranked    Type = "ranked"    // a list of {value: text, count: int64}, in the order given
)

func (t Type) known() bool { return t.Scalar() || t == Strings || t == Counts || t == Ranked }

// Scalar says whether a value of the type is one value.
func (t Type) Scalar() bool {
	return t == String || t == Int64 || t == Float64 || t == Bool || t == Timestamp
}

// Names of columns that every table has, beside its own.
const (
	ColumnID     = "result_id"
	ColumnTiming = "pane_timing"
	ColumnIndex  = "pane_index"
)

// Attributes of results.
const (
	AttributeID          = "result.id"
	AttributeTiming      = "pane.timing"
	AttributeIndex       = "pane.index"
	AttributeWindowStart = "window.start"
	AttributeWindowEnd   = "window.end"
	AttributeTenant      = "tenant.id"
)

// PanesSuffix is what the name of the table of panes has more than the result's own.
const PanesSuffix = "_panes"

// MaxTTL is beyond what anybody means. ClickHouse reckons TTLs in seconds since 1970 that end in 2106.
const MaxTTL = 20 * 365 * 24 * time.Hour

// Bounds of a table, so that a text that is none costs little.
const (
	maxText        = 64 << 10
	maxColumns     = 500
	maxName        = 64
	maxAttribute   = 255
	maxDescription = 1000
)

var name = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// taken says why an attribute cannot be a column's: it would be read as something else.
func taken(attribute string) bool {
	switch attribute {
	case AttributeID, AttributeTiming, AttributeIndex, "log.record.uid", "event.name", "otel.event.name", "event.schema",
		"event.schema.version", "event.sealed", "log.body", "log.severity_text", "log.severity_number":
		return true
	}
	return strings.HasPrefix(attribute, "event.failure.")
}

// Attribute returns the attribute that a result has a field of its group under: the field's own name, unless the event would
// then say something else of itself, such as event.name.
func Attribute(field string) string {
	if taken(field) {
		return "group." + field
	}
	return field
}

// Validate says in one line what is wrong with the table, and the mend.
func (t *Table) Validate() error {
	if !name.MatchString(t.Name) || len(t.Name) > maxName {
		return fmt.Errorf("table %s is no name: use lower-case letters, digits and _, begin with a letter, at most %d bytes", clip(t.Name), maxName)
	}
	if strings.HasSuffix(t.Name, PanesSuffix) {
		return fmt.Errorf("table %s: names that end with %s are those of the tables behind results: choose another", clip(t.Name), PanesSuffix)
	}
	fail := func(format string, args ...any) error {
		return fmt.Errorf("table %s: "+format, append([]any{t.Name}, args...)...)
	}
	switch {
	case len(t.Columns) == 0:
		return fail("it has no columns: give at least those of its key")
	case len(t.Columns) > maxColumns:
		return fail("%d columns are more than %d: give fewer", len(t.Columns), maxColumns)
	case !isDescription(t.Description):
		return fail("its description is no text of at most %d bytes: shorten it", maxDescription)
	case t.TTL < 0 || t.TTL > 0 && t.TTL < time.Second || t.TTL > MaxTTL:
		return fail("the TTL %s is out of range: use 1s to %s, or 0 for ever", t.TTL, MaxTTL)
	case t.TTL > 0 && t.Time == "":
		return fail("a TTL needs a time column to count from: name one")
	}
	attributes := map[string]bool{}
	byName := map[string]*Column{}
	for i := range t.Columns {
		c := &t.Columns[i]
		if why := c.wrong(); why != "" {
			return fail("column %s %s", clip(c.Name), why)
		}
		if byName[c.Name] != nil {
			return fail("column %s stands twice: rename one", c.Name)
		}
		if attributes[c.Source()] {
			return fail("column %s: another one is read from %s too: remove one", c.Name, clip(c.Source()))
		}
		byName[c.Name], attributes[c.Source()] = c, true
	}
	if len(t.Key) == 0 {
		return fail("it has no key: name the columns that say which result a row is")
	}
	for i, k := range t.Key {
		c := byName[k]
		switch {
		case c == nil:
			return fail("the key's %s is no column: name one of its columns", clip(k))
		case c.Nullable || !c.Type.Scalar() || c.Type == Float64:
			return fail("column %s cannot be part of the key: use a text, integer, bool or timestamp that is not nullable", k)
		case slices.Contains(t.Key[:i], k):
			return fail("column %s stands twice in the key: remove one", k)
		}
	}
	if c := byName[t.Time]; t.Time != "" && (c == nil || c.Type != Timestamp || c.Nullable) {
		return fail("its time %s is no column of type timestamp that is not nullable: name one", clip(t.Time))
	}
	return nil
}

// wrong says what is wrong with the column and the mend, or "".
func (c *Column) wrong() string {
	switch {
	case !name.MatchString(c.Name) || len(c.Name) > maxName:
		return fmt.Sprintf("is no name: use lower-case letters, digits and _, begin with a letter, at most %d bytes", maxName)
	case c.Name == ColumnID || c.Name == ColumnTiming || c.Name == ColumnIndex:
		return "is one that every result has: choose another name"
	case len(c.Attribute) > maxAttribute || !utf8.ValidString(c.Attribute):
		return fmt.Sprintf("has an attribute that is no text of at most %d bytes: shorten it", maxAttribute)
	case taken(c.Source()):
		return fmt.Sprintf("is read from %s, which says something else of an event: use %s", c.Source(), Attribute(c.Source()))
	case !c.Type.known():
		return fmt.Sprintf("has the unknown type %s: use string, int64, float64, bool, timestamp, strings, counts or ranked", clip(string(c.Type)))
	case c.Nullable && !c.Type.Scalar():
		return fmt.Sprintf("of type %s cannot be nullable: an absent list is an empty one", c.Type)
	case c.LowCardinality && c.Type != String && c.Type != Strings && c.Type != Counts:
		return fmt.Sprintf("of type %s cannot be low_cardinality: that is for texts", c.Type)
	case c.Source() == AttributeTenant && c.Type != String:
		return "holds the tenant: use type string"
	case !isDescription(c.Description):
		return fmt.Sprintf("has a description that is no text of at most %d bytes: shorten it", maxDescription)
	}
	return ""
}

func isDescription(s string) bool { return len(s) <= maxDescription && utf8.ValidString(s) }

// clip makes any text fit into an error.
func clip(s string) string {
	if len(s) > maxName {
		s = s[:maxName]
	}
	return fmt.Sprintf("%q", s)
}

// Text is the table as JSON, as result.table has it: the same bytes for equal tables.
func (t *Table) Text() string {
	b, err := json.Marshal(t)
	if err != nil { // texts, numbers and booleans only
		panic(err)
	}
	return string(b)
}

// Find returns the column's index, or -1.
func (t *Table) Find(column string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == column })
}

// Keyed says whether the column is part of the key.
func (t *Table) Keyed(column string) bool { return slices.Contains(t.Key, column) }
