// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/receiver/archivereceiver/internal/pages"
)

// Reasons for which a row is skipped.
const (
	rowNotAnEvent = "not_an_event" // it failed when it was received: its sender's text is all there is
	rowRaw        = "unreadable_raw"
	rowSealed     = "sealed" // to a repair key that is not among repair_keys
	rowResource   = "unreadable_resource"
	rowProperties = "unreadable_properties"
	rowTrace      = "unreadable_trace"
	rowTime       = "unreadable_time"
)

// place names a row for people, and for the ID of an event that has none.
type rowPlace struct {
	file string
	row  int64
}

// text is a field's value; "" for NULL.
func (m *fileMap) text(cols []column, f textField) string {
	if f.column == none {
		return f.value
	}
	return m.columnText(cols, f.column)
}

func (m *fileMap) columnText(cols []column, at int) string {
	if at == none || cols[at] == nil || cols[at].Null() {
		return ""
	}
	if m.leaves[at].Type.Kind == pages.Text {
		return cols[at].Text()
	}
	return m.scalar(cols, at).String()
}

// scalar is the value of a column that is not NULL.
func (m *fileMap) scalar(cols []column, at int) scalar {
	t, c := &m.leaves[at].Type, cols[at]
	switch {
	case t.Width == 0 && t.Kind != pages.Bool:
		return m.value(at, c.Text(), 0, nil)
	case t.Width == 12 || t.Fixed():
		return m.value(at, "", 0, c.Fixed())
	}
	return m.value(at, "", c.Bits(), nil)
}

// value is what a column's value was in the event.
func (m *fileMap) value(at int, text string, bits uint64, fixed []byte) scalar {
	t := &m.leaves[at].Type
	switch {
	case m.texts[at]:
		return textScalar(decimalText(unscaled(t, text, bits, fixed), t.Scale))
	case m.nanos[at]:
		return intScalar(int64(bits) * t.Unit)
	}
	return scalarOf(t, text, bits, fixed)
}

// at is a field's time, in nanoseconds since 1970; 0 for NULL.
func (m *fileMap) at(cols []column, f timeField) (int64, bool) {
	if f.column == none || cols[f.column] == nil || cols[f.column].Null() {
		return 0, true
	}
	t, c := &m.leaves[f.column].Type, cols[f.column]
	if t.Kind == pages.Timestamp && t.Width == 8 { // as all of ours
		n := int64(c.Bits())
		if t.Unit == 1 {
			return n, true
		}
		if n > math.MaxInt64/t.Unit || n < math.MinInt64/t.Unit {
			return 0, false
		}
		return n * t.Unit, true
	}
	switch t.Kind {
	case pages.Timestamp:
		return nanoseconds(instant(t, 0, c.Fixed()))
	case pages.Date:
		days := signed(t, c.Bits())
		return days * int64(24*time.Hour), days > -100_000 && days < 100_000
	case pages.Text:
		at, err := time.Parse(time.RFC3339Nano, c.Text())
		if err != nil {
			return 0, false
		}
		return nanoseconds(at)
	}
	v := m.scalar(cols, f.column)
	if v.kind == event.KindInt {
		n := int64(v.bits)
		if n > math.MaxInt64/f.unit || n < math.MinInt64/f.unit {
			return 0, false
		}
		return n * f.unit, true
	}
	whole, fraction := math.Modf(math.Float64frombits(v.bits))
	if v.kind != event.KindDouble || math.Abs(whole) > float64(math.MaxInt64/f.unit/2) || math.IsNaN(whole) {
		return 0, false
	}
	return int64(whole)*f.unit + int64(fraction*float64(f.unit)), true
}

func nanoseconds(at time.Time) (int64, bool) {
	if y := at.Year(); y < 1678 || y > 2261 {
		return 0, false
	}
	return at.UnixNano(), true
}

// selects says whether the configuration is for the row.
func (m *fileMap) selects(cols []column) bool {
	s := m.selection
	if s.from != math.MinInt64 || s.to != math.MaxInt64 {
		if at, ok := m.at(cols, *m.when); ok && (at < s.from || at >= s.to) { // one that cannot be read is skipped and counted
			return false
		}
	}
	if len(s.names) > 0 && !s.hasName(m.text(cols, m.name)) {
		return false
	}
	for i := range m.filters {
		if !m.filters[i].values[m.columnText(cols, m.filters[i].column)] {
			return false
		}
	}
	return true
}

