// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"testing"

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
