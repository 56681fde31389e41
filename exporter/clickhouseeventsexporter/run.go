// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/ClickHouse/ch-go/proto"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
)

// run is one attempt at one delivery, by one goroutine.
type run struct {
	*eventsExporter
	d           *delivery.Delivery
	coordinator delivery.Coordinator
	batch       event.Batch
	name        string // of the plan, beside those of the pipeline's other exporters
	at          observed

	layout *layout
	facts  *facts
	plan   *plan
	block  *block
	built  built // what block holds

	counted *observed // the tables' counts of blocks in this attempt; nil until asked

	// refusals are the events that the server refused, in chunks that are bound one by one.
	refusals [][]rejection
	unbound  bool // the last chunk has more than what is durable
	// rejected has all that is in plan.rejected and refusals, by position.
	rejected map[int]rejection
}

type built uint8

const (
	builtNothing built = iota
	builtBoth          // the whole delivery, for both tables
	builtOther
)

// refusalsPerChunk is how many refused events are bound together: each bind writes at most so many again.
const refusalsPerChunk = 16

func (r *run) refusalsName(chunk int) string { return r.name + "/refused/" + strconv.Itoa(chunk) }

// bind makes the plan durable, and before it what it takes for granted.
func (r *run) bind(ctx context.Context) error {
	if err := r.bindRefusals(ctx); err != nil {
		return err
	}
	if err := r.coordinator.Bind(r.d.ID, r.name, r.plan.encode()); err != nil {
		return fmt.Errorf("binding the plan of %s: %w", r.d.ID, err)
	}
	r.telemetry.ExporterClickhouseEventsPlans.Add(ctx, 1)
	return nil
}

func (r *run) bindRefusals(ctx context.Context) error {
	if !r.unbound {
		return nil
	}
	last := len(r.refusals) - 1
	if err := r.coordinator.Bind(r.d.ID, r.refusalsName(last), encodeRefusals(r.refusals[last])); err != nil {
		return fmt.Errorf("binding the refused events of %s: %w", r.d.ID, err)
	}
	r.unbound = false
	r.telemetry.ExporterClickhouseEventsPlans.Add(ctx, 1)
	return nil
}

// maxMessage bounds what is kept of the server's words about one event, in bytes.
const maxMessage = 2048

// refuse notes that the server refuses an event.
func (r *run) refuse(ctx context.Context, position int, message string) error {
	if len(message) > maxMessage {
		cut := maxMessage
		for cut > 0 && !utf8.RuneStart(message[cut]) {
			cut--
		}
		message = message[:cut]
	}
	one := rejection{position: position, reason: reasonRefused, message: message}
	if n := len(r.refusals); n == 0 || len(r.refusals[n-1]) == refusalsPerChunk {
		if err := r.bindRefusals(ctx); err != nil {
			return err
		}
		r.refusals = append(r.refusals, nil)
	}
	last := &r.refusals[len(r.refusals)-1]
	at, _ := slices.BinarySearchFunc(*last, position, func(r rejection, p int) int { return r.position - p })
	*last = slices.Insert(*last, at, one)
	r.unbound = true
	r.reject(one)
	r.countFailed(ctx, one.reason)
	return nil
}

func (r *run) reject(one rejection) {
	if r.rejected == nil {
		r.rejected = map[int]rejection{}
	}
	r.rejected[one.position] = one
}

// noteRejected makes the index of what an earlier attempt found.
func (r *run) noteRejected() {
	for _, one := range r.plan.rejected {
		r.reject(one)
	}
	for _, chunk := range r.refusals {
		for _, one := range chunk {
			r.reject(one)
		}
	}
}

func (x *eventsExporter) countFailed(ctx context.Context, reason string) {
	x.telemetry.ExporterClickhouseEventsFailed.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason))))
}

