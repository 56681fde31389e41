// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// series is what a device's sensor said in a window.
type series struct {
	device, sensor string
	start          time.Time
}

func TestReadingsByTheMinuteAndTheHourAreThoseOfAllThatCameInTime(t *testing.T) {
	t.Parallel()
	s := startScenario(t, "iot")
	rng := rand.New(rand.NewPCG(6, 10))
	from := time.Now().Add(-5 * time.Hour).Truncate(time.Hour)
	type sent struct {
		happened
		at      time.Time
		tooLate bool
	}
	var all []sent
	for device := range 10 {
		for _, sensor := range []string{"temperature", "load"} {
			for at := from; at.Before(from.Add(2 * time.Hour)); at = at.Add(time.Duration(20+rng.IntN(40)) * time.Second) {
				h := happened{at: at.Add(time.Duration(rng.IntN(int(10 * time.Second)))), name: "reading", is: map[string]any{
					"device_id": fmt.Sprint("d-", device), "sensor": sensor, "value": float64(1+rng.IntN(4000)) / 8,
				}}
				arrives := h.at.Add(time.Duration(rng.IntN(int(15 * time.Second))))
				minute := int(h.at.Sub(from) / time.Minute)
				switch {
				case device == 3 && minute >= 40 && minute < 50: // out of reach
					arrives = from.Add(50 * time.Minute).Add(time.Duration(rng.IntN(int(time.Second))))
				case device == 4 && minute >= 70 && minute < 72: // for too long
					arrives = from.Add(100 * time.Minute)
				}
				all = append(all, sent{h, arrives, arrives.Sub(h.at) > 20*time.Minute})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b sent) int { return a.at.Compare(b.at) })
	var batch []happened
	for i, r := range all {
		if batch = append(batch, r.happened); i%100 == 99 || i == len(all)-1 {
			s.tell(t, batch)
			batch = nil
		}
	}
	s.over(t, from.Add(3*time.Hour+time.Minute))

	minutes, hours := map[series][]happened{}, map[series][]happened{}
	tooLate := 0
	for _, r := range all {
		if r.tooLate {
			tooLate++
			continue
		}
		for size, of := range map[time.Duration]map[series][]happened{time.Minute: minutes, time.Hour: hours} {
			k := series{r.is["device_id"].(string), r.is["sensor"].(string), r.happened.at.Truncate(size)}
			of[k] = append(of[k], r.happened)
		}
	}
	require.Positive(t, tooLate)
	rows := func(of map[series][]happened) (out []string) {
		for k, list := range of {
			slices.SortFunc(list, func(a, b happened) int { return a.at.Compare(b.at) })
			sum, least, greatest := 0.0, math.Inf(1), math.Inf(-1)
			for _, h := range list {
				v := h.is["value"].(float64)
				sum, least, greatest = sum+v, min(least, v), max(greatest, v)
			}
			out = append(out, fmt.Sprintf("%s|%s|%s|%d|%s|%s|%s|%s", k.device, k.sensor, clickhouseTime(k.start), len(list),
				number(sum/float64(len(list))), number(least), number(greatest), number(list[len(list)-1].is["value"].(float64))))
		}
		return out
	}
	const columns = "SELECT device_id, sensor, window_start, readings, mean, least, greatest, last FROM "
	s.becomes(t, rows(minutes), columns+"readings_per_minute")
	s.becomes(t, rows(hours), columns+"readings_per_hour")
	s.becomes(t, []string{fmt.Sprint(len(all))}, "SELECT count() FROM events WHERE event_name = 'reading'") // what came too late is kept as an event

	// Quantiles are what they promise, by the readings themselves.
	exact := map[series]float64{}
	for k, list := range hours {
		values := []float64{}
		for _, h := range list {
			values = append(values, h.is["value"].(float64))
		}
		slices.Sort(values)
		exact[k] = values[int(0.95*float64(len(values)-1))]
	}
	for _, k := range slices.SortedFunc(maps.Keys(exact), func(a, b series) int { return a.start.Compare(b.start) }) {
		s.becomes(t, []string{"1"}, fmt.Sprintf("SELECT count() FROM readings_per_hour WHERE device_id = '%s' AND sensor = '%s' AND window_start = '%s' AND abs(p95 - %g) <= 0.0101 * %g",
			k.device, k.sensor, clickhouseTime(k.start), exact[k], exact[k]))
	}

	chart := s.ask(t, s.query(t, "chart", "INTERVAL 6 HOUR", "INTERVAL 12 HOUR"))
	require.NotEmpty(t, chart)
	require.Len(t, s.ask(t, s.query(t, "silent")), 20, "all of it is hours ago")
}
