// SPDX-License-Identifier: Apache-2.0

package sketch

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var distributions = map[string]func(r *rand.Rand) float64{
	"exponential": func(r *rand.Rand) float64 { return r.ExpFloat64() * 20 },
	"normal":      func(r *rand.Rand) float64 { return r.NormFloat64() * 1e6 },
	"wide":        func(r *rand.Rand) float64 { return math.Exp(r.NormFloat64() * 4) },
	"few":         func(r *rand.Rand) float64 { return []float64{-3, 0, 0, 1, 1e9, 0.25}[r.IntN(6)] },
	"cents":       func(r *rand.Rand) float64 { return float64(r.IntN(100000)) / 100 },
	"constant":    func(*rand.Rand) float64 { return 42 },
}

func sample(name string, seed uint64, n int) []float64 {
	r := rand.New(rand.NewPCG(seed, 5))
	values := make([]float64, n)
	for i := range values {
		values[i] = distributions[name](r)
	}
	return values
}

func TestQuantilesAreWithinTheirAccuracy(t *testing.T) {
	for name := range distributions {
		for _, accuracy := range []float64{0.001, 0.01, 0.05} {
			for _, n := range []int{1, 2, 10, 1000, 50_000} {
				q := NewQuantiles(accuracy)
				values := sample(name, 1, n)
				if name != "cents" && name != "constant" && accuracy == 0.001 {
					continue // wider than there are buckets
				}
				b := build(t, q, q.Add, values)
				slices.Sort(values)
				for _, p := range []float64{0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
					got, ok := q.Quantile(b, p)
					require.True(t, ok)
					want := values[int(p*float64(n-1))]
					require.InDelta(t, want, got, math.Abs(want)*accuracy*(1+1e-9), "%s: %v of %d", name, p, n)
				}
			}
		}
	}
}

func TestQuantilesOfNothing(t *testing.T) {
	q := NewQuantiles(0.01)
	_, ok := q.Quantile(q.Init(nil), 0.5)
	require.False(t, ok)
}

func TestQuantilesAreAFunctionOfTheValues(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	for name := range distributions {
		for _, accuracy := range []float64{0.001, 0.01} {
			for _, n := range []int{0, 1, 3, 50, 700, 3000} {
				q := NewQuantiles(accuracy)
				values := sample(name, 2, n)
				if n == 50 { // from one end to the other: all is collapsed but the greatest
					values = append(values, math.MaxFloat64, -math.MaxFloat64, leastNormal, math.SmallestNonzeroFloat64, 0, math.Copysign(0, -1), 1e-300, -1e-300, 1e250)
				}
				want := build(t, q, q.Add, values)
				for range 3 {
					other := shuffled(r, values)
					require.Equal(t, want, build(t, q, q.Add, other), name)
					require.Equal(t, want, split(t, r, q, q.Add, other), name)
				}
			}
		}
	}
}

func TestCountsOfABucketGrowByteByByte(t *testing.T) {
	q := NewQuantiles(0.01)
	b := q.Init(nil)
	for i := range 70_000 {
		b, _ = q.Add(b, 1, nil)
		if i == 255 {
			b, _ = q.Add(b, -1, nil)
		}
	}
	require.NoError(t, q.Check(b))
	positive, negative := loadStores(b)
	require.EqualValues(t, 70_000, positive.total())
	require.EqualValues(t, 1, negative.total())
	require.Equal(t, 4, positive.width)
	require.Equal(t, 1, negative.width)
	// Merging doubles them, up to 8 bytes.
	for range 17 {
		b, _ = q.Merge(b, slices.Clone(b), nil)
	}
	positive, negative = loadStores(b)
	require.EqualValues(t, 70_000<<17, positive.total())
	require.EqualValues(t, 1<<17, negative.total())
	require.Equal(t, 8, positive.width)
}

func TestTheLowestBucketsCollapse(t *testing.T) {
	q := NewQuantiles(0.01)
	b := q.Init(nil)
	for e := -300; e <= 300; e++ {
		b, _ = q.Add(b, math.Pow(10, float64(e)), nil)
	}
	require.NoError(t, q.Check(b))
	require.Len(t, b, quantilesHeader+fewBlocks*blockBuckets*2)
	top, _ := q.Quantile(b, 0.98)
	require.InEpsilon(t, 1e288, top, 0.01, "what is high is as accurate as ever")
	low, _ := q.Quantile(b, 0.1)
	require.Greater(t, low, 1e280, "what is low is counted in the lowest bucket that is left")
}

// The bound is of the mapping: no bucket is wider than the accuracy allows.
func TestBucketsAreNarrowEnough(t *testing.T) {
	for _, accuracy := range []float64{0.001, 0.01, 0.02, 0.1} {
		q := NewQuantiles(accuracy)
		r := rand.New(rand.NewPCG(7, 1))
		for range 2000 {
			x := math.Float64frombits(1<<52 + r.Uint64N(0x7fe<<52))
			if x > math.MaxFloat64/2 {
				continue
			}
			v := q.value(q.bucket(x))
			require.InEpsilon(t, x, v, accuracy*(1+1e-9), "%v", x)
		}
		// Not much narrower either: an octave takes at most 2 % more buckets than an exact logarithm.
		require.InEpsilon(t, math.Ln2/math.Log((1+accuracy)/(1-accuracy)), float64(q.bucket(1<<40)-q.bucket(1))/40, 0.02)
	}
}

func FuzzQuantiles(f *testing.F) {
	q := NewQuantiles(0.01)
	for name := range distributions {
		b := q.Init(nil)
		for _, v := range sample(name, 3, 300) {
			b, _ = q.Add(b, v, nil)
		}
		f.Add(b, b, 1.5)
	}
	f.Fuzz(func(t *testing.T, b, other []byte, x float64) {
		if q.Check(b) != nil || q.Check(other) != nil || x-x != 0 {
			return
		}
		q.Quantile(b, 0.5)
		out, _ := q.Add(slices.Clone(b), x, nil)
		q.Quantile(out, 0.5)
		xy, _ := q.Merge(slices.Clone(out), other, nil)
		yx, _ := q.Merge(slices.Clone(other), out, nil)
		require.Equal(t, xy, yx)
		q.Quantile(xy, 1)
	})
}
