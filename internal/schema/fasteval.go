// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"math"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/event"
)

// eval judges one value, or, where v is nil, the object whose members are the event's properties. depth is the
// value's own, as in event.MaxDepth.
func (r *rule) eval(v *event.Value, properties []event.Property, depth int) verdict {
	if r.always {
		return r.verdict
	}
	if depth > event.MaxDepth {
		return unsure
	}
	mask := maskObject
	if v != nil {
		if mask = maskOfEvent(v); mask == 0 {
			return invalid // NaN or an infinity: of no JSON type
		}
	}
	if r.types&mask == 0 {
		return invalid
	}
	if v != nil && v.Kind() == event.KindBytes && r.readsText() {
		return unsure // a string in base64
	}
	if r.konst != nil {
		if got := r.konst.has(v, mask); got != valid {
			return got
		}
	}
	if r.values != nil {
		if got := r.values.has(v, mask); got != valid {
			return got
		}
	}
	if r.format != nil && mask == maskString && !r.format.holds(v.Str()) {
		return invalid
	}
	if r.ref != nil {
		if got := r.ref.eval(v, properties, depth); got != valid || r.refAlone {
			return got
		}
	}
	got := valid
	switch mask {
	case maskString:
		if r.text != nil {
			got = verdictOf(r.text.holds(v.Str()))
		}
	case maskWhole, maskFraction:
		if r.number != nil {
			got = r.number.eval(v)
		}
	case maskArray:
		if r.array != nil {
			got = r.array.eval(v, depth)
		}
	case maskObject:
		if r.object != nil {
			got = r.object.eval(v, properties, depth)
		}
	}
	if got != valid {
		return got
	}
	if r.not == nil && r.allOf == nil && r.anyOf == nil && r.oneOf == nil && r.ifs == nil {
		return valid
	}
	return r.evalInPlace(v, properties, depth)
}

// maskOfEvent returns the value's type, or 0 for a number that JSON does not have.
func maskOfEvent(v *event.Value) typeMask {
	switch v.Kind() {
	case event.KindString, event.KindBytes:
		return maskString
	case event.KindBool:
		return maskBool
	case event.KindInt:
		return maskWhole
	case event.KindDouble:
		f := v.Double()
		switch {
		case math.IsNaN(f) || math.IsInf(f, 0):
			return 0
		case f == math.Trunc(f):
			return maskWhole
		}
		return maskFraction
	case event.KindMap:
		return maskObject
	case event.KindSlice:
		return maskArray
	default:
		return maskNull
	}
}

// readsText says whether the rule looks into a string.
func (r *rule) readsText() bool {
	return r.text != nil || r.format != nil || r.values != nil || r.konst != nil
}

// evalInPlace applies the rules that judge the same value once more.
func (r *rule) evalInPlace(v *event.Value, properties []event.Property, depth int) verdict {
	if r.not != nil {
		switch r.not.eval(v, properties, depth) {
		case valid:
			return invalid
		case unsure:
			return unsure
		}
	}
	for _, sub := range r.allOf {
		if got := sub.eval(v, properties, depth); got != valid {
			return got
		}
	}
	if len(r.anyOf) > 0 {
		best := invalid
		for _, sub := range r.anyOf {
			got := sub.eval(v, properties, depth)
			if got == valid {
				best = valid
				break
			}
			best = max(best, got) // unsure above invalid
		}
		if best != valid {
			return best
		}
	}
	if len(r.oneOf) > 0 {
		matches := 0
		for _, sub := range r.oneOf {
			switch sub.eval(v, properties, depth) {
			case valid:
				matches++
			case unsure:
				return unsure
			}
		}
		if matches != 1 {
			return invalid
		}
	}
	if r.ifs != nil {
		branch := r.otherwise
		switch r.ifs.eval(v, properties, depth) {
		case valid:
			branch = r.then
		case unsure:
			return unsure
		}
		if branch != nil {
			return branch.eval(v, properties, depth)
		}
	}
	return valid
}

func (r *textRule) holds(s string) bool {
	if r.min > 0 || r.max >= 0 && len(s) > r.max {
		n := utf8.RuneCountInString(s)
		if n < r.min || r.max >= 0 && n > r.max {
			return false
		}
	}
	return r.pattern == nil || r.pattern(s)
}

func (r *numberRule) eval(v *event.Value) verdict {
	if r.min != nil && r.min.compare(v) < 0 || r.max != nil && r.max.compare(v) > 0 ||
		r.above != nil && r.above.compare(v) <= 0 || r.below != nil && r.below.compare(v) >= 0 {
		return invalid
	}
	if r.hasMultiple {
		return r.multiple.divides(v)
	}
	return valid
}

