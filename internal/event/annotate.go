// SPDX-License-Identifier: Apache-2.0

package event

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Annotations change the record that the event was read from, and the Event with it. The batch must be the
// caller's to mutate.

// Fail marks the event as failed. The first failure stays: a later one is mostly a consequence of it.
func (e *Event) Fail(f Failure) {
	if e.Failed {
		return
	}
	e.Failed, e.Failure = true, f
	writeFailure(e.rec.lr.Attributes(), f)
}

// ClearFailure removes a mark that came with the event: a producer's word, or an earlier run's before a repair.
func (e *Event) ClearFailure() {
	if !e.Failed {
		return
	}
	e.Failed, e.Failure = false, Failure{}
	e.rec.lr.Attributes().RemoveIf(func(k string, _ pcommon.Value) bool {
		return strings.HasPrefix(k, failurePrefix)
	})
}

// SetSchema stamps the schema that describes the event.
func (e *Event) SetSchema(subject, version string) {
	if e.Schema == subject && e.SchemaVersion == version {
		return
	}
	e.Schema, e.SchemaVersion = subject, version
	attrs := e.rec.lr.Attributes()
	attrs.PutStr(keySchema, subject)
	attrs.PutStr(keySchemaVersion, version)
}

// SetTime sets the event's time.
func (e *Event) SetTime(t pcommon.Timestamp) {
	e.Time = t
	e.rec.lr.SetTimestamp(t)
}

// SetReceived sets when the event reached us.
func (e *Event) SetReceived(t pcommon.Timestamp) {
	e.Received = t
	e.rec.lr.SetObservedTimestamp(t)
}

func writeFailure(attrs pcommon.Map, f Failure) {
	for _, kv := range [...][2]string{
		{keyFailureStage, f.Stage},
		{keyFailureReason, f.Reason},
		{keyFailurePointer, f.Pointer},
		{keyFailureKeyword, f.Keyword},
		{keyFailureSchema, f.Schema},
		{keyFailureProcessor, f.Processor},
	} {
		if kv[1] != "" || kv[0] == keyFailureStage {
			attrs.PutStr(kv[0], kv[1])
		}
	}
}
