// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
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
	return r, r.Start(context.Background(), host{componenttest.NewNopHost(), w})
}

// waitLog returns when the receiver has said a line.
func (w *world) waitLog(line string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.logs.FilterMessage(line).Len() > 0 }, 20*time.Second, time.Millisecond, "no %q", line)
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

func TestAnArchiveComesBackAsTheEventsThatWereWritten(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 4000, 0)
	want := stories(t, logs, true, all)
	files := lake(t, snap, logs, 300)
	require.Greater(t, len(files), 5)
	for _, parallel := range []int{1, 3} {
		w := newWorld(t, files)
		w.cfg.BatchEvents, w.cfg.ParallelFiles = 137, parallel
		w.run()
		got, times := w.sink.all()
		require.Len(t, times, len(want))
		for id, n := range times {
			require.Equal(t, 1, n, id)
		}
		back := stories(t, got, true, all)
		for id := range want {
			require.Equal(t, want[id], back[id])
		}
		for _, b := range w.sink.batches {
			require.LessOrEqual(t, b.LogRecordCount(), 137)
		}
	}
}

func TestFailedEventsComeBackWithoutTheirMarkAndSchema(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 1000, 3)
	failed := func(e *event.Event) bool { return e.Failed }
	for _, clearSchema := range []string{clearAuto, clearNever} {
		w := newWorld(t, lake(t, snap, logs, 100))
		w.cfg.Kind, w.cfg.ClearSchema = "failed_events", clearSchema
		w.run()
		got, _ := w.sink.all()
		keeps := clearSchema == clearNever
		require.Equal(t, stories(t, logs, keeps, failed), stories(t, got, keeps, all))
		var r event.Reader
		r.Reset(event.FromLogs(got))
		for e := r.Next(); e != nil; e = r.Next() {
			require.False(t, e.Failed)
			require.Equal(t, keeps, e.Schema != "")
		}
	}
}

func TestWhatFailedWhenItWasReceivedIsNoEventAndSkipped(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 30, 3)
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	n := 0
	for e := r.Next(); e != nil; e = r.Next() {
		if n++; n <= 2 {
			e.ClearFailure()
			e.Fail(event.Failure{Stage: event.StageReceive, Reason: "malformed_json"})
		}
	}
	for _, rl := range logs.ResourceLogs().All() {
		rl.ScopeLogs().At(0).LogRecords().At(0).Body().SetStr(`{"event":"half`)
		break
	}
	w := newWorld(t, lake(t, snap, logs, 100))
	w.cfg.Kind = "failed_events"
	w.run()
	_, times := w.sink.all()
	require.Len(t, times, 11, "ten of 30 failed, and one of two more had its text; the other one was an event all the same")
	w.counted("otelcol_receiver_archive_skipped_rows", rowNotAnEvent, 1)
}

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

func TestAJobReadsWhatItsSelectionIsAbout(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 2000, 0)
	files := lake(t, snap, logs, 200)
	f := func(change func(*Config), which func(*event.Event) bool) {
		t.Helper()
		w := newWorld(t, files)
		change(w.cfg)
		w.run()
		got, _ := w.sink.all()
		want := stories(t, logs, true, which)
		require.NotEmpty(t, want)
		require.Less(t, len(want), 2000)
		require.Equal(t, want, stories(t, got, true, all))
	}
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	var times []uint64
	for e := r.Next(); e != nil; e = r.Next() {
		times = append(times, uint64(e.Time))
	}
	from, to := time.Unix(0, int64(times[500])).UTC(), time.Unix(0, int64(times[900])).UTC()
	if to.Before(from) {
		from, to = to, from
	}
	inRange := func(e *event.Event) bool {
		return int64(e.Time) >= from.UnixNano() && int64(e.Time) < to.UnixNano()
	}
	f(func(c *Config) { c.From, c.To = from, to }, inRange)
	f(func(c *Config) { c.EventNames = []string{"Product Viewed", "signed_up"} }, func(e *event.Event) bool {
		return e.Name == "product_viewed" || e.Name == "signed_up"
	})
	f(func(c *Config) { c.Prefix = "event_name=page" }, func(e *event.Event) bool { return e.Name == "page_viewed" })
	f(func(c *Config) { c.Filters = []Filter{{Column: "tenant_id", Values: []string{"two", "three"}}} }, func(e *event.Event) bool {
		return e.Tenant == "two"
	})
	f(func(c *Config) {
		c.Filters = []Filter{{Column: "tenant_id", Values: []string{"one"}}, {Column: "user_id", Values: []string{""}}}
	}, func(e *event.Event) bool { return e.Tenant == "one" && e.UserID == "" })
}

