// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"sort"
	"sync"
)

// An order is a batch's IDs sorted by shard, and within a shard as they came: each lock is taken once for a batch, and the memory
// that the IDs are in is read for many at once. Not for concurrent use.
type order struct {
	at     []uint32 // places in the batch
	shards []uint32 // of those, in that order
	counts []uint32
	sink   uint32 // keeps the compiler from leaving touch out
}

var orders = sync.Pool{New: func() any { return new(order) }}

// sort takes the n IDs that get returns.
func (o *order) sort(x *Index, n int, get func(i int) *Fingerprint) {
	if cap(o.at) < n {
		o.at, o.shards = make([]uint32, n), make([]uint32, n)
	}
	if len(o.counts) < len(x.shards) {
		o.counts = make([]uint32, len(x.shards))
	}
	o.at, o.shards = o.at[:n], o.shards[:n]
	counts := o.counts[:len(x.shards)]
	clear(counts)
	for i := range n {
		counts[x.number(get(i))]++
	}
	sum := uint32(0)
	for i, c := range counts {
		counts[i], sum = sum, sum+c
	}
	for i := range n {
		s := x.number(get(i))
		o.at[counts[s]], o.shards[counts[s]] = uint32(i), s
		counts[s]++
	}
}

// cut returns where the w-th of so many equal parts of the stripes begins, for insertion side by side.
func (o *order) cut(x *Index, w, parts int) int {
	shard := uint32(w*stripes/parts) * x.perStripe
	return sort.Search(len(o.shards), func(i int) bool { return o.shards[i] >= shard })
}

// together is the most IDs that are handled under one lock at a time: what others wait for is some microseconds.
const together = 64

// each calls f for every ID, with its shard locked. With expire, f will insert.
func (o *order) each(x *Index, get func(i int) *Fingerprint, expire bool, f func(i int, fp *Fingerprint, s *shard)) {
	for from := 0; from < len(o.at); {
		stripe := o.shards[from] / x.perStripe
		to := from + 1
		for to < len(o.at) && to < from+together && o.shards[to]/x.perStripe == stripe {
			to++
		}
		mu := &x.stripes[stripe].Mutex
		mu.Lock()
		sink, nth := uint32(0), 0
		for i := from; i < to; i++ {
			s := &x.shards[o.shards[i]]
			sink += s.touch(get(int(o.at[i])))
			if expire {
				if nth++; i == from || o.shards[i] != o.shards[i-1] {
					nth = 0
				}
				sink += s.touchRing(nth)
			}
		}
		if expire {
			for i := from; i < to; i++ {
				if nth++; i == from || o.shards[i] != o.shards[i-1] {
					nth = 0
				}
				sink += x.shards[o.shards[i]].touchOldest(nth)
			}
		}
		o.sink += sink
		for i := from; i < to; i++ {
			at := int(o.at[i])
			f(at, get(at), &x.shards[o.shards[i]])
		}
		mu.Unlock()
		from = to
	}
}
