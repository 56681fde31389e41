// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/subjectkey"
)

// work masks one batch. It belongs to one call at a time and is pooled, so that a batch in which nothing is found costs no
// memory.
type work struct {
	p        *piiMasking
	reader   event.Reader
	plans    planner
	forms    forms
	findings []detector.Finding
	edits    []edit
	tally    tally

	// Of the event at hand.
	target masking.Target
	schema *schema.Schema // that it was found to have; nil where it is unknown
	tags   tags           // what is personal in it
	path   []string       // of keys, to the property at hand
	hits   int            // values found in it so far
	wrong  error
	deep   bool // a value was taken out of it that nests too deep

	events     int   // of the batch
	suppressed []int // indexes of events of erased persons, rising

	// Of the batch, where values are encrypted under keys of persons.
	people map[subjectkey.Subject]*subjectkey.Key
	asked  []subjectkey.Subject
	keys   []*subjectkey.Key
}

func newWork(p *piiMasking) *work { return &work{p: p, plans: newPlanner(p), tally: newTally()} }

// release lets go of the batch, and of what a large one has made large: nothing of an event is kept in memory until the next one comes.
func (w *work) release() {
	w.reader.Release()
	w.findings, w.plans.scratch = smaller(w.findings), smaller(w.plans.scratch)
	w.edits, w.path = smaller(w.edits), smaller(w.path)
	w.forms.path, w.plans.path = smaller(w.forms.path), smaller(w.plans.path)
	w.suppressed, w.asked, w.keys = smaller(w.suppressed), smaller(w.asked), smaller(w.keys)
	if len(w.people) > maxKept {
		w.people = nil
	}
	clear(w.people)
	w.target, w.schema, w.tags = masking.Target{}, nil, tags{}
	w.tally.release()
}

// maxKept is how many elements of a kind are kept room for between batches.
const maxKept = 4096

func smaller[T any](s []T) []T {
	if cap(s) > maxKept {
		return nil
	}
	clear(s[:cap(s)])
	return s[:0]
}

func (w *work) batch(ctx context.Context, b event.Batch) error {
	w.events, w.suppressed = 0, w.suppressed[:0]
	w.tally.reset()
	if err := w.askKeys(ctx, b); err != nil {
		return err
	}
	var snapshot *schema.Snapshot
	if w.p.registry != nil {
		snapshot = w.p.registry.Snapshot()
	}
	w.reader.Reset(b)
	for e := w.reader.Next(); e != nil; e = w.reader.Next() {
		i := w.events
		w.events++
		if w.p.erased(e) && !w.p.cfg.DryRun {
			w.suppressed = append(w.suppressed, i)
			w.tally.event(suppressed, reasonErased)
			continue
		}
		w.event(e, snapshot)
	}
	// What events have in common comes last: what is sealed of a failed event is as it was sent.
	tenant := ""
	for s := range b.Sources {
		if of, ok := s.Tenant(); ok {
			tenant = of
		}
		w.source(s, tenant)
	}
	return nil
}

// askKeys gets the keys of all persons of the batch in one commit.
func (w *work) askKeys(ctx context.Context, b event.Batch) error {
	clear(w.people)
	if !w.p.erases || w.p.cfg.DryRun {
		return nil
	}
	if w.people == nil {
		w.people = map[subjectkey.Subject]*subjectkey.Key{}
	}
	w.asked = w.asked[:0]
	w.reader.Reset(b)
	for e := w.reader.Next(); e != nil; e = w.reader.Next() {
		s, named := subjectOf(e)
		if _, known := w.people[s]; named && !known {
			w.people[s] = nil
			w.asked = append(w.asked, s)
		}
	}
	if len(w.asked) == 0 {
		return nil
	}
	w.keys = append(w.keys[:0], make([]*subjectkey.Key, len(w.asked))...)
	if err := w.p.subjects.Keys(ctx, w.asked, w.keys); err != nil {
		return fmt.Errorf("keeping the keys of persons: %w", err)
	}
	for i, s := range w.asked {
		w.people[s] = w.keys[i]
	}
	return nil
}

