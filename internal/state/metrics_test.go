// SPDX-License-Identifier: Apache-2.0

package state

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCommitsAndStallsAreCounted(t *testing.T) {
	d := newSmallDisk(256 << 20)
	var commits, bytes, stalls atomic.Int64
	p := open(t, "s", Options{FS: d, MemTableBytes: 256 << 10, Hooks: Hooks{
		Committed: func(took time.Duration, n int) {
			commits.Add(1)
			bytes.Add(int64(n))
			if took <= 0 {
				t.Error("a commit took no time")
			}
		},
		Stalled: func(took time.Duration) {
			stalls.Add(1)
			if took <= 0 {
				t.Error("a stall took no time")
			}
		},
	}})
	require.NoError(t, p.Commit(&Batch{}))
	require.Zero(t, commits.Load(), "an empty batch is nothing to sync")
	set(t, p, "key", "value")
	require.EqualValues(t, 1, commits.Load())
	require.EqualValues(t, 8, bytes.Load())

	// Tables cannot be written for a while, so memory fills up and commits wait.
	held := make(chan struct{})
	d.mu.Lock()
	d.fault = func(op, name string) error {
		if op == "create" && strings.HasSuffix(name, ".sst") {
			d.mu.Unlock()
			<-held
			d.mu.Lock()
		}
		return nil
	}
	d.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 80 {
			set(t, p, "key", noise(20<<10))
		}
	})
	last, same := int64(-1), 0
	require.Eventually(t, func() bool {
		if n := commits.Load(); n != last {
			last, same = n, 0
		}
		same++
		return same > 100 && last > 25 // three memtables of 256 KiB are full
	}, waitFor, tick)
	require.Less(t, last, int64(81))
	require.Zero(t, stalls.Load())
	close(held)
	wg.Wait()
	require.Positive(t, stalls.Load())
	require.EqualValues(t, 81, commits.Load())
	require.LessOrEqual(t, p.Stats().MemoryBytes, int64(4*256<<10+DefaultCacheBytes), "memory is bounded")
}
