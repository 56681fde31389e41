// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

//go:embed templates/*.txt
var templateFiles embed.FS

// template is a text with the kinds of its values.
type template struct {
	origin string
	keys   []string
	text   string
}

var slot = regexp.MustCompile(`<([a-z0-9]+(?:\.[a-z]+)?)>`)

// Templates makes n samples for each language, and n times four of what machines write.
func Templates(seed uint64, n int) ([]Sample, error) {
	formats, err := templatesOf("formats")
	if err != nil {
		return nil, err
	}
	var out []Sample
	for _, language := range languages {
		m := newMaker(seed, language)
		sentences, err := templatesOf(language)
		if err != nil {
			return nil, err
		}
		for i := range n {
			s, err := m.sample(sentences[i%len(sentences)])
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
		for range n / 3 {
			s, err := m.sample(pick(m, formats...))
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
		for range n / 6 { // several sentences, as people write them
			var b builder
			one := pick(m, sentences...)
			for i := range m.between(2, 4) {
				v, err := m.fill(pick(m, sentences...).text)
				if err != nil {
					return nil, err
				}
				if i > 0 {
					b.add(pick(m, " ", "\n", "\n\n"))
				}
				b.add(v)
			}
			v := b.value()
			out = append(out, Sample{pick(m, "message", "body", "comment"), v.Text, v.Spans, language, one.origin + " and others"})
		}
	}
	return out, nil
}

func (m *maker) sample(t template) (Sample, error) {
	v, err := m.fill(t.text)
	if err != nil {
		return Sample{}, fmt.Errorf("%s: %w", t.origin, err)
	}
	key := pick(m, t.keys...)
	if m.chance(20) && !strings.HasPrefix(t.text, "{") { // a text within a JSON value
		v = join(`{"id":`, lookalikes["amount"](m), `,"`, key, `":"`, escaped(v, inJSON), `"}`)
		key = "payload"
	}
	return Sample{key, v.Text, v.Spans, m.language, t.origin}, nil
}

func inJSON(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err) // no string is refused
	}
	return string(raw[1 : len(raw)-1])
}

func (m *maker) fill(text string) (Value, error) {
	var b builder
	at := 0
	for _, s := range slot.FindAllStringSubmatchIndex(text, -1) {
		v, err := m.make(text[s[2]:s[3]])
		if err != nil {
			return Value{}, err
		}
		b.add(text[at:s[0]], v)
		at = s[1]
	}
	return b.add(text[at:]).value(), nil
}

func templatesOf(name string) ([]template, error) {
	raw, err := templateFiles.ReadFile("templates/" + name + ".txt")
	if err != nil {
		return nil, fmt.Errorf("reading the templates: %w", err)
	}
	var out []template
	for i, line := range strings.Split(string(raw), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		keys, text, ok := strings.Cut(line, " | ")
		if !ok {
			return nil, fmt.Errorf("templates/%s.txt:%d has no bar", name, i+1)
		}
		out = append(out, template{fmt.Sprintf("%s.txt:%d", name, i+1), strings.Split(keys, ","), text})
	}
	return out, nil
}
