// SPDX-License-Identifier: Apache-2.0

package keyed

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

func BenchmarkEdit(b *testing.B) {
	for _, keys := range []int{10_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			s, _ := Restore(newMemStore(), Options{})
			t := s.Table(0, "t")
			key := make([]byte, 16)
			for i := range keys {
				binary.LittleEndian.PutUint64(key, uint64(i))
				t.Insert(Hash(key), key, 40)
			}
			t.dirty, t.dirtyBytes = nil, 0
			for i := range t.entries {
				t.entries[i].flags = live
			}
			rng := rand.New(rand.NewPCG(1, 2))
			b.ReportMetric(float64(t.Bytes())/float64(keys), "B/key")
			b.ResetTimer()
			n := 0
			j := s.Begin(0)
			const ahead = 256
			var hashes [ahead]uint64
			var wanted [ahead]uint64
			var near [ahead]uint32
			sum := uint32(0)
			for b.Loop() {
				if n%ahead == 0 {
					for i := range wanted {
						wanted[i] = rng.Uint64N(uint64(keys))
						binary.LittleEndian.PutUint64(key, wanted[i])
						hashes[i] = Hash(key)
					}
					sum += t.Prefetch(hashes[:], near[:])
				}
				binary.LittleEndian.PutUint64(key, wanted[n%ahead])
				r, _ := t.Find(hashes[n%ahead], key)
				t.Edit(r)[3]++
				if n++; n%20_000 == 0 {
					j.Publish()
					j = s.Begin(0)
				}
				if n%500_000 == 0 {
					for _, r := range t.dirty {
						t.entries[r].flags &^= dirty
					}
					t.dirty = t.dirty[:0]
				}
			}
			j.Publish()
		})
	}
}
