// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// crashWriter commits to its own keys, one batch after the other, and remembers what each batch should leave.
type crashWriter struct {
	prefix  string
	rng     *rand.Rand
	mu      sync.Mutex          // guards what is below; the writer and the crash
	states  []map[string]string // after each batch begun; the last one may be under way
	ackedTo int                 // states[ackedTo] was acknowledged
}

// next makes a batch of sets, deletes and range deletes, and what it leaves.
func (w *crashWriter) next() *Batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	after := maps.Clone(w.states[len(w.states)-1])
	var b Batch
	key := func() string { return fmt.Sprintf("%s%02d", w.prefix, w.rng.IntN(30)) }
	for range 1 + w.rng.IntN(20) {
		switch k := key(); w.rng.IntN(10) {
		case 0:
			b.Delete([]byte(k))
			delete(after, k)
		case 1:
			end := key()
			b.DeleteRange([]byte(k), []byte(end))
			maps.DeleteFunc(after, func(have, _ string) bool { return have >= k && have < end })
		default:
			v := make([]byte, w.rng.IntN(3000))
			for i := 0; i+8 <= len(v); i += 8 {
				binary.LittleEndian.PutUint64(v[i:], w.rng.Uint64())
			}
			b.Set([]byte(k), v)
			after[k] = string(v)
		}
	}
	// Each batch leaves a mark, so that no two leave the same.
	mark := w.prefix + "mark"
	b.Set([]byte(mark), fmt.Append(nil, len(w.states)))
	after[mark] = fmt.Sprint(len(w.states))
	w.states = append(w.states, after)
	return &b
}

// TestACrashLosesNoAcknowledgedCommitAndHalvesNone takes what the disk may hold after a power loss, at random moments
// under concurrent commits, flushes and compactions: what was synced, and any part of what was not. Then it goes on
// from there, crash after crash.
func TestACrashLosesNoAcknowledgedCommitAndHalvesNone(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			mem := vfs.NewCrashableMem()
			writers := make([]*crashWriter, 3)
			for i := range writers {
				writers[i] = &crashWriter{
					prefix: fmt.Sprintf("w%d/", i), rng: rand.New(rand.NewPCG(seed, uint64(i)+2)), states: []map[string]string{{}},
				}
			}
			var id [16]byte
			for crash := range 8 {
				// The reserve on the second half of them, whose file takes part in the crash.
				p, err := Open("s", Options{FS: mem, MemTableBytes: 64 << 10, ReserveBytes: int64(seed%2) << 16})
				require.NoError(t, err, "after crash %d", crash)
				if crash == 0 {
					id = p.ID()
				}
				require.Equal(t, id, p.ID())
				for _, w := range writers {
					w.recover(t, p)
				}
				mem = crashUnderLoad(t, p, mem, writers, rng)
			}
		})
	}
}

// recover finds which of the states from the last acknowledged one on the store has, and goes on from it.
func (w *crashWriter) recover(t *testing.T, s Store) {
	t.Helper()
	got := map[string]string{}
	require.NoError(t, s.Range([]byte(w.prefix), PrefixEnd([]byte(w.prefix)), func(k, v []byte) error {
		got[string(k)] = string(v)
		return nil
	}))
	for i := w.ackedTo; i < len(w.states); i++ {
		if maps.Equal(got, w.states[i]) {
			w.states, w.ackedTo = []map[string]string{w.states[i]}, 0
			return
		}
	}
	require.Fail(t, "lost, halved or altered", "%s: acknowledged %s, begun up to %s, found %s", w.prefix,
		w.states[w.ackedTo][w.prefix+"mark"], w.states[len(w.states)-1][w.prefix+"mark"], got[w.prefix+"mark"])
}

func crashUnderLoad(t *testing.T, p *Pebble, mem *vfs.MemFS, writers []*crashWriter, rng *rand.Rand) *vfs.MemFS {
	t.Helper()
	var stop atomic.Bool
	var commits atomic.Int64
	var wg sync.WaitGroup
	for _, w := range writers {
		wg.Go(func() {
			for !stop.Load() {
				b := w.next()
				if err := p.Commit(b); err != nil {
					t.Errorf("committing: %v", err)
					return
				}
				w.mu.Lock()
				w.ackedTo = len(w.states) - 1
				w.mu.Unlock()
				commits.Add(1)
			}
		})
	}
	until := int64(rng.IntN(60))
	require.Eventually(t, func() bool { return commits.Load() >= until }, waitFor, tick/10)
	// Acknowledged is what was so before the clone was taken; the rest may be there or not.
	acked := make([]int, len(writers))
	for i, w := range writers {
		w.mu.Lock()
		acked[i] = w.ackedTo
		w.mu.Unlock()
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	stop.Store(true)
	wg.Wait()
	require.NoError(t, p.Close())
	for i, w := range writers {
		w.ackedTo = acked[i]
	}
	return crashed
}

func BenchmarkCommit(b *testing.B) {
	for _, keys := range []int{1, 1000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			p, err := Open(b.TempDir(), Options{})
			require.NoError(b, err)
			defer func() { _ = p.Close() }()
			var batch Batch
			for i := range keys {
				batch.Set(Key([]byte("bench"), Uint64(uint64(i))), make([]byte, 100))
			}
			b.SetBytes(int64(batch.Size))
			for b.Loop() {
				if err := p.Commit(&batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkConcurrentCommits(b *testing.B) {
	p, err := Open(b.TempDir(), Options{})
	require.NoError(b, err)
	defer func() { _ = p.Close() }()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		var batch Batch
		batch.Set([]byte("key"), make([]byte, 100))
		for pb.Next() {
			if err := p.Commit(&batch); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
