// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/millrace/millrace/internal/schema"
)

// A layout is kept with the event log's state, so that a replay maps events to columns as the first attempt did,
// whatever the schemas say by then. It is written once, however many plans name it.

type layoutJSON struct {
	PropertiesType string         `json:"properties_type"`
	Columns        []columnJSON   `json:"columns"`
	Schemas        []schemaLayout `json:"schemas"`
}

type columnJSON struct {
	Name           string `json:"name"`
	Kind           string `json:"kind"`
	Precision      int    `json:"precision,omitempty"`
	Scale          int    `json:"scale,omitempty"`
	LowCardinality bool   `json:"low_cardinality,omitempty"`
	Repeated       bool   `json:"repeated,omitempty"`
}

// encode returns the layout's bytes and a name that is a function of them.
func (l *layout) encode() (name string, value []byte) {
	doc := layoutJSON{PropertiesType: l.propertiesType, Schemas: l.schemas}
	for i := range l.columns {
		c := &l.columns[i]
		doc.Columns = append(doc.Columns, columnJSON{
			Name: c.name, Kind: c.typ.Kind.String(), Precision: c.typ.Precision, Scale: c.typ.Scale,
			LowCardinality: c.typ.LowCardinality, Repeated: c.repeated,
		})
	}
	value, err := json.Marshal(&doc)
	if err != nil { // texts and numbers only
		panic(err)
	}
	sum := sha256.Sum256(value)
	return "layout/" + hex.EncodeToString(sum[:16]), value
}

// decodeLayout reads what encode wrote.
func decodeLayout(value []byte) (*layout, error) {
	var doc layoutJSON
	if err := json.Unmarshal(value, &doc); err != nil {
		return nil, fmt.Errorf("reading a kept layout: %w", err)
	}
	if !isJSON(doc.PropertiesType) {
		return nil, fmt.Errorf("reading a kept layout: %q is no JSON type", doc.PropertiesType)
	}
	l := &layout{propertiesType: doc.PropertiesType, schemas: doc.Schemas}
	for _, c := range doc.Columns {
		kind, ok := kindOf(c.Kind)
		if !ok {
			return nil, fmt.Errorf("reading a kept layout: column %q has the unknown type %q", c.Name, c.Kind)
		}
		l.columns = append(l.columns, propertyColumn{name: c.Name, repeated: c.Repeated, typ: schema.Type{
			Kind: kind, Precision: c.Precision, Scale: c.Scale, LowCardinality: c.LowCardinality,
		}})
	}
	for i := range l.schemas {
		for j := range l.schemas[i].Properties {
			p := &l.schemas[i].Properties[j]
			if p.Column < 0 || p.Column >= len(l.columns) || len(p.Path) == 0 || p.Each < 0 || p.Each > len(p.Path) ||
				p.Each > 0 && !l.columns[p.Column].repeated {
				return nil, fmt.Errorf("reading a kept layout: property %q of %q has no place", strings.Join(p.Path, "."), l.schemas[i].Subject)
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

// holds says whether values of the type go unchanged into a column that the server describes so: a column that was
// widened since a plan was made takes what the plan has for it.
func (c *propertyColumn) holds(definition string) bool {
	if definition == c.definition() || c.storedAs(definition) {
		return true
	}
	for k := schema.String; k <= schema.UUID; k++ {
		if !widens(c.typ.Kind, k) {
			continue
		}
		wider := *c
		wider.typ = schema.Type{Kind: k}
		if wider.definition() == definition || wider.storedAs(definition) {
			return true
		}
	}
	return c.typ.Kind == schema.Decimal && c.holdsDecimal(definition)
}

func (c *propertyColumn) holdsDecimal(definition string) bool {
	wider := *c
	for wider.typ.Precision = c.typ.Precision + 1; wider.typ.Precision <= 38; wider.typ.Precision++ {
		if wider.definition() == definition {
			return true
		}
	}
	return false
}

// widens says whether every value of one kind is one of the other.
func widens(from, to schema.Kind) bool {
	between := func(k, first, last schema.Kind) bool { return k >= first && k <= last }
	switch {
	case between(from, schema.Int8, schema.Int64) && between(to, schema.Int8, schema.Int64),
		between(from, schema.UInt8, schema.UInt64) && between(to, schema.UInt8, schema.UInt64):
		return to > from
	case between(from, schema.UInt8, schema.UInt32) && between(to, schema.Int8, schema.Int64):
		return to-schema.Int8 > from-schema.UInt8 // one size up
	case from == schema.Float32:
		return to == schema.Float64
	}
	return false
}
