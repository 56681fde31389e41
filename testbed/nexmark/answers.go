// SPDX-License-Identifier: Apache-2.0

package nexmark

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/oracle"
)

// Rules are what the queries in configs/nexmark say of time: MaxFutureSkew is the processor's default.
var Rules = oracle.Rules{MaxOutOfOrderness: 4 * time.Second, MaxFutureSkew: 10 * time.Minute}

// Query is one of configs/nexmark, and what its answer must be.
type Query struct {
	Name     string // such as q5: the file's, and that of its pipeline logs/q5
	Table    string
	Columns  []string
	Key      int    // how many columns say which row it is
	Select   string // the columns from Table
	Expected func(records []oracle.Record, partitions int) [][]string
	// SQL asks for the same from raw records.
	SQL func(oracle.SQL) string
}

// Answer is the SELECT of the query's rows.
func (q *Query) Answer() string { return "SELECT " + q.Select + " FROM " + q.Table + " ORDER BY ALL" }

const spanColumns = "toUnixTimestamp64Nano(window_start), toUnixTimestamp64Nano(window_end), "

// Queries are those that there are configurations for.
var Queries = []Query{
	{
		// auction is one of those with the most bids: see Settle.
		Name: "q5", Table: "nexmark_q5", Columns: []string{"start", "end", "bids", "auction", "auctions", "all_bids"}, Key: 2,
		Select: "toUnixTimestamp64Nano(window_end) - 10000000000, toUnixTimestamp64Nano(window_end), bids, auction, auctions, all_bids",
		Expected: func(records []oracle.Record, partitions int) [][]string {
			var rows [][]string
			groups := closed(records, partitions, oracle.Hopping(10*time.Second, 2*time.Second), "auction")
			for len(groups) > 0 {
				n := slices.IndexFunc(groups, func(g oracle.Group) bool { return g.Span != groups[0].Span })
				if n < 0 {
					n = len(groups)
				}
				most, all := 0, 0
				for _, g := range groups[:n] {
					most, all = max(most, len(g.Events)), all+len(g.Events)
				}
				var hot []string
				for _, g := range groups[:n] {
					if len(g.Events) == most {
						hot = append(hot, g.Key)
					}
				}
				slices.Sort(hot)
				rows = append(rows, texts(groups[0].Start, groups[0].End, most, strings.Join(hot, "|"), n, all))
				groups = groups[n:]
			}
			return rows
		},
		SQL: func(s oracle.SQL) string {
			bids := s.Windows(oracle.WindowQuery{
				Window: oracle.Hopping(10*time.Second, 2*time.Second), Where: "name = 'bid'", GroupBy: []string{"attributes['auction'] AS auction"}, Select: []string{"count() AS bids"},
			})
			return "SELECT start, end, max(bids) AS most, arrayStringConcat(arraySort(groupArrayIf(auction, bids = greatest)), '|'), count(), sum(bids) FROM " +
				"(SELECT *, max(bids) OVER (PARTITION BY start) AS greatest FROM (" + bids + ")) GROUP BY start, end ORDER BY ALL"
		},
	},
	{
		Name: "q7", Table: "nexmark_q7", Columns: []string{"start", "end", "price", "auction", "bidder", "bids"}, Key: 2,
		Select: spanColumns + "price, auction, bidder, bids",
		Expected: func(records []oracle.Record, partitions int) [][]string {
			var rows [][]string
			for _, g := range closed(records, partitions, oracle.Tumbling(10*time.Second), "") {
				best := slices.MinFunc(g.Events, func(a, b oracle.Event) int {
					return cmp.Or(cmp.Compare(b.Int("price"), a.Int("price")), cmp.Compare(a.Time, b.Time), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Position, b.Position))
				})
				rows = append(rows, texts(g.Start, g.End, best.Int("price"), best.Int("auction"), best.Int("bidder"), len(g.Events)))
			}
			return rows
		},
		SQL: func(s oracle.SQL) string {
			const first = "(-toInt64(attributes['price']), time, partition, position)"
			return s.Windows(oracle.WindowQuery{Window: oracle.Tumbling(10 * time.Second), Where: "name = 'bid'", Select: []string{
				"max(toInt64(attributes['price']))", "argMin(attributes['auction'], " + first + ")", "argMin(attributes['bidder'], " + first + ")", "count()",
			}})
		},
	},
	{
		Name: "q11", Table: "nexmark_q11", Columns: []string{"bidder", "start", "end", "bids"}, Key: 2,
		Select: "bidder, toUnixTimestamp64Nano(window_start), toUnixTimestamp64Nano(window_end), bids",
		Expected: func(records []oracle.Record, partitions int) [][]string {
			const gap = 10 * time.Second
			var rows [][]string
			least := oracle.Watermark(records, partitions, Rules)
			for _, s := range oracle.Sessions(bids(records), oracle.SessionRules{Gap: gap}, by("bidder")) {
				if s.Closed(least, gap) {
					rows = append(rows, texts(s.Key, s.Start, s.End+int64(gap), len(s.Events)))
				}
			}
			return rows
		},
		SQL: func(s oracle.SQL) string {
			return "SELECT key, start, end + 10000000000, bids FROM (" + s.Sessions(oracle.SessionQuery{
				Gap: 10 * time.Second, Where: "name = 'bid'", Key: "attributes['bidder']", Select: []string{"count() AS bids"},
			}) + ") WHERE end + 10000000000 < " + s.Watermark()
		},
	},
	{
		Name: "q12", Table: "nexmark_q12", Columns: []string{"start", "end", "bidder", "bids"}, Key: 3,
		Select: spanColumns + "bidder, bids",
		Expected: func(records []oracle.Record, partitions int) [][]string {
			var rows [][]string
			groups := oracle.Windows(oracle.Only(oracle.Judge(records, Rules), "bid"), oracle.Tumbling(ProcessingWindow), oracle.AppendTime, by("bidder"))
			for _, g := range oracle.Closed(groups, oracle.ProcessingWatermark(records, partitions)) {
				rows = append(rows, texts(g.Start, g.End, g.Key, len(g.Events)))
			}
			return rows
		},
		SQL: func(s oracle.SQL) string {
			return s.Windows(oracle.WindowQuery{
				Window: oracle.Tumbling(ProcessingWindow), Processing: true, Where: "name = 'bid'", GroupBy: []string{"attributes['bidder'] AS bidder"}, Select: []string{"count()"},
			})
		},
	},
	{
		Name: "sessions", Table: "nexmark_sessions", Columns: []string{"user", "start", "end", "events", "bids"}, Key: 2,
		Select: "user_id, toUnixTimestamp64Nano(session_start), toUnixTimestamp64Nano(session_end), events, bids",
		Expected: func(records []oracle.Record, partitions int) [][]string {
			var rows [][]string
			for _, s := range Sessions(records, partitions) {
				rows = append(rows, texts(s.Key, s.Start, s.End, len(s.Events), len(oracle.Only(s.Events, "bid"))))
			}
			return rows
		},
		SQL: func(s oracle.SQL) string {
			return "SELECT key, start, end, events, bids FROM (" + s.Sessions(oracle.SessionQuery{
				Gap: sessionGap, Key: "attributes['user.id']", Select: []string{"count() AS events", "countIf(name = 'bid') AS bids", "any(partition) AS part"},
			}) + ") AS s INNER JOIN " + s.Watermarks() + " AS w ON w.partition = s.part WHERE end + 10000000000 < w.watermark"
		},
	},
}

