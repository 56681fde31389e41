// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/enginetest"
)

// The schedules that were found to lose or to double events in simpler designs.

// crashing delivers and dies at the n-th write of a plan, for every n until the delivery is done without, and replays
// after each death, with what changed between. It returns how often it died.
func (x *deliverer) crashing(t *testing.T, ld plog.Logs, between func(n int), check func(n int)) int {
	t.Helper()
	for n := 1; ; n++ {
		require.Less(t, n, 200)
		x.restart()
		c := newCoordinator(fmt.Sprint("crash", n))
		c.crashAt = n
		err := x.ConsumeLogs(c.attempt(t, 0, 1, false), ld)
		if err == nil {
			check(n)
			return n - 1
		}
		require.ErrorIs(t, err, errCrash)
		between(n)
		c = c.restarted()
		x.restart()
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
		check(n)
		if n%4 == 0 { // and once more, as if the death had come after the last step
			c = c.restarted()
			x.restart()
			require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
			check(n)
		}
		x.clear()
	}
}

func (x *deliverer) clear() {
	x.engine.Exec("TRUNCATE TABLE events SYNC")
	x.engine.Exec("TRUNCATE TABLE failed_events SYNC")
}

// onceEach requires that every one of n events is in exactly one of the tables, once.
func (x *deliverer) onceEach(t *testing.T, n int) {
	t.Helper()
	require.Equal(t, fmt.Sprintf("%d\t%d", n, n), x.engine.Query("SELECT count(), uniqExact(event_id) FROM "+
		"(SELECT event_id FROM events UNION ALL SELECT event_id FROM failed_events)"), x.counts())
}

func TestTwoPipelinesIntoOneExporterAreBothStored(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	one, two := newCoordinator("one"), newCoordinator("two")
	two.id.Incarnation = one.id.Incarnation
	ld := some(t, "a", 0, 10)
	for range 2 {
		require.NoError(t, x.ConsumeLogs(one.attempt(t, 0, 1, true), ld))
		require.NoError(t, x.ConsumeLogs(two.attempt(t, 0, 1, true), ld))
	}
	require.Equal(t, "20/10\t0/0", x.counts())
}

func TestTwoLogsWithOneConfigurationAreBothStored(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	other := x.another()
	one, two := newCoordinator("one"), newCoordinator("one") // equal but for the log's incarnation
	for range 2 {
		require.NoError(t, x.ConsumeLogs(one.attempt(t, 0, 1, true), some(t, "a", 0, 10)))
		require.NoError(t, other.ConsumeLogs(two.attempt(t, 0, 1, true), some(t, "b", 0, 10)))
	}
	require.Equal(t, "20/20\t0/0", x.counts())
}

func TestALogMadeAnewIsAnotherLog(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	require.NoError(t, x.ConsumeLogs(newCoordinator("one").attempt(t, 0, 1, false), some(t, "a", 0, 10)))
	require.NoError(t, x.ConsumeLogs(newCoordinator("one").attempt(t, 0, 1, false), some(t, "a", 10, 10)))
	require.Equal(t, "20/20\t0/0", x.counts())
}

func TestAfterAResetOfPositionsTheRowsComeAgainOnce(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	c := newCoordinator("one")
	ld := some(t, "a", 0, 10)
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
	c.id.Epoch++
	for range 3 {
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
	}
	require.Equal(t, "20/10\t0/0", x.counts())
}

