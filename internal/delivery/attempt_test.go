// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/state"
)

// noted is an overlay that tells what became of it.
type noted struct {
	name string
	to   *[]string
}

func (n noted) Publish() { *n.to = append(*n.to, "publish "+n.name) }
func (n noted) Discard() { *n.to = append(*n.to, "discard "+n.name) }

func TestWhatAFailedAttemptStagedIsDiscardedAndNotPublished(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	var got []string
	fail := errors.New("away")
	h.next = func(d *Delivery, _ []string) error {
		d.Stage(noted{"outer", &got})
		d.Stage(noted{"inner", &got})
		return fail
	}
	h.log.append(0, records("a")...)
	h.step(0)
	require.Equal(t, []string{"discard inner", "discard outer"}, got)
	got, fail = nil, nil
	h.step(0)
	require.Equal(t, []string{"publish outer", "publish inner"}, got)
}

// loads notes what it is asked for.
type loads struct {
	*memLog
	again []bool
}

func (l *loads) Load(p uint32, first, last uint64, again bool) (plog.Logs, error) {
	l.again = append(l.again, again)
	return l.memLog.Load(p, first, last, again)
}

func TestARepetitionSaysThatItIsOne(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	l := &loads{memLog: h.log}
	h.Consumer.log = l
	var restored []bool
	h.next = func(d *Delivery, _ []string) error {
		restored = append(restored, d.Restored)
		return errors.New("away")
	}
	h.log.append(0, records("a")...)
	h.step(0)
	h.step(0)
	h.restart()
	h.Consumer.log = l
	h.step(0)
	require.Equal(t, []bool{false, true, true}, l.again)
	require.Equal(t, []bool{false, true, true}, restored)
}

func TestAPlanLivesUntilACheckpointPassesItsDelivery(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	var id Identity
	fail := errors.New("away")
	h.next = func(d *Delivery, _ []string) error {
		if fail != nil && d.ID.First > 0 {
			id = d.ID
			require.NoError(t, d.Coordinator().Bind(id, "columns", []byte("plan")))
			return fail
		}
		return nil
	}
	plan := func() string {
		p, err := h.Plan(id, "columns")
		require.NoError(t, err)
		return string(p)
	}
	h.log.append(0, records("a", "b", "c", "d")...)
	h.log.append(0, records("e", "f", "g", "h")...)
	h.step(0)
	h.step(0)
	require.Equal(t, "plan", plan())
	require.NoError(t, h.CheckpointNow(context.Background()))
	require.Equal(t, []uint64{4}, h.Positions())
	require.Equal(t, "plan", plan(), "the delivery that it is of comes again")
	h.restart()
	require.Equal(t, "plan", plan())
	fail = nil
	h.step(0)
	require.NoError(t, h.CheckpointNow(context.Background()))
	require.Empty(t, plan())
}

// emitter emits one result at each checkpoint and has one key of state.
type emitter struct {
	listener
	restored []int // keys found by each Restore
	emitted  int
	sent     []string
	fail     error
	dirty    int
}

func (e *emitter) Restore(_ context.Context, s Snapshot) error {
	n := 0
	err := s.Range(nil, func(_, _ []byte) error { n++; return nil })
	e.restored = append(e.restored, n)
	return err
}
func (e *emitter) DirtyBytes() int { return e.dirty }
func (e *emitter) Checkpoint(w CheckpointWriter) error {
	w.Set([]byte("key"), []byte("value"))
	w.Emit(OutboxBatch{Logs: []byte{byte(e.emitted)}})
	return nil
}
func (e *emitter) Committed() { e.emitted++ }
func (e *emitter) Send(ctx context.Context, b OutboxBatch) error {
	if e.fail != nil {
		return e.fail
	}
	e.sent = append(e.sent, fmt.Sprint(FromContext(ctx).ID.Epoch, b.Logs))
	return nil
}

// kinds are those of the keys that the store has of the consumer.
func (h *harness) kinds() map[string]int {
	kinds := map[string]int{}
	require.NoError(h.t, h.store.Range(h.keys.root, state.PrefixEnd(h.keys.root), func(key, _ []byte) error {
		parts, _ := state.SplitKey(key[len(h.keys.root):])
		if parts == nil { // a component's own key
			parts = [][]byte{[]byte("state")}
		}
		kinds[string(parts[0])]++
		return nil
	}))
	return kinds
}

