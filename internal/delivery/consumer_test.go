// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pipeline"
	"go.uber.org/multierr"
	"go.uber.org/zap"
)

// harness is one consumer whose pipeline is a function.
type harness struct {
	t     *testing.T
	log   *memLog
	store *memStore
	clock *manualClock
	next  func(d *Delivery, bodies []string) error
	*Consumer
}

func newHarness(t *testing.T, partitions int) *harness {
	t.Helper()
	h := &harness{t: t, log: newMemLog(partitions), store: newMemStore(), clock: &manualClock{}}
	h.next = func(*Delivery, []string) error { return nil }
	h.restart()
	return h
}

func (h *harness) options() Options {
	return Options{
		Pipeline: pipeline.NewID(pipeline.SignalLogs), MaxEvents: 4, MaxBytes: 1000, MaxWait: time.Second, FirstEpoch: 1,
		CheckpointInterval: time.Hour, CheckpointBytes: 1 << 20, RetryInitial: 1, RetryMax: 1, Clock: h.clock, Logger: zap.NewNop(),
		Next: func(ctx context.Context, ld plog.Logs) error {
			var bodies []string
			each(ld, func(lr plog.LogRecord) { bodies = append(bodies, lr.Body().Str()) })
			return h.next(FromContext(ctx), bodies)
		},
	}
}

func (h *harness) restart() {
	c, err := NewConsumer(h.log, h.store, h.options())
	require.NoError(h.t, err)
	h.Consumer = c
}

func (h *harness) step(p int) (outcome, time.Duration) {
	o, wait, _ := h.Consumer.step(context.Background(), h.partitions[p])
	return o, wait
}

func records(keys ...string) []record {
	var out []record
	for _, k := range keys {
		out = append(out, record{key: k})
	}
	return out
}

func TestADeliveryTakesWhatIsThereUpToItsBounds(t *testing.T) {
	h := newHarness(t, 1)
	var got []string
	h.next = func(d *Delivery, bodies []string) error {
		got = append(got, fmt.Sprint(d.ID.First, d.ID.Last, bodies))
		return nil
	}
	h.clock.now = time.Unix(0, 1001)
	o, wait := h.step(0)
	require.Equal(t, waiting, o)
	require.Zero(t, wait, "an empty partition waits for records, not for time")

	h.log.append(0, records("a")...)
	o, wait = h.step(0)
	require.Equal(t, waiting, o)
	require.Equal(t, time.Second, wait, "a record waits for others")
	h.log.append(0, records("b", "c")...)
	o, _ = h.step(0)
	require.Equal(t, waiting, o)
	h.log.append(0, records("d", "e")...)
	o, _ = h.step(0)
	require.Equal(t, advanced, o, "the next chunk would be too many: those before it go")
	require.Equal(t, []string{"0 2 [a b c]"}, got)

	h.clock.now = h.clock.now.Add(2 * time.Second)
	o, _ = h.step(0)
	require.Equal(t, advanced, o, "it has waited long enough")
	h.log.append(0, records("1", "2", "3", "4", "5", "6", "7", "8", "9")...)
	for range 2 {
		o, _ = h.step(0)
		require.Equal(t, advanced, o, "a chunk larger than a delivery is cut")
	}
	require.Equal(t, []string{"0 2 [a b c]", "3 4 [d e]", "5 8 [1 2 3 4]", "9 12 [5 6 7 8]"}, got)
	h.log.tick(0)
	o, _ = h.step(0)
	require.Equal(t, advanced, o, "a tick ends a delivery: what is before it goes at once")
	require.Equal(t, "13 13 [9]", got[4])
	o, _ = h.step(0)
	require.Equal(t, advanced, o)
	require.EqualValues(t, 15, h.partitions[0].next, "the tick is passed")
}

