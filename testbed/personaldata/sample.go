// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"strings"

	"github.com/millrace/millrace/internal/detector"
)

// Span is a piece of a sample's text that is personal.
type Span struct {
	Start, End int // bytes [Start, End)
	Class      detector.Class
	Form       string // how it is written, such as "international"; for the lists of what was missed
	Open       bool   // finding it is right, and not finding it too: see the package's rules
}

// Sample is a text as an attribute of an event holds it.
type Sample struct {
	Key      string // the attribute's
	Text     string
	Spans    []Span // in order
	Language string // or a locale, or "" where it has none
	Origin   string // what made it: a template's text, a region, a file
}

// Value is something that a text can hold.
type Value struct {
	Text  string
	Spans []Span // within Text
}

// plain is a value that is nobody's.
func plain(text string) Value { return Value{Text: text} }

// personal is a value that is personal as a whole.
func personal(class detector.Class, form, text string) Value {
	return Value{Text: text, Spans: []Span{{0, len(text), class, form, false}}}
}

// open is one that a detector is free to find.
func open(class detector.Class, form, text string) Value {
	return Value{Text: text, Spans: []Span{{0, len(text), class, form, true}}}
}

// builder puts a text together and moves the labels with it.
type builder struct {
	text  strings.Builder
	spans []Span
}

func (b *builder) add(parts ...any) *builder {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b.text.WriteString(p)
		case Value:
			at := b.text.Len()
			for _, s := range p.Spans {
				s.Start, s.End = s.Start+at, s.End+at
				b.spans = append(b.spans, s)
			}
			b.text.WriteString(p.Text)
		}
	}
	return b
}

func (b *builder) value() Value { return Value{b.text.String(), b.spans} }

// join makes one value of texts and values.
func join(parts ...any) Value { return new(builder).add(parts...).value() }

// escaped is the value as it stands in a string that replaces some characters by others, such as JSON's.
func escaped(v Value, escape func(string) string) Value {
	var b builder
	at := 0
	for _, s := range v.Spans {
		b.add(escape(v.Text[at:s.Start]))
		start := b.text.Len()
		b.add(escape(v.Text[s.Start:s.End]))
		s.Start, at, s.End = start, s.End, b.text.Len()
		b.spans = append(b.spans, s)
	}
	b.add(escape(v.Text[at:]))
	return b.value()
}
