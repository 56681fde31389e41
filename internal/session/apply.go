// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/watermark"
)

// ahead is how many events are looked up at once: see keyed.Table.Prefetch.
const ahead = 256

// worker applies deliveries, one at a time. It holds scratch only.
type worker struct {
	e      *Engine
	set    *aggregate.Set
	reader *event.RowReader

	// A block of events.
	n       int
	keys    []byte
	ends    [ahead]int // of the keys
	hashes  [ahead]uint64
	near    [ahead]uint32
	times   [ahead]int64
	untils  [ahead]int64 // what was over when the event came: sessions that had ended before, by more than the gap
	names   [ahead]string
	values  []event.Scalar
	pending [ahead]bool // has a key and is not late
	future  [ahead]bool // is ahead of its append time
	kept    uint32

	sessions []view
	// Scratch: a key's value, an accumulator that is made of others, one that grew, counts, and a text.
	value, merged, grown, counts, text []byte
}

func newWorker(e *Engine) *worker {
	return &worker{
		e: e, set: e.plan.set.Clone(), reader: e.plan.fields.Reader(), values: make([]event.Scalar, ahead*e.plan.later),
	}
}

// batch is one delivery being applied.
type batch struct {
	*Applied
	part     uint32
	first    uint64
	in       watermark.Input
	table    *keyed.Table
	nameRefs *keyed.Table
	finished *keyed.Table // made when it is needed
	e        *Engine
	appends  *delivery.Appends
	base     int // position in the batch of the block's first event
}

// Apply finds the session of each event of a delivery. marks is scratch. The caller stages what is returned.
func (e *Engine) Apply(d *delivery.Delivery, b event.Batch, marks []Mark) (*Applied, error) {
	w := e.workers.Get().(*worker)
	defer e.workers.Put(w)
	part := d.ID.Partition
	in, from := e.seen(part)
	appends, err := d.Appends(b, from)
	if err != nil {
		return nil, err
	}
	a := &Applied{Overlay: e.space.Begin(part), Marks: slices.Grow(marks[:0], b.Len())[:0]}
	bt := &batch{Applied: a, e: e, part: part, first: d.ID.First, in: in, appends: appends, table: e.table(part)}
	if e.plan.CountNames {
		bt.nameRefs = e.space.Table(part, namesTable)
		bt.nameRefs.Pin()
	}
	w.n, w.keys = 0, w.keys[:0]
	err = w.reader.Each(b, func(_ int, row *event.Row) bool {
		i := w.n
		appended, ended := appends.Next()
		if ended {
			bt.in.EndAppend()
		}
		w.times[i], w.names[i] = row.Time, row.Name
		if w.times[i] == 0 { // neither its producer nor a receiver gave it a time
			w.times[i] = appended
		}
		m := Mark{Outcome: Failed}
		ok := row.Values[e.plan.failed].IsEmpty() // else what it says cannot be trusted, its time included; it comes again when it is repaired
		if ok {
			ok = w.gather(bt, i, row, appended, &m)
		}
		w.pending[i], w.ends[i] = ok, len(w.keys)
		a.Marks = append(a.Marks, m)
		if appends.Ends() {
			bt.in.EndAppend()
		}
		if w.n++; w.n == ahead {
			w.block(bt)
		}
		return true
	})
	if err == nil {
		w.block(bt)
		if appends.Complete() {
			bt.in.EndAppend()
		}
		e.setSeen(part, &bt.in, appends.From)
		err = e.space.Err(part) // a key that could not be brought back is taken for one that was never there
	}
	clear(w.values) // views into the batch
	clear(w.names[:])
	if err != nil {
		a.Discard()
		w.set.TakeSkips(func(int, aggregate.Reason, uint32) {}) // the next attempt counts them
		return nil, fmt.Errorf("applying events: %w", err)
	}
	for i := range a.Marks {
		a.Outcomes[a.Marks[i].Outcome]++
	}
	w.set.TakeSkips(func(function int, reason aggregate.Reason, n uint32) {
		a.Skips = append(a.Skips, Skip{e.plan.Aggregates[function].Name, reason, n})
	})
	return a, nil
}

