// SPDX-License-Identifier: Apache-2.0

package detector

const (
	ruleMAC   = "mac"
	ruleEUI64 = "mac_eui64"
)

// macToken finds a MAC address in the token [start, end): 00-1A-2B-3C-4D-5E, 001a.2b3c.4d5e, and by a key or a keyword without separators.
// Where it has no letters, which lottery numbers and dates have not either, it needs that too.
func (s *scanner) macToken(start, end int, all uint8) int {
	text := s.text
	var group int
	var sep byte
	switch end - start {
	case 17:
		group, sep = 2, '-'
	case 14:
		group, sep = 4, '.'
	case 12:
		if all&(bitDash|bitDot) != 0 || s.hint&hintMAC == 0 && s.near(start)&hintMAC == 0 {
			return 0
		}
	default:
		return 0
	}
	if sep != 0 {
		for i := start; i < end; i++ {
			if at := (i - start) % (group + 1); at == group != (text[i] == sep) {
				return 0
			}
		}
	}
	if all&bitLetter == 0 && s.hint&hintMAC == 0 && s.near(start)&hintMAC == 0 || s.blankMAC(start, end) {
		return 0
	}
	return s.emit(start, end, MACAddress, ruleMAC)
}

// blankMAC says that all digits are 0, or all are f: nobody's address.
func (s *scanner) blankMAC(start, end int) bool {
	c := s.text[start] | 0x20
	if c != '0'|0x20 && c != 'f' {
		return false
	}
	for i := start; i < end; i++ {
		if isHex(s.text[i]) && s.text[i]|0x20 != c {
			return false
		}
	}
	return true
}
