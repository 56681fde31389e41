// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/segmentlog"
	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/enginetest"
)

const second = int64(time.Second)

// line reads records of one partition: "a1 b5 tick9 c3" are events of keys a, b and c, and a tick, at that second. An exclamation mark
// behind makes an event's append time 10 s earlier than its time; all others are appended at 1000 s.
func line(partition uint32, text string) (out []Record) {
	for i, word := range strings.Fields(text) {
		r := Record{Partition: partition, Position: uint64(i), Appended: 1000 * second}
		var seconds int64
		if rest, ok := strings.CutPrefix(word, "tick"); ok {
			r.Tick = true
			word = "_" + rest
		}
		if _, err := fmt.Sscanf(strings.TrimSuffix(word[1:], "!"), "%d", &seconds); err != nil {
			panic(err)
		}
		r.Time = seconds * second
		if !r.Tick {
			r.Name, r.ID = "e", fmt.Sprintf("%d/%d", partition, i)
			r.Attributes = map[string]any{"key": word[:1], "n": int64(i)}
		}
		if strings.HasSuffix(word, "!") {
			r.Appended = r.Time - 10*second
		}
		out = append(out, r)
	}
	return out
}

func lines(texts ...string) (out []Record) {
	for p, text := range texts {
		out = append(out, line(uint32(p), text)...)
	}
	return out
}

func byKey(e *Event) string { return e.Text("key") }

func TestAnEventIsLateByWhatLiesBeforeItInItsPartition(t *testing.T) {
	f := func(rules Rules, want string, partitions ...string) {
		t.Helper()
		var got []string
		for _, e := range Judge(lines(partitions...), rules) {
			got = append(got, fmt.Sprintf("%s%d:%s", e.Text("key"), e.Time/second, e.Verdict))
		}
		require.Equal(t, want, strings.Join(got, " "))
	}
	plain := Rules{MaxOutOfOrderness: 5 * time.Second}
	f(plain, "a10:on_time a5:on_time a4:late a11:on_time a5:late", "a10 a5 a4 a11 a5")
	f(plain, "a10:on_time b1:on_time", "a10", "b1")              // each partition by its own
	f(plain, "a1:on_time a6:late a7:on_time", "a1 tick12 a6 a7") // a tick raises
	f(plain, "a1:on_time a0:on_time", "a1 tick0 a0")             // one that nobody was active for does not
	f(plain, "a10:on_time", "tick0 a10")
	f(Rules{MaxOutOfOrderness: 5 * time.Second, AllowedLateness: 2 * time.Second}, "a10:on_time a4:on_time a3:on_time a2:late", "a10 a4 a3 a2")
	f(Rules{MaxOutOfOrderness: 5 * time.Second, MaxFutureSkew: 9 * time.Second}, "a10:on_time a50:future a9:on_time a44:on_time", "a10 a50! a9 a44")
	f(Rules{MaxFutureSkew: 10 * time.Second}, "a50:on_time a49:on_time a39:late", "a50! a49 a39") // as far ahead as allowed: it moves to when it came
}

func TestTheLeastPartitionClosesAndOneThatShowedNothingHoldsBackAll(t *testing.T) {
	f := func(want int64, partitions ...string) {
		t.Helper()
		rules := Rules{MaxOutOfOrderness: 2 * time.Second, MaxFutureSkew: time.Second}
		require.Equal(t, want, Watermark(lines(partitions...), len(partitions), rules))
	}
	f(8*second, "a10", "a11")
	f(3*second, "a10 a12 a3", "a5")
	f(9*second, "a15", "a5 tick11")
	f(Nothing, "a15", "")
	f(Nothing, "a15", "tick0")
	f(8*second, "a10 a50!", "a20")
}

func TestWindows(t *testing.T) {
	f := func(w Window, at int64, want ...int64) {
		t.Helper()
		var got []int64
		for _, s := range w.Spans(at * second) {
			got = append(got, s.Start/second, s.End/second)
		}
		require.Equal(t, want, got)
	}
	f(Tumbling(10*time.Second), 0, 0, 10)
	f(Tumbling(10*time.Second), 9, 0, 10)
	f(Tumbling(10*time.Second), 10, 10, 20)
	f(Tumbling(10*time.Second), -1, -10, 0)
	f(Window{Size: 10 * time.Second, Slide: 10 * time.Second, Offset: 3 * time.Second}, 12, 3, 13)
	f(Window{Size: 10 * time.Second, Slide: 10 * time.Second, Offset: 3 * time.Second}, 2, -7, 3)
	f(Hopping(10*time.Second, 2*time.Second), 10, 2, 12, 4, 14, 6, 16, 8, 18, 10, 20)
	f(Hopping(10*time.Second, 2*time.Second), 11, 2, 12, 4, 14, 6, 16, 8, 18, 10, 20)
	f(Hopping(5*time.Second, 2*time.Second), 10, 6, 11, 8, 13, 10, 15)
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	long := Window{Days: berlin}.Spans(time.Date(2026, 10, 25, 12, 0, 0, 0, berlin).UnixNano()) // the clock goes back
	require.Equal(t, int64(25*time.Hour), long[0].End-long[0].Start)
}

