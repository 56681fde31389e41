// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"strings"

	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/schema"
)

// forms says what the columns of declared properties hold. One goroutine at a time.
type forms struct {
	bySchema map[*schema.Schema]*declared
	path     []byte
}

// declared is what one schema says of columns.
type declared struct {
	leaves  map[string]masking.Form
	objects map[string]bool // that have leaves
	deepest int             // levels of the longest path
}

// maxForms bounds the schemas kept: each reload makes new ones.
const maxForms = 1024

// of returns the form of the property at that path, Any where none is declared.
func (f *forms) of(s *schema.Schema, path []string) masking.Form {
	d := f.find(s)
	if len(path) > d.deepest { // a sender's objects nest a thousand times as deep, and a path has all of their keys
		return masking.Any
	}
	return d.leaves[string(f.join(path))]
}

// declares says whether the schema declares members of the object at that path.
func (f *forms) declares(s *schema.Schema, path []string) bool {
	d := f.find(s)
	return len(path) < d.deepest && d.objects[string(f.join(path))]
}

func (f *forms) find(s *schema.Schema) *declared {
	if d := f.bySchema[s]; d != nil {
		return d
	}
	if f.bySchema == nil || len(f.bySchema) >= maxForms {
		f.bySchema = map[*schema.Schema]*declared{}
	}
	d := &declared{leaves: map[string]masking.Form{}, objects: map[string]bool{}}
	for i := range s.Properties {
		p := &s.Properties[i]
		d.leaves[strings.Join(p.Path, "\x00")] = formOf(p)
		d.deepest = max(d.deepest, len(p.Path))
		for n := 1; n < len(p.Path); n++ {
			d.objects[strings.Join(p.Path[:n], "\x00")] = true
		}
	}
	f.bySchema[s] = d
	return d
}

func (f *forms) join(path []string) []byte {
	f.path = f.path[:0]
	for i, name := range path {
		if i > 0 {
			f.path = append(f.path, 0)
		}
		f.path = append(f.path, name...)
	}
	return f.path
}

func formOf(p *schema.Property) masking.Form {
	switch p.Type.Kind {
	case schema.String:
		if p.Format == "email" || p.Format == "idn-email" {
			return masking.EmailAddress
		}
		return masking.Text
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64, schema.UInt8, schema.UInt16, schema.UInt32, schema.UInt64:
		return masking.Integer
	case schema.Float32, schema.Float64:
		return masking.Number
	case schema.Decimal:
		if p.Text {
			return masking.Digits
		}
		return masking.Number
	case schema.DateTime64:
		return masking.DateTime
	case schema.Date32:
		return masking.Date
	case schema.UUID:
		return masking.UUID
	}
	return masking.Other
}
