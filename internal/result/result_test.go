// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

// every is a table with a column of every type.
func every() *Table {
	return &Table{
		Name: "every", Description: "Every type.", Key: []string{"tenant", "started", "key"}, Time: "started", TTL: time.Hour,
		Columns: []Column{
			{Name: "tenant", Attribute: "tenant.id", Type: String, LowCardinality: true},
			{Name: "key", Type: String},
			{Name: "started", Attribute: "window.start", Type: Timestamp, Description: "When it began."},
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

const noon = int64(1_700_000_000_000_000_000)

// write returns the bytes of some rows.
func write(t testing.TB) []byte {
	t.Helper()
	var raw []byte
	w, err := NewWriter(every(), func(b []byte) { raw = append(raw, b...) })
	require.NoError(t, err)
	for i, tenant := range []string{"b", "a", "b", ""} {
		w.Row(Head{Event: "every.thing", Time: noon + int64(i), ID: ID([]byte{byte(i)}), Timing: OnTime, Index: uint32(i)})
		w.Str(0, tenant)
		w.Str(1, "k")
		w.Time(2, noon)
		w.Int(3, -int64(i))
		switch i {
		case 0:
			w.Float(4, 1.5)
			w.Bool(5, true)
			w.Strs(6, []string{"x", "", "x"})
			w.Counts(7, []Count{{"z", 1}, {"a", 2}, {"z", 3}})
			w.Ranked(8, []Count{{"second", 2}, {"first", 1}})
			w.Str(9, "u")
		case 1:
			w.Float(4, math.Inf(-1))
			w.Bool(5, false)
			w.Strs(6, nil)
			w.Counts(7, nil)
			w.Ranked(8, nil)
			w.Str(9, "")
		}
	}
	require.Equal(t, 4, w.Rows())
	require.NoError(t, w.Flush())
	return raw
}

func decode(t testing.TB, raw []byte) plog.Logs {
	t.Helper()
	ld, err := delivery.DecodeOutbox(delivery.OutboxBatch{Logs: raw})
	require.NoError(t, err)
	return ld
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	ld := decode(t, write(t))
	scopes := Tables(ld)
	require.Len(t, scopes, 3, "one for each tenant")
	require.Equal(t, every(), scopes[0].Table)
	require.Same(t, scopes[0].Table, scopes[2].Table)
	require.Equal(t, []int{0, 2, 3}, []int{scopes[0].First, scopes[1].First, scopes[2].First})
	var r event.Reader
	r.Reset(event.FromLogs(ld))
	reader := NewReader(scopes[0].Table)
	var rows []string
	for e := r.Next(); e != nil; e = r.Next() {
		require.Equal(t, "every.thing", e.Name)
		require.Equal(t, e.Time, e.Received)
		row, err := reader.Read(e)
		require.NoError(t, err)
		text := fmt.Sprint(e.Tenant, " ", row.ID[:4], " ", row.Timing, " ", row.Index)
		for _, v := range row.Values {
			b, err := v.AppendJSON(nil)
			require.NoError(t, err)
			text += " " + string(b)
		}
		rows = append(rows, text)
	}
	require.Equal(t, []string{
		`b e64c on_time 0 "b" "k" 1700000000000000000 0 1.5 true ["x","","x"] {"a":2,"z":3} [{"value":"second","count":2},{"value":"first","count":1}] "u"`,
		`b 5737 on_time 2 "b" "k" 1700000000000000000 -2 null null null null null null`,
		`a bd87 on_time 1 "a" "k" 1700000000000000000 -1 "-Infinity" false [] {} [] null`,
		` 3c90 on_time 3 null "k" 1700000000000000000 -3 null null null null null null`,
	}, rows)
}

// TestTheBytesStayAsTheyAre: an outbox that an earlier version has committed is sent by a later one, and replays compare bytes.
func TestTheBytesStayAsTheyAre(t *testing.T) {
	path := filepath.Join("testdata", "every.hex")
	got := hex.Dump(write(t))
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o700))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run this test with -update")
	require.Equal(t, string(want), got)
}

func TestBatchesAreCutAtAMebibyteAndLoseNothing(t *testing.T) {
	seen, batches := 0, 0
	w, err := NewWriter(every(), func(raw []byte) {
		batches++
		require.Less(t, len(raw), batchBytes+10_000)
		ld := decode(t, raw)
		for _, s := range Tables(ld) {
			require.NotNil(t, s.Table)
		}
		seen += ld.LogRecordCount()
	})
	require.NoError(t, err)
	const n = 20_000
	for i := range n {
		w.Row(Head{Event: "e", ID: ID([]byte(fmt.Sprint(i))), Timing: Early})
		w.Str(0, fmt.Sprint("tenant ", i%700)) // each needs a header of its own
		w.Str(1, "some key")
	}
	require.NoError(t, w.Flush())
	require.Equal(t, n, seen)
	require.Greater(t, batches, 3)
	require.NoError(t, w.Flush(), "there is nothing left")
}

func TestAMistakeInARowIsAnErrorOfTheFlush(t *testing.T) {
	f := func(want string, do func(w *Writer)) {
		t.Helper()
		w, err := NewWriter(every(), func([]byte) {})
		require.NoError(t, err)
		do(w)
		require.EqualError(t, w.Flush(), "writing results of table every: "+want)
		require.NoError(t, w.Flush())
	}
	row := Head{Event: "e", ID: "1", Timing: Late}
	f("a value was set before the first row", func(w *Writer) { w.Int(3, 1) })
	f("there is no column 10", func(w *Writer) { w.Row(row); w.Int(10, 1) })
	f("there is no column -1", func(w *Writer) { w.Row(row); w.Bool(-1, true) })
	f("column n is of type int64 and not string", func(w *Writer) { w.Row(row); w.Str(3, "1"); w.Time(3, 1) })
	f("column n was set twice in a row", func(w *Writer) { w.Row(row); w.Int(3, 1); w.Row(row); w.Int(3, 1); w.Int(3, 1) })
	f("a row has no event name, ID or timing", func(w *Writer) { w.Row(Head{Event: "e", ID: "1"}) })
}

func TestATableThatIsNoneIsNamed(t *testing.T) {
	f := func(want string, change func(t *Table)) {
		t.Helper()
		table := every()
		change(table)
		require.EqualError(t, table.Validate(), want)
		_, err := NewWriter(table, nil)
		require.Error(t, err)
		_, err = Parse(table.Text())
		require.EqualError(t, err, "reading a result's table: "+want)
	}
	require.NoError(t, every().Validate())
	f(`table "Every" is no name: use lower-case letters, digits and _, begin with a letter, at most 64 bytes`, func(t *Table) { t.Name = "Every" })
	f(`table "a_panes": names that end with _panes are those of the tables behind results: choose another`, func(t *Table) { t.Name = "a_panes" })
	f("table every: it has no columns: give at least those of its key", func(t *Table) { t.Columns = nil })
	f("table every: 501 columns are more than 500: give fewer", func(t *Table) { t.Columns = make([]Column, 501) })
	f("table every: its description is no text of at most 1000 bytes: shorten it", func(t *Table) { t.Description = strings.Repeat("x", 1001) })
	f("table every: the TTL 1ms is out of range: use 1s to 175200h0m0s, or 0 for ever", func(t *Table) { t.TTL = time.Millisecond })
	f("table every: a TTL needs a time column to count from: name one", func(t *Table) { t.Time = "" })
	f(`table every: its time "n" is no column of type timestamp that is not nullable: name one`, func(t *Table) { t.Time = "n" })
	f("table every: it has no key: name the columns that say which result a row is", func(t *Table) { t.Key = nil })
	f(`table every: the key's "x" is no column: name one of its columns`, func(t *Table) { t.Key = []string{"x"} })
	f("table every: column key stands twice in the key: remove one", func(t *Table) { t.Key = []string{"key", "key"} })
	for _, c := range []string{"f", "b", "list", "counts", "top", "user_id"} {
		f("table every: column "+c+" cannot be part of the key: use a text, integer, bool or timestamp that is not nullable", func(t *Table) { t.Key = []string{c} })
	}
	column := func(want string, c Column) {
		t.Helper()
		f("table every: column "+want, func(t *Table) { t.Columns = append(t.Columns, c) })
	}
	column(`"_x" is no name: use lower-case letters, digits and _, begin with a letter, at most 64 bytes`, Column{Name: "_x", Type: Int64})
	column(`"result_id" is one that every result has: choose another name`, Column{Name: "result_id", Type: String})
	column(`"x" has an attribute that is no text of at most 255 bytes: shorten it`, Column{Name: "x", Attribute: strings.Repeat("a", 256), Type: Int64})
	column(`"x" is read from event.name, which says something else of an event: use group.event.name`, Column{Name: "x", Attribute: "event.name", Type: String})
	column(`"x" is read from event.failure.x, which says something else of an event: use group.event.failure.x`, Column{Name: "x", Attribute: "event.failure.x", Type: String})
	column(`"x" has the unknown type "uuid": use string, int64, float64, bool, timestamp, strings, counts or ranked`, Column{Name: "x", Type: "uuid"})
	column(`"x" of type counts cannot be nullable: an absent list is an empty one`, Column{Name: "x", Type: Counts, Nullable: true})
	column(`"x" of type ranked cannot be low_cardinality: that is for texts`, Column{Name: "x", Type: Ranked, LowCardinality: true})
	column("n stands twice: rename one", Column{Name: "n", Attribute: "other", Type: Int64})
	column(`x: another one is read from "n" too: remove one`, Column{Name: "x", Attribute: "n", Type: Int64})
	f(`table every: column "tenant" holds the tenant: use type string`, func(t *Table) { t.Columns[0] = Column{Name: "tenant", Attribute: "tenant.id", Type: Int64} })

	require.Equal(t, "group.event.name", Attribute("event.name"))
	require.Equal(t, "user.id", Attribute("user.id"))
}

func TestATextThatIsNoTableIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "reading a result's table: it is no JSON of one",
		`{"name":1}`:                "reading a result's table: it is no JSON of one",
		every().Text() + "x":        "reading a result's table: something stands behind it",
		`{"ttl":1e99}`:              "reading a result's table: it is no JSON of one",
		strings.Repeat("[", 70_000): "reading a result's table: it has 70000 bytes, more than 65536",
	} {
		_, err := Parse(text)
		require.EqualError(t, err, want)
	}
}

