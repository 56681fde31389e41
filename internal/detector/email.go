// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const ruleEmail = "email"

// Bounds of RFC 5321, with room for the longer local parts that bulk mailers make.
const (
	maxLocal  = 128
	maxDomain = 253
	maxLabel  = 63
	maxQuoted = 66
)

// localByte says which bytes of ASCII a local part has here: those of a dot-atom but for those that more often stand before an address
// than in it ('=', '/', '?', '|', '{', '}', '`').
var localByte = func() (of [128]bool) {
	for c := range 128 {
		of[c] = isAlnum(byte(c))
	}
	for _, c := range "._-+'!#$*^~&%" {
		of[c] = true
	}
	return of
}()

// inner are those of localByte that a local part has only between letters and digits.
func inner(c byte) bool {
	switch c {
	case '.', '\'', '!', '#', '$', '*', '^', '~', '&', '%':
		return true
	}
	return false
}

// at looks for an e-mail address around what is [i, after): '@', or "%40".
func (s *scanner) at(i, after int) int {
	if !s.wants(hintEmail) || i == 0 || after >= len(s.text) {
		s.from = after
		return after
	}
	if c := classOf[s.text[after]]; c&(bitDigit|bitLetter) == 0 && s.text[after] < utf8.RuneSelf {
		s.from = after
		return after
	}
	start := s.local(i)
	if start == i {
		s.from = after
		return after
	}
	end := s.domain(after)
	if end == 0 || s.role(start, i, end) {
		s.from = after
		return after
	}
	return s.emit(start, end, Email, ruleEmail)
}

// local is where the local part that ends at i begins: i where there is none. It may reach over what was found within it, but
// not over what was found before.
func (s *scanner) local(i int) int {
	text := s.text
	low := max(i-maxLocal, s.hard)
	start := i
	if text[i-1] == '"' {
		return s.quoted(i)
	}
	encoded := i < len(text) && text[i] == '%'
	foreign := false // the local part is of another script, so that ASCII letters before it are not of it
	seen := false
	for start > low {
		c := text[start-1]
		if c < utf8.RuneSelf {
			if !localByte[c] || foreign && isAlnum(c) {
				break
			}
			if start > low+2 && text[start-3] == '%' && isHex(c) && isHex(text[start-2]) && (encoded || text[start-3] == '%') {
				d := unhex(text[start-2])<<4 | unhex(c)
				if d >= utf8.RuneSelf || !localByte[d] || d == '%' || d == '&' {
					break
				}
				start -= 3
				seen = true
				continue
			}
			start--
			seen = true
			continue
		}
		r, n := utf8.DecodeLastRuneInString(text[low:start])
		if r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) {
			break
		}
		if r >= 0x250 { // beyond Latin: scripts are not mixed, since words of some stand without blanks
			if seen && !foreign {
				break
			}
			foreign = true
		} else if foreign {
			break
		}
		seen = true
		start -= n
	}
	s.steps += i - start
	for start < i && (inner(text[start]) || text[start] == '-' || text[start] == '+' && start > 0) {
		start++
	}
	if start < i && (text[i-1] == '.' || text[i-1] == '\'' || text[i-1] == '&') {
		return i
	}
	if start > low && start == i-maxLocal {
		return i // longer than any
	}
	return start
}

