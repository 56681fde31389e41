// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"encoding/binary"
	"math"
	"math/bits"
	"sync"
	"unsafe"
)

// A shard holds its IDs twice: in a ring, in the order of their arrival, which is nearly that of their ordinals, so that the
// expired ones are at its head; and in a hash table from fingerprint to slot, the place in the ring. Full, that is 20
// bytes in the ring and 64/12 in the table, which is between 0.64 and 0.8 full after it has grown.
type shard struct {
	mu      sync.Mutex // guards everything below; any goroutine
	ring    ring
	table   []bucket
	live    int // entries of the table
	pending map[Fingerprint]*Claim
}

// A chunk is 4,096 bytes: one of the allocator's sizes. It has no pointers, so the collector does not scan it.
const perChunk = (4096 - 16) / (Size + 4)

type chunk struct {
	base uint64 // the ordinal that the deltas count from
	n    uint32 // entries in use
	_    uint32
	fps  [perChunk]Fingerprint
	// Ordinals minus base: signed, since concurrent appends arrive a little out of order. What does not fit opens a
	// new chunk, so no ordinal is ever ambiguous.
	deltas [perChunk]int32
}

// ring is a queue of entries. A slot names an entry for as long as it is in the ring: the chunk's number, modulo 2^24,
// and the place in it, from 1, so that no slot is 0.
type ring struct {
	chunks []*chunk
	first  uint32 // number of chunks[0], modulo 2^24
	head   uint32 // entries of chunks[0] that have been removed
	spare  *chunk
}

type slot uint32

const chunkNumbers = 1<<24 - 1

func (r *ring) at(s slot) (c *chunk, i int) {
	return r.chunks[(uint32(s>>8)-r.first)&chunkNumbers], int(s&0xFF) - 1
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
	return slot((r.first+uint32(len(r.chunks)-1))&chunkNumbers<<8 | c.n)
}

// peek returns the oldest entry.
func (r *ring) peek() (fp *Fingerprint, ordinal uint64, s slot, ok bool) {
	if len(r.chunks) == 0 {
		return nil, 0, 0, false
	}
	c := r.chunks[0]
	return &c.fps[r.head], c.ordinal(int(r.head)), slot(r.first<<8 | (r.head + 1)), true
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

// A bucket is one line of the processor's cache: an ID is looked for in one, and seldom in the next. through counts the
// entries of the table that passed by because it was full, so that a look-up ends at a bucket that none passed, and
// a removal leaves nothing behind.
type bucket struct {
	tags    [perBucket]uint8 // 0: free; else a byte of the fingerprint, so that few others are compared
	through uint32
	slots   [perBucket]slot
}

const (
	perBucket  = 12
	fullAt     = 0.8  // of all places, when a table grows
	growth     = 1.25 // of its size: then it is 0.64 full
	emptyAt    = 0.2  // of all places, when a table shrinks to half
	minBuckets = 2
)

func tag(fp *Fingerprint) uint8 { return max(1, fp[4]) }

// home returns the bucket where the fingerprint belongs. Other bytes choose the shard (0 to 3) and the tag (4).
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

// match returns a word with the highest bit set of each of the 8 tags that equals t, and now and then of another
// one above.
func match(tags *[perBucket]uint8, t uint8) (lo uint64, hi uint32) {
	x := binary.LittleEndian.Uint64(tags[:8]) ^ uint64(t)*0x0101010101010101
	y := binary.LittleEndian.Uint32(tags[8:]) ^ uint32(t)*0x01010101
	return (x - 0x0101010101010101) & ^x & 0x8080808080808080, (y - 0x01010101) & ^y & 0x80808080
}

// find returns the place of a fingerprint in the table, and its ordinal.
func (s *shard) find(fp *Fingerprint) (place *slot, ordinal uint64) {
	if s.live == 0 {
		return nil, 0
	}
	t := tag(fp)
	for i := s.home(fp); ; i = s.after(i) {
		b := &s.table[i]
		lo, hi := match(&b.tags, t)
		for ; lo != 0; lo &= lo - 1 {
			at := &b.slots[bits.TrailingZeros64(lo)/8]
			if ordinal, ok := s.is(*at, fp); ok {
				return at, ordinal
			}
		}
		for ; hi != 0; hi &= hi - 1 {
			at := &b.slots[8+bits.TrailingZeros32(hi)/8]
			if ordinal, ok := s.is(*at, fp); ok {
				return at, ordinal
			}
		}
		if b.through == 0 {
			return nil, 0
		}
	}
}

func (s *shard) is(at slot, fp *Fingerprint) (ordinal uint64, ok bool) {
	if at == 0 {
		return 0, false
	}
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
		lo, hi := match(&b.tags, 0)
		place := 0
		switch {
		case lo != 0:
			place = bits.TrailingZeros64(lo) / 8
		case hi != 0:
			place = 8 + bits.TrailingZeros32(hi)/8
		default:
			b.through++
			continue
		}
		b.tags[place], b.slots[place] = tag(fp), at
		return
	}
}

// remove takes an entry out of the table, if the table means that one and not a later one of the same ID.
func (s *shard) remove(fp *Fingerprint, at slot) {
	if s.live == 0 {
		return
	}
	home := s.home(fp)
	for i := home; ; i = s.after(i) {
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
