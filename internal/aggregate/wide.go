// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"math"
	"math/bits"
)

// pair is the unevaluated sum of two doubles, the lower at most half a unit of the higher's last place: 106 bits. The operations are those of T. J.
// Dekker (1971) and D. E. Knuth (TAOCP 2, 4.2.2). Products are rounded by an explicit conversion before they are added: else a compiler
// may fuse the two on one processor and not on another, and a replay elsewhere would give other bits.
type pair struct{ hi, lo float64 }

func (p pair) finite() bool { return !math.IsInf(p.hi, 0) && !math.IsNaN(p.hi) }

// twoSum is exact: hi is the rounded sum and lo what was rounded off.
func twoSum(a, b float64) pair {
	s := a + b
	v := s - a
	return pair{s, (a - (s - v)) + (b - v)}
}

// fastTwoSum is exact if |a| >= |b|.
func fastTwoSum(a, b float64) pair {
	s := a + b
	return pair{s, b - (s - a)}
}

func (p pair) add(x float64) pair {
	s := twoSum(p.hi, x)
	return fastTwoSum(s.hi, s.lo+p.lo)
}

func (p pair) plus(q pair) pair {
	s, t := twoSum(p.hi, q.hi), twoSum(p.lo, q.lo)
	s = fastTwoSum(s.hi, s.lo+t.hi)
	return fastTwoSum(s.hi, s.lo+t.lo)
}

func (p pair) minus(q pair) pair { return p.plus(pair{-q.hi, -q.lo}) }

// square of a double, exact unless it underflows.
func square(x float64) pair {
	hi := float64(x * x)
	return pair{hi, math.FMA(x, x, -hi)}
}

func (p pair) times(q pair) pair {
	hi := float64(p.hi * q.hi)
	lo := math.FMA(p.hi, q.hi, -hi)
	lo += float64(p.hi*q.lo) + float64(p.lo*q.hi)
	return fastTwoSum(hi, lo)
}

func (p pair) over(x float64) pair {
	q := p.hi / x
	r := p.minus(pair{x, 0}.times(pair{q, 0}))
	return fastTwoSum(q, r.hi/x)
}

// wide is a signed integer of 128 bits.
type wide struct {
	hi int64
	lo uint64
}

func (w wide) add(i int64) wide {
	lo, carry := bits.Add64(w.lo, uint64(i), 0)
	return wide{w.hi + i>>63 + int64(carry), lo}
}

func (w wide) plus(v wide) wide {
	lo, carry := bits.Add64(w.lo, v.lo, 0)
	return wide{w.hi + v.hi + int64(carry), lo}
}

// int64 is the nearest integer of 64 bits, and whether it is the same.
func (w wide) int64() (int64, bool) {
	if w.hi == int64(w.lo)>>63 {
		return int64(w.lo), true
	}
	if w.hi < 0 {
		return math.MinInt64, false
	}
	return math.MaxInt64, false
}

// pair is the integer rounded to 106 bits.
func (w wide) pair() pair {
	negative := w.hi < 0
	hi, lo := uint64(w.hi), w.lo
	if negative {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	p := pairOf(hi, lo)
	if negative {
		return pair{-p.hi, -p.lo}
	}
	return p
}

// pairOf is an unsigned integer of 128 bits. Each of its quarters is exact as a double.
func pairOf(hi, lo uint64) pair {
	p := pair{float64(hi>>32) * (1 << 96), 0}
	p = p.add(float64(hi&math.MaxUint32) * (1 << 64))
	p = p.add(float64(lo>>32) * (1 << 32))
	return p.add(float64(lo & math.MaxUint32))
}

// squareOf an integer.
func squareOf(i int64) pair {
	u := uint64(i)
	if i < 0 {
		u = -u
	}
	return pairOf(bits.Mul64(u, u))
}

// pairOfInt is exact.
func pairOfInt(i int64) pair { return wide{i >> 63, uint64(i)}.pair() }