func TestGroupsOfWindows(t *testing.T) {
	f := func(w Window, watermark int64, want string, partitions ...string) {
		t.Helper()
		var got []string
		for _, g := range Closed(Windows(Judge(lines(partitions...), Rules{MaxOutOfOrderness: time.Hour}), w, EventTime, byKey), watermark*second) {
			got = append(got, fmt.Sprintf("%d-%d:%s%d", g.Start/second, g.End/second, g.Key, len(g.Events)))
		}
		require.Equal(t, want, strings.Join(got, " "))
	}
	f(Tumbling(10*time.Second), 100, "0-10:a2 0-10:b1 10-20:a1", "a1 a10 b3", "a2")
	f(Tumbling(10*time.Second), 19, "0-10:a2 0-10:b1", "a1 a10 b3", "a2")
	f(Tumbling(10*time.Second), 20, "0-10:a2 0-10:b1 10-20:a1", "a1 a10 b3", "a2")
	f(Hopping(4*time.Second, 2*time.Second), 100, "-2-2:a1 0-4:a2 2-6:a1", "a1", "a3")
}

func TestSessions(t *testing.T) {
	zone := time.FixedZone("an hour ahead", 3600)
	f := func(rules SessionRules, want string, partitions ...string) {
		t.Helper()
		var got []string
		for _, s := range Sessions(Judge(lines(partitions...), Rules{MaxOutOfOrderness: 1000 * time.Hour}), rules, byKey) {
			got = append(got, fmt.Sprintf("%s%d-%d:%d", s.Key, s.Start/second, s.End/second, len(s.Events)))
		}
		require.Equal(t, want, strings.Join(got, " "))
	}
	gap := SessionRules{Gap: 10 * time.Second}
	f(gap, "a0-20:3", "a0 a10 a20")          // as far apart as the gap is together
	f(gap, "a0-10:2 a21-21:1", "a0 a10 a21") // one more is not
	f(gap, "a0-20:3", "a0 a20 a10")          // what comes late bridges
	f(gap, "a0-0:1 b5-5:1", "a0 b5")         // each key by its own
	f(gap, "a0-5:2", "a0", "a5")             // from wherever they come
	f(gap, "a3-3:2", "a3 a3")                // at one time
	long := SessionRules{Gap: 10 * time.Second, MaxDuration: 15 * time.Second}
	f(long, "a0-10:3 a15-25:3 a30-30:1", "a0 a5 a10 a15 a20 a25 a30")
	f(long, "a0-10:3 a15-25:3 a30-30:1", "a30 a20 a10 a0 a25 a15 a5")
	f(SessionRules{Gap: 2 * time.Hour, Midnight: zone}, "a82799-82799:1 a82800-82805:2", "a82799 a82800 a82805") // 23:00 UTC
	cut := SessionRules{Gap: 10 * time.Second, Cut: func(_, e *Event) bool { return e.Int("n") == 2 }}
	f(cut, "a0-1:2 a2-3:2", "a0 a1 a2 a3")
}

func TestADiffSaysWhichRowsAndWhatIsOtherInThem(t *testing.T) {
	f := func(want string, wanted, got [][]string) {
		t.Helper()
		require.Equal(t, want, Diff([]string{"key", "n"}, 1, wanted, got))
	}
	f("", nil, nil)
	f("", [][]string{{"a", "1"}, {"b", "2"}}, [][]string{{"b", "2"}, {"a", "1"}})
	f("1 rows are missing, 0 unexpected, 0 others than they should be:\nmissing     key=b n=2", [][]string{{"a", "1"}, {"b", "2"}}, [][]string{{"a", "1"}})
	f("0 rows are missing, 1 unexpected, 0 others than they should be:\nunexpected  key=a n=1", [][]string{{"b", "2"}}, [][]string{{"b", "2"}, {"a", "1"}})
	f("0 rows are missing, 0 unexpected, 1 others than they should be:\nother       key=a n: want 1, got 3", [][]string{{"a", "1"}}, [][]string{{"a", "3"}})
	f("0 rows are missing, 1 unexpected, 0 others than they should be:\nunexpected  key=a n=1", [][]string{{"a", "1"}}, [][]string{{"a", "1"}, {"a", "1"}})
}

