// SPDX-License-Identifier: Apache-2.0

package keyed

import (
	"math"
	"slices"
)

// timers are the entries by when they are to be looked at, in buckets of a little over a second. An entry stands in the bucket that its
// due names; where it was moved or deleted, what is left of it in another bucket is passed over.
type timers struct {
	buckets map[uint32][]Ref
	refs    int
}

const bucketShift = 30 // nanoseconds: 1.07 s

// bucketOf a time: 1 at least, since 0 is no timer, and before what stands for none in the store.
func bucketOf(at int64) uint32 {
	return uint32(min(max(at>>bucketShift, 1), noTimer-1))
}

func (w *timers) add(bucket uint32, r Ref) {
	if w.buckets == nil {
		w.buckets = map[uint32][]Ref{}
	}
	w.buckets[bucket] = append(w.buckets[bucket], r)
	w.refs++
}

func (w *timers) bytes() int { return 5*w.refs + 48*len(w.buckets) }

// Schedule has Due look at the entry at a time at the latest, in Unix nanoseconds. It need not be called when an entry is to be looked at
// later than was said: Due asks.
func (t *Table) Schedule(r Ref, at int64) {
	bucket := bucketOf(at)
	e := &t.entries[r]
	if e.due != 0 && e.due <= bucket {
		return
	}
	t.part.top().scheduled(t, r)
	t.mark(r)
	e.due = bucket
	t.timers.add(bucket, r)
}

// Enough is what f of Due returns to stop: it has not touched the entry, which stays as it is, with all that were not looked at. A
// million that are due at once are not to be edited, and written, for being put off.
const Enough = math.MinInt64

// Due calls f for each entry whose timer is not after the time, in no order that means anything. f may edit and delete the entry. It returns when to look
// at it again; a time that is not after `until` stands for soon after it.
func (t *Table) Due(until int64, f func(r Ref) (again int64)) {
	last := bucketOf(until)
	t.unspillDue(last)
	var due []uint32
	for b := range t.timers.buckets {
		if b <= last {
			due = append(due, b)
		}
	}
	slices.Sort(due)
	for _, b := range due {
		refs := t.timers.buckets[b]
		delete(t.timers.buckets, b)
		t.timers.refs -= len(refs)
		n := 0
		for _, r := range refs {
			if e := &t.entries[r]; e.flags&live != 0 && e.due == b { // else deleted, moved, or another's by now
				e.due = 0
				refs[n] = r
				n++
			}
		}
		refs = refs[:n]
		t.part.top().popped(t, b, refs)
		for i, r := range refs {
			again := f(r)
			if again == Enough {
				for _, r := range refs[i:] {
					t.entries[r].due = b
					t.timers.add(b, r)
				}
				return
			}
			if e := &t.entries[r]; e.flags&live != 0 && e.due == 0 {
				e.due = max(bucketOf(again), b)
				t.mark(r)
				t.timers.add(e.due, r)
			}
		}
	}
}
