// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"

	"github.com/millrace/millrace/connector/windowmetricsconnector/internal/metadata"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/window"
)

// windowMetrics is behind one pipeline of a log. Its state is the participant's, which the log publishes or discards: see
// package delivery.
type windowMetrics struct {
	id      component.ID
	plan    *plan
	metrics *metrics
	engine  window.Holder

	once        sync.Once
	participant *participant // set by the first delivery
	make        func(e *window.Engine) *participant
}

var _ connector.Logs = (*windowMetrics)(nil)

func newConnector(set connector.Settings, cfg *Config, next consumer.Metrics) (*windowMetrics, error) {
	plan, err := cfg.plan()
	if err != nil {
		return nil, err
	}
	c := &windowMetrics{id: set.ID, plan: plan}
	c.engine.Type = metadata.Type.String()
	c.engine.Component = attribute.String("connector", set.ID.String())
	c.engine.Make = func(coordinator delivery.Coordinator) *window.Engine {
		return window.NewEngine(plan.engine, window.EngineOptions{ID: c.id, Coordinator: coordinator, Logger: set.Logger, Observer: c.metrics})
	}
	if c.metrics, err = newMetrics(set.TelemetrySettings, &c.engine); err != nil {
		return nil, err
	}
	c.make = func(e *window.Engine) *participant {
		return &participant{
			Engine: e, plan: plan, next: next, logger: set.Logger.With(zap.Stringer("connector", c.id)), metrics: c.metrics, attributes: cfg.Resource,
		}
	}
	return c, nil
}

// Capabilities says that events are only read.
func (c *windowMetrics) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// Start does nothing: state is restored when the log hands over the first delivery.
func (c *windowMetrics) Start(context.Context, component.Host) error { return nil }

// Shutdown leaves windows open: the last checkpoint has them.
func (c *windowMetrics) Shutdown(context.Context) error {
	c.metrics.shutdown()
	return nil
}

// ConsumeLogs counts the events of a delivery.
func (c *windowMetrics) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	d := delivery.FromContext(ctx)
	if d == nil {
		if ld.LogRecordCount() == 0 { // a stage's declaration of its tables
			return nil
		}
		return c.engine.ErrNoLog()
	}
	e, err := c.engine.Engine(d)
	if err != nil {
		return err
	}
	c.once.Do(func() { c.participant = c.make(e) })
	c.participant.from(d)
	e.See(delivery.InputsFrom(ctx))
	if err := d.Coordinator().Enrol(ctx, c.id, c.participant); err != nil {
		return err
	}
	if _, err := e.Apply(d, d.Batch(ld)); err != nil {
		return fmt.Errorf("aggregating: %w", err)
	}
	return nil
}
