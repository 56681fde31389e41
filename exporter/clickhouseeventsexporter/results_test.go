// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
)

// visits is a table with a column of every type.
func visits() *result.Table {
	return &result.Table{
		Name: "visits", Description: "Who's been here.", Key: []string{"tenant", "visit_start", "visitor"}, Time: "visit_start", TTL: 100_000 * time.Hour,
		Columns: []result.Column{
			{Name: "tenant", Attribute: "tenant.id", Type: result.String, LowCardinality: true},
			{Name: "visitor", Attribute: "user.id", Type: result.String, Description: "The visitor's ID."},
			{Name: "visit_start", Attribute: "window.start", Type: result.Timestamp},
			{Name: "visit_end", Attribute: "window.end", Type: result.Timestamp, Nullable: true},
			{Name: "pages", Type: result.Int64},
			{Name: "score", Type: result.Float64, Nullable: true},
			{Name: "bounced", Type: result.Bool, Nullable: true},
			{Name: "campaign", Type: result.String, Nullable: true, LowCardinality: true},
			{Name: "tags", Type: result.Strings, LowCardinality: true},
			{Name: "event_counts", Type: result.Counts, LowCardinality: true},
			{Name: "top_pages", Type: result.Ranked},
			{Name: "absorbed", Type: result.Strings},
		},
	}
}

// pane is one row of visits.
type pane struct {
	visitor string
	index   uint32
	pages   int64
	full    bool
}

// results writes panes as results of a table that begins with the columns of visits.
func results(t testing.TB, table *result.Table, panes ...pane) plog.Logs {
	t.Helper()
	ld := plog.NewLogs()
	w, err := result.NewWriter(table, func(raw []byte) {
		more, err := delivery.DecodeOutbox(delivery.OutboxBatch{Logs: raw})
		require.NoError(t, err)
		more.ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
	})
	require.NoError(t, err)
	for _, p := range panes {
		timing := result.OnTime
		if p.index > 0 {
			timing = result.Late
		}
		w.Row(result.Head{Event: "visit.end", Time: someTime.UnixNano(), ID: result.ID([]byte(p.visitor)), Timing: timing, Index: p.index})
		w.Str(0, "acme")
		w.Str(1, p.visitor)
		w.Time(2, someTime.UnixNano())
		w.Int(4, p.pages)
		if p.full {
			w.Time(3, someTime.Add(time.Second).UnixNano())
			w.Float(5, 0.25)
			w.Bool(6, true)
			w.Str(7, "it's")
			w.Strs(8, []string{"a", "b", "a"})
			w.Counts(9, []result.Count{{Value: "view", Count: 3}, {Value: "buy", Count: 1}})
			w.Ranked(10, []result.Count{{Value: "/b", Count: 2}, {Value: "/a", Count: 1}})
			w.Strs(11, nil)
		}
	}
	require.NoError(t, w.Flush())
	return ld
}

// oneResult has a row of nothing but the key.
func oneResult(t testing.TB, table *result.Table) plog.Logs {
	t.Helper()
	return results(t, table, pane{visitor: "nobody"})
}

// sendResults exports what a stage of this process has made.
func (x *testExporter) sendResults(t testing.TB, ld plog.Logs) {
	t.Helper()
	require.NoError(t, x.ConsumeLogs(result.Emitted(t.Context()), ld))
}

const allVisits = "SELECT visitor, pages, pane_timing, pane_index FROM visits ORDER BY visitor"

func TestResultsHaveATableOfTheirOwnAndOneRowEach(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	x.sendResults(t, results(t, visits(), pane{"ann", 0, 1, true}, pane{"bob", 0, 5, false}))
	assert.Equal(t, "acme\tann\t2026-11-01 12:00:00.123456789\t2026-11-01 12:00:01.123456789\t1\t0.25\ttrue\tit\\'s\t['a','b','a']\t{'buy':1,'view':3}\t"+
		"[('/b',2),('/a',1)]\t[]\t"+result.ID([]byte("ann"))+"\ton_time\t0", x.engine.Query("SELECT * FROM visits WHERE visitor = 'ann'"))
	assert.Equal(t, "\\N\t\\N\t\\N\t\\N\t[]\t{}\t[]", x.engine.Query("SELECT visit_end, score, bounced, campaign, tags, event_counts, top_pages FROM visits WHERE visitor = 'bob'"))
	assert.Equal(t, "0\t0", x.engine.Query("SELECT (SELECT count() FROM events), (SELECT count() FROM failed_events)"))

	// A later pane replaces its predecessor, in the same batch too, and whatever order they come in.
	x.sendResults(t, results(t, visits(), pane{"ann", 2, 30, false}, pane{"ann", 1, 20, false}))
	x.sendResults(t, results(t, visits(), pane{"ann", 1, 20, false}))
	assert.Equal(t, "ann\t30\tlate\t2\nbob\t5\ton_time\t0", x.engine.Query(allVisits))
	x.engine.Exec("OPTIMIZE TABLE visits_panes FINAL")
	assert.Equal(t, "ann\t30\tlate\t2\nbob\t5\ton_time\t0", x.engine.Query(allVisits))
	assert.Equal(t, "2", x.engine.Query("SELECT count() FROM visits_panes"))
}

