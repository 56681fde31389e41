// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/result"
)

// nothing takes what a checkpoint writes, and has nothing.
type nothing struct{}

func (nothing) Get([]byte) ([]byte, bool, error)                  { return nil, false, nil }
func (nothing) Range([]byte, func(key, value []byte) error) error { return nil }
func (nothing) Set([]byte, []byte)                                {}
func (nothing) Delete([]byte)                                     {}
func (nothing) Emit(delivery.OutboxBatch)                         {}

// BenchmarkPoints makes points of the results of windows with 10,000 groups: two counters and a gauge.
func BenchmarkPoints(b *testing.B) {
	const groups = 10_000
	cfg, err := parseConfig(b, orders)
	require.NoError(b, err)
	plan, err := cfg.plan()
	require.NoError(b, err)
	space, err := keyed.Restore(nothing{}, keyed.Options{})
	require.NoError(b, err)
	table := plan.engine.Tables()[0]
	minute := int64(0)
	for b.Loop() {
		b.StopTimer()
		minute++
		var batches [][]byte
		w, err := result.NewWriter(table, func(otlp []byte) { batches = append(batches, append([]byte(nil), otlp...)) })
		require.NoError(b, err)
		for i := range groups {
			w.Row(result.Head{Event: "orders", Time: minute, ID: result.ID([]byte(strconv.Itoa(i))), Timing: result.OnTime})
			w.Time(0, minute*60e9)
			w.Time(1, (minute+1)*60e9)
			w.Str(2, strconv.Itoa(i))
			w.Bool(3, false)
			w.Int(4, 3)
			w.Float(5, 1.5)
			w.Float(6, 1)
		}
		require.NoError(b, w.Flush())
		b.StartTimer()
		c, err := newClosing(plan, space)
		require.NoError(b, err)
		rows := &rowWriter{writerUnder{nothing{}, underEngine}, c}
		for _, otlp := range batches {
			rows.Emit(delivery.OutboxBatch{Logs: otlp, Watermark: (minute + 1) * 60e9})
		}
		require.NoError(b, c.finish())
		require.NoError(b, space.Checkpoint(nothing{}))
		require.NoError(b, c.write(map[string]string{"service.name": "shop"}, func([]byte) {}))
		space.Committed()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*3*groups), "ns/point")
}
