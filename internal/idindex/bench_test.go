// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

func filled(live uint64) (*Index, *rand.Rand, uint64) {
	x := New(Options{MaxCount: live})
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]byte, Size*10_000)
	next := uint64(0)
	for ; next < live+live/4; next += 10_000 {
		x.Insert(next, 0, fast(r, ids))
	}
	return x, r, next
}

// BenchmarkDoor is what the door costs: 1,000 new IDs claimed and committed, while as many expire.
func BenchmarkDoor(b *testing.B) {
	f := func(live uint64) {
		b.Helper()
		x, r, next := filled(live)
		d := NewDoor(x)
		fps := make([]Fingerprint, 1_000)
		b.Run(fmt.Sprintf("%dk", live/1_000), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for i := range fps {
					fast(r, fps[i][:])
				}
				c := d.Begin(fps, 0)
				c.Commit(next, 0)
				if c.Wait(context.Background()) != nil || len(c.Fresh()) != Size*len(fps) {
					b.Fatal(errors.New("not all are fresh"))
				}
				next += uint64(len(fps))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(fps)), "ns/event")
			b.ReportMetric(float64(x.Bytes())/float64(x.Len()), "B/ID")
		})
	}
	f(10_000)
	f(1_000_000)
	f(10_000_000)
}

func BenchmarkFingerprint(b *testing.B) {
	tenant, uid := []byte("acme"), []byte("0190b6a0-0000-7000-8000-000000000001")
	for b.Loop() {
		hasher.Sum(tenant, uid)
	}
}

// BenchmarkRebuild is what a start costs: 10 million IDs read back.
func BenchmarkRebuild(b *testing.B) {
	const count, segment = 10_000_000, 500_000
	ids := fast(rand.New(rand.NewPCG(1, 2)), make([]byte, Size*count))
	for b.Loop() {
		x := New(Options{MaxCount: count})
		x.Reserve(count)
		for n := uint64(0); n < count; n += segment {
			x.Insert(n, int64(n), ids[n*Size:(n+segment)*Size])
		}
		if x.Len() != count {
			b.Fatal(x.Len())
		}
	}
}
