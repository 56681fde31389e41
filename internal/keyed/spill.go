// SPDX-License-Identifier: Apache-2.0

package keyed

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/state"
)

// Beyond Options.MaxBytes, entries that were not edited for longest leave memory at a checkpoint: each is then a key of its own in the
// store, ordered by when it is due, and in memory is a hash and a bucket of it. It comes back when it is looked for or due. That is slower by
// orders of magnitude than memory, and loses nothing.
//
// In a crash nothing is between the two: an entry leaves the chunks, and stands on its own, with one commit, and the same on its
// way back.

// spilled is what a table has out of memory.
type spilled struct {
	due  map[uint64]uint32 // by hash: the bucket it is under
	back [][]byte          // keys in the store of entries that came back: the next checkpoint deletes them
}

func (s *spilled) bytes() int { return 28 * len(s.due) }

const (
	noTimer = 1<<32 - 1 // behind all that is due
	// maxBack is how many entries Due brings back at once.
	maxBack = 1 << 15
)

var keySpill = state.Key([]byte("spill"))

func spillKey(t *Table, due uint32, key []byte) []byte {
	if due == 0 {
		due = noTimer
	}
	return state.Key([]byte("spill"), state.Uint64(uint64(t.part.id)), []byte(t.name), binary.BigEndian.AppendUint32(nil, due), key)
}

// chooseSpilled picks what leaves memory: the entries that were not edited for most checkpoints.
func (s *Space) chooseSpilled(cp *writing) {
	if s.o.MaxBytes <= 0 {
		return
	}
	used := 0
	var tables []*Table
	for _, p := range s.all() {
		for _, t := range p.tables {
			used += t.used() + t.spill.bytes()
			if !t.pinned {
				tables = append(tables, t)
			}
		}
	}
	excess := used - s.o.MaxBytes
	if excess <= 0 {
		return
	}
	excess += s.o.MaxBytes / 10 // so that it is not done at every checkpoint
	size := func(e *entry) int {
		_, n := classOf(int(e.klen) + int(e.vlen))
		return n + 40
	}
	var byAge [256]int
	age := func(e *entry) uint8 { return uint8(s.seq) - e.age }
	for _, t := range tables {
		for i := range t.entries {
			if e := &t.entries[i]; e.flags&live != 0 {
				byAge[age(e)] += size(e)
			}
		}
	}
	youngest, sum := len(byAge), 0
	for youngest > 0 && sum < excess {
		youngest--
		sum += byAge[youngest]
	}
	cp.spilling = map[*Table][]Ref{}
	for _, t := range tables {
		for i := range t.entries {
			e := &t.entries[i]
			if e.flags&live == 0 || int(age(e)) < youngest || excess <= 0 {
				continue
			}
			if _, taken := t.spill.due[Hash(t.Key(Ref(i)))]; taken {
				continue // another key has its hash
			}
			excess -= size(e)
			e.flags |= spilling
			cp.spilling[t] = append(cp.spilling[t], Ref(i))
		}
	}
}

// writeSpilled writes what leaves memory and deletes what came back.
func (t *Table) writeSpilled(w delivery.CheckpointWriter, cp *writing, leaving []Ref, cw *chunkWriter) {
	for _, key := range t.spill.back {
		w.Delete(key)
	}
	for _, r := range leaving {
		cw.deleted(t.Key(r))
		w.Set(spillKey(t, t.entries[r].due, t.Key(r)), t.Value(r))
	}
	cp.after = append(cp.after, func() {
		t.spill.back = nil
		for _, r := range leaving {
			if t.spill.due == nil {
				t.spill.due = map[uint64]uint32{}
			}
			t.spill.due[Hash(t.Key(r))] = t.entries[r].due
			t.remove(r)
		}
	})
}

// dropSpilled deletes what a dropped table has out of memory.
func (t *Table) dropSpilled(w delivery.CheckpointWriter) error {
	for _, key := range t.spill.back {
		w.Delete(key)
	}
	if len(t.spill.due) == 0 {
		return nil
	}
	return t.eachSpilled(func(key, _ []byte, _ uint32, _ []byte) bool {
		w.Delete(key)
		return true
	})
}

var errStop = errors.New("enough")

