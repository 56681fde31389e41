// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// format asserts a format. The library's function decides; before it stands, for the common formats, a check
// without allocation that knows the common spellings: what it accepts the library accepts too, and of what it
// does not accept it says nothing.
type format struct {
	common  func(string) bool // or nil
	library func(any) error
}

func newFormat(f *jsonschema.Format) *format {
	return &format{common: commonFormats[f.Name], library: f.Validate}
}

func (f *format) holds(s string) bool {
	if f.common != nil && f.common(s) {
		return true
	}
	return f.library(s) == nil
}

var commonFormats = map[string]func(string) bool{
	"date-time": commonDateTime,
	"date":      commonDate,
	"time":      commonTime,
	"uuid":      commonUUID,
	"email":     commonEmail,
	"hostname":  commonHostname,
	"ipv4":      commonIPv4,
	"uri":       commonURI,
	"iri":       commonURI,
}

func commonDateTime(s string) bool {
	return len(s) >= 20 && (s[10] == 'T' || s[10] == 't') && commonDate(s[:10]) && commonTime(s[11:])
}

func commonDate(s string) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	century, ok1 := twoDigits(s)
	years, ok2 := twoDigits(s[2:])
	month, ok3 := twoDigits(s[5:])
	day, ok4 := twoDigits(s[8:])
	if !ok1 || !ok2 || !ok3 || !ok4 || month < 1 || month > 12 || day < 1 {
		return false
	}
	year := century*100 + years
	switch month {
	case 2:
		leap := year%4 == 0 && (year%100 != 0 || year%400 == 0)
		return year > 0 && (day <= 28 || leap && day == 29)
	case 4, 6, 9, 11:
		return year > 0 && day <= 30
	}
	return year > 0 && day <= 31
}

// commonTime knows no leap seconds.
func commonTime(s string) bool {
	if len(s) < 9 || s[2] != ':' || s[5] != ':' {
		return false
	}
	hour, ok1 := twoDigits(s)
	minute, ok2 := twoDigits(s[3:])
	second, ok3 := twoDigits(s[6:])
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 59 {
		return false
	}
	s = s[8:]
	if s[0] == '.' {
		n := 1
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		if n == 1 || n == len(s) {
			return false
		}
		s = s[n:]
	}
	if s == "Z" || s == "z" {
		return true
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return false
	}
	hour, ok1 = twoDigits(s[1:])
	minute, ok2 = twoDigits(s[4:])
	return ok1 && ok2 && hour <= 23 && minute <= 59
}

func twoDigits(s string) (int, bool) {
	if !isDigit(s[0]) || !isDigit(s[1]) {
		return 0, false
	}
	return int(s[0]-'0')*10 + int(s[1]-'0'), true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func commonUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// commonEmail knows local parts of letters, digits, '.', '_', '+' and '-', at a hostname.
func commonEmail(s string) bool {
	at := strings.IndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 || s[0] == '.' || s[at-1] == '.' {
		return false
	}
	for i := range at {
		switch c := s[i]; {
		case isLetter(c) || isDigit(c) || c == '_' || c == '+' || c == '-':
		case c == '.' && s[i-1] != '.':
		default:
			return false
		}
	}
	return commonHostname(s[at+1:])
}

func commonHostname(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	label := 0 // length so far
	for i := range len(s) {
		switch c := s[i]; {
		case isLetter(c) || isDigit(c):
			label++
		case c == '-' && label > 0:
			label++
		case c == '.' && label > 0 && s[i-1] != '-':
			label = 0
			continue
		default:
			return false
		}
		if label > 63 {
			return false
		}
	}
	return label > 0 && s[len(s)-1] != '-'
}

func commonIPv4(s string) bool {
	groups, digits, value := 1, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			if digits > 0 && value == 0 {
				return false // a leading zero
			}
			value = value*10 + int(c-'0')
			if digits++; digits > 3 || value > 255 {
				return false
			}
		case c == '.' && digits > 0:
			groups, digits, value = groups+1, 0, 0
		default:
			return false
		}
	}
	return groups == 4 && digits > 0
}

// commonURI knows http and https with a plain host and a path, query and fragment without escapes.
func commonURI(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "http://"); !ok {
			return false
		}
	}
	host := 0
	for host < len(rest) && (isLetter(rest[host]) || isDigit(rest[host]) || rest[host] == '.' || rest[host] == '-') {
		host++
	}
	if host == 0 {
		return false
	}
	if host == len(rest) {
		return true
	}
	if c := rest[host]; c != '/' && c != '?' && c != '#' {
		return false
	}
	for i := host; i < len(rest); i++ {
		switch c := rest[i]; {
		case isLetter(c) || isDigit(c):
		case c == '-' || c == '_' || c == '.' || c == '~' || c == '/' || c == '?' || c == '#' || c == '=' || c == '&' ||
			c == '+' || c == ',':
		default:
			return false
		}
	}
	return true
}