func TestOnlyWhatAStageHasMadeIsAResult(t *testing.T) {
	var own plog.Logs
	fresh := func() plog.Logs {
		ld := plog.NewLogs()
		rl := ld.ResourceLogs().AppendEmpty()
		rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().SetEventName("other")
		decode(t, write(t)).ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
		return ld
	}
	bytesOf := func(ld plog.Logs) []byte {
		raw, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
		require.NoError(t, err)
		return raw
	}
	behindLog := func(stage string) context.Context {
		return delivery.NewContext(t.Context(), delivery.New(delivery.Identity{Incarnation: uuid.New(), Stage: stage}, 1, nil))
	}
	for _, ctx := range []context.Context{t.Context(), behindLog("")} {
		own = fresh()
		before := bytesOf(own)
		ld, refused := AcceptStages.Admit(ctx, own)
		require.Equal(t, 3, refused)
		require.Nil(t, Tables(ld))
		require.Equal(t, own.LogRecordCount(), ld.LogRecordCount())
		require.True(t, bytes.Equal(before, bytesOf(own)), "what was sent is not changed")
		as, refused := AcceptAny.Admit(ctx, own)
		require.Zero(t, refused)
		require.Len(t, Tables(as), 4)
		again, refused := AcceptStages.Admit(ctx, ld)
		require.Zero(t, refused)
		require.Equal(t, ld, again)
	}
	require.NoError(t, AcceptAny.Validate())
	require.EqualError(t, Accept("all").Validate(), `"all" is unknown: use stages, or any where only your own collectors can write`)
	for _, ctx := range []context.Context{Emitted(t.Context()), behindLog("sessionization"), Emitted(behindLog(""))} {
		ld, refused := AcceptStages.Admit(ctx, own)
		require.Zero(t, refused)
		scopes := Tables(ld)
		require.Len(t, scopes, 4)
		require.False(t, scopes[0].IsResult())
		require.Equal(t, 1, scopes[0].Records)
		require.Equal(t, 1, scopes[1].First)
	}
}

