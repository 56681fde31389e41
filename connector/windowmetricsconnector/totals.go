// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/watermark"
)

// part is the only partition of the space of totals: checkpoints alone change it.
const part = 0

// A counter has a table, called as it is: series to its total. A total is: kind of number (1 byte), total (8), when it began (8), the end of the last
// window that was added (8). Times are Unix nanoseconds of event time.
const totalSize = 25

// number is an int64 or a float64.
type number struct {
	isDouble bool
	bits     uint64
}

func intNumber(n int64) number      { return number{false, uint64(n)} }
func doubleNumber(f float64) number { return number{true, math.Float64bits(f)} }

func (n number) double() float64 {
	if n.isDouble {
		return math.Float64frombits(n.bits)
	}
	return float64(int64(n.bits))
}

// add says false if an integer does not hold the sum.
func (n number) add(m number) (number, bool) {
	if n.isDouble || m.isDouble {
		sum := n.double() + m.double()
		return doubleNumber(sum), !math.IsInf(sum, 0)
	}
	a, b := int64(n.bits), int64(m.bits)
	sum := a + b
	return intNumber(sum), (sum > a) == (b > 0)
}

// point of a metric. It is written once, and the same whenever it is sent.
type point struct {
	series    string
	start, at int64 // start is 0 of gauges
	number
}

// closing is one checkpoint's work.
type closing struct {
	plan      *plan
	space     *keyed.Space
	watermark int64 // no later result of the engine is before it
	notes     notes
	metrics   map[*metric]*closingMetric
	dropped   map[string]int64
	points    map[string]int64 // by metric
	err       error

	reader  event.Reader
	layouts map[*result.Table]*layout
	row     row
}

// closingMetric is the points of one metric, by window and series.
type closingMetric struct {
	points []point
	end    int64          // of the window at hand
	at     map[string]int // its points, by series
}

// notes are what is kept beside totals.
type notes struct {
	// Closed is, by aggregation, the end of the last window to which totals were repeated.
	Closed map[string]int64 `json:"closed,omitempty"`
}

// Reasons for which a point is dropped.
const (
	reasonRefused           = "refused"
	reasonNegative          = "negative"
	reasonNotFinite         = "not_finite"
	reasonSameSeries        = "same_series"
	reasonDefinitionChanged = "definition_changed"
)

func newClosing(p *plan, space *keyed.Space) (*closing, error) {
	c := &closing{
		plan: p, space: space, watermark: watermark.Min, metrics: map[*metric]*closingMetric{}, dropped: map[string]int64{}, points: map[string]int64{},
		layouts: map[*result.Table]*layout{}, notes: notes{Closed: map[string]int64{}},
	}
	if b := space.Meta(part); len(b) > 0 { // which also makes the partition, so that it is among those that can be undone
		if err := json.Unmarshal(b, &c.notes); err != nil {
			return nil, fmt.Errorf("reading the notes of totals: %w", err)
		}
	}
	for _, m := range p.metrics {
		c.metrics[m] = &closingMetric{at: map[string]int{}}
	}
	space.BeginCheckpoint()
	for t := range space.Tables(part) {
		if !slices.ContainsFunc(p.metrics, func(m *metric) bool { return m.total() && m.name == t.Name() }) {
			space.Drop(t) // of a counter that is none any more
		}
	}
	return c, nil
}

// add takes one row of the engine's. Rows of an aggregation come by window, and those of a window by group.
func (c *closing) add(l *layout, r *row) error {
	if l.a == nil {
		c.dropped[reasonDefinitionChanged]++
		return nil
	}
	for i, m := range l.a.metrics {
		if l.values[i] < 0 {
			continue // the changed aggregation did not have it
		}
		v := r.values[l.values[i]]
		var n number
		switch v.Kind() {
		case event.KindInt:
			n = intNumber(v.Int())
		case event.KindDouble:
			n = doubleNumber(v.Double())
		default:
			continue // such as the mean of nothing
		}
		if f := n.double(); math.IsNaN(f) || math.IsInf(f, 0) {
			c.dropped[reasonNotFinite]++
			continue
		}
		switch {
		case m.total():
			if err := c.addTotal(m, r, n); err != nil {
				return err
			}
		case r.partial:
			c.dropped[reasonDefinitionChanged]++
		default:
			c.addGauge(m, r, n)
		}
	}
	return nil
}

// of the metric, with the window at hand.
func (c *closing) of(m *metric, r *row) *closingMetric {
	of := c.metrics[m]
	if of.end != r.end {
		of.end = r.end
		clear(of.at)
	}
	return of
}

func (c *closing) addGauge(m *metric, r *row, n number) {
	of := c.of(m, r)
	if i, known := of.at[string(r.series)]; known {
		// Two groups of one series: an empty text beside a missing value.
		p := &of.points[i]
		switch {
		case m.value.adds():
			p.number, _ = p.add(n)
		case m.value.function == aggregate.Min && n.double() < p.double(), m.value.function == aggregate.Max && n.double() > p.double():
			p.number = n
		case m.value.function != aggregate.Min && m.value.function != aggregate.Max:
			c.dropped[reasonSameSeries]++
		}
		return
	}
	of.put(point{series: string(r.series), at: r.end, number: n})
}

