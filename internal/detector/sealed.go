// SPDX-License-Identifier: Apache-2.0

package detector

import "strings"

// What internal/seal makes of a failed event's value: "millrace-sealed:v1:KEY_ID:BASE64". Nothing in it is anybody's without the key.
const (
	sealedName   = "millrace-sealed"
	sealedPrefix = sealedName + ":v1:"
)

// Bounds of its parts: an ID of up to 16 letters and digits, and base64 of at least an encapsulated key, a byte and a tag. What is shorter
// only says that it is sealed, and a sender could hide a number behind it.
const (
	maxSealedID = 16
	minSealed   = 66
)

// sealed is where the sealed text ends whose first ':' is at i, or 0.
func (s *scanner) sealed(i int) int {
	start := i - len(sealedName)
	if start < 0 || s.text[i-1] != 'd' || !strings.HasPrefix(s.text[start:], sealedPrefix) {
		return 0
	}
	end := sealedEnd(s.text, start+len(sealedPrefix))
	if end == 0 {
		s.steps += minSealed
		return 0
	}
	s.steps += end - i
	s.floor, s.hard, s.from, s.colonsTo = end, end, end, end
	return end
}

// sealedEnd is where a sealed text ends whose key's ID begins at i, or 0 where it is none.
func sealedEnd(text string, i int) int {
	id := i
	for i < len(text) && i-id <= maxSealedID && (text[i] >= 'a' && text[i] <= 'z' || text[i] >= '0' && text[i] <= '9') {
		i++
	}
	if i == id || i-id > maxSealedID || i == len(text) || text[i] != ':' {
		return 0
	}
	i++
	from := i
	for i < len(text) && isBase64(text[i]) {
		i++
	}
	if i-from < minSealed {
		return 0
	}
	return i
}

func isBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}

// inSealed says whether start lies within a sealed text.
func inSealed(text string, start int) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], sealedPrefix)
		if i < 0 || at+i > start {
			return false
		}
		at += i + len(sealedPrefix)
		if end := sealedEnd(text, at); end > 0 {
			if start < end {
				return true
			}
			at = end
		}
	}
}
