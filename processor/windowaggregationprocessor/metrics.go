// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrace/millrace/internal/window"
	"github.com/millrace/millrace/processor/windowaggregationprocessor/internal/metadata"
)

// metrics count what is published and committed.
type metrics struct{ telemetry *metadata.TelemetryBuilder }

var _ window.Observer = (*metrics)(nil)

func newMetrics(set component.TelemetrySettings, p *windowAggregation) (*metrics, error) {
	t, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	stats := func() *window.Stats {
		if e := p.engine.Load(); e != nil {
			return e.Stats()
		}
		return &window.Stats{}
	}
	each := func(value func(*window.AggregationStats) int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			for i := range stats().Aggregations {
				a := &stats().Aggregations[i]
				o.Observe(value(a), attributes("aggregation", a.Name))
			}
			return nil
		}
	}
	err = errors.Join(
		t.RegisterProcessorWindowAggregationGroupsCallback(each(func(a *window.AggregationStats) int64 { return a.Groups })),
		t.RegisterProcessorWindowAggregationOpenWindowsCallback(each(func(a *window.AggregationStats) int64 { return a.Windows })),
		t.RegisterProcessorWindowAggregationStateBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(stats().Bytes)
			return nil
		}),
		t.RegisterProcessorWindowAggregationWatermarkLagCallback(func(_ context.Context, o metric.Float64Observer) error {
			if s := stats(); s.HasLag {
				o.Observe(time.Duration(s.Lag).Seconds())
			}
			return nil
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("registering gauges: %w", err)
	}
	return &metrics{telemetry: t}, nil
}

// attributes of pairs of key and value.
func attributes(pairs ...string) metric.MeasurementOption {
	list := make([]attribute.KeyValue, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, attribute.String(pairs[i], pairs[i+1]))
	}
	return metric.WithAttributeSet(attribute.NewSet(list...))
}

// Events implements window.Observer.
func (m *metrics) Events(aggregation, outcome string, n int64) {
	m.telemetry.ProcessorWindowAggregationEvents.Add(context.Background(), n, attributes("aggregation", aggregation, "outcome", outcome))
}

// Skipped implements window.Observer.
func (m *metrics) Skipped(aggregation, column, reason string, n int64) {
	m.telemetry.ProcessorWindowAggregationSkippedValues.Add(context.Background(), n,
		attributes("aggregation", aggregation, "column", column, "reason", reason))
}

// Results implements window.Observer.
func (m *metrics) Results(aggregation, timing string, n int64) {
	m.telemetry.ProcessorWindowAggregationResults.Add(context.Background(), n, attributes("aggregation", aggregation, "timing", timing))
}

// Dropped implements window.Observer.
func (m *metrics) Dropped(reason string, n int64) {
	m.telemetry.ProcessorWindowAggregationDroppedGroups.Add(context.Background(), n, attributes("reason", reason))
}

func (m *metrics) shutdown() { m.telemetry.Shutdown() }
