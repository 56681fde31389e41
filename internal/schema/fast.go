// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"math/bits"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The fast path: a schema compiled into rules that judge an event where it lies, without maps and, for the
// usual keywords, without allocating. The library stays the engine. A rule's verdict is the library's or
// "unsure", and whatever is not found valid here goes to the library, which decides and explains.

// verdict is what a rule says of a value.
type verdict uint8

const (
	invalid verdict = iota
	valid
	unsure // a case that the rules leave to the library
)

func verdictOf(ok bool) verdict {
	if ok {
		return valid
	}
	return invalid
}

// rule is a compiled schema. What it does not mention is nil.
type rule struct {
	always  bool // a boolean schema, whose verdict is
	verdict verdict

	types  typeMask
	values *valueSet // enum
	konst  *valueSet // const
	format *format
	ref    *rule
	// refAlone: before draft 2019-09 a $ref hides what stands beside it, save for what the library checks
	// before it.
	refAlone bool

	text   *textRule
	number *numberRule
	array  *arrayRule
	object *objectRule

	not                  *rule
	allOf, anyOf         []*rule
	oneOf                []*rule
	ifs, then, otherwise *rule
}

type textRule struct {
	min, max int // in characters; max -1 where there is none
	pattern  func(string) bool
}

type numberRule struct {
	min, max, above, below *bound
	multiple               *multiple
	hasMultiple            bool
}

type arrayRule struct {
	min, max   int // max -1 where there is none
	unique     bool
	prefix     []*rule
	rest       *rule // of the elements after prefix
	restBanned bool  // none may be after prefix

	contains                 *rule
	minContains, maxContains int // maxContains -1 where there is none
}

// maxNames is how many names of members one schema may mention on the fast path.
const maxNames = 512

// nameSet is a set of indexes into an objectRule's names.
type nameSet [maxNames / 64]uint64

func (s *nameSet) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s *nameSet) has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }

// without says whether some member of s is not in other.
func (s *nameSet) without(other *nameSet, words int) bool {
	for w := range words {
		if s[w]&^other[w] != 0 {
			return true
		}
	}
	return false
}

type objectRule struct {
	names    nameTable
	members  []*rule // by index of the name; nil where properties does not mention it
	words    int     // of the nameSets in use
	required nameSet

	patterns     []patternRule
	extra        *rule // of members that neither properties nor patternProperties mention
	extraBanned  bool  // there may be none
	keys         *rule // propertyNames
	min, max     int   // max -1 where there is none
	dependencies []dependency

	// judgesUnknown says that members of names beyond the table matter, one by one or by their number. Then
	// a name that stands twice must be noticed.
	judgesUnknown bool
}

type patternRule struct {
	matches func(string) bool
	rule    *rule
}

type dependency struct {
	index    int // of the name whose presence asks for the rest
	required nameSet
	rule     *rule // judges the object itself
}

// fastCompiler compiles the library's schemas into rules.
type fastCompiler struct {
	rules       map[*jsonschema.Schema]*rule
	unsupported bool
}

// compileFast returns the rule for a schema, or nil where it uses what the rules do not know.
func compileFast(root *jsonschema.Schema) *rule {
	c := &fastCompiler{rules: map[*jsonschema.Schema]*rule{}}
	r := c.rule(root)
	if c.unsupported || circular(c.rules) {
		return nil
	}
	return r
}

func (c *fastCompiler) rule(s *jsonschema.Schema) *rule {
	if s == nil || c.unsupported {
		return nil
	}
	if r := c.rules[s]; r != nil {
		return r
	}
	r := &rule{types: maskOf(s.Types)}
	c.rules[s] = r
	if s.Bool != nil {
		r.always, r.verdict = true, verdictOf(*s.Bool)
		return r
	}
	if s.RecursiveRef != nil || s.DynamicRef != nil || s.UnevaluatedProperties != nil || s.UnevaluatedItems != nil ||
		s.ContentEncoding != nil || s.ContentMediaType != nil || s.ContentSchema != nil || len(s.Extensions) > 0 {
		c.unsupported = true
		return r
	}
	if s.Enum != nil {
		r.values = newValueSet(s.Enum.Values)
	}
	if s.Const != nil {
		r.konst = newValueSet([]any{*s.Const})
	}
	if s.Format != nil {
		r.format = newFormat(s.Format)
	}
	if s.Ref != nil {
		r.ref = c.rule(s.Ref)
		if r.refAlone = s.DraftVersion < 2019; r.refAlone {
			return r
		}
	}
	r.text, r.number = newTextRule(s), newNumberRule(s)
	r.array, r.object = c.arrayRule(s), c.objectRule(s)
	r.not = c.rule(s.Not)
	r.allOf, r.anyOf, r.oneOf = c.all(s.AllOf), c.all(s.AnyOf), c.all(s.OneOf)
	r.ifs, r.then, r.otherwise = c.rule(s.If), c.rule(s.Then), c.rule(s.Else)
	return r
}

