// SPDX-License-Identifier: Apache-2.0

package detector

import "strings"

// What internal/seal makes of a failed event's value: "millrace-sealed:v1:KEY_ID:BASE64". Nothing in it is anybody's without the key.
const (
	sealedName   = "millrace-sealed"
	sealedPrefix = sealedName + ":v1:"
)

// sealed is where the sealed text ends whose first ':' is at i, or 0.
func (s *scanner) sealed(i int) int {
	start := i - len(sealedName)
	if start < 0 || s.text[i-1] != 'd' || !strings.HasPrefix(s.text[start:], sealedPrefix) {
		return 0
	}
	end := sealedEnd(s.text, start+len(sealedPrefix))
	s.steps += end - i
	s.floor, s.hard, s.from, s.colonsTo = end, end, end, end
	return end
}

// sealedEnd is where a sealed text ends whose key's ID begins at i.
func sealedEnd(text string, i int) int {
	for i < len(text) && (classOf[text[i]]&^bitDot != 0 || text[i] == ':' || text[i] == '+' || text[i] == '/' || text[i] == '=') {
		i++
	}
	return i
}

// inSealed says whether start lies within a sealed text.
func inSealed(text string, start int) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], sealedPrefix)
		if i < 0 || at+i > start {
			return false
		}
		at = sealedEnd(text, at+i+len(sealedPrefix))
		if start < at {
			return true
		}
	}
}
