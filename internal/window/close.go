// SPDX-License-Identifier: Apache-2.0

package window

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/watermark"
)

// maxCheckpointBytes of results that one checkpoint emits before it leaves further windows to the next: a checkpoint is one
// write of the state store. What one window holds is emitted at once.
const maxCheckpointBytes = 32 << 20

// closing is one checkpoint's work.
type closing struct {
	e     *Engine
	w     delivery.CheckpointWriter
	notes *notes
	// State by aggregation, as it was found.
	found map[identity]*found
	// all inputs' least watermarks, and those of the log's partitions alone.
	all, log watermarks
	now      int64 // the latest processing time of any input

	held      []byte // the last batch, until it is known that it is
	hasHeld   bool
	emitted   int // bytes
	full      bool
	results   map[string][3]int64 // by aggregation: early, on time, late
	values    []aggregate.Value
	refs      []keyed.Ref
	id        []byte
	acc       []byte
	looked    []look
	dropped   map[string]int64
	nextEarly int64
	waits     bool // changed windows have early panes to come
}

// look is that what changed of an aggregation was looked at for panes, but for the slices from `until` on: no window that has them was among those
// that have panes.
type look struct {
	of    *aggregation
	until int64
	all   []int64 // the slices that there are, by time
}

// watermarks are the least ones of several inputs.
type watermarks struct{ event, processing int64 }

// found is the tables of one aggregation.
type found struct {
	slices   map[int64][]sliceTable
	sessions []sliceTable
	started  []*keyed.Table
	panes    map[int64]*keyed.Table
	changed  []changedTable
}

// changedTable is a table of kindChanged, and which of them.
type changedTable struct {
	at    int64
	table *keyed.Table
}

// sliceTable is a table of a part. rows says that it is kindRows.
type sliceTable struct {
	part  uint32
	table *keyed.Table
	rows  bool
}

// lateness that the aggregation allows.
func (e *Engine) lateness(a *aggregation) int64 {
	if a.processing {
		return 0
	}
	return int64(e.plan.o.Watermark.AllowedLateness)
}

// Checkpoint implements delivery.Participant.
func (e *Engine) Checkpoint(w delivery.CheckpointWriter) error {
	e.space.Meta(e.shared()) // so that it is among those that can be undone
	e.space.BeginCheckpoint()
	c := &closing{
		e: e, w: w, notes: e.notes.clone(), results: map[string][3]int64{}, dropped: map[string]int64{}, nextEarly: math.MaxInt64,
	}
	e.mu.Lock()
	c.notes.Stages = slices.Clone(e.stages)
	e.mu.Unlock()
	if err := c.watermarks(); err != nil {
		return err
	}
	c.find()
	c.dropUnknown()
	for _, a := range e.retired {
		if err := c.retire(a); err != nil {
			return fmt.Errorf("closing %s: %w", a.def.Name, err)
		}
	}
	emitted := int64(math.MaxInt64)
	for _, a := range e.plan.aggs {
		least, err := c.close(a)
		if err != nil {
			return fmt.Errorf("closing %s: %w", a.def.Name, err)
		}
		emitted = min(emitted, least)
	}
	c.finish(max(emitted, c.notes.Emitted))
	c.notes.Now = c.now
	if b := c.notes.bytes(); !bytes.Equal(b, e.space.Meta(e.shared())) {
		e.space.SetMeta(e.shared(), b)
	}
	for _, number := range e.space.Partitions() {
		if err := e.space.Err(number); err != nil {
			return err
		}
	}
	if err := e.space.Checkpoint(w); err != nil {
		return err
	}
	e.pending = c.notes
	e.closing = c
	return nil
}

// Committed implements delivery.Participant.
func (e *Engine) Committed() {
	e.space.Committed()
	c := e.closing
	e.notes, e.pending, e.closing = e.pending, nil, nil
	e.retired, e.unknown = nil, nil
	e.changed.Store(false)
	e.forget(c.looked)
	e.more.Store(c.full || c.waits)
	e.due.Store(watermark.Min)
	if c.nextEarly != math.MaxInt64 {
		e.due.Store(c.nextEarly)
	}
	for name, n := range c.results {
		for i, timing := range []result.Timing{result.Early, result.OnTime, result.Late} {
			if n[i] > 0 {
				e.o.Observer.Results(name, string(timing), n[i])
			}
		}
	}
	for reason, n := range c.dropped {
		e.o.Observer.Dropped(reason, n)
	}
	e.measure(c)
	if c.full {
		e.o.Coordinator.RequestCheckpoint()
	}
}

// Aborted implements delivery.Participant.
func (e *Engine) Aborted() {
	e.space.Aborted()
	e.pending, e.closing = nil, nil
	e.forget(nil)
}

