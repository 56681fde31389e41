// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.uber.org/zap"

	"github.com/millrace/millrace/connector/eventlogconnector/internal/metadata"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/gcpace"
	"github.com/millrace/millrace/internal/idindex"
	"github.com/millrace/millrace/internal/segmentlog"
	"github.com/millrace/millrace/internal/state"
)

// eventLog is the connector: one log, its door, and a consumer for each pipeline behind it.
type eventLog struct {
	cfg       *Config
	set       connector.Settings
	logger    *zap.Logger
	telemetry *metadata.TelemetryBuilder
	router    connector.LogsRouterAndConsumer
	clock     delivery.Clock

	// Set by Start, before the first batch.
	host      component.Host
	conf      *confmap.Conf // of the whole collector; nil where nobody knows it
	store     state.Store
	log       *segmentlog.Log
	reader    *reader
	index     *idindex.Index
	door      *idindex.Door
	offsets   *idindex.Offsets
	hasher    idindex.Hasher
	consumers []*logConsumer
	admin     *admin
	closed    bool // Start's and Shutdown's

	started atomic.Bool
	scratch sync.Pool     // of *scratch; any goroutine
	spread  atomic.Uint32 // turns events without a key over the partitions; any goroutine
	ticking sync.Mutex    // held while ticks are written; guards high
	high    *highMarks

	// origins is held for reading while a Kafka record is appended, and for writing while the offsets are copied.
	origins        sync.RWMutex
	removing       sync.Mutex    // held while retention removes files, and while a reset puts positions back
	offsetsChanged atomic.Bool   // since saveOffsets; any goroutine
	sourceFloor    atomic.Uint64 // sources of entries before it are in the state store; the retention worker's to write

	unpace  func()        // ends what gcpace.Start began; nil before
	retain  chan struct{} // holds one token when retention is asked for
	stop    chan struct{}
	workers sync.WaitGroup
}

var (
	_ connector.Logs = (*eventLog)(nil)

	errNoStateStore = errors.New("is no state store: name an extension of type state_store, and list it under service::extensions")
)

func newEventLog(set connector.Settings, cfg *Config, router connector.LogsRouterAndConsumer) (*eventLog, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	l := &eventLog{
		cfg: cfg, set: set, logger: set.Logger, telemetry: telemetry, router: router, clock: delivery.SystemClock(),
		retain: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	l.scratch.New = func() any { return newScratch(l) }
	return l, nil
}

// Capabilities implements consumer.Logs. What comes in is taken apart by partition.
func (*eventLog) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: true}
}

// Start opens the log and lets its consumers go on where they were. Nothing is appended before it returns.
func (l *eventLog) Start(ctx context.Context, host component.Host) (err error) {
	l.host = host
	ext, ok := host.GetExtensions()[l.cfg.StateStore]
	provider, isStore := ext.(state.Provider)
	if !ok || !isStore || provider.Store() == nil {
		return fmt.Errorf("state_store: %q %w", l.cfg.StateStore, errNoStateStore)
	}
	l.store = provider.Store()
	if known, ok := ext.(delivery.ConfigProvider); ok {
		l.conf = known.EffectiveConfig()
	}
	if err := l.checkGraph(ext); err != nil {
		return err
	}
	l.log, err = segmentlog.Open(filepath.Join(l.cfg.Directory, "segments"), l.segmentOptions())
	if err != nil {
		return fmt.Errorf("opening the log in %s: %w", l.cfg.Directory, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close(ctx))
		}
	}()
	firstEpoch, err := l.bind(l.store)
	if err != nil {
		return err
	}
	if err := l.rebuildIndex(); err != nil {
		return err
	}
	l.high = newHighMarks(l.cfg.Partitions, l.clock.Now())
	if err := l.openConsumers(l.store, firstEpoch); err != nil {
		return err
	}
	if err := l.registerGauges(); err != nil {
		return err
	}
	if l.cfg.Admin.HasValue() {
		if l.admin, err = startAdmin(ctx, l); err != nil {
			return err
		}
	}
	for _, c := range l.consumers {
		c.Start()
		c.running = true
	}
	l.unpace = gcpace.Start()
	l.started.Store(true)
	l.workers.Go(l.retention)
	l.workers.Go(l.ticks)
	return nil
}