func TestAPointReadOfTheViewReadsOneGranule(t *testing.T) {
	x := newTestExporter(t, nil, func(c *Config) { c.Results.Settings = map[string]any{"index_granularity": 64} })
	var panes []pane
	for i := range 5000 {
		panes = append(panes, pane{visitor: fmt.Sprintf("v%04d", i)})
	}
	x.sendResults(t, results(t, visits(), panes...))
	plan := x.engine.Query("SELECT trim(explain) FROM (EXPLAIN indexes = 1 SELECT * FROM visits WHERE tenant = 'acme' AND visit_start = '2026-11-01 12:00:00.123456789' AND visitor = 'v0100') " +
		"WHERE explain LIKE '%Granules:%' OR explain LIKE '%FINAL%'")
	assert.Regexp(t, `FINAL: 1`, plan)
	assert.Regexp(t, `Granules: [12]/78`, plan, "what the view is asked goes into its table's index")
}

func TestABatchOfResultsAndEventsIsTakenApart(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	b := event.NewBuilder("acme", "web", "test")
	add(t, b, "clicked", "1", `{}`)
	add(t, b, "clicked", "2", `{}`).Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
	ld := b.Batch().Logs()
	both := results(t, visits(), pane{"ann", 0, 1, false})
	ld.ResourceLogs().MoveAndAppendTo(both.ResourceLogs())
	x.sendResults(t, both)
	assert.Equal(t, "ann\t1\ton_time\t0", x.engine.Query(allVisits))
	assert.Equal(t, "1\t2", x.engine.Query("SELECT (SELECT event_id FROM events), (SELECT event_id FROM failed_events)"))
	assert.Equal(t, "0", x.engine.Query("SELECT count() FROM events WHERE resource LIKE '%result%'"))
}

func TestWhatASenderCallsAResultIsAnEvent(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	ld := results(t, visits(), pane{"ann", 0, 1, false})
	require.NoError(t, x.ConsumeLogs(t.Context(), ld))
	require.NoError(t, x.ConsumeLogs(t.Context(), result.Declaration(visits())))
	assert.Equal(t, "events\nfailed_events", x.engine.Query("SHOW TABLES"))
	assert.Equal(t, "visit.end\tmillrace/results.refused", x.engine.Query("SELECT event_name, JSONExtractString(resource, 'otel.scope.name') FROM events"))
	assert.Equal(t, result.ScopeName, ld.ResourceLogs().At(0).ScopeLogs().At(0).Scope().Name(), "what was sent is not changed")
}

func TestResultsOfOthersAreTakenWhereTheConfigurationSaysSo(t *testing.T) {
	x := newTestExporter(t, nil, func(c *Config) { c.Results.Accept = result.AcceptAny })
	require.NoError(t, x.ConsumeLogs(t.Context(), results(t, visits(), pane{"ann", 0, 1, false})))
	assert.Equal(t, "ann\t1\ton_time\t0", x.engine.Query(allVisits))
}

func TestResultsThatFitNoRowAreFailedEventsOnce(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	ld := results(t, visits(), pane{"ann", 0, 1, false}, pane{"bob", 3, 1, false}, pane{"cho", 0, 1, false}, pane{"dan", 0, 1, false}, pane{"eve", 0, 1, false})
	records := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	records.At(1).Attributes().PutStr("pages", "many")
	records.At(2).Attributes().Remove(result.AttributeID)
	records.At(3).Attributes().PutInt("window.start", -1<<62)
	records.At(4).Attributes().PutStr("event.failure.stage", "masking")
	broken := results(t, visits(), pane{"fay", 0, 1, false})
	broken.ResourceLogs().At(0).ScopeLogs().At(0).Scope().Attributes().PutStr(result.AttributeTable, `{"name":"`)
	broken.ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
	for range 2 {
		x.sendResults(t, ld)
		assert.Equal(t, "ann", x.engine.Query("SELECT visitor FROM visits"))
		assert.Equal(t, "\tmasking\t\nout_of_range\texport\t/window.start\nresult_id_missing\texport\t\nresult_table_unreadable\texport\t\ntype_mismatch\texport\t/pages",
			x.engine.Query("SELECT reason, stage, pointer FROM failed_events ORDER BY reason"))
	}
	assert.Equal(t, result.ID([]byte("bob"))+".3\tvisit.end\tacme\tclickhouse_events\tbob",
		x.engine.Query("SELECT event_id, event_name, tenant_id, splitByChar('/', processor)[1], JSONExtractString(raw, 'user_id') FROM failed_events WHERE reason = 'type_mismatch'"))
}

