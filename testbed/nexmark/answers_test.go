// SPDX-License-Identifier: Apache-2.0

package nexmark

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/oracle"
)

const partitions = 4

// inLog lays a stream into partitions as event_log does: each event once, in the order of arrival. Each is appended a millisecond after
// the one before.
func inLog(t *testing.T, cfg Config) []oracle.Record {
	t.Helper()
	g := generator(t, cfg)
	cfg = g.Config()
	var out []oracle.Record
	next := make([]uint64, partitions)
	known := map[string]bool{}
	at := cfg.Start.Add(time.Hour).UnixNano()
	add := func(lr plog.LogRecord) {
		at += millisecond
		r := oracle.Record{Appended: at, Time: int64(lr.Timestamp()), Name: lr.EventName(), Attributes: lr.Attributes().AsRaw()}
		r.ID = r.Text("log.record.uid")
		if known[r.ID] {
			return
		}
		known[r.ID] = true
		r.Partition = uint32(PartitionOf(r.Text("user.id"), partitions))
		r.Position = next[r.Partition]
		next[r.Partition]++
		out = append(out, r)
	}
	for {
		ld, err := g.Logs(1000)
		require.NoError(t, err)
		if ld.LogRecordCount() == 0 {
			break
		}
		for _, lr := range records(ld) {
			add(lr)
		}
	}
	end := cfg.Start.Add(time.Duration(float64(cfg.Events) / cfg.Rate * 1e9)).Add(time.Minute)
	ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(Closing(cfg.Seed, end, 64))
	require.NoError(t, err)
	at += int64(time.Minute)
	for _, lr := range records(ld) {
		add(lr)
	}
	return out
}

// faulty is a stream with all that can go wrong.
var faulty = Config{
	Seed: 11, Events: 20_000, Rate: 300, OutOfOrderGroup: 500, Duplicates: 0.05, Late: 0.05, Future: 0.005,
	ActivePeople: 200, RepeatWithin: 5 * time.Second, LateBy: 20 * time.Second,
}

// The two oracles are written apart; where they agree, a mistake would have to be in both.
func TestBothOraclesGiveTheSameAnswers(t *testing.T) {
	engine := enginetest.Start(t)
	ch := &chhttp.Client{URL: "http://" + engine.HTTPAddr, Database: engine.Database}
	defer ch.Close()
	for _, cfg := range []Config{{Seed: 10, Events: 10_000, Rate: 300}, faulty} {
		records := inLog(t, cfg)
		late := 0
		for _, e := range oracle.Judge(records, Rules) {
			if e.Verdict == oracle.Late {
				late++
			}
		}
		require.Equal(t, cfg.Late > 0, late > 0)
		require.NoError(t, oracle.Store(t.Context(), ch, "records", records))
		for _, q := range Queries {
			want := q.Expected(records, partitions)
			require.NotEmpty(t, want, q.Name)
			_, got, err := oracle.Rows(t.Context(), ch, q.SQL(oracle.SQL{Table: "records", Rules: Rules, Partitions: partitions}))
			require.NoError(t, err, q.Name)
			require.Empty(t, oracle.Diff(q.Columns, q.Key, want, got), q.Name)
		}
	}
}

// Whatever the order of arrival, as long as nothing is late, event time gives the same answer.
func TestAnswersDoNotDependOnDisorder(t *testing.T) {
	cfg := Config{Seed: 12, Events: 8000, Rate: 300}
	ordered := inLog(t, cfg)
	cfg.Duplicates, cfg.Late, cfg.LateBy = 0.1, 0.2, 3*time.Second
	shuffled := inLog(t, cfg)
	for _, q := range []Query{Queries[0], Queries[1], Queries[2], Queries[4]} { // Q12 is of arrival
		require.Empty(t, oracle.Diff(q.Columns, q.Key, q.Expected(ordered, partitions), q.Expected(shuffled, partitions)), q.Name)
	}
}

func TestAnyAuctionWithTheMostBidsIsRight(t *testing.T) {
	q := Queries[0]
	row := func(auction string) [][]string { return [][]string{{"0", "10", "3", auction, "5", "9"}} }
	want := row("1003|1007")
	require.Empty(t, oracle.Diff(q.Columns, q.Key, want, q.Settle(want, row("1007"))))
	require.NotEmpty(t, oracle.Diff(q.Columns, q.Key, want, q.Settle(want, row("1004"))))
}

func TestUsersAreSpreadOverAllPartitions(t *testing.T) {
	counts := make([]int, partitions)
	for user := range 1000 {
		counts[PartitionOf(strconv.Itoa(firstID+user), partitions)]++
	}
	for _, n := range counts {
		require.Greater(t, n, 200)
	}
}
