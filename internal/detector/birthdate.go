// SPDX-License-Identifier: Apache-2.0

package detector

const ruleBirth = "birth_date"

// date says how many groups from g on are a date, or 0, and finds it where it is one of birth.
func (s *scanner) date(p *phrase, g int) (to, groups int) {
	if p.n-g < 3 || p.sep[g] != p.sep[g+1] {
		return 0, 0
	}
	switch p.sep[g] {
	case '-', '/', '.', ' ':
	default:
		return 0, 0
	}
	if p.sep[g+2] == p.sep[g] && p.sep[g] != ' ' || g > 0 && p.sep[g-1] == p.sep[g] && p.sep[g] != ' ' {
		return 0, 0
	}
	if p.sep[g] == ' ' && p.size(g) != 4 && p.size(g+2) != 4 {
		return 0, 0
	}
	a, b, c := p.size(g), p.size(g+1), p.size(g+2)
	text := s.text
	num := func(k int) int { return number(text[p.start[k]:p.end[k]]) }
	ok := false
	switch {
	case a == 4 && b <= 2 && c <= 2:
		ok = isDay(num(g), num(g+1), num(g+2))
	case a <= 2 && b <= 2 && (c == 4 || c == 2):
		y := num(g + 2)
		if c == 2 {
			y += 2000
		}
		ok = isDay(y, num(g+1), num(g)) || isDay(y, num(g), num(g+1))
	}
	if !ok {
		return 0, 0
	}
	if s.wants(hintBirth) && !(c == 2 && a != 4 && p.sep[g] == ' ') {
		if to := s.birth(p.from(g), p.to(g+2)); to > 0 {
			return to, 3
		}
	}
	return 0, 3
}

// birth records [start, end), a date, where the key or the words before it say that it is of birth.
func (s *scanner) birth(start, end int) int {
	if s.hint&hintBirth == 0 && s.near(start)&hintBirth == 0 {
		return 0
	}
	return s.emit(start, end, BirthDate, ruleBirth)
}

// birthToken is birth for a date by ISO 8601 that begins a longer token.
func (s *scanner) birthToken(start, end int) int {
	if !isDay(number(s.text[start:start+4]), number(s.text[start+5:start+7]), number(s.text[start+8:end])) {
		return 0
	}
	return s.birth(start, end)
}

func number(digits string) int {
	n := 0
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

// isDay says whether there was or will be such a day, in years that living people and their papers have.
func isDay(year, month, day int) bool {
	if year < 1850 || year > 2150 || month < 1 || month > 12 || day < 1 {
		return false
	}
	days := int("\x1f\x1d\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"[month-1])
	return day <= days
}

func (s *scanner) dayAndMonth(start, end int) int { return 0 }
