// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/delivery/deliverytest"
	"github.com/millrace/millrace/internal/watermark"
)

const modelConfig = `
max_out_of_orderness: 10s
allowed_lateness: %s
max_future_skew: 30s
max_future: 5m
aggregations:
  - name: tumbling
    window: {type: tumbling, size: 20s, offset: 5s}
    group_by: [user, {field: n, type: integer}]
    early: {every: %s}
    values: [{function: count, as: c}, {function: sum, field: v, type: integer, as: s}, {function: last, field: v, type: integer, as: l}]
  - name: few
    window: {type: tumbling, size: 1m}
    group_by: [user]
    cardinality_limit: 2
    values: [{function: count, as: c}]
  - name: hopping
    window: {type: hopping, size: 50s, slide: 20s}
    group_by: [user]
    early: {every: %[2]s}
    events: [a]
    values: [{function: count, as: c}, {function: max, field: v, type: integer, as: m}]
  - name: session
    window: {type: session, gap: 15s}
    group_by: [user]
    values: [{function: count, as: c}, {function: sum, field: v, type: integer, as: s, where: [{field: v, gt: 50}]}]
  - name: few_sessions
    window: {type: session, gap: 20s}
    group_by: [user]
    cardinality_limit: 2
    values: [{function: count, as: c}]
  - name: processing
    window: {type: tumbling, size: 30s, time: processing}
    values: [{function: count, as: c}]
  - name: visits
    window: {type: session, gap: 9s, time: processing}
    group_by: [user]
    where: [{field: user, in: [u0, u1]}]
    values: [{function: count, as: c}]
`

// happening is an event or tick of the model.
type happening struct {
	partition int
	tick      bool
	time      int64 // event time
	appended  int64
	name      string
	user      string
	n, v      int64
}

// history makes a log: event times wander on with disorder, some are late or far ahead, partitions fall idle.
func history(rng *rand.Rand, partitions, length int) []happening {
	var out []happening
	now := noon.Add(12 * time.Hour).UnixNano()
	lag := make([]int64, partitions) // of event time
	idle := -1
	marks := make([]int64, partitions)
	for range length {
		now += rng.Int64N(int64(2 * time.Second))
		if rng.IntN(40) == 0 {
			idle = rng.IntN(partitions+1) - 1
		}
		p := rng.IntN(partitions)
		if p == idle {
			if rng.IntN(3) == 0 { // as the log: the least high mark of those that are active
				mark := int64(0)
				for i, m := range marks {
					if i != idle && m != 0 && (mark == 0 || m < mark) {
						mark = m
					}
				}
				out = append(out, happening{partition: p, tick: true, time: mark, appended: now})
			}
			continue
		}
		if rng.IntN(30) == 0 {
			lag[p] = rng.Int64N(int64(20 * time.Second))
		}
		h := happening{
			partition: p, appended: now, time: now - lag[p] - rng.Int64N(int64(10*time.Second)), name: string("aab"[rng.IntN(3)]),
			user: fmt.Sprintf("u%d", rng.IntN(4)), n: rng.Int64N(2), v: rng.Int64N(100),
		}
		switch rng.IntN(60) {
		case 0:
			h.time -= int64(time.Minute) // late
		case 1:
			h.time += int64(45 * time.Second) // moves no watermark
		case 2:
			h.time += int64(time.Hour) // counts nowhere
		case 3:
			h.user = ""
		}
		if h.time <= now+int64(30*time.Second) {
			marks[p] = max(marks[p], h.time)
		}
		out = append(out, h)
	}
	// What closes all windows, and stands in none of those that are looked at.
	now += int64(10 * time.Minute)
	for p := range partitions {
		out = append(out, happening{partition: p, appended: now, time: now, name: "end", user: "end"})
	}
	return out
}

func (h *happening) write(p *deliverytest.Pipeline) {
	if h.tick {
		p.Log.Tick(uint32(h.partition), h.appended, h.time)
		return
	}
	attributes := []string{fmt.Sprint("n=", h.n), fmt.Sprint("v=", h.v)}
	if h.user != "" {
		attributes = append(attributes, "user="+h.user)
	}
	p.Append(uint32(h.partition), h.appended, newEvent(h.time, h.name, attributes...))
}

// model computes final results from the whole history, in the plainest way.
type model struct {
	late    time.Duration
	rows    map[string]*modelRow
	pieces  map[string][]modelPiece // of sessions, by partition and aggregation and user
	started map[string]int
	groups  map[string]map[string]bool
}

type modelRow struct {
	c, s, m, l int64
	lastAt     [3]int64
}

type modelPiece struct {
	first, last int64
	c, s        int64
}

func floorTo(t, size, offset int64) int64 { return t - ((t-offset)%size+size)%size }

func group(user string) string {
	if user == "" {
		return ""
	}
	return " user=" + user
}

func (m *model) row(key string) *modelRow {
	if m.rows[key] == nil {
		m.rows[key] = &modelRow{}
	}
	return m.rows[key]
}

