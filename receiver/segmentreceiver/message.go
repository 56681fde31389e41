// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"bytes"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
)

// Reasons for which a message becomes a failed event.
const (
	reasonMalformed          = "malformed_json"
	reasonNotObject          = "not_an_object"
	reasonMissingType        = "missing_type"
	reasonUnknownType        = "unknown_type"
	reasonMissingEventName   = "missing_event_name"
	reasonInvalidEventName   = "invalid_event_name"
	reasonInvalidMessageID   = "invalid_message_id"
	reasonInvalidUserID      = "invalid_user_id"
	reasonInvalidAnonymousID = "invalid_anonymous_id"
	reasonInvalidTimestamp   = "invalid_timestamp"
	reasonTimestampRange     = "timestamp_out_of_range"
	reasonInvalidProperties  = "invalid_properties"
	reasonTooDeep            = "nesting_too_deep"
	reasonTooManyMembers     = "too_many_members"
	reasonTooManyValues      = "too_many_values"
	reasonNotUTF8            = "invalid_utf8"
	reasonNumberRange        = "number_out_of_range"
)

// badMessageError is the error of a message that cannot be read as an event.
type badMessageError struct{ reason, pointer string }

func (e *badMessageError) Error() string { return e.reason + " " + e.pointer }

// maxExtras bounds the members of a message that Segment's specification does not know.
const maxExtras = 64

// message is where the members of one message lie in the body. The first of a name wins.
type message struct {
	fields [numFields]span // zero where absent or null
	extras []extra
}

type extra struct {
	name  string
	value span
}

func isType(s string) bool {
	switch s {
	case typeIdentify, typeTrack, typePage, typeScreen, typeGroup, typeAlias:
		return true
	}
	return false
}

// readMessage writes the message at m into d. Its error is a *badMessageError or one of jx's.
func (r *request) readMessage(d event.Draft, m span) error {
	r.msg = message{extras: r.msg.extras[:0]}
	if r.body[m.start] != '{' {
		if !validLiteral(m.of(r.body)) {
			return &badMessageError{reason: reasonMalformed}
		}
		return &badMessageError{reason: reasonNotObject}
	}
	if _, err := scanObject(r.body, m.start, r.takeMember); err != nil {
		return err
	}
	typ, err := r.messageType()
	if err != nil {
		return err
	}
	name := typ
	if typ == typeTrack {
		if name, err = r.eventName(); err != nil {
			return err
		}
	}
	d.SetName(name)
	if err := r.readEnvelope(d); err != nil {
		return err
	}
	d.Put("segment.type", typ)
	if err := r.readProperties(d, typ); err != nil {
		return err
	}
	return r.readContext(d, typ)
}

// takeMember notes where a member lies. What is neither an object, an array nor a string is checked here, since
// the scanner does not.
func (r *request) takeMember(key span, start int) (int, error) {
	end, err := scanValue(r.body, start)
	if err != nil {
		return 0, err
	}
	return end, r.takeValue(key, span{start, end})
}

func (r *request) takeValue(key, value span) error {
	v := value.of(r.body)
	if !validLiteral(v) {
		return &badMessageError{reason: reasonMalformed}
	}
	quoted := key.of(r.body)
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 || hasControl(name) {
		s, err := r.text(quoted)
		if err != nil {
			return jsonError(err, "")
		}
		name = []byte(s)
	}
	if string(v) == "null" {
		return nil
	}
	if f, known := fieldOf(name); known {
		if r.msg.fields[f].end != 0 {
			return r.check(v) // not used, but it must be JSON
		}
		r.msg.fields[f] = value
		return nil
	}
	for _, x := range r.msg.extras {
		if x.name == string(name) {
			return r.check(v)
		}
	}
	if len(r.msg.extras) >= maxExtras {
		return &badMessageError{reason: reasonTooManyMembers}
	}
	if !utf8.Valid(name) {
		return &badMessageError{reason: reasonNotUTF8}
	}
	r.msg.extras = append(r.msg.extras, extra{string(name), value})
	return nil
}

func (r *request) messageType() (string, error) {
	if r.single != "" {
		return r.single, r.checkField(fieldType) // the path says
	}
	if !r.has(fieldType) {
		return "", &badMessageError{reasonMissingType, "/type"}
	}
	typ, err := r.stringField(fieldType)
	if err != nil {
		return "", fieldError(err, reasonUnknownType, "/type")
	}
	if !isType(typ) {
		return "", &badMessageError{reasonUnknownType, "/type"}
	}
	return typ, nil
}

func (r *request) eventName() (string, error) {
	if !r.has(fieldEvent) {
		return "", &badMessageError{reasonMissingEventName, "/event"}
	}
	name, err := r.stringField(fieldEvent)
	if err != nil {
		return "", fieldError(err, reasonInvalidEventName, "/event")
	}
	if name == "" {
		return "", &badMessageError{reasonMissingEventName, "/event"}
	}
	return name, nil
}

func (r *request) readEnvelope(d event.Draft) error {
	id, err := r.idText(fieldMessageID)
	if err != nil {
		return fieldError(err, reasonInvalidMessageID, "/messageId")
	}
	r.setID(d, id)
	user, err := r.idText(fieldUserID)
	if err != nil {
		return fieldError(err, reasonInvalidUserID, "/userId")
	}
	d.SetUserID(user)
	anonymous, err := r.idText(fieldAnonymousID)
	if err != nil {
		return fieldError(err, reasonInvalidAnonymousID, "/anonymousId")
	}
	d.SetAnonymousID(anonymous)
	if err := r.checkField(fieldWriteKey); err != nil {
		return err
	}

	now, _ := timestamp(r.received)
	d.SetReceived(now)
	at, err := r.eventTime(now)
	if err != nil {
		return err
	}
	d.SetTime(at)
	return nil
}

