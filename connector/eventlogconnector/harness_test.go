// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/millrace/millrace/connector/eventlogconnector/internal/metadata"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/state"
)

// stateStore stands for the extension state_store: a real store, and a configuration.
type stateStore struct {
	component.StartFunc
	component.ShutdownFunc
	store *state.Pebble
	conf  *confmap.Conf
}

func (s *stateStore) Store() state.Store             { return s.store }
func (s *stateStore) EffectiveConfig() *confmap.Conf { return s.conf }

type host struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

// sink is a pipeline behind the log: it stores under a token once, as ClickHouse does.
type sink struct {
	mu      sync.Mutex // guards all; deliveries of several partitions at once
	fail    error
	mutates bool
	raw     bool         // its pipeline begins with what reads the log's bytes
	state   *participant // it has state, if set
	tokens  map[string]bool
	ids     []string // of events, in the order in which they were stored
	calls   int
	hanging chan struct{} // a call closes reached and ends with its context, if set
	reached chan struct{}
}

func (s *sink) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: s.mutates}
}

func (s *sink) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	d := delivery.FromContext(ctx)
	if err := s.wait(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.state != nil {
		if err := d.Coordinator().Enrol(ctx, component.MustNewID("sessions"), s.state); err != nil {
			return err
		}
	}
	b := d.Batch(ld)
	if b.Len() > 0 && b.IsRaw() != s.raw {
		return errors.New("bytes, or none")
	}
	ld, err := b.Decode()
	if err != nil {
		return err
	}
	ids := idsOf(ld)
	if s.mutates {
		ld.ResourceLogs().RemoveIf(func(plog.ResourceLogs) bool { return true })
	}
	if s.fail != nil {
		return s.fail
	}
	if token := d.ID.Token("events"); !s.tokens[token] {
		s.tokens[token] = true
		s.ids = append(s.ids, ids...)
	}
	return nil
}

// hang makes calls hang until they are given up. The channel is closed when one does.
func (s *sink) hang() (reached <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hanging, s.reached = make(chan struct{}), make(chan struct{})
	return s.reached
}

func (s *sink) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hanging = nil
}

func (s *sink) wait(ctx context.Context) error {
	s.mu.Lock()
	hanging := s.hanging
	if hanging != nil && s.reached != nil {
		close(s.reached)
		s.reached = nil
	}
	s.mu.Unlock()
	if hanging == nil {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *sink) stored() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ids)
}

func (s *sink) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func idsOf(ld plog.Logs) []string {
	var ids []string
	var r event.Reader
	r.Reset(event.FromLogs(ld))
	for e := r.Next(); e != nil; e = r.Next() {
		ids = append(ids, e.ID)
	}
	return ids
}

// harness is a log with its store on disk, and sinks that outlive restarts.
type harness struct {
	t     *testing.T
	dir   string
	cfg   *Config
	sinks map[pipeline.ID]*sink

	frozen    *frozenClock // in place of the machine's, if set
	store     *state.Pebble
	telemetry *componenttest.Telemetry
	*eventLog
}

func newSink() *sink { return &sink{tokens: map[string]bool{}} }

func newHarness(t *testing.T, change func(*Config)) *harness {
	t.Helper()
	h := &harness{t: t, dir: t.TempDir(), sinks: map[pipeline.ID]*sink{pipeline.NewID(pipeline.SignalLogs): newSink()}}
	h.cfg = createDefaultConfig().(*Config)
	h.cfg.Directory = filepath.Join(h.dir, "log")
	h.cfg.SegmentBytes, h.cfg.MaxBytes, h.cfg.Retention.Bytes, h.cfg.MinFreeBytes = 1<<20, 64<<20, 32<<20, 1<<20
	h.cfg.Delivery.MaxWait = 2 * time.Millisecond
	h.cfg.CheckpointInterval = time.Hour
	h.cfg.Retry = RetryConfig{InitialInterval: time.Millisecond, MaxInterval: 5 * time.Millisecond}
	if change != nil {
		change(h.cfg)
	}
	require.NoError(t, h.cfg.Validate())
	require.NoError(t, h.start())
	t.Cleanup(h.stop)
	return h
}

