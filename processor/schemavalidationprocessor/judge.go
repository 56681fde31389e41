// SPDX-License-Identifier: Apache-2.0

package schemavalidationprocessor

import (
	"slices"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// work judges one batch. It belongs to one call at a time and is pooled, so that a batch of valid events costs
// no memory beyond its stamps.
type work struct {
	p      *schemaValidation
	reader event.Reader
	walk   walker
	counts tally

	events       int   // of the batch
	refused      []int // indexes of events to remove, rising
	firstRefused refusal
	cleared      []int // indexes of events from which a foreign mark was removed, rising

	resource        int     // index of the last event's
	resourceOutcome outcome // what was found in it
}

func newWork(p *schemaValidation) *work {
	return &work{p: p, walk: walker{max: p.cfg.MaxProperties}, counts: newTally()}
}

func (w *work) judgeBatch(batch event.Batch, snapshot *schema.Snapshot) {
	w.events, w.refused, w.cleared, w.resource = 0, w.refused[:0], w.cleared[:0], -1
	w.counts.reset()
	now := pcommon.NewTimestampFromTime(w.p.now())
	w.reader.Reset(batch)
	for e := w.reader.Next(); e != nil; e = w.reader.Next() {
		i := w.events
		w.events++
		switch {
		case e.Failed && hasNoValues(e):
			w.counts.add(nil, passed)
			if received, _ := w.times(e, now); received != e.Received {
				e.SetReceived(received) // any producer can write that mark, and failed events are kept by this time
			}
		case e.Failed:
			// The mark is a producer's word, or from before a repair. Removing it moves what the event's
			// values look at, so the event is judged in a second reading.
			e.ClearFailure()
			w.cleared = append(w.cleared, i)
		default:
			w.judge(e, i, snapshot, now)
		}
	}
	if len(w.cleared) > 0 {
		w.judgeCleared(batch, snapshot, now)
	}
}

// hasNoValues says whether there is nothing to be judged: what could not be read, and what could not be masked or was sealed at an agent.
// Without its values such an event can look valid.
func hasNoValues(e *event.Event) bool {
	return e.Failure.Stage == event.StageReceive || e.Failure.Stage == event.StageMasking || e.Sealed() != ""
}

// judgeCleared reads the batch again for the events from which a mark was removed.
func (w *work) judgeCleared(batch event.Batch, snapshot *schema.Snapshot, now pcommon.Timestamp) {
	w.resource = -1
	w.reader.Reset(batch)
	for i, next := 0, 0; next < len(w.cleared); i++ {
		e := w.reader.Next()
		if w.cleared[next] == i {
			next++
			w.judge(e, i, snapshot, now)
		}
	}
	slices.Sort(w.refused)
}

// judge judges one event and writes what it found. Everything is read before anything is written: writing
// makes the event's values stale.
func (w *work) judge(e *event.Event, i int, snapshot *schema.Snapshot, now pcommon.Timestamp) {
	received, happened := w.times(e, now)
	found, missing := find(snapshot, e)
	failure, o := w.verdict(e, found, missing, received, happened)
	w.counts.add(found, o)
	if o.refused() {
		if len(w.refused) == 0 {
			w.firstRefused = refusal{name: clip(e.Name, 128), reason: o.reason()}
		}
		w.refused = append(w.refused, i)
		return
	}
	if received != e.Received {
		e.SetReceived(received)
	}
	if happened != e.Time {
		e.SetTime(happened)
	}
	if found != nil {
		e.SetSchema(found.Subject, found.Version)
	}
	if reason := o.reason(); reason != "" {
		failure.Stage, failure.Reason, failure.Processor = event.StageValidation, reason, w.p.id
		if found != nil {
			failure.Schema = found.ID()
		}
		e.Fail(failure)
	}
}

// times returns when the event was received and when it happened: now where it does not say the first, or
// says what cannot be, and the first where it does not say the second.
func (w *work) times(e *event.Event, now pcommon.Timestamp) (received, happened pcommon.Timestamp) {
	received, happened = e.Received, e.Time
	if received < w.p.earliest || received > now+w.p.skew {
		received = now
	}
	if happened == 0 {
		happened = received
	}
	return received, happened
}

// find returns the schema that describes the event, or what of it is unknown.
func find(snapshot *schema.Snapshot, e *event.Event) (*schema.Schema, unknownness) {
	subject, missing := e.Schema, unknownSchema
	if subject == "" {
		subject, missing = e.Name, unknownEvent
	}
	latest := snapshot.Match(subject)
	if latest == nil {
		return nil, missing
	}
	if e.SchemaVersion == "" || e.SchemaVersion == latest.Version {
		return latest, known
	}
	if found := snapshot.Find(latest.Subject, e.SchemaVersion); found != nil {
		return found, known
	}
	return nil, unknownVersion
}

func (w *work) verdict(e *event.Event, found *schema.Schema, missing unknownness, received, happened pcommon.Timestamp) (event.Failure, outcome) {
	if e.Name == "" {
		return event.Failure{}, missingName
	}
	if failure, o := w.checkForm(e); o != valid {
		return failure, o
	}
	if happened < w.p.earliest || happened > received+w.p.skew {
		return event.Failure{}, timeOutOfRange
	}
	if found == nil {
		return event.Failure{}, missing.under(w.p.cfg.UnknownEvents)
	}
	if v := found.Validate(e); v != nil {
		return event.Failure{Pointer: v.Pointer, Keyword: v.Keyword}, schemaViolation
	}
	return event.Failure{}, valid
}

// checkForm checks what no schema says: lengths, text, depth and number.
func (w *work) checkForm(e *event.Event) (event.Failure, outcome) {
	for _, name := range [...]string{e.Name, e.Schema, e.SchemaVersion} {
		if len(name) > w.p.cfg.MaxNameLength {
			return event.Failure{}, nameTooLong
		}
		if !utf8.ValidString(name) {
			return event.Failure{}, invalidUTF8
		}
	}
	for _, id := range [...]string{e.ID, e.UserID, e.AnonymousID, e.SessionID, e.PreviousSessionID} {
		if len(id) > w.p.cfg.MaxIDLength {
			return event.Failure{}, idTooLong
		}
		if !utf8.ValidString(id) {
			return event.Failure{}, invalidUTF8
		}
	}
	w.walk.reset()
	for i := range e.Properties {
		p := &e.Properties[i]
		if o := w.walk.member(p.Key, p.Value, 1); o != valid {
			return event.Failure{Pointer: w.walk.pointer(o)}, o
		}
	}
	w.walk.reset()
	for i := range e.Context {
		if o := w.walk.member(e.Context[i].Key, e.Context[i].Value, 1); o != valid {
			return event.Failure{}, o // beside the properties: no pointer leads there
		}
	}
	return event.Failure{}, w.ofResource(e)
}

// ofResource says what is wrong with the event's resource and scope, looked at once for all that share them.
func (w *work) ofResource(e *event.Event) outcome {
	if at := w.reader.ResourceIndex(); at != w.resource {
		w.resource, w.resourceOutcome = at, valid
		w.walk.reset()
		for key, value := range e.Resource.Attributes {
			if w.resourceOutcome = w.walk.member(key, value, 1); w.resourceOutcome != valid {
				break
			}
		}
	}
	return w.resourceOutcome
}
