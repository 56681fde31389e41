// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/clickhouseengine"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/enginetest"
)

// withViews makes tables that views over events write to, one of them through another, and the views.
func (x *deliverer) withViews(window int) {
	x.t.Helper()
	remembers := fmt.Sprintf(" SETTINGS non_replicated_deduplication_window = %d", window)
	for _, sql := range []string{
		"CREATE TABLE copies (event_id String, event_name String) ENGINE = MergeTree ORDER BY event_id" + remembers,
		"CREATE TABLE `per name` (event_name String, n SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY event_name" + remembers,
		"CREATE TABLE firsts (event_name String, id AggregateFunction(min, String), n AggregateFunction(count)) ENGINE = AggregatingMergeTree ORDER BY event_name" + remembers,
		"CREATE MATERIALIZED VIEW `to copies` TO copies AS SELECT event_id, event_name FROM events",
		"CREATE MATERIALIZED VIEW to_names TO `per name` AS SELECT event_name, count() AS n FROM events GROUP BY event_name",
		"CREATE MATERIALIZED VIEW to_firsts TO firsts AS SELECT event_name, minState(event_id) AS id, countState() AS n FROM copies GROUP BY event_name",
	} {
		x.engine.Exec(sql)
	}
}

func (x *deliverer) viewCounts() string {
	x.t.Helper()
	return x.engine.Query("SELECT (SELECT count() FROM events), (SELECT count() FROM copies), (SELECT sum(n) FROM `per name`), (SELECT sum(c) FROM (SELECT countMerge(n) AS c FROM firsts GROUP BY event_name))")
}

func TestViewsCountARepeatedINSERTOnce(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	x.withViews(10_000)
	c := newCoordinator("one")
	ld := some(t, "a", 0, 10)
	again := func(want string) {
		t.Helper()
		for range 2 {
			c = c.restarted()
			x.restart()
			require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
			require.Equal(t, want, x.viewCounts())
		}
	}
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
	again("10\t10\t10\t10")

	// An INSERT that fails at the end of a chain of views has been in the tables before it.
	for i, table := range []string{"firsts", "`per name`", "copies"} {
		x.engine.Exec("ALTER TABLE " + table + " ADD CONSTRAINT closed CHECK event_name = ''")
		ld = some(t, "b", i*10, 10)
		c = newCoordinator(table)
		err := x.ConsumeLogs(c.attempt(t, 0, 1, false), ld)
		require.ErrorContains(t, err, "closed")
		require.False(t, delivery.Blocked(err), "its owner can mend the view")
		require.Equal(t, fmt.Sprint(10*(i+2)), x.engine.Query("SELECT count() FROM events"), "the table has them already: they are not bisected")
		x.engine.Exec("ALTER TABLE " + table + " DROP CONSTRAINT closed")
		n := fmt.Sprint(10 * (i + 2))
		again(n + "\t" + n + "\t" + n + "\t" + n)
	}
	require.Equal(t, "0", x.engine.Query("SELECT count() FROM failed_events"))
}

func TestAViewThatWouldCountTwiceIsRefused(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	x.withViews(0)
	c := newCoordinator("one")
	f := func(mend string) {
		t.Helper()
		err := x.ConsumeLogs(c.attempt(t, 0, 1, false), some(t, "a", 0, 10))
		require.ErrorContains(t, err, "which would count an INSERT that the event log repeats twice: run `"+mend+"`, or set deduplication.views: warn")
		require.False(t, delivery.Blocked(err), "it heals")
		x.engine.Exec(mend)
	}
	f("ALTER TABLE `analytics`.`copies` MODIFY SETTING non_replicated_deduplication_window = 10000")
	f("ALTER TABLE `analytics`.`firsts` MODIFY SETTING non_replicated_deduplication_window = 10000")
	f("ALTER TABLE `analytics`.`per name` MODIFY SETTING non_replicated_deduplication_window = 10000")
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), some(t, "a", 0, 10)))

	// A view that keeps its rows itself, made while we run.
	x.engine.Exec("CREATE MATERIALIZED VIEW own (n UInt64) ENGINE = SummingMergeTree ORDER BY tuple() AS SELECT count() AS n FROM events")
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 100, 1, false), some(t, "a", 10, 10)), "it is looked for at checkpoints")
	c.commit()
	x.now = x.now.Add(lookAgainAfter)
	require.ErrorContains(t, x.ConsumeLogs(c.attempt(t, 200, 1, false), some(t, "a", 20, 10)), "materialized view analytics.own writes into analytics..inner_id.")
	x.change = func(c *Config) { c.Deduplication.Views = viewsWarn }
	x.restart()
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 200, 1, false), some(t, "a", 20, 10)))
}