func TestAResetLeavesNothingOfWhatWasUnderWay(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	e := &emitter{}
	fail := errors.New("away")
	h.next = func(d *Delivery, _ []string) error {
		if err := d.Coordinator().Enrol(context.Background(), component.MustNewID("sessions"), e); err != nil {
			return err
		}
		require.NoError(t, d.Coordinator().Bind(d.ID, "columns", []byte("plan")))
		if d.ID.First > 0 {
			return fail
		}
		return nil
	}
	h.log.append(0, records("a", "b", "c", "d")...)
	h.log.append(0, records("e", "f", "g", "h")...)
	h.step(0)
	h.step(0)
	require.NoError(t, h.Keep("schema", []byte("columns")))
	e.fail = errors.New("the sink of results is away")
	require.Error(t, h.CheckpointNow(context.Background()))
	require.NoError(t, h.Bind(Identity{Stage: "sessions", Checkpoint: 1}, "columns", []byte("plan")))
	require.Equal(t, map[string]int{"record": 1, "range": 1, "plan": 1, "outbox": 1, "outboxplan": 1, "state": 1, "kept": 1}, h.kinds())

	e.fail, fail = nil, nil
	require.NoError(t, h.Reset(func(uint32) (uint64, error) { return 1 << 40, nil }))
	require.Equal(t, []uint64{8}, h.Positions(), "no position is beyond the log")
	require.Equal(t, map[string]int{"record": 1, "kept": 1}, h.kinds())
	require.NoError(t, h.Reset(func(uint32) (uint64, error) { return 0, nil }))
	h.step(0)
	h.step(0)
	require.Equal(t, []int{0, 0}, e.restored, "its state begins anew")
	require.Empty(t, e.sent, "a result of the time before is not sent")
	require.NoError(t, h.CheckpointNow(context.Background()))
	require.Equal(t, []string{"3 [1]"}, e.sent)
}

func TestAnAcknowledgedResultIsForgottenWithTheNextCheckpoint(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	e := &emitter{dirty: 1}
	h.next = func(d *Delivery, _ []string) error {
		return d.Coordinator().Enrol(context.Background(), component.MustNewID("sessions"), e)
	}
	h.log.append(0, records("a")...)
	h.step(0)
	for range 5 {
		require.NoError(t, h.CheckpointNow(context.Background()))
		require.Len(t, h.sent, 1, "only that of the last checkpoint")
		require.Equal(t, 1, h.kinds()["outbox"])
	}
	require.Len(t, e.sent, 5)
}

// pauses counts the pauses of one length.
type pauses struct {
	systemClock
	of time.Duration
	n  *atomic.Int32
}

func (p pauses) After(d time.Duration) <-chan time.Time {
	if d == p.of {
		p.n.Add(1)
	}
	return p.systemClock.After(d)
}

func TestDeliveriesGoOnWhenResultsThatHeldThemBackAreSent(t *testing.T) {
	h := newHarness(t, 1)
	h.log.append(0, records("a")...)
	e := &emitter{fail: errors.New("away")}
	delivered := make(chan string, 10)
	h.next = func(d *Delivery, bodies []string) error {
		if len(bodies) == 0 {
			return nil
		}
		if err := d.Coordinator().Enrol(context.Background(), component.MustNewID("sessions"), e); err != nil {
			return err
		}
		delivered <- bodies[0]
		return nil
	}
	held := pauses{of: 3 * time.Millisecond, n: &atomic.Int32{}}
	c := h.running(func(o *Options) {
		o.RetryInitial, o.RetryMax, o.Grace, o.Clock = held.of, held.of, 10*time.Second, held
	})
	require.Equal(t, "a", <-delivered)
	require.Error(t, c.CheckpointNow(context.Background()), "the result cannot be sent")
	c.gate.Lock()
	h.log.append(0, records("b")...)
	c.partitions[0].wake()
	c.gate.Unlock()
	require.Eventually(t, func() bool { return held.n.Load() > 0 }, time.Minute, time.Millisecond, "it looks, and is held")
	c.gate.Lock()
	e.fail = nil
	require.Empty(t, delivered, "results go before deliveries")
	c.gate.Unlock()
	require.NoError(t, c.CheckpointNow(context.Background()))
	select {
	case got := <-delivered:
		require.Equal(t, "b", got)
	case <-time.After(time.Minute):
		t.Fatal("nobody looks again")
	}
	require.NoError(t, c.Stop(context.Background()))
}
