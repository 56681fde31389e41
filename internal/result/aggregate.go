// SPDX-License-Identifier: Apache-2.0

package result

import "github.com/millrace/millrace/internal/aggregate"

// TypeOf a function's results.
func TypeOf(t aggregate.Type) Type {
	switch t {
	case aggregate.Integer:
		return Int64
	case aggregate.Number:
		return Float64
	case aggregate.Boolean:
		return Bool
	case aggregate.Time:
		return Timestamp
	case aggregate.Ranked:
		return Ranked
	case aggregate.Texts:
		return Strings
	}
	return String
}

// Value sets a column of type TypeOf to what a function has come to; one that is Null is left absent.
func (w *Writer) Value(column int, v *aggregate.Value) {
	switch v.Type {
	case aggregate.Integer:
		w.Int(column, v.Int)
	case aggregate.Number:
		w.Float(column, v.Float)
	case aggregate.String:
		w.Str(column, v.Text)
	case aggregate.Boolean:
		w.Bool(column, v.Bool)
	case aggregate.Time:
		w.Time(column, v.Int)
	case aggregate.Ranked:
		list := make([]Count, len(v.List))
		for i, e := range v.List {
			list[i] = Count{Value: e.Value, Count: e.Count}
		}
		w.Ranked(column, list)
	case aggregate.Texts:
		list := make([]string, len(v.List))
		for i, e := range v.List {
			list[i] = e.Value
		}
		w.Strs(column, list)
	}
}
