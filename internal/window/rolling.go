// SPDX-License-Identifier: Apache-2.0

package window

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/watermark"
)

// A rolling window has one result for each group: what the group's events of the last size add up to. A later one replaces it, so that
// it is read by the group alone. Slices are those of hopping windows. At a checkpoint a group has a new result if it had events
// since the last one, or if a slice with events of it has left the window: two results for each event at most, whatever the
// number of slices. A group whose last events have left says so, by a result of nothing.
//
// An event counts, however late, while its slice is in the window by the highest event time of its own partition. A slice
// leaves by the least of those of all inputs: so no event meets a slice that has left. What is emitted last for a group is a function
// of the records that count, its times too: window_start and window_end are those of its own slices.

// maxRolled is how many groups have a new result at one checkpoint, about: deliveries wait meanwhile. Groups with new events go
// first; those that only lost some wait for the next one, which follows at once.
const maxRolled = 10_000

// Tables of kindChanged.
const (
	changedSince   = 0 // groups that had events since the last checkpoint
	changedWaiting = 1 // in the shared partition: groups that lost a slice, or that the last checkpoint had no room for
)

// validateRolling is what else a rolling aggregation needs.
func (d *Definition) validateRolling() string {
	if d.Window.Type != Rolling {
		return ""
	}
	if len(d.GroupBy) == 0 {
		return "group_by: a rolling window has one row for each group: name the fields of a group, such as user.id"
	}
	n := d.normal()
	for _, name := range n.Table.OrderBy {
		if !slices.ContainsFunc(n.GroupBy, func(g Group) bool { return g.As == name }) {
			return "table::order_by: rows of a rolling window are replaced by group: name columns of group_by only"
		}
	}
	return ""
}

// rollingKey is what rows of a rolling window are sorted by.
func (d *Definition) rollingKey() (key []string) {
	if len(d.Table.OrderBy) > 0 {
		return d.Table.OrderBy
	}
	for i := range d.GroupBy {
		key = append(key, d.GroupBy[i].As)
	}
	return key
}

// rollingStart is where the window begins as of a time.
func (a *assigner) rollingStart(at int64) int64 { return a.floor(at) + a.slide - a.size }

// hasLeft says whether a time is before the window, as far as this partition knows.
func (w *work) hasLeft(a *aggregation, t int64) bool {
	high := w.input.input.High
	return high != watermark.Min && t < a.assign.rollingStart(high)
}

// changed takes note that the group has a new result to come.
func (w *work) changed(a *aggregation, s *aggState, key []byte, hash uint64) {
	if s.changed == nil {
		s.changed = w.e.space.Table(w.part.number, tableName(a.id, kindChanged, changedSince))
		s.changed.Pin()
	}
	if _, found := s.changed.Find(hash, key); !found {
		s.changed.Insert(hash, key, 0)
	}
}

// roller is a group that has a new result. left is the end of the last slice that has left the window with events of it.
type roller struct {
	key  []byte
	left int64
}

// roll emits the groups that have changed, and drops what has left the window. It returns the time before which no later result is.
func (c *closing) roll(a *aggregation) (least int64, err error) {
	n := c.notes.of(a)
	at := c.watermark(a)
	if !a.processing && at != watermark.Min {
		at += int64(c.e.plan.o.Watermark.MaxOutOfOrderness) // what is out of order is no reason to wait
	}
	n.Closed = max(at, n.Closed)
	c.earlyDue(a, n) // it asks for checkpoints
	f := c.tables(a)
	groups := c.takeChanged(a, f, n.Closed)
	if len(groups) == 0 {
		return n.Closed, nil
	}
	out, err := c.writer(a)
	if err != nil {
		return 0, err
	}
	of := byPart(f)
	index := c.notes.nextRoll(a.table.Name, c.now)
	done := 0
	for done < len(groups) && done < maxRolled && !c.full {
		if err := c.rolled(a, out, of, &groups[done], n.Closed, index); err != nil {
			return 0, err
		}
		done++
	}
	if err := out.Flush(); err != nil {
		return 0, err
	}
	if done < len(groups) {
		c.full = true
		c.wait(a, groups[done:])
	}
	return n.Closed, nil
}

