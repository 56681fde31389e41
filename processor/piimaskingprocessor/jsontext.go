// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"encoding/json"
	"strings"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/event"
)

// looksLikeJSON says whether a text begins as an object or an array does. It need not be whole: what an intake could not read
// begins so too.
func looksLikeJSON(s string) bool {
	i := skipBlank(s, 0)
	if i >= len(s) || s[i] != '{' && s[i] != '[' {
		return false
	}
	open := s[i]
	if i = skipBlank(s, i+1); i >= len(s) {
		return false
	}
	c := s[i]
	if open == '{' {
		return c == '"'
	}
	return c == '"' || c == '{' || c == '['
}

func skipBlank(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// jsonReader goes through JSON token by token. It counts brackets and keeps no stack, so that nesting costs nothing; and it does not ask
// whether they fit, so that half of a document is masked as a whole one would be.
type jsonReader struct {
	w     *work
	pl    place
	level int
	s     string
	last  int // what is before is written
	b     strings.Builder

	depth   int
	key     *keyPlan // of the value that is due; nil in an array and at the top
	masked  int      // depth of the container whose values are all of class; 0 is none
	class   string
	rule    string
	changed bool
}

// jsonText masks the values of JSON in a text, by their keys and by value.
func (w *work) jsonText(s string, pl *place, level int) (edited, error) {
	r := jsonReader{w: w, pl: *pl, level: level, s: s}
	for i := 0; i < len(s); {
		next, err := r.token(i)
		if err != nil {
			return edited{}, err
		}
		i = next
	}
	if !r.changed {
		return edited{text: s}, nil
	}
	r.b.WriteString(s[r.last:])
	return edited{text: r.b.String(), changed: true}, nil
}

// token reads what begins at i and returns where the next begins.
func (r *jsonReader) token(i int) (int, error) {
	switch r.s[i] {
	case ' ', '\t', '\n', '\r', ':':
		return i + 1, nil
	case '{', '[':
		r.depth++
		if r.key != nil && r.key.class != "" && r.masked == 0 {
			r.masked, r.class, r.rule = r.depth, r.key.class, r.key.rule
		}
		if r.s[i] == '{' {
			r.key = nil
		}
		return i + 1, nil
	case '}', ']':
		if r.masked == r.depth {
			r.masked = 0
		}
		r.depth--
		r.key = nil
		return i + 1, nil
	case ',':
		return i + 1, nil
	case '"':
		return r.text(i)
	}
	return r.bare(i)
}

// text reads a string: a key where a colon follows.
func (r *jsonReader) text(i int) (int, error) {
	end, escaped := i+1, false
	for end < len(r.s) && r.s[end] != '"' {
		if r.s[end] == '\\' {
			escaped = true
			end++
		}
		end++
	}
	whole := end < len(r.s)
	end = min(end, len(r.s))
	content := r.s[i+1 : end]
	if escaped {
		content = unescape(content)
	}
	class, rule := r.classHere()
	if !whole { // the text was cut off
		out, err := r.value(content, class, rule)
		if err == nil && out.changed {
			quoted := event.AppendJSONString(nil, out.text)
			r.replace(i, end, string(quoted[:len(quoted)-1]))
		}
		return len(r.s), err
	}
	after := skipBlank(r.s, end+1)
	if after < len(r.s) && r.s[after] == ':' {
		return after + 1, r.member(i, end+1, content)
	}
	out, err := r.value(content, class, rule)
	if err != nil {
		return 0, err
	}
	if out.changed {
		if out.drop {
			r.replace(i, end+1, "null")
		} else {
			r.replace(i, end+1, string(event.AppendJSONString(nil, out.text)))
		}
	}
	return end + 1, nil
}

func (r *jsonReader) value(content, class, rule string) (edited, error) {
	if class != "" {
		return r.w.wholeText(content, &r.pl, class, rule)
	}
	if r.key != nil && r.key.ignore {
		return edited{text: content}, nil
	}
	sub := r.pl
	sub.hint = r.hint()
	return r.w.text(content, &sub, r.level+1)
}

// member takes up a key.
func (r *jsonReader) member(from, to int, key string) error {
	r.key = r.w.plans.of(nil, key)
	if !r.key.dirty {
		return nil
	}
	out, err := r.w.found(key, &place{field: otherField}, nil)
	if err == nil && out.changed {
		r.replace(from, to, string(event.AppendJSONString(nil, out.text)))
	}
	return err
}

// bare reads a number or a word, or whatever stands between two signs of JSON.
func (r *jsonReader) bare(i int) (int, error) {
	end := i
	for end < len(r.s) && strings.IndexByte("{}[],\"", r.s[end]) < 0 {
		end++
	}
	next := end
	for end > i+1 && strings.IndexByte(" \t\r\n", r.s[end-1]) >= 0 {
		end--
	}
	token := r.s[i:end]
	number := token[0] == '-' || token[0] >= '0' && token[0] <= '9'
	class, rule := r.classHere()
	switch {
	case number && class != "" && (digital[class] || strings.HasPrefix(rule, "name:")):
		out, err := r.w.wholeText(token, &r.pl, class, rule)
		if err != nil {
			return 0, err
		}
		r.bareResult(i, end, out)
	case token != "true" && token != "false" && token != "null" && (r.key == nil || !r.key.ignore):
		sub := r.pl
		sub.hint = r.hint()
		out, err := r.w.found(token, &sub, nil)
		if err != nil {
			return 0, err
		}
		r.bareResult(i, end, out)
	}
	return next, nil
}

func (r *jsonReader) bareResult(from, to int, out edited) {
	switch {
	case !out.changed:
	case out.drop:
		r.replace(from, to, "null")
	case json.Valid([]byte(out.text)):
		r.replace(from, to, out.text)
	default:
		r.replace(from, to, string(event.AppendJSONString(nil, out.text)))
	}
}

// classHere is what key or container say of the value.
func (r *jsonReader) classHere() (class, rule string) {
	if r.key != nil && r.key.class != "" {
		return r.key.class, r.key.rule
	}
	if r.masked > 0 {
		return r.class, r.rule
	}
	return "", ""
}

func (r *jsonReader) hint() detector.Hint {
	if r.key != nil {
		return r.key.hint
	}
	return r.pl.hint
}

func (r *jsonReader) replace(from, to int, text string) {
	r.b.WriteString(r.s[r.last:from])
	r.b.WriteString(text)
	r.last, r.changed = to, true
}

// unescape reads the inside of a JSON string; as it stands where it is none.
func unescape(s string) string {
	var out string
	if json.Unmarshal([]byte(`"`+s+`"`), &out) == nil {
		return out
	}
	// A broken escape somewhere: those of single characters are undone, so that none hides a letter.
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n', 't', 'r', 'b', 'f':
			b.WriteByte(' ')
		case 'u':
			if i+4 < len(s) {
				if json.Unmarshal([]byte(`"\u`+s[i+1:i+5]+`"`), &out) == nil {
					b.WriteString(out)
					i += 4
					continue
				}
			}
			b.WriteByte('u')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
