// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/checkdigit"
)

const (
	rulePhoneInternational = "phone_international"
	rulePhoneNational      = "phone_national"
	rulePhoneKeyword       = "phone_keyword"
)

// maxPhone is the number of digits of the longest number with its prefixes.
const maxPhone = 17

// phone finds a phone number that begins at group g.
func (s *scanner) phone(p *phrase, g int) int {
	text := s.text
	start := p.from(g)
	if plus := s.plus(start); plus > 0 && g == 0 {
		if s.hint&(hintNumber|hintTime|hintVersion) != 0 {
			return 0
		}
		return s.international(p, g, start-plus, 0)
	}
	n := p.size(g)
	if n > 15 || s.hint&(hintNumber|hintTime|hintVersion) != 0 && s.hint&hintPhone == 0 {
		return 0
	}
	calls := s.calls(p, g)
	if n >= 2 && text[start] == '0' && text[start+1] == '0' && (g == 0 || p.sep[g-1] == '/' || p.sep[g-1] == 'm') && (calls || p.sep[g] != 0 && !fours(p, g)) && s.hint&hintInnocent == 0 {
		if to := s.international(p, g, start, 2); to > 0 {
			return to
		}
	}
	if !calls {
		if s.hint&hintInnocent != 0 || p.sep[g] == 0 || s.between(start) || s.series(start) || s.partOf(start) {
			return 0
		}
	}
	if to := s.national(p, g, calls); to > 0 {
		return to
	}
	if calls {
		return s.called(p, g)
	}
	return 0
}

// calls says that the key, the nearest telling word before group g, or one in parentheses behind it announces a phone number.
func (s *scanner) calls(p *phrase, g int) bool {
	if s.hint&hintPhone != 0 {
		return true
	}
	start := p.from(g)
	if s.hint&hintInnocent&^hintIdentifier != 0 {
		return false
	}
	if g == 0 && p.glued {
		// "Tel-0123…", but not "ORD-7051…" after whatever word.
		h, _ := s.wordBefore(start, max(0, start-contextBytes))
		return h&hintPhone != 0
	}
	if s.near(start)&hintPhone != 0 {
		return true
	}
	end := p.to(p.n - 1)
	if s.nearHint != 0 || end+2 >= len(s.text) || s.text[end] != ' ' || s.text[end+1] != '(' {
		return false
	}
	h, _ := s.wordAt(end + 2)
	return h&hintPhone != 0
}

// partOf says that what is joined to start, without a blank, is neither a word nor a number: "fc:01", "-0500", "0x01".
func (s *scanner) partOf(start int) bool {
	if start < 1 {
		return false
	}
	switch s.text[start-1] {
	case ':':
		return start > 1 && isAlnum(s.text[start-2])
	case '-':
		return s.signed(start)
	}
	return false
}

// minShort is the number of digits of the shortest numbers that are looked for, in small countries.
const minShort = 5

// short finds a number of five or six digits, which only a phone's key makes one, where it is all of the text, or its word directly before.
func (s *scanner) short(p *phrase, g int) int {
	start, last := p.from(g), p.n-1
	end := p.to(last)
	if p.tail || g == 0 && p.glued || g > 0 && p.sep[g-1] != 0 {
		return 0
	}
	if s.hint&hintPhone != 0 {
		if start > 1 || end+1 < len(s.text) {
			return 0
		}
	} else if !s.told(start) || s.decimal(end) || s.unit(end) {
		return 0
	}
	return s.emit(start, end, Phone, rulePhoneKeyword)
}

// told says that a telephone's noun stands directly before start, with nothing between but what joins the two: "Tel: 211234", "my
// phone number is 31234".
func (s *scanner) told(start int) bool {
	if s.hint&hintPhone != 0 {
		return true
	}
	if start < 3 || !s.wants(hintPhone) || s.hint&hintInnocent != 0 {
		return false
	}
	switch c := s.text[start-1]; c {
	case ' ', ':', '=', '"', '.':
	default:
		if c < utf8.RuneSelf {
			return false
		}
	}
	low := max(0, start-contextBytes)
	i := start
	for range 3 {
		h, word := s.wordBefore(i, low)
		if word < 0 {
			return false
		}
		if h&hintMeaning != 0 {
			return h&hintPhone != 0 && h&hintInText == 0 && len(firstWord(s.text[word:i])) > 2 // "HP = 32773"
		}
		if h&hintNeutral == 0 && !copula(s.text[word:i]) {
			return false
		}
		i = word
	}
	return false
}

