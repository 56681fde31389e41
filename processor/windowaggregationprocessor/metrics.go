// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"

	"github.com/millrace/millrace/internal/window"
	"github.com/millrace/millrace/processor/windowaggregationprocessor/internal/metadata"
)

// metrics count what is published and committed.
type metrics struct{ telemetry *metadata.TelemetryBuilder }

var _ window.Observer = (*metrics)(nil)

func newMetrics(set component.TelemetrySettings, engine *window.Holder) (*metrics, error) {
	t, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	err = errors.Join(
		t.RegisterProcessorWindowAggregationGroupsCallback(engine.ObserveGroups),
		t.RegisterProcessorWindowAggregationOpenWindowsCallback(engine.ObserveWindows),
		t.RegisterProcessorWindowAggregationStateBytesCallback(engine.ObserveBytes),
		t.RegisterProcessorWindowAggregationWatermarkLagCallback(engine.ObserveLag),
	)
	if err != nil {
		return nil, fmt.Errorf("registering gauges: %w", err)
	}
	return &metrics{telemetry: t}, nil
}

// Events implements window.Observer.
func (m *metrics) Events(aggregation, outcome string, n int64) {
	m.telemetry.ProcessorWindowAggregationEvents.Add(context.Background(), n, window.Attributes("aggregation", aggregation, "outcome", outcome))
}

// Skipped implements window.Observer.
func (m *metrics) Skipped(aggregation, column, reason string, n int64) {
	m.telemetry.ProcessorWindowAggregationSkippedValues.Add(context.Background(), n,
		window.Attributes("aggregation", aggregation, "column", column, "reason", reason))
}

// Results implements window.Observer.
func (m *metrics) Results(aggregation, timing string, n int64) {
	m.telemetry.ProcessorWindowAggregationResults.Add(context.Background(), n, window.Attributes("aggregation", aggregation, "timing", timing))
}

// Dropped implements window.Observer.
func (m *metrics) Dropped(reason string, n int64) {
	m.telemetry.ProcessorWindowAggregationDroppedGroups.Add(context.Background(), n, window.Attributes("reason", reason))
}

func (m *metrics) shutdown() { m.telemetry.Shutdown() }
