// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"bytes"
	"errors"
	"fmt"
)

// The last values are a list of distinct texts, each with the greatest Point it came at, the greatest first:
//
//	by text: Point (20), length (2), text
//
// What a full list gives up is older than all that is in it, and those only become younger: so the list is exact, whatever the order in which
// values come and lists are merged.
const recentHead = pickPoint + 2

// maxRecent is how long a list may be.
const maxRecent = 100

// recentOne appends a list of one text, which the caller puts behind it: see endRecentOne.
func recentOne(b []byte, at Point) []byte {
	b = append(b, make([]byte, recentHead)...)
	at.store(b[len(b)-recentHead:])
	return b
}

// endRecentOne sets the text's length.
func endRecentOne(b []byte, most int) []byte {
	text := cut(b[recentHead:], most)
	le.PutUint16(b[pickPoint:], uint16(len(text)))
	return b[:recentHead+len(text)]
}

// nextRecent takes the first entry off a list: all of it, and its text.
func nextRecent(b []byte) (entry, text, rest []byte) {
	n := recentHead + int(le.Uint16(b[pickPoint:]))
	return b[:n], b[recentHead:n], b[n:]
}

// mergeRecent appends the k last texts of two lists.
func mergeRecent(dst, b, o []byte, k int) []byte {
	from := len(dst)
	for n := 0; n < k && len(b)+len(o) > 0; {
		next := &b
		if len(b) == 0 || len(o) > 0 && compareRecent(o, b) > 0 {
			next = &o
		}
		entry, text, rest := nextRecent(*next)
		*next = rest
		if !hasRecent(dst[from:], text) {
			dst = append(dst, entry...)
			n++
		}
	}
	return dst
}

// compareRecent compares the first entries. One Point is one event and has one text: of two the lesser goes first all the same, for the sake of any
// order.
func compareRecent(b, o []byte) int {
	if c := loadPoint(b).Compare(loadPoint(o)); c != 0 {
		return c
	}
	_, x, _ := nextRecent(b)
	_, y, _ := nextRecent(o)
	return bytes.Compare(y, x)
}

func hasRecent(b, text []byte) bool {
	for len(b) > 0 {
		_, other, rest := nextRecent(b)
		if bytes.Equal(text, other) {
			return true
		}
		b = rest
	}
	return false
}

func recentValue(b []byte) Value {
	v := Value{Type: Texts}
	for len(b) > 0 {
		_, text, rest := nextRecent(b)
		v.List = append(v.List, Entry{Value: string(text)})
		b = rest
	}
	return v
}

func checkRecent(b []byte, k, most int) error {
	var before []byte
	for n, list := 0, b; len(list) > 0; n++ {
		if len(list) < recentHead || int(le.Uint16(list[pickPoint:])) > len(list)-recentHead {
			return errors.New("the last of the last values is cut off")
		}
		entry, text, rest := nextRecent(list)
		switch {
		case n == k:
			return fmt.Errorf("more than %d last values", k)
		case len(text) > most:
			return fmt.Errorf("a text of %d bytes among the last values", len(text))
		case before != nil && compareRecent(before, entry) <= 0:
			return errors.New("the last values are in no order")
		case hasRecent(b[:len(b)-len(list)], text):
			return errors.New("one of the last values stands twice")
		}
		before, list = entry, rest
	}
	return nil
}