func windowText(name string, start, end int64) string {
	return fmt.Sprintf("%s [%s, %s) <nil>#<nil>", name, clockText(start), clockText(end))
}

func (m *model) few(h *happening, p int) string {
	start := floorTo(h.time, int64(time.Minute), 0)
	slot := fmt.Sprint(p, start)
	if m.groups[slot] == nil {
		m.groups[slot] = map[string]bool{}
	}
	g := m.groups[slot]
	if !g[h.user] && len(g) >= 2 {
		return " overflow"
	}
	g[h.user] = true
	return group(h.user)
}

// session adds to the pieces of one partition, as far as a partition alone tells.
func (m *model) session(name string, p int, user string, t int64, gap time.Duration, v int64, limit int) {
	s := int64(0)
	if v > 50 {
		s = v
	}
	key := fmt.Sprint(name, "/", p, "/", user)
	one := modelPiece{t, t, 1, s}
	var kept []modelPiece
	for _, piece := range m.pieces[key] {
		if one.first-piece.last <= int64(gap) && piece.first-one.last <= int64(gap) {
			one = modelPiece{min(one.first, piece.first), max(one.last, piece.last), one.c + piece.c, one.s + piece.s}
		} else {
			kept = append(kept, piece)
		}
	}
	if one.c == 1 && limit > 0 && user != "\xff" {
		bucket := fmt.Sprint(name, "/", p, "/", floorTo(t, int64(gap), 0))
		if m.started[bucket] >= limit {
			m.session(name, p, "\xff", t, gap, v, 0)
			return
		}
		m.started[bucket]++
	}
	m.pieces[key] = append(kept, one)
}

func (m *model) results(partitions int, all []happening) map[string]bool {
	config := watermark.Config{MaxOutOfOrderness: 10 * time.Second, AllowedLateness: m.late, MaxFutureSkew: 30 * time.Second}
	inputs := make([]watermark.Input, partitions)
	for i := range inputs {
		inputs[i] = watermark.New()
	}
	position := make([]int64, partitions)
	for i := range all {
		h := &all[i]
		p := h.partition
		position[p]++
		if h.tick {
			inputs[p].Tick(h.appended, h.time)
			continue
		}
		if h.name == "end" {
			continue
		}
		m.row(windowText("processing", floorTo(h.appended, int64(30*time.Second), 0), floorTo(h.appended, int64(30*time.Second), 0)+int64(30*time.Second))).c++
		if h.user == "u0" || h.user == "u1" {
			m.session("visits", p, h.user, h.appended, 9*time.Second, 0, 0)
		}
		if h.time-h.appended > int64(5*time.Minute) {
			continue
		}
		verdict := inputs[p].See(&config, h.time, h.appended)
		inputs[p].EndAppend()
		if verdict == watermark.Late {
			continue
		}
		start := floorTo(h.time, int64(20*time.Second), int64(5*time.Second))
		r := m.row(windowText("tumbling", start, start+int64(20*time.Second)) + fmt.Sprintf(" n=%d", h.n) + group(h.user))
		r.c++
		r.s += h.v
		if at := [3]int64{h.time, int64(p), position[p]}; r.c == 1 || slices.Compare(at[:], r.lastAt[:]) > 0 {
			r.l, r.lastAt = h.v, at
		}
		start = floorTo(h.time, int64(time.Minute), 0)
		m.row(windowText("few", start, start+int64(time.Minute))+m.few(h, p)).c++
		if h.name == "a" {
			for start := floorTo(h.time, int64(20*time.Second), 0); start > h.time-int64(50*time.Second); start -= int64(20 * time.Second) {
				r := m.row(windowText("hopping", start, start+int64(50*time.Second)) + group(h.user))
				r.c++
				r.m = max(r.m, h.v)
			}
		}
		m.session("session", p, h.user, h.time, 15*time.Second, h.v, 0)
		m.session("few_sessions", p, h.user, h.time, 20*time.Second, 0, 2)
	}
	out := map[string]bool{}
	for key, r := range m.rows {
		name, _, _ := strings.Cut(key, " ")
		line := ""
		switch name {
		case "tumbling":
			line = fmt.Sprintf(" c=%d l=%d", r.c, r.l)
			head, tail, _ := strings.Cut(key, " n=")
			n, user, _ := strings.Cut(tail, " ")
			if line = head + line + " n=" + n + fmt.Sprintf(" s=%d", r.s); user != "" {
				line += " " + user
			}
		case "hopping":
			line = splice(key, fmt.Sprintf(" c=%d m=%d", r.c, r.m))
		default:
			line = splice(key, fmt.Sprintf(" c=%d", r.c))
		}
		out[line] = true
	}
	m.sessions(out)
	return out
}

// splice puts the values before the group, as names sort.
func splice(key, values string) string {
	head, tail, _ := strings.Cut(key, " <nil>#<nil>")
	if tail == " overflow" {
		return head + " <nil>#<nil>" + values + tail
	}
	return head + " <nil>#<nil>" + values + tail
}

