// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"math"
	"strconv"
	"strings"

	"github.com/millrace/millrace/internal/detector"
)

type keepAction struct{}

func (keepAction) Kind() Kind { return Keep }

func (keepAction) Mask(v Value, _ *Target) (Value, error) { return v, nil }

type dropAction struct{}

func (dropAction) Kind() Kind { return Drop }

func (dropAction) Mask(Value, *Target) (Value, error) { return Value{}, ErrDrop }

// redactAction puts a fixed text in place of a value, pseudonyms and tokens not excepted: nothing is more masked than it.
type redactAction struct {
	replacement string
	// fits says for each form what the replacement is in it, where it can be in it.
	fits [Other + 1]*Value
}

func newRedact(replacement string) *redactAction {
	a := &redactAction{replacement: replacement}
	if replacement == "" {
		return a // the class's name, which is a text and no more
	}
	text := Value{Text: replacement}
	a.fits[Any], a.fits[Text] = &text, &text
	for _, f := range []struct {
		form Form
		ok   bool
	}{
		{EmailAddress, plainAddress(replacement)},
		{Date, isDate(replacement)},
		{DateTime, isDateTime(replacement)},
		{UUID, isUUID(replacement)},
	} {
		if f.ok {
			a.fits[f.form] = &text
		}
	}
	if d, ok := decimalNumber(replacement); ok {
		a.fits[Digits] = &text
		a.fits[Number] = &Value{Kind: DoubleValue, Double: d}
	}
	if i, err := strconv.ParseInt(replacement, 10, 64); err == nil {
		a.fits[Integer] = &Value{Kind: IntValue, Int: i}
	}
	return a
}

func (*redactAction) Kind() Kind { return Redact }

func (a *redactAction) Mask(v Value, t *Target) (Value, error) {
	if empty(v, t) {
		return v, nil
	}
	if a.replacement == "" {
		return redacted(t)
	}
	if t.Form <= Other && a.fits[t.Form] != nil {
		return *a.fits[t.Form], nil
	}
	return Value{}, ErrDrop
}

// redacted is what stands in place of a value that an action can make nothing of.
func redacted(t *Target) (Value, error) {
	if t.Form != Any && t.Form != Text {
		return Value{}, ErrDrop
	}
	if text, ok := brackets[t.Class]; ok {
		return Value{Text: text}, nil
	}
	return Value{Text: bracket(t.Class)}, nil
}

// empty says whether v is the empty text, which says nothing about anyone.
func empty(v Value, t *Target) bool {
	return v.Kind == TextValue && v.Text == "" && (t.Form == Any || t.Form == Text)
}

// brackets has the texts that are made all the time.
var brackets = func() map[string]string {
	m := map[string]string{}
	for _, c := range detector.Classes {
		m[string(c)] = bracket(string(c))
	}
	return m
}()

// bracket makes "[CLASS]". A class comes out of a schema, which can name any: what could be taken for personal data does not stand in it.
func bracket(class string) string {
	if class == "" {
		return "[redacted]"
	}
	if len(class) > 64 {
		class = class[:64]
	}
	return "[" + strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, class) + "]"
}

// text returns a value as it is written.
func text(v Value) string {
	switch v.Kind {
	case IntValue:
		return strconv.FormatInt(v.Int, 10)
	case DoubleValue:
		return strconv.FormatFloat(v.Double, 'f', -1, 64)
	}
	return v.Text
}

// decimalNumber reads a number as people write it: no exponent, no infinity, no hexadecimal digits.
func decimalNumber(s string) (float64, bool) {
	digits := 0
	for i, c := range []byte(s) {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case c == '.', (c == '-' || c == '+') && i == 0:
		default:
			return 0, false
		}
	}
	if digits == 0 {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}

// plainAddress says whether s is local@domain, of atoms with dots between: what every reader takes for an address.
func plainAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && dotAtom(s[:at]) && dotAtom(s[at+1:])
}

func dotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f || r == '\uFFFD' || strings.ContainsRune(`()<>[]:;@\,"`, r) {
			return false
		}
	}
	return true
}
