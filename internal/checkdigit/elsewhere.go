// SPDX-License-Identifier: Apache-2.0

package checkdigit

// otherContinents are the rules of Asia, Africa and Oceania.
var otherContinents = []definition{
	{
		name: "national_id_il_tz", forms: []string{"999999999"}, share: 0.105, valid: ilTZ,
		keywords: []string{"תעודת זהות", "מספר זהות", "ת.ז", "teudat zehut", "israeli id"},
	},
	{
		name: "national_id_in_aadhaar", forms: []string{"999999999999"}, punctuated: []string{"9999 9999 9999", "9999-9999-9999"}, share: 0.082, weakPunctuated: true, valid: inAadhaar,
		keywords: []string{"aadhaar", "aadhar", "adhaar", "uidai", "आधार"},
	},
	{
		name: "national_id_in_pan", forms: []string{"AAAAA9999A"}, share: 0.041, valid: inPAN,
		keywords: []string{"pan", "pan card", "pan number", "pan no", "permanent account number"},
	},
	{
		name: "national_id_cn_ric", forms: []string{"99999999999999999X"}, share: 0.0002, valid: cnRIC,
		keywords: []string{"身份证", "身分证", "居民身份证", "身份证号", "id card"},
	},
	{
		name: "national_id_tw", forms: []string{"A999999999"}, share: 0.042, valid: twID,
		keywords: []string{"身分證", "身分證字號", "統一證號", "居留證"},
	},
	{
		name: "national_id_hk", forms: []string{"A999999X", "AA999999X"}, punctuated: []string{"A999999(X)", "AA999999(X)"}, share: 0.095, valid: hkID,
		keywords: []string{"hkid", "香港身份證", "身份證", "身份證號碼", "hong kong id"},
	},
	{
		name: "national_id_kr_rrn", forms: []string{"9999999999999"}, punctuated: []string{"999999-9999999"}, share: 0.004, valid: krRRN,
		keywords: []string{"주민등록번호", "주민번호", "외국인등록번호", "rrn", "resident registration"},
	},
	{
		name: "national_id_jp_my_number", forms: []string{"999999999999"}, punctuated: []string{"9999 9999 9999", "9999-9999-9999"}, share: 0.105, weakPunctuated: true, valid: jpMyNumber,
		keywords: []string{"マイナンバー", "個人番号", "my number", "mynumber"},
	},
	{
		name: "national_id_sg_nric", forms: []string{"A9999999A"}, share: 0.0075, valid: sgNRIC,
		keywords: []string{"nric", "fin", "nric/fin", "singapore id"},
	},
	{
		name: "national_id_th", forms: []string{"9999999999999"}, punctuated: []string{"9-9999-99999-99-9", "9 9999 99999 99 9"}, share: 0.083, valid: thID,
		keywords: []string{"เลขประจำตัวประชาชน", "บัตรประชาชน", "thai id"},
	},
	{
		name: "national_id_au_tfn", forms: []string{"999999999"}, punctuated: []string{"999 999 999"}, share: 0.095, weakPunctuated: true, valid: auTFN,
		keywords: []string{"tfn", "tax file number", "tax file no"},
	},
	{
		name: "national_id_za", forms: []string{"9999999999999"}, punctuated: []string{"999999 9999 999", "999999 9999 99 9"}, share: 0.0012, valid: zaID,
		keywords: []string{"id number", "identity number", "said", "rsa id", "sa id"},
	},
}

func ilTZ(d id) bool { return d.luhn(0, 9) && d.num(0, 9) != 0 }

// verhoeffProduct and verhoeffShift are the dihedral group of order 10 and the powers of the permutation (J. Verhoeff, Error
// detecting decimal codes, 1969).
var (
	verhoeffProduct = [10]string{
		"0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
	}
	verhoeffShift = [8]string{
		"0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
	}
)

// inAadhaar: Verhoeff's check digit; none begins with 0 or 1, and none reads the same backwards (UIDAI).
func inAadhaar(d id) bool {
	if d.b[0] < '2' {
		return false
	}
	c := byte('0')
	palindrome := true
	for i := range 12 {
		c = verhoeffProduct[c-'0'][verhoeffShift[i%8][d.b[11-i]-'0']-'0']
		palindrome = palindrome && d.b[i] == d.b[11-i]
	}
	return c == '0' && !palindrome
}

