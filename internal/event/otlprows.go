// SPDX-License-Identifier: Apache-2.0

package event

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Numbers of the fields of messages that hold others.
const (
	fieldResourceLogs = 1 // of LogsData
	fieldResource     = 1 // of ResourceLogs
	fieldScopeLogs    = 2
	fieldRecord       = 2 // of ScopeLogs
	fieldSchemaURL    = 3 // of both, the last of both
	fieldAttribute    = 1 // of Resource
)

// rawWalk is the way of a RowReader through one chunk. Each byte of a record is looked at once, and nothing of it copied.
type rawWalk struct {
	r        *RowReader
	f        func(i int, row *Row) bool
	at       int // number of the next record in the chunk
	from, to int
	first    int // position in the batch of record `from`
	ended    bool
}

// eachRaw is Each over bytes.
func (r *RowReader) eachRaw(chunks []Chunk, f func(i int, row *Row) bool) error {
	r.last = nil
	defer func() { r.last = nil }() // the bytes are not ours
	first := 0
	for _, c := range chunks {
		if c.From < 0 || c.From > c.To {
			return errRange
		}
		w := rawWalk{r: r, f: f, from: c.From, to: c.To, first: first}
		if err := w.logs(c.OTLP); err != nil {
			return fmt.Errorf("reading record %d of %d bytes: %w", w.at, len(c.OTLP), err)
		}
		if w.ended {
			return nil
		}
		if w.at < c.To {
			return errRange
		}
		first += c.To - c.From
	}
	return nil
}

// done says that nothing of what follows in the chunk is of interest.
func (w *rawWalk) done() bool { return w.ended || w.at >= w.to }

func (w *rawWalk) logs(b []byte) error {
	for pos := 0; !w.done(); {
		number, inside, next, err := within(b, pos, fieldResourceLogs)
		if err != nil || number == 0 {
			return err
		}
		pos = next
		if err := w.resourceLogs(inside); err != nil {
			return err
		}
	}
	return nil
}

func (w *rawWalk) resourceLogs(b []byte) error {
	if err := w.r.rawResource(b); err != nil {
		return err
	}
	for pos := 0; !w.done(); {
		number, inside, next, err := within(b, pos, fieldSchemaURL)
		if err != nil || number == 0 {
			return err
		}
		pos = next
		if number == fieldScopeLogs {
			if err := w.scopeLogs(inside); err != nil {
				return err
			}
		}
	}
	return nil
}

// rawResource reads the resource of a ResourceLogs, which may stand behind what it is of, and in several pieces.
func (r *RowReader) rawResource(b []byte) error {
	var resource []byte
	pieces := 0
	for pos := 0; ; {
		number, inside, next, err := within(b, pos, fieldSchemaURL)
		if err != nil {
			return err
		}
		if number == 0 {
			break
		}
		pos = next
		if number == fieldResource {
			resource = inside
			pieces++
		}
	}
	if pieces == 1 && r.last != nil && bytes.Equal(resource, r.last) { // one source comes in many batches
		return nil
	}
	r.last = nil
	if pieces == 1 {
		r.last = resource
	}
	r.beginResource()
	for pos := 0; pieces > 0; {
		number, inside, next, err := within(b, pos, fieldSchemaURL)
		if err != nil {
			return err
		}
		pos = next
		if number == fieldResource {
			pieces--
			if err := r.rawAttributes(inside); err != nil {
				return err
			}
		}
	}
	r.endResource()
	return nil
}

func (r *RowReader) rawAttributes(b []byte) error {
	for pos := 0; pos < len(b); {
		number, wire, next, err := tag(b, pos)
		if err != nil {
			return err
		}
		if number != fieldAttribute {
			if pos, err = skip(b, next, wire); err != nil {
				return err
			}
			continue
		}
		if wire != wireLen {
			return errOTLP
		}
		start, end, err := length(b, next)
		if err != nil {
			return err
		}
		if err := r.rawAttribute(&r.f.resource, r.inside, r.resources, b[start:end]); err != nil {
			return err
		}
		pos = end
	}
	return nil
}

