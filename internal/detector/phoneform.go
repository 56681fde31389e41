// SPDX-License-Identifier: Apache-2.0

package detector

import "github.com/millrace/millrace/internal/checkdigit"

// layout is the sizes of groups, each a hexadecimal digit, of numbers that are dialled without a prefix.
type layout struct {
	sizes   uint32
	country string
}

// layouts are how numbers are written in countries where no '0' tells a phone number.
var layouts = [...]layout{
	{0x333, "ES"}, {0x3222, "ES"}, {0x2322, "ES"}, {0x333, "PT"}, {0x333, "PL"}, {0x2322, "PL"}, {0x333, "CZ"},
	{0x334, "IT"}, {0x37, "IT"}, {0x343, "IT"}, {0x323, "NO"}, {0x254, "BR"}, {0x244, "BR"}, {0x2144, "BR"}, {0x244, "MX"}, {0x344, "CN"}, {0x55, "IN"},
}

// national finds a number as it is written within its country. It must have separators.
func (s *scanner) national(p *phrase, g int, calls bool) int {
	if p.sep[g] == 0 {
		return 0
	}
	var buf [13]byte
	digits := buf[:0]
	sizes := uint32(0)
	best := 0
	for k := g; k < p.n && k-g < 6; k++ {
		n := p.size(k)
		if n > 8 || len(digits)+n > len(buf) || k > g && !calls && s.apartFrom(p, k) {
			break
		}
		digits = append(digits, s.text[p.start[k]:p.end[k]]...)
		sizes = sizes<<4 | uint32(n)
		to := k + 1
		if k > g && len(digits) >= 8 && (calls || p.alone(g, to)) && !(to == p.n && p.tail) && s.dialled(p, g, to, digits, sizes, calls) {
			best = to
		}
		if p.sep[k] == 0 {
			break
		}
	}
	if best == 0 {
		return 0
	}
	start, end := p.from(g), p.to(best-1)
	if s.decimal(end) || !calls && (s.near(start)&hintInnocent != 0 || s.unit(end)) {
		return 0
	}
	if start > s.floor && s.text[start-1] == '(' && s.closes(start, end) {
		start--
	}
	return s.emit(start, s.extended(end), Phone, rulePhoneNational)
}

// apartFrom says that group k is of no number that stands before it: it begins a date, stands in another column, or behind a '/' that
// comes after more than an area.
func (s *scanner) apartFrom(p *phrase, k int) bool {
	switch p.sep[k-1] {
	case 'm':
		end := p.to(k - 1)
		return s.text[end] == ' ' && s.text[end+1] == ' '
	case '/':
		if k > 1 && p.sep[k-2] == '/' || p.sep[k] == '/' {
			return true
		}
	}
	return p.size(k) == 4 && k+2 < p.n && p.sep[k] == '-' && p.sep[k+1] == '-' && p.size(k+1) == 2 && p.size(k+2) == 2
}

// dialled says that digits, in groups of sizes, are a number of some country in a form that is used there.
func (s *scanner) dialled(p *phrase, g, to int, digits []byte, sizes uint32, calls bool) bool {
	if sizes == 0x334 && checkdigit.NANP(string(digits)) || sizes == 0x1334 && digits[0] == '1' && checkdigit.NANP(string(digits[1:])) {
		return true
	}
	paren := g == 0 && p.sep[g] == ')' && p.start[g] > 0 && s.text[p.start[g]-1] == '('
	if sizes == 0x37 && paren && checkdigit.NANP(string(digits)) {
		return true
	}
	if p.sep[g] == '.' && s.octets(p, g, to) && !calls || sizes == 0x53 || sizes == 0x54 && p.sep[g] == '-' && !calls {
		return false // an address with zeros; a postcode
	}
	if digits[0] == '0' {
		n := p.size(g)
		if sizes == 0x2222 && !calls || sizes == 0x222222 || len(digits) < 9 && !calls || sizes == 0x22222 && !calls && s.listed(p.from(g), p.to(to-1)) {
			return false // lottery numbers, bytes; "01 23 45 67 89" are five
		}
		if n == 1 && (p.sep[g] != ' ' && p.sep[g] != '(' || len(digits) < 10) {
			return false
		}
		// What has the form of a serial number is none.
		return digits[1] != '0' && n <= 5 && p.size(to-1) >= 2 && !s.serial(p, g, to) && checkdigit.NationalPhone("", string(digits))
	}
	// Russia and Kazakhstan dial 8 before the national number.
	if sizes == 0x13322 && digits[0] == '8' {
		digits[0] = '7'
		ok := checkdigit.InternationalPhone(string(digits))
		digits[0] = '8'
		return ok
	}
	if !calls {
		// Nine digits by threes are amounts, and numbers of all kinds, in many countries, as twice five digits are; so is what has
		// other signs between.
		if sizes == 0x333 || sizes == 0x55 {
			return false
		}
		for k := g; k < to-1; k++ {
			if p.sep[k] != ' ' && p.sep[k] != '-' && !paren {
				return false
			}
		}
	}
	for i := range layouts {
		if l := &layouts[i]; l.sizes == sizes && checkdigit.NationalPhone(l.country, string(digits)) {
			return true
		}
	}
	return paren && sizes&0xf == 4 && (sizes == 0x244 || sizes == 0x254 || sizes == 0x334) && checkdigit.NationalPhone("", string(digits))
}

// octets says that groups [g, to) are four numbers of a byte each.
func (s *scanner) octets(p *phrase, g, to int) bool {
	if to-g != 4 {
		return false
	}
	for k := g; k < to; k++ {
		if p.size(k) > 3 || number(s.text[p.start[k]:p.end[k]]) > 255 {
			return false
		}
	}
	return true
}

// listed says that hexadecimal pairs stand beside [start, end), by blanks, as in a dump of bytes.
func (s *scanner) listed(start, end int) bool {
	text := s.text
	if start > 2 && text[start-1] == ' ' && isHex(text[start-2]) && isHex(text[start-3]) && (start == 3 || !isAlnum(text[start-4])) {
		return true
	}
	return end+2 < len(text) && text[end] == ' ' && isHex(text[end+1]) && isHex(text[end+2]) && (end+3 == len(text) || !isAlnum(text[end+3]))
}

// fours says that all groups from g on have four digits, as code points in hexadecimal have.
func fours(p *phrase, g int) bool {
	for ; g < p.n; g++ {
		if p.size(g) != 4 {
			return false
		}
	}
	return true
}

// serial says that the groups are equal runs of '-' that are no phone's: "0123-4567-8901".
func (s *scanner) serial(p *phrase, g, to int) bool {
	if to-g < 3 || p.sep[g] != '-' {
		return false
	}
	for k := g; k < to; k++ {
		if p.size(k) != 4 {
			return false
		}
	}
	return true
}
