// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"encoding/json"
	"strings"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/event"
)

// jsonStart returns where JSON begins in a text, an object anywhere or an array at its beginning, or -1. JSON need not be whole: what an
// intake could not read, or a log line has after some words, begins so too. An object's keys may be in single quotes, as Python prints them.
func jsonStart(s string, beginning bool) int {
	i := skipBlank(s, 0)
	array := beginning && byteAt(s, i) == '['
	if array {
		if c := byteAt(s, skipBlank(s, i+1)); c == '"' || c == '\'' || c == '{' || c == '[' {
			return i
		}
	}
	for at := i; ; at++ {
		n := strings.IndexByte(s[at:], '{')
		if n < 0 {
			return -1
		}
		at += n
		j := skipBlank(s, at+1)
		if c := byteAt(s, j); c == '"' || c == '\'' || c == '/' && (byteAt(s, j+1) == '*' || byteAt(s, j+1) == '/') {
			if array {
				return i // of numbers at first
			}
			return at
		}
	}
}

// byteAt is 0 behind the end.
func byteAt(s string, i int) byte {
	if i >= len(s) {
		return 0
	}
	return s[i]
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
	above   []string // keys of the containers around, the first ones of many; for patterns with levels
	holders []holder // of those containers
	name    string   // of key
	of      string   // class of the value that is due by key or, in somebody's object, by both
	key     *keyPlan // of the value that is due; nil in an array and at the top
	masked  int      // depth of the container whose values are all of class; 0 is none
	ignored int      // likewise, whose values are left as they are
	class   string
	rule    string
	changed bool
}

// holder is a container around.
type holder struct {
	depth  int
	array  bool
	person bool // what is in it is somebody's
}

// has says whether it is an array at that depth: its elements have no key of their own.
func (h holder) has(depth int) bool { return h.array && h.depth == depth }

// holder is the innermost container that has a key.
func (r *jsonReader) holder() holder {
	if n := len(r.holders); n > 0 {
		return r.holders[n-1]
	}
	return holder{}
}

// byKey is what the key says of the value, in the object that it stands in.
func (r *jsonReader) byKey() (class, rule string) {
	switch {
	case r.key == nil:
		return "", ""
	case r.of != "":
		return r.of, "name"
	}
	return r.key.class, r.key.rule
}

// maxAbove bounds the levels that patterns see: deeper keys are compared alone.
const maxAbove = 64

// jsonText masks the values of JSON in a text, by their keys and by value, and what stands before, between and behind. The first JSON
// begins at start.
func (w *work) jsonText(s string, start int, pl *place, level int) (edited, error) {
	r := jsonReader{w: w, pl: *pl, level: level, s: s}
	for i := 0; i < len(s); {
		end := len(s)
		if start >= 0 {
			end = start
		}
		if end > i {
			out, err := w.plainText(s[i:end], pl, level)
			if err != nil {
				return edited{}, err
			}
			if out.changed {
				r.replace(i, end, out.text) // nothing, where it is dropped
			}
		}
		i = end
		r.depth, r.key, r.masked, r.ignored = 0, nil, 0, 0
		r.above, r.holders = r.above[:0], r.holders[:0]
		for i < len(s) {
			next, err := r.token(i)
			if err != nil {
				return edited{}, err
			}
			if i = next; r.depth == 0 {
				break
			}
		}
		if start = jsonStart(s[i:], false); start >= 0 {
			start += i
		}
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
		if class, rule := r.byKey(); class != "" && r.masked == 0 {
			r.masked, r.class, r.rule = r.depth, class, rule
		}
		if r.ignored == 0 && r.key != nil && r.key.ignore {
			r.ignored = r.depth
		}
		if r.key != nil && len(r.above) < maxAbove && (r.w.p.paths || r.key.person) && !r.holder().has(r.depth-1) {
			r.above, r.holders = append(r.above, r.name), append(r.holders, holder{r.depth, r.s[i] == '[', r.key.person})
		}
		if r.s[i] == '{' {
			r.key = nil
		}
		return i + 1, nil
	case '}', ']':
		if r.masked == r.depth {
			r.masked = 0
		}
		if r.ignored == r.depth {
			r.ignored = 0
		}
		if n := len(r.holders); r.holder().depth == r.depth && n > 0 {
			r.above, r.holders = r.above[:n-1], r.holders[:n-1]
		}
		r.depth--
		r.key = nil
		return i + 1, nil
	case ',':
		return i + 1, nil
	case '"', '\'':
		return r.text(i)
	}
	return r.bare(i)
}

// text reads a string: a key where a colon follows.
func (r *jsonReader) text(i int) (int, error) {
	end, escaped := i+1, false
	for end < len(r.s) && r.s[end] != r.s[i] {
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
	if r.ignores() {
		return edited{text: content}, nil
	}
	if class != "" {
		return r.w.wholeText(content, &r.pl, class, rule)
	}
	sub := r.pl
	sub.hint = r.hint()
	return r.w.text(content, &sub, r.level+1)
}

// member takes up a key.
func (r *jsonReader) member(from, to int, key string) error {
	r.name, r.key, r.of = key, r.w.plans.of(r.above, key), ""
	if h := r.holder(); h.person && (h.depth == r.depth || h.has(r.depth-1)) {
		r.of = r.key.member
	}
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
	case r.ignores():
	case number && class != "" && (digital[class] || strings.HasPrefix(rule, "name:")):
		out, err := r.w.wholeText(token, &r.pl, class, rule)
		if err != nil {
			return 0, err
		}
		r.bareResult(i, end, out)
	case token != "true" && token != "false" && token != "null":
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

// ignores says whether the value is to be left as it is.
func (r *jsonReader) ignores() bool { return r.ignored > 0 || r.key != nil && r.key.ignore }

// classHere is what key or container say of the value.
func (r *jsonReader) classHere() (class, rule string) {
	if class, rule = r.byKey(); class != "" {
		return class, rule
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
		case 'x':
			high, low := unhex(byteAt(s, i+1)), unhex(byteAt(s, i+2))
			if high < 16 && low < 16 {
				b.WriteRune(rune(high<<4 | low))
				i += 2
				continue
			}
			b.WriteByte('x')
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
