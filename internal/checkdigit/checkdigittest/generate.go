// SPDX-License-Identifier: Apache-2.0

// Package checkdigittest makes up values that internal/checkdigit takes, for tests: of nobody, and the same for the same seed.
package checkdigittest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"

	"golang.org/x/crypto/sha3"

	"github.com/millrace/millrace/internal/checkdigit"
)

// Generator makes up a value.
type Generator = func(r *rand.Rand) string

// tries bounds how often a generator draws again. The rarest form passes once in some thousand draws.
const tries = 1 << 20

// Generators returns a generator of valid values in compact form for each rule of checkdigit.NationalIDs, by its name, and for "payment_card",
// "iban", "phone_international", and "wallet_" with each chain's name.
func Generators() map[string]Generator {
	all := map[string]Generator{
		"payment_card":        PaymentCard,
		"iban":                IBAN,
		"phone_international": InternationalPhone,
		"wallet_bitcoin":      bitcoin,
		"wallet_litecoin":     base58("L", 0x30),
		"wallet_dogecoin":     base58("D", 0x1e),
		"wallet_tron":         base58("T", 0x41),
		"wallet_ripple":       ripple,
		"wallet_ethereum":     ethereum,
		"wallet_bitcoin_cash": bitcoinCash,
		"wallet_cardano":      cardano,
		"wallet_monero":       monero,
	}
	for i := range checkdigit.NationalIDs {
		all[checkdigit.NationalIDs[i].Rule] = nationalID(&checkdigit.NationalIDs[i])
	}
	return all
}

// PunctuatedGenerators returns a generator of valid values in customary punctuation for each rule of checkdigit.NationalIDs that has one.
func PunctuatedGenerators() map[string]Generator {
	all := map[string]Generator{}
	for i := range checkdigit.NationalIDs {
		rule := &checkdigit.NationalIDs[i]
		if rule.Punctuated == nil {
			continue
		}
		compact := nationalID(rule)
		all[rule.Rule] = func(r *rand.Rand) string {
			for range tries {
				form := rule.PunctuatedForms[r.IntN(len(rule.PunctuatedForms))]
				text, ok := Punctuate(form, compact(r))
				if !ok {
					text = Fill(r, form)
				}
				if rule.Punctuated(text) == len(text) {
					return text
				}
			}
			panic("no value of " + rule.Rule)
		}
	}
	return all
}

// Fill draws a form's digits and letters: '9' is any digit, 'A' any letter, 'X' either, and any other byte itself.
func Fill(r *rand.Rand, form string) string {
	out := []byte(form)
	for i, c := range out {
		switch c {
		case '9':
			out[i] = digit(r)
		case 'A':
			out[i] = letter(r)
		case 'X':
			if out[i] = digit(r); r.IntN(3) == 0 {
				out[i] = letter(r)
			}
		}
	}
	return string(out)
}

// Punctuate writes compact by a punctuated form, if it has that form.
func Punctuate(form, compact string) (string, bool) {
	out := []byte(form)
	for i, c := range out {
		if !strings.ContainsRune("0123456789AX", rune(c)) {
			continue
		}
		if compact == "" {
			return "", false
		}
		isDigit := compact[0] >= '0' && compact[0] <= '9'
		if c == '9' && !isDigit || c == 'A' && isDigit || c < '9' && c != compact[0] {
			return "", false
		}
		out[i], compact = compact[0], compact[1:]
	}
	return string(out), compact == ""
}

func digit(r *rand.Rand) byte  { return byte('0' + r.IntN(10)) }
func letter(r *rand.Rand) byte { return byte('A' + r.IntN(26)) }

// templates draw what the rarer rules have besides check digits. Their check digits are drawn until they are right.
var templates = map[string]Generator{
	"national_id_mx_curp": func(r *rand.Rand) string {
		const states = "ASBCBSCCCLCMCSCHDFDGGTGRHGJCMCMNMSNTNLOCPLQTQRSPSLSRTCTSTLVZYNZSNE"
		at := r.IntN(len(states)/2) * 2
		return Fill(r, "AAAA99") + date(r) + string("HM"[r.IntN(2)]) + states[at:at+2] + consonants(r, 3) + Fill(r, "99")
	},
	"national_id_it_codice_fiscale": func(r *rand.Rand) string {
		day := 1 + r.IntN(28) + 40*r.IntN(2)
		return consonants(r, 6) + Fill(r, "99") + string("ABCDEHLMPRST"[r.IntN(12)]) + fmt.Sprintf("%02d", day) + Fill(r, "A999A")
	},
	"national_id_cn_ric": func(r *rand.Rand) string {
		last := string("0123456789X"[r.IntN(11)])
		return fmt.Sprintf("%d%s%d%s%s", 1+r.IntN(6), Fill(r, "99999"), 1930+r.IntN(90), date(r), Fill(r, "999")+last)
	},
	"national_id_si_emso": func(r *rand.Rand) string {
		d := date(r)
		return d[2:] + d[:2] + fmt.Sprintf("%03d", (1930+r.IntN(90))%1000) + Fill(r, "999999")
	},
	"national_id_ch_ahv": func(r *rand.Rand) string { return "756" + Fill(r, "9999999999") },
}

