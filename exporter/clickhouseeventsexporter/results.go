// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
)

// Results have tables of their own, whose rows replace earlier ones of the same result. So to store a batch again changes nothing,
// and no plan and no token is needed: what is in doubt is sent again. They are taken out of a batch before the events are looked
// at, and stored before them: if that fails, all of the batch comes again, and no event of it was stored.

// splitResults returns the batch without its results. It is a function of the batch alone, so that a delivery that comes again has
// its events at the positions that its plan knows. Most batches have either nothing else or no results, and are not copied.
func splitResults(ld plog.Logs, scopes []result.Scope) (rest plog.Logs, hasResults bool) {
	results, records := 0, 0
	for i := range scopes {
		records += scopes[i].Records
		if scopes[i].IsResult() {
			results += scopes[i].Records
		}
	}
	switch results {
	case 0:
		return ld, false
	case records:
		return plog.NewLogs(), true
	}
	rest = plog.NewLogs()
	at := 0
	for _, rl := range ld.ResourceLogs().All() {
		var to plog.ResourceLogs
		begun := false
		for _, sl := range rl.ScopeLogs().All() {
			s := &scopes[at]
			at++
			if s.IsResult() || s.Records == 0 {
				continue
			}
			if !begun {
				begun = true
				to = rest.ResourceLogs().AppendEmpty()
				rl.Resource().CopyTo(to.Resource())
				to.SetSchemaUrl(rl.SchemaUrl())
			}
			sl.CopyTo(to.ScopeLogs().AppendEmpty())
		}
	}
	return rest, true
}

// storeResults stores the results of a batch and returns the rest of it, which may be empty. All its errors are retryable, and then
// the whole batch comes again.
func (x *eventsExporter) storeResults(ctx context.Context, ld plog.Logs) (rest plog.Logs, err error) {
	scopes := result.Tables(ld)
	if scopes == nil {
		return ld, nil
	}
	rest, has := splitResults(ld, scopes)
	if !has {
		return rest, nil
	}
	s := &storing{eventsExporter: x, batch: event.FromLogs(ld), scopes: scopes, failed: map[int]failedResult{}}
	defer s.release()
	if err := s.build(ctx); err != nil {
		return rest, err
	}
	for _, b := range s.blocks {
		if err := s.store(ctx, b); err != nil {
			return rest, err
		}
	}
	return rest, s.storeFailed(ctx)
}

// storing is one attempt at one batch's results, by one goroutine.
type storing struct {
	*eventsExporter
	batch  event.Batch
	scopes []result.Scope
	blocks []*resultBlock          // by table, in the order in which they came
	of     map[string]*resultBlock // by text
	failed map[int]failedResult    // by position
}

// resultBlock is what a batch has for one table.
type resultBlock struct {
	table     *resultTable
	rows      *resultRows
	positions []int // of the rows
}

// failedResult is a result that has no row.
type failedResult struct {
	columns.Error
	message string // the server's
	before  bool   // marked as failed by somebody before us
}

const reasonTable = "result_table_unreadable"

func (s *storing) release() {
	for _, b := range s.blocks {
		b.table.give(b.rows)
	}
}

// build reads the batch into blocks.
func (s *storing) build(ctx context.Context) error {
	s.of = map[string]*resultBlock{}
	return s.each(func(i int, e *event.Event, scope *result.Scope) error {
		switch {
		case e.Failed:
			s.failed[i] = failedResult{before: true}
			return nil
		case scope.Table == nil:
			s.failed[i] = failedResult{Error: columns.Error{Reason: reasonTable}, message: scope.Err.Error()}
			return nil
		}
		b := s.of[scope.Text]
		if b == nil {
			lookCtx, cancel := s.timeout(ctx)
			table, err := s.results.ensure(lookCtx, scope.Table, scope.Text)
			cancel()
			if err != nil {
				return err
			}
			b = &resultBlock{table: table, rows: table.take()}
			s.of[scope.Text] = b
			s.blocks = append(s.blocks, b)
		}
		if refused := b.rows.add(e); refused == nil {
			b.positions = append(b.positions, i)
		} else {
			s.failed[i] = failedResult{Error: *refused}
		}
		return nil
	})
}

// each calls f for the batch's results, with their positions.
func (s *storing) each(f func(i int, e *event.Event, scope *result.Scope) error) error {
	var r event.Reader
	r.Reset(s.batch)
	i := 0
	for e := r.Next(); e != nil; e = r.Next() {
		if scope := &s.scopes[r.ResourceIndex()-1]; scope.IsResult() {
			if err := f(i, e, scope); err != nil {
				return err
			}
		}
		i++
	}
	return nil
}

