// SPDX-License-Identifier: Apache-2.0

package event

import "go.opentelemetry.io/collector/pdata/plog"

// SessionMark is what an event is annotated with when its session is known.
type SessionMark struct {
	ID string // "" leaves the event's own session.id
	// Ordinal of the event in its session, from 1, in the order of arrival; 0 for none.
	Ordinal int64
	// Late says that the event came too late for any session or window.
	Late bool
}

// Attributes of annotations, beside session.id.
const (
	KeySessionOrdinal    = "session.ordinal"
	KeySessionOriginalID = "session.original_id" // what the producer had said, where it was another
	KeyLate              = "event.late"
)

// MarkSessions asks for each event, by its position, what to annotate it with.
func (b Batch) MarkSessions(mark func(i int, m *SessionMark) bool) {
	i := 0
	var m SessionMark
	for _, rl := range b.Logs().ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				if m = (SessionMark{}); mark(i, &m) {
					annotate(lr, &m)
				}
				i++
			}
		}
	}
}

func annotate(lr plog.LogRecord, m *SessionMark) {
	attrs := lr.Attributes()
	if m.Late {
		attrs.PutBool(KeyLate, true)
	}
	if m.ID != "" {
		original := ""
		if v, ok := attrs.Get(keySession); ok {
			original = text(v)
			v.SetStr(m.ID)
		} else {
			attrs.PutStr(keySession, m.ID)
		}
		if original != "" && original != m.ID {
			attrs.PutStr(KeySessionOriginalID, original)
		}
	}
	if m.Ordinal > 0 {
		attrs.PutInt(KeySessionOrdinal, m.Ordinal)
	}
}
