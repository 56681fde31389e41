// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/testbed/enginetest"
)

// visits is a table with a column of every type.
func visits() *result.Table {
	return &result.Table{
		Name: "visits", Key: []string{"tenant", "visitor"},
		Columns: []result.Column{
			{Name: "tenant", Attribute: "tenant.id", Type: result.String, LowCardinality: true},
			{Name: "visitor", Attribute: "user.id", Type: result.String},
			{Name: "started", Attribute: "window.start", Type: result.Timestamp},
			{Name: "pages", Type: result.Int64},
			{Name: "score", Type: result.Float64, Nullable: true},
			{Name: "bounced", Type: result.Bool, Nullable: true},
			{Name: "event_name", Attribute: "group.event.name", Type: result.String, LowCardinality: true},
			{Name: "tags", Type: result.Strings, LowCardinality: true},
			{Name: "event_counts", Type: result.Counts, LowCardinality: true},
			{Name: "top", Type: result.Ranked},
		},
	}
}

// summaries writes a result for each visitor, with values for every column where it is the first.
func summaries(t testing.TB, table *result.Table, visitors ...string) plog.Logs {
	t.Helper()
	ld := plog.NewLogs()
	w, err := result.NewWriter(table, func(raw []byte) {
		more, err := delivery.DecodeOutbox(delivery.OutboxBatch{Logs: raw})
		require.NoError(t, err)
		more.ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
	})
	require.NoError(t, err)
	for i, v := range visitors {
		w.Row(result.Head{Event: "visit.end", Time: noon.UnixNano(), ID: result.ID([]byte(v)), Timing: result.OnTime, Index: uint32(i)})
		w.Str(0, "acme")
		w.Str(1, v)
		w.Time(2, noon.Add(-time.Hour).UnixNano()+7)
		if i == 0 {
			w.Int(3, 3)
			w.Float(4, 0.5)
			w.Bool(5, false)
			w.Str(6, "viewed")
			w.Strs(7, []string{"a", "b"})
			w.Counts(8, []result.Count{{Value: "x", Count: 2}})
			w.Ranked(9, []result.Count{{Value: "/b", Count: 2}, {Value: "/a", Count: 1}})
		}
	}
	require.NoError(t, w.Flush())
	return ld
}

// emit hands over an outbox batch of a stage.
func (h *harness) emit(ordinal uint32, attempt int, ld plog.Logs) error {
	id := h.id
	id.Stage, id.Checkpoint, id.Ordinal = "sessionization", 1, ordinal
	return h.x.consume(delivery.NewContext(h.t.Context(), delivery.New(id, attempt, h.pipe)), ld)
}

// inLake asks ClickHouse about the lake's events.
func (h *harness) inLake(sql string) string {
	h.t.Helper()
	e := enginetest.Start(h.t, enginetest.WithFileAccess())
	answer, err := e.Do(context.Background(), strings.ReplaceAll(sql, "LAKE", "file('"+h.cfg.Directory+"/**/*.parquet')"))
	require.NoError(h.t, err)
	return strings.TrimSpace(answer)
}

