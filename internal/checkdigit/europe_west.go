// SPDX-License-Identifier: Apache-2.0

package checkdigit

// western are the rules of western and southern Europe.
var western = []definition{
	{
		name: "national_id_gb_nino", forms: []string{"AA999999A"}, punctuated: []string{"AA 99 99 99 A", "AA-99-99-99-A", "AA 999999 A"}, share: 0.09, valid: gbNINO,
		keywords: []string{"nino", "national insurance", "national insurance number", "ni number", "ni no"},
	},
	{
		name: "national_id_gb_nhs", forms: []string{"9999999999"}, punctuated: []string{"999 999 9999", "999-999-9999"}, share: 0.095, weakPunctuated: true, valid: gbNHS,
		keywords: []string{"nhs", "nhs number", "nhs no", "chi number"},
	},
	{
		name: "national_id_ie_pps", forms: []string{"9999999A", "9999999AA"}, share: 0.042, valid: iePPS,
		keywords: []string{"pps", "ppsn", "pps number", "pps no", "uimhir psp"},
	},
	{
		name: "national_id_de_idnr", forms: []string{"99999999999"}, punctuated: []string{"99 999 999 999"}, share: 0.0035, valid: deIDNr,
		keywords: []string{"steuer-id", "steuerid", "steueridentifikationsnummer", "steuer-identifikationsnummer", "steuerliche identifikationsnummer", "idnr", "identifikationsnummer", "tax id", "tin"},
	},
	{
		name: "national_id_fr_nir", forms: []string{"999999999999999", "999999A99999999"},
		punctuated: []string{"9 99 99 99 999 999 99", "9 99 99 9A 999 999 99", "9 99 99 99 999 999-99", "9 99 99 9A 999 999-99", "9999999999999 99", "999999A999999 99"}, share: 0.005, valid: frNIR,
		keywords: []string{"nir", "insee", "numéro de sécurité sociale", "numero de securite sociale", "sécurité sociale", "securite sociale", "sécu", "n° ss"},
	},
	{
		name: "national_id_es_dni", forms: []string{"99999999A"}, punctuated: []string{"99999999-A", "99.999.999-A", "99.999.999A", "99999999 A", "99.999.999 A"}, share: 0.041, valid: esDNI,
		keywords: []string{"dni", "nif", "d.n.i.", "n.i.f.", "documento nacional", "documento de identidad"},
	},
	{
		name: "national_id_es_nie", forms: []string{"A9999999A"}, punctuated: []string{"A-9999999-A", "A9999999-A", "A-9999999A", "A-9.999.999-A"}, share: 0.0095, valid: esNIE,
		keywords: []string{"nie", "nif", "n.i.e.", "extranjero"},
	},
	{
		name: "national_id_it_codice_fiscale", forms: []string{"AAAAAA99A99A999A", "AAAAAAXXAXXAXXXA"}, punctuated: []string{"AAA AAA XXAXX AXXXA"}, share: 0.006, valid: itCodiceFiscale,
		keywords: []string{"codice fiscale", "cod. fiscale", "cod.fisc.", "cod. fisc.", "c.f.", "cf"},
	},
	{
		name: "national_id_pt_nif", forms: []string{"999999999"}, punctuated: []string{"999 999 999"}, share: 0.045, weakPunctuated: true, valid: ptNIF,
		keywords: []string{"nif", "contribuinte", "número de contribuinte", "numero de contribuinte", "número de identificação fiscal"},
	},
	{
		name: "national_id_nl_bsn", forms: []string{"999999999"}, punctuated: []string{"9999.99.999", "9999 99 999"}, share: 0.095, valid: nlBSN, weakPunctuated: true,
		keywords: []string{"bsn", "burgerservicenummer", "burger service nummer", "sofinummer", "sofi-nummer"},
	},
	{
		name: "national_id_be_nn", forms: []string{"99999999999"}, punctuated: []string{"99.99.99-999.99", "99 99 99 999 99", "99.99.99 999.99"}, share: 0.003, valid: beNN,
		keywords: []string{"rijksregisternummer", "rijksregister", "insz", "numéro national", "numero national", "registre national", "niss", "nn"},
	},
	{
		name: "national_id_ch_ahv", forms: []string{"7569999999999"}, punctuated: []string{"756.9999.9999.99", "756 9999 9999 99"}, share: 0.0002, valid: chAHV,
		keywords: []string{"ahv", "ahv-nr", "ahv-nummer", "avs", "oasi", "sozialversicherungsnummer", "numéro avs"},
	},
	{
		name: "national_id_at_svnr", forms: []string{"9999999999"}, punctuated: []string{"9999 999999"}, share: 0.0045, valid: atSVNR,
		keywords: []string{"svnr", "sv-nr", "sozialversicherungsnummer", "versicherungsnummer", "sv-nummer"},
	},
}

