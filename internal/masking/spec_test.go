// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/keyring"
)

func TestAnErrorOfASpecNamesFieldValueAndMend(t *testing.T) {
	decimals := 10
	f := func(s Spec, want ...string) {
		t.Helper()
		_, err := New(s, testRing(t))
		require.Error(t, err)
		for _, w := range want {
			require.ErrorContains(t, err, w)
		}
		assert.NotContains(t, err.Error(), "\n")
	}
	f(Spec{}, `action: "" is no action: use one of keep, redact`)
	f(Spec{Action: "hash"}, `action: "hash"`)
	f(Spec{Action: Drop, Replacement: "x"}, "replacement: is for action redact, not for drop: remove it")
	f(Spec{Action: Redact, KeepFirst: 1}, "keep_first: is for action partial and truncate")
	f(Spec{Action: Truncate, KeepLast: 1}, "keep_last:")
	f(Spec{Action: Partial, IPv4Prefix: 1}, "ipv4_prefix:")
	f(Spec{Action: Partial, IPv6Prefix: 1}, "ipv6_prefix:")
	f(Spec{Action: Partial, Decimals: &decimals}, "decimals:")
	f(Spec{Action: Partial, Date: "year"}, "date:")
	f(Spec{Action: Token, PerTenant: true}, "per_tenant:")
	f(Spec{Action: Token, Bounds: []float64{1}}, "bounds:")
	f(Spec{Action: Token, Width: 1}, "width:")
	f(Spec{Action: Redact, Replacement: "x@example.com"}, `replacement: "x@example.com"`, ".invalid")
	f(Spec{Action: Redact, Replacement: "4111111"}, "replacement:", "at most 6 digits")
	f(Spec{Action: Redact, Replacement: "pn_k1_x"}, "replacement:", "begin it")
	f(Spec{Action: Redact, Replacement: strings.Repeat("x", 300)}, "replacement: has 300 bytes")
	f(Spec{Action: Partial, KeepFirst: -1}, "keep_first: -1")
	f(Spec{Action: Truncate, IPv4Prefix: 32}, "ipv4_prefix: 32 must be from 0 to 31")
	f(Spec{Action: Truncate, IPv6Prefix: 128}, "ipv6_prefix: 128")
	f(Spec{Action: Truncate, Decimals: &decimals}, "decimals: 10")
	f(Spec{Action: Truncate, Date: "day"}, `date: "day" must be year or month`)
	f(Spec{Action: Bucket}, "width: 0 gives no ranges")
	f(Spec{Action: Bucket, Width: 1, Bounds: []float64{1}}, "width: 1 is given beside bounds")
	f(Spec{Action: Bucket, Width: -1}, "width: -1")
	f(Spec{Action: Bucket, Bounds: []float64{1, 1}}, "bounds: 1 at place 2")
	f(Spec{Action: Bucket, Bounds: make([]float64, 2000)}, "bounds: has 2000")
}

func TestWhatNeedsKeysIsRefusedWithoutThem(t *testing.T) {
	for _, k := range kinds {
		_, err := New(Spec{Action: k, Width: map[Kind]float64{Bucket: 1}[k]}, nil)
		switch k {
		case Pseudonym, FPE, Token:
			require.ErrorContains(t, err, "key_store")
		default:
			require.NoError(t, err)
		}
	}
}

// source is a key that can be taken away.
type source struct{ gone bool }

func (s *source) Load(context.Context) ([]byte, error) {
	if s.gone {
		return nil, keyring.ErrGone
	}
	return []byte(strings.Repeat("0123456789abcdef", 4)), nil
}

func TestNothingIsMaskedWithAKeyThatWasTakenAway(t *testing.T) {
	s := &source{}
	ring, err := keyring.Open(t.Context(), keyring.Config{{ID: "k1", Env: "X"}}, keyring.Options{Sources: map[string]keyring.Source{"k1": s}})
	require.NoError(t, err)
	const value = "4111 1111 1111 1111"
	for _, kind := range []Kind{Pseudonym, FPE, Token} {
		a, err := New(Spec{Action: kind}, ring)
		require.NoError(t, err)
		before := mask(t, a, value, Target{})

		s.gone = true
		_, err = ring.Reload(t.Context())
		require.NoError(t, err)
		got, err := a.Mask(textOf(value), &Target{})
		require.ErrorIs(t, err, ErrCannotMask)
		require.ErrorIs(t, err, keyring.ErrNoKey)
		assert.NotContains(t, err.Error(), "1111")
		assert.Empty(t, got)

		s.gone = false
		_, err = ring.Reload(t.Context())
		require.NoError(t, err)
		assert.Equal(t, before, mask(t, a, value, Target{}))
	}
}

