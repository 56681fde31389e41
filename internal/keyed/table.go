// SPDX-License-Identifier: Apache-2.0

package keyed

import (
	"hash/maphash"
	"math/rand/v2"
)

// seed differs from process to process, so that nobody can choose keys that meet.
var seed = maphash.MakeSeed()

// Hash of a key, for Find and Insert.
func Hash(key []byte) uint64 { return maphash.Bytes(seed, key) }

// Ref names an entry of a table until it is deleted.
type Ref uint32

// entry is what is known of a key beside its bytes.
type entry struct {
	block uint32
	vlen  uint32
	due   uint32 // the bucket of its timer; 0 without one
	klen  uint16
	flags uint8
	age   uint8 // the checkpoint, modulo 256, before which it was last edited
}

const (
	live     = 1 << iota
	dirty    // in the table's list of what the next checkpoint writes
	touched  // the innermost journal has its old bytes, or its insertion
	spilling // it leaves memory when the checkpoint under way is committed
)

// slot of the index: linear probing from the upper bits of the hash.
type slot struct {
	hash uint32
	ref  uint32 // plus one; 0 is empty
}

// Table maps keys to values. Views that it returns are valid until the next call that changes the table.
type Table struct {
	space *Space
	part  *partition
	name  string

	index   []slot
	shift   uint   // see home
	spread  uint32 // odd, and the table's own
	entries []entry
	free    []Ref
	n       int
	arena   arena
	timers  timers

	dirty      []Ref
	gone       []byte // keys deleted since the last checkpoint, each behind its length
	dirtyBytes int
	store      stored
	spill      spilled
	pinned     bool
}

// MaxKey is the longest key, in bytes.
const MaxKey = 1<<16 - 1

const minSlots = 8

func newTable(s *Space, p *partition, name string) *Table {
	t := &Table{space: s, part: p, name: name, spread: rand.Uint32() | 1} //nolint:gosec // it only has to differ from table to table
	t.resizeIndex(minSlots)
	return t
}

// Name of the table.
func (t *Table) Name() string { return t.name }

// Len is the number of entries.
func (t *Table) Len() int { return t.n + len(t.spill.due) }

// Pin keeps all entries in memory: of a small table that is always needed.
func (t *Table) Pin() { t.pinned = true }

// Bytes that the table takes in memory.
func (t *Table) Bytes() int {
	return t.arena.bytes + 8*len(t.index) + 16*cap(t.entries) + 4*(cap(t.free)+cap(t.dirty)) + cap(t.gone) + t.timers.bytes() + t.spill.bytes()
}

// used is what its entries take of that: what spilling some of them gives back to others.
func (t *Table) used() int { return t.arena.used + 36*t.n }

func (t *Table) resizeIndex(n int) {
	old := t.index
	t.index = make([]slot, n)
	t.shift = 32
	for 1<<(32-t.shift) < n {
		t.shift--
	}
	for _, s := range old {
		if s.ref != 0 {
			t.put(s)
		}
	}
}

// home is the slot at which a hash is looked for first. The multiplier is another one in each table: entries that come in the order of
// another table's slots, as they do out of a store, would else pile up at the beginning of one that grows.
func (t *Table) home(h uint32) uint32 { return h * t.spread >> t.shift }

func (t *Table) put(s slot) {
	mask := uint32(len(t.index) - 1)
	for i := t.home(s.hash); ; i++ {
		if at := &t.index[i&mask]; at.ref == 0 {
			*at = s
			return
		}
	}
}

// Find returns the entry of the key.
func (t *Table) Find(hash uint64, key []byte) (Ref, bool) {
	h := uint32(hash >> 32)
	mask := uint32(len(t.index) - 1)
	for i := t.home(h); ; i++ {
		s := t.index[i&mask]
		if s.ref == 0 {
			return t.unspill(hash, key)
		}
		if s.hash == h && string(t.Key(Ref(s.ref-1))) == string(key) {
			return Ref(s.ref - 1), true
		}
	}
}

// Prefetch brings the entries of these hashes near, in passes whose loads do not wait for one another: looking up a million keys at random
// is waiting for memory, and so is most of it hidden. near is scratch of at least as many; what is returned is to be kept, so that
// nothing of it is left out. Some hundred hashes at once are best.
func (t *Table) Prefetch(hashes []uint64, near []uint32) uint32 {
	near = near[:len(hashes)]
	for i, h := range hashes {
		near[i] = t.index[t.home(uint32(h>>32))].ref
	}
	mask := uint32(len(t.index) - 1)
	for i, hash := range hashes {
		h := uint32(hash >> 32)
		at := t.home(h)
		s := t.index[at]
		for s.ref != 0 && s.hash != h {
			at++
			s = t.index[at&mask]
		}
		near[i] = s.ref
	}
	sum := uint32(0)
	for _, r := range near {
		if r != 0 {
			sum += t.entries[r-1].vlen
		}
	}
	for _, r := range near {
		if r != 0 {
			if b := t.bytes(&t.entries[r-1]); len(b) > 0 { // two or three lines of the cache
				sum += uint32(b[0]) + uint32(b[len(b)/2]) + uint32(b[len(b)-1])
			}
		}
	}
	return sum
}

