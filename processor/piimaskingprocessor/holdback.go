// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"strings"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/masking"
)

// An event that cannot be masked never passes with its values. It becomes a failed event of the stage masking: its ID, its times and, where a
// schema knows it, its name stay, so that it is not lost from sight; its values go, or are sealed where there is a repair
// key. A retry of its sender is known by its ID as any other.

// holdBack takes the values out of an event that could not be masked.
func (w *work) holdBack(e *event.Event, cause error, sealed bool) {
	reason := reasonOf(cause)
	w.p.complain(reason, cause)
	w.tally.event(heldBack, reason)
	if w.p.cfg.DryRun {
		return
	}
	name, known, id := e.Name, w.schema != nil, w.maskID(e) == nil
	f := event.Failure{Stage: event.StageMasking, Reason: reason, Processor: w.p.id}
	if known {
		f.Schema = w.schema.ID()
	}
	var text string
	if sealed { // what is left was sealed before anything went wrong
		for key, v := range e.Attributes {
			if key == event.KeySealed {
				text = v.Str()
			}
		}
	} else if w.p.cfg.SealFailed {
		e.Reread()                // some values may be masked already
		text, _ = w.sealedText(e) // without it the values are gone, which is what is promised then
	}
	e.Strip(func(key string) bool { return id && key == event.FieldID })
	e.ReplaceFailure(f)
	if text != "" {
		e.SetSealed(text)
	}
	if known {
		e.SetName(name)
	}
}

// maskID masks the event's ID, if it was not before.
func (w *work) maskID(e *event.Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errInternal
		}
	}()
	for key, v := range e.Attributes {
		if key == event.FieldID {
			if err := w.identity(key, v, w.plans.of(nil, key)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sealEvent replaces the values of a failed event by one sealed text. Its ID and failure are masked as of any event afterwards.
func (w *work) sealEvent(e *event.Event) error {
	text, err := w.sealedText(e)
	if err != nil {
		return err
	}
	name, schema, failure := e.Name, w.schema, e.Failure
	e.Strip(func(key string) bool {
		return key == event.FieldID || event.PartOf(key) == event.PartSchema && schema != nil
	})
	e.ReplaceFailure(namesOnly(failure))
	e.SetName(name)
	e.SetSealed(text)
	return nil
}

// namesOnly takes out of a mark of failure what this collector does not write into one: a sender can write the mark, and anything.
func namesOnly(f event.Failure) event.Failure {
	for _, s := range []*string{&f.Stage, &f.Reason, &f.Keyword, &f.Schema, &f.Processor} {
		if len(*s) > maxKey || strings.ContainsFunc(*s, func(r rune) bool { return r <= ' ' || r > '~' }) {
			*s = otherField
		}
	}
	if f.Pointer != "" && f.Pointer[0] != '/' {
		f.Pointer = ""
	}
	return f
}

func (w *work) sealedText(e *event.Event) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errInternal
		}
	}()
	sealed, err := w.p.repair.Seal(nil, e.AppendRaw(nil))
	return string(sealed), err
}

// identityAction is what is done with an ID in which something of that class was found: one that tells two IDs apart.
func (p *piiMasking) identityAction(class string) masking.Action {
	action := p.action(class)
	switch action.Kind() {
	case masking.Keep, masking.Pseudonym, masking.Token, masking.Drop:
		return action
	}
	return p.identities
}
