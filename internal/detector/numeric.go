// SPDX-License-Identifier: Apache-2.0

package detector

// maxGroups bounds how many groups of digits are looked at together. No form has more than reach of them.
const (
	maxGroups = 24
	reach     = 9
)

// maxRun is the length of the longest run of digits that can be something.
const maxRun = 20

// phrase is groups of digits with what may separate the groups of one number between them: "+49 (0) 151 / 1234-5678".
type phrase struct {
	n     int
	start [maxGroups]int32
	end   [maxGroups]int32
	// sep is what stands after a group and before the next: ' ', '-', '.', '/', '(' or ')' where a parenthesis is among it, 'm' for what is
	// of several bytes; 0 after the last group.
	sep [maxGroups]byte
	// left is the number of digits from the group that is looked at on.
	left int
	// glued says that a letter or '_' is joined to the phrase by a '-', '.' or '_' before it; tail the same of what comes after it.
	glued, tail bool
}

func (p *phrase) size(g int) int { return int(p.end[g] - p.start[g]) }

// from is where group g begins, to where it ends.
func (p *phrase) from(g int) int { return int(p.start[g]) }
func (p *phrase) to(g int) int   { return int(p.end[g]) }

// digits appends the digits of groups [g, to) to dst, as long as there is room.
func (p *phrase) digits(dst []byte, text string, g, to int) []byte {
	for ; g < to; g++ {
		if len(dst)+p.size(g) > cap(dst) {
			return dst[:0]
		}
		dst = append(dst, text[p.start[g]:p.end[g]]...)
	}
	return dst
}

// separator reads what separates two groups at i, and returns its kind and end. Kind is 0 where no digit follows it.
func separator(text string, i int) (kind byte, end int) {
	start := i
	for count := 0; count < 4 && i < len(text); count++ {
		c := text[i]
		switch c {
		case ' ', '-', '.', '/':
			i++
		case '(', ')':
			kind = c
			i++
		case 0xC2: // no-break space
			if i+1 >= len(text) || text[i+1] != 0xA0 {
				return 0, start
			}
			c = ' '
			i += 2
		case 0xE2:
			if i+2 >= len(text) || text[i+1] != 0x80 {
				return 0, start
			}
			switch text[i+2] {
			case 0xAF, 0x89, 0x87, 0x88: // narrow no-break space, thin space, figure space
				c = ' '
			case 0x90, 0x91, 0x92, 0x93: // hyphens, en dash
				c = '-'
			default:
				return 0, start
			}
			i += 3
		default:
			if !isDigit(c) || count == 0 {
				return 0, start
			}
			return kind, i
		}
		switch {
		case kind == '(' || kind == ')':
		case count == 0:
			kind = c
		case c == '.' || kind == '.':
			return 0, start // the end of a sentence
		default:
			kind = 'm'
		}
	}
	if i < len(text) && isDigit(text[i]) {
		return kind, i
	}
	return 0, start
}

// numeric looks at the numbers in a phrase whose first token is [start, end), and returns where to go on.
func (s *scanner) numeric(start, end int) int {
	text := s.text
	for !isDigit(text[start]) {
		start++
	}
	for !isDigit(text[end-1]) {
		end--
	}
	n := end - start
	if (n == 2 || n == 6) && s.wants(hintNationalID) {
		if to := s.initials(start, end); to > 0 {
			s.from = to
			return to
		}
	}
	if n <= 2 && s.wants(hintBirth) {
		if to := s.dayAndMonth(start); to > 0 {
			return to
		}
	}
	if n <= 5 && s.hint&(hintCoordinates|hintBirth) == 0 && s.lonely(end) && !(n >= minShort && s.told(start)) && !(n > 2 && s.wants(hintCoordinates) && hasByte(text[start:end], '.') && s.axis(start)) {
		return end
	}
	if (n == 17 || n == 14) && s.wants(hintMAC) {
		if to := s.macToken(start, end, bitDigit); to > 0 {
			return to
		}
	}
	var p phrase
	i := s.phrase(&p, start)
	s.from = i
	return max(i, start+1)
}

// lonely says that nothing follows a short number at end that could make more of it: it is a year, a count, a price.
func (s *scanner) lonely(end int) bool {
	text := s.text
	if end == len(text) {
		return true
	}
	c := text[end]
	if c >= 0x80 {
		return false
	}
	if joins(c) {
		kind, _ := separator(text, end)
		return kind == 0
	}
	if c != ',' || !s.wants(hintCoordinates) {
		return true
	}
	// A pair of short decimals, which needs a word before it.
	next := byte(0)
	if end+1 < len(text) {
		next = text[end+1]
	}
	if next == ' ' && end+2 < len(text) {
		next = text[end+2]
	}
	return !isDigit(next) && next != '-'
}

