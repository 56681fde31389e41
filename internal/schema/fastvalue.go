// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/millrace/millrace/internal/event"
)

// The library compares numbers as exact fractions. It reads a double by its shortest decimal text, so that
// 0.1 is a tenth. The functions here give the same answers without fractions.

// bound is a number of a schema that values are compared with.
type bound struct {
	// The nearest double, and how that double's decimal text compares with the number. Doubles in order
	// have their texts in order, so only the nearest double itself needs the second.
	nearest float64
	atTie   int

	floor   int64 // the number rounded down, where it fits
	whole   bool  // the number is floor
	outside int   // -1 or 1: below or above all int64
}

func newBound(r *big.Rat) *bound {
	if r == nil {
		return nil
	}
	b := &bound{}
	b.nearest, _ = r.Float64()
	if text, ok := new(big.Rat).SetString(strconv.FormatFloat(b.nearest, 'g', -1, 64)); ok {
		b.atTie = text.Cmp(r)
	}
	floor := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean, the divisor positive: rounds down
	switch {
	case floor.IsInt64():
		b.floor, b.whole = floor.Int64(), r.IsInt()
	default:
		b.outside = floor.Sign()
	}
	return b
}

// compare returns how a number compares with the bound.
func (b *bound) compare(v *event.Value) int {
	if v.Kind() == event.KindDouble {
		switch f := v.Double(); {
		case f < b.nearest:
			return -1
		case f > b.nearest:
			return 1
		}
		return b.atTie
	}
	i := v.Int()
	switch {
	case b.outside != 0:
		return -b.outside
	case i > b.floor:
		return 1
	case i < b.floor || !b.whole:
		return -1
	}
	return 0
}

// multiple is a multipleOf in lowest terms.
type multiple struct{ num, denom uint64 }

// newMultiple returns nil for a number that is too large to reckon with here.
func newMultiple(r *big.Rat) *multiple {
	if r == nil || r.Sign() <= 0 || !r.Num().IsUint64() || !r.Denom().IsUint64() {
		return nil
	}
	return &multiple{r.Num().Uint64(), r.Denom().Uint64()}
}

var powersOf10 = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// divides says whether a number is a whole multiple.
func (m *multiple) divides(v *event.Value) verdict {
	if m == nil {
		return unsure
	}
	if v.Kind() == event.KindInt {
		i := v.Int()
		magnitude := uint64(i)
		if i < 0 {
			magnitude = -magnitude
		}
		return m.remainder(magnitude, m.num)
	}
	digits, exponent := decimal(v.Double())
	if digits == 0 {
		return valid
	}
	if exponent >= len(powersOf10) || -exponent >= len(powersOf10) {
		return unsure
	}
	if exponent >= 0 {
		hi, lo := bits.Mul64(digits, powersOf10[exponent])
		if hi != 0 {
			return unsure
		}
		return m.remainder(lo, m.num)
	}
	hi, lo := bits.Mul64(m.num, powersOf10[-exponent])
	if hi != 0 {
		return unsure
	}
	return m.remainder(digits, lo)
}

// remainder says whether by divides value times the denominator.
func (m *multiple) remainder(value, by uint64) verdict {
	hi, lo := bits.Mul64(value, m.denom)
	return verdictOf(bits.Rem64(hi, lo, by) == 0)
}

// decimal returns the digits and the exponent of ten of a finite double's shortest decimal text, unsigned.
func decimal(f float64) (digits uint64, exponent int) {
	var buf [32]byte
	text := strconv.AppendFloat(buf[:0], math.Abs(f), 'e', -1, 64)
	fraction, inFraction := 0, false
	for i, c := range text {
		switch {
		case c == '.':
			inFraction = true
		case c == 'e':
			negative := text[i+1] == '-'
			for _, d := range text[i+2:] {
				exponent = exponent*10 + int(d-'0')
			}
			if negative {
				exponent = -exponent
			}
			return digits, exponent - fraction
		default:
			digits = digits*10 + uint64(c-'0')
			if inFraction {
				fraction++
			}
		}
	}
	return digits, -fraction
}

// valueSet is the set of values of an enum or a const.
type valueSet struct {
	types   typeMask // of the scalars
	texts   []string
	textSet map[string]struct{} // instead of texts where there are many
	numbers []*bound
	bools   [2]bool
	nested  []any // arrays and objects
}

// manyTexts is from where a map is quicker than comparing.
const manyTexts = 12

