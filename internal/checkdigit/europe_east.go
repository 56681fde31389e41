// SPDX-License-Identifier: Apache-2.0

package checkdigit

// eastern are the rules of central and eastern Europe.
var eastern = []definition{
	{
		name: "national_id_pl_pesel", forms: []string{"99999999999"}, share: 0.012, valid: plPESEL,
		keywords: []string{"pesel", "numer pesel", "nr pesel"},
	},
	{
		name: "national_id_cz_rc", forms: []string{"9999999999"}, punctuated: []string{"999999/9999", "999999/999"}, share: 0.0115, valid: czRC, // Slovakia's too
		keywords: []string{"rodné číslo", "rodne cislo", "rodného čísla", "rč", "r.č.", "birth number"},
	},
	{
		name: "national_id_ro_cnp", forms: []string{"9999999999999"}, share: 0.002, valid: roCNP,
		keywords: []string{"cnp", "cod numeric personal"},
	},
	{
		name: "national_id_bg_egn", forms: []string{"9999999999"}, share: 0.012, valid: bgEGN,
		keywords: []string{"егн", "egn", "единен граждански номер"},
	},
	{
		name: "national_id_hr_oib", forms: []string{"99999999999"}, share: 0.105, valid: hrOIB,
		keywords: []string{"oib", "osobni identifikacijski broj"},
	},
	{
		name: "national_id_si_emso", forms: []string{"9999999999999"}, share: 0.0015, valid: siEMSO, // the JMBG of the other states of Yugoslavia too
		keywords: []string{"emšo", "emso", "jmbg", "matični broj", "maticni broj"},
	},
	{
		name: "national_id_gr_amka", forms: []string{"99999999999"}, share: 0.0045, valid: grAMKA,
		keywords: []string{"αμκα", "amka", "α.μ.κ.α."},
	},
	{
		name: "national_id_tr_tckn", forms: []string{"99999999999"}, share: 0.01, valid: trTCKN,
		keywords: []string{"tckn", "tc kimlik", "t.c. kimlik", "kimlik no", "kimlik numarası", "tc no"},
	},
	{
		name: "national_id_ru_snils", forms: []string{"99999999999"}, punctuated: []string{"999-999-999 99", "999-999-999-99"}, share: 0.0108, valid: ruSNILS,
		keywords: []string{"снилс", "snils", "страховой номер"},
	},
	{
		name: "national_id_ru_inn", forms: []string{"999999999999"}, share: 0.011, valid: ruINN,
		keywords: []string{"инн", "inn", "идентификационный номер налогоплательщика"},
	},
	{
		name: "national_id_ua_rntrc", forms: []string{"9999999999"}, share: 0.058, valid: uaRNTRC,
		keywords: []string{"рнокпп", "іпн", "ідентифікаційний номер", "ідентифікаційний код", "инн", "rntrc"},
	},
}

// plPESEL: date, with 80 added to the month for the 19th century and 20 for the 21st, serial number, check digit mod 10. The 22nd and 23rd
// century, which the form foresees, are refused: nobody has those yet.
func plPESEL(d id) bool {
	century, month := 1900, d.num(2, 2)
	switch {
	case month > 80:
		century, month = 1800, month-80
	case month > 20:
		century, month = 2000, month-20
	}
	return isDate(century+d.num(0, 2), month, d.num(4, 2)) && (d.weighted("1379137913")+d.digit(10))%10 == 0
}

