// SPDX-License-Identifier: Apache-2.0

package window

import (
	"bytes"

	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/watermark"
)

// Stats are as of the last checkpoint.
type Stats struct {
	Aggregations []AggregationStats
	// Bytes of state in memory.
	Bytes int64
	// Lag is by how much event time is behind processing time, in nanoseconds; HasLag says whether it is known.
	Lag    int64
	HasLag bool
}

// AggregationStats of one aggregation.
type AggregationStats struct {
	Name string
	// Windows that are open, of sessions 0; Groups in all of them, a group that spans partitions or slices once in each.
	Windows, Groups int64
}

// Stats returns those of the last checkpoint. Any goroutine may call it.
func (e *Engine) Stats() *Stats { return e.stats.Load() }

func (e *Engine) measure(c *closing) {
	s := &Stats{Bytes: int64(e.space.Bytes())}
	c.find() // what is left
	for _, a := range e.plan.aggs {
		f := c.tables(a)
		n := AggregationStats{Name: a.def.Name, Windows: int64(len(f.slices))}
		for _, tables := range f.slices {
			for _, t := range tables {
				n.Groups += int64(t.table.Len())
			}
		}
		for _, t := range f.sessions {
			n.Groups += int64(t.table.Len())
		}
		s.Aggregations = append(s.Aggregations, n)
	}
	if c.all.event != watermark.Min && c.now != watermark.Min {
		s.Lag, s.HasLag = c.now-c.all.event, true
	}
	e.stats.Store(s)
}

func compareKeys(t *keyed.Table, x, y keyed.Ref) int { return bytes.Compare(t.Key(x), t.Key(y)) }
