// SPDX-License-Identifier: Apache-2.0

package result

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

// every is a table with a column of every type.
func every() *Table {
	return &Table{
		Name: "every", Description: "Every type.", Key: []string{"tenant", "started", "key"}, Time: "started",
		Columns: []Column{
			{Name: "tenant", Attribute: "tenant.id", Type: String, LowCardinality: true},
			{Name: "key", Type: String},
			{Name: "started", Attribute: "window.start", Type: Timestamp},
			{Name: "n", Type: Int64},
			{Name: "f", Type: Float64, Nullable: true},
			{Name: "b", Type: Bool, Nullable: true},
			{Name: "list", Type: Strings, LowCardinality: true},
			{Name: "counts", Type: Counts},
			{Name: "top", Type: Ranked},
			{Name: "user_id", Attribute: "user.id", Type: String, Nullable: true},
		},
	}
}

func write(t *testing.T) plog.Logs {
	t.Helper()
	var raw []byte
	w, err := NewWriter(every(), func(b []byte) { raw = append(raw, b...) })
	require.NoError(t, err)
	for i, tenant := range []string{"b", "a", "b"} {
		w.Row(Head{Event: "every.thing", Time: 1_700_000_000_000_000_000 + int64(i), ID: ID([]byte{byte(i)}), Timing: OnTime, Index: uint32(i)})
		w.Str(0, tenant)
		w.Str(1, "k")
		w.Time(2, 1_700_000_000_000_000_000)
		w.Int(3, -int64(i))
		if i == 0 {
			w.Float(4, 1.5)
			w.Bool(5, true)
			w.Strs(6, []string{"x", "", "x"})
			w.Counts(7, []Count{{"z", 1}, {"a", 2}, {"z", 3}})
			w.Ranked(8, []Count{{"second", 2}, {"first", 1}})
			w.Str(9, "u")
		}
	}
	require.NoError(t, w.Flush())
	ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(raw)
	require.NoError(t, err)
	return ld
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	ld := write(t)
	scopes := Tables(ld)
	require.Len(t, scopes, 2)
	require.Equal(t, every(), scopes[0].Table)
	var r event.Reader
	r.Reset(event.FromLogs(ld))
	reader := NewReader(scopes[0].Table)
	var rows []string
	for e := r.Next(); e != nil; e = r.Next() {
		row, err := reader.Read(e)
		require.NoError(t, err)
		text := e.Tenant + " " + row.ID[:4] + " " + row.Timing
		for _, v := range row.Values {
			b, err := v.AppendJSON(nil)
			require.NoError(t, err)
			text += " " + string(b)
		}
		rows = append(rows, text)
	}
	require.Equal(t, []string{
		`b e64c on_time "b" "k" 1700000000000000000 0 1.5 true ["x","","x"] {"a":2,"z":3} [{"value":"second","count":2},{"value":"first","count":1}] "u"`,
		`b 5737 on_time "b" "k" 1700000000000000000 -2 null null null null null null`,
		`a bd87 on_time "a" "k" 1700000000000000000 -1 null null null null null null`,
	}, rows)
}
