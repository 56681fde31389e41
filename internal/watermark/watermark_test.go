// SPDX-License-Identifier: Apache-2.0

package watermark

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnEventIsJudgedByTheAppendsBeforeItsOwn(t *testing.T) {
	c := &Config{MaxOutOfOrderness: 10, AllowedLateness: 5, MaxFutureSkew: 100}
	in := New()
	see := func(at, appended int64, want Verdict) {
		t.Helper()
		require.Equal(t, want, in.See(c, at, appended))
	}
	see(1000, 1000, OnTime)
	see(10, 1000, OnTime) // it came with the one before
	require.EqualValues(t, Min, in.Watermark(c), "the append may have more")
	in.EndAppend()
	require.EqualValues(t, 990, in.Watermark(c))
	see(984, 1001, Late)
	see(985, 1001, OnTime)
	see(1102, 1001, Future)
	in.EndAppend()
	require.EqualValues(t, 990, in.Watermark(c), "what is of the future moves nothing, and it never goes back")
	see(1102, 1002, OnTime)
	in.EndAppend()
	require.EqualValues(t, 992, in.Watermark(c), "a clock that is ahead moves it to the present at most")
	require.Equal(t, Late, in.Judge(c, 5, 1003))
}

func TestATickAndAStageMoveAnInput(t *testing.T) {
	c := &Config{MaxOutOfOrderness: 10}
	in := New()
	in.Tick(500, 0)
	require.EqualValues(t, Min, in.Watermark(c))
	require.EqualValues(t, 500, in.Appended)
	in.Tick(600, 300)
	require.EqualValues(t, 290, in.Watermark(c))
	in.Tick(700, 200)
	require.EqualValues(t, 290, in.Watermark(c))
	in.Raise(c, 400)
	require.EqualValues(t, 400, in.Watermark(c), "a stage says its watermark itself")
	in.Raise(c, Min)
	require.EqualValues(t, 400, in.Watermark(c))
	require.EqualValues(t, Min, Least())
	require.EqualValues(t, 3, Least(5, 3, 4))
}

func TestTimesAtTheEndsOfTheirRangeDoNotComeOutAtTheOther(t *testing.T) {
	c := &Config{MaxOutOfOrderness: time.Hour, AllowedLateness: time.Hour, MaxFutureSkew: time.Hour}
	in := New()
	require.Equal(t, OnTime, in.See(c, math.MinInt64+1, math.MaxInt64))
	in.EndAppend()
	require.Negative(t, in.Watermark(c))
	require.Equal(t, OnTime, in.See(c, math.MaxInt64, math.MaxInt64))
	in.EndAppend()
	require.Positive(t, in.Watermark(c))
	require.Equal(t, Late, in.See(c, math.MinInt64+1, math.MaxInt64))
}

func TestAnInputIsReadBack(t *testing.T) {
	in := Input{High: -5, Next: 7, Appended: Min}
	b := append(in.Append(nil), 1, 2)
	require.Len(t, b, Size+2)
	got, rest, err := Parse(b)
	require.NoError(t, err)
	require.Equal(t, in, got)
	require.Equal(t, []byte{1, 2}, rest)
	_, _, err = Parse(b[:Size-1])
	require.Error(t, err)
}
