// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/native"
)

// rowError is why an event has no row. It holds no value of the event.
type rowError struct {
	reason  string
	pointer string
}

func (e *rowError) Error() string { return e.reason + " at " + e.pointer }

// Reasons beside those of package native.
const (
	reasonTime          = "event_time_out_of_range"
	reasonDuplicatePath = "duplicate_path" // a key with dots and a nested object name one path
	reasonRefused       = "refused_by_server"
)

// eventRows is a block of the events table under construction. It is owned by one worker at a time and used
// again for the next batch.
type eventRows struct {
	layout *layout
	rows   int

	id, user, anonymous, session, trace, span                 *native.String
	name, tenant, source, schemaName, schemaVersion, resource *native.LowCardinality
	time, received                                            *native.Fixed
	properties                                                *native.JSON
	typed                                                     []native.Column // by index in layout.columns; nil until needed

	plan      *node // of the last event's schema, named by planOf
	planOf    [2]string
	expected  []expectation
	touched   []int // columns of typed that the present row has touched
	json      []byte
	nested    bool     // an object is among what stands in json; see paths.go
	dotted    bool     // so is a key that can reach into one
	path      []string // keys from the properties to the value at hand, for error pointers
	element   int      // index in the array of objects at hand, or -1; it follows path[elementAt-1]
	elementAt int
	resources []string // JSON of each resource of the batch, by event.Reader.ResourceIndex less 1; "" until needed
	hex       [32]byte
	input     proto.Input
}

func newEventRows(l *layout) *eventRows {
	r := &eventRows{
		layout: l,
		id:     native.NewString(false), user: native.NewString(true), anonymous: native.NewString(true),
		session: native.NewString(true), trace: native.NewString(false), span: native.NewString(false),
		name: native.NewLowCardinality(false), tenant: native.NewLowCardinality(false), source: native.NewLowCardinality(false),
		schemaName: native.NewLowCardinality(false), schemaVersion: native.NewLowCardinality(false),
		time: native.NewTime(), received: native.NewTime(),
		resource: native.NewLowCardinality(false), properties: native.NewJSON(l.propertiesType),
		typed: make([]native.Column, len(l.columns)),
	}
	return r
}

// envelope returns the columns of envelopeColumns, in that order.
func (r *eventRows) envelope() []native.Column {
	return []native.Column{
		r.id, r.name, r.time, r.received, r.user, r.anonymous, r.session, r.tenant, r.source,
		r.schemaName, r.schemaVersion, r.trace, r.span, r.resource, r.properties,
	}
}

func (r *eventRows) reset() {
	for _, c := range r.envelope() {
		c.Reset()
	}
	for _, c := range r.typed {
		if c != nil {
			c.Reset()
		}
	}
	r.rows = 0
	clear(r.resources)
	clear(r.expected)
	r.expected, r.plan, r.planOf = r.expected[:0], nil, [2]string{}
	r.resources = r.resources[:0]
}

// add appends the event. On an error nothing was added. resource is Reader.ResourceIndex.
func (r *eventRows) add(e *event.Event, resource int) *rowError {
	at := e.Time
	if at == 0 {
		at = e.Received
	}
	if !inRange(at) || !inRange(e.Received) {
		return &rowError{reason: reasonTime}
	}
	r.touched, r.path, r.element = r.touched[:0], r.path[:0], -1
	if err := r.addProperties(e); err != nil {
		r.rollback()
		return err
	}
	r.time.AppendTime(int64(at))
	r.received.AppendTime(int64(e.Received))
	for len(r.resources) < resource {
		r.resources = append(r.resources, "")
	}
	if r.resources[resource-1] == "" {
		r.resources[resource-1] = resourceJSON(e.Resource)
	}
	r.id.AppendString(e.ID)
	r.name.AppendString(e.Name)
	r.user.AppendOptional(e.UserID)
	r.anonymous.AppendOptional(e.AnonymousID)
	r.session.AppendOptional(e.SessionID)
	r.tenant.AppendString(e.Tenant)
	r.source.AppendString(e.Source)
	r.schemaName.AppendString(e.Schema)
	r.schemaVersion.AppendString(e.SchemaVersion)
	r.addHex(r.trace, e.TraceID[:], e.TraceID.IsEmpty())
	r.addHex(r.span, e.SpanID[:], e.SpanID.IsEmpty())
	r.resource.AppendString(r.resources[resource-1])
	r.properties.AppendBytes(r.json)
	r.rows++
	return nil
}

// previousSession is where properties keeps the session before: it has no column of its own.
const previousSession = "session.previous_id"

// inRange says whether the time has a place in DateTime64(9). OTLP's times are unsigned.
func inRange(t pcommon.Timestamp) bool { return t <= math.MaxInt64 && native.TimeInRange(int64(t)) }