// store sends a block, by halves where the server refuses rows.
func (s *storing) store(ctx context.Context, b *resultBlock) error {
	err := s.send(ctx, b)
	if err == nil || classify(err) != classRows {
		return err
	}
	s.logger.Warn("ClickHouse refuses results: looking for them by halves", zap.String("table", b.table.name), zap.Error(err))
	// The attempt's deadline is for one INSERT; here each of many has it for itself. Their number is bounded by the batch's size.
	return s.halves(context.WithoutCancel(ctx), b, b.positions, err)
}

// halves stores what the server takes of rows that it refused with an error.
func (s *storing) halves(ctx context.Context, b *resultBlock, positions []int, refused error) error {
	if len(positions) == 1 {
		s.failed[positions[0]] = failedResult{Error: columns.Error{Reason: reasonRefused}, message: serverError(refused)}
		return nil
	}
	mid := len(positions) / 2
	for _, half := range [][]int{positions[:mid], positions[mid:]} {
		b.rows.reset()
		err := s.each(func(i int, e *event.Event, _ *result.Scope) error {
			if _, in := slices.BinarySearch(half, i); in {
				_ = b.rows.add(e) // it fitted before
			}
			return nil
		})
		if err != nil {
			return err
		}
		switch err := s.send(ctx, b); {
		case err == nil:
		case classify(err) != classRows:
			return err
		default:
			if err := s.halves(ctx, b, half, err); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *storing) send(ctx context.Context, b *resultBlock) error {
	ctx, cancel := s.timeout(ctx)
	defer cancel()
	err := s.insert(ctx, b.table.name, b.rows.rows, b.rows.columns)
	if err != nil && classify(err) == classTables {
		s.results.forget()
	}
	return err
}

// storeFailed stores the results that have no row among the failed events, each once: those that the table has are left out, since
// the batch may have come before. They have an ID by which they are known then: the result's and its pane's.
func (s *storing) storeFailed(ctx context.Context) error {
	if len(s.failed) == 0 {
		return nil
	}
	ensureCtx, cancel := s.timeout(ctx)
	defer cancel()
	if _, err := s.tables.ensure(ensureCtx, s.registry.Snapshot()); err != nil {
		return err
	}
	there, err := s.failedBefore(ensureCtx)
	if err != nil {
		return err
	}
	rows := newFailedRows()
	err = s.each(func(i int, e *event.Event, _ *result.Scope) error {
		f, failed := s.failed[i]
		if !failed {
			return nil
		}
		nameFailed(e)
		if there[e.ID] {
			return nil
		}
		failure := e.Failure
		if !f.before {
			failure = event.Failure{Stage: event.StageExport, Reason: f.Reason, Pointer: f.Pointer, Processor: s.id.String()}
		}
		rows.Add(e, failure, f.message)
		return nil
	})
	if err != nil || rows.Rows() == 0 {
		return err
	}
	if err := s.insert(ensureCtx, s.cfg.FailedEvents.Name, rows.Rows(), rows.columns); err != nil {
		if classify(err) == classTables {
			s.eventsExporter.tables.forget()
		}
		return err
	}
	for _, f := range s.failed {
		if !f.before {
			s.countFailed(ctx, f.Reason)
		}
	}
	return nil
}

// nameFailed gives a result an ID, in memory: that of its pane, or one of its content.
func nameFailed(e *event.Event) {
	if e.ID != "" {
		return
	}
	if e.ID = result.EventID(e); e.ID == "" {
		sum := sha256.Sum256(e.AppendRaw(nil))
		e.ID = hex.EncodeToString(sum[:16])
	}
}

// failedBefore returns the IDs of those that the table has already.
func (s *storing) failedBefore(ctx context.Context) (map[string]bool, error) {
	var ids proto.ColStr
	var times windows
	err := s.each(func(i int, e *event.Event, _ *result.Scope) error {
		if _, failed := s.failed[i]; failed {
			nameFailed(e)
			ids.Append(e.ID)
			times.add("", columns.FailedTime(e.Received))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	var found proto.ColStr
	err = s.inserter.ask(ctx, ch.Query{
		Body: "SELECT DISTINCT event_id FROM " + quote(s.cfg.Database) + "." + quote(s.cfg.FailedEvents.Name) +
			" WHERE event_id IN " + idsTable + " AND (" + times.where("received_time") + ")",
		Result:        proto.Results{{Name: "event_id", Data: &found}},
		ExternalTable: idsTable, ExternalData: proto.Input{{Name: "id", Data: &ids}},
		OnResult: func(context.Context, proto.Block) error {
			for i := range found.Rows() {
				there[strings.Clone(found.Row(i))] = true
			}
			return nil
		},
	})
	if ch.IsErr(err, accessDenied) {
		return there, nil // our user may not look: at least once, then
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s.%s which failed results it has: %w", s.cfg.Database, s.cfg.FailedEvents.Name, err)
	}
	return there, nil
}
