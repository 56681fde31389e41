// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"errors"
	"strings"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/masking"
)

// maxDepth is how deep values are followed, as deep as a failed event is kept. What nests deeper cannot be masked, and does not pass.
const maxDepth = 10_000

var errTooDeep = errors.New("a value nests too deep to be masked")

// place is where in an event a value lies, and what is known of it.
type place struct {
	at    tags   // what schemas say of it
	class string // what it is, by schema or name; "" is for the detectors to find out
	rule  string
	exact bool // by schema or configuration: it holds for values of all types
	hint  detector.Hint
	// person says that the members of an object there are somebody's.
	person bool
	field  string
	// property says that schemas describe what is there.
	property bool
	depth    int // keys of w.path that lead here; 0 for what is no attribute
}

// anyKey stands in fields for keys that nothing vouches for.
const anyKey = ".*"

// below returns the place of a member.
func (pl *place) below(w *work, key string, plan *keyPlan) place {
	sub := place{at: pl.at.member(key), class: pl.class, rule: pl.rule, exact: pl.exact, hint: plan.hint, field: pl.field, property: pl.property, person: plan.person}
	named := plan.class != ""
	if pl.person && plan.member != "" && !pl.exact {
		sub.class, sub.rule, named = plan.member, "name", true
	}
	switch {
	case pl.field == otherField || plan.field == otherField:
		sub.field = otherField
	case named || sub.at.class() != "":
		sub.field = w.join(pl.field, plan.field)
	case !strings.HasSuffix(pl.field, anyKey):
		sub.field = w.join(pl.field, anyKey[1:]) // a key within an object may be somebody's name
	}
	if pl.depth > 0 {
		w.path = append(w.path[:pl.depth], key)
		sub.depth = pl.depth + 1
	}
	sub.name(plan)
	return sub
}

// name takes up what schema and key say. The schema's word goes before the name's, and the deeper place's before that above.
func (pl *place) name(plan *keyPlan) {
	if tag := pl.at.class(); tag != "" {
		pl.class, pl.rule, pl.exact = classOf(tag), "schema", true
		return
	}
	if plan.class != "" && (!pl.exact || plan.own && pl.rule != "schema") {
		pl.class, pl.rule, pl.exact = plan.class, plan.rule, plan.own
	}
}

