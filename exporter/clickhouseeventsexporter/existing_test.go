// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

func skipping(c *Config) { c.Existing = existingSkip }

func (r *testRun) skipped(t testing.TB, table string) int64 {
	t.Helper()
	return r.counter(t, "otelcol_exporter_clickhouse_events_skipped", "table", table)
}

func TestEventsThatTheTableHasAreLeftOut(t *testing.T) {
	x := newDeliverer(t, nil, skipping)
	live, archive := newCoordinator("live"), newCoordinator("archive")
	require.NoError(t, x.ConsumeLogs(live.attempt(t, 0, 1, false), some(t, "a", 0, 10)))
	live.commit()

	require.NoError(t, x.ConsumeLogs(archive.attempt(t, 0, 1, false), some(t, "a", 5, 10)))
	require.Equal(t, "15/15\t0/0", x.counts())
	require.EqualValues(t, 5, x.skipped(t, "events"))
	require.NoError(t, x.ConsumeLogs(archive.attempt(t, 100, 1, false), some(t, "a", 0, 15)))
	require.Equal(t, "15/15\t0/0", x.counts())
	require.EqualValues(t, 20, x.skipped(t, "events"))
	require.Equal(t, "2", x.engine.Query("SELECT uniqExact(_delivery) FROM events"), "where all is there nothing is sent")

	// By default all is stored.
	x.change = nil
	x.restart()
	require.NoError(t, x.ConsumeLogs(archive.attempt(t, 200, 1, false), some(t, "a", 0, 15)))
	require.Equal(t, "30/15\t0/0", x.counts())
	require.Zero(t, x.skipped(t, "events"))
}

func TestWhatMakesTwoEventsOne(t *testing.T) {
	x := newDeliverer(t, nil, skipping)
	c := newCoordinator("one")
	position := uint64(0)
	// f delivers an event, and says whether it is stored.
	f := func(want int, tenant, name, id string, at time.Time) {
		t.Helper()
		x.engine.Exec("TRUNCATE TABLE events SYNC")
		for _, change := range []bool{false, true} {
			b := event.NewBuilder("acme", "web", "test")
			d := add(t, b, "a", "1", `{}`)
			if change {
				b = event.NewBuilder(tenant, "web", "test")
				d = add(t, b, name, id, `{}`)
				d.SetTime(pcommon.NewTimestampFromTime(at))
			} else if id == "" {
				d.SetID("")
			}
			require.NoError(t, x.ConsumeLogs(c.attempt(t, position, 1, false), b.Batch().Logs()))
			position += 100
		}
		require.Equal(t, fmt.Sprint(want), x.engine.Query("SELECT count() FROM events"))
	}
	f(1, "acme", "a", "1", someTime)
	f(2, "acme", "a", "2", someTime)
	f(2, "other", "a", "1", someTime)
	f(2, "acme", "a", "", someTime)
	// What is looked at is the delivery's own hours and names.
	f(2, "acme", "a", "1", someTime.Add(time.Nanosecond))
	f(2, "acme", "b", "1", someTime)

	// The time of an event without one is that at which it was received.
	b := event.NewBuilder("acme", "web", "test")
	add(t, b, "a", "without time", `{}`).SetTime(0)
	x.engine.Exec("TRUNCATE TABLE events SYNC")
	for range 2 {
		require.NoError(t, x.ConsumeLogs(c.attempt(t, position, 1, false), b.Batch().Logs()))
		position += 100
	}
	require.Equal(t, "1", x.engine.Query("SELECT count() FROM events"))
}

func TestFailedEventsThatTheTableHasAreLeftOut(t *testing.T) {
	x := newDeliverer(t, map[string]string{"every": everyType}, skipping)
	x.engine.Exec("ALTER TABLE events ADD CONSTRAINT no_poison CHECK event_name != 'poison'")
	logs := func(reason string) plog.Logs {
		b := event.NewBuilder("acme", "web", "test")
		addTyped(t, b, "good", `{"int": 1}`)
		addTyped(t, b, "bad", `{"int": "one"}`)
		add(t, b, "poison", "poison", `{}`)
		addTyped(t, b, "marked", `{}`).Fail(event.Failure{Stage: event.StageValidation, Reason: reason, Pointer: "/it's"})
		return b.Batch().Logs()
	}
	live, archive := newCoordinator("live"), newCoordinator("archive")
	require.NoError(t, x.ConsumeLogs(live.attempt(t, 0, 1, false), logs("x")))
	require.Equal(t, "1/1\t3/3", x.counts())
	require.NoError(t, x.ConsumeLogs(archive.attempt(t, 0, 1, false), logs("x")))
	require.Equal(t, "1/1\t3/3", x.counts())
	require.EqualValues(t, 3, x.skipped(t, "failed_events"))
	require.NoError(t, x.ConsumeLogs(archive.attempt(t, 100, 1, false), logs("y")), "it fails for another reason now")
	require.Equal(t, "1/1\t4/3", x.counts())

	// What the schema takes now goes where it belongs, and stays where it was. What it takes no more is looked for where it goes.
	x.registry.set(t, map[string]string{"every": `{"type": "object", "properties": {"int": {"type": "string", "x-column": {"name": "int_text"}}}}`})
	require.NoError(t, x.ConsumeLogs(archive.attempt(t, 200, 1, false), logs("x")))
	require.Equal(t, "2/2\t5/4", x.counts())
	require.Equal(t, "bad\ngood", x.engine.Query("SELECT event_id FROM events ORDER BY event_id"))
	require.Equal(t, "bad\ngood\nmarked\nmarked\npoison", x.engine.Query("SELECT event_id FROM failed_events ORDER BY event_id"))
}