func TestAfterACrashTheSameRangesComeAgainWhateverHasArrivedSince(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	var got []string
	fail := errors.New("away")
	h.next = func(d *Delivery, bodies []string) error {
		got = append(got, fmt.Sprint(bodies, d.Attempt, d.InDoubt()))
		return fail
	}
	h.log.append(0, records("a", "b")...)
	h.step(0)
	h.step(0)
	h.log.append(0, records("c")...)
	h.restart()
	fail = nil
	h.step(0)
	h.step(0)
	require.Equal(t, []string{"[a b] 1 false", "[a b] 2 true", "[a b] 1 true", "[c] 1 false"}, got)
}

func TestBlockedIsWhatIsPermanentOnEveryBranch(t *testing.T) {
	f := func(err error, want bool) {
		t.Helper()
		require.Equal(t, want, Blocked(err), "%v", err)
	}
	retry := errors.New("later")
	permanent := consumererror.NewPermanent(errors.New("never"))
	f(nil, false)
	f(retry, false)
	f(permanent, true)
	f(&BlockedError{retry}, true)
	f(fmt.Errorf("wrapping: %w", permanent), true)
	f(fmt.Errorf("wrapping: %w", &BlockedError{retry}), true)
	f(errors.Join(permanent, retry), false)
	f(multierr.Append(permanent, retry), false)
	f(multierr.Append(permanent, permanent), true)
	f(fmt.Errorf("wrapping: %w", errors.Join(permanent, fmt.Errorf("deeper: %w", errors.Join(retry, permanent)))), false)
	f(consumererror.NewPermanent(fmt.Errorf("of a fan-out: %w", errors.Join(permanent, retry))), false)
	f(consumererror.NewPermanent(errors.Join(permanent, permanent)), true)
}

