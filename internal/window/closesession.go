// SPDX-License-Identifier: Apache-2.0

package window

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/result"
)

// maxClosedGroups is how many groups one checkpoint closes sessions of: the next one, which follows at once, does the others.
const maxClosedGroups = 50_000

// piece is one interval of one partition, of a group that is looked at.
type piece struct {
	interval
	table int // of found.sessions
}

// session is a closed one.
type session struct {
	start, end int64
	key, acc   []byte
}

// closeSessions emits the sessions that nothing can be added to any more. A group's intervals lie in as many partitions as
// its events: those that are near make one session. It says whether all that is due is done. retired emits everything, under identities of its own.
func (c *closing) closeSessions(a *aggregation, f *found, w int64, retired bool) (done bool, err error) {
	done = true
	slices.SortFunc(f.sessions, func(x, y sliceTable) int { return cmp.Compare(x.part, y.part) })
	groups := map[string]struct{}{}
	for _, t := range f.sessions {
		if retired {
			t.table.All(func(r keyed.Ref) bool {
				groups[string(t.table.Key(r))] = struct{}{}
				return true
			})
			continue
		}
		t.table.Due(w, func(r keyed.Ref) int64 {
			if due := c.earliestDue(a, t.table.Value(r)); due > w {
				return due // it went on: whatever other partitions have, it is not over
			}
			groups[string(t.table.Key(r))] = struct{}{}
			return w // it is scheduled anew below, unless it is deleted
		})
		done = done && !t.table.SpilledDue(w)
	}
	order := slices.Sorted(maps.Keys(groups))
	if len(order) > maxClosedGroups && !retired {
		order, done = order[:maxClosedGroups], false // the others are due still
	}
	var closed []session
	for _, key := range order {
		if closed, err = c.closeGroup(a, f, []byte(key), w, retired, closed); err != nil {
			return false, err
		}
	}
	for _, t := range f.started {
		var over []keyed.Ref
		t.All(func(r keyed.Ref) bool {
			if at := int64(binary.BigEndian.Uint64(t.Key(r))); at+a.gap+c.e.lateness(a) <= w {
				over = append(over, r)
			}
			return true
		})
		for _, r := range over {
			t.Delete(r)
		}
	}
	if len(closed) == 0 {
		c.full = c.full || !done
		return done, nil
	}
	slices.SortFunc(closed, func(x, y session) int {
		return cmp.Or(cmp.Compare(x.end, y.end), cmp.Compare(x.start, y.start), bytes.Compare(x.key, y.key))
	})
	out, err := c.writer(a)
	if err != nil {
		return false, err
	}
	timing := result.OnTime
	if retired {
		timing = result.Early
	}
	for i := range closed {
		s := &closed[i]
		if err := c.row(a, out, s.start, s.end, s.key, s.acc, timing, 0, retired); err != nil {
			return false, err
		}
	}
	c.full = c.full || !done
	return done, out.Flush()
}

// earliestDue is when the first of a group's intervals in one partition could be closed.
func (c *closing) earliestDue(a *aggregation, v []byte) int64 {
	var room [4]interval
	list, err := intervals(v, room[:0])
	if err != nil {
		return math.MinInt64 // closeGroup says so
	}
	due := int64(math.MaxInt64)
	for i := range list {
		due = min(due, c.e.sessionDue(a, list[i].last))
	}
	return due
}

// closeGroup closes what is due of one group, and appends it.
func (c *closing) closeGroup(a *aggregation, f *found, key []byte, w int64, all bool, closed []session) ([]session, error) {
	hash := keyed.Hash(key)
	var pieces []piece
	refs := make([]keyed.Ref, len(f.sessions))
	in := make([]bool, len(f.sessions))
	for i, t := range f.sessions {
		if refs[i], in[i] = t.table.Find(hash, key); !in[i] {
			continue
		}
		list, err := intervals(t.table.Value(refs[i]), nil)
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			pieces = append(pieces, piece{v, i})
		}
	}
	slices.SortStableFunc(pieces, func(x, y piece) int { return cmp.Or(cmp.Compare(x.first, y.first), cmp.Compare(x.table, y.table)) })
	left := make([][]byte, len(f.sessions)) // by table: the group's value without what was closed
	due := make([]int64, len(f.sessions))
	changed := false
	for len(pieces) > 0 {
		whole := interval{first: pieces[0].first, last: pieces[0].last}
		n := 1
		for n < len(pieces) && a.near(&whole, pieces[n].first, pieces[n].last) && a.fits(&whole, pieces[n].first, pieces[n].last) {
			whole.last = max(whole.last, pieces[n].last)
			n++
		}
		of := pieces[:n]
		pieces = pieces[n:]
		at := c.e.sessionDue(a, whole.last)
		if all || at <= w {
			closed = append(closed, session{whole.first, whole.last + a.gap, key, a.join(of)})
			changed = true
			continue
		}
		for i := range of {
			p := &of[i]
			if left[p.table] == nil {
				due[p.table] = at
			}
			left[p.table] = appendInterval(left[p.table], p.first, p.last, p.acc)
			due[p.table] = min(due[p.table], at)
		}
	}
	for i, t := range f.sessions {
		switch {
		case !in[i]:
		case left[i] == nil:
			t.table.Delete(refs[i])
		default:
			if changed {
				copy(t.table.Resize(refs[i], len(left[i])), left[i])
			}
			t.table.Schedule(refs[i], due[i])
		}
	}
	return closed, nil
}

// join merges pieces of one session: in the order of partitions, then of time.
func (a *aggregation) join(pieces []piece) []byte {
	if len(pieces) == 1 {
		return bytes.Clone(pieces[0].acc)
	}
	order := slices.Clone(pieces)
	slices.SortStableFunc(order, func(x, y piece) int { return cmp.Compare(x.table, y.table) })
	acc := bytes.Clone(order[0].acc)
	for _, p := range order[1:] {
		acc = own(acc, a.set.Merge(acc, p.acc))
	}
	return acc
}
