// SPDX-License-Identifier: Apache-2.0

package window

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
)

func everyGroup(t testing.TB) *aggregation {
	t.Helper()
	p, err := NewPlan(Options{}, []Definition{{
		Name: "g", Window: Window{Type: Tumbling, Size: minSlice}, GroupBy: []Group{
			{Field: "s"}, {Field: "i", Type: aggregate.Integer}, {Field: "f", Type: aggregate.Number}, {Field: "b", Type: aggregate.Boolean},
		},
	}})
	require.NoError(t, err)
	return p.aggs[0]
}

// groupText writes the key as a row and reads it back.
func groupText(t testing.TB, a *aggregation, key []byte) (string, error) {
	t.Helper()
	text := ""
	w, err := result.NewWriter(a.table, func([]byte) { text = "written" })
	require.NoError(t, err)
	w.Row(result.Head{Event: "g", ID: "x", Timing: result.OnTime})
	if err := writeKey(w, a.table, 2, len(a.def.GroupBy), key); err != nil {
		return "", err
	}
	return text, w.Flush()
}

func TestGroupKeysTellKindsApartByTheirFieldsType(t *testing.T) {
	a := everyGroup(t)
	fields := []keyField{{0, aggregate.String}, {1, aggregate.Integer}, {2, aggregate.Number}, {3, aggregate.Boolean}}
	same := func(want bool, x, y [4]event.Scalar) {
		t.Helper()
		kx, ky := appendKey(nil, fields, x[:]), appendKey(nil, fields, y[:])
		require.Equal(t, want, string(kx) == string(ky), "%x %x", kx, ky)
		for _, k := range [][]byte{kx, ky} {
			_, err := groupText(t, a, k)
			require.NoError(t, err)
		}
	}
	s, i, f, b, none := event.StringScalar, event.IntScalar, event.DoubleScalar, event.BoolScalar, event.Scalar{}
	same(true, [4]event.Scalar{s("7"), i(1), f(1), b(true)}, [4]event.Scalar{i(7), f(1), i(1), b(true)})
	same(false, [4]event.Scalar{s("")}, [4]event.Scalar{none})
	same(true, [4]event.Scalar{none, s("1"), s("1"), i(1)}, [4]event.Scalar{})
	same(true, [4]event.Scalar{none, f(1.5), f(math.NaN()), none}, [4]event.Scalar{none, none, f(math.Inf(1)), none})
	same(true, [4]event.Scalar{none, none, f(math.Copysign(0, -1)), none}, [4]event.Scalar{none, none, f(0), none})
	same(false, [4]event.Scalar{none, i(math.MinInt64), none, none}, [4]event.Scalar{none, f(math.MaxInt64), none, none})
	same(false, [4]event.Scalar{s("a"), none, none, b(false)}, [4]event.Scalar{s("a"), none, none, b(true)})
	_, err := groupText(t, a, overflowKey)
	require.NoError(t, err)
}

// FuzzWhatIsRestored gives any bytes to what reads state: a group's key, its intervals, a row of a stage before. None may panic.
func FuzzWhatIsRestored(f *testing.F) {
	a := everyGroup(f)
	f.Add(overflowKey)
	f.Add([]byte{keyText, 1, 'a', keyMissing, keyDouble, 0, 0, 0, 0, 0, 0, 0, 0, keyTrue})
	f.Add(appendInterval(appendInterval(nil, 1, 2, []byte("accumulator")), 3, 4, nil))
	row := appendScalar(appendScalar(nil, &event.Scalar{Kind: event.KindString, Text: "text"}), &event.Scalar{Kind: event.KindInt, Bits: 7})
	f.Add(row)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = groupText(t, a, b)
		if list, err := intervals(b, nil); err == nil {
			var again []byte
			for _, i := range list {
				again = appendInterval(again, i.first, i.last, i.acc)
			}
			require.Equal(t, string(b), string(again))
		}
		for rest, n := b, 0; len(rest) > 0 && n < 1000; n++ {
			v, next, err := readScalar(rest)
			if err != nil {
				break
			}
			require.Less(t, len(next), len(rest))
			if v.Kind <= event.KindString {
				_ = appendScalar(nil, &v)
			}
			rest = next
		}
	})
}
