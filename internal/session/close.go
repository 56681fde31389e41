// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/watermark"
)

// Summary is a session that has closed.
type Summary struct {
	Key         []event.Scalar // by part of the key
	Chosen      []int          // by part: which alternative it is, -1 if none
	ID          string
	Own         string // its own ID, where ID is the producer's, which sessions of other keys may have too; else ID
	Previous    string // "" without one
	Absorbed    []string
	Start, Last int64 // Unix nanoseconds
	Events      uint32
	Counts      []Count // by name
	Values      []aggregate.Value
	Definition  *Definition // what Key and Values are of

	part uint32
	key  []byte
}

// Count of a name's events.
type Count struct {
	Name  string
	Count uint32
}

// maxClosing bounds what one checkpoint closes: its results are one write of the state store. What is left is closed by the next one.
const maxClosing = 20_000

// Checkpoint closes what is due, calls emit for each in an order that depends on the state alone, and writes what changed. It returns the
// watermark of what was emitted: no later session ends before it.
func (e *Engine) Checkpoint(w delivery.CheckpointWriter, emit func(*Summary) error) (int64, error) {
	e.space.BeginCheckpoint()
	e.closing, e.moreDue, e.pending = e.closing[:0], false, e.emitted
	for _, part := range e.space.Partitions() {
		in := e.input(part)
		until := in.LateBefore(&e.cfg.Time)
		if until == watermark.Min {
			continue
		}
		for t := range e.space.Tables(part) {
			if p := e.plans[strings.TrimPrefix(t.Name(), finishedPrefix)]; p == nil {
				continue
			} else if strings.HasPrefix(t.Name(), finishedPrefix) {
				e.closeFinished(part, t, p)
			} else {
				e.closeDue(part, t, p, until)
			}
		}
	}
	if mark := e.Watermark(); mark != watermark.Min && !e.moreDue {
		e.pending = max(e.emitted, mark-int64(e.cfg.Time.AllowedLateness)-int64(e.cfg.Gap))
	}
	slices.SortFunc(e.closing, func(a, b Summary) int {
		return cmp.Or(cmp.Compare(a.Last, b.Last), cmp.Compare(a.part, b.part), bytes.Compare(a.key, b.key), cmp.Compare(a.Start, b.Start))
	})
	for i := range e.closing {
		if err := emit(&e.closing[i]); err != nil {
			return 0, err
		}
	}
	e.closed = len(e.closing)
	clear(e.closing)
	return e.pending, e.space.Checkpoint(w)
}

// More says that the last checkpoint left sessions that are due: another one is to come soon.
func (e *Engine) More() bool { return e.moreDue }

// Emitted is the watermark of what has been emitted.
func (e *Engine) Emitted() int64 { return e.emitted }

// Committed makes the checkpoint count. It returns how many sessions it has closed.
func (e *Engine) Committed() (closed int) {
	e.emitted = e.pending
	e.space.Committed()
	return e.closed
}

// Aborted undoes what it closed.
func (e *Engine) Aborted() { e.space.Aborted() }

// closeFinished emits what was taken off keys since the last checkpoint, in the order in which that was done.
func (e *Engine) closeFinished(part uint32, t *keyed.Table, p *plan) {
	var refs []keyed.Ref
	t.All(func(r keyed.Ref) bool {
		refs = append(refs, r)
		return true
	})
	slices.SortFunc(refs, func(a, b keyed.Ref) int { return bytes.Compare(t.Key(a), t.Key(b)) })
	names := e.namesOf(part)
	most := max(maxClosing-len(e.closing), len(refs)/2) // half at least: they are in memory, and deliveries may bring more than maxClosing
	for n, r := range refs {
		if n >= most {
			e.moreDue = true
			return
		}
		key, v := finishedParts(t.Value(r))
		e.closing = append(e.closing, p.summary(part, key, v, names))
		t.Delete(r)
	}
}

// finishedParts takes apart what finish has put together.
func finishedParts(value []byte) (key []byte, v view) {
	n, k := binary.Uvarint(value)
	v = view(value[k:])
	v = v[:v.size()]
	return value[k+len(v):][:n], v
}

