// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/failpoint"
)

// carryOut does what the plan says is left: the events, then the failed ones.
//
// On a crash anywhere the plan that is durable says at least what was not stored yet, and under which tokens all that
// may have been.
func (r *run) carryOut(ctx context.Context) error {
	events := r.eventsStage()
	if err := events.carryOut(ctx); err != nil {
		return err
	}
	// A refused event must not be taken for a row again once it is stored as a failed one.
	if err := r.bindRefusals(ctx); err != nil {
		return err
	}
	failed := r.failedStage()
	if r.plan.failed.next == 0 {
		if err := failed.begin(ctx); err != nil {
			return err
		}
	}
	return failed.carryOut(ctx)
}

// begin says what the table of failed events is to get: one piece, which is a function of what is bound already, or
// several, or what the table lacks, which are bound.
func (s *stage) begin(ctx context.Context) error {
	s.plan.next = 1
	s.plan.pieces = []piece{{rows: spans{{0, s.batch.Len()}}}}
	p := &s.plan.pieces[0]
	p.fresh = s.ledger().unsent(s.insertion(s.token(p)))
	if err := s.prepare(p); err != nil {
		return err
	}
	groups, asks := s.cut(p), s.cfg.Existing == existingSkip && s.rows() > 0
	if len(groups) < 2 && !asks {
		return nil
	}
	if !p.fresh {
		// With another configuration an earlier attempt may have sent it as one.
		if !s.facts.exact && !asks {
			return nil
		}
		if s.facts.exact {
			if have, err := s.count(ctx, s.token(p)); err != nil || have > 0 {
				return err
			}
		}
	}
	skipped, err := s.leaveOutExisting(ctx)
	if err != nil {
		return err
	}
	if skipped > 0 {
		groups = nil
		if len(s.plan.pieces) > 0 {
			groups = s.cut(&s.plan.pieces[0])
		}
	}
	if len(groups) > 1 {
		s.split(groups)
	}
	// In any case, so that what is asked for is asked before anything is sent.
	if err := s.bindPieces(ctx); err != nil {
		return err
	}
	s.countSkipped(ctx, skipped)
	return nil
}

// token of a piece's INSERT. The exporter is part of it, since two of them can have parts of one delivery, by a routing
// connector, and write into one table.
func (s *stage) token(p *piece) string {
	return s.d.ID.Token(s.id.String(), s.cfg.Database, s.table, strconv.FormatUint(p.number, 10))
}

func (s *stage) carryOut(ctx context.Context) error {
	durable := len(s.plan.pieces) // of the pieces, those that the durable plan has
	unbound := uint64(0)          // blocks of pieces that are stored, which the durable plan would repeat
	for len(s.plan.pieces) > 0 {
		p := &s.plan.pieces[0]
		if err := s.prepare(p); err != nil {
			return err
		}
		blocks, settled, err := s.settle(ctx, p)
		if errors.Is(err, errWindow) && len(s.plan.pieces) < durable {
			// What others wait for must not be what this delivery has done.
			err = errors.Join(err, s.bindPieces(ctx))
		}
		if err != nil {
			return err
		}
		if !settled { // other pieces stand in its place
			unbound, durable = 0, len(s.plan.pieces)
			continue
		}
		s.plan.pieces = s.plan.pieces[1:]
		if unbound += blocks; len(s.plan.pieces) > 0 && unbound > max(1, s.cfg.Deduplication.budget()/8) {
			if err := s.bindPieces(ctx); err != nil {
				return err
			}
			unbound, durable = 0, len(s.plan.pieces)
		}
	}
	return nil
}

// bindPieces makes durable what the table is still to get. The delivery repeats nothing else then.
func (s *stage) bindPieces(ctx context.Context) error {
	if err := s.bind(ctx); err != nil {
		return err
	}
	s.settled()
	return nil
}

// settled tells the ledger what the durable plan repeats.
func (s *stage) settled() {
	left := make(map[string]bool, len(s.plan.pieces))
	for i := range s.plan.pieces {
		left[s.token(&s.plan.pieces[i])] = true
	}
	s.ledger().settled(s.insertion(""), left)
}

// prepare makes the block hold the piece's rows.
func (s *stage) prepare(p *piece) error {
	whole := len(p.rows) == 1 && p.rows[0] == span{0, s.batch.Len()}
	if s.built == builtBoth && whole && (s.bisects || len(s.refusals) == 0) {
		return nil
	}
	return s.build(p)
}