// gbNINO: the letters that HMRC gives out (National Insurance Manual, NIM39110). There is no check digit.
func gbNINO(d id) bool {
	a, b, last := d.b[0], d.b[1], d.b[8]
	switch a {
	case 'D', 'F', 'I', 'Q', 'U', 'V':
		return false
	}
	switch b {
	case 'D', 'F', 'I', 'O', 'Q', 'U', 'V':
		return false
	}
	switch string([]byte{a, b}) {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return false
	}
	return last >= 'A' && last <= 'D'
}

// gbNHS: check digit mod 11 (NHS Data Dictionary, NHS NUMBER).
func gbNHS(d id) bool {
	return (d.weighted(":98765432")+d.digit(9))%11 == 0 && d.digit(9) < 10 && !d.same(10)
}

// iePPS: check letter mod 23, into which the second letter goes since 2013 (Revenue, Department of Social Protection).
func iePPS(d id) bool {
	sum := d.weighted("8765432")
	if d.n == 9 {
		switch c := d.b[8]; {
		case c == 'A' || c == 'B' || c == 'H':
			sum += int(c-'A'+1) * 9
		case c == 'W' || c == 'T' || c == 'X': // of before 2013, when it did not count
		default:
			return false
		}
	}
	return "WABCDEFGHIJKLMNOPQRSTUV"[sum%23] == d.b[7]
}

// deIDNr: eleven digits, the last by ISO 7064 mod 11,10. Of the first ten, exactly one stands there twice or three times, never thrice in a row (BZSt,
// form of the identification number since 2016).
func deIDNr(d id) bool {
	if d.b[0] == '0' {
		return false
	}
	var count [10]uint8
	for i := range 10 {
		count[d.digit(i)]++
		if i > 1 && d.b[i] == d.b[i-1] && d.b[i] == d.b[i-2] {
			return false
		}
	}
	repeated := 0
	for _, n := range count {
		if n > 3 {
			return false
		}
		if n > 1 {
			repeated++
		}
	}
	return repeated == 1 && d.mod1110(11)
}

// frNIR: sex, year, month, department, municipality, serial number and a key mod 97 (INSEE). In Corsica 2A counts as 19 and 2B as 18. Months of 20
// and more are those of people whose papers do not say one.
func frNIR(d id) bool {
	switch d.b[0] {
	case '1', '2', '3', '4', '7', '8':
	default:
		return false
	}
	month := d.num(3, 2)
	if !(month >= 1 && month <= 12 || month == 20 || month >= 30 && month <= 42 || month >= 50) {
		return false
	}
	department := 0
	switch d.b[6] {
	case 'A':
		department = 19
	case 'B':
		department = 18
	default:
		if !isDigit(d.b[6]) {
			return false
		}
		department = d.num(5, 2)
	}
	if department == 0 || !isDigit(d.b[6]) && d.b[5] != '2' {
		return false
	}
	n := (d.num(0, 5)*100+department)*1000000 + d.num(7, 6)
	return d.num(7, 3) != 0 && d.num(10, 3) != 0 && 97-n%97 == d.num(13, 2)
}

const esLetters = "TRWAGMYFPDXBNJZSQVHLCKE"

// esDNI: a letter mod 23 (Orden of the Ministerio del Interior; Agencia Tributaria).
func esDNI(d id) bool {
	return esLetters[d.num(0, 8)%23] == d.b[8] && d.num(0, 8) != 0
}

// esNIE: X, Y and Z of foreigners count as 0, 1 and 2; K, L and M are the NIF of those who have no DNI, and do not count.
func esNIE(d id) bool {
	n := d.num(1, 7)
	switch d.b[0] {
	case 'X', 'K', 'L', 'M':
	case 'Y':
		n += 10000000
	case 'Z':
		n += 20000000
	default:
		return false
	}
	return esLetters[n%23] == d.b[8]
}