func (m *model) sessions(out map[string]bool) {
	gaps := map[string]time.Duration{"session": 15 * time.Second, "few_sessions": 20 * time.Second, "visits": 9 * time.Second}
	union := map[string][]modelPiece{}
	for key, pieces := range m.pieces {
		parts := strings.Split(key, "/")
		union[parts[0]+"/"+parts[2]] = append(union[parts[0]+"/"+parts[2]], pieces...)
	}
	for key, pieces := range union {
		name, user, _ := strings.Cut(key, "/")
		gap := int64(gaps[name])
		slices.SortFunc(pieces, func(a, b modelPiece) int { return int(a.first - b.first) })
		for len(pieces) > 0 {
			one := pieces[0]
			pieces = pieces[1:]
			for len(pieces) > 0 && pieces[0].first-one.last <= gap {
				one.last, one.c, one.s = max(one.last, pieces[0].last), one.c+pieces[0].c, one.s+pieces[0].s
				pieces = pieces[1:]
			}
			line := windowText(name, one.first, one.last+gap) + fmt.Sprintf(" c=%d", one.c)
			if user == "\xff" {
				line += " overflow"
			}
			if name == "session" && one.s > 0 {
				line += fmt.Sprintf(" s=%d", one.s)
			}
			if user != "\xff" {
				line += group(user)
			}
			out[line] = true
		}
	}
}

// lines of results with their identities.
func lines(results map[string]string) []string {
	var out []string
	for id, line := range results {
		if strings.Contains(line, "user=end") { // what is still open has had early panes at most
			continue
		}
		out = append(out, line+" "+id)
	}
	slices.Sort(out)
	return out
}

// drive runs the history through a pipeline, with failures, crashes and restarts at random places.
func drive(t *testing.T, rng *rand.Rand, build deliverytest.Build, partitions int, all []happening, trouble bool) *deliverytest.Pipeline {
	t.Helper()
	p := deliverytest.New(t, partitions, build)
	chance := func(n int) bool { return trouble && rng.IntN(n) == 0 }
	p.Store.CrashBefore = func() bool { return chance(150) }
	p.Store.CrashAfter = func() bool { return chance(150) }
	p.Store.Full = func() bool { return chance(100) }
	p.Sink.Fail = func(*delivery.Delivery) (error, error) {
		var before, after error
		if chance(20) {
			before = errors.New("away")
		}
		if chance(20) {
			after = errors.New("no answer")
		}
		return before, after
	}
	for i := range all {
		all[i].write(p)
		switch r := rng.IntN(100); {
		case r < 30:
			p.Deliver(uint32(rng.IntN(partitions)), 1+rng.IntN(20))
		case r < 36:
			p.Checkpoint()
		case r < 37 && trouble:
			p.Crash()
		case r < 38 && trouble:
			p.Restart()
		}
	}
	trouble = false
	p.Settle(1 + rng.IntN(30))
	return p
}

// TestFinalResultsAreThoseOfABatch compares with a model that has the whole history before it: whatever the order between
// partitions, the sizes of deliveries, the times of checkpoints, failures and crashes.
func TestFinalResultsAreThoseOfABatch(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 6))
			partitions := 1 + rng.IntN(3)
			lateness := time.Duration(rng.IntN(3)) * 15 * time.Second
			early := []string{"0s", "7s"}[rng.IntN(2)]
			all := history(rng, partitions, 300)
			build := one(t, fmt.Sprintf(modelConfig, lateness, early))
			m := &model{late: lateness, rows: map[string]*modelRow{}, pieces: map[string][]modelPiece{}, started: map[string]int{}, groups: map[string]map[string]bool{}}
			want := m.results(partitions, all)

			p := drive(t, rng, build, partitions, all, true)
			got := map[string]bool{}
			first := final(t, p.Sink)
			for _, line := range first {
				if !strings.Contains(line, "user=end") && !strings.Contains(line, "processing [") || want[line] {
					require.False(t, got[line], "two results are one: %s", line)
					got[line] = true
				}
			}
			require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))

			// The same under the same identities for a consumer that never failed.
			again := drive(t, rng, build, partitions, all, false)
			require.Equal(t, lines(first), lines(final(t, again.Sink)))
		})
		if !ok {
			return
		}
	}
}

// TestACrashAfterEveryCommitChangesNothing ends the process after each single write of the state store, checkpoints among them.
func TestACrashAfterEveryCommitChangesNothing(t *testing.T) {
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 8))
		all := history(rng, 2, 120)
		build := one(t, fmt.Sprintf(modelConfig, 15*time.Second, "7s"))
		want := lines(final(t, drive(t, rng, build, 2, all, false).Sink))

		p := deliverytest.New(t, 2, build)
		crashes := 0
		p.Store.CrashAfter = func() bool { crashes++; return true }
		for i := range all {
			all[i].write(p)
			if i%7 == 0 {
				p.Deliver(uint32(i%2), 9)
			}
			if i%10 == 0 {
				p.Checkpoint()
			}
		}
		for range 4 {
			p.DeliverAll(5)
			p.Checkpoint()
		}
		require.Greater(t, crashes, 20)
		require.Equal(t, want, lines(final(t, p.Sink)))
	}
}
