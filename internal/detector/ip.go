// SPDX-License-Identifier: Apache-2.0

package detector

const (
	ruleIPv4 = "ipv4"
	ruleIPv6 = "ipv6"
)

// ipv4 finds an address in the four groups from g on.
func (s *scanner) ipv4(p *phrase, g int) int {
	text := s.text
	start, end := p.from(g), p.to(g+3)
	ip, ok := quad(text, start, end)
	if !ok || s.hint&hintVersion != 0 {
		return 0
	}
	// 0.x is no host's, 127.x is everyone's own, 255.x is a mask; what ends in two zeros is a network's or a version.
	switch ip >> 24 {
	case 0, 127, 255:
		return 0
	}
	if ip&0xffff == 0 || ip == 1<<24|3<<16|6<<8|1 { // 1.3.6.1 begins OIDs
		return 0
	}
	if g > 0 && p.sep[g-1] == '-' && !s.quadBefore(p, g) {
		return 0
	}
	if g == 0 && start > 0 && s.versionBefore(start, ip) {
		return 0
	}
	if end < len(text) {
		switch c := text[end]; {
		case c == '_' || isLetter(c):
			return 0
		case (c == '-' || c == '+') && end+1 < len(text) && isLetter(text[end+1]):
			return 0 // 1.2.3.4-beta; but in 203.0.113.7.dyn.example.net an address stands
		case c == '/':
			if n, ok := prefixLength(text[end+1:], 32); ok && n < 32 && uint64(ip)&(1<<(32-n)-1) == 0 {
				return 0 // a network
			}
		}
	}
	if s.hint&hintIP == 0 {
		near := s.near(start)
		if near&hintVersion != 0 || end-start == 7 && near&hintIP == 0 {
			return 0 // 1.2.3.4: of versions more than of anyone's address
		}
		if near&hintIP == 0 && (s.productBefore(start) || s.after(end, 1)&hintVersion != 0) {
			return 0
		}
	}
	return s.emit(start, end, IPAddress, ruleIPv4)
}

// quad reads the dotted quad in text[start:end].
func quad(text string, start, end int) (ip uint32, ok bool) {
	v, n, dots := uint32(0), 0, 0
	for i := start; i < end; i++ {
		c := text[i]
		if c == '.' {
			if n == 0 {
				return 0, false
			}
			ip = ip<<8 | v
			v, n = 0, 0
			dots++
			continue
		}
		if !isDigit(c) || n == 3 || n > 0 && v == 0 {
			return 0, false
		}
		v = v*10 + uint32(c-'0')
		n++
		if v > 255 {
			return 0, false
		}
	}
	return ip<<8 | v, n > 0 && dots == 3
}

// quadBefore says that the four groups before g are an address too: a range of addresses.
func (s *scanner) quadBefore(p *phrase, g int) bool {
	if g < 4 {
		return false
	}
	_, ok := quad(s.text, p.from(g-4), p.to(g-1))
	return ok
}

// versionBefore says that what is joined to start makes a version of it: "nginx-1.2.3.4", "Product/1.2.3.4".
func (s *scanner) versionBefore(start int, ip uint32) bool {
	text := s.text
	switch c := text[start-1]; c {
	case ' ':
		// "// 31.7.8.1: loads", "§ 3.2.1.4" are headings: small numbers.
		if small := ip>>24 < 50 && ip>>16&0xff < 50 && ip>>8&0xff < 50 && ip&0xff < 50; small && s.hint&hintIP == 0 && start > 2 {
			return text[start-3:start-1] == "//" || text[start-3:start-1] == "§"
		}
	case '-', '.', '_', '+':
		return start > 1 && (isAlnum(text[start-2]) || text[start-2] == '_') && !(c == '_' || c == '-' && s.near(start)&hintIP != 0)
	case '/':
		// A product of a user agent stands at the beginning of a word, a part of a path after a '/'.
		i := start - 1
		low := max(0, start-24)
		for i > low && (isAlnum(text[i-1]) || text[i-1] == '_' || text[i-1] == '-') {
			i--
		}
		return i < start-1 && (i == 0 || text[i-1] == ' ' || text[i-1] == '(')
	}
	return false
}

// productBefore says that the word directly before start is of a product that has versions: "Windows 10.0.22.1".
func (s *scanner) productBefore(start int) bool {
	h, _ := s.wordBefore(start, max(0, start-contextBytes))
	return h&hintProduct != 0
}

// prefixLength reads what stands after the '/' of a network.
func prefixLength(text string, most int) (n int, ok bool) {
	i := 0
	for i < len(text) && i < 3 && isDigit(text[i]) {
		n = n*10 + int(text[i]-'0')
		i++
	}
	return n, i > 0 && n <= most && (i == len(text) || !isAlnum(text[i]))
}

// maxGroup is the length of an IPv6 group's digits.
const maxGroup = 4

