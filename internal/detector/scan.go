// SPDX-License-Identifier: Apache-2.0

package detector

import "math/bits"

// What a byte is, as bits that are gathered over a token.
const (
	bitDigit    = 1 << iota
	bitHexLower // a to f
	bitHexUpper // A to F
	bitLower    // g to z
	bitUpper    // G to Z
	bitUnder
	bitDash
	bitDot

	bitLetter = bitHexLower | bitHexUpper | bitLower | bitUpper
	bitHex    = bitDigit | bitHexLower | bitHexUpper
)

// classOf is 0 for bytes that no token has.
var classOf = func() (of [256]uint8) {
	for c := range 256 {
		switch {
		case c >= '0' && c <= '9':
			of[c] = bitDigit
		case c >= 'a' && c <= 'f':
			of[c] = bitHexLower
		case c >= 'A' && c <= 'F':
			of[c] = bitHexUpper
		case c >= 'g' && c <= 'z':
			of[c] = bitLower
		case c >= 'G' && c <= 'Z':
			of[c] = bitUpper
		}
	}
	of['_'], of['-'], of['.'] = bitUnder, bitDash, bitDot
	return of
}()

func isDigit(c byte) bool  { return c-'0' < 10 }
func isLetter(c byte) bool { return c|0x20-'a' < 26 }
func isAlnum(c byte) bool  { return isDigit(c) || isLetter(c) }
func isHex(c byte) bool    { return classOf[c]&bitHex != 0 }

const (
	eachLow  = 0x7f7f7f7f7f7f7f7f
	eachHigh = 0x8080808080808080
	each     = 0x0101010101010101
)

// load is the eight bytes of text from i on. The compiler makes one load of it.
func load(text string, i int) uint64 {
	t := text[i : i+8]
	return uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
		uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
}

// triggers has the high bit of each byte of x that lies within '0' to '@', and nothing else. All that is found by value has
// a digit, a ':', a '=' or an '@': they lie beside one another, and ';<>?' between them are rare enough.
func triggers(x uint64) uint64 {
	low := x & eachLow
	return (low + (0x80-'0')*each) &^ (low + (0x7f-'@')*each) &^ x & eachHigh
}

