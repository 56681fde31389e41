// SPDX-License-Identifier: Apache-2.0

package schemavalidationprocessor

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/event"
)

// walker goes through an event's values for what no schema says: valid text, depth and number. Members of
// nested objects count; those in an array's elements count by element, since their names repeat.
type walker struct {
	max   int // members
	count int
	path  []string // to what was found, the innermost first
}

func (w *walker) reset() { w.count, w.path = 0, w.path[:0] }

// member checks one member and all below it. depth is the value's, as in event.MaxDepth.
func (w *walker) member(key string, v event.Value, depth int) outcome {
	if w.count++; w.count > w.max {
		return tooManyProperties
	}
	if !utf8.ValidString(key) {
		w.path = append(w.path, key)
		return invalidUTF8
	}
	switch v.Kind() {
	case event.KindString:
		if utf8.ValidString(v.Str()) {
			return valid
		}
		w.path = append(w.path, key)
		return invalidUTF8
	case event.KindMap, event.KindSlice:
		o := w.nested(v, depth)
		if o != valid {
			w.path = append(w.path, key)
		}
		return o
	}
	return valid
}

func (w *walker) nested(v event.Value, depth int) outcome {
	if depth > event.MaxDepth {
		return tooDeep
	}
	switch v.Kind() {
	case event.KindString:
		if !utf8.ValidString(v.Str()) {
			return invalidUTF8
		}
	case event.KindMap:
		for key, m := range v.Members {
			if o := w.member(key, m, depth+1); o != valid {
				return o
			}
		}
	case event.KindSlice:
		before := w.count
		for i := range v.Len() {
			w.count = before
			if o := w.nested(v.Index(i), depth+1); o != valid {
				w.path = append(w.path, strconv.Itoa(i))
				return o
			}
		}
		w.count = before
	}
	return valid
}

// maxPointer bounds a failure's pointer in bytes.
const maxPointer = 1024

// pointer returns the JSON pointer to what was found. What is no UTF-8 in a key becomes U+FFFD.
func (w *walker) pointer(o outcome) string {
	if o == tooManyProperties {
		return "" // of the event as a whole
	}
	path := w.path
	if o == tooDeep && len(path) > 0 {
		path = path[len(path)-1:] // the property that holds it
	}
	var b strings.Builder
	for _, token := range slices.Backward(path) {
		token = strings.ToValidUTF8(token, "\uFFFD")
		b.WriteByte('/')
		b.WriteString(event.EscapePointer(token))
	}
	return clip(b.String(), maxPointer)
}

// clip bounds a text in bytes, between characters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