func TestTheServersRefusalOfOneResultLetsItsNeighboursIn(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	x.sendResults(t, results(t, visits(), pane{"ann", 0, 1, false}))
	x.engine.Exec("ALTER TABLE visits_panes ADD CONSTRAINT no_poison CHECK pages != 13")
	var panes []pane
	for i := range 40 {
		panes = append(panes, pane{visitor: fmt.Sprint("v", i), pages: int64(i)})
	}
	for range 2 {
		x.sendResults(t, results(t, visits(), panes...))
		assert.Equal(t, "40\t40", x.engine.Query("SELECT count(), uniqExact(visitor) FROM visits"))
		assert.Equal(t, result.ID([]byte("v13"))+".0\trefused_by_server\t1", x.engine.Query("SELECT event_id, reason, error LIKE '%no_poison%' FROM failed_events"))
	}
}

func TestResultsOfAnOutboxAreStoredAndComeAgain(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	c := newCoordinator("clickhouse")
	outbox := func(ordinal uint32) context.Context {
		id := c.id
		id.Stage, id.Checkpoint, id.Ordinal = "sessionization", 1, ordinal
		d := delivery.New(id, 1, c)
		d.Restored = true
		return delivery.NewContext(t.Context(), d)
	}
	for range 2 {
		require.NoError(t, x.ConsumeLogs(outbox(0), results(t, visits(), pane{"ann", 0, 1, false}, pane{"bob", 0, 2, false})))
		require.NoError(t, x.ConsumeLogs(outbox(1), plog.NewLogs()), "it moves only the watermark")
		x.restart()
	}
	assert.Equal(t, "ann\t1\ton_time\t0\nbob\t2\ton_time\t0", x.engine.Query(allVisits))
	assert.Empty(t, c.plans, "results need no plan")

	// Events that a stage passes on together with results keep to their plan.
	both := func() plog.Logs {
		ld := some(t, "clicked", 0, 3)
		results(t, visits(), pane{"ann", 1, 10, false}).ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
		some(t, "viewed", 0, 2).ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
		return ld
	}
	for range 2 {
		require.NoError(t, x.ConsumeLogs(outbox(2), both()))
		x.restart()
	}
	assert.Len(t, c.plans, 1)
	assert.Equal(t, "5/5\t0/0", x.counts())
	assert.Equal(t, "10", x.engine.Query("SELECT pages FROM visits WHERE visitor = 'ann'"))

	ctx := outbox(3)
	require.NoError(t, x.ConsumeLogs(ctx, both()))
	require.ErrorIs(t, x.ConsumeLogs(ctx, both()), delivery.ErrSecondCall)

	// What the log itself hands out was made by no stage.
	before := x.engine.Query("SELECT count() FROM events")
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), results(t, visits(), pane{"mallory", 0, 1, false})))
	assert.Equal(t, "0", x.engine.Query("SELECT count() FROM visits WHERE visitor = 'mallory'"))
	assert.NotEqual(t, before, x.engine.Query("SELECT count() FROM events"))
	assert.Equal(t, int64(7), x.counter(t, "otelcol_exporter_clickhouse_events_rows", "table", "events")+
		x.counter(t, "otelcol_exporter_clickhouse_events_rows", "table", "visits_panes"))
}

func TestResultsAndEventsPassTheQueueTogether(t *testing.T) {
	x := newTestExporter(t, nil, func(c *Config) {
		c.QueueConfig = createDefaultConfig().(*Config).QueueConfig
		c.QueueConfig.Get().Batch.Get().FlushTimeout = 20 * time.Millisecond
	})
	errs := make(chan error)
	for i := range 4 {
		own, others := results(t, visits(), pane{fmt.Sprint("v", i), 0, int64(i), false}), some(t, fmt.Sprint("e", i), 0, 3)
		go func() { errs <- x.ConsumeLogs(result.Emitted(t.Context()), own) }()
		go func() { errs <- x.ConsumeLogs(t.Context(), others) }()
	}
	for range 8 {
		require.NoError(t, <-errs)
	}
	assert.Equal(t, "4\t6", x.engine.Query("SELECT count(), sum(pages) FROM visits"))
	assert.Equal(t, "12", x.engine.Query("SELECT count() FROM events"))
}

func TestResultsWaitForTheServer(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	x.sendResults(t, results(t, visits(), pane{"ann", 0, 1, false}))
	x.engine.Kill()
	ld := results(t, visits(), pane{"ann", 1, 2, false})
	err := x.ConsumeLogs(result.Emitted(t.Context()), ld)
	require.Error(t, err)
	require.False(t, consumererror.IsPermanent(err))
	x.engine.Restart()
	x.sendResults(t, ld)
	assert.Equal(t, "ann\t2\tlate\t1", x.engine.Query(allVisits))

	// Tables that are dropped meanwhile are made again.
	x.engine.Exec("DROP VIEW visits")
	x.engine.Exec("DROP TABLE visits_panes SYNC")
	require.Error(t, x.ConsumeLogs(result.Emitted(t.Context()), ld), "the first attempt finds it gone")
	x.sendResults(t, ld)
	assert.Equal(t, "ann\t2\tlate\t1", x.engine.Query(allVisits))
}