// restore adds the row's event to the batch. It returns how large it is, about, or why it adds none.
func (m *fileMap) restore(r *event.Restorer, cols []column, at rowPlace, raw *[]byte) (size int, reason string) {
	if m.failed {
		return m.restoreFailed(r, cols, at, raw)
	}
	when, ok := m.at(cols, m.time)
	received, receivedOK := m.at(cols, m.received)
	if m.received.column == none {
		received = when
	}
	if !ok || !receivedOK || when < 0 || received < 0 { // an event's times have no sign
		return 0, rowTime
	}
	origin := event.Origin{Resource: m.columnText(cols, m.resource), Tenant: m.text(cols, m.tenant), Source: m.text(cols, m.source)}
	d, err := r.Add(origin)
	if err != nil {
		return 0, rowResource
	}
	id := m.text(cols, m.id)
	if id == "" {
		id = at.id()
	}
	d.SetName(m.text(cols, m.name))
	d.SetTime(pcommon.Timestamp(when))
	d.SetReceived(pcommon.Timestamp(received))
	d.SetID(id)
	d.SetUserID(m.text(cols, m.user))
	d.SetAnonymousID(m.text(cols, m.anonymous))
	d.SetSessionID(m.text(cols, m.session))
	ordinal, _ := strconv.ParseInt(m.columnText(cols, m.ordinal), 10, 64) // NULL is none
	d.SetSession(ordinal, m.columnText(cols, m.late) == "true")
	d.SetSchema(m.text(cols, m.schema), m.text(cols, m.version))
	if d.SetTraceID(m.columnText(cols, m.trace)) != nil || d.SetSpanID(m.columnText(cols, m.span)) != nil {
		d.Discard()
		return 0, rowTrace
	}
	properties := m.columnText(cols, m.properties)
	if d.PutPropertiesJSON(properties) != nil {
		d.Discard()
		return 0, rowProperties
	}
	size = len(properties)
	top := object{made: true, it: d.Properties()}
	for _, n := range m.tree.children {
		size += m.put(n, &top, cols)
	}
	d.Done()
	return size + rowOverhead, ""
}

// rowOverhead is about what a row takes beside its properties.
const rowOverhead = 200

func (m *fileMap) restoreFailed(r *event.Restorer, cols []column, at rowPlace, raw *[]byte) (size int, reason string) {
	if m.columnText(cols, m.stage) == event.StageReceive {
		return 0, rowNotAnEvent // even where it reads like one: a sender who knows how could write an event of another's tenant
	}
	*raw = append((*raw)[:0], m.columnText(cols, m.raw)...)
	d, err := r.AddRaw(*raw)
	switch {
	case err == nil:
		if m.text(cols, m.id) == "" {
			d.SetID(at.id())
		}
		return len(*raw) + rowOverhead, ""
	case errors.Is(err, event.ErrSealed):
		return 0, rowSealed
	}
	return 0, rowRaw
}

// id is one for an event that has none: the same whenever the row is read, so that it is known when it comes again.
func (p rowPlace) id() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", p.file, p.row))
	return uuidText(sum[:16])
}

// object is an object among the properties, which is made once it has a member.
type object struct {
	parent *object
	key    string
	made   bool
	it     event.Object
}

func (o *object) get() event.Object {
	if !o.made {
		o.it, o.made = o.parent.get().Object(o.key), true
	}
	return o.it
}

// put adds what the row has at a place and below it, and returns its size.
func (m *fileMap) put(n *node, parent *object, cols []column) (size int) {
	if n.column != none {
		if size = m.putValue(n.key, n.column, parent, cols); size > 0 {
			return size
		}
		for _, at := range n.others {
			if size = m.putValue(n.key, at, parent, cols); size > 0 {
				return size
			}
		}
	}
	if n.each != nil {
		size += m.putEach(n, parent, cols)
	}
	if len(n.children) > 0 {
		here := object{parent: parent, key: n.key}
		for _, child := range n.children {
			size += m.put(child, &here, cols)
		}
	}
	return size
}

// putValue adds a column's value, and returns its size: 0 where there is none.
func (m *fileMap) putValue(key string, at int, parent *object, cols []column) (size int) {
	c := cols[at]
	if c == nil {
		return 0
	}
	if !m.leaves[at].Repeated() {
		if c.Null() {
			return 0
		}
		v := m.scalar(cols, at)
		v.put(parent.get(), key)
		return len(key) + len(v.text) + 8
	}
	if c.Elements() == 0 {
		return 0
	}
	size = len(key) + 8
	list := parent.get().List(key)
	for i := range c.Elements() {
		v, null := m.element(c, at, i)
		if null {
			list.AddNull()
			continue
		}
		v.add(list)
		size += len(v.text) + 16
	}
	return size
}

func (m *fileMap) element(c column, at, i int) (v scalar, null bool) {
	null, text, bits, fixed := c.Element(i)
	if null {
		return scalar{}, true
	}
	return m.value(at, text, bits, fixed), false
}

// putEach adds an array of objects. A member that is NULL is left out; an element without members is there.
func (m *fileMap) putEach(n *node, parent *object, cols []column) (size int) {
	length := 0
	for _, e := range n.each {
		if c := cols[e.column]; c != nil {
			length = max(length, c.Elements())
		}
	}
	if length == 0 {
		return 0
	}
	list := parent.get().List(n.key)
	for i := range length {
		element := list.Object(i)
		for _, e := range n.each {
			c := cols[e.column]
			if c == nil || i >= c.Elements() {
				continue
			}
			v, null := m.element(c, e.column, i)
			if null {
				continue
			}
			o := element
			for _, key := range e.path[:len(e.path)-1] {
				o = o.Object(key)
			}
			v.put(o, e.path[len(e.path)-1])
			size += len(v.text) + 16
		}
	}
	return size + 16
}
