// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-faster/jx"
	"github.com/google/uuid"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/httpingest"
)

// The calls of Segment's specification, by the "type" of a message.
const (
	typeIdentify = "identify"
	typeTrack    = "track"
	typePage     = "page"
	typeScreen   = "screen"
	typeGroup    = "group"
	typeAlias    = "alias"
)

// mapping is how messages become events. It is immutable.
type mapping struct {
	processor          string // this component's ID, stamped on failures
	generateMissingIDs bool
	correctClockSkew   bool
	maxBatchEvents     int
	newID              func() string // a random ID
}

func newUUID() string { return uuid.NewString() }

// request is the body of one request while it is read. It is one goroutine's at a time and reused.
type request struct {
	*mapping
	body     []byte
	single   string    // the type that the path names; "" for a batch
	received time.Time // by our clock
	hasBatch bool
	messages []span
	writeKey []byte // as in the body; nil where it has none
	shared   shared
	failed   []string // the reason of each message that could not be read

	msg     message // the one being read
	dec     *jx.Decoder
	scratch []byte
}

// shared are members of a batch that stand for all its messages.
type shared struct{ sentAt, context, integrations []byte }

var requests = sync.Pool{New: func() any { return &request{dec: jx.DecodeBytes(nil)} }}

// newRequest takes a request from the pool.
func newRequest(m *mapping, body []byte, single string, received time.Time) *request {
	r := requests.Get().(*request)
	r.mapping, r.body, r.single, r.received = m, body, single, received
	return r
}

// release gives the request back, holding on to none of the body.
func (r *request) release() {
	r.dec.ResetBytes(nil)
	clear(r.msg.extras)
	*r = request{
		messages: r.messages[:0], failed: r.failed[:0], msg: message{extras: r.msg.extras[:0]},
		dec: r.dec, scratch: r.scratch[:0],
	}
	if cap(r.messages) <= defaultMaxBatchEvents && cap(r.scratch) <= 1<<20 {
		requests.Put(r)
	}
}

var errTooManyEvents = errors.New("too many events")

// scan finds the messages, the write key and what is shared. Its error is a *httpingest.AnswerError.
func (r *request) scan() error {
	end, err := scanObject(r.body, 0, r.scanMember)
	if err == nil {
		err = atEnd(r.body, end)
	}
	switch {
	case err == nil:
	case errors.Is(err, errTooManyEvents):
		return &httpingest.AnswerError{
			Status: http.StatusRequestEntityTooLarge, Code: "too_many_events",
			Message: fmt.Sprintf("the batch has more than %d messages; send smaller batches", r.maxBatchEvents),
		}
	default:
		return notJSON(err)
	}
	if r.single != "" {
		r.messages = append(r.messages, span{skipSpace(r.body, 0), end})
	} else if !r.hasBatch {
		return &httpingest.AnswerError{
			Status: http.StatusBadRequest, Code: "missing_batch",
			Message: `the body has no member "batch" that is an array of messages`,
		}
	}
	return nil
}

func (r *request) scanMember(key span, start int) (int, error) {
	name := string(key.of(r.body))
	if r.single == "" && name == `"batch"` && start < len(r.body) && r.body[start] == '[' {
		r.hasBatch = true
		return scanArray(r.body, start, func(m span) error {
			if len(r.messages) >= r.maxBatchEvents {
				return errTooManyEvents
			}
			r.messages = append(r.messages, m)
			return nil
		})
	}
	end, err := scanValue(r.body, start)
	if err != nil {
		return 0, err
	}
	v := r.body[start:end]
	if name == `"writeKey"` && r.writeKey == nil && v[0] == '"' {
		if s, err := r.text(v); err == nil {
			r.writeKey = []byte(s)
		}
	}
	if r.single == "" { // else the members are read with the message
		err = r.share(name, v, start)
	}
	return end, err
}

