// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/grpc"

	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/term"
)

func TestSendFlagsBecomeAConfiguration(t *testing.T) {
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	f := func(args []string, check func(*sendFlags)) {
		t.Helper()
		got, err := parseSend(args)
		require.NoError(t, err)
		got.cfg.Generator.Span, got.cfg.Generator.End = 0, time.Time{}
		require.NoError(t, got.complete(now))
		check(got)
	}
	f(nil, func(s *sendFlags) {
		require.EqualValues(t, 100_000, s.cfg.Generator.Events)
		require.Equal(t, [3]float64{70, 10, 20}, s.cfg.Generator.Paths)
		require.Equal(t, load.QuickstartSegmentKeys(), s.cfg.Targets.SegmentKeys)
		require.Equal(t, now, s.cfg.Generator.End)
		require.False(t, s.cfg.Record)
	})
	f([]string{"-rate", "100", "-duration", "1m", "-mix", "segment=1", "-manifest", "m"}, func(s *sendFlags) {
		require.EqualValues(t, 6000, s.cfg.Generator.Events)
		require.Equal(t, time.Minute, s.cfg.Generator.Span)
		require.Equal(t, now.Add(time.Minute), s.cfg.Generator.End, "events happen as they are sent")
		require.Equal(t, [3]float64{0, 0, 1}, s.cfg.Generator.Paths)
		require.True(t, s.cfg.Record)
	})
	f([]string{"-end", "2026-01-02T03:04:05Z", "-tenants", "a,b"}, func(s *sendFlags) {
		require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), s.cfg.Generator.End)
		require.Equal(t, []string{"a", "b"}, s.cfg.Generator.Tenants)
	})
}

func TestSendRefusesNonsense(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		_, err := parseSend(args)
		require.ErrorContains(t, err, want)
	}
	f(`unknown path "carrier_pigeon"`, "-mix", "carrier_pigeon=1")
	f(`"x" is no share of segment`, "-mix", "segment=x")
	f(`-mix: "segment" is no name=value`, "-mix", "segment")
	f(`-end: "tomorrow" is no RFC 3339 time`, "-end", "tomorrow")
	f("-verify needs -clickhouse", "-verify")
	f(`unexpected argument "now"`, "now")
}

type counter struct {
	plogotlp.UnimplementedGRPCServer
	events atomic.Int64
}

func (c *counter) Export(_ context.Context, r plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	c.events.Add(int64(r.Logs().LogRecordCount()))
	return plogotlp.NewExportResponse(), nil
}

func TestSendWritesAManifestOfWhatArrived(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var c counter
	server := grpc.NewServer()
	plogotlp.RegisterGRPCServer(server, &c)
	go func() { _ = server.Serve(l) }() // ends with Stop
	defer server.Stop()

	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	require.NoError(t, err)
	defer func() { _ = out.Close() }()
	manifest := filepath.Join(dir, "manifest")
	require.NoError(t, run(context.Background(), term.New(out), []string{
		"-events", "1000", "-duplicates", "0.1", "-mix", "otlp_grpc=1", "-otlp-grpc", l.Addr().String(), "-manifest", manifest,
	}))
	m, err := load.ReadManifest(manifest)
	require.NoError(t, err)
	s := m.Summary()
	require.EqualValues(t, 1000, s.Events)
	require.Equal(t, c.events.Load(), s.Acked)
	require.Greater(t, s.Sent, int64(1000))
	text, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	require.Contains(t, string(text), "acknowledged   1,")
	require.Contains(t, string(text), "mean ")

	require.ErrorContains(t, run(context.Background(), term.New(out), []string{"verify", filepath.Join(dir, "none")}), "none: no such file")
	require.ErrorContains(t, run(context.Background(), term.New(out), []string{"fly"}), `unknown command "fly"`)
}
