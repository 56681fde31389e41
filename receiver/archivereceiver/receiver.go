// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/state"
	"github.com/millrace/millrace/receiver/archivereceiver/internal/metadata"
)

const (
	progressInterval = 10 * time.Second
	// grace is how long Shutdown lets the pipeline finish with a batch before it cancels it.
	grace = 5 * time.Second
	// settled is how long after Start the collector is taken to run: core holds its lock for statuses while it passes a
	// fatal one on, and would wait for itself if that came while it is starting.
	settled = 5 * time.Second
)

// archiveReceiver runs one job. Fields are written before Start's goroutine and immutable after, or guard themselves.
type archiveReceiver struct {
	cfg         *Config
	id          component.ID
	next        consumer.Logs
	log         *zap.Logger
	obsreport   *receiverhelper.ObsReport
	telemetry   *metadata.TelemetryBuilder
	clock       delivery.Clock
	selection   *selection
	batchEvents int
	limiter     *limiter
	progress    progress

	openSource func(context.Context) (objectstore.Store, error) // the configuration's; tests have others

	repair    *seal.Keys // nil without repair_keys
	host      component.Host
	source    objectstore.Store
	positions positions
	started   time.Time
	matching  int // files that were listed, those done before included; the job's goroutine's

	stop   context.CancelFunc // ends reading; nil before Start
	cancel context.CancelFunc // ends what the pipeline is at
	work   context.Context    // the pipeline's
	ended  sync.WaitGroup
}

var (
	_ receiver.Logs = (*archiveReceiver)(nil)

	errNoStateStore = errors.New("is no state store: name an extension of type state_store, and list it under service::extensions")
)

func newReceiver(set receiver.Settings, cfg *Config, next consumer.Logs) (*archiveReceiver, error) {
	obsreport, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: set.ID, Transport: "file", ReceiverCreateSettings: set,
	})
	if err != nil {
		return nil, err
	}
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	r := &archiveReceiver{
		cfg: cfg, id: set.ID, next: next, log: set.Logger, obsreport: obsreport, telemetry: telemetry, clock: delivery.SystemClock(),
		selection: newSelection(cfg), batchEvents: cfg.BatchEvents, openSource: cfg.Source.Open,
	}
	if cfg.RateLimit > 0 { // a batch is not more than a second's
		r.batchEvents = min(r.batchEvents, cfg.RateLimit)
	}
	return r, nil
}

// Start begins the job, or goes on with it. It does not ask the source: that may be away.
func (r *archiveReceiver) Start(_ context.Context, host component.Host) error {
	ext, ok := host.GetExtensions()[r.cfg.StateStore]
	provider, isStore := ext.(state.Provider)
	if !ok || !isStore || provider.Store() == nil {
		return fmt.Errorf("state_store: %q %w", r.cfg.StateStore, errNoStateStore)
	}
	if len(r.cfg.RepairKeys) > 0 {
		keys, err := seal.LoadKeys(r.cfg.RepairKeys...)
		if err != nil {
			return fmt.Errorf("repair_keys: %w", err)
		}
		r.repair = keys
		r.log.Info("Opening sealed events", zap.Strings("repair_keys", keys.IDs()))
	}
	r.host = host
	r.positions = positions{provider.Store(), r.id.String(), r.cfg.Job}
	r.limiter = &limiter{clock: r.clock, rate: r.cfg.RateLimit}
	hash, err := r.selection.hash()
	if err != nil {
		return err
	}
	record, known, err := r.positions.loadJob()
	switch {
	case err != nil:
		return err
	case known && record.Selection != hash:
		return fmt.Errorf("job: %q was begun with another source, kind, time range, names, filters or mapping: give the job another name, or the fields what they were", r.cfg.Job)
	case !known:
		if err := r.positions.setJob(jobRecord{Selection: hash}); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	r.work, r.cancel = context.WithCancel(context.Background())
	r.stop, r.started = stop, r.clock.Now()
	if record.Finished {
		r.log.Info("The job has finished before: give job another name to read again", zap.String("job", r.cfg.Job), zap.Int64("events", record.Events))
		r.ended.Go(func() { r.onFinish(ctx) })
		return nil
	}
	if r.source, err = r.openSource(ctx); err != nil {
		return fmt.Errorf("opening the source: %w", err)
	}
	if err := r.registerGauges(); err != nil {
		return errors.Join(err, r.source.Close())
	}
	r.ended.Go(func() { r.run(ctx, hash) })
	return nil
}

func (r *archiveReceiver) registerGauges() error {
	return errors.Join(
		r.telemetry.RegisterReceiverArchiveRemainingBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
			bytes, _ := r.progress.remaining(r.clock.Now())
			o.Observe(bytes)
			return nil
		}),
		r.telemetry.RegisterReceiverArchiveRemainingTimeCallback(func(_ context.Context, o metric.Int64Observer) error {
			_, eta := r.progress.remaining(r.clock.Now())
			o.Observe(int64(eta.Seconds()))
			return nil
		}),
	)
}

// Shutdown lets the batches under way end, so that they are not sent again at the next start.
func (r *archiveReceiver) Shutdown(ctx context.Context) error {
	if r.stop == nil {
		r.telemetry.Shutdown()
		return nil
	}
	r.stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.ended.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	case <-r.clock.After(grace):
	}
	r.cancel()
	<-ended
	r.telemetry.Shutdown()
	if r.source == nil {
		return nil
	}
	return r.source.Close()
}