func newValueSet(values []any) *valueSet {
	s := &valueSet{}
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			s.types |= maskNull
		case bool:
			s.types |= maskBool
			if v {
				s.bools[1] = true
			} else {
				s.bools[0] = true
			}
		case string:
			s.types |= maskString
			s.texts = append(s.texts, v)
		case json.Number:
			s.types |= maskNumber
			if r, ok := new(big.Rat).SetString(string(v)); ok {
				s.numbers = append(s.numbers, newBound(r))
			}
		default:
			s.nested = append(s.nested, v)
		}
	}
	if len(s.texts) > manyTexts {
		s.textSet = make(map[string]struct{}, len(s.texts))
		for _, t := range s.texts {
			s.textSet[t] = struct{}{}
		}
		s.texts = nil
	}
	return s
}

// has says whether the set holds the value, or, where v is nil, the object of the properties.
func (s *valueSet) has(v *event.Value, mask typeMask) verdict {
	switch mask {
	case maskNull:
		return verdictOf(s.types&maskNull != 0)
	case maskBool:
		if v.Bool() {
			return verdictOf(s.bools[1])
		}
		return verdictOf(s.bools[0])
	case maskString:
		text := v.Str()
		if s.textSet != nil {
			_, ok := s.textSet[text]
			return verdictOf(ok)
		}
		for _, t := range s.texts {
			if t == text {
				return valid
			}
		}
		return invalid
	case maskWhole, maskFraction:
		for _, n := range s.numbers {
			if n.compare(v) == 0 {
				return valid
			}
		}
		return invalid
	}
	if len(s.nested) == 0 {
		return invalid
	}
	if v == nil {
		return unsure
	}
	best := invalid
	for _, want := range s.nested {
		got := equalsDocument(v, want)
		if got == valid {
			return valid
		}
		best = max(best, got)
	}
	return best
}

// equalsDocument compares a value with one of a schema document.
func equalsDocument(v *event.Value, want any) verdict {
	switch want := want.(type) {
	case []any:
		if v.Kind() != event.KindSlice || v.Len() != len(want) {
			return verdictOf(false)
		}
		for i := range want {
			element := v.Index(i)
			if got := equalsDocument(&element, want[i]); got != valid {
				return got
			}
		}
		return valid
	case map[string]any:
		if v.Kind() != event.KindMap || v.Len() < len(want) {
			return invalid
		}
		if v.Len() > len(want) {
			return unsure // a name may stand twice
		}
		for k, m := range want {
			member, ok := v.Get(k)
			if !ok {
				return invalid
			}
			if got := equalsDocument(&member, m); got != valid {
				return got
			}
		}
		return valid
	}
	mask := maskOfEvent(v)
	if mask == 0 || v.Kind() == event.KindBytes {
		return unsure
	}
	if mask&(maskArray|maskObject) != 0 {
		return invalid
	}
	return newValueSet([]any{want}).has(v, mask)
}

// uniqueElements says whether no two of an array's n elements are equal.
func uniqueElements(v *event.Value, n int) verdict {
	if n > maxCompared {
		return unsure
	}
	for i := 1; i < n; i++ {
		a := v.Index(i)
		for j := range i {
			b := v.Index(j)
			switch equalScalars(&a, &b) {
			case valid:
				return invalid
			case unsure:
				return unsure
			}
		}
	}
	return valid
}

// equalScalars compares two values of an event; it is unsure about nested ones and what JSON does not have.
func equalScalars(a, b *event.Value) verdict {
	aMask, bMask := maskOfEvent(a), maskOfEvent(b)
	if aMask == 0 || bMask == 0 || a.Kind() == event.KindBytes || b.Kind() == event.KindBytes {
		return unsure
	}
	if aMask != bMask {
		return invalid
	}
	switch aMask {
	case maskNull:
		return valid
	case maskBool:
		return verdictOf(a.Bool() == b.Bool())
	case maskString:
		return verdictOf(a.Str() == b.Str())
	case maskWhole, maskFraction:
		return equalNumbers(a, b)
	}
	return unsure
}

func equalNumbers(a, b *event.Value) verdict {
	if a.Kind() == event.KindInt {
		a, b = b, a
	}
	switch {
	case a.Kind() == event.KindInt: // both
		return verdictOf(a.Int() == b.Int())
	case b.Kind() == event.KindDouble: // both
		return verdictOf(a.Double() == b.Double())
	case math.Abs(a.Double()) >= 1<<53: // its text need not be the integer that it is
		return unsure
	}
	return verdictOf(int64(a.Double()) == b.Int())
}
