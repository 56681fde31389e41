// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"slices"

	"github.com/millrace/millrace/internal/schema"
)

// Field says what a column holds, beside what a Column says of one that a schema declares.
type Field struct {
	Name     string
	Type     schema.Type
	Nullable bool // elements of a repeated one always are
	Repeated bool
	JSON     bool // the texts are JSON documents
}

// Fields are the columns of rows of events by a layout: the envelope, then the typed ones.
func Fields(l *Layout) []Field {
	fields := slices.Clone(Envelope)
	for i := range l.Columns {
		c := &l.Columns[i]
		fields = append(fields, Field{Name: c.Name, Type: c.Type, Nullable: !c.Repeated, Repeated: c.Repeated})
	}
	return fields
}

// Names of fields that others ask for.
const (
	EventID        = "event_id"
	SessionOrdinal = "session_ordinal"
	Late           = "late"
	EventName      = "event_name"
	EventTime      = "event_time"
	ReceivedTime   = "received_time"
	TenantID       = "tenant_id"
	Resource       = "resource"
	Properties     = "properties"
	Raw            = "raw"
)

var (
	text = schema.Type{Kind: schema.String}
	low  = schema.Type{Kind: schema.String, LowCardinality: true}
	nano = schema.Type{Kind: schema.DateTime64, Scale: 9}
)

// Envelope is what every event has beside its typed properties, in the order of Events.Envelope.
var Envelope = []Field{
	{Name: EventID, Type: text},
	{Name: EventName, Type: low},
	{Name: EventTime, Type: nano},
	{Name: ReceivedTime, Type: nano},
	{Name: "user_id", Type: text, Nullable: true},
	{Name: "anonymous_id", Type: text, Nullable: true},
	{Name: "session_id", Type: text, Nullable: true},
	{Name: SessionOrdinal, Type: schema.Type{Kind: schema.UInt32}, Nullable: true}, // as sessionization numbers the session's events
	{Name: Late, Type: schema.Type{Kind: schema.Bool}},                             // for any session or window
	{Name: TenantID, Type: low},
	{Name: "source", Type: low},
	{Name: "schema_name", Type: low},
	{Name: "schema_version", Type: low},
	{Name: "trace_id", Type: text},
	{Name: "span_id", Type: text},
	// JSON text: it is the same for all events of a source, and parsing it for each row cost ClickHouse more than all
	// other columns together (docs/benchmarks.md).
	{Name: Resource, Type: low},
	{Name: Properties, Type: text, JSON: true},
}

// FailedEnvelope is what every failed event has, in the order of Failed.All.
var FailedEnvelope = []Field{
	{Name: EventID, Type: text},
	{Name: EventName, Type: low},
	{Name: EventTime, Type: nano},
	{Name: ReceivedTime, Type: nano},
	{Name: TenantID, Type: low},
	{Name: "source", Type: low},
	{Name: "schema_name", Type: low},
	{Name: "schema_version", Type: low},
	{Name: "stage", Type: low},
	{Name: "reason", Type: low},
	{Name: "pointer", Type: text},
	{Name: "keyword", Type: low},
	{Name: "processor", Type: low},
	{Name: "error", Type: text},
	{Name: Raw, Type: text},
}
