// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/keyring"
)

// testRing has the keys of the IDs, the last one current. The same ID is the same key in every run.
func testRing(t testing.TB, ids ...string) *keyring.KeyRing {
	t.Helper()
	if len(ids) == 0 {
		ids = []string{"k1"}
	}
	var config keyring.Config
	for _, id := range ids {
		path := filepath.Join(t.TempDir(), id)
		secret := strings.Repeat("0123456789abcdef", 4)
		require.NoError(t, os.WriteFile(path, []byte(secret[:60]+strings.Repeat("0", 4-len(id))+hexOf(id)), 0o600))
		config = append(config, keyring.KeyConfig{ID: id, File: path})
	}
	r, err := keyring.Open(t.Context(), config, keyring.Options{Now: func() time.Time { return time.Unix(0, 0) }})
	require.NoError(t, err)
	return r
}

func hexOf(id string) string {
	return strings.Map(func(r rune) rune { return '0' + r%10 }, id)
}

func newAction(t testing.TB, s Spec) Action {
	t.Helper()
	a, err := New(s, testRing(t))
	require.NoError(t, err)
	return a
}

func textOf(s string) Value { return Value{Text: s} }

func TestPartialKeepsTheFormatAndNoMoreThanHalf(t *testing.T) {
	f := func(class, in, want string, first, last int) {
		t.Helper()
		v, err := newAction(t, Spec{Action: Partial, KeepFirst: first, KeepLast: last}).Mask(textOf(in), &Target{Class: class})
		require.NoError(t, err)
		assert.Equal(t, want, v.Text)
		again, err := newAction(t, Spec{Action: Partial, KeepFirst: first, KeepLast: last}).Mask(v, &Target{Class: class})
		require.NoError(t, err)
		assert.Equal(t, v, again, "a second time")
	}
	f("email", "john@example.com", "j***@example.com", 0, 0)
	f("email", "j@example.com", "*@example.com", 0, 0)
	f("email", "john.doe+x@example.com", "jo**.***+*@example.com", 2, 0)
	f("email", "john@johnsmith.name", "****@*********.*ame", 0, 3)
	f("email", "jürgen@exämple.de", "j*****@exämple.de", 0, 0)
	f("email", "no address", "n* *******", 0, 0)
	f("phone", "+49 (151) 1234-5678", "+** (***) ****-5678", 0, 0)
	f("phone", "12345", "***45", 0, 0)
	f("payment_card", "4111 1111 1111 1234", "**** **** **** 1234", 0, 0)
	f("payment_card", "4111111111111234", "4111********1234", 6, 4)
	f("payment_card", "4111111111111234", "********11111234", 0, 100)
	f("iban", "DE89 3704 0044 0532 0130 00", "**** **** **** **** **30 00", 0, 0)
	f("password", "p-a!ss", "******", 0, 0)
	f("name", "Zoë Smith", "Z** *****", 0, 0)
	f("name", "e\u0301tienne", "e\u0301******", 0, 0)
	f("name", "👩‍👩‍👧abc", "👩‍👩‍👧***", 0, 0)
	f("name", "!!!", "!**", 0, 0)
	f("name", "a", "*", 0, 0)
	f("name", "ab\xffcd", "a****", 0, 0)
	f("name", "", "", 0, 0)
}

func TestTruncateMakesLessExact(t *testing.T) {
	decimals := func(n int) *int { return &n }
	f := func(class string, s Spec, in, want string) {
		t.Helper()
		s.Action = Truncate
		v, err := newAction(t, s).Mask(textOf(in), &Target{Class: class})
		require.NoError(t, err)
		assert.Equal(t, want, v.Text)
	}
	f("ip_address", Spec{}, "203.0.113.77", "203.0.113.0")
	f("ip_address", Spec{IPv4Prefix: 16}, "203.0.113.77", "203.0.0.0")
	f("ip_address", Spec{}, "203.0.113.77:443", "203.0.113.0")
	f("ip_address", Spec{}, "::ffff:203.0.113.77", "203.0.113.0")
	f("ip_address", Spec{}, "2001:db8:1:2:3:4:5:6", "2001:db8:1::")
	f("ip_address", Spec{}, "[2001:db8:1:2::6]:80", "2001:db8:1::")
	f("ip_address", Spec{}, "fe80::1%eth0", "fe80::")
	f("ip_address", Spec{}, "203.0.113.77/16", "203.0.0.0")
	f("ip_address", Spec{KeepFirst: 9}, "300.0.113.77", "[ip_address]")
	f("coordinates", Spec{}, "52.5200, 13.4050", "52.5, 13.4")
	f("coordinates", Spec{Decimals: decimals(0)}, "-52.5200;13.4050", "-52;13")
	f("coordinates", Spec{}, "52.52N 13.405E", "52.5N 13.4E")
	f("coordinates", Spec{}, `52°31'12"N 13°24'18"E`, "[coordinates]")
	f("coordinates", Spec{}, "52,5200 13,4050", "[coordinates]")
	f("birth_date", Spec{}, "1984-05-17", "1984-01-01")
	f("birth_date", Spec{Date: "month"}, "1984-05-17", "1984-05-01")
	f("birth_date", Spec{}, "1984-05-17T10:00:00+02:00", "1984-01-01T00:00:00Z")
	f("birth_date", Spec{}, "17.05.1984", "01.01.1984")
	f("birth_date", Spec{Date: "month"}, "17.05.1984", "01.05.1984")
	f("birth_date", Spec{Date: "month"}, "5/17/1984", "1/01/1984")
	f("birth_date", Spec{}, "1984/5/17", "1984/1/01")
	f("birth_date", Spec{}, "17 May 1984", "1984-01-01")
	f("birth_date", Spec{}, "19840517", "19840101")
	f("birth_date", Spec{}, "17.05.84", "[birth_date]")
	f("phone", Spec{}, "4915112345678", "[phone]")
	f("phone", Spec{KeepFirst: 3}, "+4915112345678", "+49")
	f("name", Spec{KeepFirst: 3}, "Smith", "Sm")
	f("name", Spec{KeepFirst: 100}, "Smithson", "Smithson")
	f("name", Spec{}, "Smith", "[name]")
	f("salary", Spec{}, "50000", "[salary]")
}

