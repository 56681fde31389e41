// SPDX-License-Identifier: Apache-2.0

// Package deliverytest drives a real delivery.Consumer by hand over a log and a store in memory, for tests of components with
// state: deliveries of chosen sizes, ticks, failures, checkpoints, crashes. Nothing runs beside the test.
package deliverytest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pipeline"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
)

// Pipeline is the pipeline of a test: a log, a store and a sink, which survive a crash, and the components between, which do not.
type Pipeline struct {
	Log      *Log
	Store    *Store
	Sink     *Sink
	Consumer *delivery.Consumer
	// CrashAt, if set, is asked after everything that Deliver and Checkpoint do, and crashes the process there.
	CrashAt func() bool

	t     testing.TB
	raw   bool
	build Build
	parts []component.Component
}

// Build makes the components of one process, and returns the first of the pipeline and all that are to be started. The last
// of them has next as its next consumer.
type Build func(next consumer.Logs) (first consumer.Logs, components []component.Component)

// New pipeline, started.
func New(t testing.TB, partitions int, build Build) *Pipeline {
	t.Helper()
	return newPipeline(t, partitions, build, false)
}

// NewRaw pipeline, whose log hands over bytes, as event_log does to a component that reads them.
func NewRaw(t testing.TB, partitions int, build Build) *Pipeline {
	t.Helper()
	return newPipeline(t, partitions, build, true)
}

func newPipeline(t testing.TB, partitions int, build Build, raw bool) *Pipeline {
	t.Helper()
	p := &Pipeline{Log: NewLog(partitions), Store: NewStore(), Sink: NewSink(t), t: t, raw: raw, build: build}
	p.start()
	return p
}

// clock stands still, far behind everything: nothing waits for others.
type clock struct{}

func (clock) Now() time.Time                       { return time.Unix(0, 0) }
func (clock) After(time.Duration) <-chan time.Time { return nil }

const unbounded = 1 << 40

func (p *Pipeline) start() {
	p.t.Helper()
	p.Store.crashed = false
	first, parts := p.build(p.Sink)
	p.parts = parts
	for i := len(parts) - 1; i >= 0; i-- { // as the collector: from the sink to the source
		require.NoError(p.t, parts[i].Start(context.Background(), componenttest.NewNopHost()))
	}
	var err error
	for range 100 { // a process that ends at its start is started again
		p.Store.crashed = false
		p.Consumer, err = delivery.NewConsumer(p.Log, p.Store, delivery.Options{
			Pipeline: pipeline.NewID(pipeline.SignalLogs), MaxEvents: unbounded, MaxBytes: unbounded, FirstEpoch: 1,
			CheckpointInterval: time.Hour, CheckpointBytes: unbounded, RetryInitial: 1, RetryMax: 1,
			Clock: clock{}, Logger: zap.NewNop(), Next: first.ConsumeLogs, Raw: p.raw,
		})
		if !errors.Is(err, ErrCrash) {
			break
		}
	}
	require.NoError(p.t, err)
	p.Consumer.ProbeNow(context.Background())
}

// Append events to a partition, at that append time in Unix nanoseconds.
func (p *Pipeline) Append(partition uint32, appended int64, ld plog.Logs) {
	p.Log.Append(partition, appended, ld)
}

// Attempt makes the next n positions of the partition one delivery, or what is left of an earlier one that failed, and
// tries it once. A tick ends a delivery before n. It says whether anything was passed.
func (p *Pipeline) Attempt(partition uint32, n int) (bool, error) {
	p.t.Helper()
	p.Log.Show(partition, p.Consumer.DeliveredTo(partition)+uint64(n))
	passed, err := p.Consumer.StepNow(context.Background(), partition)
	p.crashMaybe()
	return passed, err
}

// Deliver passes the next n positions of the partition in one delivery, or more where ticks or earlier deliveries cut them; it
// tries again after each failure.
func (p *Pipeline) Deliver(partition uint32, n int) {
	p.t.Helper()
	p.deliverTo(partition, p.Consumer.DeliveredTo(partition)+uint64(n))
}

func (p *Pipeline) deliverTo(partition uint32, to uint64) {
	p.t.Helper()
	p.Log.Show(partition, to)
	to = min(to, p.Log.Appended(partition))
	for failures := 0; p.Consumer.DeliveredTo(partition) < to; {
		_, err := p.Consumer.StepNow(context.Background(), partition)
		if failures++; err == nil {
			failures = 0
		}
		if failures > 1000 {
			require.NoError(p.t, err, "a delivery of partition %d fails again and again", partition)
		}
		p.crashMaybe()
	}
}

// DeliverAll passes all that was appended, size positions at a time, the partitions in turn. size 0 takes all at once.
func (p *Pipeline) DeliverAll(size int) {
	p.t.Helper()
	if size == 0 {
		size = unbounded
	}
	for more := true; more; {
		more = false
		for partition := range p.Log.Partitions() {
			p.Deliver(partition, size)
		}
		for partition := range p.Log.Partitions() { // a crash takes back what others had
			more = more || p.Consumer.DeliveredTo(partition) < p.Log.Appended(partition)
		}
	}
}

// Checkpoint commits, and sends what became due; it tries again after each failure.
func (p *Pipeline) Checkpoint() {
	p.t.Helper()
	for range 1000 {
		err := p.Consumer.CheckpointNow(context.Background())
		if p.crashMaybe(); err == nil {
			return
		}
	}
	p.t.Fatal("a checkpoint fails again and again")
}

// Settle delivers and checkpoints until nothing more comes: what one stage emits may make something due in the next.
func (p *Pipeline) Settle(size int) {
	p.t.Helper()
	p.DeliverAll(size)
	for range 1000 {
		batches := len(p.Sink.Batches)
		p.Checkpoint()
		p.Checkpoint()
		if len(p.Sink.Batches) == batches {
			return
		}
	}
	p.t.Fatal("it does not settle")
}

// Crash ends the process without a word and starts another one on what survived.
func (p *Pipeline) Crash() {
	p.t.Helper()
	p.start()
}

// Restart ends the process in order, with a last checkpoint, and starts another one.
func (p *Pipeline) Restart() {
	p.t.Helper()
	p.Checkpoint()
	for _, c := range p.parts {
		require.NoError(p.t, c.Shutdown(context.Background()))
	}
	p.start()
}

func (p *Pipeline) crashMaybe() {
	p.t.Helper()
	if p.Store.crashed || p.CrashAt != nil && p.CrashAt() {
		p.Crash()
	}
}
