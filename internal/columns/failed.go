// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/native"
)

// Failed is a block of rows of failed events under construction, owned by one worker at a time.
type Failed struct {
	id, pointer, message, raw                       *native.String
	name, tenant, source, schemaName, schemaVersion *native.LowCardinality
	stage, reason, keyword, processor               *native.LowCardinality
	time, received                                  *native.Fixed

	rows int
	json []byte
}

// NewFailed returns an empty block.
func NewFailed() *Failed {
	low := func() *native.LowCardinality { return native.NewLowCardinality(false) }
	text := func() *native.String { return native.NewString(false) }
	return &Failed{
		id: text(), pointer: text(), message: text(), raw: text(),
		name: low(), tenant: low(), source: low(), schemaName: low(), schemaVersion: low(),
		stage: low(), reason: low(), keyword: low(), processor: low(),
		time: native.NewTime(), received: native.NewTime(),
	}
}

// Rows in the block.
func (r *Failed) Rows() int { return r.rows }

// All returns the columns of package variable FailedEnvelope, in that order. Each has all rows.
func (r *Failed) All() []native.Column {
	return []native.Column{
		r.id, r.name, r.time, r.received, r.tenant, r.source, r.schemaName, r.schemaVersion,
		r.stage, r.reason, r.pointer, r.keyword, r.processor, r.message, r.raw,
	}
}

// Reset empties the block and keeps its memory.
func (r *Failed) Reset() {
	for _, c := range r.All() {
		c.Reset()
	}
	r.rows = 0
}

// Add appends an event that failed as f says. message is a server's error, if one refused the event. A time
// that no column holds is stored as 1970: it stands unchanged in raw.
func (r *Failed) Add(e *event.Event, f event.Failure, message string) {
	r.id.AppendString(e.ID)
	r.name.AppendString(e.Name)
	r.time.AppendTime(FailedTime(e.Time))
	r.received.AppendTime(FailedTime(e.Received))
	r.tenant.AppendString(e.Tenant)
	r.source.AppendString(e.Source)
	r.schemaName.AppendString(e.Schema)
	r.schemaVersion.AppendString(e.SchemaVersion)
	r.stage.AppendString(f.Stage)
	r.reason.AppendString(f.Reason)
	r.pointer.AppendString(f.Pointer)
	r.keyword.AppendString(f.Keyword)
	r.processor.AppendString(f.Processor)
	r.message.AppendString(message)
	r.json = e.AppendRaw(r.json[:0])
	r.raw.AppendBytes(r.json)
	r.rows++
}

// FailedTime is the time as the table of failed events has it.
func FailedTime(t pcommon.Timestamp) int64 {
	if !inRange(t) {
		return 0
	}
	return int64(t)
}
