// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/internal/seal"
)

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

func TestWhatIsEmptyAndWhatIsATextComesBackSo(t *testing.T) {
	const doc = `{"type":"object","properties":{
		"tags":{"type":"array","items":{"type":"string"}},
		"items":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"size":{"type":"object","properties":{"w":{"type":"integer"}}}}}},
		"cart":{"type":"object","properties":{"tags":{"type":"array","items":{"type":"string"}},"lines":{"type":"array","items":{"type":"object","properties":{"n":{"type":"integer"}}}}}},
		"price":{"type":"string","pattern":"^[0-9.]+$","x-column":"Decimal(18, 2)"},
		"prices":{"type":"array","items":{"type":"string"},"x-column":"Array(Decimal(38, 3))"},
		"rows":{"type":"array","items":{"type":"object","properties":{"price":{"type":"string","x-column":"Decimal(9, 1)"}}}},
		"amount":{"type":"number","x-column":"Decimal(18, 2)"}}}`
	compiled, err := schema.Compile("shape", "1", []byte(doc))
	require.NoError(t, err)
	snap, err := schema.NewSnapshot(1, []*schema.Schema{compiled})
	require.NoError(t, err)
	logs := plog.NewLogs()
	records := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for i, properties := range []string{
		`{}`, `{"tags":[]}`, `{"tags":["a"]}`, `{"items":[]}`, `{"items":[{}]}`, `{"items":[{"sku":"a"},{"size":{}},{"size":{"w":1}}]}`,
		`{"cart":{}}`, `{"cart":{"tags":[]}}`, `{"cart":{"lines":[],"tags":["b"]}}`, `{"cart":{"lines":[{"n":1}],"tags":[]}}`,
		`{"tags":[],"items":[],"cart":{"tags":[],"lines":[]},"other":[]}`,
		`{"price":"12.50","amount":12.5}`, `{"price":"0.00"}`, `{"price":"9999999999999999.99"}`, `{"prices":["-1.250","12345678901234567890.125"]}`, `{"prices":[]}`,
		`{"rows":[{"price":"1.5"},{}]}`,
	} {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(properties), &m))
		r := records.AppendEmpty()
		require.NoError(t, r.Attributes().FromRaw(m))
		r.SetEventName("shape")
		r.SetTimestamp(pcommon.Timestamp(1_800_000_000_000_000_000))
		r.SetObservedTimestamp(pcommon.Timestamp(1_800_000_000_000_000_000))
		r.Attributes().PutStr("log.record.uid", fmt.Sprintf("%02d", i))
		r.Attributes().PutStr("event.schema", "shape")
		r.Attributes().PutStr("event.schema.version", "1")
	}
	w := newWorld(t, lake(t, snap, logs, 4))
	w.run()
	got, _ := w.sink.all()
	require.Equal(t, stories(t, logs, true, all), stories(t, got, true, all))
	var r event.Reader
	r.Reset(event.FromLogs(got))
	for e := r.Next(); e != nil; e = r.Next() {
		require.Nil(t, snap.Match("shape").Validate(e), e.ID)
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
		// What its sender wrote reads like an event that an archive has, of a tenant that is not the sender's.
		rl.ScopeLogs().At(0).LogRecords().At(0).Body().SetStr(`{"event_name":"signed_up","event_id":"forged","resource":{"tenant.id":"another"},"properties":{}}`)
		break
	}
	w := newWorld(t, lake(t, snap, logs, 100))
	w.cfg.Kind = "failed_events"
	w.run()
	_, times := w.sink.all()
	require.Len(t, times, 10, "of 30 failed; two more were never events")
	w.counted("otelcol_receiver_archive_skipped_rows", rowNotAnEvent, 2)
}

