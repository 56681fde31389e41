// SPDX-License-Identifier: Apache-2.0

package parquetfile_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/native"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/pythontest"
)

// views are events of one name, 15 columns of the envelope and 22 of the schema, as the exporter has them.
type views struct {
	columns []parquetfile.Column
	vectors []parquetfile.Vector
	rows    int
}

var makeViews = sync.OnceValues(func() (*views, error) {
	const rows = 100_000
	snap, err := load.Schemas("../../configs/schemas")
	if err != nil {
		return nil, err
	}
	gen, err := load.NewGenerator(load.GeneratorConfig{Seed: 1})
	if err != nil {
		return nil, err
	}
	l := columns.New(snap, "product_viewed", nil)
	block := columns.NewEvents(l, "JSON")
	var join columns.Join
	join.Reset(columns.Fields(l))
	var r event.Reader
	for join.Rows() < rows {
		block.Reset()
		r.Reset(event.FromLogs(gen.Next(10_000)))
		for e := r.Next(); e != nil && join.Rows()+block.Rows() < rows; e = r.Next() {
			if s := snap.Match(e.Name); s != nil && s.Subject == "product_viewed" {
				e.SetSchema(s.Subject, s.Version)
				if err := block.Add(e, r.ResourceIndex()); err != nil {
					return nil, err
				}
			}
		}
		all := append(append([]native.Column(nil), block.Envelope()...), block.Typed()...)
		if err := join.Add(columns.AppendBlock(nil, block.Rows(), all)); err != nil {
			return nil, err
		}
	}
	v := &views{vectors: join.Vectors(), rows: rows}
	for _, f := range columns.Fields(l) {
		v.columns = append(v.columns, parquetfile.Column{
			Name: f.Name, Type: f.Type, Optional: f.Nullable, Repeated: f.Repeated, JSON: f.JSON,
			Bloom: f.Name == "event_id" || f.Name == "user_id" || f.Name == "session_id",
		})
	}
	return v, nil
})

func (v *views) write(tb testing.TB, w io.Writer, order []uint32) {
	tb.Helper()
	f, err := parquetfile.NewWriter(w, v.columns, parquetfile.Options{})
	require.NoError(tb, err)
	_, err = f.WriteRowGroup(v.rows, v.vectors, order)
	require.NoError(tb, err)
	_, err = f.Close(nil)
	require.NoError(tb, err)
}

// view is a row for parquet-go's own writer, with a dictionary wherever it makes the file smaller.
type view struct {
	EventID       string   `parquet:"event_id"`
	EventName     string   `parquet:"event_name,dict"`
	EventTime     int64    `parquet:"event_time,timestamp(nanosecond),delta"`
	ReceivedTime  int64    `parquet:"received_time,timestamp(nanosecond),delta"`
	UserID        *string  `parquet:"user_id,optional,dict"`
	AnonymousID   *string  `parquet:"anonymous_id,optional,dict"`
	SessionID     *string  `parquet:"session_id,optional,dict"`
	TenantID      string   `parquet:"tenant_id,dict"`
	Source        string   `parquet:"source,dict"`
	SchemaName    string   `parquet:"schema_name,dict"`
	SchemaVersion string   `parquet:"schema_version,dict"`
	TraceID       string   `parquet:"trace_id"`
	SpanID        string   `parquet:"span_id"`
	Resource      string   `parquet:"resource,dict"`
	Properties    string   `parquet:"properties,dict"`
	Brand         *string  `parquet:"brand,optional,dict"`
	Category      *string  `parquet:"category,optional,dict"`
	Country       *string  `parquet:"country,optional,dict"`
	Currency      *string  `parquet:"currency,optional,dict"`
	DeviceType    *string  `parquet:"device_type,optional,dict"`
	ImageURL      *string  `parquet:"image_url,optional,dict"`
	InStock       *bool    `parquet:"in_stock,optional"`
	Locale        *string  `parquet:"locale,optional,dict"`
	Name          *string  `parquet:"name,optional,dict"`
	OS            *string  `parquet:"os,optional,dict"`
	PageURL       *string  `parquet:"page_url,optional,dict"`
	Position      *int64   `parquet:"position,optional,dict"`
	Price         *int64   `parquet:"price,optional,dict"`
	ProductID     *string  `parquet:"product_id,optional,dict"`
	Rating        *float64 `parquet:"rating,optional,dict"`
	ReferrerURL   *string  `parquet:"referrer_url,optional,dict"`
	SKU           *string  `parquet:"sku,optional,dict"`
	Tags          []string `parquet:"tags,list,dict"`
	UserAgent     *string  `parquet:"user_agent,optional,dict"`
	UTMCampaign   *string  `parquet:"utm_campaign,optional,dict"`
	UTMMedium     *string  `parquet:"utm_medium,optional,dict"`
	UTMSource     *string  `parquet:"utm_source,optional,dict"`
}

