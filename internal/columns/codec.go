// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/internal/schema"
)

// Encoded is a layout as it is kept, as JSON, so that what was built by it can be read, or built again, whatever the schemas
// say by then.
type Encoded struct {
	Columns []EncodedColumn `json:"columns"`
	Schemas []Schema        `json:"schemas"`
	Only    bool            `json:"only,omitempty"`
}

// EncodedColumn is a Column as it is kept.
type EncodedColumn struct {
	Name           string `json:"name"`
	Kind           string `json:"kind"`
	Precision      int    `json:"precision,omitempty"`
	Scale          int    `json:"scale,omitempty"`
	LowCardinality bool   `json:"low_cardinality,omitempty"`
	Repeated       bool   `json:"repeated,omitempty"`
	Nanoseconds    bool   `json:"nanoseconds,omitempty"`
}

// Encode returns what Decode reads.
func (l *Layout) Encode() Encoded {
	e := Encoded{Schemas: l.Schemas, Only: l.Only}
	for i := range l.Columns {
		c := &l.Columns[i]
		e.Columns = append(e.Columns, EncodedColumn{
			Name: c.Name, Kind: c.Type.Kind.String(), Precision: c.Type.Precision, Scale: c.Type.Scale,
			LowCardinality: c.Type.LowCardinality, Repeated: c.Repeated, Nanoseconds: c.Nanoseconds,
		})
	}
	return e
}

// Decode returns the layout.
func (e Encoded) Decode() (*Layout, error) {
	if e.Only && len(e.Schemas) != 1 {
		return nil, fmt.Errorf("reading a kept layout: it is of %d schemas and not of one", len(e.Schemas))
	}
	l := &Layout{Schemas: e.Schemas, Only: e.Only}
	for _, c := range e.Columns {
		kind, ok := kindOf(c.Kind)
		if !ok {
			return nil, fmt.Errorf("reading a kept layout: column %q has the unknown type %q", c.Name, c.Kind)
		}
		typ := schema.Type{Kind: kind, Precision: c.Precision, Scale: c.Scale, LowCardinality: c.LowCardinality}
		if c.Nanoseconds && (c.Repeated || typ != schema.Type{Kind: schema.DateTime64, Scale: 9}) {
			return nil, fmt.Errorf("reading a kept layout: column %q is no time of nanoseconds", c.Name)
		}
		l.Columns = append(l.Columns, Column{Name: c.Name, Repeated: c.Repeated, Nanoseconds: c.Nanoseconds, Type: typ})
	}
	for i := range l.Schemas {
		for j := range l.Schemas[i].Properties {
			p := &l.Schemas[i].Properties[j]
			if p.Column < 0 || p.Column >= len(l.Columns) || len(p.Path) == 0 || p.Each < 0 || p.Each > len(p.Path) ||
				p.Each > 0 && !l.Columns[p.Column].Repeated {
				return nil, fmt.Errorf("reading a kept layout: property %q of %q has no place", strings.Join(p.Path, "."), l.Schemas[i].Subject)
			}
		}
	}
	l.grow()
	return l, nil
}

func kindOf(name string) (schema.Kind, bool) {
	for k := schema.String; k <= schema.UUID; k++ {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}
