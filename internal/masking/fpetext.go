// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"errors"
	"math/big"
	"unicode"

	"github.com/millrace/millrace/internal/masking/ff1"
)

var (
	errForeign = errors.New("it has letters or digits other than ASCII's: use another action for the class")
	errLong    = errors.New("it is too long: use another action for the class")
	errSmall   = errors.New("it has fewer than 1,000,000 others of its pattern, among which it could be guessed: use another action for the class")
)

// text encrypts or decrypts what is written in s.
func (f *fpe) text(s string, encrypt bool) (string, error) {
	if len(s) > maxFPEBytes {
		return "", errLong
	}
	out := []byte(s)
	digits, letters := 0, 0
	for i, r := range s {
		switch c := out[i]; {
		case '0' <= c && c <= '9':
			digits++
		case alphanumeric(c):
			letters++
		case r >= 0x80 && !unicode.IsSpace(r) && !unicode.IsPunct(r):
			return "", errForeign
		}
	}
	var err error
	switch {
	case letters == 0:
		err = f.onlyDigits(out, digits, encrypt)
	case digits+letters > maxFPELetters:
		err = errLong
	default:
		err = f.mixed(out, encrypt)
	}
	if err != nil {
		return "", err
	}
	return string(out), nil
}

func (f *fpe) onlyDigits(text []byte, n int, encrypt bool) error {
	var local [64]byte
	x := local[:0]
	if n > len(local) {
		x = make([]byte, 0, n)
	}
	for _, c := range text {
		if '0' <= c && c <= '9' {
			x = append(x, c-'0')
		}
	}
	if err := f.run(f.digits, x, encrypt); err != nil {
		return err
	}
	for i, c := range text {
		if '0' <= c && c <= '9' {
			text[i] = x[0] + '0'
			x = x[1:]
		}
	}
	return nil
}

func (f *fpe) run(c *ff1.Cipher, x []byte, encrypt bool) error {
	var local [64]byte
	tweak := append(local[:0], f.tweak...)
	var err error
	if encrypt {
		err = c.Encrypt(x, tweak)
	} else {
		err = c.Decrypt(x, tweak)
	}
	switch {
	case errors.Is(err, ff1.ErrLength) && len(x) > 64:
		return errLong
	case errors.Is(err, ff1.ErrLength):
		return errSmall
	default:
		return err
	}
}

// alphabetOf returns the first of the characters that may stand in c's place, and how many they are; 0 where c stays.
func alphabetOf(c byte) (first byte, n int64) {
	switch {
	case '0' <= c && c <= '9':
		return '0', 10
	case 'a' <= c && c <= 'z':
		return 'a', 26
	case 'A' <= c && c <= 'Z':
		return 'A', 26
	}
	return 0, 0
}

// mixed goes by the value's number among those of its pattern: the bits of that are what is encrypted. A result that numbers
// none is encrypted again, which ends, since the permutation comes back to where it began; on average there are less than two.
func (f *fpe) mixed(text []byte, encrypt bool) error {
	number, all := new(big.Int), big.NewInt(1)
	part := new(big.Int)
	for _, c := range text {
		first, n := alphabetOf(c)
		if n == 0 {
			continue
		}
		number.Mul(number, part.SetInt64(n))
		number.Add(number, part.SetInt64(int64(c-first)))
		all.Mul(all, part.SetInt64(n))
	}
	if all.Cmp(part.SetInt64(ff1.MinDomain)) < 0 {
		return errSmall
	}
	width := part.Sub(all, big.NewInt(1)).BitLen()
	x := make([]byte, width)
	for {
		for i := range x {
			x[i] = byte(number.Bit(width - 1 - i))
		}
		if err := f.run(f.bits, x, encrypt); err != nil {
			return err
		}
		number.SetInt64(0)
		for i, bit := range x {
			number.SetBit(number, width-1-i, uint(bit))
		}
		if number.Cmp(all) < 0 {
			break
		}
	}
	for i := len(text) - 1; i >= 0; i-- {
		first, n := alphabetOf(text[i])
		if n == 0 {
			continue
		}
		number.QuoRem(number, big.NewInt(n), part)
		text[i] = first + byte(part.Int64())
	}
	return nil
}

// number encrypts the digits of n, and again until the first is not 0 and the number not above limit: so it has as many digits as
// before, and is one of those that are numbers again.
func (f *fpe) number(n int64, limit uint64, encrypt bool) (int64, error) {
	magnitude := uint64(n)
	if n < 0 {
		magnitude = -magnitude
	}
	if magnitude > limit {
		return 0, errLong
	}
	var local [20]byte
	size := len(local)
	for rest := magnitude; rest > 0; rest /= 10 {
		size--
		local[size] = byte(rest % 10)
	}
	x := local[size:]
	if len(x) < 7 { // without a leading 0 there are 9 × 10^(n-1)
		return 0, errSmall
	}
	for {
		if err := f.run(f.digits, x, encrypt); err != nil {
			return 0, err
		}
		magnitude = 0
		for _, d := range x {
			magnitude = magnitude*10 + uint64(d) // less than 10^19
		}
		if x[0] != 0 && magnitude <= limit {
			break
		}
	}
	if n < 0 {
		return -int64(magnitude), nil
	}
	return int64(magnitude), nil
}
