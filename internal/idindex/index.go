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
// The index is cut into shards of some 32,000 IDs at MaxCount, each with a lock and a table of its own. When such a
// table grows, those who ask for an ID of that shard wait for about a millisecond, and nobody else does.
type Options struct {
	MaxCount uint64
	MaxAge   time.Duration
}

const (
	perShard  = 32_768
	minShards = 64
	maxShards = 4096
	countless = 16_000_000 // what shards are made for if there is no limit by count
)

// Index is the set of the IDs that the log holds, within a horizon. Safe for concurrent use.
//
// Of one ID the latest ordinal counts. Of append times the log makes sure that they do not fall along the ordinals; where they
// do, an ordinal counts as appended at the latest time at or below it, so that IDs stay known for longer, never for less. A
// time asked for that is before the latest append time counts as that.
type Index struct {
	horizon horizon
	shards  []shard
	shift   uint
}

// New returns an empty index.
func New(o Options) *Index {
	count := o.MaxCount
	if count == 0 {
		count = countless
	}
	n := uint64(minShards)
	for n < maxShards && n*perShard < count {
		n *= 2
	}
	return &Index{horizon: newHorizon(o), shards: make([]shard, n), shift: uint(32 - bits.TrailingZeros64(n))}
}

func (x *Index) shard(fp *Fingerprint) *shard {
	return &x.shards[binary.LittleEndian.Uint32(fp[:4])>>x.shift]
}

// Insert takes up IDs of 16 bytes each, with ordinals first, first+1, ..., all appended at the time given, in Unix
// nanoseconds. Batches may come a little out of order. It does not keep ids.
func (x *Index) Insert(first uint64, appended int64, ids []byte) {
	count := len(ids) / Size
	if count == 0 {
		return
	}
	floor := x.horizon.note(first, uint64(count), appended)
	if workers := runtime.GOMAXPROCS(0); count >= parallelFrom && workers > 1 {
		x.insertParallel(first, floor, ids, min(workers, 8))
		return
	}
	for i := range count {
		fp := (*Fingerprint)(ids[i*Size:])
		s := x.shard(fp)
		s.mu.Lock()
		s.insert(fp, first+uint64(i), floor)
		s.mu.Unlock()
	}
}

// parallelFrom is the number of IDs from which on several goroutines insert them, each those of its own shards: what
// is read back at a start, not what comes in at the door.
const parallelFrom = 50_000

func (x *Index) insertParallel(first, floor uint64, ids []byte, workers int) {
	var wg sync.WaitGroup
	for w := range uint32(workers) {
		wg.Go(func() {
			for i := 0; i < len(ids); i += Size {
				fp := (*Fingerprint)(ids[i:])
				n := binary.LittleEndian.Uint32(fp[:4]) >> x.shift
				if n%uint32(workers) != w {
					continue
				}
				s := &x.shards[n]
				s.mu.Lock()
				s.insert(fp, first+uint64(i/Size), floor)
				s.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// Reserve makes room for n IDs, so that no table grows while they are inserted.
func (x *Index) Reserve(n uint64) {
	each := float64(n) / float64(len(x.shards))
	each += 3 * math.Sqrt(each) // shards differ
	buckets := int(each/(fullAt*perBucket)) + 1
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		if len(s.table) < buckets {
			s.resize(buckets)
		}
		s.mu.Unlock()
	}
}

// Contains says whether the ID is known at the time given, in Unix nanoseconds.
func (x *Index) Contains(fp Fingerprint, now int64) bool {
	return x.contains(&fp, x.horizon.floor(now))
}

// ContainsAll answers for each ID into known, which must be as long.
func (x *Index) ContainsAll(fps []Fingerprint, now int64, known []bool) {
	floor := x.horizon.floor(now)
	for i := range fps {
		known[i] = x.contains(&fps[i], floor)
	}
}

func (x *Index) contains(fp *Fingerprint, floor uint64) bool {
	s := x.shard(fp)
	s.mu.Lock()
	place, ordinal := s.find(fp)
	s.mu.Unlock()
	return place != nil && ordinal >= floor
}

// Floor returns the first ordinal that is within the horizon at the time given: the log may forget the IDs of those
// below.
func (x *Index) Floor(now int64) uint64 { return x.horizon.floor(now) }

// Len is the number of IDs in memory: those known, and some that expired and whose memory is not given back yet.
func (x *Index) Len() int {
	n := 0
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		n += s.live
		s.mu.Unlock()
	}
	return n
}

// Bytes is the memory that the IDs take.
func (x *Index) Bytes() int64 {
	var n int64
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		n += s.bytes()
		s.mu.Unlock()
	}
	return n
}
