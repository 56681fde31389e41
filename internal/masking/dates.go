// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"strings"
	"time"
)

const (
	dateYear  = "year"
	dateMonth = "month"
)

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

func isDateTime(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil
}

// cutISO cuts "1984-05-17", alone or before a time, to its year or month: "1984-01-01", and "1984-01-01T00:00:00Z" of a date-time. The
// year is the one that is written, whatever the zone.
func cutISO(s string, month, withTime bool) (string, bool) {
	if len(s) < 10 || !isDate(s[:10]) || withTime != (len(s) > 10) || withTime && !isDateTime(strings.ToUpper(s)) {
		return "", false
	}
	cut := s[:4] + "-01-01"
	if month {
		cut = s[:7] + "-01"
	}
	if withTime {
		cut += "T00:00:00Z"
	}
	return cut, true
}

// cutDate cuts a date as people write it, and keeps the way it is written where that can be told. Where it cannot tell the month from
// the day it keeps the year. Only what is known to be a date is searched for a year.
func cutDate(s string, month, known bool) (string, bool) {
	if cut, ok := cutISO(s, month, len(s) > 10); ok {
		return cut, true
	}
	if cut, ok := cutNumeric(s, month); ok {
		return cut, true
	}
	if !known {
		return "", false
	}
	year := ""
	for i := 0; i < len(s); {
		end := i
		for end < len(s) && '0' <= s[end] && s[end] <= '9' {
			end++
		}
		switch {
		case end-i == 4 && plausible(s[i:end]) && year == "":
			year = s[i:end]
		case end-i > 2:
			if end-i == 8 && len(s) == 8 && plausible(s[:4]) { // 19840517
				if month {
					return s[:6] + "01", true
				}
				return s[:4] + "0101", true
			}
			return "", false
		}
		i = max(end, i+1)
	}
	if year == "" {
		return "", false
	}
	return year + "-01-01", true
}

func plausible(year string) bool { return year[:2] == "18" || year[:2] == "19" || year[:2] == "20" }

// cutNumeric cuts 17.05.1984, 5/17/1984, 1984/05/17 and the like.
func cutNumeric(s string, month bool) (string, bool) {
	if len(s) < 8 || len(s) > 10 {
		return "", false
	}
	at := strings.IndexAny(s, "./-")
	if at < 1 {
		return "", false
	}
	separator := s[at]
	second := strings.IndexByte(s[at+1:], separator)
	if second < 1 {
		return "", false
	}
	parts := [3]string{s[:at], s[at+1 : at+1+second], s[at+second+2:]}
	for i, part := range parts {
		if part == "" || strings.Trim(part, "0123456789") != "" || len(part) > 2 && (i == 1 || len(part) != 4) {
			return "", false
		}
	}
	one := func(part string) string { return "01"[2-len(part):] }
	join := func(a, b, c string) string { return a + string(separator) + b + string(separator) + c }
	switch {
	case len(parts[0]) == 4 && len(parts[2]) <= 2 && plausible(parts[0]):
		if month {
			return join(parts[0], parts[1], one(parts[2])), true
		}
		return join(parts[0], one(parts[1]), one(parts[2])), true
	case len(parts[2]) == 4 && len(parts[0]) <= 2 && plausible(parts[2]):
		if month && separator == '.' { // day first, wherever points are written
			return join(one(parts[0]), parts[1], parts[2]), true
		}
		return join(one(parts[0]), one(parts[1]), parts[2]), true
	}
	return "", false
}