// date is a month and a day that every year has.
func date(r *rand.Rand) string { return fmt.Sprintf("%02d%02d", 1+r.IntN(12), 1+r.IntN(28)) }

func consonants(r *rand.Rand, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = "BCDFGHJKLMNPQRSTVWYZ"[r.IntN(20)]
	}
	return string(out)
}

func nationalID(rule *checkdigit.NationalID) Generator {
	draw := templates[rule.Rule]
	if draw == nil {
		draw = func(r *rand.Rand) string { return Fill(r, rule.Forms[r.IntN(len(rule.Forms))]) }
	}
	return func(r *rand.Rand) string {
		for range tries {
			if v := draw(r); rule.Valid(v) {
				return v
			}
		}
		panic("no value of " + rule.Rule)
	}
}

// PaymentCard makes up the number of a card of one of the large networks.
func PaymentCard(r *rand.Rand) string {
	kinds := [...]struct {
		prefix string
		length int
	}{
		{"4", 16}, {"4", 16}, {"51", 16}, {"55", 16}, {"2221", 16}, {"2720", 16}, {"34", 15}, {"37", 15}, {"6011", 16}, {"65", 16}, {"644", 16},
		{"300", 14}, {"36", 14}, {"3528", 16}, {"3589", 16}, {"62", 16}, {"62", 19}, {"6759", 12}, {"5018", 16}, {"2200", 16}, {"9792", 16}, {"508", 16},
	}
	for range tries {
		kind := kinds[r.IntN(len(kinds))]
		v := kind.prefix + Fill(r, strings.Repeat("9", kind.length-len(kind.prefix)))
		if _, ok := checkdigit.PaymentCard(v); ok {
			return v
		}
	}
	panic("no card")
}

// ibanExamples are the examples of the IBAN registry for some countries: their digits and letters are drawn anew.
var ibanExamples = []string{
	"DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "ES9121000418450200051332", "IT60X0542811101000000123456",
	"NL91ABNA0417164300", "BE68539007547034", "AT611904300234573201", "CH9300762011623852957", "PL61109010140000071219812874", "PT50000201231234567890154",
	"SE4550000000058398257466", "NO9386011117947", "DK5000400440116243", "FI2112345600000785", "IE29AIBK93115212345678", "LU280019400644750000", "GR1601101250000000012300695",
	"CZ6508000000192000145399", "RO49AAAA1B31007593840000", "HU42117730161111101800000000", "TR330006100519786457841326", "SA0380000000608010167519", "AE070331234567890123456",
	"MT84MALT011000012345MTLCAST001S", "BR1800360305000010009795493C1", "LC55HEMM000100010012001200023015",
}

// IBAN makes up an IBAN.
func IBAN(r *rand.Rand) string {
	example := ibanExamples[r.IntN(len(ibanExamples))]
	bban := []byte(example[4:])
	for i, c := range bban {
		if c >= '0' && c <= '9' {
			bban[i] = digit(r)
		} else {
			bban[i] = letter(r)
		}
	}
	number := strings.Builder{}
	for _, c := range string(bban) + example[:2] + "00" {
		if c >= 'A' {
			fmt.Fprint(&number, c-'A'+10)
		} else {
			number.WriteRune(c)
		}
	}
	n, _ := new(big.Int).SetString(number.String(), 10)
	check := 98 - n.Mod(n, big.NewInt(97)).Int64()
	return fmt.Sprintf("%s%02d%s", example[:2], check, bban)
}

// InternationalPhone makes up a number as it stands after '+', of one of some countries.
func InternationalPhone(r *rand.Rand) string {
	forms := [...]string{
		"1212999999", "44791199999", "4930999999", "491719999999", "3361299999", "3461299999", "393471999999", "3161299999", "3247999999", "43664999999", "4179999999",
		"4850199999", "35191299999", "4670999999", "479999999", "452999999", "35840999999", "35386999999", "6141299999", "642199999", "9198999999", "55119999999",
		"5255999999", "8190999999", "821099999", "86138999999", "278299999", "9053299999",
	}
	for range tries {
		if v := Fill(r, forms[r.IntN(len(forms))]+strings.Repeat("9", r.IntN(3))); checkdigit.InternationalPhone(v) {
			return v
		}
	}
	panic("no phone number")
}

const (
	bitcoinAlphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	rippleAlphabet  = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
	bech32Alphabet  = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
)

