// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/internal/event"
)

// Bounds of what one schema can become.
const (
	maxProperties  = 5_000  // columns of one schema
	maxColumnName  = 255    // bytes
	maxPathLength  = 32     // levels of objects
	maxPlaces      = 50_000 // walked to find them: a shared definition is walked wherever it is led to
	documentPrefix = documentURL + "#"
)

// envelopeColumns are the columns of the events table that are no properties. A property of such a name gets
// the column "property_" + name.
var envelopeColumns = map[string]bool{
	"event_id": true, "event_name": true, "event_time": true, "received_time": true, "user_id": true,
	"anonymous_id": true, "session_id": true, "tenant_id": true, "source": true, "schema_name": true,
	"schema_version": true, "trace_id": true, "span_id": true, "resource": true, "properties": true, "_delivery": true,
}

// isReserved says whether the name is an envelope column's or reads as a part of one of the JSON columns.
func isReserved(name string) bool {
	return envelopeColumns[name] || strings.HasPrefix(name, "properties.") || strings.HasPrefix(name, "resource.")
}

// extractor collects the typed leaves of one schema.
type extractor struct {
	raw     any // the document, for the keywords that the library does not know
	out     []Property
	columns map[string]string           // column to the JSON pointer of its property, to name a clash
	active  map[*jsonschema.Schema]bool // the objects on the way to here: a recursive schema ends at itself
	places  int                         // walked so far
}

// place is where the walk is.
type place struct {
	path []string
	each int    // see Property.Each
	pii  string // inherited from an enclosing object
}

func (p place) member(name string) place {
	p.path = append(slices.Clip(p.path), name)
	return p
}

func (p place) pointer() string { return event.Pointer(p.path) }

func extractProperties(root *jsonschema.Schema, raw any) ([]Property, error) {
	x := &extractor{raw: raw, columns: map[string]string{}, active: map[*jsonschema.Schema]bool{}}
	n := x.gather([]*jsonschema.Schema{root})
	if n.types&maskObject == 0 && root.Bool == nil {
		return nil, errors.New("the schema's root must describe the event's properties as one object; give it \"type\": \"object\"")
	}
	if _, at, ok := x.keyword(n, "x-column"); ok {
		return nil, fmt.Errorf("%q: the root is no column; put x-column at a property", at)
	}
	var here place
	var err error
	if here.pii, err = x.pii(n, ""); err != nil {
		return nil, err
	}
	if err := x.object(n, here); err != nil {
		return nil, err
	}
	slices.SortFunc(x.out, func(a, b Property) int { return strings.Compare(a.Column, b.Column) })
	return x.out, nil
}

// node is what several schemas together say of one value: a schema, what it refers to, and its allOf.
type node struct {
	schemas  []*jsonschema.Schema // the outermost first
	types    typeMask             // what all of them allow
	declared bool                 // any of them says something of the type
	few      bool                 // enum or const: few distinct values
	format   string
}

// gather collects in place: $ref, allOf, and the branch beside null of a nullable anyOf or oneOf.
func (x *extractor) gather(in []*jsonschema.Schema) node {
	n := node{types: maskAll}
	typed, values := false, maskAll
	narrow := func(listed []any) {
		var mask typeMask
		for _, v := range listed {
			mask |= maskOfValue(v)
		}
		values &= mask
		n.few = true
	}
	seen := map[*jsonschema.Schema]bool{}
	var add func(s *jsonschema.Schema)
	add = func(s *jsonschema.Schema) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		n.schemas = append(n.schemas, s)
		if s.Types != nil {
			typed = true
			n.types &= maskOf(s.Types)
		}
		if s.Enum != nil {
			narrow(s.Enum.Values)
		}
		if s.Const != nil {
			narrow([]any{*s.Const})
		}
		if s.Format != nil && n.format == "" {
			n.format = s.Format.Name
		}
		add(s.Ref)
		for _, sub := range s.AllOf {
			add(sub)
		}
		add(besideNull(s.AnyOf))
		add(besideNull(s.OneOf))
	}
	for _, s := range in {
		add(s)
	}
	if typed && values&maskNumber != 0 {
		values |= maskNumber // "number" stays one, also where only whole ones are listed
	}
	n.types &= values
	n.declared = typed || n.few
	return n
}

// besideNull returns the other branch of a choice between one schema and null.
func besideNull(branches []*jsonschema.Schema) *jsonschema.Schema {
	if len(branches) != 2 {
		return nil
	}
	for i, b := range branches {
		if b.Types != nil && maskOf(b.Types) == maskNull {
			return branches[1-i]
		}
	}
	return nil
}

// walk adds the leaves at or below one property.
func (x *extractor) walk(n node, here place) error {
	if x.places++; x.places > maxPlaces {
		return fmt.Errorf("the schema unfolds to more than %d properties, at %q among them; leave the type of some open or split the schema",
			maxPlaces, here.pointer())
	}
	var err error
	if here.pii, err = x.pii(n, here.pii); err != nil {
		return err
	}
	types := n.types &^ maskNull
	switch {
	case !n.declared:
	case types == maskObject:
		if err := x.noColumn(n, "an object is not one column"); err != nil {
			return err
		}
		return x.object(n, here)
	case types == maskArray:
		return x.array(n, here)
	case scalar(types):
		return x.leaf(n, n, here, false)
	}
	return x.noColumn(n, "the value has no single scalar type")
}

// scalar says whether the types come to one scalar type.
func scalar(types typeMask) bool {
	switch types {
	case maskBool, maskString, maskWhole, maskFraction, maskNumber:
		return true
	}
	return false
}

