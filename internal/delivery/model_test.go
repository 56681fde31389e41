// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pipeline"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/state"
)

// counter is a stateful component. For each partition and key it counts and sums what passes, and annotates each
// record with the count; a tick raises the partition's time, and a checkpoint emits the sum of every key that has
// reached emitAt events since it was last emitted, and of every key of a partition whose time a tick has raised.
// Results of another counter are summed apart, by stage.
type counter struct {
	id      component.ID
	emitAt  int64
	next    func(ctx context.Context, ld plog.Logs) error
	state   map[string]*tally // published; key: partition or stage, and key
	changed map[string]bool
	fail    func() error // after the overlay was made, before passing on
	aborts  int
}

type tally struct {
	count, sum       int64 // of all time
	open, openEvents int64 // not emitted yet
}

type counterOverlay struct {
	c     *counter
	delta map[string]tally
}

func (o *counterOverlay) Publish() {
	for k, d := range o.delta {
		t := o.c.state[k]
		if t == nil {
			t = &tally{}
			o.c.state[k] = t
		}
		t.count += d.count
		t.sum += d.sum
		t.open += d.open
		t.openEvents += d.openEvents
		o.c.changed[k] = true
	}
}
func (*counterOverlay) Discard() {}

var _ Participant = (*counter)(nil)

func (c *counter) consume(ctx context.Context, ld plog.Logs) error {
	d := FromContext(ctx)
	if err := d.Coordinator().Enrol(ctx, c.id, c); err != nil {
		return err
	}
	ld, err := d.Batch(ld).Decode()
	if err != nil {
		return err
	}
	input := fmt.Sprint(d.ID.Partition)
	if d.ID.Stage != "" {
		input = d.ID.Stage
	}
	o := &counterOverlay{c: c, delta: map[string]tally{}}
	each(ld, func(lr plog.LogRecord) {
		k := input + "/" + lr.Body().Str()
		t := o.delta[k]
		n, _ := lr.Attributes().Get("n")
		t.count++
		t.sum += n.Int()
		t.open += n.Int()
		t.openEvents++
		o.delta[k] = t
		count := t.count
		if s := c.state[k]; s != nil {
			count += s.count
		}
		lr.Attributes().PutInt(c.id.String(), count)
	})
	d.Stage(o)
	if err := c.fail(); err != nil {
		return err
	}
	return c.next(ctx, ld)
}

func each(ld plog.Logs, f func(plog.LogRecord)) {
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				f(lr)
			}
		}
	}
}

func (c *counter) Restore(_ context.Context, s Snapshot) error {
	c.state, c.changed = map[string]*tally{}, map[string]bool{}
	return s.Range(nil, func(key, value []byte) error {
		n := func(i int) int64 { return int64(binary.BigEndian.Uint64(value[8*i:])) }
		c.state[string(key)] = &tally{n(0), n(1), n(2), n(3)}
		return nil
	})
}

func (c *counter) Tick(t Tick) (Overlay, error) {
	o := &counterOverlay{c: c, delta: map[string]tally{}}
	for k, s := range c.state { // a tick makes the partition's open keys due
		if len(k) > 2 && k[:2] == fmt.Sprint(t.Partition)+"/" && s.openEvents > 0 && s.openEvents < c.emitAt {
			o.delta[k] = tally{openEvents: c.emitAt}
		}
	}
	return o, c.fail()
}

func (c *counter) DirtyBytes() int { return 32 * len(c.changed) }

func (c *counter) Checkpoint(w CheckpointWriter) error {
	results := plog.NewLogs()
	lrs := results.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, k := range slices.Sorted(maps.Keys(c.changed)) {
		t := *c.state[k]
		if t.openEvents >= c.emitAt {
			lr := lrs.AppendEmpty()
			lr.Body().SetStr("result " + c.id.String())
			lr.Attributes().PutInt("n", t.open)
			t.open, t.openEvents = 0, 0
		}
		var v []byte
		for _, n := range []int64{t.count, t.sum, t.open, t.openEvents} {
			v = binary.BigEndian.AppendUint64(v, uint64(n))
		}
		w.Set([]byte(k), v)
	}
	if err := c.fail(); err != nil {
		return err
	}
	if lrs.Len() > 0 {
		b, err := (&plog.ProtoMarshaler{}).MarshalLogs(results)
		if err != nil {
			return err
		}
		w.Emit(OutboxBatch{Logs: b})
	}
	return nil
}

func (c *counter) Committed() {
	for k := range c.changed {
		if t := c.state[k]; t.openEvents >= c.emitAt {
			t.open, t.openEvents = 0, 0
		}
	}
	c.changed = map[string]bool{}
}

func (c *counter) Aborted() { c.aborts++ }

