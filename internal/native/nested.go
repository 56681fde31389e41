// SPDX-License-Identifier: Apache-2.0

package native

import (
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// NewFixed returns a column of values of one width, of all types but String. One that is not nullable takes the type's zero for what
// is absent.
func NewFixed(t schema.Type, nullable bool) *Fixed {
	return &Fixed{nulls: nulls{on: nullable}, typ: t, width: Width(t)}
}

// AppendInt adds a row of an integer column: the low bytes of n, which must be in range.
func (c *Fixed) AppendInt(n int64) { c.put(uint64(n), 0) }

// NewArray returns an array of what the column holds, which the array then owns.
func NewArray(elem Column) *Array { return &Array{elem: elem} }

// Nanoseconds is a column DateTime64(9, 'UTC') of values that are integers: Unix nanoseconds.
type Nanoseconds struct{ *Fixed }

var _ Column = (*Nanoseconds)(nil)

// NewNanoseconds returns an empty column.
func NewNanoseconds(nullable bool) *Nanoseconds {
	return &Nanoseconds{NewFixed(schema.Type{Kind: schema.DateTime64, Scale: 9}, nullable)}
}

// Append implements Column.
func (c *Nanoseconds) Append(v event.Value) error {
	switch {
	case v.Kind() == event.KindEmpty:
		c.Fill(c.Rows() + 1)
	case v.Kind() != event.KindInt:
		return ErrType
	case !TimeInRange(v.Int()):
		return ErrRange
	default:
		c.AppendTime(v.Int())
	}
	return nil
}

// Tuple is a column of tuples with names, from objects: what an object lacks is its column's NULL or default, and what the tuple
// lacks is left out.
type Tuple struct {
	names []string
	elems []Column
}

var _ Column = (*Tuple)(nil)

// NewTuple returns an empty column of columns that it then owns.
func NewTuple(names []string, elems ...Column) *Tuple { return &Tuple{names, elems} }

// Append implements Column.
func (c *Tuple) Append(v event.Value) error {
	switch v.Kind() {
	case event.KindEmpty:
		c.Fill(c.Rows() + 1)
		return nil
	case event.KindMap:
	default:
		return ErrType
	}
	for i, elem := range c.elems {
		member, _ := v.Get(c.names[i])
		if err := elem.Append(member); err != nil {
			return err
		}
	}
	return nil
}

// Fill implements Column.
func (c *Tuple) Fill(n int) {
	for _, elem := range c.elems {
		elem.Fill(n)
	}
}

// Seek implements Column.
func (c *Tuple) Seek(n int) bool {
	for _, elem := range c.elems {
		if !elem.Seek(n) {
			return false
		}
	}
	return true
}

// Rollback implements Column.
func (c *Tuple) Rollback() {
	for _, elem := range c.elems {
		elem.Rollback()
	}
}

// Reset implements Column.
func (c *Tuple) Reset() {
	for _, elem := range c.elems {
		elem.Reset()
	}
}

// Type implements proto.ColInput.
func (c *Tuple) Type() proto.ColumnType {
	var b strings.Builder
	for i, elem := range c.elems {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.names[i] + " " + string(elem.Type()))
	}
	return proto.ColumnType("Tuple(" + b.String() + ")")
}

// Rows implements proto.ColInput.
func (c *Tuple) Rows() int { return c.elems[0].Rows() }

// EncodeState implements proto.StateEncoder.
func (c *Tuple) EncodeState(b *proto.Buffer) {
	for _, elem := range c.elems {
		elem.EncodeState(b)
	}
}

// EncodeColumn implements proto.ColInput.
func (c *Tuple) EncodeColumn(b *proto.Buffer) {
	for _, elem := range c.elems {
		elem.EncodeColumn(b)
	}
}

// WriteColumn implements proto.ColInput.
func (c *Tuple) WriteColumn(w *proto.Writer) { write(c, w) }

// Map is a column of maps from texts, in the order of the object's members. Its rows are never NULL: an absent map reads as an
// empty one.
type Map struct {
	Array // of keys and values
	keys  Text
	value Column
}

// Text is a column of texts.
type Text interface {
	Column
	AppendString(s string)
}

var _ Column = (*Map)(nil)

// NewMap returns an empty column of columns that it then owns.
func NewMap(keys Text, value Column) *Map {
	return &Map{Array: Array{elem: NewTuple([]string{"keys", "values"}, keys, value)}, keys: keys, value: value}
}

// Append implements Column.
func (c *Map) Append(v event.Value) error {
	switch v.Kind() {
	case event.KindEmpty:
		c.Fill(c.Rows() + 1)
		return nil
	case event.KindMap:
	default:
		return ErrType
	}
	for k, member := range v.Members {
		c.keys.AppendString(k)
		if err := c.value.Append(member); err != nil {
			return err
		}
	}
	c.EndRow()
	return nil
}

// Type implements proto.ColInput.
func (c *Map) Type() proto.ColumnType { return "Map(" + c.keys.Type() + ", " + c.value.Type() + ")" }

// WriteColumn implements proto.ColInput.
func (c *Map) WriteColumn(w *proto.Writer) { write(c, w) }
