// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/consumer/consumererror"

	"github.com/millrace/millrace/internal/clickhouseengine"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/testbed/enginetest"
)

func TestStatementsForResultsAreAsInTheGoldenFiles(t *testing.T) {
	golden := func(name, sql string) {
		t.Helper()
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(sql+"\n"), 0o600))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err, "run this test with -update")
		require.Equal(t, string(want), sql+"\n")
	}
	cfg := createDefaultConfig().(*Config)
	golden("create_results.sql", createResultTable(cfg, visits())+";\n\n"+createResultView(cfg, visits(), resultColumns(visits()), false))

	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	perMinute := perMinute()
	for _, sql := range []string{createResultTable(cfg, perMinute), createResultView(cfg, perMinute, resultColumns(perMinute), false)} {
		if !strings.Contains(string(readme), sql+"\n") {
			t.Errorf("the README must show this statement as it is run:\n%s", sql)
		}
	}

	cfg.Cluster = "main"
	cfg.Results = ResultsConfig{
		Accept: result.AcceptStages, Engine: "ReplicatedReplacingMergeTree", TTL: 48 * time.Hour, Settings: map[string]any{"storage_policy": "tiered", "index_granularity": 8192},
		Tables: map[string]ResultTableConfig{"visits": {
			Engine: "ReplicatedReplacingMergeTree('/tables/{shard}/visits', '{replica}', pane_index)", PartitionBy: "tenant", TTL: time.Hour, Settings: map[string]any{"index_granularity": 256},
		}},
	}
	golden("cluster_results.sql", strings.Join([]string{
		createResultTable(cfg, visits()), createResultView(cfg, visits(), resultColumns(visits()), true),
		addResultColumns(cfg, "visits_panes", resultColumns(visits())[:2]), createResultTable(cfg, perMinute),
	}, ";\n\n"))
}

// perMinute is the example of the README.
func perMinute() *result.Table {
	return &result.Table{
		Name: "events_per_minute", Key: []string{"window_start", "event_name"}, Time: "window_start",
		Columns: []result.Column{
			{Name: "window_start", Attribute: "window.start", Type: result.Timestamp},
			{Name: "window_end", Attribute: "window.end", Type: result.Timestamp},
			{Name: "event_name", Attribute: "group.event.name", Type: result.String, LowCardinality: true},
			{Name: "events", Type: result.Int64},
			{Name: "users", Type: result.Int64},
		},
	}
}

// with is visits with other columns in place of the last.
func with(columns ...result.Column) *result.Table {
	t := visits()
	t.Columns = append(t.Columns[:len(t.Columns)-1], columns...)
	return t
}

func (x *testExporter) refusesResults(t *testing.T, table *result.Table, want string) {
	t.Helper()
	err := x.ConsumeLogs(result.Emitted(t.Context()), results(t, table))
	require.NoError(t, err, "nothing to store")
	err = x.ConsumeLogs(result.Emitted(t.Context()), oneResult(t, table))
	require.ErrorContains(t, err, want)
	require.NotContains(t, err.Error(), "\n")
	require.False(t, consumererror.IsPermanent(err), "the pipeline waits until it is mended")
}

func TestATableOfResultsGetsNewColumnsAndKeepsOldOnes(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	x.sendResults(t, results(t, visits(), pane{"ann", 0, 1, false}))
	x.engine.Exec("ALTER TABLE visits_panes ADD COLUMN note String DEFAULT 'mine'") // by somebody else
	after := with(result.Column{Name: "region", Type: result.String, Nullable: true}, result.Column{Name: "exits", Type: result.Counts})
	x.sendResults(t, oneResult(t, after))
	assert.Equal(t, "ann\t[]\t\\N\t{}\tmine\nnobody\t[]\t\\N\t{}\tmine", x.engine.Query("SELECT visitor, absorbed, region, exits, note FROM visits ORDER BY visitor"))
	// A definition of before, from an outbox or another gateway, still has its place, and the view keeps what it has.
	x.sendResults(t, results(t, visits(), pane{"bob", 0, 1, false}))
	assert.Equal(t, "3", x.engine.Query("SELECT countIf(region IS NULL) FROM visits"))
	assert.Equal(t, "The visitor\\'s ID.\tThe visitor\\'s ID.", x.engine.Query("SELECT * FROM (SELECT comment FROM system.columns WHERE table = 'visits' AND name = 'visitor') AS a, "+
		"(SELECT comment FROM system.columns WHERE table = 'visits_panes' AND name = 'visitor') AS b"))
	assert.Equal(t, "One whole row for each result, by Millrace. Who\\'s been here.", x.engine.Query("SELECT comment FROM system.tables WHERE name = 'visits'"))
}

