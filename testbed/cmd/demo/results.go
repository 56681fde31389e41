// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/term"
)

// maxDisorder is how far apart in event time the senders of the demo get, which send an hour within seconds: less than the minute that sessions and
// windows wait for what is out of order.
const maxDisorder = 45 * time.Second

// resultQuestions are answered by what the collector has computed behind its log.
var resultQuestions = []question{
	{"How many events a minute? (counted as they came, by the time at which they happened)", `
SELECT formatDateTime(window_start, '%H:%i') AS minute, sum(m.events) AS events,
       sumIf(m.users, event_name = 'product_viewed') AS visitors_at_products,
       sumIf(m.events, event_name = 'order_completed') AS orders
FROM events_per_minute AS m
GROUP BY minute ORDER BY minute DESC LIMIT 5`},
	{"Which campaign brings visits that end in an order? (sessions: half an hour without an event ends one)", `
SELECT campaign, count() AS sessions, round(avg(events), 1) AS events_each,
       round(avg(duration_ms) / 60000, 1) AS minutes,
       countIf(event_counts['order_completed'] > 0) AS with_order,
       round(100 * with_order / sessions, 1) AS percent
FROM sessions
GROUP BY campaign ORDER BY sessions DESC LIMIT 5`},
}

// resultsTimeout bounds how long after the last event minutes may take: until idle partitions were told the time, and for a checkpoint.
const resultsTimeout = time.Minute

var errCounted = errors.New("sessions and windows do not have what the tables have")

// askResults waits until the minutes that must be over are there, asks, and holds what was counted against the rows of events.
func askResults(ctx context.Context, out *term.Out, r *load.Run, ch *chhttp.Client, p *child.Process) error {
	began := time.Now()
	// The watermark is a minute behind the last event, and a minute is over when it has passed.
	until := r.Generator().Config().End.Add(-2 * time.Minute).Truncate(time.Minute)
	counted, err := awaitMinutes(ctx, out, until, ch, p)
	if err != nil {
		return err
	}
	out.Printf("  %s %s\n\n", out.Good("✓"), fmt.Sprintf("the minutes until %s are over, and so are %s sessions, %.1f s later", until.UTC().Format("15:04"), term.Number(counted.sessions), time.Since(began).Seconds()))
	if err := askAll(ctx, out, ch, resultQuestions); err != nil {
		return err
	}
	// Of a session that goes on under the same name of its producer, not all events are in one that is over.
	tooMany, err := ch.Int(ctx, `SELECT count() FROM (SELECT session_id, sum(events) AS has FROM sessions GROUP BY session_id) AS s
LEFT JOIN (SELECT passed_as AS session_id, sum(n) AS n FROM (
    SELECT session_id AS passed_as, arrayJoin(arrayDistinct(arrayPushBack(groupArrayArray(absorbed_ids), session_id))) AS id FROM sessions GROUP BY session_id) AS ids
  INNER JOIN (SELECT session_id AS id, count() AS n FROM events WHERE NOT late GROUP BY id) AS e USING (id) GROUP BY session_id) AS e USING (session_id)
WHERE has > n`)
	if err != nil {
		return fmt.Errorf("counting the events of sessions: %w", err)
	}
	if tooMany > 0 {
		return fmt.Errorf("%w: %d sessions have more events than there are rows of", errCounted, tooMany)
	}
	out.Printf("  %s each of %s events is counted once in its minute, and no session has more than its events; %s that came more than a minute too late are marked\n",
		out.Good("✓"), out.Bold(term.Number(counted.events)), term.Number(counted.late))
	return nil
}

type counted struct{ events, late, sessions int64 }

// awaitMinutes returns when the minutes before that time have as many events as the table of events has, and some session is over.
func awaitMinutes(ctx context.Context, out *term.Out, until time.Time, ch *chhttp.Client, p *child.Process) (c counted, err error) {
	ctx, cancel := context.WithTimeout(ctx, resultsTimeout)
	defer cancel()
	defer out.ClearLive()
	before := fmt.Sprintf("fromUnixTimestamp64Nano(%d)", until.UnixNano())
	for to, sql := range map[*int64]string{
		&c.events: "SELECT count() FROM events WHERE NOT late AND event_time < " + before, &c.late: "SELECT countIf(late) FROM events",
	} {
		if *to, err = ch.Int(ctx, sql); err != nil {
			return c, err
		}
	}
	shown := time.Now()
	for {
		// Other timings than early are of minutes that are over.
		minutes, err := ch.Int(ctx, "SELECT toInt64(sum(events)) FROM events_per_minute WHERE pane_timing != 'early' AND window_start < "+before)
		if err == nil {
			c.sessions, err = ch.Int(ctx, "SELECT count() FROM sessions")
		}
		switch {
		case err != nil && !chhttp.IsMissing(err) && ctx.Err() == nil:
			return c, err
		case err == nil && minutes > c.events:
			return c, fmt.Errorf("%w: the minutes until %s have %d events, and the table has %d", errCounted, until, minutes, c.events)
		case err == nil && minutes == c.events && c.sessions > 0:
			return c, nil
		}
		if time.Since(shown) > time.Second {
			shown = time.Now()
			out.Live(fmt.Sprintf("  %s of %s events are in minutes that are over", term.Number(minutes), term.Number(c.events)))
		}
		select {
		case <-p.Exited():
			return c, p.Died()
		case <-ctx.Done():
			return c, fmt.Errorf("%w: after %s the minutes until %s have %d events, the table has %d, and %d sessions are over", errCounted, resultsTimeout,
				until.UTC().Format(time.RFC3339), minutes, c.events, c.sessions)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func printSQL(out *term.Out, sql string) {
	for line := range strings.SplitSeq(sql, "\n") {
		out.Printf("    %s\n", out.Dim(line))
	}
	out.Printf("\n")
}
