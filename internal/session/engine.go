// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/watermark"
)

// Config says what a session is.
type Config struct {
	// Definition is what the bytes of a key's sessions depend on. Sessions of another one that are open close as they are.
	Definition
	// Gap is the longest time between two events of a session.
	Gap time.Duration
	// MaxDuration is what a session is shorter than. 0 is no bound.
	MaxDuration time.Duration
	Time        watermark.Config
	// PreviousWithin is how long after its end a session is still named as the previous one of the next.
	PreviousWithin time.Duration
	// CutEvents begin a session, by name.
	CutEvents []string
	// CutDay ends sessions at midnight in this time zone; nil does not.
	CutDay *time.Location
	// MaxBytes of memory.
	MaxBytes int
}

// Bounds of one key.
const (
	maxKeyBytes       = 1024
	maxSessionsPerKey = 64
	// maxFuturePerKey is how many of them events of the future may begin: those are open for as long as their sender likes, and are not to
	// keep the visitor's own events out.
	maxFuturePerKey = maxSessionsPerKey / 2
)

// Engine has the sessions of one pipeline. Partitions run side by side.
type Engine struct {
	cfg       Config
	plan      *plan // of the configuration's definition
	names     map[string]bool
	keepAfter int64 // nanoseconds after its end for which a closed session is kept

	space      *keyed.Space
	partitions uint32
	workers    sync.Pool // of *worker

	// The checkpoint's alone.
	plans   map[string]*plan // by table name, of older definitions
	emitted int64            // watermark of the last results
	pending int64            // of those that the checkpoint under way emits
	moreDue bool
	closing []Summary
	closed  int
}

// New engine, which has no state before Restore.
func New(cfg Config) (*Engine, error) {
	p, err := newPlan(cfg.Definition)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, plan: p, names: map[string]bool{}, plans: map[string]*plan{}}
	for _, n := range cfg.CutEvents {
		e.names[n] = true
	}
	e.keepAfter = int64(max(cfg.PreviousWithin, 0))
	e.workers.New = func() any { return newWorker(e) }
	return e, nil
}

const (
	tablePrefix    = "sessions/"
	finishedPrefix = "finished/" // before the name of their table
	namesTable     = "names"
	plansTable     = "definitions"
)

// Restore takes over the state of the last checkpoint.
func (e *Engine) Restore(s delivery.Snapshot, partitions uint32) error {
	space, err := keyed.Restore(s, keyed.Options{MaxBytes: e.cfg.MaxBytes})
	if err != nil {
		return err
	}
	e.space, e.partitions, e.emitted = space, partitions, watermark.Min
	clear(e.plans)
	e.plans[e.plan.table] = e.plan
	for _, part := range space.Partitions() {
		if m := space.Meta(part); len(m) != 0 && len(m) != watermark.Size && len(m) != watermark.Size+8 { // earlier releases kept no append
			return fmt.Errorf("partition %d: %w", part, errValue)
		}
		for t := range space.Tables(part) {
			if err := e.adopt(t); err != nil {
				return fmt.Errorf("table %s of partition %d: %w", t.Name(), part, err)
			}
		}
	}
	return nil
}

// adopt checks a table's values, and makes the plan of an older definition.
func (e *Engine) adopt(t *keyed.Table) error {
	name, finished := strings.CutPrefix(t.Name(), finishedPrefix)
	if !strings.HasPrefix(name, tablePrefix) {
		t.Pin() // names and definitions
		return nil
	}
	p := e.plans[name]
	if p == nil {
		text, ok := e.storedPlan(name)
		if !ok {
			return errors.New("its definition is missing")
		}
		old, err := parsePlan(text)
		if err != nil {
			return fmt.Errorf("reading its definition: %w", err)
		}
		p = old
		e.plans[name] = p
	}
	var wrong error
	t.Resident(func(r keyed.Ref) bool {
		value := t.Value(r)
		if finished {
			n, k := binary.Uvarint(value)
			if k <= 0 || uint64(len(value)-k) < n {
				wrong = errValue
				return false
			}
			value = value[k : len(value)-int(n)]
			t.Pin()
		}
		wrong = check(value, p.check)
		return wrong == nil
	})
	return wrong
}

