// SPDX-License-Identifier: Apache-2.0

// Package schema holds what the project knows of an event's schema: one JSON Schema per event and version is
// the single source for validation, for column types and for what is personal. A schema describes the event's
// properties as one JSON object; the envelope (IDs, times, users) is not part of it.
package schema

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/event"
)

// Registry is where every component takes its schemas from. The schema_registry extension implements it.
type Registry interface {
	// Snapshot returns the schemas of this moment. A snapshot never changes and stays usable for as long as
	// it is held: take one per batch, so that a reload never splits a batch. Callable by any goroutine.
	Snapshot() *Snapshot
}

// Schema is one version of one subject. It is immutable and safe for concurrent use.
type Schema struct {
	Subject string // by rule the event's name, such as "order_completed"
	Version string // such as "1"

	// Properties are the typed leaves, sorted by column name. What the schema leaves open in its type (no
	// type, several types, arrays in arrays) is not among them: it is stored with the undeclared.
	Properties []Property

	validator *validator
	personal  *Personal
}

// Personal is what of the event's properties x-pii says is personal: the place of the object that they are. Nil where nothing is.
func (s *Schema) Personal() *Personal { return s.personal }

// ID returns subject and version as one word, such as "order_completed/1".
func (s *Schema) ID() string { return s.Subject + "/" + s.Version }

// Property is one typed leaf of a schema: one column.
type Property struct {
	// Path leads from the event's properties to the leaf.
	Path []string
	// Each, where above 0, says that Path[:Each] leads to an array of objects, and that Path[Each:] is read in
	// each of its elements: the column is an array with one value per element.
	Each int
	// Column is the column's name: the path joined by dots, unless x-column names another.
	Column string
	// Type is the type of one value; the column's nullability and arrays follow from Property.
	Type Type
	// Array says that the leaf is itself an array of Type. Never together with Each.
	Array bool
	// Text says that values are texts although Type is a number's: digits, stored as a Decimal.
	Text bool
	// Format is the schema's format of a text, such as "email", or "".
	Format string
	// PII is the class of personal data that x-pii names, or "".
	PII string
}

// Repeated says whether the column holds an array.
func (p *Property) Repeated() bool { return p.Array || p.Each > 0 }

// Kind is the type of a column's values, in ClickHouse's words.
type Kind uint8

// The kinds.
const (
	String Kind = iota
	Bool
	Int8
	Int16
	Int32
	Int64
	UInt8
	UInt16
	UInt32
	UInt64
	Float32
	Float64
	Decimal    // Precision 1 to 38, Scale 0 to Precision
	DateTime64 // Scale 0 to 9: decimal digits of the second
	Date32
	UUID
)

var kindNames = [...]string{
	"String", "Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64",
	"Float32", "Float64", "Decimal", "DateTime64", "Date32", "UUID",
}

// String returns ClickHouse's name.
func (k Kind) String() string { return kindNames[k] }

// Type is the type of one value.
type Type struct {
	Kind           Kind
	Precision      int  // of Decimal
	Scale          int  // of Decimal and DateTime64
	LowCardinality bool // of String only: few distinct values, to be stored by dictionary
}

// String returns the type in ClickHouse's syntax, without LowCardinality and Nullable.
func (t Type) String() string {
	switch t.Kind {
	case Decimal:
		return fmt.Sprintf("Decimal(%d, %d)", t.Precision, t.Scale)
	case DateTime64:
		return fmt.Sprintf("DateTime64(%d, 'UTC')", t.Scale)
	default:
		return t.Kind.String()
	}
}

// Violation says where an event breaks its schema. It holds no value of the event.
type Violation struct {
	Pointer string // RFC 6901, into the properties
	Keyword string // the schema's keyword, such as "required"
}

// Validate returns the first violation of the event's properties, or nil where they are valid.
func (s *Schema) Validate(e *event.Event) *Violation { return s.validator.validate(e) }

// CanonicalName lowers a name and puts one underscore for each run of characters that are neither letters nor
// digits: "Order Completed" and "order.completed" become "order_completed". Subjects match events by it where
// they do not match as they stand.
func CanonicalName(name string) string { return string(appendCanonical(nil, name)) }

func appendCanonical(dst []byte, name string) []byte {
	start, gap := len(dst), false
	for _, r := range name {
		r = unicode.ToLower(r)
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 0x7f {
			if gap && len(dst) > start {
				dst = append(dst, '_')
			}
			gap = false
			dst = utf8.AppendRune(dst, r)
			continue
		}
		gap = true
	}
	return dst
}