func (c *counter) Send(ctx context.Context, b OutboxBatch) error {
	ld, err := DecodeOutbox(b)
	if err != nil {
		return err
	}
	return c.next(ctx, ld)
}

// sink stores a batch under its token once, as ClickHouse does, and forgets tokens older than a window of blocks.
type sink struct {
	rows   map[string][]string // by token: what was stored first
	order  []string
	window int
	fail   func() (before, after error)
	blocks int
	limit  func()      // asks for a checkpoint
	unsent func() bool // whether results wait that go before any delivery
	t      *testing.T
}

func (s *sink) consume(ctx context.Context, ld plog.Logs) error {
	if ld.LogRecordCount() == 0 {
		return nil
	}
	d := FromContext(ctx)
	if d.ID.Stage == "" {
		require.False(s.t, s.unsent(), "the outbox goes before %s", d.ID)
	}
	before, after := s.fail()
	if before != nil {
		return before
	}
	token := d.ID.Token("table")
	var rows []string
	each(ld, func(lr plog.LogRecord) { rows = append(rows, fmt.Sprint(lr.Body().Str(), lr.Attributes().AsRaw())) })
	if stored, ok := s.rows[token]; !ok {
		s.rows[token] = rows
	} else {
		require.Equal(s.t, stored, rows, "a repetition of %s must carry the same rows", d.ID)
	}
	if !slices.Contains(s.order, token) {
		s.order = append(s.order, token)
		if s.blocks++; s.blocks%s.window == 0 {
			s.limit()
		}
	}
	return after
}

// world is all that survives a crash, and the process that does not.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	log   *memLog
	store *memStore
	sinks [2]*sink
	fails bool // whether anything may fail now
	boots int

	consumer *Consumer
	outer    *counter
	inner    *counter
}

func (w *world) chance(n int) bool { return w.fails && w.rng.IntN(n) == 0 }

func (w *world) maybe(n int, err error) error {
	if w.chance(n) {
		return err
	}
	return nil
}

var errTransient = errors.New("not now")

// boot starts a process on what survived.
func (w *world) boot() {
	err := errCrash
	w.boots++
	for errors.Is(err, errCrash) || errors.Is(err, state.ErrFull) { // a process that does not start is started again
		w.store.crashed = false
		w.consumer, err = w.newConsumer()
	}
	require.NoError(w.t, err)
	fanOut := func(ctx context.Context, ld plog.Logs) error {
		// As core's fan-out: every branch is tried, the errors are joined.
		return errors.Join(w.sinks[0].consume(ctx, ld), w.sinks[1].consume(ctx, ld))
	}
	failing := func() error { return w.maybe(25, errTransient) }
	w.inner = &counter{id: component.MustNewIDWithName("counter", "inner"), emitAt: 5, next: fanOut, fail: failing}
	w.outer = &counter{id: component.MustNewIDWithName("counter", "outer"), emitAt: 3, next: w.inner.consume, fail: failing}
	for _, s := range w.sinks {
		s.limit = func() { w.consumer.RequestCheckpoint() }
		s.unsent = func() bool { return w.consumer.anyUnsent() }
	}
}

func (w *world) newConsumer() (*Consumer, error) {
	return NewConsumer(w.log, w.store, Options{
		Pipeline: pipeline.NewID(pipeline.SignalLogs), MaxEvents: 4, MaxBytes: 100, MaxWait: 0, FirstEpoch: 1,
		CheckpointInterval: time.Hour, CheckpointBytes: 1 << 20, RetryInitial: 1, RetryMax: 1,
		Clock: &manualClock{time.Unix(0, w.log.now)}, Logger: zap.NewNop(),
		Raw:  w.boots%2 == 0, // a process may hand over bytes where the one before did not
		Next: func(ctx context.Context, ld plog.Logs) error { return w.outer.consume(ctx, ld) },
	})
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 0)), log: newMemLog(3), store: newMemStore(), fails: true}
	for i := range w.sinks {
		w.sinks[i] = &sink{t: t, rows: map[string][]string{}, window: 7, fail: func() (error, error) {
			err := errTransient
			if w.chance(2) {
				err = consumererror.NewPermanent(err) // one branch permanent, the other not, or not always
			}
			return w.maybe(12, err), w.maybe(12, err)
		}}
	}
	w.store.crash = func() (bool, bool) { return w.chance(40), w.chance(40) }
	w.store.full = func() bool { return w.chance(30) }
	w.boot()
	return w
}

