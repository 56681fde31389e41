// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/native"
)

// guard refuses to send a column to a server that has another type for it by now: the server would cast, and a cast clips
// without a word. The server tells its types at the beginning of every INSERT, so this costs no question, and nothing has
// been sent by then.
type guard struct {
	native.Column
	name  string
	holds func(definition string) bool
	last  proto.ColumnType // that was found to hold it
	// refuse ends the INSERT. The inserter sets it before each.
	refuse func(err error)
}

var _ proto.Inferable = (*guard)(nil)

// Infer implements proto.Inferable: ch-go calls it with what the server says.
func (g *guard) Infer(t proto.ColumnType) error {
	if t == g.last {
		return nil
	}
	if !g.holds(string(t)) {
		err := &columnTypeError{g.name, string(t), string(g.Type())}
		g.refuse(err)
		return err
	}
	g.last = t
	return nil
}

// columnTypeError says that a column has changed its type while we ran.
type columnTypeError struct{ column, is, was string }

func (e *columnTypeError) Error() string {
	return fmt.Sprintf("column %s is %s now, and what was to be written is %s", quote(e.column), e.is, e.was)
}

// guards are those of a block's columns, by index. They live as long as the block.
type guards []*guard

// input is a column with its guard: one of the envelope, or one of a property.
func (gs *guards) input(i int, envelope *column, property *columns.Column, c native.Column) proto.InputColumn {
	for len(*gs) <= i {
		*gs = append(*gs, nil)
	}
	g := (*gs)[i]
	if g == nil {
		g = &guard{Column: c}
		if property != nil {
			g.name, g.holds = property.Name, func(t string) bool { return holds(property, t) }
		} else {
			g.name = envelope.name
			g.holds = func(t string) bool { return t == envelope.typ || isJSON(t) && isJSON(envelope.typ) }
		}
		(*gs)[i] = g
	}
	return proto.InputColumn{Name: g.name, Data: g}
}
