// SPDX-License-Identifier: Apache-2.0

package detector

const (
	ruleCoordinate     = "coordinate"
	ruleCoordinatePair = "coordinate_pair"
	ruleDegrees        = "coordinates_degrees"
	ruleGeoURI         = "geo_uri"
)

// Decimals that a pair of numbers has at least to be a place: with three it is known to 110 m. Prices have two, and three as many other
// measures have.
const (
	minDecimals     = 3
	tellingDecimals = 4
)

// coordinates finds a place that begins at group g.
func (s *scanner) coordinates(p *phrase, g int) int {
	text := s.text
	end := p.to(g)
	if p.size(g) > 3 {
		return 0
	}
	if end+1 < len(text) && text[end] == 0xC2 && (text[end+1] == 0xB0 || text[end+1] == 0xBA) {
		return s.degrees(p.from(g))
	}
	if p.sep[g] != '.' || g+1 < p.n && p.sep[g+1] == '.' || g > 0 && p.sep[g-1] == '.' {
		return 0
	}
	if e := p.to(g + 1); e+1 < len(text) && text[e] == 0xC2 && text[e+1] == 0xB0 {
		return s.degrees(p.from(g))
	}
	return s.pairAt(p.from(g))
}

// pairAt finds the decimal pair that begins at start, or by the key one number.
func (s *scanner) pairAt(start int) int {
	text := s.text
	if start > 0 && text[start-1] == '-' {
		start--
	}
	if start > 1 && text[start-1] == ':' && isDigit(text[start-2]) {
		return 0 // seconds
	}
	if start > 0 && (isAlnum(text[start-1]) || text[start-1] == '.' || text[start-1] == '_' || text[start-1] == '$' || text[start-1] == '/' && !(start > 1 && !isDigit(text[start-2]))) || start < s.floor {
		return 0
	}
	a := decimalAt(text, start)
	if a.end == 0 || a.abs > 180 || a.abs == 180 && a.more {
		return 0
	}
	expected := s.hint&hintCoordinates != 0
	i := a.end
	blanks := 0
	for i < len(text) && blanks < 3 && text[i] == ' ' {
		i++
		blanks++
	}
	comma := i < len(text) && (text[i] == ',' || text[i] == ';')
	if comma {
		i++
		for range 2 {
			if i < len(text) && text[i] == ' ' {
				i++
			}
		}
	} else if i+2 < len(text) && text[i] == '%' && text[i+1] == '2' && text[i+2]|0x20 == 'c' {
		comma = true
		i += 3
	}
	if comma || blanks > 0 {
		if b := decimalAt(text, i); b.end > 0 && b.abs <= 180 && !(a.abs > 90 && b.abs > 90) && s.place(start, a, b, comma, expected) {
			return s.emit(start, b.end, Coordinates, ruleCoordinatePair)
		}
	}
	if a.decimals > 0 && (expected && (start == 0 || s.alone(start, a.end)) || s.axis(start)) {
		return s.emit(start, a.end, Coordinates, ruleCoordinate)
	}
	return 0
}

// axis says that the name of a latitude or longitude is given what begins at start: {"lat": 48.85}, lon=2.29.
func (s *scanner) axis(start int) bool {
	text := s.text
	i := start
	if i > 0 && text[i-1] == '+' {
		i--
	}
	if i > 0 && (text[i-1] == '"' || text[i-1] == '\'') {
		i--
		if i > 0 && text[i-1] == '\\' {
			i--
		}
	}
	if i > 0 && text[i-1] == ' ' {
		i--
	}
	if i < 4 || text[i-1] != ':' && text[i-1] != '=' {
		return false
	}
	h, _ := s.wordBefore(i-1, max(0, i-1-contextBytes))
	return h&hintCoordinates != 0
}

// alone says that [start, end) is all of the text but for blanks.
func (s *scanner) alone(start, end int) bool {
	for i := range start {
		if s.text[i] != ' ' {
			return false
		}
	}
	for _, c := range []byte(s.text[end:min(len(s.text), end+4)]) {
		if c != ' ' && c != 0xC2 && c != 0xB0 {
			return false
		}
	}
	return true
}

