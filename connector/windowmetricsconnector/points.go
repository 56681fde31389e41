// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// batchPoints are how many points a batch of the outbox has at most.
const batchPoints = 5000

// scopeName is the instrumentation scope of all points. It has no version: an upgrade is no new series.
const scopeName = "github.com/millrace/millrace/connector/windowmetricsconnector"

// write gives the points out as OTLP, in batches. Equal points give equal bytes.
func (c *closing) write(resource map[string]string, emit func(otlp []byte)) error {
	var md pmetric.Metrics
	var metrics pmetric.MetricSlice
	n := 0
	send := func() error {
		if n == 0 {
			return nil
		}
		b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
		if err != nil {
			return err
		}
		emit(b)
		n = 0
		return nil
	}
	for _, m := range c.plan.metrics {
		points := c.metrics[m].points
		if len(points) > 0 {
			c.points[m.name] = int64(len(points))
		}
		for len(points) > 0 {
			if n == 0 {
				md = pmetric.NewMetrics()
				rm := md.ResourceMetrics().AppendEmpty()
				for _, k := range slices.Sorted(maps.Keys(resource)) {
					rm.Resource().Attributes().PutStr(k, resource[k])
				}
				sm := rm.ScopeMetrics().AppendEmpty()
				sm.Scope().SetName(scopeName)
				metrics = sm.Metrics()
			}
			k := min(len(points), batchPoints-n)
			if err := m.write(metrics.AppendEmpty(), points[:k]); err != nil {
				return err
			}
			points = points[k:]
			if n += k; n == batchPoints {
				if err := send(); err != nil {
					return err
				}
			}
		}
	}
	return send()
}

func (m *metric) write(to pmetric.Metric, points []point) error {
	to.SetName(m.name)
	to.SetUnit(m.unit)
	to.SetDescription(m.description)
	var list pmetric.NumberDataPointSlice
	if m.total() {
		sum := to.SetEmptySum()
		sum.SetIsMonotonic(m.kind == counter)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		list = sum.DataPoints()
	} else {
		list = to.SetEmptyGauge().DataPoints()
	}
	list.EnsureCapacity(len(points))
	for i := range points {
		p := &points[i]
		dp := list.AppendEmpty()
		dp.SetStartTimestamp(pcommon.Timestamp(p.start))
		dp.SetTimestamp(pcommon.Timestamp(p.at))
		if p.isDouble {
			dp.SetDoubleValue(math.Float64frombits(p.bits))
		} else {
			dp.SetIntValue(int64(p.bits))
		}
		if err := readSeries(p.series, dp.Attributes()); err != nil {
			return err
		}
	}
	return nil
}

var errSeries = errors.New("a series is not readable")

// readSeries reads what appendSeries wrote.
func readSeries(series string, to pcommon.Map) error {
	b := []byte(series)
	text := func() (string, bool) {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return "", false
		}
		s := string(b[k : k+int(n)])
		b = b[k+int(n):]
		return s, true
	}
	for len(b) > 0 {
		name, ok := text()
		if !ok || len(b) == 0 {
			return errSeries
		}
		kind := b[0]
		b = b[1:]
		switch {
		case kind == kindText:
			s, ok := text()
			if !ok {
				return errSeries
			}
			to.PutStr(name, s)
		case kind == kindBool && len(b) >= 1:
			to.PutBool(name, b[0] != 0)
			b = b[1:]
		case kind == kindInt && len(b) >= 8:
			to.PutInt(name, int64(binary.BigEndian.Uint64(b)))
			b = b[8:]
		case kind == kindDouble && len(b) >= 8:
			to.PutDouble(name, math.Float64frombits(binary.BigEndian.Uint64(b)))
			b = b[8:]
		default:
			return errSeries
		}
	}
	return nil
}
