// SPDX-License-Identifier: Apache-2.0

// Package native builds columns in ClickHouse's Native format, row by row, for an INSERT over the native
// protocol. A column is built in the bytes that go on the wire, so that sending it is one copy; columns are
// reset and used again, so that a steady load allocates nothing.
//
// Format: https://clickhouse.com/docs/interfaces/formats/Native and, for LowCardinality and JSON, the server's
// SerializationLowCardinality and SerializationObject.
package native

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// Errors of values that a column does not take. Nothing is clipped, rounded or cast to make them fit.
var (
	ErrType      = errors.New("type_mismatch")     // another type than the column's
	ErrRange     = errors.New("out_of_range")      // beyond what the column's type can hold
	ErrPrecision = errors.New("precision_loss")    // more digits than the column's type can hold
	ErrFormat    = errors.New("unreadable_format") // a text that is no date, time, UUID or number
	ErrTooDeep   = errors.New("nesting_too_deep")  // see event.MaxDepth
)

// Column is one column of a block under construction. It is owned by one goroutine at a time.
//
// A row is appended by Append; Fill appends defaults up to a number of rows, so that a column need not be
// touched for rows that have nothing for it. Rollback takes back what came after Seek, so that a row that
// fails half-way leaves no trace.
type Column interface {
	proto.ColInput
	proto.StateEncoder
	// Append adds a row. After an error the column must be rolled back.
	Append(v event.Value) error
	// Fill appends NULLs, or the type's default where it is not nullable, until there are n rows.
	Fill(n int)
	// Seek makes the column ready for the row at index n: it fills it up to n rows and remembers that end for
	// Rollback. It returns false, and does nothing, where the column has that row already.
	Seek(n int) bool
	// Rollback removes all that was appended since Seek.
	Rollback()
	// Reset empties the column and keeps its memory.
	Reset()
}

// New returns a column for values of the type. It is nullable, and so are the elements if it is repeated.
func New(t schema.Type, repeated bool) Column {
	c := scalar(t)
	if repeated {
		return &Array{elem: c}
	}
	return c
}

func scalar(t schema.Type) Column {
	switch t.Kind {
	case schema.String:
		if t.LowCardinality {
			return NewLowCardinality(true)
		}
		return NewString(true)
	default:
		return newFixed(t)
	}
}

// Define returns the column's type in ClickHouse's words: nullable, and an array if repeated.
func Define(t schema.Type, repeated bool) string { return string(New(t, repeated).Type()) }

// nulls is the null map of a nullable column: one byte a row.
type nulls struct {
	on bool
	of []byte
}

func (n *nulls) append(null byte) {
	if n.on {
		n.of = append(n.of, null)
	}
}

// fill appends NULLs.
func (n *nulls) fill(more int) {
	if n.on {
		n.of = appendByte(n.of, 1, more)
	}
}

// appendByte appends b n times.
func appendByte(dst []byte, b byte, n int) []byte {
	dst = slices.Grow(dst, n)
	start := len(dst)
	dst = dst[:start+n]
	if b == 0 {
		clear(dst[start:])
		return dst
	}
	for i := range dst[start:] {
		dst[start+i] = b
	}
	return dst
}

func (n *nulls) truncate(rows int) {
	if n.on {
		n.of = n.of[:rows]
	}
}

// mark is the end of a column at Seek.
type mark struct{ rows, bytes int }

func (n *nulls) encode(b *proto.Buffer) {
	if n.on {
		b.Buf = append(b.Buf, n.of...)
	}
}

func (n *nulls) wrap(t string) proto.ColumnType {
	if n.on {
		return proto.ColumnType("Nullable(" + t + ")")
	}
	return proto.ColumnType(t)
}

// write is WriteColumn for columns that encode themselves.
func write(c proto.ColInput, w *proto.Writer) { w.ChainBuffer(c.EncodeColumn) }

// appendText appends s as Native writes a string: its length in bytes as a varint, then the bytes.
func appendText[T string | []byte](dst []byte, s T) []byte {
	if len(s) < 1<<7 { // most are, and then the varint is one byte
		return append(append(dst, byte(len(s))), s...)
	}
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
