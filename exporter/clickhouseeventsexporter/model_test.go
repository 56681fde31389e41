// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
)

var seed = flag.Uint64("seed", 1, "of the random schedules")

// uncommitted is a delivery that the pipeline's checkpoint has not passed: it comes again after a crash, in its order.
type uncommitted struct {
	first    uint64
	ld       plog.Logs
	attempts int
	done     bool
}

// TestRandomSchedulesStoreEachEventOnce drives two pipelines by a log's rules through crashes at any write of a plan, deaths of
// the server, refusals that come and go, schemas that change, and other writers that make the tables forget.
func TestRandomSchedulesStoreEachEventOnce(t *testing.T) {
	const n = 120 // steps
	schemas := []map[string]string{
		{"every": `{"type":"object","properties":{"n":{"type":"integer"}}}`},
		{"every": `{"type":"object","properties":{"n":{"type":"integer"},"m":{"type":"string"}}}`},
		{"every": `{"type":"object","properties":{"m":{"type":"string"},"n":{"type":"integer"},"o":{"type":"boolean"}}}`},
		nil,
	}
	x := newDeliverer(t, schemas[0], func(c *Config) {
		c.Events.PartitionBy, c.FailedEvents.PartitionBy = "toYYYYMMDD(event_time)", "toYYYYMM(event_time)"
		c.Deduplication.Window = 100
	})
	r := rand.New(rand.NewPCG(*seed, 2))
	pipelines := []*fakeCoordinator{newCoordinator("one"), newCoordinator("two")}
	waiting := map[string][]*uncommitted{}
	total, first := 0, uint64(0)
	crash := func() {
		for i, c := range pipelines {
			pipelines[i] = c.restarted()
			for _, u := range waiting[c.id.Pipeline.String()] {
				u.attempts, u.done = 0, false
			}
		}
		x.restart()
	}
	batch := func() plog.Logs {
		b := event.NewBuilder("acme", "web", "test")
		for range 1 + r.IntN(12) {
			name := "ok"
			if r.IntN(8) == 0 {
				name = "poison"
			}
			d := add(t, b, name, fmt.Sprint(total), []string{`{"n": 1, "m": "x"}`, `{"n": "one"}`, `{"m": 5, "o": true}`}[r.IntN(3)])
			d.SetTime(dayOf(r.IntN(6)))
			if r.IntN(2) == 0 {
				d.SetSchema("every", "1")
			}
			if r.IntN(10) == 0 {
				d.Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
			}
			total++
		}
		return b.Batch().Logs()
	}
	// attempt hands out the oldest delivery that is not done.
	attempt := func(c *fakeCoordinator, restored bool) {
		for _, u := range waiting[c.id.Pipeline.String()] {
			if u.done {
				continue
			}
			u.attempts++
			err := x.ConsumeLogs(c.attempt(t, u.first, u.attempts, restored), u.ld)
			require.False(t, delivery.Blocked(err), err)
			u.done = err == nil
			if err != nil && c.crashAt == 0 {
				crash()
			}
			return
		}
	}
	commit := func(c *fakeCoordinator) { // between deliveries: what is done is passed
		id := c.id.Pipeline.String()
		var left []*uncommitted
		plans := c.restarted().plans
		c.commit()
		for _, u := range waiting[id] {
			if u.done {
				continue
			}
			left = append(left, u)
			c.committed = min(c.committed, u.first)
			of := c.id
			of.First, of.Last = u.first, u.first+99
			for _, name := range append([]string{x.inner.planName()}, refusalNames(x.inner.planName())...) {
				if p := plans[of.Token(name)]; p != nil {
					c.plans[of.Token(name)] = p
				}
			}
		}
		waiting[id] = left
	}
	did := map[string]int{}
	for range n {
		c := pipelines[r.IntN(2)]
		id := c.id.Pipeline.String()
		switch step := r.IntN(20); {
		case step < 8:
			did["deliver"]++
			waiting[id] = append(waiting[id], &uncommitted{first: first, ld: batch()})
			first += 100
			c.crashAt = r.IntN(6) // 0 is never
			attempt(c, true)
		case step < 12:
			attempt(c, true)
		case step < 14:
			did["commit"]++
			commit(c)
		case step == 14:
			did["crash"]++
			crash()
		case step == 15:
			x.registry.set(t, schemas[r.IntN(len(schemas))])
		case step == 16:
			x.engine.Exec("ALTER TABLE events ADD CONSTRAINT IF NOT EXISTS no_poison CHECK event_name != 'poison'")
		case step == 17:
			x.engine.Exec("ALTER TABLE events DROP CONSTRAINT IF EXISTS no_poison")
		case step == 18:
			did["forget"]++
			x.forget([]string{"events", "failed_events"}[r.IntN(2)], 100)
		case step == 19:
			did["kill"]++
			x.engine.Kill()
			if r.IntN(2) == 0 {
				attempt(c, true)
			}
			x.engine.Restart()
		}
	}
	for _, c := range pipelines {
		c.crashAt = 0
	}
	crash()
	for i := range 2000 {
		c := pipelines[i%2]
		attempt(c, true)
		commit(c)
		if len(waiting["logs/one"])+len(waiting["logs/two"]) == 0 {
			break
		}
	}
	require.Empty(t, waiting["logs/one"])
	require.Empty(t, waiting["logs/two"])
	t.Log(did, total, "events")
	require.Equal(t, fmt.Sprintf("%d\t%d", total, total), x.engine.Query("SELECT count(), uniqExact(event_id) FROM "+
		"(SELECT event_id FROM events WHERE event_id != 'other' UNION ALL SELECT event_id FROM failed_events WHERE event_id != 'other')"))
}

func refusalNames(plan string) []string {
	var names []string
	for chunk := range 4 {
		names = append(names, (&run{name: plan}).refusalsName(chunk))
	}
	return names
}