// TestADeliveryThatLeavesOutWhatIsThereDiesAnywhere has a half of the events in the tables before, and dies after each plan is
// durable and nothing is sent of it, or after all was.
func TestADeliveryThatLeavesOutWhatIsThereDiesAnywhere(t *testing.T) {
	f := func(engine string, n int) {
		t.Run(engine, func(t *testing.T) {
			x := newDeliverer(t, nil, func(c *Config) {
				skipping(c)
				c.Events.Engine, c.FailedEvents.Engine = engine, engine
				c.Events.OrderBy, c.FailedEvents.OrderBy = "(tenant_id, event_name, event_time, event_id)", "(tenant_id, received_time, event_id)"
				c.Events.PartitionBy, c.FailedEvents.PartitionBy = "(toDate(event_time), event_name)", "cityHash64(event_id)"
				c.Deduplication.Window = 100
			})
			logs := func(every int) plog.Logs {
				b := event.NewBuilder("acme", "web", "test")
				for i := 0; i < n; i += every {
					d := add(t, b, fmt.Sprint("name", i%3), fmt.Sprint(i), `{}`)
					d.SetTime(pcommon.NewTimestampFromTime(someTime.AddDate(0, 0, -i*7%n)))
					if i%4 < 2 {
						d.Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
					}
				}
				return b.Batch().Logs()
			}
			half, whole := logs(2), logs(1)
			for died := 1; ; died++ {
				require.Less(t, died, 100)
				x.restart()
				require.NoError(t, x.ConsumeLogs(newCoordinator(fmt.Sprint("live", died)).attempt(t, 0, 1, false), half))
				x.onceEach(t, n/2)
				x.restart()
				c := newCoordinator(fmt.Sprint("archive", died))
				c.crashAt = died
				err := x.ConsumeLogs(c.attempt(t, 0, 1, false), whole)
				for again := range 2 {
					if again > 0 || err != nil {
						c = c.restarted()
						x.restart()
						require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), whole))
					}
					x.onceEach(t, n)
				}
				x.clear()
				if err == nil {
					require.Greater(t, died, 2)
					return
				}
				require.ErrorIs(t, err, errCrash)
			}
		})
	}
	f("MergeTree", 240) // more partitions than the window
	f("ReplacingMergeTree", 24)
}

// TestAPlanIsFollowedWhateverTheTableHasByThen loses the rows that were left out, after the plan said so.
func TestAPlanIsFollowedWhateverTheTableHasByThen(t *testing.T) {
	x := newDeliverer(t, nil, skipping)
	require.NoError(t, x.ConsumeLogs(newCoordinator("live").attempt(t, 0, 1, false), some(t, "a", 0, 5)))
	c := newCoordinator("archive")
	c.crashAt = 1
	require.ErrorIs(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), some(t, "a", 0, 10)), errCrash)
	require.Equal(t, "5/5\t0/0", x.counts())
	for range 3 {
		x.change = nil
		x.restart()
		c = c.restarted()
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), some(t, "a", 0, 10)))
		require.Equal(t, "10/10\t0/0", x.counts())
	}
}

func TestOddNamesAndIDsAreFoundAgain(t *testing.T) {
	x := newDeliverer(t, nil, skipping)
	b := event.NewBuilder("it's \\ a\ttenant", "web", "test")
	for i, s := range append(oddStrings, oddKeys...) {
		d := add(t, b, s, fmt.Sprint(s, "\x00'", i), `{}`)
		d.SetTime(pcommon.NewTimestampFromTime(someTime.Add(time.Duration(i*i) * time.Hour)))
	}
	ld := b.Batch().Logs()
	require.NoError(t, x.ConsumeLogs(newCoordinator("live").attempt(t, 0, 1, false), ld))
	want := x.counts()
	require.NoError(t, x.ConsumeLogs(newCoordinator("archive").attempt(t, 0, 1, false), ld))
	require.Equal(t, want, x.counts())
	require.EqualValues(t, ld.LogRecordCount(), x.skipped(t, "events"))
}

func TestWindowsHaveAllTimesAndAreFew(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var w windows
		names, span := 1+r.IntN(100), time.Duration(1+r.IntN(1000))*time.Hour
		type row struct {
			name string
			at   time.Duration
		}
		var rows []row
		for range r.IntN(300) {
			one := row{fmt.Sprint("name", r.IntN(names)), time.Duration(r.Int64N(int64(span))) - span/2}
			rows = append(rows, one)
			w.add(one.name, int64(one.at))
		}
		merged := w.merged()
		require.LessOrEqual(t, len(merged), maxWindows)
		for _, one := range rows {
			found := false
			for _, m := range merged {
				found = found || (m.any || m.name == one.name) && m.from <= one.at && one.at <= m.to
			}
			require.True(t, found, "%v is in none of %v", one, merged)
		}
	}
	f := func(want string, add ...int64) {
		t.Helper()
		var w windows
		for _, at := range add {
			w.add("it's", at*int64(time.Minute))
		}
		require.Equal(t, want, strings.NewReplacer("fromUnixTimestamp64Nano(toInt64(", "", "), 'UTC')", "").Replace(w.where("event_time")))
	}
	f("event_name = unhex('69742773') AND event_time BETWEEN 0 AND 7200000000000", 0, 59, 60, 120)
	f("event_name = unhex('69742773') AND event_time BETWEEN 0 AND 0 OR event_name = unhex('69742773') AND event_time BETWEEN 7200000000000 AND 7200000000000", 0, 120)
}
