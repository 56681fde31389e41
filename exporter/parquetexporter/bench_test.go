// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/load"
)

// BenchmarkExporter is the way of an event from memory into a file, staging and the state store included.
func BenchmarkExporter(b *testing.B) {
	const n, size = 100_000, 20_000
	snap, err := load.Schemas("../../configs/schemas")
	require.NoError(b, err)
	gen, err := load.NewGenerator(load.GeneratorConfig{Seed: 1, Events: n})
	require.NoError(b, err)
	var batches []plog.Logs
	for range n / size {
		ld := gen.Next(size)
		var r event.Reader
		r.Reset(event.FromLogs(ld))
		for e := r.Next(); e != nil; e = r.Next() {
			if s := snap.Match(e.Name); s != nil {
				e.SetSchema(s.Subject, s.Version)
			}
		}
		batches = append(batches, ld)
	}
	h := newHarness(b, nil)
	h.registry.snapshot = snap
	var staging time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		for _, ld := range batches {
			require.NoError(b, h.x.consume(b.Context(), ld))
		}
		staging += time.Since(start)
		h.await(func() bool { h.clock.advance(time.Hour); return h.idle() })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
	b.ReportMetric(float64(staging.Nanoseconds())/float64(b.N)/n, "ns-staging/event")
}
