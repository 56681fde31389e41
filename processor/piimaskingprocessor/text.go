// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"errors"
	"strings"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/masking"
)

// edited is what became of a text.
type edited struct {
	text    string
	changed bool
	drop    bool // nothing is to stand there
}

// maxTexts is how often a text is looked for in a text: JSON in a string of JSON in a string of JSON. Each level doubles the
// backslashes, so what is deeper is rare, and detectors see it all the same.
const maxTexts = 4

// edit is a piece of a text, and what is to stand there.
type edit struct {
	start, end int
	text       string
}

// text masks what is found in a text: by name within JSON and queries, by value everywhere.
func (w *work) text(s string, pl *place, level int) (edited, error) {
	if level < maxTexts {
		if start := jsonStart(s, true); start >= 0 {
			return w.jsonText(s, start, pl, level)
		}
	}
	return w.plainText(s, pl, level)
}

// plainText is text's, of what has no JSON in it.
func (w *work) plainText(s string, pl *place, level int) (edited, error) {
	base := len(w.edits) // a text within a text has its own above
	if level < maxTexts && (strings.IndexByte(s, '=') > 0 || strings.IndexByte(s, '%') >= 0) {
		if err := w.query(s, pl, level); err != nil {
			w.edits = w.edits[:base]
			return edited{}, err
		}
	}
	out, err := w.found(s, pl, w.edits[base:])
	w.edits = w.edits[:base]
	return out, err
}

// found masks what the detectors find, beside edits, by place, that were made by name.
func (w *work) found(s string, pl *place, edits []edit) (edited, error) {
	if len(s) < minText {
		return edited{text: s}, nil
	}
	base := len(w.findings) // likewise
	w.findings = w.p.detector.Find(w.findings, s, hintFor(s, pl.hint))
	found := w.findings[base:]
	w.findings = w.findings[:base] // nothing below finds more
	if len(found) == 0 && len(edits) == 0 {
		return edited{text: s}, nil
	}
	hit := *pl
	if len(found) == 1 && found[0].Start == 0 && found[0].End == len(s) && len(edits) == 0 {
		return w.all(s, &hit, found[0])
	}
	if form := w.formOf(pl); form != masking.Any && form != masking.Text && form != masking.EmailAddress {
		// A column of that type holds no text with a piece replaced.
		for _, f := range found {
			hit.class, hit.rule = string(f.Class), f.Rule
			w.count(&hit, masking.Drop)
		}
		return edited{changed: true, drop: true}, nil
	}
	var b strings.Builder
	b.Grow(len(s) + 16*(len(found)+len(edits)))
	last := 0
	put := func(e edit) {
		b.WriteString(s[last:e.start])
		b.WriteString(e.text)
		last = e.end
	}
	for _, f := range found {
		for len(edits) > 0 && edits[0].end <= f.Start {
			put(edits[0])
			edits = edits[1:]
		}
		hit.class, hit.rule = string(f.Class), f.Rule
		if w.p.action(hit.class).Kind() == masking.Keep {
			w.count(&hit, masking.Keep)
			continue
		}
		for len(edits) > 0 && f.Start <= edits[0].start && edits[0].end <= f.End && edits[0].end-edits[0].start < f.End-f.Start {
			edits = edits[1:] // a part of what was found
		}
		for start := max(f.Start, last); start < f.End; {
			end := f.End
			if len(edits) > 0 {
				end = min(end, edits[0].start)
			}
			if start < end {
				text, err := w.piece(s[start:end], &hit)
				if err != nil {
					return edited{}, err
				}
				put(edit{start, end, text})
			}
			if end == f.End {
				break
			}
			put(edits[0]) // the rest of it, or all, is masked by name
			start, edits = edits[0].end, edits[1:]
		}
	}
	for _, e := range edits {
		put(e)
	}
	b.WriteString(s[last:])
	return edited{text: b.String(), changed: b.String() != s}, nil
}

// hintFor is what the key says of the text: nothing, where it calls it a number or an ID and somebody wrote sentences.
func hintFor(s string, hint detector.Hint) detector.Hint {
	if !hint.Innocent() {
		return hint
	}
	// What has no blank, as most IDs, is no prose.
	if len(s) < 3*proseWords-1 || strings.IndexByte(s, ' ') < 0 {
		return hint
	}
	words, letters := 0, 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == ' ':
			if letters >= 2 {
				words++
			}
			letters = 0
		case s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z' || s[i] >= 0x80:
			letters++
		case s[i] >= '0' && s[i] <= '9' || s[i] == '_':
			letters = -len(s) // no word
		}
		if words == proseWords {
			return 0
		}
	}
	return hint
}

// proseWords is how many words of letters alone make prose.
const proseWords = 3

// piece masks a piece of a text: where nothing is to stand there, nothing does.
func (w *work) piece(s string, hit *place) (string, error) {
	action := w.p.action(hit.class)
	out, err := w.mask(action, masking.Value{Text: s}, hit.class, masking.Any)
	switch {
	case errors.Is(err, masking.ErrDrop):
		out.Text = ""
	case err != nil:
		return "", err
	}
	w.count(hit, action.Kind())
	return out.Text, nil
}

// minText is the length of the shortest text that is looked at.
const minText = 3

// all masks a text that is personal as a whole.
func (w *work) all(s string, hit *place, f detector.Finding) (edited, error) {
	hit.class, hit.rule = string(f.Class), f.Rule
	action := w.p.action(hit.class)
	out, err := w.mask(action, masking.Value{Text: s}, hit.class, w.formOf(hit))
	switch {
	case errors.Is(err, masking.ErrDrop):
		w.count(hit, action.Kind())
		return edited{changed: true, drop: true}, nil
	case err != nil:
		return edited{}, err
	}
	w.count(hit, action.Kind())
	return edited{text: out.Text, changed: out.Text != s}, nil
}

// wholeText masks a text of a known class within another text, where nothing can be dropped but the value itself.
func (w *work) wholeText(s string, pl *place, class, rule string) (edited, error) {
	if s == "" || maskedBefore(s, masking.Any) {
		return edited{text: s}, nil
	}
	hit := *pl
	hit.class, hit.rule = class, rule
	action := w.p.action(class)
	out, err := w.mask(action, masking.Value{Text: s}, class, masking.Any)
	switch {
	case errors.Is(err, masking.ErrDrop):
		w.count(&hit, action.Kind())
		return edited{changed: true, drop: true}, nil
	case err != nil:
		return edited{}, err
	}
	w.count(&hit, action.Kind())
	return edited{text: out.Text, changed: out.Text != s}, nil
}
