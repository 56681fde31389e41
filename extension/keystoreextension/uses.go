// SPDX-License-Identifier: Apache-2.0

package keystoreextension

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/disclosure"
	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/subjectkey"
)

type detokenizeRequest struct {
	Tenant  string   `json:"tenant"`
	Purpose string   `json:"purpose"`
	Values  []string `json:"values"`
}

// readValue is the answer of one value: Value, or the error in place of it.
type readValue struct {
	Value *string `json:"value,omitempty"`
	Error string  `json:"error,omitempty"`
}

// detokenize reads values back. A value is a token, or a text with tokens in it.
func (a *admin) detokenize(_ context.Context, r *http.Request, u *use) (any, error) {
	var q detokenizeRequest
	if err := read(r, &q); err != nil {
		return nil, err
	}
	if err := u.say(q.Purpose, q.Tenant); err != nil {
		return nil, err
	}
	if len(q.Values) == 0 || len(q.Values) > maxValues {
		return nil, invalid("values: has %d and must have 1 to %d", len(q.Values), maxValues)
	}
	reader := masking.Reader{Ring: a.store.ring}
	if a.store.subjects != nil {
		reader.Find = a.store.subjects.Find
	}
	reading := disclosure.Read(reader, q.Values, q.Tenant, u.record("", ""))
	// Nothing is answered that is not recorded.
	if err := a.store.record(reading.Records...); err != nil {
		return nil, a.unrecorded(u, err)
	}
	if reading.Err != nil {
		a.store.logger.Error("Reading values back", zap.Error(reading.Err))
	}
	a.store.telemetry.KeyStoreDetokenized.Add(context.Background(), reading.Read)
	for reason, n := range reading.Refused {
		a.refused(u.operation, reason, n)
	}
	answers := make([]readValue, len(q.Values))
	for i := range reading.Values {
		if v := &reading.Values[i]; v.Reason != "" {
			answers[i].Error = v.Reason
		} else {
			answers[i].Value = &v.Text
		}
	}
	return map[string]any{"values": answers}, nil
}

type eraseRequest struct {
	Tenant  string `json:"tenant"`
	Subject string `json:"subject"`
	Purpose string `json:"purpose"`
}

// erasure is what is told of one.
type erasure struct {
	Handle  string    `json:"handle"`
	At      time.Time `json:"at"`
	HadKey  bool      `json:"had_key"`
	Already bool      `json:"already,omitempty"`
	// Pending says that the key cannot be used any more, and that its bytes are still to be removed from the disk.
	Pending bool `json:"pending,omitempty"`
}

const maxSubject = 4 << 10

var errSubjectsOff = &refusal{http.StatusNotFound, "invalid", "this key_store has no keys of persons: see subjects::enabled"}

// erase has a person forgotten. It is recorded before it is done and after.
func (a *admin) erase(ctx context.Context, r *http.Request, u *use) (any, error) {
	var q eraseRequest
	if err := read(r, &q); err != nil {
		return nil, err
	}
	if err := u.say(q.Purpose, q.Tenant); err != nil {
		return nil, err
	}
	if a.store.subjects == nil {
		return nil, errSubjectsOff
	}
	if q.Subject == "" || len(q.Subject) > maxSubject {
		return nil, invalid("subject: must have 1 to %d bytes: the user ID, or the anonymous ID, as events have it, or an er_ value", maxSubject)
	}
	// An ID that was masked itself stands in the tables as a pseudonym, and the key is that of the ID. What names it is an er_ value.
	handle, ok := masking.HandleOf(q.Subject)
	if !ok {
		handle = a.store.subjects.Handle(subjectkey.Subject{Tenant: q.Tenant, ID: q.Subject})
	}
	u.subject = handle.String()
	if err := a.store.record(u.record(audit.Erased, "begun")); err != nil {
		return nil, a.unrecorded(u, err)
	}
	e, err := a.store.subjects.EraseHandle(ctx, handle)
	if err != nil && e.At.IsZero() {
		return nil, err
	}
	outcome := "done"
	switch {
	case err != nil:
		outcome = "pending"
		a.store.report(ofPurge, err)
	case e.Already:
		outcome = "already"
	}
	if err := a.store.record(u.record(audit.Erased, outcome)); err != nil {
		return nil, a.unrecorded(u, err)
	}
	return erasure{Handle: e.Handle.String(), At: e.At, HadKey: e.HadKey, Already: e.Already, Pending: err != nil}, nil
}

