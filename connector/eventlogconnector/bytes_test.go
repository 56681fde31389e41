// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/segmentlog"
)

// startRaw restarts the log with a pipeline that reads its bytes.
func (h *harness) startRaw() {
	h.t.Helper()
	h.sink().raw = true
	h.restart()
	require.True(h.t, h.consumers[0].raw)
}

func TestAPipelineThatReadsBytesIsGivenThem(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Partitions, c.Delivery.MaxEvents = 1, 3 })
	h.startRaw()
	want := numbered("e", 11)
	require.NoError(t, h.send(want...))
	h.awaitStored(11)
	require.Equal(t, want, h.sink().stored())
	require.Empty(t, h.reader.tail.items, "nothing is kept decoded for nobody")

	h.sink().set(errors.New("away"))
	require.NoError(t, h.send("again"))
	calls := func() int {
		h.sink().mu.Lock()
		defer h.sink().mu.Unlock()
		return h.sink().calls
	}
	before := calls()
	h.await("repetitions", func() bool { return calls() > before+2 })
	h.sink().set(nil)
	h.awaitStored(12)

	h.restart()
	require.NoError(t, h.consumers[0].Reset(func(uint32) (uint64, error) { return 2, nil }))
	h.awaitStored(22)
	require.Equal(t, append(want[2:], "again"), h.sink().stored()[12:], "from the middle of an append")
	h.await("events to be counted, of which the batch had none", func() bool { return h.counter("event_log_delivered") == 10 })
}

func TestAPipelineThatReadsBytesLeavesTheTailToOthers(t *testing.T) {
	h := newHarness(t, nil)
	second := newSink()
	second.raw = true
	h.sinks[pipeline.NewIDWithName(pipeline.SignalLogs, "windows")] = second
	h.frozen = &frozenClock{now: epoch} // nothing is delivered while it is sent
	h.restart()
	require.Equal(t, 1, h.reader.tail.consumers)
	for i := range 20 {
		require.NoError(t, h.send(fmt.Sprint(i)))
	}
	h.pass(time.Second)
	h.awaitStored(20)
	h.await("the second pipeline", func() bool { return len(second.stored()) == 20 })
	require.Empty(t, h.reader.tail.items)
}

func TestBytesOfAnyRangeAreThoseOfTheLog(t *testing.T) {
	for _, compression := range []string{"s2", "zstd", "none"} {
		t.Run(compression, func(t *testing.T) {
			h := newHarness(t, func(c *Config) { c.Partitions, c.Compression = 1, compression })
			rng := rand.New(rand.NewPCG(1, 2))
			n := 0
			for range 30 {
				ids := numbered(fmt.Sprint("e", n, "-"), 1+rng.IntN(20))
				n += len(ids)
				require.NoError(t, h.send(ids...))
			}
			r := &reader{log: h.log, tail: h.reader.tail, lent: make([]lent, 1)}
			at := 0
			for range 500 {
				first := rng.IntN(n)
				if rng.IntN(3) > 0 { // mostly what follows, as deliveries do
					first = at % n
				}
				at = min(first+1+rng.IntN(40), n)
				want, err := h.reader.Load(0, uint64(first), uint64(at-1), true)
				require.NoError(t, err)
				chunks, err := r.LoadRaw(0, uint64(first), uint64(at-1))
				require.NoError(t, err)
				require.Equal(t, idsOf(want), idsOf(event.FromBytes(chunks).Logs()))
				alone, err := h.reader.LoadRaw(0, uint64(first), uint64(at-1))
				require.NoError(t, err)
				require.Equal(t, alone, chunks)
			}
		})
	}
}

func TestPartsOfOneAppendAreReadOnce(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Partitions = 1 })
	require.NoError(t, h.send(numbered("e", 100)...))
	var l lent
	whole, err := l.load(h.log, 0, 0, 9)
	require.NoError(t, err)
	next, err := l.load(h.log, 0, 10, 99)
	require.NoError(t, err)
	require.Same(t, &whole[0].OTLP[0], &next[0].OTLP[0])
	require.Nil(t, l.cut, "nothing of it is left")
	require.NoError(t, h.send("more"))
	_, err = l.load(h.log, 0, 0, 9)
	require.NoError(t, err)
	first := bytes.Clone(l.cut)
	both, err := l.load(h.log, 0, 10, 100)
	require.NoError(t, err)
	require.Len(t, both, 2)
	require.Equal(t, first, both[0].OTLP)
	require.Equal(t, []int{10, 100, 0, 1}, []int{both[0].From, both[0].To, both[1].From, both[1].To})
}

func TestMemoryOfALargeDeliveryIsNotKept(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Partitions, c.SegmentBytes, c.MaxBytes = 1, 64<<20, 256<<20 })
	var l lent
	_, err := h.log.Append(t.Context(), &segmentlog.Entry{Chunks: []segmentlog.Chunk{{Records: 10, Data: make([]byte, maxLent+1)}}})
	require.NoError(t, err)
	_, err = l.load(h.log, 0, 0, 9)
	require.NoError(t, err)
	require.Zero(t, cap(l.buf))
	require.Nil(t, l.cut)
}

// BenchmarkBytes reads deliveries of 20,000 events of some 150 bytes from the log, and three fields of each.
func BenchmarkBytes(b *testing.B) {
	const appends, events = 200, 1000
	log, err := segmentlog.Open(b.TempDir(), segmentlog.Options{Partitions: 1, SegmentBytes: 16 << 20})
	require.NoError(b, err)
	defer func() { require.NoError(b, log.Close()) }()
	builder := event.NewBuilder("acme", "web", "test")
	for i := range events {
		d := builder.Add()
		d.SetName("order_completed")
		d.SetTime(pcommon.Timestamp(1_700_000_000_000_000_000 + i))
		d.SetUserID(fmt.Sprint("user-", i*7919%1000))
		for _, key := range []string{"plan", "page", "ref", "lang", "kind", "zone"} {
			d.Put(key, fmt.Sprint(key, i%7))
		}
	}
	var encoder event.Encoder
	encoded, err := encoder.Encode(builder.Batch(), 1, make([]int, events))
	require.NoError(b, err)
	for range appends {
		_, err := log.Append(b.Context(), &segmentlog.Entry{Chunks: []segmentlog.Chunk{{Records: events, Data: encoded[0]}}})
		require.NoError(b, err)
	}
	fields, err := event.NewFields("user.id|enduser.pseudo.id", "plan", "page")
	require.NoError(b, err)
	rows := fields.Reader()
	var l lent
	read := 0
	for _, name := range []string{"log", "log and fields"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			first, n := uint64(0), 0
			for b.Loop() {
				chunks, err := l.load(log, 0, first, first+19_999)
				if err != nil {
					b.Fatal(err)
				}
				first = (first + 20_000) % (appends * events)
				n += 20_000
				if name == "log" {
					continue
				}
				if err := rows.Each(event.FromBytes(chunks), func(_ int, row *event.Row) bool {
					read += len(row.Values[0].Text)
					return true
				}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
			b.ReportMetric(float64(len(encoded[0]))/events, "B/event")
		})
	}
	require.Positive(b, read)
}