// TestASchemaThatChangesBeforeTheReplayChangesNothing dies before the INSERT and after it: the rows are those of the
// first attempt's schemas either way.
func TestASchemaThatChangesBeforeTheReplayChangesNothing(t *testing.T) {
	before := map[string]string{"every": `{"type":"object","properties":{"n":{"type":"integer"},"items":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}}}}`}
	after := map[string]string{"every": `{"type":"object","properties":{"m":{"type":"integer"}}}`}
	x := newDeliverer(t, before, nil)
	b := event.NewBuilder("acme", "web", "test")
	addTyped(t, b, "1", `{"n": 1, "m": 2, "items": [{"sku": "s", "q": 1}]}`)
	addTyped(t, b, "2", `{"n": "one", "m": 2}`)            // fails by the first schema only
	addTyped(t, b, "3", `{"n": 3, "m": "two"}`)            // would fail by the second
	addTyped(t, b, "4", `{"n": 4}`).SetSchema("every", "") // the latest
	ld := b.Batch().Logs()
	for _, stored := range []bool{false, true} {
		for _, drop := range []bool{false, true} {
			x.registry.set(t, before)
			x.restart()
			c := newCoordinator(fmt.Sprint(stored, drop))
			if !stored {
				c.crashAt = 1
			}
			err := x.ConsumeLogs(c.attempt(t, 0, 1, false), ld)
			require.Equal(t, stored, err == nil, err)
			x.registry.set(t, after)
			if drop {
				x.engine.Exec("ALTER TABLE events DROP COLUMN n, DROP COLUMN `items.sku`")
			}
			for range 2 {
				c = c.restarted()
				x.restart()
				require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
			}
			x.onceEach(t, 4)
			require.Equal(t, "1\n3\n4", x.engine.Query("SELECT event_id FROM events ORDER BY event_id"))
			require.Equal(t, "2\ttype_mismatch\t/n", x.engine.Query("SELECT event_id, reason, pointer FROM failed_events"))
			if !stored || !drop {
				require.Equal(t, "1\t['s']\t2", x.engine.Query("SELECT n, items.sku, properties.m FROM events WHERE event_id = '1'"))
			}
			// What comes next is of the new schemas.
			require.NoError(t, x.ConsumeLogs(c.attempt(t, 100, 1, false), ld))
			require.Equal(t, "2", x.engine.Query("SELECT max(m) FROM events"))
			x.clear()
		}
	}
}

func TestAColumnThatChangesItsTypeBeforeTheReplay(t *testing.T) {
	schema := map[string]string{"every": `{"type":"object","properties":{"n":{"type":"integer","x-column":"Int16"}}}`}
	f := func(typ, want string) {
		t.Helper()
		x := newDeliverer(t, schema, nil)
		c := newCoordinator("one")
		c.crashAt = 1
		b := event.NewBuilder("acme", "web", "test")
		addTyped(t, b, "1", `{"n": 300}`)
		ld := b.Batch().Logs()
		require.ErrorIs(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld), errCrash)
		x.engine.Exec("ALTER TABLE events MODIFY COLUMN n " + typ)
		x.restart()
		c = c.restarted()
		err := x.ConsumeLogs(c.attempt(t, 0, 1, true), ld)
		if want == "" {
			require.NoError(t, err)
			require.Equal(t, "300", x.engine.Query("SELECT n FROM events"))
			return
		}
		require.ErrorContains(t, err, want)
		require.False(t, delivery.Blocked(err), "it heals")
		x.engine.Exec("ALTER TABLE events MODIFY COLUMN n Nullable(Int16)")
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 2, true), ld))
		require.Equal(t, "300", x.engine.Query("SELECT n FROM events"))
	}
	f("Nullable(Int32)", "")
	f("Nullable(Int8)", "column `n` of analytics.events is Nullable(Int8) now, but a delivery that was not stored yet was planned for Nullable(Int16): change the column back")
}

