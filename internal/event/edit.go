// SPDX-License-Identifier: Apache-2.0

package event

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/xpdata/entity"

	"github.com/millrace/millrace/internal/seal"
)

// What follows changes values of a record in place, for what must reach every text of it: also what no Reader shows, such as a
// key's second value, of which the first wins, or the URL of a scope's schema. The batch must be the caller's to mutate. Strings
// that an Event had before are as they were; a Value reads as it is now after SetText, but keeps its Kind.

// Part says what an attribute of a record is for.
type Part uint8

// The parts.
const (
	PartProperty Part = iota
	PartContext       // protocol context and the record's body
	PartIdentity      // IDs of the event, its users and its sessions
	PartName          // older forms of the event's name
	PartSchema        // what names the schema
	PartFailure
)

var identities = map[string]bool{keyID: true, keyUser: true, keyAnonymous: true, keySession: true, keyPreviousSession: true}

// PartOf says what an attribute of that key is for.
func PartOf(key string) Part {
	switch {
	case strings.IndexByte(key, '.') < 0: // no key with a meaning of its own lacks a dot
		return PartProperty
	case identities[key]:
		return PartIdentity
	case key == keyName, key == keyNameOld:
		return PartName
	case key == keySchema, key == keySchemaVersion:
		return PartSchema
	case strings.HasPrefix(key, failurePrefix):
		return PartFailure
	case IsContext(key):
		return PartContext
	}
	return PartProperty
}

const failurePrefix = "event.failure."

// Keys that more than this package must know.
const (
	KeyBody   = keyBody // under which the record's body is read
	KeySealed = keySealed
)

// Attributes calls yield for each attribute of the record, those included that stand twice, and for its body as KeyBody, until it
// returns false. Values may be set meanwhile.
func (e *Event) Attributes(yield func(key string, v Value) bool) {
	for k, v := range e.rec.lr.Attributes().All() {
		if !yield(k, valueOf(v)) {
			return
		}
	}
	if body := e.rec.lr.Body(); body.Type() != pcommon.ValueTypeEmpty {
		yield(keyBody, valueOf(body))
	}
}

// RenameAttributes gives attributes other keys: f returns the one that is to stand, "" for none at all. Where that key is there
// already, or two keys become one, a number tells them apart: no value is lost. What was read of the attributes before is stale.
func (e *Event) RenameAttributes(f func(key string) string) { rename(e.rec.lr.Attributes(), f) }

// RenameMembers does the same for a map's members.
func (v Value) RenameMembers(f func(key string) string) {
	if v.kind == KindMap {
		rename(v.of.Map(), f)
	}
}

// SeverityText returns the record's severity, which a Reader shows as context.
func (e *Event) SeverityText() string { return e.rec.lr.SeverityText() }

// SetSeverityText sets it.
func (e *Event) SetSeverityText(s string) { e.rec.lr.SetSeverityText(s) }

// SetName sets the event's name.
func (e *Event) SetName(s string) {
	e.Name = s
	e.rec.lr.SetEventName(s)
}

// RecordName returns the name as the record's own field has it.
func (e *Event) RecordName() string { return e.rec.lr.EventName() }

// Strip removes everything that a producer wrote but the attributes that keep returns true for, times and trace. Name
// and severity are emptied too.
func (e *Event) Strip(keep func(key string) bool) {
	lr := e.rec.lr
	lr.Attributes().RemoveIf(func(k string, _ pcommon.Value) bool { return !keep(k) })
	pcommon.NewValueEmpty().MoveTo(lr.Body())
	lr.SetSeverityText("")
	lr.SetEventName("")
	e.Name = ""
}

// ReplaceFailure marks the event as failed for this reason, whatever it was marked with before.
func (e *Event) ReplaceFailure(f Failure) {
	e.Failed, e.Failure = true, f
	attrs := e.rec.lr.Attributes()
	attrs.RemoveIf(func(k string, _ pcommon.Value) bool { return PartOf(k) == PartFailure })
	writeFailure(attrs, f)
}

// SetFailurePointer changes where the failure is said to lie.
func (e *Event) SetFailurePointer(pointer string) {
	e.Failure.Pointer = pointer
	e.rec.lr.Attributes().PutStr(keyFailurePointer, pointer)
}