// BenchmarkWrite writes 100,000 rows of 37 columns: from vectors, and by parquet-go from structs that are there already.
func BenchmarkWrite(b *testing.B) {
	v, err := makeViews()
	require.NoError(b, err)
	report := func(b *testing.B, size int) {
		b.Helper()
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(v.rows), "ns/row")
		b.ReportMetric(float64(size)/float64(v.rows), "B/row")
	}
	b.Run("vectors", func(b *testing.B) {
		var out bytes.Buffer
		b.ReportAllocs()
		for b.Loop() {
			out.Reset()
			v.write(b, &out, nil)
		}
		report(b, out.Len())
	})
	b.Run("small", func(b *testing.B) { // a file of 1,000 rows each
		const rows = 1000
		small := &views{columns: v.columns, vectors: v.vectors, rows: rows}
		order := make([]uint32, rows)
		for i := range order {
			order[i] = uint32(i * 100)
		}
		var out bytes.Buffer
		b.ReportAllocs()
		for b.Loop() {
			out.Reset()
			small.write(b, &out, order)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	})
	b.Run("copy", func(b *testing.B) {
		var part, out bytes.Buffer
		v.write(b, &part, nil)
		b.ReportAllocs()
		for b.Loop() {
			out.Reset()
			w, err := parquetfile.NewWriter(&out, v.columns, parquetfile.Options{})
			require.NoError(b, err)
			_, err = w.CopyRowGroups(bytes.NewReader(part.Bytes()), int64(part.Len()))
			require.NoError(b, err)
			_, err = w.Close(nil)
			require.NoError(b, err)
		}
		report(b, out.Len())
	})
	b.Run("structs", func(b *testing.B) {
		var out bytes.Buffer
		v.write(b, &out, nil)
		rows, err := parquet.Read[view](bytes.NewReader(out.Bytes()), int64(out.Len()))
		require.NoError(b, err)
		require.Len(b, rows, v.rows)
		b.ReportAllocs()
		for b.Loop() {
			out.Reset()
			w := parquet.NewGenericWriter[view](&out, parquet.Compression(&parquet.Zstd), parquet.BloomFilters(
				parquet.SplitBlockFilter(10, "event_id"), parquet.SplitBlockFilter(10, "user_id"), parquet.SplitBlockFilter(10, "session_id")))
			_, err := w.Write(rows)
			require.NoError(b, err)
			require.NoError(b, w.Close())
		}
		report(b, out.Len())
	})
}

// compareFiles fails unless two files have equal rows, by pyarrow and by DuckDB.
const compareFiles = `
import sys, duckdb, pyarrow as pa, pyarrow.parquet as pq
a, b = sys.argv[1:]
x, y = pq.read_table(a), pq.read_table(b)
for name in x.column_names:
    c, d = x[name].combine_chunks(), y[name].combine_chunks()
    if isinstance(c, pa.ExtensionArray):
        c = c.storage
    if isinstance(d, pa.ExtensionArray):
        d = d.storage
    assert c.equals(d.cast(c.type)), name
columns = ", ".join('"%s"::VARCHAR' % name for name in x.column_names)
one, other = (duckdb.execute(f"SELECT count(*), sum(hash({columns})) FROM read_parquet(?)", [path]).fetchone() for path in (a, b))
assert one == other, (one, other)
`

func TestFilesAreAsSmallAsClickHousesAndHaveTheSameRows(t *testing.T) {
	v, err := makeViews()
	require.NoError(t, err)
	ours, theirs := filepath.Join(t.TempDir(), "ours.parquet"), filepath.Join(t.TempDir(), "theirs.parquet")
	f, err := os.Create(ours)
	require.NoError(t, err)
	v.write(t, f, nil)
	require.NoError(t, f.Close())
	e := enginetest.Start(t, enginetest.WithFileAccess())
	e.Exec(fmt.Sprintf("INSERT INTO FUNCTION file('%s', Parquet) SELECT * FROM file('%s', Parquet) SETTINGS max_threads = 1, "+
		"input_format_parquet_enable_json_parsing = 0, output_format_parquet_compression_method = 'zstd', output_format_parquet_row_group_size = %d",
		theirs, ours, v.rows))
	size := func(path string) float64 {
		s, err := strconv.ParseFloat(e.Query("SELECT any(_size) FROM file('"+path+"', Parquet)"), 64)
		require.NoError(t, err)
		return s
	}
	ratio := size(ours) / size(theirs)
	t.Logf("%.1f bytes a row, and %.1f of ClickHouse's: %.3f times", size(ours)/float64(v.rows), size(theirs)/float64(v.rows), ratio)
	require.Less(t, ratio, 1.1)
	// The rows are those that pyarrow, DuckDB and ClickHouse read of ours and of the other file.
	pythontest.Run(t, compareFiles, ours, theirs)
}
