// SPDX-License-Identifier: Apache-2.0

package window

import (
	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/watermark"
)

// change is what one delivery does to the state.
type change struct {
	e       *Engine
	part    *part
	journal *keyed.Journal
	counts  [][outcomes]int64 // by aggregation
	ottl    *evaluation       // nil without OTTL
}

var _ delivery.Overlay = (*change)(nil)

// Publish implements delivery.Overlay.
func (c *change) Publish() {
	c.journal.Publish()
	c.e.plan.countErrors(c.ottl, c.e.o.Observer)
	for i := range c.counts {
		for o, n := range c.counts[i] {
			if n > 0 {
				c.e.o.Observer.Events(c.e.plan.aggs[i].def.Name, outcome(o).String(), n)
			}
		}
		a := c.e.plan.aggs[i]
		c.part.aggs[i].set.TakeSkips(func(function int, reason aggregate.Reason, n uint32) {
			c.e.o.Observer.Skipped(a.def.Name, a.def.Values[function].As, reason.String(), int64(n))
		})
	}
}

// Discard implements delivery.Overlay.
func (c *change) Discard() {
	c.journal.Discard()
	c.part.forget()
	for i := range c.part.aggs {
		c.part.aggs[i].set.TakeSkips(func(int, aggregate.Reason, uint32) {})
	}
}

// work is one call of Apply.
type work struct {
	*change
	plan  *Plan
	input inputNotes
	stage bool
	// What is the same for all rows.
	allResults, panes bool
	threshold         int64 // of a stage: what is before it is late

	appends  *delivery.Appends // nil of a stage's results
	row      int
	position uint64
	late     []int // positions in the batch
}

// Apply counts the events of a delivery and stages the change. It returns which of the batch are late, ascending.
func (e *Engine) Apply(d *delivery.Delivery, b event.Batch) (late []int, err error) {
	if d.ID.Stage == "" && b.Len() == 0 {
		return nil, nil // it only lets components enrol
	}
	p := e.part(d)
	in := e.seen()
	w := &work{
		change: &change{e: e, part: p, counts: make([][outcomes]int64, len(e.plan.aggs))},
		plan:   e.plan, stage: p.stage, allResults: !in.Partitions, panes: in.Panes && p.stage, threshold: watermark.Min,
	}
	if w.input, err = readInput(e.space.Meta(p.number)); err != nil {
		return nil, err
	}
	w.journal = e.space.Begin(p.number)
	d.Stage(w.change)
	if w.ottl, err = e.plan.evaluate(b); err != nil {
		return nil, err
	}
	config := &e.plan.o.Watermark
	if p.stage {
		w.threshold = w.input.input.LateBefore(config)
		w.position = w.input.rows
	} else {
		w.position = d.ID.First
		if w.appends, err = d.Appends(b, w.input.rows); err != nil {
			return nil, err
		}
	}
	for i := range p.keys {
		p.keys[i].row = 0
	}
	if err := p.reader.Each(b, w.each); err != nil {
		return nil, err
	}
	if err := e.space.Err(p.number); err != nil {
		return nil, err
	}
	if p.stage {
		w.input.rows += uint64(w.row)
		w.input.input.Raise(config, d.Watermark)
	} else {
		if w.appends.Complete() {
			w.input.input.EndAppend()
		}
		w.input.rows = w.appends.From
	}
	e.space.SetMeta(p.number, w.input.append(nil))
	e.wantEarly(w.input.input.Appended)
	return w.late, nil
}

// each counts one event.
func (w *work) each(i int, row *event.Row) bool {
	w.row++
	appended := row.Time // of a stage's results
	verdict := watermark.OnTime
	tooFarAhead := row.Time < 0 // beyond what nanoseconds can be
	switch {
	case w.stage:
		if row.Time < w.threshold {
			verdict = watermark.Late
		}
	default:
		var ended bool
		if appended, ended = w.appends.Next(); ended {
			w.input.input.EndAppend()
		}
		if row.Time == 0 { // neither its producer nor a receiver gave it a time
			row.Time = appended
		}
		if ahead := row.Time - appended; ahead > int64(w.plan.o.MaxFuture) {
			tooFarAhead = true
		}
		in := &w.input.input
		switch {
		case tooFarAhead:
			in.Appended = max(in.Appended, appended)
		case row.Values[columnFailure].Kind != event.KindEmpty: // what it says cannot be trusted, its time included: it moves nothing
			verdict = in.Judge(&w.plan.o.Watermark, row.Time, appended)
		default:
			verdict = in.See(&w.plan.o.Watermark, row.Time, appended)
		}
		if w.appends.Ends() {
			in.EndAppend()
		}
	}
	if verdict == watermark.Late && w.plan.byEvent {
		w.late = append(w.late, i)
	}
	values := row.Values
	if w.ottl != nil {
		values = w.ottl.row(i, values)
	}
	for n, a := range w.plan.aggs {
		w.counts[n][w.count(n, a, row, values, appended, verdict, tooFarAhead)]++
	}
	return true
}