// inPAN: of persons, whose fourth letter is P. How its last letter follows is not published.
func inPAN(d id) bool {
	return d.b[3] == 'P' && d.num(5, 4) != 0
}

// cnRIC: region, date, serial number, check character by ISO 7064 mod 11-2 (GB 11643-1999).
func cnRIC(d id) bool {
	if d.b[0] < '1' || d.b[0] > '9' {
		return false
	}
	year := d.num(6, 4)
	if year < 1850 || year > 2099 || !isDate(year, d.num(10, 2), d.num(12, 2)) {
		return false
	}
	return "10X98765432"[d.weighted("79:5842163"+"79:5842")%11] == d.b[17]
}

// twID: a letter of the place, which counts as two digits, 1 or 2 for the sex (8 or 9 of foreigners since 2021), check digit mod 10.
func twID(d id) bool {
	switch d.b[1] {
	case '1', '2', '8', '9':
	default:
		return false
	}
	const order = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
	place := 0
	for i := range len(order) {
		if order[i] == d.b[0] {
			place = i + 10
		}
	}
	sum := place/10 + place%10*9 + d.digit(9)
	for i := 1; i < 9; i++ {
		sum += d.digit(i) * (9 - i)
	}
	return sum%10 == 0
}

// hkID: one or two letters, A as 10 and a missing one as 36, six digits, check character mod 11 with A for 10.
func hkID(d id) bool {
	at := int(d.n) - 8
	sum := 36 * 9
	if at == 1 {
		sum = (int(d.b[0]-'A') + 10) * 9
	}
	sum += (int(d.b[at]-'A') + 10) * 8
	for i := range 6 {
		sum += d.digit(at+1+i) * (7 - i)
	}
	switch c := d.b[d.n-1]; {
	case isDigit(c):
		sum += int(c - '0')
	case c == 'A':
		sum += 10
	default:
		return false
	}
	return sum%11 == 0
}

// krRRN: date, a digit for sex, century and citizenship, and a check digit mod 11, which is two more for foreigners. Those given out from October
// 2020 on have random digits: in punctuation, one of somebody born since is taken without a check digit.
func krRRN(d id) bool {
	century, foreign := 1900, 0
	switch d.b[6] {
	case '1', '2':
	case '3', '4':
		century = 2000
	case '5', '6':
		foreign = 2
	case '7', '8':
		century, foreign = 2000, 2
	default:
		century = 1800
	}
	year, month := century+d.num(0, 2), d.num(2, 2)
	if !isDate(year, month, d.num(4, 2)) {
		return false
	}
	if (11+foreign-d.weighted("234567892345")%11)%10 == d.digit(12) {
		return true
	}
	return d.sign == '-' && year*100+month >= 202010
}

// jpMyNumber: check digit mod 11 (Ministry of Internal Affairs, order no. 85 of 2014).
func jpMyNumber(d id) bool {
	rest := d.weighted("65432765432") % 11
	check := 0
	if rest > 1 {
		check = 11 - rest
	}
	return check == d.digit(11) && !d.same(12)
}

// sgNRIC: S and T for citizens, F, G and M for foreigners, check letter mod 11.
func sgNRIC(d id) bool {
	sum, letters := 0, "JZIHGFEDCBA"
	for i := range 7 {
		sum += d.digit(i+1) * int("2765432"[i]-'0')
	}
	switch d.b[0] {
	case 'S':
	case 'T':
		sum += 4
	case 'F':
		letters = "XWUTRQPNMLK"
	case 'G':
		sum += 4
		letters = "XWUTRQPNMLK"
	case 'M':
		sum += 3
		letters = "XWUTRQPNJLK"
	default:
		return false
	}
	return letters[sum%11] == d.b[8]
}

// thID: the first digit is 1 to 8, check digit mod 11.
func thID(d id) bool {
	if d.b[0] < '1' || d.b[0] > '8' {
		return false
	}
	return (11-d.weighted("=<;:98765432")%11)%10 == d.digit(12)
}

func auTFN(d id) bool {
	return d.weighted("14375869:")%11 == 0 && d.num(0, 9) != 0
}

// zaID: date, sex, citizenship (0, 1, and 2 for refugees), a digit without meaning, Luhn's digit.
func zaID(d id) bool {
	return d.b[10] <= '2' && isDateOf(d.num(0, 2), d.num(2, 2), d.num(4, 2)) && d.luhn(0, 13)
}
