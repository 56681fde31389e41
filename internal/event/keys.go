// SPDX-License-Identifier: Apache-2.0

package event

import (
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Names of fields that keys are made of by default.
const (
	FieldTenant    = keyTenant
	FieldID        = keyID
	FieldUser      = keyUser
	FieldAnonymous = keyAnonymous
	FieldSession   = keySession
	FieldFailure   = keyFailureReason // set of failed events
	maxFields      = 16
)

// KeyReader reads a few fields of every event without reading the rest of it: what the log partitions by and knows
// duplicates by. A field is an attribute of the record or, where the record lacks it, of its resource. Tenant and
// source are as in Event. One goroutine at a time.
type KeyReader struct {
	fields   []string
	lengths  uint64 // bit n: a field of that length, modulo 64; most attributes are told apart by it
	values   []string
	resource []string
	source   Reader // for tenant and source of a resource
}

// NewKeyReader reads the fields given, at most 16.
func NewKeyReader(fields ...string) *KeyReader {
	fields = fields[:min(len(fields), maxFields)]
	r := &KeyReader{fields: fields, values: make([]string, len(fields)), resource: make([]string, len(fields))}
	for _, f := range fields {
		r.lengths |= 1 << (len(f) & 63)
	}
	return r
}

// Keys are the fields of one event: views into the batch, valid within the call.
type Keys struct {
	// Values are by field; "" where the event has none.
	Values         []string
	Tenant, Source string
	Time           pcommon.Timestamp // when it was received, where the event has none

	lr plog.LogRecord
}

// SetID gives the event an ID.
func (k Keys) SetID(id string) { k.lr.Attributes().PutStr(keyID, id) }

// Each calls f for every event of the batch, in order, with its position.
func (r *KeyReader) Each(b Batch, f func(i int, k Keys)) {
	i := 0
	for _, rl := range b.Logs().ResourceLogs().All() {
		r.source.setResource(rl.Resource())
		clear(r.resource)
		for k, v := range rl.Resource().Attributes().All() {
			if at := slices.Index(r.fields, k); at >= 0 && r.resource[at] == "" {
				r.resource[at] = text(v)
			}
		}
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				copy(r.values, r.resource)
				r.read(lr)
				at := lr.Timestamp()
				if at == 0 {
					at = lr.ObservedTimestamp()
				}
				f(i, Keys{Values: r.values, Tenant: r.source.tenant, Source: r.source.source, Time: at, lr: lr})
				i++
			}
		}
	}
}

// read takes the record's own values, the first of each key.
func (r *KeyReader) read(lr plog.LogRecord) {
	var found [maxFields]bool
	for k, v := range lr.Attributes().All() {
		if r.lengths>>(len(k)&63)&1 == 0 {
			continue
		}
		for at, field := range r.fields {
			if len(field) == len(k) && field == k && !found[at] {
				if s := text(v); s != "" {
					r.values[at], found[at] = s, true
				}
			}
		}
	}
}

// Split moves each event to the batch that `to` names for its position, and drops those for which it is negative. The
// events keep their order and their resource and scope. The batch is empty afterwards.
func (b Batch) Split(n int, to []int) []Batch {
	out := make([]Batch, n)
	for i := range out {
		out[i] = Batch{logs: plog.NewLogs()}
	}
	resources := make([]plog.ResourceLogs, n)
	scopes := make([]plog.ScopeLogs, n)
	records := make([]plog.LogRecordSlice, n)
	hasResource, hasScope := make([]int, n), make([]int, n)
	i, resource, scope := 0, 0, 0
	for _, rl := range b.Logs().ResourceLogs().All() {
		resource++
		for _, sl := range rl.ScopeLogs().All() {
			scope++
			for _, lr := range sl.LogRecords().All() {
				at := to[i]
				i++
				if at < 0 {
					continue
				}
				if hasResource[at] != resource {
					hasResource[at] = resource
					resources[at] = out[at].logs.ResourceLogs().AppendEmpty()
					rl.Resource().CopyTo(resources[at].Resource())
					resources[at].SetSchemaUrl(rl.SchemaUrl())
				}
				if hasScope[at] != scope {
					hasScope[at] = scope
					scopes[at] = resources[at].ScopeLogs().AppendEmpty()
					sl.Scope().CopyTo(scopes[at].Scope())
					scopes[at].SetSchemaUrl(sl.SchemaUrl())
					records[at] = scopes[at].LogRecords()
				}
				lr.MoveTo(records[at].AppendEmpty())
			}
		}
	}
	b.Logs().ResourceLogs().RemoveIf(func(plog.ResourceLogs) bool { return true })
	return out
}

// Append moves the events of other to the end of the batch.
func (b Batch) Append(other Batch) {
	other.Logs().ResourceLogs().MoveAndAppendTo(b.Logs().ResourceLogs())
}

// Slice keeps only the events at positions [from, to).
func (b Batch) Slice(from, to int) {
	if from > 0 || to < b.Len() {
		b.removeIf(func(i int) bool { return i < from || i >= to })
	}
}