func (w *work) count(n int, a *aggregation, row *event.Row, values []event.Scalar, appended int64, verdict watermark.Verdict, tooFarAhead bool) outcome {
	if !a.takes(row.Name, w.stage, w.allResults) {
		return filtered
	}
	if values[columnFailure].Kind != event.KindEmpty && !a.def.IncludeFailed {
		return failed
	}
	t, became := appended, counted
	if !a.processing {
		switch {
		case tooFarAhead, a.rolling && verdict == watermark.Future: // of a rolling window it would be at once
			return tooFar
		case a.rolling:
			if w.hasLeft(a, row.Time) {
				return late
			}
		case verdict == watermark.Late:
			return late
		case verdict == watermark.Future:
			became = future
		}
		t = row.Time
	}
	holds := len(a.where) == 0 || allHold(a.where, values)
	if holds && a.filter >= 0 {
		holds = w.ottl.holds(a.filter)
	}
	if !holds && !w.panes {
		return filtered
	}
	mask := uint64(0)
	for bit := range a.masks {
		if allHold(a.masks[bit], values) {
			mask |= 1 << bit
		}
	}
	k := &w.part.keys[a.key]
	if k.row != w.row {
		k.row = w.row
		k.key = appendKey(k.key[:0], w.plan.keys[a.key], values)
		if len(k.key) > maxKey {
			k.key = append(k.key[:0], overflowKey...)
		}
		k.hash = keyed.Hash(k.key)
	}
	key, hash := k.key, k.hash
	if len(key) == 1 && key[0] == keyOverflow {
		became = overflow
	}
	at := aggregate.Point{Time: row.Time, Partition: w.part.number, Position: w.position + uint64(w.row) - 1}
	s := &w.part.aggs[n]
	if w.panes && values[len(w.plan.names)].Kind == event.KindString {
		if a.session || a.rolling {
			if !holds {
				return filtered
			}
			if values[len(w.plan.names)+2].Text != string(result.OnTime) {
				return pane
			}
		} else {
			return w.keepRow(a, s, t, holds, key, mask, values, at, became)
		}
	} else if !holds {
		return filtered
	}
	if a.session {
		return w.addToSession(a, s, t, key, hash, values, mask, at, became)
	}
	sl := s.current
	if sl == nil || t < sl.start || t >= sl.end {
		sl = w.slice(a, s, t)
	}
	table := sl.table
	if table == nil {
		table = w.e.space.Table(w.part.number, tableName(a.id, kindSlice, sl.start))
		sl.table = table
	}
	r, found := table.Find(hash, key)
	if !found {
		if table.Len() >= a.def.CardinalityLimit && len(w.plan.keys[a.key]) > 0 {
			became = overflow
			key, hash = overflowKey, keyed.Hash(overflowKey)
			r, found = table.Find(hash, key)
		}
		if !found {
			r = table.Insert(hash, key, len(a.empty))
			if !a.isFixed {
				copy(table.Edit(r), a.empty)
			}
		}
	}
	acc := table.Edit(r)
	if out := s.set.Add(acc, values, mask, at); len(out) != len(acc) {
		copy(table.Resize(r, len(out)), out)
	}
	if a.rolling {
		w.changed(a, s, key, hash)
	}
	return became
}

// slice that holds t becomes the current one.
func (w *work) slice(a *aggregation, s *aggState, t int64) *slice {
	start, end := a.assign.slice(t)
	sl := s.slices[start]
	if sl == nil {
		sl = &slice{start: start, end: end}
		sl.table, _ = w.e.space.Lookup(w.part.number, tableName(a.id, kindSlice, start))
		sl.rows, _ = w.e.space.Lookup(w.part.number, tableName(a.id, kindRows, start))
		s.slices[start] = sl
	}
	if a.panes {
		s.touched[start] = struct{}{}
	}
	s.current = sl
	return sl
}
