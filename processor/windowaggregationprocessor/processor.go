// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"context"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/window"
	"github.com/millrace/millrace/processor/windowaggregationprocessor/internal/metadata"
)

// windowAggregation is one pipeline's. Its state is the engine's, which the log publishes or discards: see package delivery.
type windowAggregation struct {
	id      component.ID
	cfg     *Config
	plan    *window.Plan
	next    consumer.Logs
	logger  *zap.Logger
	metrics *metrics
	engine  window.Holder

	// introduced says that what comes next has been called once, so that it could enrol before results reach it.
	introduced atomic.Bool
}

var _ processor.Logs = (*windowAggregation)(nil)

func newProcessor(set processor.Settings, cfg *Config, next consumer.Logs) (*windowAggregation, error) {
	plan, err := cfg.plan()
	if err != nil {
		return nil, err
	}
	p := &windowAggregation{id: set.ID, cfg: cfg, plan: plan, next: next, logger: set.Logger}
	p.engine.Type = metadata.Type.String()
	p.engine.Component = attribute.String("processor", set.ID.String())
	p.engine.Make = func(c delivery.Coordinator) *window.Engine {
		return window.NewEngine(plan, window.EngineOptions{
			ID: p.id, Next: next, Coordinator: c, Logger: p.logger, Observer: p.metrics,
		})
	}
	if p.metrics, err = newMetrics(set.TelemetrySettings, &p.engine); err != nil {
		return nil, err
	}
	return p, nil
}

// Capabilities says whether events are annotated: late ones, if they go on.
func (p *windowAggregation) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: p.plan.Passes()}
}

// Start tells sinks which tables results are rows of, so that they are there before the first window has closed.
func (p *windowAggregation) Start(ctx context.Context, _ component.Host) error {
	if err := p.next.ConsumeLogs(result.Emitted(ctx), result.Declaration(p.plan.Tables()...)); err != nil {
		p.logger.Warn("Announcing the tables of results failed: each is made with its first result", zap.Error(err))
	}
	return nil
}

// Shutdown leaves windows open: the last checkpoint has them.
func (p *windowAggregation) Shutdown(context.Context) error {
	p.metrics.shutdown()
	return nil
}

// ConsumeLogs counts the events of a delivery, and passes on what is to be.
func (p *windowAggregation) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	d := delivery.FromContext(ctx)
	if d == nil {
		if ld.LogRecordCount() == 0 { // another stage's declaration
			if !p.plan.Passes() { // its results end here, so no sink needs their table
				return nil
			}
			return p.next.ConsumeLogs(ctx, ld)
		}
		return p.engine.ErrNoLog()
	}
	e, err := p.engine.Engine(d)
	if err != nil {
		return err
	}
	e.See(delivery.InputsFrom(ctx))
	if err := d.Coordinator().Enrol(ctx, p.id, e); err != nil {
		return err
	}
	batch := d.Batch(ld)
	late, err := e.Apply(d, batch)
	if err != nil {
		return fmt.Errorf("aggregating: %w", err)
	}
	ctx = e.Context(ctx)
	switch {
	case p.cfg.PassEvents:
		if ld, err = batch.Decode(); err != nil {
			return err
		}
		markLate(batch, late)
		return p.next.ConsumeLogs(ctx, ld)
	case p.cfg.PassLateEvents && len(late) > 0:
		if ld, err = batch.Decode(); err != nil {
			return err
		}
		batch = event.FromLogs(ld)
		markLate(batch, late)
		batch.DeleteAt(others(batch.Len(), late))
		return p.next.ConsumeLogs(ctx, ld)
	case batch.Len() == 0 || !p.introduced.Load():
		if err := p.next.ConsumeLogs(ctx, plog.NewLogs()); err != nil {
			return err
		}
		p.introduced.Store(true)
	}
	return nil
}

func markLate(b event.Batch, late []int) {
	if len(late) == 0 {
		return
	}
	next := 0
	b.MarkSessions(func(i int, m *event.SessionMark) bool {
		if next == len(late) || late[next] != i {
			return false
		}
		next++
		m.Late = true
		return true
	})
}

// others are the positions of a batch that are not among these, which rise.
func others(n int, these []int) []int {
	out := make([]int, 0, n-len(these))
	for i := range n {
		if len(these) > 0 && these[0] == i {
			these = these[1:]
			continue
		}
		out = append(out, i)
	}
	return out
}
