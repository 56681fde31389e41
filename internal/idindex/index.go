// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"encoding/binary"
	"math"
	"math/bits"
	"runtime"
	"sync"
	"time"
)

// Options of an Index. An ID is known while its latest ordinal is among the last MaxCount, and its append time is
// within MaxAge of the time asked for, rounded up to a Step. Zero is no limit, for one of the two.
//
// The index is cut into shards of some 40,000 IDs at MaxCount, each with a table of its own. When a table grows, which it does by a
// quarter, those who ask for an ID of the same 64th of all shards wait for about a millisecond.
type Options struct {
	MaxCount uint64
	MaxAge   time.Duration
}

const (
	perShard  = 40_000
	stripes   = 64
	maxShards = 4096       // of which a batch is sorted by
	countless = 10_000_000 // what shards are made for if there is no limit by count
)

// Index is the set of the IDs that the log holds, within a horizon. Safe for concurrent use.
//
// Of one ID the latest ordinal counts. Of append times the log makes sure that they do not fall along the ordinals; where they
// do, an ordinal counts as appended at the latest time at or below it, so that IDs stay known for longer, never for less. A
// time asked for that is before the latest append time counts as that.
type Index struct {
	horizon   horizon
	shards    []shard
	shift     uint
	perStripe uint32
	stripes   [stripes]lock // each guards perStripe shards
}

// A lock has a line of the processor's cache to itself.
type lock struct {
	sync.Mutex
	_ [56]byte
}

// New returns an empty index.
func New(o Options) *Index {
	count := o.MaxCount
	if count == 0 {
		count = countless
	}
	n := uint64(stripes)
	for n < maxShards && n*perShard < count {
		n *= 2
	}
	return &Index{
		horizon: newHorizon(o), shards: make([]shard, n), shift: uint(32 - bits.TrailingZeros64(n)), perStripe: uint32(n / stripes),
	}
}

func (x *Index) number(fp *Fingerprint) uint32 { return binary.LittleEndian.Uint32(fp[:4]) >> x.shift }

// lock locks the shard that an ID belongs to, until unlock is called.
func (x *Index) lock(fp *Fingerprint) (s *shard, mu *sync.Mutex) {
	n := x.number(fp)
	mu = &x.stripes[n/x.perStripe].Mutex
	mu.Lock()
	return &x.shards[n], mu
}

// Insert takes up IDs of 16 bytes each, with ordinals first, first+1, ..., all appended at the time given, in Unix
// nanoseconds. Batches may come a little out of order. It does not keep ids.
func (x *Index) Insert(first uint64, appended int64, ids []byte) {
	x.insert(first, appended, ids, func(fp *Fingerprint, ordinal, floor uint64, s *shard) {
		s.insert(fp, ordinal, floor)
	})
}

func (x *Index) insert(first uint64, appended int64, ids []byte, f func(fp *Fingerprint, ordinal, floor uint64, s *shard)) {
	count := len(ids) / Size
	if count == 0 {
		return
	}
	floor := x.horizon.note(first, uint64(count), appended)
	if count < sortFrom {
		for i := range count {
			fp := (*Fingerprint)(ids[i*Size:])
			s, mu := x.lock(fp)
			f(fp, first+uint64(i), floor, s)
			mu.Unlock()
		}
		return
	}
	get := func(i int) *Fingerprint { return (*Fingerprint)(ids[i*Size:]) }
	o, _ := orders.Get().(*order)
	o.sort(x, count, get)
	if workers := min(runtime.GOMAXPROCS(0), 8); count >= parallelFrom && workers > 1 {
		var wg sync.WaitGroup
		for w := range workers {
			from, to := o.cut(x, w, workers), o.cut(x, w+1, workers)
			part := &order{at: o.at[from:to], shards: o.shards[from:to]}
			wg.Go(func() {
				part.each(x, get, true, func(i int, fp *Fingerprint, s *shard) { f(fp, first+uint64(i), floor, s) })
			})
		}
		wg.Wait()
	} else {
		o.each(x, get, true, func(i int, fp *Fingerprint, s *shard) { f(fp, first+uint64(i), floor, s) })
	}
	if cap(o.at) <= keepOrders {
		orders.Put(o)
	}
}

const (
	sortFrom = 16 // IDs of a batch: fewer are not worth it
	// parallelFrom is the number of IDs from which on several goroutines insert them, each those of its own shards:
	// what is read back at a start, not what comes in at the door.
	parallelFrom = 50_000
	keepOrders   = 65_536
)

// Reserve makes room for n IDs, so that no table grows while they are inserted.
func (x *Index) Reserve(n uint64) {
	each := float64(n) / float64(len(x.shards))
	each += 3 * math.Sqrt(each) // shards differ
	buckets := int(each/(fullAt*perBucket)) + 1
	x.all(func(s *shard) {
		if len(s.table) < buckets {
			s.resize(buckets)
		}
	})
}

// all calls f for every shard, locked.
func (x *Index) all(f func(s *shard)) {
	for i := range x.shards {
		mu := &x.stripes[uint32(i)/x.perStripe].Mutex
		mu.Lock()
		f(&x.shards[i])
		mu.Unlock()
	}
}

// Contains says whether the ID is known at the time given, in Unix nanoseconds.
func (x *Index) Contains(fp Fingerprint, now int64) bool {
	floor := x.horizon.floor(now)
	s, mu := x.lock(&fp)
	defer mu.Unlock()
	return s.contains(&fp, floor)
}

// ContainsAll answers for each ID into known, which must be as long.
func (x *Index) ContainsAll(fps []Fingerprint, now int64, known []bool) {
	floor := x.horizon.floor(now)
	x.each(fps, func(i int, fp *Fingerprint, s *shard) { known[i] = s.contains(fp, floor) })
}

// each calls f for every ID, in any order except that equal ones are called in theirs, with its shard locked.
func (x *Index) each(fps []Fingerprint, f func(i int, fp *Fingerprint, s *shard)) {
	if len(fps) < sortFrom {
		for i := range fps {
			s, mu := x.lock(&fps[i])
			f(i, &fps[i], s)
			mu.Unlock()
		}
		return
	}
	get := func(i int) *Fingerprint { return &fps[i] }
	o, _ := orders.Get().(*order)
	o.sort(x, len(fps), get)
	o.each(x, get, false, f)
	if cap(o.at) <= keepOrders {
		orders.Put(o)
	}
}

// Floor returns the first ordinal that is within the horizon at the time given: the log may forget the IDs of those
// below.
func (x *Index) Floor(now int64) uint64 { return x.horizon.floor(now) }

// Len is the number of IDs in memory: those known, and some that expired and whose memory is not given back yet.
func (x *Index) Len() (n int) {
	x.all(func(s *shard) { n += s.live })
	return n
}

// Bytes is the memory that the IDs take.
func (x *Index) Bytes() (n int64) {
	x.all(func(s *shard) { n += s.bytes() })
	return n
}