// firstWord is text up to the first blank or sign.
func firstWord(text string) string {
	n := 0
	for n < len(text) && (isLetter(text[n]) || text[n] >= utf8.RuneSelf) {
		n++
	}
	return text[:n]
}

// copula says that a word with what stands behind it joins a noun to what it is.
func copula(word string) bool {
	switch firstWord(word) {
	case "is", "ist", "es", "est", "é", "è", "je", "jest", "är", "er", "on", "este", "là", "это", "は", "是", "입니다":
		return true
	}
	return false
}

// between says that what stands directly before start makes the number another thing: an amount's currency, a part of a time.
func (s *scanner) between(start int) bool {
	if start == 0 {
		return false
	}
	text := s.text
	switch text[start-1] {
	case '$', '#', '%', '~', '*', '^':
		return true
	case ':':
		return start > 1 && isDigit(text[start-2])
	case 0xA3, 0xA5: // £, ¥
		return start > 1 && text[start-2] == 0xC2
	case 0xAC: // €
		return start > 2 && text[start-2] == 0x82 && text[start-3] == 0xE2
	}
	return false
}

// series says that the word before start ends in a digit and has letters: "AA1 01 2345". Were it a number, it would be of the phrase.
func (s *scanner) series(start int) bool {
	text := s.text
	if start < 3 || text[start-1] != ' ' || !isDigit(text[start-2]) || start-2 < s.floor {
		return false
	}
	i := start - 2
	for i > 0 && start-i < 16 && isDigit(text[i-1]) {
		i--
	}
	return i > 0 && isLetter(text[i-1])
}

// plus is the length of the '+' before start, URL-encoded too, or 0. A letter or digit before it makes it another sign: "UTC+2".
func (s *scanner) plus(start int) int {
	text := s.text
	n := 0
	switch {
	case start >= 1 && text[start-1] == '+':
		n = 1
	case start >= 2 && text[start-1] == '(' && text[start-2] == '+':
		n = 2
	case start >= 3 && text[start-3] == '%' && text[start-2] == '2' && text[start-1]|0x20 == 'b':
		return 3
	default:
		return 0
	}
	if at := start - n; at > 0 && (isAlnum(text[at-1]) || text[at-1] == '+' || at < s.floor) {
		return 0
	}
	return n
}

// international finds a number after '+' or "00", whose first prefix digits are that prefix, and which begins at start.
func (s *scanner) international(p *phrase, g, start, prefix int) int {
	var buf [maxPhone]byte
	digits := buf[:0]
	ends := [reach]int{} // the group after which digits has so many digits
	sizes := [reach]int{}
	count := 0
	for k := g; k < p.n && count < reach; k++ {
		if k > g && p.size(k) == 1 && s.text[p.start[k]] == '0' && p.sep[k-1] == '(' && p.sep[k] == ')' {
			continue // "+49 (0) 151": dialled at home only
		}
		if len(digits)+p.size(k) > maxPhone {
			break
		}
		digits = append(digits, s.text[p.start[k]:p.end[k]]...)
		sizes[count], ends[count] = len(digits), k+1
		count++
		if p.sep[k] == 0 {
			break
		}
	}
	for count--; count >= 0; count-- {
		if d := digits[:sizes[count]]; len(d) > prefix && checkdigit.InternationalPhone(string(d[prefix:])) {
			end := p.to(ends[count] - 1)
			if ends[count] == p.n && p.tail {
				continue
			}
			end = s.extended(end)
			if start > s.floor && s.text[start-1] == '(' && s.closes(start, end) {
				start--
			}
			return s.emit(start, end, Phone, rulePhoneInternational)
		}
	}
	return 0
}

// closes says that a parenthesis that is open at start is closed before end.
func (s *scanner) closes(start, end int) bool {
	for i := start; i < end; i++ {
		switch s.text[i] {
		case '(':
			return false
		case ')':
			return true
		}
	}
	return false
}

