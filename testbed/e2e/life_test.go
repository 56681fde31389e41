// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/millrace/millrace/testbed/load"
)

// allPaths are the ways of the quickstart.
var allPaths = [3]float64{load.OTLPGRPC: 4, load.OTLPHTTP: 3, load.Segment: 3}

// newRun prepares generated events. All OTLP events are the tenant's alone; Segment's are the quickstart's key's.
func newRun(t *testing.T, i *instance, tenant string, seed uint64, events int64, change func(*load.RunConfig)) *load.Run {
	t.Helper()
	cfg := load.RunConfig{
		Generator: load.GeneratorConfig{
			Seed: seed, Events: events, End: time.Now().Truncate(time.Minute), Users: 500, Tenants: []string{tenant},
			Paths: allPaths, Late: 0.02, Duplicates: 0.01, Bad: 0.05,
		},
		Targets: i.targets(), Batch: 200, SegmentBatch: 50, Record: true,
	}
	if change != nil {
		change(&cfg)
	}
	r, err := load.NewRun(cfg)
	require.NoError(t, err)
	return r
}

// requireStored holds what the tables have against what was sent: every event once, however often it was sent.
func requireStored(t *testing.T, i *instance, r *load.Run, opts load.CompareOptions) *load.Comparison {
	t.Helper()
	i.awaitDelivered(t)
	opts.Deduplicated = true
	c, err := load.Compare(r.Manifest(), load.ClickHouseRows(context.Background(), i.ch, load.Tables{}), opts)
	require.NoError(t, err)
	require.True(t, c.OK(), "%s %v", c.Verdict(), c.Samples)
	require.NotZero(t, c.Matched)
	return c
}

// One instance's life, in order: what is sent is stored, through the engine's death, a stop and a kill.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	i := start(t)
	var runs []*load.Run

	t.Run("on any path", func(t *testing.T) {
		r := newRun(t, i, "all-paths", 1, 5000, nil)
		require.NoError(t, r.Do(context.Background()))
		s, sum := r.Stats(), r.Manifest().Summary()
		require.Equal(t, s.Sent, s.Acked)
		require.Zero(t, s.Retries+s.Refused+s.Abandoned, "%v", s.LastError)
		for _, path := range []string{"otlp_grpc", "otlp_http", "segment"} {
			require.NotZero(t, sum.ByPath[path], path)
		}
		// Of each event there is one row, of those that were sent twice too, and nothing else is in the tables.
		c := requireStored(t, i, r, load.CompareOptions{})
		require.EqualValues(t, 5000, c.Matched)
		require.EqualValues(t, 5000, c.Rows+c.Failed)
		require.NotZero(t, sum.ExpectedFailed)
		require.NotZero(t, sum.Duplicates)
		require.Equal(t, sum.Duplicates, i.metric(t, "otelcol_event_log_duplicates"), "every further copy was counted")
		runs = append(runs, r)
	})

	t.Run("as OTLP's JSON", func(t *testing.T) {
		door := jsonDoor(t, i)
		r := newRun(t, i, "json", 2, 1000, func(c *load.RunConfig) {
			c.Generator.Paths = [3]float64{load.OTLPHTTP: 1}
			c.Targets.OTLPHTTP = door
		})
		require.NoError(t, r.Do(context.Background()))
		require.Zero(t, r.Stats().Refused+r.Stats().Retries, "%v", r.Stats().LastError)
		c := requireStored(t, i, r, load.CompareOptions{Shared: true})
		require.EqualValues(t, 1000, c.Matched)
		runs = append(runs, r)
	})

	t.Run("compressed", func(t *testing.T) {
		r := newRun(t, i, "gzip", 3, 1000, func(c *load.RunConfig) { c.Targets.Gzip = true })
		require.NoError(t, r.Do(context.Background()))
		require.Zero(t, r.Stats().Refused+r.Stats().Retries, "%v", r.Stats().LastError)
		requireStored(t, i, r, load.CompareOptions{Shared: true})
		runs = append(runs, r)
	})

	// underLoad sends until what happens has happened, and returns the run that was broken off, or not.
	underLoad := func(t *testing.T, tenant string, seed uint64, toTheEnd bool, happens func()) *load.Run {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r := newRun(t, i, tenant, seed, 0, func(c *load.RunConfig) {
			c.Generator.Span = time.Hour
			c.Rate, c.Duration = 3000, patience
			if toTheEnd {
				c.Generator.Events, c.Duration = 6000, 0
			}
		})
		done := make(chan error, 1)
		go func() { done <- r.Do(ctx) }()
		await(t, "events are acknowledged", func() bool { return r.Stats().Acked > 1000 })
		happens()
		if !toTheEnd {
			cancel()
		}
		select {
		case err := <-done:
			require.Equal(t, toTheEnd, err == nil, "%v", err)
		case <-time.After(2 * patience):
			t.Fatalf("the senders are stuck: %+v", r.Stats())
		}
		require.Zero(t, r.Stats().Refused, "%v", r.Stats().LastError)
		runs = append(runs, r)
		return r
	}

	t.Run("when the engine is killed under load", func(t *testing.T) {
		pid := i.engine()
		require.NotZero(t, pid)
		r := underLoad(t, "engine-killed", 4, true, func() { require.NoError(t, syscall.Kill(pid, syscall.SIGKILL)) })
		require.True(t, i.running())
		require.NotEqual(t, pid, i.engine())
		require.Equal(t, r.Stats().Sent, r.Stats().Acked)
		// Nobody knows whether the INSERTs under way arrived. They are sent again under their names, and stored once.
		requireStored(t, i, r, load.CompareOptions{Shared: true})
	})

	t.Run("when the collector is stopped under load", func(t *testing.T) {
		engine := i.engine()
		r := underLoad(t, "stopped", 5, false, func() { i.end(t, syscall.SIGTERM) })
		require.NoError(t, i.Err(), "%s", i.tail())
		require.False(t, alive(engine), "the engine outlives a collector that was stopped")
		i.start(t)
		requireStored(t, i, r, load.CompareOptions{Shared: true})
	})

	t.Run("when the collector is killed under load", func(t *testing.T) {
		// The senders send again what was not acknowledged, which may be in the log already.
		r := underLoad(t, "killed", 6, true, func() {
			engine := i.engine()
			i.end(t, syscall.SIGKILL)
			await(t, "the engine ends with a collector that was killed", func() bool { return !alive(engine) })
			i.start(t)
		})
		require.Equal(t, r.Stats().Sent, r.Stats().Acked)
		requireStored(t, i, r, load.CompareOptions{Shared: true})
	})

	t.Run("and what came first is still there", func(t *testing.T) {
		require.Len(t, runs, 6)
		for _, r := range runs[:3] {
			requireStored(t, i, r, load.CompareOptions{Shared: true})
		}
	})

	require.NotContains(t, i.said(), "panic:")
}

// jsonDoor sends on as OTLP's JSON what the load generator sends it as Protobuf.
func jsonDoor(t *testing.T, i *instance) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := plogotlp.NewExportRequest()
		if err == nil {
			err = request.UnmarshalProto(body)
		}
		if err == nil {
			body, err = request.MarshalJSON()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		answer, err := http.Post(i.url("MILLRACE_OTLP_HTTP", "/v1/logs"), "application/json", bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK || strings.TrimSpace(string(text)) != `{"partialSuccess":{}}` {
			http.Error(w, string(text), http.StatusTeapot)
			return
		}
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
