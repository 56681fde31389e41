// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/millrace/millrace/exporter/parquetexporter/internal/metadata"
	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/internal/state"
)

// parquetExporter takes batches. consume may be called by several goroutines at once; one worker makes files.
type parquetExporter struct {
	cfg       *Config
	id        component.ID
	logger    *zap.Logger
	telemetry *metadata.TelemetryBuilder
	// A test may set these before start.
	clock delivery.Clock
	wrap  func(objectstore.Store) objectstore.Store

	// Set by start, before the first batch.
	registry  schema.Registry
	index     *index
	staging   *staging
	store     objectstore.Store
	writer    string // names files: no other exporter, of any process, makes equal names
	author    string // in the files' metadata
	createdBy string // so too: program and version, as readers parse it
	events    *template
	results   *template
	failed    *template
	lock      *os.File
	worker    *worker
	host      component.Host
	// Memory between batches, for as many as come side by side: a sync.Pool would lose it to every second garbage collection.
	buffers   chan *buffer
	readers   chan *event.Sorted
	closeOnce sync.Once
	refused   sync.Once

	mu       sync.Mutex // guards what follows
	layouts  *layouts
	lots     map[uint64]*lot
	open     map[lotKey]*lot
	tokens   tokens
	counters counters
	// unsure is a write to the state store that failed and may nevertheless have been done. It is repeated, the same, before
	// anything else.
	unsure *write
}

func newParquetExporter(set exporter.Settings, cfg *Config) (*parquetExporter, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	return &parquetExporter{
		cfg: cfg, id: set.ID, createdBy: "millrace version " + set.BuildInfo.Version, logger: set.Logger, telemetry: telemetry, clock: delivery.SystemClock(),
		lots: map[uint64]*lot{}, open: map[lotKey]*lot{}, buffers: make(chan *buffer, atOnce), readers: make(chan *event.Sorted, atOnce),
	}, nil
}

func (x *parquetExporter) start(ctx context.Context, host component.Host) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, x.close())
		}
	}()
	x.host = host
	if err := x.findExtensions(host); err != nil {
		return err
	}
	if x.events, err = parseTemplate(x.cfg.PartitionBy); err != nil {
		return fmt.Errorf("partition_by: %w", err)
	}
	if x.results, err = parseTemplate(x.cfg.ResultsPartitionBy); err != nil {
		return fmt.Errorf("results_partition_by: %w", err)
	}
	if x.failed, err = parseTemplate(x.cfg.FailedPartitionBy); err != nil {
		return fmt.Errorf("failed_partition_by: %w", err)
	}
	storeID := x.index.store.ID()
	digest := sha256.Sum256(append(storeID[:], x.id.String()...))
	x.writer = hex.EncodeToString(digest[:6])
	if x.author = x.cfg.File.Writer; x.author == "" {
		if x.author, err = os.Hostname(); err != nil {
			x.author = "unknown"
		}
	}
	if err := x.claimStaging(hex.EncodeToString(storeID[:])); err != nil {
		return err
	}
	found, err := x.index.load()
	if err != nil {
		return err
	}
	x.staging, err = openStaging(x.cfg.Staging.Directory, x.cfg.Staging.SegmentBytes, func(yield func(place) error) error {
		for _, l := range found.lots {
			for i := range l.pieces {
				if err := yield(l.pieces[i].place); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	x.counters, x.tokens = found.counters, found.tokens
	for _, l := range found.lots {
		x.lots[l.id] = l
		if l.file == "" {
			x.open[l.key] = l
		}
		for i := range l.parts {
			x.staging.add(l.parts[i].Bytes)
		}
	}
	x.layouts = newLayouts(x.cfg, x.logger, x.index)
	if err := x.removeLeftovers(); err != nil {
		return err
	}
	if x.store, err = x.cfg.destination().Open(ctx); err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	if x.wrap != nil {
		x.store = x.wrap(x.store)
	}
	if err := x.observe(); err != nil {
		return err
	}
	x.worker = startWorker(x)
	return nil
}

var errNoState = errors.New("is no extension that keeps state: add a state_store to service::extensions, since what is staged must be known after a crash")

func (x *parquetExporter) findExtensions(host component.Host) error {
	ext, ok := host.GetExtensions()[x.cfg.StateStore].(state.Provider)
	if !ok {
		return fmt.Errorf("state_store: %q %w", x.cfg.StateStore, errNoState)
	}
	x.index = &index{store: ext.Store(), owner: []byte(x.id.String())}
	var err error
	x.registry, err = columns.FindRegistry(host, x.cfg.SchemaRegistry, createDefaultConfig().(*Config).SchemaRegistry, x.logger)
	return err
}

// shutdown ends the worker and leaves what is staged for the next start.
func (x *parquetExporter) shutdown(context.Context) error {
	if x.worker != nil {
		x.worker.stop()
	}
	return x.close()
}

func (x *parquetExporter) close() error {
	var errs []error
	x.closeOnce.Do(func() {
		x.telemetry.Shutdown()
		if x.staging != nil {
			errs = append(errs, x.staging.close())
		}
		if x.store != nil {
			errs = append(errs, x.store.Close())
		}
		if x.lock != nil {
			errs = append(errs, x.lock.Close())
		}
	})
	return errors.Join(errs...)
}

// errStagingFull is retryable: the event log waits, a receiver's sender is told to come again.
var errStagingFull = errors.New("staging has reached staging::max_bytes, so files do not leave as fast as events come: look for why the store does not take them")

// consume stages a batch: when it returns nil, its events are durable here and will be in a file each, once.
//
// Behind an event log the batch has an identity. One that is staged already is acknowledged and not staged again. Else all of
// it is noted in the state store in one write, whatever files it goes into: after a crash it is there as a whole or comes
// again.
func (x *parquetExporter) consume(ctx context.Context, ld plog.Logs) error {
	if ld.LogRecordCount() == 0 {
		return nil // what declares tables of results, too: files have their columns with them
	}
	ld, refused := x.cfg.Results.Accept.Admit(ctx, ld)
	if refused > 0 {
		x.refused.Do(func() {
			x.logger.Warn("Events say that they are results, but no processor before this exporter has made them: they are stored as other events")
		})
	}
	d := delivery.FromContext(ctx)
	var token string
	if d != nil {
		if err := d.Claim(x.id); err != nil {
			return err
		}
		token = d.ID.Token()
		x.mu.Lock()
		err := x.settle()
		again := x.tokens.known[token]
		if again && d.ID.Stage != "" {
			at, _, last, _ := x.passed(d)
			x.tokens.renew(at, token, last)
		}
		x.mu.Unlock()
		if err != nil {
			return err
		}
		if again {
			x.telemetry.ExporterParquetReplays.Add(ctx, 1)
			return nil
		}
	}
	if x.staging.staged() >= x.cfg.Staging.MaxBytes {
		x.worker.wake()
		return errStagingFull
	}
	b, err := x.build(ctx, event.FromLogs(ld))
	if err != nil {
		return err
	}
	defer b.release()
	buf := take(x.buffers)
	defer give(x.buffers, buf)
	buf.encode(b)
	places, err := x.staging.append(buf.data, buf.lengths)
	if err != nil {
		return err
	}
	failpoint.Reach(failpoint.StageWritten)
	if err := x.note(d, token, b, buf, places); err != nil {
		return err
	}
	failpoint.Reach(failpoint.StageNoted)
	return nil
}

// partPath is where a lot's part lies.
func (x *parquetExporter) partPath(file string) string {
	return filepath.Join(x.cfg.Staging.Directory, file)
}
