// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"net/url"
	"strings"
)

// query adds edits for parameters, of a URL's query and fragment, of a form or of a line of fields, by their names, and by value where
// they are written in percents or with '+' for blanks. Pairs are "name=value" with nothing between name and sign, at the beginning of the
// text or after '?', '&', '#', ';' or a blank; a value ends before '&', '#', a blank, a quote or a bracket, or is in quotes. Words in
// percents, such as those of a path, are looked at too. What the detectors find in plain letters is left to them.
func (w *work) query(s string, pl *place, level int) error {
	done := 0 // what is before was looked at
	for at := 0; at < len(s); {
		eq := strings.IndexByte(s[at:], '=')
		if eq < 0 {
			break
		}
		eq += at
		name := paramName(s[at:eq])
		at = eq + 1
		if name == "" || at == len(s) {
			continue
		}
		plain, _ := unescaped(name, false)
		plan := w.plans.of(nil, strings.TrimRight(plain, "[]"))
		named := plan.class != "" || plan.ignore
		start, end, quoted := paramValue(s, at, named)
		if start == end || quoted && !named {
			continue // there may be parameters in the quotes
		}
		at = end
		value, times := s[start:end], 0
		if !quoted {
			value, times = unescaped(value, true)
		}
		if !named && value == s[start:end] {
			continue
		}
		if err := w.words(s, done, eq-len(name), pl, level); err != nil {
			return err
		}
		done = end
		if plan.ignore {
			continue
		}
		out, err := w.param(value, plan, pl, level)
		if err != nil {
			return err
		}
		if out.changed && !quoted {
			for range max(times, 1) {
				out.text = url.QueryEscape(out.text)
			}
		}
		switch {
		case out.changed:
			w.edits = append(w.edits, edit{start, end, out.text}) // nothing, where it is dropped
		case plan.class != "":
			w.edits = append(w.edits, edit{start, end, s[start:end]}) // masked before: no detector is to look at how it is written
		}
	}
	return w.words(s, done, len(s), pl, level)
}

var endsParam = func() (ends [256]bool) {
	for _, c := range "&#;\"'<>` \t\r\n" {
		ends[c] = true
	}
	return ends
}()

// paramValue returns where the value that begins at i stands, and whether that is in quotes. An apostrophe within a word is a name's, which
// no browser writes in percents. What no name says anything of ends before '?', too: it may be a URL with parameters of its own.
func paramValue(s string, i int, named bool) (start, end int, quoted bool) {
	if s[i] == '"' || s[i] == '\'' {
		if length := strings.IndexByte(s[i+1:], s[i]); length >= 0 {
			return i + 1, i + 1 + length, true
		}
		return i + 1, len(s), true // cut off
	}
	for end = i; end < len(s); end++ {
		if c := s[end]; endsParam[c] && (c != '\'' || end == i || end+1 == len(s) || !ofWord(s[end+1])) || c == '?' && !named {
			break
		}
	}
	return i, end, false
}

func ofWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '%' || c == '+' || c >= 0x80
}

// paramName is the name at the end of what stands before a '=', or "".
func paramName(before string) string {
	i := len(before)
	for i > 0 && len(before)-i < maxKey {
		c := before[i-1]
		if c != '+' && ofWord(c) || c == '_' || c == '-' || c == '.' || c == '[' || c == ']' {
			i--
			continue
		}
		break
	}
	if i > 0 {
		switch before[i-1] {
		case '?', '&', '#', ';', ' ', '\t', '\n', '"', '\'', '(', ',':
		default:
			return ""
		}
	}
	return before[i:]
}

// param masks a value.
func (w *work) param(value string, plan *keyPlan, pl *place, level int) (edited, error) {
	if plan.class != "" {
		return w.wholeText(value, pl, plan.class, plan.rule)
	}
	sub := *pl
	sub.hint = plan.hint
	return w.text(value, &sub, level+1)
}

// words adds edits for words in percents from one place to another.
func (w *work) words(s string, from, to int, pl *place, level int) error {
	for at := from; at < to; {
		i := strings.IndexByte(s[at:to], '%')
		if i < 0 {
			return nil
		}
		start, end := at+i, at+i
		for start > from && !endsWord[s[start-1]] {
			start--
		}
		for end < to && !endsWord[s[end]] {
			end++
		}
		at = end
		plain, times := unescaped(s[start:end], false)
		if times == 0 {
			continue
		}
		out, err := w.text(plain, pl, level+1)
		if err != nil {
			return err
		}
		if out.changed {
			for range times {
				out.text = url.PathEscape(out.text)
			}
			w.edits = append(w.edits, edit{start, end, out.text})
		}
	}
	return nil
}

var endsWord = func() (ends [256]bool) {
	for _, c := range "/?&=#;,|\"'<>()[]{}` \t\r\n" {
		ends[c] = true
	}
	return ends
}()

// maxUnescaped is how often percents are looked for in what percents stood for: each proxy on the way may write them again.
const maxUnescaped = 3

// unescaped reads what is written in percents, and how often that was so; in a form '+' is a blank. What is no such sequence stands for
// itself: a URL that was cut off somewhere ends in half of one.
func unescaped(s string, form bool) (plain string, times int) {
	if form && strings.IndexByte(s, '+') >= 0 && (strings.IndexByte(s, '%') >= 0 || hasDigits(s)) {
		s = withBlanks(s)
	}
	for times < maxUnescaped {
		next := unescapedOnce(s)
		if next == s {
			break
		}
		s = next
		times++
	}
	return s, times
}

// hasDigits says whether there are enough for a number or a date, or an address: without them no detector cares whether words are apart by blanks or by
// plus signs, and searches have words.
func hasDigits(s string) bool {
	n := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '@':
			return true
		case c >= '0' && c <= '9':
			if n++; n == 4 {
				return true
			}
		}
	}
	return false
}

func unescapedOnce(s string) string {
	at := strings.IndexByte(s, '%')
	if at < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high < 16 && low < 16 {
				b = append(b, high<<4|low)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// withBlanks puts blanks for '+', but for those of an address, "ann+news@example.com", which somebody forgot to write in percents.
func withBlanks(s string) string {
	b := []byte(s)
	local := false // an '@' comes, with nothing between that no address has
	for i := len(b) - 1; i >= 0; i-- {
		switch c := b[i]; {
		case c == '@' || c == '%' && strings.HasPrefix(s[i:], "%40"):
			local = true
		case c == '+' && !local:
			b[i] = ' '
		case c != '+' && c != '.' && c != '_' && c != '-' && (c == '%' || !ofWord(c)):
			local = false
		}
	}
	return string(b)
}