func (of *closingMetric) put(p point) {
	of.at[p.series] = len(of.points)
	of.points = append(of.points, p)
}

func (c *closing) addTotal(m *metric, r *row, n number) error {
	if m.kind == counter && n.double() < 0 {
		c.dropped[reasonNegative]++
		return nil
	}
	of := c.of(m, r)
	table := c.space.Table(part, m.name)
	if len(of.at) == 0 {
		c.expire(table, r.start)
	}
	series := r.series
	hash := keyed.Hash(series)
	ref, found := table.Find(hash, series)
	if !found && table.Len() >= c.plan.maxSeries {
		series, hash = overflowSeries, keyed.Hash(overflowSeries)
		ref, found = table.Find(hash, series)
	}
	if !found {
		ref = table.Insert(hash, series, totalSize)
		putTotal(table.Edit(ref), total{number: number{isDouble: n.isDouble}, start: r.start, last: r.start})
		// What a total has grown by is only seen against a point before.
		of.points = append(of.points, point{series: string(series), start: r.start, at: r.start, number: number{isDouble: n.isDouble}})
	}
	t, err := readTotal(table.Value(ref))
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	sum, holds := t.add(n)
	if !holds { // a total that begins anew is one that receivers know of
		sum, t.start = n, r.start
	}
	t.number, t.last = sum, max(t.last, r.end)
	putTotal(table.Edit(ref), t)
	table.Schedule(ref, t.last+c.plan.expire)
	switch i, known := of.at[string(series)]; {
	case known: // a group of the same series in the same window
		of.points[i].number, of.points[i].start = t.number, t.start
	case !r.partial: // else it is part of the next point
		of.put(point{series: string(series), start: t.start, at: r.end, number: t.number})
	}
	return nil
}

// total of a series.
type total struct {
	number
	start, last int64
}

func putTotal(b []byte, t total) {
	b[0] = 0
	if t.isDouble {
		b[0] = 1
	}
	binary.BigEndian.PutUint64(b[1:], t.bits)
	binary.BigEndian.PutUint64(b[9:], uint64(t.start))
	binary.BigEndian.PutUint64(b[17:], uint64(t.last))
}

func readTotal(b []byte) (total, error) {
	if len(b) != totalSize || b[0] > 1 {
		return total{}, fmt.Errorf("a total of %d bytes is not readable", len(b))
	}
	return total{
		number: number{b[0] == 1, binary.BigEndian.Uint64(b[1:])},
		start:  int64(binary.BigEndian.Uint64(b[9:])), last: int64(binary.BigEndian.Uint64(b[17:])),
	}, nil
}

// expire forgets the series that have had no events for too long when a window begins at that time. It looks at event time alone, so
// that it forgets the same whenever checkpoints are.
func (c *closing) expire(t *keyed.Table, at int64) {
	t.Due(at, func(r keyed.Ref) int64 {
		of, err := readTotal(t.Value(r))
		if err != nil || of.last+c.plan.expire <= at {
			t.Delete(r)
			return 0
		}
		return of.last + c.plan.expire
	})
}

// finish repeats totals that had no events up to the last window that is closed: a series that stands still is not one that is gone.
func (c *closing) finish() error {
	if c.err != nil {
		return c.err
	}
	changed := false
	for _, a := range c.plan.aggregations {
		if c.watermark == watermark.Min || !slices.ContainsFunc(a.metrics, (*metric).total) {
			continue
		}
		at := c.plan.engine.LastEnd(a.index, c.watermark)
		if last, known := c.notes.Closed[a.name]; known && at <= last {
			continue
		}
		c.notes.Closed[a.name] = at
		changed = true
		for _, m := range a.metrics {
			if m.total() {
				c.repeat(m, at)
			}
		}
	}
	for name := range c.notes.Closed {
		if !slices.ContainsFunc(c.plan.aggregations, func(a *aggregation) bool { return a.name == name }) {
			delete(c.notes.Closed, name)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	b, err := json.Marshal(&c.notes)
	if err != nil {
		return err
	}
	c.space.SetMeta(part, b)
	return c.space.Err(part)
}

func (c *closing) repeat(m *metric, at int64) {
	t, found := c.space.Lookup(part, m.name)
	if !found {
		return
	}
	c.expire(t, at)
	of := c.metrics[m]
	first := len(of.points)
	t.All(func(r keyed.Ref) bool {
		if v, err := readTotal(t.Value(r)); err == nil && v.last < at {
			of.points = append(of.points, point{series: string(bytes.Clone(t.Key(r))), start: v.start, at: at, number: v.number})
		}
		return true
	})
	slices.SortFunc(of.points[first:], func(x, y point) int { return cmp.Compare(x.series, y.series) })
}
