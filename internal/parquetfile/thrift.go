// SPDX-License-Identifier: Apache-2.0

package parquetfile

import "encoding/binary"

// Types of the Thrift compact protocol, in which Parquet writes page headers, indexes and the footer.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftI8     = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13
)

// thriftWriter appends structs. Fields of a struct are written by ascending ID; those that are not written are unset.
type thriftWriter struct {
	b    []byte
	last int // ID of the field before, in the struct that is being written
}

func (t *thriftWriter) field(id, typ int) {
	if delta := id - t.last; delta <= 15 {
		t.b = append(t.b, byte(delta<<4|typ))
	} else {
		t.b = binary.AppendVarint(append(t.b, byte(typ)), int64(id))
	}
	t.last = id
}

// begin begins a struct that stands in a list, and returns what end takes.
func (t *thriftWriter) begin() (outer int) {
	outer, t.last = t.last, 0
	return outer
}

// open begins a struct that is a field.
func (t *thriftWriter) open(id int) (outer int) {
	t.field(id, thriftStruct)
	return t.begin()
}

func (t *thriftWriter) end(outer int) {
	t.b = append(t.b, thriftStop)
	t.last = outer
}

func (t *thriftWriter) empty(id int) { t.end(t.open(id)) }

func (t *thriftWriter) i8(id int, v int8) {
	t.field(id, thriftI8)
	t.b = append(t.b, byte(v))
}

func (t *thriftWriter) i16(id int, v int16) {
	t.field(id, thriftI16)
	t.b = binary.AppendVarint(t.b, int64(v))
}

func (t *thriftWriter) i32(id int, v int32) {
	t.field(id, thriftI32)
	t.b = binary.AppendVarint(t.b, int64(v))
}

func (t *thriftWriter) i64(id int, v int64) {
	t.field(id, thriftI64)
	t.b = binary.AppendVarint(t.b, v)
}

func (t *thriftWriter) bool(id int, v bool) {
	if v {
		t.field(id, thriftTrue)
	} else {
		t.field(id, thriftFalse)
	}
}

func (t *thriftWriter) binary(id int, v []byte) {
	t.field(id, thriftBinary)
	t.element(v)
}

func (t *thriftWriter) string(id int, v string) {
	t.field(id, thriftBinary)
	t.b = append(binary.AppendUvarint(t.b, uint64(len(v))), v...)
}

// element appends a binary that stands in a list.
func (t *thriftWriter) element(v []byte) {
	t.b = append(binary.AppendUvarint(t.b, uint64(len(v))), v...)
}

func (t *thriftWriter) list(id, typ, n int) {
	t.field(id, thriftList)
	if n < 15 {
		t.b = append(t.b, byte(n<<4|typ))
		return
	}
	t.b = binary.AppendUvarint(append(t.b, byte(0xf0|typ)), uint64(n))
}

// raw appends a field whose value is encoded already.
func (t *thriftWriter) raw(id, typ int, value []byte) {
	t.field(id, typ)
	t.b = append(t.b, value...)
}

// thriftReader reads what thriftWriter and its like write. After the first thing that cannot be, bad is set, and all that is read
// is zero and no field follows: loops end.
type thriftReader struct {
	b    []byte
	i    int
	last int
	bad  bool
}

// maxThriftDepth is more than the format nests.
const maxThriftDepth = 16

func (t *thriftReader) fail() { t.bad, t.i = true, len(t.b) }

func (t *thriftReader) byte() byte {
	if t.i >= len(t.b) {
		t.fail()
		return 0
	}
	t.i++
	return t.b[t.i-1]
}

func (t *thriftReader) uvarint() uint64 {
	v, n := binary.Uvarint(t.b[t.i:])
	if n <= 0 {
		t.fail()
		return 0
	}
	t.i += n
	return v
}

// varint reads an i16, i32 or i64, all of which must be within bits.
func (t *thriftReader) varint(bits int) int64 {
	v, n := binary.Varint(t.b[t.i:])
	if n <= 0 || v>>(bits-1) != v>>63 {
		t.fail()
		return 0
	}
	t.i += n
	return v
}

func (t *thriftReader) binary() []byte {
	n := t.uvarint()
	if n > uint64(len(t.b)-t.i) {
		t.fail()
		return nil
	}
	t.i += int(n)
	return t.b[t.i-int(n) : t.i]
}

// begin begins a struct, and returns what next's end of it restores.
func (t *thriftReader) begin() (outer int) {
	outer, t.last = t.last, 0
	return outer
}

// next returns the next field of the struct, or false at its end, or where nothing more can be read.
func (t *thriftReader) next(outer int) (id, typ int, ok bool) {
	b := t.byte()
	if typ = int(b & 0xf); t.bad || typ == thriftStop {
		if b != 0 {
			t.fail()
		}
		t.last = outer
		return 0, 0, false
	}
	if delta := int(b >> 4); delta > 0 {
		id = t.last + delta
	} else {
		id = int(t.varint(16))
	}
	if t.bad || id <= t.last { // fields ascend
		t.fail()
		return 0, 0, false
	}
	t.last = id
	return id, typ, true
}

// list returns the number of elements that follow, each of which takes a byte at least.
func (t *thriftReader) list(want int) int {
	b := t.byte()
	n := uint64(b >> 4)
	if n == 15 {
		n = t.uvarint()
	}
	if t.bad || int(b&0xf) != want || n > uint64(len(t.b)-t.i) {
		t.fail()
		return 0
	}
	return int(n)
}

// skip passes over a value, and returns its bytes.
func (t *thriftReader) skip(typ int) []byte {
	start := t.i
	t.pass(typ, 0)
	if t.bad {
		return nil
	}
	return t.b[start:t.i]
}

func (t *thriftReader) pass(typ, depth int) {
	if depth > maxThriftDepth {
		t.fail()
		return
	}
	switch typ {
	case thriftTrue, thriftFalse: // the field's type is the value
	case thriftI8:
		t.byte()
	case thriftI16, thriftI32, thriftI64:
		t.varint(64)
	case thriftDouble:
		t.forward(8)
	case thriftUUID:
		t.forward(16)
	case thriftBinary:
		t.binary()
	case thriftList, thriftSet:
		b := t.byte()
		n := uint64(b >> 4)
		if n == 15 {
			n = t.uvarint()
		}
		for range n {
			if t.bad {
				return
			}
			if elem := int(b & 0xf); elem == thriftTrue || elem == thriftFalse {
				t.byte()
			} else {
				t.pass(elem, depth+1)
			}
		}
	case thriftStruct:
		outer := t.begin()
		for {
			_, typ, ok := t.next(outer)
			if !ok {
				return
			}
			t.pass(typ, depth+1)
		}
	default: // maps: the format has none
		t.fail()
	}
}

func (t *thriftReader) forward(n int) {
	if n > len(t.b)-t.i {
		t.fail()
		return
	}
	t.i += n
}
