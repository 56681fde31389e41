// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery/deliverytest"
	"github.com/millrace/millrace/internal/watermark"
)

const rollingConfig = `
max_out_of_orderness: 10s
max_future_skew: 30s
max_future: 5m
aggregations:
  - name: rolling
    window: {type: rolling, size: 90s, slide: 15s, offset: 5s}
    group_by: [user, {field: n, type: integer}]
    values: [{function: count, as: c}, {function: sum, field: v, type: integer, as: s}, {function: last, field: v, type: integer, as: l}]
  - name: minutes
    window: {type: rolling, size: 10m, slide: 1m, time: processing}
    group_by: [user]
    events: [a]
    early: {every: 5s}
    values: [{function: count, as: c}]
`

// rolled is what a group of the model has, by slice.
type rolled struct {
	head, tail string // of its line
	slices     map[int64]*modelRow
}

// rollingModel computes final results from the whole history: of each group what its slices in the last window add up to.
func rollingModel(partitions int, all []happening) map[string]bool {
	config := watermark.Config{MaxOutOfOrderness: 10 * time.Second, MaxFutureSkew: 30 * time.Second}
	inputs := make([]watermark.Input, partitions)
	for i := range inputs {
		inputs[i] = watermark.New()
	}
	const slide, size, minute, ten = int64(15 * time.Second), int64(90 * time.Second), int64(time.Minute), int64(10 * time.Minute)
	start := func(at, slide, size, offset int64) int64 { return floorTo(at, slide, offset) + slide - size }
	groups := map[string]*rolled{}
	slice := func(name, group string, at int64) *modelRow {
		if groups[name+group] == nil {
			groups[name+group] = &rolled{head: name, tail: group, slices: map[int64]*modelRow{}}
		}
		g := groups[name+group]
		if g.slices[at] == nil {
			g.slices[at] = &modelRow{}
		}
		return g.slices[at]
	}
	for i := range all {
		h := &all[i]
		in := &inputs[h.partition]
		if h.tick {
			in.Tick(h.appended, h.time)
			continue
		}
		if h.name == "a" {
			slice("minutes", group(h.user), floorTo(h.appended, minute, 0)).c++
		}
		if h.time-h.appended > int64(5*time.Minute) {
			in.Appended = h.appended
			continue
		}
		verdict := in.See(&config, h.time, h.appended)
		in.EndAppend()
		if verdict == watermark.Future || h.time < start(in.High, slide, size, int64(5*time.Second)) {
			continue
		}
		r := slice("rolling", fmt.Sprintf(" n=%d", h.n)+group(h.user), floorTo(h.time, slide, int64(5*time.Second)))
		r.c++
		r.s += h.v
		if at := [3]int64{h.time, int64(h.partition), int64(i)}; r.c == 1 || slices.Compare(at[:], r.lastAt[:]) > 0 {
			r.l, r.lastAt = h.v, at
		}
	}
	least := inputs[0]
	for _, in := range inputs {
		least.High, least.Appended = min(least.High, in.High), min(least.Appended, in.Appended)
	}
	out := map[string]bool{}
	for _, g := range groups {
		width, from := slide, start(least.High, slide, size, int64(5*time.Second))
		if g.head == "minutes" {
			width, from = minute, start(least.Appended, minute, ten, 0)
		}
		sum := modelRow{}
		first, last := int64(0), int64(0)
		for _, at := range slices.Sorted(maps.Keys(g.slices)) {
			if at < from {
				first, last = at+width, at+width
				continue
			}
			if sum.c == 0 {
				first = at
			}
			r := g.slices[at]
			last, sum.l = at+width, r.l
			sum.c += r.c
			sum.s += r.s
		}
		n, user, _ := strings.Cut(strings.TrimPrefix(g.tail, " n="), " user=")
		line := fmt.Sprintf("%s c=%d", windowText(g.head, first, last), sum.c)
		if g.head == "minutes" {
			user, _ = strings.CutPrefix(g.tail, " user=")
		} else {
			if sum.c > 0 {
				line += fmt.Sprintf(" l=%d", sum.l)
			}
			line += " n=" + n
			if sum.c > 0 {
				line += fmt.Sprintf(" s=%d", sum.s)
			}
		}
		out[line+" user="+user] = true
	}
	return out
}

// TestTheLastRollingResultOfEachGroupIsThatOfABatch is as TestFinalResultsAreThoseOfABatch.
func TestTheLastRollingResultOfEachGroupIsThatOfABatch(t *testing.T) {
	seeds := uint64(100)
	if testing.Short() {
		seeds = 15
	}
	build := one(t, rollingConfig)
	for seed := range seeds {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 66))
			partitions := 1 + rng.IntN(3)
			all := history(rng, partitions, 300)
			if rng.IntN(2) == 0 { // else all of it has left at the end
				all = all[:len(all)-partitions]
				for p := range partitions {
					last := all[len(all)-1]
					all = append(all, happening{partition: p, appended: last.appended, time: last.appended, name: "end", user: "end"})
				}
			}
			want := rollingModel(partitions, all)
			p := drive(t, rng, build, partitions, all, true)
			first := final(t, p.Sink)
			require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Values(first)))
			again := drive(t, rng, build, partitions, all, false)
			require.Equal(t, first, final(t, again.Sink))
		})
		if !ok {
			return
		}
	}
}

// TestGroupsThatACheckpointHasNoRoomForComeWithTheNext sends more groups than one checkpoint looks at.
func TestGroupsThatACheckpointHasNoRoomForComeWithTheNext(t *testing.T) {
	p := deliverytest.New(t, 1, one(t, rollingConfig))
	const users = 10_050
	ld := plog.NewLogs()
	when := at(t, "12:00:00")
	for i := range users {
		newEvent(when, "b", fmt.Sprint("user=u", i)).ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
	}
	p.Append(0, when, ld)
	p.DeliverAll(0)
	p.Checkpoint()
	require.Len(t, final(t, p.Sink), 10_000)
	p.Append(0, when, newEvent(when, "b", "user=last"))
	p.DeliverAll(0)
	p.Crash()
	p.DeliverAll(0)
	p.Checkpoint()
	require.Len(t, final(t, p.Sink), users+1)
}

func TestWhatARollingWindowCannotHaveIsRefused(t *testing.T) {
	f := func(window, rest, want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		path := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, "aggregations: [{name: x, window: {type: rolling, %s}, %s}]", window, rest), 0o600))
		conf, err := confmaptest.LoadConf(path)
		require.NoError(t, err)
		require.NoError(t, conf.Unmarshal(cfg))
		require.ErrorContains(t, cfg.Validate(), want)
	}
	f("size: 1h", "group_by: [a]", "window::slide: a rolling window needs it")
	f("size: 1h, slide: 7m", "group_by: [a]", "slide: the size of 1h0m0s is no multiple of 7m0s")
	f("size: 24h, slide: 1m", "group_by: [a]", "an event would fall into 1440 windows: use a slide of at least")
	f("size: 1h, slide: 1m", "", "group_by: a rolling window has one row for each group")
	f("size: 1h, slide: 1m, time_zone: Europe/Berlin", "group_by: [a]", "rolling windows are cut by UTC")
	f("size: 1h, slide: 1m, gap: 1m", "group_by: [a]", "gap: a rolling window has none")
	f("size: 1h, slide: 1m", "group_by: [a], table: {order_by: [window_start]}", "name columns of group_by only")
	f("size: 1h, slide: 1m", "group_by: [{field: a, type: number}]", "column a cannot be part of the key")
}
