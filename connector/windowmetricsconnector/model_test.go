// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

const modelled = `
max_out_of_orderness: 1m
aggregations:
  - name: orders
    window: {type: tumbling, size: 1m}
    events: [order]
    group_by: [country]
    values:
      - {function: count, as: orders}
      - {function: sum, field: total, type: number, as: revenue}
      - {function: max, field: total, as: most}
    metrics:
      - {name: orders, value: orders}
      - {name: revenue, value: revenue, type: counter}
      - {name: most, value: most}
`

// TestPointsAreThoseOfAPlainCountThroughFailuresAndCrashes holds every point against sums over all events. The receiver sees to it that no
// series has two values at one time, and that its times rise.
func TestPointsAreThoseOfAPlainCountThroughFailuresAndCrashes(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 8))
		b := newBench(t, 3, modelled)
		want := map[string]string{}     // by series and time, where a window with events ends
		total := map[string][]float64{} // by country: times in minutes and values, in pairs
		sent := 0
		crash := func() bool { return r.IntN(40) == 0 }
		b.CrashAt, b.Store.CrashBefore, b.Store.CrashAfter = crash, crash, crash
		b.Store.Full = func() bool { return r.IntN(8) == 0 } // a checkpoint is aborted
		b.sink.fail = func() (before, after error) {
			switch r.IntN(5) {
			case 0:
				return errors.New("away"), nil
			case 1:
				return nil, errors.New("away, after it took them")
			}
			return nil, nil
		}
		const minutes = 20
		for minute := range minutes {
			for range r.IntN(8) {
				at := day.Add(time.Duration(minute)*time.Minute + time.Duration(r.IntN(60))*time.Second)
				country := string(rune('A' + r.IntN(3)))
				value := float64(r.IntN(100))
				total[country] = append(total[country], float64(minute), value)
				partition := uint32(r.IntN(3))
				b.Append(partition, day.Add(time.Duration(minute+1)*time.Minute).UnixNano(), newEvent(at.UnixNano(), "order", "country", country, "total", value))
				sent++
				if r.IntN(3) == 0 {
					b.Deliver(partition, 1+r.IntN(3))
				}
			}
			// Events are less than max_out_of_orderness out of order: none is late.
			if minute%2 == 1 {
				now := day.Add(time.Duration(minute+1) * time.Minute).UnixNano()
				for p := range uint32(3) {
					b.Log.Tick(p, now, now)
				}
				b.DeliverAll(1 + r.IntN(4))
			}
			if r.IntN(2) == 0 {
				b.Checkpoint()
			}
		}
		end := day.Add((minutes + 2) * time.Minute).UnixNano()
		for p := range uint32(3) {
			b.Log.Tick(p, end, end)
		}
		b.CrashAt, b.Store.CrashBefore, b.Store.CrashAfter = nil, nil, nil // what is delivered stays so
		b.Settle(3)

		if seed == 9 {
			for _, l := range b.sink.lines {
				if len(l) > 8 && l[:5] >= "00:17" {
					t.Log(l)
				}
			}
			t.Log(b.counted("otelcol_connector_window_metrics_events", "outcome", "late"))
		}
		instance := ""
		for s := range b.sink.last {
			instance = s[:36]
		}
		sums := map[string]string{}
		for country, pairs := range total {
			since := minutes
			for i := 0; i < len(pairs); i += 2 {
				since = min(since, int(pairs[i]))
			}
			for minute := since; minute <= minutes+1; minute++ {
				n, sum, most, here := 0, 0.0, 0.0, false
				for i := 0; i < len(pairs); i += 2 {
					if int(pairs[i]) < minute {
						n, sum = n+1, sum+pairs[i+1]
					}
					if int(pairs[i]) == minute-1 {
						most, here = max(most, pairs[i+1]), true
					}
				}
				at := clockText(pcommon.NewTimestampFromTime(day.Add(time.Duration(minute) * time.Minute)))
				orders := fmt.Sprintf("%scounter orders{country=%s}%s", instance, country, at)
				revenue := fmt.Sprintf("%scounter revenue{country=%s}%s", instance, country, at)
				sums[orders], sums[revenue] = fmt.Sprint(n), fmt.Sprint(sum)
				if here {
					gauge := fmt.Sprintf("%sgauge most{country=%s}%s", instance, country, at)
					want[orders], want[revenue], want[gauge] = fmt.Sprint(n), fmt.Sprint(sum), fmt.Sprint(most)
					sums[gauge] = want[gauge]
				}
			}
		}
		for at, value := range want {
			require.Equal(t, value, b.sink.values[at], "seed %d: %s", seed, at)
		}
		for at, value := range b.sink.values {
			require.Equal(t, sums[at], value, "seed %d: %s", seed, at)
		}
		require.NotZero(t, sent)
		require.NotEmpty(t, want)
	}
}
