// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Personal is what x-pii says of one place of an event and of all below it. Nil is a place with nothing personal at or below it,
// and so is everything below nil. It is immutable.
//
// Every schema that can apply to a place counts, whichever branch of a oneOf, anyOf or if it stands in and whatever it is
// referred to by: what may be personal is. A class holds for all that lies below, until a deeper one names another.
type Personal struct {
	class    string
	members  map[string]*Personal // declared ones; nil values too, which patterns and others must not answer for
	patterns []personalPattern
	others   *Personal // members that are neither
	elements *Personal
}

type personalPattern struct {
	regexp jsonschema.Regexp
	at     *Personal
}

// Class is the class of personal data, or "".
func (p *Personal) Class() string {
	if p == nil {
		return ""
	}
	return p.class
}

// Member is the place of an object's member.
func (p *Personal) Member(name string) *Personal {
	if p == nil {
		return nil
	}
	if at, declared := p.members[name]; declared {
		return at
	}
	for i := range p.patterns {
		if p.patterns[i].regexp.MatchString(name) {
			return p.patterns[i].at
		}
	}
	return p.others
}

// Elements is the place of an array's elements.
func (p *Personal) Elements() *Personal {
	if p == nil {
		return nil
	}
	return p.elements
}

// maxPersonal bounds the places of one schema that are told apart.
const maxPersonal = 10_000

// personalPlaces finds the places by sets of schemas: a place is known by those that can apply to it. So a recursive
// schema comes back to a place that is known.
type personalPlaces struct {
	x      *extractor
	places map[string]*Personal
	live   map[*Personal]bool // has a class at or below it
	err    error
}

// extractPersonal returns the root's place, or nil.
func extractPersonal(root *jsonschema.Schema, raw any) (*Personal, error) {
	w := &personalPlaces{x: &extractor{raw: raw}, places: map[string]*Personal{}, live: map[*Personal]bool{}}
	at := w.place([]*jsonschema.Schema{root})
	if w.err != nil {
		return nil, w.err
	}
	for changed := true; changed; {
		changed = false
		for _, p := range w.places {
			if !w.live[p] && (p.class != "" || p.any(func(sub *Personal) bool { return w.live[sub] })) {
				w.live[p], changed = true, true
			}
		}
	}
	for _, p := range w.places {
		w.prune(p)
	}
	if !w.live[at] {
		return nil, nil
	}
	return at, nil
}

// any says whether f holds for a place right below.
func (p *Personal) any(f func(*Personal) bool) bool {
	for _, sub := range p.members {
		if f(sub) {
			return true
		}
	}
	return slices.ContainsFunc(p.patterns, func(s personalPattern) bool { return f(s.at) }) || f(p.others) || f(p.elements)
}

// prune puts nil for places with nothing personal.
func (w *personalPlaces) prune(p *Personal) {
	keep := func(sub *Personal) *Personal {
		if w.live[sub] {
			return sub
		}
		return nil
	}
	for name, sub := range p.members {
		p.members[name] = keep(sub)
	}
	for i := range p.patterns {
		p.patterns[i].at = keep(p.patterns[i].at)
	}
	p.others, p.elements = keep(p.others), keep(p.elements)
	if p.others == nil && !p.any(func(sub *Personal) bool { return sub != nil }) {
		p.members, p.patterns = nil, nil
	}
}

// place returns the place to which those schemas apply, nil for none.
func (w *personalPlaces) place(in []*jsonschema.Schema) *Personal {
	all := w.inPlace(in)
	if len(all) == 0 || w.err != nil {
		return nil
	}
	var key strings.Builder
	for _, s := range all {
		fmt.Fprintf(&key, "%p ", s)
	}
	if known := w.places[key.String()]; known != nil {
		return known
	}
	if len(w.places) >= maxPersonal {
		w.err = fmt.Errorf("its places that can be personal are more than %d; say x-pii at an enclosing object or split the schema", maxPersonal)
		return nil
	}
	p := &Personal{}
	w.places[key.String()] = p
	if p.class, w.err = w.x.pii(node{schemas: all}, ""); w.err != nil {
		return nil
	}
	w.below(p, all)
	return p
}

