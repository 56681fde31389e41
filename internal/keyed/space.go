// SPDX-License-Identifier: Apache-2.0

package keyed

import (
	"cmp"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/internal/delivery"
)

// Options of a Space.
type Options struct {
	// MaxBytes of memory that entries may take over all partitions; what is beyond is spilled at the next checkpoint. 0 is no bound.
	MaxBytes int
}

// Space is one component's state in one pipeline.
type Space struct {
	o        Options
	snapshot delivery.Snapshot

	mu    sync.Mutex // guards parts, not what is in them; any goroutine
	parts map[uint32]*partition

	seq uint64 // of the last checkpoint that was committed; the checkpoint's alone

	// writing is what the checkpoint under way does to the store; the checkpoint's alone.
	writing *writing
}

// partition is the state of one partition: one goroutine's at a time.
type partition struct {
	space     *Space
	id        uint32
	tables    []*Table // by name
	dead      []*Table // dropped, and still in the store
	meta      []byte
	metaDirty bool
	open      []*Journal // innermost last
	spare     *Journal

	// dirty and bytes are as of the last journal that was closed, for readers that do not wait.
	dirty, bytes atomic.Int64

	failure error // of reading what was spilled: see Space.Err
}

func (p *partition) top() *Journal {
	if n := len(p.open); n > 0 {
		return p.open[n-1]
	}
	return nil
}

func (s *Space) partition(id uint32) *partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[id]
	if p == nil {
		p = &partition{space: s, id: id}
		s.parts[id] = p
	}
	return p
}

// all partitions, by number.
func (s *Space) all() []*partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*partition, 0, len(s.parts))
	for _, p := range s.parts {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *partition) int { return cmp.Compare(a.id, b.id) })
	return out
}

// Partitions that have state, by number.
func (s *Space) Partitions() []uint32 {
	var out []uint32
	for _, p := range s.all() {
		out = append(out, p.id)
	}
	return out
}

// Begin opens a journal for the edits of one delivery to a partition's tables.
func (s *Space) Begin(part uint32) *Journal {
	p := s.partition(part)
	if outer := p.top(); outer != nil { // what it touched is to be kept by the inner one too
		for i := range outer.steps {
			if st := &outer.steps[i]; st.do == doInsert || st.do == doEdit {
				st.table.entries[st.r].flags &^= touched
			}
		}
	}
	j := p.spare
	if p.spare = nil; j == nil {
		j = &Journal{part: p}
	}
	p.open = append(p.open, j)
	return j
}

var _ delivery.Overlay = (*Journal)(nil)

func (p *partition) find(name string) (int, bool) {
	return slices.BinarySearchFunc(p.tables, name, func(t *Table, name string) int { return cmp.Compare(t.name, name) })
}

// Table of the partition with that name, made empty if there is none.
func (s *Space) Table(part uint32, name string) *Table {
	p := s.partition(part)
	at, ok := p.find(name)
	if ok {
		return p.tables[at]
	}
	t := newTable(s, p, name)
	p.tables = slices.Insert(p.tables, at, t)
	p.top().created(t)
	return t
}

// Lookup is Table without making one.
func (s *Space) Lookup(part uint32, name string) (*Table, bool) {
	p := s.partition(part)
	at, ok := p.find(name)
	if !ok {
		return nil, false
	}
	return p.tables[at], true
}

// Tables of the partition in the order of their names, as they are at the call.
func (s *Space) Tables(part uint32) iter.Seq[*Table] {
	tables := slices.Clone(s.partition(part).tables)
	return slices.Values(tables)
}

// Drop removes a table with all that is in it.
func (s *Space) Drop(t *Table) {
	t.part.forget(t)
	t.part.dead = append(t.part.dead, t)
	t.part.top().dropped(t)
}

func (p *partition) forget(t *Table) {
	if at, ok := p.find(t.name); ok && p.tables[at] == t {
		p.tables = slices.Delete(p.tables, at, at+1)
	}
}

// adopt takes back a table that was dropped.
func (p *partition) adopt(t *Table) {
	p.dead = slices.DeleteFunc(p.dead, func(d *Table) bool { return d == t })
	if at, ok := p.find(t.name); !ok {
		p.tables = slices.Insert(p.tables, at, t)
	}
}

// Meta is the component's own note of the partition: a view, nil if there is none.
func (s *Space) Meta(part uint32) []byte { return s.partition(part).meta }

// SetMeta keeps a copy.
func (s *Space) SetMeta(part uint32, meta []byte) {
	p := s.partition(part)
	p.top().meta(p.meta)
	p.meta = append(p.meta[:0:0], meta...)
	p.metaDirty = true
}

func (p *partition) account() {
	n, bytes := 0, 0
	for _, t := range p.tables {
		n += t.dirtyBytes
		bytes += t.Bytes()
	}
	for _, t := range p.dead {
		n += 64 * (len(t.store.chunks) + len(t.spill.due))
	}
	if p.metaDirty {
		n += len(p.meta) + 1
	}
	p.dirty.Store(int64(n))
	p.bytes.Store(int64(bytes))
}

// DirtyBytes is about what the next checkpoint writes. Any goroutine may call it.
func (s *Space) DirtyBytes() int {
	n := int64(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		n += p.dirty.Load()
	}
	return int(n)
}

// Bytes is about what the state takes in memory. Any goroutine may call it.
func (s *Space) Bytes() int {
	n := int64(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		n += p.bytes.Load()
	}
	return int(n)
}