// takeChanged drops the slices that have left, and returns the groups that are to have a new result: those with new events, then the others,
// each by key.
func (c *closing) takeChanged(a *aggregation, f *found, at int64) []roller {
	var fresh, waiting []roller
	where := map[string]*int64{}
	take := func(to *[]roller, t *keyed.Table) {
		t.All(func(r keyed.Ref) bool {
			if key := t.Key(r); where[string(key)] == nil {
				left := int64(watermark.Min)
				copied := bytes.Clone(key)
				where[string(copied)] = &left
				*to = append(*to, roller{key: copied})
			}
			return true
		})
	}
	for _, t := range f.changed {
		if t.at == changedSince {
			take(&fresh, t.table)
			c.e.space.Drop(t.table)
		}
	}
	for _, t := range f.changed {
		if t.at != changedWaiting {
			continue
		}
		take(&waiting, t.table)
		t.table.All(func(r keyed.Ref) bool {
			if v := t.table.Value(r); len(v) == 8 {
				*where[string(t.table.Key(r))] = int64(binary.BigEndian.Uint64(v))
			}
			t.table.Delete(r)
			return true
		})
	}
	if at != watermark.Min {
		start := a.assign.rollingStart(at)
		for s, tables := range f.slices {
			if s >= start {
				continue
			}
			for _, t := range tables {
				take(&waiting, t.table)
				t.table.All(func(r keyed.Ref) bool {
					left := where[string(t.table.Key(r))]
					*left = max(*left, s+a.assign.slide)
					return true
				})
				c.e.space.Drop(t.table)
			}
			delete(f.slices, s)
		}
	}
	byKey := func(x, y roller) int { return bytes.Compare(x.key, y.key) }
	slices.SortFunc(fresh, byKey)
	slices.SortFunc(waiting, byKey)
	all := slices.Concat(fresh, waiting)
	for i := range all {
		all[i].left = *where[string(all[i].key)]
	}
	return all
}

// wait keeps groups for the next checkpoint.
func (c *closing) wait(a *aggregation, groups []roller) {
	t := c.e.space.Table(c.e.shared(), tableName(a.id, kindChanged, changedWaiting))
	t.Pin()
	for i := range groups {
		r := t.Insert(keyed.Hash(groups[i].key), groups[i].key, 8)
		binary.BigEndian.PutUint64(t.Edit(r), uint64(groups[i].left))
	}
}

// slicePart is one partition's table of a slice.
type slicePart struct {
	sliceTable
	start int64
}

// byPart are the tables of slices, by partition, then by time.
func byPart(f *found) []slicePart {
	var all []slicePart
	for start, tables := range f.slices {
		for _, t := range tables {
			all = append(all, slicePart{t, start})
		}
	}
	slices.SortFunc(all, func(x, y slicePart) int { return cmp.Or(cmp.Compare(x.part, y.part), cmp.Compare(x.start, y.start)) })
	return all
}

// rolled writes the group's row: what it has in all slices.
func (c *closing) rolled(a *aggregation, out *result.Writer, of []slicePart, g *roller, at int64, index uint32) error {
	hash := keyed.Hash(g.key)
	start, end := int64(math.MaxInt64), int64(math.MinInt64)
	acc := c.acc[:0]
	acc = append(acc, a.empty...)
	for i := range of {
		r, found := of[i].table.Find(hash, g.key)
		if !found {
			continue
		}
		if v := of[i].table.Value(r); end == math.MinInt64 {
			acc = append(acc[:0], v...)
		} else {
			acc = own(acc, a.set.Merge(acc, v))
		}
		start, end = min(start, of[i].start), max(end, of[i].start+a.assign.slide)
	}
	c.acc = acc
	if end == math.MinInt64 {
		start, end = g.left, g.left
	}
	if at == watermark.Min {
		at = end - 1
	}
	id := result.ID([]byte(a.table.Name), g.key)
	return c.rowAt(a, out, result.Head{Event: a.def.Name, Time: at, ID: id, Timing: result.Early, Index: index}, start, end, g.key, acc)
}

// nextRoll is the pane index of the results of one checkpoint. It rises with each, and with the clock of the log: whatever becomes of
// the state, such as by a reset, what is emitted later replaces what is in the table.
func (n *notes) nextRoll(table string, now int64) uint32 {
	if n.Rolls == nil {
		n.Rolls = map[string]uint32{}
	}
	seconds := uint32(min(max(now/int64(time.Second), 0), math.MaxUint32))
	n.Rolls[table] = max(n.Rolls[table]+1, seconds)
	return n.Rolls[table]
}

// retireRolling says of all groups that they have nothing: the definition that is in its place begins anew.
func (c *closing) retireRolling(a *aggregation, f *found) error {
	n := c.notes.of(a)
	groups := c.takeChanged(a, f, math.MaxInt64-a.assign.slide)
	if len(groups) == 0 {
		return nil
	}
	out, err := c.writer(a)
	if err != nil {
		return err
	}
	index := c.notes.nextRoll(a.table.Name, c.now)
	for i := range groups {
		if err := c.rolled(a, out, nil, &groups[i], n.Closed, index); err != nil {
			return err
		}
	}
	return out.Flush()
}
