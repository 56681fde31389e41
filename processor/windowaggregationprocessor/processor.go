// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/window"
)

// windowAggregation is one pipeline's. Its state is the engine's, which the log publishes or discards: see package delivery.
type windowAggregation struct {
	id      component.ID
	cfg     *Config
	plan    *window.Plan
	next    consumer.Logs
	logger  *zap.Logger
	metrics *metrics

	mu          sync.Mutex // guards coordinator, and the making of engine
	coordinator delivery.Coordinator
	engine      atomic.Pointer[window.Engine] // set by the first delivery

	// introduced says that what comes next has been called once, so that it could enrol before results reach it.
	introduced atomic.Bool
}

var _ processor.Logs = (*windowAggregation)(nil)

var (
	errNoLog = errors.New("window_aggregation needs an event_log before it, which keeps its state: " +
		"let the pipeline receive from an event_log connector")
	errTwoLogs = errors.New("window_aggregation is behind two logs: give each a pipeline of its own")
)

func newProcessor(set processor.Settings, cfg *Config, next consumer.Logs) (*windowAggregation, error) {
	plan, err := cfg.plan()
	if err != nil {
		return nil, err
	}
	p := &windowAggregation{id: set.ID, cfg: cfg, plan: plan, next: next, logger: set.Logger}
	if p.metrics, err = newMetrics(set.TelemetrySettings, p); err != nil {
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
			return p.next.ConsumeLogs(ctx, ld)
		}
		return consumererror.NewPermanent(errNoLog)
	}
	e, err := p.engineOf(d.Coordinator())
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

// engineOf returns the engine, which has the state of one pipeline behind one log.
func (p *windowAggregation) engineOf(c delivery.Coordinator) (*window.Engine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.coordinator {
	case nil:
		p.coordinator = c
		p.engine.Store(window.NewEngine(p.plan, window.EngineOptions{
			ID: p.id, Next: p.next, Coordinator: c, Logger: p.logger, Observer: p.metrics,
		}))
	case c:
	default:
		return nil, consumererror.NewPermanent(errTwoLogs)
	}
	return p.engine.Load(), nil
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
