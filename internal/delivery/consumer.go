// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pipeline"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/state"
)

// Options of a Consumer. All fields are required unless they say otherwise.
type Options struct {
	Pipeline pipeline.ID
	// Next is the pipeline. It must have handed everything on when it returns nil.
	Next func(ctx context.Context, ld plog.Logs) error
	// Raw hands over bytes: Next is called with an empty batch, and the first component of the pipeline reads the records from the
	// delivery on the context (Delivery.Batch). See HandsOverBytes.
	Raw bool
	// StartAtEnd makes a consumer that the store does not know begin after what is in the log now.
	StartAtEnd bool
	// Reset is carried out before anything else, unless it was before. It may be nil.
	Reset *ResetRequest
	// FirstEpoch is the epoch of a consumer that the store does not know: more than any that the log has seen.
	FirstEpoch uint64

	MaxEvents int           // positions of one delivery
	MaxBytes  int           // uncompressed bytes after which a delivery takes no further chunk
	MaxWait   time.Duration // how long a record may wait for others to fill its delivery

	CheckpointInterval time.Duration
	CheckpointBytes    int // of what components changed since the last one

	RetryInitial, RetryMax time.Duration
	// Grace is how long Stop lets deliveries that are under way finish.
	Grace time.Duration

	Clock  Clock
	Logger *zap.Logger
	// Hold keeps the log from removing anything until what it returns is called. It may be nil.
	Hold func() (release func())
	// Observer may be nil.
	Observer *Observer
}

// Observer is told what happens, for metrics. Its functions may be nil and are called by any goroutine.
type Observer struct {
	Delivered     func(events int, took time.Duration)
	Failed        func(err error, blocked bool)
	Checkpointed  func(took time.Duration, err error)
	OutboxBatches func(n int)
	// Blocked tells that deliveries of the pipeline are, or are no longer, blocked by an error that no retry mends.
	Blocked func(err error)
}

// Consumer is one pipeline's side of the log, and its Coordinator. See the package's documentation for what holds.
type Consumer struct {
	o     Options
	log   Log
	store state.Store
	keys  keys

	// gate: a step of a partition holds it for reading, a checkpoint, reset or skip for writing. So whoever holds it for
	// writing has all partitions drained: each is between two attempts.
	gate sync.RWMutex

	partitions []*partition // fixed; each is its worker's alone, or the gate's writer's

	mu      sync.Mutex // guards record, parts; any goroutine
	record  consumerRecord
	parts   map[string]*enrolled
	wanted  chan struct{} // holds one token when a checkpoint is requested
	blocked map[uint32]error

	// outbox is what the last checkpoint emitted and nobody has acknowledged, by stage, in order. Guarded by mu; what
	// is sent is sent by the gate's writer or within Enrol of its stage.
	outbox map[string][]outboxItem
	sent   []outboxItem // acknowledged, not deleted yet; guarded by mu

	// committed are the record's positions, for readers that must not wait. Written under mu.
	committed []atomic.Uint64

	lifetime context.Context // ends when deliveries under way are to be given up
	giveUp   context.CancelFunc
	stop     chan struct{} // closed when no further delivery is to be handed out
	workers  sync.WaitGroup
}

var _ Coordinator = (*Consumer)(nil)

// span is a range of positions of one partition.
type span struct {
	first, last uint64
	restored    bool // it was recorded by an earlier process, or an earlier attempt failed
}

type partition struct {
	id      uint32
	next    uint64 // the first position that no delivery has passed
	pending []span // recorded by an earlier process, to be handed out again as they are, ascending
	current *span  // recorded, not passed
	attempt int
	blocked bool
	filling filling
	head    atomic.Uint64 // next, for metrics
	// moved holds a token when an operator has moved next: the worker, which may be waiting for records or for a
	// time-out, looks again.
	moved chan struct{}
}

func (p *partition) wake() {
	select {
	case p.moved <- struct{}{}:
	default:
	}
}

// filling is the delivery that is being gathered.
type filling struct {
	from     uint64 // the partition's next when it began
	to       uint64 // the first position not looked at
	records  int
	bytes    int
	appended int64 // of the first record
	complete bool
	tick     *Chunk
}

