// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"
)

// A shard holds its IDs twice: in a ring, in the order of their arrival, which is nearly that of their ordinals, so that the
// expired ones are at its head; and in a hash table from fingerprint to slot, the place in the ring. Full, that is 20
// bytes in the ring and 64/10 in the table, which is between 0.64 and 0.8 full once it has grown: 28 to 30 in all.
//
// Its stripe's lock guards all of it.
type shard struct {
	ring    ring
	table   []bucket
	live    int                    // entries of the table
	pending map[Fingerprint]*Claim // IDs whose append is under way
}

// A chunk is 8,192 bytes, which the allocator hands out as a page: smaller ones, coming and going, left a tenth of the memory in
// half-empty pages. It has no pointers, so the collector does not scan it.
const perChunk = (8192 - 16) / (Size + 4)

type chunk struct {
	base uint64 // the ordinal that the deltas count from
	n    uint32 // entries in use
	_    uint32
	fps  [perChunk]Fingerprint
	// Ordinals minus base: signed, since concurrent appends arrive a little out of order. What does not fit opens a
	// new chunk, so no ordinal is ever ambiguous.
	deltas [perChunk]int32
}

// ring is a queue of entries. A slot names an entry for as long as it is in the ring: the chunk's number, modulo 2^23,
// and the place in it, from 1, so that no slot is 0.
type ring struct {
	chunks []*chunk
	first  uint32 // number of chunks[0], modulo 2^23
	head   uint32 // entries of chunks[0] that have been removed
	spare  *chunk
}

type slot uint32

const (
	placeBits    = 9 // of a slot
	chunkNumbers = 1<<(32-placeBits) - 1
)

func (r *ring) at(s slot) (c *chunk, i int) {
	return r.chunks[(uint32(s>>placeBits)-r.first)&chunkNumbers], int(s&(1<<placeBits-1)) - 1
}

func (r *ring) push(fp Fingerprint, ordinal uint64) slot {
	var c *chunk
	if len(r.chunks) > 0 {
		c = r.chunks[len(r.chunks)-1]
		if delta := int64(ordinal - c.base); c.n == perChunk || delta < math.MinInt32 || delta > math.MaxInt32 {
			c = nil
		}
	}
	if c == nil {
		if c, r.spare = r.spare, nil; c == nil {
			c = new(chunk)
		}
		c.base, c.n = ordinal, 0
		r.chunks = append(r.chunks, c)
	}
	i := c.n
	c.fps[i], c.deltas[i] = fp, int32(int64(ordinal-c.base))
	c.n++
	return slot((r.first+uint32(len(r.chunks)-1))&chunkNumbers<<placeBits | c.n)
}

// peek returns the oldest entry.
func (r *ring) peek() (fp *Fingerprint, ordinal uint64, s slot, ok bool) {
	if len(r.chunks) == 0 {
		return nil, 0, 0, false
	}
	c := r.chunks[0]
	return &c.fps[r.head], c.ordinal(int(r.head)), slot(r.first<<placeBits | (r.head + 1)), true
}

// pop removes it.
func (r *ring) pop() {
	c := r.chunks[0]
	if r.head++; r.head < c.n {
		return
	}
	r.head = 0
	r.first = (r.first + 1) & chunkNumbers
	r.spare = c
	r.chunks[0] = nil
	if r.chunks = r.chunks[1:]; len(r.chunks) == 0 {
		r.chunks = nil
	}
}

func (c *chunk) ordinal(i int) uint64 { return c.base + uint64(int64(c.deltas[i])) }

// ahead returns the n-th entry from the oldest, if it is in the same chunk.
func (r *ring) ahead(n int) (fp *Fingerprint, delta int32) {
	if len(r.chunks) == 0 || int(r.head)+n >= int(r.chunks[0].n) {
		return nil, 0
	}
	c := r.chunks[0]
	return &c.fps[int(r.head)+n], c.deltas[int(r.head)+n]
}

// A bucket is one line of the processor's cache: an ID is looked for in one, and seldom in the next. through counts the
// entries of the table that passed by because it was full, so that a look-up ends at a bucket that none passed, and
// a removal leaves nothing behind.
type bucket struct {
	tags    [perBucket]uint16 // 0: free; else two bytes of the fingerprint, so that hardly any other is compared
	through uint32
	slots   [perBucket]slot
}

const (
	perBucket  = 10
	fullAt     = 0.8  // of all places, when a table grows
	growth     = 1.25 // of its size: then it is 0.64 full
	emptyAt    = 0.2  // of all places, when a table shrinks to half
	minBuckets = 2
)

func tag(fp *Fingerprint) uint16 { return max(1, binary.LittleEndian.Uint16(fp[4:6])) }

// home returns the bucket where the fingerprint belongs. Other bytes choose the shard (0 to 3) and the tag (4 and 5).
func (s *shard) home(fp *Fingerprint) uint32 {
	hi, _ := bits.Mul32(binary.LittleEndian.Uint32(fp[8:12]), uint32(len(s.table)))
	return hi
}