func TestResultsAreADatasetWithTheColumnsOfTheirTable(t *testing.T) {
	h := newHarness(t, nil)
	// The table wins over a schema of that name.
	h.registry.set(t, compile(t, "visits", "1", `{"type":"object","properties":{"pages":{"type":"string"},"other":{"type":"string"}}}`))
	ld := summaries(t, visits(), "ann", "bob")
	batch(t, one{id: "e1", name: "visit.end", properties: `{"pages":"none"}`}).ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
	require.NoError(t, h.x.consume(result.Emitted(t.Context()), result.Declaration(visits())))
	require.NoError(t, h.emit(0, 1, ld))
	require.NoError(t, h.emit(0, 2, ld), "it is known")
	h.restart()
	require.NoError(t, h.emit(0, 1, ld), "it is known after a restart")
	ann, bob := result.ID([]byte("ann")), result.ID([]byte("bob"))
	h.awaitIDs(ann+".0", bob+".1", "e1")

	var keys []string
	for key := range h.files() {
		keys = append(keys, filepath.Dir(key))
	}
	slices.Sort(keys)
	require.Equal(t, []string{"event_name=visit.end/date=2026-01-02/hour=12", "results/event_name=visit.end/date=2026-01-02/hour=12"}, keys, "of results, and of others")
	require.Equal(t, strings.Join([]string{
		"acme\tann\t2026-01-02 11:00:00.000000007\t3\t0.5\tfalse\tviewed\t['a','b']\t['/b','/a']\t[2,1]\t{\"event_counts\":{\"x\":2}}\t" + ann + "\ton_time\t0",
		"acme\tbob\t2026-01-02 11:00:00.000000007\t\\N\t\\N\t\\N\t\\N\t[]\t[]\t[]\t{}\t" + bob + "\ton_time\t1",
	}, "\n"), h.inLake("SELECT tenant_id, user_id, started, pages, score, bounced, property_event_name, tags, `top.value`, `top.count`, properties, result_id, pane_timing, pane_index "+
		"FROM LAKE WHERE event_id != 'e1' ORDER BY user_id SETTINGS schema_inference_mode = 'union'"))
	var datasets []string
	var lines []entry
	h.await(func() bool { lines, _ = h.catalogue(); return len(lines) == 2 })
	for _, e := range lines {
		datasets = append(datasets, fmt.Sprint(e.Dataset, e.Schema, e.Versions, e.Rows))
	}
	slices.Sort(datasets)
	require.Equal(t, []string{"undeclared[] 1", "visits[] 2"}, datasets)
}

func TestResultsThatFitNoColumnAreFailedEvents(t *testing.T) {
	h := newHarness(t, nil)
	ld := summaries(t, visits(), "ann", "bob")
	records := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	records.At(0).Attributes().PutStr("window.start", "yesterday")
	broken := summaries(t, visits(), "cho")
	broken.ResourceLogs().At(0).ScopeLogs().At(0).Scope().Attributes().PutStr(result.AttributeTable, "[]")
	broken.ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
	require.NoError(t, h.emit(0, 1, ld))
	h.awaitIDs(result.ID([]byte("ann"))+".0", result.ID([]byte("bob"))+".1", result.ID([]byte("cho"))+".0")
	var reasons []string
	for _, rows := range h.files() {
		for _, r := range rows {
			if v, ok := r["reason"]; ok {
				reasons = append(reasons, v.String()+" "+r["pointer"].String())
			}
		}
	}
	slices.Sort(reasons)
	require.Equal(t, []string{"result_table_unreadable ", "type_mismatch /window.start"}, reasons)
}

func TestATableOfResultsThatChangesKeepsTheTypesThatFilesHave(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.emit(0, 1, summaries(t, visits(), "ann")))
	after := visits()
	after.Columns[4].Name, after.Columns[4].Attribute = "rating", "score"
	after.Columns = append(after.Columns, result.Column{Name: "score", Attribute: "points", Type: result.Int64})
	require.NoError(t, h.emit(1, 1, summaries(t, after, "bob")))
	h.awaitIDs(result.ID([]byte("ann"))+".0", result.ID([]byte("bob"))+".0")
	require.Equal(t, "ann\t0.5\t\\N\nbob\t\\N\t0.5", h.inLake("SELECT user_id, score, rating FROM LAKE ORDER BY user_id SETTINGS schema_inference_mode = 'union'"))
}

func TestWhatASenderCallsAResultIsAnEvent(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.x.consume(t.Context(), summaries(t, visits(), "ann")))
	h.awaitIDs("")
	for _, rows := range h.files() {
		require.Len(t, rows, 1)
		require.Contains(t, rows[0]["properties"].String(), `"pages":3`)
		require.NotContains(t, rows[0], "pages")
	}
	h.cfg.Results.Accept = result.AcceptAny
	require.NoError(t, h.x.consume(t.Context(), summaries(t, visits(), "ann")))
	h.awaitIDs("", result.ID([]byte("ann"))+".0")
}