// forget what parts know of their tables, and which slices changed that were looked at.
func (e *Engine) forget(looked []look) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.parts {
		p.forget()
	}
	for _, l := range looked {
		n := slices.Index(e.plan.aggs, l.of)
		var later []int64
		for _, s := range l.all {
			if s >= l.until && e.changedSlice(n, s) {
				later = append(later, s)
			}
		}
		for _, p := range e.parts {
			clear(p.aggs[n].touched)
		}
		e.later[n] = later
	}
}

// changedSlice says whether a slice has changed since panes were last looked for, or since any window has told of it. The caller has locked mu.
func (e *Engine) changedSlice(n int, s int64) bool {
	if _, ok := slices.BinarySearch(e.later[n], s); ok {
		return true
	}
	for _, p := range e.parts {
		if _, ok := p.aggs[n].touched[s]; ok {
			return true
		}
	}
	return false
}

// watermarks of all inputs.
func (c *closing) watermarks() error {
	e := c.e
	c.all, c.now = watermarks{math.MaxInt64, math.MaxInt64}, watermark.Min
	in := e.seen()
	see := func(number uint32, stage bool) error {
		n, err := readInput(e.space.Meta(number))
		if err != nil {
			return err
		}
		at := n.input.Watermark(&e.plan.o.Watermark)
		processing := n.input.Appended
		if stage {
			processing = at
		}
		c.all.event, c.all.processing, c.now = min(c.all.event, at), min(c.all.processing, processing), max(c.now, processing)
		return nil
	}
	if in.Partitions {
		for p := range e.partitions {
			if err := see(p, false); err != nil {
				return err
			}
		}
	}
	c.log = c.all
	for _, s := range in.Stages {
		e.mu.Lock()
		number := e.stage(s)
		e.mu.Unlock()
		if err := see(number, true); err != nil {
			return err
		}
	}
	if !in.Partitions {
		c.log = c.all
	}
	if c.all.event == math.MaxInt64 { // no inputs
		c.all, c.log = watermarks{watermark.Min, watermark.Min}, watermarks{watermark.Min, watermark.Min}
	}
	return nil
}

// watermark that the aggregation closes by: of all inputs, or of those of the log if it takes nothing else. A session's end comes long
// after its events, and is to hold back no count of those.
func (c *closing) watermark(a *aggregation) int64 {
	of := &c.all
	if len(a.events) == 0 {
		of = &c.log
	}
	if a.processing {
		return of.processing
	}
	return of.event
}

// find the tables of all aggregations.
func (c *closing) find() {
	c.found = map[identity]*found{}
	for _, number := range c.e.space.Partitions() {
		for t := range c.e.space.Tables(number) {
			id, kind, at, ok := parseName(t)
			if !ok {
				continue
			}
			f := c.found[id]
			if f == nil {
				f = &found{slices: map[int64][]sliceTable{}, panes: map[int64]*keyed.Table{}}
				c.found[id] = f
			}
			switch kind {
			case kindSlice, kindRows:
				f.slices[at] = append(f.slices[at], sliceTable{number, t, kind == kindRows})
			case kindSessions:
				f.sessions = append(f.sessions, sliceTable{number, t, false})
			case kindStarted:
				f.started = append(f.started, t)
			case kindPanes:
				f.panes[at] = t
			case kindChanged:
				f.changed = append(f.changed, changedTable{at, t})
			}
		}
	}
}

func (c *closing) tables(a *aggregation) *found {
	if f := c.found[a.id]; f != nil {
		return f
	}
	return &found{}
}

// close emits and drops what is due of the aggregation. It returns the time before which no later result of it is.
func (c *closing) close(a *aggregation) (least int64, err error) {
	if a.rolling {
		return c.roll(a)
	}
	n := c.notes.of(a)
	w := c.watermark(a)
	lateness := c.e.lateness(a)
	early := c.earlyDue(a, n)
	if w == watermark.Min && !early {
		c.waits = c.waits || a.early > 0 && c.touchedAny(a)
		return watermark.Min, nil
	}
	f := c.tables(a)
	if a.session {
		done, err := c.closeSessions(a, f, w, false)
		if err != nil || !done || w == watermark.Min {
			return watermark.Min, err
		}
		return w - lateness - 1, nil
	}
	out, err := c.writer(a)
	if err != nil {
		return 0, err
	}
	starts := slices.Sorted(maps.Keys(f.slices))
	closed, until := w, int64(math.MaxInt64)
	if n.Closed > w { // a stage was added, or the configuration has another max_out_of_orderness
		closed = n.Closed
	}
	err = c.eachWindow(a, starts, func(start, end int64, of []int64) (bool, error) {
		switch {
		case end <= n.Closed:
			// Though it may be dropped now: what came since was counted. What was dropped before has had all.
			if a.panes && end+lateness > n.Closed && c.touched(a, of) {
				return true, c.emitWindow(a, f, out, start, end, of, result.Late)
			}
		case end <= w:
			if c.full {
				closed, until = end-1, start
				return false, nil
			}
			if err := c.emitWindow(a, f, out, start, end, of, result.OnTime); err != nil {
				return false, err
			}
		case a.early == 0:
			return false, nil
		default:
			// Of hopping windows only the next to close: it has the most of what is recent, and an event falls into many. What no window has
			// told of waits until it is in that one.
			hopping := a.assign.slide != a.assign.size
			if hopping {
				until = end
			}
			if c.touched(a, of) {
				if !early {
					c.waits = true
					return false, nil
				}
				if err := c.emitWindow(a, f, out, start, end, of, result.Early); err != nil {
					return false, err
				}
			}
			return !hopping, nil
		}
		return true, nil
	})
	if err != nil {
		return 0, err
	}
	if err := out.Flush(); err != nil {
		return 0, err
	}
	if a.early == 0 || early {
		c.looked = append(c.looked, look{a, until, starts})
	}
	for start, tables := range f.slices {
		if a.assign.lastEnd(start)+lateness <= closed {
			for _, t := range tables {
				c.e.space.Drop(t.table)
			}
		}
	}
	for start, table := range f.panes {
		if a.assign.end(start)+lateness <= closed {
			c.e.space.Drop(table)
		}
	}
	n.Closed = closed
	if w == watermark.Min {
		return watermark.Min, nil
	}
	return min(w, closed) - lateness, nil
}

