// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/pythontest"
)

// pruneScript asks for values of every column with and without the help of statistics, indexes and bloom filters.
const pruneScript = `
import sys, json, math
import pyarrow as pa, pyarrow.parquet as pq, pyarrow.dataset as ds, pyarrow.compute as pc, duckdb
bad, asked = [], 0
con = duckdb.connect()
con.sql("SET TimeZone = 'UTC'")
for path in sys.argv[1:]:
    whole = pq.read_table(path)
    d = ds.dataset(path)
    con.sql("CREATE OR REPLACE TABLE whole AS SELECT * FROM read_parquet('%s')" % path)
    for i, f in enumerate(whole.schema):
        if pa.types.is_list(f.type): continue
        column = whole.column(i)
        picks = []
        for j in range(0, whole.num_rows, max(1, whole.num_rows // 5)):
            v = column[j]
            if v.is_valid: picks.append(v)
        for v in picks[:6]:
            for name, op in (("equal", pc.equal), ("less_equal", pc.less_equal), ("greater", pc.greater)):
                try:
                    want = pc.sum(op(column, v)).as_py() or 0
                    got = d.to_table(columns=[f.name], filter=op(pc.field(f.name), v)).num_rows
                except pa.lib.ArrowNotImplementedError: continue
                asked += 1
                if want != got: bad.append(["pyarrow", path, f.name, str(v), name, want, got])
        n = con.sql("SELECT count(*) FROM whole").fetchall()[0][0]
        for k in range(0, n, max(1, n // 4)):
            for op in ("=", "<=", ">"):
                q = "SELECT count(*) FROM %s WHERE \"%s\" " + op + " ?"
                v = con.sql("SELECT CAST(\"%s\" AS VARCHAR) FROM whole LIMIT 1 OFFSET %d" % (f.name, k)).fetchall()[0][0]
                if v is None: continue
                typed = con.sql("SELECT typeof(\"%s\") FROM whole LIMIT 1" % f.name).fetchall()[0][0]
                if typed == "JSON": continue
                q = q.replace("?", "CAST(? AS %s)" % typed)
                want = con.execute(q % ("whole", f.name), [v]).fetchall()[0][0]
                got = con.execute(q % ("read_parquet('%s')" % path, f.name), [v]).fetchall()[0][0]
                asked += 1
                if want != got: bad.append(["duckdb", path, f.name, str(v), op, want, got])
print(json.dumps({"bad": bad, "asked": asked}))
`

func TestNoReaderLosesRowsByStatisticsIndexesOrFilters(t *testing.T) {
	columns, paths, want := randomFiles(t)
	paths, want = paths[3:], want[3:] // one, and one that was put together
	var got struct {
		Bad   [][]any
		Asked int
	}
	require.NoError(t, json.Unmarshal([]byte(pythontest.Run(t, pruneScript, paths...)), &got))
	require.Empty(t, got.Bad)
	require.Greater(t, got.Asked, 200)

	e := enginetest.Start(t, enginetest.WithFileAccess())
	for i, path := range paths {
		if len(want[i][0]) == 0 {
			continue
		}
		for _, c := range columns {
			if c.Repeated || c.Type.Kind == schema.String && c.JSON {
				continue
			}
			for _, op := range []string{"=", "<="} {
				q := func(settings string) string {
					return e.Query(fmt.Sprintf("SELECT count() FROM file('%[1]s', Parquet) WHERE `%[2]s` %[3]s (SELECT `%[2]s` FROM file('%[1]s', Parquet) WHERE `%[2]s` IS NOT NULL ORDER BY 1 LIMIT 1 OFFSET 3) SETTINGS input_format_parquet_enable_json_parsing = 0%[4]s",
						path, c.Name, op, settings))
				}
				plain := q(", input_format_parquet_filter_push_down = 0, input_format_parquet_bloom_filter_push_down = 0, input_format_parquet_page_filter_push_down = 0, optimize_move_to_prewhere = 0")
				require.Equal(t, plain, q(""), "%s %s of %s", c.Name, op, path)
			}
		}
	}
}