func (r *eventRows) rollback() {
	for _, i := range r.touched {
		r.typed[i].Rollback()
	}
}

func (r *eventRows) addHex(c *native.String, id []byte, empty bool) {
	if empty {
		c.AppendString("")
		return
	}
	c.AppendBytes(r.hex[:hex.Encode(r.hex[:], id)])
}

// addProperties puts declared properties into their columns and the rest into r.json.
func (r *eventRows) addProperties(e *event.Event) *rowError {
	r.choosePlan(e)
	r.json = append(r.json[:0], '{')
	r.nested, r.dotted = false, false
	for i := range e.Properties {
		p := &e.Properties[i]
		if err := r.addMember(r.child(i, p.Key), p.Key, p.Value, 0); err != nil {
			return err
		}
	}
	for i := range e.Context {
		if err := r.addJSON(e.Context[i].Key, e.Context[i].Value); err != nil {
			return err
		}
	}
	if e.PreviousSessionID != "" {
		if err := r.addJSON(previousSession, event.StringValue(e.PreviousSessionID)); err != nil {
			return err
		}
	}
	r.json = append(r.json, '}')
	if r.nested && r.dotted && pathsCollide(e) {
		return &rowError{reason: reasonDuplicatePath}
	}
	return nil
}

// choosePlan finds the plan for the event. Events come sorted by name, so it is mostly the last one's.
func (r *eventRows) choosePlan(e *event.Event) {
	if e.Schema == r.planOf[0] && e.SchemaVersion == r.planOf[1] && r.plan != nil {
		return
	}
	r.plan, r.planOf = noPlan, [2]string{e.Schema, e.SchemaVersion}
	r.expected = r.expected[:0]
	if e.Schema == "" {
		return
	}
	if s := r.layout.snapshot.Find(e.Schema, e.SchemaVersion); s != nil {
		r.plan = r.layout.plans[s]
	}
}

// noPlan is that of events without a schema.
var noPlan = newNode()

// expectation is what stood at one place among the properties of the event before: producers keep their order, so
// comparing the key mostly saves looking it up.
type expectation struct {
	key   string
	child *node
}

// child returns the node for the event's i-th property.
func (r *eventRows) child(i int, key string) *node {
	for len(r.expected) <= i {
		r.expected = append(r.expected, expectation{})
	}
	x := &r.expected[i]
	if x.key != key || x.child == nil {
		*x = expectation{key, r.plan.children[key]}
	}
	return x.child
}

// addMember puts one member of an object into its column, or into r.json. child is what the schema says of it, or
// nil.
func (r *eventRows) addMember(child *node, key string, v event.Value, depth int) *rowError {
	switch {
	case child == nil || v.Kind() == event.KindEmpty && child.column < 0:
		return r.addJSON(key, v)
	case child.column >= 0:
		return r.addTyped(child.column, key, v)
	case child.each:
		return r.addEach(child, key, v, depth+1)
	case v.Kind() != event.KindMap:
		return r.fail(key, native.ErrType)
	}
	return r.addObject(child, key, v, depth+1)
}

// addObject puts the members of a nested object into their columns; what is undeclared stays in r.json under
// the object's key, which is left out where nothing is.
func (r *eventRows) addObject(n *node, key string, v event.Value, depth int) *rowError {
	if depth > event.MaxDepth {
		return r.fail(key, native.ErrTooDeep)
	}
	r.path = append(r.path, key)
	start := len(r.json)
	r.member(key)
	r.json = append(r.json, '{')
	open := len(r.json)
	for k, m := range v.Members {
		if err := r.addMember(n.children[k], k, m, depth); err != nil {
			return err
		}
	}
	if len(r.json) == open {
		r.json = r.json[:start]
	} else {
		r.json = append(r.json, '}')
		r.nested = true
	}
	r.path = r.path[:len(r.path)-1]
	return nil
}

// addEach puts an array of objects into one array column for each declared leaf. All get one element for each
// object, NULL where it lacks the leaf: ClickHouse ties arrays with a common prefix to equal lengths.
func (r *eventRows) addEach(n *node, key string, v event.Value, depth int) *rowError {
	if v.Kind() != event.KindSlice {
		return r.fail(key, native.ErrType)
	}
	for _, i := range n.leaves {
		if !r.touch(i) {
			return nil // a second value of the same key: the first wins
		}
	}
	r.path = append(r.path, key)
	r.elementAt = len(r.path)
	start := len(r.json)
	r.member(key)
	r.json = append(r.json, '[')
	leftover := false
	for i := range v.Len() {
		element := v.Index(i)
		r.element = i
		if k := element.Kind(); k != event.KindMap && k != event.KindEmpty { // null is an element without members
			return r.fail("", native.ErrType)
		}
		if i > 0 {
			r.json = append(r.json, ',')
		}
		r.json = append(r.json, '{')
		open := len(r.json)
		if err := r.addElement(n, element, i, depth); err != nil {
			return err
		}
		leftover = leftover || len(r.json) > open
		r.json = append(r.json, '}')
		for _, c := range n.leaves {
			r.typed[c].(*native.Array).FillElements(i + 1)
		}
	}
	r.element = -1
	for _, c := range n.leaves {
		r.typed[c].(*native.Array).EndRow()
	}
	if leftover {
		r.json = append(r.json, ']')
		r.nested = true
	} else {
		r.json = r.json[:start]
	}
	r.path = r.path[:len(r.path)-1]
	return nil
}