func TestWhatIsInTheWayOfResultsIsNamedAndLeftAlone(t *testing.T) {
	x := newTestExporter(t, nil, func(c *Config) { c.Events.Name = "raw" })
	f := func(setup string, table *result.Table, want string) {
		t.Helper()
		x.engine.Exec("DROP TABLE IF EXISTS visits SYNC")
		x.engine.Exec("DROP TABLE IF EXISTS visits_panes SYNC")
		x.engine.Exec(setup)
		before := x.engine.Query("SELECT name, create_table_query FROM system.tables WHERE database = 'analytics' ORDER BY name")
		x.refusesResults(t, table, want)
		assert.Equal(t, before, x.engine.Query("SELECT name, create_table_query FROM system.tables WHERE database = 'analytics' ORDER BY name"))
	}
	other := "rename it, or give the results another name; nothing was changed"
	f("CREATE TABLE visits (a Int64) ENGINE = MergeTree ORDER BY a", visits(), "results of visits: analytics.visits is there and is no view of results but a MergeTree: "+other)
	f("CREATE VIEW visits AS SELECT 1 AS a", visits(), "analytics.visits is there and is no view of results but a View: "+other)
	f("CREATE TABLE visits_panes (a Int64) ENGINE = MergeTree ORDER BY a", visits(),
		"table analytics.visits_panes has the engine MergeTree, which keeps all panes of a result: it must be ReplacingMergeTree(pane_index)")
	f("CREATE TABLE visits_panes (visitor String, pane_index UInt32) ENGINE = ReplacingMergeTree(pane_index) ORDER BY visitor", visits(),
		"table analytics.visits_panes is not sorted by result_id, so that results would replace each other")
	f("CREATE TABLE visits_panes (pages Int64, result_id String, pane_index UInt32) ENGINE = ReplacingMergeTree(pane_index) ORDER BY (pages, result_id)", visits(),
		"table analytics.visits_panes is sorted or parted by `pages`, which may differ between panes of one result")
	f("CREATE TABLE visits_panes (visitor UInt64, result_id String, pane_index UInt32) ENGINE = ReplacingMergeTree(pane_index) ORDER BY (visitor, result_id)", visits(),
		"column `visitor` of analytics.visits_panes is UInt64 but the results say String: rename the column in the configuration of what emits them, "+
			"or run `ALTER TABLE analytics.visits_panes RENAME COLUMN `visitor` TO `visitor_before`")
	raw := visits()
	raw.Name = "raw"
	f("SELECT 1", raw, "`raw` is the name of a table of events: give the results or the events another name")
}

func TestAViewThatSomebodyMadeOfResultsStays(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	x.sendResults(t, results(t, visits(), pane{"ann", 0, 1, false}))
	x.engine.Exec("CREATE OR REPLACE VIEW visits AS SELECT visitor AS who FROM visits_panes FINAL WHERE pages > 0")
	x.sendResults(t, oneResult(t, with(result.Column{Name: "region", Type: result.String})))
	assert.Equal(t, "ann", x.engine.Query("SELECT * FROM visits"))
	assert.Equal(t, "2", x.engine.Query("SELECT count() FROM visits_panes WHERE region = ''"))
}

func TestATableThatStoresATextOtherwiseIsTakenAsItIs(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	before := visits()
	for i := range before.Columns {
		before.Columns[i].LowCardinality = false
	}
	x.sendResults(t, results(t, before, pane{"ann", 0, 1, true}))
	x.sendResults(t, results(t, visits(), pane{"ann", 1, 1, true}))
	assert.Equal(t, "it\\'s\t['a','b','a']\t{'buy':1,'view':3}\tString", x.engine.Query("SELECT campaign, tags, event_counts, toTypeName(tenant) FROM visits"))
}

