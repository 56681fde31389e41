// SPDX-License-Identifier: Apache-2.0

package window

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/watermark"
)

// coordinator of a pipeline that nobody drives.
type coordinator struct{ delivery.Coordinator }

func (coordinator) Partitions() uint32 { return 1 }
func (coordinator) RequestCheckpoint() {}

type nobody struct{}

func (nobody) Events(string, string, int64)          {}
func (nobody) Skipped(string, string, string, int64) {}
func (nobody) Results(string, string, int64)         {}
func (nobody) Dropped(string, int64)                 {}

func newBenchEngine(b testing.TB, definitions ...Definition) *Engine {
	b.Helper()
	plan, err := NewPlan(Options{Watermark: watermark.Config{MaxOutOfOrderness: time.Second, MaxFutureSkew: time.Hour}, MaxFuture: time.Hour}, definitions)
	require.NoError(b, err)
	e := NewEngine(plan, EngineOptions{ID: component.MustNewID("window_aggregation"), Coordinator: coordinator{}, Logger: zap.NewNop(), Observer: nobody{}})
	require.NoError(b, e.Restore(context.Background(), emptySnapshot{}))
	e.See(delivery.Inputs{Partitions: true})
	return e
}

// benchEvents are n events within a second, with a user of so many, and more attributes.
func benchEvents(n, users, more int, from int64, rng *rand.Rand) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "shop")
	lrs := rl.ScopeLogs().AppendEmpty().LogRecords()
	names := []string{"page_viewed", "product_viewed", "product_added", "order_completed"}
	for i := range n {
		lr := lrs.AppendEmpty()
		lr.SetEventName(names[rng.IntN(len(names))])
		lr.SetTimestamp(pcommon.Timestamp(from + int64(i)*int64(time.Second)/int64(n)))
		a := lr.Attributes()
		a.PutStr("log.record.uid", fmt.Sprintf("%032x", rng.Uint64()))
		a.PutStr("user.id", fmt.Sprintf("user-%08d", rng.IntN(users)))
		a.PutDouble("amount", float64(rng.IntN(10000))/100)
		for k := range more {
			a.PutStr(fmt.Sprintf("property_%d", k), fmt.Sprintf("value %d of it", rng.IntN(100)))
		}
	}
	return ld
}

// benchApply counts deliveries of events of 20 attributes, or of 3.
func benchApply(b *testing.B, raw bool, users, more int, definitions ...Definition) {
	b.Helper()
	const size, batches = 20_000, 10
	rng := rand.New(rand.NewPCG(1, 2))
	from := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).UnixNano()
	var lds []plog.Logs
	var chunks [][]event.Chunk
	for range batches {
		ld := benchEvents(size, users, more, from, rng)
		otlp, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
		require.NoError(b, err)
		lds, chunks = append(lds, ld), append(chunks, []event.Chunk{{OTLP: otlp, To: size}})
	}
	e := newBenchEngine(b, definitions...)
	i := uint64(0)
	apply := func() {
		batch := event.FromLogs(lds[i%batches])
		if raw {
			batch = event.FromBytes(chunks[i%batches])
		}
		d := delivery.New(delivery.Identity{First: i * size}, 1, coordinator{})
		d.Runs = []delivery.Run{{Records: size, Appended: from, Ends: true}}
		i++
		_, err := e.Apply(d, batch)
		require.NoError(b, err)
		d.Publish()
	}
	for range batches {
		apply()
	}
	b.ReportAllocs()
	for b.Loop() {
		apply()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/size, "ns/event")
}

var countPerUser = Definition{
	Name: "per_user", Window: Window{Type: Tumbling, Size: time.Hour}, GroupBy: []Group{{Field: "user.id"}}, CardinalityLimit: 1_000_000,
	Values: []Value{{Function: "count", As: "events"}},
}