// share takes note of a member that stands beside the messages of a batch.
func (r *request) share(name string, v []byte, start int) error {
	if !validLiteral(v) {
		return &syntaxError{start, "unexpected text where a value should be"}
	}
	if err := r.check(v); err != nil {
		return &syntaxError{start, "malformed value"}
	}
	switch name {
	case `"sentAt"`:
		r.shared.sentAt = present(v)
	case `"context"`:
		r.shared.context = present(v)
	case `"integrations"`:
		r.shared.integrations = present(v)
	}
	return nil
}

// present returns nil for null.
func present(v []byte) []byte {
	if string(v) == "null" {
		return nil
	}
	return v
}

func notJSON(err error) error {
	return &httpingest.AnswerError{
		Status: http.StatusBadRequest, Code: "invalid_json", Message: "the body is not JSON: " + err.Error(),
	}
}

// read adds one event to b for each message, in order. One that cannot be read is a failed event, and its reason
// stands in r.failed. The error, a *httpingest.AnswerError, is only for a single message that is not JSON.
func (r *request) read(b *event.Builder) error {
	for _, m := range r.messages {
		d := b.Add()
		err := r.readMessage(d, m)
		if err == nil {
			continue
		}
		var bad *badMessageError
		if !errors.As(err, &bad) {
			bad = &badMessageError{reason: reasonMalformed}
		}
		if r.single != "" && bad.reason == reasonMalformed {
			return notJSON(r.whereNotJSON())
		}
		r.fail(d, m, bad)
		r.failed = append(r.failed, bad.reason)
	}
	return nil
}

// whereNotJSON finds the place of an error that the scanner, which looks at brackets and strings, let pass.
func (r *request) whereNotJSON() error {
	var raw json.RawMessage
	var syntax *json.SyntaxError
	if err := json.Unmarshal(r.body, &raw); errors.As(err, &syntax) {
		return fmt.Errorf("%w at byte %d", syntax, syntax.Offset-1)
	}
	return errors.New("a number or string is malformed")
}

// fail writes the event anew: what it was received as, why it failed, and as much of its envelope as identifies
// it.
func (r *request) fail(d event.Draft, m span, bad *badMessageError) {
	d.Reset()
	d.SetName(r.failedName())
	id, err := r.idText(fieldMessageID)
	if err != nil {
		id = ""
	}
	r.setID(d, id)
	now, _ := timestamp(r.received)
	d.SetTime(now)
	d.SetReceived(now)
	d.Fail(event.Failure{
		Stage: event.StageReceive, Reason: bad.reason, Pointer: bad.pointer, Processor: r.processor,
	})
	d.SetBody(r.raw(m))
}

func (r *request) setID(d event.Draft, id string) {
	if id == "" && r.generateMissingIDs {
		id = r.newID()
	}
	d.SetID(id)
}

// failedName is the name that the message would have had, as far as can be told: an event needs one.
func (r *request) failedName() string {
	typ := r.single
	if typ == "" {
		typ, _ = r.stringField(fieldType)
	}
	if typ == typeTrack {
		if name, err := r.stringField(fieldEvent); err == nil && name != "" {
			return name
		}
	}
	if isType(typ) {
		return typ
	}
	return "unknown"
}

// raw returns the message as received, as valid UTF-8, with the write key blacked out: failed events are read
// by more people than may send.
func (r *request) raw(m span) string {
	raw := m.of(r.body)
	if key := r.msg.fields[fieldWriteKey]; key.end != 0 {
		r.scratch = append(r.scratch[:0], r.body[m.start:key.start]...)
		r.scratch = append(r.scratch, redacted...)
		r.scratch = append(r.scratch, r.body[key.end:m.end]...)
		raw = r.scratch
	} else if len(r.writeKey) > 0 { // its place may be behind the one where reading stopped
		raw = bytes.ReplaceAll(raw, event.AppendJSONString(nil, string(r.writeKey)), []byte(redacted))
	}
	return string(bytes.ToValidUTF8(raw, []byte("\uFFFD")))
}

const redacted = `"[redacted]"`

// text reads a JSON string.
func (r *request) text(v []byte) (string, error) {
	r.dec.ResetBytes(v)
	s, err := r.dec.StrBytes()
	if err != nil {
		return "", err
	}
	if !utf8.Valid(s) {
		return "", event.ErrNotUTF8
	}
	return string(s), nil
}