func client(e *enginetest.Engine) *chhttp.Client {
	return &chhttp.Client{URL: "http://" + e.HTTPAddr, User: e.User, Password: e.Password, Database: e.Database}
}

// Both oracles must say the same of random streams with all that can go wrong in them.
func TestSQLSaysTheSame(t *testing.T) {
	engine := enginetest.Start(t)
	ch := client(engine)
	defer ch.Close()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	const partitions = 3
	for seed := range uint64(8) {
		rules := Rules{MaxOutOfOrderness: 20 * time.Second, AllowedLateness: time.Duration(seed%2) * 10 * time.Second, MaxFutureSkew: time.Minute}
		records := randomRecords(seed, partitions)
		require.NoError(t, Store(t.Context(), ch, "records", records))
		sql := SQL{Table: "records", Rules: rules, Partitions: partitions}
		events := Judge(records, rules)
		ask := func(q string) [][]string {
			t.Helper()
			_, rows, err := Rows(context.Background(), ch, q)
			require.NoError(t, err, q)
			return rows
		}
		same := func(what string, columns []string, want [][]string, q string) {
			t.Helper()
			require.NotEmpty(t, want, what)
			require.Empty(t, Diff(columns, 2, want, ask(q)), "seed %d: %s", seed, what)
		}

		var verdicts [][]string
		found := map[Verdict]int{}
		for _, e := range events {
			verdicts = append(verdicts, []string{fmt.Sprint(e.Partition), fmt.Sprint(e.Position), string(e.Verdict)})
			found[e.Verdict]++
		}
		require.Len(t, found, 3, "a stream without late or future events shows little")
		same("verdicts", []string{"partition", "position", "verdict"}, verdicts, "SELECT partition, position, verdict FROM "+sql.Judged())
		least := Watermark(records, partitions, rules)
		require.NotEqual(t, int64(Nothing), least)
		require.Equal(t, [][]string{{fmt.Sprint(least)}}, ask("SELECT "+sql.Watermark()))
		require.Equal(t, [][]string{{fmt.Sprint(ProcessingWatermark(records, partitions))}}, ask("SELECT "+sql.ProcessingWatermark()))

		counted := Counted(events)
		for name, w := range map[string]Window{
			"tumbling": {Size: 10 * time.Second, Slide: 10 * time.Second, Offset: 3 * time.Second},
			"hopping":  Hopping(10*time.Second, 2*time.Second), "uneven": Hopping(7*time.Second, 3*time.Second),
		} {
			same(name, []string{"start", "end", "key", "events", "sum"}, rowsOf(Closed(Windows(counted, w, EventTime, byKey), least)),
				sql.Windows(WindowQuery{Window: w, GroupBy: []string{"attributes['key'] AS key"}, Select: []string{"count() AS events", "sum(toInt64(attributes['n'])) AS sum"}}))
		}
		same("processing time", []string{"start", "end", "key", "events", "sum"},
			rowsOf(Closed(Windows(events, Tumbling(10*time.Second), AppendTime, byKey), ProcessingWatermark(records, partitions))),
			sql.Windows(WindowQuery{Window: Tumbling(10 * time.Second), Processing: true, GroupBy: []string{"attributes['key'] AS key"}, Select: []string{"count()", "sum(toInt64(attributes['n']))"}}))
		var days [][]string
		for _, g := range Windows(counted, Window{Days: berlin}, EventTime, byKey) {
			if g.End <= least {
				days = append(days, []string{fmt.Sprint(g.Start), fmt.Sprint(g.End), g.Key})
			}
		}
		same("days", []string{"start", "end", "key"}, days, sql.Windows(WindowQuery{Window: Window{Days: berlin}, GroupBy: []string{"attributes['key'] AS key"}}))

		var sessions [][]string
		for _, s := range Sessions(counted, SessionRules{Gap: 3 * time.Second, MaxDuration: 8 * time.Second, Midnight: berlin, Cut: func(_, e *Event) bool { return e.Int("n")%50 == 0 }}, byKey) {
			sessions = append(sessions, []string{s.Key, fmt.Sprint(s.Start), fmt.Sprint(s.End), fmt.Sprint(len(s.Events)), s.Events[0].ID})
		}
		same("sessions", []string{"key", "start", "end", "events", "first"}, sessions, sql.Sessions(SessionQuery{
			Gap: 3 * time.Second, MaxDuration: 8 * time.Second, Midnight: berlin, Cut: "toInt64(attributes['n']) % 50 = 0", Key: "attributes['key']",
			Select: []string{"count()", "argMin(id, (time, partition, position))"},
		}))
	}
}

