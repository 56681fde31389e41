// SPDX-License-Identifier: Apache-2.0

package event

import (
	"cmp"
	"slices"

	"go.opentelemetry.io/collector/pdata/plog"
)

// Sorted reads a batch in the order of tenant, name and time, events of equal keys in the batch's own order. It
// is a Reader for those who store rows by that key. Its zero value is ready after Reset; one Sorted can be used
// for many batches, one goroutine at a time.
//
// Events whose name stands in an attribute are sorted as having none: the order is for speed, not for meaning.
type Sorted struct {
	reader  Reader
	places  []place // in the batch's order
	sorted  []place // in ours
	sources []source
	groups  map[group]uint32 // to the group's number in order of appearance, then to its rank
	order   []group
	next    int
}

// place is one event of the batch.
type place struct {
	group  uint32
	source uint32
	index  int
	time   uint64
	record plog.LogRecord
}

type group struct{ tenant, name string }

// source is one resource and scope, read once.
type source struct {
	resource       Resource
	tenant, source string
	hasSource      bool
}

// Reset starts at the first event of b.
func (s *Sorted) Reset(b Batch) {
	s.places, s.sorted, s.sources, s.order, s.next = s.places[:0], s.sorted[:0], s.sources[:0], s.order[:0], 0
	if s.groups == nil {
		s.groups = map[group]uint32{}
	}
	clear(s.groups)
	s.reader.Reset(b)
	var last group
	var number uint32
	for _, rl := range b.Logs().ResourceLogs().All() {
		s.reader.setResource(rl.Resource())
		for _, sl := range rl.ScopeLogs().All() {
			s.reader.ev.Resource.scope = sl.Scope()
			s.sources = append(s.sources, source{s.reader.ev.Resource, s.reader.tenant, s.reader.source, s.reader.hasSource})
			for _, lr := range sl.LogRecords().All() {
				g := group{s.reader.tenant, lr.EventName()}
				if g != last || len(s.places) == 0 {
					last, number = g, s.number(g)
				}
				at := lr.Timestamp()
				if at == 0 {
					at = lr.ObservedTimestamp()
				}
				s.places = append(s.places, place{number, uint32(len(s.sources) - 1), len(s.places), uint64(at), lr})
			}
		}
	}
	s.rank()
}

func (s *Sorted) number(g group) uint32 {
	n, ok := s.groups[g]
	if !ok {
		n = uint32(len(s.order))
		s.groups[g] = n
		s.order = append(s.order, g)
	}
	return n
}

// rank puts the places into the order of their groups, by counting, and within a group into that of time, which
// they mostly have.
func (s *Sorted) rank() {
	slices.SortFunc(s.order, func(a, b group) int {
		if c := cmp.Compare(a.tenant, b.tenant); c != 0 {
			return c
		}
		return cmp.Compare(a.name, b.name)
	})
	ranks := make([]uint32, len(s.order))
	for rank, g := range s.order {
		ranks[s.groups[g]] = uint32(rank)
	}
	starts := make([]int, len(s.order)+1)
	for i := range s.places {
		rank := ranks[s.places[i].group]
		s.places[i].group = rank
		starts[rank+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	s.sorted = slices.Grow(s.sorted[:0], len(s.places))[:len(s.places)]
	next := slices.Clone(starts)
	for i := range s.places {
		at := &next[s.places[i].group]
		s.sorted[*at] = s.places[i]
		*at++
	}
	byTime := func(a, b place) int {
		if c := cmp.Compare(a.time, b.time); c != 0 {
			return c
		}
		return cmp.Compare(a.index, b.index)
	}
	for i := range len(starts) - 1 {
		if one := s.sorted[starts[i]:starts[i+1]]; !slices.IsSortedFunc(one, byTime) {
			slices.SortFunc(one, byTime)
		}
	}
}

// Next returns the next event and its index in the batch's own order, or nil after the last. The Event is
// overwritten by the next call.
func (s *Sorted) Next() (*Event, int) {
	if s.next >= len(s.sorted) {
		return nil, 0
	}
	p := &s.sorted[s.next]
	s.next++
	src := &s.sources[p.source]
	s.reader.tenant, s.reader.source, s.reader.hasSource = src.tenant, src.source, src.hasSource
	s.reader.ev.Resource = src.resource
	s.reader.resourceID = int(p.source) + 1
	s.reader.read(p.record)
	return &s.reader.ev, p.index
}

// ResourceIndex numbers the (resource, scope) pairs of the batch from 1, as Reader.ResourceIndex does.
func (s *Sorted) ResourceIndex() int { return s.reader.resourceID }

// Release lets go of the batch and keeps the memory for the next one.
func (s *Sorted) Release() {
	clear(s.places)
	clear(s.sorted)
	clear(s.sources)
	clear(s.order)
	clear(s.groups)
	s.reader = Reader{ev: Event{Properties: s.reader.ev.Properties[:0], Context: s.reader.ev.Context[:0]}}
}