// subjectOf is the person whose event it is, as the event names them before it is masked.
func subjectOf(e *event.Event) (subjectkey.Subject, bool) {
	if e.UserID != "" {
		return subjectkey.Subject{Tenant: e.Tenant, ID: e.UserID}, true
	}
	return subjectkey.Subject{Tenant: e.Tenant, ID: e.AnonymousID}, e.AnonymousID != ""
}

// event masks one event, or holds it back.
func (w *work) event(e *event.Event, snapshot *schema.Snapshot) {
	w.schema, w.tags, w.hits, w.wrong, w.deep = nil, tags{}, 0, nil, false
	w.findings, w.edits = w.findings[:0], w.edits[:0] // whatever a panic has left
	w.target = masking.Target{Tenant: e.Tenant}
	if w.people != nil {
		if s, named := subjectOf(e); named {
			w.target.Subject = w.people[s]
		}
	}
	known := false
	if snapshot != nil {
		w.schema, w.tags, known = find(snapshot, e)
	}
	sealed, err := false, error(nil)
	if e.Failed && w.p.cfg.SealFailed && !w.p.cfg.DryRun && e.Sealed() == "" {
		if err = w.sealEvent(e); err == nil {
			sealed = true
		}
	}
	if err == nil {
		err = w.guarded(e, known)
	}
	switch {
	case err != nil:
		w.holdBack(e, err, sealed)
	case w.deep:
		w.tally.event(heldBack, reasonTooDeep)
		if !w.p.cfg.DryRun {
			e.Fail(event.Failure{Stage: event.StageMasking, Reason: reasonTooDeep, Processor: w.p.id}) // if it was not failed before
		}
	case sealed:
		w.tally.event(sealedOutcome, "")
	case w.hits > 0:
		w.tally.event(masked, "")
	default:
		w.tally.event(clean, "")
	}
}

// guarded masks an event. What goes wrong in it, whatever it is, is an error: nothing passes because of it.
func (w *work) guarded(e *event.Event, known bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errInternal // r may hold a value
		}
	}()
	return w.record(e, known)
}

var errInternal = errors.New("masking has failed")

// record goes through everything that a producer can write into a record.
func (w *work) record(e *event.Event, known bool) error {
	if name := e.RecordName(); !known && name != "" {
		if err := w.plain(name, "event.name", 0, e.SetName); err != nil {
			return err
		}
	}
	if s := e.SeverityText(); s != "" {
		if err := w.plain(s, "log.severity_text", 0, e.SetSeverityText); err != nil {
			return err
		}
	}
	dirty := false
	for key, v := range e.Attributes {
		plan := w.plans.of(nil, key)
		dirty = dirty || plan.dirty
		if plan.ignore {
			continue
		}
		switch err := w.attribute(e, key, v, plan, known); {
		case errors.Is(err, errTooDeep):
			w.deep = true
			if !w.p.cfg.DryRun {
				v.SetNull()
			}
		case err != nil:
			return err
		}
	}
	if dirty && !w.p.cfg.DryRun {
		e.RenameAttributes(w.renamed)
	}
	return w.err()
}

func (w *work) attribute(e *event.Event, key string, v event.Value, plan *keyPlan, known bool) error {
	w.path = append(w.path[:0], key)
	pl := place{hint: plan.hint, field: plan.field, depth: 1}
	switch plan.part {
	case event.PartProperty:
		if key == event.KeySealed && e.Failed && seal.IsSealed(v.Str()) {
			return nil // here or at an agent: letters that mean nothing without the repair key
		}
		if tag := w.tags.class(); tag != "" {
			pl.class, pl.rule, pl.exact = classOf(tag), "schema", true
		}
		pl.property, pl.person = true, plan.person
		if w.tags != (tags{}) {
			pl.at = w.tags.member(key)
		}
		if plan.member != "" && e.Name == identify && w.schema == nil {
			pl.class, pl.rule = plan.member, "name"
		}
		pl.name(plan)
	case event.PartContext:
		pl.person = plan.person
		pl.name(plan)
	case event.PartIdentity:
		return w.identity(key, v, plan)
	case event.PartName:
		if known && v.Str() == e.Name {
			return nil
		}
	case event.PartSchema:
		if w.schema != nil && (v.Str() == w.schema.Subject || v.Str() == w.schema.Version) {
			return nil
		}
	case event.PartFailure:
		if plan.field == "event.failure.pointer" {
			return w.pointer(v, &pl)
		}
	}
	return w.value(v, &pl, 0)
}