// closeDue closes a table's sessions of which the partition's watermark, less the lateness, has passed the end by more than the gap.
func (e *Engine) closeDue(part uint32, t *keyed.Table, p *plan, until int64) {
	if len(e.closing) >= maxClosing { // nothing is brought back into memory for being put off
		e.moreDue = true
		return
	}
	var names map[uint16]string
	var ss []view
	var value, whole []byte
	t.Due(until, func(r keyed.Ref) (again int64) {
		if len(e.closing) >= maxClosing {
			e.moreDue = true
			return keyed.Enough
		}
		ss = sessionsOf(t.Value(r), ss[:0])
		// They are in the order of their ends, so those that are over are the first. Of them the latest is kept while it can still be the
		// previous one of the next.
		closed := 0
		var previous draft
		for _, v := range ss {
			d := v.open()
			if !v.is(isClosed) {
				if !e.isOver(v, until) {
					break
				}
				if len(e.closing) >= maxClosing {
					e.moreDue = true
					break
				}
				if p.CountNames && names == nil {
					names = e.namesOf(part)
				}
				e.follow(&d, &previous, closed > 0)
				whole = d.append(whole[:0])
				e.closing = append(e.closing, p.summary(part, t.Key(r), whole, names))
			}
			previous = d.closed()
			closed++
		}
		value = value[:0]
		again = 1<<63 - 1
		// The one that is open names it when it is over, which may be long after.
		named := closed > 0 && closed < len(ss) && ss[closed].start()-previous.last <= e.keepAfter
		if next := closed > 0 && after(previous.last, e.keepAfter) >= until; next || named {
			value = previous.append(value)
			if next {
				again = after(previous.last, e.keepAfter)
			}
		}
		for i, v := range ss[closed:] {
			value = append(value, v...)
			if i == 0 {
				again = min(again, after(v.last(), int64(e.cfg.Gap)))
			}
		}
		if len(value) == 0 {
			t.Delete(r)
			return 0
		}
		if !bytes.Equal(value, t.Value(r)) {
			copy(t.Resize(r, len(value)), value)
		}
		return again
	})
	e.moreDue = e.moreDue || t.SpilledDue(until)
}

// summary of a session that closes.
func (p *plan) summary(part uint32, key []byte, v view, names map[uint16]string) Summary {
	s := Summary{
		Start: v.start(), Last: v.last(), Events: v.events(), Definition: &p.Definition, part: part, key: slices.Clone(key),
	}
	id := v.id()
	s.ID = hex.EncodeToString(id[:])
	s.Own = s.ID
	client := p.readKey(&s)
	if v.is(isClient) {
		s.ID = client
	}
	if before, ok := v.previous(); ok {
		s.Previous = hex.EncodeToString(before[:])
	}
	ids := v.absorbedIDs()
	for i := 0; i < len(ids); i += idSize {
		s.Absorbed = append(s.Absorbed, hex.EncodeToString(ids[i:i+idSize]))
	}
	slices.Sort(s.Absorbed)
	counts := v.counts()
	for i := 0; i < len(counts); i += countSize {
		name := names[binary.LittleEndian.Uint16(counts[i:])]
		count := Count{name, binary.LittleEndian.Uint32(counts[i+2:])}
		if at := slices.IndexFunc(s.Counts, func(c Count) bool { return c.Name == name }); name == others && at >= 0 { // events may be named so
			s.Counts[at].Count += count.Count
			continue
		}
		s.Counts = append(s.Counts, count)
	}
	slices.SortFunc(s.Counts, func(a, b Count) int { return cmp.Compare(a.Name, b.Name) })
	if len(p.Aggregates) > 0 {
		s.Values = p.set.Results(v.accumulator()[p.cutBytes:], nil)
	}
	return s
}

// readKey takes the key apart, and returns the producer's session ID if that is part of it.
func (p *plan) readKey(s *Summary) (client string) {
	b := s.key
	for range p.key {
		n := int(b[0])
		b = b[1:]
		v := event.Scalar{}
		if n > 0 {
			v, b = event.ParseKey(b)
		}
		s.Key = append(s.Key, v)
		s.Chosen = append(s.Chosen, n-1)
	}
	if p.client >= 0 {
		v, _ := event.ParseKey(b)
		client = v.Text
	}
	return client
}

// others is what the events are counted as whose names are too many.
const others = "other"

// namesOf the partition's events, by number. 0 is all that were too many.
func (e *Engine) namesOf(part uint32) map[uint16]string {
	names := map[uint16]string{otherNames: others}
	if t, ok := e.space.Lookup(part, namesTable); ok {
		t.All(func(r keyed.Ref) bool {
			names[binary.LittleEndian.Uint16(t.Value(r))] = string(t.Key(r))
			return true
		})
	}
	return names
}
