// SPDX-License-Identifier: Apache-2.0

package checkdigit

// InternationalPhone says whether digits, as they stand after '+' or "00", can be a phone number: an assigned country calling code,
// and a national number of a length and beginning that this country uses. One zero too many before it is let through.
func InternationalPhone(digits string) bool {
	if len(digits) < 7 || len(digits) > 15 {
		return false
	}
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return false
		}
	}
	code := 0
	for i := range 3 {
		code = code*10 + int(digits[i]-'0')
		if code == 0 {
			return false
		}
		if plans[code].lengths != 0 {
			n := digits[i+1:]
			// People leave the prefix in that is dialled at home only: +44 07911 …
			return nationalNumber(code, n) || len(n) > 7 && n[0] == '0' && code != 39 && nationalNumber(code, n[1:])
		}
	}
	return false
}

// NANP says whether digits, ten of them, can be a number of the North American Numbering Plan: area and exchange begin with 2 to 9 and do not
// end in 11, and an area's second digit is not 9.
func NANP(digits string) bool {
	if len(digits) != 10 {
		return false
	}
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return false
		}
	}
	return digits[0] >= '2' && digits[1] != '9' && digits[1:3] != "11" && digits[3] >= '2' && digits[4:6] != "11"
}

// nationalNumber says whether n, digits alone, can be a national number of the calling code, without a trunk prefix.
func nationalNumber(code int, n string) bool {
	p := plans[code]
	if len(n) < 4 || len(n) > 15 || p.lengths>>len(n)&1 == 0 || p.leads>>(n[0]-'0')&1 == 0 || sameDigit(n) {
		return false
	}
	return refined(code, n)
}

// home is how a country's numbers are dialled at home.
type home struct {
	country string // ISO 3166-1
	code    int
	trunk   string // what stands before the national number
	bare    bool   // the national number also stands alone
}

var homes = [...]home{
	{"US", 1, "1", true}, {"CA", 1, "1", true},
	{"GB", 44, "0", false}, {"IE", 353, "0", false},
	{"DE", 49, "0", false}, {"AT", 43, "0", false}, {"CH", 41, "0", false}, {"NL", 31, "0", false}, {"BE", 32, "0", false}, {"FR", 33, "0", false},
	{"ES", 34, "", true}, {"PT", 351, "", true}, {"IT", 39, "", true},
	{"PL", 48, "", true}, {"CZ", 420, "", true},
	{"SE", 46, "0", false}, {"FI", 358, "0", false}, {"NO", 47, "", true}, {"DK", 45, "", true},
	{"AU", 61, "0", false}, {"NZ", 64, "0", false}, {"ZA", 27, "0", false}, {"TR", 90, "0", false},
	{"IN", 91, "0", true}, {"BR", 55, "0", true}, {"MX", 52, "", true},
	{"JP", 81, "0", false}, {"KR", 82, "0", false}, {"CN", 86, "0", true},
}

// NationalPhone says whether digits, as they are dialled within the country (an ISO 3166-1 code in upper case; "" is any that is known),
// can be a phone number of it, with its trunk prefix where it has one. A country that is not known has none.
func NationalPhone(country, digits string) bool {
	if len(digits) < 7 || len(digits) > 13 {
		return false
	}
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return false
		}
	}
	for i := range homes {
		if h := &homes[i]; (country == "" || country == h.country) && h.dials(digits) {
			return true
		}
	}
	return false
}

func (h *home) dials(digits string) bool {
	if t := len(h.trunk); t > 0 && digits[:t] == h.trunk {
		n := digits[t:]
		if h.code == 86 { // mobile numbers have no trunk prefix, others need it
			return nationalNumber(h.code, n) && (n[0] != '1' || len(n) == 10)
		}
		return nationalNumber(h.code, n)
	}
	if !h.bare || !nationalNumber(h.code, digits) {
		return false
	}
	switch h.code {
	case 86:
		return digits[0] == '1' && len(digits) == 11
	case 91: // mobile numbers alone are dialled without it
		return digits[0] >= '6'
	}
	return true
}
