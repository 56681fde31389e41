// SPDX-License-Identifier: Apache-2.0

package detector

// colon looks at what a ':' stands in: an IPv6 or MAC address, a URL, an assignment.
func (s *scanner) colon(i int) int {
	text := s.text
	if i+1 == len(text) {
		return i + 1
	}
	if i >= s.colonsTo && (text[i+1] == ':' || isHex(text[i+1])) && s.wants(hintIP|hintMAC) {
		low := max(i-maxGroup-1, s.floor)
		start := i
		for start > low && isHex(text[start-1]) {
			start--
		}
		if to := s.colons(start, i); to > 0 {
			return to
		}
	}
	return i + 1
}

func (s *scanner) assignment(i int) int { return i + 1 }
