// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-faster/jx"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// MaxDepth is how deep values may nest, in JSON read and written here. Deeper ones are an error, never a
// deep recursion. ClickHouse's JSON type and most schema tools stop at similar depths.
const MaxDepth = 64

// ErrTooDeep is returned for values that nest deeper than MaxDepth.
var ErrTooDeep = fmt.Errorf("nesting is deeper than %d levels", MaxDepth)

// MaxMembers is how many members an object may have in JSON read here, and how many attributes an event. The
// record's maps are searched key by key, so the work grows with the square of it; what would be events of more
// columns than any table is meant to have is refused instead.
const MaxMembers = 1024

// ErrTooManyMembers is returned for objects of more than MaxMembers members.
var ErrTooManyMembers = fmt.Errorf("an object has more than %d members", MaxMembers)

// MaxValues is how many values, nested ones counted, one property, context value or object of properties may have
// in JSON read here. In memory a value costs many times its text: three bytes of JSON, an empty array in an array,
// take some fifty.
const MaxValues = 10_000

// ErrTooManyValues is returned for more than MaxValues values.
var ErrTooManyValues = fmt.Errorf("there are more than %d values", MaxValues)

// ErrNotUTF8 is returned for JSON strings that are no valid UTF-8.
var ErrNotUTF8 = errors.New("a string is not valid UTF-8")

// PutJSON reads one JSON value from dec as the property or context value of that key.
func (d Draft) PutJSON(key string, dec *jx.Decoder) error {
	left := MaxValues
	return readJSON(dec, d.lr.Attributes().PutEmpty(key), 0, &left)
}

// PutJSONProperties reads one JSON object from dec, each member as a property. A member whose key belongs to
// the envelope or to a context namespace is kept as a property named "properties." + key, so that producers
// cannot pass one for the other.
func (d Draft) PutJSONProperties(dec *jx.Decoder) error {
	attrs, left := d.lr.Attributes(), MaxValues
	return dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
		if !utf8.Valid(key) {
			return ErrNotUTF8
		}
		k := string(key)
		if reserved(k) {
			k = "properties." + k
		}
		return readMember(dec, attrs, k, 1, &left)
	})
}

// readMember reads the value of a member into m. Of a key that stands twice the first wins.
func readMember(dec *jx.Decoder, m pcommon.Map, key string, depth int, left *int) error {
	if m.Len() >= MaxMembers {
		return ErrTooManyMembers
	}
	v, exists := m.GetOrPutEmpty(key)
	if exists {
		return dec.Skip()
	}
	return readJSON(dec, v, depth, left)
}

// readJSON reads a value, and takes it and those below it from left.
func readJSON(dec *jx.Decoder, dst pcommon.Value, depth int, left *int) error {
	if depth > MaxDepth {
		return ErrTooDeep
	}
	if *left--; *left < 0 {
		return ErrTooManyValues
	}
	switch dec.Next() {
	case jx.String:
		s, err := dec.StrBytes()
		if err != nil {
			return err
		}
		if !utf8.Valid(s) {
			return ErrNotUTF8
		}
		dst.SetStr(string(s))
		return nil
	case jx.Number:
		n, err := dec.Num()
		if err != nil {
			return err
		}
		return readNumber(n, dst)
	case jx.Bool:
		b, err := dec.Bool()
		dst.SetBool(b)
		return err
	case jx.Null:
		return dec.Null()
	case jx.Array:
		s := dst.SetEmptySlice()
		return dec.Arr(func(dec *jx.Decoder) error { return readJSON(dec, s.AppendEmpty(), depth+1, left) })
	case jx.Object:
		m := dst.SetEmptyMap()
		return dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
			if !utf8.Valid(key) {
				return ErrNotUTF8
			}
			return readMember(dec, m, string(key), depth+1, left)
		})
	default:
		return dec.Skip() // reports the syntax error at its place
	}
}

// readNumber keeps integers that fit int64 as such and all else as the nearest double; an integer beyond
// int64 that no double holds exactly is kept as its digits, so that an ID is never changed.
func readNumber(n jx.Num, dst pcommon.Value) error {
	if n.IsInt() {
		if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
			dst.SetInt(i)
			return nil
		}
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		return fmt.Errorf("reading number: %w", err)
	}
	if n.IsInt() && strconv.FormatFloat(f, 'f', -1, 64) != string(n) {
		dst.SetStr(string(n))
		return nil
	}
	dst.SetDouble(f)
	return nil
}

// AppendJSON appends the value as JSON. Bytes become base64 text, and the doubles that JSON lacks the texts
// "NaN", "Infinity" and "-Infinity", as in Protobuf's JSON mapping; invalid UTF-8 becomes U+FFFD. It fails
// with ErrTooDeep only.
func (v Value) AppendJSON(dst []byte) ([]byte, error) { return v.appendJSON(dst, 0) }

func (v Value) appendJSON(dst []byte, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return dst, ErrTooDeep
	}
	switch v.kind {
	case KindString:
		return AppendJSONString(dst, v.Str()), nil
	case KindBool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case KindInt:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case KindDouble:
		return appendDouble(dst, v.Double()), nil
	case KindBytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.of.Bytes().AsRaw())
		return append(dst, '"'), nil
	case KindMap:
		dst = append(dst, '{')
		first, err := true, error(nil)
		for k, m := range v.Members {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(AppendJSONString(dst, k), ':')
			if dst, err = m.appendJSON(dst, depth+1); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	case KindSlice:
		dst = append(dst, '[')
		var err error
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = v.Index(i).appendJSON(dst, depth+1); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	default:
		return append(dst, "null"...), nil
	}
}

func appendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

const hexDigits = "0123456789abcdef"

// AppendJSONString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\uFFFD"...)
			i++
			start = i
			continue
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
