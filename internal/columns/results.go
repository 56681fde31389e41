// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/schema"
)

// inEnvelope are attributes that have a column in the envelope, or that are read as no property.
var inEnvelope = map[string]bool{
	event.FieldUser: true, event.FieldAnonymous: true, event.FieldSession: true, event.FieldTenant: true, "session.previous_id": true,
}

// ForResults derives the layout for results of a table, without those in leave. Maps have none: they stay in the column
// properties, as JSON, as do attributes that are of a protocol's context.
func ForResults(def *result.Table, leave map[string]bool) (*Layout, error) {
	e := Encoded{Schemas: []Schema{{}}, Only: true}
	taken := map[string]bool{Properties: true}
	for _, f := range Envelope {
		taken[f.Name] = true
	}
	add := func(c EncodedColumn, each int, path ...string) {
		if taken[c.Name] {
			c.Name = "property_" + c.Name // as a schema's property of that name
		}
		if taken[c.Name] || leave[c.Name] {
			return
		}
		taken[c.Name] = true
		e.Schemas[0].Properties = append(e.Schemas[0].Properties, Property{Path: path, Each: each, Column: len(e.Columns)})
		e.Columns = append(e.Columns, c)
	}
	text := schema.String.String()
	for i := range def.Columns {
		c := &def.Columns[i]
		source := c.Source()
		if inEnvelope[source] || event.IsContext(source) {
			continue
		}
		column := EncodedColumn{Name: c.Name, LowCardinality: c.LowCardinality}
		switch c.Type {
		case result.Counts:
			continue
		case result.Ranked:
			add(EncodedColumn{Name: c.Name + ".value", Kind: text, Repeated: true}, 1, source, "value")
			add(EncodedColumn{Name: c.Name + ".count", Kind: schema.Int64.String(), Repeated: true}, 1, source, "count")
			continue
		case result.Strings:
			column.Kind, column.Repeated = text, true
		case result.Int64:
			column.Kind = schema.Int64.String()
		case result.Float64:
			column.Kind = schema.Float64.String()
		case result.Bool:
			column.Kind = schema.Bool.String()
		case result.Timestamp:
			column.Kind, column.Scale, column.Nanoseconds = schema.DateTime64.String(), 9, true
		default:
			column.Kind = text
		}
		add(column, 0, source)
	}
	add(EncodedColumn{Name: result.ColumnID, Kind: text}, 0, result.AttributeID)
	add(EncodedColumn{Name: result.ColumnTiming, Kind: text, LowCardinality: true}, 0, result.AttributeTiming)
	add(EncodedColumn{Name: result.ColumnIndex, Kind: schema.Int64.String()}, 0, result.AttributeIndex)
	return e.Decode()
}
