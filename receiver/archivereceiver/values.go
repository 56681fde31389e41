// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/format"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/receiver/archivereceiver/internal/pages"
)

// scalar is a value as an event has it: a text, an integer, a number or a boolean.
type scalar struct {
	kind event.Kind
	text string
	bits uint64 // of the integer, the double, or 1 for true
}

func textScalar(s string) scalar    { return scalar{kind: event.KindString, text: s} }
func intScalar(i int64) scalar      { return scalar{kind: event.KindInt, bits: uint64(i)} }
func doubleScalar(f float64) scalar { return scalar{kind: event.KindDouble, bits: math.Float64bits(f)} }

// scalarOf returns the value of a column of that type: as a JSON event would have had it. See the README's table.
func scalarOf(t *pages.Type, text string, bits uint64, fixed []byte) scalar {
	switch t.Kind {
	case pages.Text:
		return textScalar(text)
	case pages.Bytes:
		if t.Physical != format.ByteArray {
			text = string(fixed)
		}
		if utf8.ValidString(text) {
			return textScalar(text)
		}
		return textScalar(base64.StdEncoding.EncodeToString([]byte(text)))
	case pages.Bool:
		return scalar{kind: event.KindBool, bits: bits & 1}
	case pages.Int:
		return intScalar(signed(t, bits))
	case pages.Uint:
		if bits > math.MaxInt64 {
			return bigUint(bits)
		}
		return intScalar(int64(bits))
	case pages.Float32:
		return doubleScalar(widen(math.Float32frombits(uint32(bits))))
	case pages.Float64:
		return scalar{kind: event.KindDouble, bits: bits}
	case pages.Decimal:
		return decimal(t, text, bits, fixed)
	case pages.Timestamp:
		return textScalar(instant(t, bits, fixed).Format(time.RFC3339Nano))
	case pages.Date:
		return textScalar(time.Unix(signed(t, bits)*86400, 0).UTC().Format(time.DateOnly))
	case pages.Time:
		return textScalar(time.Unix(0, signed(t, bits)*t.Unit).UTC().Format("15:04:05.999999999"))
	case pages.UUID:
		return textScalar(uuidText(fixed))
	}
	return scalar{}
}

// signed is an integer of 32 or 64 bits.
func signed(t *pages.Type, bits uint64) int64 {
	if t.Width == 4 {
		return int64(int32(bits))
	}
	return int64(bits)
}

// bigUint is what intakes make of a number that no int64 holds: a double where one is exact, else its digits.
func bigUint(n uint64) scalar {
	if f := float64(n); f < 1<<64 && uint64(f) == n {
		return doubleScalar(f)
	}
	return textScalar(strconv.FormatUint(n, 10))
}

// widen returns the double of the fewest digits that the float stands for: 0.1, not 0.10000000149011612.
func widen(f float32) float64 {
	d := float64(f)
	if d == math.Trunc(d) || math.IsNaN(d) || math.IsInf(d, 0) {
		return d
	}
	var buf [32]byte
	d, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], d, 'g', -1, 32)), 64)
	if err != nil { // of digits that were printed: does not happen
		return float64(f)
	}
	return d
}

// instant is the time that a timestamp stands for.
func instant(t *pages.Type, bits uint64, fixed []byte) time.Time {
	if t.Physical == format.Int96 { // nanoseconds of the day, and its Julian number
		const julian1970 = 2440588
		days := int64(binary.LittleEndian.Uint32(fixed[8:])) - julian1970
		return time.Unix(days*86400, int64(binary.LittleEndian.Uint64(fixed))).UTC()
	}
	n := signed(t, bits)
	perSecond := int64(time.Second) / t.Unit
	return time.Unix(n/perSecond, n%perSecond*t.Unit).UTC()
}

func uuidText(b []byte) string {
	var s [36]byte
	hex.Encode(s[:], b[:4])
	hex.Encode(s[9:], b[4:6])
	hex.Encode(s[14:], b[6:8])
	hex.Encode(s[19:], b[8:10])
	hex.Encode(s[24:], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

var pow10 = func() (p [16]float64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// decimal is a double where the shortest digits of one are the decimal's, else its digits.
func decimal(t *pages.Type, text string, bits uint64, fixed []byte) scalar {
	// Of up to 15 digits no two decimals have one double, and the division rounds once.
	exact := func(i int64) bool { return t.Scale < len(pow10) && i > -1e15 && i < 1e15 }
	if t.Physical == format.Int32 || t.Physical == format.Int64 {
		if i := signed(t, bits); exact(i) {
			return doubleScalar(float64(i) / pow10[t.Scale])
		}
	}
	n := unscaled(t, text, bits, fixed)
	if n.IsInt64() && exact(n.Int64()) {
		return doubleScalar(float64(n.Int64()) / pow10[t.Scale])
	}
	digits := decimalText(n, t.Scale)
	short := digits
	if strings.IndexByte(short, '.') >= 0 {
		short = strings.TrimSuffix(strings.TrimRight(short, "0"), ".")
	}
	if f, err := strconv.ParseFloat(digits, 64); err == nil && strconv.FormatFloat(f, 'f', -1, 64) == short {
		return doubleScalar(f)
	}
	return textScalar(digits)
}

// unscaled is the decimal as an integer, 10^scale times as large.
func unscaled(t *pages.Type, text string, bits uint64, fixed []byte) *big.Int {
	switch t.Physical {
	case format.Int32, format.Int64:
		return big.NewInt(signed(t, bits))
	case format.ByteArray:
		return twosComplement([]byte(text))
	}
	return twosComplement(fixed)
}

func twosComplement(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// decimalText writes n/10^scale with all digits of the scale.
func decimalText(n *big.Int, scale int) string {
	digits := new(big.Int).Abs(n).String()
	if scale > 0 {
		if pad := scale + 1 - len(digits); pad > 0 {
			digits = strings.Repeat("0", pad) + digits
		}
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// String is the value as a text, for fields that are texts.
func (s scalar) String() string {
	switch s.kind {
	case event.KindString:
		return s.text
	case event.KindInt:
		return strconv.FormatInt(int64(s.bits), 10)
	case event.KindDouble:
		return strconv.FormatFloat(math.Float64frombits(s.bits), 'f', -1, 64)
	case event.KindBool:
		return strconv.FormatBool(s.bits == 1)
	}
	return ""
}

func (s scalar) put(o event.Object, key string) {
	switch s.kind {
	case event.KindString:
		o.PutString(key, s.text)
	case event.KindInt:
		o.PutInt(key, int64(s.bits))
	case event.KindDouble:
		o.PutDouble(key, math.Float64frombits(s.bits))
	case event.KindBool:
		o.PutBool(key, s.bits == 1)
	}
}

func (s scalar) add(l event.List) {
	switch s.kind {
	case event.KindString:
		l.AddString(s.text)
	case event.KindInt:
		l.AddInt(int64(s.bits))
	case event.KindDouble:
		l.AddDouble(math.Float64frombits(s.bits))
	case event.KindBool:
		l.AddBool(s.bits == 1)
	}
}
