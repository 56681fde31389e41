// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"slices"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
)

// bisection stores what the server takes of a batch that it refused as a whole, and adds the events that it
// refuses one by one to the failed ones. Halving finds k refused rows of n in about 2k·log2(n) INSERTs.
type bisection struct {
	*eventsExporter
	block  *block
	batch  event.Batch
	done   []bool // by position in the batch: stored, or among the failed ones
	failed []bool // those among the failed ones
}

// bisect works through the batch. On an error that a retry may mend it returns that error with the events that are
// not stored yet, the failed ones among them.
func (x *eventsExporter) bisect(ctx context.Context, b *block, batch event.Batch, refused error) error {
	x.logger.Warn("ClickHouse refuses rows of a batch: looking for them by halves", zap.Error(refused))
	n := batch.Len()
	s := &bisection{eventsExporter: x, block: b, batch: batch, done: make([]bool, n), failed: make([]bool, n)}
	for _, i := range b.inFailed {
		s.done[i], s.failed[i] = true, true
	}
	// The attempt's deadline is for one INSERT; here each of many has it for itself. The number is bounded by the
	// batch's size, so this ends.
	if err := s.halves(context.WithoutCancel(ctx), 0, n); err != nil {
		var left []int
		for i := range n {
			if !s.done[i] || s.failed[i] {
				left = append(left, i)
			}
		}
		return consumererror.NewLogs(err, pick(batch.Logs(), left))
	}
	slices.Sort(b.inFailed)
	return nil
}

func (s *bisection) halves(ctx context.Context, from, to int) error {
	if to-from == 1 {
		return s.try(ctx, from, to)
	}
	mid := from + (to-from)/2
	if err := s.try(ctx, from, mid); err != nil {
		return err
	}
	return s.try(ctx, mid, to)
}

// try stores the events at [from, to) of the batch.
func (s *bisection) try(ctx context.Context, from, to int) error {
	s.block.events.Reset()
	s.each(from, to, func(_ int, e *event.Event, resource int) {
		_ = s.block.events.Add(e, resource) // it fitted before
	})
	rows := s.block.events.Rows()
	insertCtx, cancel := ctx, context.CancelFunc(func() {})
	if s.cfg.TimeoutConfig.Timeout > 0 {
		insertCtx, cancel = context.WithTimeout(ctx, s.cfg.TimeoutConfig.Timeout)
	}
	err := s.insert(insertCtx, s.cfg.Events.Name, rows, s.block.events.columns)
	cancel()
	switch {
	case err == nil:
		for i := from; i < to; i++ {
			s.done[i] = true
		}
		return nil
	case classify(err) != classRows:
		return err
	case rows > 1:
		return s.halves(ctx, from, to)
	}
	s.each(from, to, func(i int, e *event.Event, _ int) {
		s.failRow(ctx, s.block, i, e, &columns.Error{Reason: reasonRefused}, serverError(err))
		s.done[i], s.failed[i] = true, true
	})
	return nil
}

// each calls f for the events at [from, to) that are not done.
func (s *bisection) each(from, to int, f func(i int, e *event.Event, resource int)) {
	var reader event.Reader
	reader.Reset(s.batch)
	for i := 0; i < to; i++ {
		e := reader.Next()
		if i >= from && !s.done[i] {
			f(i, e, reader.ResourceIndex())
		}
	}
}

// pick copies the records at the given ascending positions.
func pick(ld plog.Logs, positions []int) plog.Logs {
	out := plog.NewLogs()
	ld.CopyTo(out)
	i := -1
	out.ResourceLogs().RemoveIf(func(rl plog.ResourceLogs) bool {
		rl.ScopeLogs().RemoveIf(func(sl plog.ScopeLogs) bool {
			sl.LogRecords().RemoveIf(func(plog.LogRecord) bool {
				i++
				_, keep := slices.BinarySearch(positions, i)
				return !keep
			})
			return sl.LogRecords().Len() == 0
		})
		return rl.ScopeLogs().Len() == 0
	})
	return out
}
