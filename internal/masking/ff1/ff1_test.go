// SPDX-License-Identifier: Apache-2.0

package ff1

import (
	"crypto/aes"
	"encoding/hex"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"

func numeralsOf(s string) []byte {
	x := make([]byte, len(s))
	for i := range x {
		x[i] = byte(strings.IndexByte(alphabet, s[i]))
	}
	return x
}

func textOf(x []byte) string {
	s := make([]byte, len(x))
	for i := range s {
		s[i] = alphabet[x[i]]
	}
	return string(s)
}

// NIST, "FF1 Sample Data", samples 1 to 9.
func TestItMakesWhatNISTsSamplesSay(t *testing.T) {
	const (
		k128 = "2B7E151628AED2A6ABF7158809CF4F3C"
		k192 = k128 + "EF4359D8D580AA4F"
		k256 = k192 + "7F036D6F04FC6A94"
	)
	f := func(key string, radix int, tweak, plain, want string) {
		t.Helper()
		k, err := hex.DecodeString(key)
		require.NoError(t, err)
		tw, err := hex.DecodeString(tweak)
		require.NoError(t, err)
		c, err := New(k, radix)
		require.NoError(t, err)
		x := numeralsOf(plain)
		require.NoError(t, c.Encrypt(x, tw))
		assert.Equal(t, want, textOf(x))
		require.NoError(t, c.Decrypt(x, tw))
		assert.Equal(t, plain, textOf(x))
	}
	const tweak10, tweak36 = "39383736353433323130", "3737373770717273373737"
	f(k128, 10, "", "0123456789", "2433477484")
	f(k128, 10, tweak10, "0123456789", "6124200773")
	f(k128, 36, tweak36, "0123456789abcdefghi", "a9tv40mll9kdu509eum")
	f(k192, 10, "", "0123456789", "2830668132")
	f(k192, 10, tweak10, "0123456789", "2496655549")
	f(k192, 36, tweak36, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr")
	f(k256, 10, "", "0123456789", "6657667009")
	f(k256, 10, tweak10, "0123456789", "1001623463")
	f(k256, 36, tweak36, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd")
}

// reference follows the publication's steps one by one, without any of the short cuts.
func reference(t *testing.T, key []byte, radix int, x, tweak []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	num := func(x []byte, radix int) *big.Int {
		n := new(big.Int)
		for _, d := range x {
			n.Mul(n, big.NewInt(int64(radix))).Add(n, big.NewInt(int64(d)))
		}
		return n
	}
	n := len(x)
	u := n / 2
	v := n - u
	a, b := append([]byte(nil), x[:u]...), append([]byte(nil), x[u:]...)
	size := int(math.Ceil(math.Ceil(float64(v)*math.Log2(float64(radix))) / 8))
	d := 4*((size+3)/4) + 4
	p := []byte{1, 2, 1, 0, byte(radix >> 8), byte(radix), 10, byte(u % 256), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n),
		byte(len(tweak) >> 24), byte(len(tweak) >> 16), byte(len(tweak) >> 8), byte(len(tweak))}
	for i := range 10 {
		q := append([]byte(nil), p...)
		q = append(q, tweak...)
		q = append(q, make([]byte, ((-len(tweak)-size-1)%16+16)%16)...)
		q = append(q, byte(i))
		q = append(q, num(b, radix).FillBytes(make([]byte, size))...)
		r := make([]byte, 16)
		for len(q) > 0 {
			for k := range r {
				r[k] ^= q[k]
			}
			block.Encrypt(r, r)
			q = q[16:]
		}
		s := append([]byte(nil), r...)
		for j := 1; len(s) < d; j++ {
			next := append([]byte(nil), r...)
			next[15] ^= byte(j)
			next[14] ^= byte(j >> 8)
			block.Encrypt(next, next)
			s = append(s, next...)
		}
		m := u
		if i%2 == 1 {
			m = v
		}
		modulus := new(big.Int).Exp(big.NewInt(int64(radix)), big.NewInt(int64(m)), nil)
		c := num(s[:d], 256)
		c.Add(c, num(a, radix)).Mod(c, modulus)
		out := make([]byte, m)
		for k := m - 1; k >= 0; k-- {
			digit := new(big.Int)
			c.QuoRem(c, big.NewInt(int64(radix)), digit)
			out[k] = byte(digit.Int64())
		}
		a, b = b, out
	}
	return append(a, b...)
}

func TestEveryLengthAndRadixIsAsThePublicationHasItAndComesBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	key := make([]byte, 32)
	for _, radix := range []int{2, 3, 10, 26, 36, 255, 256} {
		for i := range key {
			key[i] = byte(rnd.Uint32())
		}
		c, err := New(key, radix)
		require.NoError(t, err)
		for n := c.min; n < 140; n++ {
			x, tweak := make([]byte, n), make([]byte, rnd.IntN(40))
			for i := range x {
				x[i] = byte(rnd.IntN(radix))
			}
			if n%3 == 0 {
				for i := range x {
					x[i] = byte(radix - 1)
				}
			}
			for i := range tweak {
				tweak[i] = byte(rnd.Uint32())
			}
			plain := append([]byte(nil), x...)
			require.NoError(t, c.Encrypt(x, tweak))
			require.Equal(t, reference(t, key, radix, plain, tweak), x, "radix %d, %d numerals", radix, n)
			require.NoError(t, c.Decrypt(x, tweak))
			require.Equal(t, plain, x, "radix %d, %d numerals", radix, n)
		}
	}
}

func TestADomainThatCanBeTriedOutIsRefused(t *testing.T) {
	f := func(radix, n int, want error) {
		t.Helper()
		c, err := New(make([]byte, 32), radix)
		require.NoError(t, err)
		assert.Equal(t, want, c.Encrypt(make([]byte, n), nil))
		assert.Equal(t, want, c.Decrypt(make([]byte, n), nil))
	}
	f(10, 0, ErrLength)
	f(10, 5, ErrLength)
	f(10, 6, nil)
	f(26, 4, ErrLength)
	f(26, 5, nil)
	f(256, 2, ErrLength)
	f(256, 3, nil)
	f(10, MaxNumerals, nil)
	f(10, MaxNumerals+1, ErrLength)
}

func TestOnlyNumeralsOfTheRadixAreTaken(t *testing.T) {
	c, err := New(make([]byte, 16), 10)
	require.NoError(t, err)
	assert.Equal(t, ErrNumeral, c.Encrypt([]byte{0, 1, 2, 3, 4, 10}, nil))
	_, err = New(make([]byte, 16), 1)
	require.Error(t, err)
	_, err = New(make([]byte, 15), 10)
	require.Error(t, err)
}

func TestAllOfASmallDomainIsHitOnce(t *testing.T) {
	c, err := New(make([]byte, 32), 10)
	require.NoError(t, err)
	seen := make([]bool, 1_000_000)
	x := make([]byte, 6)
	for i := range seen {
		c.numerals(x, uint64(i))
		if err := c.Encrypt(x, []byte("t")); err != nil {
			t.Fatal(err)
		}
		at := c.number(x)
		if seen[at] {
			t.Fatalf("%d is hit twice", at)
		}
		seen[at] = true
	}
}

func BenchmarkEncrypt(b *testing.B) {
	for _, n := range []int{16, 36, 64} {
		b.Run(big.NewInt(int64(n)).String(), func(b *testing.B) {
			c, err := New(make([]byte, 32), 10)
			require.NoError(b, err)
			x, tweak := make([]byte, n), []byte("payment_card")
			b.ReportAllocs()
			for b.Loop() {
				_ = c.Encrypt(x, tweak)
			}
		})
	}
}
