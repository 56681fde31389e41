// SPDX-License-Identifier: Apache-2.0

// Package disclosure is what is told to those who may know: values read back, and the pseudonyms of values that they know. It makes
// the audit records of both; whoever calls it writes them before telling anything.
package disclosure

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/subjectkey"
)

// Reasons why a value is not read back.
const (
	Erased       = "erased"       // the person was erased
	UnknownKey   = "unknown_key"  // the key, of the ring or of a person, is not here
	Forged       = "forged"       // not made by this key for this tenant, or changed
	Irreversible = "irreversible" // a pseudonym
	NotMasked    = "not_masked"   // no token, and a text without one
	Failed       = "failed"       // something else, such as a disk
)

// Value is what became of a value: the clear text, or the reason why there is none.
type Value struct {
	Text   string
	Reason string
}

// Reading is what Read made.
type Reading struct {
	Values  []Value
	Records []audit.Record
	Read    int64            // tokens
	Refused map[string]int64 // values, by reason
	Err     error            // the first one that has no name of its own
}

// Read reads values back. Each is a token, or a text with tokens in it, of which all or none are read. The records are copies of base with
// what was read: one for each key, each person and each reason.
func Read(r masking.Reader, values []string, tenant string, base audit.Record) *Reading {
	l := ledger{Reading: &Reading{Values: make([]Value, len(values)), Refused: map[string]int64{}}, base: base, at: map[string]int{}}
	for i, v := range values {
		plain, metas, err := read(r, v, tenant)
		if err != nil {
			l.Values[i].Reason = l.refuse(err)
			continue
		}
		l.Values[i].Text = plain
		for _, m := range metas {
			l.read(m)
		}
	}
	return l.Reading
}

func read(r masking.Reader, value, tenant string) (plain string, metas []masking.Meta, err error) {
	plain, meta, err := r.Detokenize(value, tenant)
	if !errors.Is(err, masking.ErrNotMasked) {
		return plain, []masking.Meta{meta}, err
	}
	plain, metas, err = r.DetokenizeWithin(value, tenant)
	if err == nil && len(metas) == 0 {
		err = masking.ErrNotMasked
	}
	return plain, metas, err
}

// reasonOf names an error. The error itself would say more than whoever guesses should know.
func reasonOf(err error) string {
	for _, known := range []struct {
		err    error
		reason string
	}{
		{subjectkey.ErrErased, Erased},
		{subjectkey.ErrUnknown, UnknownKey},
		{keyring.ErrNoKey, UnknownKey},
		{masking.ErrForged, Forged},
		{masking.ErrIrreversible, Irreversible},
		{masking.ErrNotMasked, NotMasked},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return Failed
}

// ledger sums up.
type ledger struct {
	*Reading
	base audit.Record
	at   map[string]int // in Records
}

func (l *ledger) refuse(err error) string {
	reason := reasonOf(err)
	if reason == Failed && l.Err == nil {
		l.Err = err
	}
	l.Refused[reason]++
	record := l.base
	record.Action, record.Outcome = audit.Refused, reason
	l.add(record)
	return reason
}

func (l *ledger) read(m masking.Meta) {
	l.Read++
	record := l.base
	record.Action, record.Outcome = audit.Detokenized, "ok"
	record.KeyID, record.Masking = m.KeyID, string(m.Kind)
	if m.Kind == masking.Erasable {
		record.Subject = m.Handle.String()
	}
	l.add(record)
}

func (l *ledger) add(record audit.Record) {
	key := record.Outcome + "\x00" + record.KeyID + "\x00" + record.Subject
	i, ok := l.at[key]
	if !ok {
		i = len(l.Records)
		l.at[key] = i
		l.Records = append(l.Records, record)
	}
	l.Records[i].Count++
}

// Pseudonym is what a value is written as under one key.
type Pseudonym struct {
	KeyID     string `json:"key_id"`
	PerTenant bool   `json:"per_tenant"` // by an action with per_tenant
	Text      string `json:"text"`
	UUID      string `json:"uuid"` // where it must be one
}

// ErrNoPseudonym says that a value of the class has none.
var ErrNoPseudonym = errors.New("the value has no pseudonym as one of that class")

// Pseudonyms returns those of a value under all keys, but for withdrawn ones: in columns that have been masked for long there are some
// of older keys. Where a tenant is given those of actions with per_tenant are among them.
func Pseudonyms(ring keyring.Ring, class, value, tenant string) ([]Pseudonym, error) {
	list := []Pseudonym{}
	for _, id := range ring.IDs() {
		key, err := ring.Find(id)
		if errors.Is(err, keyring.ErrNoKey) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, perTenant := range []bool{false, true} {
			if perTenant && tenant == "" {
				continue
			}
			p, err := pseudonym(key, class, value, tenant, perTenant)
			if err != nil {
				return nil, err
			}
			list = append(list, p)
		}
	}
	return list, nil
}

func pseudonym(key *keyring.Key, class, value, tenant string, perTenant bool) (p Pseudonym, err error) {
	action, err := masking.New(masking.Spec{Action: masking.Pseudonym, PerTenant: perTenant}, single{key})
	if err != nil {
		return p, fmt.Errorf("making pseudonyms: %w", err)
	}
	p = Pseudonym{KeyID: key.ID(), PerTenant: perTenant}
	for _, f := range []struct {
		form masking.Form
		to   *string
	}{{masking.Any, &p.Text}, {masking.UUID, &p.UUID}} {
		made, err := action.Mask(masking.Value{Text: value}, &masking.Target{Tenant: tenant, Class: class, Form: f.form})
		if err != nil {
			return p, ErrNoPseudonym
		}
		*f.to = made.Text
	}
	return p, nil
}

// single is a ring of one key, which is current.
type single struct{ key *keyring.Key }

var _ keyring.Ring = single{}

func (s single) Current() (*keyring.Key, error) { return s.key, nil }

func (s single) Find(id string) (*keyring.Key, error) {
	if id != s.key.ID() {
		return nil, keyring.ErrNoKey
	}
	return s.key, nil
}

func (s single) IDs() []string { return []string{s.key.ID()} }
