// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/sketch"
)

// one adds values to a Set of one function and returns its result and why what was not added was not.
func one(t *testing.T, spec Spec, values ...event.Scalar) (Value, map[Reason]uint32) {
	t.Helper()
	s, err := NewSet([]Spec{spec}, 2, 0)
	require.NoError(t, err)
	acc := s.Init(nil)
	for i, v := range values {
		acc = append([]byte(nil), s.Add(acc, []event.Scalar{v, event.IntScalar(1)}, 0, Point{Time: int64(i)})...)
	}
	require.NoError(t, s.Check(acc))
	why := map[Reason]uint32{}
	s.TakeSkips(func(function int, r Reason, n uint32) {
		require.Zero(t, function)
		why[r] += n
	})
	s.TakeSkips(func(int, Reason, uint32) { t.Fatal("what was taken is gone") })
	return s.Results(acc, nil)[0], why
}

func typed(function string, t Type) Spec {
	s := spec(function, 0)
	if s.Type = t; s.arg() {
		s.By = 1
	}
	return s
}

func TestWhatIsNotAddedIsCountedByReason(t *testing.T) {
	all := []event.Scalar{
		{}, event.StringScalar(""), event.IntScalar(2), event.DoubleScalar(2.5), event.DoubleScalar(3), event.BoolScalar(true), event.StringScalar("7"),
		event.StringScalar("2026-11-22T00:00:00Z"), event.DoubleScalar(math.NaN()), event.DoubleScalar(math.Inf(1)), event.DoubleScalar(math.Inf(-1)), {Kind: event.KindMap}, {Kind: event.KindSlice},
	}
	f := func(s Spec, wrongType, notANumber, infinite, notATime uint32) {
		t.Helper()
		want := map[Reason]uint32{}
		for r, n := range map[Reason]uint32{ReasonWrongType: wrongType, ReasonNotANumber: notANumber, ReasonInfinite: infinite, ReasonNotATime: notATime} {
			if n > 0 {
				want[r] = n
			}
		}
		_, why := one(t, s, all...)
		require.Equal(t, want, why, "%+v", s)
	}
	for _, function := range []string{Sum, Avg, Variance, SumSquares, Stddev, Quantile, Min, Max} {
		f(typed(function, Number), 5, 1, 2, 0)
		f(typed(function, Integer), 6, 1, 2, 0)
	}
	for _, function := range []string{First, Last, ArgMax, ArgMin} {
		f(typed(function, Number), 5, 1, 2, 0)
		f(typed(function, Integer), 6, 1, 2, 0)
		f(typed(function, String), 2, 1, 2, 0)
		f(typed(function, Boolean), 10, 0, 0, 0)
		f(typed(function, Time), 8, 0, 0, 1)
	}
	f(typed(Min, String), 2, 1, 2, 0)
	f(typed(Max, Time), 8, 0, 0, 1)
	f(typed(CountDistinct, ""), 2, 1, 2, 0)
	f(typed(TopK, ""), 2, 1, 2, 0)
	f(typed(Count, ""), 0, 0, 0, 0)
	require.Equal(t, "wrong_type", ReasonWrongType.String())
	require.Equal(t, "overflow", ReasonOverflow.String())
}

func TestWhatArgMaxComparesByIsReadAsItsTypeToo(t *testing.T) {
	s, err := NewSet([]Spec{{Function: ArgMax, Column: 0, By: 1, Filter: None}, {Function: ArgMin, Column: 0, By: 1, Filter: None, Type: Number}}, 2, 0)
	require.NoError(t, err)
	acc := s.Init(nil)
	for _, by := range []event.Scalar{{}, event.StringScalar("1"), event.DoubleScalar(math.NaN())} {
		acc = s.Add(acc, []event.Scalar{event.IntScalar(5), by}, 0, Point{})
	}
	require.Equal(t, []Value{{}, {}}, s.Results(acc, nil))
	got := map[int]map[Reason]uint32{0: {}, 1: {}}
	s.TakeSkips(func(function int, r Reason, n uint32) { got[function][r] = n })
	want := map[Reason]uint32{ReasonWrongType: 1, ReasonNotANumber: 1}
	require.Equal(t, map[int]map[Reason]uint32{0: want, 1: want}, got)
}

