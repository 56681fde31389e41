// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"fmt"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/masking/ff1"
)

// fpeAction encrypts digits to digits and letters to letters of the same case; what stands between stays. A value of digits alone, with
// separators or without, is FF1 of radix 10. One with letters is numbered among all values of its pattern, and the number's bits are
// encrypted until they number such a value again (cycle walking).
//
// The key is derived for the tenant, the tweak is the class. The result has no mark: it does not say which key it was made with, nor that
// it is masked. Check digits do not hold, but for chance.
//
// A value that has fewer than 1,000,000 others of its pattern cannot be masked so, nor one with letters or digits other than ASCII's.
type fpeAction struct{ ring keyring.Ring }

func (*fpeAction) Kind() Kind { return FPE }

const (
	maxFPEBytes   = 4096
	maxFPELetters = 128 // letters and digits of a value that has letters
	fpeKeyBytes   = 32
)

func (a *fpeAction) Mask(v Value, t *Target) (Value, error) {
	switch t.Form {
	case Any, Text, Digits:
	case EmailAddress:
		if v.Kind != TextValue {
			return Value{}, ErrDrop
		}
	case Integer, Number:
		if v.Kind == TextValue {
			return Value{}, ErrDrop
		}
	default:
		return Value{}, ErrDrop
	}
	if empty(v, t) || masked(v, t) {
		return v, nil
	}
	key, err := a.ring.Current()
	if err != nil {
		return Value{}, fmt.Errorf("%w: encrypting: %w", ErrCannotMask, err)
	}
	f, err := newFPE(key, t.Tenant, t.Class)
	if err != nil {
		return Value{}, fmt.Errorf("%w: encrypting: %w", ErrCannotMask, err)
	}
	if v.Kind == TextValue {
		out, err := f.text(v.Text, true)
		if err != nil {
			return Value{}, fmt.Errorf("%w: encrypting: %w", ErrCannotMask, err)
		}
		if _, number := decimalNumber(out); t.Form == Digits && !number || t.Form == EmailAddress && !plainAddress(out) {
			return Value{}, ErrDrop // it was none before
		}
		return Value{Text: out}, nil
	}
	if v.Kind == DoubleValue {
		whole := int64(v.Double)
		if float64(whole) != v.Double || whole > maxExact || whole < -maxExact {
			return Value{}, fmt.Errorf("%w: encrypting: a number with decimals has no format to preserve", ErrCannotMask)
		}
		v.Int = whole
	}
	limit := uint64(maxExact)
	if v.Kind == IntValue && t.Form != Number {
		limit = 1<<63 - 1
	}
	if t.Limit > 0 && t.Form == Integer {
		limit = min(limit, t.Limit)
	}
	n, err := f.number(v.Int, limit, true)
	if err != nil {
		return Value{}, fmt.Errorf("%w: encrypting: %w", ErrCannotMask, err)
	}
	if v.Kind == DoubleValue && t.Form != Integer {
		return inForm(Value{Kind: DoubleValue, Double: float64(n)}, t)
	}
	return inForm(Value{Kind: IntValue, Int: n}, t)
}

// maxExact is up to where a float64 has every whole number.
const maxExact = 1 << 53

// fpe is FF1 for one tenant and class.
type fpe struct {
	digits, bits *ff1.Cipher
	tweak        string
}

type fpeCiphers struct{ digits, bits *ff1.Cipher }

func newFPE(key *keyring.Key, tenant, class string) (fpe, error) {
	c, err := keyring.Derived(key, keyring.FPE, tenant, "", fpeKeyBytes, func(secret []byte) (*fpeCiphers, error) {
		digits, err := ff1.New(secret, 10)
		if err != nil {
			return nil, err
		}
		bits, err := ff1.New(secret, 2)
		if err != nil {
			return nil, err
		}
		return &fpeCiphers{digits, bits}, nil
	})
	if err != nil {
		return fpe{}, err
	}
	return fpe{digits: c.digits, bits: c.bits, tweak: class}, nil
}