// TestABisectThatIsInterruptedAnywhereStoresEachEventOnce dies at each write of the plan, while the server refuses some
// events, and then either goes on refusing or has changed its mind.
func TestABisectThatIsInterruptedAnywhereStoresEachEventOnce(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	b := event.NewBuilder("acme", "web", "test")
	const events = 10
	for i := range events {
		name := "ok"
		if i == 0 || i == 4 || i == 5 || i == events-1 {
			name = "poison"
		}
		add(t, b, name, fmt.Sprint(i), `{}`)
	}
	add(t, b, "marked", "marked", `{}`).Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
	ld := b.Batch().Logs()
	const poison = "CONSTRAINT no_poison CHECK event_name != 'poison'"
	for _, mind := range []string{"", "DROP CONSTRAINT IF EXISTS no_poison", "ADD CONSTRAINT IF NOT EXISTS other CHECK event_id != '5'"} {
		t.Run(mind, func(t *testing.T) {
			x.engine.Exec("ALTER TABLE events ADD CONSTRAINT IF NOT EXISTS" + poison[len("CONSTRAINT"):])
			died := x.crashing(t, ld, func(int) {
				if mind != "" {
					x.engine.Exec("ALTER TABLE events " + mind)
				}
			}, func(int) {
				x.onceEach(t, events+1)
				require.Equal(t, "0", x.engine.Query("SELECT count() FROM failed_events WHERE reason = 'refused_by_server' AND error NOT LIKE '%is violated%'"))
				if mind == "" {
					require.Equal(t, "4", x.engine.Query("SELECT count() FROM failed_events WHERE reason = 'refused_by_server'"))
				}
				x.engine.Exec("ALTER TABLE events DROP CONSTRAINT IF EXISTS other")
				x.engine.Exec("ALTER TABLE events ADD CONSTRAINT IF NOT EXISTS" + poison[len("CONSTRAINT"):])
			})
			require.Greater(t, died, 5)
			x.clear()
		})
	}
}

// TestWhatWasStoredBeforeTheServerRefusesItIsNotBisected replays a delivery after a constraint was added.
func TestWhatWasStoredBeforeTheServerRefusesItIsNotBisected(t *testing.T) {
	for _, partitions := range []string{"toYYYYMM(event_time)", "cityHash64(event_id) % 3"} {
		x := newDeliverer(t, nil, func(c *Config) { c.Events.PartitionBy = partitions })
		c := newCoordinator("one")
		ld := some(t, "poison", 0, 10)
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
		x.engine.Exec("ALTER TABLE events ADD CONSTRAINT no_poison CHECK event_name != 'poison'")
		x.restart()
		c = c.restarted()
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
		require.Equal(t, "10/10\t0/0", x.counts())
	}
}

// TestADeliveryOverMorePartitionsThanTheWindow touches more partitions than the 100 blocks that the table remembers.
func TestADeliveryOverMorePartitionsThanTheWindow(t *testing.T) {
	x := newDeliverer(t, nil, func(c *Config) {
		c.Events.PartitionBy, c.FailedEvents.PartitionBy = "(toDate(event_time), event_name)", "cityHash64(event_id)"
		c.Deduplication.Window = 100
	})
	b := event.NewBuilder("acme", "web", "test")
	const n = 240
	for i := range n {
		d := add(t, b, fmt.Sprint("name", i%3), fmt.Sprint(i), `{}`)
		d.SetTime(pcommon.NewTimestampFromTime(someTime.AddDate(0, 0, -i*7%n)))
		if i%2 == 0 {
			d.Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
		}
	}
	ld := b.Batch().Logs()
	died := x.crashing(t, ld, func(int) {}, func(int) {
		x.onceEach(t, n)
		for _, table := range []string{"events", "failed_events"} {
			require.Equal(t, "1", x.engine.Query("SELECT max(n) BETWEEN 50 AND 100 FROM (SELECT count() AS n FROM (SELECT DISTINCT _delivery, _partition_id FROM "+table+") GROUP BY _delivery)"))
		}
	})
	require.GreaterOrEqual(t, died, 4, "each part of a table's is bound")
}

// forget makes the table insert so many other blocks that it forgets what it had.
func (x *deliverer) forget(table string, blocks int) {
	x.t.Helper()
	x.forgets++
	var rows []string
	for i := range blocks {
		rows = append(rows, fmt.Sprintf("('other', '%d', '%[2]s', '%[2]s')", x.forgets, someTime.AddDate(-1, 0, -i).Format(time.DateTime)))
	}
	x.engine.Exec("INSERT INTO " + table + " (event_id, event_name, event_time, received_time) SETTINGS max_partitions_per_insert_block = 0, async_insert = 0 VALUES " + strings.Join(rows, ", "))
}

