// SPDX-License-Identifier: Apache-2.0

package native

import (
	"encoding/binary"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// Fixed is a column of values of one width: numbers, decimals, booleans, times, UUIDs.
type Fixed struct {
	nulls nulls
	typ   schema.Type
	width int
	buf   []byte
	rows  int
	mark  int
}

var _ Column = (*Fixed)(nil)

func newFixed(t schema.Type) *Fixed {
	return &Fixed{nulls: nulls{on: true}, typ: t, width: Width(t)}
}

// NewTime returns a column DateTime64(9, 'UTC') that is not nullable.
func NewTime() *Fixed {
	return &Fixed{typ: schema.Type{Kind: schema.DateTime64, Scale: 9}, width: 8}
}

// Width is how many bytes a value of the type takes, of all types but String.
func Width(t schema.Type) int {
	switch t.Kind {
	case schema.Bool, schema.Int8, schema.UInt8:
		return 1
	case schema.Int16, schema.UInt16:
		return 2
	case schema.Int32, schema.UInt32, schema.Float32, schema.Date32:
		return 4
	case schema.UUID:
		return 16
	case schema.Decimal:
		switch {
		case t.Precision <= 9:
			return 4
		case t.Precision <= 18:
			return 8
		default:
			return 16
		}
	default:
		return 8
	}
}

// TimeInRange says whether DateTime64(9) holds a time, in nanoseconds since the epoch.
func TimeInRange(ns int64) bool { return ns >= minTime && ns <= maxTime }

// AppendTime adds a row of a DateTime64(9) column: nanoseconds since the epoch, in range.
func (c *Fixed) AppendTime(ns int64) { c.put(uint64(ns), 0) }

// Append implements Column.
func (c *Fixed) Append(v event.Value) error {
	if v.Kind() == event.KindEmpty {
		c.Fill(c.rows + 1)
		return nil
	}
	lo, hi, err := convert(c.typ, v)
	if err != nil {
		return err
	}
	c.put(lo, hi)
	return nil
}

// put appends the low bytes of the 128-bit value hi:lo.
func (c *Fixed) put(lo, hi uint64) {
	switch c.width {
	case 1:
		c.buf = append(c.buf, byte(lo))
	case 2:
		c.buf = binary.LittleEndian.AppendUint16(c.buf, uint16(lo))
	case 4:
		c.buf = binary.LittleEndian.AppendUint32(c.buf, uint32(lo))
	case 8:
		c.buf = binary.LittleEndian.AppendUint64(c.buf, lo)
	default:
		c.buf = binary.LittleEndian.AppendUint64(c.buf, lo)
		c.buf = binary.LittleEndian.AppendUint64(c.buf, hi)
	}
	c.rows++
	c.nulls.append(0)
}

// Fill implements Column.
func (c *Fixed) Fill(n int) {
	if more := n - c.rows; more > 0 {
		c.buf = appendByte(c.buf, 0, more*c.width)
		c.nulls.fill(more)
		c.rows = n
	}
}

// Seek implements Column.
func (c *Fixed) Seek(n int) bool {
	if c.rows > n {
		return false
	}
	c.Fill(n)
	c.mark = c.rows
	return true
}

// Rollback implements Column.
func (c *Fixed) Rollback() {
	c.rows, c.buf = c.mark, c.buf[:c.mark*c.width]
	c.nulls.truncate(c.rows)
}

// Reset implements Column.
func (c *Fixed) Reset() { c.buf, c.rows, c.mark, c.nulls.of = c.buf[:0], 0, 0, c.nulls.of[:0] }

// Type implements proto.ColInput.
func (c *Fixed) Type() proto.ColumnType { return c.nulls.wrap(c.typ.String()) }

// Rows implements proto.ColInput.
func (c *Fixed) Rows() int { return c.rows }

// EncodeState implements proto.StateEncoder.
func (c *Fixed) EncodeState(*proto.Buffer) {}

// EncodeColumn implements proto.ColInput.
func (c *Fixed) EncodeColumn(b *proto.Buffer) {
	c.nulls.encode(b)
	b.Buf = append(b.Buf, c.buf...)
}

// WriteColumn implements proto.ColInput.
func (c *Fixed) WriteColumn(w *proto.Writer) { write(c, w) }

// Array is an array column. Its rows are never NULL: ClickHouse has no nullable arrays, so an absent array
// reads as an empty one.
type Array struct {
	elem Column
	ends []uint64 // after each row, the number of elements so far
	mark int
}

var _ Column = (*Array)(nil)

// Append implements Column: a row from a slice value.
func (c *Array) Append(v event.Value) error {
	switch v.Kind() {
	case event.KindEmpty:
		c.Fill(len(c.ends) + 1)
		return nil
	case event.KindSlice:
	default:
		return ErrType
	}
	for i := range v.Len() {
		if err := c.AppendElement(v.Index(i)); err != nil {
			return err
		}
	}
	c.EndRow()
	return nil
}

// AppendElement adds an element to the row under construction; EndRow finishes it.
func (c *Array) AppendElement(v event.Value) error { return c.elem.Append(v) }

// FillElements appends NULLs to the row under construction until it has n elements.
func (c *Array) FillElements(n int) {
	if len(c.ends) > 0 {
		n += int(c.ends[len(c.ends)-1])
	}
	c.elem.Fill(n)
}

// EndRow finishes the row.
func (c *Array) EndRow() { c.ends = append(c.ends, uint64(c.elem.Rows())) }

// Fill implements Column.
func (c *Array) Fill(n int) {
	for len(c.ends) < n {
		c.EndRow()
	}
}

// Seek implements Column.
func (c *Array) Seek(n int) bool {
	if len(c.ends) > n {
		return false
	}
	c.Fill(n)
	c.mark = len(c.ends)
	return c.elem.Seek(c.elem.Rows())
}

// Rollback implements Column.
func (c *Array) Rollback() {
	c.ends = c.ends[:c.mark]
	c.elem.Rollback()
}

// Reset implements Column.
func (c *Array) Reset() {
	c.elem.Reset()
	c.ends, c.mark = c.ends[:0], 0
}

// Type implements proto.ColInput.
func (c *Array) Type() proto.ColumnType { return "Array(" + c.elem.Type() + ")" }

// Rows implements proto.ColInput.
func (c *Array) Rows() int { return len(c.ends) }

// EncodeState implements proto.StateEncoder.
func (c *Array) EncodeState(b *proto.Buffer) { c.elem.EncodeState(b) }

// EncodeColumn implements proto.ColInput.
func (c *Array) EncodeColumn(b *proto.Buffer) {
	for _, e := range c.ends {
		b.PutUInt64(e)
	}
	c.elem.EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (c *Array) WriteColumn(w *proto.Writer) { write(c, w) }

// Elements returns the number of elements of the row under construction.
func (c *Array) Elements() int {
	n := c.elem.Rows()
	if len(c.ends) > 0 {
		n -= int(c.ends[len(c.ends)-1])
	}
	return n
}