// makeWithoutWindow puts tables as an earlier version made them in the place of ours.
func (x *deliverer) makeWithoutWindow() {
	x.t.Helper()
	for _, table := range []string{"events", "failed_events"} {
		x.engine.Exec("ALTER TABLE " + table + " DROP COLUMN _delivery")
		x.engine.Exec("ALTER TABLE " + table + " MODIFY SETTING non_replicated_deduplication_window = 0")
	}
	x.restart()
}

func TestTablesOfAnEarlierVersionAreMadeToRemember(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	x.makeWithoutWindow()
	c := newCoordinator("one")
	ld := some(t, "a", 0, 10)
	require.NoError(t, x.ConsumeLogs(t.Context(), ld), "without a log nothing is asked of them")
	require.Equal(t, "0", x.engine.Query("SELECT count() FROM system.columns WHERE database = 'analytics' AND name = '_delivery'"))
	for range 2 {
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
	}
	require.Equal(t, "20/10\t0/0", x.counts())
	require.Equal(t, "2", x.engine.Query("SELECT count() FROM system.tables WHERE database = 'analytics' AND engine_full LIKE '%non_replicated_deduplication_window = 10000%'"))
}

func TestTablesOfOthersAreRefusedUntilTheyRemember(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	x.makeWithoutWindow()
	x.change = func(c *Config) { c.CreateTables = false }
	x.restart()
	c := newCoordinator("one")
	for _, mend := range []string{
		"ALTER TABLE `analytics`.`events` ADD COLUMN IF NOT EXISTS `_delivery` LowCardinality(String)",
		"ALTER TABLE `analytics`.`events` MODIFY SETTING non_replicated_deduplication_window = 10000",
		"ALTER TABLE `analytics`.`failed_events` ADD COLUMN IF NOT EXISTS `_delivery` LowCardinality(String)",
		"ALTER TABLE `analytics`.`failed_events` MODIFY SETTING non_replicated_deduplication_window = 10000",
	} {
		err := x.ConsumeLogs(c.attempt(t, 0, 1, false), some(t, "a", 0, 10))
		require.ErrorContains(t, err, "run `"+mend+"` or set create_tables: true")
		require.False(t, delivery.Blocked(err))
		x.engine.Exec(mend)
	}
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 2, false), some(t, "a", 0, 10)))
	require.Equal(t, "10/10\t0/0", x.counts())
}

func TestEnginesAndEndpointsThatCannotKeepThePromiseAreRefused(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	x.change = func(c *Config) { c.Endpoints = append(c.Endpoints, "127.0.0.1:1") }
	x.restart()
	err := x.ConsumeLogs(newCoordinator("one").attempt(t, 0, 1, false), some(t, "a", 0, 1))
	require.ErrorContains(t, err, "behind an event_log give one endpoint, or use a Replicated engine")
	x.engine.Exec("RENAME TABLE events TO stored")
	x.engine.Exec("CREATE TABLE events AS stored ENGINE = Buffer('analytics', 'stored', 1, 10, 100, 10000, 1000000, 10000000, 100000000)")
	x.change = nil
	x.restart()
	err = x.ConsumeLogs(newCoordinator("one").attempt(t, 0, 1, false), some(t, "a", 0, 1))
	require.ErrorContains(t, err, "table analytics.events has the engine Buffer, which does not know repeated INSERTs")
}

// TestTheUserNeedsOnlyTheRightsOfTheReadmeBehindALog goes all ways of the delivery path with the rights that the README
// tells.
func TestTheUserNeedsOnlyTheRightsOfTheReadmeBehindALog(t *testing.T) {
	writer := clickhouseengine.User{Name: "writer", Password: "a long one", Grants: []string{
		"INSERT, CREATE DATABASE, CREATE TABLE, ALTER ADD COLUMN ON analytics.*", "TABLE ENGINE ON MergeTree",
		"SELECT, ALTER SETTINGS ON analytics.*",
	}}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, right := range writer.Grants {
		require.Contains(t, string(readme), "GRANT "+right+" TO")
	}
	x := newDeliverer(t, nil, nil, enginetest.WithOtherUser(writer))
	x.change = func(c *Config) { c.Username, c.Password = writer.Name, configopaque.String(writer.Password) }
	x.makeWithoutWindow()
	c := newCoordinator("one")
	ld := some(t, "a", 0, 10)
	for range 2 {
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
	}
	x.engine.Exec("TRUNCATE TABLE events SYNC")
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 2, true), ld))
	require.Equal(t, "10/10\t0/0", x.counts())

	log := x.change
	x.change = func(c *Config) { log(c); skipping(c) }
	x.restart()
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 100, 1, false), ld))
	require.Equal(t, "10/10\t0/0", x.counts())
}