// act does one random thing.
func (w *world) act(n int64) {
	switch r := w.rng.IntN(100); {
	case r < 30:
		p := w.rng.IntN(len(w.log.chunks))
		var records []record
		for range 1 + w.rng.IntN(6) {
			n = n*31 + 7
			records = append(records, record{key: string(rune('a' + w.rng.IntN(3))), n: 1 + (n&0xff)%50})
		}
		w.log.append(p, records...)
	case r < 36:
		w.log.tick(w.rng.IntN(len(w.log.chunks)))
	case r < 88:
		if w.consumer.anyUnsent() {
			_ = w.consumer.CheckpointNow(w.consumer.lifetime)
			break
		}
		_, _, _ = w.consumer.step(w.consumer.lifetime, w.consumer.partitions[w.rng.IntN(len(w.consumer.partitions))])
	case r < 97:
		_ = w.consumer.CheckpointNow(w.consumer.lifetime)
	default:
		w.store.crashed = w.fails
	}
	if w.store.crashed {
		w.boot()
		if w.rng.IntN(2) == 0 { // else as behind a processor that swallows empty batches
			w.consumer.probe(w.consumer.lifetime)
		}
	}
}

// settle lets everything that is in the log pass, without failures.
func (w *world) settle() {
	w.fails = false
	if w.store.crashed {
		w.boot()
	}
	w.consumer.probe(w.consumer.lifetime)
	for range 10_000 {
		done := !w.consumer.anyUnsent()
		for _, p := range w.consumer.partitions {
			if p.next < w.log.Next(p.id) && done {
				_, _, err := w.consumer.step(w.consumer.lifetime, p)
				require.NoError(w.t, err)
				done = false
			}
		}
		require.NoError(w.t, w.consumer.CheckpointNow(w.consumer.lifetime))
		if done {
			return
		}
	}
	w.t.Fatal("it does not settle")
}

// check compares what survived with the model: the log's records, in order, once.
func (w *world) check() {
	t := w.t
	for i, s := range w.sinks {
		stored := map[string]int{}
		var resultsOuter, resultsInner int64
		for _, rows := range s.rows {
			for _, r := range rows {
				stored[r]++
			}
		}
		want := map[string]int{}
		counts := map[string]int64{}
		var total int64
		for p, events := range w.log.events {
			for _, r := range events {
				if r.key == "" {
					continue
				}
				k := fmt.Sprint(p, r.key)
				counts[k]++
				total += r.n
				want[fmt.Sprint(r.key, map[string]any{"n": r.n, "counter/outer": counts[k], "counter/inner": counts[k]})]++
			}
		}
		for row, n := range stored {
			var sum int64
			if _, err := fmt.Sscanf(row, "result counter/outermap[counter/inner:%d n:%d]", new(int64), &sum); err == nil {
				resultsOuter += sum * int64(n)
				delete(stored, row)
			} else if _, err := fmt.Sscanf(row, "result counter/innermap[n:%d]", &sum); err == nil {
				resultsInner += sum * int64(n)
				delete(stored, row)
			}
		}
		require.Equal(t, want, stored, "sink %d: every record once, annotated as if nothing had failed", i)

		// What a stage has emitted and what it still has open is what it was given, each counted once.
		open := func(c *counter) (open, seen int64) {
			for _, tl := range c.state {
				open += tl.open
				seen += tl.sum
			}
			return open, seen
		}
		outerOpen, outerSeen := open(w.outer)
		require.Equal(t, total, outerSeen, "the outer stage's state")
		require.Equal(t, total, resultsOuter+outerOpen, "the outer stage's results in sink %d", i)
		innerOpen, innerSeen := open(w.inner)
		require.Equal(t, total+resultsOuter, innerSeen, "the inner stage's state: records and the outer stage's results")
		for p, chunks := range w.log.chunks {
			if len(chunks) == 0 || !chunks[len(chunks)-1].Tick {
				continue
			}
			for k, tl := range w.outer.state {
				if strings.HasPrefix(k, fmt.Sprint(p, "/")) {
					require.Zero(t, tl.open, "a tick closed %s, and no event came after it", k)
				}
			}
		}
		require.Equal(t, innerSeen, resultsInner+innerOpen, "the inner stage's results in sink %d", i)
	}
}

// TestRandomSchedulesOfFailuresAndCrashesLoseAndDoubleNothing runs a chain of two stateful stages and a fan-out of
// two sinks through random deliveries, failures, full disks, crashes around every commit, and restarts.
func TestRandomSchedulesOfFailuresAndCrashesLoseAndDoubleNothing(t *testing.T) {
	seeds := uint64(600)
	if testing.Short() {
		seeds = 60
	}
	for seed := range seeds {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for i := range int64(300) {
				w.act(i)
			}
			w.settle()
			w.check()
			left := map[string]bool{}
			for k := range w.store.data {
				if its, ok := strings.CutPrefix(k, string(w.consumer.keys.root)); ok {
					parts, _ := state.SplitKey([]byte(its))
					left[string(parts[0])] = true
				}
			}
			require.False(t, left["range"] || left["plan"], "a checkpoint deletes what it passes: %v", left)
		})
		if !ok {
			return
		}
	}
}
