// SPDX-License-Identifier: Apache-2.0

package schemavalidationprocessor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// schemaValidation judges batch by batch, in the caller's goroutine. It keeps no state between batches.
type schemaValidation struct {
	processor.Logs // the helper around judge: it counts what core counts, and calls next

	id       string
	cfg      *Config
	registry schema.Registry // set by Start
	tally    *counters
	now      func() time.Time // set before Start only, by tests
	earliest pcommon.Timestamp
	skew     pcommon.Timestamp

	works sync.Pool // of *work
}

var _ processor.Logs = (*schemaValidation)(nil)

func newProcessor(ctx context.Context, set processor.Settings, cfg *Config, next consumer.Logs) (*schemaValidation, error) {
	tally, err := newCounters(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	p := &schemaValidation{
		id: set.ID.String(), cfg: cfg, tally: tally, now: time.Now,
		earliest: pcommon.NewTimestampFromTime(cfg.EventTime.Earliest),
		skew:     pcommon.Timestamp(cfg.EventTime.MaxFutureSkew),
	}
	p.works.New = func() any { return newWork(p) }
	p.Logs, err = processorhelper.NewLogs(ctx, set, cfg, next, p.process,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}),
		processorhelper.WithStart(p.start),
		processorhelper.WithShutdown(p.shutdown))
	if err != nil {
		return nil, fmt.Errorf("creating processor: %w", err)
	}
	return p, nil
}

func (p *schemaValidation) start(_ context.Context, host component.Host) error {
	ext, ok := host.GetExtensions()[p.cfg.Registry]
	if !ok {
		return fmt.Errorf("registry: %q is no extension of this collector; define it under extensions and list it under service::extensions", p.cfg.Registry)
	}
	p.registry, ok = ext.(schema.Registry)
	if !ok {
		return fmt.Errorf("registry: extension %q has no schemas; name a schema_registry extension", p.cfg.Registry)
	}
	return nil
}

func (p *schemaValidation) shutdown(context.Context) error {
	p.tally.shutdown()
	return nil
}

// refusal is what process tells ConsumeLogs, on the context, of events it has removed.
type refusal struct {
	count, of int
	name      string // of the first
	reason    string
}

type refusalKey struct{}

// ConsumeLogs judges the batch and passes it on. Under unknown_events: refuse the known events of the batch go
// on first; only when they are accepted the sender hears of the refused ones, by a permanent error, so that
// neither are neighbours lost nor are they sent again.
func (p *schemaValidation) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	if p.cfg.UnknownEvents != Refuse {
		return p.Logs.ConsumeLogs(ctx, ld)
	}
	var refused refusal
	if err := p.Logs.ConsumeLogs(context.WithValue(ctx, refusalKey{}, &refused), ld); err != nil {
		return err
	}
	if refused.count == 0 {
		return nil
	}
	others := "the others were accepted"
	if refused.count == refused.of {
		others = "there were no others"
	}
	st := status.Newf(codes.InvalidArgument, "refused %d of %d events, the first %q (%s); %s",
		refused.count, refused.of, refused.name, refused.reason, others)
	return consumererror.NewPermanent(consumererror.NewOTLPGRPCError(st.Err(), st))
}

// process judges all events of a batch by one snapshot of the schemas.
func (p *schemaValidation) process(ctx context.Context, ld plog.Logs) (plog.Logs, error) {
	w := p.works.Get().(*work)
	defer p.works.Put(w)
	batch := event.FromLogs(ld)
	w.judgeBatch(batch, p.registry.Snapshot())
	p.tally.add(ctx, &w.counts)
	if len(w.refused) == 0 {
		return ld, nil
	}
	if r, ok := ctx.Value(refusalKey{}).(*refusal); ok {
		*r = w.firstRefused
		r.count, r.of = len(w.refused), w.events
	}
	if len(w.refused) == w.events {
		return ld, processorhelper.ErrSkipProcessingData
	}
	batch.DeleteAt(w.refused)
	return ld, nil
}
