// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/format"
)

// maxBound is how many bytes of a text or byte string the statistics keep: less than the least text may be given as the
// least, and more than the greatest as the greatest.
const maxBound = 64

// wordBounds returns the least and greatest word of a column of at most 8 bytes a value. Where there are NaNs, there are no
// bounds: readers do not agree on whether a NaN is greater than all.
func wordBounds(order ordering, words []uint64) (least, greatest uint64, ok bool) {
	if len(words) == 0 {
		return 0, 0, false
	}
	switch order {
	case orderSigned:
		lo, hi := int64(words[0]), int64(words[0])
		for _, w := range words {
			lo, hi = min(lo, int64(w)), max(hi, int64(w))
		}
		return uint64(lo), uint64(hi), true
	case orderUnsigned:
		lo, hi := words[0], words[0]
		for _, w := range words {
			lo, hi = min(lo, w), max(hi, w)
		}
		return lo, hi, true
	case orderFloat32:
		return floatBounds(words, func(w uint64) float64 { return float64(math.Float32frombits(uint32(w))) },
			func(f float64) uint64 { return uint64(math.Float32bits(float32(f))) })
	default:
		return floatBounds(words, math.Float64frombits, math.Float64bits)
	}
}

func floatBounds(words []uint64, from func(uint64) float64, to func(float64) uint64) (least, greatest uint64, ok bool) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, w := range words {
		f := from(w)
		if f != f {
			return 0, 0, false
		}
		if f < lo {
			lo = f
		}
		if f > hi {
			hi = f
		}
	}
	// By the format, bounds that are zeros are -0 to +0, since readers compare them as they like.
	if lo == 0 {
		lo = math.Copysign(0, -1)
	}
	if hi == 0 {
		hi = 0
	}
	return to(lo), to(hi), true
}

// compareWords orders bounds of a column, none of which are NaN.
func compareWords(order ordering, a, b uint64) int {
	less := a < b
	switch order {
	case orderSigned:
		less = int64(a) < int64(b)
	case orderFloat32:
		less = math.Float32frombits(uint32(a)) < math.Float32frombits(uint32(b))
	case orderFloat64:
		less = math.Float64frombits(a) < math.Float64frombits(b)
	}
	switch {
	case a == b:
		return 0
	case less:
		return -1
	default:
		return 1
	}
}

// appendWord appends a word as PLAIN does.
func (l *leaf) appendWord(dst []byte, w uint64) []byte {
	switch l.physical {
	case format.Boolean:
		return append(dst, byte(w))
	case format.Int32, format.Float:
		return binary.LittleEndian.AppendUint32(dst, uint32(w))
	default:
		return binary.LittleEndian.AppendUint64(dst, w)
	}
}

// prefix returns the first 8 bytes as a number that orders as the bytes do, except that equal ones leave the rest to compare.
func prefix(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var x uint64
	for i, c := range b {
		x |= uint64(c) << (56 - 8*i)
	}
	return x
}

// byteBounds collects the least and greatest of byte strings.
type byteBounds struct {
	flip                 uint64 // turns the order of the first bytes into that of signed numbers
	leastBits, greatBits uint64
	least, greatest      []byte
	some                 bool
}

func newByteBounds(order ordering) byteBounds {
	if order == orderSignedBytes {
		return byteBounds{flip: 1 << 63}
	}
	return byteBounds{}
}

func (r *byteBounds) add(b []byte) {
	p := prefix(b) ^ r.flip
	if !r.some {
		r.leastBits, r.greatBits, r.least, r.greatest, r.some = p, p, b, b, true
		return
	}
	if p <= r.leastBits && (p < r.leastBits || bytes.Compare(b, r.least) < 0) {
		r.leastBits, r.least = p, b
	}
	if p >= r.greatBits && (p > r.greatBits || bytes.Compare(b, r.greatest) > 0) {
		r.greatBits, r.greatest = p, b
	}
}

// compareBytes orders byte strings of a column.
func compareBytes(order ordering, a, b []byte) int {
	if order == orderSignedBytes && len(a) > 0 && len(b) > 0 && (a[0]^b[0])&0x80 != 0 {
		return int(b[0]>>7)*2 - 1 // the one with the sign is less; they are of one length
	}
	return bytes.Compare(a, b)
}

// lowerBound returns what is at most maxBound bytes of the text, and whether it is all of it. What is cut off leaves less.
func lowerBound(text []byte) (bound []byte, exact bool) {
	if len(text) <= maxBound {
		return text, true
	}
	return text[:runeEnd(text)], false
}

// upperBound appends to dst a text of about maxBound bytes that is not less than this one, and says whether it is this one. A text
// that none of that size exceeds is kept whole.
func upperBound(dst, text []byte) (bound []byte, exact bool) {
	if len(text) <= maxBound {
		return append(dst, text...), true
	}
	cut := text[:runeEnd(text)]
	for len(cut) > 0 {
		r, size := utf8.DecodeLastRune(cut)
		cut = cut[:len(cut)-size]
		if r++; r == 0xd800 {
			r = 0xe000 // surrogates are no characters
		}
		if r <= utf8.MaxRune {
			return utf8.AppendRune(append(dst, cut...), r), false
		}
	}
	return append(dst, text...), true
}

// runeEnd returns the greatest length of at most maxBound at which a character of the text ends.
func runeEnd(text []byte) int {
	n := maxBound
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}