// TestAnINSERTInDoubtWaitsWhereTheColumnDeliveryWasDropped would store it twice: the table cannot be asked any more.
func TestAnINSERTInDoubtWaitsWhereTheColumnDeliveryWasDropped(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	c := newCoordinator("one")
	ld := some(t, "a", 0, 10)
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
	x.engine.Exec("ALTER TABLE events DROP COLUMN _delivery")
	x.restart()
	c = c.restarted()
	err := x.ConsumeLogs(c.attempt(t, 0, 1, true), ld)
	require.ErrorContains(t, err, "table analytics.events has lost column _delivery")
	require.ErrorContains(t, err, "run `ALTER TABLE `analytics`.`events` ADD COLUMN IF NOT EXISTS `_delivery` LowCardinality(String)`")
	require.Equal(t, "10/10\t0/0", x.counts())
}

// TestAUserWhoMayNotReadTheTablesIsToldAtOnce and not when an INSERT is in doubt.
func TestAUserWhoMayNotReadTheTablesIsToldAtOnce(t *testing.T) {
	writer := clickhouseengine.User{Name: "writer", Password: "a long one", Grants: []string{"INSERT ON analytics.*"}}
	x := newDeliverer(t, nil, nil, enginetest.WithOtherUser(writer))
	x.change = func(c *Config) {
		c.Username, c.Password, c.CreateTables = writer.Name, configopaque.String(writer.Password), false
	}
	x.restart()
	require.NoError(t, x.ConsumeLogs(t.Context(), some(t, "a", 0, 1)))
	err := x.ConsumeLogs(newCoordinator("one").attempt(t, 0, 1, false), some(t, "a", 0, 1))
	require.ErrorContains(t, err, "GRANT SELECT ON `analytics`.`events`")
	require.False(t, delivery.Blocked(err), "it heals")
}

func TestTheTargetOfAView(t *testing.T) {
	f := func(created, uuid, want string) {
		t.Helper()
		d := &description{database: "db", name: "v", uuid: uuid, created: created}
		database, table := d.target()
		require.Equal(t, want, database+" "+table)
	}
	f("CREATE MATERIALIZED VIEW db.v TO db.t (`a` UInt8) AS SELECT 1 AS a", "", "db t")
	f("CREATE MATERIALIZED VIEW db.`v v` TO `d b`.`t\\`.x` (`a` UInt8) AS SELECT 1 AS a", "", "d b t`.x")
	f("CREATE MATERIALIZED VIEW db.v UUID 'x' TO db.t AS SELECT 1 AS a", "", "db t")
	f("CREATE MATERIALIZED VIEW db.v (`a` UInt8) ENGINE = MergeTree ORDER BY a AS SELECT ' TO db.t'", "00000000-0000-0000-0000-000000000001", "db .inner_id.00000000-0000-0000-0000-000000000001")
	f("CREATE MATERIALIZED VIEW db.v (`a` UInt8) ENGINE = MergeTree ORDER BY a AS SELECT 1", "00000000-0000-0000-0000-000000000000", "db .inner.v")
}

// TestABlockStaysOneBlock sends more rows than ClickHouse's blocks have by default, and more bytes.
func TestABlockStaysOneBlock(t *testing.T) {
	x := newDeliverer(t, nil, func(c *Config) { c.Events.PartitionBy, c.TimeoutConfig.Timeout = "toYYYYMM(event_time)", 0 })
	x.engine.Exec("SYSTEM STOP MERGES events")
	f := func(name string, ld plog.Logs) {
		t.Helper()
		c := newCoordinator(name)
		for range 2 {
			require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
		}
		require.Equal(t, fmt.Sprint(ld.LogRecordCount(), "\t", 2), x.engine.Query("SELECT count(), uniqExact(_part) FROM events WHERE event_name = '"+name+"'"))
		x.engine.Exec("TRUNCATE TABLE events SYNC")
	}
	build := func(name string, n int, properties string) plog.Logs {
		b := event.NewBuilder("acme", "web", "test")
		for i := range n {
			d := b.Add()
			d.SetName(name)
			d.SetTime(dayOf(31 * (i % 2)))
			d.SetReceived(dayOf(0))
			if properties != "" {
				d.Put("text", properties)
			}
		}
		return b.Batch().Logs()
	}
	f("rows", build("rows", 1_100_000, ""))
	long := make([]byte, 100_000)
	for i := range long {
		long[i] = 'a' + byte(i%26)
	}
	f("bytes", build("bytes", 3000, string(long)))
}
