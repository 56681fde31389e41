// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/testbed/load"
)

const benchEvents = 1000

// batches are OTLP bytes of 1,000 events each, as the load generator makes them.
var batches = sync.OnceValue(func() (list [][]byte) {
	g, err := load.NewGenerator(load.GeneratorConfig{Seed: 1})
	if err != nil {
		panic(err)
	}
	for range 8 {
		b, err := (&plog.ProtoMarshaler{}).MarshalLogs(g.Next(benchEvents))
		if err != nil {
			panic(err)
		}
		list = append(list, b)
	}
	return list
})

func benchEntry(i int) *Entry {
	return &Entry{IDs: ids(uint64(i)*benchEvents, benchEvents), Chunks: []Chunk{{Partition: uint32(i % 4), Records: benchEvents, Data: batches()[i%8]}}}
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend is of entries of 1,000 events, on the disk of the temporary directory, with its syncs.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		for _, c := range []Compression{S2, Zstd, None} {
			b.Run(fmt.Sprintf("writers=%d/%s", writers, []string{"s2", "zstd", "none"}[c]), func(b *testing.B) {
				l := open(b, b.TempDir(), Options{Compression: c})
				stop := make(chan struct{})
				var wg sync.WaitGroup
				defer func() { close(stop); wg.Wait() }()
				wg.Go(func() { // retention, so that the disk does not fill
					for {
						select {
						case <-stop:
							return
						case <-time.After(50 * time.Millisecond):
							s := l.Stats()
							_ = l.SetIDFloor(s.NextID, s.NextSeq)
							_, _ = l.Remove(func(SegmentInfo) bool { return false })
						}
					}
				})
				entries := make([]*Entry, 8)
				for i := range entries {
					entries[i] = benchEntry(i)
				}
				b.ReportAllocs()
				work := make(chan *Entry)
				var workers sync.WaitGroup
				for range writers {
					workers.Go(func() {
						for e := range work {
							if _, err := l.Append(context.Background(), e); err != nil {
								b.Error(err)
							}
						}
					})
				}
				began, used, n := time.Now(), cpu(), 0
				for b.Loop() {
					work <- entries[n%8]
					n++
				}
				close(work)
				workers.Wait()
				b.ReportMetric(float64(n*benchEvents)/time.Since(began).Seconds(), "events/s")
				b.ReportMetric(float64(cpu()-used)/float64(n*benchEvents), "cpu-ns/event")
			})
		}
	}
}

// BenchmarkAppendOne is of entries of one event, from many senders.
func BenchmarkAppendOne(b *testing.B) {
	l := open(b, b.TempDir(), Options{})
	one := batches()[0][:700]
	work := make(chan int)
	var workers sync.WaitGroup
	for w := range 64 {
		workers.Go(func() {
			e := &Entry{IDs: ids(uint64(w), 1), Chunks: []Chunk{{Partition: uint32(w % 4), Records: 1, Data: one}}}
			for range work {
				if _, err := l.Append(context.Background(), e); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ReportAllocs()
	used, n := cpu(), 0
	for b.Loop() {
		work <- n
		n++
	}
	close(work)
	workers.Wait()
	b.ReportMetric(float64(cpu()-used)/float64(n), "cpu-ns/event")
}

func BenchmarkRead(b *testing.B) {
	for _, c := range []Compression{S2, Zstd, None} {
		b.Run([]string{"s2", "zstd", "none"}[c], func(b *testing.B) {
			l := open(b, b.TempDir(), Options{Compression: c})
			for i := range 32 {
				add(b, l, benchEntry(i))
			}
			b.ReportAllocs()
			var buf []byte
			used, n := cpu(), 0
			for b.Loop() {
				for p := range uint32(4) {
					require.NoError(b, l.Scan(p, 0, func(i Info) bool {
						var err error
						if buf, err = l.Read(i, buf); err != nil {
							b.Fatal(err)
						}
						n += int(i.Records)
						return true
					}))
				}
			}
			b.ReportMetric(float64(cpu()-used)/float64(n), "cpu-ns/event")
		})
	}
}

// BenchmarkOpen is of a log of 1 GB, a quarter of it in memory at least, and of the walk over its IDs.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	l := open(b, dir, Options{Compression: None})
	for i := range 1 << 30 / len(batches()[0]) {
		add(b, l, benchEntry(i))
	}
	require.NoError(b, l.sealAll())
	require.NoError(b, l.Close())
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, open(b, dir, Options{}).Close())
		}
	})
	l = open(b, dir, Options{})
	b.Run("ids", func(b *testing.B) {
		n := 0
		for b.Loop() {
			require.NoError(b, l.IDs(0, func(_ uint64, _ int64, ids, _ []byte) error { n += len(ids) / IDBytes; return nil }))
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "IDs/s")
	})
	b.Run("walk heads of one partition", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, l.Scan(1, 0, func(Info) bool { return true }))
		}
	})
}

// BenchmarkCodec is of one chunk of 1,000 events.
func BenchmarkCodec(b *testing.B) {
	c := newCodec()
	for _, kind := range []Compression{S2, Zstd} {
		dst := make([]byte, bound(len(batches()[0])))
		n, _, err := c.encode(kind, dst, batches()[0])
		require.NoError(b, err)
		name := []string{"s2", "zstd"}[kind]
		b.Run(name+"/encode", func(b *testing.B) {
			b.SetBytes(int64(len(batches()[0])))
			for b.Loop() {
				_, _, _ = c.encode(kind, dst, batches()[0])
			}
			b.ReportMetric(float64(n)/benchEvents, "bytes/event")
		})
		b.Run(name+"/decode", func(b *testing.B) {
			b.SetBytes(int64(len(batches()[0])))
			buf := make([]byte, len(batches()[0]))
			for b.Loop() {
				_, _ = c.decode(kind, buf[:0], dst[:n], len(batches()[0]))
			}
		})
	}
}
