// SPDX-License-Identifier: Apache-2.0

package event

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-faster/jx"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/seal"
)

// rawParts is a text of AppendRaw, taken apart.
type rawParts struct {
	name, id, user, anonymous, session, previous string
	schema, version, trace, span                 string
	time, received                               pcommon.Timestamp
	resource                                     string
	properties, context                          []byte // views into the text; nil where there are none
}

// AddRaw appends the event that AppendRaw wrote, without the mark of its failure. An error wraps ErrNotRestorable and adds
// no event: the text of an event that failed at StageReceive is as its sender wrote it, and often no JSON at all.
//
// A sealed text is opened by Unseal; an error of it wraps ErrSealed too.
func (r *Restorer) AddRaw(text []byte) (Restored, error) {
	p := &r.parts
	if bytes.HasPrefix(text, []byte(seal.Prefix)) {
		opened, err := r.unseal(text)
		if err != nil {
			return Restored{}, notRestorable("the event", err)
		}
		text = opened
	}
	if err := p.read(r.dec, text); err != nil {
		return Restored{}, notRestorable("the event", err)
	}
	d, err := r.Add(Origin{Resource: p.resource})
	if err != nil {
		return d, err
	}
	d.SetName(p.name)
	d.SetTime(p.time)
	d.SetReceived(p.received)
	d.SetID(p.id)
	d.SetUserID(p.user)
	d.SetAnonymousID(p.anonymous)
	d.SetSessionID(p.session)
	d.SetPreviousSessionID(p.previous)
	d.SetSchema(p.schema, p.version)
	r.left = maxRestoredValues
	err = errors.Join(d.SetTraceID(p.trace), d.SetSpanID(p.span), d.putRaw(p.properties), d.putRaw(p.context))
	if err != nil {
		d.Discard()
		return Restored{}, notRestorable("the event", err)
	}
	d.Done()
	return d, nil
}

// ErrSealed is wrapped by errors that say that a text is sealed and could not be opened.
var ErrSealed = errors.New("is sealed")

func (r *Restorer) unseal(text []byte) ([]byte, error) {
	if r.Unseal == nil {
		return nil, fmt.Errorf("the text %w, and there is no repair key", ErrSealed)
	}
	opened, err := r.Unseal(string(text))
	if err != nil {
		return nil, fmt.Errorf("the text %w: %w", ErrSealed, err)
	}
	return opened, nil
}

// putRaw reads properties or context. They may nest as deep as AppendRaw follows them.
func (d Restored) putRaw(object []byte) error {
	if object == nil {
		return nil
	}
	d.r.dec.ResetBytes(object)
	return d.r.dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
		return d.putMember(dec, string(key), MaxDepth-rawDepth+1)
	})
}

var errUnknownMember = errors.New("it has a member that no event has")

func (p *rawParts) read(dec *jx.Decoder, text []byte) error {
	*p = rawParts{}
	if !utf8.Valid(text) {
		return ErrNotUTF8
	}
	dec.ResetBytes(text)
	err := dec.ObjBytes(func(dec *jx.Decoder, key []byte) (err error) {
		switch string(key) {
		case "event_name":
			p.name, err = dec.Str()
		case "event_id":
			p.id, err = dec.Str()
		case "event_time":
			p.time, err = readRawTime(dec)
		case "received_time":
			p.received, err = readRawTime(dec)
		case "user_id":
			p.user, err = dec.Str()
		case "anonymous_id":
			p.anonymous, err = dec.Str()
		case "session_id":
			p.session, err = dec.Str()
		case "previous_session_id":
			p.previous, err = dec.Str()
		case "schema_name":
			p.schema, err = dec.Str()
		case "schema_version":
			p.version, err = dec.Str()
		case "trace_id":
			p.trace, err = dec.Str()
		case "span_id":
			p.span, err = dec.Str()
		case "resource":
			var raw []byte
			raw, err = readRawObject(dec)
			p.resource = string(raw)
		case "properties":
			p.properties, err = readRawObject(dec)
		case "context":
			p.context, err = readRawObject(dec)
		default:
			err = errUnknownMember // its key may be a value of somebody's: it is not told
		}
		return err
	})
	if err != nil {
		return err
	}
	if dec.Next() != jx.Invalid {
		return errors.New("text follows it")
	}
	return nil
}

func readRawObject(dec *jx.Decoder) ([]byte, error) {
	if dec.Next() != jx.Object {
		return nil, errors.New("an object is due")
	}
	return dec.Raw()
}

func readRawTime(dec *jx.Decoder) (pcommon.Timestamp, error) {
	s, err := dec.Str()
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return pcommon.Timestamp(n), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 1970 || t.Year() > 2262 {
		return 0, errors.New("a time is not RFC 3339")
	}
	return pcommon.Timestamp(t.UnixNano()), nil
}

// readMember reads the value of a member into m. Of a key that stands twice the first wins.
func (r *Restorer) readMember(dec *jx.Decoder, m pcommon.Map, key string, depth int) error {
	if m.Len() >= maxRestoredMembers {
		return fmt.Errorf("an object has more than %d members", maxRestoredMembers)
	}
	v, exists := m.GetOrPutEmpty(key)
	if exists {
		return dec.Skip()
	}
	return r.readValue(dec, v, depth)
}

// readValue reads a value, and takes it and those below it from r.left. It is readJSON with the Restorer's bounds, over
// texts that are known to be valid UTF-8 or are made so.
func (r *Restorer) readValue(dec *jx.Decoder, dst pcommon.Value, depth int) error {
	if depth > MaxDepth {
		return ErrTooDeep
	}
	if r.left--; r.left < 0 {
		return fmt.Errorf("there are more than %d values", maxRestoredValues)
	}
	switch dec.Next() {
	case jx.Array:
		s := dst.SetEmptySlice()
		return dec.Arr(func(dec *jx.Decoder) error { return r.readValue(dec, s.AppendEmpty(), depth+1) })
	case jx.Object:
		m := dst.SetEmptyMap()
		return dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
			return r.readMember(dec, m, string(key), depth+1)
		})
	case jx.Number:
		n, err := dec.Num()
		if err != nil {
			return err
		}
		if string(n) == "-0" { // how the double is written, of which no integer has the sign
			dst.SetDouble(math.Copysign(0, -1))
			return nil
		}
		if readNumber(n, dst) != nil { // its error quotes the number
			return errors.New("a number is out of range")
		}
		return nil
	default:
		one := 1
		return readJSON(dec, dst, 0, &one)
	}
}
