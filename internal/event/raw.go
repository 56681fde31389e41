// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/hex"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// rawDepth is how deep AppendRaw follows values: deeper than MaxDepth, so that an event that failed for its
// depth is kept whole, and still no stack is at risk.
const rawDepth = 10_000

// AppendRaw appends the whole event as one JSON object, so that a failed event can be read and repaired. An
// event that could not be read at all (stage receive) is its text as it came, and a sealed one its sealed text. It never fails: what nests
// deeper than 10,000 levels becomes null.
func (e *Event) AppendRaw(dst []byte) []byte {
	if sealed := e.Sealed(); sealed != "" {
		return append(dst, sealed...)
	}
	if e.Failure.Stage == StageReceive {
		for i := range e.Context {
			if c := &e.Context[i]; c.Key == keyBody && c.Value.Kind() == KindString {
				return append(dst, c.Value.Str()...)
			}
		}
	}
	w := rawWriter{append(dst, '{')}
	w.text("event_name", e.Name)
	w.text("event_id", e.ID)
	w.time("event_time", e.Time)
	w.time("received_time", e.Received)
	w.text("user_id", e.UserID)
	w.text("anonymous_id", e.AnonymousID)
	w.text("session_id", e.SessionID)
	w.text("previous_session_id", e.PreviousSessionID)
	w.text("schema_name", e.Schema)
	w.text("schema_version", e.SchemaVersion)
	if !e.TraceID.IsEmpty() {
		w.text("trace_id", hex.EncodeToString(e.TraceID[:]))
	}
	if !e.SpanID.IsEmpty() {
		w.text("span_id", hex.EncodeToString(e.SpanID[:]))
	}
	list := func(properties []Property) func(func(string, Value) bool) {
		return func(yield func(string, Value) bool) {
			for _, p := range properties {
				if !yield(p.Key, p.Value) {
					return
				}
			}
		}
	}
	w.object("resource", e.Resource.Attributes)
	w.object("properties", list(e.Properties))
	w.object("context", list(e.Context))
	return append(w.dst, '}')
}

type rawWriter struct{ dst []byte }

func (w *rawWriter) key(key string) {
	if w.dst[len(w.dst)-1] != '{' {
		w.dst = append(w.dst, ',')
	}
	w.dst = append(AppendJSONString(w.dst, key), ':')
}

func (w *rawWriter) text(key, s string) {
	if s != "" {
		w.key(key)
		w.dst = AppendJSONString(w.dst, s)
	}
}

func (w *rawWriter) time(key string, t pcommon.Timestamp) {
	switch {
	case t == 0:
	case t > 1<<63-1: // no time that anybody meant: the number itself
		w.text(key, strconv.FormatUint(uint64(t), 10))
	default:
		w.text(key, t.AsTime().Format(time.RFC3339Nano))
	}
}

func (w *rawWriter) object(key string, members func(func(string, Value) bool)) {
	start := len(w.dst)
	w.key(key)
	w.dst = append(w.dst, '{')
	open := len(w.dst)
	for k, v := range members {
		w.key(k)
		mark := len(w.dst)
		var err error
		if w.dst, err = v.appendJSON(w.dst, MaxDepth-rawDepth); err != nil {
			w.dst = append(w.dst[:mark], "null"...)
		}
	}
	if len(w.dst) == open {
		w.dst = w.dst[:start]
		return
	}
	w.dst = append(w.dst, '}')
}