// NewConsumer restores a pipeline's positions, and what was under way, from the store. A position that the log lacks
// is an error: nothing is skipped or taken twice to make them fit.
func NewConsumer(log Log, store state.Store, o Options) (*Consumer, error) {
	incarnation := log.Incarnation()
	c := &Consumer{
		o: o, log: log, store: store, keys: newKeys(incarnation, o.Pipeline),
		parts: map[string]*enrolled{}, wanted: make(chan struct{}, 1), blocked: map[uint32]error{},
		outbox:    map[string][]outboxItem{},
		committed: make([]atomic.Uint64, log.Partitions()),
		stop:      make(chan struct{}),
	}
	c.lifetime, c.giveUp = context.WithCancel(context.Background())
	if err := c.restore(); err != nil {
		return nil, fmt.Errorf("restoring consumer %s: %w", o.Pipeline, err)
	}
	return c, nil
}

func (c *Consumer) restore() error {
	value, known, err := c.store.Get(c.keys.record())
	if err != nil {
		return fmt.Errorf("reading its record: %w", err)
	}
	n := c.log.Partitions()
	if known {
		if err := json.Unmarshal(value, &c.record); err != nil {
			return fmt.Errorf("reading its record: %w", err)
		}
		if len(c.record.Positions) != int(n) {
			return fmt.Errorf("it has positions for %d partitions and the log has %d", len(c.record.Positions), n)
		}
	} else {
		epoch, err := c.firstEpoch()
		if err != nil {
			return err
		}
		c.record = consumerRecord{Name: c.o.Pipeline.String(), Epoch: epoch, Positions: make([]uint64, n)}
		if c.o.Reset != nil { // a consumer that begins has nothing to reset
			c.record.Resets = []string{c.o.Reset.Name}
		}
		for p := range n {
			if c.record.Positions[p] = c.log.First(p); c.o.StartAtEnd {
				c.record.Positions[p] = c.log.Next(p)
			}
		}
		// Durable before anything is handed out: where a consumer began must not be decided twice.
		var b state.Batch
		b.Set(c.keys.record(), c.record.bytes())
		b.Set(nameKey(c.log.Incarnation(), c.record.Name), state.Uint64(epoch))
		if err := c.store.Commit(&b); err != nil {
			return fmt.Errorf("recording where it begins: %w", err)
		}
	}
	if r := c.o.Reset; r != nil && known && !slices.Contains(c.record.Resets, r.Name) {
		if err := c.commitReset(&c.record, *r); err != nil {
			return err
		}
	}
	for p := range n {
		at := c.record.Positions[p]
		if first := c.log.First(p); at < first {
			return &PositionError{Pipeline: c.o.Pipeline, Partition: p, Position: at, First: first, Next: c.log.Next(p)}
		}
		if next := c.log.Next(p); at > next {
			return &PositionError{Pipeline: c.o.Pipeline, Partition: p, Position: at, First: c.log.First(p), Next: next}
		}
		part := &partition{id: p, next: at, moved: make(chan struct{}, 1)}
		part.head.Store(at)
		c.committed[p].Store(at)
		c.partitions = append(c.partitions, part)
	}
	if err := c.restoreSpans(); err != nil {
		return err
	}
	return c.restoreOutbox()
}

// firstEpoch of a consumer that begins: beyond those of any that had its name in identities, be it one that was removed
// or one that has another name by now. Sinks would take its deliveries for repetitions of theirs.
func (c *Consumer) firstEpoch() (uint64, error) {
	value, taken, err := c.store.Get(nameKey(c.log.Incarnation(), c.o.Pipeline.String()))
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading the epochs of its name: %w", err)
	case !taken:
		return c.o.FirstEpoch, nil
	case len(value) != 8:
		return 0, fmt.Errorf("the epochs of its name are not readable: %x", value)
	}
	return max(c.o.FirstEpoch, binary.BigEndian.Uint64(value)+epochsOfName), nil
}

// restoreSpans reads the ranges that were handed out and not passed. They come again as they were, in their order.
func (c *Consumer) restoreSpans() error {
	prefix := c.keys.key("range")
	return c.store.Range(prefix, state.PrefixEnd(prefix), func(key, value []byte) error {
		parts, ok := state.SplitKey(key[len(prefix):])
		if !ok || len(parts) != 2 || len(parts[0]) != 8 || len(parts[1]) != 8 || len(value) != 8 {
			return fmt.Errorf("a recorded range is not readable: key %x, value %x", key, value)
		}
		p, s := binary.BigEndian.Uint64(parts[0]), span{
			first: binary.BigEndian.Uint64(parts[1]), last: binary.BigEndian.Uint64(value), restored: true,
		}
		if p >= uint64(len(c.partitions)) {
			return fmt.Errorf("a recorded range is of partition %d and the log has %d", p, len(c.partitions))
		}
		part := c.partitions[p]
		if s.last < part.next {
			return nil // passed: a checkpoint deletes it
		}
		if next := c.log.Next(part.id); s.last >= next {
			return &PositionError{Pipeline: c.o.Pipeline, Partition: part.id, Position: s.last, First: c.log.First(part.id), Next: next}
		}
		part.pending = append(part.pending, s)
		return nil
	})
}

