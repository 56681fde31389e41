// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// ticksOften lets idle partitions follow sooner than the quickstart's five seconds.
var ticksOften = overlay("connectors::event_log::tick_interval: 1s")

// visits makes n events of users of two tenants within an hour, out of order by at most 50 seconds.
func visits(rng *rand.Rand, from time.Time, n int) []plog.Logs {
	type one struct {
		at, arrival time.Time
		tenant      string
		user, name  string
		anonymous   bool
	}
	var all []one
	for range n {
		at := from.Add(time.Duration(rng.Int64N(int64(3 * time.Hour))))
		all = append(all, one{at, at.Add(time.Duration(rng.Int64N(int64(50 * time.Second)))), []string{"a", "b"}[rng.IntN(2)],
			fmt.Sprint("visitor-", rng.IntN(n/12)), []string{"door_opened", "lamp_lit", "door_closed"}[rng.IntN(3)], rng.IntN(3) == 0})
	}
	slices.SortFunc(all, func(a, b one) int { return a.arrival.Compare(b.arrival) })
	var batches []plog.Logs
	for chunk := range slices.Chunk(all, 200) {
		ld := plog.NewLogs()
		byTenant := map[string]plog.LogRecordSlice{}
		for _, v := range chunk {
			records, ok := byTenant[v.tenant]
			if !ok {
				rl := ld.ResourceLogs().AppendEmpty()
				rl.Resource().Attributes().PutStr("tenant.id", v.tenant)
				records = rl.ScopeLogs().AppendEmpty().LogRecords()
				byTenant[v.tenant] = records
			}
			lr := records.AppendEmpty()
			lr.SetEventName(v.name)
			lr.SetTimestamp(pcommon.NewTimestampFromTime(v.at))
			lr.Attributes().PutStr("log.record.uid", newID("visit"))
			if v.anonymous {
				lr.Attributes().PutStr("enduser.pseudo.id", v.user)
			} else {
				lr.Attributes().PutStr("user.id", v.user)
			}
		}
		batches = append(batches, ld)
	}
	return batches
}

// TestTheQuickstartFindsSessionsAndCountsMinutes compares both tables with what SQL computes of all events, through a crash.
func TestTheQuickstartFindsSessionsAndCountsMinutes(t *testing.T) {
	i := startLake(t, "1s", ticksOften)
	require.Equal(t, "0", i.one(t, "SELECT (SELECT count() FROM sessions) + (SELECT count() FROM events_per_minute)"), "the tables are there from the start")
	from := time.Now().Add(-6 * time.Hour).Truncate(time.Hour)
	batches := visits(rand.New(rand.NewPCG(6, 6)), from, 4000)
	for n, ld := range batches {
		if n == len(batches)/2 {
			i.awaitDelivered(t)
			i.end(t, syscall.SIGKILL)
			i.start(t)
		}
		require.NoError(t, sendGRPC(i, ld))
	}
	// One event, hours later, tells that all of it is over: the other partitions follow by their ticks.
	ld, records := events()
	lr := addValid(records, newID("later"))
	lr.SetTimestamp(pcommon.NewTimestampFromTime(from.Add(5 * time.Hour)))
	lr.Attributes().PutStr("user.id", "later")
	require.NoError(t, sendGRPC(i, ld))
	i.awaitDelivered(t)
	const counted = "event_time < toDateTime64('%s', 9, 'UTC')"
	before := fmt.Sprintf(counted, from.Add(4*time.Hour).UTC().Format(time.DateTime))
	require.Equal(t, "4000|0|4000", i.one(t, "SELECT concat(toString(count()), '|', toString(countIf(late)), '|', toString(countIf(session_id != ''))) FROM events WHERE %s", before))

	oracle := i.rows(t, `
		SELECT tenant_id, user_id, anonymous_id, toUnixTimestamp64Nano(min(event_time)) AS s, toUnixTimestamp64Nano(max(event_time)), count(),
			uniqExact(session_id) = 1 + sum(absorbed)
		FROM (
			SELECT tenant_id, user_id, anonymous_id, event_time, session_id, 0 AS absorbed,
				sum(toUInt32(begins)) OVER (PARTITION BY tenant_id, user_id, anonymous_id ORDER BY event_time, event_id) AS number
			FROM (
				SELECT *, event_time - lagInFrame(event_time, 1, event_time) OVER (PARTITION BY tenant_id, user_id, anonymous_id
					ORDER BY event_time, event_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) > 1800 AS begins
				FROM events WHERE %s
			)
		)
		GROUP BY tenant_id, user_id, anonymous_id, number ORDER BY ALL`, before)
	for n := range oracle { // a session that absorbed another has events with two IDs: compared below
		oracle[n] = oracle[n][:strings.LastIndexAny(oracle[n], "\t|")]
	}
	var sessions []string
	await(t, "all sessions to be over", func() bool {
		sessions = i.rows(t, `SELECT tenant_id, user_id, anonymous_id, toUnixTimestamp64Nano(session_start), toUnixTimestamp64Nano(session_end), events
			FROM sessions WHERE user_id != 'later' OR user_id IS NULL ORDER BY ALL`)
		return len(sessions) >= len(oracle)
	})
	require.Equal(t, strings.Join(oracle, "\n"), strings.Join(sessions, "\n"))
	// Each event has one final session, by its ID or one that the session absorbed, and that session has as many events as it says.
	require.Equal(t, "0", i.one(t, `
		SELECT count() FROM (
			SELECT s.session_id AS id, any(s.events) AS said, count() AS n, countIf(e.event_time < s.session_start OR e.event_time > s.session_end) AS outside
			FROM events AS e INNER JOIN (
				SELECT session_id, events, session_start, session_end, arrayJoin(arrayConcat([session_id], absorbed_ids)) AS passed_as FROM sessions
			) AS s ON s.passed_as = e.session_id
			GROUP BY id HAVING said != n OR outside > 0
		)`))

	minutes := i.rows(t, `SELECT toUnixTimestamp(toStartOfMinute(event_time)) AS m, event_name, count(), uniqExact(ifNull(user_id, anonymous_id))
		FROM events WHERE %s GROUP BY m, event_name ORDER BY ALL`, before)
	var windows []string
	await(t, "all minutes to be over", func() bool {
		windows = i.rows(t, `SELECT toUnixTimestamp(window_start), event_name, events, users FROM events_per_minute
			WHERE window_end = window_start + INTERVAL 1 MINUTE AND window_start < toDateTime('%s', 'UTC') ORDER BY ALL`, from.Add(4*time.Hour).UTC().Format(time.DateTime))
		return len(windows) >= len(minutes)
	})
	require.Equal(t, strings.Join(minutes, "\n"), strings.Join(windows, "\n"))

	// The lake has the same sessions, apart from the events.
	i.awaitFiles(t, i.lake())
	const inLake = "file('lake/results/event_name=session.end/**/*.parquet')"
	for _, of := range []string{"count()", "sum(events)", "sum(cityHash64(session_id, toUnixTimestamp64Nano(session_start), toUnixTimestamp64Nano(session_end)))"} {
		await(t, "the lake to have all sessions", func() bool {
			same, err := i.ch.Int(t.Context(), fmt.Sprintf("SELECT (SELECT %s FROM %s WHERE user_id IS NULL OR user_id != 'later') = (SELECT %[1]s FROM sessions WHERE user_id IS NULL OR user_id != 'later')", of, inLake))
			return err == nil && same == 1 // it is an error as long as there is no file
		})
	}
	require.Equal(t, "4001", i.one(t, "SELECT count() FROM file('lake/event_name=*/**/*.parquet')"))
}