// colons judges a run of hexadecimal groups with colons whose first is the end of the token [start, end), or stands at end where it
// begins with "::". It returns where to go on, or 0.
func (s *scanner) colons(start, end int) int {
	text := s.text
	// The group is the token's last word.
	first := end
	for first > start && isHex(text[first-1]) && end-first <= maxGroup {
		first--
	}
	if end-first > maxGroup {
		return 0
	}
	if first > 0 && first > s.floor {
		if c := text[first-1]; classOf[c] != 0 || c == ':' {
			return 0
		}
	}
	if end+1 >= len(text) || !isHex(text[end+1]) && text[end+1] != ':' {
		return 0
	}
	stop := end
	two, groups := first+2 == end, 1 // all groups so far have two digits
	if first == end {
		groups = 0
	}
	size, bad := end-first, false
	compressed := 0
	for stop < len(text) {
		c := text[stop]
		if c == ':' {
			if stop+1 == len(text) || text[stop+1] != ':' && !isHex(text[stop+1]) {
				break
			}
			two = two && size == 2
			size = 0
			stop++
			if text[stop] == ':' {
				compressed++
				stop++
				bad = bad || stop < len(text) && text[stop] == ':'
			}
			if stop < len(text) && isHex(text[stop]) {
				groups++
			}
			continue
		}
		if !isHex(c) {
			break
		}
		size++
		bad = bad || size > maxGroup
		stop++
	}
	s.steps += stop - first
	s.colonsTo = stop
	two = two && size == 2
	tail := 0
	if stop < len(text) && text[stop] == '.' && compressed+groups >= 2 && size > 0 && size <= 3 {
		// ::ffff:192.0.2.1
		e := stop
		for e < len(text) && e-stop < 13 && (isDigit(text[e]) || text[e] == '.') {
			e++
		}
		for e > stop && text[e-1] == '.' {
			e--
		}
		if _, ok := quad(text, stop-size, e); ok {
			tail = e
		}
	}
	if stop < len(text) && tail == 0 && (isAlnum(text[stop]) || text[stop] == '_') {
		return 0
	}
	switch {
	case groups == 6 && two && compressed == 0:
		if s.wants(hintMAC) && !s.blankMAC(first, stop) {
			return s.emit(first, stop, MACAddress, ruleMAC)
		}
		return 0
	case groups == 8 && two && compressed == 0:
		if s.wants(hintMAC) && !s.blankMAC(first, stop) {
			return s.emit(first, stop, MACAddress, ruleEUI64)
		}
		return 0
	case bad || !s.wants(hintIP) || compressed > 1 || s.hint&hintVersion != 0:
		return 0
	}
	count := groups
	if tail > 0 {
		count++
	}
	end6 := stop
	if tail > 0 {
		end6 = tail
	}
	if compressed == 0 {
		if count != 8 {
			return 0
		}
	} else if count > 7 || !s.unicast(first, tail > 0, groups) {
		return 0
	}
	// The zone is the host's own name of a link.
	if end6+1 < len(text) && text[end6] == '%' && isAlnum(text[end6+1]) && !(isHex(text[end6+1]) && end6+2 < len(text) && isHex(text[end6+2])) {
		e := end6 + 1
		for e < len(text) && e-end6 <= 16 && (isAlnum(text[e]) || text[e] == '.' || text[e] == '-' || text[e] == '_') {
			e++
		}
		end6 = e
	}
	if end6 < len(text) && text[end6] == '/' {
		if n, ok := prefixLength(text[end6+1:], 128); ok && n < 128 && text[end6-1] == ':' {
			return 0 // a network
		}
	}
	return s.emit(first, end6, IPAddress, ruleIPv6)
}

// unicast says that a compressed address begins as those do that are given out, which "a::b" of a program does not.
func (s *scanner) unicast(first int, tail bool, groups int) bool {
	text := s.text
	if text[first] == ':' {
		// "::1" and "::" are nobody's, "::ffff:192.0.2.1" is somebody's.
		return tail && (groups == 1 || groups == 2 && first+6 < len(text) && isFFFF(text[first+2:first+6]))
	}
	v, n := 0, 0
	for ; first < len(text) && isHex(text[first]); first++ {
		v = v<<4 | int(unhex(text[first]))
		n++
	}
	if n < 3 {
		return v == 0x64 && groups >= 2 // 64:ff9b::, of translators
	}
	if groups >= 4 {
		return true // no program has names of four short hexadecimal words
	}
	if v == 0xffff {
		return false // a mask
	}
	switch {
	case v&0xe000 == 0x2000, v&0xfe00 == 0xfc00, v&0xff00 == 0xff00:
		return groups >= 2
	case v&0xffc0 == 0xfe80:
		return groups >= 2
	}
	return false
}

func isFFFF(text string) bool {
	for i := range len(text) {
		if text[i]|0x20 != 'f' {
			return false
		}
	}
	return true
}
