// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pipeline"
	otelattribute "go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap/zaptest"

	"github.com/millrace/millrace/exporter/clickhouseeventsexporter/internal/metadata"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/enginetest"
)

// fakeCoordinator is a pipeline's side of a log: what is bound outlives the exporters that bind it. A crash is an
// error of bind, or of the exporter's way to the server, after which a new exporter takes over.
type fakeCoordinator struct {
	id delivery.Identity

	mu          sync.Mutex
	plans, kept map[string][]byte
	checkpoint  uint64
	committed   uint64 // of all partitions
	requested   int
	binds       int
	// crashAt makes the exporter lose its breath at the n-th bind from now, counted from 1: the bind is durable, and
	// nothing after it happens.
	crashAt int
}

var errCrash = errors.New("crashed")

func newCoordinator(name string) *fakeCoordinator {
	return &fakeCoordinator{
		id:    delivery.Identity{Incarnation: uuid.New(), Pipeline: pipeline.NewIDWithName(pipeline.SignalLogs, name)},
		plans: map[string][]byte{}, kept: map[string][]byte{},
	}
}

func (c *fakeCoordinator) Enrol(context.Context, component.ID, delivery.Participant) error {
	return nil
}

func (c *fakeCoordinator) Plan(id delivery.Identity, name string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.plans[id.Token(name)]), nil
}

func (c *fakeCoordinator) Bind(id delivery.Identity, name string, plan []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plans[id.Token(name)] = bytes.Clone(plan)
	c.binds++
	if c.crashAt > 0 {
		if c.crashAt--; c.crashAt == 0 {
			return errCrash
		}
	}
	return nil
}

func (c *fakeCoordinator) Kept(name string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.kept[name]), nil
}

func (c *fakeCoordinator) Keep(name string, value []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[name] = bytes.Clone(value)
	return nil
}

func (c *fakeCoordinator) Checkpoint() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.checkpoint
}

func (c *fakeCoordinator) RequestCheckpoint() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requested++
}

func (c *fakeCoordinator) Partitions() uint32 { return 1 }

func (c *fakeCoordinator) Committed(uint32) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.committed
}

// commit is a checkpoint that passes everything.
func (c *fakeCoordinator) commit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checkpoint++
	c.committed = math.MaxUint64
	clear(c.plans)
}

// restarted is the same pipeline after the process died: what was durable, and nothing else.
func (c *fakeCoordinator) restarted() *fakeCoordinator {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &fakeCoordinator{id: c.id, plans: maps.Clone(c.plans), kept: maps.Clone(c.kept), checkpoint: c.checkpoint}
}

// attempt is the context of one attempt at positions first to first+99.
func (c *fakeCoordinator) attempt(t testing.TB, first uint64, attempt int, restored bool) context.Context {
	t.Helper()
	id := c.id
	id.First, id.Last = first, first+99
	d := delivery.New(id, attempt, c)
	d.Restored = restored
	return delivery.NewContext(t.Context(), d)
}

// deliverer is an engine with exporters on it that come and go.
type deliverer struct {
	t        testing.TB
	engine   *enginetest.Engine
	registry *fakeRegistry
	change   func(*Config)
	now      time.Time
	forgets  int
	*testRun
}

// testRun is one exporter's life.
type testRun struct {
	exporter.Logs
	inner *eventsExporter
	tel   *componenttest.Telemetry
	stop  func()
}

func newDeliverer(t testing.TB, documents map[string]string, change func(*Config), options ...enginetest.Option) *deliverer {
	t.Helper()
	x := &deliverer{t: t, engine: enginetest.Start(t, options...), registry: &fakeRegistry{}, change: change, now: someTime}
	x.registry.set(t, documents)
	x.restart()
	return x
}

// restart replaces the exporter by a new one, as after a crash of the process.
func (x *deliverer) restart() {
	x.t.Helper()
	if x.testRun != nil {
		x.stop()
	}
	x.testRun = x.another()
}

// another is one more exporter of the same configuration.
func (x *deliverer) another() *testRun {
	x.t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.Endpoints = []string{x.engine.TCPAddr}
	cfg.Username = x.engine.User
	cfg.TimeoutConfig.Timeout = time.Minute
	cfg.DialTimeout = time.Minute // of which starting, which makes the tables, may take all
	cfg.QueueConfig = configoptional.None[exporterhelper.QueueBatchConfig]()
	cfg.RetryConfig = configretry.BackOffConfig{Enabled: false}
	if x.change != nil {
		x.change(cfg)
	}
	require.NoError(x.t, cfg.Validate())
	r := &testRun{tel: componenttest.NewTelemetry()}
	set := exportertest.NewNopSettings(metadata.Type)
	set.ID = component.NewID(metadata.Type)
	set.TelemetrySettings = r.tel.NewTelemetrySettings()
	set.Logger = zaptest.NewLogger(x.t)
	var err error
	r.inner, err = newEventsExporter(set, cfg)
	require.NoError(x.t, err)
	r.inner.now = func() time.Time { return x.now }
	r.Logs, err = newLogs(x.t.Context(), set, cfg, r.inner)
	require.NoError(x.t, err)
	require.NoError(x.t, r.Start(x.t.Context(), fakeHost{map[component.ID]component.Component{cfg.SchemaRegistry: x.registry}}))
	r.stop = sync.OnceFunc(func() {
		require.NoError(x.t, r.Shutdown(context.Background()))
		_ = r.tel.Shutdown(context.Background())
	})
	x.t.Cleanup(r.stop)
	return r
}

// counter reads a counter's value at one value of an attribute.
func (r *testRun) counter(t testing.TB, name, attribute, value string) int64 {
	t.Helper()
	m, err := r.tel.GetMetric(name)
	if err != nil {
		return 0
	}
	sum := int64(0)
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if v, ok := p.Attributes.Value(otelattribute.Key(attribute)); attribute == "" || ok && v.AsString() == value {
			sum += p.Value
		}
	}
	return sum
}

func (r *testRun) replays(t testing.TB, outcome string) int64 {
	t.Helper()
	return r.counter(t, "otelcol_exporter_clickhouse_events_replays", "outcome", outcome)
}

// some makes n events named and numbered from first.
func some(t testing.TB, name string, first, n int) plog.Logs {
	t.Helper()
	b := event.NewBuilder("acme", "web", "test")
	for i := range n {
		add(t, b, name, fmt.Sprint(name, first+i), `{"n":1}`)
	}
	return b.Batch().Logs()
}

// counts is the events and the failed events, each in all and by ID.
func (x *deliverer) counts() string {
	x.t.Helper()
	return x.engine.Query("SELECT (SELECT concat(toString(count()), '/', toString(uniqExact(event_id))) FROM events), " +
		"(SELECT concat(toString(count()), '/', toString(uniqExact(event_id))) FROM failed_events)")
}

// dayOf is a time some days before someTime.
func dayOf(days int) pcommon.Timestamp {
	return pcommon.NewTimestampFromTime(someTime.AddDate(0, 0, -days))
}