const sessionGap = 10 * time.Second

// Sessions of all events of each user that have closed. A user's events are in one partition, whose watermark closes them.
func Sessions(records []oracle.Record, partitions int) []oracle.Session {
	at := oracle.Watermarks(records, partitions, Rules)
	all := oracle.Sessions(oracle.Counted(oracle.Judge(records, Rules)), oracle.SessionRules{Gap: sessionGap}, by("user.id"))
	return slices.DeleteFunc(all, func(s oracle.Session) bool { return !s.Closed(at[s.Events[0].Partition], sessionGap) })
}

// ProcessingWindow is the size of Q12's windows in the answers here: less than the configuration's 10 s, since a test has to wait for it.
const ProcessingWindow = time.Second

// Settle makes rows of a stream's answer comparable. Of several auctions with the most bids Q5 gives one: it is right if it is among the
// wanted ones, which then are written in its place.
func (q *Query) Settle(want, got [][]string) [][]string {
	if q.Name != "q5" {
		return got
	}
	const auction = 3
	hot := map[string]string{}
	for _, row := range want {
		hot[row[1]] = row[auction]
	}
	out := make([][]string, len(got))
	for i, row := range got {
		out[i] = slices.Clone(row)
		if all := hot[row[1]]; slices.Contains(strings.Split(all, "|"), row[auction]) {
			out[i][auction] = all
		}
	}
	return out
}

func bids(records []oracle.Record) []oracle.Event {
	return oracle.Only(oracle.Counted(oracle.Judge(records, Rules)), "bid")
}

// closed are the windows of bids, by an attribute: "" for all in one.
func closed(records []oracle.Record, partitions int, w oracle.Window, attribute string) []oracle.Group {
	return oracle.Closed(oracle.Windows(bids(records), w, oracle.EventTime, by(attribute)), oracle.Watermark(records, partitions, Rules))
}

func by(attribute string) func(*oracle.Event) string {
	return func(e *oracle.Event) string { return e.Text(attribute) }
}

func texts(values ...any) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprint(v)
	}
	return out
}