// TestAForgottenINSERTIsComparedWithTheTable replays deliveries of which the table has all, nothing or a part, after it
// has forgotten their tokens.
func TestAForgottenINSERTIsComparedWithTheTable(t *testing.T) {
	x := newDeliverer(t, nil, func(c *Config) {
		c.Events.PartitionBy, c.FailedEvents.PartitionBy = "toYYYYMMDD(event_time)", "toYYYYMMDD(event_time)"
		c.Deduplication.Window = 100
	})
	f := func(name string, lose int, outcome string, times int64) {
		t.Helper()
		b := event.NewBuilder("acme", "web", "test")
		day := func(i int) time.Time { return someTime.AddDate(len(name), 0, -i/2) } // five days of its own
		for i := range 10 {
			d := add(t, b, name, fmt.Sprint(name, i), `{}`)
			d.SetTime(pcommon.NewTimestampFromTime(day(i)))
			if i >= 8 {
				d.Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
			}
		}
		ld := b.Batch().Logs()
		c := newCoordinator(name)
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
		for _, table := range []string{"events", "failed_events"} {
			for i := range lose {
				x.engine.Exec("ALTER TABLE " + table + " DROP PARTITION '" + day(2*i).Format("20060102") + "'")
			}
			x.forget(table, 100)
		}
		x.restart()
		c = c.restarted()
		for range 2 {
			require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
		}
		require.Equal(t, "8\t8\t2\t2", x.engine.Query("SELECT (SELECT count() FROM events WHERE event_name = '"+name+"'), (SELECT uniqExact(event_id) FROM events WHERE event_name = '"+name+"'), "+
			"(SELECT count() FROM failed_events WHERE event_name = '"+name+"'), (SELECT uniqExact(event_id) FROM failed_events WHERE event_name = '"+name+"')"))
		require.GreaterOrEqual(t, x.replays(t, outcome), times, outcome)
		require.Positive(t, x.counter(t, "otelcol_exporter_clickhouse_events_window_checks", "result", "forgotten"))
	}
	f("all", 0, outcomeFound, 4)
	f("none", 5, outcomeInserted, 2)
	f("a part", 2, outcomeRepaired, 1)
}

func TestAForgottenINSERTOfAnEngineThatCannotBeAskedBlocks(t *testing.T) {
	x := newDeliverer(t, nil, func(c *Config) {
		c.Events.Engine, c.Events.PartitionBy = "ReplacingMergeTree", "toYYYYMMDD(event_time)"
		c.Events.OrderBy = "(tenant_id, event_name, event_time, event_id)"
		c.Deduplication.Window = 100
	})
	c := newCoordinator("one")
	ld := some(t, "a", 0, 10)
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
	c = c.restarted()
	x.restart()
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
	require.EqualValues(t, 1, x.replays(t, outcomeDeduplicated))
	x.forget("events", 100)
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 2, true), ld), "we know that it is stored")
	x.restart()
	err := x.ConsumeLogs(c.attempt(t, 0, 3, true), ld)
	require.True(t, delivery.Blocked(err), err)
	require.ErrorContains(t, err, "the table has forgotten the INSERTs of that time")
	require.ErrorContains(t, err, "reset the pipeline's position")
	require.Equal(t, "10\t10", x.engine.Query("SELECT count(), uniqExact(event_id) FROM events FINAL WHERE event_name = 'a'"))
}

