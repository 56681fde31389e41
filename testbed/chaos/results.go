// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/lag"
)

// Results is what came of holding annotations, sessions and windows against those of a run over the same log that nobody disturbed, and
// against the events.
type Results struct {
	Events   int64 // rows of events compared, of both tables
	Late     int64 // of them
	Ticks    int64 // in the log
	Sessions int64
	Windows  int64 // rows of all aggregations
	InLake   int64 // rows of events and sessions that were compared with those of the lake
	Differ   int64 // rows that are not the same in both runs, or are in one alone
	Wrong    int64 // sessions and minutes that do not have the number of events that the table of events has
	Open     int64 // events that count and are in no session that is over, or in no such minute
	Samples  []string
}

// resultNumbers name what numbers returns.
var resultNumbers = []string{"events", "late", "ticks", "sessions", "windows", "in the lake", "differ", "miscounted", "not over"}

func (r *Results) numbers() (out []string) {
	for _, n := range r.all() {
		out = append(out, number(*n))
	}
	return out
}

func (r *Results) all() []*int64 {
	return []*int64{&r.Events, &r.Late, &r.Ticks, &r.Sessions, &r.Windows, &r.InLake, &r.Differ, &r.Wrong, &r.Open}
}

func (r *Results) add(other *Results) {
	mine := r.all()
	for i, n := range other.all() {
		*mine[i] += *n
	}
}

// openShare is the part of all events that may be in what is not over at the end: more would mean that little was compared.
const openShare = 0.05

// OK says that nothing is wrong. It is, where there is nothing to compare.
func (r *Results) OK() bool {
	return r == nil || r.Differ == 0 && r.Wrong == 0 && float64(r.Open) <= openShare*float64(r.Events) && r.Sessions > 0 && r.Windows > 0
}

func (r *Results) sample(format string, args ...any) {
	if len(r.Samples) < 20 {
		r.Samples = append(r.Samples, fmt.Sprintf(format, args...))
	}
}

// held is a table that is held against another one.
type held struct {
	name    string
	key     string   // an expression that names a row
	columns []string // nil is all
	ours    string   // what stands behind FROM
	theirs  string
	other   string // what theirs is
	count   func(*Results) *int64
}

// aggregations are those of stateful.yaml.
var aggregations = []string{"events_per_minute", "most_viewed", "prices", "product_views", "products", "recent", "sessions_per_minute", "taken", "visits"}

// panes are what is added to tables of results: which pane is the last one, and how many came before, is not promised. That the values of the last one
// are the same is.
const panes = "pane_timing|pane_index"

// heldTables are those that the undisturbed run has too.
func heldTables() (tables []held) {
	add := func(name, key, where string, count func(*Results) *int64) {
		tables = append(tables, held{
			name: name, key: key, count: count, other: "the undisturbed run",
			ours: "analytics." + name + " WHERE " + where, theirs: referenceDatabase + "." + name + " WHERE " + where,
		})
	}
	// What ClickHouse refuses in the one run has a place in events in the other.
	where := "event_name != '" + poisonName + "'"
	events := func(r *Results) *int64 { return &r.Events }
	add("events", "event_id", where, events)
	add("failed_events", "event_id", where, events)
	add("sessions", "result_id", "1", func(r *Results) *int64 { return &r.Sessions })
	for _, name := range aggregations {
		where := "pane_timing != 'early'" // of windows that are not over: they say how far a run is
		if name == "recent" {
			where = "1" // a rolling window is never over, and what it has last is a function of the log
		}
		add(name, "result_id", where, func(r *Results) *int64 { return &r.Windows })
	}
	return tables
}

// heldFiles are those of the lake, whose pipeline finds the sessions anew.
func heldFiles() []held {
	in := func(r *Results) *int64 { return &r.InLake }
	return []held{
		{
			name: "events", key: "event_id", columns: []string{"session_id", "session_ordinal", "late"}, other: "the lake", count: in,
			ours:   "analytics.events WHERE event_name != '" + poisonName + "'",
			theirs: "file('lake/event_name=*/**/*.parquet') WHERE event_name != '" + poisonName + "'",
		},
		{
			name: "sessions", key: "result_id", columns: []string{"session_id", "session_start", "session_end", "events", "absorbed_ids"}, other: "the lake", count: in,
			ours: "analytics.sessions WHERE 1", theirs: "file('lake/results/event_name=" + sessionName + "/**/*.parquet') WHERE 1",
		},
	}
}