// eventTime reads when it happened; now where the message does not say.
func (r *request) eventTime(now pcommon.Timestamp) (pcommon.Timestamp, error) {
	f, pointer := fieldTimestamp, "/timestamp"
	text, err := r.stringField(f)
	if err == nil && text == "" {
		f, pointer = fieldOriginalTimestamp, "/originalTimestamp"
		text, err = r.stringField(f)
	}
	if err != nil {
		return 0, fieldError(err, reasonInvalidTimestamp, pointer)
	}
	if text == "" {
		return now, nil
	}
	t, ok := parseTime(text)
	if !ok {
		return 0, &badMessageError{reasonInvalidTimestamp, pointer}
	}
	at, ok := timestamp(t)
	if !ok {
		return 0, &badMessageError{reasonTimestampRange, pointer}
	}
	if !r.correctClockSkew {
		return at, nil
	}
	sent, ok := r.sentAt()
	if !ok {
		return at, nil
	}
	if at, ok = timestamp(r.received.Add(t.Sub(sent))); !ok {
		return 0, &badMessageError{reasonTimestampRange, pointer}
	}
	return at, nil
}

// sentAt reads when the sender's clock says it was sent, if that can be calculated with.
func (r *request) sentAt() (time.Time, bool) {
	v := r.valueOr(fieldSentAt, r.shared.sentAt)
	if v == nil {
		return time.Time{}, false
	}
	s, err := r.text(v)
	if err != nil {
		return time.Time{}, false
	}
	t, ok := parseTime(s)
	if ok {
		_, ok = timestamp(t)
	}
	return t, ok
}

// readProperties reads what the sender says of the event or, in identify and group, of the user or group.
func (r *request) readProperties(d event.Draft, typ string) error {
	if f, ok := propertiesOf(typ); ok && r.has(f) {
		v := r.value(f)
		pointer := "/" + fieldNames[f]
		if v[0] != '{' {
			if err := r.check(v); err != nil {
				return err
			}
			return &badMessageError{reasonInvalidProperties, pointer}
		}
		r.dec.ResetBytes(v)
		if err := d.PutJSONProperties(r.dec); err != nil {
			return jsonError(err, pointer)
		}
	}
	if typ != typePage && typ != typeScreen {
		return nil
	}
	// The name and category of a page are properties too, unless the properties have their own: as there, the
	// first wins.
	for _, f := range [...]field{fieldName, fieldCategory} {
		if !r.has(f) {
			continue
		}
		r.scratch = append(r.scratch[:0], `{"`...)
		r.scratch = append(r.scratch, fieldNames[f]...)
		r.scratch = append(r.scratch, `":`...)
		r.scratch = append(append(r.scratch, r.value(f)...), '}')
		r.dec.ResetBytes(r.scratch)
		if err := d.PutJSONProperties(r.dec); err != nil {
			return jsonError(err, "/"+fieldNames[f])
		}
	}
	return nil
}

// propertiesOf returns the member that holds the properties.
func propertiesOf(typ string) (field, bool) {
	switch typ {
	case typeTrack, typePage, typeScreen:
		return fieldProperties, true
	case typeIdentify, typeGroup:
		return fieldTraits, true
	}
	return 0, false
}

// readContext keeps all else under "segment.": what is about the message, not about the event.
func (r *request) readContext(d event.Draft, typ string) error {
	if err := r.put(d, "context", r.mergedContext()); err != nil {
		return err
	}
	if v := r.valueOr(fieldIntegrations, r.shared.integrations); !isEmptyObject(v) {
		if err := r.put(d, "integrations", v); err != nil {
			return err
		}
	}
	if err := r.put(d, "sentAt", r.valueOr(fieldSentAt, r.shared.sentAt)); err != nil {
		return err
	}
	original := r.value(fieldOriginalTimestamp)
	if original == nil && r.correctClockSkew {
		original = r.value(fieldTimestamp)
	}
	if err := r.put(d, "originalTimestamp", original); err != nil {
		return err
	}
	for f := range numFields {
		if isContext(f, typ) {
			if err := r.put(d, fieldNames[f], r.value(f)); err != nil {
				return err
			}
		}
	}
	for _, x := range r.msg.extras {
		if err := r.put(d, x.name, x.value.of(r.body)); err != nil {
			return err
		}
	}
	return nil
}

// isContext says whether a known member is no part of that type of event, so that it is kept as an unknown one is.
func isContext(f field, typ string) bool {
	switch f {
	case fieldEvent:
		return typ != typeTrack
	case fieldName, fieldCategory:
		return typ != typePage && typ != typeScreen
	case fieldProperties, fieldTraits:
		properties, has := propertiesOf(typ)
		return !has || properties != f
	}
	return false
}

// mergedContext returns the message's context and, for what it does not have, the batch's.
func (r *request) mergedContext() []byte {
	own, batch := r.value(fieldContext), r.shared.context
	switch {
	case own == nil || isEmptyObject(own):
		return batch
	case own[0] != '{' || batch == nil || batch[0] != '{' || isEmptyObject(batch):
		return own
	}
	// Of a name that stands twice the first wins, so one object after the other is the merged one.
	r.scratch = append(r.scratch[:0], own[:len(own)-1]...)
	r.scratch = append(r.scratch, ',')
	r.scratch = append(r.scratch, batch[1:]...)
	return r.scratch
}

func (r *request) put(d event.Draft, name string, v []byte) error {
	if v == nil {
		return nil
	}
	r.dec.ResetBytes(v)
	if err := d.PutJSON("segment."+name, r.dec); err != nil {
		return jsonError(err, "/"+event.EscapePointer(name))
	}
	return nil
}
