// SPDX-License-Identifier: Apache-2.0

package window

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/watermark"
)

// EngineOptions of one Engine.
type EngineOptions struct {
	ID          component.ID
	Next        consumer.Logs
	Coordinator delivery.Coordinator
	Logger      *zap.Logger
	Observer    Observer
}

// Observer is told what happens, for metrics. Any goroutine calls it.
type Observer interface {
	// Events of an aggregation, by what became of them.
	Events(aggregation, outcome string, n int64)
	// Skipped values of a function's column, which were not added.
	Skipped(aggregation, column, reason string, n int64)
	// Results that were emitted, by timing.
	Results(aggregation, timing string, n int64)
	// Dropped groups of a definition that is no more and cannot be read.
	Dropped(reason string, n int64)
}

// Engine is the state of a Plan in one pipeline.
type Engine struct {
	plan *Plan
	o    EngineOptions

	partitions uint32 // of the log

	mu     sync.Mutex // guards what follows, not what is in a part
	parts  map[uint32]*part
	inputs delivery.Inputs // of all calls so far
	stages []string        // by number
	later  [][]int64       // by aggregation: slices, by time, of whose changes no pane has told yet, as far as is known

	space *keyed.Space // set by Restore; its partitions are guarded by the log: one delivery of each at a time
	// What follows is Restore's and the checkpoint's, which the log never calls at once.
	notes   *notes
	pending *notes   // of the checkpoint under way
	closing *closing // likewise
	retired []*aggregation
	unknown []identity // of tables that no definition is known of

	more    atomic.Bool // something is due that the last checkpoint had no room for
	stats   atomic.Pointer[Stats]
	changed atomic.Bool  // a definition is no more, and has state
	due     atomic.Int64 // processing time of the next early panes
}

var _ delivery.Participant = (*Engine)(nil)

// NewEngine of a pipeline.
func NewEngine(plan *Plan, o EngineOptions) *Engine {
	e := &Engine{plan: plan, o: o, partitions: o.Coordinator.Partitions(), parts: map[uint32]*part{}, later: make([][]int64, len(plan.aggs))}
	e.stats.Store(&Stats{})
	return e
}

// part is one partition of the log, or one stage, as an input. It is one goroutine's at a time: the log's delivery, or the
// checkpoint.
type part struct {
	number uint32
	stage  bool
	reader *event.RowReader
	aggs   []aggState // as Plan.aggs
	keys   []rowKey   // as Plan.keys
	value  []byte     // scratch
}

// rowKey is a group key of the row at hand.
type rowKey struct {
	row  int // that it is of, from 1
	key  []byte
	hash uint64
}

// aggState is what a part knows of its tables of an aggregation. All but touched is looked up again after forget.
type aggState struct {
	set      *aggregate.Set
	current  *slice
	slices   map[int64]*slice
	sessions *keyed.Table
	started  *keyed.Table
	changed  *keyed.Table
	// touched are the slices that have changed since panes were last looked for.
	touched map[int64]struct{}
}

// slice is a table with the time that it is for.
type slice struct {
	start, end  int64
	table, rows *keyed.Table
}

// forget tables: some may be gone.
func (p *part) forget() {
	for i := range p.aggs {
		s := &p.aggs[i]
		s.current, s.sessions, s.started, s.changed = nil, nil, nil, nil
		clear(s.slices)
	}
}

func (e *Engine) newPart(number uint32) *part {
	p := &part{
		number: number, stage: number > e.partitions, reader: e.plan.fields.Reader(),
		aggs: make([]aggState, len(e.plan.aggs)), keys: make([]rowKey, len(e.plan.keys)),
	}
	if p.stage {
		p.reader = e.plan.stageFields.Reader()
	}
	for i, a := range e.plan.aggs {
		p.aggs[i] = aggState{set: a.set.Clone(), slices: map[int64]*slice{}, touched: map[int64]struct{}{}}
	}
	return p
}

// part that the delivery is for.
func (e *Engine) part(d *delivery.Delivery) *part {
	e.mu.Lock()
	defer e.mu.Unlock()
	number := d.ID.Partition
	if d.ID.Stage != "" {
		number = e.stage(d.ID.Stage)
	}
	p := e.parts[number]
	if p == nil {
		p = e.newPart(number)
		e.parts[number] = p
	}
	return p
}

// shared is the partition that no input has: what checkpoints alone change.
func (e *Engine) shared() uint32 { return e.partitions }

// stage returns the number of the stage's partition, a new one for one that was not there. The caller holds mu.
func (e *Engine) stage(name string) uint32 {
	i := slices.Index(e.stages, name)
	if i < 0 {
		i = len(e.stages)
		e.stages = append(e.stages, name)
	}
	return e.partitions + 1 + uint32(i)
}

// See takes note of the inputs of a call.
func (e *Engine) See(in delivery.Inputs) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inputs.Partitions = e.inputs.Partitions || in.Partitions
	e.inputs.Panes = e.inputs.Panes || in.Panes
	for _, s := range in.Stages {
		if !slices.Contains(e.inputs.Stages, s) {
			e.inputs.Stages = append(e.inputs.Stages, s)
		}
	}
}

func (e *Engine) seen() delivery.Inputs {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.inputs
}

// find the plan's aggregation.
func (e *Engine) find(id identity) *aggregation {
	for _, a := range e.plan.aggs {
		if a.id == id {
			return a
		}
	}
	return nil
}

// Tick implements delivery.Participant.
func (e *Engine) Tick(t delivery.Tick) (delivery.Overlay, error) {
	n, err := readInput(e.space.Meta(t.Partition))
	if err != nil {
		return nil, err
	}
	j := e.space.Begin(t.Partition)
	n.input.Tick(t.Appended, t.EventTime)
	e.space.SetMeta(t.Partition, n.append(nil))
	e.wantEarly(n.input.Appended)
	return j, nil
}

// wantEarly asks for a checkpoint when early panes are due.
func (e *Engine) wantEarly(now int64) {
	if due := e.due.Load(); due != watermark.Min && now >= due && e.due.CompareAndSwap(due, watermark.Min) {
		e.o.Coordinator.RequestCheckpoint()
	}
}

// DirtyBytes implements delivery.Participant.
func (e *Engine) DirtyBytes() int {
	n := e.space.DirtyBytes()
	if n == 0 && (e.more.Load() || e.changed.Load()) {
		return 1 // so that there is a checkpoint
	}
	return n
}

// Send implements delivery.Participant.
func (e *Engine) Send(ctx context.Context, b delivery.OutboxBatch) error {
	ld, err := delivery.DecodeOutbox(b)
	if err != nil {
		return err
	}
	return e.o.Next.ConsumeLogs(e.Context(ctx), ld)
}

// Context for calls of the next consumer.
func (e *Engine) Context(ctx context.Context) context.Context {
	return delivery.WithStage(ctx, e.o.ID, e.plan.Passes(), e.plan.Panes())
}
