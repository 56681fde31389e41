// SPDX-License-Identifier: Apache-2.0

package checkdigit_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millrace/millrace/internal/checkdigit"
	"github.com/millrace/millrace/internal/checkdigit/checkdigittest"
)

func generatorNames() []string {
	names := []string{}
	for name := range checkdigittest.Generators() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// FuzzValidators holds that nothing panics, whatever the bytes, that what is punctuated has the length that is said, and that no verdict
// depends on case where a rule says so.
func FuzzValidators(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 8))
	compact, punctuated := checkdigittest.Generators(), checkdigittest.PunctuatedGenerators()
	for _, name := range generatorNames() {
		f.Add(compact[name](r))
		if generate := punctuated[name]; generate != nil {
			f.Add(generate(r))
		}
	}
	for _, v := range registryExamples[:5] {
		f.Add(v)
	}
	f.Add("123‑45‑6789")
	f.Add("\xe2\x80")
	f.Add("0x")
	f.Add("bitcoincash:")
	f.Fuzz(func(t *testing.T, text string) {
		if network, ok := checkdigit.PaymentCard(text); ok != (network != "") || ok && !checkdigit.Luhn(text) {
			t.Errorf("%q is a card of %q: %v", text, network, ok)
		}
		if checkdigit.IBAN(text) && (len(text) < 15 || len(text) > 34) {
			t.Errorf("%q is an IBAN", text)
		}
		if chain, ok := checkdigit.Wallet(text); ok != (chain != "") {
			t.Errorf("%q is a wallet of %q: %v", text, chain, ok)
		}
		if checkdigit.EthereumUnchecked(text) && len(text) != 42 {
			t.Errorf("%q is an address", text)
		}
		if checkdigit.NANP(text) && !checkdigit.InternationalPhone("1"+text) && text[0] != text[9] {
			t.Errorf("%q is a number at home and not abroad", text)
		}
		checkdigit.InternationalPhone(text)
		for _, country := range []string{"", "US", "DE", "CN", "zz"} {
			checkdigit.NationalPhone(country, text)
		}
		for i := range checkdigit.NationalIDs {
			rule := &checkdigit.NationalIDs[i]
			if rule.Valid(text) && !slices.Contains(rule.Lengths, len(text)) {
				t.Errorf("%q is a %s, of none of its lengths", text, rule.Rule)
			}
			if rule.Punctuated == nil {
				continue
			}
			if n := rule.Punctuated(text); n < 0 || n > len(text) {
				t.Errorf("%s takes %d bytes of %q", rule.Rule, n, text)
			} else if n > 0 && rule.Punctuated(text[:n]) != n {
				t.Errorf("%s takes %d bytes of %q, and not alone", rule.Rule, n, text)
			}
		}
	})
}
