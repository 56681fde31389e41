// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/segmentlog"
	"github.com/millrace/millrace/internal/state"
)

// frozenClock stands still unless it is moved. Who waits for seconds waits for ever: no worker does anything by itself.
type frozenClock struct {
	mu  sync.Mutex // guards now; any goroutine
	now time.Time
}

func (c *frozenClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (*frozenClock) After(d time.Duration) <-chan time.Time {
	if d < time.Second {
		return time.After(d)
	}
	return nil
}

// epoch is when frozen time begins: after all that the machine's clock may have put into a log.
var epoch = time.Date(2100, 1, 1, 12, 0, 0, 0, time.UTC)

// newFrozen is a harness whose time stands still, and whose pipeline has state.
func newFrozen(t *testing.T, partitions int, change func(*Config)) *harness {
	t.Helper()
	h := newHarness(t, func(c *Config) {
		c.Partitions, c.Delivery.MaxWait = partitions, 0
		if change != nil {
			change(c)
		}
	})
	h.stop()
	h.sink().state = &participant{}
	h.frozen = &frozenClock{now: epoch}
	require.NoError(t, h.start())
	return h
}

// pass lets time pass without anybody noticing.
func (h *harness) pass(d time.Duration) time.Time {
	h.frozen.mu.Lock()
	defer h.frozen.mu.Unlock()
	h.frozen.now = h.frozen.now.Add(d)
	return h.frozen.now
}

// tickIn lets time pass and then writes ticks.
func (h *harness) tickIn(d time.Duration) {
	h.t.Helper()
	require.NoError(h.t, h.tick(h.pass(d)))
}

// happen sends an event of each of these times to the partition, and waits until the pipeline has them.
func (h *harness) happen(partition int, times ...time.Time) {
	h.t.Helper()
	user := 0
	for xxhash.Sum64String(fmt.Sprint(user))%uint64(h.cfg.Partitions) != uint64(partition) {
		user++
	}
	b := event.NewBuilder("acme", "web", "test")
	for _, at := range times {
		d := b.Add()
		d.SetName("page_viewed")
		d.SetUserID(fmt.Sprint(user))
		d.SetTime(pcommon.Timestamp(at.UnixNano()))
	}
	before := len(h.sink().stored())
	require.NoError(h.t, h.ConsumeLogs(h.t.Context(), b.Batch().Logs()))
	h.awaitStored(before + len(times))
}

// told is what the last record of each partition says of event time: by how much it is after epoch, "events" if it is
// no tick and "" if there is none.
func (h *harness) told() []string {
	h.t.Helper()
	var out []string
	for p := range h.cfg.Partitions {
		last, err := h.lastOf(uint32(p))
		require.NoError(h.t, err)
		switch {
		case last.Records == 0:
			out = append(out, "")
		case last.Kind != segmentlog.Tick:
			out = append(out, "events")
		case last.EventTime == 0:
			out = append(out, "no time")
		default:
			out = append(out, time.Unix(0, last.EventTime).Sub(epoch).String())
		}
	}
	return out
}

// entries of the log so far.
func (h *harness) entries() uint64 { return h.log.Stats().NextSeq - 1 }

func TestWithoutStateBehindTheLogThereAreNoTicks(t *testing.T) {
	h := newFrozen(t, 2, nil)
	h.sink().state = nil
	h.happen(0, epoch)
	h.tickIn(time.Hour)
	require.Equal(t, []string{"events", ""}, h.told())
}

func TestAPartitionIsIdleAfterTheTickInterval(t *testing.T) {
	h := newFrozen(t, 2, nil)
	h.happen(0, epoch)
	h.tickIn(5*time.Second - 1)
	require.Equal(t, []string{"events", ""}, h.told())
	h.tickIn(1)
	require.Equal(t, []string{"0s", "0s"}, h.told())
}

func TestIdlePartitionsComeAsFarAsTheLeastActive(t *testing.T) {
	h := newFrozen(t, 4, nil)
	h.happen(0, epoch.Add(-3*time.Second))
	h.pass(10 * time.Second)
	h.happen(1, epoch.Add(5*time.Second), epoch.Add(2*time.Second))
	h.happen(2, epoch.Add(4*time.Second))
	h.tickIn(time.Second)
	require.Equal(t, []string{"4s", "events", "events", "4s"}, h.told())
	h.pass(3 * time.Second)
	h.happen(2, epoch.Add(13*time.Second))
	h.tickIn(0)
	require.Equal(t, []string{"5s", "events", "events", "5s"}, h.told())
}

func TestWhenAllPartitionsAreIdleTheyComeAsFarAsTheFarthest(t *testing.T) {
	h := newFrozen(t, 3, nil)
	h.happen(0, epoch.Add(-20*time.Minute))
	h.happen(1, epoch.Add(-10*time.Minute))
	h.tickIn(5 * time.Second)
	require.Equal(t, []string{"-10m0s", "-10m0s", "-10m0s"}, h.told())
	entries := h.entries()
	for range 11 {
		h.tickIn(5 * time.Second)
	}
	require.Equal(t, entries, h.entries(), "nothing that is new")
	h.tickIn(5 * time.Second)
	require.Equal(t, entries+1, h.entries(), "processing time goes on")
	h.tickIn(time.Hour)
	require.Equal(t, []string{"-10m0s", "-10m0s", "-10m0s"}, h.told(), "events of the past are a backfill that pauses")
}

func TestEventTimeGoesOnWithTheClockWhenALiveStreamEnds(t *testing.T) {
	h := newFrozen(t, 2, nil)
	h.happen(0, epoch.Add(-time.Second))
	h.happen(1, epoch.Add(-2*time.Second))
	h.tickIn(59 * time.Second)
	require.Equal(t, []string{"-1s", "-1s"}, h.told())
	h.tickIn(5 * time.Second)
	require.Equal(t, []string{"4s", "4s"}, h.told())
	h.tickIn(5 * time.Second)
	require.Equal(t, []string{"9s", "9s"}, h.told())
	h.happen(1, epoch.Add(69*time.Second))
	h.tickIn(5 * time.Second)
	require.Equal(t, []string{"1m9s", "1m9s"}, h.told())
	h.happen(0, epoch.Add(70*time.Second))
	h.tickIn(5 * time.Second)
	require.Equal(t, []string{"1m10s", "1m10s"}, h.told(), "all are idle again, since a moment ago")
}

func TestEventTimeStandsStillWithoutAnIdleTimeout(t *testing.T) {
	h := newFrozen(t, 1, func(c *Config) { c.IdleTimeout = 0 })
	h.happen(0, epoch)
	h.tickIn(time.Hour)
	require.Equal(t, []string{"0s"}, h.told())
}

func TestATickNeverSaysLessThanTheOneBefore(t *testing.T) {
	h := newFrozen(t, 2, nil)
	h.happen(0, epoch)
	h.tickIn(2 * time.Minute)
	require.Equal(t, []string{"1m0s", "1m0s"}, h.told())
	h.happen(0, epoch.Add(10*time.Second)) // late
	h.tickIn(2 * time.Second)
	require.Equal(t, []string{"events", "1m0s"}, h.told(), "the active one is less far")
	h.tickIn(time.Minute)
	require.Equal(t, []string{"10s", "1m0s"}, h.told())
}

func TestMarksOutliveTheProcess(t *testing.T) {
	h := newFrozen(t, 3, nil)
	f := func(what string, end func()) {
		t.Helper()
		h.happen(0, h.frozen.Now().Add(-10*time.Second))
		h.happen(1, h.frozen.Now().Add(-5*time.Second))
		want := h.frozen.Now().Add(-5 * time.Second).Sub(epoch).String()
		end()
		h.sink().state = &participant{}
		require.NoError(t, h.start())
		h.pass(time.Second)
		h.tickIn(0)
		require.Equal(t, []string{"events", "events"}, h.told()[:2], "%s: who waited for the start may send first", what)
		h.tickIn(5 * time.Second)
		require.Equal(t, []string{want, want, want}, h.told(), what)
		h.tickIn(time.Minute)
		moved := h.frozen.Now().Add(-time.Minute).Sub(epoch).String()
		require.Equal(t, []string{moved, moved, moved}, h.told(), "%s: it was live", what)
	}
	f("nothing kept yet", func() { h.stop() })
	f("kept before the last events", func() { h.pass(time.Hour); h.stop() })
	f("what was kept is lost", func() {
		var b state.Batch
		b.Delete(h.marksKey())
		require.NoError(t, h.store.Commit(&b))
		h.stop()
	})
	f("what was kept is damaged", func() {
		var b state.Batch
		b.Set(h.marksKey(), []byte("no json"))
		require.NoError(t, h.store.Commit(&b))
		h.stop()
	})
}

func TestMarksOutliveTheRecordsTheyAreOf(t *testing.T) {
	h := newFrozen(t, 1, nil)
	h.happen(0, epoch.Add(-time.Second))
	h.tickIn(5 * time.Second) // and keeps them
	h.happen(0, epoch.Add(-time.Hour))
	h.stop()
	h.sink().state = &participant{}
	require.NoError(t, h.start())
	require.NoError(t, h.restoreMarks())
	require.Equal(t, epoch.Add(-time.Second).UnixNano(), h.high.event[0])
	require.EqualValues(t, 1, h.high.next[0], "what came later is read from the log")
	require.NoError(t, h.readMarks())
	require.Equal(t, h.log.Next(0), h.high.next[0])
	require.Equal(t, epoch.Add(-time.Second).UnixNano(), h.high.event[0])
}

func TestMarksAreKeptAtMostOnceAMinute(t *testing.T) {
	h := newFrozen(t, 1, nil)
	kept := func() string {
		raw, _, err := h.store.Get(h.marksKey())
		require.NoError(t, err)
		return string(raw)
	}
	h.happen(0, epoch)
	h.tickIn(5 * time.Second)
	first := kept()
	require.NotEmpty(t, first)
	h.happen(0, h.frozen.Now())
	h.tickIn(54 * time.Second)
	require.Equal(t, first, kept())
	h.tickIn(6 * time.Second)
	require.NotEqual(t, first, kept())
}

func TestASilentLogGrowsByTheLogarithmOfTime(t *testing.T) {
	for _, live := range []bool{true, false} {
		h := newFrozen(t, 2, nil)
		at := epoch
		if !live {
			at = at.Add(-time.Hour)
		}
		h.happen(0, at)
		steps := func(n int, d time.Duration) uint64 {
			before := h.entries()
			for range n {
				h.tickIn(d)
			}
			return h.entries() - before
		}
		hour := steps(720, 5*time.Second)
		require.LessOrEqual(t, hour, uint64(230))
		require.GreaterOrEqual(t, hour, uint64(55), "a minute is not missed")
		require.LessOrEqual(t, steps(23*60, time.Minute), uint64(200), "the rest of the day")
		require.LessOrEqual(t, steps(29*24*4, 15*time.Minute), uint64(210), "the rest of the month")
		last, err := h.lastOf(0)
		require.NoError(t, err)
		require.Equal(t, live, last.EventTime > epoch.UnixNano())
	}
}

func TestIdleTimeoutIsADurationOrNever(t *testing.T) {
	f := func(d time.Duration, want string) {
		t.Helper()
		c := createDefaultConfig().(*Config)
		c.IdleTimeout = d
		if want == "" {
			require.NoError(t, c.Validate())
			return
		}
		require.ErrorContains(t, c.Validate(), want)
	}
	f(time.Minute, "")
	f(0, "")
	f(-time.Second, "idle_timeout: -1s is negative: use 0 for never")
	f(60, "idle_timeout: 60ns is too short")
}

func TestMarksAreOfTimesThatMayBe(t *testing.T) {
	f := func(wantEvent, wantSeen int64, notes ...[2]time.Duration) {
		t.Helper()
		h := newHighMarks(1, epoch)
		for _, n := range notes { // when it came, and by how much its time is ahead
			at := epoch.Add(n[0]).UnixNano()
			h.note(0, at, at+int64(n[1]))
		}
		require.Equal(t, []int64{wantEvent, wantSeen}, []int64{h.event[0], h.seen[0]})
	}
	at := func(d time.Duration) int64 { return epoch.Add(d).UnixNano() }
	f(0, 0)
	f(at(0), at(0), [2]time.Duration{0, 0})
	f(at(-time.Hour), at(0), [2]time.Duration{0, -time.Hour})
	f(at(0), at(0), [2]time.Duration{0, time.Second})
	f(0, 0, [2]time.Duration{0, 2 * time.Minute})
	f(at(0), at(0), [2]time.Duration{0, 0}, [2]time.Duration{time.Second, -time.Minute})
	f(at(2*time.Second), at(3*time.Second), [2]time.Duration{0, 0}, [2]time.Duration{3 * time.Second, -time.Second})
}

func TestEventsOfTheFutureMoveNothing(t *testing.T) {
	h := newFrozen(t, 1, nil)
	h.happen(0, epoch.Add(-time.Hour), epoch.Add(24*time.Hour))
	h.tickIn(5 * time.Second)
	require.Equal(t, []string{"-1h0m0s"}, h.told())
}

func TestAnEventWithoutATimeIsOfWhenItWasReceived(t *testing.T) {
	h := newFrozen(t, 1, nil)
	b := event.NewBuilder("acme", "web", "test")
	d := b.Add()
	d.SetName("page_viewed")
	d.SetReceived(pcommon.Timestamp(epoch.Add(-time.Second).UnixNano()))
	require.NoError(t, h.ConsumeLogs(t.Context(), b.Batch().Logs()))
	h.awaitStored(1)
	h.tickIn(5 * time.Second)
	require.Equal(t, []string{"-1s"}, h.told())
}

func TestEventsWithoutAnyTimeLetProcessingTimePass(t *testing.T) {
	h := newFrozen(t, 2, nil)
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	h.tickIn(5 * time.Second)
	require.Equal(t, []string{"no time", "no time"}, h.told())
	h.tickIn(time.Hour)
	require.Equal(t, []string{"no time", "no time"}, h.told())
}

func TestActivePartitionsWithoutATimeHoldNobodyBack(t *testing.T) {
	f := func(times ...int64) {
		t.Helper()
		h := newHighMarks(4, epoch)
		now := epoch.Add(time.Minute)
		for p, at := range times {
			h.note(p, now.UnixNano(), at)
		}
		s := h.at(now, time.Second, time.Minute)
		require.Equal(t, []int{3}, s.idle)
		require.EqualValues(t, 7, s.eventTime)
	}
	f(0, 7, 9)
	f(7, 0, 9)
	f(9, 7, 0)
}

func TestAClockThatIsPutBackDoesNotKeepPartitionsFromBeingIdle(t *testing.T) {
	h := newFrozen(t, 2, nil)
	h.happen(0, epoch.Add(-time.Minute))
	h.happen(1, epoch.Add(-time.Minute))
	h.tickIn(time.Second)
	h.pass(-10 * time.Hour) // the log's time stands still for as long
	h.happen(0, epoch.Add(-30*time.Second))
	h.tickIn(0)
	require.Equal(t, []string{"events", "events"}, h.told())
	for range 3 {
		h.pass(4 * time.Second)
		h.happen(0, epoch.Add(-20*time.Second))
		h.tickIn(0)
	}
	require.Equal(t, []string{"events", "-1m0s"}, h.told(), "one is active and one is not, by the clock that goes on")
	entries := h.entries()
	h.tickIn(time.Second)
	require.Equal(t, entries, h.entries(), "and what it was told it is not told again at once")
	h.tickIn(20 * time.Second)
	require.Equal(t, []string{"-1m0s", "-1m0s"}, h.told())
}
