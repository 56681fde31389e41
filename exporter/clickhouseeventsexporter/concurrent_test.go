// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
)

// driven is a pipeline whose partitions run side by side by the log's rules: a checkpoint waits until each is between two attempts.
type driven struct {
	*fakeCoordinator
	gate           sync.RWMutex
	next, passed   [4]atomic.Uint64
	binds          atomic.Int64
	wanted         chan struct{}
	checkpointsRun int // by the one goroutine that makes them
}

func (d *driven) Partitions() uint32                { return uint32(len(d.passed)) }
func (d *driven) Committed(partition uint32) uint64 { return d.passed[partition].Load() }

// Bind fails now and then, before or after it is done.
func (d *driven) Bind(id delivery.Identity, name string, plan []byte) error {
	switch n := d.binds.Add(1); {
	case n%7 == 0:
		return errCrash
	case n%5 == 0:
		return errors.Join(d.fakeCoordinator.Bind(id, name, plan), errCrash)
	}
	return d.fakeCoordinator.Bind(id, name, plan)
}

func (d *driven) RequestCheckpoint() {
	select {
	case d.wanted <- struct{}{}:
	default:
	}
}

// checkpoints makes those that are asked for, if there is anything to pass, and no others.
func (d *driven) checkpoints(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-d.wanted:
		}
		d.gate.Lock()
		moved := false
		for p := range d.next {
			if at := d.next[p].Load(); d.passed[p].Swap(at) != at {
				moved = true
			}
		}
		if moved {
			d.mu.Lock()
			d.checkpoint++
			d.mu.Unlock()
			d.checkpointsRun++
		}
		d.gate.Unlock()
	}
}

// TestPartitionsSideBySideEndWithTheSmallestWindow lets two pipelines of four partitions send more blocks at once than the table
// remembers, some in several pieces, some with refused events, some again and again. The engine cannot be asked which
// rows it has: if the window were exceeded the pipeline would be blocked, and if everyone waited for everyone it would not end.
func TestPartitionsSideBySideEndWithTheSmallestWindow(t *testing.T) {
	x := newDeliverer(t, nil, func(c *Config) {
		c.Events.Engine, c.Events.OrderBy = "ReplacingMergeTree", "(tenant_id, event_name, event_time, event_id)"
		c.Events.PartitionBy = "toYYYYMMDD(event_time)"
		c.Deduplication.Window = 100
	})
	x.engine.Exec("ALTER TABLE events ADD CONSTRAINT no_poison CHECK event_name != 'poison'")
	began := time.Now()
	const deliveries = 3
	days := []int{1, 5, 30, 60, 90, 130}
	var workers, makers sync.WaitGroup
	done := make(chan struct{})
	var total atomic.Int64
	var pipelines []*driven
	for n, name := range []string{"one", "two"} {
		d := &driven{fakeCoordinator: newCoordinator(name), wanted: make(chan struct{}, 1)}
		pipelines = append(pipelines, d)
		makers.Go(func() { d.checkpoints(done) })
		for p := range uint32(4) {
			r := rand.New(rand.NewPCG(uint64(n), uint64(p)))
			batches := make([]plog.Logs, deliveries)
			for i := range batches {
				b := event.NewBuilder("acme", "web", "test")
				touched := days[r.IntN(len(days))]
				for j := range touched {
					kind := "ok"
					if touched < 10 && r.IntN(5) == 0 {
						kind = "poison"
					}
					add(t, b, kind, fmt.Sprintf("%d-%d-%d-%d", n, p, i, j), `{}`).SetTime(dayOf(j))
				}
				total.Add(int64(touched))
				batches[i] = b.Batch().Logs()
			}
			workers.Go(func() {
				for i, ld := range batches {
					id := d.id
					id.Partition, id.First, id.Last = p, uint64(i)*100, uint64(i)*100+99
					for attempt := 1; ; attempt++ {
						d.gate.RLock()
						err := x.ConsumeLogs(delivery.NewContext(t.Context(), delivery.New(id, attempt, d)), ld)
						d.gate.RUnlock()
						if err == nil && r.IntN(3) > 0 { // else a branch beside this one has failed
							break
						}
						if delivery.Blocked(err) || time.Since(began) > 5*time.Minute {
							t.Error(err)
							return
						}
						time.Sleep(5 * time.Millisecond) // the log's backoff
					}
					d.next[p].Store(uint64(i)*100 + 100)
				}
			})
		}
	}
	workers.Wait()
	close(done)
	makers.Wait()
	require.Equal(t, fmt.Sprintf("%[1]d\t%[1]d", total.Load()), x.engine.Query("SELECT count(), uniqExact(event_id) FROM "+
		"(SELECT event_id FROM events UNION ALL SELECT event_id FROM failed_events)"))
	for _, d := range pipelines {
		require.Positive(t, d.checkpointsRun)
	}
}
