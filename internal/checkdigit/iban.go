// SPDX-License-Identifier: Apache-2.0

package checkdigit

// ibanForm is the form of a country's BBAN: counts and kinds, 'n' digits, 'a' letters, 'c' either. "4a14n" is four letters and
// 14 digits.
type ibanForm struct{ country, bban string }

// ibanForms are those of the IBAN registry that SWIFT keeps for ISO 13616 (release 101), where the
// parts of a BBAN that have one kind are put together here. Those after YE are not registered, but their banks use them (as in the ECBS's
// and UN/CEFACT's lists, and the banks of the BCEAO and BEAC).
var ibanForms = [...]ibanForm{
	{"AD", "8n12c"}, {"AE", "19n"}, {"AL", "8n16c"}, {"AT", "16n"}, {"AZ", "4a20c"},
	{"BA", "16n"}, {"BE", "12n"}, {"BG", "4a6n8c"}, {"BH", "4a14c"}, {"BI", "23n"}, {"BR", "23n1a1c"}, {"BY", "4c4n16c"},
	{"CH", "5n12c"}, {"CR", "18n"}, {"CY", "8n16c"}, {"CZ", "20n"},
	{"DE", "18n"}, {"DJ", "23n"}, {"DK", "14n"}, {"DO", "4c20n"},
	{"EE", "16n"}, {"EG", "25n"}, {"ES", "20n"},
	{"FI", "14n"}, {"FK", "2a12n"}, {"FO", "14n"}, {"FR", "10n11c2n"},
	{"GB", "4a14n"}, {"GE", "2a16n"}, {"GI", "4a15c"}, {"GL", "14n"}, {"GR", "7n16c"}, {"GT", "24c"},
	{"HN", "4a20n"}, {"HR", "17n"}, {"HU", "24n"},
	{"IE", "4a14n"}, {"IL", "19n"}, {"IQ", "4a15n"}, {"IS", "22n"}, {"IT", "1a10n12c"},
	{"JO", "4a4n18c"},
	{"KW", "4a22c"}, {"KZ", "3n13c"},
	{"LB", "4n20c"}, {"LC", "4a24c"}, {"LI", "5n12c"}, {"LT", "16n"}, {"LU", "3n13c"}, {"LV", "4a13c"}, {"LY", "21n"},
	{"MC", "10n11c2n"}, {"MD", "20c"}, {"ME", "18n"}, {"MK", "3n10c2n"}, {"MN", "16n"}, {"MR", "23n"}, {"MT", "4a5n18c"}, {"MU", "4a19n3a"},
	{"NI", "4a20n"}, {"NL", "4a10n"}, {"NO", "11n"},
	{"OM", "3n16c"},
	{"PK", "4a16c"}, {"PL", "24n"}, {"PS", "4a21c"}, {"PT", "21n"},
	{"QA", "4a21c"},
	{"RO", "4a16c"}, {"RS", "18n"}, {"RU", "14n15c"},
	{"SA", "2n18c"}, {"SC", "4a20n3a"}, {"SD", "14n"}, {"SE", "20n"}, {"SI", "15n"}, {"SK", "20n"}, {"SM", "1a10n12c"}, {"SO", "19n"}, {"ST", "21n"}, {"SV", "4a20n"},
	{"TL", "19n"}, {"TN", "20n"}, {"TR", "6n16c"},
	{"UA", "6n19c"},
	{"VA", "18n"}, {"VG", "4a16n"},
	{"XK", "16n"},
	{"YE", "4a4n18c"},

	{"AO", "21n"}, {"BF", "2c22n"}, {"BJ", "2c22n"}, {"CF", "23n"}, {"CG", "23n"}, {"CI", "2c22n"}, {"CM", "23n"}, {"CV", "21n"}, {"DZ", "22n"},
	{"GA", "23n"}, {"GQ", "23n"}, {"GW", "2c19n"}, {"IR", "22n"}, {"KM", "23n"}, {"MA", "24n"}, {"MG", "23n"}, {"ML", "2c22n"}, {"MZ", "21n"},
	{"NE", "2a22n"}, {"SN", "2c22n"}, {"TD", "23n"}, {"TG", "2a22n"},
}

// ibanIndex is the place of a country in ibanForms plus one, by its two letters.
var ibanIndex = func() (index [26 * 26]uint8) {
	for i, f := range ibanForms {
		index[int(f.country[0]-'A')*26+int(f.country[1]-'A')] = uint8(i + 1)
	}
	return index
}()

// IBAN says whether compact, in upper case and without blanks, can be an IBAN: of a country that has them, with the length and
// the letters and digits that this country's have, and with check digits by ISO 7064 mod 97-10. A country's own check digits within
// the BBAN are not looked at.
func IBAN(compact string) bool {
	if len(compact) < 15 || len(compact) > 34 || !isUpper(compact[0]) || !isUpper(compact[1]) || !isDigit(compact[2]) || !isDigit(compact[3]) {
		return false
	}
	at := ibanIndex[int(compact[0]-'A')*26+int(compact[1]-'A')]
	if at == 0 {
		return false
	}
	check := int(compact[2]-'0')*10 + int(compact[3]-'0')
	if check < 2 || check > 98 || !ibanHasForm(compact[4:], ibanForms[at-1].bban) {
		return false
	}
	rest := mod97(compact[4:], 0)
	return mod97(compact[:4], rest) == 1
}

func ibanHasForm(bban, form string) bool {
	at, count := 0, 0
	for i := 0; i < len(form); i++ {
		c := form[i]
		if isDigit(c) {
			count = count*10 + int(c-'0')
			continue
		}
		if len(bban)-at < count {
			return false
		}
		for ; count > 0; count-- {
			b := bban[at]
			at++
			if digit, letter := isDigit(b), isUpper(b); !(digit && c != 'a' || letter && c != 'n') {
				return false
			}
		}
	}
	return at == len(bban)
}

// mod97 goes on with rest over text, whose letters count as two digits: A as 10, Z as 35.
func mod97(text string, rest int) int {
	for i := 0; i < len(text); i++ {
		if c := text[i]; isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isUpper(c byte) bool { return c-'A' <= 25 }