// value masks one value and all below it.
func (w *work) value(v event.Value, pl *place, depth int) error {
	switch v.Kind() {
	case event.KindString:
		return w.stringValue(v, pl)
	case event.KindInt:
		return w.number(v, masking.Value{Kind: masking.IntValue, Int: v.Int()}, pl)
	case event.KindDouble:
		return w.number(v, masking.Value{Kind: masking.DoubleValue, Double: v.Double()}, pl)
	case event.KindBool:
		if pl.class != "" && pl.exact {
			return w.whole(v, masking.Value{}, pl, masking.Other)
		}
	case event.KindBytes:
		return w.bytesValue(v, pl)
	case event.KindMap:
		return w.mapValue(v, pl, depth)
	case event.KindSlice:
		if depth >= maxDepth {
			return errTooDeep
		}
		sub := *pl
		if sub.at = pl.at.elements(); sub.at.class() != "" {
			sub.class, sub.rule, sub.exact = classOf(sub.at.class()), "schema", true
		}
		for i := range v.Len() {
			if err := w.value(v.Index(i), &sub, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *work) mapValue(v event.Value, pl *place, depth int) error {
	if depth >= maxDepth {
		return errTooDeep
	}
	of := *pl
	if of.class != "" && !of.exact && of.column(w) && w.forms.declares(w.schema, w.path[:of.depth]) {
		of.class, of.rule = "", "" // a schema that says what is in the object says what of it is personal
	}
	pl = &of
	dirty := false
	for key, m := range v.Members {
		plan := w.plans.of(w.path[:pl.depth], key)
		if plan.ignore {
			continue
		}
		dirty = dirty || plan.dirty
		if err := w.member(key, plan, m, pl, depth); err != nil {
			return err
		}
	}
	if dirty && !w.p.cfg.DryRun {
		v.RenameMembers(w.renamed)
	}
	return w.err()
}

// member has its own frame, so that no place need be in memory for longer.
func (w *work) member(key string, plan *keyPlan, m event.Value, pl *place, depth int) error {
	sub := pl.below(w, key, plan)
	if !sub.exact && plan.class == "" && plan.member == "" && coarse[key] {
		sub.class, sub.rule = "", ""
	}
	return w.value(m, &sub, depth+1)
}

// column says whether a schema says what columns there are for the place.
func (pl *place) column(w *work) bool { return w.schema != nil && pl.property && pl.depth > 0 }

func (w *work) stringValue(v event.Value, pl *place) error {
	s := v.Str()
	if s == "" {
		return nil
	}
	if pl.class != "" {
		return w.whole(v, masking.Value{Text: s}, pl, w.formOf(pl))
	}
	out, err := w.text(s, pl, 0)
	if err != nil || !out.changed {
		return err
	}
	if w.p.cfg.DryRun {
		return nil
	}
	if out.drop {
		v.SetNull()
		return nil
	}
	v.SetText(out.text)
	return nil
}

func (w *work) bytesValue(v event.Value, pl *place) error {
	content := v.Bytes()
	if len(content) == 0 {
		return nil
	}
	if pl.class != "" {
		return w.whole(v, masking.Value{}, pl, masking.Other)
	}
	out, err := w.text(string(content), pl, 0)
	if err != nil || !out.changed || w.p.cfg.DryRun {
		return err
	}
	if out.drop {
		v.SetNull()
		return nil
	}
	v.SetBytes([]byte(out.text))
	return nil
}

func (w *work) number(v event.Value, n masking.Value, pl *place) error {
	if pl.class != "" && (pl.exact || digital[pl.class]) {
		return w.whole(v, n, pl, w.formOf(pl))
	}
	// Under a name whose values have no digits it is a count or a flag, unless it looks like somebody's.
	var class detector.Class
	var rule string
	var found bool
	if n.Kind == masking.IntValue {
		class, rule, found = w.p.detector.FindInt(n.Int, pl.hint)
	} else {
		class, rule, found = w.p.detector.FindFloat(n.Double, pl.hint)
	}
	if !found {
		return nil
	}
	hit := *pl
	hit.class, hit.rule = string(class), rule
	return w.whole(v, n, &hit, w.formOf(pl))
}

// whole masks all of a value of a known class.
func (w *work) whole(v event.Value, in masking.Value, pl *place, form masking.Form) error {
	if in.Kind == masking.TextValue && maskedBefore(in.Text, form) {
		return nil // an agent's work
	}
	action := w.p.action(pl.class)
	var column leaf
	w.target.Limit = 0
	if form == masking.Integer {
		column = w.leafOf(pl)
		w.target.Limit = uint64(column.most)
	}
	out, err := w.mask(action, in, pl.class, form)
	if err == nil && out.Kind == masking.IntValue && !column.fits(out.Int) && action.Kind() != masking.Keep {
		err = masking.ErrDrop
	}
	switch {
	case errors.Is(err, masking.ErrDrop):
		w.count(pl, action.Kind())
		if !w.p.cfg.DryRun {
			v.SetNull()
		}
		return nil
	case err != nil:
		return err
	case out == in:
		if action.Kind() == masking.Keep {
			w.count(pl, action.Kind())
		}
		return nil
	}
	w.count(pl, action.Kind())
	if w.p.cfg.DryRun {
		return nil
	}
	switch out.Kind {
	case masking.TextValue:
		v.SetText(out.Text)
	case masking.IntValue:
		v.SetInt(out.Int)
	case masking.DoubleValue:
		v.SetDouble(out.Double)
	}
	return nil
}

// maskedBefore says whether a text is a pseudonym or token that a column of that form can hold.
func maskedBefore(s string, form masking.Form) bool {
	switch form {
	case masking.Any, masking.Text:
		if masking.MaskedUUID(s) {
			return true
		}
	case masking.UUID:
		return masking.MaskedUUID(s)
	case masking.EmailAddress:
		if !strings.HasSuffix(s, ".invalid") {
			return false
		}
	default:
		return false
	}
	return s != "" && masking.Masked(s) == len(s)
}

func (w *work) mask(action masking.Action, in masking.Value, class string, form masking.Form) (masking.Value, error) {
	if form == masking.Other && action.Kind() != masking.Keep {
		return in, masking.ErrDrop
	}
	w.target.Class, w.target.Form = class, form
	return action.Mask(in, &w.target)
}

// formOf is what the column of a declared property can hold.
func (w *work) formOf(pl *place) masking.Form { return w.leafOf(pl).form }

func (w *work) leafOf(pl *place) leaf {
	if !pl.column(w) {
		return leaf{}
	}
	return w.forms.of(w.schema, w.path[:pl.depth])
}
