// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/event"
)

// Definition is what the bytes of sessions depend on.
type Definition struct {
	// Key are references to fields (see event.Fields) whose values make two events ones of the same key: each part is a list of
	// alternatives, of which the first that is there counts. An event that lacks a part has no key, unless the part is Optional.
	Key []KeyPart `json:"key"`
	// Client keeps the session.id that an event brings: it is part of the key.
	Client bool `json:"client,omitempty"`
	// CutFields begin a session where their value changes.
	CutFields []string `json:"cut_fields,omitempty"`
	// CountNames counts events by name.
	CountNames bool        `json:"count_names,omitempty"`
	Aggregates []Aggregate `json:"aggregates,omitempty"`
}

// KeyPart is one part of a key.
type KeyPart struct {
	Of       []string `json:"of"`
	Optional bool     `json:"optional,omitempty"`
}

// Aggregate is a function over the events of a session. Column, By and Filter of its Spec are left out: they are what the fields say.
type Aggregate struct {
	Name  string         `json:"name"`
	Field string         `json:"field,omitempty"`
	By    string         `json:"by,omitempty"`
	Names []string       `json:"names,omitempty"` // of events that count; empty for all
	Spec  aggregate.Spec `json:"spec"`
}

// plan is a compiled definition.
type plan struct {
	Definition
	text  string
	table string

	refs    fieldNames
	later   int // of refs, how many are read after the key
	fields  *event.Fields
	key     [][]int // by part, the columns of its alternatives
	client  int
	id      int
	failed  int
	cuts    []int // columns
	set     *aggregate.Set
	filters []map[string]bool // by bit of the mask
	// cutBytes begin an accumulator: a hash of the latest value of each field that cuts.
	cutBytes int
}

func newPlan(d Definition) (*plan, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("writing the definition of sessions: %w", err)
	}
	sum := sha256.Sum256(text)
	p := &plan{Definition: d, text: string(text), table: tablePrefix + hex.EncodeToString(sum[:8]), client: -1}
	p.id = p.refs.index(event.FieldID)
	if d.Client {
		p.client = p.refs.index(event.FieldSession)
	}
	for _, name := range d.CutFields {
		p.cuts = append(p.cuts, p.refs.index(name))
	}
	p.cutBytes = 8 * len(p.cuts)
	var specs []aggregate.Spec
	filters := map[string]int{}
	for _, a := range d.Aggregates {
		s := a.Spec
		s.Column, s.By, s.Filter = aggregate.None, aggregate.None, aggregate.None
		if a.Field != "" {
			s.Column = p.refs.index(a.Field)
		}
		if a.By != "" {
			s.By = p.refs.index(a.By)
		}
		if len(a.Names) > 0 {
			key := strings.Join(a.Names, "\x00")
			bit, ok := filters[key]
			if !ok {
				bit = len(p.filters)
				filters[key] = bit
				names := map[string]bool{}
				for _, n := range a.Names {
					names[n] = true
				}
				p.filters = append(p.filters, names)
			}
			s.Filter = bit
		}
		specs = append(specs, s)
	}
	p.later = len(p.refs)
	for _, part := range d.Key {
		var columns []int
		for _, name := range part.Of {
			columns = append(columns, p.refs.index(name))
		}
		p.key = append(p.key, columns)
	}
	p.failed = p.refs.index(event.FieldFailure)
	if p.set, err = aggregate.NewSet(specs, len(p.refs), len(p.filters)); err != nil {
		return nil, fmt.Errorf("aggregates of sessions: %w", err)
	}
	if p.fields, err = event.NewFields(p.refs...); err != nil {
		return nil, fmt.Errorf("fields of sessions: %w", err)
	}
	return p, nil
}

func parsePlan(text string) (*plan, error) {
	var d Definition
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return nil, err
	}
	return newPlan(d)
}

// check says whether an accumulator is one of the plan.
func (p *plan) check(accumulator []byte) error {
	if len(accumulator) < p.cutBytes {
		return errValue
	}
	return p.set.Check(accumulator[p.cutBytes:])
}

// mask of the filters that let an event of that name count.
func (p *plan) mask(name string) (mask uint64) {
	for bit, names := range p.filters {
		if names[name] {
			mask |= 1 << bit
		}
	}
	return mask
}

// keyOf appends the event's key, or returns false. Each part is the number of its alternative and the value.
func (p *plan) keyOf(b []byte, values []event.Scalar) ([]byte, bool) {
	for i, columns := range p.key {
		found := false
		for n, c := range columns {
			if v := values[c]; !v.IsEmpty() {
				b = v.AppendKey(append(b, byte(n+1)))
				found = true
				break
			}
		}
		if !found {
			if !p.Key[i].Optional {
				return b, false
			}
			b = append(b, 0)
		}
	}
	return b, true
}
