// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/internal/event"
)

// Judging applies schemas to values. Where a schema leads back to itself in several ways at once, as in a oneOf
// whose branches all hold a child like the whole, the number of applications doubles with each level of the
// event: a few hundred bytes could keep a processor busy for days. So events of such schemas are reckoned first.
const (
	maxUnfolded     = 20_000  // schemas, each counted as often as it is led to, from where events are reckoned
	maxApplications = 200_000 // to one event; some 0.2 s of the library's time
)

// isCostly says whether judging by the schema can take more than each value of the event a few times.
func isCostly(root *jsonschema.Schema) bool {
	const visiting = -1
	unfolded := map[*jsonschema.Schema]int{}
	costly := false
	var visit func(s *jsonschema.Schema) int
	visit = func(s *jsonschema.Schema) int {
		switch n := unfolded[s]; {
		case n == visiting:
			costly = true // recursive
			return 0
		case n > 0:
			return n
		}
		unfolded[s] = visiting
		n := 1
		for _, sub := range append(inPlaceOf(s), slices.Concat(membersOf(s), elementsOf(s))...) {
			n = min(n+visit(sub), maxUnfolded+1)
		}
		unfolded[s] = n
		return n
	}
	return visit(root) > maxUnfolded || costly
}

// inPlaceOf returns the schemas that judge the same value.
func inPlaceOf(s *jsonschema.Schema) []*jsonschema.Schema {
	out := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else}
	if s.DynamicRef != nil {
		out = append(out, s.DynamicRef.Ref)
	}
	out = append(append(append(out, s.AllOf...), s.AnyOf...), s.OneOf...)
	for _, d := range s.Dependencies {
		if sub, ok := d.(*jsonschema.Schema); ok {
			out = append(out, sub)
		}
	}
	return present(slices.AppendSeq(out, maps.Values(s.DependentSchemas)))
}

// membersOf returns the schemas that judge members of an object.
func membersOf(s *jsonschema.Schema) []*jsonschema.Schema {
	return present(slices.AppendSeq(beyondProperties(s), maps.Values(s.Properties)))
}

// beyondProperties returns those that may judge members of any name.
func beyondProperties(s *jsonschema.Schema) []*jsonschema.Schema {
	more, _ := s.AdditionalProperties.(*jsonschema.Schema)
	out := []*jsonschema.Schema{more, s.UnevaluatedProperties, s.PropertyNames}
	return present(slices.AppendSeq(out, maps.Values(s.PatternProperties)))
}

// elementsOf returns the schemas that judge elements of an array.
func elementsOf(s *jsonschema.Schema) []*jsonschema.Schema {
	one, _ := s.Items.(*jsonschema.Schema)
	listed, _ := s.Items.([]*jsonschema.Schema)
	more, _ := s.AdditionalItems.(*jsonschema.Schema)
	out := []*jsonschema.Schema{s.Items2020, s.Contains, s.UnevaluatedItems, one, more}
	return present(append(append(out, listed...), s.PrefixItems...))
}

func present(in []*jsonschema.Schema) []*jsonschema.Schema {
	return slices.DeleteFunc(in, func(s *jsonschema.Schema) bool { return s == nil })
}

// meter counts applications of schemas to the values of one event, never fewer than the library needs: it takes
// every branch, and every schema of an array for each of its elements.
type meter struct {
	left  int
	parts map[*jsonschema.Schema]*parts
}

// parts are the schemas below one schema.
type parts struct{ inPlace, beyond, elements []*jsonschema.Schema }

// tooCostly says whether judging the event would take more than maxApplications.
func tooCostly(root *jsonschema.Schema, e *event.Event) bool {
	m := meter{left: maxApplications, parts: map[*jsonschema.Schema]*parts{}}
	return !m.apply(root, nil, e.Properties, nil)
}

// chain is the schemas that led to one another for one and the same value.
type chain struct {
	schema *jsonschema.Schema
	up     *chain
}

func (c *chain) has(s *jsonschema.Schema) bool {
	for ; c != nil; c = c.up {
		if c.schema == s {
			return true
		}
	}
	return false
}

// apply counts what judging one value takes, or, where v is nil, the object whose members are the event's
// properties. It returns false when there is nothing left.
func (m *meter) apply(s *jsonschema.Schema, v *event.Value, properties []event.Property, above *chain) bool {
	if m.left--; m.left < 0 {
		return false
	}
	if above.has(s) {
		return true // here the library gives up too
	}
	p := m.parts[s]
	if p == nil {
		p = &parts{inPlaceOf(s), beyondProperties(s), elementsOf(s)}
		m.parts[s] = p
	}
	here := chain{s, above}
	for _, sub := range p.inPlace {
		if !m.apply(sub, v, properties, &here) {
			return false
		}
	}
	switch {
	case v == nil:
		for i := range properties {
			if !m.applyMember(s, p, properties[i].Key, &properties[i].Value) {
				return false
			}
		}
	case v.Kind() == event.KindMap:
		for key, member := range v.Members {
			if !m.applyMember(s, p, key, &member) {
				return false
			}
		}
	case v.Kind() == event.KindSlice && len(p.elements) > 0:
		for i := range v.Len() {
			element := v.Index(i)
			for _, sub := range p.elements {
				if !m.apply(sub, &element, nil, nil) {
					return false
				}
			}
		}
	}
	return true
}

func (m *meter) applyMember(s *jsonschema.Schema, p *parts, key string, v *event.Value) bool {
	if sub := s.Properties[key]; sub != nil && !m.apply(sub, v, nil, nil) {
		return false
	}
	for _, sub := range p.beyond {
		if !m.apply(sub, v, nil, nil) {
			return false
		}
	}
	return true
}
