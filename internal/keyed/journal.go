// SPDX-License-Identifier: Apache-2.0

package keyed

import "slices"

// Journal keeps what edits of one partition replaced, so that they can be undone. To the log it is a delivery.Overlay.
type Journal struct {
	part  *partition
	steps []step
	old   []byte // what steps replaced, one behind another
}

type action uint8

const (
	doInsert action = iota
	doEdit
	doDelete
	doSchedule
	doPop
	doMeta
	doCreate
	doDrop
)

// step is one edit. at is where in old its bytes begin; they are a key and a value, or the metadata.
type step struct {
	table *Table
	refs  []Ref // of a bucket
	at    int
	r     Ref
	vlen  uint32
	due   uint32
	klen  uint16
	do    action
}

// Publish keeps the edits.
func (j *Journal) Publish() {
	for i := range j.steps {
		if s := &j.steps[i]; s.do == doInsert || s.do == doEdit {
			s.table.entries[s.r].flags &^= touched
		}
	}
	j.close()
}

// Discard undoes the edits. Journals that were begun later must be discarded before.
func (j *Journal) Discard() {
	for i := len(j.steps) - 1; i >= 0; i-- {
		j.undo(&j.steps[i])
	}
	j.close()
}

func (j *Journal) close() {
	p := j.part
	if i := slices.Index(p.open, j); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
	}
	const kept = 1 << 22
	if cap(j.old) > kept {
		j.old = nil
	}
	clear(j.steps)
	j.steps, j.old = j.steps[:0], j.old[:0]
	p.spare = j
	p.account()
}

func (j *Journal) undo(s *step) {
	t := s.table
	switch s.do {
	case doInsert:
		// A delete of it was undone before.
		t.remove(s.r)
	case doEdit:
		v := t.Value(s.r)
		if len(v) != int(s.vlen) {
			v = t.resize(s.r, int(s.vlen))
		}
		copy(v, j.old[s.at:])
		t.entries[s.r].flags &^= touched
	case doDelete:
		key := j.old[s.at : s.at+int(s.klen)]
		r := t.insert(uint32(Hash(key)>>32), key, int(s.vlen), false)
		if r != s.r { // the last that was freed is the first that is given out
			panic("keyed: undoing in another order than doing")
		}
		copy(t.Value(r), j.old[s.at+int(s.klen):])
		t.entries[r].due = s.due
		t.mark(r)
	case doSchedule:
		t.entries[s.r].due = s.due
	case doPop:
		for _, r := range s.refs { // each is what it was when it was popped
			t.entries[r].due = s.due
			t.timers.add(s.due, r)
		}
	case doMeta:
		j.part.meta = append([]byte(nil), j.old[s.at:s.at+int(s.vlen)]...)
	case doCreate:
		j.part.forget(t)
	case doDrop:
		j.part.adopt(t)
	}
}

func (j *Journal) inserted(t *Table, r Ref) {
	if j == nil {
		return
	}
	t.entries[r].flags |= touched
	j.steps = append(j.steps, step{table: t, r: r, do: doInsert})
}

func (j *Journal) edited(t *Table, r Ref) {
	if j == nil {
		return
	}
	e := &t.entries[r]
	e.flags |= touched
	j.steps = append(j.steps, step{table: t, r: r, at: len(j.old), vlen: e.vlen, do: doEdit})
	j.old = append(j.old, t.Value(r)...)
}

func (j *Journal) deleting(t *Table, r Ref) {
	if j == nil {
		return
	}
	e := &t.entries[r]
	j.steps = append(j.steps, step{table: t, r: r, at: len(j.old), vlen: e.vlen, klen: e.klen, due: e.due, do: doDelete})
	j.old = append(j.old, t.bytes(e)...)
}

func (j *Journal) scheduled(t *Table, r Ref) {
	if j == nil {
		return
	}
	j.steps = append(j.steps, step{table: t, r: r, due: t.entries[r].due, do: doSchedule})
}

func (j *Journal) popped(t *Table, bucket uint32, refs []Ref) {
	if j == nil {
		return
	}
	j.steps = append(j.steps, step{table: t, refs: refs, due: bucket, do: doPop})
}

func (j *Journal) meta(old []byte) {
	if j == nil {
		return
	}
	j.steps = append(j.steps, step{at: len(j.old), vlen: uint32(len(old)), do: doMeta})
	j.old = append(j.old, old...)
}

func (j *Journal) created(t *Table) {
	if j != nil {
		j.steps = append(j.steps, step{table: t, do: doCreate})
	}
}

func (j *Journal) dropped(t *Table) {
	if j != nil {
		j.steps = append(j.steps, step{table: t, do: doDrop})
	}
}