// PositionError says that a position that the state store names is not in the log.
type PositionError struct {
	Pipeline              pipeline.ID
	Partition             uint32
	Position, First, Next uint64
}

func (e *PositionError) Error() string {
	return fmt.Sprintf("consumer %s is at position %d of partition %d, but the log holds %d to %d: log and state are not of one time. "+
		"Bring back the directory that is older or missing; or, to go on with what is in the log and have it delivered anew, "+
		"reset the consumer (consumers::%s::reset)", e.Pipeline, e.Position, e.Partition, e.First, e.Next, e.Pipeline)
}

// Positions are, by partition, the first that no checkpoint has passed: retention must keep what is from there on.
func (c *Consumer) Positions() []uint64 {
	positions := make([]uint64, len(c.committed))
	for p := range c.committed {
		positions[p] = c.committed[p].Load()
	}
	return positions
}

// Delivered are, by partition, the first position that no delivery has passed in this process.
func (c *Consumer) Delivered() []uint64 {
	positions := make([]uint64, len(c.partitions))
	for p, part := range c.partitions {
		positions[p] = part.head.Load()
	}
	return positions
}

// DeliveredTo is one of Delivered.
func (c *Consumer) DeliveredTo(partition uint32) uint64 { return c.partitions[partition].head.Load() }

// Committed implements Coordinator.
func (c *Consumer) Committed(partition uint32) uint64 {
	if int(partition) >= len(c.committed) {
		return 0
	}
	return c.committed[partition].Load()
}

// Partitions implements Coordinator.
func (c *Consumer) Partitions() uint32 { return c.log.Partitions() }

// Checkpoint implements Coordinator.
func (c *Consumer) Checkpoint() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record.Checkpoint
}

// Epoch is raised by every reset.
func (c *Consumer) Epoch() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record.Epoch
}

// RequestCheckpoint implements Coordinator.
func (c *Consumer) RequestCheckpoint() {
	select {
	case c.wanted <- struct{}{}:
	default: // one is asked for already
	}
}

// Plan implements Coordinator.
func (c *Consumer) Plan(id Identity, name string) ([]byte, error) {
	plan, _, err := c.store.Get(c.keys.plan(id, name))
	if err != nil {
		return nil, fmt.Errorf("reading plan %s of %s: %w", name, id, err)
	}
	return plan, nil
}

// Bind implements Coordinator.
func (c *Consumer) Bind(id Identity, name string, plan []byte) error {
	var b state.Batch
	b.Set(c.keys.plan(id, name), plan)
	if err := c.store.Commit(&b); err != nil {
		return fmt.Errorf("binding plan %s of %s: %w", name, id, err)
	}
	return nil
}

// Kept implements Coordinator.
func (c *Consumer) Kept(name string) ([]byte, error) {
	value, _, err := c.store.Get(c.keys.key("kept", []byte(name)))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return value, nil
}

// Keep implements Coordinator.
func (c *Consumer) Keep(name string, value []byte) error {
	var b state.Batch
	b.Set(c.keys.key("kept", []byte(name)), value)
	if err := c.store.Commit(&b); err != nil {
		return fmt.Errorf("keeping %s: %w", name, err)
	}
	return nil
}

func (c *Consumer) identity() Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	var id pipeline.ID
	if err := id.UnmarshalText([]byte(c.record.Name)); err != nil {
		id = c.o.Pipeline // a name that the configuration took once is a name
	}
	return Identity{Incarnation: c.log.Incarnation(), Epoch: c.record.Epoch, Pipeline: id}
}

// Blocked returns the errors that block partitions, by partition; empty if none is blocked.
func (c *Consumer) Blocked() map[uint32]error {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[uint32]error, len(c.blocked))
	for p, err := range c.blocked {
		out[p] = err
	}
	return out
}

func (c *Consumer) componentNames() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.record.Components)
}
