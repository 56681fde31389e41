// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
)

func TestASeriesIsReadAsItWasWritten(t *testing.T) {
	l := &layout{a: &aggregation{groups: []group{{"a", "country"}, {"b", "n"}, {"c", "gone"}}}, overflow: -1, groups: []int{0, 1, -1}}
	series := l.appendSeries(nil, []event.Value{event.StringValue("DE"), event.IntValue(-3)})
	m := pcommon.NewMap()
	require.NoError(t, readSeries(string(series), m))
	require.Equal(t, map[string]any{"country": "DE", "n": int64(-3)}, m.AsRaw())
	for i := 1; i < len(series); i++ {
		if err := readSeries(string(series[:i]), pcommon.NewMap()); err == nil {
			require.Equal(t, 1+len("country")+1+1+len("DE"), i, "only whole attributes are readable")
		}
	}
}

func FuzzReadSeries(f *testing.F) {
	f.Add(string(overflowSeries))
	f.Add("\x01a\x00\x02bc\x01d\x01\x00\x00\x00\x00\x00\x00\x00\x01")
	f.Fuzz(func(_ *testing.T, series string) {
		_ = readSeries(series, pcommon.NewMap())
	})
}

func TestATotalThatIsTooLargeIsKnown(t *testing.T) {
	f := func(a, b, want number, holds bool) {
		t.Helper()
		sum, ok := a.add(b)
		require.Equal(t, holds, ok)
		if ok {
			require.Equal(t, want, sum)
		}
	}
	f(intNumber(2), intNumber(3), intNumber(5), true)
	f(intNumber(2), intNumber(0), intNumber(2), true)
	f(intNumber(2), intNumber(-3), intNumber(-1), true)
	f(intNumber(2), doubleNumber(0.5), doubleNumber(2.5), true)
	f(intNumber(math.MaxInt64), intNumber(1), number{}, false)
	f(intNumber(math.MinInt64), intNumber(-1), number{}, false)
	f(doubleNumber(math.MaxFloat64), doubleNumber(math.MaxFloat64), number{}, false)
}
