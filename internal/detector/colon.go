// SPDX-License-Identifier: Apache-2.0

package detector

const (
	ruleURLPassword      = "url_password"
	rulePasswordAssigned = "password_assigned"
	ruleSecretAssigned   = "secret_assigned"
)

// maxUserinfo bounds how far the '@' of a URL is looked for.
const maxUserinfo = 256

// colon looks at what a ':' stands in: an IPv6 or MAC address, a URL, an assignment.
func (s *scanner) colon(i int) int {
	text := s.text
	if i+1 == len(text) {
		return i + 1
	}
	c := text[i+1]
	if i >= s.colonsTo && (c == ':' || isHex(c)) && s.wants(hintIP|hintMAC) {
		low := max(i-maxGroup-1, s.floor)
		start := i
		for start > low && isHex(text[start-1]) {
			start--
		}
		if to := s.colons(start, i); to > 0 {
			return to
		}
	}
	if c == '/' {
		if i+3 < len(text) && text[i+2] == '/' && s.wants(hintPassword|hintEmail) {
			return s.userinfo(i + 3)
		}
		return i + 1
	}
	if s.wants(hintCoordinates) {
		if to := s.geo(i); to > 0 {
			return to
		}
	}
	return s.assignment(i)
}

// userinfo finds the password in the authority of a URL that begins at start, and an e-mail address that is its user's name.
func (s *scanner) userinfo(start int) int {
	text := s.text
	at, colon := -1, -1
	i := start
scan:
	for ; i < len(text) && i-start < maxUserinfo; i++ {
		switch c := text[i]; c {
		case '/', '?', '#', ' ', '"', '\'', '<', '>', '\\', '\n', '\t', '|':
			break scan
		case '@':
			at = i
		case ':':
			if colon < 0 {
				colon = i
			}
		}
	}
	s.steps += i - start
	if at < 0 {
		return start
	}
	user := at
	if colon >= 0 && colon < at {
		user = colon
	}
	if s.wants(hintEmail) {
		for k := start + 1; k < user; k++ {
			width := 1
			if text[k] == '%' && k+2 < user && text[k+1] == '4' && text[k+2] == '0' {
				width = 3
			} else if text[k] != '@' {
				continue
			}
			if s.domain(k+width) == user && k+width < user {
				s.emit(start, user, Email, ruleEmail)
			}
			break
		}
	}
	if user < at && user+1 < at && s.wants(hintPassword) && !placeholder(text[user+1:at]) {
		s.emit(user+1, at, Password, ruleURLPassword)
	}
	// What stands before the '@' is no mailbox.
	s.floor, s.hard, s.from = max(s.floor, at+1), max(s.hard, at+1), at+1
	return at + 1
}

// placeholder says that a value is none: masked, or to be put in.
func placeholder(value string) bool {
	switch value[0] {
	case '<', '{', '[':
		return true
	case '$', '%':
		return len(value) > 1 && (value[1] == '{' || value[1] == '(' || value[1] == 's' && len(value) == 2)
	}
	same := true
	for i := range len(value) {
		same = same && (value[i] == '*' || value[i]|0x20 == 'x' || value[i] == '.' || value[i] == '-' || value[i] == '_')
	}
	if same {
		return true
	}
	switch value {
	case "null", "nil", "none", "None", "true", "false", "undefined", "redacted", "REDACTED", "masked", "hidden", "secret", "string", "required", "optional":
		return true
	}
	return false
}