func (r *arrayRule) eval(v *event.Value, depth int) verdict {
	n := v.Len()
	if n < r.min || r.max >= 0 && n > r.max || r.restBanned && n > len(r.prefix) {
		return invalid
	}
	if r.unique && n > 1 {
		if got := uniqueElements(v, n); got != valid {
			return got
		}
	}
	// One element for all, above the loops: declared within, the compiler would put each on the heap.
	var element event.Value
	if r.rest != nil || len(r.prefix) > 0 {
		for i := range n {
			sub := r.rest
			if i < len(r.prefix) {
				sub = r.prefix[i]
			}
			if sub == nil {
				break
			}
			element = v.Index(i)
			if got := sub.eval(&element, nil, depth+1); got != valid {
				return got
			}
		}
	}
	if r.contains != nil {
		matches := 0
		for i := range n {
			element = v.Index(i)
			switch r.contains.eval(&element, nil, depth+1) {
			case valid:
				matches++
			case unsure:
				return unsure
			}
		}
		if matches < r.minContains || r.maxContains >= 0 && matches > r.maxContains {
			return invalid
		}
	}
	return valid
}

// members is the state of judging one object.
type members struct {
	seen    nameSet
	count   int // distinct members so far; of unknown names also repeated ones
	unknown int // members of names beyond the table
}

func (r *objectRule) eval(v *event.Value, properties []event.Property, depth int) verdict {
	var m members
	got := r.evalMembers(&m, v, properties, depth)
	if got != unsure && r.judgesUnknown && m.unknown > 1 && repeatsName(v, properties) {
		return unsure // the first of a name counts, and here a later one may have been judged
	}
	if got != valid {
		return got
	}
	if m.count < r.min || r.max >= 0 && m.count > r.max || r.required.without(&m.seen, r.words) {
		return invalid
	}
	for i := range r.dependencies {
		d := &r.dependencies[i]
		if !m.seen.has(d.index) {
			continue
		}
		if d.required.without(&m.seen, r.words) {
			return invalid
		}
		if d.rule != nil {
			if got := d.rule.eval(v, properties, depth); got != valid {
				return got
			}
		}
	}
	return valid
}

func (r *objectRule) evalMembers(m *members, v *event.Value, properties []event.Property, depth int) verdict {
	if v == nil {
		for i := range properties {
			p := &properties[i]
			if got := r.evalMember(m, p.Key, &p.Value, depth+1); got != valid {
				return got
			}
		}
		return valid
	}
	var member event.Value // as element in arrayRule.eval
	for key, value := range v.Members {
		member = value
		if got := r.evalMember(m, key, &member, depth+1); got != valid {
			return got
		}
	}
	return valid
}

func (r *objectRule) evalMember(m *members, key string, v *event.Value, depth int) verdict {
	i := r.names.find(key)
	known := false
	if i >= 0 {
		if m.seen.has(i) {
			return valid // the first of a name counts
		}
		m.seen.add(i)
		if sub := r.members[i]; sub != nil {
			known = true
			if got := sub.eval(v, nil, depth); got != valid {
				return got
			}
		}
	} else {
		m.unknown++
	}
	m.count++
	for j := range r.patterns {
		p := &r.patterns[j]
		if !p.matches(key) {
			continue
		}
		known = true
		if got := p.rule.eval(v, nil, depth); got != valid {
			return got
		}
	}
	if !known {
		if r.extraBanned {
			return invalid
		}
		if r.extra != nil {
			if got := r.extra.eval(v, nil, depth); got != valid {
				return got
			}
		}
	}
	if r.keys != nil {
		name := event.StringValue(key)
		return r.keys.eval(&name, nil, depth)
	}
	return valid
}

// maxCompared bounds what is compared each with each.
const maxCompared = 64

// repeatsName says whether an object has a name twice, or too many names to tell here.
func repeatsName(v *event.Value, properties []event.Property) bool {
	var names [maxCompared]string
	n := 0
	if v == nil {
		if len(properties) > maxCompared {
			return true
		}
		for i := range properties {
			names[n] = properties[i].Key
			n++
		}
	} else {
		if v.Len() > maxCompared {
			return true
		}
		for key := range v.Members {
			names[n] = key
			n++
		}
	}
	for i := 1; i < n; i++ {
		for j := range i {
			if names[i] == names[j] {
				return true
			}
		}
	}
	return false
}