func (c *fastCompiler) all(in []*jsonschema.Schema) []*rule {
	var out []*rule
	for _, s := range in {
		out = append(out, c.rule(s))
	}
	return out
}

func newTextRule(s *jsonschema.Schema) *textRule {
	if s.MinLength == nil && s.MaxLength == nil && s.Pattern == nil {
		return nil
	}
	r := &textRule{min: valueOr(s.MinLength, 0), max: valueOr(s.MaxLength, -1)}
	if s.MaxLength != nil && *s.MaxLength < 0 {
		r.max = 0 // cannot be: the metaschemas forbid it
	}
	if s.Pattern != nil {
		r.pattern = newPattern(s.Pattern)
	}
	return r
}

func newNumberRule(s *jsonschema.Schema) *numberRule {
	if s.Minimum == nil && s.Maximum == nil && s.ExclusiveMinimum == nil && s.ExclusiveMaximum == nil && s.MultipleOf == nil {
		return nil
	}
	return &numberRule{
		min: newBound(s.Minimum), max: newBound(s.Maximum),
		above: newBound(s.ExclusiveMinimum), below: newBound(s.ExclusiveMaximum),
		multiple: newMultiple(s.MultipleOf), hasMultiple: s.MultipleOf != nil,
	}
}

func (c *fastCompiler) arrayRule(s *jsonschema.Schema) *arrayRule {
	r := &arrayRule{
		min: valueOr(s.MinItems, 0), max: valueOr(s.MaxItems, -1), unique: s.UniqueItems,
		contains: c.rule(s.Contains), minContains: valueOr(s.MinContains, 1), maxContains: valueOr(s.MaxContains, -1),
	}
	if s.DraftVersion >= 2020 {
		r.prefix, r.rest = c.all(s.PrefixItems), c.rule(s.Items2020)
	} else {
		switch items := s.Items.(type) {
		case *jsonschema.Schema:
			r.rest = c.rule(items)
		case []*jsonschema.Schema:
			r.prefix = c.all(items)
			switch more := s.AdditionalItems.(type) {
			case bool:
				r.restBanned = !more
			case *jsonschema.Schema:
				r.rest = c.rule(more)
			}
		}
	}
	if r.min == 0 && r.max == -1 && !r.unique && r.contains == nil && r.rest == nil && !r.restBanned && len(r.prefix) == 0 {
		return nil
	}
	return r
}

func (c *fastCompiler) objectRule(s *jsonschema.Schema) *objectRule {
	r := &objectRule{min: valueOr(s.MinProperties, 0), max: valueOr(s.MaxProperties, -1), keys: c.rule(s.PropertyNames)}
	index := map[string]int{}
	var names []string
	id := func(name string) int {
		i, ok := index[name]
		if !ok {
			i = len(names)
			index[name] = i
			names = append(names, name)
		}
		return i
	}
	for name := range s.Properties {
		id(name)
	}
	for _, name := range s.Required {
		id(name)
	}
	type pending struct {
		name     string
		required []string
		schema   *jsonschema.Schema
	}
	var dependencies []pending
	for name, d := range s.Dependencies {
		switch d := d.(type) {
		case []string:
			dependencies = append(dependencies, pending{name: name, required: d})
		case *jsonschema.Schema:
			dependencies = append(dependencies, pending{name: name, schema: d})
		}
	}
	for name, required := range s.DependentRequired {
		dependencies = append(dependencies, pending{name: name, required: required})
	}
	for name, sub := range s.DependentSchemas {
		dependencies = append(dependencies, pending{name: name, schema: sub})
	}
	for _, d := range dependencies {
		id(d.name)
		for _, name := range d.required {
			id(name)
		}
	}
	if len(names) > maxNames {
		c.unsupported = true
		return nil
	}
	r.words = (len(names) + 63) / 64
	r.names = newNameTable(names)
	r.members = make([]*rule, len(names))
	for name, sub := range s.Properties {
		r.members[id(name)] = c.rule(sub)
	}
	for _, name := range s.Required {
		r.required.add(id(name))
	}
	for _, d := range dependencies {
		dep := dependency{index: id(d.name), rule: c.rule(d.schema)}
		for _, name := range d.required {
			dep.required.add(id(name))
		}
		r.dependencies = append(r.dependencies, dep)
	}
	for re, sub := range s.PatternProperties {
		r.patterns = append(r.patterns, patternRule{newPattern(re), c.rule(sub)})
	}
	switch more := s.AdditionalProperties.(type) {
	case bool:
		r.extraBanned = !more
	case *jsonschema.Schema:
		r.extra = c.rule(more)
		if r.extra != nil && r.extra.always {
			r.extraBanned = r.extra.verdict == invalid
			r.extra = nil
		}
	}
	r.judgesUnknown = len(r.patterns) > 0 || r.extra != nil || r.keys != nil || r.min > 0 || r.max >= 0
	if len(names) == 0 && !r.judgesUnknown && !r.extraBanned {
		return nil
	}
	return r
}

