// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/columns"
)

// reasonRefused is why an event has no row beside the reasons of package columns.
const reasonRefused = "refused_by_server"

// eventRows is a block of the events table under construction.
type eventRows struct {
	*columns.Events
	layout *layout
	input  proto.Input
	guards guards
}

func newEventRows(l *layout) *eventRows {
	return &eventRows{Events: columns.NewEvents(l.Layout, l.propertiesType), layout: l}
}

// columns finishes the block: every column has all rows, and those that no row needs are left out, so that the
// server fills in their NULLs.
func (r *eventRows) columns() proto.Input {
	r.input = r.input[:0]
	for i, c := range r.Envelope() {
		r.input = append(r.input, r.guards.input(i, &envelopeColumns[i], nil, c))
	}
	for i, c := range r.Typed() {
		if c == nil || c.Rows() == 0 {
			continue
		}
		r.input = append(r.input, r.guards.input(len(envelopeColumns)+i, nil, &r.layout.Columns[i], c))
	}
	return r.input
}

// failedRows is a block of the failed events' table under construction.
type failedRows struct {
	*columns.Failed
	input  proto.Input
	guards guards
}

func newFailedRows() *failedRows { return &failedRows{Failed: columns.NewFailed()} }

func (r *failedRows) columns() proto.Input {
	r.input = r.input[:0]
	for i, c := range r.All() {
		r.input = append(r.input, r.guards.input(i, &failedColumns[i], nil, c))
	}
	return r.input
}
