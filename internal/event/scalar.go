// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Scalar is the value of one field of a Row: a view, valid within the call that it is given to. Whoever keeps a text of
// it beyond that copies it: the memory is used again.
type Scalar struct {
	// Kind is KindEmpty where the field is absent or null.
	Kind Kind
	// Bits are an int64's, math.Float64bits, or 0 and 1 for a boolean.
	Bits uint64
	// Text of a string. Maps, slices and bytes have theirs made when it is asked for: see ScalarText.
	Text string

	of *nested // where a map, a slice or bytes lie
}

// nested is a value that has no text of its own: in a record of pdata, or in OTLP bytes.
type nested struct {
	value pcommon.Value
	raw   []byte // inside of the ArrayValue or KeyValueList, or the bytes; read if isRaw
	isRaw bool
}

// StringScalar returns a string, for what is not read from an event, as the others that follow.
func StringScalar(s string) Scalar { return Scalar{Kind: KindString, Text: s} }

// IntScalar returns an integer.
func IntScalar(i int64) Scalar { return Scalar{Kind: KindInt, Bits: uint64(i)} }

// DoubleScalar returns a double.
func DoubleScalar(f float64) Scalar { return Scalar{Kind: KindDouble, Bits: math.Float64bits(f)} }

// BoolScalar returns a boolean.
func BoolScalar(b bool) Scalar {
	if b {
		return Scalar{Kind: KindBool, Bits: 1}
	}
	return Scalar{Kind: KindBool}
}

// Int returns an integer, 0 of any other kind.
func (s Scalar) Int() int64 {
	if s.Kind != KindInt {
		return 0
	}
	return int64(s.Bits)
}

// Double returns a double, 0 of any other kind.
func (s Scalar) Double() float64 {
	if s.Kind != KindDouble {
		return 0
	}
	return math.Float64frombits(s.Bits)
}

// Bool returns a boolean, false of any other kind.
func (s Scalar) Bool() bool { return s.Kind == KindBool && s.Bits != 0 }

// Number returns an integer or a double. A text is none, whatever stands in it.
func (s Scalar) Number() (float64, bool) {
	switch s.Kind {
	case KindInt:
		return float64(int64(s.Bits)), true
	case KindDouble:
		return math.Float64frombits(s.Bits), true
	}
	return 0, false
}

// IsEmpty says whether the field is absent, null, "" or no bytes.
func (s Scalar) IsEmpty() bool {
	switch s.Kind {
	case KindEmpty:
		return true
	case KindString:
		return s.Text == ""
	case KindBytes:
		return s.of == nil || s.of.bytesLen() == 0
	}
	return false
}

// ScalarText returns any value as a text: a map or a slice is JSON, "" where it nests deeper than MaxDepth, and bytes
// are base64, as Value.Text has it. It allocates for what is no string.
func (s Scalar) ScalarText() string {
	switch s.Kind {
	case KindString:
		return s.Text
	case KindBool:
		return strconv.FormatBool(s.Bits != 0)
	case KindInt:
		return strconv.FormatInt(int64(s.Bits), 10)
	case KindDouble:
		return pcommon.NewValueDouble(math.Float64frombits(s.Bits)).AsString()
	case KindMap, KindSlice, KindBytes:
		if s.of != nil {
			return s.of.text(s.Kind)
		}
	}
	return ""
}

// AppendKey appends bytes that are equal for equal values and tell kinds apart, the integer 1 from the double 1 too. No
// value's bytes are the beginning of another's, so that several in a row are a key as well. All NaNs are one value, and so are
// both zeros. Maps are equal if their members stand in one order.
func (s Scalar) AppendKey(b []byte) []byte {
	switch s.Kind {
	case KindEmpty:
		return append(b, byte(KindEmpty))
	case KindBool:
		return append(b, byte(KindBool), byte(s.Bits&1))
	case KindInt:
		return binary.BigEndian.AppendUint64(append(b, byte(KindInt)), s.Bits)
	case KindDouble:
		f := math.Float64frombits(s.Bits)
		bits := s.Bits
		switch {
		case math.IsNaN(f):
			bits = math.Float64bits(math.NaN())
		case f == 0:
			bits = 0
		}
		return binary.BigEndian.AppendUint64(append(b, byte(KindDouble)), bits)
	}
	text := s.ScalarText()
	b = binary.AppendUvarint(append(b, byte(s.Kind)), uint64(len(text)))
	return append(b, text...)
}

func (n *nested) bytesLen() int {
	if n.isRaw {
		return len(n.raw)
	}
	return n.value.Bytes().Len()
}

func (n *nested) text(kind Kind) string {
	switch {
	case !n.isRaw:
		return text(n.value)
	case kind == KindBytes:
		return base64.StdEncoding.EncodeToString(n.raw)
	}
	v := rawValue{kind: kind, inside: n.raw}
	json, err := v.appendJSON(nil, 0)
	if err != nil {
		return ""
	}
	return string(json)
}
