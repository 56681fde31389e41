// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"regexp"
	"slices"

	"github.com/millrace/millrace/internal/detector"
)

// CodeScore counts for one class in the corpus "code".
type CodeScore struct {
	Findings, Right int
	Allowed         int // that the judge holds for wrong and the list of exceptions for right
}

// Wrong are the findings that nobody holds for right.
func (s *CodeScore) Wrong() int { return s.Findings - s.Right - s.Allowed }

// CodeResult is what became of the corpus "code".
type CodeResult struct {
	Files, Texts, Bytes int
	Scores              map[detector.Class]*CodeScore
	// Addresses are the e-mail addresses that an expression finds and the judge holds for right; AddressesFound those of them that were found.
	Addresses, AddressesFound int
	Faults                    []Fault // wrong ones, and addresses that were missed
}

// PerMegabyte is a count by what was read.
func (r *CodeResult) PerMegabyte(n int) float64 { return float64(n) * 1e6 / float64(max(1, r.Bytes)) }

// EvaluateCode runs find over the files' paragraphs, under a key that says nothing, and has what it finds judged.
func EvaluateCode(files []File, find Find) (*CodeResult, error) {
	r := &CodeResult{Scores: map[detector.Class]*CodeScore{}}
	for _, c := range detector.Classes {
		r.Scores[c] = &CodeScore{}
	}
	var found []detector.Finding
	for _, file := range files {
		texts, err := readParagraphs(file)
		if err != nil {
			return nil, err
		}
		if texts != nil {
			r.Files++
		}
		for _, text := range texts {
			r.Texts++
			r.Bytes += len(text)
			found = find(found[:0], "message", text)
			r.add(file, text, found)
		}
	}
	return r, nil
}

func (r *CodeResult) add(file File, text string, found []detector.Finding) {
	for _, f := range found {
		s := r.Scores[f.Class]
		s.Findings++
		switch {
		case Right(f.Class, text, f.Start, f.End):
			s.Right++
		case allowed(file.Name, f.Class):
			s.Allowed++
		default:
			r.Faults = append(r.Faults, Fault{Corpus: "code", Origin: file.Name, Class: f.Class, Rule: f.Rule, Value: text[f.Start:f.End], Around: around(text, f.Start, f.End)})
		}
	}
	for _, at := range Emails(text) {
		r.Addresses++
		if slices.ContainsFunc(found, func(f detector.Finding) bool { return f.Class == detector.Email && f.Start < at[1] && at[0] < f.End }) {
			r.AddressesFound++
			continue
		}
		r.Faults = append(r.Faults, Fault{Corpus: "code", Origin: file.Name, Class: detector.Email, Form: "address", Value: text[at[0]:at[1]], Around: around(text, at[0], at[1])})
	}
}

// exceptions are files in which the judge is wrong about a class: each was looked at.
var exceptions = []struct {
	class detector.Class
	file  *regexp.Regexp
	why   string
}{
	{detector.Coordinates, regexp.MustCompile(`/canada\.json$`), "the outline of Canada, which JSON libraries are measured with"},
	{detector.Coordinates, regexp.MustCompile(`^github\.com/paulmach/orb@`), "a library of maps: its data and examples are coordinates"},
}

func allowed(file string, class detector.Class) bool {
	for _, e := range exceptions {
		if e.class == class && e.file.MatchString(file) {
			return true
		}
	}
	return false
}