// storedPlan is beside the sessions of a partition, so that they can be closed under another configuration.
func (e *Engine) storedPlan(name string) (string, bool) {
	for _, part := range e.space.Partitions() {
		plans, ok := e.space.Lookup(part, plansTable)
		if !ok {
			continue
		}
		key := []byte(name)
		if r, ok := plans.Find(keyed.Hash(key), key); ok {
			return string(plans.Value(r)), true
		}
	}
	return "", false
}

// table has the partition's sessions.
func (e *Engine) table(part uint32) *keyed.Table {
	if t, ok := e.space.Lookup(part, e.plan.table); ok {
		return t
	}
	plans := e.space.Table(part, plansTable)
	plans.Pin()
	key := []byte(e.plan.table)
	hash := keyed.Hash(key)
	if _, ok := plans.Find(hash, key); !ok {
		copy(plans.Edit(plans.Insert(hash, key, len(e.plan.text))), e.plan.text)
	}
	return e.space.Table(part, e.plan.table)
}

// input is the partition's event time.
func (e *Engine) input(part uint32) watermark.Input {
	in, _ := e.seen(part)
	return in
}

// seen is the partition's event time, and the position of the append that its last event came with.
func (e *Engine) seen(part uint32) (in watermark.Input, from uint64) {
	in, rest, err := watermark.Parse(e.space.Meta(part))
	if err != nil { // nothing was seen: Restore has checked it
		return watermark.New(), 0
	}
	if len(rest) == 8 {
		from = binary.BigEndian.Uint64(rest)
	}
	return in, from
}

func (e *Engine) setSeen(part uint32, in *watermark.Input, from uint64) {
	e.space.SetMeta(part, binary.BigEndian.AppendUint64(in.Append(nil), from))
}

// Tick tells that a partition's time has come so far without events.
func (e *Engine) Tick(t delivery.Tick) delivery.Overlay {
	j := e.space.Begin(t.Partition)
	in, from := e.seen(t.Partition)
	in.Tick(t.Appended, t.EventTime)
	e.setSeen(t.Partition, &in, from)
	return j
}

// Watermark is the least of all partitions: Min until each has shown an event or was ticked.
func (e *Engine) Watermark() int64 {
	marks := make([]int64, e.partitions)
	for part := range marks {
		in := e.input(uint32(part))
		marks[part] = in.Watermark(&e.cfg.Time)
	}
	return watermark.Least(marks...)
}

// DirtyBytes is about what the next checkpoint writes. Any goroutine may call it.
func (e *Engine) DirtyBytes() int {
	if e.space == nil {
		return 0
	}
	return e.space.DirtyBytes()
}

// Bytes is about what the state takes in memory. Any goroutine may call it once the state is restored.
func (e *Engine) Bytes() int { return e.space.Bytes() }

// Outcome of an event.
type Outcome uint8

// The outcomes.
const (
	Joined   Outcome = iota // it is in a session
	Started                 // it began one
	Late                    // it came too late
	NoKey                   // it lacks a field of the key, or its key is too long
	TooMany                 // its key has too many sessions open
	Failed                  // it failed at the door
	Outcomes                // how many there are
)

// String names the outcome as metrics do.
func (o Outcome) String() string {
	return [...]string{"joined", "started", "late", "no_key", "too_many_sessions", "failed"}[o]
}

// Mark is what an event is annotated with.
type Mark struct {
	Outcome Outcome
	Client  bool // the event keeps its own session.id
	// Ordinal of the event in its session, from 1, in the order of arrival.
	Ordinal uint32
	ID      ID
}

// Applied is what became of a delivery.
type Applied struct {
	delivery.Overlay
	Marks    []Mark
	Outcomes [Outcomes]int
	Future   int // of those that joined or started: events ahead of their append time
	Merged   int
	Skips    []Skip
}

// Skip is values that an aggregate could not take.
type Skip struct {
	Aggregate string
	Reason    aggregate.Reason
	Values    uint32
}

// fieldNames are all references that a worker reads, without repetition.
type fieldNames []string

func (f *fieldNames) index(name string) int {
	if i := slices.Index(*f, name); i >= 0 {
		return i
	}
	*f = append(*f, name)
	return len(*f) - 1
}
