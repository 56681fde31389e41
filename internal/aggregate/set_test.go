// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/event"
)

func spec(function string, column int) Spec {
	return Spec{Function: function, Column: column, By: None, Filter: None}
}

func TestFunctionsOfAFewEvents(t *testing.T) {
	specs := []Spec{
		spec(Count, None), spec(Count, 0), spec(Sum, 0), spec(Min, 0), spec(Max, 0), spec(Avg, 0), spec(CountDistinct, 1), spec(TopK, 1),
		spec(First, 1), spec(Last, 1), {Function: ArgMax, Column: 1, By: 0, Filter: None}, {Function: ArgMin, Column: 1, By: 0, Filter: None},
		{Function: Quantile, Column: 0, By: None, Filter: None, Quantile: 0.5}, spec(SumSquares, 0), spec(Variance, 0), spec(Stddev, 0),
		{Function: Sum, Column: 0, By: None, Filter: 0, Type: Integer}, {Function: Min, Column: 1, By: None, Filter: None, Type: String},
	}
	s, err := NewSet(specs, 2, 1)
	require.NoError(t, err)
	acc := s.Init(nil)
	require.NoError(t, s.Check(acc))
	row := func(at int64, n event.Scalar, text event.Scalar, mask uint64) {
		acc = append([]byte(nil), s.Add(acc, []event.Scalar{n, text}, mask, Point{Time: at})...)
		require.NoError(t, s.Check(acc))
	}
	row(3, event.IntScalar(4), event.StringScalar("c"), 1)
	row(1, event.DoubleScalar(2.5), event.StringScalar("a"), 0)
	row(2, event.Scalar{}, event.StringScalar("c"), 1)
	row(4, event.IntScalar(7), event.Scalar{}, 1)
	v := s.Results(acc, nil)
	number := func(f float64) Value { return Value{Type: Number, Float: f} }
	integer := func(i int64) Value { return Value{Type: Integer, Int: i} }
	text := func(s string) Value { return Value{Type: String, Text: s} }
	require.Equal(t, []Value{
		integer(4), integer(3), number(13.5), number(2.5), number(7), number(4.5), integer(2),
		{Type: Ranked, List: []Entry{{"c", 2, 0}, {"a", 1, 0}}},
		text("a"), text("c"), text("c"), text("a"),
		v[12], number(71.25), number(5.25), v[15], integer(11), text("a"),
	}, v)
	require.InEpsilon(t, 4, v[12].Float, 0.01)
	require.InDelta(t, 2.29128784747792, v[15].Float, 1e-14)
}

func TestFunctionsShareWhatTheyKnow(t *testing.T) {
	f := func(size int, specs ...Spec) {
		t.Helper()
		s, err := NewSet(specs, 2, 2)
		require.NoError(t, err)
		require.Equal(t, size, s.MinSize())
	}
	f(8, spec(Count, None), spec(Count, None))
	f(17, spec(Sum, 0))
	f(25, spec(Sum, 0), spec(Avg, 0))
	f(41, spec(Avg, 0), spec(Variance, 0), spec(Sum, 0), spec(SumSquares, 0), spec(Stddev, 0))
	f(34, spec(Sum, 0), spec(Sum, 1))
	f(34, spec(Sum, 0), typed(Sum, Integer))
	f(8+17+17, spec(Count, None), spec(Sum, 0), Spec{Function: Sum, Column: 0, By: None, Filter: 1})
	f(20, spec(Quantile, 0), Spec{Function: Quantile, Column: 0, By: None, Filter: None, Quantile: 0.99})
	f(18, spec(Min, 0), spec(Max, 0))
	f(7, spec(CountDistinct, 0), spec(CountDistinct, 0))
	f(10, spec(TopK, 0), Spec{Function: TopK, Column: 0, By: None, Filter: None, K: 3, Capacity: 80})
}

func TestFixedSizesAreZerosAndNeverAllocate(t *testing.T) {
	s, err := NewSet([]Spec{spec(Count, None), spec(Sum, 0), spec(Max, 0), spec(Variance, 0), typed(Last, Integer)}, 2, 0)
	require.NoError(t, err)
	n, ok := s.FixedSize()
	require.True(t, ok)
	acc := make([]byte, n)
	require.Equal(t, acc, s.Init(nil))
	require.NoError(t, s.Check(acc))
	rows := []event.Scalar{event.IntScalar(5), {}}
	doubles := []event.Scalar{event.DoubleScalar(0.5), {}}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.Add(acc, rows, 0, Point{})
		s.Add(acc, doubles, 0, Point{})
	}))
	_, ok = func() (int, bool) {
		s, _ := NewSet([]Spec{spec(Count, None), spec(TopK, 0)}, 1, 0)
		return s.FixedSize()
	}()
	require.False(t, ok)
}