// next is the place of the first byte of text from i on that something can be found at, or len(text).
func next(text string, i int) int {
	n := len(text)
	for ; i+8 <= n; i += 8 {
		if m := triggers(load(text, i)); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	if i < n && n >= 8 {
		// The rest is looked at as the end of the last eight bytes.
		if m := triggers(load(text, n-8)) >> (8 * uint(8-(n-i))); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		return n
	}
	for ; i < n; i++ {
		if c := text[i]; c >= '0' && c <= '@' {
			return i
		}
	}
	return n
}

// scanner is one call of Find. It lives on the stack.
type scanner struct {
	d    *Detector
	text string
	hint Hint
	out  []Finding
	base int // out[:base] is the caller's
	// floor is where the last finding, or what is masked already, ends. Nothing reaches back over it, but for an e-mail address, which takes
	// the place of what was found within it.
	floor int
	// hard is where the last finding, or masked text, ends that not even an e-mail address reaches over.
	hard int
	// from is where the next token may begin at the earliest: after what is URL-encoded before it.
	from int
	// tokenEnd is where the last token ends, and tokenAll what bytes it has.
	tokenEnd int
	tokenAll uint8
	// colonsTo is where the last run of hexadecimal groups with colons ends: it has been judged as a whole.
	colonsTo int

	nearAt   int32 // the place that nearHint is of, plus one
	nearWord int32 // where the word begins that says it
	nearHint Hint

	// steps counts bytes that were looked at other than by next. Tests hold it to be linear.
	steps int
}

func (s *scanner) scan(i int) {
	text := s.text
	pem := len(text) + 1
	if len(text) >= minPrivateKey && s.wants(hintSecret) {
		pem = privateKeyAfter(text, 0)
	}
	for i < len(text) {
		if i >= pem {
			i = s.privateKey(pem)
			pem = privateKeyAfter(text, i)
			i = next(text, i)
			continue
		}
		switch c := text[i]; {
		case c <= '9':
			i = s.token(i)
		case c == '@':
			i = s.at(i, i+1)
		case c == ':':
			if to := s.sealed(i); to > 0 {
				i = to
			} else {
				i = s.colon(i)
			}
		case c == '=':
			i = s.assignment(i)
		default:
			i++
		}
		s.steps++
		i = next(text, i)
	}
}

// emit records [start, end) and returns where to go on.
func (s *scanner) emit(start, end int, class Class, rule string) int {
	if masked := s.masked(start); masked > 0 {
		s.floor, s.hard = start+masked, start+masked
		return max(start+masked, end)
	}
	for len(s.out) > s.base && s.out[len(s.out)-1].End > start {
		s.out = s.out[:len(s.out)-1]
	}
	s.out = append(s.out, Finding{Start: start, End: end, Class: class, Rule: rule})
	s.floor = end
	if class == Email || class == Password || class == Secret {
		s.hard = end
	}
	return end
}

// masked is the length of what is masked already at start, the beginning of a word, or 0.
func (s *scanner) masked(start int) int {
	if s.d.skip == nil {
		return 0
	}
	text := s.text[start:]
	for i := range min(3, len(text)) {
		if text[i] == '_' {
			return min(max(0, s.d.skip(text)), len(text))
		}
	}
	return 0
}

// wants says whether one of classes is looked for.
func (s *scanner) wants(classes Hint) bool { return s.d.on&classes != 0 }

// token looks at the token that the digit at i stands in: letters, digits, '_', '-' and '.', nothing else.
func (s *scanner) token(i int) int {
	text := s.text
	start := i
	all := uint8(0)
	low := max(s.floor, s.from)
	for start > low {
		c := classOf[text[start-1]]
		if c == 0 {
			break
		}
		all |= c
		start--
	}
	end := i
	if i < s.tokenEnd {
		// The rest of a token that was too long to be looked at in one go.
		all |= s.tokenAll
		end = s.tokenEnd
		s.steps += i - start
	} else {
		for end+4 <= len(text) { // four at a time: tokens are the most of what is looked at
			t := text[end : end+4]
			a, b, c, d := classOf[t[0]], classOf[t[1]], classOf[t[2]], classOf[t[3]]
			if a == 0 || b == 0 || c == 0 || d == 0 {
				break
			}
			all |= a | b | c | d
			end += 4
		}
		for end < len(text) {
			c := classOf[text[end]]
			if c == 0 {
				break
			}
			all |= c
			end++
		}
		s.tokenAll, s.tokenEnd = all, end
		s.steps += end - start
	}

	if start > low && text[start-1] == '%' && end-start >= 2 && isHex(text[start]) && isHex(text[start+1]) {
		// URL encoding: what comes after it begins a token of its own.
		if text[start] == '4' && text[start+1] == '0' {
			return s.at(start-1, start+2)
		}
		s.from = start + 2
		return start + 2
	}
	if end < len(text) && text[end] == ':' && start >= s.colonsTo {
		if to := s.colons(start, end); to > 0 {
			return to
		}
	}
	if all&bitUnder != 0 && s.d.skip != nil {
		if to := s.maskedWithin(start, end); to > 0 {
			s.floor, s.hard = to, to
			return to
		}
	}
	if end < len(text) && text[end] == ':' && end-start >= 8 && s.wants(hintSecret) {
		if to := s.telegram(start, end); to > 0 {
			return to
		}
	}
	if all&(bitLetter|bitUnder) == 0 {
		return s.numeric(start, end)
	}
	return s.mixed(start, end, all)
}

// maskedWithin returns where the first word of [start, end) that is masked already ends, or 0. What stands before it in the token
// is not looked at.
func (s *scanner) maskedWithin(start, end int) int {
	begins := true
	for i := start; i < end; i++ {
		if begins {
			if n := s.masked(i); n > 0 {
				return i + n
			}
		}
		c := classOf[s.text[i]]
		begins = c&(bitDash|bitDot) != 0
	}
	return 0
}
