// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"errors"
	"strconv"
	"strings"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/masking"
)

// identity masks an ID as a whole or not at all: two IDs must never become one, and what names a person in one event must name them
// in the next. An ID of another type is the text that it is read as.
func (w *work) identity(key string, v event.Value, plan *keyPlan) error {
	s := v.Text()
	if v.Kind() == event.KindBytes {
		s = string(v.Bytes())
	}
	pl := place{hint: plan.hint, field: plan.field, class: plan.class, rule: plan.rule, exact: plan.own}
	switch {
	case s == "":
		return w.value(v, &pl, 0) // nests deeper than an ID is read
	case masking.Masked(s) == len(s):
		return nil
	}
	// A person's ID that is written otherwise is still that person's; an event's or a tenant's is another one.
	same := key != event.FieldID && key != event.FieldTenant
	if pl.class == "" {
		whole := false
		if pl.class, pl.rule, whole = w.classWithin(v); pl.class == "" {
			return nil
		}
		same = same && whole
	}
	action := w.p.identityAction(pl.class)
	in, class := masking.Value{Text: s}, pl.class
	if !same && action.Kind() == masking.Pseudonym {
		in.Text, class = strconv.QuoteToASCII(s), classID // of which there is one way to write it
	}
	out, err := w.mask(action, in, class, masking.Any)
	if err != nil && !errors.Is(err, masking.ErrDrop) {
		return err
	}
	w.count(&pl, action.Kind())
	switch {
	case w.p.cfg.DryRun:
	case err != nil:
		v.SetNull()
	case out != in || in.Text != s:
		v.SetText(out.Text)
	}
	return nil
}

// classID is the class of IDs that have something personal in them beside other things.
const classID = "id"

// idHint is that of an ID: what looks like a number of somebody's is most likely none.
var idHint = detector.HintOf("id")

// classWithin says what is personal in an ID, and whether that is all of it.
func (w *work) classWithin(v event.Value) (class, rule string, whole bool) {
	switch v.Kind() {
	case event.KindMap:
		for key, m := range v.Members {
			plan := w.plans.of(nil, key)
			class, rule = plan.class, plan.rule
			if class == "" && plan.dirty {
				class, rule, _ = w.firstFound(key)
			}
			if class == "" {
				class, rule, _ = w.classWithin(m)
			}
			if class != "" {
				break
			}
		}
		return class, rule, false
	case event.KindSlice:
		for i := 0; i < v.Len() && class == ""; i++ {
			class, rule, _ = w.classWithin(v.Index(i))
		}
		return class, rule, false
	case event.KindBytes:
		return w.firstFound(string(v.Bytes()))
	}
	return w.firstFound(v.Text())
}

// firstFound is what the detectors find first in an ID.
func (w *work) firstFound(s string) (class, rule string, whole bool) {
	base := len(w.findings)
	found := w.p.detector.Find(w.findings, s, hintFor(s, idHint))
	w.findings = found[:base]
	if len(found) == base {
		return "", "", false
	}
	f := found[base]
	return string(f.Class), f.Rule, strings.TrimSpace(s) == strings.TrimSpace(s[f.Start:f.End])
}
