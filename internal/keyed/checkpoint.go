// SPDX-License-Identifier: Apache-2.0

package keyed

import (
	"encoding/binary"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/state"
)

// stored is what the store has of a table.
type stored struct {
	chunks []chunk // by seq
	// round: shard by shard, the whole table is written again beside what changed. last is by shard the checkpoint that wrote all of
	// it; credit is how many bytes the round may write.
	bits   uint
	last   []uint64
	cursor int
	credit int
}

// chunk is what one checkpoint wrote of a table: values under the numbers 0 to parts-1.
type chunk struct {
	seq   uint64
	parts uint64
}

// Keys in the component's keyspace.
var (
	keySeq   = state.Key([]byte("seq"))
	keyTable = state.Key([]byte("table"))
	keyMeta  = state.Key([]byte("meta"))
)

func metaKey(part uint32) []byte {
	return state.Key([]byte("meta"), state.Uint64(uint64(part)))
}

func chunkKey(t *Table, seq, n uint64) []byte {
	return state.Key([]byte("table"), state.Uint64(uint64(t.part.id)), []byte(t.name), state.Uint64(seq), state.Uint64(n))
}

const (
	formatV1   = 1
	chunkBytes = 1 << 20 // of one value in the store
)

// writing is one checkpoint under way.
type writing struct {
	seq      uint64
	journals []*Journal
	after    []func() // what Committed does
	spilling map[*Table][]Ref
}

// BeginCheckpoint opens a journal for every partition, so that what the component closes in its Checkpoint is undone by Aborted.
func (s *Space) BeginCheckpoint() {
	s.writing = &writing{}
	for _, p := range s.all() {
		s.writing.journals = append(s.writing.journals, s.Begin(p.id))
	}
}

// Checkpoint writes what changed. No delivery is under way.
func (s *Space) Checkpoint(w delivery.CheckpointWriter) error {
	if s.writing == nil {
		s.writing = &writing{}
	}
	cp := s.writing
	cp.seq = s.seq + 1
	w.Set(keySeq, state.Uint64(cp.seq))
	s.chooseSpilled(cp)
	for _, p := range s.all() {
		if p.failure != nil {
			return p.failure
		}
		if p.metaDirty {
			w.Set(metaKey(p.id), p.meta)
		}
		for _, t := range p.dead {
			if err := t.dropSpilled(w); err != nil {
				return err
			}
			for _, c := range t.store.chunks {
				for n := range c.parts {
					w.Delete(chunkKey(t, c.seq, n))
				}
			}
		}
		for _, t := range p.tables { // behind those that are gone: one of the same name may spill the same key
			t.write(w, cp)
		}
	}
	return nil
}

// Committed makes the checkpoint the state's last.
func (s *Space) Committed() {
	cp := s.writing
	s.writing = nil
	if cp == nil {
		return
	}
	for _, j := range cp.journals {
		j.Publish()
	}
	s.seq = cp.seq
	for _, f := range cp.after {
		f()
	}
	for _, p := range s.all() {
		p.metaDirty, p.dead = false, nil
		p.account()
	}
}

// Aborted undoes what was edited since BeginCheckpoint. What was to be written is written by the next checkpoint.
func (s *Space) Aborted() {
	cp := s.writing
	s.writing = nil
	if cp == nil {
		return
	}
	for _, p := range s.all() {
		p.failure = nil
	}
	for t, refs := range cp.spilling {
		for _, r := range refs {
			t.entries[r].flags &^= spilling
		}
	}
	for i := len(cp.journals) - 1; i >= 0; i-- {
		cp.journals[i].Discard()
	}
}

// chunkWriter cuts records into values of the store.
type chunkWriter struct {
	w     delivery.CheckpointWriter
	t     *Table
	seq   uint64
	parts uint64
	buf   []byte
	bytes int
}

func (c *chunkWriter) flush() {
	if len(c.buf) > 0 {
		c.w.Set(chunkKey(c.t, c.seq, c.parts), c.buf)
		c.bytes += len(c.buf)
		c.parts++
		c.buf = c.buf[:0]
	}
}

func (c *chunkWriter) begin() {
	if len(c.buf) >= chunkBytes {
		c.flush()
	}
	if len(c.buf) == 0 {
		c.buf = append(c.buf, formatV1)
	}
}

func (c *chunkWriter) entry(r Ref) {
	c.begin()
	e := &c.t.entries[r]
	c.buf = binary.AppendUvarint(c.buf, uint64(e.klen)<<1)
	c.buf = append(c.buf, c.t.Key(r)...)
	c.buf = binary.AppendUvarint(c.buf, uint64(e.due))
	c.buf = binary.AppendUvarint(c.buf, uint64(e.vlen))
	c.buf = append(c.buf, c.t.Value(r)...)
}

func (c *chunkWriter) deleted(key []byte) {
	c.begin()
	c.buf = binary.AppendUvarint(c.buf, uint64(len(key))<<1|1)
	c.buf = append(c.buf, key...)
}

