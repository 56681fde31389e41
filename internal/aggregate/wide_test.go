// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func exact(xs ...float64) *big.Float {
	sum := new(big.Float).SetPrec(4000)
	for _, x := range xs {
		sum.Add(sum, new(big.Float).SetPrec(4000).SetFloat64(x))
	}
	return sum
}

func near(t *testing.T, want *big.Float, p pair, bits int) {
	t.Helper()
	diff := exact(p.hi, p.lo)
	diff.Sub(diff, want)
	if diff.Sign() == 0 {
		return
	}
	require.GreaterOrEqual(t, want.MantExp(nil)-diff.MantExp(nil), bits, "%v is not %v", p, want)
}

func TestPairsKeepTwiceADoublesBits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	number := func() float64 { return math.Ldexp(r.Float64()-0.5, r.IntN(60)-30) }
	for range 20_000 {
		a, b, c, d := number(), number(), number(), number()
		p, q := twoSum(a, b), twoSum(c, d)
		near(t, exact(a, b), p, 4000)
		near(t, new(big.Float).SetPrec(4000).Mul(exact(a), exact(a)), square(a), 4000)
		near(t, new(big.Float).SetPrec(4000).Mul(exact(a, b), exact(c, d)), p.times(q), 100)
		near(t, new(big.Float).SetPrec(4000).Quo(exact(a, b), exact(c)), p.over(c), 100)
		if a > 0 == (c > 0) && math.Abs(b) < math.Abs(a) && math.Abs(d) < math.Abs(c) && (b > 0) == (a > 0) && (d > 0) == (c > 0) {
			near(t, exact(a, b, c, d), p.plus(q), 103)
			near(t, exact(a, b, c), p.add(c), 103)
		}
	}
}

func TestWideIntegersAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 2))
	for range 200 {
		w, want := wide{}, new(big.Int)
		for range 50 {
			i := int64(r.Uint64()) >> r.UintN(64)
			if r.IntN(3) == 0 {
				i = []int64{math.MaxInt64, math.MinInt64, -1, 0}[r.IntN(4)]
			}
			w = w.add(i)
			want.Add(want, big.NewInt(i))
			n, same := w.int64()
			require.Equal(t, want.IsInt64(), same)
			if same {
				require.Equal(t, want.Int64(), n)
			}
			f, _ := new(big.Float).SetInt(want).Float64()
			require.Equal(t, f, w.pair().hi) //nolint:testifylint // the nearest double, and no other
			near(t, new(big.Float).SetPrec(4000).SetInt(want), w.pair(), 4000)
			near(t, new(big.Float).SetPrec(4000).SetInt(new(big.Int).Mul(big.NewInt(i), big.NewInt(i))), squareOf(i), 105)
			near(t, exact().SetInt64(i), pairOfInt(i), 4000)
		}
		require.Equal(t, w, w.plus(wide{}))
		require.Equal(t, w.add(5).add(-9), w.plus(wide{-1, math.MaxUint64 - 3}))
	}
}