// joins says that c can stand between groups of digits in two tokens.
func joins(c byte) bool { return c == ' ' || c == '(' || c == ')' || c == '/' }

// phrase reads the phrase that begins at start, a digit, looks at it, and returns where to go on.
func (s *scanner) phrase(p *phrase, start int) int {
	text := s.text
	p.n = 0
	p.glued = start > 1 && (classOf[text[start-1]]&(bitDash|bitDot|bitUnder) != 0) && classOf[text[start-2]]&(bitLetter|bitUnder) != 0
	i := start
	for {
		first := i
		for i < len(text) && isDigit(text[i]) {
			i++
		}
		if i < len(text) && classOf[text[i]]&(bitLetter|bitUnder) != 0 && !(p.n > 0 && extension(text, i) > 0) {
			// The group is a part of a word: the phrase ends before it.
			if p.n > 0 {
				p.tail = true
				p.sep[p.n-1] = 0
			}
			break
		}
		p.start[p.n], p.end[p.n] = int32(first), int32(i)
		kind, next := separator(text, i)
		if kind != 0 && kind != '-' && kind != '.' && s.mixedAhead(next) {
			kind = 0
		}
		p.sep[p.n] = kind
		p.n++
		if kind == 0 || p.n == maxGroups {
			break
		}
		i = next
	}
	s.steps += i - start
	if p.n == 0 {
		return i
	}
	last := p.n - 1
	p.left = 0
	for g := range p.n {
		p.left += p.size(g)
	}
	if p.sep[last] != 0 && p.left < 3*p.n {
		return i // a list of small numbers
	}
	if p.sep[last] == 0 {
		if e := p.to(last); e+1 < len(text) && (text[e] == '-' || text[e] == '_') && classOf[text[e+1]]&(bitLetter|bitUnder) != 0 {
			p.tail = true
		}
	}
	// Where the phrase is longer than there is room for, its end is looked at again with what follows.
	limit := p.n
	if p.sep[last] != 0 {
		limit = p.n - reach
		p.sep[last] = 0
		i = p.from(limit)
	}
	for g := 0; g < limit; {
		to, skip := s.number(p, g)
		if to == 0 {
			to = p.to(g + skip - 1)
		}
		for g < p.n && p.from(g) < to {
			p.left -= p.size(g)
			g++
		}
		i = max(i, to)
	}
	return i
}

// mixedAhead says that the token at i, a digit, has letters: it is none of a phrase's groups, but looked at as a whole.
func (s *scanner) mixedAhead(i int) bool {
	text := s.text
	start := i
	dot := false
	for i < len(text) {
		c := classOf[text[i]]
		if c&(bitLetter|bitUnder) != 0 {
			s.steps += i - start
			return !dot && extension(text, i) == 0 // "4444.Thanks": a sentence ends
		}
		if c == 0 {
			break
		}
		dot = c == bitDot
		i++
	}
	s.steps += i - start
	return false
}

// maxExtension is the length of the longest extension.
const maxExtension = 6

// extension is where the extension of a telephone number ends that begins at i, directly behind the number: "x7764".
func extension(text string, i int) int {
	if text[i]|0x20 != 'x' || i < 2 || !isDigit(text[i-1]) || !isDigit(text[i-2]) {
		return 0
	}
	end := i + 1
	for end < len(text) && isDigit(text[end]) && end-i <= maxExtension+1 {
		end++
	}
	if n := end - i - 1; n == 0 || n > maxExtension || end < len(text) && classOf[text[end]]&(bitLetter|bitUnder) != 0 {
		return 0
	}
	return end
}