func valueOr(p *int, otherwise int) int {
	if p == nil {
		return otherwise
	}
	return *p
}

// circular says whether a rule leads to itself for one and the same value. The library calls such a value
// invalid; a rule would never end.
func circular(rules map[*jsonschema.Schema]*rule) bool {
	const visiting, done = 1, 2
	state := map[*rule]int{}
	var visit func(r *rule) bool
	visit = func(r *rule) bool {
		if r == nil || state[r] == done {
			return false
		}
		if state[r] == visiting {
			return true
		}
		state[r] = visiting
		if slices.ContainsFunc(r.inPlace(), visit) {
			return true
		}
		state[r] = done
		return false
	}
	for _, r := range rules {
		if visit(r) {
			return true
		}
	}
	return false
}

// inPlace returns the rules that judge the same value.
func (r *rule) inPlace() []*rule {
	out := []*rule{r.ref, r.not, r.ifs, r.then, r.otherwise}
	out = append(out, r.allOf...)
	out = append(out, r.anyOf...)
	out = append(out, r.oneOf...)
	if r.object != nil {
		for _, d := range r.object.dependencies {
			out = append(out, d.rule)
		}
	}
	return out
}

// nameTable finds the index of a name: open addressing over a hash of the name's length and its first and
// last eight bytes. Names of producers probe only among the names of the schema.
type nameTable struct {
	slots []nameSlot // a power of two, at most half full
	shift uint
}

type nameSlot struct {
	name  string
	index int // -1 where empty
}

func newNameTable(names []string) nameTable {
	if len(names) == 0 {
		return nameTable{}
	}
	size := 4
	for size < 2*len(names) {
		size *= 2
	}
	t := nameTable{slots: make([]nameSlot, size), shift: uint(64 - bits.TrailingZeros(uint(size)))}
	for i := range t.slots {
		t.slots[i].index = -1
	}
	for i, name := range names {
		at := hashName(name) >> t.shift
		for t.slots[at].index >= 0 {
			at = (at + 1) & uint64(size-1)
		}
		t.slots[at] = nameSlot{name, i}
	}
	return t
}

// find returns the name's index, or -1.
func (t *nameTable) find(name string) int {
	if len(t.slots) == 0 {
		return -1
	}
	for at := hashName(name) >> t.shift; ; at++ {
		slot := &t.slots[at&uint64(len(t.slots)-1)]
		if slot.index < 0 || slot.name == name {
			return slot.index
		}
	}
}

func hashName(s string) uint64 {
	const k1, k2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	n := len(s)
	var a, b uint64
	switch {
	case n >= 8:
		a, b = load8(s), load8(s[n-8:])
	case n >= 4:
		a, b = uint64(load4(s)), uint64(load4(s[n-4:]))
	case n > 0:
		a, b = uint64(s[0])<<8|uint64(s[n/2]), uint64(s[n-1])
	}
	h := (a ^ uint64(n)) * k1
	h = (h ^ h>>29 ^ b) * k2
	return h ^ h<<32
}

func load8(s string) uint64 { return uint64(load4(s)) | uint64(load4(s[4:]))<<32 }

func load4(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}
