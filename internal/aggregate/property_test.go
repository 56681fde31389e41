// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/event"
)

// What a test adds: an event with its number, another number, a text and anything, and two filters.
type happening struct {
	values []event.Scalar
	mask   uint64
	at     Point
}

const columns = 4

func allSpecs() []Spec {
	var specs []Spec
	add := func(function string, column int, types ...Type) {
		for _, t := range types {
			for filter := None; filter < 2; filter += 2 {
				s := Spec{Function: function, Column: column, By: None, Filter: filter, Type: t, Exact: 20, Precision: 10, K: 3, Capacity: 2000, Accuracy: 0.02, MaxBytes: 20, Quantile: 0.5}
				if s.arg() {
					s.By = 1
				}
				specs = append(specs, s)
			}
		}
	}
	add(Count, None, "")
	add(Count, 3, "")
	for _, f := range []string{Sum, Avg, SumSquares, Variance, Stddev, Quantile} {
		add(f, 0, Integer, Number)
		add(f, 3, Integer, Number)
	}
	for _, f := range []string{Min, Max} {
		add(f, 0, Integer, Number, Time)
		add(f, 3, Integer, Number, String, Time)
		add(f, 2, String)
	}
	for _, f := range []string{First, Last, ArgMax, ArgMin} {
		add(f, 2, String)
		add(f, 3, Integer, Number, String, Boolean, Time)
	}
	add(CountDistinct, 3, "")
	add(CountDistinct, 2, "")
	add(TopK, 2, "")
	add(TopK, 3, "")
	add(LastK, 2, "")
	add(LastK, 3, "")
	return specs
}

func happenings(r *rand.Rand, n int) []happening {
	anything := func() event.Scalar {
		switch r.IntN(12) {
		case 0:
			return event.Scalar{}
		case 1:
			return event.StringScalar("")
		case 2:
			return event.BoolScalar(r.IntN(2) == 0)
		case 3:
			return event.DoubleScalar([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0x1p63, 7, 0.5}[r.IntN(7)])
		case 4, 5:
			return event.DoubleScalar(math.Floor(r.NormFloat64()*1000) / 4)
		case 6:
			return event.StringScalar("2026-11-22T10:00:0" + strconv.Itoa(r.IntN(10)) + "Z")
		case 7:
			return event.StringScalar(fmt.Sprintf("grüße %*d", r.IntN(30), r.IntN(30)))
		case 8:
			return event.Scalar{Kind: event.KindMap}
		}
		return event.IntScalar(r.Int64N(40) - 10)
	}
	events := make([]happening, n)
	for i := range events {
		number := event.IntScalar(int64(r.Uint64()) >> r.UintN(64))
		events[i] = happening{
			values: []event.Scalar{number, anything(), event.StringScalar(fmt.Sprintf("%0*d", 1+r.IntN(24), r.IntN(40))), anything()},
			mask:   r.Uint64N(4),
			at:     Point{Time: r.Int64N(20), Partition: r.Uint32N(3), Position: uint64(i)},
		}
	}
	return events
}

func fill(t *testing.T, s *Set, events []happening) []byte {
	t.Helper()
	acc := s.Init(nil)
	for i := range events {
		// As a table's caller does: what is longer, or shorter, is copied to where there is room.
		if out := s.Add(acc, events[i].values, events[i].mask, events[i].at); len(out) != len(acc) {
			acc = append([]byte(nil), out...)
		} else {
			require.Same(t, &acc[0], &out[0], "what keeps its length is edited in place")
		}
	}
	require.NoError(t, s.Check(acc))
	require.LessOrEqual(t, len(acc), s.MaxSize())
	return acc
}

func fillSplit(t *testing.T, r *rand.Rand, s *Set, events []happening) []byte {
	t.Helper()
	if len(events) < 2 || r.IntN(3) == 0 {
		return fill(t, s, events)
	}
	at := r.IntN(len(events) + 1)
	x, y := fillSplit(t, r, s, events[:at]), fillSplit(t, r, s, events[at:])
	before := slices.Clone(y)
	out := slices.Clone(s.Merge(x, y))
	require.Equal(t, before, y)
	require.NoError(t, s.Check(out))
	return out
}

func shuffle(r *rand.Rand, events []happening) []happening {
	events = slices.Clone(events)
	r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	return events
}

