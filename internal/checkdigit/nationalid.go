// SPDX-License-Identifier: Apache-2.0

package checkdigit

import "strings"

// NationalID is a rule: how one kind of ID that a state gives its people looks, and when it can be one.
type NationalID struct {
	// Rule is the rule's name, of few values: national_id_<iso country>[_<name>].
	Rule string
	// Forms are what the compact form, letters and digits alone, can look like: '9' stands for a digit, 'A' for a letter, 'X' for either,
	// and any other byte for itself.
	Forms []string
	// Lengths are the lengths of Forms, each once.
	Lengths []int
	// Letters says that some form has letters.
	Letters bool
	// PunctuatedForms are what Punctuated takes, in the same letters, with punctuation.
	PunctuatedForms []string
	// Share is an upper bound of the share of random runs with a form's digits and letters (any digits where a form names some)
	// that Valid takes. A test measures it.
	Share float64
	// Weak says that Share is more than 1 in 50: the compact form is taken beside a keyword only, and the punctuated one alone.
	Weak bool
	// WeakPunctuated says that what Punctuated takes is not telling either, and needs a keyword: other things are written in that form too
	// (digits in groups by blanks), and too many of them pass.
	WeakPunctuated bool
	// Punctuated returns the number of bytes that the ID takes in its customary punctuation at the beginning of text, or 0. Check digits and date
	// are right then, and no letter or digit follows: Valid need not be asked. It is nil where there is no such form.
	Punctuated func(text string) int
	// Valid says whether compact, in upper or lower case, has one of the forms, check digits, date parts and areas that are given out.
	Valid func(compact string) bool
	// Keywords are words in lower case, of the country's languages and English, that stand beside it.
	Keywords []string
}

// NationalIDs are all rules. Nothing in it is changed after the program's start, nor may anyone do so.
//
// The rules that are not weak, taken together, let through of random runs of 10 digits 3.1%, of 11 5.7%, of 12 1.1%, of 13 0.7%, of 15 0.5%, of
// any other length next to none; of the times since 1970 in seconds 3.7% and in milliseconds 1.0%. Who takes a bare run of digits
// wherever it stands adds those up; who wants fewer looks at Share.
var NationalIDs = func() []NationalID {
	rules := []NationalID{}
	for _, of := range [][]definition{american, northern, western, eastern, otherContinents} {
		for i := range of {
			rules = append(rules, of[i].rule())
		}
	}
	return rules
}()

// definition is what a rule is made of.
type definition struct {
	name           string
	forms          []string
	punctuated     []string // forms with punctuation; ' ' and '-' also stand for their typographic kin
	share          float64
	weakPunctuated bool
	valid          func(d id) bool // d has one of forms, or one of punctuated without its punctuation
	keywords       []string
}

// weakShare is the share of random runs above which a rule is weak.
const weakShare = 1.0 / 50

func (f *definition) rule() NationalID {
	forms, punctuated, valid := f.forms, f.punctuated, f.valid
	r := NationalID{Rule: f.name, Forms: forms, PunctuatedForms: punctuated, Share: f.share, Weak: f.share > weakShare, WeakPunctuated: f.weakPunctuated, Keywords: f.keywords}
	for _, form := range forms {
		known := false
		for _, n := range r.Lengths {
			known = known || n == len(form)
		}
		if !known {
			r.Lengths = append(r.Lengths, len(form))
		}
		for i := range len(form) {
			r.Letters = r.Letters || !isDigit(form[i])
		}
	}
	r.Valid = func(compact string) bool {
		for _, form := range forms {
			if len(form) != len(compact) {
				continue
			}
			if d, n := read(compact, form); n == len(compact) && valid(d) {
				return true
			}
		}
		return false
	}
	if !r.Letters && strings.Trim(strings.Join(forms, ""), "9") == "" { // most rules: the same, in less time
		lengths := uint32(0)
		for _, form := range forms {
			lengths |= 1 << len(form)
		}
		r.Valid = func(compact string) bool {
			if len(compact) > 20 || lengths>>len(compact)&1 == 0 {
				return false
			}
			d := id{n: int8(len(compact))}
			for i := range len(compact) {
				if !isDigit(compact[i]) {
					return false
				}
				d.b[i] = compact[i]
			}
			return valid(d)
		}
	}
	if len(punctuated) > 0 {
		r.Punctuated = func(text string) int {
			for _, form := range punctuated {
				if d, n := read(text, form); n > 0 && ends(text[n:]) && valid(d) {
					return n
				}
			}
			return 0
		}
	}
	return r
}

