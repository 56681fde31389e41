// SPDX-License-Identifier: Apache-2.0

// Package event is the one reading of an OTLP LogRecord as a business event.
//
// It is the only place that knows where an event's parts lie in the record. Components read an Event through a
// Reader, or a few Fields of it through a RowReader, annotate it through the Event's methods and write new ones through a
// Draft; none of them touches pdata attributes. So a RowReader reads the log's own OTLP bytes by the same code.
//
// Of a key that stands twice in one record the first wins, as in pcommon.Map.Get.
package event

import "go.opentelemetry.io/collector/pdata/pcommon"

// Keys of the record that carry the envelope. Everything else among the attributes is a property or context.
const (
	keyID                = "log.record.uid"           // OTel semantic conventions
	keyName              = "event.name"               // older form of LogRecord.EventName
	keyNameOld           = "otel.event.name"          // another older form
	keyUser              = "user.id"                  // OTel semantic conventions
	keyAnonymous         = "enduser.pseudo.id"        // OTel semantic conventions
	keySession           = "session.id"               // OTel semantic conventions
	keyPreviousSession   = "session.previous_id"      // OTel semantic conventions
	keySchema            = "event.schema"             // ours
	keySchemaVersion     = "event.schema.version"     // ours
	keyTenant            = "tenant.id"                // ours, on the resource
	keySource            = "event.source"             // ours, on the resource
	keyServiceName       = "service.name"             // OTel semantic conventions, on the resource
	keyCloudEventsSource = "cloudevents.event_source" // OTel semantic conventions

	keyFailureStage     = "event.failure.stage" // ours, as all event.failure.*
	keyFailureReason    = "event.failure.reason"
	keyFailurePointer   = "event.failure.pointer"
	keyFailureKeyword   = "event.failure.keyword"
	keyFailureSchema    = "event.failure.schema"
	keyFailureProcessor = "event.failure.processor"

	keySealed = "event.sealed" // ours: a failed event's values, encrypted
)

// Keys under which the record's own fields that are no attributes are read as context.
const (
	keyBody           = "log.body"
	keySeverityText   = "log.severity_text"
	keySeverityNumber = "log.severity_number"
)

// contextPrefixes are the namespaces in which an intake protocol keeps what is neither envelope nor property,
// such as Segment's context object or what OTel's log.* says of the record. They are stored, but schemas do not
// describe them.
var contextPrefixes = [...]string{"log.", "segment.", "snowplow.", "cloudevents.", "webhook."}

// Stages at which an event can fail.
const (
	StageReceive    = "receive"
	StageValidation = "validation"
	StageMasking    = "masking"
	StageExport     = "export"
)

// Failure says why an event was marked as failed. It never holds a value of the event.
type Failure struct {
	Stage     string // one of the Stage constants
	Reason    string // short and of low cardinality, such as "schema_violation"
	Pointer   string // RFC 6901 JSON pointer into the properties, "" for the event as a whole
	Keyword   string // the schema keyword that was violated, such as "minimum"
	Schema    string // subject and version, such as "order_completed/2"
	Processor string // ID of the component that marked it
}

// Property is one key of an event with its value. The value is a view: valid as long as the batch is.
type Property struct {
	Key   string
	Value Value
}

// Resource is what the events of one source have in common: OTLP's resource and instrumentation scope.
type Resource struct {
	res   pcommon.Resource
	scope pcommon.InstrumentationScope
}

// Event is one business event as read from a record. The strings and values are views into the batch, valid
// until the batch is changed or the Reader moves on.
type Event struct {
	Name              string // "" where the record names no event
	ID                string
	Time              pcommon.Timestamp // nanoseconds since the epoch; 0 where the record has none
	Received          pcommon.Timestamp // likewise
	TraceID           pcommon.TraceID
	SpanID            pcommon.SpanID
	UserID            string
	AnonymousID       string
	SessionID         string
	PreviousSessionID string
	SessionOrdinal    int64 // of the event in its session, from 1; 0 where it has none
	Late              bool  // too late for any session or window
	Tenant            string
	Source            string
	Schema            string // subject in the registry
	SchemaVersion     string

	Failed  bool
	Failure Failure // set where Failed

	Properties []Property // what schemas describe
	Context    []Property // what they do not: protocol context, the record's body and severity
	Resource   Resource

	rec record
}
