// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"encoding/hex"
	"math"

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
	guards    guards
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

// columns finishes the block: every column has all rows, and those that no row needs are left out, so that the
// server fills in their NULLs.
func (r *eventRows) columns() proto.Input {
	r.input = r.input[:0]
	for i, c := range r.envelope() {
		r.input = append(r.input, r.guards.input(i, &envelopeColumns[i], nil, c))
	}
	for i, c := range r.typed {
		if c == nil || c.Rows() == 0 {
			continue
		}
		c.Fill(r.rows)
		r.input = append(r.input, r.guards.input(len(envelopeColumns)+i, nil, &r.layout.columns[i], c))
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
