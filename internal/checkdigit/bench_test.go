// SPDX-License-Identifier: Apache-2.0

package checkdigit_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/millrace/millrace/internal/checkdigit"
	"github.com/millrace/millrace/internal/checkdigit/checkdigittest"
)

func TestNothingAllocates(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	compact, punctuated := checkdigittest.Generators(), checkdigittest.PunctuatedGenerators()
	var values []string
	hashed := map[string]bool{"wallet_ethereum": true, "wallet_monero": true}
	for _, name := range generatorNames() {
		if hashed[name] {
			continue
		}
		values = append(values, compact[name](r), mutate(r, compact[name](r)))
		if generate := punctuated[name]; generate != nil {
			values = append(values, generate(r), mutate(r, generate(r)))
		}
	}
	all := func() {
		for _, v := range values {
			_ = checkdigit.Luhn(v)
			checkdigit.PaymentCard(v)
			checkdigit.IBAN(v)
			checkdigit.Wallet(v)
			_ = checkdigit.EthereumUnchecked(v)
			checkdigit.InternationalPhone(v)
			checkdigit.NationalPhone("", v)
			for i := range checkdigit.NationalIDs {
				rule := &checkdigit.NationalIDs[i]
				rule.Valid(v)
				if rule.Punctuated != nil {
					rule.Punctuated(v)
				}
			}
		}
	}
	assert.Zero(t, testing.AllocsPerRun(20, all))
	for name := range hashed {
		// Not one a call: a collection may empty the pool of what hashes, and the race detector empties it now and then.
		v := compact[name](r)
		assert.Less(t, testing.AllocsPerRun(200, func() { checkdigit.Wallet(v) }), 1.0, name)
	}
}

func BenchmarkLuhn(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		checkdigit.Luhn("4242424242424242")
	}
}

func BenchmarkPaymentCard(b *testing.B) {
	f := func(name, digits string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				checkdigit.PaymentCard(digits)
			}
		})
	}
	f("visa", "4242424242424242")
	f("maestro", "6759649826438453")
	f("none", "1718000000000000")
}

func BenchmarkIBAN(b *testing.B) {
	f := func(name, compact string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				checkdigit.IBAN(compact)
			}
		})
	}
	f("true", "DE89370400440532013000")
	f("none", "XX89370400440532013000")
}

func BenchmarkWallet(b *testing.B) {
	f := func(name, word string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				checkdigit.Wallet(word)
			}
		})
	}
	f("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
	f("taproot", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0")
	f("ethereum", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
	f("trace", "4bf92f3577b34da6a3ce929d0e0e4736")
	f("hash", "4a226873f1c2f39f7a4c1ce2b0f8a6a2b4f0f6f7")
}

func BenchmarkPhone(b *testing.B) {
	b.Run("international", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			checkdigit.InternationalPhone("4915112345678")
		}
	})
	b.Run("national", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			checkdigit.NationalPhone("", "015112345678")
		}
	})
}

// BenchmarkNationalIDs asks all rules of a value's length, as a detector does.
func BenchmarkNationalIDs(b *testing.B) {
	f := func(name, v string) {
		var rules []*checkdigit.NationalID
		for i := range checkdigit.NationalIDs {
			for _, n := range checkdigit.NationalIDs[i].Lengths {
				if n == len(v) {
					rules = append(rules, &checkdigit.NationalIDs[i])
				}
			}
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, rule := range rules {
					rule.Valid(v)
				}
			}
		})
	}
	f("9_digits", "123456780")
	f("10_digits", "1718000000")
	f("11_digits", "12345678901")
	f("13_digits", "1718000000000")
	f("16_letters", "RSSMRA85T10A562T")
}
