// SPDX-License-Identifier: Apache-2.0

package window

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
)

// A group key is one value for each field, each behind its kind, so that no two groups have the same bytes.
const (
	keyMissing byte = iota
	keyText         // uvarint length, text
	keyInt          // 8 bytes
	keyDouble       // 8 bytes
	keyFalse
	keyTrue
	keyOverflow byte = 0xff // in place of all values
)

// maxKey is how long a key may be. An event whose key is longer counts in the overflow group.
const maxKey = 4096

var overflowKey = []byte{keyOverflow}

// appendKey appends the event's group key. A value that is not of its field's type counts as missing.
func appendKey(b []byte, fields []keyField, values []event.Scalar) []byte {
	for i := range fields {
		v := &values[fields[i].column]
		switch fields[i].typ {
		case aggregate.String:
			b = appendTextKey(b, v)
			continue
		case aggregate.Integer:
			n, ok := int64(v.Bits), v.Kind == event.KindInt
			if v.Kind == event.KindDouble {
				n, ok = wholeNumber(v.Double())
			}
			if ok {
				b = binary.BigEndian.AppendUint64(append(b, keyInt), uint64(n))
				continue
			}
		case aggregate.Number:
			if f, ok := v.Number(); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
				b = binary.BigEndian.AppendUint64(append(b, keyDouble), math.Float64bits(f+0)) // -0 is 0
				continue
			}
		case aggregate.Boolean:
			if v.Kind == event.KindBool {
				b = append(b, keyFalse+byte(v.Bits&1))
				continue
			}
		}
		b = append(b, keyMissing)
	}
	return b
}

func appendTextKey(b []byte, v *event.Scalar) []byte {
	switch v.Kind {
	case event.KindEmpty:
		return append(b, keyMissing)
	case event.KindString:
		b = binary.AppendUvarint(append(b, keyText), uint64(len(v.Text)))
		return append(b, v.Text...)
	case event.KindInt:
		var digits [20]byte
		text := strconv.AppendInt(digits[:0], int64(v.Bits), 10)
		return append(append(b, keyText, byte(len(text))), text...)
	}
	text := v.ScalarText()
	b = binary.AppendUvarint(append(b, keyText), uint64(len(text)))
	return append(b, text...)
}

func wholeNumber(f float64) (int64, bool) {
	if f != math.Trunc(f) || f < -(1<<63) || f >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

var errKey = errors.New("a group's key is not readable")

// writeKey sets the columns of the group's fields, which begin at first. A missing value of a column that cannot be NULL is
// its type's zero.
func writeKey(w *result.Writer, table *result.Table, first, fields int, key []byte) error {
	isOverflow := len(key) == 1 && key[0] == keyOverflow
	for i := range fields {
		column := first + i
		if isOverflow || len(key) > 0 && key[0] == keyMissing {
			if !isOverflow {
				key = key[1:]
			}
			writeZero(w, &table.Columns[column], column)
			continue
		}
		if len(key) == 0 {
			return errKey
		}
		kind := key[0]
		key = key[1:]
		switch kind {
		case keyText:
			n, k := binary.Uvarint(key)
			if k <= 0 || n > uint64(len(key)-k) {
				return errKey
			}
			w.Str(column, string(key[k:k+int(n)]))
			key = key[k+int(n):]
		case keyInt, keyDouble:
			if len(key) < 8 {
				return errKey
			}
			bits := binary.BigEndian.Uint64(key)
			if kind == keyInt {
				w.Int(column, int64(bits))
			} else {
				w.Float(column, math.Float64frombits(bits))
			}
			key = key[8:]
		case keyFalse, keyTrue:
			w.Bool(column, kind == keyTrue)
		default:
			return errKey
		}
	}
	if fields > 0 {
		w.Bool(first+fields, isOverflow)
	}
	return nil
}

func writeZero(w *result.Writer, c *result.Column, column int) {
	if c.Nullable {
		return
	}
	switch c.Type {
	case result.String:
		w.Str(column, "")
	case result.Int64:
		w.Int(column, 0)
	case result.Bool:
		w.Bool(column, false)
	}
}