// place says that a and b, decimals that stand beside one another, are a place.
func (s *scanner) place(start int, a, b decimal, comma, expected bool) bool {
	if s.hint&(hintNumber|hintVersion|hintTime) != 0 {
		return false
	}
	if expected {
		return a.decimals > 0 && b.decimals > 0
	}
	if a.decimals >= 1 && b.decimals >= 1 && s.near(start)&hintCoordinates != 0 {
		return true
	}
	if a.decimals < minDecimals || b.decimals < minDecimals || a.abs == 0 && b.abs == 0 {
		return false // two scores, two shares
	}
	after := b.end
	if after < len(s.text) && (s.text[after] == '%' || s.text[after] == ',' && s.fractionAt(after+1+blank(s.text, after+1))) {
		return false // a list of numbers
	}
	if start > 2 && s.text[start-1] == ' ' && s.text[start-2] == ',' && isDigit(s.text[start-3]) {
		return false
	}
	if s.near(start)&hintInnocent != 0 {
		return false
	}
	if a.decimals < tellingDecimals && b.decimals < tellingDecimals {
		// Three digits after a comma or point are thousands in many countries.
		return comma && start == 0 && after == len(s.text)
	}
	return comma || a.decimals >= tellingDecimals && b.decimals >= tellingDecimals
}

// fractionAt says that a number with decimals begins at i.
func (s *scanner) fractionAt(i int) bool {
	text := s.text
	if i < len(text) && text[i] == '-' {
		i++
	}
	start := i
	for i < len(text) && isDigit(text[i]) && i-start < maxRun {
		i++
	}
	s.steps += i - start
	return i > start && i+2 < len(text) && text[i] == '.' && isDigit(text[i+1]) && isDigit(text[i+2])
}

// blank is 1 where a blank stands at i, else 0.
func blank(text string, i int) int {
	if i >= 0 && i < len(text) && text[i] == ' ' {
		return 1
	}
	return 0
}

// decimal is a number as it is written.
type decimal struct {
	end      int // 0 where there is none
	abs      int // its whole part without sign
	decimals int
	more     bool // some decimal is not 0
}

// decimalAt reads the number at i: a sign, at most three digits, and decimals after a '.'.
func decimalAt(text string, i int) (d decimal) {
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		i++
	}
	start := i
	for i < len(text) && isDigit(text[i]) && i-start < 4 {
		d.abs = d.abs*10 + int(text[i]-'0')
		i++
	}
	if i == start || i-start > 3 {
		return decimal{}
	}
	if i+1 < len(text) && text[i] == '.' && isDigit(text[i+1]) {
		i++
		for i < len(text) && isDigit(text[i]) && d.decimals < 20 {
			d.more = d.more || text[i] != '0'
			d.decimals++
			i++
		}
	}
	if i < len(text) && (isAlnum(text[i]) || text[i] == '_' || text[i] == '.' && i+1 < len(text) && isDigit(text[i+1]) || text[i] == '-' && i+1 < len(text) && isAlnum(text[i+1])) {
		return decimal{}
	}
	d.end = i
	return d
}

// degrees finds a place in degrees, of one or both axes, whose first number begins at start: 48°51'29.6"N 2°17'40.2"E, N 48.8584° E 2.2945°.
func (s *scanner) degrees(start int) int {
	text := s.text
	if start > 0 && text[start-1] == '-' {
		start--
	}
	// The hemisphere stands before both numbers or after both.
	begin := start
	if i := start - blank(text, start-1); i > s.floor && hemisphere(text[i-1]) && (i == 1 || !isAlnum(text[i-2])) {
		begin = i - 1
	}
	before := begin < start
	end, letter := degreesAt(text, start, !before)
	if end == 0 {
		return 0
	}
	letter = letter || before
	i := end
	for i < len(text) && i-end < 3 && (text[i] == ' ' || text[i] == ',' || text[i] == ';' || text[i] == '/') {
		i++
	}
	second := i
	if before && i+1 < len(text) && hemisphere(text[i]) {
		second = i + 1 + blank(text, i+1)
	}
	if stop, also := degreesAt(text, second, !before); stop > 0 && letter && (also || second > i) {
		return s.emit(begin, stop, Coordinates, ruleDegrees)
	}
	// One axis with minutes and hemisphere is a place's latitude; "20° N" is not, nor is "20 °C".
	if letter && (minutes(text[start:end]) || s.hint&hintCoordinates != 0 || s.near(begin)&hintCoordinates != 0) {
		return s.emit(begin, end, Coordinates, ruleDegrees)
	}
	return 0
}

