// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"unicode/utf8"

	"github.com/millrace/millrace/internal/checkdigit"
)

// maxID is one more than the length of the longest compact ID.
const maxID = 21

// idRules are national IDs' rules by what is seen of a text first.
var idRules = func() (of struct {
	digits, letters [maxID][]*checkdigit.NationalID // by the length of a run of digits, or of a word that has letters
	// punctuated are by the length of the first run of letters and digits and what stands after it, for those that begin with digits
	// alone, and for the rest.
	punctuated, lettered [maxID][punctuations]punctuatedRules
}) {
	for i := range checkdigit.NationalIDs {
		r := &checkdigit.NationalIDs[i]
		add := func(list *[]*checkdigit.NationalID) {
			if n := len(*list); n == 0 || (*list)[n-1] != r {
				*list = append(*list, r)
			}
		}
		for _, form := range r.Forms {
			// A 'X' is either: the form is one of digits alone as well.
			if n := kinds(form); n&kindLetter == 0 {
				add(&of.digits[len(form)])
			}
			if n := kinds(form); n != kindDigit {
				add(&of.letters[len(form)])
			}
		}
		for _, form := range r.PunctuatedForms {
			n := 0
			for n < len(form) && isAlnum(form[n]) {
				n++
			}
			if n == len(form) || n >= maxID {
				continue
			}
			p := punctuation(form, n)
			second := uint32(1) << run(form, n+1)
			if kinds(form[:n])&kindLetter == 0 {
				add(&of.punctuated[n][p].rules)
				of.punctuated[n][p].second |= second
			}
			if kinds(form[:n]) != kindDigit {
				add(&of.lettered[n][p].rules)
				of.lettered[n][p].second |= second
			}
		}
	}
	return of
}()

// punctuatedRules are rules whose forms begin alike.
type punctuatedRules struct {
	rules  []*checkdigit.NationalID
	second uint32 // bit n: a form has n letters and digits behind the first punctuation
}

// at is the rules that can take what has its first punctuation at end.
func (r *punctuatedRules) at(text string, end int) []*checkdigit.NationalID {
	if r.second == 0 {
		return nil
	}
	next := end + 1
	switch text[end] { // r has forms with a punctuation, so there is one at end
	case 0xC2:
		next++
	case 0xE2:
		next += 2
	}
	if r.second>>run(text, next)&1 == 0 {
		return nil
	}
	return r.rules
}

// run is the number of letters and digits that text has from i on, as far as any ID goes.
func run(text string, i int) int {
	start := i
	for i < len(text) && i-start < maxID && isAlnum(text[i]) {
		i++
	}
	return i - start
}

const (
	kindDigit = 1 << iota
	kindLetter
	kindEither
)

// kinds says what a form of checkdigit asks for.
func kinds(form string) (all int) {
	for i := range len(form) {
		switch c := form[i]; {
		case isDigit(c):
			all |= kindDigit
		case c == 'X':
			all |= kindEither
		case isLetter(c):
			all |= kindLetter
		}
	}
	return all
}

const punctuations = 7

// punctuation is a number for what stands at i in text: 0 for what no ID has there.
func punctuation(text string, i int) int {
	if i >= len(text) {
		return 0
	}
	switch text[i] {
	case ' ', 0xC2:
		return 1
	case '-':
		return 2
	case '.':
		return 3
	case '/':
		return 4
	case '+':
		return 5
	case '(':
		return 6
	case 0xE2: // a narrow blank, or a typographic hyphen
		if i+2 < len(text) && text[i+1] == 0x80 && text[i+2] == 0xAF {
			return 1
		}
		return 2
	}
	return 0
}

// announced says that the key or what stands around [start, end) makes an ID of r to be expected there.
func (s *scanner) announced(c *surroundings, start, end int, r *checkdigit.NationalID) bool {
	if s.hint&hintNationalID != 0 || start > 0 && s.near(start)&hintNationalID != 0 {
		return true
	}
	if !c.read {
		s.surround(c, start, end)
	}
	return c.beside(r.Keywords) || c.named(r.Keywords)
}

// saysID says that the key or a word before start announces a national ID and none announces a card.
func (s *scanner) saysID(start int) bool {
	said := s.hint
	if start > 0 {
		said |= s.near(start)
	}
	return said&hintNationalID != 0 && said&hintCard == 0
}