func TestAFilterIsABitOfTheMask(t *testing.T) {
	s, err := NewSet([]Spec{{Function: Count, Column: None, By: None, Filter: 1}, {Function: CountDistinct, Column: 0, By: None, Filter: 0}, spec(Count, None)}, 1, 2)
	require.NoError(t, err)
	acc := s.Init(nil)
	for mask := range uint64(4) {
		acc = append([]byte(nil), s.Add(acc, []event.Scalar{event.IntScalar(int64(mask))}, mask, Point{})...)
	}
	got := s.Results(acc, nil)
	require.Equal(t, []int64{2, 2, 4}, []int64{got[0].Int, got[1].Int, got[2].Int})
}

// A merge over many partials is a loop that copies nothing.
func TestWhatASetReturnsCanBeGivenToItsNextCall(t *testing.T) {
	specs := []Spec{spec(CountDistinct, 0), typed(Last, String), spec(Quantile, 1), spec(TopK, 0), spec(Count, None)}
	s, err := NewSet(specs, 2, 0)
	require.NoError(t, err)
	chained, copied := s.Init(nil), s.Init(nil)
	r := rand.New(rand.NewPCG(1, 9))
	c := s.Clone()
	for range 200 {
		part := c.Init(nil)
		for i := range 20 {
			row := []event.Scalar{event.StringScalar(strconv.Itoa(r.IntN(1000) * r.IntN(1000))), event.DoubleScalar(r.ExpFloat64())}
			part = c.Add(part, row, 0, Point{Time: r.Int64(), Position: uint64(i)})
		}
		chained = s.Merge(chained, part)
		copied = append([]byte(nil), c.Clone().Merge(copied, part)...)
	}
	require.NoError(t, s.Check(chained))
	require.True(t, bytes.Equal(copied, chained))
}

func TestClonesCountTheirOwnSkips(t *testing.T) {
	s, err := NewSet([]Spec{spec(Sum, 0)}, 1, 0)
	require.NoError(t, err)
	c := s.Clone()
	s.Add(s.Init(nil), []event.Scalar{event.BoolScalar(true)}, 0, Point{})
	c.TakeSkips(func(int, Reason, uint32) { t.Fatal("of another goroutine") })
	n := uint32(0)
	s.TakeSkips(func(_ int, _ Reason, k uint32) { n += k })
	require.EqualValues(t, 1, n)
}

func TestALayoutTellsApartWhatReadsBytesOtherwise(t *testing.T) {
	seen := map[string]Spec{}
	for _, c := range []Spec{
		spec(Count, None), spec(Count, 0), spec(Count, 1), {Function: Count, Column: None, By: None, Filter: 0}, spec(Sum, 0), spec(Avg, 0), spec(Variance, 0), typed(Sum, Integer), spec(Min, 0), spec(Max, 0), typed(Max, Time), typed(Max, String),
		{Function: Max, Column: 0, By: None, Filter: None, Type: String, MaxBytes: 20}, spec(First, 0), spec(Last, 0), typed(Last, Number), typed(ArgMax, String), typed(ArgMin, String), {Function: ArgMax, Column: 0, By: 0, Filter: None}, {Function: ArgMax, Column: 0, By: 0, Filter: None, ByType: Time},
		spec(CountDistinct, 0), {Function: CountDistinct, Column: 0, By: None, Filter: None, Precision: 12}, {Function: CountDistinct, Column: 0, By: None, Filter: None, Exact: 12}, spec(Quantile, 0), {Function: Quantile, Column: 0, By: None, Filter: None, Accuracy: 0.02},
		spec(TopK, 0), {Function: TopK, Column: 0, By: None, Filter: None, K: 20},
		spec(LastK, 0), {Function: LastK, Column: 0, By: None, Filter: None, K: 20},
	} {
		s, err := NewSet([]Spec{c}, 2, 1)
		require.NoError(t, err)
		require.NotContains(t, seen, s.Layout(), "%+v", c)
		seen[s.Layout()] = c
	}
	x, _ := NewSet([]Spec{spec(Quantile, 0), spec(Sum, 0), spec(Avg, 0)}, 2, 1)
	y, _ := NewSet([]Spec{{Function: Quantile, Column: 0, By: None, Filter: None, Quantile: 0.9}, spec(Avg, 0)}, 2, 1)
	require.Equal(t, x.Layout(), y.Layout(), "what a result is read for is not in the bytes")
}

