// SPDX-License-Identifier: Apache-2.0

package native

import (
	"encoding/hex"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// What ClickHouse's DateTime64(9) and Date32 hold, as the server's documentation states.
var (
	minTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	maxTime = time.Date(2262, 4, 11, 23, 47, 16, 0, time.UTC).UnixNano()
	minDate = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).Unix() / 86400
	maxDate = time.Date(2299, 12, 31, 0, 0, 0, 0, time.UTC).Unix() / 86400
)

// convert returns the value's bits as the type stores them, little-endian in hi:lo.
func convert(t schema.Type, v event.Value) (lo, hi uint64, err error) {
	switch t.Kind {
	case schema.Bool:
		if v.Kind() != event.KindBool {
			return 0, 0, ErrType
		}
		if v.Bool() {
			lo = 1
		}
		return lo, 0, nil
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64:
		lo, err = signed(v, uint(8<<(t.Kind-schema.Int8)))
	case schema.UInt8, schema.UInt16, schema.UInt32, schema.UInt64:
		lo, err = unsigned(v, uint(8<<(t.Kind-schema.UInt8)))
	case schema.Float32, schema.Float64:
		lo, err = float(v, t.Kind == schema.Float32)
	case schema.Decimal:
		return decimal(v, t)
	case schema.DateTime64:
		lo, err = dateTime(v, t.Scale)
	case schema.Date32:
		lo, err = date(v)
	case schema.UUID:
		return uuid(v)
	default:
		err = ErrType
	}
	return lo, 0, err
}

// signed takes integers, and doubles that are integers: JSON Schema counts 1.0 as one.
func signed(v event.Value, width uint) (uint64, error) {
	var i int64
	switch v.Kind() {
	case event.KindInt:
		i = v.Int()
	case event.KindDouble:
		f := v.Double()
		if f != math.Trunc(f) { // NaN too
			return 0, ErrType
		}
		if f < -1<<63 || f >= 1<<63 {
			return 0, ErrRange
		}
		i = int64(f)
	default:
		return 0, ErrType
	}
	if shift := 64 - width; i<<shift>>shift != i {
		return 0, ErrRange
	}
	return uint64(i), nil
}

func unsigned(v event.Value, width uint) (uint64, error) {
	if v.Kind() == event.KindDouble && v.Double() >= 1<<63 && v.Double() < 1<<64 &&
		v.Double() == math.Trunc(v.Double()) && width == 64 {
		return uint64(v.Double()), nil
	}
	i, err := signed(v, 64)
	if err != nil {
		return 0, err
	}
	if int64(i) < 0 || width < 64 && i>>width != 0 {
		return 0, ErrRange
	}
	return i, nil
}

// float takes doubles, and integers that a double holds exactly. Float32 rounds, as who chose it asked for,
// but does not overflow.
func float(v event.Value, single bool) (uint64, error) {
	var f float64
	switch v.Kind() {
	case event.KindDouble:
		f = v.Double()
	case event.KindInt:
		f = float64(v.Int())
		if f >= 1<<63 || int64(f) != v.Int() {
			return 0, ErrPrecision
		}
	default:
		return 0, ErrType
	}
	if !single {
		return math.Float64bits(f), nil
	}
	s := float32(f)
	if math.IsInf(float64(s), 0) && !math.IsInf(f, 0) {
		return 0, ErrRange
	}
	return uint64(math.Float32bits(s)), nil
}

var pow10 = func() (p [19]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// decimal takes integers, doubles by their shortest decimal form, and texts of decimal digits.
func decimal(v event.Value, t schema.Type) (lo, hi uint64, err error) {
	var buf [400]byte
	var digits []byte
	switch v.Kind() {
	case event.KindInt:
		if i := v.Int(); t.Precision <= 18 {
			return smallDecimal(i, t)
		}
		digits = strconv.AppendInt(buf[:0], v.Int(), 10)
	case event.KindDouble:
		f := v.Double()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return 0, 0, ErrRange
		}
		// Of up to 15 digits no two decimals have one double: if r/10^scale, rounded once, is f, then r is what f
		// stands for.
		if scale := float64(pow10[min(t.Scale, 15)]); t.Scale <= 15 {
			r := math.RoundToEven(f * scale)
			if math.Abs(r) < 1e15 && math.Abs(r) < float64(pow10[min(t.Precision, 18)]) && r/scale == f {
				i := int64(r)
				return uint64(i), uint64(i >> 63), nil
			}
		}
		digits = strconv.AppendFloat(buf[:0], f, 'f', -1, 64)
	case event.KindString:
		digits = []byte(v.Str())
		if len(digits) > 100 {
			return 0, 0, ErrRange
		}
	default:
		return 0, 0, ErrType
	}
	return parseDecimal(digits, t)
}

