// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
)

// rowWriter takes what the engine emits, which is rows of results, and makes points of them in place of handing them on.
type rowWriter struct {
	writerUnder
	closing *closing
}

// Emit implements delivery.CheckpointWriter.
func (w *rowWriter) Emit(b delivery.OutboxBatch) {
	c := w.closing
	c.watermark = max(c.watermark, b.Watermark)
	if c.err == nil && len(b.Logs) > 0 {
		c.err = c.rows(b)
	}
}

// row is one result of the engine: a window of a group.
type row struct {
	start, end int64
	// partial says that it is not the window's final value: its aggregation was changed while it was open.
	partial bool
	// series is the group as attributes, in the form of appendText and those beside it.
	series []byte
	values []event.Value // by column of the table
}

// layout says where the parts of a row are in a table. It is that of the rows at hand: an aggregation that was changed has other columns.
type layout struct {
	a                    *aggregation
	start, end, overflow int
	groups               []int // as aggregation.groups; -1 if there is none
	values               []int // as aggregation.metrics
	reader               *result.Reader
}

func (p *plan) layout(t *result.Table, name string) *layout {
	l := &layout{reader: result.NewReader(t), start: t.Find("window_start"), end: t.Find("window_end"), overflow: t.Find("overflow")}
	for _, a := range p.aggregations {
		if a.name == name {
			l.a = a
		}
	}
	if l.a == nil {
		return l
	}
	for _, g := range l.a.groups {
		l.groups = append(l.groups, t.Find(g.column))
	}
	for _, m := range l.a.metrics {
		l.values = append(l.values, t.Find(m.value.column))
	}
	return l
}

var errRows = errors.New("the engine's results are not readable")

// rows of one batch of the engine's.
func (c *closing) rows(b delivery.OutboxBatch) error {
	ld, err := delivery.DecodeOutbox(b)
	if err != nil {
		return err
	}
	scopes := result.Tables(ld)
	reader := &c.reader
	defer reader.Release()
	reader.Reset(event.FromLogs(ld))
	r := &c.row
	for e := reader.Next(); e != nil; e = reader.Next() {
		i := reader.ResourceIndex() - 1
		if i < 0 || i >= len(scopes) || scopes[i].Table == nil {
			return errRows
		}
		l := c.layouts[scopes[i].Table]
		if l == nil {
			l = c.plan.layout(scopes[i].Table, e.Name)
			c.layouts[scopes[i].Table] = l
		}
		if l.start < 0 || l.end < 0 {
			return errRows
		}
		read, err := l.reader.Read(e)
		if err != nil {
			return fmt.Errorf("%w: %w", errRows, err)
		}
		r.start, r.end = read.Values[l.start].Int(), read.Values[l.end].Int()
		r.partial = read.Timing != string(result.OnTime)
		r.values = read.Values
		r.series = l.appendSeries(r.series[:0], read.Values)
		if err := c.add(l, r); err != nil {
			return err
		}
	}
	return nil
}

// A series is its attributes, one behind the other: uvarint length of the name, name, kind, value.
const (
	kindText   byte = iota // uvarint length, text
	kindInt                // 8 bytes
	kindDouble             // 8 bytes
	kindBool               // 1 byte
)

// overflowSeries is that of groups beyond a limit, as OpenTelemetry's SDKs mark it.
var overflowSeries = append(appendName(nil, "otel.metric.overflow"), kindBool, 1)

func appendName(b []byte, name string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(name))), name...)
}

// appendSeries appends the group's attributes. A missing value has none, and an empty text neither: to Prometheus they are the same.
func (l *layout) appendSeries(b []byte, values []event.Value) []byte {
	if l.overflow >= 0 && values[l.overflow].Bool() {
		return append(b, overflowSeries...)
	}
	if l.a == nil {
		return b
	}
	for i, g := range l.a.groups {
		if l.groups[i] < 0 {
			continue
		}
		v := values[l.groups[i]]
		switch v.Kind() {
		case event.KindString:
			if s := v.Str(); s != "" {
				b = append(appendName(b, g.attribute), kindText)
				b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
			}
		case event.KindInt:
			b = append(appendName(b, g.attribute), kindInt)
			b = binary.BigEndian.AppendUint64(b, uint64(v.Int()))
		case event.KindDouble:
			b = append(appendName(b, g.attribute), kindDouble)
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.Double()))
		case event.KindBool:
			b = append(appendName(b, g.attribute), kindBool, 0)
			if v.Bool() {
				b[len(b)-1] = 1
			}
		}
	}
	return b
}