func (w *rawWalk) scopeLogs(b []byte) error {
	for pos := 0; !w.done(); {
		number, inside, next, err := within(b, pos, fieldSchemaURL)
		if err != nil || number == 0 {
			return err
		}
		pos = next
		if number != fieldRecord {
			continue
		}
		if w.at >= w.from {
			if err := w.r.rawRecord(inside); err != nil {
				return err
			}
			w.ended = !w.f(w.first+w.at-w.from, &w.r.row)
		}
		w.at++
	}
	return nil
}

// recordWires are the wire types of a LogRecord's fields by number; 0xff is a field that it does not have.
var recordWires = [...]uint8{
	0xff, wireI64, wireVarint, wireLen, 0xff, wireLen, wireLen, wireVarint, wireI32, wireLen, wireLen, wireI64, wireLen,
}

func (r *RowReader) rawRecord(b []byte) error {
	r.beginRecord()
	var name []byte
	var time, received uint64
	for pos := 0; pos < len(b); {
		var field uint64 // number<<3 | wire type
		if c := b[pos]; c < 0x80 && c >= 8 {
			field, pos = uint64(c), pos+1
		} else {
			number, wire, next, err := tag(b, pos)
			if err != nil {
				return err
			}
			field, pos = uint64(number)<<3|uint64(wire), next
		}
		switch field {
		case tagAttribute:
			start, end, err := length(b, pos)
			if err != nil {
				return err
			}
			if err := r.rawAttribute(&r.f.record, r.record, r.generation, b[start:end]); err != nil {
				return err
			}
			pos = end
		case tagTime, tagObserved:
			next, err := advance(b, pos, 8)
			if err != nil {
				return err
			}
			t := binary.LittleEndian.Uint64(b[pos:])
			if pos = next; field == tagTime {
				time = t
			} else {
				received = t
			}
		case tagEventName:
			start, end, err := length(b, pos)
			if err != nil {
				return err
			}
			name, pos = b[start:end], end
		default:
			number, wire := field>>3, uint8(field&7)
			if number < uint64(len(recordWires)) && recordWires[number] != 0xff && recordWires[number] != wire {
				return errOTLP
			}
			next, err := skip(b, pos, wire)
			if err != nil {
				return err
			}
			pos = next
		}
	}
	return r.finish(view(name), time, received)
}

// rawAttribute takes an attribute if its key is of interest.
func (r *RowReader) rawAttribute(m *matcher, slots []slot, generation uint64, b []byte) error {
	// As every encoder writes it: a short key, then the value up to the end.
	if len(b) >= 4 && b[0] == tagKey && b[1] < 0x80 {
		if at := 2 + int(b[1]); at+2 <= len(b) && b[at] == tagValue {
			start, end, err := length(b, at+1)
			if err != nil {
				return err
			}
			if end == len(b) {
				key := b[2:at]
				if len(key) == 0 {
					return nil
				}
				for at := m.table[placeOf(key)]; at != 0; {
					e := &m.entries[at-1]
					if e.key == string(key) {
						var v rawValue
						if err := v.add(b[start:end]); err != nil {
							return err
						}
						r.rawTake(m, slots, generation, at, key, &v)
						return nil
					}
					at = e.next
				}
				return nil
			}
		}
	}
	key, v, err := keyValue(b)
	if err != nil || len(key) == 0 {
		return err
	}
	r.rawTake(m, slots, generation, m.table[placeOf(key)], key, &v)
	return nil
}

// rawTake gives the value to the entries of its key, of which `first` may be one.
func (r *RowReader) rawTake(m *matcher, slots []slot, generation uint64, first uint16, key []byte, v *rawValue) {
	for at := first; at != 0; at = m.entries[at-1].next {
		if e := &m.entries[at-1]; e.key == string(key) {
			r.take(e, &slots[e.slot], generation, v.scalar(), nested{isRaw: true, raw: v.inside})
		}
	}
}
