// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/result"
)

func TestResultsComeBackWithTheTableThatTheyCarry(t *testing.T) {
	table := &result.Table{
		Name: "visits", Key: []string{"visitor"}, Description: "Who was here.",
		Columns: []result.Column{
			{Name: "tenant", Attribute: "tenant.id", Type: result.String},
			{Name: "visitor", Attribute: "user.id", Type: result.String},
			{Name: "started", Attribute: "window.start", Type: result.Timestamp},
			{Name: "pages", Type: result.Int64},
			{Name: "score", Type: result.Float64, Nullable: true},
			{Name: "event_name", Attribute: "group.event.name", Type: result.String, LowCardinality: true},
			{Name: "tags", Type: result.Strings, LowCardinality: true},
			{Name: "event_counts", Type: result.Counts},
			{Name: "top", Type: result.Ranked},
		},
	}
	logs := plog.NewLogs()
	w, err := result.NewWriter(table, func(raw []byte) {
		var err error
		logs, err = delivery.DecodeOutbox(delivery.OutboxBatch{Logs: raw})
		require.NoError(t, err)
	})
	require.NoError(t, err)
	for i := range 3 {
		w.Row(result.Head{Event: "visit.end", Time: 1_800_000_000_000_000_000, ID: result.ID([]byte{byte(i)}), Timing: result.Late, Index: uint32(i)})
		w.Str(0, "acme")
		w.Str(1, fmt.Sprint("v", i))
		w.Time(2, 1_799_999_999_000_000_000+int64(i))
		w.Int(3, int64(i))
		if i > 0 {
			w.Float(4, 0.5)
			w.Str(5, "viewed")
			w.Strs(6, []string{"a", "b"})
			w.Counts(7, []result.Count{{Value: "x", Count: 2}})
			w.Ranked(8, []result.Count{{Value: "/b", Count: 2}, {Value: "/a", Count: 1}})
		}
	}
	require.NoError(t, w.Flush())

	l, err := columns.ForResults(table, nil)
	require.NoError(t, err)
	rows := columns.NewEvents(l, "String")
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	for e := r.Next(); e != nil; e = r.Next() {
		e.ID = result.EventID(e)
		require.Nil(t, rows.Add(e, r.ResourceIndex()))
	}
	block := columns.AppendBlock(nil, rows.Rows(), append(rows.Envelope(), rows.Typed()...))
	world := newWorld(t, map[string][]byte{"event_name=visit.end/a.parquet": fileOf(t, columns.Fields(l), 100, [][]byte{block}, map[string]string{
		parquetfile.KeyKind: parquetfile.KindEvents, parquetfile.KeyDataset: "visits", parquetfile.KeyLayout: footer(t, l),
	})})
	world.run()
	back, times := world.sink.all()
	require.Len(t, times, 3)
	require.Equal(t, texts(t, logs, table), texts(t, back, table))
}

// texts are the results of a batch, with the values of all columns.
func texts(t *testing.T, logs plog.Logs, table *result.Table) []string {
	t.Helper()
	scopes := result.Tables(logs)
	require.Len(t, scopes, 1)
	require.Equal(t, table, scopes[0].Table)
	var out []string
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	reader := result.NewReader(scopes[0].Table)
	for e := r.Next(); e != nil; e = r.Next() {
		row, err := reader.Read(e)
		require.NoError(t, err)
		text := fmt.Sprint(e.Name, e.Time, e.Received, result.EventID(e), row.Timing, row.Index)
		for _, v := range row.Values {
			json, err := v.AppendJSON(nil)
			require.NoError(t, err)
			text += " " + string(json)
		}
		out = append(out, text)
	}
	return out
}
