// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/term"
)

// question is what an analyst would ask.
type question struct{ title, sql string }

var questions = []question{
	{"How many events a minute, the last ten minutes?", `
SELECT formatDateTime(toStartOfMinute(event_time), '%H:%i') AS minute,
       count() AS events, uniq(anonymous_id) AS visitors,
       countIf(event_name = 'order_completed') AS orders
FROM events
GROUP BY minute ORDER BY minute DESC LIMIT 10`},
	{"How far do visitors come within half an hour?", `
WITH reached AS (
  SELECT anonymous_id, windowFunnel(1800)(toDateTime(event_time),
           event_name = 'product_viewed', event_name = 'product_added',
           event_name = 'checkout_started', event_name = 'order_completed') AS level
  FROM events GROUP BY anonymous_id)
SELECT ['product viewed', 'added to cart', 'checkout started', 'order completed'][n] AS step,
       countIf(level >= n) AS visitors,
       round(100 * visitors / countIf(level >= 1), 1) AS percent
FROM reached ARRAY JOIN [1, 2, 3, 4] AS n
GROUP BY n ORDER BY n`},
	{"Which country brings what revenue?", `
SELECT shipping_address.country AS country, currency, count() AS orders,
       sum(total) AS revenue, round(avg(total), 2) AS mean_order
FROM events WHERE event_name = 'order_completed'
GROUP BY country, currency ORDER BY orders DESC`},
	{"Which products sell best, in euro?", `
SELECT product, sum(quantity) AS pieces, sum(price * quantity) AS revenue
FROM events
ARRAY JOIN products.name AS product, products.price AS price, products.quantity AS quantity
WHERE event_name = 'order_completed' AND currency = 'EUR'
GROUP BY product ORDER BY revenue DESC LIMIT 5`},
	{"Does the new checkout sell more? (a property that no schema declares)", `
SELECT properties.experiment::String AS variant, uniq(anonymous_id) AS visitors,
       countIf(event_name = 'order_completed') AS orders,
       round(100 * orders / visitors, 2) AS percent
FROM events WHERE variant != ''
GROUP BY variant ORDER BY variant`},
	{"Who signed up? (what is personal was masked before it was stored)", `
SELECT email, full_name, phone, birth_date
FROM events WHERE event_name = 'signed_up' AND birth_date IS NOT NULL
ORDER BY event_time LIMIT 3`},
	{"And how many of them bought? (pseudonyms still join)", `
SELECT uniqExact(email) AS signed_up,
       uniqExactIf(email, email IN (SELECT email FROM events WHERE event_name = 'order_completed')) AS bought
FROM events WHERE event_name = 'signed_up'`},
	{"Which events failed, and why?", `
SELECT reason, pointer, count() AS events, any(event_name) AS such_as
FROM failed_events
GROUP BY reason, pointer ORDER BY events DESC, pointer LIMIT 8`},
}

func askAll(ctx context.Context, out *term.Out, ch *chhttp.Client, questions []question) error {
	for _, q := range questions {
		sql := strings.TrimSpace(q.sql)
		out.Printf("  %s\n\n", out.Bold(q.title))
		printSQL(out, sql)
		t, err := ch.Table(ctx, sql)
		if err != nil {
			return fmt.Errorf("asking %q: %w", q.title, err)
		}
		if len(t.Rows) == 0 {
			return fmt.Errorf("asking %q: there is no answer", q.title)
		}
		printTable(out, t)
		out.Printf("\n")
	}
	return nil
}

func printTable(out *term.Out, t *chhttp.Table) {
	columns := make([]term.Column, len(t.Columns))
	decimals := make([]int, len(t.Columns)) // the same for all values of a column
	for i, c := range t.Columns {
		columns[i] = term.Column{Name: strings.ReplaceAll(c.Name, "_", " "), Right: isNumber(c.Type)}
		if strings.Contains(c.Type, "Decimal") {
			decimals[i] = 2
		}
		for _, row := range t.Rows {
			if n, ok := row[i].(json.Number); ok {
				_, frac, _ := strings.Cut(n.String(), ".")
				decimals[i] = max(decimals[i], len(frac))
			}
		}
	}
	rows := make([][]string, len(t.Rows))
	for r, row := range t.Rows {
		for i, v := range row {
			rows[r] = append(rows[r], cell(v, decimals[i]))
		}
	}
	out.Table("    ", columns, rows)
}

func isNumber(typ string) bool {
	typ = strings.TrimPrefix(strings.TrimPrefix(typ, "LowCardinality("), "Nullable(")
	for _, p := range []string{"Int", "UInt", "Float", "Decimal"} {
		if strings.HasPrefix(typ, p) {
			return true
		}
	}
	return false
}

// cell writes a value, a number with that many decimals.
func cell(v any, decimals int) string {
	switch v := v.(type) {
	case nil:
		return "–"
	case string:
		return v
	case json.Number:
		whole, frac, _ := strings.Cut(v.String(), ".")
		if decimals == 0 {
			return whole
		}
		return whole + "." + frac + strings.Repeat("0", max(0, decimals-len(frac)))
	default:
		return fmt.Sprint(v)
	}
}

func goOn(ctx context.Context, out *term.Out, o *options, places map[string]*place, ch *chhttp.Client) error {
	size, err := ch.Int(ctx, "SELECT toInt64(sum(data_compressed_bytes)) FROM system.parts WHERE active AND database = 'analytics'")
	if err != nil {
		return err
	}
	columns, err := ch.Int(ctx, "SELECT count() FROM system.columns WHERE database = 'analytics' AND table = 'events'")
	if err != nil {
		return err
	}
	http := "127.0.0.1:8123"
	run := "MILLRACE_DATA_DIR=" + o.dataDir + " make run"
	if o.keep {
		http = places[clickHouseHTTP].addr
	}
	row := func(name, text, note string) {
		out.Printf("  %-18s %s\n", name, text)
		if note != "" {
			out.Printf("  %-18s %s\n", "", out.Dim(note))
		}
	}
	row("The data", out.Bold(o.dataDir), fmt.Sprintf("%s in ClickHouse, %d columns in events; %s is the collector's log", term.Bytes(size), columns, logPath(o)))
	row("What was sent", manifestPath(o), "the manifest: go run ./testbed/cmd/loadgen print "+manifestPath(o)+" | head")
	if !o.keep {
		row("Start it again", out.Bold(run), "")
	}
	row("Ask by SQL", out.Bold(fmt.Sprintf(`curl 'http://%s/?database=analytics' --data-binary 'SELECT event_name, count() FROM events GROUP BY 1 ORDER BY 2 DESC FORMAT PrettyCompact'`, http)), "")
	row("Send your own", fmt.Sprintf(`curl -u millrace-dev: http://%s/v1/track -H 'Content-Type: application/json' -d '{"event":"hello","userId":"me","properties":{"answer":42}}'`, env(segment, sendAddr(o, places))), "")
	row("Describe them", "configs/schemas/README.md", "one JSON Schema per event; a saved file counts at once")
	row("Read on", "README.md, docs/architecture.md", "")
	if !o.keep {
		out.Printf("\n  %s\n\n", out.Dim("Nothing is left running."))
	}
	return nil
}

func sendAddr(o *options, places map[string]*place) string {
	if o.keep {
		return places[segment].addr
	}
	return "127.0.0.1:8181"
}