func (s *shard) after(b uint32) uint32 {
	if b++; int(b) == len(s.table) {
		return 0
	}
	return b
}

// touch reads from memory what find is about to read: the two lines where the fingerprint may be. At millions of IDs each look-up
// misses the processor's caches, and many at once take hardly longer than one. The result means nothing.
func (s *shard) touch(fp *Fingerprint) uint32 {
	if len(s.table) == 0 {
		return 0
	}
	home := s.home(fp)
	return s.table[home].through + s.table[s.after(home)].through
}

// touchRing is the same for the n-th removal and the n-th push from now, and touchOldest then for the table.
func (s *shard) touchRing(n int) (sum uint32) {
	if fp, delta := s.ring.ahead(n); fp != nil {
		sum = uint32(fp[0]) + uint32(delta)
	}
	if l := len(s.ring.chunks); l > 0 {
		c := s.ring.chunks[l-1]
		i := min(int(c.n)+n, perChunk-1)
		sum += uint32(c.fps[i][0]) + uint32(c.deltas[i])
	}
	return sum
}

func (s *shard) touchOldest(n int) uint32 {
	if fp, _ := s.ring.ahead(n); fp != nil {
		return s.touch(fp)
	}
	return 0
}

// find returns the place of a fingerprint in the table, and its ordinal.
func (s *shard) find(fp *Fingerprint) (place *slot, ordinal uint64) {
	if s.live == 0 {
		return nil, 0
	}
	t := tag(fp)
	i := s.home(fp)
	for range s.table { // all may have been passed, when there are few
		b := &s.table[i]
		for p, other := range &b.tags {
			if other != t {
				continue
			}
			if ordinal, ok := s.is(b.slots[p], fp); ok {
				return &b.slots[p], ordinal
			}
		}
		if b.through == 0 {
			break
		}
		i = s.after(i)
	}
	return nil, 0
}

func (s *shard) contains(fp *Fingerprint, floor uint64) bool {
	place, ordinal := s.find(fp)
	return place != nil && ordinal >= floor
}

func (s *shard) is(at slot, fp *Fingerprint) (ordinal uint64, ok bool) {
	c, i := s.ring.at(at)
	if c.fps[i] != *fp {
		return 0, false
	}
	return c.ordinal(i), true
}

// insert takes up an ID, and gives back the memory of what has expired: a few entries, so that no caller pays for
// all of them.
func (s *shard) insert(fp *Fingerprint, ordinal, floor uint64) {
	s.reclaim(floor)
	if ordinal < floor {
		return
	}
	place, before := s.find(fp)
	if place != nil {
		if ordinal > before {
			*place = s.ring.push(*fp, ordinal) // the entry of before is nobody's until its turn to be removed comes
		}
		return
	}
	if float64(s.live) >= fullAt*perBucket*float64(len(s.table)) {
		s.resize(max(minBuckets, int(growth*float64(len(s.table)))+1))
	}
	s.put(fp, s.ring.push(*fp, ordinal))
	s.live++
}

func (s *shard) put(fp *Fingerprint, at slot) {
	for i := s.home(fp); ; i = s.after(i) {
		b := &s.table[i]
		for p, other := range &b.tags {
			if other == 0 {
				b.tags[p], b.slots[p] = tag(fp), at
				return
			}
		}
		b.through++
	}
}

// remove takes an entry out of the table, if the table means that one and not a later one of the same ID.
func (s *shard) remove(fp *Fingerprint, at slot) {
	if s.live == 0 {
		return
	}
	home := s.home(fp)
	i := home
	for range s.table {
		b := &s.table[i]
		for place, other := range b.slots {
			if other != at {
				continue
			}
			b.slots[place], b.tags[place] = 0, 0
			for ; home != i; home = s.after(home) {
				s.table[home].through--
			}
			s.live--
			return
		}
		if b.through == 0 {
			return
		}
		i = s.after(i)
	}
}

// reclaimed is the most entries that one insert removes: more than one, so that memory falls when many expire at once.
const reclaimed = 4

func (s *shard) reclaim(floor uint64) {
	for range reclaimed {
		fp, ordinal, at, ok := s.ring.peek()
		if !ok || ordinal >= floor {
			return
		}
		s.remove(fp, at)
		s.ring.pop()
	}
	if len(s.table) > minBuckets && float64(s.live) < emptyAt*perBucket*float64(len(s.table)) {
		s.resize(max(minBuckets, len(s.table)/2))
	}
}

// resize moves the entries to a new table, under the lock: see Options for how long that is.
func (s *shard) resize(buckets int) {
	old := s.table
	s.table = make([]bucket, buckets)
	for i := range old {
		for _, at := range old[i].slots {
			if at != 0 {
				c, j := s.ring.at(at)
				s.put(&c.fps[j], at)
			}
		}
	}
}

func (s *shard) bytes() int64 {
	n := len(s.ring.chunks)
	if s.ring.spare != nil {
		n++
	}
	return int64(n)*int64(unsafe.Sizeof(chunk{})) + int64(cap(s.ring.chunks))*8 + int64(len(s.table))*int64(unsafe.Sizeof(bucket{}))
}
