// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"testing"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/testbed/load"
)

// shop returns the tracking plan's schemas and n valid events, stamped as the validation leaves them.
func shop(tb testing.TB, n int) (*schema.Snapshot, event.Batch) {
	tb.Helper()
	snap, err := load.Schemas("../../configs/schemas")
	require.NoError(tb, err)
	gen, err := load.NewGenerator(load.GeneratorConfig{Seed: 1, Events: int64(n)})
	require.NoError(tb, err)
	batch := event.FromLogs(gen.Next(n))
	var r event.Reader
	r.Reset(batch)
	for e := r.Next(); e != nil; e = r.Next() {
		if s := snap.Match(e.Name); s != nil {
			e.SetSchema(s.Subject, s.Version)
		}
	}
	return snap, batch
}

// BenchmarkRows is the way from events in memory to bytes for the wire, without the wire.
func BenchmarkRows(b *testing.B) {
	const n = 10_000
	snap, batch := shop(b, n)
	rows := newEventRows(newLayout(snap, nil))
	var sorted event.Sorted
	var buf proto.Buffer
	lz4 := compress.NewWriter(compress.LevelZero, compress.LZ4)
	for _, stage := range []string{"sort", "read", "build", "encode", "compress"} {
		b.Run(stage, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rows.reset()
				sorted.Reset(batch)
				if stage == "sort" {
					continue
				}
				for e, _ := sorted.Next(); e != nil; e, _ = sorted.Next() {
					if stage == "read" {
						continue
					}
					if err := rows.add(e, sorted.ResourceIndex()); err != nil {
						b.Fatal(err)
					}
				}
				if stage == "read" || stage == "build" {
					continue
				}
				buf.Reset()
				block := proto.Block{Rows: rows.rows, Columns: len(rows.columns())}
				if err := block.EncodeRawBlock(&buf, proto.Version, rows.columns()); err != nil {
					b.Fatal(err)
				}
				if stage == "compress" {
					if err := lz4.Compress(buf.Buf); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
			if len(buf.Buf) > 0 {
				b.ReportMetric(float64(len(buf.Buf))/n, "B/event")
			}
		})
	}
}