// gather judges an event's time and takes what one needs of it; false if it is in no session, as the mark says then.
func (w *worker) gather(bt *batch, i int, row *event.Row, appended int64, m *Mark) bool {
	e := w.e
	from := len(w.keys)
	var ok bool
	w.keys, ok = e.plan.keyOf(w.keys, row.Values)
	if ok && e.plan.client >= 0 {
		w.keys = row.Values[e.plan.client].AppendKey(w.keys)
	}
	if ok = ok && len(w.keys)-from <= maxKeyBytes; !ok {
		w.keys = w.keys[:from]
	}
	m.Outcome = NoKey
	// Lateness is the event's own input's, whether it has a key or not.
	verdict := bt.in.See(&e.cfg.Time, w.times[i], appended)
	w.future[i] = verdict == watermark.Future
	if verdict == watermark.Late {
		m.Outcome = Late
		return false
	}
	w.untils[i] = bt.in.LateBefore(&e.cfg.Time)
	if !ok {
		return false
	}
	if w.future[i] {
		bt.Future++
	}
	w.hashes[i] = keyed.Hash(w.keys[from:])
	refs := e.plan.later
	values := w.values[i*refs : (i+1)*refs]
	copy(values, row.Values)
	for n := range values {
		if values[n].Kind >= event.KindBytes { // lies in the reader, and not in the batch
			values[n] = event.StringScalar(values[n].ScalarText())
		}
	}
	return true
}

// block applies the events that were gathered.
func (w *worker) block(bt *batch) {
	w.kept += bt.table.Prefetch(w.hashes[:w.n], w.near[:])
	refs := w.e.plan.later
	from := 0
	for i := range w.n {
		key := w.keys[from:w.ends[i]]
		from = w.ends[i]
		if w.pending[i] {
			w.one(bt, i, key, w.values[i*refs:(i+1)*refs])
		}
	}
	bt.base += w.n
	w.n, w.keys = 0, w.keys[:0]
}

// one puts an event into its session.
func (w *worker) one(bt *batch, i int, key []byte, values []event.Scalar) {
	e := w.e
	t, name := w.times[i], w.names[i]
	m := &bt.Marks[bt.base+i]
	at := aggregate.Point{Time: t, Partition: bt.part, Position: bt.first + uint64(bt.base+i)}
	mask := e.plan.mask(name)
	nameRef := uint16(otherNames)
	if e.plan.CountNames {
		nameRef = w.nameOf(bt, name)
	}
	r, there := bt.table.Find(w.hashes[i], key)
	if there {
		w.sessions = sessionsOf(bt.table.Value(r), w.sessions[:0])
	} else {
		w.sessions = w.sessions[:0]
	}
	until := w.untils[i]
	if first := w.firstOpen(); first < len(w.sessions)-1 && e.isOver(w.sessions[first], until) {
		w.sweep(bt, i, r, key, until)
	}
	ss := w.sessions
	pos, how := e.place(ss, t, name, values)
	var d draft
	if how == begin {
		d = e.begun(ss[:pos], key, t, name, values)
		for n := pos - 1; n >= 0 && ss[n].last() >= t; n-- { // what began a session began it once, however often it comes
			if ss[n].id() == d.id && !ss[n].is(isClosed) {
				pos, how = n, inside
				break
			}
		}
	}
	if how == inside { // nothing changes its shape, as a rule
		offset := 0
		for _, before := range ss[:pos] {
			offset += len(before)
		}
		n := len(ss[pos])
		v := view(bt.table.Edit(r)[offset : offset+n])
		later := t >= v.last()
		if t < v.start() {
			v.setStart(t)
			if e.names[name] {
				v[40] |= isCut
			}
		}
		v.setLast(max(v.last(), t))
		v.setEvents(v.events() + 1)
		m.Outcome, m.ID, m.Ordinal, m.Client = Joined, v.id(), v.events(), v.is(isClient)
		counted := !e.plan.CountNames || v.count(nameRef)
		acc, grew := w.add(v.accumulator(), later, values, mask, at)
		if counted && !grew {
			return
		}
		d := v.open()
		d.accumulator = acc
		if !counted {
			d.counts = addCount(append(w.counts[:0], d.counts...), nameRef, 1)
		}
		w.replace(bt, r, pos, pos+1, &d)
		return
	}
	from, to := pos, pos
	later := true
	if how == bridge {
		left, right := ss[pos].open(), ss[pos+1].open()
		later = t >= right.last
		d = w.join(left, right)
		to = pos + 2
		bt.Merged++
	} else {
		// Only those that cannot be over by now: what a checkpoint has closed must make no difference.
		open := 0
		for _, v := range ss {
			if !v.is(isClosed) && !e.isOver(v, until) {
				open++
			}
		}
		if open >= maxSessionsPerKey || w.future[i] && open >= maxFuturePerKey {
			m.Outcome = TooMany
			return
		}
		d.accumulator = w.empty()
	}
	d.start, d.last = min(d.start, t), max(d.last, t)
	d.events++
	if e.plan.CountNames {
		d.counts = addCount(append(w.counts[:0], d.counts...), nameRef, 1)
	}
	d.accumulator, _ = w.add(d.accumulator, later, values, mask, at)
	if !there {
		r = bt.table.Insert(w.hashes[i], key, 0)
	}
	bt.table.Schedule(r, after(d.last, int64(e.cfg.Gap))) // nothing, unless it is the first that is due
	w.replace(bt, r, from, to, &d)
	m.Outcome = Joined
	if how == begin {
		m.Outcome = Started
	}
	m.ID, m.Ordinal, m.Client = d.id, d.events, d.flags&isClient != 0
}

