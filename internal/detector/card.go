// SPDX-License-Identifier: Apache-2.0

package detector

import "github.com/millrace/millrace/internal/checkdigit"

const ruleCard = "payment_card"

// card finds a payment card's number that begins at group g: in one run of digits, or in the groups that cards have.
func (s *scanner) card(p *phrase, g int) int {
	to := s.cardGroups(p, g)
	if to == 0 {
		return 0
	}
	var buf [19]byte
	digits := p.digits(buf[:0], s.text, g, to)
	grouped := to-g > 1
	if s.hint&hintCard == 0 {
		// Other lengths than the common ones are those of other things: EAN 13, Snowflake IDs 17 to 19.
		common := len(digits) == 16 || len(digits) == 15 && digits[0] == '3' || grouped
		if !common || s.hint&hintInnocent != 0 && !grouped || g == 0 && p.glued || to == p.n && p.tail {
			if s.near(p.from(g))&hintCard == 0 {
				return 0
			}
		} else if near := s.near(p.from(g)); near&hintInnocent != 0 && near&hintCard == 0 && !grouped {
			return 0
		}
	}
	if _, ok := checkdigit.PaymentCard(string(digits)); !ok {
		return 0
	}
	return s.emit(p.from(g), p.to(to-1), PaymentCard, ruleCard)
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
