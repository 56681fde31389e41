// SPDX-License-Identifier: Apache-2.0

package event

import (
	"math"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Row is an event as far as a component needs it.
type Row struct {
	// Name of the event, "" where it has none.
	Name string
	// Time of the event and when it was received, in Unix nanoseconds. Time is Received where the record has none; both are 0
	// where it has neither. What does not fit int64 is its largest.
	Time, Received int64
	// Values are by reference, in the order of NewFields.
	Values []Scalar
}

// RowReader reads the fields of events, over pdata and over OTLP bytes alike. It allocates nothing for an event, but for
// a double, a map, a slice or bytes in place of an envelope's text. One goroutine at a time.
type RowReader struct {
	f   *Fields
	row Row

	generation uint64 // of the record: a slot of another one is empty
	record     []slot
	inside     []slot // the resource's, whose generation is resources
	resources  uint64
	members    []nested // by reference: where a value within a map lies
	arena      []byte   // texts of numbers
	last       []byte   // the resource that `inside` was read from, in OTLP bytes; nil if it was not

	hasSource      bool
	tenant, source string
}

// slot is what was found of one entry.
type slot struct {
	generation uint64
	full       bool // the value is not empty
	value      Scalar
	of         nested
}

// Reader for one goroutine.
func (f *Fields) Reader() *RowReader {
	r := &RowReader{
		f: f, record: make([]slot, f.record.slots), inside: make([]slot, f.resource.slots), members: make([]nested, len(f.refs)),
	}
	r.row.Values = make([]Scalar, len(f.refs))
	return r
}

// Each calls f for every event of the batch in order, with its position in the batch, until it returns false. The Row
// and its Values are the reader's own, valid within the call; texts in them are valid as long as the batch is. An error is of OTLP bytes that are none: events before
// the place were told.
func (r *RowReader) Each(b Batch, f func(i int, row *Row) bool) error {
	if b.IsRaw() {
		return r.eachRaw(b.raw.chunks, f)
	}
	i := 0
	for _, rl := range b.Logs().ResourceLogs().All() {
		r.beginResource()
		for k, v := range rl.Resource().Attributes().All() {
			r.match(&r.f.resource, r.inside, r.resources, k, v)
		}
		r.endResource()
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				if err := r.read(lr); err != nil {
					return err
				}
				if !f(i, &r.row) {
					return nil
				}
				i++
			}
		}
	}
	return nil
}

func (r *RowReader) read(lr plog.LogRecord) error {
	r.beginRecord()
	for k, v := range lr.Attributes().All() {
		r.match(&r.f.record, r.record, r.generation, k, v)
	}
	return r.finish(lr.EventName(), uint64(lr.Timestamp()), uint64(lr.ObservedTimestamp()))
}

func (r *RowReader) match(m *matcher, slots []slot, generation uint64, k string, v pcommon.Value) {
	if k == "" {
		return
	}
	for at := m.table[placeOf(k)]; at != 0; {
		e := &m.entries[at-1]
		if e.key == k {
			r.take(e, &slots[e.slot], generation, scalarOf(v), nested{value: v})
		}
		at = e.next
	}
}

// scalarOf reads a value, of which a map, a slice or bytes lie elsewhere.
func scalarOf(v pcommon.Value) Scalar {
	switch kind := kinds[v.Type()]; kind {
	case KindString:
		return Scalar{Kind: kind, Text: v.Str()}
	case KindInt:
		return Scalar{Kind: kind, Bits: uint64(v.Int())}
	case KindDouble:
		return Scalar{Kind: kind, Bits: math.Float64bits(v.Double())}
	case KindBool:
		return BoolScalar(v.Bool())
	default:
		return Scalar{Kind: kind}
	}
}

// take keeps a value of an entry's key, if it is one that counts. v comes without what it lies in, which is `of`.
func (r *RowReader) take(e *entry, s *slot, generation uint64, v Scalar, of nested) {
	had := s.generation == generation
	if had && e.use != useLast && s.full || e.use == useMap && v.Kind != KindMap {
		return
	}
	if v.Kind >= KindBytes {
		s.of = of
		v.of = &s.of
	}
	if e.use == useText || e.use == useLast {
		v = Scalar{Kind: KindString, Text: r.text(v)}
	}
	full := !v.IsEmpty()
	if !full {
		if had && e.use != useLast {
			return
		}
		v = Scalar{Kind: v.Kind}
	}
	s.generation, s.full, s.value = generation, full, v
}

// text of a value, which lives as long as it is held.
func (r *RowReader) text(v Scalar) string {
	if v.Kind != KindInt {
		return v.ScalarText()
	}
	start := len(r.arena)
	r.arena = strconv.AppendInt(r.arena, v.Int(), 10)
	return view(r.arena[start:])
}

func (r *RowReader) beginResource() { r.resources++ }

func (r *RowReader) endResource() {
	r.arena = nil // texts of the resource stay in what it was
	r.tenant, r.source, r.hasSource = "", "", false
	if s := &r.inside[slotTenant]; s.generation == r.resources {
		r.tenant = s.value.Text
	}
	if s := &r.inside[slotSource]; s.generation == r.resources {
		r.source, r.hasSource = s.value.Text, true
	} else if s := &r.inside[slotServiceName]; s.generation == r.resources {
		r.source = s.value.Text
	}
}

func (r *RowReader) beginRecord() {
	r.generation++
	if len(r.arena) > maxArena {
		r.arena = nil // what was read lives on where it is
	}
}

