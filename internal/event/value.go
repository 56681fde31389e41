// SPDX-License-Identifier: Apache-2.0

package event

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Kind is the type of a Value.
type Kind uint8

// The kinds, one for each of OTLP's AnyValue.
const (
	KindEmpty Kind = iota // JSON's null
	KindString
	KindBool
	KindInt
	KindDouble
	KindBytes
	KindMap
	KindSlice
)

// String names the kind as JSON Schema does, where it can.
func (k Kind) String() string {
	return [...]string{"null", "string", "boolean", "integer", "number", "bytes", "object", "array"}[k]
}

// Value is a read-only view of one attribute value. The zero Value is empty (JSON's null). Reading the wrong
// kind returns that kind's zero value, never a panic. It is kept small: reading an event writes one for each
// property.
type Value struct {
	kind Kind
	of   pcommon.Value // set unless kind is KindEmpty
}

// StringValue returns a string Value, for what is not read from a record.
func StringValue(s string) Value { return valueOf(pcommon.NewValueStr(s)) }

// IntValue returns an integer Value, for what is not read from a record.
func IntValue(i int64) Value { return valueOf(pcommon.NewValueInt(i)) }

// valueOf makes a view of v.
func valueOf(v pcommon.Value) Value { return Value{kinds[v.Type()], v} }

var kinds = [...]Kind{
	pcommon.ValueTypeEmpty:  KindEmpty,
	pcommon.ValueTypeStr:    KindString,
	pcommon.ValueTypeInt:    KindInt,
	pcommon.ValueTypeDouble: KindDouble,
	pcommon.ValueTypeBool:   KindBool,
	pcommon.ValueTypeMap:    KindMap,
	pcommon.ValueTypeSlice:  KindSlice,
	pcommon.ValueTypeBytes:  KindBytes,
}

// Kind returns the value's kind.
func (v Value) Kind() Kind { return v.kind }

// Str returns a string value.
func (v Value) Str() string {
	if v.kind != KindString {
		return ""
	}
	return v.of.Str()
}

// Text returns the value as an ID or a name is read that some producers send as another type: an object or an array is JSON, "" where it
// nests deeper than MaxDepth, and bytes are base64.
func (v Value) Text() string {
	if v.kind == KindEmpty {
		return ""
	}
	return text(v.of)
}

// Bool returns a boolean value.
func (v Value) Bool() bool { return v.kind == KindBool && v.of.Bool() }

// Int returns an integer value.
func (v Value) Int() int64 {
	if v.kind != KindInt {
		return 0
	}
	return v.of.Int()
}

// Double returns a double value.
func (v Value) Double() float64 {
	if v.kind != KindDouble {
		return 0
	}
	return v.of.Double()
}

// Bytes returns a copy of a bytes value.
func (v Value) Bytes() []byte {
	if v.kind != KindBytes {
		return nil
	}
	return v.of.Bytes().AsRaw()
}

// Len returns the number of members of a map or elements of a slice.
func (v Value) Len() int {
	switch v.kind {
	case KindMap:
		return v.of.Map().Len()
	case KindSlice:
		return v.of.Slice().Len()
	default:
		return 0
	}
}

// Index returns element i of a slice, 0 <= i < Len.
func (v Value) Index(i int) Value {
	if v.kind != KindSlice {
		return Value{}
	}
	return valueOf(v.of.Slice().At(i))
}

// Members calls yield for each member of a map in record order, until it returns false.
func (v Value) Members(yield func(string, Value) bool) {
	if v.kind != KindMap {
		return
	}
	for k, m := range v.of.Map().All() {
		if !yield(k, valueOf(m)) {
			return
		}
	}
}

// Get returns a map's member, the first of that key.
func (v Value) Get(key string) (Value, bool) {
	if v.kind != KindMap {
		return Value{}, false
	}
	m, ok := v.of.Map().Get(key)
	if !ok {
		return Value{}, false
	}
	return valueOf(m), true
}