// compareResults ends the stream, has another collector consume the same log undisturbed, and compares all rows.
func (t *traffic) compareResults(ctx context.Context, say func(string, ...any)) (*Results, error) {
	say("the stream ends")
	if err := t.endStream(ctx); err != nil {
		return nil, err
	}
	say("all that is over is closed")
	records, err := t.w.rest(ctx)
	if err == nil {
		err = t.w.AwaitFiles(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := t.w.stop(); err != nil {
		return nil, err
	}
	say("a run over the same log that nobody disturbs")
	other, err := t.w.undisturbed(ctx)
	if err != nil {
		return nil, fmt.Errorf("the undisturbed run: %w", err)
	}
	err = other.settle(ctx)
	if err == nil {
		var has []uint64
		if has, err = lag.Records(ctx, "http://"+other.env[admin]); err == nil && !slices.Equal(has, records) {
			err = fmt.Errorf("its log has %d records by partition, and not %d", has, records)
		}
	}
	if err = errors.Join(err, other.Close()); err != nil {
		return nil, fmt.Errorf("the undisturbed run: %w", err)
	}
	say("comparing results")
	r := &Results{}
	for _, n := range records {
		r.Ticks += int64(n)
	}
	if err := t.compareTables(ctx, r); err != nil {
		return r, err
	}
	return r, recount(ctx, t.w.ch, r)
}

// compareTables compares every table, by SQL.
func (t *traffic) compareTables(ctx context.Context, r *Results) error {
	want := []string{"sessions_panes"}
	for _, name := range aggregations {
		want = append(want, name+"_panes")
	}
	slices.Sort(want)
	for _, database := range []string{"analytics", referenceDatabase} {
		have, err := texts(ctx, t.w.ch, "SELECT name FROM system.tables WHERE database = '"+database+"' AND endsWith(name, '_panes') ORDER BY name")
		if err != nil {
			return err
		}
		if !slices.Equal(have, want) {
			return fmt.Errorf("database %s has results in %q, and not in %q", database, have, want)
		}
	}
	for _, h := range append(heldTables(), heldFiles()...) {
		err := h.compare(ctx, t.w.ch, r)
		var refused *chhttp.Error
		if errors.As(err, &refused) && refused.Code == notAllowed {
			t.w.o.Logf("%s of the lake are not compared: ClickHouse reads files only where the kernel keeps it from all others (Landlock)", h.name)
			continue
		}
		if err != nil {
			return fmt.Errorf("comparing %s with those of %s: %w", h.name, h.other, err)
		}
	}
	return nil
}

// notAllowed is ClickHouse's error where users may not read files.
const notAllowed = 497

// columnsOf both databases have, in order.
func columnsOf(ctx context.Context, ch *chhttp.Client, table string) ([]string, error) {
	var sides [2][]string
	for i, database := range []string{"analytics", referenceDatabase} {
		var err error
		sides[i], err = texts(ctx, ch, fmt.Sprintf("SELECT name FROM system.columns WHERE database = '%s' AND table = '%s' AND NOT match(name, '^(_delivery|%s)$') ORDER BY name",
			database, table, panes))
		if err != nil {
			return nil, err
		}
	}
	if !slices.Equal(sides[0], sides[1]) || len(sides[0]) == 0 {
		return nil, fmt.Errorf("the columns are %q in one run and %q in the other", sides[0], sides[1])
	}
	return sides[0], nil
}

// compare counts the rows, and those that are not the same on both sides, or are on one alone, or twice.
func (h held) compare(ctx context.Context, ch *chhttp.Client, r *Results) error {
	if h.columns == nil {
		var err error
		if h.columns, err = columnsOf(ctx, ch, h.name); err != nil {
			return err
		}
	}
	side := func(n int, from string) string {
		// As text, which tells NULL from what is empty, and one floating point number from the next.
		return fmt.Sprintf("SELECT %s AS key, %d AS side, sipHash128(formatRowNoNewline('TabSeparated', %s)) AS content FROM %s", h.key, n, h.list(), from)
	}
	both := "SELECT key, countIf(side = 0) AS ours, countIf(side = 1) AS theirs, uniqExact(content) AS contents FROM (" +
		side(0, h.ours) + " UNION ALL " + side(1, h.theirs) + ") GROUP BY key"
	sums, err := ch.Table(ctx, "SELECT toInt64(sum(ours)), toInt64(countIf(ours != 1 OR theirs != 1 OR contents != 1)) FROM ("+both+")")
	if err != nil {
		return err
	}
	rows, differ, err := two(sums)
	if err != nil {
		return err
	}
	if rows == 0 && h.name != "failed_events" {
		r.Differ++
		r.sample("%s has no rows", h.name)
	}
	*h.count(r) += rows
	r.Differ += differ
	if differ == 0 {
		return nil
	}
	r.sample("%s: %d of %d rows differ from %s", h.name, differ, rows, h.other)
	keys, err := texts(ctx, ch, "SELECT toString(key) FROM ("+both+") WHERE ours != 1 OR theirs != 1 OR contents != 1 ORDER BY key LIMIT 5")
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := h.explain(ctx, ch, key, r); err != nil {
			return err
		}
	}
	return nil
}

func (h held) list() string { return "`" + strings.Join(h.columns, "`, `") + "`" }

// explain says how the rows of a key differ.
func (h held) explain(ctx context.Context, ch *chhttp.Client, key string, r *Results) error {
	var sides [2]*chhttp.Table
	for i, from := range []string{h.ours, h.theirs} {
		var err error
		sides[i], err = ch.Table(ctx, fmt.Sprintf("SELECT %s FROM %s AND toString(%s) = '%s' ORDER BY ALL LIMIT 3", h.list(), from, h.key, key))
		if err != nil {
			return err
		}
	}
	if len(sides[0].Rows) != 1 || len(sides[1].Rows) != 1 {
		shown := slices.Concat(sides[0].Rows, sides[1].Rows)
		r.sample("%s %s: %d rows, and %d in %s: %s", h.name, key, len(sides[0].Rows), len(sides[1].Rows), h.other, row(h.columns, shown[0]))
		return nil
	}
	var parts []string
	for i, c := range h.columns {
		ours, theirs := fmt.Sprint(sides[0].Rows[0][i]), fmt.Sprint(sides[1].Rows[0][i])
		if ours != theirs {
			parts = append(parts, fmt.Sprintf("%s is %s, and %s in %s", c, ours, theirs, h.other))
		}
	}
	r.sample("%s %s: %s; it is %s", h.name, key, strings.Join(parts, "; "), row(h.columns, sides[0].Rows[0]))
	return nil
}

func row(columns []string, values []any) string {
	parts := make([]string, 0, len(columns))
	for i, v := range values {
		if v != nil && v != "" {
			parts = append(parts, fmt.Sprintf("%s=%v", columns[i], v))
		}
	}
	text := strings.Join(parts, " ")
	return text[:min(len(text), 600)]
}

func texts(ctx context.Context, ch *chhttp.Client, sql string) (out []string, err error) {
	table, err := ch.Table(ctx, sql)
	if err != nil {
		return nil, err
	}
	for _, r := range table.Rows {
		out = append(out, fmt.Sprint(r[0]))
	}
	return out, nil
}

// two reads an answer of one row of two numbers.
func two(table *chhttp.Table) (a, b int64, err error) {
	if len(table.Rows) != 1 || len(table.Rows[0]) != 2 {
		return 0, 0, fmt.Errorf("ClickHouse answered %v, and not two numbers", table.Rows)
	}
	for i, to := range []*int64{&a, &b} {
		n, ok := table.Rows[0][i].(json.Number)
		if !ok {
			return 0, 0, fmt.Errorf("ClickHouse answered %v, and not two numbers", table.Rows)
		}
		if *to, err = n.Int64(); err != nil {
			return 0, 0, err
		}
	}
	return a, b, nil
}
