// SPDX-License-Identifier: Apache-2.0

package window

import (
	"encoding/binary"
	"errors"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyed"
)

// A group's value in the table of sessions is its intervals, by time: first (8 bytes), last (8), length (4), accumulator. Two
// of them are more than a gap apart, or together longer than a session may be.
const intervalHead = 20

// interval is a view of one.
type interval struct {
	first, last int64
	acc         []byte
}

func appendInterval(b []byte, first, last int64, acc []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(first))
	b = binary.BigEndian.AppendUint64(b, uint64(last))
	b = binary.BigEndian.AppendUint32(b, uint32(len(acc)))
	return append(b, acc...)
}

var errIntervals = errors.New("a group's sessions are not readable")

// intervals appends views of the value's.
func intervals(v []byte, to []interval) ([]interval, error) {
	for len(v) > 0 {
		if len(v) < intervalHead {
			return nil, errIntervals
		}
		n := int(binary.BigEndian.Uint32(v[16:]))
		if n > len(v)-intervalHead {
			return nil, errIntervals
		}
		to = append(to, interval{
			first: int64(binary.BigEndian.Uint64(v)), last: int64(binary.BigEndian.Uint64(v[8:])), acc: v[intervalHead : intervalHead+n],
		})
		v = v[intervalHead+n:]
	}
	return to, nil
}

// near says whether what lies from first to last is within a gap of the interval.
func (a *aggregation) near(i *interval, first, last int64) bool {
	return first-i.last <= a.gap && i.first-last <= a.gap
}

// fits says whether they can be one session.
func (a *aggregation) fits(i *interval, first, last int64) bool {
	return max(i.last, last)-min(i.first, first) < a.limit
}

// due is when the session can be closed: nothing that counts comes within a gap of it then.
func (e *Engine) sessionDue(a *aggregation, last int64) int64 {
	return last + a.gap + e.lateness(a) + 1
}

func (w *work) addToSession(a *aggregation, s *aggState, t int64, key []byte, hash uint64, values []event.Scalar, mask uint64, at aggregate.Point, result outcome) outcome {
	if s.sessions == nil {
		s.sessions = w.e.space.Table(w.part.number, tableName(a.id, kindSessions, 0))
	}
	table := s.sessions
	if r, found := table.Find(hash, key); found && w.extend(a, s, table, r, t, values, mask, at, false) {
		return result
	}
	// It begins a session, as far as this partition knows. How many may begin is counted by time, and not by how many are open: what
	// is open depends on when checkpoints were.
	isOverflow := len(key) == 1 && key[0] == keyOverflow
	if len(w.plan.keys[a.key]) > 0 && !isOverflow && !w.mayBegin(a, s, t) {
		result = overflow
		key, hash = overflowKey, keyed.Hash(overflowKey)
	}
	if r, found := table.Find(hash, key); found {
		w.extend(a, s, table, r, t, values, mask, at, true)
		return result
	}
	r := table.Insert(hash, key, intervalHead+len(a.empty))
	v := table.Edit(r)
	appendInterval(v[:0], t, t, a.empty)
	if out := s.set.Add(v[intervalHead:], values, mask, at); len(out) != len(a.empty) {
		v = table.Resize(r, intervalHead+len(out))
		appendInterval(v[:0], t, t, out)
	}
	table.Schedule(r, w.e.sessionDue(a, t))
	return result
}

// startedBucket is the time over which sessions that begin are counted together.
func (a *aggregation) startedBucket(t int64) int64 {
	d := t % a.gap
	if d < 0 {
		d += a.gap
	}
	return t - d
}

func (w *work) mayBegin(a *aggregation, s *aggState, t int64) bool {
	if s.started == nil {
		s.started = w.e.space.Table(w.part.number, tableName(a.id, kindStarted, 0))
	}
	key := binary.BigEndian.AppendUint64(w.part.value[:0], uint64(a.startedBucket(t)))
	w.part.value = key
	hash := keyed.Hash(key)
	r, found := s.started.Find(hash, key)
	if !found {
		r = s.started.Insert(hash, key, 8)
	}
	n := binary.BigEndian.Uint64(s.started.Value(r))
	if n >= uint64(a.def.CardinalityLimit) {
		return false
	}
	binary.BigEndian.PutUint64(s.started.Edit(r), n+1)
	return true
}

// extend counts the event in the group's interval that it is near, and joins those that it bridges. Without one it adds an interval if it
// may begin one. It says whether the event was counted.
func (w *work) extend(a *aggregation, s *aggState, table *keyed.Table, r keyed.Ref, t int64, values []event.Scalar, mask uint64, at aggregate.Point, begin bool) bool {
	var room [4]interval
	list, err := intervals(table.Value(r), room[:0])
	if err != nil {
		return false
	}
	home := -1
	for i := range list {
		if a.near(&list[i], t, t) && a.fits(&list[i], t, t) {
			home = i
			break
		}
	}
	switch {
	case home < 0 && !begin:
		return false
	case home >= 0 && (home+1 == len(list) || !a.near(&list[home+1], t, t)):
		// The common case: one interval grows, in place if its accumulator does.
		v := table.Edit(r)
		off := 0
		for i := range home {
			off += intervalHead + len(list[i].acc)
		}
		n := len(list[home].acc)
		first, last := min(list[home].first, t), max(list[home].last, t)
		binary.BigEndian.PutUint64(v[off:], uint64(first))
		binary.BigEndian.PutUint64(v[off+8:], uint64(last))
		acc := v[off+intervalHead : off+intervalHead+n]
		out := s.set.Add(acc, values, mask, at)
		if len(out) == n {
			return true
		}
		b := w.part.value[:0]
		b = append(b, v[:off]...)
		b = appendInterval(b, first, last, out)
		b = append(b, v[off+intervalHead+n:]...)
		w.part.value = b
		copy(table.Resize(r, len(b)), b)
		return true
	}
	// The event stands alone or between intervals: the value is written anew.
	acc := append([]byte(nil), a.empty...)
	first, last := t, t
	keep := list[:0:0]
	joined := 0
	for i := range list {
		if a.near(&list[i], first, last) && a.fits(&list[i], first, last) && (i == home || home >= 0) {
			first, last = min(first, list[i].first), max(last, list[i].last)
			acc = own(acc, s.set.Merge(acc, list[i].acc))
			joined++
			continue
		}
		keep = append(keep, list[i])
	}
	acc = own(acc, s.set.Add(acc, values, mask, at))
	b := w.part.value[:0]
	done := false
	for i := range keep {
		if !done && keep[i].first > first {
			b = appendInterval(b, first, last, acc)
			done = true
		}
		b = appendInterval(b, keep[i].first, keep[i].last, keep[i].acc)
	}
	if !done {
		b = appendInterval(b, first, last, acc)
	}
	w.part.value = b
	copy(table.Resize(r, len(b)), b)
	if joined == 0 {
		table.Schedule(r, w.e.sessionDue(a, w.earliest(b)))
	}
	return true
}

// earliest is the last event of the interval that ends first.
func (w *work) earliest(v []byte) int64 { return int64(binary.BigEndian.Uint64(v[8:])) }

// own returns what a Set returned in memory of the caller's own: acc if it was edited in place.
func own(acc, out []byte) []byte {
	if len(out) == len(acc) {
		return out
	}
	return append(acc[:0], out...)
}