func hemisphere(c byte) bool {
	switch c {
	case 'N', 'S', 'E', 'W', 'O':
		return true
	}
	return false
}

// minutes says that text has minutes: a number after the degrees.
func minutes(text string) bool {
	after := false
	for i := range len(text) {
		if text[i] == 0xB0 || text[i] == 0xBA {
			after = true
		} else if after && isDigit(text[i]) {
			return true
		}
	}
	return false
}

// degreesAt reads degrees, with minutes and seconds where there are, and the hemisphere after them where after says so, and returns where
// they end, or 0.
func degreesAt(text string, i int, after bool) (end int, letter bool) {
	if !decimalPart(text, &i, 180) || i+1 >= len(text) || text[i] != 0xC2 || text[i+1] != 0xB0 && text[i+1] != 0xBA {
		return 0, false
	}
	i += 2
	end = i
	for range 2 {
		k := i
		for k < len(text) && text[k] == ' ' && k-i < 2 {
			k++
		}
		if !decimalPart(text, &k, 59) {
			break
		}
		n := prime(text, k)
		if n == 0 {
			if k-i > 4 && (k == len(text) || text[k] == ' ' || text[k] == ',') {
				end, i = k, k // "48° 51.494 N": decimals of minutes, without a sign
			}
			break
		}
		i = k + n
		end = i
	}
	k := i
	if k < len(text) && text[k] == ' ' {
		k++
	}
	if after && k < len(text) && hemisphere(text[k]) && (k+1 == len(text) || !isAlnum(text[k+1])) {
		return k + 1, true
	}
	return end, false
}

// prime is the length of what stands after minutes or seconds.
func prime(text string, i int) int {
	rest := text[i:]
	switch {
	case rest == "":
		return 0
	case len(rest) > 1 && rest[0] == '\'' && rest[1] == '\'':
		return 2
	case rest[0] == '\'' || rest[0] == '"':
		return 1
	case len(rest) > 1 && rest[0] == '\\' && rest[1] == '"': // in JSON
		return 2
	case len(rest) > 2 && rest[0] == 0xE2 && rest[1] == 0x80 && (rest[2] == 0xB2 || rest[2] == 0xB3 || rest[2] == 0x98 || rest[2] == 0x99 || rest[2] == 0x9D || rest[2] == 0x9C):
		return 3
	case len(rest) > 1 && rest[0] == 0xC2 && rest[1] == 0xB4:
		return 2
	}
	return 0
}

// decimalPart reads a number of at most most at *i and moves *i behind it.
func decimalPart(text string, at *int, most int) bool {
	i := *at
	if i < len(text) && text[i] == '-' {
		i++
	}
	start, v := i, 0
	for i < len(text) && isDigit(text[i]) && i-start < 3 {
		v = v*10 + int(text[i]-'0')
		i++
	}
	if i == start || v > most {
		return false
	}
	if i+1 < len(text) && (text[i] == '.' || text[i] == ',') && isDigit(text[i+1]) {
		i++
		for n := 0; i < len(text) && isDigit(text[i]) && n < 15; n++ {
			i++
		}
	}
	*at = i
	return true
}

// geo finds the place in a geo: URI (RFC 5870) whose ':' stands at i.
func (s *scanner) geo(i int) int {
	text := s.text
	if i < 3 || text[i-3]|0x20 != 'g' || text[i-2]|0x20 != 'e' || text[i-1]|0x20 != 'o' || i > 3 && isAlnum(text[i-4]) {
		return 0
	}
	a := decimalAt(text, i+1)
	if a.end == 0 || a.abs > 180 || a.end >= len(text) || text[a.end] != ',' {
		return 0
	}
	b := decimalAt(text, a.end+1)
	if b.end == 0 || b.abs > 180 {
		return 0
	}
	return s.emit(i+1, b.end, Coordinates, ruleGeoURI)
}