func TestADeclarationHasTablesAndNoRecords(t *testing.T) {
	other := &Table{Name: "other", Key: []string{"k"}, Columns: []Column{{Name: "k", Type: String}}}
	ld := Declaration(every(), other)
	require.Zero(t, ld.LogRecordCount())
	scopes := Tables(ld)
	require.Len(t, scopes, 2)
	require.Equal(t, []*Table{every(), other}, []*Table{scopes[0].Table, scopes[1].Table})
	require.Nil(t, Tables(plog.NewLogs()))
}

func TestTablesAreReadOncePerText(t *testing.T) {
	for i := range 2*maxTables + 1 {
		table := every()
		table.Name = fmt.Sprint("t", i)
		first, second := Tables(Declaration(table)), Tables(Declaration(table))
		require.Same(t, first[0].Table, second[0].Table)
	}
	tables.mu.Lock()
	defer tables.mu.Unlock()
	require.LessOrEqual(t, len(tables.of), maxTables)
}

func TestAnIDTellsItsPartsApart(t *testing.T) {
	require.Len(t, ID(), 32)
	require.NotEqual(t, ID([]byte("a"), []byte("bc")), ID([]byte("ab"), []byte("c")))
	require.NotEqual(t, ID([]byte("a")), ID([]byte("a"), nil))
	require.Equal(t, "3b196fd4907bedf51c3090e9835f2f7c", ID([]byte("a")), "rows that are stored are known by it")
}

