// SPDX-License-Identifier: Apache-2.0

package window

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSlicesAndWindowsCoverTimeWithoutAGap holds every kind of window to what merging relies on: a time lies in its slice, slices do
// not overlap, and a window is the slices between its start and its end.
func TestSlicesAndWindowsCoverTimeWithoutAGap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	random := func(most time.Duration) time.Duration { return 1 + time.Duration(rng.Int64N(int64(most))) }
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu", "Africa/Cairo"}
	parts := []time.Duration{time.Minute, time.Hour, 6 * time.Hour, 12 * time.Hour}
	for n := range 3000 {
		w := Window{Type: Tumbling, Size: random(48 * time.Hour), Offset: random(100*time.Hour) - 50*time.Hour}
		switch n % 3 {
		case 1:
			w.Type, w.Slide = Hopping, random(w.Size)
			if w.Size/w.Slide > maxWindows {
				w.Slide = w.Size/maxWindows + 1
			}
		case 2:
			w.TimeZone, w.Offset = zones[rng.IntN(len(zones))], w.Offset.Truncate(time.Minute)
			w.Size = time.Duration(1+rng.IntN(8)) * 24 * time.Hour
			if rng.IntN(2) == 0 {
				w.Size = parts[rng.IntN(len(parts))]
			}
		}
		a, err := newAssigner(&w)
		require.NoError(t, err)
		at := rng.Int64N(60 * 365 * day)
		start, end := a.slice(at)
		require.True(t, start <= at && at < end, "%+v %d", w, at)
		for _, same := range []int64{start, end - 1, start + rng.Int64N(end-start)} {
			s, e := a.slice(same)
			require.Equal(t, [2]int64{start, end}, [2]int64{s, e}, "%+v at %d and %d", w, at, same)
		}
		s, _ := a.slice(end)
		require.Equal(t, end, s, "%+v: the next slice begins where this one ends", w)
		_, e := a.slice(start - 1)
		require.Equal(t, start, e)

		first, last := a.windows(start)
		require.Equal(t, a.end(last), a.lastEnd(start))
		found := 0
		for from := first; from <= last; from += a.slide {
			found++
			require.True(t, from <= start && end <= a.end(from), "%+v: the slice lies in each of its windows", w)
			edge, _ := a.slice(from)
			require.Equal(t, from, edge, "%+v: a slice begins where a window does", w)
			edge, _ = a.slice(a.end(from))
			require.Equal(t, a.end(from), edge, "%+v: and where one ends", w)
		}
		require.Positive(t, found)
		if a.calendar == nil {
			require.Greater(t, last+a.slide, start, "there is no later window")
			require.LessOrEqual(t, a.end(first-a.slide), start, "nor an earlier one")
		}
	}
}

func TestDaysFollowTheZonesClock(t *testing.T) {
	f := func(zone, at, start, end string) {
		t.Helper()
		a, err := newAssigner(&Window{Type: Tumbling, Size: 24 * time.Hour, TimeZone: zone})
		require.NoError(t, err)
		parse := func(s string) int64 {
			v, err := time.Parse(time.RFC3339, s)
			require.NoError(t, err)
			return v.UnixNano()
		}
		s, e := a.slice(parse(at))
		require.Equal(t, [2]int64{parse(start), parse(end)}, [2]int64{s, e}, "%s", time.Unix(0, s).UTC())
	}
	f("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
	f("Asia/Kathmandu", "2026-03-29T12:00:00Z", "2026-03-28T18:15:00Z", "2026-03-29T18:15:00Z")
	// There is no midnight on 8 March 2026 in Havana: the clock leaps from 00:00 to 01:00, so that the day has 23 hours.
	f("America/Havana", "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z")
	f("America/Havana", "2026-03-08T04:59:59Z", "2026-03-07T05:00:00Z", "2026-03-08T05:00:00Z")
	// On 1 November it is 00:30 twice.
	f("America/Havana", "2026-11-01T05:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z")
}