// Sealed as pii_masking seals: of every other failed event nothing is left but its mark and ID.
func TestSealedEventsAreOpenedByTheRepairKeyAndSkippedWithoutIt(t *testing.T) {
	snap := shopSchemas(t)
	private, err := seal.Generate("r1")
	require.NoError(t, err)
	other, err := seal.Generate("r2")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, private.Save(filepath.Join(dir, "r1")))
	require.NoError(t, other.Save(filepath.Join(dir, "r2")))

	logs := generated(t, snap, 30, 3)
	plain := plog.NewLogs()
	logs.CopyTo(plain)
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	sealed, n := 0, 0
	for e := r.Next(); e != nil; e = r.Next() {
		if !e.Failed {
			continue
		}
		if n++; n%2 == 0 {
			text, err := private.Public().Seal(nil, e.AppendRaw(nil))
			require.NoError(t, err)
			name := e.Name
			e.Strip(func(key string) bool { return key == event.FieldID || event.PartOf(key) == event.PartFailure })
			e.SetName(name)
			e.SetSealed(string(text))
			sealed++
		}
	}
	require.Equal(t, 5, sealed)
	files := lake(t, snap, logs, 100)

	w := newWorld(t, files)
	w.cfg.Kind, w.cfg.RepairKeys = "failed_events", []string{filepath.Join(dir, "r2"), filepath.Join(dir, "r1")}
	w.run()
	got, _ := w.sink.all()
	require.Equal(t, stories(t, plain, false, func(e *event.Event) bool { return e.Failed }), stories(t, got, false, all))

	for _, keys := range [][]string{nil, {filepath.Join(dir, "r2")}} {
		w = newWorld(t, files)
		w.cfg.Kind, w.cfg.RepairKeys = "failed_events", keys
		w.run()
		_, times := w.sink.all()
		require.Len(t, times, 5)
		w.counted("otelcol_receiver_archive_skipped_rows", rowSealed, 5)
	}

	w = newWorld(t, files)
	w.cfg.Kind, w.cfg.RepairKeys = "failed_events", []string{filepath.Join(dir, "none")}
	_, err = w.begin()
	require.ErrorContains(t, err, "repair_keys: ")
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

func TestAJobWithoutFilesLooksAgainAtTheNextStart(t *testing.T) {
	snap := shopSchemas(t)
	w := newWorld(t, nil)
	for range 2 {
		r, err := w.begin()
		require.NoError(t, err)
		w.waitLog("No file matches: nothing was read, and the next start looks again")
		require.NoError(t, r.Shutdown(context.Background()))
	}
	w.store.files = lake(t, snap, generated(t, snap, 100, 0), 100)
	w.run()
	_, times := w.sink.all()
	require.Len(t, times, 100)
}

func TestADirectoryThatIsNotThereIsWaitedFor(t *testing.T) {
	snap := shopSchemas(t)
	dir := filepath.Join(t.TempDir(), "lake")
	w := newWorld(t, nil)
	w.source = func(ctx context.Context) (objectstore.Store, error) {
		cfg := objectstore.NewDefaultConfig()
		cfg.Directory = dir
		return cfg.Open(ctx)
	}
	r, err := w.begin()
	require.NoError(t, err)
	w.waitLog("A store is in the way, and is tried again")
	made := filepath.Join(t.TempDir(), "lake")
	for key, b := range lake(t, snap, generated(t, snap, 300, 0), 100) {
		require.NoError(t, os.MkdirAll(filepath.Join(made, filepath.Dir(key)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(made, key), b, 0o600))
	}
	require.NoError(t, os.Rename(made, dir))
	w.waitLog(saidFinished)
	require.NoError(t, r.Shutdown(context.Background()))
	_, times := w.sink.all()
	require.Len(t, times, 300)
}

func TestAJobDoesNotGoOnWithAnotherSelection(t *testing.T) {
	w := newWorld(t, map[string][]byte{"a.parquet": nil})
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
	}, time.Minute, time.Millisecond)
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
			if n > until {
				return errors.New("not before the next start")
			}
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
		}, time.Minute, 100*time.Microsecond)
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
	case <-time.After(time.Minute):
		require.Fail(t, "the collector was not asked to end")
	}
	require.NoError(t, r.Shutdown(context.Background()))
}

func TestProgressIsSaid(t *testing.T) {
	snap := shopSchemas(t)
	w := newWorld(t, lake(t, snap, generated(t, snap, 500, 0), 100))
	w.cfg.BatchEvents = 10
	underWay := func() map[string]any {
		said := w.logs.FilterMessage("The job is under way").All()
		if len(said) == 0 {
			return nil
		}
		return said[len(said)-1].ContextMap()
	}
	var said map[string]any
	w.sink.onBatch = func(n int) error {
		for n == 20 { // until then the clock has gone by ten seconds
			said = underWay()
			if events, ok := said["events"].(int64); ok && events > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		return nil
	}
	w.run()
	require.Positive(t, said["remaining_bytes"])
	require.Contains(t, said, "eta")
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

func TestAnEventWithoutAnIDGetsTheSameOneWheneverItIsRead(t *testing.T) {
	ids := map[string]bool{}
	for _, p := range []rowPlace{{"a", 1}, {"a", 2}, {"b", 1}} {
		require.Len(t, p.id(), 36)
		ids[p.id()] = true
	}
	require.Len(t, ids, 3, fmt.Sprint(ids))
	require.True(t, ids[rowPlace{"a", 2}.id()])
}