func TestAJobThatIsDoneStartsAgainUnderAnotherNameOnly(t *testing.T) {
	snap := shopSchemas(t)
	w := newWorld(t, lake(t, snap, generated(t, snap, 500, 0), 100))
	w.run()
	asked := w.sink.asked
	require.Positive(t, asked)
	r, err := w.begin()
	require.NoError(t, err)
	w.waitLog(saidBefore)
	require.NoError(t, r.Shutdown(context.Background()))
	require.Equal(t, asked, w.sink.asked)
	w.cfg.Job = "again"
	w.run()
	require.Equal(t, 2*asked, w.sink.asked)
}

func TestAJobDoesNotGoOnWithAnotherSelection(t *testing.T) {
	w := newWorld(t, nil)
	w.run()
	w.cfg.EventNames = []string{"other"}
	_, err := w.begin()
	require.ErrorContains(t, err, `job: "default" was begun with another source`)
}

func TestAStateStoreIsNeeded(t *testing.T) {
	w := newWorld(t, nil)
	w.cfg.StateStore = component.MustNewID("elsewhere")
	r, err := w.begin()
	require.ErrorContains(t, err, `state_store: "elsewhere" is no state store: name an extension`)
	require.NoError(t, r.Shutdown(context.Background()))
}

func TestABatchThatIsRefusedForNowGoesOutAgainTheSame(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 1500, 0)
	w := newWorld(t, lake(t, snap, logs, 400))
	w.cfg.BatchEvents = 100
	w.sink.onBatch = func(n int) error {
		if n%3 != 0 {
			return errors.New("the log is full")
		}
		return nil
	}
	w.run()
	got, times := w.sink.all()
	for id, n := range times {
		require.Equal(t, 1, n, id)
	}
	require.Equal(t, stories(t, logs, true, all), stories(t, got, true, all))
	w.counted("otelcol_receiver_archive_refused_batches", "retryable", int64(2*len(w.sink.batches)))
	w.counted("otelcol_receiver_archive_events", "", 1500)
}

func TestABatchThatIsRefusedForGoodStopsTheJobAndIsTheFirstAfterIt(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 1500, 0)
	w := newWorld(t, lake(t, snap, logs, 400))
	w.cfg.BatchEvents = 100
	w.sink.onBatch = func(n int) error {
		if n == 5 {
			return consumererror.NewPermanent(errors.New("no such event"))
		}
		return nil
	}
	r, err := w.begin()
	require.NoError(t, err)
	var status *componentstatus.Event
	require.Eventually(t, func() bool {
		select {
		case status = <-w.statuses:
			return status.Status() == componentstatus.StatusPermanentError
		default:
			return false
		}
	}, 20*time.Second, time.Millisecond)
	require.ErrorContains(t, status.Err(), "the pipeline refuses a batch for good")
	require.NoError(t, r.Shutdown(context.Background()))
	require.Equal(t, 5, w.sink.asked, "nothing is passed over")
	w.counted("otelcol_receiver_archive_refused_batches", "permanent", 1)

	w.sink.onBatch = nil
	w.run()
	got, times := w.sink.all()
	for id, n := range times {
		require.Equal(t, 1, n, id)
	}
	require.Equal(t, stories(t, logs, true, all), stories(t, got, true, all))
}

func TestAJobGoesOnWhereItWas(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 3000, 0)
	w := newWorld(t, lake(t, snap, logs, 400))
	w.cfg.BatchEvents = 100
	starts := 0
	for finished := false; !finished; starts++ {
		stop := make(chan struct{})
		w.sink.mu.Lock()
		until := w.sink.asked + 3
		w.sink.onBatch = func(n int) error {
			if n == until {
				close(stop)
			}
			return nil
		}
		w.sink.mu.Unlock()
		r, err := w.begin()
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			select {
			case <-stop:
				return true
			default:
				finished = w.logs.FilterMessage(saidFinished).Len() > 0
				return finished
			}
		}, 20*time.Second, 100*time.Microsecond)
		require.NoError(t, r.Shutdown(context.Background()))
		finished = finished || w.logs.FilterMessage(saidFinished).Len() > 0
	}
	require.Greater(t, starts, 2)
	got, times := w.sink.all()
	require.Equal(t, stories(t, logs, true, all), stories(t, got, true, all))
	for id, n := range times {
		require.Equal(t, 1, n, id)
	}
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

func TestACrashRepeatsOneBatchAtMost(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 2000, 0)
	files := lake(t, snap, logs, 400)
	for after := 1; after < 20; after += 3 {
		w := newWorld(t, files)
		w.cfg.BatchEvents = 100
		real := w.state
		w.state = &crashingState{Store: real, after: after}
		r, err := w.begin()
		require.NoError(t, err)
		w.waitLog("A store is in the way, and is tried again")
		require.NoError(t, r.Shutdown(context.Background()))
		w.state = real
		w.run()
		got, times := w.sink.all()
		require.Equal(t, stories(t, logs, true, all), stories(t, got, true, all))
		repeated := 0
		for _, n := range times {
			require.LessOrEqual(t, n, 2)
			if n == 2 {
				repeated++
			}
		}
		require.LessOrEqual(t, repeated, 100)
	}
}

