// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"net/url"
	"strings"
)

// query adds edits for parameters, of a URL's query and fragment or of a form, by their names, and by value where they are written in
// percents. Pairs are "name=value" with nothing between name and sign, at the beginning of the text or after '?', '&', '#', ';' or a blank; a
// value ends before '&', '#', a blank, a quote or a bracket. What the detectors find in plain letters is left to them.
func (w *work) query(s string, pl *place, level int) error {
	for at := 0; at < len(s); {
		eq := strings.IndexByte(s[at:], '=')
		if eq < 0 {
			break
		}
		eq += at
		name := paramName(s[at:eq])
		end := eq + 1
		for end < len(s) && !endsParam[s[end]] {
			end++
		}
		value := s[eq+1 : end]
		at = eq + 1
		if name == "" || value == "" {
			continue
		}
		at = end
		out, err := w.param(name, value, pl, level)
		if err != nil {
			return err
		}
		if out.changed {
			w.edits = append(w.edits, edit{eq + 1, end, out.text}) // nothing, where it is dropped
		}
	}
	return nil
}

var endsParam = func() (ends [256]bool) {
	for _, c := range "&#;\"'<>` \t\r\n" {
		ends[c] = true
	}
	return ends
}()

// paramName is the name at the end of what stands before a '=', or "".
func paramName(before string) string {
	i := len(before)
	for i > 0 && len(before)-i < maxKey {
		c := before[i-1]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c == '[' || c == ']' || c == '%' || c >= 0x80 {
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

func (w *work) param(name, value string, pl *place, level int) (edited, error) {
	if strings.IndexByte(name, '%') >= 0 {
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
	}
	plan := w.plans.of(nil, strings.TrimRight(name, "[]"))
	if plan.ignore {
		return edited{text: value}, nil
	}
	encoded := strings.IndexByte(value, '%') >= 0 // a '+' alone hides nothing
	plain := value
	if encoded {
		var err error
		if plain, err = url.QueryUnescape(value); err != nil {
			plain, encoded = value, false // no percents, though it looks so: as it stands
		}
	}
	var out edited
	var err error
	switch {
	case plan.class != "":
		out, err = w.wholeText(plain, pl, plan.class, plan.rule)
	case encoded:
		sub := *pl
		sub.hint = plan.hint
		out, err = w.text(plain, &sub, level+1)
	default:
		return edited{text: value}, nil
	}
	if err == nil && out.changed {
		out.text = url.QueryEscape(out.text)
	}
	return out, err
}
