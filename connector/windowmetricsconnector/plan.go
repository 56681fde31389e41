// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/window"
)

// plan is a configuration, compiled. Any goroutine may use it.
type plan struct {
	engine       *window.Plan
	aggregations []*aggregation
	metrics      []*metric // of all aggregations
	maxSeries    int       // of a counter
	expire       int64     // nanoseconds
}

// aggregation is one of the engine's.
type aggregation struct {
	index    int // in the engine's plan
	name     string
	tumbling bool
	// groups are the columns of the group, with the attributes that they become.
	groups  []group
	values  []value
	metrics []*metric
}

type group struct{ column, attribute string }

type value struct {
	column, function string
	isNumber         bool
}

// metric is one, of one value of an aggregation.
type metric struct {
	name, unit, description string
	value                   value
	kind                    string // Metric.Type
}

// total says that the metric's points are sums over all windows.
func (m *metric) total() bool { return m.kind != gauge }

// newAggregation of a valid definition and the table that the engine makes of it.
func newAggregation(index int, d *window.Definition, t *result.Table) *aggregation {
	a := &aggregation{index: index, name: d.Name, tumbling: d.Window.Type == window.Tumbling}
	first := 2 // behind the window
	for i, g := range d.GroupBy {
		column := t.Columns[first+i].Name
		name := g.As
		if name == "" {
			name, _, _ = strings.Cut(g.Field, "|")
			name = strings.TrimSpace(name)
		}
		a.groups = append(a.groups, group{column, name})
	}
	first += len(d.GroupBy)
	if len(d.GroupBy) > 0 {
		first++ // overflow
	}
	for i := first; i < len(t.Columns); i++ {
		c := &t.Columns[i]
		v := value{column: c.Name, function: aggregate.Count, isNumber: c.Type == result.Int64 || c.Type == result.Float64}
		if len(d.Values) > 0 {
			v.function = d.Values[i-first].Function
		}
		a.values = append(a.values, v)
	}
	return a
}

// adds says whether values of two groups, or of two windows that do not overlap, add up.
func (v *value) adds() bool {
	return v.function == aggregate.Count || v.function == aggregate.Sum || v.function == aggregate.SumSquares
}

func (a *aggregation) addMetrics(list []Metric) error {
	if len(list) == 0 {
		for _, v := range a.values {
			if v.isNumber {
				list = append(list, Metric{Name: a.name + "." + v.column, Value: v.column})
			}
		}
		if len(list) == 0 {
			return errors.New("values: none is a number, which a metric is: add one, such as count")
		}
		if !metricName.MatchString(a.name) {
			return fmt.Errorf("name: %q cannot begin a metric's name: begin with a letter, go on with letters, digits and . _ / -, or name the metrics", a.name)
		}
	}
	for i := range list {
		m, err := a.metric(&list[i])
		if err != nil {
			return fmt.Errorf("metrics::%d::%w", i, err)
		}
		a.metrics = append(a.metrics, m)
	}
	return nil
}

func (a *aggregation) metric(c *Metric) (*metric, error) {
	m := &metric{name: c.Name, unit: c.Unit, description: c.Description, kind: c.Type}
	if !metricName.MatchString(c.Name) {
		return nil, fmt.Errorf("name: %q: begin with a letter, go on with letters, digits and . _ / -, as in shop.orders, at most 255", c.Name)
	}
	if len(c.Unit) > maxUnit || !unitText.MatchString(c.Unit) {
		return nil, fmt.Errorf("unit: %q: use at most %d ASCII characters, such as s, By or {order}", c.Unit, maxUnit)
	}
	name := c.Value
	if name == "" {
		if len(a.values) > 1 {
			return nil, fmt.Errorf("value: is empty: name one of the values %v", a.columns())
		}
		name = a.values[0].column
	}
	known := false
	for _, v := range a.values {
		if v.column == name {
			m.value, known = v, true
		}
	}
	switch {
	case !known:
		return nil, fmt.Errorf("value: %q is none of the aggregation's: use one of %v", name, a.columns())
	case !m.value.isNumber:
		return nil, fmt.Errorf("value: %s of %s is no number, which a metric is: choose another, or set its type", name, m.value.function)
	}
	switch {
	case m.kind == "" && a.tumbling && m.value.function == aggregate.Count:
		m.kind = counter
	case m.kind == "":
		m.kind = gauge
	}
	switch m.kind {
	case gauge:
	case counter, upDownCounter:
		switch {
		case !m.value.adds():
			return nil, fmt.Errorf("type: %s of %s does not add up over windows: use gauge", m.kind, m.value.function)
		case !a.tumbling:
			return nil, fmt.Errorf("type: a %s over hopping windows would count an event several times: use gauge, or a tumbling window", m.kind)
		}
	default:
		return nil, fmt.Errorf("type: %q is not known: use gauge, counter or up_down_counter", m.kind)
	}
	return m, nil
}

// columns are the names of the values.
func (a *aggregation) columns() (names []string) {
	for _, v := range a.values {
		names = append(names, v.column)
	}
	return names
}
