// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"encoding/hex"
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/native"
	"github.com/millrace/millrace/internal/schema"
)

// Error is why an event has no row. It holds no value of the event.
type Error struct {
	Reason  string
	Pointer string
}

func (e *Error) Error() string { return e.Reason + " at " + e.Pointer }

// Reasons beside those of package native.
const (
	reasonTime          = "event_time_out_of_range"
	reasonDuplicatePath = "duplicate_path" // a key with dots and a nested object name one path
)

// Events is a block of rows of events under construction. It is owned by one worker at a time and used again for the next
// batch.
type Events struct {
	// KeepEmpty keeps an empty array or object of a declared property in the column of undeclared ones, since typed columns do
	// not tell it from one that is absent. Set before the first event.
	KeepEmpty bool

	layout *Layout
	rows   int

	id, user, anonymous, session, trace, span                 *native.String
	name, tenant, source, schemaName, schemaVersion, resource *native.LowCardinality
	time, received, ordinal, late                             *native.Fixed
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
}

// NewEvents returns an empty block. propertiesType is ClickHouse's type of the column of undeclared properties.
func NewEvents(l *Layout, propertiesType string) *Events {
	r := &Events{
		layout: l,
		id:     native.NewString(false), user: native.NewString(true), anonymous: native.NewString(true),
		session: native.NewString(true), trace: native.NewString(false), span: native.NewString(false),
		name: native.NewLowCardinality(false), tenant: native.NewLowCardinality(false), source: native.NewLowCardinality(false),
		schemaName: native.NewLowCardinality(false), schemaVersion: native.NewLowCardinality(false),
		time: native.NewTime(), received: native.NewTime(),
		ordinal: native.NewFixed(schema.Type{Kind: schema.UInt32}, true), late: native.NewFixed(schema.Type{Kind: schema.Bool}, false),
		resource: native.NewLowCardinality(false), properties: native.NewJSON(propertiesType),
		typed: make([]native.Column, len(l.Columns)),
	}
	return r
}

// Rows in the block.
func (r *Events) Rows() int { return r.rows }

// Layout of the block.
func (r *Events) Layout() *Layout { return r.layout }

// Envelope returns the columns of package variable Envelope, in that order. Each has all rows.
func (r *Events) Envelope() []native.Column {
	return []native.Column{
		r.id, r.name, r.time, r.received, r.user, r.anonymous, r.session, r.ordinal, r.late, r.tenant, r.source,
		r.schemaName, r.schemaVersion, r.trace, r.span, r.resource, r.properties,
	}
}

// Reset empties the block and keeps its memory.
func (r *Events) Reset() {
	for _, c := range r.Envelope() {
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

// Add appends the event. On an error nothing was added. resource is event.Reader.ResourceIndex.
func (r *Events) Add(e *event.Event, resource int) *Error {
	at := e.Time
	if at == 0 {
		at = e.Received
	}
	if !inRange(at) || !inRange(e.Received) {
		return &Error{Reason: reasonTime}
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
	if e.SessionOrdinal > 0 {
		r.ordinal.AppendInt(min(e.SessionOrdinal, math.MaxUint32))
	} else {
		r.ordinal.Fill(r.rows + 1)
	}
	r.late.AppendInt(int64(bit(e.Late)))
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

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// previousSession is where properties keeps the session before: it has no column of its own.
const previousSession = "session.previous_id"

// inRange says whether the time has a place in DateTime64(9). OTLP's times are unsigned.
func inRange(t pcommon.Timestamp) bool { return t <= math.MaxInt64 && native.TimeInRange(int64(t)) }

func (r *Events) rollback() {
	for _, i := range r.touched {
		r.typed[i].Rollback()
	}
}

func (r *Events) addHex(c *native.String, id []byte, empty bool) {
	if empty {
		c.AppendString("")
		return
	}
	c.AppendBytes(r.hex[:hex.Encode(r.hex[:], id)])
}

// Typed returns the column of each property, by index in the layout, with all rows; nil where no row needs it.
func (r *Events) Typed() []native.Column {
	for _, c := range r.typed {
		if c != nil && c.Rows() > 0 {
			c.Fill(r.rows)
		}
	}
	return r.typed
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
