// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/event"
)

// NewSnapshot makes a snapshot of these schemas. It refuses a version that stands twice, two subjects that
// one event name could mean, and one column with two types. The error is one line.
//
// LowCardinality is a matter of storage, not of type: a column has it only where every schema with that
// column says so. Schemas that differ in it are copied, the given ones are left as they are.
func NewSnapshot(generation uint64, schemas []*Schema) (*Snapshot, error) {
	s := &Snapshot{
		generation: generation,
		schemas:    slices.Clone(schemas),
		versions:   map[string]map[string]*Schema{},
		latest:     map[string]*Schema{},
		canonical:  map[string]*Schema{},
	}
	slices.SortStableFunc(s.schemas, func(a, b *Schema) int {
		if c := strings.Compare(a.Subject, b.Subject); c != 0 {
			return c
		}
		return compareVersions(a.Version, b.Version)
	})
	if err := s.unifyColumns(); err != nil {
		return nil, err
	}
	if err := s.separateArrays(); err != nil {
		return nil, err
	}
	for _, sch := range s.schemas {
		versions := s.versions[sch.Subject]
		if versions == nil {
			versions = map[string]*Schema{}
			s.versions[sch.Subject] = versions
		}
		if versions[sch.Version] != nil {
			return nil, fmt.Errorf("schema %q is there twice; remove one or raise its version", sch.ID())
		}
		versions[sch.Version] = sch
		s.latest[sch.Subject] = sch // sorted: the last is the latest

		name := CanonicalName(sch.Subject)
		if name == "" {
			continue
		}
		if other := s.canonical[name]; other != nil && other.Subject != sch.Subject {
			return nil, fmt.Errorf("subjects %q and %q are both %q to an event's name; rename one or make them versions of one subject",
				other.Subject, sch.Subject, name)
		}
		s.canonical[name] = sch
	}
	return s, nil
}

// column is what the schemas so far say of one column.
type column struct {
	from           *Schema
	typ            Type // without LowCardinality
	repeated       bool
	lowCardinality bool // all say so
	mixed          bool // some do, some do not
}

func (s *Snapshot) unifyColumns() error {
	columns := map[string]*column{}
	mixed := false
	for _, sch := range s.schemas {
		for i := range sch.Properties {
			p := &sch.Properties[i]
			typ := p.Type
			typ.LowCardinality = false
			c := columns[p.Column]
			if c == nil {
				columns[p.Column] = &column{
					from: sch, typ: typ, repeated: p.Repeated(), lowCardinality: p.Type.LowCardinality,
				}
				continue
			}
			if c.typ != typ || c.repeated != p.Repeated() {
				return fmt.Errorf("column %q is %s in schema %q but %s in schema %q; give both one type, or one of them another column with \"x-column\": {\"name\": \"…\"}",
					p.Column, columnType(c.typ, c.repeated), c.from.ID(), columnType(typ, p.Repeated()), sch.ID())
			}
			if c.lowCardinality != p.Type.LowCardinality {
				c.lowCardinality, c.mixed, mixed = false, true, true
			}
		}
	}
	if !mixed {
		return nil
	}
	for i, sch := range s.schemas {
		differs := func(p Property) bool { return p.Type.LowCardinality && columns[p.Column].mixed }
		if !slices.ContainsFunc(sch.Properties, differs) {
			continue
		}
		unified := *sch
		unified.Properties = slices.Clone(sch.Properties)
		for j := range unified.Properties {
			if differs(unified.Properties[j]) {
				unified.Properties[j].Type.LowCardinality = false
			}
		}
		s.schemas[i] = &unified
	}
	return nil
}

// separateArrays refuses columns of two arrays that share a name's part before the dot: ClickHouse takes array
// columns of one prefix for one Nested, and refuses every row in which their lengths differ.
func (s *Snapshot) separateArrays() error {
	type owner struct{ array, column, schema string }
	owners := map[string]owner{}
	for _, sch := range s.schemas {
		for i := range sch.Properties {
			p := &sch.Properties[i]
			prefix, _, dotted := strings.Cut(p.Column, ".")
			if !p.Repeated() || !dotted {
				continue
			}
			array := event.Pointer(p.Path)
			if p.Each > 0 {
				array = event.Pointer(p.Path[:p.Each])
			}
			first, taken := owners[prefix]
			if !taken {
				owners[prefix] = owner{array, p.Column, sch.ID()}
			} else if first.array != array {
				return fmt.Errorf("column %q in schema %q is of array %q but column %q in schema %q of array %q, and ClickHouse takes %q before the dot for one array; "+
					"give one of them another column with \"x-column\": {\"name\": \"…\"}", first.column, first.schema, first.array, p.Column, sch.ID(), array, prefix)
			}
		}
	}
	return nil
}

func columnType(t Type, repeated bool) string {
	if repeated {
		return "Array(" + t.String() + ")"
	}
	return t.String()
}