// cut groups the rows in the block so that each group's INSERT stays within the budget. One group means all.
func (s *stage) cut(p *piece) [][]int {
	limit := s.cfg.Deduplication.budget()
	if s.facts.partitioning.bound(s.extent) <= limit {
		return nil
	}
	var places []place
	s.visit(p, func(e *event.Event, i int) {
		at := e.Time
		if at == 0 && s.bisects {
			at = e.Received
		}
		places = append(places, place{
			position: i, time: columns.FailedTime(at), received: columns.FailedTime(e.Received),
			texts: [5]string{e.Tenant, e.Name, e.Source, e.Schema, e.SchemaVersion},
		})
	})
	return s.facts.partitioning.cut(places, limit)
}

// split puts new pieces in the place of the first. They count after they are bound.
func (s *stage) split(groups [][]int) {
	repairs := s.plan.pieces[0].repairs
	pieces := make([]piece, len(groups))
	for i, g := range groups {
		pieces[i] = piece{number: s.plan.next, rows: spansOf(g), repairs: repairs, fresh: true}
		s.plan.next++
	}
	s.plan.pieces = slices.Concat(pieces, s.plan.pieces[1:])
}

// Outcomes of INSERTs that are repeated.
const (
	outcomeInserted     = "inserted"     // nothing of it was there
	outcomeDeduplicated = "deduplicated" // the table knew the token
	outcomeFound        = "found"        // the rows were there, and nothing was sent
	outcomeRepaired     = "repaired"     // rows were missing, though the token was known or is forgotten
)

func (s *stage) replayed(ctx context.Context, p *piece, outcome string) {
	if !p.fresh {
		s.telemetry.ExporterClickhouseEventsReplays.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", outcome))))
	}
}

// settle stores the piece in the block, or puts others in its place.
func (s *stage) settle(ctx context.Context, p *piece) (blocks uint64, settled bool, err error) {
	n := s.rows()
	if n == 0 {
		return 0, true, nil
	}
	token := s.token(p)
	if p.fresh {
		return s.send(ctx, p, token, unasked)
	}
	if !s.facts.exact && s.ledger().stored(s.insertion(token)) {
		// A branch beside this one failed. Repetitions would be counted by the table, and such a one cannot be asked
		// when they are too many.
		s.replayed(ctx, p, outcomeFound)
		return 0, true, nil
	}
	forgotten, err := s.forgotten(ctx)
	if err != nil {
		return 0, false, err
	}
	if forgotten && !s.facts.exact {
		return 0, false, blocked("%s may be in %s.%s already, but the table has forgotten the INSERTs of that time, and of its engine it cannot be asked which rows "+
			"it has: compare by hand, then reset the pipeline's position behind it. To prevent it: a greater deduplication.window or replicated_window",
			s.d.ID, s.cfg.Database, s.table)
	}
	have := unasked
	if forgotten || s.facts.exact && !s.facts.replicated {
		if have, err = s.count(ctx, token); err != nil && (forgotten || !isCode(err, accessDenied)) {
			return 0, false, err
		}
		// Views may lack what the table has, if the server died in between: then the INSERT is repeated for them.
		if have >= n && (forgotten || !s.facts.views) {
			s.replayed(ctx, p, outcomeFound)
			return 0, true, nil
		}
	}
	if forgotten && have > 0 {
		settled, err := s.repair(ctx, p, token)
		return 0, settled, err
	}
	return s.send(ctx, p, token, have)
}

// unasked is the number of rows that a table was not asked for.
const unasked = -1

// send sends the INSERT. have is how many of its rows the table had before, or unasked.
func (s *stage) send(ctx context.Context, p *piece, token string, have int) (blocks uint64, settled bool, err error) {
	n := s.rows()
	reserved := uint64(1)
	if !s.facts.partitioning.unknown {
		reserved = s.facts.partitioning.bound(s.extent)
	}
	if err := s.ledger().reserve(s.insertion(token), reserved, s.cfg.Deduplication.budget(), s.facts.exact, s.now()); err != nil {
		return 0, false, err
	}
	failpoint.Reach(failpoint.InsertBefore)
	insertCtx, cancel := s.timeout(ctx)
	start := time.Now()
	ack, err := s.inserter.insert(insertCtx, s.table, s.input(token, n), token)
	cancel()
	if err != nil {
		switch classify(err) {
		case classTables:
			s.tables.forget()
		case classRows:
			if s.bisects {
				settled, err = s.refused(ctx, p, token, err)
				return 0, settled, err
			}
		}
		return 0, false, err
	}
	failpoint.Reach(failpoint.InsertAfter)
	made := ack.blocks // those of views' tables among them
	switch {
	case made == 0: // the server does not say
		made = reserved
	case !s.facts.partitioning.unknown:
		made = min(made, reserved)
	}
	s.ledger().correct(s.insertion(token), made)
	// A server that says nothing of blocks does not say either that it knew one.
	if (ack.deduplicated || ack.blocks == 0) && have != unasked && have < n {
		// Our first attempt may have been under way still. If it was not, the server died after it noted the token and
		// before it kept the rows.
		if have, err = s.count(ctx, token); err != nil {
			return 0, false, err
		}
		if have < n {
			settled, err := s.repair(ctx, p, token)
			return made, settled, err
		}
	}
	s.inserted(ctx, s.table, n, start)
	if ack.deduplicated {
		s.replayed(ctx, p, outcomeDeduplicated)
	} else {
		s.replayed(ctx, p, outcomeInserted)
	}
	return made, true, nil
}

