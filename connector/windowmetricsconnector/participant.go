// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/state"
	"github.com/millrace/millrace/internal/window"
)

// participant is the engine and, beside its state, the totals of counters. What the engine emits does not leave it: points made
// of it do, in the same checkpoint.
type participant struct {
	*window.Engine
	plan       *plan
	next       consumer.Metrics
	logger     *zap.Logger
	metrics    *metrics
	attributes map[string]string // of the resource, as configured

	source atomic.Pointer[source] // set by deliveries, all of them to the same until the log is read anew

	// What follows is the checkpoint's and Restore's, which the log never calls at once; of space any goroutine may ask for DirtyBytes.
	space   *keyed.Space
	closing *closing
}

// source is whose deliveries they are.
type source struct {
	incarnation uuid.UUID
	epoch       uint64
}

var _ delivery.Participant = (*participant)(nil)

// Where state lies in the component's keyspace.
var (
	underEngine = []byte("e/")
	underTotals = []byte("t/")
)

func (p *participant) from(d *delivery.Delivery) {
	is := source{d.ID.Incarnation, d.ID.Epoch}
	if was := p.source.Load(); was == nil || *was != is {
		p.source.Store(&is)
	}
}

// resource of all points. When a log is read anew, totals begin anew at times that have points already: as another instance's they do
// not meet those.
func (p *participant) resource() map[string]string {
	s := p.source.Load()
	attributes := map[string]string{
		"service.name":        "millrace",
		"service.instance.id": uuid.NewSHA1(s.incarnation, state.Uint64(s.epoch)).String(),
	}
	maps.Copy(attributes, p.attributes)
	return attributes
}

// Restore implements delivery.Participant.
func (p *participant) Restore(ctx context.Context, s delivery.Snapshot) error {
	if err := p.Engine.Restore(ctx, snapshotUnder{s, underEngine}); err != nil {
		return err
	}
	space, err := keyed.Restore(snapshotUnder{s, underTotals}, keyed.Options{})
	if err != nil {
		return fmt.Errorf("restoring totals: %w", err)
	}
	p.space, p.closing = space, nil
	p.metrics.measure(p.plan, space)
	return nil
}

// DirtyBytes implements delivery.Participant.
func (p *participant) DirtyBytes() int { return p.Engine.DirtyBytes() + p.space.DirtyBytes() }

// Checkpoint implements delivery.Participant.
func (p *participant) Checkpoint(w delivery.CheckpointWriter) error {
	c, err := newClosing(p.plan, p.space)
	if err != nil {
		return err
	}
	p.closing = c
	if err := p.Engine.Checkpoint(&rowWriter{writerUnder{w, underEngine}, c}); err != nil {
		return err
	}
	if err := c.finish(); err != nil {
		return fmt.Errorf("making points: %w", err)
	}
	if err := p.space.Checkpoint(writerUnder{w, underTotals}); err != nil {
		return err
	}
	return c.write(p.resource(), func(otlp []byte) { w.Emit(delivery.OutboxBatch{Logs: otlp, Watermark: c.watermark}) })
}

// Committed implements delivery.Participant.
func (p *participant) Committed() {
	p.Engine.Committed()
	p.space.Committed()
	p.metrics.closed(p.closing)
	p.metrics.measure(p.plan, p.space)
	p.closing = nil
}

// Aborted implements delivery.Participant.
func (p *participant) Aborted() {
	p.Engine.Aborted()
	p.space.Aborted()
	p.closing = nil
}

// Send implements delivery.Participant. The batch is what Checkpoint wrote: metrics.
func (p *participant) Send(ctx context.Context, b delivery.OutboxBatch) error {
	md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(b.Logs)
	if err != nil {
		return fmt.Errorf("reading an outbox batch of metrics: %w", err)
	}
	points := md.DataPointCount()
	err = p.next.ConsumeMetrics(ctx, md)
	if !refused(err) {
		return err
	}
	// A receiver that found points bad, such as too old, finds them so again; those that it found good it has taken. To go on asking would hold up all that follow.
	p.metrics.dropped(reasonRefused, int64(points))
	p.logger.Error("The receiver refused points for good: those it did not take are missing there", zap.Int("points", points), zap.Error(err))
	return nil
}

// refused says whether all branches have looked at the points and found them bad. Any other error, such as a wrong password, is
// one that somebody can mend: the batch waits for it.
func refused(err error) bool {
	if !delivery.Blocked(err) {
		return false // some branch may take it yet
	}
	for err != nil {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			return !slices.ContainsFunc(joined.Unwrap(), func(branch error) bool { return !refused(branch) })
		}
		if of, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
			return of.GRPCStatus().Code() == codes.InvalidArgument
		}
		err = errors.Unwrap(err)
	}
	return false
}
