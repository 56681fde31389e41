// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/millrace/millrace/internal/schema"
)

// ordering is how values of a column compare, which says what is its least and greatest.
type ordering uint8

const (
	orderSigned ordering = iota
	orderUnsigned
	orderFloat32
	orderFloat64
	orderBytes
	orderSignedBytes // of decimals: two's complement, big-endian
)

// leaf is what the writer knows of a column.
type leaf struct {
	Column
	physical format.Type
	order    ordering
	width    int   // bytes of a value in a Vector; 0 of strings
	plain    int   // bytes of a value in PLAIN; 0 of strings, and of booleans, which are bits
	extend   bool  // narrower values are extended by their sign
	factor   int64 // from a DateTime64's ticks to the timestamp's
	reverse  int   // 16 bytes are turned round in pieces of so many
	maxDef   byte
	maxRep   byte
	path     []byte // as the footer has it: a Thrift list of names
}

// fixed says whether the values are at most 8 bytes, which are handled as words.
func (l *leaf) fixed() bool { return l.order < orderBytes }

// integer says whether DELTA_BINARY_PACKED can hold the values.
func (l *leaf) integer() bool { return l.physical == format.Int32 || l.physical == format.Int64 }

// describe works out the column's types, and appends its schema elements to t.
func describe(c *Column, t *thriftWriter) (leaf, error) {
	l := leaf{Column: *c, factor: 1}
	if c.Name == "" {
		return l, errors.New("a column has no name")
	}
	if c.JSON && c.Type.Kind != schema.String {
		return l, fmt.Errorf("column %q is %s, but JSON is text", c.Name, c.Type)
	}
	if c.Bloom && c.Type.Kind == schema.Bool {
		return l, fmt.Errorf("column %q is Bool: a bloom filter of it would say nothing", c.Name)
	}
	if err := l.setType(); err != nil {
		return l, err
	}
	repetition := format.Required
	if c.Optional {
		l.maxDef, repetition = 1, format.Optional
	}
	var path thriftWriter
	if c.Repeated {
		l.maxDef, l.maxRep = 2, 1
		outer := t.begin()
		t.i32(3, int32(format.Required))
		t.string(4, c.Name)
		t.i32(5, 1)
		t.i32(6, int32(deprecated.List))
		inner := t.open(10)
		t.empty(3)
		t.end(inner)
		t.end(outer)
		outer = t.begin()
		t.i32(3, int32(format.Repeated))
		t.string(4, "list")
		t.i32(5, 1)
		t.end(outer)
		l.element(t, "element", format.Optional)
		path.list(1, thriftBinary, 3)
		path.element([]byte(c.Name))
		path.element([]byte("list"))
		path.element([]byte("element"))
	} else {
		l.element(t, c.Name, repetition)
		path.list(1, thriftBinary, 1)
		path.element([]byte(c.Name))
	}
	l.path = path.b[1:] // without the field's header
	return l, nil
}