func TestTablesOfEventsAreThereBeforeTheFirstEventThoughTheServerComesLater(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	x.stop()
	x.engine.Exec("DROP TABLE events SYNC")
	x.engine.Exec("DROP TABLE failed_events SYNC")
	x.engine.Kill()
	x.restart()
	x.engine.Restart()
	require.Eventually(t, func() bool {
		return x.engine.Query("SELECT count() FROM system.tables WHERE database = 'analytics' AND name IN ('events', 'failed_events')") == "2"
	}, time.Minute, 10*time.Millisecond)
}

func TestADeclaredTableIsThereBeforeTheFirstResult(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	tables := func() string {
		return x.engine.Query("SELECT groupArray(name) FROM (SELECT name FROM system.tables WHERE database = 'analytics' ORDER BY name)")
	}
	require.NoError(t, x.ConsumeLogs(result.Emitted(t.Context()), result.Declaration(visits(), perMinute())))
	const all = "['events','events_per_minute','events_per_minute_panes','failed_events','visits','visits_panes']"
	require.Eventually(t, func() bool { return tables() == all }, time.Minute, 10*time.Millisecond)
	x.stop()

	for _, table := range []string{"visits", "events_per_minute", "visits_panes", "events_per_minute_panes"} {
		x.engine.Exec("DROP TABLE " + table + " SYNC")
	}
	x.engine.Kill()
	x.restart() // while the server is away
	require.NoError(t, x.ConsumeLogs(result.Emitted(t.Context()), result.Declaration(visits(), perMinute())))
	x.restart() // a worker that waits ends with its exporter
	require.NoError(t, x.ConsumeLogs(result.Emitted(t.Context()), result.Declaration(visits())))
	require.NoError(t, x.ConsumeLogs(result.Emitted(t.Context()), result.Declaration(perMinute())))
	x.engine.Restart()
	require.Eventually(t, func() bool { return tables() == all }, time.Minute, 10*time.Millisecond)
}

func TestResultsNeedTheRightsOfTheReadme(t *testing.T) {
	rights := []string{"INSERT, CREATE DATABASE, CREATE TABLE, ALTER ADD COLUMN ON analytics.*", "CREATE VIEW, DROP VIEW, SELECT ON analytics.*", "TABLE ENGINE ON ReplacingMergeTree"}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, right := range rights {
		if !strings.Contains(string(readme), "GRANT "+right+" TO") {
			t.Errorf("the README must name the right to %s", right)
		}
	}
	writer := clickhouseengine.User{Name: "writer", Password: "a long one", Grants: append(rights, "TABLE ENGINE ON MergeTree")}
	x := newTestExporter(t, nil, func(c *Config) { c.Username, c.Password = writer.Name, configopaque.String(writer.Password) },
		enginetest.WithOtherUser(writer))
	x.sendResults(t, results(t, visits(), pane{"ann", 0, 1, false}))
	x.sendResults(t, oneResult(t, with(result.Column{Name: "region", Type: result.String})))
	assert.Equal(t, "2\t", x.engine.Query("SELECT count(), any(region) FROM visits"))
}

func TestTablesOfResultsMadeByHandAreTaken(t *testing.T) {
	x := newTestExporter(t, nil, func(c *Config) { c.CreateTables = false })
	x.refusesResults(t, visits(), "table analytics.visits_panes is not there: run `CREATE TABLE IF NOT EXISTS `analytics`.`visits_panes`")
	sql, err := os.ReadFile(filepath.Join("testdata", "create_results.sql"))
	require.NoError(t, err)
	table, _, _ := strings.Cut(string(sql), ";\n\n")
	x.engine.Exec(table)
	x.sendResults(t, results(t, visits(), pane{"ann", 0, 1, true}))
	x.refusesResults(t, with(result.Column{Name: "region", Type: result.String}), "table analytics.visits_panes lacks column region: run `ALTER TABLE")
	assert.Equal(t, "1", x.engine.Query("SELECT count() FROM visits_panes FINAL"), "the view is for its maker to make")
}