// orderFree are the specs whose bytes are a function of what was added: all but top_k, and sums that may be of doubles.
func orderFree(specs []Spec) []Spec {
	return slices.DeleteFunc(specs, func(s Spec) bool {
		switch s.Function {
		case TopK, SumSquares, Variance, Stddev:
			return true
		case Sum, Avg:
			return s.Column == 3
		}
		return false
	})
}

func TestAnyOrderAndAnySplitGivesTheSameBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	s, err := NewSet(orderFree(allSpecs()), columns, 2)
	require.NoError(t, err)
	for _, n := range []int{0, 1, 2, 10, 60, 400} {
		events := happenings(r, n)
		want := fill(t, s, events)
		for range 5 {
			other := shuffle(r, events)
			require.True(t, bytes.Equal(want, fill(t, s, other)))
			require.True(t, bytes.Equal(want, fillSplit(t, r, s, other)))
		}
	}
}

func TestAnyOrderAndAnySplitGivesTheSameResults(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	s, err := NewSet(allSpecs(), columns, 2)
	require.NoError(t, err)
	for _, n := range []int{0, 1, 2, 10, 60, 400} {
		events := happenings(r, n)
		want := s.Results(fill(t, s, events), nil)
		for range 5 {
			other := shuffle(r, events)
			whole, merged := s.Results(fill(t, s, other), nil), s.Results(fillSplit(t, r, s, other), nil)
			for i := range want {
				require.Equal(t, want[i], whole[i], "%+v", s.specs[i])
				require.Equal(t, want[i], merged[i], "%+v", s.specs[i])
			}
		}
	}
}

// As it would be said in SQL, over all events at once and in the widest numbers there are.
func TestResultsAreThoseOfABatch(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	specs := allSpecs()
	s, err := NewSet(specs, columns, 2)
	require.NoError(t, err)
	for _, n := range []int{0, 1, 2, 10, 100, 1000} {
		events := happenings(r, n)
		got := s.Results(fillSplit(t, r, s, events), nil)
		for i := range specs {
			batch(t, &specs[i], events, got[i])
		}
	}
}

// taken is what the function takes of an event, told without the package's own reading.
type taken struct {
	number *big.Float
	text   string
	is     any
	by     *big.Float
	at     Point
}

func numberOf(v event.Scalar, t Type) *big.Float {
	f, ok := v.Number()
	switch {
	case v.Kind == event.KindString && t == Time:
		if cell, reason := readTime(v.Text); reason == Added {
			return new(big.Float).SetInt64(int64(cell.bits))
		}
		return nil
	case !ok || math.IsNaN(f) || math.IsInf(f, 0) || v.Kind == event.KindDouble && t == Time:
		return nil
	case v.Kind == event.KindInt:
		return new(big.Float).SetPrec(300).SetInt64(v.Int())
	case t == Integer && (math.Floor(f) != f || f >= 1<<63):
		return nil
	}
	return new(big.Float).SetPrec(300).SetFloat64(f + 0) // -0 is 0
}

func takenBy(s *Spec, events []happening) []taken {
	spec := s.withDefaults()
	var all []taken
	for _, e := range events {
		if spec.Filter >= 0 && e.mask>>spec.Filter&1 == 0 {
			continue
		}
		x := taken{at: e.at}
		if spec.Column >= 0 {
			v := e.values[spec.Column]
			if v.IsEmpty() {
				continue
			}
			switch {
			case spec.Function == Count:
			case spec.Function == CountDistinct || spec.Function == TopK || spec.Function == LastK || spec.Type == String:
				if f, ok := v.Number(); v.Kind == event.KindMap || ok && f-f != 0 {
					continue
				}
				x.text = v.ScalarText()
				x.is = x.text
				if spec.Function == CountDistinct {
					x.is = event.BoolScalar(v.Bool())
					if v.Kind == event.KindString {
						x.is = v.Text
					} else if n := numberOf(v, Number); n != nil {
						x.is = "number " + n.Text('g', 40)
					}
				}
			case spec.Type == Boolean:
				if v.Kind != event.KindBool {
					continue
				}
				x.is = v.Bool()
			default:
				if x.number = numberOf(v, spec.Type); x.number == nil {
					continue
				}
			}
		}
		if spec.By >= 0 {
			if e.values[spec.By].IsEmpty() {
				continue
			}
			if x.by = numberOf(e.values[spec.By], Number); x.by == nil {
				continue
			}
		}
		all = append(all, x)
	}
	return all
}