func TestPseudonymsPerTenantDoNotMeet(t *testing.T) {
	shared, apart := newAction(t, Spec{Action: Pseudonym}), newAction(t, Spec{Action: Pseudonym, PerTenant: true})
	one, two := Target{Tenant: "t1", Class: "email"}, Target{Tenant: "t2", Class: "email"}
	assert.Equal(t, mask(t, shared, "a@b.example", one), mask(t, shared, "a@b.example", two))
	assert.NotEqual(t, mask(t, apart, "a@b.example", one), mask(t, apart, "a@b.example", two))
	assert.NotEqual(t, mask(t, apart, "a@b.example", one), mask(t, shared, "a@b.example", one))
}

func TestAfterARotationNewValuesNameTheNewKey(t *testing.T) {
	old, err := New(Spec{Action: Token}, testRing(t, "k1"))
	require.NoError(t, err)
	both := testRing(t, "k1", "k2")
	current, err := New(Spec{Action: Token}, both)
	require.NoError(t, err)
	r := Reader{Ring: both}
	for _, made := range []string{mask(t, old, "x", Target{}), mask(t, current, "x", Target{})} {
		plain, _, err := r.Detokenize(made, "")
		require.NoError(t, err)
		assert.Equal(t, "x", plain)
	}
	assert.True(t, strings.HasPrefix(mask(t, current, "x", Target{}), "tk_k2_"))
}

func TestAClassOutOfASchemaCannotCarryPersonalData(t *testing.T) {
	f := func(class, want string) {
		t.Helper()
		assert.Equal(t, want, mask(t, newAction(t, Spec{Action: Redact}), "x", Target{Class: class}))
	}
	f("email", "[email]")
	f("", "[redacted]")
	f("Full-Name", "[Full-Name]")
	f("john@example.com", "[john_example_com]")
	f("+49 151 1234567", "[_______________]")
	f(strings.Repeat("a", 100), "["+strings.Repeat("a", 64)+"]")
}

func TestAnActionHasNoTextFormOfItsKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	secret := strings.Repeat("0123456789abcdef", 4)
	require.NoError(t, os.WriteFile(path, []byte(secret), 0o600))
	ring, err := keyring.Open(t.Context(), keyring.Config{{ID: "k1", File: path}}, keyring.Options{})
	require.NoError(t, err)
	key, err := ring.Current()
	require.NoError(t, err)
	var b bytes.Buffer
	for _, kind := range []Kind{Pseudonym, FPE, Token} {
		a, err := New(Spec{Action: kind}, ring)
		require.NoError(t, err)
		mask(t, a, "4111 1111 1111 1111", Target{})
		fmt.Fprintf(&b, "%v %+v %#v %s %x\n", a, a, a, a, a)
	}
	f, err := newFPE(key, "", "")
	require.NoError(t, err)
	c, err := tokenCipher(key, "")
	require.NoError(t, err)
	fmt.Fprintf(&b, "%v %+v %#v %v %+v %#v", f, f, f, c, c, c)
	for _, purpose := range []keyring.Purpose{keyring.Pseudonyms, keyring.FPE, keyring.Tokens} {
		for _, size := range []int{32, 64} {
			derived, err := key.Derive(purpose, "", "", size)
			require.NoError(t, err)
			assert.NotContains(t, b.String(), fmt.Sprintf("%x", derived[:4]))
			assert.NotContains(t, b.String(), strings.Trim(fmt.Sprint(derived[:4]), "[]"))
		}
	}
}

func BenchmarkMask(b *testing.B) {
	ring, subject := testRing(b), testSubject(b)
	f := func(s Spec, class, in string) {
		name := strings.Join([]string{string(s.Action), class, fmt.Sprint(len(in))}, "/")
		b.Run(name, func(b *testing.B) {
			a, err := New(s, ring)
			require.NoError(b, err)
			target := Target{Tenant: "t1", Class: class, Subject: subject}
			v := textOf(in)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Mask(v, &target); err != nil && !errors.Is(err, ErrDrop) {
					b.Fatal(err)
				}
			}
		})
	}
	f(Spec{Action: Redact}, "email", "john.doe@example.com")
	f(Spec{Action: Partial}, "email", "john.doe@example.com")
	f(Spec{Action: Partial}, "phone", "+49 151 12345678")
	f(Spec{Action: Truncate}, "ip_address", "203.0.113.77")
	f(Spec{Action: Truncate}, "coordinates", "52.5200, 13.4050")
	f(Spec{Action: Truncate}, "birth_date", "1984-05-17")
	f(Spec{Action: Pseudonym}, "email", "john.doe@example.com")
	f(Spec{Action: Pseudonym}, "phone", "+49 151 12345678")
	f(Spec{Action: FPE}, "payment_card", "4111 1111 1111 1111")
	f(Spec{Action: FPE}, "iban", "DE89 3704 0044 0532 0130 00")
	f(Spec{Action: Token}, "email", "john.doe@example.com")
	f(Spec{Action: Erasable}, "email", "john.doe@example.com")
	f(Spec{Action: Bucket, Width: 10}, "age", "34")
	f(Spec{Action: Drop}, "email", "john.doe@example.com")
}
