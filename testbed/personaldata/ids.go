// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/millrace/millrace/internal/detector"
)

// Cards and IBANs are made here and not by the package that judges them, so that a mistake in it is not made twice.

// networks are beginnings of card numbers and their lengths.
var networks = []struct {
	name    string
	first   []string
	lengths []int
}{
	{"Visa", []string{"4"}, []int{16, 16, 16, 19}},
	{"Mastercard", []string{"51", "52", "53", "54", "55", "2221", "2350", "2499", "2719"}, []int{16}},
	{"American Express", []string{"34", "37"}, []int{15}},
	{"Discover", []string{"6011", "644", "65"}, []int{16}},
	{"Diners Club", []string{"36", "300", "305", "38"}, []int{14}},
	{"JCB", []string{"3528", "3566", "3589"}, []int{16}},
	{"UnionPay", []string{"6221", "6258", "6282"}, []int{16, 19}},
	{"Maestro", []string{"5018", "6304", "6759", "6761"}, []int{16, 18, 19}},
}

func (m *maker) card() Value {
	network := networks[min(m.n(len(networks)), m.n(len(networks)))] // the first ones more often
	number := pick(m, network.first...)
	length := pick(m, network.lengths...)
	number += m.word(length-1-len(number), "0123456789")
	sum := 0
	for i := range number {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 0 {
			d = d*2/10 + d*2%10
		}
		sum += d
	}
	number += strconv.Itoa((10 - sum%10) % 10)
	if sep := pick(m, "", " ", " ", "-"); sep != "" {
		number = grouped(number, sep, map[int][]int{14: {4, 6, 4}, 15: {4, 6, 5}}[length]...)
	}
	return personal(detector.PaymentCard, network.name, number)
}

// grouped puts sep between groups of these lengths, or of four.
func grouped(text, sep string, lengths ...int) string {
	var groups []string
	for i := 0; text != ""; i++ {
		n := 4
		if i < len(lengths) {
			n = lengths[i]
		}
		n = min(n, len(text))
		groups, text = append(groups, text[:n]), text[n:]
	}
	return strings.Join(groups, sep)
}

// bbans are what follows the check digits, from SWIFT's registry of IBANs: n digits, a capitals, c either.
var bbans = map[string]string{
	"AT": "16n", "BE": "12n", "BG": "4a6n8c", "CH": "5n12c", "CY": "8n16c", "CZ": "20n", "DE": "18n", "DK": "14n", "EE": "16n", "ES": "20n", "FI": "14n", "FR": "10n11c2n",
	"GB": "4a14n", "GR": "7n16c", "HR": "17n", "HU": "24n", "IE": "4a14n", "IT": "1a10n12c", "LT": "16n", "LU": "3n13c", "LV": "4a13c", "MT": "4a5n18c", "NL": "4a10n", "NO": "11n",
	"PL": "24n", "PT": "21n", "RO": "4a16c", "SE": "20n", "SI": "15n", "SK": "20n", "TR": "6n16c", "SA": "2n18c", "AE": "19n", "BR": "23n1a1c", "IL": "19n",
}

var bbanCountries = map[string][]string{
	"cs": {"CZ", "SK"}, "de": {"DE", "AT", "CH", "LU"}, "en": {"GB", "IE", "MT", "IL", "AE"}, "es": {"ES"}, "fr": {"FR", "BE", "LU", "CH"}, "it": {"IT"}, "ja": {"DE", "GB", "SA"},
	"nl": {"NL", "BE"}, "pl": {"PL", "LT", "LV", "EE"}, "pt": {"PT", "BR"}, "sv": {"SE", "FI", "DK", "NO"}, "tr": {"TR", "CY", "GR", "BG", "RO", "HU", "HR", "SI"},
}

func (m *maker) iban() Value {
	country := pick(m, bbanCountries[m.language]...)
	text := withIBANDigits(country, m.bban(bbans[country]))
	if m.chance(2) {
		return personal(detector.IBAN, "groups", grouped(text, " "))
	}
	if m.chance(6) {
		return personal(detector.IBAN, "small letters", strings.ToLower(text))
	}
	return personal(detector.IBAN, "compact", text)
}

func (m *maker) bban(structure string) string {
	var b strings.Builder
	n := 0
	for _, c := range structure {
		switch c {
		case 'n':
			b.WriteString(m.word(n, "0123456789"))
		case 'a':
			b.WriteString(m.upper(n))
		case 'c':
			b.WriteString(m.word(n, upperAlnum))
		default:
			n = n*10 + int(c-'0')
			continue
		}
		n = 0
	}
	return b.String()
}

// withIBANDigits computes the check digits by ISO 13616: mod 97 over the number that letters spell from 10 on.
func withIBANDigits(country, bban string) string {
	var digits strings.Builder
	for _, c := range bban + country + "00" {
		v, err := strconv.ParseInt(string(c), 36, 32)
		if err != nil {
			panic(err) // the structures have nothing else
		}
		digits.WriteString(strconv.FormatInt(v, 10))
	}
	n, _ := new(big.Int).SetString(digits.String(), 10)
	return fmt.Sprintf("%s%02d%s", country, 98-n.Mod(n, big.NewInt(97)).Int64(), bban)
}
