// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"slices"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/event"
)

// bisect stores what the server takes of a batch that it refused as a whole, and adds the events that it
// refuses one by one to the failed ones. Halving finds k refused rows of n in about 2k·log2(n) INSERTs.
func (x *eventsExporter) bisect(ctx context.Context, b *block, batch event.Batch, refused error) error {
	x.logger.Warn("ClickHouse refuses rows of a batch: looking for them by halves", zap.Error(refused))
	known := slices.Clone(b.inFailed) // already among the failed ones
	n := batch.Len()
	mid := n / 2
	if n == 1 {
		return x.tryRange(ctx, b, batch, known, 0, 1)
	}
	if err := x.tryRange(ctx, b, batch, known, 0, mid); err != nil {
		return err
	}
	if err := x.tryRange(ctx, b, batch, known, mid, n); err != nil {
		return err
	}
	slices.Sort(b.inFailed)
	return nil
}

// tryRange stores the events at [from, to) of the batch.
func (x *eventsExporter) tryRange(ctx context.Context, b *block, batch event.Batch, known []int, from, to int) error {
	var reader event.Reader
	b.events.reset()
	reader.Reset(batch)
	for i := 0; i < to; i++ {
		e := reader.Next()
		if i < from {
			continue
		}
		if _, found := slices.BinarySearch(known, i); !found {
			_ = b.events.add(e, reader.ResourceIndex()) // it fitted before
		}
	}
	err := x.insert(ctx, x.cfg.Events.Name, b.events.rows, b.events.columns)
	if err == nil || classify(err) != classRows {
		return err
	}
	if b.events.rows == 1 {
		reader.Reset(batch)
		for i := 0; i < to; i++ {
			e := reader.Next()
			if _, found := slices.BinarySearch(known, i); i >= from && !found {
				x.failRow(ctx, b, i, e, &rowError{reason: reasonRefused}, serverError(err))
			}
		}
		return nil
	}
	mid := from + (to-from)/2
	if err := x.tryRange(ctx, b, batch, known, from, mid); err != nil {
		return err
	}
	return x.tryRange(ctx, b, batch, known, mid, to)
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