// FuzzTables reads any text as a table, and any event by it.
func FuzzTables(f *testing.F) {
	f.Add(every().Text(), "n", "x")
	f.Add(`{"name":"a","columns":[{"name":"k","type":"string"}],"key":["k"]}`, "result.id", "1")
	f.Fuzz(func(t *testing.T, text, key, value string) {
		ld := decode(t, write(t))
		scope := ld.ResourceLogs().At(0).ScopeLogs().At(0)
		scope.Scope().Attributes().PutStr(AttributeTable, text)
		scope.LogRecords().At(0).Attributes().PutStr(key, value)
		s := Tables(ld)[0]
		require.NotEqual(t, s.Table == nil, s.Err == nil)
		if s.Table == nil {
			return
		}
		require.NoError(t, s.Table.Validate())
		again, err := Parse(s.Table.Text())
		require.NoError(t, err)
		require.Equal(t, s.Table.Text(), again.Text())
		var r event.Reader
		r.Reset(event.FromLogs(ld))
		_, _ = NewReader(s.Table).Read(r.Next())
	})
}

func BenchmarkWriter(b *testing.B) {
	w, err := NewWriter(every(), func([]byte) {})
	require.NoError(b, err)
	id := ID(nil)
	b.ReportAllocs()
	for b.Loop() {
		w.Row(Head{Event: "every.thing", Time: noon, ID: id, Timing: OnTime})
		w.Str(0, "tenant")
		w.Str(1, "some key")
		w.Time(2, noon)
		w.Int(3, 17)
		w.Float(4, 1.5)
	}
	require.NoError(b, w.Flush())
}
