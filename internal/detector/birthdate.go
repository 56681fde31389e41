// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"strings"
	"unicode/utf8"
)

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
	if s.hint&hintBirth == 0 && s.near(start)&hintBirth == 0 && (s.nearHint != 0 || s.after(end, 3)&hintBirth == 0) {
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

// dayAndMonth finds a date of birth whose month is a word and whose day is the number that begins at start: "12 May 1990", "12. Mai 1990",
// "12 de mayo de 1990", "May 12th, 1990", "12-May-1990".
func (s *scanner) dayAndMonth(start int) int {
	text := s.text
	i, day := start, 0
	for i < len(text) && isDigit(text[i]) && i-start < 3 {
		day = day*10 + int(text[i]-'0')
		i++
	}
	if day < 1 || day > 31 || i-start > 2 {
		return 0
	}
	if i+1 < len(text) && isLetter(text[i]) {
		switch string([]byte{lowerByte(text[i]), lowerByte(text[i+1])}) {
		case "st", "nd", "rd", "th", "er":
			i += 2
		}
		if i < len(text) && isAlnum(text[i]) {
			return 0
		}
	}
	if i < len(text) && (text[i] == '.' || text[i] == 0xC2) {
		if text[i] == 0xC2 {
			i++ // º
		}
		i++
		if to := s.dotted(start, i, day); to > 0 {
			return to
		}
	}
	begin := start
	after := i
	for range 3 { // "12 de mayo de 1990", "12th of May"
		k := i
		for k < len(text) && (text[k] == ' ' || text[k] == '-' || text[k] == '/') && k-i < 2 {
			k++
		}
		word := k
		for k < len(text) && (isLetter(text[k]) || text[k] >= 0x80) && k-word < 24 {
			k++
		}
		s.steps += k - i
		if k == word {
			break
		}
		if k-word > 2 {
			if stop := s.year(k); stop > 0 && isMonth(text[word:k]) {
				return s.birth(begin, stop)
			}
			break
		}
		i = k
	}
	// The month before the day.
	k := start
	if k > s.floor && (text[k-1] == ' ' || text[k-1] == '-') {
		k--
	}
	if k == s.floor || !isLetter(text[k-1]) && text[k-1] < utf8.RuneSelf {
		return 0
	}
	stopYear := s.year(after)
	if stopYear == 0 {
		return 0
	}
	stop := k
	for k > s.floor && (isLetter(text[k-1]) || text[k-1] >= 0x80) && stop-k < 24 {
		k--
	}
	s.steps += stop - k
	if k == stop || !isMonth(text[k:stop]) {
		return 0
	}
	return s.birth(k, stopYear)
}

// dotted finds a date of birth with blanks behind the dots, "12. 5. 1990", whose day begins at start and whose first dot ends at i.
func (s *scanner) dotted(start, i, day int) int {
	text := s.text
	month, digits := 0, 0
	if i >= len(text) || text[i] != ' ' {
		return 0
	}
	for i++; i < len(text) && isDigit(text[i]) && digits < 3; i++ {
		month = month*10 + int(text[i]-'0')
		digits++
	}
	if digits == 0 || digits > 2 || i >= len(text) || text[i] != '.' {
		return 0
	}
	stop := s.year(i + 1)
	if stop == 0 || !isDay(number(text[stop-4:stop]), month, day) {
		return 0
	}
	return s.birth(start, stop)
}

// year is where the year ends that stands at i after blanks, a comma or "de", or 0.
func (s *scanner) year(i int) int {
	text := s.text
	for n := 0; i < len(text) && n < 6; n++ {
		switch c := text[i]; {
		case c == ' ' || c == ',' || c == '.' || c == '-' || c == '/':
			i++
			continue
		case (c == 'd' || c == 'D') && i+1 < len(text) && text[i+1]|0x20 == 'e':
			i += 2
			continue
		}
		break
	}
	if i+4 > len(text) || i+4 < len(text) && isAlnum(text[i+4]) {
		return 0
	}
	for k := range 4 {
		if !isDigit(text[i+k]) {
			return 0
		}
	}
	if y := number(text[i : i+4]); y < 1850 || y > 2150 {
		return 0
	}
	return i + 4
}

func isMonth(word string) bool {
	if len(word) < 3 || len(word) > 24 {
		return false
	}
	var buf [maxWord]byte
	return months[string(lowerUTF8(&buf, word))]
}

// months are the names of months as they stand in dates.
//
//nolint:misspell // they are of many languages
var months = func() map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(`
		january february march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec
		januar jänner februar feber märz maerz mai juni juli oktober dezember okt dez
		janvier février fevrier mars avril juin juillet août aout septembre octobre novembre décembre decembre janv févr avr juil déc
		enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre ene abr ago dic
		janeiro fevereiro março marco maio junho julho setembro outubro novembro dezembro fev set out
		gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre gen mag giu lug ott
		januari februari maart mei augustus
		augusti december marts maj
		tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta
		stycznia lutego marca kwietnia maja czerwca lipca sierpnia września wrzesnia października pazdziernika listopada grudnia
		ledna února unora března brezna dubna května kvetna června cervna července cervence srpna září rijna října listopadu prosince
		ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık
		января февраля марта апреля мая июня июля августа сентября октября ноября декабря
		január február március április május június július augusztus szeptember október november`) {
		all[w] = true
	}
	return all
}()

// cjkDate finds a date of birth in years, months and days of Chinese, Japanese and Korean, whose year is the group [start, end).
func (s *scanner) cjkDate(start, end int) int {
	i := end
	for k, units := range [...][2]string{{"年", "년"}, {"月", "월"}, {"日", "일"}} {
		if k > 0 {
			for i < len(s.text) && s.text[i] == ' ' && i-end < 16 {
				i++
			}
			digit := i
			for i < len(s.text) && isDigit(s.text[i]) && i-digit < 2 {
				i++
			}
			if i == digit {
				return 0
			}
		}
		if i+3 > len(s.text) || s.text[i:i+3] != units[0] && s.text[i:i+3] != units[1] {
			return 0
		}
		i += 3
	}
	if to := s.birth(start, i); to > 0 {
		return to
	}
	// "1990年5月12日生まれ": what says that it is of birth may stand after it.
	for _, after := range [...]string{"生", "출생", "に生"} {
		if strings.HasPrefix(s.text[i:], after) {
			return s.emit(start, i, BirthDate, ruleBirth)
		}
	}
	return 0
}
