// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

// Delivery is one attempt to hand one identity's records to a pipeline. It rides on the context of ConsumeLogs, which
// FromContext reads. It is valid until that call returns. Its methods may be called by any goroutine of the call.
type Delivery struct {
	// ID is the same for every attempt, before and after a crash.
	ID Identity
	// Attempt counts from 1 within this process.
	Attempt int
	// Restored says that an attempt from before the last start of the process may have reached any sink: what it
	// did there is in doubt. So it is after any attempt that failed.
	Restored bool
	// FirstAppended and LastAppended are the append times of the first and the last record, as the log wrote them:
	// processing time, non-decreasing along a partition, the same at every replay. Unix nanoseconds.
	FirstAppended, LastAppended int64
	// Runs cut the records of a range by append, in order: each record's own append time is its processing time. Empty for an
	// outbox batch.
	Runs []Run
	// Watermark is the emitting stage's, of an outbox batch: no later result of it is before this time. Unix nanoseconds.
	Watermark int64

	coordinator Coordinator
	// original reads the records of a range as the log has them; nil of what is no range.
	original func() (plog.Logs, error)

	mu      sync.Mutex // guards what is below; any goroutine of the call
	raw     []event.Chunk
	claimed map[component.ID]bool
	overlay []Overlay
}

// Run is records that were appended at once: what one request brought to the partition.
type Run struct {
	Records  int
	Appended int64 // Unix nanoseconds
	// First is the position of the append's first record, whether it is one of these or not: which append it is.
	First uint64
	// Ends says that the append has no records after these: it is not where a delivery has cut it.
	Ends bool
}

// Batch is what a component with state reads the records from that it was called with. The log hands bytes to a pipeline whose
// first component reads them (Options.Raw): that component, which was called with an empty ld, finds them here. It asks
// once: for whoever asks later, such as the component after it, the batch is ld. The bytes, and all views of them, are
// valid until ConsumeLogs returns, and are not to be changed; who needs pdata has it by Batch.Decode. d may be nil.
func (d *Delivery) Batch(ld plog.Logs) event.Batch {
	if d == nil {
		return event.FromLogs(ld)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.raw == nil {
		return event.FromLogs(ld)
	}
	b := event.FromBytes(d.raw)
	d.raw = nil
	return b
}

// unread says whether bytes of the log are left that nobody has asked for.
func (d *Delivery) unread() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.raw != nil
}

// InDoubt says whether an earlier attempt, of this process or one before, may have reached a sink.
func (d *Delivery) InDoubt() bool { return d.Restored || d.Attempt > 1 }

// Coordinator is the log's side of a delivery: one for each pipeline behind the log. Any goroutine may call it.
type Coordinator interface {
	// Enrol makes the component known to the pipeline, under its keyspace (pipeline, component). The first enrolment
	// of a process restores the component and passes on ticks and outbox batches that wait for it, all before it
	// returns. Enrolling the same component again does nothing.
	Enrol(ctx context.Context, id component.ID, p Participant) error

	// Plan returns what Bind last kept for this identity under the name; nil if nothing.
	Plan(id Identity, name string) ([]byte, error)
	// Bind keeps a plan: durable when it returns. It replaces an earlier one and is deleted by the checkpoint that
	// passes the identity.
	Bind(id Identity, name string, plan []byte) error
	// Kept and Keep are the same for what outlives deliveries and is shared by all of the pipeline, such as the
	// columns of a schema epoch, under a name that is a function of the content.
	Kept(name string) ([]byte, error)
	Keep(name string, value []byte) error

	// Checkpoint is the number of the last committed checkpoint of this pipeline, 0 before the first.
	Checkpoint() uint64
	// RequestCheckpoint asks for one as soon as the deliveries under way are done. It does not wait.
	RequestCheckpoint()
	// Partitions of the log: each is an input of the first stage, whether events have come from it or not.
	Partitions() uint32
	// Committed is the first position of the partition that the last checkpoint has not passed: deliveries before it
	// never come again.
	Committed(partition uint32) uint64
}

// New makes the delivery of one attempt.
func New(id Identity, attempt int, c Coordinator) *Delivery {
	return &Delivery{ID: id, Attempt: attempt, coordinator: c, claimed: map[component.ID]bool{}}
}

// Coordinator of the pipeline that this delivery is for.
func (d *Delivery) Coordinator() Coordinator { return d.coordinator }

// ErrSecondCall says that a sink was reached twice within one attempt: its deduplication would swallow the second
// batch, or store it under the first one's name.
var ErrSecondCall = errors.New("a second call within one delivery: two paths lead from the log to this exporter: " +
	"give each path an exporter of its own, such as clickhouse_events/two")