func TestABadFileIsCountedAndSkippedAndTheOthersAreRead(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 2000, 0)
	files := lake(t, snap, logs, 200)
	good := files["event_name=product_viewed/a.parquet"]
	damaged := append([]byte(nil), good...)
	for i := len(damaged) / 3; i < len(damaged)/3+2000; i++ {
		damaged[i] ^= 0x55
	}
	files["event_name=product_viewed/b-empty.parquet"] = nil
	files["event_name=product_viewed/b-cut.parquet"] = good[:len(good)/2]
	files["event_name=product_viewed/b-text.parquet"] = []byte("event_id,event_name\n1,product_viewed\n")
	files["event_name=product_viewed/c-damaged.parquet"] = damaged
	files["event_name=product_viewed/d-foreign.parquet"] = foreignFile(t, foreignRows(10))
	files["event_name=product_viewed/e-gone.parquet"] = good
	files["event_name=product_viewed/z.csv"] = []byte("not looked at")
	w := newWorld(t, files)
	w.store.onOpen = func(key string) error {
		if key == "event_name=product_viewed/e-gone.parquet" {
			delete(w.store.files, key)
		}
		return nil
	}
	w.run()
	got, _ := w.sink.all()
	require.Equal(t, stories(t, logs, true, all), stories(t, got, true, all))
	w.counted("otelcol_receiver_archive_skipped_files", fileCorrupt, 4)
	w.counted("otelcol_receiver_archive_skipped_files", fileForeign, 1)
	w.counted("otelcol_receiver_archive_skipped_files", fileGone, 1)
	require.Equal(t, 6, w.logs.FilterMessage("A file is skipped, the job goes on with the next").Len())
}

func TestAStoreThatIsAwayIsWaitedFor(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 2000, 0)
	w := newWorld(t, lake(t, snap, logs, 200))
	w.cfg.BatchEvents = 100
	reads := 0
	w.store.onRead = func(string) error {
		if reads++; reads < 200 && reads%7 == 0 {
			return errors.New("connection reset")
		}
		return nil
	}
	w.run()
	got, times := w.sink.all()
	for id, n := range times {
		require.Equal(t, 1, n, id)
	}
	require.Equal(t, stories(t, logs, true, all), stories(t, got, true, all))
}

func TestOnFinishEndsTheCollector(t *testing.T) {
	w := newWorld(t, nil)
	w.cfg.OnFinish = finishShutdown
	r, err := w.begin()
	require.NoError(t, err)
	select {
	case status := <-w.statuses:
		require.Equal(t, componentstatus.StatusFatalError, status.Status())
		require.ErrorContains(t, status.Err(), "no error: job \"default\" has finished")
	case <-time.After(20 * time.Second):
		require.Fail(t, "the collector was not asked to end")
	}
	require.NoError(t, r.Shutdown(context.Background()))
}

func TestProgressIsSaid(t *testing.T) {
	snap := shopSchemas(t)
	w := newWorld(t, lake(t, snap, generated(t, snap, 500, 0), 100))
	w.cfg.BatchEvents = 10
	w.sink.onBatch = func(n int) error {
		if n == 20 { // until then the clock has gone by ten seconds
			for w.logs.FilterMessage("The job is under way").Len() == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	}
	w.run()
	said := w.logs.FilterMessage("The job is under way").All()[0].ContextMap()
	require.Positive(t, said["events"])
	require.Positive(t, said["remaining_bytes"])
	last := w.logs.FilterMessage(saidFinished).All()[0].ContextMap()
	require.EqualValues(t, 500, last["events"])
	require.EqualValues(t, 0, last["remaining_bytes"])
}

func TestTheRateLimitHoldsEventsBack(t *testing.T) {
	clock := &stillClock{now: time.Unix(1000, 0)}
	l := limiter{clock: clock, rate: 100}
	for range 5 {
		require.NoError(t, l.wait(context.Background(), 50))
	}
	require.Equal(t, 2*time.Second, clock.now.Sub(time.Unix(1000, 0)), "250 events at 100 a second: the first 50 at once, the last 50 after 2 seconds")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, l.wait(ctx, 1), context.Canceled)
	w := newWorld(t, nil)
	w.cfg.RateLimit = 20
	r, err := w.begin()
	require.NoError(t, err)
	require.Equal(t, 20, r.batchEvents, "a batch is not more than a second's")
	require.NoError(t, r.Shutdown(context.Background()))
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

func TestAnEventWithoutAnIDGetsTheSameOneWheneverItIsRead(t *testing.T) {
	ids := map[string]bool{}
	for _, p := range []rowPlace{{"a", 1}, {"a", 2}, {"b", 1}} {
		require.Len(t, p.id(), 36)
		ids[p.id()] = true
	}
	require.Len(t, ids, 3, fmt.Sprint(ids))
	require.True(t, ids[rowPlace{"a", 2}.id()])
}