// buildFirst reads the delivery into the block, once for both tables, and notes which events have no row.
func (r *run) buildFirst(ctx context.Context) {
	b := r.block
	b.sorted.Reset(r.batch)
	for e, i := b.sorted.Next(); e != nil; e, i = b.sorted.Next() {
		if e.Failed {
			b.addFailed(e, e.Failure, "")
			continue
		}
		if err := b.events.Add(e, b.sorted.ResourceIndex()); err != nil {
			one := rejection{position: i, reason: err.Reason, pointer: err.Pointer}
			r.plan.rejected = append(r.plan.rejected, one)
			r.reject(one)
			b.addFailed(e, r.failure(one), "")
			r.countFailed(ctx, one.reason)
			continue
		}
		b.noteEvent(e)
	}
	slices.SortFunc(r.plan.rejected, func(a, b rejection) int { return a.position - b.position })
}

func (r *run) failure(one rejection) event.Failure {
	return event.Failure{Stage: event.StageExport, Reason: one.reason, Pointer: one.pointer, Processor: r.id.String()}
}

func (b *block) addFailed(e *event.Event, f event.Failure, message string) {
	b.failed.Add(e, f, message)
	b.failedExtent.add(e, columns.FailedTime(e.Time), columns.FailedTime(e.Received))
}

func (b *block) noteEvent(e *event.Event) {
	at := e.Time
	if at == 0 {
		at = e.Received
	}
	b.eventsExtent.add(e, int64(at), int64(e.Received))
}

// stage is one of the two tables within a run.
type stage struct {
	*run
	table   string
	facts   *tableFacts
	plan    *tablePlan
	extent  *extent
	rows    func() int
	columns func() proto.Input
	build   func(p *piece) error
	visit   func(p *piece, f func(e *event.Event, position int))
	bisects bool
}

func (r *run) eventsStage() *stage {
	return &stage{
		run: r, table: r.cfg.Events.Name, facts: r.facts.events, plan: &r.plan.events, extent: &r.block.eventsExtent,
		rows: func() int { return r.block.events.Rows() }, columns: r.block.events.columns,
		build: r.buildEvents, visit: r.visitEvents, bisects: true,
	}
}

func (r *run) failedStage() *stage {
	return &stage{
		run: r, table: r.cfg.FailedEvents.Name, facts: r.facts.failed, plan: &r.plan.failed, extent: &r.block.failedExtent,
		rows: func() int { return r.block.failed.Rows() }, columns: r.block.failed.columns,
		build: r.buildFailed, visit: r.visitFailed,
	}
}

// visitEvents calls f for the events of a piece that have a row in the events table, in the table's order.
func (r *run) visitEvents(p *piece, f func(e *event.Event, position int)) {
	s := &r.block.sorted
	s.Reset(r.batch)
	for e, i := s.Next(); e != nil; e, i = s.Next() {
		if e.Failed || !p.rows.has(i) {
			continue
		}
		if _, rejected := r.rejected[i]; !rejected {
			f(e, i)
		}
	}
}

// visitFailed does the same for the table of failed events.
func (r *run) visitFailed(p *piece, f func(e *event.Event, position int)) {
	s := &r.block.sorted
	s.Reset(r.batch)
	for e, i := s.Next(); e != nil; e, i = s.Next() {
		if !p.rows.has(i) {
			continue
		}
		if _, rejected := r.rejected[i]; rejected || e.Failed {
			f(e, i)
		}
	}
}

// buildEvents makes the block hold the piece's rows.
func (r *run) buildEvents(p *piece) error {
	r.block.events.Reset()
	r.block.eventsExtent.reset()
	r.built = builtOther
	var failed error
	r.visitEvents(p, func(e *event.Event, i int) {
		if err := r.block.events.Add(e, r.block.sorted.ResourceIndex()); err != nil {
			failed = blocked("event %d of %s was planned as a row, but is none (%w): it was planned by another version of Millrace: "+
				"run that one until the delivery is stored, or reset the pipeline's position", i, r.d.ID, err)
			return
		}
		r.block.noteEvent(e)
	})
	return failed
}

// buildFailed does the same for the table of failed events.
func (r *run) buildFailed(p *piece) error {
	r.block.failed.Reset()
	r.block.failedExtent.reset()
	r.visitFailed(p, func(e *event.Event, i int) {
		if one, rejected := r.rejected[i]; rejected {
			r.block.addFailed(e, r.failure(one), one.message)
			return
		}
		r.block.addFailed(e, e.Failure, "")
	})
	return nil
}