func TestTiesGoToTheLeastPoint(t *testing.T) {
	s, err := NewSet([]Spec{
		{Function: ArgMax, Column: 0, By: 1, Filter: None}, {Function: ArgMin, Column: 0, By: 1, Filter: None}, {Function: First, Column: 0, By: None, Filter: None}, {Function: Last, Column: 0, By: None, Filter: None},
	}, 2, 0)
	require.NoError(t, err)
	acc := s.Init(nil)
	for _, e := range []struct {
		text string
		at   Point
	}{{"c", Point{5, 1, 3}}, {"b", Point{5, 1, 2}}, {"d", Point{5, 2, 1}}, {"a", Point{5, 0, 9}}} {
		acc = append([]byte(nil), s.Add(acc, []event.Scalar{event.StringScalar(e.text), event.IntScalar(1)}, 0, e.at)...)
	}
	text := func(s string) Value { return Value{Type: String, Text: s} }
	require.Equal(t, []Value{text("a"), text("a"), text("a"), text("d")}, s.Results(acc, nil))
}

func TestSumsOfIntegersSaturateInTheirResultOnly(t *testing.T) {
	most, least := event.IntScalar(math.MaxInt64), event.IntScalar(math.MinInt64)
	f := func(want Value, values ...event.Scalar) {
		t.Helper()
		got, why := one(t, typed(Sum, want.Type), values...)
		require.Equal(t, want, got)
		require.Empty(t, why)
	}
	f(Value{Type: Integer, Int: math.MaxInt64, Saturated: true}, most, most)
	f(Value{Type: Integer, Int: math.MinInt64, Saturated: true}, least, event.IntScalar(-1))
	f(Value{Type: Integer, Int: math.MaxInt64}, most, most, event.IntScalar(-math.MaxInt64))
	f(Value{Type: Integer, Int: 3}, event.DoubleScalar(1), event.IntScalar(2))
	f(Value{Type: Number, Float: 0x1p65}, least, least, least, least, event.IntScalar(0), most, most, most, most, most, most, most, most, event.IntScalar(4))
	f(Value{Type: Number, Float: 0.5}, most, most, event.DoubleScalar(0.5), least, least, event.IntScalar(2))
}

func TestASumBeyondTheLargestDoubleIsNull(t *testing.T) {
	big := event.DoubleScalar(math.MaxFloat64)
	for _, function := range []string{Sum, Avg, Variance, Stddev, SumSquares} {
		got, why := one(t, spec(function, 0), big, event.IntScalar(1), big, event.DoubleScalar(-1))
		require.True(t, got.IsNull(), function)
		require.NotZero(t, why[ReasonOverflow], function)
	}
	// What overflows in one function is no business of another that shares its part.
	s, err := NewSet([]Spec{spec(Sum, 0), spec(SumSquares, 0), spec(Avg, 0)}, 1, 0)
	require.NoError(t, err)
	x, y := s.Init(nil), s.Init(nil)
	x = s.Add(x, []event.Scalar{event.DoubleScalar(1e200)}, 0, Point{})
	require.Equal(t, []Value{{Type: Number, Float: 1e200}, {}, {Type: Number, Float: 1e200}}, s.Results(x, nil))
	y = s.Add(y, []event.Scalar{event.DoubleScalar(3)}, 0, Point{})
	y = s.Merge(y, x)
	require.NoError(t, s.Check(y))
	require.Equal(t, []Value{{Type: Number, Float: 1e200}, {}, {Type: Number, Float: 5e199}}, s.Results(y, nil))
}

func TestVarianceOfCloseValuesFarFromZero(t *testing.T) {
	got, _ := one(t, spec(Variance, 0), event.DoubleScalar(1e9+4), event.DoubleScalar(1e9+7), event.DoubleScalar(1e9+13), event.DoubleScalar(1e9+16))
	require.Equal(t, Value{Type: Number, Float: 30}, got)
	got, _ = one(t, spec(Variance, 0), event.DoubleScalar(0.1), event.DoubleScalar(0.1), event.DoubleScalar(0.1))
	require.InDelta(t, 0, got.Float, 1e-30)
	got, _ = one(t, spec(Variance, 0), event.IntScalar(1))
	require.True(t, got.IsNull())
}