// extended is where a number that ends at end goes on to: behind its extension, "x12", " ext. 345".
func (s *scanner) extended(end int) int {
	text := s.text
	if end == len(text) {
		return end
	}
	if stop := extension(text, end); stop > 0 {
		return stop
	}
	i := end
	if text[i] == ',' {
		i++
	}
	if i < len(text) && text[i] == ' ' {
		i++
	}
	word := i
	for i < len(text) && i-word < 10 && isLetter(text[i]) {
		i++
	}
	if i == word || !foldEqual(text[word:i], "x") && !foldEqual(text[word:i], "ext") && !foldEqual(text[word:i], "extn") && !foldEqual(text[word:i], "extension") && !foldEqual(text[word:i], "poste") {
		return end
	}
	for n := 0; i < len(text) && n < 2 && (text[i] == '.' || text[i] == ' ' || text[i] == ':'); n++ {
		i++
	}
	digit := i
	for i < len(text) && isDigit(text[i]) && i-digit <= maxExtension {
		i++
	}
	if n := i - digit; n == 0 || n > maxExtension || i < len(text) && classOf[text[i]]&(bitLetter|bitUnder) != 0 {
		return end
	}
	return i
}

// unit says that a currency or a unit follows end.
func (s *scanner) unit(end int) bool {
	text := s.text
	if end < len(text) && (text[end] == ' ' || text[end] == 0xC2) {
		end++
		if text[end-1] == 0xC2 && end < len(text) {
			end++
		}
	}
	if end >= len(text) {
		return false
	}
	switch c := text[end]; {
	case c == '$' || c == '%':
		return true
	case c < utf8.RuneSelf && !isLetter(c):
		return false
	}
	switch r, _ := utf8.DecodeRuneInString(text[end:]); r {
	case '€', '£', '¥', '₽', '₺', '₴', '₹', '₩', '₫', '฿', '円', '元', '원', '圓', '个', '個', '件', '°':
		return true
	}
	stop := end
	for stop < len(text) && stop-end < maxWord {
		if isLetter(text[stop]) {
			stop++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[stop:])
		if text[stop] < utf8.RuneSelf || !unicode.IsLetter(r) {
			break
		}
		stop += n
	}
	s.steps += stop - end
	if stop == end || stop-end >= maxWord {
		return false
	}
	var buf [maxWord]byte
	word := lowerUTF8(&buf, text[end:stop])
	return unitWords[string(word)] || wordHint(word, hintInText)&hintNumber != 0
}

// called finds a number of whatever groups after a word or a key that announces one.
func (s *scanner) called(p *phrase, g int) int {
	text := s.text
	var buf [15]byte
	digits := buf[:0]
	best, plausible := 0, 0
	for k := g; k < p.n && k-g < reach; k++ {
		if len(digits)+p.size(k) > len(buf) {
			break
		}
		digits = append(digits, s.text[p.start[k]:p.end[k]]...)
		if n := len(digits); n >= 7 && !(k+1 == p.n && p.tail) {
			best = k + 1
			if checkdigit.NationalPhone("", string(digits)) || checkdigit.InternationalPhone(string(digits)) {
				plausible = k + 1
			}
		}
		if p.sep[k] == 0 || p.sep[k] == 'm' {
			break
		}
	}
	if plausible > 0 {
		best = plausible
	}
	if best-g == 4 && p.sep[g] == '.' && s.octets(p, g, best) && (p.size(g) != 2 || p.size(g+1) != 2 || p.size(g+2) != 2) {
		return 0 // a netmask
	}
	if best-g == 2 && p.size(g) == 5 && p.sep[g] == '-' && p.size(g+1) <= 4 {
		return 0 // a postcode
	}
	if best == 0 || s.decimal(p.to(best-1)) || s.between(p.from(g)) {
		return 0
	}
	start, end := p.from(g), p.to(best-1)
	if s.hint&hintPhone == 0 {
		// "The call took 12345678 ns": a word in a text is less than a key.
		n := end - start
		if n == 8 && best-g == 1 && isDay(number(text[start:start+4]), number(text[start+4:start+6]), number(text[start+6:end])) {
			return 0
		}
		if plausible == 0 && best-g == 1 && (n < 9 || n > 11) && !(n < 9 && s.told(start)) || s.unit(end) {
			return 0
		}
	}
	if start > s.floor && s.text[start-1] == '(' && s.closes(start, end) {
		start--
	}
	return s.emit(start, s.extended(end), Phone, rulePhoneKeyword)
}