// addElement puts one object of an array, the i-th, into the arrays of its leaves.
func (r *eventRows) addElement(n *node, v event.Value, i, depth int) *rowError {
	if depth > event.MaxDepth {
		return r.fail("", native.ErrTooDeep)
	}
	for k, m := range v.Members {
		child := n.children[k]
		switch {
		case child == nil || m.Kind() == event.KindEmpty:
			if child == nil {
				if err := r.addJSON(k, m); err != nil {
					return err
				}
			}
		case child.column >= 0:
			array := r.typed[child.column].(*native.Array)
			if array.Elements() > i {
				continue // a second value of the same key: the first wins
			}
			if err := array.AppendElement(m); err != nil {
				return r.fail(k, err)
			}
		case m.Kind() != event.KindMap:
			return r.fail(k, native.ErrType)
		default:
			start := len(r.json)
			r.member(k)
			r.json = append(r.json, '{')
			open := len(r.json)
			if err := r.addElement(child, m, i, depth+1); err != nil {
				return err
			}
			if len(r.json) == open {
				r.json = r.json[:start]
			} else {
				r.json = append(r.json, '}')
			}
		}
	}
	return nil
}

func (r *eventRows) addTyped(i int, key string, v event.Value) *rowError {
	if !r.touch(i) {
		return nil // a second value of the same key: the first wins
	}
	if err := r.typed[i].Append(v); err != nil {
		return r.fail(key, err)
	}
	return nil
}

// touch makes a typed column ready to take the present row, or says that it has taken it already.
func (r *eventRows) touch(i int) bool {
	c := r.typed[i]
	if c == nil {
		c = native.New(r.layout.columns[i].typ, r.layout.columns[i].repeated)
		r.typed[i] = c
	}
	if !c.Seek(r.rows) {
		return false
	}
	r.touched = append(r.touched, i)
	return true
}

// addJSON writes an undeclared member.
func (r *eventRows) addJSON(key string, v event.Value) *rowError {
	r.member(key)
	r.look(key, v, 0)
	var err error
	if r.json, err = v.AppendJSON(r.json); err != nil {
		return r.fail(key, native.ErrTooDeep)
	}
	return nil
}

// member writes the comma before a member, where one is due, and its key.
func (r *eventRows) member(key string) {
	if last := r.json[len(r.json)-1]; last != '{' && last != '[' {
		r.json = append(r.json, ',')
	}
	r.json = append(event.AppendJSONString(r.json, key), ':')
}

func (r *eventRows) fail(key string, err error) *rowError {
	path := slices.Clone(r.path)
	if r.element >= 0 {
		path = slices.Insert(path, r.elementAt, strconv.Itoa(r.element))
	}
	if key != "" {
		path = append(path, key)
	}
	return &rowError{reason: err.Error(), pointer: pointer(path)}
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

// pointer writes a path as RFC 6901 does.
func pointer(path []string) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteByte('/')
		b.WriteString(escapePointer.Replace(p))
	}
	return b.String()
}

// columns finishes the block: every column has all rows, and those that no row needs are left out, so that the
// server fills in their NULLs.
func (r *eventRows) columns() proto.Input {
	r.input = r.input[:0]
	for i, c := range r.envelope() {
		r.input = append(r.input, proto.InputColumn{Name: envelopeColumns[i].name, Data: c})
	}
	for i, c := range r.typed {
		if c == nil || c.Rows() == 0 {
			continue
		}
		c.Fill(r.rows)
		r.input = append(r.input, proto.InputColumn{Name: r.layout.columns[i].name, Data: c})
	}
	return r.input
}

// resourceJSON writes the resource as one JSON object, its keys as they stand.
func resourceJSON(res event.Resource) string {
	dst := []byte{'{'}
	for k, v := range res.Attributes {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(event.AppendJSONString(dst, k), ':')
		mark := len(dst)
		var err error
		if dst, err = v.AppendJSON(dst); err != nil {
			dst = append(dst[:mark], "null"...) // deeper than any resource is meant to be
		}
	}
	return string(append(dst, '}'))
}