// input is the block with the column that marks its rows.
func (s *stage) input(token string, rows int) proto.Input {
	d := s.block.delivery
	d.Reset()
	for range rows {
		d.AppendString(token)
	}
	s.block.input = append(append(s.block.input[:0], s.columns()...), proto.InputColumn{Name: deliveryColumn, Data: d})
	return s.block.input
}

func (s *stage) insertion(token string) insertion {
	return insertion{s.coordinator, s.eventsExporter.id, s.d.ID, token}
}

func (s *stage) ledger() *ledger {
	if s.bisects {
		return s.ledgers.events
	}
	return s.ledgers.failed
}

// refused isolates the rows that the server refuses: halves are bound, and sent under tokens of their own.
func (s *stage) refused(ctx context.Context, p *piece, token string, refusal error) (settled bool, err error) {
	var positions []int
	s.visit(p, func(_ *event.Event, i int) { positions = append(positions, i) })
	slices.Sort(positions)
	// Constraints are checked before the block is divided by partitions.
	atOnce := !s.facts.exact && isConstraint(refusal) || s.facts.partitioning.bound(s.extent) == 1
	if p.fresh && atOnce {
		s.ledger().refused(s.insertion(token))
	} else {
		// An earlier attempt may have stored them before the server changed its mind, or this one a part of them: halves
		// have other tokens and would double them.
		if !s.facts.exact {
			return false, fmt.Errorf("rows that may be stored already are refused, and of its engine %s.%s cannot be asked: %w", s.cfg.Database, s.table, refusal)
		}
		have, err := s.count(ctx, token)
		switch {
		case err != nil:
			return false, err
		case have >= len(positions):
			s.replayed(ctx, p, outcomeFound)
			return true, nil
		case have > 0:
			return s.repair(ctx, p, token)
		}
	}
	if len(positions) == 1 {
		return true, s.refuse(ctx, positions[0], serverError(refusal))
	}
	s.logger.Warn("ClickHouse refuses rows of a delivery: looking for them by halves", zap.Stringer("delivery", s.d.ID), zap.Int("rows", len(positions)), zap.Error(refusal))
	half := len(positions) / 2
	s.split([][]int{positions[:half], positions[half:]})
	if err := s.bindPieces(ctx); err != nil {
		return false, err
	}
	failpoint.Reach(failpoint.BisectBound)
	return false, nil
}

// maxRepairs is how often rows that are missing under a token are sent under another one. They can also be missing
// because they were deleted, or because their TTL is over.
const maxRepairs = 3

// repair puts the rows that the table lacks in the piece's place, under a new token.
func (s *stage) repair(ctx context.Context, p *piece, token string) (settled bool, err error) {
	missing, err := s.missing(ctx, p, token)
	if err != nil {
		return false, err
	}
	s.replayed(ctx, p, outcomeRepaired)
	if len(missing) == 0 {
		return true, nil
	}
	log := s.logger.With(zap.Stringer("delivery", s.d.ID), zap.String("table", s.table), zap.Int("rows", len(missing)))
	if p.repairs >= maxRepairs {
		log.Error("Rows that the server acknowledged are not in the table, and were not after several attempts: they were deleted, or their TTL is over")
		return true, nil
	}
	log.Warn("The table lacks rows of an INSERT that it takes for stored, or has forgotten: they are sent again under another token")
	s.plan.pieces[0].repairs++
	s.split([][]int{missing})
	return false, s.bindPieces(ctx)
}

// forgotten says whether the table may have forgotten the tokens that were sent since the plan was bound.
func (s *stage) forgotten(ctx context.Context) (bool, error) {
	if s.counted == nil {
		askCtx, cancel := s.timeout(ctx)
		defer cancel()
		events, failed, err := s.tables.marks(askCtx, s.run.facts)
		if err != nil {
			return false, err
		}
		s.counted = &observed{events: events, failed: failed}
	}
	count := s.counted.failed
	if s.bisects {
		count = s.counted.events
	}
	forgotten := s.facts.forgets(count, s.plan.mark, s.now().Sub(time.Unix(0, s.run.plan.bound)))
	result := "remembered"
	if forgotten {
		result = "forgotten"
	}
	s.telemetry.ExporterClickhouseEventsWindowChecks.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("result", result))))
	return forgotten, nil
}

