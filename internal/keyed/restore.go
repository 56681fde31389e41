// SPDX-License-Identifier: Apache-2.0

package keyed

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/state"
)

var errCorrupt = errors.New("the state is not readable")

// Restore reads the state of the last checkpoint. An error says which part of it is not readable: nothing is guessed.
func Restore(snapshot delivery.Snapshot, o Options) (*Space, error) {
	s := &Space{o: o, snapshot: snapshot, parts: map[uint32]*partition{}}
	seq, found, err := snapshot.Get(keySeq)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the state's checkpoint: %w", err)
	case found && len(seq) != 8:
		return nil, fmt.Errorf("reading the state's checkpoint: %w", errCorrupt)
	case found:
		s.seq = binary.BigEndian.Uint64(seq)
	}
	err = snapshot.Range(keyMeta, func(key, value []byte) error {
		parts, ok := state.SplitKey(key)
		if !ok || len(parts) != 2 || len(parts[1]) != 8 {
			return fmt.Errorf("key %x: %w", key, errCorrupt)
		}
		s.partition(uint32(binary.BigEndian.Uint64(parts[1]))).meta = append([]byte(nil), value...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading notes of partitions: %w", err)
	}
	err = snapshot.Range(keyTable, func(key, value []byte) error {
		parts, ok := state.SplitKey(key)
		if !ok || len(parts) != 5 || len(parts[1]) != 8 || len(parts[3]) != 8 || len(parts[4]) != 8 {
			return fmt.Errorf("key %x: %w", key, errCorrupt)
		}
		number := func(i int) uint64 { return binary.BigEndian.Uint64(parts[i]) }
		t := s.Table(uint32(number(1)), string(parts[2]))
		if seq := number(3); seq > s.seq {
			return fmt.Errorf("table %q has a chunk of checkpoint %d after %d: %w", t.name, seq, s.seq, errCorrupt)
		}
		if n := len(t.store.chunks); n > 0 && t.store.chunks[n-1].seq == number(3) {
			t.store.chunks[n-1].parts++
		} else {
			t.store.chunks = append(t.store.chunks, chunk{seq: number(3), parts: 1})
		}
		if err := t.apply(value); err != nil {
			return fmt.Errorf("table %q of partition %d, checkpoint %d: %w", t.name, t.part.id, number(3), err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading tables: %w", err)
	}
	if err := s.restoreSpilled(); err != nil {
		return nil, fmt.Errorf("reading what was spilled: %w", err)
	}
	for _, p := range s.all() {
		p.account()
	}
	return s, nil
}

// apply takes up one value of a chunk: later ones replace what earlier ones said of a key.
func (t *Table) apply(b []byte) error {
	if len(b) == 0 || b[0] != formatV1 {
		return fmt.Errorf("%w: it was written by another release", errCorrupt)
	}
	b = b[1:]
	number := func(most uint64) (uint64, bool) {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > most {
			return 0, false
		}
		b = b[k:]
		return n, true
	}
	for len(b) > 0 {
		head, ok := number(MaxKey<<1 | 1)
		if !ok || uint64(len(b)) < head>>1 {
			return errCorrupt
		}
		key := b[:head>>1]
		b = b[head>>1:]
		hash := Hash(key)
		r, there := t.Find(hash, key)
		if head&1 == 1 {
			if there {
				t.remove(r)
			}
			continue
		}
		due, ok := number(1<<32 - 1)
		vlen, ok2 := number(1<<32 - 1)
		if !ok || !ok2 || uint64(len(b)) < vlen {
			return errCorrupt
		}
		switch {
		case !there:
			r = t.insert(uint32(hash>>32), key, int(vlen), false)
		case int(t.entries[r].vlen) != int(vlen):
			t.resize(r, int(vlen))
		}
		copy(t.bytes(&t.entries[r])[len(key):], b[:vlen])
		due = min(due, noTimer-1) // earlier releases wrote one more
		if e := &t.entries[r]; e.due != uint32(due) {
			e.due = uint32(due)
			if due != 0 {
				t.timers.add(uint32(due), r)
			}
		}
		b = b[vlen:]
	}
	return nil
}
