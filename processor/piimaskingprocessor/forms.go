// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"math"
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
	leaves  map[string]leaf
	objects map[string]bool // that have leaves
	deepest int             // levels of the longest path
}

// leaf is what the column of one property holds.
type leaf struct {
	form        masking.Form
	least, most int64 // of integers
}

// fits says whether the column can hold an integer that an action made.
func (l leaf) fits(n int64) bool { return l.form != masking.Integer || n >= l.least && n <= l.most }

// maxForms bounds the schemas kept: each reload makes new ones.
const maxForms = 1024

// of returns the property at that path, of the form Any where none is declared.
func (f *forms) of(s *schema.Schema, path []string) leaf {
	d := f.find(s)
	if len(path) > d.deepest { // a sender's objects nest a thousand times as deep, and a path has all of their keys
		return leaf{}
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
	d := &declared{leaves: map[string]leaf{}, objects: map[string]bool{}}
	for i := range s.Properties {
		p := &s.Properties[i]
		d.leaves[strings.Join(p.Path, "\x00")] = leafOf(p)
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

// integers are the numbers that integer columns hold, of those that an event can have.
var integers = map[schema.Kind][2]int64{
	schema.Int8: {math.MinInt8, math.MaxInt8}, schema.Int16: {math.MinInt16, math.MaxInt16}, schema.Int32: {math.MinInt32, math.MaxInt32},
	schema.Int64: {math.MinInt64, math.MaxInt64}, schema.UInt8: {0, math.MaxUint8}, schema.UInt16: {0, math.MaxUint16}, schema.UInt32: {0, math.MaxUint32},
	schema.UInt64: {0, math.MaxInt64},
}

func leafOf(p *schema.Property) leaf {
	of := integers[p.Type.Kind]
	return leaf{form: formOf(p), least: of[0], most: of[1]}
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
