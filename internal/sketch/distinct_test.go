// SPDX-License-Identifier: Apache-2.0

package sketch

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// adder hides what a sketch holds, for tests that hold for all of them.
type adder[T any] interface {
	Init(dst []byte) []byte
	Merge(b, other, scratch []byte) ([]byte, bool)
	Check(b []byte) error
	MaxSize() int
}

// build adds all values to a new sketch, as a caller does who keeps it elsewhere than in the scratch.
func build[T any](t *testing.T, s adder[T], add func(b []byte, v T, scratch []byte) ([]byte, bool), values []T) []byte {
	t.Helper()
	b, scratch := s.Init(nil), []byte(nil)
	for _, v := range values {
		out, rebuilt := add(b, v, scratch[:0])
		if rebuilt {
			b, scratch = append([]byte(nil), out...), out
		} else {
			require.Len(t, out, len(b))
		}
	}
	require.NoError(t, s.Check(b))
	require.LessOrEqual(t, len(b), s.MaxSize())
	return b
}

// split builds a sketch of each part of the values and merges them, left to right or as a tree.
func split[T any](t *testing.T, r *rand.Rand, s adder[T], add func(b []byte, v T, scratch []byte) ([]byte, bool), values []T) []byte {
	t.Helper()
	if len(values) < 2 || r.IntN(4) == 0 {
		return build(t, s, add, values)
	}
	at := r.IntN(len(values) + 1)
	x, y := split(t, r, s, add, values[:at]), split(t, r, s, add, values[at:])
	before := slices.Clone(y)
	out, _ := s.Merge(slices.Clone(x), y, nil)
	require.Equal(t, before, y, "the other is left alone")
	require.NoError(t, s.Check(out))
	require.LessOrEqual(t, len(out), s.MaxSize())
	return out
}

func shuffled[T any](r *rand.Rand, values []T) []T {
	values = slices.Clone(values)
	r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
	return values
}

// alike are hashes that often share registers and ranks.
func alike(r *rand.Rand, n int) []uint64 {
	hashes := make([]uint64, n)
	for i := range hashes {
		switch h := r.Uint64(); r.IntN(4) {
		case 0:
			hashes[i] = h &^ (1<<uint(r.IntN(64)) - 1) // zeros at the end
		case 1:
			hashes[i] = h & (0xff<<56 | 1<<uint(r.IntN(56)) - 1) // zeros within
		default:
			hashes[i] = h
		}
		if i > 0 && r.IntN(4) == 0 {
			hashes[i] = hashes[r.IntN(i)]
		}
	}
	return hashes
}

func TestDistinctIsAFunctionOfTheSet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, d := range []*Distinct{NewDistinct(10, 64), NewDistinct(12, 4), NewDistinct(14, 64), NewDistinct(10, 4096), NewDistinct(16, 1000)} {
		for _, n := range []int{0, 1, 2, 5, 64, 65, 100, 190, 193, 300, 1500, 6000} {
			hashes := alike(r, n)
			want := build(t, d, d.Add, hashes)
			for range 4 {
				other := shuffled(r, hashes)
				require.Equal(t, want, build(t, d, d.Add, other))
				require.Equal(t, want, split(t, r, d, d.Add, other))
			}
			require.Equal(t, want, build(t, d, d.Add, append(hashes, hashes...)), "what is counted again changes nothing")
		}
	}
}

// registers are computed without any of the sketch's forms.
func TestADenseSketchHasTheRegistersOfItsHashes(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for _, p := range []int{10, 13, 16} {
		d := NewDistinct(p, 64)
		hashes := append(alike(r, 60000), 0, math.MaxUint64, 1<<(64-p))
		b := build(t, d, d.Add, hashes)
		require.EqualValues(t, formDense, b[0])
		want := make([]uint8, 1<<p)
		for _, h := range hashes {
			rank := uint8(1)
			for bit := 63 - p; bit >= 0 && h>>bit&1 == 0; bit-- {
				rank++
			}
			want[h>>(64-p)] = max(want[h>>(64-p)], rank)
		}
		for i, rank := range want {
			require.Equal(t, rank, registerAt(b, uint32(i)))
		}
	}
}

func TestDistinctEstimatesWithinItsError(t *testing.T) {
	f := func(precision, n, runs int, standard, most float64) {
		t.Helper()
		d := NewDistinct(precision, 64)
		squares := 0.0
		for seed := range runs {
			r := rand.New(rand.NewPCG(uint64(seed), 3))
			b := d.Init(nil)
			for range n {
				b, _ = d.Add(b, r.Uint64(), nil)
			}
			err := float64(d.Estimate(b))/float64(n) - 1
			require.LessOrEqual(t, math.Abs(err), most, "%d of precision %d: %+.4f", n, precision, err)
			squares += err * err
		}
		require.LessOrEqual(t, math.Sqrt(squares/float64(runs)), standard, "the standard error of %d of precision %d", n, precision)
	}
	// Exact, then as good as exact, then 1.04/sqrt(2^precision), of which a few runs have a fifth more at most; a single one four times.
	f(14, 10, 20, 0, 0)
	f(14, 64, 20, 0, 0)
	f(14, 1000, 20, 0.0003, 0.001)
	f(14, 3000, 20, 0.0003, 0.001)
	f(14, 4000, 20, 0.0081*1.2, 0.0081*4)
	f(14, 20_000, 20, 0.0081*1.2, 0.0081*4)
	f(14, 100_000, 20, 0.0081*1.2, 0.0081*4)
	f(14, 1_000_000, 8, 0.0081*1.2, 0.0081*4)
	f(10, 100_000, 60, 0.0325*1.2, 0.0325*4)
	f(16, 100_000, 10, 0.0041*1.2, 0.0041*4)
}

func TestEightRegistersAreComparedAtOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	for range 5000 {
		x, y, want := r.Uint64()>>16, r.Uint64()>>16, uint64(0)
		if r.IntN(2) == 0 {
			y = x ^ 1<<r.IntN(48) // they differ in one
		}
		for i := range 8 {
			want |= max(x>>(6*i)&rankMask, y>>(6*i)&rankMask) << (6 * i)
		}
		require.Equal(t, want, greatest8(x, y))
	}
}

func TestDistinctOfFullRegistersIsANumber(t *testing.T) {
	d := NewDistinct(10, 64)
	b := make([]byte, d.denseSize())
	b[0] = formDense
	require.Zero(t, d.Estimate(b))
	for i := range uint32(1 << 10) {
		raise(b, i, 55)
	}
	require.NoError(t, d.Check(b))
	require.EqualValues(t, math.MaxInt64, d.Estimate(b))
}

func FuzzDistinct(f *testing.F) {
	d := NewDistinct(10, 8)
	r := rand.New(rand.NewPCG(4, 1))
	for _, n := range []int{0, 3, 8, 9, 100, 1000} {
		b := d.Init(nil)
		for _, h := range alike(r, n) {
			b, _ = d.Add(b, h, nil)
		}
		f.Add(b, b, uint64(n))
	}
	f.Fuzz(func(t *testing.T, b, other []byte, h uint64) {
		if d.Check(b) != nil || d.Check(other) != nil {
			return
		}
		d.Estimate(b)
		x, _ := d.Add(slices.Clone(b), h, nil)
		require.NoError(t, d.Check(x))
		xy, _ := d.Merge(slices.Clone(x), other, nil)
		yx, _ := d.Merge(slices.Clone(other), x, nil)
		require.NoError(t, d.Check(xy))
		if len(xy) == len(yx) && xy[0] != formSparse { // a forged sparse sketch may say less than an exact one
			require.Equal(t, xy, yx)
		}
	})
}
