// SPDX-License-Identifier: Apache-2.0

package load

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in microseconds, 16 buckets to the power of two: exact to about 6 percent. The
// counters are atomic each for itself.
type histogram struct {
	buckets [64 * 16]atomic.Int64
}

// LatencyQuantiles are upper bounds, exact to about 6 percent; 0 where nothing was measured.
type LatencyQuantiles struct{ P50, P95, P99, Max time.Duration }

func (h *histogram) observe(d time.Duration) {
	h.buckets[bucketOf(uint64(max(d, 0)/time.Microsecond))].Add(1)
}

func bucketOf(us uint64) int {
	if us < 16 {
		return int(us)
	}
	shift := bits.Len64(us) - 5
	return (shift+1)*16 + int(us>>shift&15)
}

// upper is the highest duration that falls into the bucket.
func upper(bucket int) time.Duration {
	if bucket < 16 {
		return time.Duration(bucket) * time.Microsecond
	}
	shift := bucket/16 - 1
	return time.Duration((uint64(16+bucket%16+1)<<shift)-1) * time.Microsecond
}

func (h *histogram) quantiles() (q LatencyQuantiles) {
	var counts [len(h.buckets)]int64
	var total int64
	for i := range h.buckets {
		counts[i] = h.buckets[i].Load()
		total += counts[i]
	}
	var below int64
	for i, n := range counts {
		if n == 0 {
			continue
		}
		below += n
		for _, want := range []struct {
			d    *time.Duration
			rank int64
		}{{&q.P50, (total + 1) / 2}, {&q.P95, (total*95 + 99) / 100}, {&q.P99, (total*99 + 99) / 100}} {
			if *want.d == 0 && below >= want.rank {
				*want.d = upper(i)
			}
		}
		q.Max = upper(i)
	}
	return q
}
