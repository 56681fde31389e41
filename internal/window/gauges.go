// SPDX-License-Identifier: Apache-2.0

package window

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Attributes of pairs of key and value.
func Attributes(pairs ...string) metric.MeasurementOption {
	list := make([]attribute.KeyValue, 0, len(pairs)/2)
	for ; len(pairs) > 1; pairs = pairs[2:] {
		list = append(list, attribute.String(pairs[0], pairs[1]))
	}
	return metric.WithAttributeSet(attribute.NewSet(list...))
}

// ObserveGroups is a gauge's callback, as are those that follow.
func (h *Holder) ObserveGroups(_ context.Context, o metric.Int64Observer) error {
	return h.each(o, func(a *AggregationStats) int64 { return a.Groups })
}

// ObserveWindows reports open windows.
func (h *Holder) ObserveWindows(_ context.Context, o metric.Int64Observer) error {
	return h.each(o, func(a *AggregationStats) int64 { return a.Windows })
}

func (h *Holder) each(o metric.Int64Observer, value func(*AggregationStats) int64) error {
	stats := h.Stats()
	for i := range stats.Aggregations {
		a := &stats.Aggregations[i]
		o.Observe(value(a), h.attributes(attribute.String("aggregation", a.Name)))
	}
	return nil
}

// ObserveBytes reports the memory that state takes.
func (h *Holder) ObserveBytes(_ context.Context, o metric.Int64Observer) error {
	if e := h.engine.Load(); e != nil {
		o.Observe(e.Stats().Bytes, h.attributes())
	}
	return nil
}

// ObserveLag reports by how much event time is behind processing time, in seconds, once that is known.
func (h *Holder) ObserveLag(_ context.Context, o metric.Float64Observer) error {
	if s := h.Stats(); s.HasLag {
		o.Observe(time.Duration(s.Lag).Seconds(), h.attributes())
	}
	return nil
}
