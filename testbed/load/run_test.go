// SPDX-License-Identifier: Apache-2.0

package load

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/freeport"
)

// sink takes events on all three paths, as a collector would, and keeps them as rows.
type sink struct {
	plogotlp.UnimplementedGRPCServer

	// answer decides on the nth request (from 0) before it is stored; nil accepts all.
	answer func(n int) answer

	mu       sync.Mutex // guards what follows: one request at a time
	requests int
	rows     []Row
	keys     map[string]bool // Segment's

	targets Targets
}

type answer int

const (
	accept answer = iota
	unavailable
	unavailableWithDelay
	storeAndFail // the events are in, the answer says they are not
	tooMany
	forbid
	rejectOne
)

func newSink(t *testing.T, answerTo func(n int) answer) *sink {
	t.Helper()
	s := &sink{answer: answerTo, keys: map[string]bool{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	plogotlp.RegisterGRPCServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-done)
		web.Close()
	})
	s.targets = Targets{OTLPGRPC: l.Addr().String(), OTLPHTTP: web.URL, Segment: web.URL, SegmentKeys: map[string]string{}}
	for _, tenant := range DefaultTenants {
		s.targets.SegmentKeys[tenant] = tenant + "-write-key"
	}
	return s
}

// take stores the rows if the answer lets it, and returns the answer.
func (s *sink) take(rows func() []Row) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := accept
	if s.answer != nil {
		a = s.answer(s.requests)
	}
	s.requests++
	switch a {
	case accept, storeAndFail:
		s.rows = append(s.rows, rows()...)
	case rejectOne:
		s.rows = append(s.rows, rows()[1:]...)
	}
	return a
}

