// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// What stands before a value is looked at as far as this.
const (
	contextBytes = 64
	contextWords = 6
)

// near is what the nearest telling word before start says. It is asked only of what would be found if a word said so, and kept
// for that place.
func (s *scanner) near(start int) Hint {
	if s.nearAt == start+1 {
		return s.nearHint
	}
	h := s.lookBack(start)
	s.nearAt, s.nearHint = start+1, h
	return h
}

func (s *scanner) lookBack(start int) Hint {
	low := max(0, start-contextBytes)
	i := start
	for range contextWords {
		var h Hint
		if h, i = s.wordBefore(i, low); i < 0 {
			return 0
		}
		if h&hintMeaning != 0 {
			if h&hintID != 0 {
				// "tax id", "national id": what makes it a person's stands before.
				if w, _ := s.wordBefore(i, low); w&(hintPerson|hintNationalID) != 0 {
					return hintNationalID
				}
			}
			return h & hintMeaning
		}
		if h&hintNeutral != 0 {
			switch w, _ := s.wordBefore(i, low); {
			case w&hintPerson != 0:
				return hintNationalID // "tax number", "identity no."
			case w&hintMine != 0 && h&hintCounted != 0:
				return hintPhone // "my number is"
			}
		}
	}
	return 0
}

// wordBefore is what the word before i says, and where it begins: -1 where there is none, or a sentence or a line ends between.
func (s *scanner) wordBefore(i, low int) (Hint, int) {
	text := s.text
	for ; i > low; i-- {
		c := text[i-1]
		if classOf[c]&(bitDigit|bitLetter) != 0 || c >= utf8.RuneSelf && wordRuneBefore(text[low:i]) > 0 {
			break
		}
		switch c {
		case '\n', ';', '|', '?', '!':
			return 0, -1
		}
	}
	end := i
	all := uint8(0)
	wide := false
	for i > low {
		c := text[i-1]
		if b := classOf[c] & (bitDigit | bitLetter); b != 0 {
			all |= b
			i--
			continue
		}
		if c < utf8.RuneSelf {
			break
		}
		n := wordRuneBefore(text[low:i])
		if n == 0 {
			break
		}
		wide = true
		i -= n
	}
	s.steps += end - i
	if i == end || i == low && low > 0 {
		return 0, -1
	}
	word := text[i:end]
	if !wide && (all&bitLetter == 0 || !mayHint(word)) {
		return 0, i
	}
	var buf [maxWord]byte
	return wordHint(lowerUTF8(&buf, word[max(0, len(word)-maxWord):]), hintInText), i
}

// mayHint is false for most words of ASCII that wordHint would answer 0 for: those of which no known word has the length and the first
// and last letter, and that do not end as words that are run together do.
func mayHint(word string) bool {
	n := len(word)
	first, last := word[0]&31, word[n-1]&31
	if hintFilter[first][last]>>min(n, 31)&1 == 1 {
		return true
	}
	if n < 4 {
		return false
	}
	switch last {
	case 'r' & 31:
		before := word[n-2] | 0x20
		return before == 'e' || before == 'n'
	case 's' & 31, 'e' & 31: // address, adresse
		return word[n-2]|0x20 == 's'
	case 'o' & 31:
		return word[n-2]|0x20 == 'n'
	case 'd' & 31:
		return word[n-2]|0x20 == 'i'
	}
	return false
}

// hintFilter has bit n of [first][last] for the words of hintWords with n bytes, whose first and last letters are these.
var hintFilter = func() (filter [32][32]uint32) {
	for w := range hintWords {
		filter[w[0]&31][w[len(w)-1]&31] |= 1 << min(len(w), 31)
	}
	return filter
}()

// wordRuneBefore is the length of the letter or digit that text ends with, or 0.
func wordRuneBefore(text string) int {
	c := text[len(text)-1]
	if c < utf8.RuneSelf {
		if classOf[c]&(bitDigit|bitLetter) != 0 {
			return 1
		}
		return 0
	}
	r, n := utf8.DecodeLastRuneInString(text)
	if unicode.IsLetter(r) || unicode.IsMark(r) {
		return n
	}
	return 0
}

// lowerUTF8 is text in lower case, as much of it as goes into buf.
func lowerUTF8(buf *[maxWord]byte, text string) []byte {
	word := buf[:0]
	for _, r := range text {
		if len(word)+utf8.UTFMax > len(buf) {
			break
		}
		word = utf8.AppendRune(word, unicode.ToLower(r))
	}
	return word
}

// beside says whether one of keywords, in lower case, stands as a word of its own in what is before start.
func (s *scanner) beside(start int, keywords []string) bool {
	low := max(0, start-contextBytes)
	if low == start {
		return false
	}
	var buf [contextBytes]byte
	n := 0
	for i := low; i < start; i++ {
		buf[n] = lowerByte(s.text[i])
		n++
	}
	s.steps += n
	for _, k := range keywords {
		if containsWord(buf[:n], k) {
			return true
		}
	}
	return false
}

// named says whether one of keywords, in lower case, follows end closely: "1234 (CPF)".
func (s *scanner) named(end int, keywords []string) bool {
	const window = 24
	high := min(len(s.text), end+window)
	if high == end {
		return false
	}
	var buf [window]byte
	n := 0
	for i := end; i < high; i++ {
		c := s.text[i]
		if c == '\n' || c == ';' || c == ',' || isDigit(c) {
			break
		}
		buf[n] = lowerByte(c)
		n++
	}
	s.steps += n
	for _, k := range keywords {
		if n >= len(k) && containsWord(buf[:n], k) {
			return true
		}
	}
	return false
}

// containsWord says whether word stands in text with no letter or digit on either side.
func containsWord(text []byte, word string) bool {
	n := len(word)
	for i := 0; i+n <= len(text); i++ {
		at := bytes.IndexByte(text[i:len(text)-n+1], word[0])
		if at < 0 {
			return false
		}
		i += at
		end := i + n
		// A letter beyond ASCII may stand before: scripts without blanks.
		if string(text[i:end]) == word && (i == 0 || classOf[text[i-1]]&(bitDigit|bitLetter) == 0) && (end == len(text) || classOf[text[end]]&bitLetter == 0) {
			return true
		}
	}
	return false
}