// Insert adds a key that is not there, with a value of n zero bytes, and returns its entry. The key is at most MaxKey long.
func (t *Table) Insert(hash uint64, key []byte, n int) Ref {
	r := t.insert(uint32(hash>>32), key, n, false)
	t.part.top().inserted(t, r)
	t.mark(r)
	return r
}

// insert puts the entry where the last one was deleted, unless it is to be at a fresh place: undoing edits takes such places in the order in
// which they came free.
func (t *Table) insert(h uint32, key []byte, n int, fresh bool) Ref {
	if (t.n+1)*8 > len(t.index)*7 {
		t.resizeIndex(2 * len(t.index))
	}
	var r Ref
	if k := len(t.free); k > 0 && !fresh {
		r, t.free = t.free[k-1], t.free[:k-1]
	} else {
		r = Ref(len(t.entries))
		t.entries = append(t.entries, entry{})
	}
	size := len(key) + n
	block := t.arena.alloc(size)
	b := t.arena.get(block, size)
	copy(b, key)
	clear(b[len(key):])
	t.entries[r] = entry{block: block, vlen: uint32(n), klen: uint16(len(key)), flags: live}
	t.put(slot{h, uint32(r) + 1})
	t.n++
	return r
}

// Key is a view of the entry's key.
func (t *Table) Key(r Ref) []byte {
	e := &t.entries[r]
	return t.bytes(e)[:e.klen]
}

// Value is a view of the entry's value, not to be changed.
func (t *Table) Value(r Ref) []byte {
	e := &t.entries[r]
	return t.bytes(e)[e.klen:]
}

func (t *Table) bytes(e *entry) []byte { return t.arena.get(e.block, int(e.klen)+int(e.vlen)) }

// Edit returns the value to be changed in place.
func (t *Table) Edit(r Ref) []byte {
	e := &t.entries[r]
	if e.flags&touched == 0 {
		t.part.top().edited(t, r)
	}
	t.mark(r)
	return t.bytes(e)[e.klen:]
}

// Resize gives the value another length, keeping what they have in common; what is added is zero. It returns the value to be changed in place.
func (t *Table) Resize(r Ref, n int) []byte {
	v := t.Edit(r)
	if len(v) == n {
		return v
	}
	return t.resize(r, n)
}

func (t *Table) resize(r Ref, n int) []byte {
	e := &t.entries[r]
	from, to := int(e.klen)+int(e.vlen), int(e.klen)+n
	old := t.bytes(e)
	if fromClass, _ := classOf(from); fromClass != firstOf(classOf(to)) {
		block := t.arena.alloc(to)
		b := t.arena.get(block, to)
		copy(b, old[:min(from, to)])
		t.arena.release(e.block, from)
		e.block = block
	}
	e.vlen = uint32(n)
	b := t.bytes(e)
	if to > from {
		clear(b[from:])
	}
	return b[e.klen:]
}

func firstOf(a, _ int) int { return a }

// Delete removes the entry.
func (t *Table) Delete(r Ref) {
	t.part.top().deleting(t, r)
	t.gone = appendText(t.gone, t.Key(r))
	t.dirtyBytes += int(t.entries[r].klen) + 8
	t.remove(r)
}

func (t *Table) remove(r Ref) {
	e := &t.entries[r]
	mask := uint32(len(t.index) - 1)
	i := t.home(uint32(Hash(t.bytes(e)[:e.klen])>>32)) & mask
	for t.index[i].ref != uint32(r)+1 {
		i = (i + 1) & mask
	}
	// Those behind move up to where they are found without it.
	for {
		t.index[i] = slot{}
		j := i
		for {
			j = (j + 1) & mask
			s := t.index[j]
			if s.ref == 0 {
				t.release(r)
				return
			}
			home := t.home(s.hash) & mask
			if (j-home)&mask >= (j-i)&mask {
				t.index[i] = s
				i = j
				break
			}
		}
	}
}

func (t *Table) release(r Ref) {
	e := &t.entries[r]
	t.arena.release(e.block, int(e.klen)+int(e.vlen))
	*e = entry{}
	t.free = append(t.free, r)
	t.n--
}

// mark notes that the next checkpoint writes the entry.
func (t *Table) mark(r Ref) {
	e := &t.entries[r]
	e.age = uint8(t.space.seq)
	if e.flags&dirty == 0 {
		e.flags |= dirty
		t.dirty = append(t.dirty, r)
		t.dirtyBytes += int(e.klen) + int(e.vlen) + 8
	}
}

// All calls f for every entry, in no order that means anything, until it returns false. f may edit the entry and delete
// it, and no other. What was spilled comes back into memory.
func (t *Table) All(f func(r Ref) bool) {
	t.unspillAll()
	t.Resident(f)
}

// Resident is All of the entries that are in memory.
func (t *Table) Resident(f func(r Ref) bool) {
	for r := range t.entries {
		if t.entries[r].flags&live != 0 && !f(Ref(r)) {
			return
		}
	}
}