// SetSealed puts a sealed text in place of what was stripped: AppendRaw writes it instead of the event.
func (e *Event) SetSealed(text string) { e.rec.lr.Attributes().PutStr(keySealed, text) }

// Sealed returns the sealed text that a failed event's values were replaced by, or "". Beside others it is a property that somebody
// named so, as is what has not the form of a sealed text: then the event is not sealed.
func (e *Event) Sealed() string {
	if !e.Failed || len(e.Properties) != 1 || e.UserID+e.AnonymousID+e.SessionID+e.PreviousSessionID != "" {
		return ""
	}
	if n := len(e.Context); n > 1 || n == 1 && e.Context[0].Key != keySeverityNumber {
		return ""
	}
	if p := &e.Properties[0]; p.Key == keySealed && seal.IsSealed(p.Value.Str()) {
		return p.Value.Str()
	}
	return ""
}

// Reread reads the record again: what was changed in it by other means than the Event's, such as a Value's kind, is seen then.
func (e *Event) Reread() {
	r := Reader{tenant: e.Tenant, source: e.Source, hasSource: true}
	r.ev.Resource = e.Resource
	r.read(e.rec.lr)
	*e = r.ev
}

// SetText makes the value a text.
func (v Value) SetText(s string) { v.of.SetStr(s) }

// SetInt makes the value an integer.
func (v Value) SetInt(i int64) { v.of.SetInt(i) }

// SetDouble makes the value a double.
func (v Value) SetDouble(f float64) { v.of.SetDouble(f) }

// SetBytes makes the value these bytes, which are copied.
func (v Value) SetBytes(b []byte) { v.of.SetEmptyBytes().FromRaw(b) }

// SetNull makes the value empty: a property that reads as absent.
func (v Value) SetNull() { pcommon.NewValueEmpty().MoveTo(v.of) }

// Sources calls yield for each resource of the batch, and for each scope in it, until it returns false.
func (b Batch) Sources(yield func(Source) bool) {
	for _, rl := range b.Logs().ResourceLogs().All() {
		if !yield(Source{resource: rl}) {
			return
		}
		for _, sl := range rl.ScopeLogs().All() {
			if !yield(Source{scope: sl, isScope: true}) {
				return
			}
		}
	}
}

// Source is a resource or a scope, to be changed.
type Source struct {
	resource plog.ResourceLogs
	scope    plog.ScopeLogs
	isScope  bool
}

// Tenant returns the resource's tenant, as events have it; not ok of a scope.
func (s Source) Tenant() (tenant string, ok bool) {
	if s.isScope {
		return "", false
	}
	var r Reader
	r.setResource(s.resource.Resource())
	return r.tenant, true
}

func (s Source) attributes() pcommon.Map {
	if s.isScope {
		return s.scope.Scope().Attributes()
	}
	return s.resource.Resource().Attributes()
}

// Attributes calls yield for each attribute, those included that stand twice, until it returns false.
func (s Source) Attributes(yield func(key string, v Value) bool) {
	for k, v := range s.attributes().All() {
		if !yield(k, valueOf(v)) {
			return
		}
	}
}

// RenameAttributes is Event's.
func (s Source) RenameAttributes(f func(key string) string) { rename(s.attributes(), f) }

// ChangeTexts puts f of each text beside the attributes in its place: URLs of schemas, a scope's name and version.
func (s Source) ChangeTexts(f func(string) string) {
	change := func(text string, set func(string)) {
		if to := f(text); to != text {
			set(to)
		}
	}
	if s.isScope {
		change(s.scope.SchemaUrl(), s.scope.SetSchemaUrl)
		change(s.scope.Scope().Name(), s.scope.Scope().SetName)
		change(s.scope.Scope().Version(), s.scope.Scope().SetVersion)
		return
	}
	change(s.resource.SchemaUrl(), s.resource.SetSchemaUrl)
}

// RemoveReferences removes what refers to attributes of a resource by their keys: it is no event's business, and is texts of the
// sender's.
func (s Source) RemoveReferences() {
	if s.isScope {
		return
	}
	if refs := entity.ResourceEntityRefs(s.resource.Resource()); refs.Len() > 0 {
		refs.RemoveIf(func(entity.EntityRef) bool { return true })
	}
}
