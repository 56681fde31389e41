// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"github.com/ClickHouse/ch-go/proto"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/native"
)

// failedRows is a block of the failed events' table under construction, owned by one worker at a time.
type failedRows struct {
	id, pointer, message, raw                       *native.String
	name, tenant, source, schemaName, schemaVersion *native.LowCardinality
	stage, reason, keyword, processor               *native.LowCardinality
	time, received                                  *native.Fixed

	rows   int
	json   []byte
	input  proto.Input
	guards guards
}

func newFailedRows() *failedRows {
	low := func() *native.LowCardinality { return native.NewLowCardinality(false) }
	text := func() *native.String { return native.NewString(false) }
	return &failedRows{
		id: text(), pointer: text(), message: text(), raw: text(),
		name: low(), tenant: low(), source: low(), schemaName: low(), schemaVersion: low(),
		stage: low(), reason: low(), keyword: low(), processor: low(),
		time: native.NewTime(), received: native.NewTime(),
	}
}

// all returns the columns of failedColumns, in that order.
func (r *failedRows) all() []native.Column {
	return []native.Column{
		r.id, r.name, r.time, r.received, r.tenant, r.source, r.schemaName, r.schemaVersion,
		r.stage, r.reason, r.pointer, r.keyword, r.processor, r.message, r.raw,
	}
}

func (r *failedRows) reset() {
	for _, c := range r.all() {
		c.Reset()
	}
	r.rows = 0
}

// add appends an event that failed as f says. message is the server's error, if it refused the event. A time
// that no column holds is stored as 1970: it stands unchanged in raw.
func (r *failedRows) add(e *event.Event, f event.Failure, message string) {
	r.id.AppendString(e.ID)
	r.name.AppendString(e.Name)
	r.time.AppendTime(failedTime(e.Time))
	r.received.AppendTime(failedTime(e.Received))
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

// failedTime is the time as the table of failed events has it.
func failedTime(t pcommon.Timestamp) int64 {
	if !inRange(t) {
		return 0
	}
	return int64(t)
}

func (r *failedRows) columns() proto.Input {
	r.input = r.input[:0]
	for i, c := range r.all() {
		r.input = append(r.input, r.guards.input(i, &failedColumns[i], nil, c))
	}
	return r.input
}
