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
// for that place, with where the word begins.
func (s *scanner) near(start int) Hint {
	if s.nearAt == int32(start+1) {
		return s.nearHint
	}
	h, word := s.lookBack(start)
	s.nearAt, s.nearHint, s.nearWord = int32(start+1), h, int32(word)
	return h
}

func (s *scanner) lookBack(start int) (h Hint, word int) {
	low := max(0, start-contextBytes)
	i := start
	owner := false
	for n := range contextWords {
		if h, i = s.wordBefore(i, low); i < 0 {
			return 0, 0
		}
		if h&hintMeaning != 0 {
			if h&(hintID|hintCard) != 0 {
				// "tax id", "identity card": what makes it a person's stands before.
				if w, _ := s.wordBefore(i, low); w&(hintPerson|hintNationalID) != 0 {
					return hintNationalID, i
				}
			}
			return h & hintMeaning, i
		}
		if h&hintNeutral != 0 {
			switch w, _ := s.wordBefore(i, low); {
			case w&hintPerson != 0:
				return hintNationalID, i // "tax number", "identity no."
			case h&(hintCounted|hintCode) != 0 && (owner || w&hintOwner != 0):
				return hintIdentifier, i // "número de cliente", "customer no."
			case w&hintMine != 0 && h&hintCounted != 0:
				return hintPhone, i // "my number is"
			}
		}
		owner = owner || n == 0 && h&hintOwner != 0
	}
	return 0, 0
}

// wordBefore is what the word before i says, and where it begins: -1 where there is none, or a sentence, a line or a field ends between.
func (s *scanner) wordBefore(i, low int) (Hint, int) {
	text := s.text
	next := i
	stop := false // a '.' and a blank stand between: the end of a sentence, or of an abbreviation
gap:
	for ; i > low; i-- {
		switch c := text[i-1]; gapOf[c] {
		case gapWord:
			break gap
		case gapPlain:
			continue
		case gapWide:
			if _, n := letterBefore(text[low:i]); n > 0 {
				break gap
			}
			if sentenceEnd(text[low:i]) {
				return 0, -1
			}
			continue
		case gapEnd:
			return 0, -1
		}
		switch text[i-1] {
		case '{': // but a name before it is of what is in it: {"card":{"number":"…"}}
			if i < 3 || text[i-2] != ':' && text[i-3] != ':' {
				return 0, -1
			}
		case '&': // of a query
			if i < len(text) && isAlnum(text[i]) && i > 1 && text[i-2] != ' ' {
				return 0, -1
			}
		case ',': // of JSON, or of a quoted row
			if i < len(text) && text[i] == '"' || i+1 < len(text) && text[i] == ' ' && text[i+1] == '"' {
				return 0, -1
			}
		case '.':
			stop = stop || i < len(text) && text[i] == ' '
		}
	}
	end := i
	all := uint8(0)
	wide, foreign := false, false
	for i > low {
		c := text[i-1]
		if b := classOf[c] & (bitDigit | bitLetter); b != 0 {
			if foreign {
				break
			}
			all |= b
			i--
			continue
		}
		if c < utf8.RuneSelf {
			break
		}
		r, n := letterBefore(text[low:i])
		if n == 0 || i < end && foreign == isLatin(r) {
			break // scripts of which some have no blanks meet: "電話123", "注文ORD"
		}
		wide, foreign = true, !isLatin(r)
		i -= n
	}
	if all == bitDigit && !wide {
		// 10.0.19045 is one word.
		for i > low+1 && (isDigit(text[i-1]) || isDigit(text[i-2]) && isNumberSign(text[i-1])) {
			i--
		}
	}
	s.steps += next - i
	if i == end || i == low && low > 0 {
		return 0, -1
	}
	word := text[i:end]
	h := Hint(0)
	if wide || all&bitLetter != 0 && mayHint(word) {
		var buf [maxWord]byte
		h = wordHint(lowerUTF8(&buf, word[max(0, len(word)-maxWord):]), hintInText)
	}
	if stop && (!wide && all&bitLetter == 0 || !abbreviates(word, h) && !(short(word, 3) && i > 1 && text[i-1] == ' ' && text[i-2] == '.') || startsUpper(text[next:]) && !short(word, 4)) {
		return 0, -1
	}
	return h, i
}

// abbreviates says that a '.' behind word, which says h, ends an abbreviation rather than a sentence, so that what follows is what
// the word says: "Tel. 0123…", "ref. 0123…", but not "… lost my order. 0123…". Others are abbreviations where one stands before them: "tel. kom.".
func abbreviates(word string, h Hint) bool {
	switch {
	case h&hintClasses != 0:
		return true
	case h&(hintNeutral|hintPerson) != 0:
		return short(word, 4)
	case h&hintInnocent == 0:
		return short(word, 1)
	}
	return foldEqual(word, "ref") || foldEqual(word, "art") || foldEqual(word, "ver") || foldEqual(word, "rev")
}

// What a byte between words is: of a word, nothing, of a character beyond ASCII, the end of what belongs together, or one of those that
// it depends on.
const (
	gapPlain = iota
	gapWord
	gapWide
	gapEnd
	gapDepends
)

var gapOf = func() (of [256]uint8) {
	for c := range of {
		switch {
		case classOf[c]&(bitDigit|bitLetter) != 0:
			of[c] = gapWord
		case c >= utf8.RuneSelf:
			of[c] = gapWide
		}
	}
	for _, c := range "\n;|?!" {
		of[c] = gapEnd
	}
	for _, c := range "{&,." {
		of[c] = gapDepends
	}
	return of
}()