func BenchmarkCountByKey(b *testing.B) {
	for _, users := range []int{10, 100_000, 1_000_000} {
		for _, more := range []int{0, 17} {
			for _, raw := range []bool{true, false} {
				b.Run(fmt.Sprintf("users=%d/attributes=%d/raw=%v", users, 3+more, raw), func(b *testing.B) { benchApply(b, raw, users, more, countPerUser) })
			}
		}
	}
}

func BenchmarkTwoAggregations(b *testing.B) {
	benchApply(b, true, 100_000, 17, Definition{
		Name: "per_minute", Window: Window{Type: Tumbling, Size: time.Minute}, GroupBy: []Group{{Field: "event.name"}},
		Values: []Value{{Function: "count", As: "events"}, {Function: "count_distinct", Field: "user.id|enduser.pseudo.id", As: "users"}},
	}, Definition{
		Name: "revenue", Window: Window{Type: Hopping, Size: time.Hour, Slide: time.Minute}, GroupBy: []Group{{Field: "user.id"}}, CardinalityLimit: 1_000_000,
		Values: []Value{{Function: "count", As: "events"}, {Function: "sum", Field: "amount", As: "revenue"}},
	})
}

func BenchmarkSessions(b *testing.B) {
	benchApply(b, true, 100_000, 17, Definition{
		Name: "sessions", Window: Window{Type: Session, Gap: time.Minute}, GroupBy: []Group{{Field: "user.id"}}, CardinalityLimit: 1_000_000,
		Values: []Value{{Function: "count", As: "events"}},
	})
}

// discard is a checkpoint that goes nowhere.
type discard struct{ bytes int }

func (d *discard) Set(_, value []byte)         { d.bytes += len(value) }
func (*discard) Delete([]byte)                 {}
func (d *discard) Emit(b delivery.OutboxBatch) { d.bytes += len(b.Logs) }

// BenchmarkClose measures what one group of one window costs when it closes: merging its slices, its row, and the checkpoint.
func BenchmarkClose(b *testing.B) {
	for _, c := range []struct {
		name   string
		window Window
	}{
		{"tumbling", Window{Type: Tumbling, Size: 10 * time.Second}},
		{"hopping_of_5", Window{Type: Hopping, Size: 10 * time.Second, Slide: 2 * time.Second}},
		{"hopping_of_60", Window{Type: Hopping, Size: time.Minute, Slide: time.Second}},
		{"session", Window{Type: Session, Gap: 2 * time.Second}},
	} {
		b.Run(c.name, func(b *testing.B) {
			const size, users = 20_000, 10_000
			e := newBenchEngine(b, Definition{Name: "per_user", Window: c.window, GroupBy: []Group{{Field: "user.id"}}, CardinalityLimit: 1_000_000})
			from := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).UnixNano()
			rng := rand.New(rand.NewPCG(1, 2))
			ld := benchEvents(size, users, 17, from, rng)
			i, events, rows := uint64(0), 0, 0
			var spent time.Duration
			b.ReportAllocs()
			for b.Loop() {
				d := delivery.New(delivery.Identity{First: i}, 1, coordinator{})
				d.Runs = []delivery.Run{{Records: size, Appended: from + int64(i)/size*int64(time.Second), Ends: true}}
				for _, lr := range ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
					lr.SetTimestamp(lr.Timestamp() + pcommon.Timestamp(time.Second))
				}
				i += size
				events += size
				_, err := e.Apply(d, event.FromLogs(ld))
				require.NoError(b, err)
				d.Publish()
				start := time.Now()
				require.NoError(b, e.Checkpoint(&discard{}))
				for _, n := range e.closing.results {
					rows += int(n[1])
				}
				e.Committed()
				spent += time.Since(start)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(events), "checkpoint-ns/event")
			b.ReportMetric(float64(spent.Nanoseconds())/float64(max(rows, 1)), "checkpoint-ns/row")
			b.ReportMetric(float64(rows)/float64(events), "rows/event")
		})
	}
}