// quoted is where the quoted local part that ends at i begins.
func (s *scanner) quoted(i int) int {
	text := s.text
	low := max(s.hard, i-maxQuoted)
	for k := i - 2; k >= low; k-- {
		c := text[k]
		if c == '"' && (k == 0 || text[k-1] != '\\') {
			if k == i-2 || k > 0 && (isAlnum(text[k-1]) || text[k-1] == '=') {
				return i
			}
			s.steps += i - k
			return k
		}
		if c < ' ' || c == '@' || c == ',' || c == ':' {
			return i
		}
	}
	s.steps += i - low
	return i
}

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// domain is where the domain that begins at start ends, or 0 if there is none: labels with dots between, the last of letters.
func (s *scanner) domain(start int) int {
	text := s.text
	i := start
	good, labels, numeric := 0, 0, true
	for i < len(text) && i-start <= maxDomain {
		label := i
		all := uint8(0)
		wide := false
		for i < len(text) {
			c := text[i]
			if c >= utf8.RuneSelf {
				if all != 0 && text[i] >= 0xE0 {
					break // words of other scripts that go on without a blank
				}
				r, n := utf8.DecodeRuneInString(text[i:])
				if r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) {
					break
				}
				wide = true
				i += n
				continue
			}
			b := classOf[c]
			if b == 0 || b&(bitDot|bitUnder) != 0 {
				break
			}
			all |= b
			i++
		}
		end := i
		for end > label && text[end-1] == '-' {
			end--
		}
		if end < i && strings.IndexByte(text[label:end], '-') < 0 {
			all &^= bitDash
		}
		if end == label || end-label > maxLabel || text[label] == '-' {
			break
		}
		labels++
		switch {
		case labels < 2 || numeric && (labels > 2 || end-label > 3):
		case topLevel(text[label:end], all, wide):
			good = end
		case !wide && all&(bitDigit|bitDash) != 0:
			// "jane@example.com-17": what follows the domain is of something else.
			if n := beginsTopLevel(text[label:end]); n > 0 {
				good = label + n
			}
		}
		numeric = numeric && all&^bitDigit == 0 && !wide
		if end < i || i+1 >= len(text) || text[i] != '.' {
			break
		}
		i++
	}
	s.steps += i - start
	if good > 0 && s.asset(start, good) {
		return 0
	}
	return good
}

// topLevel says that label can be a top-level domain: letters, or punycode.
func topLevel(label string, all uint8, wide bool) bool {
	if wide {
		return all&(bitDigit|bitDash) == 0
	}
	if len(label) > 4 && (label[:4] == "xn--" || label[:4] == "XN--") {
		return true
	}
	if len(label) < 2 || len(label) > 24 || all&(bitDigit|bitDash) != 0 {
		return false
	}
	for i := 1; i < len(label); i++ {
		if label[i] < 'a' && label[i-1] >= 'a' {
			return false // insteadOf: a name in a program
		}
	}
	return true
}

// domains of countries and the commonest of others: what a hyphen or a digit can stand behind.
const knownTopLevel = ` com net org edu gov mil int info biz name pro app dev io ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz
 ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu
 id ie il im in iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz
 om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz
 va vc ve vg vi vn vu wf ws ye yt za zm zw `

// beginsTopLevel is the length of a known top-level domain that label begins with and that a '-' follows, or, where it has three letters or
// more, a digit; or 0.
func beginsTopLevel(label string) int {
	n := 0
	for n < len(label) && isLetter(label[n]) {
		n++
	}
	if n < 2 || n > 4 || n == len(label) || label[n] != '-' && n < 3 {
		return 0
	}
	var buf [8]byte
	name := append(buf[:0], ' ')
	for i := range n {
		name = append(name, lowerByte(label[i]))
	}
	if strings.Contains(knownTopLevel, string(append(name, ' '))) {
		return n
	}
	return 0
}

// asset says that [start, end) is the end of a file's name: "logo@2x.png".
func (s *scanner) asset(start, end int) bool {
	text := s.text
	dot := end
	for dot > start && text[dot-1] != '.' {
		dot--
	}
	if ext := text[dot:end]; len(ext) <= 5 {
		var buf [5]byte
		for i := range len(ext) {
			buf[i] = ext[i] | 0x20
		}
		switch string(buf[:len(ext)]) {
		case "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "bmp", "tiff", "heic", "pdf", "js", "mjs", "cjs", "jsx", "ts", "tsx", "css", "scss", "less",
			"html", "htm", "json", "xml", "yaml", "yml", "map", "woff", "woff2", "ttf", "mp3", "mp4", "webm", "csv", "txt", "log", "gz", "tar", "tgz", "jar", "wasm", "dll", "exe":
			return true
		}
	}
	return false
}

// role says that what stands before the '@' at i is no mailbox: an SSH remote's user, or the user of a URL.
func (s *scanner) role(start, i, end int) bool {
	text := s.text
	if i-start == 3 && text[start:i] == "git" && (end < len(text) && (text[end] == ':' || text[end] == '/') || start > 2 && text[start-1] == '/') {
		return true
	}
	return start >= 3 && text[start-3:start] == "://"
}