// czRC: date, with 50 added to the month for women and 20 more where a day's numbers were used up from 2004 on; ten digits are divisible by 11, but
// for some of before 1985 whose rest of 10 was written as 0. Nine digits, of before 1954, have no check digit, and are taken in
// punctuation only.
func czRC(d id) bool {
	yy, month := d.num(0, 2), d.num(2, 2)
	if month > 50 {
		month -= 50
	}
	if d.n == 9 {
		return yy < 54 && isDate(1900+yy, month, d.num(4, 2)) && d.num(6, 3) != 0
	}
	year := 2000 + yy
	if yy >= 54 {
		year = 1900 + yy
	}
	if month > 20 {
		if year < 2004 {
			return false
		}
		month -= 20
	}
	if !isDate(year, month, d.num(4, 2)) {
		return false
	}
	rest := d.num(0, 9) % 11
	return rest == d.digit(9) || rest == 10 && d.b[9] == '0' && year < 1986
}

// roCNP: sex and century, date, county, serial number, check digit mod 11.
func roCNP(d id) bool {
	yy, month, day := d.num(1, 2), d.num(3, 2), d.num(5, 2)
	switch d.b[0] {
	case '1', '2':
		if !isDate(1900+yy, month, day) {
			return false
		}
	case '3', '4':
		if !isDate(1800+yy, month, day) {
			return false
		}
	case '5', '6', '7', '8', '9':
		if !isDateOf(yy, month, day) {
			return false
		}
	default:
		return false
	}
	county := d.num(7, 2)
	if county < 1 || county > 48 && county != 51 && county != 52 && county != 70 && (county < 80 || county > 83) || d.num(9, 3) == 0 {
		return false
	}
	check := d.weighted("279146358279") % 11
	if check == 10 {
		check = 1
	}
	return check == d.digit(12)
}

// bgEGN: date, with 20 added to the month for the 19th century and 40 for the 21st, check digit mod 11 (ГРАО).
func bgEGN(d id) bool {
	century, month := 1900, d.num(2, 2)
	switch {
	case month > 40:
		century, month = 2000, month-40
	case month > 20:
		century, month = 1800, month-20
	}
	return isDate(century+d.num(0, 2), month, d.num(4, 2)) && d.weighted("2485:9736")%11%10 == d.digit(9)
}

func hrOIB(d id) bool { return d.mod1110(11) }

// siEMSO: day, month, last three digits of the year, region, serial number, check digit mod 11.
func siEMSO(d id) bool {
	year := 1000 + d.num(4, 3)
	if year < 1800 {
		year += 1000
	}
	if year < 1850 || year > 2099 || !isDate(year, d.num(2, 2), d.num(0, 2)) {
		return false
	}
	check := 11 - d.weighted("765432765432")%11
	return check == d.digit(12) || check == 11 && d.b[12] == '0'
}

// grAMKA: date of birth and Luhn's digit.
func grAMKA(d id) bool {
	return isDateOf(d.num(4, 2), d.num(2, 2), d.num(0, 2)) && d.luhn(0, 11)
}

// trTCKN: two check digits (Nüfus ve Vatandaşlık İşleri).
func trTCKN(d id) bool {
	if d.b[0] == '0' {
		return false
	}
	odd, even := d.weighted("101010101"), d.weighted("010101010")
	return ((odd*7-even)%10+10)%10 == d.digit(9) && (odd+even+d.digit(9))%10 == d.digit(10)
}

// ruSNILS: check number mod 101 (Pension Fund). Numbers up to 001-001-998 had none, and are refused.
func ruSNILS(d id) bool {
	return d.num(0, 9) > 1001998 && d.weighted("987654321")%101%100 == d.num(9, 2)
}

// ruINN: of persons, twelve digits, two of them check digits mod 11 (ФНС).
func ruINN(d id) bool {
	return d.num(0, 4) != 0 && d.weighted("724:359468")%11%10 == d.digit(10) && d.weighted("3724:359468")%11%10 == d.digit(11)
}

// uaRNTRC: the day of birth, counted from 31 December 1899, serial number, check digit mod 11.
func uaRNTRC(d id) bool {
	days := d.num(0, 5)
	sum := d.weighted("057946:57") - d.digit(0)
	return days > 0 && days < 54787 && (sum%11+11)%11%10 == d.digit(9) // up to 2049
}
