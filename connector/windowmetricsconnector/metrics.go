// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	otel "go.opentelemetry.io/otel/metric"

	"github.com/millrace/millrace/connector/windowmetricsconnector/internal/metadata"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/window"
)

// metrics count what is published and committed.
type metrics struct {
	telemetry *metadata.TelemetryBuilder
	series    atomic.Pointer[map[string]int64] // by metric, as of the last checkpoint
}

var _ window.Observer = (*metrics)(nil)

func newMetrics(set component.TelemetrySettings, engine *window.Holder) (*metrics, error) {
	t, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	m := &metrics{telemetry: t}
	m.series.Store(&map[string]int64{})
	err = errors.Join(
		t.RegisterConnectorWindowMetricsGroupsCallback(engine.ObserveGroups),
		t.RegisterConnectorWindowMetricsOpenWindowsCallback(engine.ObserveWindows),
		t.RegisterConnectorWindowMetricsStateBytesCallback(engine.ObserveBytes),
		t.RegisterConnectorWindowMetricsWatermarkLagCallback(engine.ObserveLag),
		t.RegisterConnectorWindowMetricsSeriesCallback(func(_ context.Context, o otel.Int64Observer) error {
			for name, n := range *m.series.Load() {
				o.Observe(n, window.Attributes("metric", name))
			}
			return nil
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("registering gauges: %w", err)
	}
	return m, nil
}

// Events implements window.Observer.
func (m *metrics) Events(aggregation, outcome string, n int64) {
	m.telemetry.ConnectorWindowMetricsEvents.Add(context.Background(), n, window.Attributes("aggregation", aggregation, "outcome", outcome))
}

// Skipped implements window.Observer.
func (m *metrics) Skipped(aggregation, column, reason string, n int64) {
	m.telemetry.ConnectorWindowMetricsSkippedValues.Add(context.Background(), n,
		window.Attributes("aggregation", aggregation, "column", column, "reason", reason))
}

// Results implements window.Observer. What leaves is points, which are counted by closed.
func (m *metrics) Results(string, string, int64) {}

// Dropped implements window.Observer.
func (m *metrics) Dropped(reason string, n int64) {
	m.telemetry.ConnectorWindowMetricsDroppedGroups.Add(context.Background(), n, window.Attributes("reason", reason))
}

func (m *metrics) dropped(reason string, n int64) {
	m.telemetry.ConnectorWindowMetricsDroppedPoints.Add(context.Background(), n, window.Attributes("reason", reason))
}

// closed counts what a checkpoint did that is committed.
func (m *metrics) closed(c *closing) {
	for name, n := range c.points {
		m.telemetry.ConnectorWindowMetricsPoints.Add(context.Background(), n, window.Attributes("metric", name))
	}
	for reason, n := range c.dropped {
		m.dropped(reason, n)
	}
}

// measure counts the series whose totals are kept.
func (m *metrics) measure(p *plan, space *keyed.Space) {
	series := map[string]int64{}
	for _, one := range p.metrics {
		if t, found := space.Lookup(part, one.name); found && one.total() {
			series[one.name] = int64(t.Len())
		}
	}
	m.series.Store(&series)
}

func (m *metrics) shutdown() { m.telemetry.Shutdown() }
