// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/chhttp"
)

// SQL is the oracle in ClickHouse's words: over a table of records that Store wrote, or another one with its columns.
type SQL struct {
	Table      string
	Rules      Rules
	Partitions int
}

// Store makes a table of the records: partition, position, append, appended, tick, time, name, id, tenant, attributes as texts. One that is
// there is replaced. append is the position of the first record of its append.
func Store(ctx context.Context, ch *chhttp.Client, table string, records []Record) error {
	for _, sql := range []string{"DROP TABLE IF EXISTS " + table + " SYNC", "CREATE TABLE " + table + ` (partition UInt32, position UInt64, append UInt64, appended Int64, tick Bool, time Int64,
		name String, id String, tenant String, attributes Map(String, String)) ENGINE = MergeTree ORDER BY (partition, position)`} {
		if err := ch.Exec(ctx, sql); err != nil {
			return err
		}
	}
	const rows = 10_000 // in one INSERT
	for len(records) > 0 {
		n := min(rows, len(records))
		var b bytes.Buffer
		b.WriteString("INSERT INTO " + table + " FORMAT JSONEachRow\n")
		to := json.NewEncoder(&b)
		for i := range records[:n] {
			r := &records[i]
			texts := map[string]string{}
			for k := range r.Attributes {
				texts[k] = r.Text(k)
			}
			if err := to.Encode(map[string]any{
				"partition": r.Partition, "position": r.Position, "append": r.Position - r.Offset, "appended": r.Appended, "tick": r.Tick, "time": r.Time,
				"name": r.Name, "id": r.ID, "tenant": r.Tenant, "attributes": texts,
			}); err != nil {
				return fmt.Errorf("writing record %d of partition %d: %w", r.Position, r.Partition, err)
			}
		}
		if err := ch.Exec(ctx, b.String()); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// Judged is a subquery of the events, each with its verdict: see Judge.
func (s SQL) Judged() string {
	return fmt.Sprintf(`(SELECT *, multiIf(future, 'future', ifNull(time < high - %d, false), 'late', 'on_time') AS verdict FROM
	(SELECT *, max(if(future OR tick AND time = 0, NULL, if(tick, time, least(time, appended)))) OVER (PARTITION BY partition ORDER BY append RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS high FROM
	(SELECT *, NOT tick AND time > appended + %d AS future FROM %s)) WHERE NOT tick)`,
		int64(s.Rules.MaxOutOfOrderness+s.Rules.AllowedLateness), int64(s.Rules.MaxFutureSkew), s.Table)
}

// Watermarks is a subquery of partition and watermark: see the function Watermarks.
func (s SQL) Watermarks() string {
	return fmt.Sprintf(`(SELECT partition, if(count(high) = 0, %d, max(high) - %d) AS watermark FROM
	(SELECT partition, if(NOT tick AND time > appended + %d OR tick AND time = 0, NULL, if(tick, time, least(time, appended))) AS high FROM %s) GROUP BY partition)`,
		int64(Nothing), int64(s.Rules.MaxOutOfOrderness), int64(s.Rules.MaxFutureSkew), s.Table)
}

// Watermark is a subquery of one value: see the function Watermark.
func (s SQL) Watermark() string {
	return fmt.Sprintf("(SELECT if(count() < %d, %d, min(watermark)) FROM %s)", s.Partitions, int64(Nothing), s.Watermarks())
}

// ProcessingWatermark is a subquery of one value: see the function ProcessingWatermark.
func (s SQL) ProcessingWatermark() string {
	return fmt.Sprintf(`(SELECT if(count() < %d, %d, min(high)) FROM (SELECT max(appended) AS high FROM %s GROUP BY partition))`, s.Partitions, int64(Nothing), s.Table)
}

// WindowQuery is a question about windows.
type WindowQuery struct {
	Window Window
	// Processing says that windows go by append time: then no event is late.
	Processing bool
	// Where is a condition on events; "" for all of them.
	Where string
	// GroupBy and Select are expressions, Select of aggregate functions. Those with AS can be named.
	GroupBy, Select []string
}

// Windows asks for the closed windows: start, end, the groups, the aggregates. In their order.
func (s SQL) Windows(q WindowQuery) string {
	at, events, watermark := "time", "SELECT * FROM "+s.Judged()+" WHERE verdict != 'late'", s.Watermark()
	if q.Processing {
		at, events, watermark = "appended", "SELECT * FROM "+s.Table+" WHERE NOT tick", s.ProcessingWatermark()
	}
	return fmt.Sprintf("SELECT tupleElement(span, 1) AS start, tupleElement(span, 2) AS end%s FROM (SELECT *, arrayJoin(%s) AS span FROM (%s))%s GROUP BY %s HAVING end <= %s ORDER BY ALL",
		list(append(append([]string(nil), q.GroupBy...), q.Select...)), q.Window.sql(at), events, where(q.Where),
		strings.Join(append([]string{"span"}, unnamed(q.GroupBy)...), ", "), watermark)
}

// sql is an array of the spans, as tuples, that the time is in.
func (w Window) sql(at string) string {
	if w.Days != nil {
		midnight := func(days int) string {
			return fmt.Sprintf("toInt64(toUnixTimestamp(toStartOfDay(toTimeZone(fromUnixTimestamp64Nano(%s), '%s') + INTERVAL %d DAY))) * 1000000000", at, w.Days, days)
		}
		return fmt.Sprintf("[(%s, %s)]", midnight(0), midnight(1))
	}
	size, slide, offset := int64(w.Size), int64(w.Slide), int64(w.Offset)
	return fmt.Sprintf("arrayMap(s -> (s, s + %d), arrayFilter(s -> s + %d > %s, arrayMap(k -> %s - positiveModulo(%s - %d, %d) - k * %d, range(%d))))",
		size, size, at, at, at, offset, slide, slide, (size+slide-1)/slide)
}

// SessionQuery is a question about sessions.
type SessionQuery struct {
	Gap, MaxDuration time.Duration
	Midnight         *time.Location
	// Cut is a condition on an event, which then begins a session; "" for never.
	Cut string
	// Where is a condition on events; "" for all of them.
	Where string
	// Key is an expression. Select are expressions of aggregate functions.
	Key    string
	Select []string
}

// Sessions asks for all sessions, closed or not: key, start, end (of the last event), the aggregates.
func (s SQL) Sessions(q SessionQuery) string {
	cut := fmt.Sprintf("time - before > %d", int64(q.Gap))
	if q.Midnight != nil {
		day := func(of string) string {
			return fmt.Sprintf("toDate(fromUnixTimestamp64Nano(%s), '%s')", of, q.Midnight)
		}
		cut += " OR " + day("time") + " != " + day("before")
	}
	if q.Cut != "" {
		cut += " OR (" + q.Cut + ")"
	}
	order := "OVER (PARTITION BY key ORDER BY time, partition, position ROWS BETWEEN "
	events := "SELECT *, " + q.Key + " AS key FROM " + s.Judged() + " WHERE verdict != 'late'"
	if q.Where != "" {
		events += " AND (" + q.Where + ")"
	}
	before := "SELECT *, row_number() " + order + "UNBOUNDED PRECEDING AND CURRENT ROW) AS number, any(time) " + order + "1 PRECEDING AND 1 PRECEDING) AS before FROM (" + events + ")"
	runs := "SELECT *, sum(number = 1 OR " + cut + ") " + order + "UNBOUNDED PRECEDING AND CURRENT ROW) AS run FROM (" + before + ")"
	// Within a run, which nothing else cuts, a session begins where the one before has become too long.
	longest := int64(q.MaxDuration)
	if longest == 0 {
		longest = 1 << 62
	}
	starts := fmt.Sprintf("SELECT key, run, arrayFold((starts, t) -> if(empty(starts) OR t - starts[-1] >= %d, arrayPushBack(starts, t), starts), arraySort(groupArray(time)), emptyArrayInt64()) AS starts FROM (%s) GROUP BY key, run",
		longest, runs)
	return fmt.Sprintf("SELECT key, arrayLast(s -> s <= time, starts) AS start, max(time) AS end%s FROM (%s) AS events INNER JOIN (%s) AS begun USING (key, run) GROUP BY key, run, start ORDER BY ALL",
		list(q.Select), runs, starts)
}

func list(expressions []string) string {
	if len(expressions) == 0 {
		return ""
	}
	return ", " + strings.Join(expressions, ", ")
}

func where(condition string) string {
	if condition == "" {
		return ""
	}
	return " WHERE " + condition
}

// unnamed leaves of "expression AS name" the name.
func unnamed(expressions []string) []string {
	out := make([]string, len(expressions))
	for i, e := range expressions {
		if _, name, ok := strings.Cut(e, " AS "); ok {
			e = name
		}
		out[i] = e
	}
	return out
}

// Rows asks and returns columns and rows as texts.
func Rows(ctx context.Context, ch *chhttp.Client, sql string) (columns []string, rows [][]string, err error) {
	t, err := ch.Table(ctx, sql)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range t.Columns {
		columns = append(columns, c.Name)
	}
	for _, r := range t.Rows {
		row := make([]string, len(r))
		for i, v := range r {
			row[i] = fmt.Sprint(v)
		}
		rows = append(rows, row)
	}
	return columns, rows, nil
}