const (
	defaultErasures = 100
	maxErasures     = 10_000
)

// erasures lists who was erased, by handle.
func (a *admin) erasures(_ context.Context, r *http.Request, _ *use) (any, error) {
	if a.store.subjects == nil {
		return nil, errSubjectsOff
	}
	var after subjectkey.Handle
	limit := defaultErasures
	q := r.URL.Query()
	if text := q.Get("after"); text != "" {
		var err error
		if after, err = subjectkey.ParseHandle(text); err != nil {
			return nil, invalid("after: %v", err)
		}
	}
	if text := q.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxErasures {
			return nil, invalid("limit: must be from 1 to %d", maxErasures)
		}
	}
	list, err := a.store.subjects.Erasures(after, limit)
	if err != nil {
		return nil, err
	}
	answer := struct {
		Erasures []erasure `json:"erasures"`
		Next     string    `json:"next,omitempty"`
	}{Erasures: []erasure{}}
	for _, e := range list {
		answer.Erasures = append(answer.Erasures, erasure{Handle: e.Handle.String(), At: e.At, HadKey: e.HadKey})
	}
	if len(list) == limit {
		answer.Next = list[len(list)-1].Handle.String()
	}
	return answer, nil
}

type pseudonymRequest struct {
	Class   string `json:"class"`
	Value   string `json:"value"`
	Tenant  string `json:"tenant"`
	Purpose string `json:"purpose"`
}

const maxClass = 64

// pseudonym makes the pseudonyms that a value has under all keys, so that a person is found in the tables.
func (a *admin) pseudonym(_ context.Context, r *http.Request, u *use) (any, error) {
	var q pseudonymRequest
	if err := read(r, &q); err != nil {
		return nil, err
	}
	if err := u.say(q.Purpose, q.Tenant); err != nil {
		return nil, err
	}
	if !clean(q.Class, maxClass) || q.Class == "" {
		return nil, invalid("class: must be a class of personal data, such as email")
	}
	if q.Value == "" {
		return nil, invalid("value: is empty")
	}
	list, err := disclosure.Pseudonyms(a.store.ring, q.Class, q.Value, q.Tenant)
	if errors.Is(err, disclosure.ErrNoPseudonym) {
		return nil, invalid("value: has no pseudonym as a %s", q.Class)
	}
	if err != nil {
		return nil, err
	}
	record := u.record(audit.LookedUp, "ok")
	record.Class, record.Masking, record.Count = q.Class, string(masking.Pseudonym), 1
	if err := a.store.record(record); err != nil {
		return nil, a.unrecorded(u, err)
	}
	return map[string]any{"pseudonyms": list}, nil
}

// keyState is what is told of a key.
type keyState struct {
	ID         string `json:"id"`
	Current    bool   `json:"current"`
	CheckValue string `json:"check_value"`
	Withdrawn  bool   `json:"withdrawn,omitempty"`
	// SubjectKeys is how many keys of persons are wrapped by it, and one for that of handles. Where it is 0 they do not need it.
	SubjectKeys int `json:"subject_keys"`
}

// keys lists the keys of the ring, and what persons' keys need that is not in it.
func (a *admin) keys(ctx context.Context, _ *http.Request, _ *use) (any, error) {
	wrapped := map[string]int{}
	if a.store.subjects != nil {
		var err error
		if wrapped, err = a.store.subjects.WrappedBy(ctx); err != nil {
			return nil, err
		}
	}
	current := ""
	if k, err := a.store.ring.Current(); err == nil {
		current = k.ID()
	}
	checks := a.store.ring.CheckValues()
	list := []keyState{}
	for _, id := range a.store.ring.IDs() {
		_, err := a.store.ring.Find(id)
		list = append(list, keyState{ID: id, Current: id == current, CheckValue: checks[id], Withdrawn: err != nil, SubjectKeys: wrapped[id]})
		delete(wrapped, id)
	}
	return map[string]any{"keys": list, "missing": wrapped}, nil
}