func TestSpecsAreRefusedInOneLine(t *testing.T) {
	f := func(s Spec, want string) {
		t.Helper()
		_, err := NewSet([]Spec{s}, 2, 1)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n")
	}
	f(spec("median", 0), `function "median" is not known: use count`)
	f(Spec{Function: LastK, Column: 0, By: None, Filter: None, K: 101}, "k 101: use a number from 1 to 100")
	f(typed(Count, Integer), `type "integer": count takes values of any type, leave it out`)
	f(typed(Sum, String), `type "string": sum takes [integer number]`)
	f(typed(Min, Boolean), `type "boolean": min takes`)
	f(spec(Sum, None), "sum needs a field")
	f(spec(ArgMax, 0), "arg_max needs a field to compare by")
	f(Spec{Function: ArgMax, Column: 0, By: 1, Filter: None, ByType: String}, `type "string" to compare by`)
	f(Spec{Function: Sum, Column: 0, By: 1, Filter: None}, "sum compares by no field")
	f(spec(Sum, 2), "column 2")
	f(Spec{Function: Sum, Column: 0, By: None, Filter: 1}, "filter 1")
	f(Spec{Function: Sum, Column: 0, By: None, Filter: 64}, "filter 64: there can be at most 64")
	f(Spec{Function: Quantile, Column: 0, By: None, Filter: None, Quantile: 1.5}, "quantile 1.5: use a number from 0 to 1")
	f(Spec{Function: Quantile, Column: 0, By: None, Filter: None, Quantile: math.NaN()}, "quantile NaN")
	f(Spec{Function: Quantile, Column: 0, By: None, Filter: None, Accuracy: 0.5}, "accuracy 0.5")
	f(Spec{Function: TopK, Column: 0, By: None, Filter: None, K: 501}, "k 501")
	f(Spec{Function: TopK, Column: 0, By: None, Filter: None, K: 20, Capacity: 10}, "capacity 10")
	f(Spec{Function: CountDistinct, Column: 0, By: None, Filter: None, Precision: 9}, "precision 9")
	f(Spec{Function: CountDistinct, Column: 0, By: None, Filter: None, Exact: 40000}, "exact 40000")
	f(Spec{Function: Last, Column: 0, By: None, Filter: None, MaxBytes: 8}, "max_bytes 8")
}

func TestResultTypes(t *testing.T) {
	f := func(s Spec, want Type) {
		t.Helper()
		require.Equal(t, want, s.ResultType())
	}
	f(spec(Count, None), Integer)
	f(spec(CountDistinct, 0), Integer)
	f(spec(Sum, 0), Number)
	f(typed(Sum, Integer), Integer)
	f(typed(Avg, Integer), Number)
	f(typed(Max, Time), Time)
	f(spec(Last, 0), String)
	f(typed(ArgMax, Boolean), Boolean)
	f(spec(TopK, 0), Ranked)
	f(spec(LastK, 0), Texts)
	f(spec(Quantile, 0), Number)
}

var update = flag.Bool("update", false, "write golden files")

// Accumulators are on disks: a change of these bytes needs another number in Layout.
func TestBytesAreWhatTheyWere(t *testing.T) {
	s, err := NewSet(allSpecs(), columns, 2)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(4, 3))
	var b strings.Builder
	fmt.Fprintln(&b, strings.ReplaceAll(s.Layout(), ";", "\n"))
	for _, n := range []int{0, 3, 300} {
		fmt.Fprintf(&b, "%d events: %016x\n", n, xxhash.Sum64(fill(t, s, happenings(r, n))))
	}
	if *update {
		require.NoError(t, os.WriteFile("testdata/layout.txt", []byte(b.String()), 0o600))
	}
	want, err := os.ReadFile("testdata/layout.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// FuzzCheck writes over accumulators: what Check lets through breaks nothing.
func FuzzCheck(f *testing.F) {
	s, err := NewSet(allSpecs(), columns, 2)
	require.NoError(f, err)
	r := rand.New(rand.NewPCG(5, 3))
	events := happenings(r, 50)
	var accs [][]byte
	for _, n := range []int{0, 1, 10, 50} {
		acc := s.Init(nil)
		for _, e := range events[:n] {
			acc = append([]byte(nil), s.Add(acc, e.values, e.mask, e.at)...)
		}
		accs = append(accs, acc)
		f.Add(uint8(len(accs)-1), []byte{0, 0, 1, 1, 7, 255}, false)
		f.Add(uint8(len(accs)-1), []byte{0, 200, 3}, true)
	}
	f.Fuzz(func(_ *testing.T, which uint8, edits []byte, short bool) {
		acc := append([]byte(nil), accs[int(which)%len(accs)]...)
		for ; len(edits) >= 3; edits = edits[3:] {
			at := int(edits[0])<<8 | int(edits[1])
			acc[at%len(acc)] ^= edits[2]
			if short {
				acc = acc[:max(1, at%len(acc))]
			}
		}
		if s.Check(acc) != nil {
			return
		}
		s.Results(acc, nil)
		out := s.Merge(acc, accs[2])
		for _, e := range events[:5] {
			out = s.Add(out, e.values, e.mask, e.at)
		}
		s.Results(out, nil)
	})
}
