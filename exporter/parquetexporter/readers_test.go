// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/pythontest"
)

const trickySchema = `{"type":"object","properties":{
	"total":{"type":"number","x-column":{"type":"Decimal(38, 10)"}}, "price":{"type":"string","x-column":{"type":"Decimal(18, 2)"}},
	"at":{"type":"string","format":"date-time","x-column":{"type":"DateTime64(9)"}}, "day":{"type":"string","format":"date"},
	"key":{"type":"string","format":"uuid"}, "n":{"type":"integer"}, "ratio":{"type":"number"}, "ok":{"type":"boolean"},
	"tags":{"type":"array","items":{"type":"string"}},
	"items":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"n":{"type":"integer"}}}},
	"address":{"type":"object","properties":{"city":{"type":"string"}}}}}`

// tricky are events whose values readers like to get wrong, and what each has in the columns below.
func tricky() (events []one, want []map[string]any) {
	add := func(at time.Time, properties string, columns map[string]any) {
		id := fmt.Sprintf("é-%02d", len(events))
		events = append(events, one{id: id, name: "Bestellung für 日本", tenant: "ténant", at: at, schema: "order/1", properties: properties})
		columns["event_id"], columns["event_name"], columns["tenant_id"] = id, "Bestellung für 日本", "ténant"
		columns["event_time"] = at.UTC().Format("2006-01-02 15:04:05.000000000")
		for _, c := range []string{"total", "price", "at", "day", "key", "n", "ratio", "ok", "address.city"} {
			if _, has := columns[c]; !has {
				columns[c] = nil
			}
		}
		for _, c := range []string{"tags", "items.sku", "items.n"} {
			if _, has := columns[c]; !has {
				columns[c] = []any{}
			}
		}
		want = append(want, columns)
	}
	add(noon.Add(123456789), `{}`, map[string]any{})
	add(noon.Add(1), `{"total":"1234567890123456789012345678.0123456789","price":"-0.01","n":-9007199254740991}`,
		map[string]any{"total": "1234567890123456789012345678.0123456789", "price": "-0.01", "n": "-9007199254740991"})
	add(time.Date(1970, 1, 1, 0, 0, 0, 999999999, time.UTC), `{"at":"1969-12-31T23:59:59.123456789Z","day":"1900-01-01"}`,
		map[string]any{"at": "1969-12-31 23:59:59.123456789", "day": "1900-01-01"})
	add(noon, `{"key":"6a9fee5e-7500-4758-9c54-a96a0886ad18","ratio":0.1,"ok":false,"tags":["ü","","\u0000a"],"address":{"city":"Zürich"}}`,
		map[string]any{"key": "6a9fee5e-7500-4758-9c54-a96a0886ad18", "ratio": "0.1", "ok": "false", "tags": []any{"ü", "", "\x00a"}, "address.city": "Zürich"})
	add(noon, `{"items":[{"sku":"x","n":1},{"n":2},{"sku":"☃"}],"free":{"日":[1,{"b":null}]}}`,
		map[string]any{"items.sku": []any{"x", nil, "☃"}, "items.n": []any{"1", "2", nil}})
	return events, want
}