func (s *sink) Export(_ context.Context, req plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	resp := plogotlp.NewExportResponse()
	switch s.take(func() []Row { return otlpRows(req.Logs()) }) {
	case unavailable, storeAndFail:
		return resp, status.Error(codes.Unavailable, "not now")
	case tooMany:
		return resp, status.Error(codes.ResourceExhausted, "queue is full")
	case unavailableWithDelay:
		st, err := status.New(codes.Unavailable, "not now").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(300 * time.Millisecond)})
		if err != nil {
			return resp, err
		}
		return resp, st.Err()
	case forbid:
		return resp, status.Error(codes.Unauthenticated, "who are you")
	case rejectOne:
		resp.PartialSuccess().SetRejectedLogRecords(1)
		resp.PartialSuccess().SetErrorMessage("one is one too many")
	}
	return resp, nil
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var rows []Row
	switch r.URL.Path {
	case "/v1/logs":
		req := plogotlp.NewExportRequest()
		if err := req.UnmarshalProto(b); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		rows = otlpRows(req.Logs())
	case "/v1/batch":
		key, _, ok := r.BasicAuth()
		if rows, err = segmentRows(b, strings.TrimSuffix(key, "-write-key")); err != nil || !ok {
			http.Error(w, "not what Segment's SDKs send", http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.keys[key] = true
		s.mu.Unlock()
	default:
		http.NotFound(w, r)
		return
	}
	switch s.take(func() []Row { return rows }) {
	case unavailable, storeAndFail:
		http.Error(w, "not now", http.StatusServiceUnavailable)
	case unavailableWithDelay:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "not now", http.StatusServiceUnavailable)
	case tooMany:
		http.Error(w, "slower", http.StatusTooManyRequests)
	case forbid:
		http.Error(w, "who are you", http.StatusUnauthorized)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// otlpRows reads a batch through the project's own reader.
func otlpRows(logs plog.Logs) (rows []Row) {
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	for e := r.Next(); e != nil; e = r.Next() {
		row := Row{ID: e.ID, Name: e.Name, Time: int64(e.Time), User: e.UserID, Anon: e.AnonymousID, Tenant: e.Tenant}
		for _, p := range e.Properties {
			if p.Key == "total" && e.Name == "order_completed" && p.Value.Kind() == event.KindDouble {
				row.Total = int64(p.Value.Double()*100 + 0.5)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func segmentRows(b []byte, tenant string) ([]Row, error) {
	var body struct {
		Batch []struct {
			Type, Event, MessageID, UserID, AnonymousID string
			Timestamp                                   time.Time
			Properties                                  map[string]any
		}
	}
	if err := json.Unmarshal(b, &body); err != nil {
		return nil, err
	}
	var rows []Row
	for _, m := range body.Batch {
		row := Row{ID: m.MessageID, Name: m.Event, Time: m.Timestamp.UnixNano(), User: m.UserID, Anon: m.AnonymousID, Tenant: tenant}
		if total, ok := m.Properties["total"].(float64); ok && m.Event == "order_completed" {
			row.Total = int64(total*100 + 0.5)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// placed puts the rows where the pipeline would, by what the manifest expects.
func (s *sink) placed(m *Manifest) func(func(Row, error) bool) {
	fails := map[string]bool{}
	for _, e := range m.Entries() {
		fails[e.ID.String()] = e.Failed()
	}
	return func(yield func(Row, error) bool) {
		for _, r := range s.rows {
			r.Failed = fails[r.ID]
			if !yield(r, nil) {
				return
			}
		}
	}
}

func runTo(t *testing.T, s *sink, change func(*RunConfig)) *Run {
	t.Helper()
	cfg := RunConfig{Generator: mixed(4000), Targets: s.targets, Batch: 200, SegmentBatch: 50, Record: true}
	if change != nil {
		change(&cfg)
	}
	r, err := NewRun(cfg)
	require.NoError(t, err)
	require.NoError(t, r.Do(context.Background()))
	return r
}

func TestRunDeliversEveryEventOnAllPaths(t *testing.T) {
	for _, gz := range []bool{false, true} {
		s := newSink(t, nil)
		r := runTo(t, s, func(c *RunConfig) { c.Targets.Gzip = gz })
		st, sum := r.Stats(), r.Manifest().Summary()
		require.EqualValues(t, 4000, sum.Events)
		require.Equal(t, sum.Sent, st.Sent)
		require.Equal(t, sum.Sent, st.Acked)
		require.EqualValues(t, len(s.rows), st.Sent)
		require.Zero(t, st.Retries+st.Refused+st.Abandoned)
		require.InDelta(t, 1, r.Progress(), 0)
		for p := range numPaths {
			require.NotZero(t, st.SentBy[p], p)
		}
		require.Len(t, s.keys, len(DefaultTenants))
		require.True(t, s.keys["shop-eu-write-key"])

		c, err := Compare(r.Manifest(), s.placed(r.Manifest()), CompareOptions{})
		require.NoError(t, err)
		require.True(t, c.OK(), "%s %v", c.Verdict(), c.Samples)
		require.EqualValues(t, 4000, c.Matched)
	}
}

func TestRunWithOneSegmentKeySendsAllOfItsVisitsToThatTenant(t *testing.T) {
	s := newSink(t, nil)
	r := runTo(t, s, func(c *RunConfig) { c.Targets.SegmentKeys = map[string]string{"dev": "dev-write-key"} })
	require.Equal(t, map[string]bool{"dev-write-key": true}, s.keys)
	sum := r.Manifest().Summary()
	require.Equal(t, sum.ByPath["segment"], sum.ByTenant["dev"])
	require.NotZero(t, sum.ByTenant["shop-us"])
	c, err := Compare(r.Manifest(), s.placed(r.Manifest()), CompareOptions{})
	require.NoError(t, err)
	require.True(t, c.OK(), "%s %v", c.Verdict(), c.Samples)
}

func TestRunSendsAgainWhatWasNotAcknowledged(t *testing.T) {
	f := func(a answer, stored bool) {
		t.Helper()
		s := newSink(t, func(n int) answer {
			if n < 40 && n%3 == 0 {
				return a
			}
			return accept
		})
		r := runTo(t, s, func(c *RunConfig) { c.Generator.Events = 2000 })
		st := r.Stats()
		require.NotZero(t, st.Retries)
		require.Equal(t, st.Sent, st.Acked)
		require.Error(t, st.LastError)
		require.NotZero(t, r.Manifest().Summary().Unsure)
		c, err := Compare(r.Manifest(), s.placed(r.Manifest()), CompareOptions{})
		require.NoError(t, err)
		require.True(t, c.OK(), "%s %v", c.Verdict(), c.Samples)

		// A sink that promises each event once cannot plead repeated attempts.
		c, err = Compare(r.Manifest(), s.placed(r.Manifest()), CompareOptions{Deduplicated: true})
		require.NoError(t, err)
		require.GreaterOrEqual(t, c.Duplicated, r.Manifest().Summary().Duplicates/2)
		if stored {
			require.Greater(t, c.Duplicated, r.Manifest().Summary().Duplicates)
		}
	}
	f(unavailable, false)
	f(tooMany, false)
	f(storeAndFail, true)
}

func TestRunWaitsAsLongAsTheServerAsks(t *testing.T) {
	f := func(p Path, least time.Duration) {
		t.Helper()
		s := newSink(t, func(n int) answer {
			if n == 0 {
				return unavailableWithDelay
			}
			return accept
		})
		r := runTo(t, s, func(c *RunConfig) {
			c.Generator = GeneratorConfig{Seed: 1, Events: 10}
			c.Generator.Paths[p] = 1
		})
		require.GreaterOrEqual(t, r.Stats().Elapsed, least)
		require.GreaterOrEqual(t, r.Stats().Latency.Max, least-least/10)
	}
	f(OTLPGRPC, 300*time.Millisecond)
	f(OTLPHTTP, time.Second)
	f(Segment, time.Second)
}

func TestRunCountsWhatIsRefusedForGood(t *testing.T) {
	f := func(p Path, a answer, wantRefused int64, wantError string) {
		t.Helper()
		s := newSink(t, func(int) answer { return a })
		r := runTo(t, s, func(c *RunConfig) {
			c.Generator = GeneratorConfig{Seed: 1, Events: 100}
			c.Generator.Paths[p] = 1
			c.Batch, c.SegmentBatch, c.Connections, c.InFlight = 100, 100, 1, 1
		})
		st := r.Stats()
		require.Zero(t, st.Retries)
		require.Equal(t, wantRefused, st.Refused)
		require.Equal(t, st.Sent, st.Acked+st.Refused)
		require.ErrorContains(t, st.LastError, wantError)
		c, err := Compare(r.Manifest(), s.placed(r.Manifest()), CompareOptions{})
		require.NoError(t, err)
		require.EqualValues(t, 100, c.Open)
		require.EqualValues(t, len(s.rows), c.OpenThere)
	}
	f(OTLPGRPC, forbid, 100, "who are you")
	f(OTLPHTTP, forbid, 100, "401 Unauthorized: who are you")
	f(OTLPGRPC, rejectOne, 1, "1 events: one is one too many")
}

func TestRunReachesAServerThatComesLater(t *testing.T) {
	addr := freeport.Must(t, 1)[0]
	s := &sink{keys: map[string]bool{}}
	r, err := NewRun(RunConfig{
		Generator: GeneratorConfig{Seed: 1, Events: 20, Paths: [3]float64{0, 1, 0}}, Record: true,
		Targets: Targets{OTLPHTTP: "http://" + addr},
	})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- r.Do(context.Background()) }()
	require.Eventually(t, func() bool { return r.Stats().Retries > 0 }, time.Minute, 5*time.Millisecond)
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // ends with Close
	defer func() { _ = server.Close() }()
	require.NoError(t, <-done)
	require.EqualValues(t, 20, r.Stats().Acked)
	require.Zero(t, r.Manifest().Summary().Unsure, "a refused connection cannot have stored anything")
}

func TestRunKeepsToItsRateWhateverTheServerDoes(t *testing.T) {
	s := newSink(t, nil)
	r := runTo(t, s, func(c *RunConfig) {
		c.Generator.Events = 2000
		c.Rate = 4000
	})
	require.Greater(t, r.Stats().Elapsed, 400*time.Millisecond, "2000 events at 4000 a second, but for the last batch")

	release := make(chan struct{})
	slow := newSink(t, func(int) answer { <-release; return accept })
	cfg := RunConfig{
		Generator: GeneratorConfig{Seed: 1, Events: 5000}, Targets: slow.targets, Rate: 10_000, Batch: 100,
		Connections: 1, InFlight: 1,
	}
	r, err := NewRun(cfg)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- r.Do(context.Background()) }()
	require.Eventually(t, func() bool { return r.Stats().Sent >= 100 }, time.Minute, time.Millisecond)
	close(release)
	require.NoError(t, <-done)
	require.EqualValues(t, 5000, r.Stats().Acked)
}

func TestRunBoundsTheDisorderOfEventTimesThatSendersMake(t *testing.T) {
	const bound = 20 * time.Second
	events := func(late float64) GeneratorConfig {
		return GeneratorConfig{Seed: 3, Events: 3000, Span: time.Hour, Late: late, Paths: [3]float64{2, 1, 1}}
	}
	// disorder is the most that an event comes after a younger one.
	disorder := func(rows []Row) (most time.Duration) {
		high := rows[0].Time
		for _, r := range rows {
			most = max(most, time.Duration(high-r.Time))
			high = max(high, r.Time)
		}
		return most
	}
	g, err := NewGenerator(events(0))
	require.NoError(t, err)
	var rows []Row
	for e := g.next(); e != nil; e = g.next() {
		rows = append(rows, Row{Time: e.time})
	}
	made := disorder(rows)
	require.Less(t, made, 5*time.Second)

	// One request waits: what is sent meanwhile is at most the bound ahead of it.
	release, held := make(chan struct{}), make(chan struct{})
	s := newSink(t, nil)
	var first sync.Once
	blocked := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first.Do(func() { close(held); <-release })
		s.ServeHTTP(w, r)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = blocked.Serve(l) }() // ends with Close
	defer func() { _ = blocked.Close() }()
	s.targets.OTLPHTTP = "http://" + l.Addr().String()
	r, err := NewRun(RunConfig{Generator: events(0), Targets: s.targets, Batch: 10, SegmentBatch: 10, Connections: 16, MaxDisorder: bound})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- r.Do(t.Context()) }()
	<-held
	require.Eventually(t, func() bool { return r.flight.waits.Load() && r.Stats().Acked+10 >= r.Stats().Sent }, time.Minute, time.Millisecond)
	require.Less(t, r.Stats().Sent, int64(100), "there are 0.8 events a second")
	close(release)
	require.NoError(t, <-done)
	require.EqualValues(t, 3000, r.Stats().Acked)
	require.LessOrEqual(t, disorder(s.rows), bound+made)
	require.WithinDuration(t, time.Unix(0, s.rows[len(s.rows)-1].Time), r.Stats().EventTime, bound)

	// What is late on purpose holds nothing back, and comes on top; so do requests that are repeated.
	s = newSink(t, func(n int) answer {
		if n%9 == 0 {
			return unavailable
		}
		return accept
	})
	r = runTo(t, s, func(c *RunConfig) {
		c.Generator, c.MaxDisorder = events(0.1), bound
		c.Generator.Events, c.Generator.Span = 600, time.Hour/5
	})
	require.Greater(t, disorder(s.rows), time.Minute)
	require.LessOrEqual(t, disorder(s.rows), bound+made+r.gen.cfg.LateMax)
	require.NotZero(t, r.Stats().Retries)
}

func TestRunBreaksOffWhenItsContextEnds(t *testing.T) {
	s := newSink(t, func(int) answer { return unavailable })
	r, err := NewRun(RunConfig{Generator: mixed(4000), Targets: s.targets, Batch: 200, SegmentBatch: 50, Record: true})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Do(ctx) }()
	require.Eventually(t, func() bool { return r.Stats().Retries > 3 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	st := r.Stats()
	require.Zero(t, st.Acked)
	require.Equal(t, st.Sent, st.Abandoned)
	c, err := Compare(r.Manifest(), s.placed(r.Manifest()), CompareOptions{})
	require.NoError(t, err)
	require.True(t, c.OK())
	require.Equal(t, c.Expected, c.Open)
}

func TestRunEndsAfterItsDuration(t *testing.T) {
	s := newSink(t, nil)
	r := runTo(t, s, func(c *RunConfig) {
		c.Generator.Events = 0
		c.Duration = 200 * time.Millisecond
	})
	require.Positive(t, r.Stats().Acked)
	require.Equal(t, r.Stats().Sent, r.Stats().Acked)
	require.Less(t, r.Stats().Elapsed, time.Minute)
}

func TestRunRefusesNonsense(t *testing.T) {
	f := func(cfg RunConfig, want string) {
		t.Helper()
		_, err := NewRun(cfg)
		require.ErrorContains(t, err, want)
	}
	ok := Targets{OTLPGRPC: "127.0.0.1:1"}
	f(RunConfig{Targets: ok}, "neither a duration nor a number of events")
	f(RunConfig{Targets: ok, Duration: time.Second, Rate: -1}, "rate: -1 is negative")
	f(RunConfig{Targets: ok, Duration: time.Second, Batch: -1}, "batch: -1 is too few")
	f(RunConfig{Targets: ok, Duration: time.Second, MaxDisorder: -time.Second}, "max disorder: -1s is negative")
	f(RunConfig{Duration: time.Second}, "otlp_grpc target is empty")
	f(RunConfig{Targets: Targets{Segment: "http://localhost:8181"}, Duration: time.Second, Generator: GeneratorConfig{Paths: [3]float64{0, 0, 1}}},
		"segment write keys are missing")
	f(RunConfig{Targets: Targets{Segment: "localhost:8181"}, Duration: time.Second, Generator: GeneratorConfig{Paths: [3]float64{0, 0, 1}}},
		`segment target: "localhost:8181" is no base URL`)
}

func TestRetryAfterIsReadAsSecondsOrDate(t *testing.T) {
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	f := func(h string, want time.Duration) {
		t.Helper()
		require.Equal(t, want, retryAfter(h, now))
	}
	f("", 0)
	f("7", 7*time.Second)
	f("-7", 0)
	f("soon", 0)
	f("Mon, 02 Nov 2026 12:00:30 GMT", 30*time.Second)
	f("Mon, 02 Nov 2026 11:00:30 GMT", 0)
	require.Equal(t, maxRetryAfter, clampRetryAfter(time.Hour))
}

func TestHistogramQuantilesAreCloseFromAbove(t *testing.T) {
	var h histogram
	for i := 1; i <= 1000; i++ {
		h.observe(time.Duration(i) * time.Millisecond)
	}
	q := h.quantiles()
	f := func(got, want time.Duration) {
		t.Helper()
		require.GreaterOrEqual(t, got, want)
		require.Less(t, got, want+want/15)
	}
	f(q.P50, 500*time.Millisecond)
	f(q.P95, 950*time.Millisecond)
	f(q.P99, 990*time.Millisecond)
	f(q.Max, time.Second)
	require.Zero(t, new(histogram).quantiles())
}