// plain masks a text that is no attribute.
func (w *work) plain(s, field string, hint detector.Hint, set func(string)) error {
	out, err := w.text(s, &place{field: field, hint: hint}, 0)
	if err != nil || !out.changed || w.p.cfg.DryRun {
		return err
	}
	set(out.text) // "" where it is dropped
	return nil
}

// pointer masks the tokens of a failure's JSON pointer: keys may be somebody's.
func (w *work) pointer(v event.Value, pl *place) error {
	if s := v.Str(); s != "" {
		return w.value(v, pl, 0)
	}
	return nil
}

// renamed is what a key with something personal in it becomes.
func (w *work) renamed(key string) string {
	if plan := w.plans.of(nil, key); !plan.dirty {
		return key
	}
	out, err := w.found(key, &place{field: otherField}, nil)
	if err != nil {
		w.wrong = err
		return key
	}
	if out.drop {
		return ""
	}
	return out.text
}

// err returns what went wrong where there was nobody to tell.
func (w *work) err() error {
	err := w.wrong
	w.wrong = nil
	return err
}

// count notes a value that was found.
func (w *work) count(pl *place, action masking.Kind) {
	w.hits++
	w.tally.value(hit{class: pl.class, rule: pl.rule, field: pl.field, action: action})
}

// join makes the field of a member.
func (w *work) join(parent, key string) string { return w.tally.fields.join(parent, key) }

// source masks what all events of a resource or a scope have in common.
func (w *work) source(s event.Source, tenant string) {
	w.schema, w.tags, w.wrong = nil, tags{}, nil
	w.target = masking.Target{Tenant: tenant}
	err := w.guardedSource(s)
	if !w.p.cfg.DryRun {
		s.RemoveReferences()
	}
	if err == nil {
		return
	}
	if !w.p.cfg.DryRun { // nothing of it is worth an event that stays behind
		keep := w.innocent(tenant)
		s.RenameAttributes(func(key string) string {
			if key == event.FieldTenant && keep {
				return key
			}
			return ""
		})
		s.ChangeTexts(func(string) string { return "" })
	}
	w.tally.value(hit{class: "unknown", rule: "failure", field: "resource", action: masking.Drop})
	w.p.complain(reasonOf(err), err)
}

// innocent says whether there is nothing personal in a tenant's name.
func (w *work) innocent(tenant string) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			ok = false
		}
	}()
	class, _, _ := w.firstFound(tenant)
	return class == ""
}

func (w *work) guardedSource(s event.Source) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errInternal
		}
	}()
	dirty := false
	for key, v := range s.Attributes {
		plan := w.plans.of(nil, key)
		dirty = dirty || plan.dirty
		if plan.ignore {
			continue
		}
		w.path = append(w.path[:0], key)
		pl := place{hint: plan.hint, field: plan.field, depth: 1}
		if plan.part == event.PartProperty || plan.part == event.PartContext {
			pl.name(plan)
		}
		if plan.part == event.PartIdentity || key == event.FieldTenant {
			err = w.identity(key, v, plan)
		} else {
			err = w.value(v, &pl, 0)
		}
		if err != nil {
			return err
		}
	}
	if dirty && !w.p.cfg.DryRun {
		s.RenameAttributes(w.renamed)
	}
	s.ChangeTexts(func(text string) string {
		if text == "" {
			return text
		}
		out, err := w.text(text, &scopePlace, 0)
		switch {
		case err != nil:
			w.wrong = err
		case out.changed && !w.p.cfg.DryRun:
			return out.text
		}
		return text
	})
	return w.err()
}

// scopePlace is where the texts of a scope and the URLs of schemas are.
var scopePlace = place{field: "otel.scope"}

// reasonOf names an error in metrics.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, keyring.ErrNoKey), errors.Is(err, subjectkey.ErrUnknown):
		return reasonNoKey
	case errors.Is(err, errInternal):
		return "internal_error"
	}
	return "cannot_mask"
}

const (
	reasonNoKey   = "no_key"
	reasonErased  = "erased"
	reasonTooDeep = "too_deep"
)