// firstOpen is where the key's first session stands that is not closed.
func (w *worker) firstOpen() int {
	if len(w.sessions) > 0 && w.sessions[0].is(isClosed) {
		return 1
	}
	return 0
}

// after is a time that much later, or the last there is: a time at the end of its range must not come out at the other.
func after(t, d int64) int64 {
	if d > 0 && t > math.MaxInt64-d {
		return math.MaxInt64
	}
	return t + d
}

// isOver says whether no event that is not late can be within the gap of an open session.
func (e *Engine) isOver(v view, until int64) bool { return after(v.last(), int64(e.cfg.Gap)) < until }

// begun is the session that an event begins behind others of its key, without what is counted of it.
func (e *Engine) begun(before []view, key []byte, t int64, name string, values []event.Scalar) draft {
	d := draft{start: t, last: t}
	cuts := e.names[name]
	if n := len(before); n > 0 {
		v := before[n-1]
		if t-v.last() <= e.keepAfter {
			d.flags |= hasPrevious
			d.previous = v.id()
		}
		// After a gap nothing is cut. And then the session before may have been closed, which must make no difference.
		cuts = cuts || t-v.last() <= int64(e.cfg.Gap) && e.cutsField(v, t, values)
	}
	if cuts {
		d.flags |= isCut
	}
	if e.plan.client >= 0 && !values[e.plan.client].IsEmpty() {
		d.flags |= isClient
	}
	d.id = idOf(key, t, values[e.plan.id], d.flags)
	return d
}

// sweep takes the sessions that are over off a key, so that its value stays short however many it has between two checkpoints. The next one
// emits them.
func (w *worker) sweep(bt *batch, i int, r keyed.Ref, key []byte, until int64) {
	e := w.e
	w.value = w.value[:0]
	var previous draft
	closed := 0
	for n, v := range w.sessions {
		d := v.open()
		if !v.is(isClosed) {
			if !e.isOver(v, until) || n == len(w.sessions)-1 {
				break
			}
			e.follow(&d, &previous, closed > 0)
			bt.finish(key, bt.first+uint64(bt.base+i), n, &d)
		}
		previous = d.closed()
		closed++
	}
	if closed > 0 {
		w.value = previous.append(w.value)
	}
	for _, v := range w.sessions[closed:] {
		w.value = append(w.value, v...)
	}
	copy(bt.table.Resize(r, len(w.value)), w.value)
	w.sessions = sessionsOf(bt.table.Value(r), w.sessions[:0])
}

// follow says which session was before one that is over.
func (e *Engine) follow(d, previous *draft, there bool) {
	d.flags &^= hasPrevious
	if there && d.start-previous.last <= e.keepAfter {
		d.flags |= hasPrevious
		d.previous = previous.id
	}
}

// finish keeps a session that is over for the next checkpoint, under the position at which that was seen.
func (bt *batch) finish(key []byte, position uint64, n int, d *draft) {
	var name [10]byte
	binary.BigEndian.PutUint64(name[:], position)
	binary.BigEndian.PutUint16(name[8:], uint16(n))
	value := d.append(binary.AppendUvarint(nil, uint64(len(key))))
	value = append(value, key...)
	r := bt.over().Insert(keyed.Hash(name[:]), name[:], len(value))
	copy(bt.finished.Edit(r), value)
}

func (bt *batch) over() *keyed.Table {
	if bt.finished == nil {
		bt.finished = bt.e.space.Table(bt.part, finishedPrefix+bt.e.plan.table)
		bt.finished.Pin()
	}
	return bt.finished
}