// forgets says whether a token from after the mark may be gone.
func (f *tableFacts) forgets(count, mark counter, age time.Duration) bool {
	since, known := count.since(mark)
	return !known || since >= f.window || f.replicated && age >= f.seconds
}

// where restricts a question to the rows of a token, in the block's partitions and part of the sorting key.
func (s *stage) where(token string) (string, []any) {
	sql := " FROM " + quote(s.cfg.Database) + "." + quote(s.table) + " WHERE " + quote(deliveryColumn) + " = ?" +
		" AND event_time BETWEEN fromUnixTimestamp64Nano(toInt64(?), 'UTC') AND fromUnixTimestamp64Nano(toInt64(?), 'UTC')" +
		" AND received_time BETWEEN fromUnixTimestamp64Nano(toInt64(?), 'UTC') AND fromUnixTimestamp64Nano(toInt64(?), 'UTC')"
	args := []any{token, s.extent.time[0], s.extent.time[1], s.extent.received[0], s.extent.received[1]}
	if !s.extent.manyTenants {
		sql += " AND tenant_id IN (" + strings.TrimSuffix(strings.Repeat("?, ", len(s.extent.tenants)), ", ") + ")"
		for _, tenant := range s.extent.tenants {
			args = append(args, tenant)
		}
	}
	return sql, args
}

// count asks the table how many rows it has of a token.
func (s *stage) count(ctx context.Context, token string) (int, error) {
	ctx, cancel := s.timeout(ctx)
	defer cancel()
	if err := s.sync(ctx); err != nil {
		return 0, err
	}
	sql, args := s.where(token)
	var n uint64
	if err := s.conn.QueryRow(ctx, "SELECT count()"+sql, args...).Scan(&n); err != nil {
		return unasked, fmt.Errorf("asking %s.%s for rows of a repeated INSERT (it needs GRANT SELECT): %w", s.cfg.Database, s.table, err)
	}
	return int(n), nil
}

// sync waits for what other replicas have.
func (s *stage) sync(ctx context.Context) error {
	if !s.facts.replicated {
		return nil
	}
	sync := "SYSTEM SYNC REPLICA " + quote(s.cfg.Database) + "." + quote(s.table) + " LIGHTWEIGHT"
	if err := s.conn.Exec(ctx, sync); err != nil {
		return fmt.Errorf("waiting for the replica (it needs GRANT SYSTEM SYNC REPLICA): %w", err)
	}
	return nil
}

// rowKey tells rows of one INSERT apart, as far as their partition can differ by what partitions.go understands.
type rowKey struct {
	tenant, name, id, source, schema, version string
	time, received                            int64
}

// missing returns the positions of the piece's rows that the table does not have under the token, ascending.
func (s *stage) missing(ctx context.Context, p *piece, token string) ([]int, error) {
	ctx, cancel := s.timeout(ctx)
	defer cancel()
	sql, args := s.where(token)
	rows, err := s.conn.Query(ctx, "SELECT toString(tenant_id), toString(event_name), event_id, toString(source), toString(schema_name), toString(schema_version), "+
		"toUnixTimestamp64Nano(event_time), toUnixTimestamp64Nano(received_time)"+sql, args...)
	if err != nil {
		return nil, fmt.Errorf("asking %s.%s which rows it has: %w", s.cfg.Database, s.table, err)
	}
	have := map[rowKey]int{}
	for rows.Next() {
		var k rowKey
		if err := rows.Scan(&k.tenant, &k.name, &k.id, &k.source, &k.schema, &k.version, &k.time, &k.received); err != nil {
			return nil, fmt.Errorf("asking %s.%s which rows it has: %w", s.cfg.Database, s.table, err)
		}
		have[k]++
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("asking %s.%s which rows it has: %w", s.cfg.Database, s.table, err)
	}
	var missing []int
	s.visit(p, func(e *event.Event, i int) {
		at := e.Time
		if at == 0 && s.bisects {
			at = e.Received
		}
		k := rowKey{e.Tenant, e.Name, e.ID, e.Source, e.Schema, e.SchemaVersion, columns.FailedTime(at), columns.FailedTime(e.Received)}
		if have[k] > 0 {
			have[k]--
			return
		}
		missing = append(missing, i)
	})
	slices.Sort(missing)
	return missing, nil
}