// eachSpilled calls f for what the table has in the store, in the order in which it is due, until it returns false.
func (t *Table) eachSpilled(f func(stored, key []byte, due uint32, value []byte) bool) error {
	prefix := state.Key([]byte("spill"), state.Uint64(uint64(t.part.id)), []byte(t.name))
	err := t.space.snapshot.Range(prefix, func(stored, value []byte) error {
		_, _, due, key, err := parseSpillKey(stored)
		if err != nil {
			return err
		}
		if at, there := t.spill.due[Hash(key)]; !there || at != due {
			return nil // it came back, and is deleted by the next checkpoint
		}
		if !f(stored, key, due, value) {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

func parseSpillKey(stored []byte) (part uint32, name string, due uint32, key []byte, err error) {
	parts, ok := state.SplitKey(stored)
	if !ok || len(parts) != 5 || len(parts[1]) != 8 || len(parts[3]) != 4 {
		return 0, "", 0, nil, fmt.Errorf("key %x: %w", stored, errCorrupt)
	}
	if due = binary.BigEndian.Uint32(parts[3]); due == noTimer {
		due = 0
	}
	return uint32(binary.BigEndian.Uint64(parts[1])), string(parts[2]), due, parts[4], nil
}

func (s *Space) restoreSpilled() error {
	return s.snapshot.Range(keySpill, func(stored, _ []byte) error {
		part, name, due, key, err := parseSpillKey(stored)
		if err != nil {
			return err
		}
		t := s.Table(part, name)
		if t.spill.due == nil {
			t.spill.due = map[uint64]uint32{}
		}
		t.spill.due[Hash(key)] = due
		return nil
	})
}

// unspill is the end of Find: the key may be out of memory.
func (t *Table) unspill(hash uint64, key []byte) (Ref, bool) {
	due, there := t.spill.due[hash]
	if !there {
		return 0, false
	}
	stored := spillKey(t, due, key)
	value, found, err := t.space.snapshot.Get(stored)
	if err != nil {
		t.fail(err)
		return 0, false
	}
	if !found {
		return 0, false // another key's hash
	}
	return t.bring(hash, stored, key, due, value), true
}

// bring takes an entry back. It is not undone by a journal: where it is changes nothing.
func (t *Table) bring(hash uint64, stored, key []byte, due uint32, value []byte) Ref {
	r := t.insert(uint32(hash>>32), key, len(value), t.part.top() != nil)
	copy(t.bytes(&t.entries[r])[len(key):], value)
	if due != 0 {
		t.entries[r].due = due
		t.timers.add(due, r)
	}
	t.mark(r)
	delete(t.spill.due, hash)
	t.spill.back = append(t.spill.back, append([]byte(nil), stored...))
	return r
}

func (t *Table) unspillDue(last uint32) {
	if len(t.spill.due) == 0 {
		return
	}
	n := 0
	t.bringAll(func(due uint32) bool {
		n++
		return due != 0 && due <= last && n <= maxBack
	})
}

func (t *Table) unspillAll() {
	if len(t.spill.due) > 0 {
		t.bringAll(func(uint32) bool { return true })
	}
}

func (t *Table) bringAll(wanted func(due uint32) bool) {
	type one struct {
		stored, key, value []byte
		due                uint32
	}
	var found []one
	clone := func(b []byte) []byte { return append([]byte(nil), b...) }
	err := t.eachSpilled(func(stored, key []byte, due uint32, value []byte) bool {
		if !wanted(due) {
			return false
		}
		found = append(found, one{clone(stored), clone(key), clone(value), due})
		return true
	})
	if err != nil {
		t.fail(err)
		return
	}
	for _, o := range found {
		t.bring(Hash(o.key), o.stored, o.key, o.due, o.value)
	}
}

// Spilled is how many entries are out of memory.
func (t *Table) Spilled() int { return len(t.spill.due) }

// SpilledDue says whether entries that are due by then are out of memory still: Due brings back a bounded number at once.
func (t *Table) SpilledDue(until int64) bool {
	last := bucketOf(until)
	for _, due := range t.spill.due {
		if due != 0 && due <= last {
			return true
		}
	}
	return false
}

func (t *Table) fail(err error) {
	if t.part.failure == nil {
		t.part.failure = fmt.Errorf("reading spilled state: %w", err)
	}
}

// Err returns, and forgets, that the store could not be read when a partition's entries were looked for: what was computed since is to be
// discarded.
func (s *Space) Err(part uint32) error {
	p := s.partition(part)
	err := p.failure
	p.failure = nil
	return err
}