func rowsOf(groups []Group) (rows [][]string) {
	for _, g := range groups {
		sum := int64(0)
		for _, e := range g.Events {
			sum += e.Int("n")
		}
		rows = append(rows, []string{fmt.Sprint(g.Start), fmt.Sprint(g.End), g.Key, fmt.Sprint(len(g.Events)), fmt.Sprint(sum)})
	}
	return rows
}

// randomRecords are around a midnight of Berlin, out of order, with late and future events and ticks.
func randomRecords(seed uint64, partitions int) (records []Record) {
	r := rand.New(rand.NewPCG(seed, 5))
	start := time.Date(2026, 2, 3, 22, 58, 0, 0, time.UTC).UnixNano()
	for p := range partitions {
		now, appended := start, start+int64(time.Hour)
		for i := range 300 {
			now += r.Int64N(2 * second)
			if i > 20 { // all begin together
				appended += r.Int64N(second)
			}
			e := Record{Partition: uint32(p), Position: uint64(i), Appended: appended, Time: now - r.Int64N(10*second), Name: "e", ID: fmt.Sprintf("%d/%d", p, i)}
			e.Attributes = map[string]any{"key": string(rune('a' + r.IntN(5))), "n": r.Int64N(1000)}
			switch r.IntN(30) {
			case 0:
				e.Time -= r.Int64N(60 * second)
			case 1:
				e.Time += int64(2 * time.Hour)
			case 2:
				e = Record{Partition: uint32(p), Position: uint64(i), Appended: appended, Tick: true, Time: now + r.Int64N(5*second)}
			case 3:
				e = Record{Partition: uint32(p), Position: uint64(i), Appended: appended, Tick: true}
			}
			records = append(records, e)
		}
	}
	// A day later, so that days close.
	for p := range partitions {
		records = append(records, Record{
			Partition: uint32(p), Position: 300, Appended: start + int64(48*time.Hour), Time: start + int64(47*time.Hour), Name: "e",
			ID: "last", Attributes: map[string]any{"key": "z", "n": int64(1)},
		})
	}
	return records
}

func TestReadLogReturnsWhatWasAppended(t *testing.T) {
	dir := t.TempDir()
	log, err := segmentlog.Open(dir+"/segments", segmentlog.Options{Partitions: 2})
	require.NoError(t, err)
	chunk := func(partition uint32, names ...string) segmentlog.Chunk {
		ld := plog.NewLogs()
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("tenant.id", "shop")
		for i, name := range names {
			lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
			lr.SetEventName(name)
			lr.SetObservedTimestamp(7)
			if i > 0 {
				lr.SetTimestamp(5)
			}
			lr.Attributes().PutStr("log.record.uid", "id-"+name)
			lr.Attributes().PutInt("n", int64(i))
		}
		data, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
		require.NoError(t, err)
		return segmentlog.Chunk{Partition: partition, Records: uint32(len(names)), Data: data}
	}
	var appended []int64
	for _, e := range []segmentlog.Entry{
		{Chunks: []segmentlog.Chunk{chunk(0, "a", "b"), chunk(1, "c")}},
		{Chunks: []segmentlog.Chunk{{Partition: 1, Records: 1, Kind: segmentlog.Tick, EventTime: 9}}},
		{Chunks: []segmentlog.Chunk{chunk(1, "d")}},
	} {
		receipt, err := log.Append(t.Context(), &e)
		require.NoError(t, err)
		appended = append(appended, receipt.Appended)
	}
	require.NoError(t, log.Close())

	records, err := ReadLog(dir, 2)
	require.NoError(t, err)
	event := func(partition uint32, position uint64, at int64, name string, time, n int64) Record {
		return Record{Partition: partition, Position: position, Appended: at, Time: time, Name: name, ID: "id-" + name, Tenant: "shop", Attributes: map[string]any{
			"log.record.uid": "id-" + name, "n": n, "tenant.id": "shop",
		}}
	}
	inside := func(r Record, offset uint64) Record {
		r.Offset = offset
		return r
	}
	require.Equal(t, []Record{
		event(0, 0, appended[0], "a", 7, 0), inside(event(0, 1, appended[0], "b", 5, 1), 1),
		event(1, 0, appended[0], "c", 7, 0), {Partition: 1, Position: 1, Appended: appended[1], Tick: true, Time: 9}, event(1, 2, appended[2], "d", 7, 0),
	}, records)
	require.True(t, slices.IsSorted(appended))
}
