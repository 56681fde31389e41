// SPDX-License-Identifier: Apache-2.0

package checkdigit_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/millrace/millrace/internal/checkdigit"
	"github.com/millrace/millrace/internal/checkdigit/checkdigittest"
)

func TestPaymentCardsByNetwork(t *testing.T) {
	// Numbers that payment processors publish for tests (Stripe, Adyen, PayPal, Worldpay).
	f := func(network, digits string) {
		t.Helper()
		got, ok := checkdigit.PaymentCard(digits)
		assert.True(t, ok, digits)
		assert.Equal(t, network, got, digits)
	}
	f("visa", "4242424242424242")
	f("visa", "4111111111111111")
	f("visa", "4012888888881881")
	f("visa", "4222222222222")
	f("mastercard", "5555555555554444")
	f("mastercard", "5105105105105100")
	f("mastercard", "2223003122003222")
	f("mastercard", "2223000048400011")
	f("amex", "378282246310005")
	f("amex", "371449635398431")
	f("discover", "6011111111111117")
	f("discover", "6011000990139424")
	f("diners", "3056930009020004")
	f("diners", "36227206271667")
	f("diners", "38520000023237")
	f("jcb", "3566002020360505")
	f("jcb", "3530111333300000")
	f("unionpay", "6200000000000005")
	f("unionpay", "6205500000000000004")
	f("unionpay", "8171999927660000")
	f("maestro", "6759649826438453")
	f("maestro", "6771798021000008")
	f("troy", "9792030394440796")
	f("mir", "2200000000000004")
}

func TestWhatIsNearlyACardIsNone(t *testing.T) {
	f := func(why, digits string) {
		t.Helper()
		_, ok := checkdigit.PaymentCard(digits)
		assert.False(t, ok, "%s: %s", why, digits)
	}
	f("one digit changed", "4242424242424241")
	f("neighbours swapped", "4242424242424224")
	f("a length that Visa does not have", "424242424242424")
	f("American Express with 16 digits", "3782822463100057")
	f("Mastercard with 15 digits", "555555555555448")
	f("beyond 2720", "2721000000000004")
	f("before 2221", "2220990000000008")
	f("no issuer begins with 0", "0000000000000000")
	f("no issuer begins with 1", "1234567812345670")
	f("no issuer of ours begins with 8", "8000000000000002")
	f("11 digits", "67596498262")
	f("20 digits", "42424242424242424242")
	f("blanks", "4242 4242 4242 4242")
	f("letters", "4242a24242424242")
	f("nothing", "")
	f("bytes beyond ASCII", "424242424242424\xff")
	f("digits of another script", "٤٢٤٢٤٢٤٢")
}

func TestLuhnSeesAChangedDigitAndMostSwaps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for range 2000 {
		v := checkdigittest.PaymentCard(r)
		b := []byte(v)
		i := r.IntN(len(b) - 1)
		was := b[i]
		b[i] = '0' + (was-'0'+byte(1+r.IntN(9)))%10
		assert.False(t, checkdigit.Luhn(string(b)), "%s from %s", b, v)
		b[i] = was
		if d := int(b[i]) - int(b[i+1]); d != 0 && d != 9 && d != -9 { // 09 and 90 are the swap that it does not see
			b[i], b[i+1] = b[i+1], b[i]
			assert.False(t, checkdigit.Luhn(string(b)), "%s from %s", b, v)
		}
	}
	assert.False(t, checkdigit.Luhn("0"))
	assert.True(t, checkdigit.Luhn("79927398713"))
}

func TestRandomRunsOf16DigitsAreSeldomCards(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	const runs = 200_000
	taken := 0
	for range runs {
		if _, ok := checkdigit.PaymentCard(checkdigittest.Fill(r, "9999999999999999")); ok {
			taken++
		}
	}
	assert.Less(t, float64(taken)/runs, 0.035)
}