// itOdd are the values of characters at odd places, digits and then letters; the digits' are those of the first letters.
const itOdd = "\x01\x00\x05\x07\x09\x0d\x0f\x11\x13\x15\x02\x04\x12\x14\x0b\x03\x06\x08\x0c\x0e\x10\x0a\x16\x19\x18\x17"

// itCodiceFiscale: surname, name, year, month, day (with 40 added for women), municipality, check letter (Agenzia delle Entrate, D.M. 23
// December 1976). Of people who would have the same one, digits are written as letters: L for 0 to V for 9.
func itCodiceFiscale(d id) bool {
	if !itName(d.b[0], d.b[1], d.b[2]) || !itName(d.b[3], d.b[4], d.b[5]) {
		return false
	}
	sum := 0
	for i := range 15 {
		c := d.b[i]
		v := int(c - '0')
		if c >= 'A' {
			v = int(c - 'A')
		}
		if i&1 == 0 {
			v = int(itOdd[v])
		}
		sum += v
	}
	if byte(sum%26)+'A' != d.b[15] {
		return false
	}
	for _, i := range [...]int{6, 7, 9, 10, 12, 13, 14} {
		switch c := d.b[i]; {
		case isDigit(c):
		case c >= 'L' && c <= 'N':
			d.b[i] = c - 'L' + '0'
		case c >= 'P' && c <= 'V':
			d.b[i] = c - 'P' + '3'
		default:
			return false
		}
	}
	month := 0
	for i := range len("ABCDEHLMPRST") {
		if "ABCDEHLMPRST"[i] == d.b[8] {
			month = i + 1
		}
	}
	day := d.num(9, 2)
	if day > 40 {
		day -= 40
	}
	return isDateOf(d.num(6, 2), month, day) && d.num(12, 3) != 0
}

// itName says whether three letters can be those of a name: consonants in their order, then vowels, then X as a filler.
func itName(a, b, c byte) bool {
	kind := func(l byte) int {
		switch {
		case isVowel(l):
			return 1
		case l == 'X':
			return 2
		}
		return 0
	}
	last := 0
	for _, l := range [...]byte{a, b, c} {
		switch k := kind(l); k {
		case 0:
			if last != 0 {
				return false
			}
		case 1:
			if last == 2 {
				return false
			}
			last = 1
		case 2:
			if last != 0 {
				last = 2
			}
		}
	}
	return true
}

// ptNIF: of persons, which begin with 1, 2, 3 or 45, and of sole traders, with 8; check digit mod 11.
func ptNIF(d id) bool {
	switch d.b[0] {
	case '1', '2', '3', '8':
	case '4':
		if d.b[1] != '5' {
			return false
		}
	default:
		return false
	}
	check := 11 - d.weighted("98765432")%11
	if check > 9 {
		check = 0
	}
	return check == d.digit(8)
}

// nlBSN: the elfproef, in which the last digit counts as minus one.
func nlBSN(d id) bool {
	return (d.weighted("98765432")-d.digit(8))%11 == 0 && d.num(0, 9) >= 10000000
}

// beNN: date, serial number, check digits mod 97, before which those born from 2000 on have a 2. A BIS number has 20 or 40 added to its
// month; month and day can be unknown, as 0.
func beNN(d id) bool {
	n, key := d.num(0, 9), d.num(9, 2)
	yy, month, day := d.num(0, 2), d.num(2, 2)%20, d.num(4, 2)
	if d.num(2, 2) >= 60 || month > 12 || d.num(6, 3) == 0 {
		return false
	}
	for _, century := range [...]int{1900, 2000} {
		if 97-(n+(century-1900)*20000000)%97 != key {
			continue
		}
		if month == 0 || day == 0 {
			if day <= 31 {
				return true
			}
		} else if isDate(century+yy, month, day) {
			return true
		}
	}
	return false
}

// chAHV: 756, nine digits, check digit of EAN-13 (ZAS/CdC, AHVN13).
func chAHV(d id) bool {
	return (d.weighted("131313131313")+d.digit(12))%10 == 0
}

// atSVNR: serial number from 100 on, check digit mod 11, date of birth; where a day's numbers were used up, its month is 13 to 15.
func atSVNR(d id) bool {
	day, month := d.num(4, 2), d.num(6, 2)
	if d.b[0] == '0' || month < 1 || month > 15 {
		return false
	}
	if month > 12 {
		if day < 1 || day > 31 {
			return false
		}
	} else if !isDateOf(d.num(8, 2), month, day) {
		return false
	}
	return d.weighted("3790584216")%11 == d.digit(3)
}
