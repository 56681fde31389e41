// SPDX-License-Identifier: Apache-2.0

package detector

import "github.com/millrace/millrace/internal/checkdigit"

const ruleIBAN = "iban"

// maxIBAN is the length of the longest IBAN, minIBAN that of the shortest.
const (
	minIBAN = 15
	maxIBAN = 34
)

// iban finds an IBAN that begins at start, two letters and two digits, in one word or in groups, by blanks or hyphens.
func (s *scanner) iban(start int) int {
	text := s.text
	var buf [maxIBAN]byte
	n := 0
	i := start
	for i < len(text) && n < maxIBAN {
		c := text[i]
		if isAlnum(c) {
			if c >= 'a' {
				c &^= 0x20
			}
			buf[n] = c
			n++
			i++
			if n >= minIBAN && (i == len(text) || !isAlnum(text[i]) && text[i] != '_') {
				if checkdigit.IBAN(string(buf[:n])) {
					return s.ibanFound(start, i)
				}
			}
			continue
		}
		switch {
		case n < 4:
			return 0
		case c == ' ' || c == '-':
			i++
		case c == 0xC2 && i+1 < len(text) && text[i+1] == 0xA0:
			i += 2
		case c == 0xE2 && i+2 < len(text) && text[i+1] == 0x80 && text[i+2] == 0xAF:
			i += 3
		default:
			return 0
		}
		if i == len(text) || !isAlnum(text[i]) {
			return 0
		}
	}
	return 0
}

func (s *scanner) ibanFound(start, end int) int {
	if s.hint&hintIBAN == 0 && s.hint&hintInnocent != 0 {
		return 0
	}
	return s.emit(start, end, IBAN, ruleIBAN)
}

// countryAndCheck says that two letters and two digits stand at i.
func countryAndCheck(text string, i int) bool {
	return i+minIBAN <= len(text) && isLetter(text[i]) && isLetter(text[i+1]) && isDigit(text[i+2]) && isDigit(text[i+3])
}