func (l *leaf) setType() error {
	set := func(physical format.Type, order ordering, width, plain int) {
		l.physical, l.order, l.width, l.plain = physical, order, width, plain
		l.extend = order == orderSigned
	}
	switch t := l.Type; t.Kind {
	case schema.String:
		set(format.ByteArray, orderBytes, 0, 0)
	case schema.Bool:
		set(format.Boolean, orderUnsigned, 1, 0)
	case schema.Int8:
		set(format.Int32, orderSigned, 1, 4)
	case schema.Int16:
		set(format.Int32, orderSigned, 2, 4)
	case schema.Int32, schema.Date32:
		set(format.Int32, orderSigned, 4, 4)
	case schema.Int64:
		set(format.Int64, orderSigned, 8, 8)
	case schema.UInt8:
		set(format.Int32, orderUnsigned, 1, 4)
	case schema.UInt16:
		set(format.Int32, orderUnsigned, 2, 4)
	case schema.UInt32:
		set(format.Int32, orderUnsigned, 4, 4)
	case schema.UInt64:
		set(format.Int64, orderUnsigned, 8, 8)
	case schema.Float32:
		set(format.Float, orderFloat32, 4, 4)
	case schema.Float64:
		set(format.Double, orderFloat64, 8, 8)
	case schema.DateTime64:
		if t.Scale < 0 || t.Scale > 9 {
			return fmt.Errorf("column %q is %s: its scale must be 0 to 9", l.Name, t)
		}
		set(format.Int64, orderSigned, 8, 8)
		for s := t.Scale; s%3 != 0 || s == 0; s++ { // the least unit is the millisecond
			l.factor *= 10
		}
	case schema.Decimal:
		if t.Precision < 1 || t.Precision > 38 || t.Scale < 0 || t.Scale > t.Precision {
			return fmt.Errorf("column %q is %s: its precision must be 1 to 38, and its scale 0 to the precision", l.Name, t)
		}
		switch {
		case t.Precision <= 9:
			set(format.Int32, orderSigned, 4, 4)
		case t.Precision <= 18:
			set(format.Int64, orderSigned, 8, 8)
		default:
			set(format.FixedLenByteArray, orderSignedBytes, 16, 16)
			l.reverse = 16
		}
	case schema.UUID:
		set(format.FixedLenByteArray, orderBytes, 16, 16)
		l.reverse = 8
	default:
		return fmt.Errorf("column %q has a type that is not known here: %d", l.Name, t.Kind)
	}
	return nil
}

// element appends the schema element of the values.
func (l *leaf) element(t *thriftWriter, name string, repetition format.FieldRepetitionType) {
	outer := t.begin()
	t.i32(1, int32(l.physical))
	if l.physical == format.FixedLenByteArray {
		t.i32(2, 16)
	}
	t.i32(3, int32(repetition))
	t.string(4, name)
	converted := func(c deprecated.ConvertedType) { t.i32(6, int32(c)) }
	// Every converted type and logical type is written that there is, for old readers and for new ones.
	logical := func(id int, parameters func()) {
		union := t.open(10)
		inner := t.open(id)
		if parameters != nil {
			parameters()
		}
		t.end(inner)
		t.end(union)
	}
	integer := func(c deprecated.ConvertedType, bits int8, signed bool) {
		converted(c)
		logical(10, func() { t.i8(1, bits); t.bool(2, signed) })
	}
	switch l.Type.Kind {
	case schema.String:
		if l.JSON {
			converted(deprecated.Json)
			logical(12, nil)
		} else {
			converted(deprecated.UTF8)
			logical(1, nil)
		}
	case schema.Int8:
		integer(deprecated.Int8, 8, true)
	case schema.Int16:
		integer(deprecated.Int16, 16, true)
	case schema.Int32:
		integer(deprecated.Int32, 32, true)
	case schema.Int64:
		integer(deprecated.Int64, 64, true)
	case schema.UInt8:
		integer(deprecated.Uint8, 8, false)
	case schema.UInt16:
		integer(deprecated.Uint16, 16, false)
	case schema.UInt32:
		integer(deprecated.Uint32, 32, false)
	case schema.UInt64:
		integer(deprecated.Uint64, 64, false)
	case schema.Date32:
		converted(deprecated.Date)
		logical(6, nil)
	case schema.DateTime64:
		unit := 3
		if l.Type.Scale <= 3 {
			unit = 1
			converted(deprecated.TimestampMillis)
		} else if l.Type.Scale <= 6 {
			unit = 2
			converted(deprecated.TimestampMicros)
		}
		logical(8, func() {
			t.bool(1, true)
			inner := t.open(2)
			t.empty(unit)
			t.end(inner)
		})
	case schema.Decimal:
		converted(deprecated.Decimal)
		t.i32(7, int32(l.Type.Scale))
		t.i32(8, int32(l.Type.Precision))
		logical(5, func() { t.i32(1, int32(l.Type.Scale)); t.i32(2, int32(l.Type.Precision)) })
	case schema.UUID:
		logical(14, nil)
	}
	t.end(outer)
}
