// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"slices"
	"sort"
	"sync"
	"time"
)

// steps is the number of parts that MaxAge is measured in: what bounds the memory of a horizon.
const steps = 4096

// horizon knows from which ordinal on IDs are remembered. It keeps, for every step of time, the first ordinal that was
// appended in it, as far as a later step has not an earlier one, and the end of those that were: marks ascend in all three.
//
// What is expired is told by the ends of what was noted, never by where something later begins: batches come a little out
// of order, of a start's goroutines and of requests at the same time, and what lies between may be on its way.
type horizon struct {
	maxCount uint64
	maxAge   int64 // nanoseconds; 0: no limit
	step     int64 // nanoseconds

	mu    sync.Mutex // guards what is below; any goroutine
	marks []mark
	next  uint64 // after the highest ordinal seen
	last  int64  // the latest append time seen
}

// mark is of the ordinals noted for one step: at or after first, before end.
type mark struct {
	step       int64
	first, end uint64
}

func newHorizon(o Options) horizon {
	return horizon{maxCount: o.MaxCount, maxAge: max(0, int64(o.MaxAge)), step: max(1, int64(o.MaxAge)/steps)}
}

// note takes ordinals first to first+count-1 to be appended at the time given. It returns the floor at the latest
// append time: what is below is never asked for again.
func (h *horizon) note(first, count uint64, appended int64) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = max(h.next, first+count)
	h.last = max(h.last, appended)
	if h.maxAge > 0 {
		h.mark(mark{floorDiv(appended, h.step), first, first + count})
	}
	return h.at(h.last)
}

func (h *horizon) mark(m mark) {
	// In the order of ordinals nearly all belong at the end, and most repeat the last step.
	i := len(h.marks)
	if i > 0 && m.step <= h.marks[i-1].step {
		i = sort.Search(i, func(i int) bool { return h.marks[i].step >= m.step })
	}
	if i < len(h.marks) && h.marks[i].first <= m.first {
		h.marks[i].end = max(h.marks[i].end, m.end)
		return // this step or a later one has an earlier ordinal
	}
	from := i // the marks that m replaces: its own step's, and those of earlier steps with later ordinals
	for from > 0 && h.marks[from-1].first >= m.first {
		from--
		m.end = max(m.end, h.marks[from].end)
	}
	if i < len(h.marks) && h.marks[i].step == m.step {
		m.end = max(m.end, h.marks[i].end)
		i++
	}
	h.marks = slices.Replace(h.marks, from, i, m)
	// Time as Contains sees it is never before the last append: what has expired then is never asked for.
	expired := 0
	for limit := h.limit(h.last); expired < len(h.marks) && h.marks[expired].step < limit; {
		expired++
	}
	if expired > steps { // now and then; the last one says how far all have expired
		h.marks = slices.Delete(h.marks, 0, expired-1)
	}
}

func (h *horizon) limit(now int64) int64 { return floorDiv(now-h.maxAge, h.step) }

// floor returns the first ordinal that is remembered at the time given, or at the last append if that is later.
func (h *horizon) floor(now int64) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at(max(now, h.last))
}

func (h *horizon) at(now int64) uint64 {
	var floor uint64
	if h.maxCount > 0 && h.next > h.maxCount {
		floor = h.next - h.maxCount
	}
	if h.maxAge == 0 || len(h.marks) == 0 {
		return floor
	}
	limit := h.limit(now)
	if h.marks[0].step >= limit { // mostly: none has expired
		return floor
	}
	i := sort.Search(len(h.marks), func(i int) bool { return h.marks[i].step >= limit })
	end := h.marks[i-1].end
	if i < len(h.marks) {
		end = min(end, h.marks[i].first) // where append times fell, the later one counts
	}
	return max(floor, end)
}

// floorDiv rounds down, also below zero.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Step is what ages are rounded up to: an ID is remembered for MaxAge and less than one Step more.
func (o Options) Step() time.Duration { return max(1, o.MaxAge/steps) }
