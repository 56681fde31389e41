// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const firstStage = `
pass_events: %s
max_out_of_orderness: 10s
max_future_skew: 30s
max_future: 5m
allowed_lateness: %s
aggregations:
  - name: by_user
    window: {type: hopping, size: 40s, slide: 20s}
    group_by: [user]
    events: [a, b]
    early: {every: %s}
    values: [{function: count, as: c}, {function: sum, field: v, type: integer, as: s}]
`

const secondStage = `
max_out_of_orderness: 10s
max_future_skew: 30s
max_future: 5m
aggregations:
  - name: totals
    window: {type: tumbling, size: 20s}
    events: [by_user]
    group_by: [user]
    where: [{field: c, gte: 3}]
    values: [{function: sum, field: c, type: integer, as: c}, {function: count, as: n}]
  - name: over_all
    window: {type: hopping, size: 60s, slide: 20s}
    events: [by_user]
    values: [{function: max, field: s, type: integer, as: m}]
  - name: quiet
    window: {type: session, gap: 30s}
    events: [by_user]
    group_by: [user]
    values: [{function: count, as: n}]
`

// TestASecondAggregationCountsEachResultOfTheFirstOnce compares two in a row with a plain computation: whether events pass the first or not,
// whether results come as several panes or one, through failures and crashes.
func TestASecondAggregationCountsEachResultOfTheFirstOnce(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 10
	}
	rows := 0
	for seed := range seeds {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			partitions := 1 + rng.IntN(3)
			lateness := time.Duration(rng.IntN(2)) * 20 * time.Second
			early := []string{"0s", "5s"}[rng.IntN(2)]
			first := readConfig(t, fmt.Sprintf(firstStage, []string{"false", "true"}[rng.IntN(2)], lateness, early))
			second := readConfig(t, secondStage)
			build := chain(t, func() []*Config { return []*Config{first, second} })
			all := history(rng, partitions, 200)

			// What the first stage finally says, alone, is the second one's input.
			alone := drive(t, rng, chain(t, func() []*Config { return []*Config{first} }), partitions, all, false)
			want := expectSecond(t, final(t, alone.Sink))

			got := map[string]bool{}
			panes := lateness > 0 || early != "0s"
			for _, line := range final(t, drive(t, rng, build, partitions, all, true).Sink) {
				if strings.HasPrefix(line, "by_user") || strings.HasPrefix(line, "quiet") && panes {
					continue // of sessions only panes on time count, and those are not final
				}
				got[line] = true
			}
			if panes {
				maps.DeleteFunc(want, func(line string, _ bool) bool { return strings.HasPrefix(line, "quiet") })
			}
			// What has not closed when the history ends has no results in either.
			maps.DeleteFunc(want, func(line string, _ bool) bool { return !got[line] && strings.Contains(line, "12:1") })
			rows += len(want)
			require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
		})
		if !ok {
			return
		}
	}
	require.Greater(t, rows, 20*int(seeds))
}

// expectSecond computes the second stage's rows from the first one's final lines.
func expectSecond(t *testing.T, lines map[string]string) map[string]bool {
	t.Helper()
	type total struct{ c, n, m int64 }
	totals, over := map[string]*total{}, map[string]*total{}
	ends := map[string][]int64{}
	for _, line := range slices.Sorted(maps.Values(lines)) {
		head, values, _ := strings.Cut(line, " <nil>#<nil>")
		var c, s int64
		_, err := fmt.Sscanf(values, " c=%d s=%d", &c, &s)
		require.NoError(t, err, line)
		user := ""
		if _, u, ok := strings.Cut(values, "user="); ok {
			user = u
		}
		_, end, _ := strings.Cut(strings.TrimSuffix(head, ")"), ", ")
		when := at(t, end) - 1
		ends[user] = append(ends[user], when)
		if c >= 3 {
			start := floorTo(when, int64(20*time.Second), 0)
			key := windowText("totals", start, start+int64(20*time.Second)) + "|" + group(user)
			if totals[key] == nil {
				totals[key] = &total{}
			}
			totals[key].c += c
			totals[key].n++
		}
		for start := floorTo(when, int64(20*time.Second), 0); start > when-int64(time.Minute); start -= int64(20 * time.Second) {
			key := windowText("over_all", start, start+int64(time.Minute))
			if over[key] == nil {
				over[key] = &total{m: -1}
			}
			over[key].m = max(over[key].m, s)
		}
	}
	out := map[string]bool{}
	for key, x := range totals {
		head, user, _ := strings.Cut(key, "|")
		out[fmt.Sprintf("%s c=%d n=%d%s", head, x.c, x.n, user)] = true
	}
	for key, x := range over {
		out[fmt.Sprintf("%s m=%d", key, x.m)] = true
	}
	for user, times := range ends {
		slices.Sort(times)
		for len(times) > 0 {
			last, n := times[0], 1
			for n < len(times) && times[n]-last <= int64(30*time.Second) {
				last = times[n]
				n++
			}
			out[windowText("quiet", times[0], last+int64(30*time.Second))+fmt.Sprintf(" n=%d%s", n, group(user))] = true
			times = times[n:]
		}
	}
	return out
}