// isLatin says that r, a letter or mark beyond ASCII, is of the Latin script.
func isLatin(r rune) bool { return r < 0x370 || r >= 0x1E00 && r < 0x1F00 }

// isNumberSign says that c stands between digits of one number, date or time.
func isNumberSign(c byte) bool {
	switch c {
	case '.', ',', ':', '-', '/':
		return true
	}
	return false
}

// short says that word has at most n characters, as abbreviations have.
func short(word string, n int) bool {
	return len(word) <= n || len(word) <= n*utf8.UTFMax && utf8.RuneCountInString(word) <= n
}

// startsUpper says that text begins with a capital, as a sentence does.
func startsUpper(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.IsUpper(r)
}

// sentenceEnd says that text ends with a full stop, or another end of a sentence, of a script that has its own.
func sentenceEnd(text string) bool {
	if len(text) < 3 {
		return false
	}
	switch text[len(text)-3:] {
	case "。", "！", "？", "；", "।":
		return true
	}
	return false
}

// after is what the first telling word of the next words after end says, before anything but blanks: "am 12.9.2004 geboren".
func (s *scanner) after(end, words int) Hint {
	i := end
	for range words {
		blanks := i
		for i < len(s.text) && s.text[i] == ' ' && i-blanks < 2 {
			i++
		}
		if i == blanks && (i == len(s.text) || s.text[i] < utf8.RuneSelf) {
			return 0
		}
		h, next := s.wordAt(i)
		if next == i || h&hintMeaning != 0 {
			return h & hintMeaning
		}
		i = next
	}
	return 0
}

// wordAt is what the word that begins at i says, and where it ends: i where there is none.
func (s *scanner) wordAt(i int) (Hint, int) {
	text := s.text
	start, wide := i, false
	for i < len(text) && i-start < maxWord {
		if isLetter(text[i]) {
			i++
			continue
		}
		if text[i] < utf8.RuneSelf {
			break
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if !unicode.IsLetter(r) && !unicode.IsMark(r) {
			break
		}
		wide = true
		i += n
	}
	s.steps += i - start
	if i == start || i-start >= maxWord {
		return 0, start
	}
	if !wide && !mayHint(text[start:i]) {
		return 0, i
	}
	var buf [maxWord]byte
	return wordHint(lowerUTF8(&buf, text[start:i]), hintInText), i
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
	if n > minStem && stemFilter[first][word[1]&31]>>(word[2]&31)&1 == 1 {
		return true
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

// letterBefore is the letter or mark beyond ASCII that text ends with, and its length, or 0.
func letterBefore(text string) (r rune, n int) {
	r, n = utf8.DecodeLastRuneInString(text)
	if r >= utf8.RuneSelf && r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r)) {
		return r, n
	}
	return r, 0
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

// surroundings are what stands around a place, in lower case, for keywords of several words. They are read when they are first asked for.
type surroundings struct {
	read          bool
	before, after [contextBytes + 8]byte
	nb, na        int
	told          int // a keyword before the place ends behind this, or another word is nearer
}

// afterBytes is how far what follows a value is looked at.
const afterBytes = 24

func (s *scanner) surround(c *surroundings, start, end int) {
	c.read = true
	text := s.text
	low := max(0, start-contextBytes)
	for i := start; i > low; i-- {
		if text[i-1] == '\n' {
			low = i
		}
	}
	c.nb = lowerInto(c.before[:], text[low:start])
	if s.near(start)&^hintNationalID != 0 && s.nearHint&hintNationalID == 0 && int(s.nearWord) > low {
		// In bytes of what may have changed its length in lower case: by next to nothing.
		c.told = int(s.nearWord) - low
	}
	stop := end
	for stop < len(text) && stop-end < afterBytes {
		if b := text[stop]; b == '\n' || b == ';' || b == ',' || isDigit(b) {
			break
		}
		stop++
	}
	c.na = lowerInto(c.after[:], text[end:stop])
	s.steps += start - low + stop - end
}

// lowerInto writes text in lower case into buf, as much as there is room for.
func lowerInto(buf []byte, text string) int {
	n := 0
	for i := 0; i < len(text) && n+utf8.UTFMax <= len(buf); {
		if b := text[i]; b < utf8.RuneSelf {
			buf[n] = lowerByte(b)
			n++
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		if r == utf8.RuneError {
			r = '?'
		}
		n += utf8.EncodeRune(buf[n:], unicode.ToLower(r))
	}
	return n
}

// beside says whether one of keywords, in lower case, stands before the place as a word of its own, and no other telling word nearer to it.
func (c *surroundings) beside(keywords []string) bool {
	for _, k := range keywords {
		if containsWord(c.before[:c.nb], k, c.told) {
			return true
		}
	}
	return false
}

// named says whether one of keywords, in lower case, follows the place closely: "1234 (CPF)".
func (c *surroundings) named(keywords []string) bool {
	for _, k := range keywords {
		if containsWord(c.after[:c.na], k, 0) {
			return true
		}
	}
	return false
}

// containsWord says whether word stands in text with no letter or digit on either side, and ends behind least.
func containsWord(text []byte, word string, least int) bool {
	n := len(word)
	for i := max(0, least-n); i+n <= len(text); i++ {
		at := bytes.IndexByte(text[i:len(text)-n+1], word[0])
		if at < 0 {
			return false
		}
		i += at
		end := i + n
		// A letter beyond ASCII may stand before: scripts without blanks.
		if end > least && string(text[i:end]) == word && (i == 0 || classOf[text[i-1]]&(bitDigit|bitLetter) == 0) && (end == len(text) || classOf[text[end]]&bitLetter == 0) {
			return true
		}
	}
	return false
}
