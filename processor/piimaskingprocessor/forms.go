// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"strings"

	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/schema"
)

// forms says what the columns of declared properties hold. One goroutine at a time.
type forms struct {
	bySchema map[*schema.Schema]map[string]masking.Form
	path     []byte
}

// maxForms bounds the schemas kept: each reload makes new ones.
const maxForms = 1024

// of returns the form of the property at that path, Any where none is declared.
func (f *forms) of(s *schema.Schema, path []string) masking.Form {
	byPath := f.bySchema[s]
	if byPath == nil {
		if f.bySchema == nil || len(f.bySchema) >= maxForms {
			f.bySchema = map[*schema.Schema]map[string]masking.Form{}
		}
		byPath = map[string]masking.Form{}
		for i := range s.Properties {
			p := &s.Properties[i]
			byPath[strings.Join(p.Path, "\x00")] = formOf(p)
		}
		f.bySchema[s] = byPath
	}
	f.path = f.path[:0]
	for i, name := range path {
		if i > 0 {
			f.path = append(f.path, 0)
		}
		f.path = append(f.path, name...)
	}
	return byPath[string(f.path)] // Any
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
