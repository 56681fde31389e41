// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/event"
)

// text is a bounded string within a part: its length plus one (2 bytes; 0 is none), its bytes, and zeros. The room is that of the longest one that was added, kept
// or not: so it is a function of the set of values, and does not go to and fro with every `last`.
const textHeader = 2

// minRoom is the least room; there is no step between a power of two and the next.
const minRoom = 16

func roomFor(n int) int {
	if n <= minRoom {
		return minRoom
	}
	return 1 << bits.Len(uint(n-1))
}

func loadText(b []byte) (text []byte, ok bool) {
	n := int(le.Uint16(b))
	if n == 0 {
		return nil, false
	}
	return b[textHeader : textHeader+n-1], true
}

func storeText(b []byte, text []byte) {
	le.PutUint16(b, uint16(len(text)+1))
	clear(b[textHeader+copy(b[textHeader:], text):])
}

func checkText(b []byte, most int) error {
	if len(b) < textHeader {
		return fmt.Errorf("%d bytes are no text", len(b))
	}
	n, room := int(le.Uint16(b)), len(b)-textHeader
	switch {
	case n == 0 && room == 0:
		return nil
	case n == 0 || n-1 > room || n-1 > most || room != roomFor(room) || room > roomFor(most):
		return fmt.Errorf("a text of %d bytes in room for %d", n-1, room)
	case !isZero(b[textHeader+n-1:]):
		return fmt.Errorf("something behind a text of %d bytes", n-1)
	}
	return nil
}

// cut shortens text to at most n bytes, at the start of a character if it is UTF-8.
func cut[T string | []byte](text T, n int) T {
	if len(text) <= n {
		return text
	}
	end := n
	for end > n-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	if !utf8.RuneStart(text[end]) {
		end = n
	}
	return text[:end]
}

// appendText appends a string, number or boolean as text; ok is false for what has none.
func appendText(b []byte, v *event.Scalar) ([]byte, Reason) {
	switch v.Kind {
	case event.KindString:
		return append(b, v.Text...), Added
	case event.KindInt:
		return strconv.AppendInt(b, int64(v.Bits), 10), Added
	case event.KindBool:
		return strconv.AppendBool(b, v.Bits != 0), Added
	case event.KindDouble:
		f := math.Float64frombits(v.Bits)
		if f-f != 0 {
			return b, notFinite(f)
		}
		return appendDouble(b, f), Added
	}
	return b, ReasonWrongType
}

// appendDouble writes what event.Scalar's ScalarText says: JSON's shortest form.
func appendDouble(b []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		start := len(b)
		b = strconv.AppendFloat(b, f, 'e', -1, 64)
		if n := len(b); n-start >= 4 && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
			b[n-2] = b[n-1]
			b = b[:n-1]
		}
		return b
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

func readTime(text string) (cell, Reason) {
	// The parser is not called for what cannot be a time: a value is read for each event.
	if len(text) < len("2006-01-02T15:04:05Z") || text[4] != '-' {
		return cell{}, ReasonNotATime
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Before(firstTime) || t.After(lastTime) {
		return cell{}, ReasonNotATime
	}
	return intCell(t.UnixNano()), Added
}

// Bounds of what 64 bits of nanoseconds can tell.
var firstTime, lastTime = time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64)

// putExtreme keeps the least (sign -1) or the greatest (sign 1) text. b has room for it.
func putExtreme(b, text []byte, sign int) {
	if kept, ok := loadText(b); !ok || bytes.Compare(text, kept) == sign {
		storeText(b, text)
	}
}
