// SPDX-License-Identifier: Apache-2.0

package sketch

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// words are as frequent as in a language, and sometimes long.
func words(seed uint64, n int, most uint64) [][]byte {
	r := rand.New(rand.NewPCG(seed, 8))
	zipf := rand.NewZipf(r, 1.2, 1, most)
	values := make([][]byte, n)
	for i := range values {
		z := zipf.Uint64()
		values[i] = []byte(strings.Repeat("w", int(z%5*z%120)) + strconv.FormatUint(z, 10))
	}
	return values
}

func exactly(values [][]byte) map[string]uint64 {
	counts := map[string]uint64{}
	for _, v := range values {
		counts[string(v)]++
	}
	return counts
}

// holds checks what the sketch promises of n values.
func holds(t *testing.T, top *Top, b []byte, values [][]byte) {
	t.Helper()
	counts, most := exactly(values), uint64(len(values)/top.capacity)
	all := top.Top(b, top.capacity)
	require.True(t, slices.IsSortedFunc(all, func(x, y Frequent) int { return int(y.Count) - int(x.Count) }))
	sum := uint64(0)
	for _, f := range all {
		require.GreaterOrEqual(t, f.Count, counts[f.Value], f.Value)
		require.LessOrEqual(t, f.Count-f.Error, counts[f.Value], f.Value)
		require.LessOrEqual(t, f.Error, most, f.Value)
		sum += f.Count
		delete(counts, f.Value)
	}
	require.LessOrEqual(t, sum, uint64(len(values)))
	for v, n := range counts {
		require.LessOrEqual(t, n, most, "%s is not followed", v)
	}
}

func TestTopKeepsItsBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	for _, capacity := range []int{1, 2, 7, 64, 80, 500} {
		top := NewTop(capacity)
		for seed, n := range []int{0, 1, 10, 300, 5000, 20000} {
			values := words(uint64(seed), n, 3000)
			holds(t, top, build(t, top, top.Add, values), values)
			for range 3 {
				values = shuffled(r, values)
				holds(t, top, split(t, r, top, top.Add, values), values)
			}
			// Partials that are merged, and added to, and merged again.
			b := top.Init(nil)
			for part := range slices.Chunk(values, 1+n/5) {
				b, _ = top.Merge(b, build(t, top, top.Add, part), nil)
				for _, v := range part {
					b, _ = top.Add(b, v, nil)
				}
				require.NoError(t, top.Check(b))
			}
			holds(t, top, b, slices.Concat(values, values))
		}
	}
}

func TestTopIsExactUpToItsCapacity(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 1))
	values := words(1, 5000, 60)
	top := NewTop(64)
	counts := exactly(values)
	require.LessOrEqual(t, len(counts), 64)
	want := top.Top(build(t, top, top.Add, values), 64)
	require.Len(t, want, len(counts))
	for _, f := range want {
		require.Equal(t, Frequent{f.Value, counts[f.Value], 0}, f)
	}
	for range 10 {
		values = shuffled(r, values)
		require.Equal(t, want, top.Top(build(t, top, top.Add, values), 64))
		require.Equal(t, want, top.Top(split(t, r, top, top.Add, values), 64))
	}
}

func TestTopFindsWhatIsFrequentInALongTail(t *testing.T) {
	var values [][]byte
	for i := range 100_000 {
		v := "tail " + strconv.Itoa(i)
		if i%20 < 5 {
			v = "head " + strconv.Itoa(i%20)
		}
		values = append(values, []byte(v))
	}
	top := NewTop(64)
	got := top.Top(build(t, top, top.Add, values), 5)
	for i, f := range got {
		require.Contains(t, f.Value, "head", i)
	}
}

func TestEqualCountsAreOrderedByValue(t *testing.T) {
	top := NewTop(64)
	b := build(t, top, top.Add, [][]byte{[]byte("b"), []byte("c"), []byte("a"), []byte("c")})
	require.Equal(t, []Frequent{{"c", 2, 0}, {"a", 1, 0}, {"b", 1, 0}}, top.Top(b, 10))
	require.Equal(t, []Frequent{{"c", 2, 0}, {"a", 1, 0}}, top.Top(b, 2))
}

func TestMergingIsTheSameEitherWay(t *testing.T) {
	top := NewTop(32)
	x, y := build(t, top, top.Add, words(3, 4000, 1000)), build(t, top, top.Add, words(4, 9000, 1000))
	xy, _ := top.Merge(slices.Clone(x), y, nil)
	yx, _ := top.Merge(slices.Clone(y), x, nil)
	require.Equal(t, xy, yx)
}

func FuzzTop(f *testing.F) {
	top := NewTop(9)
	for seed, n := range []int{0, 1, 5, 50, 500} {
		b := top.Init(nil)
		for _, v := range words(uint64(seed), n, 40) {
			b, _ = top.Add(b, v, nil)
		}
		f.Add(b, b, "w")
	}
	f.Fuzz(func(_ *testing.T, b, other []byte, v string) {
		if top.Check(b) != nil || top.Check(other) != nil {
			return
		}
		top.Top(b, 3)
		x, _ := top.Add(slices.Clone(b), []byte(v), nil)
		xy, _ := top.Merge(slices.Clone(x), other, nil)
		top.Top(xy, 20)
		z, _ := top.Add(xy, []byte(v+v), nil)
		top.Top(z, 20)
	})
}
