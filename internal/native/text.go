// SPDX-License-Identifier: Apache-2.0

package native

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/event"
)

// String is a String or Nullable(String) column.
type String struct {
	nulls nulls
	buf   []byte
	rows  int
	mark  mark
}

var _ Column = (*String)(nil)

// NewString returns an empty column.
func NewString(nullable bool) *String { return &String{nulls: nulls{on: nullable}} }

// AppendString adds a row.
func (c *String) AppendString(s string) {
	c.buf = appendText(c.buf, s)
	c.rows++
	c.nulls.append(0)
}

// AppendBytes adds a row; b is copied.
func (c *String) AppendBytes(b []byte) {
	c.buf = appendText(c.buf, b)
	c.rows++
	c.nulls.append(0)
}

// AppendOptional adds a row, "" as NULL.
func (c *String) AppendOptional(s string) {
	if s == "" {
		c.Fill(c.rows + 1)
		return
	}
	c.AppendString(s)
}

// Append implements Column. Bytes are stored as base64, as in JSON.
func (c *String) Append(v event.Value) error {
	switch v.Kind() {
	case event.KindEmpty:
		c.Fill(c.rows + 1)
	case event.KindString:
		c.AppendString(v.Str())
	case event.KindBytes:
		c.AppendString(base64.StdEncoding.EncodeToString(v.Bytes()))
	default:
		return ErrType
	}
	return nil
}

// Fill implements Column.
func (c *String) Fill(n int) {
	if more := n - c.rows; more > 0 {
		c.buf = appendByte(c.buf, 0, more)
		c.nulls.fill(more)
		c.rows = n
	}
}

// Seek implements Column.
func (c *String) Seek(n int) bool {
	if c.rows > n {
		return false
	}
	c.Fill(n)
	c.mark = mark{c.rows, len(c.buf)}
	return true
}

// Rollback implements Column.
func (c *String) Rollback() {
	c.rows, c.buf = c.mark.rows, c.buf[:c.mark.bytes]
	c.nulls.truncate(c.rows)
}

// Reset implements Column.
func (c *String) Reset() { c.buf, c.rows, c.mark, c.nulls.of = c.buf[:0], 0, mark{}, c.nulls.of[:0] }

// Type implements proto.ColInput.
func (c *String) Type() proto.ColumnType { return c.nulls.wrap("String") }

// Rows implements proto.ColInput.
func (c *String) Rows() int { return c.rows }

// EncodeState implements proto.StateEncoder.
func (c *String) EncodeState(*proto.Buffer) {}

// EncodeColumn implements proto.ColInput.
func (c *String) EncodeColumn(b *proto.Buffer) {
	c.nulls.encode(b)
	b.Buf = append(b.Buf, c.buf...)
}

// WriteColumn implements proto.ColInput.
func (c *String) WriteColumn(w *proto.Writer) { write(c, w) }

// JSON is a column of type JSON, sent as texts that the server parses.
type JSON struct {
	String
	typ proto.ColumnType
}

var _ Column = (*JSON)(nil)

// NewJSON returns an empty column. typ is the table's own type with its parameters, so that the server need
// not convert.
func NewJSON(typ string) *JSON { return &JSON{typ: proto.ColumnType(typ)} }

// Type implements proto.ColInput.
func (c *JSON) Type() proto.ColumnType { return c.typ }

// EncodeState implements proto.StateEncoder.
func (c *JSON) EncodeState(b *proto.Buffer) { b.PutUInt64(proto.JSONStringSerializationVersion) }

// Fill implements Column.
func (c *JSON) Fill(n int) {
	for c.rows < n {
		c.AppendString("{}")
	}
}

// WriteColumn implements proto.ColInput.
func (c *JSON) WriteColumn(w *proto.Writer) { write(c, w) }

// LowCardinality is a LowCardinality(String) or LowCardinality(Nullable(String)) column: each distinct value is
// sent once a block, and a row is its number.
type LowCardinality struct {
	nullable bool
	numbers  map[string]uint32
	dict     []byte // the values in order of number, in Native form
	keys     []uint32
	recent   [64]numbered // values seen lately, by a cheap hash: most rows repeat one, and a map costs more
	mark     int
}

var _ Column = (*LowCardinality)(nil)

// numbered is a value of the dictionary and its number. The zero value is none: no value's number is 0 but that of
// "", which AppendString does not look up here.
type numbered struct {
	value  string
	number uint32
}

// slot is the place in recent for s, which is not empty.
func slot(s string) int {
	return int(s[0]^s[len(s)-1]<<2^s[len(s)/2]<<4^byte(len(s))<<3) & 63
}

