// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/pythontest"
)

// randomFiles writes some files of random rows of all types, the last of which is put together from others, and returns
// their paths and what their rows say.
func randomFiles(t *testing.T) (columns []Column, paths []string, want [][][]string) {
	t.Helper()
	columns = allColumns()
	dir := t.TempDir()
	put := func(file []byte, said [][]string) {
		path := filepath.Join(dir, fmt.Sprintf("%d.parquet", len(paths)))
		require.NoError(t, os.WriteFile(path, file, 0o644))
		paths, want = append(paths, path), append(want, said)
	}
	for _, seed := range []uint64{2, 4, 6, 11} {
		put(writeRandom(t, seed, columns, Options{PageBytes: 1 << (10 + seed), Sorted: []SortingColumn{{Column: 0}}}))
	}
	put(copyRandom(t, columns, 21, 22, 23))
	return columns, paths, want
}

func TestPyarrowAndDuckDBReadBackEveryType(t *testing.T) {
	columns, paths, want := randomFiles(t)
	script, err := os.ReadFile("testdata/read.py")
	require.NoError(t, err)
	var got map[string][][][]string
	require.NoError(t, json.Unmarshal([]byte(pythontest.Run(t, string(script), paths...)), &got))
	for _, reader := range []string{"pyarrow", "duckdb"} {
		t.Run(reader, func(t *testing.T) {
			require.Len(t, got[reader], len(want))
			for i := range want {
				requireSame(t, columns, want[i], got[reader][i])
			}
		})
	}
}

func TestClickHouseReadsBackEveryType(t *testing.T) {
	columns, paths, want := randomFiles(t)
	e := enginetest.Start(t, enginetest.WithFileAccess())
	for i, path := range paths {
		requireSame(t, columns, want[i], readClickHouse(t, e, path, columns))
	}
	require.Equal(t, "1", e.Query("SELECT toTypeName(json) = 'JSON' FROM file('"+paths[0]+"', Parquet) LIMIT 1"))
	// By value, for which ClickHouse uses statistics and bloom filters.
	for i, path := range paths {
		for j, c := range columns {
			if c.Repeated || c.Type.Kind != schema.String || len(want[i][j]) == 0 {
				continue
			}
			v := want[i][j][len(want[i][j])/2]
			n := 0
			for _, w := range want[i][j] {
				if w == v {
					n++
				}
			}
			if v != "null" {
				require.Equal(t, fmt.Sprint(n), e.Query(fmt.Sprintf(
					"SELECT count() FROM file('%s', Parquet) WHERE `%s` = unhex('%s') SETTINGS input_format_parquet_enable_json_parsing = 0", path, c.Name, v)), c.Name)
			}
		}
	}
}

// readClickHouse reads a file with the types that ClickHouse itself finds in it.
func readClickHouse(t *testing.T, e *enginetest.Engine, path string, columns []Column) (got [][]string) {
	t.Helper()
	expressions := make([]string, len(columns))
	for i, c := range columns {
		name := "`" + c.Name + "`"
		if c.Repeated {
			expressions[i] = "concat('[', arrayStringConcat(arrayMap(x -> ifNull(" + clickHouseWord(c.Type, "x") + ", 'null'), " + name + "), ','), ']')"
		} else {
			expressions[i] = "ifNull(" + clickHouseWord(c.Type, name) + ", 'null')"
		}
	}
	out := e.Query("SELECT " + strings.Join(expressions, ", ") + " FROM file('" + path +
		"', Parquet) SETTINGS input_format_parquet_enable_json_parsing = 0, max_threads = 1, " +
		"input_format_parquet_preserve_order = 1, max_query_size = 10000000, max_ast_elements = 1000000")
	got = make([][]string, len(columns))
	if out == "" {
		return got
	}
	for line := range strings.SplitSeq(out, "\n") {
		fields := strings.Split(line, "\t")
		require.Len(t, fields, len(columns))
		for i, f := range fields {
			if columns[i].Type.Kind == schema.Decimal {
				f = wholeDecimals(t, columns[i].Type.Scale, f)
			}
			got[i] = append(got[i], f)
		}
	}
	return got
}

// clickHouseWord is an expression for the value's word; of decimals, for the number with its point.
func clickHouseWord(t schema.Type, x string) string {
	switch t.Kind {
	case schema.String:
		return "lower(hex(" + x + "))"
	case schema.Float32, schema.Float64:
		return "if(isNaN(" + x + "), 'nan', leftPad(lower(hex(reinterpretAsUInt64(toFloat64(" + x + ")))), 16, '0'))"
	case schema.Date32:
		return "toString(toInt32(" + x + "))"
	case schema.DateTime64:
		return "toString(toUnixTimestamp64Nano(" + x + "))"
	default:
		return "toString(" + x + ")"
	}
}

// wholeDecimals turns decimals of a scale into whole numbers.
func wholeDecimals(t *testing.T, scale int, f string) string {
	t.Helper()
	words := strings.Split(strings.Trim(f, "[]"), ",")
	for i, w := range words {
		if w == "null" || w == "" {
			continue
		}
		n, ok := new(big.Rat).SetString(w + "e" + strconv.Itoa(scale))
		require.True(t, ok && n.IsInt(), w)
		words[i] = n.Num().String()
	}
	out := strings.Join(words, ",")
	if strings.HasPrefix(f, "[") {
		return "[" + out + "]"
	}
	return out
}