func TestABlockedDeliveryIsSkippedIntoAnExportAndOnlyThen(t *testing.T) {
	h := newHarness(t, 2)
	h.clock.now = time.Unix(100, 0)
	h.log.append(1, records("a", "poison")...)
	h.log.append(0, records("b")...)
	h.next = func(d *Delivery, _ []string) error {
		if d.ID.Partition == 1 {
			return consumererror.NewPermanent(errors.New("never"))
		}
		return nil
	}
	_, err := h.Skip(1, nil)
	require.ErrorIs(t, err, ErrNotBlocked)
	h.step(1)
	h.step(0)
	require.Contains(t, h.Consumer.Blocked(), uint32(1))
	require.Equal(t, []uint64{1, 0}, h.Delivered(), "the other partition goes on")

	exporting := errors.New("no space for the export")
	_, err = h.Skip(1, func(Identity, plog.Logs) error { return exporting })
	require.ErrorIs(t, err, exporting)
	require.Equal(t, []uint64{1, 0}, h.Delivered(), "without an export nothing is skipped")

	var exported []string
	id, err := h.Skip(1, func(_ Identity, ld plog.Logs) error {
		each(ld, func(lr plog.LogRecord) { exported = append(exported, lr.Body().Str()) })
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, id.Last)
	require.Equal(t, []string{"a", "poison"}, exported)
	require.Empty(t, h.Consumer.Blocked())
	require.Equal(t, []uint64{1, 2}, h.Positions(), "and it stays skipped after a crash")
}

func TestAResetDeliversAgainUnderOtherIdentitiesAndHappensOnce(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	var tokens []string
	h.next = func(d *Delivery, _ []string) error {
		tokens = append(tokens, d.ID.Token("events"))
		return nil
	}
	h.log.append(0, records("a", "b", "c", "d")...)
	h.step(0)
	toFirst := func(p uint32) (uint64, error) { return h.log.First(p), nil }
	require.NoError(t, h.Reset(toFirst))
	h.step(0)
	require.Len(t, tokens, 2)
	require.NotEqual(t, tokens[0], tokens[1], "or the sink would take it for a repetition")
	h.restart()
	h.step(0)
	require.Equal(t, tokens[1], tokens[2], "the crash came before a checkpoint: the same comes again")

	withReset := func(name string) {
		o := h.options()
		o.Reset = &ResetRequest{Name: name, To: toFirst}
		c, err := NewConsumer(h.log, h.store, o)
		require.NoError(t, err)
		h.Consumer = c
		h.step(0)
		require.NoError(t, h.CheckpointNow(context.Background()))
	}
	withReset("backfill")
	require.Len(t, tokens, 4)
	require.NotContains(t, tokens[:3], tokens[3])
	withReset("backfill")
	require.Len(t, tokens, 4, "a reset that the configuration names is done once")
	withReset("again")
	require.Len(t, tokens, 5)
}

func TestAResetMendsAPositionThatTheLogLacks(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	h.log.append(0, records("a", "b")...)
	h.step(0)
	require.NoError(t, h.CheckpointNow(context.Background()))
	h.log.events[0], h.log.chunks[0] = nil, nil
	h.log.append(0, records("c")...)
	o := h.options()
	_, err := NewConsumer(h.log, h.store, o)
	require.Error(t, err)
	o.Reset = &ResetRequest{Name: "mend", To: func(uint32) (uint64, error) { return 0, nil }}
	h.Consumer, err = NewConsumer(h.log, h.store, o)
	require.NoError(t, err)
	got := 0
	h.next = func(_ *Delivery, bodies []string) error { got += len(bodies); return nil }
	h.step(0)
	require.Equal(t, 1, got)
}

func TestAdvancePassesOverWhatRetentionTakes(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	h.next = func(*Delivery, []string) error { return errors.New("away") }
	h.log.append(0, records("a", "b", "c", "d")...)
	h.log.append(0, records("e", "f")...)
	h.step(0)
	h.restart()
	skipped, err := h.Advance([]uint64{2})
	require.NoError(t, err)
	require.EqualValues(t, 4, skipped, "a delivery that is half gone is passed as a whole")
	require.Equal(t, []uint64{4}, h.Positions())
	skipped, err = h.Advance([]uint64{3})
	require.NoError(t, err)
	require.Zero(t, skipped, "positions never go back")
	var got []string
	h.next = func(_ *Delivery, bodies []string) error { got = bodies; return nil }
	h.step(0)
	require.Equal(t, []string{"e", "f"}, got)
}

func TestAPositionThatTheLogLacksIsAnErrorAndNothingIsTouched(t *testing.T) {
	f := func(spoil func(h *harness)) {
		t.Helper()
		h := newHarness(t, 1)
		h.clock.now = time.Unix(100, 0)
		h.log.append(0, records("a", "b", "c", "d")...)
		h.step(0)
		require.NoError(t, h.CheckpointNow(context.Background()))
		before := fmt.Sprint(h.store.data)
		spoil(h)
		_, err := NewConsumer(h.log, h.store, h.options())
		var position *PositionError
		require.ErrorAs(t, err, &position)
		require.ErrorContains(t, err, "consumers::logs::reset")
		require.Equal(t, before, fmt.Sprint(h.store.data))
	}
	f(func(h *harness) { h.log.events[0] = h.log.events[0][:2] }) // an older copy of the log
	f(func(h *harness) { h.log.first[0] = 5 })                    // an older copy of the state
}

// listener is a participant that notes its ticks.
type listener struct {
	ticks  []uint64
	during func() error // is called within a tick
}

func (*listener) Restore(context.Context, Snapshot) error { return nil }
func (l *listener) Tick(t Tick) (Overlay, error) {
	if l.during != nil {
		if err := l.during(); err != nil {
			return nil, err
		}
	}
	l.ticks = append(l.ticks, t.Position)
	return nil, nil
}
func (*listener) DirtyBytes() int                         { return 0 }
func (*listener) Checkpoint(CheckpointWriter) error       { return nil }
func (*listener) Committed()                              {}
func (*listener) Aborted()                                {}
func (*listener) Send(context.Context, OutboxBatch) error { return nil }

func TestATickWaitsForAComponentThatHasNotEnrolledSinceTheStart(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	id := component.MustNewID("sessions")
	l := &listener{}
	h.next = func(d *Delivery, _ []string) error { return d.Coordinator().Enrol(context.Background(), id, l) }
	h.log.append(0, records("a")...)
	h.step(0)
	h.log.tick(0)
	h.step(0)
	require.Equal(t, []uint64{1}, l.ticks)
	require.NoError(t, h.CheckpointNow(context.Background()))

	h.restart()
	l = &listener{}
	for range 3 {
		h.log.tick(0)
		h.step(0)
	}
	require.Empty(t, l.ticks)
	require.NoError(t, h.CheckpointNow(context.Background()))
	require.Equal(t, []uint64{5}, h.Positions(), "a component that never enrols holds nothing back")
	h.restart()
	h.log.append(0, records("b")...)
	h.step(0)
	require.Equal(t, []uint64{4}, l.ticks, "the last one stands for all, and comes before the event")
}

func TestATickThatComesWhileAComponentEnrolsIsNotMissed(t *testing.T) {
	h := newHarness(t, 2)
	h.clock.now = time.Unix(100, 0)
	id := component.MustNewID("sessions")
	l := &listener{}
	h.next = func(d *Delivery, _ []string) error { return d.Coordinator().Enrol(context.Background(), id, l) }
	tick := func() {
		h.log.tick(1)
		h.step(1)
	}
	first := func(do func() error) func() error {
		done := false
		return func() error {
			if done {
				return nil
			}
			done = true
			return do()
		}
	}
	f := func(want ...uint64) {
		t.Helper()
		tick()
		l = &listener{during: first(func() error { tick(); return nil })}
		h.log.append(0, records("a")...)
		h.step(0)
		tick()
		require.Equal(t, want, l.ticks)
		require.NoError(t, h.CheckpointNow(context.Background()))
		h.restart()
	}
	f(0, 1, 2) // the log has not known it
	f(3, 4, 5) // it is known, and has not enrolled since the start

	tick()
	l = &listener{during: first(func() error { tick(); return errors.New("no space") })}
	h.log.append(0, records("b")...)
	h.step(0)
	require.Empty(t, l.ticks)
	h.clock.now = h.clock.now.Add(time.Hour)
	h.step(0)
	require.Equal(t, []uint64{7}, l.ticks, "when it is restored again it is given what it was given before")
}

func TestARenamedConsumerKeepsItsPlaceAndItsTokens(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	var tokens []string
	h.next = func(d *Delivery, _ []string) error {
		tokens = append(tokens, d.ID.Token("events"))
		return errors.New("away")
	}
	h.log.append(0, records("a")...)
	h.step(0)
	require.NoError(t, Rename(h.store, h.log.id, "logs", "logs/new"))
	known, err := Known(h.store, h.log.id)
	require.NoError(t, err)
	require.Equal(t, map[string][]uint64{"logs/new": {0}}, known)
	o := h.options()
	o.Pipeline = pipeline.NewIDWithName(pipeline.SignalLogs, "new")
	h.Consumer, err = NewConsumer(h.log, h.store, o)
	require.NoError(t, err)
	h.step(0)
	require.Len(t, tokens, 2)
	require.Equal(t, tokens[0], tokens[1])
}

func TestTokensDifferWhereverIdentitiesDo(t *testing.T) {
	base := Identity{Epoch: 1, Pipeline: pipeline.NewID(pipeline.SignalLogs), First: 1, Last: 2}
	seen := map[string]string{}
	f := func(what string, id Identity, names ...string) {
		t.Helper()
		token := id.Token(names...)
		require.Len(t, token, 32)
		require.Empty(t, seen[token], "%s has the token of %s", what, seen[token])
		seen[token] = what
		require.Equal(t, token, id.Token(names...))
	}
	f("base", base)
	f("a table", base, "a")
	f("another table", base, "b")
	f("two names", base, "a", "b")
	f("one name of both", base, "ab")
	with := func(change func(*Identity)) Identity { id := base; change(&id); return id }
	f("incarnation", with(func(id *Identity) { id.Incarnation[3] = 1 }))
	f("epoch", with(func(id *Identity) { id.Epoch++ }))
	f("pipeline", with(func(id *Identity) { id.Pipeline = pipeline.NewIDWithName(pipeline.SignalLogs, "x") }))
	f("partition", with(func(id *Identity) { id.Partition++ }))
	f("first", with(func(id *Identity) { id.First++ }))
	f("last", with(func(id *Identity) { id.Last++ }))
	f("stage", with(func(id *Identity) { id.Stage = "a" }))
	f("checkpoint", with(func(id *Identity) { id.Stage = "a"; id.Checkpoint++ }))
	f("ordinal", with(func(id *Identity) { id.Stage = "a"; id.Ordinal++ }))
}

func TestASinkThatIsReachedTwiceInOneAttemptSaysSo(t *testing.T) {
	d := New(Identity{}, 1, nil)
	id := component.MustNewID("clickhouse_events")
	require.NoError(t, d.Claim(id))
	require.NoError(t, d.Claim(component.MustNewIDWithName("clickhouse_events", "two")))
	err := d.Claim(id)
	require.ErrorIs(t, err, ErrSecondCall)
	require.True(t, Blocked(err))
}

// running starts the harness's consumer with the machine's clock.
func (h *harness) running(change func(*Options)) *Consumer {
	h.t.Helper()
	o := h.options()
	o.Clock, o.MaxWait, o.Grace = SystemClock(), 0, time.Minute
	change(&o)
	c, err := NewConsumer(h.log, h.store, o)
	require.NoError(h.t, err)
	c.Start()
	return c
}

func TestAResetWakesAConsumerThatWaitsForRecords(t *testing.T) {
	h := newHarness(t, 2)
	h.log.append(1, records("a")...)
	given := make(chan uint64, 10)
	h.next = func(d *Delivery, _ []string) error {
		given <- d.ID.Epoch
		return nil
	}
	c := h.running(func(*Options) {})
	require.EqualValues(t, 1, <-given)
	require.Eventually(t, func() bool { return c.Delivered()[1] == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, c.Reset(func(uint32) (uint64, error) { return 0, nil }))
	select {
	case epoch := <-given:
		require.EqualValues(t, 2, epoch)
	case <-time.After(time.Minute):
		t.Fatal("nothing comes again, though the position is before a record")
	}
	require.NoError(t, c.Stop(context.Background()))
}

func TestStopLetsADeliveryFinishAndCommitsWhereItCame(t *testing.T) {
	h := newHarness(t, 1)
	h.log.append(0, records("a")...)
	reached, release := make(chan struct{}), make(chan struct{})
	h.next = func(*Delivery, []string) error { close(reached); <-release; return nil }
	c := h.running(func(o *Options) { o.Grace = time.Minute })
	<-reached
	stopped := make(chan error)
	go func() { stopped <- c.Stop(context.Background()) }()
	close(release)
	require.NoError(t, <-stopped)
	require.Equal(t, []uint64{1}, c.Positions())
}

func TestStopGivesUpWhatDoesNotEnd(t *testing.T) {
	h := newHarness(t, 1)
	h.log.append(0, records("a")...)
	reached, release := make(chan struct{}), make(chan struct{})
	h.next = func(*Delivery, []string) error { close(reached); <-release; return nil }
	c := h.running(func(o *Options) { o.Grace = 20 * time.Millisecond })
	<-reached
	require.ErrorContains(t, c.Stop(context.Background()), "it comes again at the next start")
	close(release)
	c.workers.Wait()
}