// write adds a chunk of what changed, and of the round's next shards.
func (t *Table) write(w delivery.CheckpointWriter, cp *writing) {
	leaving := cp.spilling[t]
	if len(t.dirty) == 0 && len(t.gone) == 0 && len(leaving) == 0 && len(t.spill.back) == 0 {
		return
	}
	st := t.store // a copy: the table's own is replaced when all is committed
	t.fitShards(&st)
	cw := &chunkWriter{w: w, t: t, seq: cp.seq}
	eachText(t.gone, func(key []byte) {
		if _, back := t.Find(Hash(key), key); !back && len(st.chunks) > 0 {
			cw.deleted(key)
		}
	})
	written := 0
	t.writeSpilled(w, cp, leaving, cw)
	for _, r := range t.dirty {
		if e := &t.entries[r]; e.flags&(live|dirty|spilling) == live|dirty {
			cw.entry(r)
			e.flags &^= dirty // so that a ref that stands in the list twice is written once; Committed or the loop below settles it
			written++
		}
	}
	for _, r := range t.dirty {
		if t.entries[r].flags&live != 0 {
			t.entries[r].flags |= dirty
		}
	}
	if written == t.n-len(leaving) {
		for i := range st.last {
			st.last[i] = cp.seq
		}
		st.credit = 0
	} else {
		st.credit += cw.bytes + len(cw.buf)
		t.round(&st, cw)
	}
	cw.flush()
	oldest := st.last[0]
	for _, at := range st.last {
		oldest = min(oldest, at)
	}
	kept := st.chunks[:0:0]
	for _, c := range st.chunks {
		if c.seq >= oldest {
			kept = append(kept, c)
			continue
		}
		for n := range c.parts {
			w.Delete(chunkKey(t, c.seq, n))
		}
	}
	if cw.parts > 0 {
		kept = append(kept, chunk{cp.seq, cw.parts})
	}
	st.chunks = kept
	cp.after = append(cp.after, func() {
		t.store = st
		for _, r := range t.dirty {
			t.entries[r].flags &^= dirty
		}
		t.dirty, t.gone, t.dirtyBytes = emptied(t.dirty), emptied(t.gone), 0
	})
}

// emptied keeps the room of a list that is not much larger than lists usually are.
func emptied[T any](list []T) []T {
	if cap(list) > 1<<16 {
		return nil
	}
	return list[:0]
}

// fitShards cuts the table into more shards as it grows, so that one is some hundred kilobytes at most.
func (t *Table) fitShards(st *stored) {
	bits := uint(0)
	switch n := t.arena.bytes; {
	case n > 128<<20:
		bits = 12
	case n > 8<<20:
		bits = 8
	case n > 512<<10:
		bits = 4
	}
	if st.last == nil {
		st.last = make([]uint64, 1)
	}
	last := make([]uint64, len(st.last), 1<<max(bits, st.bits)) // a copy: it counts when all is committed
	copy(last, st.last)
	if bits > st.bits {
		more := make([]uint64, 1<<bits)
		for i := range more {
			more[i] = last[i>>(bits-st.bits)]
		}
		st.cursor <<= bits - st.bits
		last, st.bits = more, bits
	}
	st.last = last
}

// round writes as many shards as the credit allows.
func (t *Table) round(st *stored, cw *chunkWriter) {
	shards := len(st.last)
	for range shards {
		size := (t.arena.bytes + shards - 1) / shards
		if st.credit < size {
			return
		}
		before := cw.bytes + len(cw.buf)
		t.shard(st.bits, uint32(st.cursor), cw.entry)
		st.credit -= max(cw.bytes+len(cw.buf)-before, size/2)
		st.last[st.cursor] = cw.seq
		st.cursor = (st.cursor + 1) % shards
	}
}

// shard calls f for every entry whose hash begins with the bits of k.
func (t *Table) shard(bits uint, k uint32, f func(Ref)) {
	width := len(t.index) >> bits
	if width == 0 {
		width = 1
	}
	mask := len(t.index) - 1
	from := int(k) * (len(t.index) >> bits)
	if len(t.index)>>bits == 0 {
		from = int(uint64(k) * uint64(len(t.index)) >> bits)
	}
	for i := from; i < from+len(t.index); i++ {
		s := t.index[i&mask]
		switch {
		case s.ref == 0:
			if i >= from+width-1 {
				return
			}
		case (bits == 0 || s.hash*t.spread>>(32-bits) == k) && t.entries[s.ref-1].flags&spilling == 0:
			f(Ref(s.ref - 1))
		}
	}
}

func appendText(b, text []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

// eachText reads what appendText wrote.
func eachText(b []byte, f func(text []byte)) {
	for len(b) > 0 {
		n, k := binary.Uvarint(b)
		b = b[k:]
		f(b[:n])
		b = b[n:]
	}
}
