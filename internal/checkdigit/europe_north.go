// SPDX-License-Identifier: Apache-2.0

package checkdigit

// northern are the rules of the Nordic and the Baltic states.
var northern = []definition{
	{
		name: "national_id_se_personnummer", forms: []string{"9999999999", "999999999999"},
		punctuated: []string{"999999-9999", "999999+9999", "99999999-9999"}, share: 0.0075, valid: sePersonnummer,
		keywords: []string{"personnummer", "person nr", "personnr", "samordningsnummer", "pnr", "swedish personal"},
	},
	{
		name: "national_id_no_fnr", forms: []string{"99999999999"}, punctuated: []string{"999999 99999"}, share: 0.0012, valid: noFodselsnummer,
		keywords: []string{"fødselsnummer", "fodselsnummer", "fødselsnr", "fnr", "personnummer", "d-nummer", "norwegian national"},
	},
	{
		name: "national_id_dk_cpr", forms: []string{"9999999999"}, punctuated: []string{"999999-9999"}, share: 0.038, valid: dkCPR,
		keywords: []string{"cpr", "cpr-nr", "cpr-nummer", "cprnr", "personnummer"},
	},
	{
		name: "national_id_fi_hetu", forms: []string{"999999A999X", "999999999A"}, punctuated: []string{"999999-999X", "999999+999X"}, share: 0.0013, valid: fiHETU,
		keywords: []string{"hetu", "henkilötunnus", "henkilotunnus", "personbeteckning"},
	},
	{
		name: "national_id_is_kennitala", forms: []string{"9999999999"}, punctuated: []string{"999999-9999"}, share: 0.0012, valid: isKennitala,
		keywords: []string{"kennitala", "kt."},
	},
	{
		name: "national_id_ee_lt", forms: []string{"99999999999"}, share: 0.0027, valid: eeLtCode,
		keywords: []string{"isikukood", "asmens kodas", "a.k.", "personal code"},
	},
}

// sePersonnummer: a date, whose day has 60 added in a coordination number, a serial number and Luhn's digit over the last ten
// (Skatteverket, SKV 704 and 707).
func sePersonnummer(d id) bool {
	at := int(d.n) - 10
	day := d.num(at+4, 2)
	if day > 60 {
		day -= 60
	}
	if at == 0 {
		return isDateOf(d.num(0, 2), d.num(2, 2), day) && d.luhn(0, 10)
	}
	year := d.num(0, 4)
	return year >= 1800 && year < 2100 && isDate(year, d.num(4, 2), day) && d.luhn(2, 10)
}

// noFodselsnummer: day (41 and up in a D-number), month (41 and up in a help number), year, a serial number that tells the
// century, two check digits (Skatteetaten, Folkeregisteret).
func noFodselsnummer(d id) bool {
	day, month, yy, serial := d.num(0, 2), d.num(2, 2), d.num(4, 2), d.num(6, 3)
	if day > 40 {
		day -= 40
	}
	if month > 40 {
		month -= 40
	}
	year := 0
	switch {
	case serial < 500:
		year = 1900 + yy
	case serial < 750 && yy >= 54:
		year = 1800 + yy
	case yy < 40:
		year = 2000 + yy
	case serial >= 900:
		year = 1900 + yy
	}
	if year == 0 || !isDate(year, month, day) {
		return false
	}
	return (d.weighted("376189452")+d.digit(9))%11 == 0 && (d.weighted("5432765432")+d.digit(10))%11 == 0
}

// dkCPR has had no check digit since 2007: a date, whose century the seventh digit tells, is all (CPR-kontoret).
func dkCPR(d id) bool {
	day, yy := d.num(0, 2), d.num(4, 2)
	year := 1900 + yy
	switch c := d.b[6]; {
	case c == '4' || c == '9':
		if yy < 37 {
			year += 100
		}
	case c >= '5':
		if yy < 58 {
			year += 100
		} else {
			year -= 100
		}
	}
	return isDate(year, d.num(2, 2), day)
}

// fiHETU: a date, a sign of the century, a number from 002 on and a check character (DVV; the signs of 2023 too). Where the
// sign is lost, so is the century.
func fiHETU(d id) bool {
	at, sign := 6, d.sign
	if d.n == 11 {
		at, sign = 7, d.b[6]
	}
	century := 0
	switch sign {
	case '+':
		century = 1800
	case '-', 'Y', 'X', 'W', 'V', 'U':
		century = 1900
	case 0, 'A', 'B', 'C', 'D', 'E', 'F':
		century = 2000
	default:
		return false
	}
	if !isDate(century+d.num(4, 2), d.num(2, 2), d.num(0, 2)) || d.num(at, 3) < 2 {
		return false
	}
	return "0123456789ABCDEFHJKLMNPRSTUVWXY"[(d.num(0, 6)*1000+d.num(at, 3))%31] == d.b[at+3]
}

// isKennitala: date, two random digits from 20 on, check digit mod 11, century (Þjóðskrá). Those of companies, with 40 added to the day, are none.
func isKennitala(d id) bool {
	century := 0
	switch d.b[9] {
	case '8':
		century = 1800
	case '9':
		century = 1900
	case '0':
		century = 2000
	default:
		return false
	}
	return isDate(century+d.num(4, 2), d.num(2, 2), d.num(0, 2)) && (d.weighted("32765432")+d.digit(8))%11 == 0
}

// eeLtCode is the code that Estonia and Lithuania share: a digit for sex and century, date, serial number, check digit
// (Estonian standard EVS 585).
func eeLtCode(d id) bool {
	sex := d.digit(0)
	if sex < 1 || sex > 6 || !isDate(1800+(sex-1)/2*100+d.num(1, 2), d.num(3, 2), d.num(5, 2)) {
		return false
	}
	rest := d.weighted("1234567891") % 11
	if rest == 10 {
		rest = d.weighted("3456789123") % 11 % 10
	}
	return rest == d.digit(10)
}
