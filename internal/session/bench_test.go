// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/watermark"
)

// empty is a keyspace without anything, and a checkpoint that is thrown away.
type empty struct{ bytes int }

func (empty) Get([]byte) ([]byte, bool, error)                  { return nil, false, nil }
func (empty) Range([]byte, func(key, value []byte) error) error { return nil }
func (e *empty) Set(_, value []byte)                            { e.bytes += len(value) }
func (e *empty) Delete([]byte)                                  {}
func (e *empty) Emit(delivery.OutboxBatch)                      {}

const (
	benchStart = int64(1_790_000_000_000_000_000)
	perBatch   = 20_000
)

func benchEngine(tb testing.TB, d Definition) *Engine {
	tb.Helper()
	e, err := New(Config{
		Definition: d, Gap: 30 * time.Minute,
		Time: watermark.Config{MaxOutOfOrderness: time.Minute, MaxFutureSkew: time.Hour},
	})
	if err == nil {
		err = e.Restore(empty{}, 1)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func visitors(d *Definition) {
	d.Key = []KeyPart{{Of: []string{event.FieldTenant}, Optional: true}, {Of: []string{event.FieldUser, event.FieldAnonymous}}}
}

// bench makes batches of events of so many keys, of 8 attributes each.
func benchBatches(n int, key func() int) []event.Batch {
	var out []event.Batch
	at := benchStart
	for range n {
		ld := plog.NewLogs()
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("tenant.id", "acme")
		lrs := rl.ScopeLogs().AppendEmpty().LogRecords()
		lrs.EnsureCapacity(perBatch)
		for range perBatch {
			at += 1000
			lr := lrs.AppendEmpty()
			lr.SetEventName("page_viewed")
			lr.SetTimestamp(pcommon.Timestamp(at))
			a := lr.Attributes()
			a.EnsureCapacity(10)
			a.PutStr("log.record.uid", "0191f2a0-0000-7000-8000-000000000000")
			a.PutStr("user.id", fmt.Sprintf("user-%08d", key()))
			a.PutStr("event.schema", "page_viewed")
			a.PutStr("event.schema.version", "1")
			a.PutStr("page_path", "/products/1234")
			a.PutStr("referrer", "https://example.org/")
			a.PutInt("scroll_depth", 50)
			a.PutStr("browser", "firefox")
		}
		out = append(out, event.FromLogs(ld))
	}
	return out
}

func apply(tb testing.TB, e *Engine, b event.Batch, marks []Mark) []Mark {
	tb.Helper()
	d := delivery.New(delivery.Identity{}, 1, nil)
	d.Runs = []delivery.Run{{Records: perBatch, Appended: benchStart + int64(time.Hour)}}
	a, err := e.Apply(d, b, marks)
	if err != nil {
		tb.Fatal(err)
	}
	a.Publish()
	return a.Marks
}

// cpuTime is user and system time of the process so far.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkApply(b *testing.B) {
	for _, keys := range []int{10_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			var d Definition
			visitors(&d)
			e := benchEngine(b, d)
			next := 0
			var marks []Mark
			for range keys / perBatch { // each key once
				marks = apply(b, e, benchBatches(1, func() int { next++; return next - 1 })[0], marks)
			}
			e.checkpointToNowhere()
			rng := rand.New(rand.NewPCG(1, 2))
			batches := benchBatches(10, func() int { return rng.IntN(keys) })
			n := 0
			took := time.Duration(0) // of the process on all cores: the machine may have other things to do
			b.ResetTimer()
			for b.Loop() {
				before := cpuTime(b)
				marks = apply(b, e, batches[n%len(batches)], marks)
				took += cpuTime(b) - before
				if n++; n%50 == 0 {
					b.StopTimer()
					e.checkpointToNowhere()
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(n*perBatch)/took.Seconds()/1e6, "Mevents/s/core")
			b.ReportMetric(float64(e.Bytes())/float64(keys), "B/key")
		})
	}
}

// checkpointToNowhere commits to nowhere, so that what is dirty does not grow.
func (e *Engine) checkpointToNowhere() {
	_, _ = e.Checkpoint(&empty{}, func(*Summary) error { return nil })
	e.Committed()
}