func (l *eventLog) segmentOptions() segmentlog.Options {
	o := segmentlog.Options{
		Partitions: l.cfg.Partitions, SegmentBytes: l.cfg.SegmentBytes, MaxBytes: l.cfg.MaxBytes, MinFreeBytes: l.cfg.MinFreeBytes,
		Compression: compressions[l.cfg.Compression], Now: l.clock.Now, Logger: l.logger,
		AcceptLostMark: l.cfg.AcceptLost.Mark, AcceptLostIDs: l.cfg.AcceptLost.IDs,
		OnSync: func(took time.Duration, _, _ int) {
			l.telemetry.EventLogSyncDuration.Record(context.Background(), took.Seconds())
		},
	}
	if total, known := diskSize(l.cfg.Directory); known {
		// The bounds are for a disk of its own. A small one, such as a test's, is shared out.
		o.MinFreeBytes = min(o.MinFreeBytes, total/shareOfDisk)
		o.SegmentBytes = max(min(o.SegmentBytes, total/shareOfDisk), minSegmentBytes)
	}
	if l.cfg.Retention.Age > 0 {
		// Files are removed as a whole: by age, a file goes when its last record is old enough.
		o.SegmentAge = max(l.cfg.Retention.Age/8, time.Minute)
	}
	return o
}

// shareOfDisk is the part of a small disk that is one file of the log, and that is left free.
const shareOfDisk = 16

// diskSize is that of the file system which holds, or will hold, the directory.
func diskSize(dir string) (int64, bool) {
	for {
		usage, err := vfs.Default.GetDiskUsage(dir)
		if err == nil {
			return int64(usage.TotalBytes), usage.TotalBytes > 0
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, os.ErrNotExist) || parent == dir {
			return 0, false
		}
		dir = parent
	}
}

// checkGraph refuses pipelines that break the promise, unless the configuration gives the promise up by name.
func (l *eventLog) checkGraph(ext component.Component) error {
	if l.cfg.Guarantee == atLeastOnce {
		l.logger.Warn("guarantee: at_least_once: after a crash, events may be stored twice by what stands behind the log")
		return nil
	}
	if _, ok := ext.(delivery.ConfigProvider); !ok {
		return fmt.Errorf("state_store: %q does not know the configuration, so it cannot be checked: use an extension of type state_store, "+
			"or set guarantee: at_least_once", l.cfg.StateStore)
	}
	if err := delivery.CheckGraph(l.conf, l.set.ID); err != nil {
		return fmt.Errorf("guarantee: effectively_once cannot be kept: %w", err)
	}
	return nil
}

// Shutdown lets deliveries under way finish, commits where the consumers are, and closes the log. Receivers have
// stopped by then.
func (l *eventLog) Shutdown(ctx context.Context) error {
	l.started.Store(false)
	return l.close(ctx)
}

func (l *eventLog) close(ctx context.Context) error {
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.stop)
	l.telemetry.Shutdown() // nobody is to look at what closes
	if l.unpace != nil {
		l.unpace()
	}
	// Commands and retention may wait for a delivery, and that may end only when the consumers give it up.
	var adminErr error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if l.admin != nil {
			adminErr = l.admin.close(ctx)
		}
		l.workers.Wait()
	}()
	errs := make([]error, len(l.consumers))
	var wg sync.WaitGroup
	for i, c := range l.consumers {
		if c.running {
			wg.Go(func() { errs[i] = c.Stop(ctx) })
			c.running = false
		}
	}
	wg.Wait()
	select {
	case <-ended:
		errs = append(errs, adminErr)
	case <-l.clock.After(l.cfg.Delivery.ShutdownGrace):
		errs = append(errs, errors.New("a command or the removal of old files does not end: it waits for a delivery that does not end"))
	}
	if l.log != nil {
		errs = append(errs, l.log.Close())
	}
	return errors.Join(errs...)
}

// report tells the collector, and so its health checks, how the log is.
func (l *eventLog) report(e *componentstatus.Event) {
	if l.host != nil {
		componentstatus.ReportStatus(l.host, e)
	}
}
