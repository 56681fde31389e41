// SPDX-License-Identifier: Apache-2.0

package detector

// Bounds of assignments: "password=…", "api_key": "…".
const (
	maxName    = 40
	maxValue   = 512
	minValue   = 4  // of a password
	minSecret  = 12 // of a token, a key or another secret
	longSecret = 20 // that needs no digit
)

// assignment looks at the ':' or '=' at i: a name that is a password's or another secret's makes one of what follows.
func (s *scanner) assignment(i int) int {
	if !s.wants(hintSecret | hintPassword) {
		return i + 1
	}
	text := s.text
	end := i
	for end > s.hard && i-end < 2 && (text[end-1] == ' ' || text[end-1] == '"' || text[end-1] == '\'' || text[end-1] == '\\') {
		end--
	}
	if text[i] == '=' && s.wants(hintSecret) && (i+1 == len(text) || !isAlnum(text[i+1])) {
		// "Basic dXNlcjpwYXNzd29yZA==" may have no digit.
		word := i
		for word > s.hard && i-word < 256 && (isAlnum(text[word-1]) || text[word-1] == '+' || text[word-1] == '/') {
			word--
		}
		s.steps += i - word
		if word > 5 && text[word-1] == ' ' {
			if to := s.bearer(word); to > 0 {
				return to
			}
		}
	}
	if end == s.hard || !secretEnding(text[s.hard:end]) {
		return i + 1
	}
	start := end
	for start > s.hard && end-start < maxName && (isAlnum(text[start-1]) || text[start-1] == '_' || text[start-1] == '-' || text[start-1] == '.' || text[start-1] >= 0x80) {
		start--
	}
	s.steps += end - start
	if i+1 < len(text) && start > s.hard && (text[start-1] == '"' || text[start-1] == '\'') && text[i+1] == text[start-1] && end == i {
		return i + 1 // "PWD=" as a whole is quoted
	}
	class := HintOf(text[start:end]) & (hintSecret | hintPassword)
	if class == hintPassword && report(text, start, end, i) {
		return i + 1
	}
	if class == 0 && end-start == 3 && start > s.hard && text[start-1] == ' ' {
		// "API key: …"
		low := max(0, start-contextBytes)
		if h, _ := s.wordBefore(start, low); h&(hintAuth|hintSecret) != 0 {
			class = hintSecret
		}
	}
	if class == 0 || !s.wants(class) {
		return i + 1
	}
	return s.assigned(i+1, text[i], class)
}

// report says that the name [start, end), before the sign at i, is the word that a test's result begins with: "--- PASS: TestFind".
func report(text string, start, end, i int) bool {
	return text[i] == ':' && text[start:end] == "PASS" && start > 1 && (text[start-1] == ' ' || text[start-1] == '"') && (text[start-2] == '-' || text[start-2] == ' ')
}

// secretEnding is a quick look at the last letters of a name, so that not each name in a text is read.
func secretEnding(name string) bool {
	n := len(name)
	if n < 3 {
		return false
	}
	switch lowerByte(name[n-1]) {
	case 'd', 't', 'n', 'y', 's', 'e', 'a', 'o', 'l', 'h':
	default:
		return false
	}
	switch string([]byte{lowerByte(name[n-3]), lowerByte(name[n-2]), lowerByte(name[n-1])}) {
	case "ord", "swd", "pwd", "ret", "ken", "key", "ass", "ort", "ase", "nha", "cht", "wt", "jwt", "rer", "ion", "sse", "ial", "als", "slo":
		return true
	}
	// contraseña, hasło
	return name[n-1] == 'a' && name[n-2] == 0xB1 || name[n-1] == 'o' && name[n-2] == 0x82
}

