// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/millrace/millrace/internal/event"
)

// field is a member of a message that the receiver knows.
type field int

const (
	fieldType field = iota
	fieldEvent
	fieldName
	fieldCategory
	fieldMessageID
	fieldUserID
	fieldAnonymousID
	fieldTimestamp
	fieldOriginalTimestamp
	fieldSentAt
	fieldProperties
	fieldTraits
	fieldContext
	fieldIntegrations
	fieldWriteKey
	numFields
)

var fieldNames = [numFields]string{
	"type", "event", "name", "category", "messageId", "userId", "anonymousId", "timestamp", "originalTimestamp",
	"sentAt", "properties", "traits", "context", "integrations", "writeKey",
}

func fieldOf(name []byte) (field, bool) {
	switch string(name) {
	case "type":
		return fieldType, true
	case "event":
		return fieldEvent, true
	case "name":
		return fieldName, true
	case "category":
		return fieldCategory, true
	case "messageId":
		return fieldMessageID, true
	case "userId":
		return fieldUserID, true
	case "anonymousId":
		return fieldAnonymousID, true
	case "timestamp":
		return fieldTimestamp, true
	case "originalTimestamp":
		return fieldOriginalTimestamp, true
	case "sentAt":
		return fieldSentAt, true
	case "properties":
		return fieldProperties, true
	case "traits":
		return fieldTraits, true
	case "context":
		return fieldContext, true
	case "integrations":
		return fieldIntegrations, true
	case "writeKey":
		return fieldWriteKey, true
	}
	return 0, false
}

func (r *request) has(f field) bool { return r.msg.fields[f].end != 0 }

func (r *request) value(f field) []byte {
	if !r.has(f) {
		return nil
	}
	return r.msg.fields[f].of(r.body)
}

func (r *request) valueOr(f field, shared []byte) []byte {
	if v := r.value(f); v != nil {
		return v
	}
	return shared
}

var errNotString = errors.New("not a string")

// stringField reads a string member; "" where it is absent.
func (r *request) stringField(f field) (string, error) {
	v := r.value(f)
	if v == nil {
		return "", nil
	}
	if v[0] != '"' {
		if err := r.check(v); err != nil {
			return "", err
		}
		return "", errNotString
	}
	return r.text(v)
}

// idText reads an ID, which some senders write as a number; its digits stay as they are.
func (r *request) idText(f field) (string, error) {
	v := r.value(f)
	if v != nil && (v[0] == '-' || (v[0] >= '0' && v[0] <= '9')) {
		return string(v), nil
	}
	return r.stringField(f)
}

// check reads past a value that is not used, to be told if it is not JSON.
func (r *request) check(v []byte) error {
	r.dec.ResetBytes(v)
	return r.dec.Skip()
}

func (r *request) checkField(f field) error {
	if v := r.value(f); v != nil {
		return r.check(v)
	}
	return nil
}

// fieldError says what is wrong with a member: reason, where it is JSON but not of the right type.
func fieldError(err error, reason, pointer string) error {
	if errors.Is(err, errNotString) {
		return &badMessageError{reason, pointer}
	}
	return jsonError(err, pointer)
}

// jsonError names the reason for which a value could not be read.
func jsonError(err error, pointer string) error {
	reason := reasonMalformed
	switch {
	case errors.Is(err, event.ErrTooDeep):
		reason = reasonTooDeep
	case errors.Is(err, event.ErrTooManyMembers):
		reason = reasonTooManyMembers
	case errors.Is(err, event.ErrTooManyValues):
		reason = reasonTooManyValues
	case errors.Is(err, event.ErrNotUTF8):
		reason = reasonNotUTF8
	case errors.Is(err, strconv.ErrRange):
		reason = reasonNumberRange
	}
	return &badMessageError{reason, pointer}
}

// validLiteral says whether a value that is no object, array or string is one of JSON's.
func validLiteral(v []byte) bool {
	switch v[0] {
	case '{', '[', '"':
		return true
	}
	switch string(v) {
	case "null", "true", "false":
		return true
	}
	return (v[0] == '-' || (v[0] >= '0' && v[0] <= '9')) && json.Valid(v)
}

func hasControl(b []byte) bool {
	for _, c := range b {
		if c < 0x20 {
			return true
		}
	}
	return false
}

func isEmptyObject(v []byte) bool {
	return v == nil || (v[0] == '{' && skipSpace(v, 1) == len(v)-1)
}