// add counts an event into an accumulator: in place, or in scratch if it grows.
func (w *worker) add(acc []byte, later bool, values []event.Scalar, mask uint64, at aggregate.Point) (out []byte, grew bool) {
	p := w.e.plan
	if later {
		for n, c := range p.cuts {
			if h := hashOf(values[c], &w.text); h != 0 {
				binary.LittleEndian.PutUint64(acc[8*n:], h)
			}
		}
	}
	if len(p.Aggregates) == 0 {
		return acc, false
	}
	body := acc[p.cutBytes:]
	added := w.set.Add(body, values, mask, at)
	if len(added) == len(body) {
		if len(body) > 0 && &added[0] != &body[0] {
			copy(body, added)
		}
		return acc, false
	}
	w.grown = append(append(w.grown[:0], acc[:p.cutBytes]...), added...)
	return w.grown, true
}

// empty is the accumulator of a session without events, in scratch.
func (w *worker) empty() []byte {
	w.merged = append(w.merged[:0], make([]byte, w.e.plan.cutBytes)...)
	w.merged = w.set.Init(w.merged)
	return w.merged
}

// join makes one session of two, the earlier of which keeps its ID. What it holds is in scratch.
func (w *worker) join(left, right draft) draft {
	d := left
	d.last, d.events = max(left.last, right.last), left.events+right.events
	d.absorbed = append([]byte(nil), left.absorbed...)
	d.absorbed = append(append(d.absorbed, right.id[:]...), right.absorbed...)
	if len(d.absorbed) > maxAbsorbed*idSize {
		d.absorbed = d.absorbed[:maxAbsorbed*idSize]
	}
	d.counts = addCounts(left.counts, right.counts)
	p := w.e.plan
	w.merged = append(w.merged[:0], left.accumulator...)
	for n := range p.cuts { // the later one's value, if it has one
		if h := right.accumulator[8*n : 8*n+8]; binary.LittleEndian.Uint64(h) != 0 {
			copy(w.merged[8*n:], h)
		}
	}
	if len(p.Aggregates) > 0 {
		body := w.set.Merge(w.merged[p.cutBytes:], right.accumulator[p.cutBytes:])
		w.grown = append(append(w.grown[:0], w.merged[:p.cutBytes]...), body...)
		w.merged = append(w.merged[:0], w.grown...)
	}
	d.accumulator = w.merged
	return d
}

// replace puts the session in the place of those at [from, to).
func (w *worker) replace(bt *batch, r keyed.Ref, from, to int, d *draft) {
	w.value = w.value[:0]
	for _, v := range w.sessions[:from] {
		w.value = append(w.value, v...)
	}
	w.value = d.append(w.value)
	for _, v := range w.sessions[to:] {
		w.value = append(w.value, v...)
	}
	copy(bt.table.Resize(r, len(w.value)), w.value)
}

// hashOf a value that is compared with the one before, the same for ever; 0 for an absent or empty one.
func hashOf(v event.Scalar, text *[]byte) uint64 {
	if v.IsEmpty() {
		return 0
	}
	*text = v.AppendKey((*text)[:0])
	sum := sha256.Sum256(*text)
	return binary.LittleEndian.Uint64(sum[:]) | 1
}

// idOf the session that an event begins: a function of the key, its time and its ID.
func idOf(key []byte, t int64, id event.Scalar, flags byte) ID {
	var buf [256]byte
	b := binary.BigEndian.AppendUint32(buf[:0], uint32(len(key)))
	b = append(b, key...)
	b = binary.BigEndian.AppendUint64(b, uint64(t))
	b = append(b, flags&isCut)
	b = id.AppendKey(b)
	sum := sha256.Sum256(b)
	return ID(sum[:idSize])
}

// nameOf numbers the names of events in the order in which the partition meets them.
func (w *worker) nameOf(bt *batch, name string) uint16 {
	w.text = append(w.text[:0], name...)
	hash := keyed.Hash(w.text)
	r, ok := bt.nameRefs.Find(hash, w.text)
	if !ok {
		n := bt.nameRefs.Len() + 1
		if n > maxPartitionNames || len(name) > maxName {
			return otherNames
		}
		r = bt.nameRefs.Insert(hash, w.text, 2)
		binary.LittleEndian.PutUint16(bt.nameRefs.Edit(r), uint16(n))
	}
	return binary.LittleEndian.Uint16(bt.nameRefs.Value(r))
}

// Of a partition: names beyond are counted as others.
const (
	maxPartitionNames = 10_000
	maxName           = 256
)
