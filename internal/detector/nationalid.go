// SPDX-License-Identifier: Apache-2.0

package detector

import "github.com/millrace/millrace/internal/checkdigit"

// maxID is one more than the length of the longest compact ID.
const maxID = 21

// What rules there are for a run of digits, or of letters and digits, by its length; and those with a punctuated form.
var (
	digitIDs, letterIDs [maxID][]*checkdigit.NationalID
	punctuatedDigits    []*checkdigit.NationalID
	punctuatedLetters   []*checkdigit.NationalID
)

func init() {
	for i := range checkdigit.NationalIDs {
		r := &checkdigit.NationalIDs[i]
		var digits, letters [maxID]bool
		for _, form := range r.Forms {
			only := true
			for j := range len(form) {
				only = only && isDigit(form[j])
				if form[j] == 'X' {
					digits[len(form)] = true // either
				}
			}
			if only {
				digits[len(form)] = true
			} else {
				letters[len(form)] = true
			}
		}
		for n := range maxID {
			if digits[n] {
				digitIDs[n] = append(digitIDs[n], r)
			}
			if letters[n] {
				letterIDs[n] = append(letterIDs[n], r)
			}
		}
		if r.Punctuated != nil {
			punctuatedDigits = append(punctuatedDigits, r)
			if r.Letters {
				punctuatedLetters = append(punctuatedLetters, r)
			}
		}
	}
}

// announced says that the key or what stands before start makes an ID of r to be expected there.
func (s *scanner) announced(start int, r *checkdigit.NationalID) bool {
	return s.hint&hintNationalID != 0 || start > s.floor && (s.near(start)&hintNationalID != 0 || s.beside(start, r.Keywords))
}

// punctuatedID finds a national ID in its customary punctuation at group g.
func (s *scanner) punctuatedID(p *phrase, g int) int {
	if g == 0 && p.glued || g > 0 && (p.sep[g-1] == '-' || p.sep[g-1] == '.') {
		return 0
	}
	return s.punctuatedAt(p.from(g), punctuatedDigits)
}

func (s *scanner) punctuatedAt(start int, rules []*checkdigit.NationalID) int {
	for _, r := range rules {
		n := r.Punctuated(s.text[start:])
		if n == 0 {
			continue
		}
		if !s.announced(start, r) && (r.WeakPunctuated || s.hint&hintInnocent != 0 || s.hint&hintPhone != 0 || s.near(start)&(hintInnocent|hintPhone) != 0) {
			continue
		}
		return s.emit(start, start+n, NationalID, r.Rule)
	}
	return 0
}

// bareID finds a national ID in a run of digits alone.
func (s *scanner) bareID(p *phrase, g int) int {
	n := p.size(g)
	if n < 7 || n >= maxID || len(digitIDs[n]) == 0 {
		return 0
	}
	start, end := p.from(g), p.to(g)
	if !p.alone(g, g+1) && !(g == 0 && p.glued) || s.decimal(end) || s.plus(start) > 0 {
		return 0
	}
	return s.compactID(start, end, digitIDs[n], g == 0 && p.glued || s.between(start))
}

// compactID finds a national ID in the word [start, end). Joined says that it is a part of something longer, where only a keyword
// makes it an ID.
func (s *scanner) compactID(start, end int, rules []*checkdigit.NationalID, joined bool) int {
	compact := s.text[start:end]
	var found *checkdigit.NationalID
	for _, r := range rules {
		if !r.Valid(compact) {
			continue
		}
		if s.announced(start, r) {
			if found == nil || s.beside(start, r.Keywords) {
				found = r
			}
			continue
		}
		if found != nil || r.Weak || joined {
			continue
		}
		// A bare number is innocent where its key or the word before it says so; what has letters at fixed places is not.
		if s.hint&(hintInnocent|hintPhone) != 0 && !(r.Letters && s.hint&hintInnocent == hintIdentifier) || s.near(start)&(hintInnocent|hintPhone) != 0 && !r.Letters {
			continue
		}
		found = r
	}
	if found == nil {
		return 0
	}
	return s.emit(start, end, NationalID, found.Rule)
}
