// SPDX-License-Identifier: Apache-2.0

package checkdigit

// InternationalPhone says whether digits, as they stand after '+' or "00", can be a phone number: an assigned country calling code,
// and a national number of a length and beginning that this country uses.
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
			return nationalNumber(code, digits[i+1:])
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
	if code == 1 {
		return NANP(n)
	}
	if refine := refinements[code%100]; refine.code == code {
		return refine.holds(n)
	}
	return true
}

// refinement is what a numbering plan says of a national number besides its length and first digit.
type refinement struct {
	code  int
	holds func(n string) bool
}

// refinements are by the code's last two digits.
var refinements = func() (all [100]refinement) {
	for _, r := range [...]refinement{
		{27, func(n string) bool { return n[0] != '9' }},
		// Mobile numbers begin with 6 or 97, others with an area of two digits or three.
		{31, func(n string) bool {
			return n[0] != '8' && n[0] != '9' || n[:2] == "85" || n[:2] == "88" || n[:2] == "97" || n[:2] == "91"
		}},
		{32, func(n string) bool { return (len(n) == 9) == (n[0] == '4' && n[1] >= '5') }},
		{36, func(n string) bool { return len(n) == 8 || n[1] == '0' || n[0] != '1' }},
		{39, func(n string) bool {
			switch n[0] {
			case '0':
				return n[1] != '0'
			case '3':
				return len(n) == 9 && n[1] != '1' || len(n) == 10
			}
			return len(n) >= 9
		}},
		{41, func(n string) bool {
			return n[0] != '8' && n[0] != '9' || n[:2] == "80" || n[:2] == "81" || n[:2] == "84" || n[:2] == "86" || n[:2] == "90" || n[:2] == "91"
		}},
		// Mobile numbers are 65x to 69x with ten digits or more.
		{43, func(n string) bool { return n[0] != '6' || n[1] < '4' || len(n) >= 10 }},
		// Nine digits have old areas beginning with 1, and 800; the rest ten.
		{44, func(n string) bool {
			if len(n) == 9 {
				return n[0] == '1' && n[1] >= '2' || n[:3] == "800"
			}
			switch n[0] {
			case '1':
				return n[1] != '0'
			case '2':
				return n[1] == '0' || n[1] == '3' || n[1] == '4' || n[1] == '8' || n[1] == '9'
			case '3':
				return n[1] == '0' || n[1] == '3' || n[1] == '4' || n[1] == '7'
			case '5':
				return n[1] == '5' || n[1] == '6'
			case '7':
				return n[1] != '2'
			case '8':
				return n[1] == '0' || n[1] == '4' || n[1] == '7'
			}
			return n[1] == '0' || n[1] == '1' || n[1] == '8'
		}},
		{46, func(n string) bool {
			return n[0] != '7' || n[1] == '7' || len(n) == 9 && n[1] != '1' && n[1] != '4' && n[1] != '5' || n[1] == '1' || n[1] == '4' || n[1] == '5'
		}},
		// 32 and 38 are of networks, 10 and 30 services.
		{48, func(n string) bool {
			return n[:2] != "10" && n[:2] != "11" && n[0] != '0' && n[:2] != "19" && n[:2] != "20" && n[:2] != "21"
		}},
		{49, func(n string) bool {
			if n[0] != '1' {
				return true
			}
			switch n[1] { // mobile networks alone
			case '5':
				return len(n) == 11
			case '6', '7':
				return len(n) >= 10
			}
			return false
		}},
		{51, func(n string) bool { return (len(n) == 9) == (n[0] == '9') }},
		{52, func(n string) bool {
			if len(n) == 11 {
				return n[0] == '1' && n[1] >= '2'
			}
			return n[0] != '1'
		}},
		{54, func(n string) bool {
			return (len(n) == 11) == (n[0] == '9') && (n[0] != '9' || n[1] >= '1' && n[1] <= '3')
		}},
		// Two digits of the area, neither 0; mobile numbers have eleven digits, of which the third is 9, others begin with 2 to 5.
		{55, func(n string) bool {
			if n[1] == '0' {
				return false
			}
			if len(n) == 11 {
				return n[2] == '9'
			}
			return n[2] >= '2' && n[2] <= '5'
		}},
		{61, func(n string) bool { return n[0] != '5' && n[0] != '8' || n[0] == '5' && len(n) == 9 || n[0] == '8' }},
		{64, func(n string) bool { return n[0] == '2' || len(n) == 8 || n[0] == '5' || n[0] == '8' }},
		// Mobile and IP numbers of ten digits begin with 50, 60, 70, 80 or 90; of nine, the second is seldom 0.
		{81, func(n string) bool {
			if len(n) == 10 {
				return n[1] == '0'
			}
			return n[1] != '0' || n[0] == '1'
		}},
		{82, func(n string) bool {
			switch n[0] {
			case '1':
				return len(n) >= 9 && (n[1] <= '1' || n[1] >= '6')
			case '2':
				return len(n) <= 10 && n[1] >= '2'
			case '8', '9':
				return false
			}
			return true
		}},
		// Mobile numbers have eleven digits from 13 to 19; others an area, which begins with 10 or 2 to 9, and seven or eight digits.
		{86, func(n string) bool {
			if n[0] == '1' {
				return len(n) == 11 && n[1] >= '3' || len(n) == 10 && n[1] == '0' && n[2] >= '2'
			}
			return len(n) == 10 || n[0] >= '3'
		}},
		{90, func(n string) bool { return n[0] != '8' || n[:2] == "80" || n[:2] == "85" || n[:2] == "88" }},
		{353, func(n string) bool { return n[0] != '8' || len(n) == 9 }},
		{351, func(n string) bool { return n[0] != '9' || n[1] != '0' && n[1] != '5' }},
	} {
		all[r.code%100] = r
	}
	return all
}()

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
