// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"unicode/utf8"

	"github.com/millrace/millrace/internal/checkdigit"
)

const ruleCard = "payment_card"

// card finds a payment card's number that begins at group g: in one run of digits, or in the groups that cards have.
func (s *scanner) card(p *phrase, g int) int {
	to := s.cardGroups(p, g)
	if to == 0 {
		return 0
	}
	var buf [19]byte
	digits := p.digits(buf[:0], s.text, g, to)
	network, ok := checkdigit.PaymentCard(string(digits))
	if !ok {
		return 0
	}
	start, end := p.from(g), p.to(to-1)
	if s.hint&hintCard == 0 && !s.cardAt(p, g, to, network, len(digits)) && s.near(start)&hintCard == 0 && s.after(end, 2)&hintCard == 0 {
		return 0
	}
	return s.emit(start, end, PaymentCard, ruleCard)
}

// cardAt says that groups [g, to), n digits of a network's with the check digit, are rather a card's number than another thing, though
// no word says so.
func (s *scanner) cardAt(p *phrase, g, to int, network string, n int) bool {
	start, end := p.from(g), p.to(to-1)
	if g == 0 && (p.glued || s.signed(start)) || to == p.n && p.tail {
		return false
	}
	if to-g > 1 {
		return !s.longer(p, g, to)
	}
	switch {
	case n == 16 || n == 15 && network == "amex":
	case n == 14 && network == "diners", n == 19 && (network == "visa" || network == "unionpay" && s.text[start] == '6'):
		// Of these lengths other things are too, such as hashes in JSON: they must stand in a sentence.
		if !s.apart(start, end) {
			return false
		}
	default:
		return false // EAN have 13 digits, snowflakes 17 to 19
	}
	return s.hint&hintInnocent == 0 && s.near(start)&hintInnocent == 0
}

// signed says that a sign stands before start that makes what follows a number to reckon with: "-4111", "$-4111", but not "a-4111".
func (s *scanner) signed(start int) bool {
	return start > 0 && s.text[start-1] == '-' && (start == 1 || !isAlnum(s.text[start-2]) && s.text[start-2] < utf8.RuneSelf)
}

// apart says that [start, end) stands in a sentence: at its beginning, or behind a blank; and that the text goes on or has begun before.
func (s *scanner) apart(start, end int) bool {
	text := s.text
	if start == 0 && end == len(text) {
		return false
	}
	if start > 0 {
		switch c := text[start-1]; {
		case c == ' ':
			if start > 1 && (text[start-2] == ':' || text[start-2] == ',') && start > 2 && text[start-3] == '"' {
				return false // a value of JSON
			}
		case c != '\n' && c != '\t' && c != '(' && c < utf8.RuneSelf:
			return false
		}
	}
	if end == len(text) {
		return true
	}
	if i := end + 1; text[end] == ',' && i+1 < len(text) && (text[i] == ' ' || text[i] == '\n') && (isDigit(text[i+1]) || text[i+1] == '-') {
		return false // a list of numbers
	}
	switch c := text[end]; c {
	case ' ', '\n', '\t', ')', '.', ',', ';', ':', '!', '?':
		return true
	default:
		return c >= utf8.RuneSelf
	}
}

// longer says that the groups [g, to) are a part of a longer run of groups, such as a parcel's number, and not one of several cards.
func (s *scanner) longer(p *phrase, g, to int) bool {
	sep := p.sep[g]
	if g > 0 && p.sep[g-1] == sep && p.size(g-1) == 4 {
		first, last := g, to
		for first > 0 && p.sep[first-1] == sep && p.size(first-1) == 4 {
			first--
		}
		for last < p.n && p.sep[last-1] == sep && p.size(last) == 4 {
			last++
		}
		return (g-first)%4 != 0 || (last-first)%4 != 0 || last < p.n && p.sep[last-1] == sep
	}
	if to == p.n || p.sep[to-1] != sep {
		return false
	}
	// What follows is a check value or an expiry date, or the next part of the same number.
	more := p.sep[to] == sep
	switch n := p.size(to); {
	case n < 4:
		return more
	case n > 4:
		return true
	}
	if more && to+3 < p.n && p.size(to+1) == 4 && p.size(to+2) == 4 && p.size(to+3) == 4 {
		return false // the next card
	}
	month := number(s.text[p.start[to] : p.start[to]+2])
	return more || month < 1 || month > 12
}

// cardGroups is the group after those that have a card's form from g on, or 0.
func (s *scanner) cardGroups(p *phrase, g int) int {
	n := p.size(g)
	if n >= 12 {
		if n > 19 || s.decimal(p.to(g)) || !p.alone(g, g+1) && !(g == 0 && p.glued || g+1 == p.n && p.tail) {
			return 0
		}
		return g + 1
	}
	sep := p.sep[g]
	if n != 4 || sep != ' ' && sep != '-' || g > 0 && p.sep[g-1] == '-' && sep == '-' {
		return 0
	}
	to := g + 1
	for to < p.n && p.sep[to-1] == sep && to-g < 5 {
		to++
	}
	size := func(k int) int {
		if g+k >= to {
			return 0
		}
		return p.size(g + k)
	}
	joined := func(k int) bool { return p.sep[g+k-1] == '-' }
	switch {
	case size(1) == 4 && size(2) == 4 && size(3) == 4:
		if last := size(4); last >= 1 && last <= 3 && !joined(5) && s.cardOf(p, g, g+5) {
			return g + 5
		}
		if !joined(4) {
			return g + 4
		}
	case size(1) == 6 && (size(2) == 5 || size(2) == 4) && !joined(3):
		return g + 3
	case size(1) == 4 && size(2) == 4 && (size(3) == 1 || size(3) == 3 || size(3) == 2) && !joined(4):
		return g + 4
	}
	return 0
}

func (s *scanner) cardOf(p *phrase, g, to int) bool {
	var buf [19]byte
	_, ok := checkdigit.PaymentCard(string(p.digits(buf[:0], s.text, g, to)))
	return ok
}