func batch(t *testing.T, s *Spec, events []happening, got Value) {
	t.Helper()
	all := takenBy(s, events)
	spec := s.withDefaults()
	name := fmt.Sprintf("%+v", *s)
	sum, squares := new(big.Float).SetPrec(300), new(big.Float).SetPrec(300)
	for _, x := range all {
		if x.number != nil {
			sum.Add(sum, x.number)
			squares.Add(squares, new(big.Float).SetPrec(300).Mul(x.number, x.number))
		}
	}
	n := new(big.Float).SetPrec(300).SetInt64(int64(len(all)))
	number := func(want *big.Float, delta float64) {
		t.Helper()
		f, _ := want.Float64()
		require.Equal(t, Number, got.Type, name)
		require.InDelta(t, f, got.Float, math.Abs(f)*delta, name)
	}
	is := func(x taken) {
		t.Helper()
		switch spec.Type {
		case String:
			require.Equal(t, Value{Type: String, Text: cut(x.text, spec.MaxBytes)}, got, name)
		case Boolean:
			require.Equal(t, Value{Type: Boolean, Bool: x.is.(bool)}, got, name)
		case Number:
			number(x.number, 0)
		default:
			i, _ := x.number.Int64()
			require.Equal(t, Value{Type: spec.Type, Int: i}, got, name)
		}
	}
	if len(all) == 0 && spec.Function != Count && spec.Function != CountDistinct && spec.Function != TopK && spec.Function != LastK {
		require.True(t, got.IsNull(), name)
		return
	}
	switch spec.Function {
	case Count:
		require.Equal(t, Value{Type: Integer, Int: int64(len(all))}, got, name)
	case Sum:
		if spec.Type == Integer {
			i, accuracy := sum.Int64()
			require.Equal(t, Value{Type: Integer, Int: i, Saturated: accuracy != big.Exact}, got, name)
			return
		}
		number(sum, 0)
	case Avg:
		number(sum.Quo(sum, n), 1e-16)
	case SumSquares:
		number(squares, 0)
	case Variance, Stddev:
		if len(all) < 2 {
			require.True(t, got.IsNull(), name)
			return
		}
		squares.Sub(squares, sum.Quo(sum.Mul(sum, sum), n))
		squares.Quo(squares, n.Sub(n, big.NewFloat(1)))
		if spec.Function == Stddev {
			squares.Sqrt(squares)
		}
		number(squares, 1e-15)
	case Min, Max:
		slices.SortFunc(all, func(x, y taken) int {
			if spec.Type == String {
				return cmp.Compare(x.text, y.text)
			}
			return x.number.Cmp(y.number)
		})
		if spec.Function == Max {
			slices.Reverse(all)
		}
		is(all[0])
	case First, Last, ArgMin, ArgMax:
		slices.SortFunc(all, func(x, y taken) int {
			if spec.arg() {
				return cmp.Or(x.by.Cmp(y.by)*map[string]int{ArgMin: 1, ArgMax: -1}[spec.Function], x.at.Compare(y.at))
			}
			return x.at.Compare(y.at)
		})
		if spec.Function == Last {
			slices.Reverse(all)
		}
		is(all[0])
	case CountDistinct:
		set := map[any]bool{}
		for _, x := range all {
			set[x.is] = true
		}
		if len(set) > 192 { // what a sparse sketch of precision 10 holds
			require.InEpsilon(t, len(set), got.Int, 4*0.0325, name)
			return
		}
		require.Equal(t, Value{Type: Integer, Int: int64(len(set))}, got, name)
	case Quantile:
		slices.SortFunc(all, func(x, y taken) int { return x.number.Cmp(y.number) })
		number(all[(len(all)-1)/2].number, 0.0201)
	case TopK:
		counts := map[string]int64{}
		for _, x := range all {
			counts[x.text]++
		}
		var list []Entry
		for v, c := range counts {
			list = append(list, Entry{v, c, 0})
		}
		slices.SortFunc(list, func(x, y Entry) int { return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Value, y.Value)) })
		require.Equal(t, Value{Type: Ranked, List: list[:min(len(list), spec.K)]}, got, name)
	case LastK:
		slices.SortFunc(all, func(x, y taken) int { return y.at.Compare(x.at) })
		var list []Entry
		for _, x := range all {
			one := Entry{Value: cut(x.text, spec.MaxBytes)}
			if len(list) < spec.K && !slices.Contains(list, one) {
				list = append(list, one)
			}
		}
		require.Equal(t, Value{Type: Texts, List: list}, got, name)
	}
}