func smallDecimal(i int64, t schema.Type) (lo, hi uint64, err error) {
	neg := i < 0
	abs := uint64(i)
	if neg {
		abs = -abs
	}
	over, low := bits.Mul64(abs, pow10[t.Scale])
	if over != 0 || low >= pow10[t.Precision] {
		return 0, 0, ErrRange
	}
	if neg {
		low = -low
	}
	return low, 0, nil
}

// parseDecimal reads [+-]digits[.digits] as an integer of 10^-scale.
func parseDecimal(s []byte, t schema.Type) (lo, hi uint64, err error) {
	neg := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		neg, s = s[0] == '-', s[1:]
	}
	unscaled := make([]byte, 0, len(s)+t.Scale)
	point := -1
	for i, c := range s {
		switch {
		case c == '.' && point < 0:
			point = i
		case c >= '0' && c <= '9':
			unscaled = append(unscaled, c)
		default:
			return 0, 0, ErrFormat
		}
	}
	if len(unscaled) == 0 {
		return 0, 0, ErrFormat
	}
	fraction := 0
	if point >= 0 {
		fraction = len(s) - point - 1
	}
	for ; fraction > t.Scale; fraction-- {
		if unscaled[len(unscaled)-1] != '0' {
			return 0, 0, ErrPrecision
		}
		unscaled = unscaled[:len(unscaled)-1]
	}
	for ; fraction < t.Scale; fraction++ {
		unscaled = append(unscaled, '0')
	}
	if len(unscaled) == 0 {
		return 0, 0, nil
	}
	n, _ := new(big.Int).SetString(string(unscaled), 10)
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Precision)), nil)
	if n.Cmp(limit) >= 0 {
		return 0, 0, ErrRange
	}
	if neg {
		n.Sub(new(big.Int).Lsh(big.NewInt(1), 128), n)
	}
	var raw [16]byte
	if n.BitLen() > 128 { // minus zero
		return 0, 0, nil
	}
	n.FillBytes(raw[:])
	for i := range 8 {
		hi = hi<<8 | uint64(raw[i])
		lo = lo<<8 | uint64(raw[8+i])
	}
	return lo, hi, nil
}

func dateTime(v event.Value, scale int) (uint64, error) {
	if v.Kind() != event.KindString {
		return 0, ErrType
	}
	t, err := time.Parse(time.RFC3339Nano, v.Str())
	if err != nil { // RFC 3339 allows a small t and z
		if t, err = time.Parse(time.RFC3339Nano, strings.ToUpper(v.Str())); err != nil {
			return 0, ErrFormat
		}
	}
	if y := t.UTC().Year(); y < 1900 || y > 2262 {
		return 0, ErrRange
	}
	ns := t.UnixNano()
	if !TimeInRange(ns) {
		return 0, ErrRange
	}
	unit := int64(pow10[9-scale])
	if ns%unit != 0 || moreThanNano(v.Str()) {
		return 0, ErrPrecision
	}
	return uint64(ns / unit), nil
}

// moreThanNano says whether a time has digits other than 0 beyond the ninth of the second: time.Parse drops them.
func moreThanNano(s string) bool {
	digits := 0
	inFraction := false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.' || c == ',':
			inFraction = true
		case inFraction && c >= '0' && c <= '9':
			digits++
			if digits > 9 && c != '0' {
				return true
			}
		case inFraction:
			return false
		}
	}
	return false
}

func date(v event.Value) (uint64, error) {
	if v.Kind() != event.KindString {
		return 0, ErrType
	}
	t, err := time.Parse(time.DateOnly, v.Str())
	if err != nil {
		return 0, ErrFormat
	}
	days := t.Unix() / 86400
	if days < minDate || days > maxDate {
		return 0, ErrRange
	}
	return uint64(days), nil
}

// uuid reads the 8-4-4-4-12 form. ClickHouse stores a UUID as two 64-bit halves, each little-endian, the
// first half first: in hi:lo, lo is the first.
func uuid(v event.Value) (lo, hi uint64, err error) {
	if v.Kind() != event.KindString {
		return 0, 0, ErrType
	}
	s := v.Str()
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return 0, 0, ErrFormat
	}
	var text [32]byte
	n := copy(text[:], s[:8])
	n += copy(text[n:], s[9:13])
	n += copy(text[n:], s[14:18])
	n += copy(text[n:], s[19:23])
	copy(text[n:], s[24:])
	var raw [16]byte
	if _, err := hex.Decode(raw[:], text[:]); err != nil {
		return 0, 0, ErrFormat
	}
	for i := range 8 {
		lo = lo<<8 | uint64(raw[i])
		hi = hi<<8 | uint64(raw[8+i])
	}
	return lo, hi, nil
}