// punctuatedID finds a national ID in its customary punctuation at group g.
func (s *scanner) punctuatedID(p *phrase, g int) int {
	if g == 0 && p.glued || g > 0 && (p.sep[g-1] == '-' || p.sep[g-1] == '.') {
		return 0
	}
	if p.size(g) == 4 && g+2 < p.n && p.size(g+1) == 2 && p.size(g+2) == 2 {
		return 0 // a date, of which there are more
	}
	start, end := p.from(g), p.to(g)
	if end-start >= maxID {
		return 0
	}
	return s.punctuatedAt(start, idRules.punctuated[end-start][punctuation(s.text, end)].at(s.text, end))
}

func (s *scanner) punctuatedAt(start int, rules []*checkdigit.NationalID) int {
	for i, r := range rules {
		if r.Punctuated(s.text[start:]) > 0 {
			return s.punctuatedOf(start, rules[i:])
		}
	}
	return 0
}

// punctuatedOf is punctuatedAt where the first of rules takes what begins at start.
func (s *scanner) punctuatedOf(start int, rules []*checkdigit.NationalID) int {
	var c surroundings
	var found *checkdigit.NationalID
	length := 0
	for _, r := range rules {
		n := r.Punctuated(s.text[start:])
		if n == 0 {
			continue
		}
		if s.announced(&c, start, start+n, r) {
			if n > length || n == length && c.read && c.beside(r.Keywords) {
				found, length = r, n
			}
			continue
		}
		if n <= length || r.WeakPunctuated || s.hint&(hintInnocent|hintPhone) != 0 || s.between(start) || s.series(start) || s.plus(start) > 0 || s.loose(start, start+n, r) {
			continue
		}
		// Hyphens and dots in an ID's places are an ID's though a telephone's word stands there; other words speak against it.
		if s.near(start)&hintInnocent != 0 || s.near(start)&hintPhone != 0 && !formed(s.text[start:start+n]) {
			continue
		}
		found, length = r, n
	}
	if found == nil {
		return 0
	}
	return s.emit(start, start+length, NationalID, found.Rule)
}

// formed says that the digits of an ID have three groups or more, by hyphens or dots.
func formed(id string) bool {
	n := 0
	for i := range len(id) {
		if id[i] == '-' || id[i] == '.' {
			n++
		}
	}
	return n > 1
}

// loose says that [start, end), digits in groups by blanks alone, or in two groups, tells too little: it goes on beyond either end, or
// there is no check digit to speak of.
func (s *scanner) loose(start, end int, r *checkdigit.NationalID) bool {
	text := s.text
	blanks, others := 0, 0
	for i := start; i < end; i++ {
		switch c := text[i]; {
		case c == ' ' || c >= utf8.RuneSelf:
			blanks++
		case isLetter(c):
			return false
		case !isDigit(c):
			others++
		}
	}
	if others > 0 {
		// Nine digits with a '/' are of before 1954, when Czechoslovakia's had no check digit.
		return others == 1 && blanks == 0 && (r.Weak || end-start == len("999999/999") && text[start+6] == '/')
	}
	return blanks > 0 && (r.Share > 1.0/2 || r.Weak && blanks < 3 ||
		start > 1 && text[start-1] == ' ' && isDigit(text[start-2]) || end+1 < len(text) && text[end] == ' ' && isDigit(text[end+1]))
}

// bareID finds a national ID in a run of digits alone.
func (s *scanner) bareID(p *phrase, g int) int {
	n := p.size(g)
	if n < 7 || n >= maxID || len(idRules.digits[n]) == 0 {
		return 0
	}
	start, end := p.from(g), p.to(g)
	joined := g == 0 && p.glued || g == p.n-1 && p.tail
	if !p.alone(g, g+1) && !joined || s.decimal(end) || s.plus(start) > 0 {
		return 0
	}
	if start == 0 && end == len(s.text) && s.hint&hintNationalID == 0 {
		return 0 // nothing stands around it that could make it one
	}
	return s.compactID(start, end, idRules.digits[n], joined || s.between(start) || s.series(start))
}

// compactID finds a national ID in the word [start, end). Joined says that it is a part of something longer, where only a keyword
// makes it an ID.
func (s *scanner) compactID(start, end int, rules []*checkdigit.NationalID, joined bool) int {
	for i, r := range rules {
		if r.Valid(s.text[start:end]) {
			return s.compactOf(start, end, rules[i:], joined)
		}
	}
	return 0
}

