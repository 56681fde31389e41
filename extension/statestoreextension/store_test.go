// SPDX-License-Identifier: Apache-2.0

package statestoreextension

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/extension/extensioncapabilities"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/state"
)

// host remembers what the extension reports of itself.
type host struct {
	mu     sync.Mutex
	events []componentstatus.Status
	last   error
}

func (*host) GetExtensions() map[component.ID]component.Component { return nil }

func (h *host) Report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events, h.last = append(h.events, e.Status()), e.Err()
}

func (h *host) reported() []componentstatus.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

func config(dir string) *Config {
	c := createDefaultConfig().(*Config)
	c.Directory, c.ReserveBytes = dir, 1<<20
	return c
}

// start begins an extension on a disk, which may be nil for the real one.
func start(t *testing.T, dir string, disk vfs.FS) (*store, *host, *componenttest.Telemetry) {
	t.Helper()
	tel := componenttest.NewTelemetry()
	s, err := newStore(config(dir), tel.NewTelemetrySettings())
	require.NoError(t, err)
	s.options.FS = disk
	h := &host{}
	require.Nil(t, s.Store())
	_, err = s.GetClient(t.Context(), component.KindReceiver, component.MustNewID("otlp"), "")
	require.ErrorContains(t, err, "service::extensions")
	require.NoError(t, s.Start(t.Context(), h))
	t.Cleanup(func() {
		_ = s.Shutdown(context.Background())
		_ = tel.Shutdown(context.Background())
	})
	return s, h, tel
}

func TestTheStoreIsFoundThroughItsInterfaces(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	s, _, _ := start(t, dir, nil)
	var e component.Component = s
	p := e.(state.Provider).Store()
	var b state.Batch
	b.Set(state.Key([]byte(state.Own), []byte("x")), []byte("1"))
	require.NoError(t, p.Commit(&b))
	id := p.ID()
	require.NoError(t, s.Shutdown(t.Context()))
	require.ErrorIs(t, p.Commit(&b), state.ErrClosed)
	require.NoError(t, s.Shutdown(t.Context()), "a second time is harmless")

	s, _, _ = start(t, dir, nil)
	require.Equal(t, id, s.Store().ID())
	v, ok, err := s.Store().Get(state.Key([]byte(state.Own), []byte("x")))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "1", string(v))
}

func TestTheEffectiveConfigurationIsKept(t *testing.T) {
	s, _, _ := start(t, t.TempDir(), nil)
	var c delivery.ConfigProvider = s
	require.Nil(t, c.EffectiveConfig())
	conf := confmap.NewFromStringMap(map[string]any{"exporters": map[string]any{"nop": nil}})
	require.NoError(t, s.NotifyConfigSnapshot(t.Context(), extensioncapabilities.NewConfigSnapshot(conf, nil)))
	require.Equal(t, conf.ToStringMap(), c.EffectiveConfig().ToStringMap())
	c.EffectiveConfig().Delete("exporters")
	require.Equal(t, conf.ToStringMap(), c.EffectiveConfig().ToStringMap(), "each caller has its own")
}

func TestWhatCannotBeOpenedEndsTheStart(t *testing.T) {
	f := func(cfg *Config, kind error) {
		t.Helper()
		s, err := newStore(cfg, componenttest.NewNopTelemetrySettings())
		require.NoError(t, err)
		require.ErrorIs(t, s.Start(t.Context(), &host{}), kind)
		require.Nil(t, s.Store())
		require.NoError(t, s.Shutdown(t.Context()))
	}
	missing := config(filepath.Join(t.TempDir(), "no"))
	missing.CreateDirectory = false
	f(missing, state.ErrMissing)

	foreign := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "x"), nil, 0o600))
	f(config(foreign), state.ErrNotStore)

	used := t.TempDir()
	start(t, used, nil)
	f(config(used), state.ErrLocked)
}

func TestAFullDiskIsReportedAndSoIsItsEnd(t *testing.T) {
	disk := vfs.NewMem()
	s, h, tel := start(t, "s", disk)
	c, err := s.GetClient(t.Context(), component.KindExporter, component.MustNewID("x"), "")
	require.NoError(t, err)
	require.NoError(t, c.Set(t.Context(), "a", []byte("1")))

	disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 100, TotalBytes: 1 << 30})
	for range 2 {
		err = c.Set(t.Context(), "b", []byte("2"))
		require.ErrorIs(t, err, storage.ErrStorageFull)
		require.ErrorIs(t, err, state.ErrFull)
	}
	require.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError}, h.reported())
	v, err := c.Get(t.Context(), "b")
	require.NoError(t, err)
	require.Nil(t, v)

	disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 29, TotalBytes: 1 << 30})
	require.NoError(t, c.Set(t.Context(), "b", []byte("2")))
	require.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError, componentstatus.StatusOK}, h.reported())

	m, err := tel.GetMetric("otelcol_state_store_refused_commits")
	require.NoError(t, err)
	points := m.Data.(metricdata.Sum[int64]).DataPoints
	require.Len(t, points, 1)
	require.EqualValues(t, 2, points[0].Value)
	reason, _ := points[0].Attributes.Value("reason")
	require.Equal(t, state.RefusedFull, reason.AsString())
}

func TestMetricsSayWhatTheStoreTakesAndDoes(t *testing.T) {
	s, _, tel := start(t, t.TempDir(), nil)
	var b state.Batch
	b.Set([]byte("key"), []byte("value"))
	for range 3 {
		require.NoError(t, s.Store().Commit(&b))
	}
	s.stalled(1500 * time.Millisecond)
	sum := func(name string) int64 {
		m, err := tel.GetMetric("otelcol_" + name)
		require.NoError(t, err)
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			return d.DataPoints[0].Value
		case metricdata.Gauge[int64]:
			return d.DataPoints[0].Value
		case metricdata.Histogram[float64]:
			require.Positive(t, d.DataPoints[0].Sum)
			return int64(d.DataPoints[0].Count)
		case metricdata.Sum[float64]:
			return int64(d.DataPoints[0].Value * 1000)
		}
		t.Fatalf("%s is of another kind", name)
		return 0
	}
	require.EqualValues(t, 3, sum("state_store_commit_duration"))
	require.EqualValues(t, 24, sum("state_store_committed"))
	require.Positive(t, sum("state_store_size"))
	require.Positive(t, sum("state_store_memory"))
	require.EqualValues(t, 1<<20, sum("state_store_reserve"))
	require.EqualValues(t, 1, sum("state_store_write_stalls"))
	require.EqualValues(t, 1500, sum("state_store_write_stall_duration"))
}

func TestAFailedDiskEndsTheCollector(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := start(t, dir, nil)
	require.NoError(t, s.Shutdown(t.Context()))
	var b state.Batch
	p, err := state.Open(dir, state.Options{MemTableBytes: 64 << 10})
	require.NoError(t, err)
	for i := range 100 { // enough for tables
		b.Set(state.Uint64(uint64(i)), make([]byte, 4000))
		require.NoError(t, p.Commit(&b))
		b.Reset()
	}
	require.NoError(t, p.Close())
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	s, h, _ := start(t, dir, nil)
	for _, path := range tables { // after the start, which reads one of them
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		content[50] ^= 1
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
	require.ErrorIs(t, s.Store().Range(nil, nil, func(_, _ []byte) error { return nil }), state.ErrCorrupt)
	require.Eventually(t, func() bool { return len(h.reported()) > 0 }, time.Minute, time.Millisecond)
	require.Equal(t, componentstatus.StatusFatalError, h.reported()[0])
	require.ErrorIs(t, h.last, state.ErrCorrupt)
}
