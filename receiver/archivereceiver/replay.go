// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/receiver/archivereceiver/internal/pages"
)

// Reasons for which a file is skipped, beside those of rows.
const (
	fileForeign       = "foreign"
	fileColumnType    = "column_type"
	fileColumnMissing = "column_missing"
	fileLayout        = "unreadable_layout"
	fileCorrupt       = "corrupt"
	fileUnsupported   = "unsupported"
	fileTooLarge      = "too_large"
	fileGone          = "gone"
)

const (
	// fileMemory is what the columns of one file may take.
	fileMemory = 256 << 20
	// batchBytes is about how large a batch may be, whatever batch_events says.
	batchBytes = 8 << 20
)

// refused is an error of the pipeline.
type refused struct{ err error }

func (e *refused) Error() string { return e.err.Error() }
func (e *refused) Unwrap() error { return e.err }

// readFile reads a file to its end, however often that takes. Its error ends the job: the context's, or a *refused that is
// permanent.
func (r *archiveReceiver) readFile(ctx context.Context, info objectstore.Info, done fileRecord) error {
	f := &fileReader{r: r, info: info, at: done.Rows, log: r.log.With(zap.String("file", info.Key))}
	var pause backoff
	for {
		before := f.at
		err := f.attempt(ctx)
		if f.at > before {
			pause.reset()
		}
		var refusal *refused
		var damaged *fileError
		switch {
		case err == nil:
			return r.finishFile(ctx, f, "")
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &refusal):
			if consumererror.IsPermanent(refusal.err) {
				r.count(r.telemetry.ReceiverArchiveRefusedBatches, 1, "permanent")
				return refusal
			}
			r.count(r.telemetry.ReceiverArchiveRefusedBatches, 1, "retryable")
			wait := pause.next()
			f.log.Warn("The pipeline did not take a batch, which goes out again", zap.Int64("row", f.at), zap.Duration("in", wait), zap.Error(err))
			if err := sleep(ctx, r.clock, wait); err != nil {
				return err
			}
		case errors.Is(err, errOtherKind):
			f.log.Debug("A file is of the other kind and is passed over")
			return r.finishFile(ctx, f, "")
		case errors.As(err, &damaged):
			return r.skipFile(ctx, f, damaged.reason, err)
		case errors.Is(err, pages.ErrTooLarge):
			return r.skipFile(ctx, f, fileTooLarge, err)
		case errors.Is(err, pages.ErrUnsupported):
			return r.skipFile(ctx, f, fileUnsupported, err)
		case errors.Is(err, pages.ErrCorrupt):
			return r.skipFile(ctx, f, fileCorrupt, err)
		case errors.Is(err, objectstore.ErrNotExist):
			return r.skipFile(ctx, f, fileGone, err)
		default: // of the store that the file is in, or of the one that keeps positions
			if err := r.waitForStore(ctx, &pause, f.log, err); err != nil {
				return err
			}
		}
	}
}

// waitForStore says that a store is in the way, and pauses.
func (r *archiveReceiver) waitForStore(ctx context.Context, pause *backoff, log *zap.Logger, err error) error {
	wait := pause.next()
	say := log.Warn
	if objectstore.IsPermanent(err) { // somebody has to change something, and then it goes on
		say = log.Error
	}
	say("A store is in the way, and is tried again", zap.Duration("in", wait), zap.Error(err))
	componentstatus.ReportStatus(r.host, componentstatus.NewRecoverableErrorEvent(err))
	if err := sleep(ctx, r.clock, wait); err != nil {
		return err
	}
	componentstatus.ReportStatus(r.host, componentstatus.NewEvent(componentstatus.StatusOK))
	return nil
}

// skipFile gives up what of a file was not read yet. What was, is with the pipeline.
func (r *archiveReceiver) skipFile(ctx context.Context, f *fileReader, reason string, err error) error {
	f.log.Error("A file is skipped, the job goes on with the next", zap.String("reason", reason), zap.Int64("row", f.at), zap.Error(err))
	return r.finishFile(ctx, f, reason)
}

// finishFile commits that nothing more is to be read of a file.
func (r *archiveReceiver) finishFile(ctx context.Context, f *fileReader, skipped string) error {
	if err := r.commit(ctx, f, fileRecord{Size: f.info.Size, Rows: f.at, Done: true}); err != nil {
		return err
	}
	if skipped != "" {
		r.count(r.telemetry.ReceiverArchiveSkippedFiles, 1, skipped)
	} else {
		r.telemetry.ReceiverArchiveFiles.Add(context.Background(), 1)
	}
	r.advance(f, float64(f.info.Size)-f.read, 0, 0)
	r.progress.fileDone(skipped != "")
	return nil
}

// commit makes a position durable. It returns when it is, so that never more than one batch is ahead of it, or with the
// context's error.
func (r *archiveReceiver) commit(ctx context.Context, f *fileReader, record fileRecord) error {
	var pause backoff
	for {
		err := r.positions.setFile(f.info.Key, record)
		if err == nil {
			return nil
		}
		if err := r.waitForStore(ctx, &pause, f.log, err); err != nil {
			return err
		}
	}
}

func (r *archiveReceiver) count(c metric.Int64Counter, n int64, reason string) {
	c.Add(context.Background(), n, metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason))))
}

func (r *archiveReceiver) advance(f *fileReader, bytes float64, events, skipped int64) {
	whole := int64(f.read+bytes) - int64(f.read)
	f.read += bytes
	r.telemetry.ReceiverArchiveBytes.Add(context.Background(), whole)
	r.progress.advance(bytes, events, skipped)
}