func bytesOf(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func base58Encode(b []byte, alphabet string) string {
	n, base, rest := new(big.Int).SetBytes(b), big.NewInt(58), new(big.Int)
	var out []byte
	for n.Sign() > 0 {
		n.DivMod(n, base, rest)
		out = append([]byte{alphabet[rest.Int64()]}, out...)
	}
	for _, c := range b {
		if c != 0 {
			break
		}
		out = append([]byte{alphabet[0]}, out...)
	}
	return string(out)
}

func base58Check(r *rand.Rand, version byte, alphabet string) string {
	b := append([]byte{version}, bytesOf(r, 20)...)
	sum := sha256.Sum256(b)
	sum = sha256.Sum256(sum[:])
	return base58Encode(append(b, sum[:4]...), alphabet)
}

// base58 makes up addresses of a version byte that begin with prefix.
func base58(prefix string, version byte) Generator {
	return func(r *rand.Rand) string {
		for range tries {
			if v := base58Check(r, version, bitcoinAlphabet); strings.HasPrefix(v, prefix) {
				return v
			}
		}
		panic("no address with " + prefix)
	}
}

func ripple(r *rand.Rand) string { return base58Check(r, 0, rippleAlphabet) }

func bitcoin(r *rand.Rand) string {
	switch r.IntN(4) {
	case 0:
		return base58Check(r, 0, bitcoinAlphabet)
	case 1:
		return base58Check(r, 5, bitcoinAlphabet)
	case 2:
		return bech32("bc", append([]byte{0}, fives(bytesOf(r, 20))...), 1)
	}
	return bech32("bc", append([]byte{1}, fives(bytesOf(r, 32))...), 0x2bc830a3)
}

func cardano(r *rand.Rand) string {
	return bech32("addr", fives(append([]byte{1}, bytesOf(r, 56)...)), 1)
}

// fives cuts bytes into five bits each.
func fives(b []byte) []byte {
	var out []byte
	acc, n := 0, 0
	for _, c := range b {
		acc, n = acc<<8|int(c), n+8
		for n >= 5 {
			n -= 5
			out = append(out, byte(acc>>n&31))
		}
	}
	if n > 0 {
		out = append(out, byte(acc<<(5-n)&31))
	}
	return out
}

func bech32(prefix string, data []byte, final uint32) string {
	var values []byte
	for _, c := range []byte(prefix) {
		values = append(values, c>>5)
	}
	values = append(values, 0)
	for _, c := range []byte(prefix) {
		values = append(values, c&31)
	}
	values = append(append(values, data...), 0, 0, 0, 0, 0, 0)
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			sum ^= top >> i & 1 * g
		}
	}
	sum ^= final
	out := []byte(prefix + "1")
	for _, v := range data {
		out = append(out, bech32Alphabet[v])
	}
	for i := range 6 {
		out = append(out, bech32Alphabet[sum>>(5*(5-i))&31])
	}
	return string(out)
}

func bitcoinCash(r *rand.Rand) string {
	data := fives(append([]byte{byte(r.IntN(2) << 3)}, bytesOf(r, 20)...))
	var values []byte
	for _, c := range []byte("bitcoincash") {
		values = append(values, c&31)
	}
	values = append(append(append(values, 0), data...), 0, 0, 0, 0, 0, 0, 0, 0)
	sum := uint64(1)
	for _, v := range values {
		top := sum >> 35
		sum = sum&0x07ffffffff<<5 ^ uint64(v)
		for i, g := range []uint64{0x98f2bc8e61, 0x79b76d99e2, 0xf33e5fb3c4, 0xae2eabe2a8, 0x1e4f43e470} {
			sum ^= top >> i & 1 * g
		}
	}
	sum ^= 1
	var out []byte
	for _, v := range data {
		out = append(out, bech32Alphabet[v])
	}
	for i := range 8 {
		out = append(out, bech32Alphabet[sum>>(5*(7-i))&31])
	}
	if r.IntN(2) == 0 {
		return string(out)
	}
	return "bitcoincash:" + string(out)
}

func keccak(b []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(b)
	return h.Sum(nil)
}

func ethereum(r *rand.Rand) string {
	for range tries {
		digits := []byte(hex.EncodeToString(bytesOf(r, 20)))
		hash := keccak(digits)
		upper, lower := false, false
		for i, c := range digits {
			if c < 'a' {
				continue
			}
			if hash[i/2]>>(4-4*(i%2))&15 >= 8 {
				digits[i] = c - 'a' + 'A'
				upper = true
			} else {
				lower = true
			}
		}
		if upper && lower {
			return "0x" + string(digits)
		}
	}
	panic("no address")
}

func monero(r *rand.Rand) string {
	b := append([]byte{[]byte{18, 42}[r.IntN(2)]}, bytesOf(r, 64)...)
	b = append(b, keccak(b)[:4]...)
	widths := map[int]int{8: 11, 5: 7} // characters of a block, by its bytes
	var out strings.Builder
	for len(b) > 0 {
		size := min(8, len(b))
		block := new(big.Int).SetBytes(b[:size])
		digits := base58Encode(block.Bytes(), bitcoinAlphabet)
		out.WriteString(strings.Repeat("1", widths[size]-len(digits)) + digits)
		b = b[size:]
	}
	return out.String()
}
