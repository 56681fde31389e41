// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/prometheustest"
)

// TestEveryEventIsInTheTotalsOfPrometheusOnce sends events, some of them twice, kills the collector and Prometheus in between, and asks Prometheus.
func TestEveryEventIsInTheTotalsOfPrometheusOnce(t *testing.T) {
	server := prometheustest.Start(t)
	a := freeport.Must(t, 4)
	dir := t.TempDir()
	cmd := func() *child.Process {
		log, err := os.OpenFile(filepath.Join(dir, "millrace.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		require.NoError(t, err)
		p, err := child.Start("millrace", millrace(t, []string{
			"MILLRACE_DATA_DIR=" + dir, "MILLRACE_SCHEMA_DIR=schemas", "MILLRACE_PROMETHEUS=" + server.OTLP(),
			"MILLRACE_OTLP_GRPC=" + a[0], "MILLRACE_OTLP_HTTP=" + a[1], "MILLRACE_SEGMENT=" + a[2], "MILLRACE_METRICS=" + a[3],
		}, "--config", "metrics.yaml", "--config", "yaml:connectors::event_log: {tick_interval: 500ms, idle_timeout: 0s}"), log, syscall.SIGKILL)
		require.NoError(t, err)
		return p
	}
	// Without an idle time-out, what is younger than the rest stays in windows that are open, however long it takes.
	process := cmd()
	t.Cleanup(func() {
		require.NoError(t, process.Stop(patience))
		if t.Failed() {
			t.Logf("the end of the collector's log:\n%s", process.Tail(20))
		}
	})
	send := func(c load.GeneratorConfig) *load.Run {
		t.Helper()
		run, err := load.NewRun(load.RunConfig{
			Generator: c, Targets: load.Targets{OTLPGRPC: a[0]}, MaxDisorder: 30 * time.Second, Batch: 100, Record: true,
		})
		require.NoError(t, err)
		return run
	}
	now := time.Now()
	run := send(load.GeneratorConfig{Seed: 1, Events: 20_000, Bad: 0.02, Duplicates: 0.05, Span: 20 * time.Minute, End: now.Add(-5 * time.Minute)})
	done := make(chan error, 1)
	go func() { done <- run.Do(t.Context()) }()
	reach := func(progress float64) {
		t.Helper()
		require.Eventually(t, func() bool { return run.Progress() >= progress }, patience, time.Millisecond)
	}
	reach(0.3)
	require.NoError(t, process.End(syscall.SIGKILL, patience))
	process = cmd()
	reach(0.6)
	server.Kill()
	require.NoError(t, <-done, "senders do not wait for Prometheus")
	server.Restart()
	// Younger ones tell that what was sent so far is complete, up to a minute before them.
	require.NoError(t, send(load.GeneratorConfig{Seed: 2, Events: 50, Span: time.Second, End: now}).Do(t.Context()))
	require.NoError(t, lag.Await(t.Context(), "http://"+a[3], nil))

	valid, orders, revenue := 0.0, 0.0, 0.0
	for _, e := range run.Manifest().Entries() {
		if e.Failed() {
			continue
		}
		valid++
		if e.Name == "order_completed" {
			orders++
			revenue += float64(e.Total) / 100
		}
	}
	total := func(metric string) (v float64) {
		t.Helper()
		v, _ = server.One("sum(last_over_time(" + metric + "[1h]))")
		return v
	}
	require.Greater(t, orders, 100.0)
	require.Eventually(t, func() bool { return total("shop_events_total") >= valid && total("shop_orders_total") >= orders }, patience, 200*time.Millisecond,
		"%v of %v events, %v of %v orders", total("shop_events_total"), valid, total("shop_orders_total"), orders)
	require.Equal(t, int64(valid), int64(total("shop_events_total")))
	require.Equal(t, int64(orders), int64(total("shop_orders_total")))
	require.InDelta(t, revenue, total("shop_revenue_total"), 0.01)
	for _, s := range server.Query(`last_over_time(shop_orders_total[1h])`) {
		require.Equal(t, "shop", s.Labels["job"])
		require.Len(t, s.Labels["instance"], 36)
		require.NotEmpty(t, s.Labels["currency"])
		require.NotEmpty(t, s.Labels["country"])
	}
	begun, _ := server.One("max(min_over_time(shop_events_total[1h]))")
	require.Zero(t, begun, "what a counter has grown by since it began is seen")
	visitors, known := server.One("max(max_over_time(shop_visitors[1h]))")
	require.True(t, known)
	require.Greater(t, visitors, 100.0)
	_, err := lag.Sum(t.Context(), "http://"+a[3], "otelcol_connector_window_metrics_dropped_points")
	require.Error(t, err, "there is no such count while it is 0")
}