// pipelines is the configuration that the collector would give.
func (h *harness) pipelines() map[string]any {
	all := map[string]any{"logs/in": map[string]any{"receivers": []any{"otlp"}, "exporters": []any{"event_log"}}}
	for id, s := range h.sinks {
		p := map[string]any{"receivers": []any{"event_log"}, "exporters": []any{"clickhouse_events"}}
		if s.raw {
			p["processors"] = []any{"window_aggregation"}
		}
		all[id.String()] = p
	}
	return map[string]any{"connectors": map[string]any{"event_log": nil}, "service": map[string]any{"pipelines": all}}
}

func (h *harness) start() error {
	var err error
	if h.store, err = state.Open(filepath.Join(h.dir, "state"), state.Options{ReserveBytes: 1 << 20}); err != nil {
		return err
	}
	h.telemetry = componenttest.NewTelemetry()
	set := connectortest.NewNopSettings(metadata.Type)
	set.ID = component.MustNewID("event_log")
	set.TelemetrySettings = h.telemetry.NewTelemetrySettings()
	next := map[pipeline.ID]consumer.Logs{}
	for id, s := range h.sinks {
		next[id] = s
	}
	c, err := createLogsToLogs(context.Background(), set, h.cfg, connector.NewLogsRouter(next).(consumer.Logs))
	if err != nil {
		return errors.Join(err, h.store.Close())
	}
	h.eventLog = c.(*eventLog)
	if h.frozen != nil {
		h.clock = h.frozen
	}
	ext := &stateStore{store: h.store, conf: confmap.NewFromStringMap(h.pipelines())}
	err = h.Start(context.Background(), host{componenttest.NewNopHost(), map[component.ID]component.Component{component.MustNewID("state_store"): ext}})
	if err != nil {
		h.eventLog.telemetry.Shutdown()
		h.eventLog = nil
		return errors.Join(err, h.store.Close())
	}
	return nil
}

func (h *harness) stop() {
	if h.eventLog == nil {
		return
	}
	require.NoError(h.t, h.Shutdown(context.Background()))
	require.NoError(h.t, h.store.Close())
	require.NoError(h.t, h.telemetry.Shutdown(context.Background()))
	h.eventLog = nil
}

func (h *harness) restart() {
	h.t.Helper()
	h.stop()
	require.NoError(h.t, h.start())
}

func (h *harness) sink() *sink { return h.sinks[pipeline.NewID(pipeline.SignalLogs)] }

// send gives the log events with the IDs, each of its own user.
func (h *harness) send(ids ...string) error {
	return h.ConsumeLogs(context.Background(), events("acme", ids...))
}

func events(tenant string, ids ...string) plog.Logs {
	b := event.NewBuilder(tenant, "web", "test")
	for _, id := range ids {
		d := b.Add()
		d.SetName("page_viewed")
		if id != "" {
			d.SetID(id)
			d.SetUserID("user of " + id)
		}
	}
	return b.Batch().Logs()
}

func (h *harness) await(what string, condition func() bool) {
	h.t.Helper()
	require.Eventually(h.t, condition, time.Minute, time.Millisecond, what)
}

func (h *harness) awaitStored(n int) {
	h.t.Helper()
	h.await(fmt.Sprintf("%d events stored", n), func() bool { return len(h.sink().stored()) >= n })
	require.Len(h.t, h.sink().stored(), n)
}

func numbered(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return ids
}

// counter reads the sum of a metric over its attributes.
func (h *harness) counter(name string) int64 {
	h.t.Helper()
	m, err := h.telemetry.GetMetric("otelcol_" + name)
	if err != nil {
		return 0
	}
	return sumOf(m)
}