// TestAHostThatWasAwayLongerThanAReplicatedTableRemembers needs no Keeper: what is asked of the table then is tried on
// a plain one above.
func TestAHostThatWasAwayLongerThanAReplicatedTableRemembers(t *testing.T) {
	count := func(table uint64, numbers ...any) counter {
		c := counter{table: table}
		for i := 0; i < len(numbers); i += 2 {
			c.count(blockNumber{numbers[i].(string), uint64(numbers[i+1].(int))}, true)
		}
		c.sort()
		return c
	}
	week := 7 * 24 * time.Hour
	f := func(now, mark counter, age time.Duration, want bool) {
		t.Helper()
		facts := &tableFacts{replicated: true, exact: true, window: 100, seconds: week}
		assert.Equal(t, want, facts.forgets(now, mark, age))
	}
	mark := count(1, "202601", 50, "202602", 7)
	f(mark, mark, time.Hour, false)
	f(mark, mark, week, true)
	f(count(1, "202601", 60, "202602", 90), mark, time.Hour, false)
	f(count(1, "202601", 60, "202602", 97), mark, time.Hour, true)
	f(count(1, "202601", 60, "202602", 30, "202603", 65), mark, time.Hour, false)
	f(count(1, "202601", 60, "202602", 30, "202603", 66), mark, time.Hour, true)
	f(count(1, "202602", 8), mark, time.Hour, true)               // a partition is gone, and with it how many blocks it had
	f(count(1, "202601", 49, "202602", 8), mark, time.Hour, true) // its newest part is
	f(count(2, "202601", 50, "202602", 7), mark, time.Hour, true) // another table
	f(count(1), count(1), time.Hour, false)
}

// TestAServerThatDiedBetweenATokenAndItsRows loses the rows of tokens that it remembers, and remembers nothing of rows that
// it has: what a death at the wrong moment leaves behind.
func TestAServerThatDiedBetweenATokenAndItsRows(t *testing.T) {
	dir := t.TempDir()
	x := newDeliverer(t, nil, func(c *Config) { c.Events.PartitionBy = "toYYYYMMDD(event_time)" }, enginetest.WithDataDir(dir))
	f := func(name, damage, want string) {
		t.Helper()
		c := newCoordinator(name)
		b := event.NewBuilder("acme", "web", "test")
		for i := range 10 {
			add(t, b, name, fmt.Sprint(name, i), `{}`).SetTime(pcommon.NewTimestampFromTime(someTime.AddDate(0, 0, -i%2)))
		}
		ld := b.Batch().Logs()
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
		path := x.engine.Query("SELECT data_paths[1] FROM system.tables WHERE database = 'analytics' AND name = 'events'")
		part := x.engine.Query("SELECT path FROM system.parts WHERE database = 'analytics' AND table = 'events' AND active ORDER BY max_block_number DESC LIMIT 1")
		x.engine.Kill()
		remove(t, map[string]string{"rows": part, "tokens": path + "deduplication_logs"}[damage])
		x.engine.Restart()
		c = c.restarted()
		x.restart()
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 2, true), ld))
		require.Equal(t, "10\t10", x.engine.Query("SELECT count(), uniqExact(event_id) FROM events WHERE event_name = '"+name+"'"))
		require.Positive(t, x.replays(t, want))
	}
	f("a", "rows", outcomeRepaired)
	f("b", "tokens", outcomeFound)
}

// TestOtherTablesInTheConfigurationAreOtherTables replays a delivery, some events of which were refused, into another table.
func TestOtherTablesInTheConfigurationAreOtherTables(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	x.engine.Exec("ALTER TABLE events ADD CONSTRAINT no_poison CHECK event_id NOT IN ('a1', 'a7')")
	c := newCoordinator("one")
	ld := some(t, "a", 0, 10)
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
	require.Equal(t, "8/8\t2/2", x.counts())
	x.change = func(c *Config) { c.Events.Name, c.FailedEvents.Name = "events2", "failed2" }
	for range 2 {
		c = c.restarted()
		x.restart()
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
		require.Equal(t, "10\t0", x.engine.Query("SELECT (SELECT count() FROM events2), (SELECT count() FROM failed2)"))
	}
	require.Equal(t, "8/8\t2/2", x.counts())
}