func TestNumbersAreComparedExactly(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	edges := []event.Scalar{
		event.IntScalar(math.MaxInt64), event.IntScalar(math.MaxInt64 - 1), event.IntScalar(math.MinInt64), event.DoubleScalar(0x1p63), event.DoubleScalar(-0x1p63), event.DoubleScalar(-0x1.8p64), event.DoubleScalar(0.5), event.DoubleScalar(-0.5),
		event.IntScalar(0), event.IntScalar(1), event.IntScalar(-1), event.IntScalar(1<<53 + 1), event.DoubleScalar(1<<53 + 2), event.DoubleScalar(1 << 53), event.DoubleScalar(4503599627370495.5), event.IntScalar(4503599627370495), event.IntScalar(4503599627370496),
	}
	for range 2000 {
		v, w := edges[r.IntN(len(edges))], edges[r.IntN(len(edges))]
		x, _ := read(&v, Number)
		y, _ := read(&w, Number)
		want := numberOf(v, Number).Cmp(numberOf(w, Number))
		require.Equal(t, want, x.compare(y), "%v %v", v, w)
		require.Equal(t, want == 0, x == y)
	}
}

func TestDoublesReadAsScalarsDo(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 6))
	for _, f := range []float64{0, 1, -1, 0.1, 1e-6, 9.9e-7, 1e-7, 1e-10, 1e21, 9.9e20, 1e100, -1e-300, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Copysign(0, -1)} {
		require.Equal(t, event.DoubleScalar(f).ScalarText(), string(appendDouble(nil, f)))
	}
	for range 2000 {
		if f := math.Float64frombits(r.Uint64()); f-f == 0 {
			require.Equal(t, event.DoubleScalar(f).ScalarText(), string(appendDouble(nil, f)))
		}
	}
}

func TestTimesAreIntegersAndRFC3339(t *testing.T) {
	at := time.Date(2026, 11, 22, 13, 14, 15, 160, time.UTC)
	f := func(text string, want Reason) {
		t.Helper()
		got, why := one(t, typed(Last, Time), event.StringScalar(text))
		if want != Added {
			require.True(t, got.IsNull())
			require.Equal(t, map[Reason]uint32{want: 1}, why)
			return
		}
		require.Equal(t, Value{Type: Time, Int: at.UnixNano()}, got)
	}
	f("2026-11-22T13:14:15.00000016Z", Added)
	f("2026-11-22T14:14:15.00000016+01:00", Added)
	f("2026-11-22 13:14:15", ReasonNotATime)
	f("yesterday", ReasonNotATime)
	f("1600-01-01T00:00:00Z", ReasonNotATime)
	f("9999-01-01T00:00:00Z", ReasonNotATime)
	f("2262-04-11T23:47:16.854775808Z", ReasonNotATime)
	got, _ := one(t, typed(Max, Time), event.IntScalar(at.UnixNano()), event.StringScalar("2026-11-22T13:14:14Z"))
	require.Equal(t, Value{Type: Time, Int: at.UnixNano()}, got)
}

func TestTextIsCutAtACharacter(t *testing.T) {
	f := func(in string, n int, want string) {
		t.Helper()
		require.Equal(t, want, cut(in, n))
	}
	f("abc", 3, "abc")
	f("abcd", 3, "abc")
	f("aäö", 3, "aä")
	f("aäö", 4, "aä")
	f("a😀", 4, "a")
	f("\x80\x80\x80\x80\x80\x80", 5, "\x80\x80\x80\x80\x80")
	long := strings.Repeat("ü", 2000)
	got, why := one(t, typed(Last, String), event.StringScalar(long))
	require.Equal(t, Value{Type: String, Text: long[:1024]}, got)
	require.Empty(t, why)
}

func TestLongValuesOfTopKStayApart(t *testing.T) {
	long := strings.Repeat("ü", 100)
	got, _ := one(t, spec(TopK, 0), event.StringScalar(long+"a"), event.StringScalar(long+"b"), event.StringScalar(long+"b"), event.StringScalar(long[:128]))
	require.Len(t, got.List, 3)
	require.EqualValues(t, 2, got.List[0].Count)
	for _, e := range got.List {
		require.LessOrEqual(t, len(e.Value), sketch.MaxValue)
		require.True(t, strings.HasPrefix(e.Value, long[:110]))
	}
}

func TestNumbersAreDistinctByValue(t *testing.T) {
	got, _ := one(t, spec(CountDistinct, 0), event.IntScalar(1), event.DoubleScalar(1), event.StringScalar("1"), event.BoolScalar(true), event.DoubleScalar(0), event.DoubleScalar(math.Copysign(0, -1)), event.BoolScalar(false), event.DoubleScalar(0.5))
	require.EqualValues(t, 6, got.Int)
}
