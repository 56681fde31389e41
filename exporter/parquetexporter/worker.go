// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/objectstore"
)

// worker makes files of what is staged: one goroutine, so that lots change in one order.
type worker struct {
	x      *parquetExporter
	ctx    context.Context // ends at shutdown: what is under way is done again after the next start
	cancel context.CancelFunc
	woken  chan struct{}
	done   chan struct{}

	// The goroutine's own.
	encoder   encoder
	failures  int       // in a row
	retryAt   time.Time // of publishing
	retainAt  time.Time // of the next look at retention
	catalogue bool      // may lack a line
}

func startWorker(x *parquetExporter) *worker {
	ctx, cancel := context.WithCancel(context.Background())
	w := &worker{
		x: x, ctx: ctx, cancel: cancel, woken: make(chan struct{}, 1), done: make(chan struct{}),
		encoder: encoder{x: x}, catalogue: true,
	}
	go func() {
		defer close(w.done)
		for {
			next := w.round()
			select {
			case <-ctx.Done():
				w.leave()
				return
			case <-w.woken:
			case <-x.clock.After(next):
			}
		}
	}()
	return w
}

// wake makes the worker look soon.
func (w *worker) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

func (w *worker) stop() {
	w.cancel()
	<-w.done
}

// Bounds of the pause after a failure, and of how long a stop waits for the store.
const (
	minPause    = time.Second
	maxPause    = time.Minute
	leaveWithin = 5 * time.Second
)

// leave brings the catalogue up to date a last time: a job that has ended may never start again, and would leave files that no
// catalogue has. What fails here is done by the next start.
func (w *worker) leave() {
	if !w.catalogue || w.x.cfg.Catalogue == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), leaveWithin)
	defer cancel()
	if err := w.x.writeCatalogue(ctx); err != nil {
		w.x.logger.Warn("The catalogue lacks files until the next start", zap.Error(err))
	}
}

// work is what a round found to do.
type work struct {
	full, due, closed []*lot
	next              time.Duration // until the next lot is due
}

// find looks at all lots.
func (w *worker) find(now time.Time) work {
	x := w.x
	x.mu.Lock()
	defer x.mu.Unlock()
	out := work{next: maxPause}
	var spare []*lot // neither due nor closed
	var leaving int64
	for _, l := range x.lots {
		// Negative where the clock has gone back since: waiting until it has caught up might take years.
		age := now.Sub(time.Unix(0, l.opened))
		switch {
		case l.file != "":
			out.closed = append(out.closed, l)
			leaving += l.staged()
		case age >= x.cfg.File.MaxAge || age < -x.cfg.File.MaxAge || l.size() >= x.cfg.File.TargetBytes:
			out.due = append(out.due, l)
			leaving += l.staged()
		default:
			out.next = min(out.next, x.cfg.File.MaxAge-age)
			spare = append(spare, l)
		}
	}
	// Where staging is nearly full, files are closed early: waiting for their age would hold up the door.
	if room := x.staging.staged() - leaving - x.cfg.Staging.MaxBytes/2; room > x.cfg.Staging.MaxBytes/4 {
		slices.SortFunc(spare, func(a, b *lot) int { return cmp.Compare(b.staged(), a.staged()) })
		for _, l := range spare {
			if room <= 0 {
				break
			}
			room -= l.staged()
			out.due = append(out.due, l)
		}
	}
	for _, l := range spare {
		if l.file == "" && x.full(l) && !now.Before(l.sealAt) && !slices.Contains(out.due, l) {
			out.full = append(out.full, l)
		}
	}
	byID := func(a, b *lot) int { return cmp.Compare(a.id, b.id) }
	slices.SortFunc(out.full, byID)
	slices.SortFunc(out.due, byID)
	slices.SortFunc(out.closed, byID)
	return out
}

// round does what is due and returns how long there is nothing to do.
func (w *worker) round() time.Duration {
	x := w.x
	now := x.clock.Now()
	todo := w.find(now)
	var errs []error
	for _, l := range todo.full {
		if w.ctx.Err() != nil {
			return 0
		}
		if err := x.seal(&w.encoder, l); err != nil {
			l.sealAt = now.Add(maxPause) // every delivery wakes the worker, and each failure would put off what is due
			errs = append(errs, err)
		}
	}
	if err := x.plan(todo.due); err != nil {
		errs = append(errs, err)
	} else {
		todo.closed = append(todo.closed, todo.due...)
	}
	if !now.Before(w.retryAt) {
		errs = append(errs, w.publish(todo.closed)...)
	}
	if w.ctx.Err() != nil {
		return 0
	}
	w.report(now, errs)
	next := todo.next
	if !w.retryAt.IsZero() {
		next = min(next, w.retryAt.Sub(now))
	}
	if len(todo.full) > 0 && len(errs) == 0 {
		next = 0 // there may be another row group
	}
	if x.cfg.Retention.on() {
		next = min(next, w.retainAt.Sub(now))
	}
	return max(next, 0)
}

// publish carries out plans, and brings the catalogue up to date.
func (w *worker) publish(lots []*lot) []error {
	x := w.x
	var errs []error
	for _, l := range lots {
		if w.ctx.Err() != nil {
			return nil
		}
		w.catalogue = true // whatever it returns: what may have been noted is noted by whoever settles it
		if err := x.publish(w.ctx, &w.encoder, l); err != nil {
			x.telemetry.ExporterParquetPublishFailures.Add(w.ctx, 1)
			errs = append(errs, err)
			if !errors.Is(err, errDamaged) {
				break // the store is away, or a disk is full: the others would fare no better
			}
		}
	}
	if now := x.clock.Now(); x.cfg.Retention.on() && !now.Before(w.retainAt) {
		w.retainAt = now.Add(x.cfg.Retention.Interval)
		removed, err := x.retain(w.ctx, now)
		if err != nil {
			errs = append(errs, err)
		}
		w.catalogue = w.catalogue || removed || err != nil
	}
	if w.catalogue && x.cfg.Catalogue != "" {
		if err := x.writeCatalogue(w.ctx); err != nil {
			errs = append(errs, err)
		} else {
			w.catalogue = false
		}
	}
	return errs
}

// report says what went wrong, and sets the pause.
func (w *worker) report(now time.Time, errs []error) {
	x := w.x
	if len(errs) == 0 {
		if w.failures > 0 && !now.Before(w.retryAt) {
			w.failures, w.retryAt = 0, time.Time{}
			x.logger.Info("Files leave again")
			x.status(componentstatus.NewEvent(componentstatus.StatusOK))
		}
		return
	}
	err := errors.Join(errs...)
	w.failures++
	pause := min(minPause<<min(w.failures-1, 6), maxPause)
	w.retryAt = now.Add(pause)
	say := x.logger.Warn
	if objectstore.IsPermanent(err) || errors.Is(err, errDamaged) {
		say = x.logger.Error // nobody else mends it
	}
	say("Files do not leave: events stay staged, and this is tried again", zap.Stringer("store", x.store), zap.Duration("pause", pause),
		zap.Int64("staged_bytes", x.staging.staged()), zap.Error(err))
	x.status(componentstatus.NewRecoverableErrorEvent(err))
}

func (x *parquetExporter) status(e *componentstatus.Event) {
	if x.host != nil {
		componentstatus.ReportStatus(x.host, e)
	}
}

// staged is how many bytes of the staging directory the lot takes.
func (l *lot) staged() int64 {
	var n int64
	for i := range l.pieces {
		n += int64(l.pieces[i].Length)
	}
	for i := range l.parts {
		n += l.parts[i].Bytes
	}
	return n
}
