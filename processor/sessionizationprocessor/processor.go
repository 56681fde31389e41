// SPDX-License-Identifier: Apache-2.0

package sessionizationprocessor

import (
	"context"
	"encoding/hex"
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
	"github.com/millrace/millrace/internal/session"
)

// sessionization is one pipeline's. Its state is the engine's, which the log has published or discards: see package delivery.
type sessionization struct {
	id     component.ID
	cfg    *Config
	next   consumer.Logs
	logger *zap.Logger

	engine  *session.Engine
	writer  *writer
	metrics *metrics

	// home is set by the first delivery, and read by any goroutine.
	home     atomic.Pointer[home]
	restored atomic.Bool

	marks sync.Pool // of *[]session.Mark
}

// home is the pipeline that a processor is in, and the coordinator of the one log before it.
type home struct {
	delivery.Coordinator
	pipeline string
}

var (
	_ processor.Logs       = (*sessionization)(nil)
	_ delivery.Participant = (*sessionization)(nil)
)

var (
	errNoLog = errors.New("sessionization needs an event_log before it, which keeps its state: " +
		"let the pipeline receive from an event_log connector")
	errTwoLogs = errors.New("sessionization is behind two logs: give each a pipeline of its own")
)

func newProcessor(set processor.Settings, cfg *Config, next consumer.Logs) (*sessionization, error) {
	engineConfig, err := cfg.engine()
	if err != nil {
		return nil, err
	}
	engine, err := session.New(engineConfig)
	if err != nil {
		return nil, fmt.Errorf("creating sessions: %w", err)
	}
	p := &sessionization{id: set.ID, cfg: cfg, next: next, logger: set.Logger, engine: engine}
	if cfg.Summary.Enabled {
		p.writer = &writer{cfg: cfg, table: cfg.table()}
	}
	if p.metrics, err = newMetrics(set.TelemetrySettings, p); err != nil {
		return nil, err
	}
	return p, nil
}

// Capabilities says that events are annotated.
func (p *sessionization) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: true}
}

// Start tells sinks which table summaries are rows of, so that it is there before the first session has closed.
func (p *sessionization) Start(ctx context.Context, _ component.Host) error {
	if p.writer == nil {
		return nil
	}
	if err := p.next.ConsumeLogs(result.Emitted(ctx), result.Declaration(p.writer.table)); err != nil {
		p.logger.Warn("Announcing the table of sessions failed: it is made with the first session", zap.Error(err))
	}
	return nil
}

// Shutdown leaves sessions open: the last checkpoint has them.
func (p *sessionization) Shutdown(context.Context) error {
	p.metrics.shutdown()
	return nil
}

// ConsumeLogs annotates the events of a delivery and passes them on.
func (p *sessionization) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	d := delivery.FromContext(ctx)
	if d == nil {
		if ld.LogRecordCount() == 0 { // another stage's declaration
			return p.next.ConsumeLogs(ctx, ld)
		}
		return consumererror.NewPermanent(errNoLog)
	}
	if err := p.enrol(ctx, d); err != nil {
		return err
	}
	ctx = delivery.WithStage(ctx, p.id, true, false)
	batch := event.FromLogs(ld)
	if d.ID.Stage != "" || batch.Len() == 0 {
		return p.next.ConsumeLogs(ctx, ld) // results of a stage before are no events of a visitor
	}
	scratch, _ := p.marks.Get().(*[]session.Mark)
	if scratch == nil {
		scratch = new([]session.Mark)
	}
	defer p.marks.Put(scratch)
	applied, err := p.engine.Apply(d, batch, *scratch)
	if err != nil {
		return fmt.Errorf("finding sessions: %w", err)
	}
	*scratch = applied.Marks
	d.Stage(&counted{applied, p.metrics})
	p.annotate(batch, applied.Marks)
	return p.next.ConsumeLogs(ctx, batch.Logs())
}

// counted is an overlay that is counted when it is published: a delivery that fails and comes again counts once.
type counted struct {
	*session.Applied
	metrics *metrics
}

func (c *counted) Publish() {
	c.Applied.Publish()
	c.metrics.applied(c.Applied)
}

func (p *sessionization) enrol(ctx context.Context, d *delivery.Delivery) error {
	c := d.Coordinator()
	if p.home.Load() == nil {
		p.home.CompareAndSwap(nil, &home{c, d.ID.Pipeline.String()})
	}
	if p.home.Load().Coordinator != c {
		return consumererror.NewPermanent(errTwoLogs)
	}
	return c.Enrol(ctx, p.id, p)
}

// annotate writes marks to events. All texts of a batch lie in one.
func (p *sessionization) annotate(b event.Batch, marks []session.Mark) {
	const size = 2 * len(session.ID{})
	buf := make([]byte, 0, size*len(marks))
	for i := range marks {
		if m := &marks[i]; m.ID != (session.ID{}) {
			buf = hex.AppendEncode(buf, m.ID[:])
		}
	}
	ids := string(buf)
	b.MarkSessions(func(i int, s *event.SessionMark) bool {
		m := &marks[i]
		if m.ID == (session.ID{}) {
			s.Late = m.Outcome == session.Late
			return s.Late
		}
		if s.ID, ids = ids[:size], ids[size:]; m.Client {
			s.ID = ""
		}
		s.Ordinal = int64(m.Ordinal)
		return true
	})
}
