// SPDX-License-Identifier: Apache-2.0

package lake

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/testbed/load"
)

const (
	aFile = "event_name=a/date=2026-11-22/hour=13/x.parquet"
	lines = "_catalogue/date=2026-11-22/hour=13/w.jsonl"
)

var footer = map[string]string{
	parquetfile.KeyKind: parquetfile.KindEvents, parquetfile.KeyLog: `[{"incarnation":"i","epoch":1,"pipeline":"p","partition":3,"first":0,"last":9,"rows":2}]`,
	parquetfile.KeyLayout: `{"columns":[{"name":"total","path":["order","total"],"type":"Decimal(18, 2)"}]}`,
}

func TestRowsAreReadBackWithTheirPropertiesWhereTheyWere(t *testing.T) {
	dir := t.TempDir()
	user, total := "u", int64(1250)
	place(t, dir, aFile, parquetOf(t, footer,
		event{ID: "1", Name: "a", Time: at, User: &user, Tenant: "t", Props: `{"n":1.50,"segment.type":"track"}`, Total: &total},
		event{ID: "2", Name: "a", Time: at, Props: `{}`}))
	c := Open(Directory(dir))
	hash := func(props map[string]any) uint64 {
		h, err := load.HashProperties(props)
		require.NoError(t, err)
		return h
	}
	var rows []load.Row
	for r, err := range c.Rows(t.Context()) {
		require.NoError(t, err)
		rows = append(rows, r)
	}
	require.Equal(t, []load.Row{
		{ID: "1", Name: "a", Time: at, User: "u", Tenant: "t", Hashed: true, Hash: hash(map[string]any{"n": 1.5, "order": map[string]any{"total": 12.5}})},
		{ID: "2", Name: "a", Time: at, Hashed: true},
	}, rows)
	require.Empty(t, c.Faults)
	require.EqualValues(t, 2, c.Count)
}

// A catalogue that says something else of a file, or of another, is seen.
func TestTheCatalogueIsHeldAgainstTheFiles(t *testing.T) {
	rows := []event{{ID: "1", Name: "a", Time: at, Received: at, Props: "{}"}, {ID: "2", Name: "a", Time: at + 5, Received: at, Props: "{}"}}
	content := parquetOf(t, footer, rows...)
	stamp := time.Unix(0, at).UTC()
	right := func() map[string]any {
		var log any
		require.NoError(t, json.Unmarshal([]byte(footer[parquetfile.KeyLog]), &log))
		return map[string]any{
			"op": "add", "file": aFile, "kind": "events", "rows": 2, "bytes": len(content), "row_groups": 1, "log": log,
			"min_event_time": stamp, "max_event_time": stamp.Add(5), "min_received_time": stamp, "max_received_time": stamp,
		}
	}
	f := func(want string, catalogue ...map[string]any) {
		t.Helper()
		dir := t.TempDir()
		place(t, dir, aFile, content)
		var text strings.Builder
		for _, l := range catalogue {
			require.NoError(t, json.NewEncoder(&text).Encode(l))
		}
		if text.Len() > 0 {
			place(t, dir, lines, []byte(text.String()))
		}
		c := Open(Directory(dir))
		for _, err := range c.Rows(t.Context()) {
			require.NoError(t, err)
		}
		require.NoError(t, c.CheckCatalogue(t.Context()))
		if want == "" {
			require.Empty(t, c.Faults)
			require.Equal(t, map[Partition]int64{{"i", 1, "p", 3}: 2}, c.Log)
			files, added, err := Counts(t.Context(), Directory(dir))
			require.NoError(t, err)
			require.Equal(t, [2]int{1, 1}, [2]int{files, added})
			return
		}
		require.NotEmpty(t, c.Faults)
		require.Contains(t, c.Faults[0], want)
	}
	but := func(key string, value any) map[string]any {
		l := right()
		l[key] = value
		return l
	}
	f("", right())
	f("has it 0 times")
	f("has it 2 times", right(), right())
	f("which is not there", but("file", "event_name=a/y.parquet"))
	f("which is not there", but("op", "remove"))
	f("rows is 3", but("rows", 3))
	f("bytes is 7", but("bytes", 7))
	f("row_groups is 2", but("row_groups", 2))
	f("kind is failed_events", but("kind", "failed_events"))
	f("max_event_time is", but("max_event_time", stamp))
	f("log is", but("log", []any{}))
}

func TestARowInAnothersFolderIsSeen(t *testing.T) {
	f := func(key, want string) {
		t.Helper()
		dir := t.TempDir()
		place(t, dir, key, parquetOf(t, footer, event{ID: "1", Name: "a/b", Time: at, Props: "{}"}))
		c := Open(Directory(dir))
		for _, err := range c.Rows(t.Context()) {
			require.NoError(t, err)
		}
		if want == "" {
			require.Empty(t, c.Faults)
			return
		}
		require.Len(t, c.Faults, 1)
		require.Contains(t, c.Faults[0], want)
	}
	f("event_name=a%2Fb/date=2026-11-22/hour=13/x.parquet", "")
	f("x.parquet", "")
	f("event_name=b/x.parquet", `event_name is "a/b"`)
	f("date=2026-11-21/x.parquet", `date is "2026-11-22"`)
	f("hour=14/x.parquet", `hour is "13"`)
	f("failed_events/date=1970-01-01/hour=00/x.parquet", "failure is false")
}
