// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/nexmark"
)

func TestSamplesBelongToTheInnermostFunctionThatIsNamed(t *testing.T) {
	const traces = `File: nexmark
Type: cpu
Duration: 1s, Total samples = 100ms (10%)
-----------+-------------------------------------------------------
      20ms   runtime.memmove
             github.com/millrace/millrace/internal/aggregate.(*Set).Add
             github.com/millrace/millrace/internal/delivery.(*Consumer).step
-----------+-------------------------------------------------------
  pipeline:  logs/q5
      30ms   github.com/millrace/millrace/internal/event.(*RowReader).Each
             github.com/millrace/millrace/internal/window.(*Engine).Apply
-----------+-------------------------------------------------------
      40ms   runtime.scanobject
             runtime.gcBgMarkWorker
-----------+-------------------------------------------------------
      10ms   net/http.(*conn).serve
`
	sums, total, err := sumTraces(traces)
	require.NoError(t, err)
	require.Equal(t, 100*time.Millisecond, total)
	require.Equal(t, map[string]time.Duration{
		parts[0].name: 20 * time.Millisecond, parts[1].name: 30 * time.Millisecond, parts[len(parts)-1].name: 40 * time.Millisecond, other: 10 * time.Millisecond,
	}, sums)
	_, _, err = sumTraces("File: nexmark\n")
	require.Error(t, err)
}

func TestOwnProcessIsMeasured(t *testing.T) {
	cpu, err := cpuOf(os.Getpid(), os.Getpid())
	require.NoError(t, err)
	require.Len(t, cpu, 2)
	peak, err := peakOf(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, peak, int64(1<<20))
}

func TestBidsAreCountedAsTheGeneratorMakesThem(t *testing.T) {
	for _, events := range []int64{1, 4, 5, 49, 50, 51, 54, 55, 1000, 1234} {
		g, err := nexmark.New(nexmark.Config{Events: events})
		require.NoError(t, err)
		want := int64(0)
		for s := g.Next(); s != nil; s = g.Next() {
			if s.Kind == nexmark.Bid {
				want++
			}
		}
		r := run{benchOptions: &benchOptions{Config: nexmark.Config{Events: events}}}
		require.Equal(t, want, r.bids(), events)
	}
}

func TestFlagsThatMakeNoSenseAreNamed(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		_, err := parseBench(args)
		require.ErrorContains(t, err, want)
	}
	f("is no query", "-only", "q99")
	f("give at least", "-events", "10")
	f("unexpected argument", "q5")
	_, err := parseSend([]string{"-start", "yesterday"})
	require.ErrorContains(t, err, "2026-01-01T00:00:00Z")
}
