// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/internal/state"
	"github.com/millrace/millrace/receiver/archivereceiver/internal/metadata"
)

// world is what a receiver lives in: it outlives receivers, as a machine does.
type world struct {
	t     testing.TB
	store *memStore
	state state.Store
	sink  *sink
	cfg   *Config
	// source, if set, is another one than store.
	source func(context.Context) (objectstore.Store, error)

	telemetry *componenttest.Telemetry
	logs      *observer.ObservedLogs
	statuses  chan *componentstatus.Event
}

func newWorld(t testing.TB, files map[string][]byte) *world {
	t.Helper()
	db, err := state.Open(t.TempDir(), state.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	cfg := createDefaultConfig().(*Config)
	cfg.Source.Directory = "in memory"
	return &world{
		t: t, store: &memStore{files: files}, state: db, sink: &sink{}, cfg: cfg, statuses: make(chan *componentstatus.Event, 100),
	}
}

// sink takes batches. mu guards its fields.
type sink struct {
	mu      sync.Mutex
	batches []plog.Logs
	// onBatch, if set, may refuse one.
	onBatch func(n int) error
	asked   int
}

func (s *sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: true} }

func (s *sink) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	own := plog.NewLogs()
	logs.ResourceLogs().MoveAndAppendTo(own.ResourceLogs()) // as one that changes what it is given
	if s.onBatch != nil {
		if err := s.onBatch(s.asked); err != nil {
			return err
		}
	}
	s.batches = append(s.batches, own)
	return nil
}

// all returns what came, as one batch, and how often each event did.
func (s *sink) all() (plog.Logs, map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	logs, times := plog.NewLogs(), map[string]int{}
	for _, b := range s.batches {
		copied := plog.NewLogs()
		b.CopyTo(copied)
		copied.ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	for e := r.Next(); e != nil; e = r.Next() {
		times[e.ID]++
	}
	return logs, times
}

type host struct {
	component.Host
	w *world
}

func (h host) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{component.MustNewID("state_store"): stateExtension{store: h.w.state}}
}

func (h host) Report(e *componentstatus.Event) { h.w.statuses <- e }

type stateExtension struct {
	component.StartFunc
	component.ShutdownFunc
	store state.Store
}

func (e stateExtension) Store() state.Store { return e.store }

// fastClock is the machine's, but pauses are a thousand times shorter.
type fastClock struct{}

func (fastClock) Now() time.Time                         { return time.Now() }
func (fastClock) After(d time.Duration) <-chan time.Time { return time.After(d / 1000) }

// begin starts a receiver.
func (w *world) begin() (*archiveReceiver, error) {
	w.t.Helper()
	require.NoError(w.t, w.cfg.Validate())
	core, logs := observer.New(zapcore.DebugLevel)
	w.logs = logs
	set := receivertest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	if w.telemetry == nil {
		w.telemetry = componenttest.NewTelemetry()
		w.t.Cleanup(func() { _ = w.telemetry.Shutdown(context.Background()) })
	}
	set.TelemetrySettings = w.telemetry.NewTelemetrySettings()
	set.Logger = zap.New(core)
	r, err := newReceiver(set, w.cfg, w.sink)
	require.NoError(w.t, err)
	r.id = component.MustNewID("archive")
	r.clock = fastClock{}
	r.openSource = func(context.Context) (objectstore.Store, error) { return w.store, nil }
	if w.source != nil {
		r.openSource = w.source
	}
	return r, r.Start(context.Background(), host{componenttest.NewNopHost(), w})
}

// waitLog returns when the receiver has said a line.
func (w *world) waitLog(line string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.logs.FilterMessage(line).Len() > 0 }, time.Minute, time.Millisecond, "no %q", line)
}

const (
	saidFinished = "The job has finished"
	saidBefore   = "The job has finished before: give job another name to read again"
)

// run runs a job to its end.
func (w *world) run() {
	w.t.Helper()
	r, err := w.begin()
	require.NoError(w.t, err)
	w.waitLog(saidFinished)
	require.NoError(w.t, r.Shutdown(context.Background()))
}

func all(*event.Event) bool { return true }

// counted asserts what a counter has for a reason.
func (w *world) counted(name, reason string, want int64) {
	w.t.Helper()
	got, err := w.telemetry.GetMetric(name)
	require.NoError(w.t, err)
	var set attribute.Set
	if reason != "" {
		set = attribute.NewSet(attribute.String("reason", reason))
	}
	for _, p := range got.Data.(metricdata.Sum[int64]).DataPoints {
		if p.Attributes.Equals(&set) {
			metricdatatest.AssertEqual(w.t, metricdata.DataPoint[int64]{Attributes: set, Value: want}, p, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
			return
		}
	}
	require.Fail(w.t, "not counted", "%s by reason %q: %+v", name, reason, got.Data)
}

// crashingState loses the commits from some moment on, as kill -9 does.
type crashingState struct {
	state.Store
	mu      sync.Mutex
	commits int
	after   int
}

func (s *crashingState) Commit(b *state.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commits++; s.commits > s.after {
		return state.ErrFull
	}
	return s.Store.Commit(b)
}

// stillClock goes on when somebody waits.
type stillClock struct{ now time.Time }

func (c *stillClock) Now() time.Time { return c.now }
func (c *stillClock) After(d time.Duration) <-chan time.Time {
	c.now = c.now.Add(d)
	done := make(chan time.Time, 1)
	done <- c.now
	return done
}
