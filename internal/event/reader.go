// SPDX-License-Identifier: Apache-2.0

package event

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Batch is an ordered set of events. It is a view: it owns nothing.
type Batch struct {
	logs plog.Logs
	raw  *rawBatch // in place of logs, or nil
}

// record is where an Event was read from; annotations are written there.
type record struct{ lr plog.LogRecord }

// FromLogs reads a batch of OTLP logs as events.
func FromLogs(ld plog.Logs) Batch { return Batch{logs: ld} }

// Logs returns the batch as OTLP logs, annotations included.
func (b Batch) Logs() plog.Logs {
	if b.raw == nil {
		return b.logs
	}
	ld, _ := b.Decode() // see Decode
	return ld
}

// Len returns the number of events.
func (b Batch) Len() int {
	if !b.IsRaw() {
		return b.Logs().LogRecordCount()
	}
	n := 0
	for _, c := range b.raw.chunks {
		n += c.To - c.From
	}
	return n
}

// Reader walks the events of a batch. Its zero value is ready after Reset; one Reader can be used for many
// batches, one goroutine at a time, and then allocates nothing for a flat event.
type Reader struct {
	logs              plog.Logs
	resource, scope   int
	next              int
	records           plog.LogRecordSlice
	tenant, source    string
	hasSource         bool
	resourceID, lastR int
	ev                Event
}

// Reset starts at the first event of b.
func (r *Reader) Reset(b Batch) {
	props, context := r.ev.Properties[:0], r.ev.Context[:0]
	*r = Reader{logs: b.Logs(), resource: -1, lastR: -1}
	r.ev.Properties, r.ev.Context = props, context
}

// Release lets go of the batch, and of more memory than events usually need, so that a Reader can be kept.
func (r *Reader) Release() {
	props, context := emptied(r.ev.Properties), emptied(r.ev.Context)
	*r = Reader{}
	r.ev.Properties, r.ev.Context = props, context
}

const maxKeptProperties = 1024

func emptied(p []Property) []Property {
	if cap(p) > maxKeptProperties {
		return nil
	}
	clear(p[:cap(p)])
	return p[:0]
}

// Next returns the next event, or nil after the last. The Event is the Reader's own and overwritten by the
// next call.
func (r *Reader) Next() *Event {
	for r.resource < 0 || r.next >= r.records.Len() {
		if !r.nextScope() {
			return nil
		}
	}
	lr := r.records.At(r.next)
	r.next++
	r.read(lr)
	return &r.ev
}

// ResourceIndex numbers the (resource, scope) pairs of the batch in order: events with equal numbers share
// their Resource, so that what is derived from it can be kept.
func (r *Reader) ResourceIndex() int { return r.resourceID }

// DeleteAt removes the events at these positions, which rise.
func (b Batch) DeleteAt(positions []int) {
	b.removeIf(func(i int) bool {
		if len(positions) == 0 || positions[0] != i {
			return false
		}
		positions = positions[1:]
		return true
	})
}

// removeIf removes the events at the positions for which drop returns true, and what holds none then.
func (b Batch) removeIf(drop func(i int) bool) {
	i := -1
	b.Logs().ResourceLogs().RemoveIf(func(rl plog.ResourceLogs) bool {
		rl.ScopeLogs().RemoveIf(func(sl plog.ScopeLogs) bool {
			sl.LogRecords().RemoveIf(func(plog.LogRecord) bool {
				i++
				return drop(i)
			})
			return sl.LogRecords().Len() == 0
		})
		return rl.ScopeLogs().Len() == 0
	})
}

func (r *Reader) nextScope() bool {
	rls := r.logs.ResourceLogs()
	if r.resource >= 0 {
		r.scope++
	} else {
		r.resource, r.scope = 0, 0
	}
	for r.resource < rls.Len() {
		rl := rls.At(r.resource)
		if r.scope >= rl.ScopeLogs().Len() {
			r.resource++
			r.scope = 0
			continue
		}
		if r.lastR != r.resource {
			r.lastR = r.resource
			r.setResource(rl.Resource())
		}
		sl := rl.ScopeLogs().At(r.scope)
		r.ev.Resource.scope = sl.Scope()
		r.records, r.next = sl.LogRecords(), 0
		r.resourceID++
		return true
	}
	return false
}

func (r *Reader) setResource(res pcommon.Resource) {
	r.ev.Resource.res = res
	r.tenant, r.source, r.hasSource = "", "", false
	for k, v := range res.Attributes().All() {
		switch k {
		case keyTenant:
			r.tenant = text(v)
		case keySource:
			r.source, r.hasSource = text(v), true
		case keyServiceName:
			if !r.hasSource {
				r.source = text(v)
			}
		}
	}
}

