// SPDX-License-Identifier: Apache-2.0

package window

import (
	"encoding/hex"
	"maps"
	"math"
	"slices"

	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/result"
)

// An aggregation that was changed starts anew. What the open windows of the old definition hold is emitted once, at the first
// checkpoint, as an early pane: it is what was counted until the change. It has an identity of its own, since the new definition counts the
// same window from there on, unless the window has had panes before, which it then replaces.

func (c *closing) retire(a *aggregation) error {
	f := c.tables(a)
	n := c.notes.find(a.id)
	if a.session {
		if _, err := c.closeSessions(a, f, math.MaxInt64, true); err != nil {
			return err
		}
	} else if a.rolling {
		if err := c.retireRolling(a, f); err != nil {
			return err
		}
	} else if err := c.retireWindows(a, f, n.Closed); err != nil {
		return err
	}
	c.dropAll(f)
	text := hex.EncodeToString(a.id[:])
	c.notes.Aggregations = slices.DeleteFunc(c.notes.Aggregations, func(n aggregationNotes) bool { return n.ID == text })
	return nil
}

func (c *closing) retireWindows(a *aggregation, f *found, closed int64) error {
	out, err := c.writer(a)
	if err != nil {
		return err
	}
	starts := slices.Sorted(maps.Keys(f.slices))
	err = c.eachWindow(a, starts, func(start, end int64, of []int64) (bool, error) {
		panes := f.panes[start]
		if end <= closed && panes == nil {
			return true, nil // it was emitted as complete
		}
		all, err := c.gather(a, f, of)
		if err != nil {
			return false, err
		}
		for _, r := range c.sorted(all) {
			key, acc := all.Key(r), all.Value(r)
			if panes == nil {
				err = c.row(a, out, start, end, key, acc, result.Early, 0, true)
			} else if index, changed := nextPane(panes, key, acc, false); changed {
				err = c.row(a, out, start, end, key, acc, result.Early, index, false)
			}
			if err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// dropAll tables of an aggregation.
func (c *closing) dropAll(f *found) {
	for _, tables := range f.slices {
		for _, t := range tables {
			c.e.space.Drop(t.table)
		}
	}
	for _, t := range f.sessions {
		c.e.space.Drop(t.table)
	}
	for _, t := range f.started {
		c.e.space.Drop(t)
	}
	for _, t := range f.panes {
		c.e.space.Drop(t)
	}
	for _, t := range f.changed {
		c.e.space.Drop(t.table)
	}
}

// dropUnknown drops tables that nobody can read.
func (c *closing) dropUnknown() {
	for _, id := range c.e.unknown {
		f := c.found[id]
		if f == nil {
			continue
		}
		groups := 0
		for _, tables := range f.slices {
			for _, t := range tables {
				groups += t.table.Len()
			}
		}
		for _, t := range f.sessions {
			groups += t.table.Len()
		}
		c.dropped["unknown_definition"] += int64(groups)
		c.dropAll(f)
		text := hex.EncodeToString(id[:])
		c.notes.Aggregations = slices.DeleteFunc(c.notes.Aggregations, func(n aggregationNotes) bool { return n.ID == text })
	}
}

// sorted entries of a table, by key: the order of a table means nothing.
func (c *closing) sorted(t *keyed.Table) []keyed.Ref {
	c.refs = c.refs[:0]
	t.All(func(r keyed.Ref) bool {
		c.refs = append(c.refs, r)
		return true
	})
	slices.SortFunc(c.refs, func(x, y keyed.Ref) int { return compareKeys(t, x, y) })
	return c.refs
}