// The readers print the same text for the same value.
const (
	readPython = `
import sys, json, decimal, datetime
import duckdb, pyarrow.dataset as ds, pyarrow.compute as pc, pyarrow as pa
lake, columns = sys.argv[1], sys.argv[2].split("|")
def text(v):
    if v is None: return None
    if isinstance(v, list): return [text(x) for x in v]
    if isinstance(v, bool): return "true" if v else "false"
    if isinstance(v, bytes): return str(__import__("uuid").UUID(bytes=v))
    if isinstance(v, decimal.Decimal): return format(v, "f")
    return str(v)
table = ds.dataset(lake, format="parquet", partitioning="hive", exclude_invalid_files=False).to_table()
rows = []
for i in range(table.num_rows):
    row = {}
    for c in columns:
        column = table.column(c)
        if pa.types.is_timestamp(column.type):
            v = column[i].value
            row[c] = None if v is None else str(datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=v // 10**9))[:19] + ".%09d" % (v % 10**9)
        else:
            row[c] = text(column[i].as_py())
    rows.append(row)
select = ", ".join(
    ("strftime(\"%s\", '%%Y-%%m-%%d %%H:%%M:%%S.%%n') AS \"%s\"" % (c, c)) if c in ("event_time", "at") else "\"%s\"" % c for c in columns)
con = duckdb.connect()
con.sql("SET TimeZone = 'UTC'")
found = con.sql("SELECT %s FROM read_parquet('%s/event_name=*/**/*.parquet', union_by_name = true, hive_partitioning = true)" % (select, lake))
duck = [dict(zip(columns, [text(v) for v in r])) for r in found.fetchall()]
print(json.dumps({"pyarrow": rows, "duckdb": duck}))
`
	readClickHouse = `SELECT event_id, event_name, tenant_id, event_time, toString(total) AS total, toString(price) AS price, at, toString(day) AS day,
	toString(key) AS key, toString(n) AS n, toString(ratio) AS ratio, toString(ok) AS ok, tags, ` + "`items.sku`, arrayMap(x -> toString(x), `items.n`) AS `items.n`, `address.city`" + `
	FROM file('LAKE/event_name=*/**/*.parquet') FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 1, output_format_decimal_trailing_zeros = 1`
)

func TestPyarrowDuckDBAndClickHouseReadEveryEventAsItWasSent(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.File.RowGroupRows = 2 })
	h.registry.set(t, compile(t, "order", "1", trickySchema))
	events, want := tricky()
	for i := range events {
		require.NoError(t, h.deliver(uint64(i), 1, events[i]))
	}
	var ids, columns []string
	for _, e := range events {
		ids = append(ids, e.id)
	}
	h.awaitIDs(ids...)
	for c := range want[0] {
		columns = append(columns, c)
	}
	scale := map[string]int{"total": 10, "price": 2}
	normal := func(row map[string]any) map[string]any {
		out := map[string]any{}
		for _, c := range columns {
			v := row[c]
			if s, ok := v.(string); ok {
				if digits, ok := scale[c]; ok { // readers differ in zeros at the end
					whole, fraction, _ := strings.Cut(s, ".")
					v = whole + "." + (fraction + strings.Repeat("0", digits))[:digits]
				}
			}
			out[c] = v
		}
		return out
	}
	same := func(t *testing.T, got []map[string]any) {
		t.Helper()
		byID := map[any]map[string]any{}
		for _, row := range got {
			byID[row["event_id"]] = normal(row)
		}
		require.Len(t, got, len(want))
		for _, row := range want {
			require.Equal(t, normal(row), byID[row["event_id"]])
		}
	}
	t.Run("python", func(t *testing.T) {
		lake := filepath.Join(t.TempDir(), "lake")
		require.NoError(t, os.CopyFS(lake, os.DirFS(h.cfg.Directory)))
		require.NoError(t, os.RemoveAll(filepath.Join(lake, "_catalogue")))
		var got map[string][]map[string]any
		require.NoError(t, json.Unmarshal([]byte(pythontest.Run(t, readPython, lake, strings.Join(columns, "|"))), &got))
		same(t, got["pyarrow"])
		same(t, got["duckdb"])
	})
	t.Run("clickhouse", func(t *testing.T) {
		e := enginetest.Start(t, enginetest.WithFileAccess())
		answer, err := e.Do(context.Background(), strings.ReplaceAll(readClickHouse, "LAKE", h.cfg.Directory))
		require.NoError(t, err)
		var got []map[string]any
		for line := range strings.Lines(answer) {
			var row map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &row))
			got = append(got, row)
		}
		same(t, got)
	})
}

func TestAFileIsClosedWhenItIsLargeEnough(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.File.TargetBytes = 20_000; c.File.MaxAge = 1000 * time.Hour })
	text := strings.Repeat("0123456789", 500)
	n := 0
	for ; len(h.files()) < 3; n++ {
		require.NoError(t, h.deliver(uint64(n), 1, one{id: fmt.Sprint(n), name: "clicked", properties: `{"text":"` + text + fmt.Sprint(n) + `"}`}))
		h.awaitRound()
	}
	require.Less(t, n, 200)
	require.Greater(t, n, 30)
}