// object walks the members in the order of their names.
func (x *extractor) object(n node, here place) error {
	if len(here.path) >= maxPathLength {
		return nil
	}
	members := map[string][]*jsonschema.Schema{}
	for _, s := range n.schemas {
		if x.active[s] {
			return nil // the schema contains itself
		}
		for name, sub := range s.Properties {
			members[name] = append(members[name], sub)
		}
	}
	for _, s := range n.schemas {
		x.active[s] = true
		defer delete(x.active, s)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if err := x.walk(x.gather(members[name]), here.member(name)); err != nil {
			return err
		}
	}
	return nil
}

// array adds an array of scalars as one leaf and an array of objects as one leaf per scalar member.
func (x *extractor) array(n node, here place) error {
	var items []*jsonschema.Schema
	for _, s := range n.schemas {
		if s.Items2020 != nil && len(s.PrefixItems) == 0 {
			items = append(items, s.Items2020)
		}
		if sub, ok := s.Items.(*jsonschema.Schema); ok {
			items = append(items, sub)
		}
	}
	element := x.gather(items)
	types := element.types &^ maskNull
	switch {
	case here.each > 0: // an array in an array
		return x.noColumn(n, "arrays in arrays are no columns")
	case element.declared && scalar(types):
		return x.leaf(n, element, here, true)
	case element.declared && types == maskObject:
		if err := x.noColumn(n, "an array of objects is one column per member; put x-column at a member"); err != nil {
			return err
		}
		here.each = len(here.path)
		var err error
		if here.pii, err = x.pii(element, here.pii); err != nil {
			return err
		}
		return x.object(element, here)
	}
	return x.noColumn(n, "the elements have no single scalar type")
}

// leaf adds one property. For an array the outer node is the array and n its elements, else both are one.
func (x *extractor) leaf(outer, n node, here place, array bool) error {
	p := Property{Path: slices.Clone(here.path), Each: here.each, Array: array, Format: n.format}
	var err error
	if p.PII, err = x.pii(n, here.pii); err != nil {
		return err
	}
	if p.Type, err = x.typeOf(outer, n); err != nil {
		return err
	}
	p.Text = p.Type.Kind == Decimal && n.types&^maskNull == maskString
	if p.Column, err = x.columnOf(outer, n, &p); err != nil || p.Column == "" {
		return err
	}
	if other, clash := x.columns[p.Column]; clash {
		return fmt.Errorf("properties %q and %q are both column %q; give one another with \"x-column\": {\"name\": \"…\"}",
			other, here.pointer(), p.Column)
	}
	if len(x.out) >= maxProperties {
		return fmt.Errorf("the schema has more than %d typed properties; leave the type of some open or split the schema", maxProperties)
	}
	x.columns[p.Column] = here.pointer()
	x.out = append(x.out, p)
	return nil
}

// columnName joins the path by dots. An array's own path is joined by underscores, because ClickHouse takes
// array columns with one prefix before a dot for parts of one Nested, whose lengths must be equal: so only
// the members of one array of objects share such a prefix.
func columnName(p *Property) string {
	flat := func(path []string) string { return strings.ReplaceAll(strings.Join(path, "_"), ".", "_") }
	var name string
	switch {
	case p.Array:
		name = flat(p.Path)
	case p.Each > 0:
		name = flat(p.Path[:p.Each]) + "." + strings.Join(p.Path[p.Each:], ".")
	default:
		name = strings.Join(p.Path, ".")
	}
	if isReserved(name) {
		name = "property_" + name
	}
	return name
}

// badColumnName says why a name cannot be a column's, or "".
func badColumnName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxColumnName:
		return "is longer than " + strconv.Itoa(maxColumnName) + " bytes"
	case strings.ContainsFunc(name, isControl) || strings.ContainsAny(name, "`\\"):
		return "contains a control character, a backtick or a backslash"
	}
	return ""
}

// keyword looks for one of our own keywords in the node, and returns its value and its JSON pointer.
func (x *extractor) keyword(n node, name string) (value any, at string, ok bool) {
	for _, s := range n.schemas {
		if value, ok := x.rawOf(s)[name]; ok {
			pointer, _ := strings.CutPrefix(s.Location, documentURL)
			return value, pointer + "/" + name, true
		}
	}
	return nil, "", false
}

// rawOf returns the schema as it stands in the document.
func (x *extractor) rawOf(s *jsonschema.Schema) map[string]any {
	fragment, ok := strings.CutPrefix(s.Location, documentPrefix)
	if !ok {
		return nil // a metaschema
	}
	pointer, err := url.PathUnescape(fragment)
	if err != nil {
		return nil
	}
	v := x.raw
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch parent := v.(type) {
		case map[string]any:
			v = parent[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(parent) {
				return nil
			}
			v = parent[i]
		default:
			return nil
		}
	}
	obj, _ := v.(map[string]any)
	return obj
}

// noColumn refuses x-column where there is no column.
func (x *extractor) noColumn(n node, why string) error {
	if value, at, ok := x.keyword(n, "x-column"); ok {
		return fmt.Errorf("%q: %s: %s; remove x-column or give the value one scalar type", at, compactJSON(value), why)
	}
	return nil
}

func (x *extractor) pii(n node, inherited string) (string, error) {
	value, at, ok := x.keyword(n, "x-pii")
	if !ok {
		return inherited, nil
	}
	class, ok := value.(string)
	if !ok || class == "" {
		return "", fmt.Errorf("%q: %s must name a class of personal data, such as \"email\"", at, compactJSON(value))
	}
	return class, nil
}
