// SPDX-License-Identifier: Apache-2.0

package checkdigit

// american are the rules of the Americas.
var american = []definition{
	{
		name: "national_id_us_ssn", forms: []string{"999999999"}, punctuated: []string{"999-99-9999", "999 99 9999"}, share: 0.9, valid: usSSN,
		keywords: []string{"ssn", "ssn#", "social security", "social security number", "social sec", "soc sec", "seguro social", "itin", "taxpayer id"},
	},
	{
		name: "national_id_us_itin", forms: []string{"999999999"}, punctuated: []string{"999-99-9999", "999 99 9999"}, share: 0.045, valid: usITIN,
		keywords: []string{"itin", "taxpayer id", "taxpayer identification", "tax id", "tin"},
	},
	{
		name: "national_id_ca_sin", forms: []string{"999999999"}, punctuated: []string{"999-999-999", "999 999 999"}, share: 0.082, weakPunctuated: true, valid: caSIN,
		keywords: []string{"sin", "social insurance", "social insurance number", "numéro d'assurance sociale", "assurance sociale", "nas"},
	},
	{
		name: "national_id_br_cpf", forms: []string{"99999999999"}, punctuated: []string{"999.999.999-99"}, share: 0.0105, valid: brCPF,
		keywords: []string{"cpf", "cadastro de pessoas físicas", "cadastro de pessoa física", "contribuinte"},
	},
	{
		name: "national_id_mx_curp", forms: []string{"AAAA999999AAAAAAX9"}, share: 0.0002, valid: mxCURP,
		keywords: []string{"curp", "clave única", "clave unica"},
	},
	{
		name: "national_id_ar_cuit", forms: []string{"99999999999"}, punctuated: []string{"99-99999999-9"}, share: 0.006, valid: arCUIT,
		keywords: []string{"cuit", "cuil", "cuit/cuil"},
	},
	{
		name: "national_id_cl_rut", forms: []string{"99999999X", "9999999X"}, punctuated: []string{"99.999.999-X", "9.999.999-X", "99999999-X", "9999999-X"}, share: 0.085, valid: clRUT,
		keywords: []string{"rut", "run", "rol único", "rol unico"},
	},
}

// usSSN holds to what the Social Security Administration says it never gives out (POMS RM 10201.035): area 000, 666 and 900 to 999, group 00,
// serial 0000; and to the two numbers that it withdrew after they had been printed in public.
func usSSN(d id) bool {
	area := d.num(0, 3)
	if area == 0 || area == 666 || area >= 900 || d.num(3, 2) == 0 || d.num(5, 4) == 0 {
		return false
	}
	n := d.num(0, 9)
	return n != 78051120 && n != 219099999
}

// usITIN: 9, and as fourth and fifth digit 50 to 65, 70 to 88, 90 to 92 or 94 to 99 (IRS, ITIN reference guide, publication 1915).
func usITIN(d id) bool {
	group := d.num(3, 2)
	return d.b[0] == '9' && (group >= 50 && group <= 65 || group >= 70 && group <= 88 || group >= 90 && group <= 92 || group >= 94)
}

// caSIN: no number that was given out begins with 0 or 8.
func caSIN(d id) bool {
	return d.b[0] != '0' && d.b[0] != '8' && d.luhn(0, 9)
}

func brCPF(d id) bool {
	if d.same(11) {
		return false
	}
	first := 11 - d.weighted(":98765432")%11
	if first > 9 {
		first = 0
	}
	second := 11 - d.weighted(";:98765432")%11
	if second > 9 {
		second = 0
	}
	return d.digit(9) == first && d.digit(10) == second
}

// mxStates are the codes of the federal entities, and NE for those born abroad.
const mxStates = "AS BC BS CC CL CM CS CH DF DG GT GR HG JC MC MN MS NT NL OC PL QT QR SP SL SR TC TS TL VZ YN ZS NE "

// mxCURP follows the instruction of the RENAPO: name, date, sex, entity, letters of the names, a character that tells the century, check
// digit. The letters are consonants by the instruction; vowels are taken too, since makers of such numbers err there and the rest tells enough.
func mxCURP(d id) bool {
	if d.b[10] != 'H' && d.b[10] != 'M' && d.b[10] != 'X' {
		return false
	}
	known := false
	for i := 0; i < len(mxStates); i += 3 {
		known = known || mxStates[i] == d.b[11] && mxStates[i+1] == d.b[12]
	}
	if !known {
		return false
	}
	year := 2000 + d.num(4, 2)
	if isDigit(d.b[16]) {
		year -= 100
	}
	if !isDate(year, d.num(6, 2), d.num(8, 2)) {
		return false
	}
	sum := 0
	for i := range 17 {
		c := d.b[i]
		v := int(c - '0')
		if c >= 'A' {
			v = int(c-'A') + 10
			if c > 'N' {
				v++ // Ñ stands after N
			}
		}
		sum += v * (18 - i)
	}
	return (10-sum%10)%10 == d.digit(17)
}

func isVowel(c byte) bool { return c == 'A' || c == 'E' || c == 'I' || c == 'O' || c == 'U' }

// arCUIT: of persons alone, whose kinds are 20 and 23 to 27; 30 and above are companies.
func arCUIT(d id) bool {
	kind := d.num(0, 2)
	if kind != 20 && (kind < 23 || kind > 27) {
		return false
	}
	return (d.weighted("5432765432")+d.digit(10))%11 == 0
}

// clRUT: check character mod 11 with K for 10.
func clRUT(d id) bool {
	n := int(d.n) - 1
	sum, weight := 0, 2
	for i := n - 1; i >= 0; i-- {
		sum += d.digit(i) * weight
		weight++
		if weight == 8 {
			weight = 2
		}
	}
	return d.b[0] != '0' && d.b[n] == "0K987654321"[sum%11]
}
