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
		return max(to, end)
	}
	if n >= 12 && n <= 17 && all&^(bitHex|bitDash|bitDot) == 0 && s.wants(hintMAC) {
		if to := s.macToken(start, last, all); to > 0 {
			return to
		}
	}
	if n < 7 || all&(bitDash|bitDot|bitUnder) == 0 {
		return end
	}
	return s.pieces(start, end)
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
	if text[start+4] == '-' && text[start+7] == '-' && text[start+10]|0x20 == 't' && s.hint&hintBirth == 0 &&
		isDigit(text[start]) && isDigit(text[start+3]) && isDigit(text[start+5]) && isDigit(text[start+9]) {
		if s.wants(hintBirth) {
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

// pieces looks at the numbers that stand between letters, '_', '-' and '.' in a token.
func (s *scanner) pieces(start, end int) int {
	text := s.text
	for i := start; i < end; {
		if !isDigit(text[i]) || i > start && (isAlnum(text[i-1])) {
			i++
			continue
		}
		j := i
		for j < end && isDigit(text[j]) {
			j++
		}
		if j < end && classOf[text[j]]&(bitLetter|bitUnder) != 0 && text[j] != '_' {
			i = j
			continue
		}
		var p phrase
		to := s.phrase(&p, i)
		i = max(to, j)
	}
	return max(end, s.floor)
}
