// SPDX-License-Identifier: Apache-2.0

package statestoreextension

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensioncapabilities"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/extension/statestoreextension/internal/metadata"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/state"
)

// store is the extension: the state store, and the collector's storage over it.
type store struct {
	options   state.Options
	directory string
	logger    *zap.Logger
	telemetry *metadata.TelemetryBuilder

	current atomic.Pointer[state.Pebble] // written by Start; read by anyone
	host    component.Host               // written by Start, before current
	full    atomic.Bool                  // the disk is, and the status says so; any goroutine
	config  atomic.Pointer[extensioncapabilities.ConfigSnapshot]

	mu        sync.Mutex // guards keyspaces; any goroutine
	keyspaces map[string]*keyspace

	stop chan struct{} // closed by Shutdown
	done chan struct{} // closed when the goroutine has ended; nil without one
}

var (
	_ extension.Extension                         = (*store)(nil)
	_ storage.Extension                           = (*store)(nil)
	_ extensioncapabilities.ConfigSnapshotWatcher = (*store)(nil)
	_ state.Provider                              = (*store)(nil)
	_ delivery.ConfigProvider                     = (*store)(nil)
)

func newStore(cfg *Config, set component.TelemetrySettings) (*store, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	s := &store{
		directory: cfg.Directory, logger: set.Logger, telemetry: telemetry,
		keyspaces: map[string]*keyspace{}, stop: make(chan struct{}),
	}
	s.options = state.Options{
		Logger: set.Logger, MustExist: !cfg.CreateDirectory, ReserveBytes: cfg.ReserveBytes, MinFreeBytes: cfg.MinFreeBytes,
		MemTableBytes: cfg.MemoryBytes / memoryParts, CacheBytes: cfg.MemoryBytes / memoryParts,
		Hooks: state.Hooks{Committed: s.committed, Refused: s.refused, Stalled: s.stalled},
	}
	return s, nil
}

// Start opens the store, or fails: nothing behind the log could keep its promise without it.
func (s *store) Start(_ context.Context, host component.Host) error {
	p, err := state.Open(s.directory, s.options)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	s.host = host
	s.current.Store(p)
	if err := s.observe(p); err != nil {
		return err
	}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		select {
		case <-p.Failed():
			// Ends the collector, and whoever runs it starts it again: only opening the directory anew tells which
			// of the commits under way are there.
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(p.Err()))
		case <-s.stop:
		}
	}()
	s.logger.Info("Opened the state store", zap.String("directory", s.directory), zap.String("id", fmt.Sprintf("%x", p.ID())))
	return nil
}

// observe lets the gauges be read. The store's numbers are zero once it is closed.
func (s *store) observe(p *state.Pebble) error {
	for _, g := range []struct {
		register func(metric.Int64Callback) error
		value    func(state.Stats) int64
	}{
		{s.telemetry.RegisterStateStoreSizeCallback, func(v state.Stats) int64 { return v.DiskBytes }},
		{s.telemetry.RegisterStateStoreReserveCallback, func(v state.Stats) int64 { return v.ReserveBytes }},
		{s.telemetry.RegisterStateStoreMemoryCallback, func(v state.Stats) int64 { return v.MemoryBytes }},
	} {
		if err := g.register(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(g.value(p.Stats()))
			return nil
		}); err != nil {
			return fmt.Errorf("registering metric: %w", err)
		}
	}
	return nil
}

// Shutdown closes the store. The collector has ended all pipelines before.
func (s *store) Shutdown(context.Context) error {
	select {
	case <-s.stop:
		return nil
	default:
	}
	close(s.stop)
	s.telemetry.Shutdown()
	if s.done != nil {
		<-s.done
	}
	if p := s.current.Load(); p != nil {
		return p.Close()
	}
	return nil
}

// Store is what Millrace's own components use; nil before Start.
func (s *store) Store() state.Store {
	if p := s.current.Load(); p != nil {
		return p
	}
	return nil
}

// NotifyConfigSnapshot keeps the collector's configuration, for the log to look for what would break its promise.
func (s *store) NotifyConfigSnapshot(_ context.Context, c extensioncapabilities.ConfigSnapshot) error {
	s.config.Store(&c)
	return nil
}

// EffectiveConfig returns a copy; nil before the collector has told.
func (s *store) EffectiveConfig() *confmap.Conf {
	c := s.config.Load()
	if c == nil {
		return nil
	}
	return (*c).Effective()
}

func (s *store) committed(took time.Duration, bytes int) {
	s.telemetry.StateStoreCommitDuration.Record(context.Background(), took.Seconds())
	s.telemetry.StateStoreCommitted.Add(context.Background(), int64(bytes))
	if s.full.Load() && s.full.CompareAndSwap(true, false) {
		componentstatus.ReportStatus(s.host, componentstatus.NewEvent(componentstatus.StatusOK))
	}
}

func (s *store) refused(reason string) {
	s.telemetry.StateStoreRefusedCommits.Add(context.Background(), 1, metric.WithAttributes(attribute.String("reason", reason)))
	if reason == state.RefusedFull && s.full.CompareAndSwap(false, true) {
		componentstatus.ReportStatus(s.host, componentstatus.NewRecoverableErrorEvent(state.ErrFull))
	}
}

func (s *store) stalled(took time.Duration) {
	s.telemetry.StateStoreWriteStalls.Add(context.Background(), 1)
	s.telemetry.StateStoreWriteStallDuration.Add(context.Background(), took.Seconds())
}