func TestTruncateOfNumbers(t *testing.T) {
	decimals := func(n int) *int { return &n }
	f := func(class string, d *int, in Value, form Form, want Value) {
		t.Helper()
		v, err := newAction(t, Spec{Action: Truncate, Decimals: d}).Mask(in, &Target{Class: class, Form: form})
		require.NoError(t, err)
		assert.Equal(t, want, v)
	}
	double := func(f float64) Value { return Value{Kind: DoubleValue, Double: f} }
	whole := func(i int64) Value { return Value{Kind: IntValue, Int: i} }
	f("coordinates", nil, double(52.5299), Number, double(52.5))
	f("coordinates", nil, double(-52.5299), Any, double(-52.5))
	f("coordinates", nil, whole(52), Integer, whole(52))
	f("salary", decimals(-3), whole(51234), Integer, whole(51000))
	f("salary", decimals(-3), double(51234.5), Number, double(51000))
	f("salary", decimals(-9), double(51234.5), Number, double(0))
	f("salary", nil, whole(51234), Any, textOf("[salary]"))
	f("phone", nil, double(4915112345678), Any, textOf("[phone]"))
}

func TestABucketIsTheRangeThatANumberLiesIn(t *testing.T) {
	f := func(s Spec, in, want string) {
		t.Helper()
		s.Action = Bucket
		v, err := newAction(t, s).Mask(textOf(in), &Target{Class: "age"})
		require.NoError(t, err)
		assert.Equal(t, want, v.Text)
	}
	tens, ages := Spec{Width: 10}, Spec{Bounds: []float64{18, 30, 65}}
	f(tens, "34", "30-39")
	f(tens, "39.9", "30-39")
	f(tens, "40", "40-49")
	f(tens, "-1", "-10..-1")
	f(Spec{Width: 0.5}, "0.7", "0.5-1")
	f(Spec{Width: 1}, "7", "7")
	f(ages, "17", "<18")
	f(ages, "18", "18-29")
	f(ages, "65", "65+")
	f(ages, "old", "[age]")
	f(ages, "1e3", "[age]")

	number := func(s Spec, in int64, form Form, want Value) {
		t.Helper()
		s.Action = Bucket
		v, err := newAction(t, s).Mask(Value{Kind: IntValue, Int: in}, &Target{Form: form})
		require.NoError(t, err)
		assert.Equal(t, want, v)
	}
	number(tens, 34, Integer, Value{Kind: IntValue, Int: 30})
	number(tens, 34, Number, Value{Kind: DoubleValue, Double: 30})
	number(tens, 34, Any, textOf("30-39"))
	number(ages, 99, Integer, Value{Kind: IntValue, Int: 65})
}

func TestOneValueHasOnePseudonymHoweverItIsWritten(t *testing.T) {
	a := newAction(t, Spec{Action: Pseudonym})
	of := func(class, in string) string {
		t.Helper()
		v, err := a.Mask(textOf(in), &Target{Class: class})
		require.NoError(t, err)
		require.Equal(t, len(v.Text), Masked(v.Text), v.Text)
		return v.Text
	}
	same := func(class, one, other string) {
		t.Helper()
		assert.Equal(t, of(class, one), of(class, other))
	}
	different := func(class, one, other string) {
		t.Helper()
		assert.NotEqual(t, of(class, one), of(class, other))
	}
	same("email", "John@Example.com ", "john@example.com")
	same("email", "john%40example.com", "john@example.com")
	same("email", "JÜRGEN@example.com", "ju\u0308rgen@example.com")
	same("phone", "+49 (151) 1234-567", "0049151 1234567")
	same("phone", "+49１５１", "+49151")
	different("phone", "+491511234567", "491511234567")
	same("iban", "de89 3704 0044", "DE8937040044")
	same("payment_card", "4111-1111 1111", "411111111111")
	same("ip_address", "::ffff:10.0.0.1", "10.0.0.1")
	same("ip_address", "2001:DB8:0::1", "2001:db8::1")
	same("name", " Zoe\u0308", "Zoë")
	different("name", "zoë", "Zoë")
	different("phone", "none", "n/a")
	assert.NotEqual(t, of("phone", "123456"), of("payment_card", "123456"))

	// These stand in tables: they must not change from one release to the next.
	assert.Equal(t, "pn_k1_urwiqdot63cybf7ai7vnuytxjy@pseudonym.invalid", of("email", "john@example.com"))
	assert.Equal(t, "pn_k1_lludfe6w52hxh72k3rya36w7vm", of("phone", "+491511234567"))
}
