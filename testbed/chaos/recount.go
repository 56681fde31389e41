// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/testbed/chhttp"
)

// valid are the events that count in sessions and windows, of those that ClickHouse took.
const valid = "analytics.events WHERE NOT late AND event_name != '" + poisonName + "'"

// passedAs has each session that is over under every ID that its events have.
const passedAs = `(SELECT session_id AS final, events, arrayJoin(arrayPushBack(absorbed_ids, session_id)) AS id
	FROM analytics.sessions WHERE NOT startsWith(ifNull(user_id, ''), '` + poisonUser + `'))`

// minutes are those that are over.
const minutes = "(SELECT toUnixTimestamp(window_start) AS minute, event_name, events AS events FROM analytics.events_per_minute WHERE pane_timing != 'early' AND event_name != '" + poisonName + "')"

// recount holds the counts of sessions and of minutes against the table of events. Both runs may be wrong in the same way; this one counts for itself.
func recount(ctx context.Context, ch *chhttp.Client, r *Results) error {
	ask := func(to *int64, sql string) error {
		n, err := ch.Int(ctx, sql)
		*to = n
		return err
	}
	var records, openSessions, openMinutes, wrongSessions, wrongMinutes int64
	sessions := "SELECT final, any(events) AS has, sum(n) AS count FROM " + passedAs + " AS s LEFT JOIN (SELECT session_id AS id, count() AS n FROM " + valid +
		" GROUP BY id) AS e USING (id) GROUP BY final HAVING has != count"
	perMinute := "SELECT w.minute, w.event_name AS name, w.events AS has, e.n AS count FROM " + minutes + " AS w LEFT JOIN (SELECT toUnixTimestamp(toStartOfMinute(event_time)) AS minute, event_name, count() AS n FROM " +
		valid + " GROUP BY minute, event_name) AS e USING (minute, event_name) WHERE has != count"
	for _, q := range []struct {
		to  *int64
		sql string
	}{
		{&records, "SELECT (SELECT count() FROM analytics.events) + (SELECT count() FROM analytics.failed_events)"},
		{&r.Late, "SELECT countIf(late) FROM analytics.events"},
		{&openSessions, "SELECT count() FROM " + valid + " AND ifNull(session_id, '') NOT IN (SELECT id FROM " + passedAs + ")"},
		{&openMinutes, "SELECT count() FROM " + valid + " AND (toUnixTimestamp(toStartOfMinute(event_time)), event_name) NOT IN (SELECT minute, event_name FROM " + minutes + ")"},
		{&wrongSessions, "SELECT count() FROM (" + sessions + ")"},
		{&wrongMinutes, "SELECT count() FROM (" + perMinute + ")"},
	} {
		if err := ask(q.to, q.sql); err != nil {
			return fmt.Errorf("counting anew: %w", err)
		}
	}
	r.Ticks -= records
	r.Open = max(openSessions, openMinutes)
	r.Wrong = wrongSessions + wrongMinutes
	if r.Open > lastCount {
		r.sample("%d events are in no session that is over, %d in no minute that is", openSessions, openMinutes)
	}
	for _, sql := range []string{sessions, perMinute} {
		wrong, err := ch.Table(ctx, sql+" LIMIT 5")
		if err != nil {
			return fmt.Errorf("counting anew: %w", err)
		}
		for _, row := range wrong.Rows {
			r.sample("miscounted: %v (what, what it has, what events has)", row)
		}
	}
	return nil
}