// fileReader reads one file. One goroutine at a time.
type fileReader struct {
	r    *archiveReceiver
	info objectstore.Info
	log  *zap.Logger
	at   int64   // rows that are done with: taken by the pipeline, skipped or passed over
	read float64 // bytes that they are, about

	// Of the attempt under way.
	file     *pages.File
	mapping  *fileMap
	restorer *event.Restorer
	next     int64 // the row to read
	size     int   // bytes of the batch
	skipped  map[string]int64
	raw      []byte
	columns  []column
	open     []*pages.Column
	budget   *pages.Budget
}

// attempt reads on from f.at. What a damaged file makes panic is an error of the file.
func (f *fileReader) attempt(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			f.log.Error("Reading a file ended in a panic: please report it, with the file if you can", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			err = fmt.Errorf("%w: reading it ended in a panic", pages.ErrCorrupt)
		}
	}()
	object, err := f.r.source.Open(ctx, f.info.Key)
	if err != nil {
		return err
	}
	defer func() { _ = object.Close() }() // it was only read
	if f.file, err = pages.Open(object, object.Info().Size); err != nil {
		return err
	}
	if f.mapping, err = newFileMap(f.file, f.r.selection); err != nil {
		return err
	}
	if f.at > 0 && f.read == 0 { // an earlier start read so much
		f.read = f.share(f.at)
		f.r.progress.already(f.read)
	}
	f.restorer = event.NewRestorer()
	f.restorer.DropSchema = f.r.selection.clearSchema
	if f.r.repair != nil {
		f.restorer.Unseal = f.r.repair.Open
	}
	f.next, f.size, f.skipped, f.budget = f.at, 0, map[string]int64{}, pages.NewBudget(fileMemory)
	first := int64(0)
	for g := range f.file.RowGroups() {
		n := f.file.GroupRows(g)
		if first+n > f.next {
			if f.r.selection.hasGroup(f.file, g, f.mapping) {
				if err := f.readGroup(ctx, g, first, n); err != nil {
					return f.giveUp(ctx, err)
				}
			}
			f.next = first + n
		}
		first += n
	}
	return f.flush(ctx)
}

// giveUp passes on what was read before damage, which would go with the file, and returns why there is no more.
func (f *fileReader) giveUp(ctx context.Context, err error) error {
	if !errors.Is(err, pages.ErrCorrupt) && !errors.Is(err, pages.ErrUnsupported) && !errors.Is(err, pages.ErrTooLarge) {
		return err // it is tried again from the last position
	}
	if flushErr := f.flush(ctx); flushErr != nil {
		return flushErr
	}
	return err
}

// readGroup reads the rows of a row group from f.next on.
func (f *fileReader) readGroup(ctx context.Context, g int, first, n int64) error {
	defer func() {
		for _, c := range f.open {
			c.Close()
		}
		f.open = f.open[:0]
	}()
	f.columns = slices.Grow(f.columns[:0], len(f.mapping.use))
	for _, leaf := range f.mapping.use {
		if f.file.AllNull(g, leaf) {
			f.columns = append(f.columns, nil)
			continue
		}
		c, err := f.file.Column(g, leaf, f.budget)
		if err != nil {
			return err
		}
		f.open = append(f.open, c)
		f.columns = append(f.columns, c)
		if err := c.Skip(f.next - first); err != nil {
			return err
		}
	}
	for f.next < first+n {
		for _, c := range f.open {
			if err := c.Next(); err != nil {
				return err
			}
		}
		if f.mapping.selects(f.columns) {
			size, reason := f.mapping.restore(f.restorer, f.columns, rowPlace{f.info.Key, f.next}, &f.raw)
			f.size += size
			if reason != "" {
				f.skipped[reason]++
			}
		}
		f.next++
		if f.size >= batchBytes || f.restorer.Len() >= f.r.batchEvents {
			if err := f.flush(ctx); err != nil {
				return err
			}
		} else if f.next%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// flush passes the batch on and commits the position behind it. On an error nothing is committed, and the next attempt
// builds the same batch.
func (f *fileReader) flush(ctx context.Context) error {
	n := f.restorer.Len()
	if f.next == f.at {
		return nil
	}
	if n > 0 {
		if err := f.r.limiter.wait(ctx, n); err != nil {
			return err
		}
		if err := f.r.pass(ctx, f.restorer.Batch(), n); err != nil {
			return &refused{err}
		}
	}
	rows := f.next - f.at
	// From here on the batch is the pipeline's: a crash before the commit repeats it.
	if err := f.r.commit(ctx, f, fileRecord{Size: f.info.Size, Rows: f.next}); err != nil {
		return err
	}
	f.at, f.size = f.next, 0
	f.r.telemetry.ReceiverArchiveEvents.Add(context.Background(), int64(n))
	var skipped int64
	for reason, rows := range f.skipped {
		f.r.count(f.r.telemetry.ReceiverArchiveSkippedRows, rows, reason)
		f.log.Warn("Rows are skipped: they are no events that can be restored", zap.String("reason", reason), zap.Int64("rows", rows), zap.Int64("before_row", f.next))
		skipped += rows
	}
	clear(f.skipped)
	f.r.advance(f, f.share(rows), int64(n), skipped)
	return nil
}

// share is about how many bytes of the file that many rows are.
func (f *fileReader) share(rows int64) float64 {
	return float64(f.info.Size) * float64(rows) / float64(max(f.file.Rows(), 1))
}
