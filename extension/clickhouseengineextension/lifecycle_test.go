// SPDX-License-Identifier: Apache-2.0

//go:build linux

package clickhouseengineextension

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/millrace/millrace/extension/clickhouseengineextension/internal/metadatatest"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/freeport"
)

// watchedHost hands on what a component reports.
type watchedHost struct {
	component.Host
	events chan *componentstatus.Event
}

var _ componentstatus.Reporter = (*watchedHost)(nil)

func (h *watchedHost) Report(e *componentstatus.Event) { h.events <- e }

func newWatchedHost() *watchedHost {
	return &watchedHost{Host: componenttest.NewNopHost(), events: make(chan *componentstatus.Event, 100)}
}

func testConfig(t *testing.T) *Config {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.Library = enginetest.Library(t)
	cfg.DataDir = t.TempDir()
	cfg.Databases = []string{"analytics"}
	addrs := freeport.Must(t, 2)
	cfg.TCPEndpoint, cfg.HTTPEndpoint = addrs[0], addrs[1]
	require.NoError(t, cfg.Validate())
	return cfg
}

func ask(t *testing.T, cfg *Config, sql string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+cfg.HTTPEndpoint, strings.NewReader(sql))
	require.NoError(t, err)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(body))
	return strings.TrimSpace(string(body))
}

func TestExtensionServesFromStartToShutdownAndReportsADeath(t *testing.T) {
	tt := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tt.Shutdown(context.Background())) }()
	cfg, host := testConfig(t), newWatchedHost()
	ext, err := NewFactory().Create(context.Background(), metadatatest.NewSettings(tt), cfg)
	require.NoError(t, err)
	metrics := func(restarts, up int64) {
		t.Helper()
		metadatatest.AssertEqualClickhouseEngineRestarts(t, tt, []metricdata.DataPoint[int64]{{Value: restarts}}, metricdatatest.IgnoreTimestamp())
		metadatatest.AssertEqualClickhouseEngineUp(t, tt, []metricdata.DataPoint[int64]{{Value: up}}, metricdatatest.IgnoreTimestamp())
	}

	require.NoError(t, ext.Start(context.Background(), host))
	metrics(0, 1)
	ask(t, cfg, "CREATE TABLE analytics.t (x UInt64) ENGINE = MergeTree ORDER BY x")
	ask(t, cfg, "INSERT INTO analytics.t SELECT number FROM numbers(10)")

	require.NoError(t, syscall.Kill(ext.(*engineExtension).engine.PID(), syscall.SIGKILL))
	down := <-host.events
	require.Equal(t, componentstatus.StatusRecoverableError, down.Status())
	require.ErrorContains(t, down.Err(), "signal: killed")
	require.Equal(t, componentstatus.StatusOK, (<-host.events).Status())
	require.Equal(t, "10", ask(t, cfg, "SELECT count() FROM analytics.t"))
	metrics(1, 1)

	require.NoError(t, ext.Shutdown(context.Background()))
	_, err = net.Dial("tcp", cfg.TCPEndpoint)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.Empty(t, host.events)

	// The same configuration starts again on the same data.
	ext, err = NewFactory().Create(context.Background(), metadatatest.NewSettings(tt), cfg)
	require.NoError(t, err)
	require.NoError(t, ext.Start(context.Background(), componenttest.NewNopHost()))
	require.Equal(t, "10", ask(t, cfg, "SELECT count() FROM analytics.t"))
	require.NoError(t, ext.Shutdown(context.Background()))
}

func TestExtensionThatCannotStartSaysWhyAndShutsDown(t *testing.T) {
	cfg := testConfig(t)
	cfg.Library = filepath.Join(t.TempDir(), "libchdb.so")
	tt := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tt.Shutdown(context.Background())) }()
	ext, err := NewFactory().Create(context.Background(), metadatatest.NewSettings(tt), cfg)
	require.NoError(t, err)
	require.ErrorContains(t, ext.Start(context.Background(), newWatchedHost()), cfg.Library+" is missing: run `make engine`")
	require.NoError(t, ext.Shutdown(context.Background()))
}

func TestExtensionAppliesSettingsToItsUsers(t *testing.T) {
	cfg := testConfig(t)
	cfg.Settings = map[string]any{"max_threads": 1, "max_execution_time": 1, "log_comment": "<&>"}
	cfg.MaxMemoryMiB = 512
	tt := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tt.Shutdown(context.Background())) }()
	ext, err := NewFactory().Create(context.Background(), metadatatest.NewSettings(tt), cfg)
	require.NoError(t, err)
	require.NoError(t, ext.Start(context.Background(), componenttest.NewNopHost()))
	require.Equal(t, "1\t<&>", ask(t, cfg, "SELECT getSetting('max_threads'), getSetting('log_comment') SETTINGS max_execution_time = 0"))
	pid := ext.(*engineExtension).engine.PID()
	require.Equal(t, "0", ask(t, cfg, "SELECT sleep(1.3) SETTINGS max_execution_time = 0"))
	require.Equal(t, pid, ext.(*engineExtension).engine.PID(), "the engine's own session outlives max_execution_time")
	require.Equal(t, "536870912", ask(t, cfg, "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage' SETTINGS max_execution_time = 0"))
	require.NoError(t, ext.Shutdown(context.Background()))
}