// maxArena is how many texts of numbers lie in one piece of memory.
const maxArena = 64 << 10

// finish makes the row of what was found.
func (r *RowReader) finish(name string, time, received uint64) error {
	row := &r.row
	if name == "" {
		if s := &r.record[slotOlderName]; s.generation == r.generation {
			name = s.value.Text
		}
	}
	if time == 0 {
		time = received
	}
	row.Name, row.Time, row.Received = name, int64(min(time, math.MaxInt64)), int64(min(received, math.MaxInt64))
	for i := range r.f.refs {
		if err := r.resolve(i, &row.Values[i]); err != nil {
			return err
		}
	}
	return nil
}

// resolve finds the value of reference i.
func (r *RowReader) resolve(i int, out *Scalar) error {
	empty := Scalar{} // the first that is there and empty
	options := r.f.refs[i].options
	for j := range options {
		o := &options[j]
		var err error
		switch o.what {
		case whatValue:
			err = r.attribute(i, o, out)
		case whatText:
			if s := &r.record[o.slot]; s.generation == r.generation && s.full {
				*out = s.value
				return nil
			}
			*out = Scalar{}
			if s := &r.inside[o.inside]; s.generation == r.resources && s.full {
				*out = s.value
				return nil
			}
		case whatName:
			*out = stringOrEmpty(r.row.Name)
		case whatTime:
			*out = timeOrEmpty(r.row.Time)
		case whatReceived:
			*out = timeOrEmpty(r.row.Received)
		case whatTenant:
			*out = stringOrEmpty(r.tenant)
		case whatSource:
			*out = stringOrEmpty(r.source)
			if s := &r.record[slotCloudEventsSource]; !r.hasSource && s.generation == r.generation {
				*out = stringOrEmpty(s.value.Text)
			}
		}
		if err != nil {
			return err
		}
		if !out.IsEmpty() {
			return nil
		}
		if empty.Kind == KindEmpty {
			empty.Kind = out.Kind
		}
	}
	*out = empty
	return nil
}

// attribute finds an attribute of the record, else of the resource.
func (r *RowReader) attribute(i int, o *option, out *Scalar) error {
	empty := Scalar{}
	if s := &r.record[o.slot]; s.generation == r.generation {
		if s.full {
			*out = s.value
			return nil
		}
		empty.Kind = s.value.Kind
	}
	for _, in := range o.into {
		if s := &r.record[in.slot]; s.generation == r.generation {
			if done, err := r.member(i, &s.of, in.rest, out, &empty); done || err != nil {
				return err
			}
		}
	}
	if s := &r.inside[o.inside]; s.generation == r.resources {
		if s.full {
			*out = s.value
			return nil
		}
		if empty.Kind == KindEmpty {
			empty.Kind = s.value.Kind
		}
	}
	for _, in := range o.into {
		if s := &r.inside[in.inside]; s.generation == r.resources {
			if done, err := r.member(i, &s.of, in.rest, out, &empty); done || err != nil {
				return err
			}
		}
	}
	*out = empty
	return nil
}

// member looks in a map for the path, and is done if it has a value that is not empty.
func (r *RowReader) member(i int, of *nested, path string, out, empty *Scalar) (done bool, err error) {
	v, found, err := of.member(path)
	if err != nil {
		return false, err
	}
	if isEmpty(v, &found) {
		if empty.Kind == KindEmpty {
			empty.Kind = v.Kind
		}
		return false, nil
	}
	*out = v
	if v.Kind >= KindBytes {
		r.members[i] = found
		out.of = &r.members[i]
	}
	return true, nil
}

// isEmpty is Scalar.IsEmpty of one that is apart from what it lies in.
func isEmpty(v Scalar, of *nested) bool {
	if v.Kind == KindBytes {
		return of.bytesLen() == 0
	}
	return v.IsEmpty()
}

// member finds the path in a map: the member of that key if it is not empty, else one within a member that is a map and
// has the path's beginning for its key, the longest first. Of several members of one key the first counts. The Scalar comes
// without what it lies in.
func (n *nested) member(path string) (Scalar, nested, error) {
	if n.isRaw {
		return rawMember(n.raw, path)
	}
	v, of := mapMember(n.value.Map(), path)
	return v, of, nil
}

func mapMember(m pcommon.Map, path string) (Scalar, nested) {
	var empty Scalar
	var emptyOf nested
	if v, ok := m.Get(path); ok {
		s, of := scalarOf(v), nested{value: v}
		if !isEmpty(s, &of) {
			return s, of
		}
		empty, emptyOf = s, of
	}
	for end := len(path) - 2; end > 0; end-- {
		if path[end] != '.' {
			continue
		}
		v, ok := m.Get(path[:end])
		if !ok || v.Type() != pcommon.ValueTypeMap {
			continue
		}
		s, of := mapMember(v.Map(), path[end+1:])
		if !isEmpty(s, &of) {
			return s, of
		}
		if empty.Kind == KindEmpty {
			empty, emptyOf = s, of
		}
	}
	return empty, emptyOf
}

func stringOrEmpty(s string) Scalar {
	if s == "" {
		return Scalar{}
	}
	return Scalar{Kind: KindString, Text: s}
}

func timeOrEmpty(t int64) Scalar {
	if t == 0 {
		return Scalar{}
	}
	return Scalar{Kind: KindInt, Bits: uint64(t)}
}
