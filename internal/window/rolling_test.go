// SPDX-License-Identifier: Apache-2.0

package window

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
)

// BenchmarkRoll measures what the row of a group costs that has changed, by how many slices its window has: all slices are full.
func BenchmarkRoll(b *testing.B) {
	for _, slices := range []int{10, 60, 96} {
		b.Run(fmt.Sprint("slices=", slices), func(b *testing.B) {
			const size, users = 2_000, 20_000
			e := newBenchEngine(b, Definition{
				Name: "user_last_hour", Window: Window{Type: Rolling, Size: time.Duration(slices) * time.Second, Slide: time.Second},
				GroupBy: []Group{{Field: "user.id"}}, CardinalityLimit: 1_000_000,
				Values: []Value{
					{Function: "count", As: "events"}, {Function: "sum", Field: "amount", As: "amount"}, {Function: "max", Field: "time", Type: "time", As: "last_seen"},
					{Function: "last", Field: "event.name", As: "last_event"}, {Function: "top_k", K: 3, Field: "event.name", As: "top_events"},
				},
			})
			from := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).UnixNano()
			ld := benchEvents(size, users, 0, from, rand.New(rand.NewPCG(1, 2)))
			i, rows := uint64(0), 0
			var spent time.Duration
			round := func() {
				d := delivery.New(delivery.Identity{First: i}, 1, coordinator{})
				d.Runs = []delivery.Run{{Records: size, Appended: from + int64(i)/size*int64(time.Second), Ends: true}}
				n := 0
				for _, lr := range ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
					lr.SetTimestamp(lr.Timestamp() + pcommon.Timestamp(time.Second))
					lr.Attributes().PutStr("user.id", fmt.Sprintf("user-%08d", (int(i)*7+n*13)%users))
					n++
				}
				i += size
				_, err := e.Apply(d, event.FromLogs(ld))
				require.NoError(b, err)
				d.Publish()
				began := time.Now()
				require.NoError(b, e.Checkpoint(&discard{}))
				for _, n := range e.closing.results {
					rows += int(n[0])
				}
				e.Committed()
				spent += time.Since(began)
			}
			for range slices {
				round()
			}
			spent, rows = 0, 0
			for b.Loop() {
				round()
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(rows), "checkpoint-ns/row")
			b.ReportMetric(float64(rows)/float64(b.N*size), "rows/event")
		})
	}
}
