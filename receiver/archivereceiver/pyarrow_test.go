// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/pythontest"
)

// writeWithPyarrow writes 5,000 rows in the ways that pyarrow and DuckDB have, and what is in them as JSON lines.
const writeWithPyarrow = `
import datetime, decimal, json, sys
import pyarrow as pa, pyarrow.parquet as pq
import duckdb
out = sys.argv[1]
rows = []
for i in range(5000):
    rows.append({
        "id": f"e-{i}",
        "at": datetime.datetime(2026, 11, 22, 14, tzinfo=datetime.timezone.utc) + datetime.timedelta(microseconds=i),
        "name": ["a", "b", "Zoë", "東京"][i % 4],
        "maybe": None if i % 3 else "text %d" % i,
        "n": (i * 7919) % 2**31 - 2**30,
        "big": 2**53 + i,
        "f": i / 7,
        "ok": i % 5 == 0,
        "money": decimal.Decimal(i * 37 - 5000).scaleb(-2),
        "wide": decimal.Decimal(10**25 + 1 + 100 * i).scaleb(-2),
        "day": datetime.date(2026, 1, 1) + datetime.timedelta(days=i % 400),
        "tags": None if i % 7 == 0 else ["t%d" % j if j != 1 else None for j in range(i % 4)],
        "items": [{"sku": "s%d" % j, "n": None if j else i} for j in range(i % 3)],
        "where": None if i % 2 else {"city": "Köln", "zip": i},
    })
schema = pa.schema([
    ("id", pa.string()), ("at", pa.timestamp("us", tz="UTC")), ("name", pa.string()), ("maybe", pa.string()), ("n", pa.int32()),
    ("big", pa.int64()), ("f", pa.float64()), ("ok", pa.bool_()), ("money", pa.decimal128(9, 2)), ("wide", pa.decimal128(38, 2)),
    ("day", pa.date32()), ("tags", pa.list_(pa.string())), ("items", pa.list_(pa.struct([("sku", pa.string()), ("n", pa.int64())]))),
    ("where", pa.struct([("city", pa.string()), ("zip", pa.int32())])),
])
table = pa.Table.from_pylist(rows, schema=schema)
def write(name, **options):
    pq.write_table(table, f"{out}/{name}.parquet", **options)
write("default")
write("v1-small-pages", data_page_version="1.0", data_page_size=2000, compression="gzip", row_group_size=1700)
write("v2-small-pages", data_page_version="2.0", data_page_size=2000, compression="zstd", row_group_size=1700)
write("plain", use_dictionary=False, compression="none")
write("checksums", write_page_checksum=True)
write("delta", use_dictionary=False, version="2.6", data_page_version="2.0", column_encoding={
    "id": "DELTA_BYTE_ARRAY", "name": "DELTA_LENGTH_BYTE_ARRAY", "n": "DELTA_BINARY_PACKED", "big": "DELTA_BINARY_PACKED",
    "f": "BYTE_STREAM_SPLIT", "ok": "RLE", "at": "DELTA_BINARY_PACKED"})
duckdb.sql(f"COPY (SELECT * FROM '{out}/default.parquet') TO '{out}/duckdb.parquet' (FORMAT parquet, COMPRESSION zstd)")
duckdb.sql(f"COPY (SELECT * FROM '{out}/default.parquet') TO '{out}/duckdb-v2.parquet' (FORMAT parquet, PARQUET_VERSION v2, ROW_GROUP_SIZE 2048)")
def plain(v):
    if isinstance(v, datetime.datetime):
        return None
    if isinstance(v, datetime.date):
        return v.isoformat()
    if isinstance(v, decimal.Decimal):
        return str(v) if v > 10**20 else float(v)
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items() if x is not None}
    if isinstance(v, list):
        return [plain(x) for x in v]
    return v
with open(f"{out}/want.json", "w") as f:
    for r in rows:
        # What is NULL or an empty list is absent.
        f.write(json.dumps({k: plain(v) for k, v in r.items() if v is not None and v != [] and k not in ("id", "at")}) + "\n")
`

func TestFilesOfPyarrowAndDuckDBAreRead(t *testing.T) {
	dir := t.TempDir()
	pythontest.Run(t, writeWithPyarrow, dir)
	text, err := os.ReadFile(filepath.Join(dir, "want.json"))
	require.NoError(t, err)
	var want []map[string]any
	for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
		var row map[string]any
		require.NoError(t, dec.Decode(&row))
		want = append(want, row)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	require.NoError(t, err)
	require.Len(t, files, 8)
	s := configured(func(c *Config) {
		c.Mapping = configoptional.Some(MappingConfig{
			EventName: Field{Value: "x"}, EventID: Field{Column: "id"}, EventTime: TimeField{Column: "at"},
		})
	})
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		logs, err := restoreFile(b, s)
		require.NoError(t, err, file)
		require.Equal(t, len(want), logs.LogRecordCount(), file)
		var r event.Reader
		r.Reset(event.FromLogs(logs))
		for i := range want {
			e := r.Next()
			var got struct {
				ID         string         `json:"event_id"`
				Properties map[string]any `json:"properties"`
			}
			require.NoError(t, json.Unmarshal(e.AppendRaw(nil), &got))
			require.Equal(t, want[i], got.Properties, "%s row %d", file, i)
			require.Equal(t, fmt.Sprint("e-", i), got.ID)
			require.EqualValues(t, 1795356000_000000000+i*1000, e.Time)
		}
	}
}
