// SPDX-License-Identifier: Apache-2.0

package event

import (
	"math"

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
// kind returns that kind's zero value, never a panic.
type Value struct {
	kind   Kind
	num    uint64
	str    string
	nested pcommon.Value // for map, slice and bytes
}

// String, Int, Double and Bool values, for what is not read from a record.

// StringValue returns a string Value.
func StringValue(s string) Value { return Value{kind: KindString, str: s} }

// IntValue returns an integer Value.
func IntValue(i int64) Value { return Value{kind: KindInt, num: uint64(i)} }

// valueOf makes a view of v.
func valueOf(v pcommon.Value) Value {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return Value{kind: KindString, str: v.Str()}
	case pcommon.ValueTypeBool:
		if v.Bool() {
			return Value{kind: KindBool, num: 1}
		}
		return Value{kind: KindBool}
	case pcommon.ValueTypeInt:
		return Value{kind: KindInt, num: uint64(v.Int())}
	case pcommon.ValueTypeDouble:
		return Value{kind: KindDouble, num: math.Float64bits(v.Double())}
	case pcommon.ValueTypeBytes:
		return Value{kind: KindBytes, nested: v}
	case pcommon.ValueTypeMap:
		return Value{kind: KindMap, nested: v}
	case pcommon.ValueTypeSlice:
		return Value{kind: KindSlice, nested: v}
	default:
		return Value{}
	}
}

// Kind returns the value's kind.
func (v Value) Kind() Kind { return v.kind }

// Str returns a string value.
func (v Value) Str() string { return v.str }

// Bool returns a boolean value.
func (v Value) Bool() bool { return v.kind == KindBool && v.num == 1 }

// Int returns an integer value.
func (v Value) Int() int64 {
	if v.kind != KindInt {
		return 0
	}
	return int64(v.num)
}

// Double returns a double value.
func (v Value) Double() float64 {
	if v.kind != KindDouble {
		return 0
	}
	return math.Float64frombits(v.num)
}

// Bytes returns a copy of a bytes value.
func (v Value) Bytes() []byte {
	if v.kind != KindBytes {
		return nil
	}
	return v.nested.Bytes().AsRaw()
}

// Len returns the number of members of a map or elements of a slice.
func (v Value) Len() int {
	switch v.kind {
	case KindMap:
		return v.nested.Map().Len()
	case KindSlice:
		return v.nested.Slice().Len()
	default:
		return 0
	}
}

// Index returns element i of a slice, 0 <= i < Len.
func (v Value) Index(i int) Value {
	if v.kind != KindSlice {
		return Value{}
	}
	return valueOf(v.nested.Slice().At(i))
}

// Members calls yield for each member of a map in record order, until it returns false.
func (v Value) Members(yield func(string, Value) bool) {
	if v.kind != KindMap {
		return
	}
	for k, m := range v.nested.Map().All() {
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
	m, ok := v.nested.Map().Get(key)
	if !ok {
		return Value{}, false
	}
	return valueOf(m), true
}
