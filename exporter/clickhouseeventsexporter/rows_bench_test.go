// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"testing"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/exporter/exportertest"

	"github.com/millrace/millrace/exporter/clickhouseeventsexporter/internal/metadata"
	"github.com/millrace/millrace/internal/delivery"
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
				rows.Reset()
				sorted.Reset(batch)
				if stage == "sort" {
					continue
				}
				for e, _ := sorted.Next(); e != nil; e, _ = sorted.Next() {
					if stage == "read" {
						continue
					}
					if err := rows.Add(e, sorted.ResourceIndex()); err != nil {
						b.Fatal(err)
					}
				}
				if stage == "read" || stage == "build" {
					continue
				}
				buf.Reset()
				block := proto.Block{Rows: rows.Rows(), Columns: len(rows.columns())}
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

// BenchmarkDelivery is what the way behind an event log costs more than the other: reading a batch into columns, and
// here also the plan and the column of tokens.
func BenchmarkDelivery(b *testing.B) {
	const n = 10_000
	snap, batch := shop(b, n)
	cfg := createDefaultConfig().(*Config)
	x, err := newEventsExporter(exportertest.NewNopSettings(metadata.Type), cfg)
	if err != nil {
		b.Fatal(err)
	}
	x.blocks = make(chan *block, 1)
	l := newLayout(snap, nil)
	var buf proto.Buffer
	encode := func(rows int, input proto.Input) {
		buf.Reset()
		block := proto.Block{Rows: rows, Columns: len(input)}
		if err := block.EncodeRawBlock(&buf, proto.Version, input); err != nil {
			b.Fatal(err)
		}
	}
	measure := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
		})
	}
	measure("alone", func() {
		block := x.takeBlock(l)
		x.build(b.Context(), block, batch)
		encode(block.events.Rows(), block.events.columns())
		x.giveBlock(block)
	})
	c := newCoordinator("one")
	known := &tableFacts{partitioning: parsePartitioning(cfg.Events.PartitionBy)}
	measure("behind a log", func() {
		r := &run{eventsExporter: x, d: delivery.New(c.id, 1, c), coordinator: c, batch: batch, layout: l, facts: &facts{layout: l, events: known, failed: known}, name: "x"}
		if err := r.begin(b.Context()); err != nil {
			b.Fatal(err)
		}
		s := r.eventsStage()
		encode(s.rows(), s.input(s.token(&r.plan.events.pieces[0]), s.rows()))
		x.giveBlock(r.block)
	})
}