// id is a compact form in upper case. It is handed on by value, so that nothing of it lives on the heap.
type id struct {
	b    [20]byte
	n    int8
	sign byte // the last '+' or '-' that stood in it, or 0
}

// read reads what text begins with by form, and returns how many bytes that were, 0 if it does not have the form.
func read(text, form string) (d id, n int) {
	for i := range len(form) {
		if n >= len(text) {
			return d, 0
		}
		c := text[n]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		f := form[i]
		switch f {
		case '9':
			if !isDigit(c) {
				return d, 0
			}
		case 'A':
			if !isUpper(c) {
				return d, 0
			}
		case 'X':
			if !isDigit(c) && !isUpper(c) {
				return d, 0
			}
		case ' ', '-':
			if c == f {
				n++
			} else if k := kin(text[n:], f); k > 0 {
				n += k
			} else {
				return d, 0
			}
			if f == '-' {
				d.sign = '-'
			}
			continue
		default:
			if c != f {
				return d, 0
			}
			if !isDigit(c) && !isUpper(c) {
				if c == '+' {
					d.sign = c
				}
				n++
				continue
			}
		}
		if int(d.n) == len(d.b) {
			return d, 0
		}
		d.b[d.n] = c
		d.n++
		n++
	}
	return d, n
}

// kin returns how many bytes of text are a typographic form of the blank or the hyphen c: the no-break space U+00A0, the narrow
// one U+202F; the hyphens U+2010 and U+2011 and the dash U+2013.
func kin(text string, c byte) int {
	if c == ' ' {
		if len(text) >= 2 && text[0] == 0xC2 && text[1] == 0xA0 {
			return 2
		}
		if len(text) >= 3 && text[0] == 0xE2 && text[1] == 0x80 && text[2] == 0xAF {
			return 3
		}
		return 0
	}
	if len(text) >= 3 && text[0] == 0xE2 && text[1] == 0x80 && (text[2] == 0x90 || text[2] == 0x91 || text[2] == 0x93) {
		return 3
	}
	return 0
}

// ends says that an ID can end before rest: no letter or digit follows, and no punctuation with a digit after it, since that would
// be part of something longer. A letter beyond the Latin script ends it, as in CJK texts words stand without blanks.
func ends(rest string) bool {
	if rest == "" {
		return true
	}
	if isAlnum(rest[0]) || rest[0] == '_' || rest[0] >= 0xC3 && rest[0] <= 0xC9 { // U+00C0 to U+027F in UTF-8
		return false
	}
	if len(rest) > 1 {
		switch rest[0] {
		case '-', '.', '/', ':':
			return !isDigit(rest[1])
		}
	}
	return true
}

func isAlnum(c byte) bool { return isDigit(c) || isUpper(c&^0x20) }

// num is the number in the n digits from i on.
func (d *id) num(i, n int) int {
	v := 0
	for _, c := range d.b[i : i+n] {
		v = v*10 + int(c-'0')
	}
	return v
}

// digit is the digit at i.
func (d *id) digit(i int) int { return int(d.b[i] - '0') }

// weighted is the sum of the first digits, each times its weight: weights has them as characters, '0' for 0, ':' for 10.
func (d *id) weighted(weights string) int {
	sum := 0
	for i := range len(weights) {
		sum += int(d.b[i]-'0') * int(weights[i]-'0')
	}
	return sum
}

// luhn is Luhn's rule over n digits from i on.
func (d *id) luhn(i, n int) bool {
	sum := 0
	for k := range n {
		v := int(d.b[i+n-1-k] - '0')
		if k&1 == 1 {
			v *= 2
			if v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// mod1110 is ISO 7064 mod 11,10 over all n digits.
func (d *id) mod1110(n int) bool {
	p := 10
	for i := range n - 1 {
		s := (p + d.digit(i)) % 10
		if s == 0 {
			s = 10
		}
		p = s * 2 % 11
	}
	return (p+d.digit(n-1))%10 == 1
}

// same says that the first n bytes are one and the same.
func (d *id) same(n int) bool {
	for i := 1; i < n; i++ {
		if d.b[i] != d.b[0] {
			return false
		}
	}
	return true
}

// isDate says whether there was such a day in the Gregorian calendar.
func isDate(year, month, day int) bool {
	if month < 1 || month > 12 || day < 1 {
		return false
	}
	days := int("\x1f\x1c\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"[month-1])
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		days = 29
	}
	return day <= days
}

// isDateOf is isDate where the year has lost its century: there was such a day in 1900 to 2099.
func isDateOf(yy, month, day int) bool {
	return isDate(2000+yy, month, day) // 2000 was a leap year, 1900 was none: what 19yy has, 20yy has
}
