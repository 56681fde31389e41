// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedianIsTheMiddle(t *testing.T) {
	f := func(s series, want float64) {
		t.Helper()
		require.InDelta(t, want, s.median(), 1e-9)
	}
	f(series{3}, 3)
	f(series{9, 1, 2}, 2)
	f(series{4, 1, 2, 100}, 3)
	require.True(t, math.IsNaN(series{}.median()))
	s := series{9, 1, 2}
	s.median()
	require.Equal(t, series{9, 1, 2}, s, "rounds keep their order")
}

func TestRatiosAreRoundByRound(t *testing.T) {
	require.Equal(t, series{0.5, 0.25, 2}, series{1, 2, 6}.over(series{2, 8, 3}))
	require.Equal(t, series{0.5}, series{1, 2}.over(series{2}), "a round without its peer is left out")
}

func TestSpreadShowsMedianLeastAndGreatest(t *testing.T) {
	f := func(s series, decimals int, want string) {
		t.Helper()
		require.Equal(t, want, s.spread(decimals))
	}
	f(nil, 1, "–")
	f(series{1.26}, 1, "1.3")
	f(series{3, 1, 2}, 0, "2 (1 to 3)")
	f(series{1234.5, 1000, 2_000_000}, 1, "1,234.5 (1,000.0 to 2,000,000.0)")
	require.Equal(t, "0.20, 1.00", series{0.2, 1}.all())
}

func TestFixedNumbers(t *testing.T) {
	f := func(v float64, decimals int, want string) {
		t.Helper()
		require.Equal(t, want, fixed(v, decimals))
	}
	f(-1234.56, 1, "-1,234.6")
	f(0, 0, "0")
	f(math.NaN(), 2, "–")
	f(math.Inf(1), 2, "–")
}

func TestTenthsCoverAllValuesOnce(t *testing.T) {
	values := make(series, 25)
	for i := range values {
		values[i] = float64(i)
	}
	got := tenths(values)
	require.Len(t, got, 10)
	require.InDelta(t, 0.5, got[0], 1e-9)
	require.InDelta(t, 23, got[9], 1e-9)
	require.Equal(t, series{7, 8}, tenths(series{7, 8}))
	require.Empty(t, tenths(nil))
}

func TestGrowthLeavesTheStartOut(t *testing.T) {
	require.InDelta(t, 1, growth(series{1, 100, 100, 5, 5, 5, 5, 5, 100, 100}), 1e-9)
	require.InDelta(t, 2, growth(series{900, 50, 50, 0, 0, 0, 0, 0, 100, 100}), 1e-9)
}