// earlyDue says whether early panes are due, and takes note that they were emitted. When time has stood still since the last checkpoint they are
// due too: nobody knows when it goes on.
func (c *closing) earlyDue(a *aggregation, n *aggregationNotes) bool {
	if a.early == 0 || c.now == watermark.Min {
		return false
	}
	is := n.Early == watermark.Min || c.now-n.Early >= a.early || c.now == c.notes.Now
	if is {
		n.Early = c.now
	}
	c.nextEarly = min(c.nextEarly, n.Early+a.early)
	return is
}

// eachWindow calls f for each window that has slices, by time, with those of its slices that have events.
func (c *closing) eachWindow(a *aggregation, starts []int64, f func(start, end int64, of []int64) (bool, error)) error {
	from := int64(math.MinInt64)
	for i, s := range starts {
		first, last := a.assign.windows(s)
		for start := max(first, from); start <= last; start += a.assign.slide {
			end := a.assign.end(start)
			lo := i
			for lo > 0 && starts[lo-1] >= start {
				lo--
			}
			hi := lo
			for hi < len(starts) && starts[hi] < end {
				hi++
			}
			if more, err := f(start, end, starts[lo:hi]); err != nil || !more {
				return err
			}
		}
		from = last + a.assign.slide
		if a.assign.calendar != nil {
			from = last + 1
		}
	}
	return nil
}

// touched says whether any of the slices has changed since panes were last looked for.
func (c *closing) touched(a *aggregation, of []int64) bool {
	n := slices.Index(c.e.plan.aggs, a)
	if n < 0 {
		return false
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return slices.ContainsFunc(of, func(s int64) bool { return c.e.changedSlice(n, s) })
}

// touchedAny says whether any slice has.
func (c *closing) touchedAny(a *aggregation) bool {
	n := slices.Index(c.e.plan.aggs, a)
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	for _, p := range c.e.parts {
		if len(p.aggs[n].touched) > 0 {
			return true
		}
	}
	return false
}

// emitWindow writes a row for each group of the window: of a pane that is not on time only those that have changed.
func (c *closing) emitWindow(a *aggregation, f *found, out *result.Writer, start, end int64, of []int64, timing result.Timing) error {
	all, err := c.gather(a, f, of)
	if err != nil {
		return err
	}
	var panes *keyed.Table
	if a.panes {
		if panes = f.panes[start]; panes == nil {
			panes = c.e.space.Table(c.e.shared(), tableName(a.id, kindPanes, start))
			if f.panes != nil {
				f.panes[start] = panes
			}
		}
	}
	for _, r := range c.sorted(all) {
		key, acc := all.Key(r), all.Value(r)
		index := uint32(0)
		if panes != nil {
			var changed bool
			if index, changed = nextPane(panes, key, acc, timing == result.OnTime); !changed {
				continue
			}
		}
		if err := c.row(a, out, start, end, key, acc, timing, index, false); err != nil {
			return err
		}
	}
	return nil
}

// nextPane returns the index of the group's next pane, and whether there is one to emit: always if it is the complete one.
// A pane is kept as index (4 bytes) and a hash of the accumulator (8).
func nextPane(panes *keyed.Table, key, acc []byte, always bool) (uint32, bool) {
	sum := xxhash.Sum64(acc)
	hash := keyed.Hash(key)
	r, found := panes.Find(hash, key)
	index := uint32(0)
	if found {
		v := panes.Value(r)
		if !always && binary.BigEndian.Uint64(v[4:]) == sum {
			return 0, false
		}
		index = binary.BigEndian.Uint32(v) + 1
	} else {
		r = panes.Insert(hash, key, 12)
	}
	v := panes.Edit(r)
	binary.BigEndian.PutUint32(v, index)
	binary.BigEndian.PutUint64(v[4:], sum)
	return index, true
}
