// SPDX-License-Identifier: Apache-2.0

package schemavalidationprocessor

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// TestReloadsUnderLoadNeitherDropNorSplitABatch changes the schemas without pause while batches run. Every
// event must come out, and all of a batch must have been judged by the schemas of one generation.
func TestReloadsUnderLoadNeitherDropNorSplitABatch(t *testing.T) {
	const senders, batches, events = 4, 200, 50
	// Odd generations call the event valid, even ones do not.
	generation := func(g int) *schema.Snapshot {
		doc := `{"required":["n"]}`
		if g%2 == 0 {
			doc = `{"required":["n","m"]}`
		}
		s, err := schema.Compile("load", strconv.Itoa(g), []byte(doc))
		require.NoError(t, err)
		snapshot, err := schema.NewSnapshot(uint64(g), []*schema.Schema{s})
		require.NoError(t, err)
		return snapshot
	}
	registry := newTestRegistry()
	registry.current.Store(generation(1))

	var sent, passed, mixed, seen atomic.Int64
	generations := sync.Map{}
	next, err := consumer.NewLogs(func(_ context.Context, ld plog.Logs) error {
		var r event.Reader
		r.Reset(event.FromLogs(ld))
		first := ""
		for e := r.Next(); e != nil; e = r.Next() {
			if first == "" {
				first = e.SchemaVersion
				if _, known := generations.LoadOrStore(first, true); !known {
					seen.Add(1)
				}
			}
			g, err := strconv.Atoi(e.SchemaVersion)
			if err != nil || e.SchemaVersion != first || e.Failed != (g%2 == 0) {
				mixed.Add(1)
			}
			passed.Add(1)
		}
		return nil
	})
	require.NoError(t, err)
	p := start(t, registry, next, componenttest.NewNopTelemetrySettings(), nil)

	var work sync.WaitGroup
	for range senders {
		work.Go(func() {
			for n := 0; n < batches || seen.Load() < 2; n++ { // as long as it takes until a reload was seen
				ld := plog.NewLogs()
				records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
				for n := range events {
					lr := records.AppendEmpty()
					lr.SetEventName("load")
					lr.Attributes().PutInt("n", int64(n))
				}
				if err := p.ConsumeLogs(context.Background(), ld); err != nil {
					t.Error(err)
					return
				}
				sent.Add(events)
			}
		})
	}
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	reloads := 1
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			reloads++
			registry.current.Store(generation(reloads))
		}
	}
	require.Equal(t, sent.Load(), passed.Load())
	require.Zero(t, mixed.Load())
}

// repeatedKey makes a record with one key twice, which the API does not allow but the wire does.
func repeatedKey(tb testing.TB) []byte {
	tb.Helper()
	ld := logsOf(tb, []string{"page_viewed"}, map[string]any{"url": "https://example.com/", "title": "Home", "urx": 5})
	encoded, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	require.NoError(tb, err)
	return bytes.ReplaceAll(encoded, []byte("urx"), []byte("url"))
}

func FuzzConsumeLogs(f *testing.F) {
	f.Add(repeatedKey(f))
	for _, attributes := range []map[string]any{
		{"url": 1, "event.failure.stage": "x", "event.schema": "page_viewed"},
		{"order_id": "\xff", "products": []any{map[string]any{"sku": 1}}, "event.schema.version": "9"},
	} {
		encoded, err := (&plog.ProtoMarshaler{}).MarshalLogs(logsOf(f, []string{"page_viewed", "order_completed", ""}, attributes, attributes))
		require.NoError(f, err)
		f.Add(encoded)
	}
	schemas := testSchemas(f)
	f.Fuzz(func(t *testing.T, encoded []byte) {
		for _, policy := range []Policy{Accept, Fail, Refuse} {
			ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(encoded)
			if err != nil {
				return
			}
			before := ld.LogRecordCount()
			var sink consumertest.LogsSink
			p := start(t, newTestRegistry(schemas...), &sink, componenttest.NewNopTelemetrySettings(), func(c *Config) { c.UnknownEvents = policy })
			err = p.ConsumeLogs(context.Background(), ld)
			if policy == Refuse {
				require.LessOrEqual(t, sink.LogRecordCount(), before)
				require.Equal(t, err != nil, sink.LogRecordCount() < before, "what is missing must have been refused")
			} else {
				require.NoError(t, err)
				require.Equal(t, before, sink.LogRecordCount())
			}
			for _, out := range sink.AllLogs() {
				var r event.Reader
				r.Reset(event.FromLogs(out))
				for e := r.Next(); e != nil; e = r.Next() {
					require.True(t, e.Failed || e.Name != "", "an event without a name must fail")
					require.True(t, e.Failed || e.Time != 0 && e.Received != 0)
				}
			}
		}
	})
}