// compactOf is compactID where the first of rules takes the word.
func (s *scanner) compactOf(start, end int, rules []*checkdigit.NationalID, joined bool) int {
	compact := s.text[start:end]
	var c surroundings
	var found *checkdigit.NationalID
	said := false
	for _, r := range rules {
		if !r.Valid(compact) {
			continue
		}
		if s.announced(&c, start, end, r) {
			if !said || c.read && c.beside(r.Keywords) {
				found, said = r, true
			}
			continue
		}
		if found != nil || r.Weak || joined || s.innocentID(start, end, r) {
			continue
		}
		found = r
	}
	if found == nil {
		return 0
	}
	return s.emit(start, end, NationalID, found.Rule)
}

// telling is the share of random runs of digits of an ID's length below which the digits alone tell it, in a sentence: about one in several
// hundred is taken wrongly. All rules that are above it, taken together, would take one of eighteen numbers of eleven digits.
const telling = 0.002

// innocentID says that [start, end), which r takes and no word announces, is rather another thing.
func (s *scanner) innocentID(start, end int, r *checkdigit.NationalID) bool {
	strong := r.Share < telling
	if s.hint&(hintInnocent|hintPhone|hintCard) != 0 {
		return !(strong && r.Letters && s.hint&hintInnocent == hintIdentifier)
	}
	if s.near(start)&(hintInnocent|hintPhone|hintCard) != 0 {
		return !(strong && r.Letters)
	}
	if hasLetter(s.text[start:end]) {
		return false
	}
	// Unix times, in seconds and milliseconds.
	if n := end - start; (n == 10 || n == 13) && (s.text[start] == '1' || s.text[start] == '2' && s.text[start+1] == '0') {
		return true
	}
	return !strong || !s.prose(start)
}

func hasLetter(text string) bool {
	for i := range len(text) {
		if isLetter(text[i]) {
			return true
		}
	}
	return false
}

// prose says that words stand before start, and a blank between.
func (s *scanner) prose(start int) bool {
	i := start
	for i > 0 && start-i < 3 && (s.text[i-1] == '"' || s.text[i-1] == '\'' || s.text[i-1] == '(') {
		i--
	}
	return i > 2 && s.text[i-1] == ' ' && (isLetter(s.text[i-2]) || s.text[i-2] >= utf8.RuneSelf || isLetter(s.text[i-3]))
}

// letteredID finds a national ID with letters that begins with the word [start, end).
func (s *scanner) letteredID(start, end int, joined bool) int {
	n := end - start
	if n >= maxID {
		return 0
	}
	if !joined || start == 0 || s.text[start-1] == '_' {
		if rules := idRules.lettered[n][punctuation(s.text, end)].at(s.text, end); len(rules) > 0 {
			if to := s.punctuatedAt(start, rules); to > 0 {
				return to
			}
		}
	}
	if rules := idRules.letters[n]; len(rules) > 0 {
		return s.compactID(start, end, rules, joined)
	}
	return 0
}

// initials finds an ID whose first groups are letters and stand apart, before the token [start, end): "AB 12 34 56 C".
func (s *scanner) initials(start, end int) int {
	text := s.text
	if end+1 >= len(text) || punctuation(text, end) == 0 || isLetter(text[end+1]) && end-start == 2 {
		return 0
	}
	if start < 3 || text[start-1] != ' ' || !isLetter(text[start-2]) || !isLetter(text[start-3]) || start >= 5 && isAlnum(text[start-5]) && isAlnum(text[start-4]) {
		return 0
	}
	word := start
	for range 2 {
		if word-1 < s.floor || text[word-1] != ' ' {
			return 0
		}
		end := word - 1
		word = end
		for word > s.floor && isLetter(text[word-1]) && end-word < 4 {
			word--
		}
		n := end - word
		if n < 2 || n > 3 || word > 0 && (classOf[text[word-1]] != 0 || text[word-1] >= 0x80) {
			return 0
		}
		if rules := idRules.lettered[n][punctuation(text, end)].at(text, end); len(rules) > 0 {
			if to := s.punctuatedAt(word, rules); to > 0 {
				return to
			}
		}
	}
	return 0
}
