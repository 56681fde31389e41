// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What goroutines of a start and requests at the same time do: a later batch may be noted before an earlier one, and what is
// removed or asked for by a floor of that moment must not reach what is on its way.
func TestNoFloorIsAboveWhatIsOnItsWay(t *testing.T) {
	type appended struct {
		first, count uint64
		at           int64
	}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		o := Options{MaxAge: time.Duration(steps * (1 + rng.IntN(3)))}
		if rng.IntN(2) == 0 {
			o.MaxCount = uint64(50 + rng.IntN(500))
		}
		var log []appended
		next, now := uint64(rng.IntN(1000)), int64(1e9)
		for range 200 {
			b := appended{next, uint64(1 + rng.IntN(20)), now}
			next += b.count
			now += int64(rng.IntN(1 << rng.IntN(13)))
			log = append(log, b)
		}
		// What a whole log says at that time.
		truth := func(at int64, seen uint64) (floor uint64) {
			for _, b := range log {
				if floorDiv(b.at, int64(o.Step())) < floorDiv(at-int64(o.MaxAge), int64(o.Step())) {
					floor = b.first + b.count
				}
			}
			if o.MaxCount > 0 && seen > o.MaxCount {
				floor = max(floor, seen-o.MaxCount)
			}
			return floor
		}
		h := newHorizon(o)
		var seen uint64
		var last int64
		for i := range log { // neighbours change places
			if j := i + rng.IntN(6); j < len(log) {
				log[i], log[j] = log[j], log[i]
			}
		}
		order := log
		log = append([]appended(nil), order...)
		slices.SortFunc(log, func(a, b appended) int { return cmp.Compare(a.first, b.first) })
		for _, b := range order {
			seen, last = max(seen, b.first+b.count), max(last, b.at)
			require.LessOrEqual(t, h.note(b.first, b.count, b.at), truth(last, seen), "seed %d", seed)
			later := last + int64(rng.IntN(5*steps))
			require.LessOrEqual(t, h.floor(later), truth(later, seen), "seed %d", seed)
		}
		require.Equal(t, truth(last+1e6, seen), h.floor(last+1e6), "seed %d: all is noted", seed)
		require.Equal(t, truth(last, seen), h.floor(last), "seed %d: all is noted", seed)
	}
}

// As a start reads the log back, on each processor.
func TestWhatIsInsertedByManyAtOnceIsAllKnown(t *testing.T) {
	const batches, each = 8, 20
	for round := range 300 {
		x := New(Options{MaxCount: 10_000_000, MaxAge: 24 * time.Hour})
		hasher := NewHasher([16]byte{byte(round)})
		printOf := func(i int) Fingerprint { return hasher.Sum([]byte{byte(i), byte(i >> 8)}) }
		var all sync.WaitGroup
		for b := range batches {
			all.Go(func() {
				var ids []byte
				for i := range each {
					fp := printOf(b*each + i)
					ids = append(ids, fp[:]...)
				}
				x.Insert(uint64(b*each), int64(1e18)+int64(b)*int64(time.Hour)/2, ids)
			})
		}
		all.Wait()
		for i := range batches * each {
			require.True(t, x.Contains(printOf(i), int64(1e18)+int64(4*time.Hour)), "round %d: %d", round, i)
		}
	}
}