// Claim is called once by an exporter at the beginning of a call, and fails at the second one of the same attempt.
// The error is permanent: it blocks the pipeline visibly.
func (d *Delivery) Claim(id component.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.claimed[id] {
		return &BlockedError{Err: fmt.Errorf("%s: %w", id, ErrSecondCall)}
	}
	d.claimed[id] = true
	return nil
}

// Stage hands an overlay of a component's state to the log, which publishes or discards it when the whole call of
// ConsumeLogs has returned. A component stages at most one for each call that it gets.
func (d *Delivery) Stage(o Overlay) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.overlay = append(d.overlay, o)
}

// Publish makes all overlays the state, in the order in which they were staged. The log calls it.
func (d *Delivery) Publish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.overlay {
		o.Publish()
	}
	d.overlay = nil
}

// Discard forgets all overlays, the last staged first. The log calls it.
func (d *Delivery) Discard() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.overlay) - 1; i >= 0; i-- {
		d.overlay[i].Discard()
	}
	d.overlay = nil
}

// BlockedError is an error that no retry mends: if every branch of a pipeline fails so, the pipeline is blocked until
// an operator acts. Sinks that keep the promise return it only when going on would break the promise.
type BlockedError struct{ Err error }

func (e *BlockedError) Error() string { return e.Err.Error() }
func (e *BlockedError) Unwrap() error { return e.Err }

// Tick is what the log appends to a partition without events.
type Tick struct {
	Partition uint32
	Position  uint64
	// Appended is the time of the tick, in Unix nanoseconds: the partition's processing time.
	Appended int64
	// EventTime is what an idle partition may raise its own high mark of event time to: the least of the active partitions'
	// high marks when the tick was appended; if none was active, the highest of all, or a time that goes on with the clock.
	// 0 if no event has had a time. No tick says less than one before it that no event lies between. Unix nanoseconds.
	EventTime int64
}

type contextKey struct{}

// NewContext returns a context that carries the delivery.
func NewContext(ctx context.Context, d *Delivery) context.Context {
	return context.WithValue(ctx, contextKey{}, d)
}

// FromContext returns the delivery that the context carries, or nil: then no log stands before the component.
func FromContext(ctx context.Context) *Delivery {
	d, _ := ctx.Value(contextKey{}).(*Delivery)
	return d
}

// Participant is a stateful component in one pipeline behind the log. The log never calls it from two goroutines at
// once about the same partition, and calls Checkpoint, Committed and Aborted only while no delivery is under way.
type Participant interface {
	// Restore takes over the state of the last checkpoint, in place of any other. It is the first call, and comes
	// again, with nothing to take over, after a reset.
	Restore(ctx context.Context, s Snapshot) error
	// Tick tells that a partition's time has come so far without events. The overlay, which may be nil, is published
	// at once. The last of several ticks with no event between them stands for all.
	Tick(t Tick) (Overlay, error)
	// DirtyBytes is about what the next checkpoint would write for this component. Any goroutine may call it.
	DirtyBytes() int
	// Checkpoint closes what is due by the published state of all partitions, emits the results, and writes what
	// changed since the last checkpoint. It must be a function of the published state alone. Nothing of it counts
	// before Committed; after Aborted the same is asked again later.
	Checkpoint(w CheckpointWriter) error
	Committed()
	Aborted()
	// Send passes one batch that Checkpoint emitted on to the component's next consumer, with the given context.
	Send(ctx context.Context, batch OutboxBatch) error
}

// Overlay is the change that one delivery makes to a component's state.
type Overlay interface {
	Publish()
	Discard()
}

// Snapshot is the component's keyspace as of the last checkpoint. It stays usable: what a later checkpoint wrote is then
// in it. Any goroutine may call it.
type Snapshot interface {
	// Get returns a copy of the value, or false.
	Get(key []byte) (value []byte, found bool, err error)
	// Range calls f for every key with the prefix, in order. Key and value are f's until it returns.
	Range(prefix []byte, f func(key, value []byte) error) error
}

// CheckpointWriter takes what a component changed. It copies what it is given.
type CheckpointWriter interface {
	Set(key, value []byte)
	Delete(key []byte)
	// Emit adds a batch to the outbox. Batches of a component are sent in the order in which they were emitted.
	Emit(b OutboxBatch)
}

// OutboxBatch is results that became due.
type OutboxBatch struct {
	// Logs are OTLP protobuf bytes of the results.
	Logs []byte
	// Watermark of the emitting component, in Unix nanoseconds.
	Watermark int64
}

// Clock is what the log reads time from.
type Clock interface {
	Now() time.Time
	// After sends once when the duration has passed.
	After(d time.Duration) <-chan time.Time
}