// run reads all files and says how it ended.
func (r *archiveReceiver) run(ctx context.Context, hash string) {
	err := r.readAll(ctx)
	var refusal *refused
	switch {
	case ctx.Err() != nil:
		r.log.Info("The job is interrupted: it goes on at the next start", append(r.progress.fields(r.clock.Now()), zap.String("job", r.cfg.Job))...)
		return
	case errors.As(err, &refusal):
		r.log.Error("The pipeline refuses a batch for good: the job stops, and begins with that batch at the next start",
			append(r.progress.fields(r.clock.Now()), zap.String("job", r.cfg.Job), zap.Error(err))...)
		componentstatus.ReportStatus(r.host, componentstatus.NewPermanentErrorEvent(fmt.Errorf("job %q: the pipeline refuses a batch for good: %w", r.cfg.Job, err)))
		return
	}
	if r.matching == 0 {
		r.log.Warn("No file matches: nothing was read, and the next start looks again", zap.String("job", r.cfg.Job), zap.Stringer("source", r.source))
		r.onFinish(ctx)
		return
	}
	var pause backoff
	for {
		err := r.positions.finish(jobRecord{Selection: hash, Finished: true, Events: r.progress.eventsSoFar()})
		if err == nil {
			break
		}
		if r.waitForStore(ctx, &pause, r.log, err) != nil {
			return
		}
	}
	r.log.Info("The job has finished", append(r.progress.fields(r.clock.Now()), zap.String("job", r.cfg.Job))...)
	r.onFinish(ctx)
}

// onFinish ends the collector, if that is asked for. Core has one way for a component to do so, the fatal status; it ends the
// pipelines in their order and exits with 0.
func (r *archiveReceiver) onFinish(ctx context.Context) {
	if r.cfg.OnFinish != finishShutdown || sleep(ctx, r.clock, settled-r.clock.Now().Sub(r.started)) != nil {
		return
	}
	r.log.Info("The collector is asked to end, since on_finish is shutdown")
	componentstatus.ReportStatus(r.host, componentstatus.NewFatalErrorEvent(fmt.Errorf("no error: job %q has finished, and on_finish is shutdown", r.cfg.Job)))
}

// readAll lists and reads what the selection is about. Its error is the context's or a *refused.
func (r *archiveReceiver) readAll(ctx context.Context) error {
	files, records, err := r.plan(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var workers, watcher sync.WaitGroup
	queue := make(chan objectstore.Info)
	for range r.cfg.ParallelFiles {
		workers.Go(func() {
			for info := range queue {
				if err := r.readFile(ctx, info, records[info.Key]); err != nil {
					stop(err) // the first error stays
				}
			}
		})
	}
	watching, unwatch := context.WithCancel(ctx)
	watcher.Go(func() { r.sayProgress(watching) })
	for _, info := range files {
		select {
		case queue <- info:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	workers.Wait()
	unwatch()
	watcher.Wait()
	return context.Cause(ctx)
}

// plan lists the files that are not done yet, and how far those are that were begun.
func (r *archiveReceiver) plan(ctx context.Context) ([]objectstore.Info, map[string]fileRecord, error) {
	var pause backoff
	for {
		files, records, err := r.list(ctx)
		if err == nil {
			return files, records, nil
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err := r.waitForStore(ctx, &pause, r.log, err); err != nil {
			return nil, nil, err
		}
	}
}

func (r *archiveReceiver) list(ctx context.Context) ([]objectstore.Info, map[string]fileRecord, error) {
	records, err := r.positions.files()
	if err != nil {
		return nil, nil, err
	}
	if err := objectstore.Check(ctx, r.source); err != nil { // a directory that is not there would list as empty
		return nil, nil, fmt.Errorf("looking for the source: %w", err)
	}
	var files []objectstore.Info
	var total int64
	done := 0
	for info, err := range r.source.List(ctx, r.cfg.Prefix) {
		if err != nil {
			return nil, nil, fmt.Errorf("listing the files: %w", err)
		}
		if !r.selection.hasFile(info) {
			continue
		}
		record, known := records[info.Key]
		if known && record.Size != info.Size {
			r.log.Warn("A file is another one than when it was begun: it is read from its beginning", zap.String("file", info.Key))
			record = fileRecord{}
			delete(records, info.Key)
		}
		if record.Done {
			done++
			continue
		}
		files = append(files, info)
		total += info.Size
	}
	r.matching = len(files) + done
	r.progress.begin(r.clock.Now(), len(files), total)
	r.log.Info("The job begins", zap.String("job", r.cfg.Job), zap.Stringer("source", r.source), zap.Int("files", len(files)),
		zap.Int64("bytes", total), zap.Int("files_done_before", done))
	return files, records, nil
}

func (r *archiveReceiver) sayProgress(ctx context.Context) {
	for sleep(ctx, r.clock, progressInterval) == nil {
		r.log.Info("The job is under way", append(r.progress.fields(r.clock.Now()), zap.String("job", r.cfg.Job))...)
	}
}

// pass hands a batch to the pipeline. It is the pipeline's from then on, also where it is refused.
func (r *archiveReceiver) pass(ctx context.Context, batch event.Batch, n int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	work := r.obsreport.StartLogsOp(r.work)
	err := r.next.ConsumeLogs(work, batch.Logs())
	r.obsreport.EndLogsOp(work, "parquet", n, err)
	return err
}
