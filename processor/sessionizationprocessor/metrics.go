// SPDX-License-Identifier: Apache-2.0

package sessionizationprocessor

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrace/millrace/internal/session"
	"github.com/millrace/millrace/processor/sessionizationprocessor/internal/metadata"
)

// metrics count what is published.
type metrics struct {
	telemetry *metadata.TelemetryBuilder
	outcomes  []metric.MeasurementOption
}

func newMetrics(set component.TelemetrySettings, p *sessionization) (*metrics, error) {
	t, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	m := &metrics{telemetry: t}
	for o := range session.Outcomes {
		m.outcomes = append(m.outcomes, metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", o.String()))))
	}
	err = t.RegisterProcessorSessionizationStateBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
		if p.restored.Load() {
			o.Observe(int64(p.engine.Bytes()), metric.WithAttributes(attribute.String("processor", p.id.String()), attribute.String("pipeline", p.home.Load().pipeline)))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("registering gauges: %w", err)
	}
	return m, nil
}

func (m *metrics) applied(a *session.Applied) {
	ctx := context.Background()
	for o, n := range a.Outcomes {
		if n > 0 {
			m.telemetry.ProcessorSessionizationEvents.Add(ctx, int64(n), m.outcomes[o])
		}
	}
	if a.Future > 0 {
		m.telemetry.ProcessorSessionizationFuture.Add(ctx, int64(a.Future))
	}
	if a.Merged > 0 {
		m.telemetry.ProcessorSessionizationMerged.Add(ctx, int64(a.Merged))
	}
	for _, s := range a.Skips {
		m.telemetry.ProcessorSessionizationSkippedValues.Add(ctx, int64(s.Values), metric.WithAttributeSet(attribute.NewSet(
			attribute.String("aggregate", s.Aggregate), attribute.String("reason", s.Reason.String()))))
	}
}

func (m *metrics) closed(n int) {
	if n > 0 {
		m.telemetry.ProcessorSessionizationClosed.Add(context.Background(), int64(n))
	}
}

func (m *metrics) shutdown() { m.telemetry.Shutdown() }