// orders makes a batch of usual events of 20 properties.
func orders(tb testing.TB, n int) plog.Logs {
	tb.Helper()
	names, attributes := make([]string, n), make([]map[string]any, n)
	for i := range n {
		names[i] = "order_completed"
		attributes[i] = map[string]any{
			"order_id": fmt.Sprintf("ord-%d", i), "checkout_id": "7f0c2a4e-58a1-4a8e-9a53-0d8f4f3b7c11", "total": 129.9, "subtotal": 109.16,
			"shipping": 4.95, "tax": 20.74, "discount": 0, "currency": "EUR", "payment_method": "card", "coupon": nil, "items": 2,
			"first_order": false, "email": "ada.lovelace@example.com", "country": "DE", "city": "Köln", "placed_at": "2024-05-01T10:00:00.123Z",
			"deliver_on": "2024-05-03", "page_url": "https://shop.example.com/checkout/done?step=4", "tags": []any{"gift", "spring"},
			"products": []any{map[string]any{"sku": "SKU-1", "quantity": 1, "price": 99.5}, map[string]any{"sku": "SKU-2", "quantity": 1, "price": 9.66}},
		}
	}
	return logsOf(tb, names, attributes...)
}

func TestAStampedBatchOfValidEventsAllocatesPerBatchOnly(t *testing.T) {
	p := start(t, newTestRegistry(testSchemas(t)...), consumertest.NewNop(), componenttest.NewNopTelemetrySettings(), nil)
	const events = 1000
	ld := orders(t, events)
	require.NoError(t, p.ConsumeLogs(context.Background(), ld)) // stamps
	allocs := testing.AllocsPerRun(10, func() { _ = p.ConsumeLogs(context.Background(), ld) })
	require.Less(t, allocs, float64(events)/10)
}

func BenchmarkConsumeLogs(b *testing.B) {
	const events = 1000
	run := func(name string, spoil func(plog.LogRecord)) {
		b.Run(name, func(b *testing.B) {
			p := start(b, newTestRegistry(testSchemas(b)...), consumertest.NewNop(), componenttest.NewNopTelemetrySettings(), nil)
			template := orders(b, events)
			records := template.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
			for i := range records.Len() {
				if spoil != nil {
					spoil(records.At(i))
				}
			}
			encoded, err := (&plog.ProtoMarshaler{}).MarshalLogs(template)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(encoded)
				require.NoError(b, err)
				b.StartTimer()
				_ = p.ConsumeLogs(context.Background(), ld)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
		})
	}
	run("valid", nil)
	run("valid, stamped", func(lr plog.LogRecord) {
		lr.Attributes().PutStr("event.schema", "order_completed")
		lr.Attributes().PutStr("event.schema.version", "1")
	})
	run("invalid", func(lr plog.LogRecord) { lr.Attributes().PutStr("currency", "euro") })
	run("unknown", func(lr plog.LogRecord) { lr.SetEventName("nowhere") })
	run("marked by a producer", func(lr plog.LogRecord) {
		lr.Attributes().PutStr("event.failure.stage", "x")
	})
}
