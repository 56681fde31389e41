// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"bytes"
	"fmt"
)

// The scanner finds where JSON values begin and end, without reading them. With it a message that cannot be read
// is cut out of its batch while its neighbours go on, however deep it nests: it never recurses.

// span is a range of bytes of the body: body[start:end].
type span struct{ start, end int }

func (s span) of(body []byte) []byte { return body[s.start:s.end] }

// syntaxError says where a body stops being JSON.
type syntaxError struct {
	offset int
	what   string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.what, e.offset) }

// skipSpace returns the index of the first byte from i on that is no JSON white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// scanString returns the end of the string that begins with the quote at i.
func scanString(b []byte, i int) (int, error) {
	for j := i + 1; ; {
		n := bytes.IndexByte(b[j:], '"')
		if n < 0 {
			return 0, &syntaxError{i, "a string has no end"}
		}
		quote := j + n
		slashes := 0
		for k := quote - 1; k > i && b[k] == '\\'; k-- {
			slashes++
		}
		j = quote + 1
		if slashes%2 == 0 {
			return j, nil
		}
	}
}

// kinds of brackets are checked up to this depth; what nests deeper is refused by whoever reads the value.
const maxKinds = 256

// scanValue returns the end of the value that begins at i. Strings are closed and brackets match; what else is
// between them is for the reader of the value to check.
func scanValue(b []byte, i int) (int, error) {
	if i >= len(b) {
		return 0, &syntaxError{i, "the body ends where a value should be"}
	}
	switch b[i] {
	case '"':
		return scanString(b, i)
	case '{', '[':
	default:
		return scanLiteral(b, i)
	}
	var kinds [maxKinds / 64]uint64 // bit d: the bracket at depth d is a brace
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			end, err := scanString(b, i)
			if err != nil {
				return 0, err
			}
			i = end - 1
		case '{', '[':
			if depth < maxKinds {
				bit := uint64(1) << (depth % 64)
				if b[i] == '{' {
					kinds[depth/64] |= bit
				} else {
					kinds[depth/64] &^= bit
				}
			}
			depth++
		case '}', ']':
			depth--
			if depth < maxKinds && (kinds[depth/64]>>(depth%64)&1 == 1) != (b[i] == '}') {
				return 0, &syntaxError{i, fmt.Sprintf("%q closes what it did not open", b[i])}
			}
			if depth == 0 {
				return i + 1, nil
			}
		}
	}
	return 0, &syntaxError{len(b), "the body ends inside an object or array"}
}

// scanLiteral returns the end of a number, true, false or null. Anything that could not be one is an error.
func scanLiteral(b []byte, i int) (int, error) {
	j := i
	for j < len(b) && isLiteral[b[j]] {
		j++
	}
	if j == i {
		return 0, &syntaxError{i, fmt.Sprintf("unexpected %q where a value should be", b[i])}
	}
	return j, nil
}

var isLiteral = func() (t [256]bool) {
	for _, c := range "0123456789+-.eEabcdefghijklmnopqrstuvwxyz" {
		t[c] = true
	}
	return t
}()

// scanObject calls member for each member of the object at i and returns the object's end. The key is as it
// stands, quotes and escapes included. member is told where the value begins and returns where it ends.
func scanObject(b []byte, i int, member func(key span, value int) (int, error)) (int, error) {
	i = skipSpace(b, i)
	if i >= len(b) || b[i] != '{' {
		return 0, &syntaxError{i, "expected an object"}
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return 0, &syntaxError{i, "expected a member's name"}
		}
		end, err := scanString(b, i)
		if err != nil {
			return 0, err
		}
		key := span{i, end}
		i = skipSpace(b, end)
		if i >= len(b) || b[i] != ':' {
			return 0, &syntaxError{i, "expected a colon"}
		}
		i = skipSpace(b, i+1)
		if end, err = member(key, i); err != nil {
			return 0, err
		}
		i = skipSpace(b, end)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == '}':
			return i + 1, nil
		default:
			return 0, &syntaxError{i, "expected a comma or the object's end"}
		}
	}
}

// scanArray calls elem for each element of the array whose bracket is at i, and returns the array's end.
func scanArray(b []byte, i int, elem func(value span) error) (int, error) {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		end, err := scanValue(b, i)
		if err != nil {
			return 0, err
		}
		if err := elem(span{i, end}); err != nil {
			return 0, err
		}
		i = skipSpace(b, end)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == ']':
			return i + 1, nil
		default:
			return 0, &syntaxError{i, "expected a comma or the array's end"}
		}
	}
}

// atEnd checks that nothing but white space follows.
func atEnd(b []byte, i int) error {
	if i = skipSpace(b, i); i < len(b) {
		return &syntaxError{i, "unexpected data after the object"}
	}
	return nil
}
