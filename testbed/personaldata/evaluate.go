// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"cmp"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/detector"
)

// Find is what is held against a corpus: it appends to dst what it finds in the text under the key.
type Find func(dst []detector.Finding, key, text string) []detector.Finding

// Score counts for one class.
type Score struct {
	Labels int // that are not open
	Found  int // of them: a finding of the class overlaps
	Exact  int // of them: with equal bounds
	// Uncovered counts the bytes of labels, open ones apart, that no finding of any class holds: what would reach the disk. Bytes are all of them.
	Uncovered, Bytes int
	Open, OpenFound  int
	Findings         int // of this class
	Right            int // of them: overlapping a label of the class, open ones too
}

// Recall is Found of Labels, 1 of none.
func (s *Score) Recall() float64 { return share(s.Found, s.Labels) }

// Precision is Right of Findings, 1 of none.
func (s *Score) Precision() float64 { return share(s.Right, s.Findings) }

// F1 is the harmonic mean of both.
func (s *Score) F1() float64 {
	if r, p := s.Recall(), s.Precision(); r+p > 0 {
		return 2 * r * p / (r + p)
	}
	return 0
}

func share(of, all int) float64 {
	if all == 0 {
		return 1
	}
	return float64(of) / float64(all)
}

// Fault is a label that was not found, or a finding that is wrong.
type Fault struct {
	Corpus, Language, Origin, Key string
	Class                         detector.Class
	Form                          string // the label's
	Rule                          string // the finding's; "" for a miss
	Value                         string
	Around                        string // the text around it
}

// Missed says which of the two it is.
func (f *Fault) Missed() bool { return f.Rule == "" }

// Result is what became of one corpus.
type Result struct {
	Corpus         string
	Samples, Bytes int
	Languages      map[string]bool
	Scores         map[detector.Class]*Score
	Forms          map[string]*Score // by class and form: labels only
	Faults         []Fault
}

// Evaluate runs find over all samples.
func Evaluate(corpus string, samples []Sample, find Find) *Result {
	r := &Result{Corpus: corpus, Samples: len(samples), Languages: map[string]bool{}, Scores: map[detector.Class]*Score{}, Forms: map[string]*Score{}}
	for _, c := range detector.Classes {
		r.Scores[c] = &Score{}
	}
	var found []detector.Finding
	for i := range samples {
		s := &samples[i]
		r.Bytes += len(s.Text)
		r.Languages[s.Language] = true
		found = find(found[:0], s.Key, s.Text)
		r.add(s, found)
	}
	return r
}

func (r *Result) add(s *Sample, found []detector.Finding) {
	for _, label := range s.Spans {
		score, form := r.Scores[label.Class], r.form(label)
		hit, exact := false, false
		for _, f := range found {
			if f.Class == label.Class && f.Start < label.End && label.Start < f.End {
				hit = true
				exact = exact || f.Start == label.Start && f.End == label.End
			}
		}
		if label.Open {
			score.Open, form.Open = score.Open+1, form.Open+1
			if hit {
				score.OpenFound, form.OpenFound = score.OpenFound+1, form.OpenFound+1
			}
			continue
		}
		uncovered := uncovered(label, found)
		for _, to := range [...]*Score{score, form} {
			to.Labels++
			to.Bytes += label.End - label.Start
			to.Uncovered += uncovered
			if hit {
				to.Found++
			}
			if exact {
				to.Exact++
			}
		}
		if !hit {
			r.fault(s, label.Start, label.End, Fault{Class: label.Class, Form: label.Form})
		}
	}
	for _, f := range found {
		score := r.Scores[f.Class]
		if score == nil {
			score = &Score{}
			r.Scores[f.Class] = score
		}
		score.Findings++
		if slices.ContainsFunc(s.Spans, func(l Span) bool { return l.Class == f.Class && f.Start < l.End && l.Start < f.End }) {
			score.Right++
			continue
		}
		r.fault(s, f.Start, f.End, Fault{Class: f.Class, Rule: f.Rule})
	}
}

func (r *Result) form(label Span) *Score {
	name := string(label.Class) + ": " + label.Form
	s := r.Forms[name]
	if s == nil {
		s = &Score{}
		r.Forms[name] = s
	}
	return s
}

// uncovered counts the bytes of the label that nothing covers.
func uncovered(label Span, found []detector.Finding) int {
	n := 0
	for at := label.Start; at < label.End; at++ {
		if !slices.ContainsFunc(found, func(f detector.Finding) bool { return f.Start <= at && at < f.End }) {
			n++
		}
	}
	return n
}

func (r *Result) fault(s *Sample, start, end int, f Fault) {
	f.Corpus, f.Language, f.Origin, f.Key = r.Corpus, s.Language, s.Origin, s.Key
	f.Value = s.Text[start:end]
	f.Around = around(s.Text, start, end)
	r.Faults = append(r.Faults, f)
}

// around is the text with some characters on both sides.
func around(text string, start, end int) string {
	const room = 40
	from, to := max(0, start-room), min(len(text), end+room)
	return strings.ToValidUTF8(text[from:start]+"⟦"+text[start:end]+"⟧"+text[end:to], "")
}

// sortFaults puts them into the order of a report: by class, misses first, then by form and rule.
func sortFaults(faults []Fault) {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(slices.Index(detector.Classes[:], a.Class), slices.Index(detector.Classes[:], b.Class)),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Form, b.Form), cmp.Compare(a.Language, b.Language))
	})
}