// maxRetained is how many distinct values a dictionary may keep over a Reset; see Reset.
const maxRetained = 1 << 16

// NewLowCardinality returns an empty column.
func NewLowCardinality(nullable bool) *LowCardinality {
	c := &LowCardinality{nullable: nullable, numbers: map[string]uint32{}}
	c.Reset()
	return c
}

// Number 0 is NULL in a nullable dictionary and "" in another; a nullable one has "" at 1.
func (c *LowCardinality) defaults() uint32 {
	if c.nullable {
		return 2
	}
	return 1
}

// AppendString adds a row. s is kept until Reset.
func (c *LowCardinality) AppendString(s string) {
	if s == "" {
		c.keys = append(c.keys, c.defaults()-1)
		return
	}
	at := &c.recent[slot(s)]
	if at.value != s {
		n, ok := c.numbers[s]
		if !ok {
			n = uint32(len(c.numbers)) + c.defaults() - 1
			c.numbers[s] = n
			c.dict = appendText(c.dict, s)
		}
		*at = numbered{s, n}
	}
	c.keys = append(c.keys, at.number)
}

// Append implements Column.
func (c *LowCardinality) Append(v event.Value) error {
	switch v.Kind() {
	case event.KindEmpty:
		c.keys = append(c.keys, 0)
	case event.KindString:
		c.AppendString(v.Str())
	case event.KindBytes:
		c.AppendString(base64.StdEncoding.EncodeToString(v.Bytes()))
	default:
		return ErrType
	}
	return nil
}

// Fill implements Column.
func (c *LowCardinality) Fill(n int) {
	for len(c.keys) < n {
		c.keys = append(c.keys, 0)
	}
}

// Seek implements Column.
func (c *LowCardinality) Seek(n int) bool {
	if len(c.keys) > n {
		return false
	}
	c.Fill(n)
	c.mark = len(c.keys)
	return true
}

// Rollback implements Column. A value that only the rows had stays in the dictionary: it costs bytes, no harm.
func (c *LowCardinality) Rollback() { c.keys = c.keys[:c.mark] }

// Reset implements Column.
func (c *LowCardinality) Reset() {
	if len(c.numbers) > maxRetained {
		c.numbers, c.dict = map[string]uint32{}, nil // one burst must not hold its memory for ever
	}
	clear(c.numbers)
	c.keys, c.dict, c.mark = c.keys[:0], c.dict[:0], 0
	clear(c.recent[:])
	c.numbers[""] = c.defaults() - 1
	for range c.defaults() {
		c.dict = append(c.dict, 0)
	}
}

// Type implements proto.ColInput.
func (c *LowCardinality) Type() proto.ColumnType {
	if c.nullable {
		return "LowCardinality(Nullable(String))"
	}
	return "LowCardinality(String)"
}

// Rows implements proto.ColInput.
func (c *LowCardinality) Rows() int { return len(c.keys) }

// Of the format: the version of the keys' serialization, and the flags before a dictionary.
const (
	sharedDictionariesWithAdditionalKeys = 1
	hasAdditionalKeys                    = 1 << 9
	needUpdateDictionary                 = 1 << 10
)

// EncodeState implements proto.StateEncoder.
func (c *LowCardinality) EncodeState(b *proto.Buffer) {
	b.PutUInt64(sharedDictionariesWithAdditionalKeys)
}

// EncodeColumn implements proto.ColInput.
func (c *LowCardinality) EncodeColumn(b *proto.Buffer) {
	if len(c.keys) == 0 {
		return
	}
	size := uint64(len(c.numbers)) + uint64(c.defaults()) - 1
	width := uint64(0) // 0, 1, 2: keys of 8, 16, 32 bits
	switch {
	case size > 1<<16:
		width = 2
	case size > 1<<8:
		width = 1
	}
	b.PutUInt64(hasAdditionalKeys | needUpdateDictionary | width)
	b.PutUInt64(size)
	b.Buf = append(b.Buf, c.dict...)
	b.PutUInt64(uint64(len(c.keys)))
	switch width {
	case 0:
		for _, k := range c.keys {
			b.Buf = append(b.Buf, byte(k))
		}
	case 1:
		for _, k := range c.keys {
			b.Buf = binary.LittleEndian.AppendUint16(b.Buf, uint16(k))
		}
	default:
		for _, k := range c.keys {
			b.Buf = binary.LittleEndian.AppendUint32(b.Buf, k)
		}
	}
}

// WriteColumn implements proto.ColInput.
func (c *LowCardinality) WriteColumn(w *proto.Writer) { write(c, w) }
