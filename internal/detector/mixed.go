// SPDX-License-Identifier: Apache-2.0

package detector

// mixed looks at a token of letters and digits, and returns where to go on.
func (s *scanner) mixed(start, end int, all uint8) int {
	text := s.text
	for start < end && classOf[text[start]]&(bitDash|bitDot) != 0 {
		start++
	}
	last := end
	for last > start && classOf[text[last-1]]&(bitDash|bitDot) != 0 {
		last--
	}
	n := last - start
	if to := s.known(start, last, all); to > 0 {
		s.from = max(to, end)
		return s.from
	}
	if n >= 16 && all&^bitHex == 0 && (n >= minWallet+10 || !isLetter(text[start]) || !isLetter(text[start+1])) && !countryAndCheck(text, start) {
		return end // a hash, a trace's ID
	}
	if n >= minToken && s.wants(hintSecret) {
		if to := s.secret(start, last); to > 0 {
			s.from = max(to, end)
			return s.from
		}
	}
	if n >= 8 && start > 5 && text[start-1] == ' ' && s.wants(hintSecret) {
		if to := s.bearer(start); to > 0 {
			s.from = max(to, end)
			return s.from
		}
	}
	if n >= 12 && n <= 17 && all&^(bitHex|bitDash|bitDot) == 0 && s.wants(hintMAC) {
		if to := s.macToken(start, last, all); to > 0 {
			return to
		}
	}
	if n <= 11 && isDigit(text[start]) && s.wants(hintBirth) && (n <= 4 || all&bitDash != 0 && n >= 9) {
		if to := s.dayAndMonth(start); to > 0 {
			return to
		}
	}
	if n < 4 {
		return end
	}
	if n == 5 && start > 5 && text[start-1] == ' ' && isLetter(text[start-2]) && s.wants(hintNationalID) {
		if to := s.initials(start, end); to > 0 {
			s.from = max(to, end)
			return s.from
		}
	}
	to := s.words(start, end)
	s.from = max(to, end)
	return s.from
}

// known says that a token is of a form that has nothing of a person's in it, though it has much that looks alike, and returns where that ends:
// UUIDs and times by ISO 8601.
func (s *scanner) known(start, end int, all uint8) int {
	text := s.text
	n := end - start
	if all&bitDash == 0 || n < 11 {
		return 0
	}
	if n == 36 && all&^(bitHex|bitDash) == 0 && text[start+8] == '-' && text[start+13] == '-' && text[start+18] == '-' && text[start+23] == '-' {
		return end
	}
	// 2024-01-02T10, whose minutes are tokens of their own.
	if text[start+4] == '-' && text[start+7] == '-' && text[start+10]|0x20 == 't' && isDigit(text[start]) && isDigit(text[start+3]) &&
		isDigit(text[start+5]) && isDigit(text[start+6]) && isDigit(text[start+8]) && isDigit(text[start+9]) {
		if s.wants(hintBirth) && isDigit(text[start+1]) && isDigit(text[start+2]) {
			if to := s.birthToken(start, start+10); to > 0 {
				return to
			}
		}
		i := end
		for i < len(text) && i < end+20 && (isDigit(text[i]) || text[i] == ':' || text[i] == '.') {
			i++
		}
		return i
	}
	return 0
}

// words looks at the words of a token, which '_', '-' and '.' stand between, and returns where to go on.
func (s *scanner) words(start, end int) int {
	text := s.text
	ids := s.wants(hintNationalID)
	for i := start; i < end; {
		c := classOf[text[i]]
		if c&(bitDigit|bitLetter) == 0 {
			i++
			continue
		}
		word := i
		all := uint8(0)
		for i < end {
			c := classOf[text[i]]
			if c&(bitDigit|bitLetter) == 0 {
				break
			}
			all |= c
			i++
		}
		s.steps += i - word
		if all&bitDigit == 0 {
			if i-word <= 2 && ids && word == start && i+2 < end && isDigit(text[i+1]) {
				if to := s.letteredID(word, i, false); to > 0 { // X-1234567-Z
					i = max(i, to)
				}
			}
			continue
		}
		if all&bitLetter == 0 {
			var p phrase
			i = max(i, s.phrase(&p, word))
			continue
		}
		n := i - word
		if s.wants(hintIBAN) && countryAndCheck(text, word) {
			if to := s.iban(word); to > 0 {
				i = max(i, to)
				continue
			}
		}
		if n >= minWallet && s.wants(hintWallet) {
			if to := s.wallet(word, i, all); to > 0 {
				continue
			}
		}
		if ids && n < maxID {
			// A part of something longer is no ID of its own.
			joined := word > start || i+1 < end && text[i] == '_'
			if to := s.letteredID(word, i, joined); to > 0 {
				i = max(i, to)
			}
		}
	}
	return max(end, s.floor)
}