// assigned finds the value that begins at start or behind blanks and a quotation mark; sign is ':' or '='.
func (s *scanner) assigned(start int, sign byte, class Hint) int {
	text := s.text
	i := start
	if i < len(text) && (text[i] == '>' || text[i] == '=') {
		i++
	}
	spaced := false
	for i < len(text) && text[i] == ' ' && i-start < 4 {
		i++
		spaced = true
	}
	quote := byte(0)
	if i < len(text) && text[i] == '\\' {
		i++
	}
	if i < len(text) && (text[i] == '"' || text[i] == '\'' || text[i] == '`') {
		quote = text[i]
		i++
	}
	value := i
	if to := s.scheme(value); to > 0 {
		return to
	}
	for i < len(text) && i-value < maxValue {
		c := text[i]
		if quote != 0 && (c == quote || c == '\\' && i+1 < len(text) && text[i+1] == quote) || c == '\n' || c == '\r' {
			break
		}
		if quote == 0 && (c == ' ' || c == '&' || c == ';' || c == '"' || c == '\'' || c == '\t' || c == '<' || c == ')' || c == '}' || c == ']' || c == '|' ||
			c == ',' && (i+1 == len(text) || text[i+1] == ' ' || class != hintPassword)) {
			break
		}
		i++
	}
	s.steps += i - value
	end := i
	if quote == 0 {
		for end > value && (text[end-1] == '.' || text[end-1] == ',') {
			end--
		}
	}
	if end-value < minValue || placeholder(text[value:end]) || quote == 0 && spaced && expression(text[value:end]) {
		return start
	}
	digits, letters := mixture(text[value:end])
	if class&hintPassword != 0 {
		if quote == 0 && spaced && !digits && !symbols(text[value:end]) && !(sign == '=' || end == len(text) || text[end] == '\n') {
			return start // prose: "Password: must have eight characters"
		}
		return s.emit(value, end, Password, rulePasswordAssigned)
	}
	if n := end - value; n < minSecret || !letters || !digits && n < longSecret || !digits && spaced && quote == 0 || hasByte(text[value:end], ' ') || isPath(text[value:end]) {
		return start
	}
	return s.emit(value, end, Secret, ruleSecretAssigned)
}

// scheme finds the credentials after "Authorization:", whose value at i begins with a scheme.
func (s *scanner) scheme(i int) int {
	text := s.text
	end := i
	for end < len(text) && end-i < 8 && isLetter(text[end]) {
		end++
	}
	if end+1 >= len(text) || text[end] != ' ' || !s.wants(hintSecret) {
		return 0
	}
	n := end - i
	if !(n == 6 && foldEqual(text[i:end], "bearer") || n == 5 && (foldEqual(text[i:end], "basic") || foldEqual(text[i:end], "token")) || n == 6 && foldEqual(text[i:end], "apikey")) {
		return 0
	}
	start := end + 1
	stop := base64End(text, start)
	s.steps += stop - start
	if stop-start < 8 || placeholder(text[start:stop]) {
		return 0
	}
	return s.emit(start, stop, Secret, ruleAuthorization)
}

// expression says that an unquoted value is a program's: a name, and what is called or looked up by it.
func expression(value string) bool {
	i := 0
	for i < len(value) && (isLetter(value[i]) || value[i] == '.' || value[i] == '_' || i > 0 && isDigit(value[i])) {
		i++
	}
	return i > 1 && i < len(value) && (value[i] == '(' || value[i] == '[' || value[i] == '{')
}

// symbols says that a value has what words of prose do not.
func symbols(value string) bool {
	upper := false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c >= 'A' && c <= 'Z':
			upper = upper || i > 0
		case c >= 'a' && c <= 'z', c >= 0x80, c == '-', c == '\'':
		default:
			return true
		}
	}
	return upper && len(value) > 0 && value[len(value)-1] >= 'a'
}

func hasByte(text string, c byte) bool {
	for i := range len(text) {
		if text[i] == c {
			return true
		}
	}
	return false
}

// isPath says that a value is a URL or a path: the place of a secret, not one.
func isPath(value string) bool {
	if value[0] == '/' || value[0] == '.' {
		return true
	}
	for i := 0; i+2 < len(value); i++ {
		if value[i] == ':' && value[i+1] == '/' && value[i+2] == '/' {
			return true
		}
	}
	return false
}