func (r *Reader) read(lr plog.LogRecord) {
	e := &r.ev
	*e = Event{
		Name: lr.EventName(), Time: lr.Timestamp(), Received: lr.ObservedTimestamp(),
		TraceID: lr.TraceID(), SpanID: lr.SpanID(), Tenant: r.tenant, Source: r.source,
		Properties: e.Properties[:0], Context: e.Context[:0], Resource: e.Resource, rec: record{lr},
	}
	var olderName string
	for k, v := range lr.Attributes().All() {
		if strings.IndexByte(k, '.') < 0 { // no key with a meaning of its own lacks a dot
			e.Properties = append(e.Properties, Property{k, valueOf(v)})
			continue
		}
		if field := e.envelope(k); field != nil {
			s := text(v)
			if *field == "" {
				*field = s
			}
			if s == "" && nests(v) { // too deep for a text: a property, so that it is kept and judged as one
				e.Properties = append(e.Properties, Property{k, valueOf(v)})
			}
			continue
		}
		switch {
		case k == keyName, k == keyNameOld:
			if olderName == "" {
				olderName = text(v)
			}
		case k == KeySessionOrdinal:
			e.SessionOrdinal = v.Int()
		case k == KeyLate:
			e.Late = v.Bool()
		case strings.HasPrefix(k, failurePrefix):
			e.readFailure(k, v)
		case IsContext(k):
			if k == keyCloudEventsSource && !r.hasSource {
				e.Source = text(v)
			}
			e.Context = append(e.Context, Property{k, valueOf(v)})
		default:
			e.Properties = append(e.Properties, Property{k, valueOf(v)})
		}
	}
	if e.Name == "" {
		e.Name = olderName
	}
	if body := lr.Body(); body.Type() != pcommon.ValueTypeEmpty {
		e.Context = append(e.Context, Property{keyBody, valueOf(body)})
	}
	if s := lr.SeverityText(); s != "" {
		e.Context = append(e.Context, Property{keySeverityText, StringValue(s)})
	}
	if n := lr.SeverityNumber(); n != plog.SeverityNumberUnspecified {
		e.Context = append(e.Context, Property{keySeverityNumber, IntValue(int64(n))})
	}
}

// envelope returns the field that the key fills, or nil.
func (e *Event) envelope(key string) *string {
	switch key {
	case keyID:
		return &e.ID
	case keyUser:
		return &e.UserID
	case keyAnonymous:
		return &e.AnonymousID
	case keySession:
		return &e.SessionID
	case keyPreviousSession:
		return &e.PreviousSessionID
	case keySchema:
		return &e.Schema
	case keySchemaVersion:
		return &e.SchemaVersion
	}
	return nil
}

func (e *Event) readFailure(key string, v pcommon.Value) {
	e.Failed = true
	switch key {
	case keyFailureStage:
		e.Failure.Stage = text(v)
	case keyFailureReason:
		e.Failure.Reason = text(v)
	case keyFailurePointer:
		e.Failure.Pointer = text(v)
	case keyFailureKeyword:
		e.Failure.Keyword = text(v)
	case keyFailureSchema:
		e.Failure.Schema = text(v)
	case keyFailureProcessor:
		e.Failure.Processor = text(v)
	}
}

// text reads an envelope value, which some producers send as a number. What nests deeper than MaxDepth has no
// text: the recursion that pcommon.Value.AsString needs for it can end the process.
func text(v pcommon.Value) string {
	switch {
	case v.Type() == pcommon.ValueTypeStr:
		return v.Str()
	case nests(v):
		json, err := valueOf(v).AppendJSON(nil)
		if err != nil {
			return ""
		}
		return string(json)
	}
	return v.AsString()
}

func nests(v pcommon.Value) bool {
	return v.Type() == pcommon.ValueTypeMap || v.Type() == pcommon.ValueTypeSlice
}

// IsContext says whether the key lies in a namespace of protocol context.
func IsContext(key string) bool {
	for _, p := range contextPrefixes {
		if len(key) > len(p) && key[:len(p)] == p {
			return true
		}
	}
	return false
}

// reserved says whether a producer's property of that key would be read as something else.
func reserved(key string) bool {
	var e Event
	return e.envelope(key) != nil || key == KeySessionOrdinal || key == KeyLate || key == keyName || key == keyNameOld || key == keySealed ||
		strings.HasPrefix(key, failurePrefix) || IsContext(key)
}

// Attributes calls yield for each attribute of the resource and, as otel.scope.*, of the instrumentation
// scope, until it returns false.
func (r Resource) Attributes(yield func(string, Value) bool) {
	for k, v := range r.res.Attributes().All() {
		if !yield(k, valueOf(v)) {
			return
		}
	}
	if n := r.scope.Name(); n != "" && !yield("otel.scope.name", StringValue(n)) {
		return
	}
	if v := r.scope.Version(); v != "" && !yield("otel.scope.version", StringValue(v)) {
		return
	}
	for k, v := range r.scope.Attributes().All() {
		if !yield("otel.scope."+k, valueOf(v)) {
			return
		}
	}
}

// IsContextRoot says whether a property's key is the root of a context namespace, such as "segment": nested
// below it could lie the same path as a context value's.
func IsContextRoot(key string) bool {
	for _, p := range contextPrefixes {
		if key == p[:len(p)-1] {
			return true
		}
	}
	return false
}