// number looks at what begins at group g of p. It returns where that ends, or 0 and how many groups to pass over.
func (s *scanner) number(p *phrase, g int) (to, skip int) {
	if p.size(g) > maxRun {
		return 0, 1
	}
	if p.left >= minShort && p.left < 7 && (p.from(g) > 2 || s.hint&hintPhone != 0) && s.wants(hintPhone) && s.hint&hintInnocent == 0 {
		if to := s.short(p, g); to > 0 {
			return to, 0
		}
	}
	// Fewer digits are a dotted quad, a date or a place, which need a separator, or an ID with a letter.
	if p.left < 7 && p.sep[g] == 0 && s.hint&(hintCoordinates|hintBirth) == 0 {
		if e := p.to(g); e == len(s.text) || s.text[e] < 0x80 && s.text[e] != '-' && s.text[e] != '+' {
			return 0, 1
		}
	}
	quad := 0
	if p.sep[g] == '.' {
		quad = p.run(g, '.')
		if quad == 4 && s.wants(hintIP) {
			if to := s.ipv4(p, g); to > 0 {
				return to, 0
			}
		}
	}
	if p.size(g) == 4 && p.sep[g] != 0 && p.left >= 12 && s.wants(hintCard) {
		if to := s.card(p, g); to > 0 {
			return to, 0
		}
	}
	if s.wants(hintNationalID) {
		if to := s.punctuatedID(p, g); to > 0 {
			return to, 0
		}
	}
	if s.wants(hintCoordinates) {
		if to := s.coordinates(p, g); to > 0 {
			return to, 0
		}
	}
	if s.hint&hintPhone == 0 {
		if to, n := s.date(p, g); to > 0 || n > 0 {
			return to, n
		}
	}
	if s.hint&hintBirth != 0 && s.wants(hintBirth) && p.size(g) == 8 {
		day := number(s.text[p.start[g]:p.end[g]])
		if isDay(day/10000, day/100%100, day%100) || isDay(day%10000, day/10000%100, day/1000000) {
			return s.emit(p.from(g), p.to(g), BirthDate, ruleBirth), 0
		}
	}
	if p.size(g) == 4 && s.wants(hintBirth) && p.to(g) < len(s.text) && s.text[p.to(g)] >= 0xE5 {
		if to := s.cjkDate(p.from(g), p.to(g)); to > 0 {
			return to, 0
		}
	}
	if p.left < 7 || s.fraction(p, g) {
		return 0, max(1, quad)
	}
	if p.left >= 12 && p.size(g) >= 12 && s.wants(hintCard) {
		// One run of digits can be both, check digits and all: then what is said of it decides.
		if quad == 0 && s.wants(hintNationalID) && s.saysID(p.from(g)) {
			if to := s.bareID(p, g); to > 0 {
				return to, 0
			}
		}
		if to := s.card(p, g); to > 0 {
			return to, 0
		}
	}
	if p.n == 1 && s.inPath(p.from(0), p.to(0)) {
		return 0, 1
	}
	if s.wants(hintNationalID) && quad == 0 {
		if to := s.bareID(p, g); to > 0 {
			return to, 0
		}
	}
	if s.wants(hintPhone) {
		if to := s.phone(p, g); to > 0 {
			return to, 0
		}
	}
	return 0, max(1, quad)
}

// inPath says that [start, end) is a part of a path: "/orders/1234567890/items".
func (s *scanner) inPath(start, end int) bool {
	return start > 0 && end < len(s.text) && s.text[start-1] == '/' && s.text[end] == '/'
}

// run is how many groups from g on have c between them.
func (p *phrase) run(g int, c byte) int {
	n := 1
	for p.sep[g] == c && g+1 < p.n {
		n++
		g++
	}
	return n
}

// fraction says that group g is what stands after a decimal point or comma. A long one after a comma is the next of a list.
func (s *scanner) fraction(p *phrase, g int) bool {
	at := p.from(g)
	if at < 2 || !isDigit(s.text[at-2]) {
		return false
	}
	switch s.text[at-1] {
	case ',':
		return p.size(g) < 9 && p.sep[g] == 0
	case '.':
		return g == 0 || p.run(g-1, '.') == 2 && (g < 2 || p.sep[g-2] != '.')
	}
	return false
}

// decimal says that a point or comma and decimals follow end: what ends there is an amount. What is long after a comma is the
// next of a list.
func (s *scanner) decimal(end int) bool {
	text := s.text
	if end+1 >= len(text) || text[end] != '.' && text[end] != ',' || !isDigit(text[end+1]) {
		return false
	}
	n := 0
	for n < 5 && end+1+n < len(text) && isDigit(text[end+1+n]) {
		n++
	}
	return n < 5 && !(end+1+n < len(text) && text[end+1+n] == '-')
}

// alone says that groups [g, to) are not joined to digits on either side by what also stands between them, by '-' or by '.'.
func (p *phrase) alone(g, to int) bool {
	blank := false
	for k := g; k < to-1; k++ {
		blank = blank || p.sep[k] == ' '
	}
	if g == 0 && p.glued || to == p.n && p.tail {
		return false
	}
	if g > 0 && (p.sep[g-1] == '-' || p.sep[g-1] == '.' || blank && p.sep[g-1] == ' ') {
		return false
	}
	after := p.sep[to-1]
	return after != '-' && after != '.' && !(blank && after == ' ')
}