// inPlace adds the schemas that apply to the same place, in one order.
func (w *personalPlaces) inPlace(in []*jsonschema.Schema) (all []*jsonschema.Schema) {
	seen := map[*jsonschema.Schema]bool{}
	var add func(...*jsonschema.Schema)
	add = func(list ...*jsonschema.Schema) {
		for _, s := range list {
			if s == nil || seen[s] {
				continue
			}
			seen[s] = true
			all = append(all, s)
			add(s.Ref, s.RecursiveRef)
			if s.DynamicRef != nil {
				add(s.DynamicRef.Ref)
			}
			add(s.AllOf...)
			add(s.AnyOf...)
			add(s.OneOf...)
			add(s.If, s.Then, s.Else)
			for _, name := range slices.Sorted(maps.Keys(s.DependentSchemas)) {
				add(s.DependentSchemas[name])
			}
			for _, name := range slices.Sorted(maps.Keys(s.Dependencies)) {
				if sub, ok := s.Dependencies[name].(*jsonschema.Schema); ok {
					add(sub)
				}
			}
		}
	}
	add(in...)
	return all
}

// below fills in the places of members and elements.
func (w *personalPlaces) below(p *Personal, all []*jsonschema.Schema) {
	names := map[string]bool{}
	patterns := map[string]jsonschema.Regexp{}
	var elements []*jsonschema.Schema
	for _, s := range all {
		for name := range s.Properties {
			names[name] = true
		}
		for re := range s.PatternProperties {
			patterns[re.String()] = re
		}
		elements = append(elements, s.PrefixItems...)
		elements = append(elements, s.Items2020, s.Contains, s.UnevaluatedItems)
		for _, items := range []any{s.Items, s.AdditionalItems} {
			switch items := items.(type) {
			case *jsonschema.Schema:
				elements = append(elements, items)
			case []*jsonschema.Schema:
				elements = append(elements, items...)
			}
		}
	}
	p.elements = w.place(elements)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if p.members == nil {
			p.members = map[string]*Personal{}
		}
		p.members[name] = w.place(memberSchemas(all, name))
	}
	// A name that several patterns match is all of theirs; which, is known when a name is there. What the first one
	// finds is good enough, as long as every schema that can apply to such a name is in it.
	for _, text := range slices.Sorted(maps.Keys(patterns)) {
		sub := otherSchemas(all)
		for _, s := range all {
			for _, re := range sortedPatterns(s) {
				if of := s.PatternProperties[re]; re.String() == text {
					sub = append([]*jsonschema.Schema{of}, sub...)
				} else {
					sub = append(sub, of)
				}
			}
		}
		p.patterns = append(p.patterns, personalPattern{patterns[text], w.place(sub)})
	}
	p.others = w.place(otherSchemas(all))
}

// memberSchemas are those that can apply to a declared member.
func memberSchemas(all []*jsonschema.Schema, name string) (out []*jsonschema.Schema) {
	for _, s := range all {
		sub, declared := s.Properties[name]
		out = append(out, sub)
		for _, re := range sortedPatterns(s) {
			if re.MatchString(name) {
				out, declared = append(out, s.PatternProperties[re]), true
			}
		}
		if !declared {
			out = append(out, additional(s)...)
		}
	}
	return out
}

func sortedPatterns(s *jsonschema.Schema) []jsonschema.Regexp {
	return slices.SortedFunc(maps.Keys(s.PatternProperties), func(a, b jsonschema.Regexp) int { return strings.Compare(a.String(), b.String()) })
}

// otherSchemas are those that can apply to a member that nothing declares.
func otherSchemas(all []*jsonschema.Schema) (out []*jsonschema.Schema) {
	for _, s := range all {
		out = append(out, additional(s)...)
	}
	return out
}

func additional(s *jsonschema.Schema) []*jsonschema.Schema {
	sub, _ := s.AdditionalProperties.(*jsonschema.Schema)
	return []*jsonschema.Schema{sub, s.UnevaluatedProperties}
}
