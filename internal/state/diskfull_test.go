// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
)

// noise does not compress.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return string(b)
}

// fill commits until the store refuses, and returns what it acknowledged.
func fill(t testing.TB, p *Pebble, name string, most int) map[string]string {
	t.Helper() // and no require: several goroutines fill
	acked := map[string]string{}
	for i := range most {
		var b Batch
		key, value := fmt.Sprintf("%s%05d", name, i), noise(20<<10)
		b.Set([]byte(key), []byte(value))
		err := p.Commit(&b)
		if errors.Is(err, ErrFull) {
			return acked
		}
		if err != nil {
			t.Error(err)
			return acked
		}
		acked[key] = value
	}
	t.Error("the disk never got full")
	return acked
}

func TestAFullDiskRefusesCommitsAndLosesNothing(t *testing.T) {
	d := newSmallDisk(24 << 20)
	var refused atomic.Int64
	o := Options{
		FS: d, ReserveBytes: 4 << 20, MinFreeBytes: 2 << 20, MemTableBytes: 1 << 20,
		Hooks: Hooks{Refused: func(reason string) {
			if reason == RefusedFull {
				refused.Add(1)
			}
		}},
	}
	p := open(t, "s", o)
	acked := fill(t, p, "a", 5000)
	require.Greater(t, len(acked), 100)
	require.EqualValues(t, 1, refused.Load())
	holds(t, p, acked)
	require.NoError(t, p.Err())

	// Others take what is left, and more than Pebble's own work needs.
	d.setOthers(24 << 20)
	require.ErrorIs(t, p.Commit(&Batch{Ops: []Op{{Key: []byte("a")}}}), ErrFull)
	holds(t, p, acked)

	// Space returns: so do commits, and the reserve.
	d.setOthers(-24 << 20)
	set(t, p, "b", "1")
	acked["b"] = "1"
	require.EqualValues(t, 4<<20, p.Stats().ReserveBytes)
	holds(t, p, acked)
	require.NoError(t, p.Close())
	holds(t, open(t, "s", o), acked)
}

func TestCommitsUnderWayOnAFullDiskWaitAndAreNotLost(t *testing.T) {
	d := newSmallDisk(64 << 20)
	p := open(t, "s", Options{FS: d, ReserveBytes: 1 << 20, MemTableBytes: 1 << 20})
	set(t, p, "a", "1")

	// The disk becomes full between the look at the free space and the write.
	var full atomic.Bool
	d.fault = func(op, name string) error {
		if full.Load() && op == "write" && name != ballastName {
			return syscall.ENOSPC
		}
		return nil
	}
	full.Store(true)
	done := make(chan error, 1)
	go func() {
		var b Batch
		b.Set([]byte("b"), []byte("2"))
		done <- p.Commit(&b)
	}()
	require.Eventually(t, func() bool { return p.space.reserved() == 0 }, waitFor, tick, "the reserve is given away")
	require.Empty(t, done)
	full.Store(false)
	require.NoError(t, <-done)
	set(t, p, "c", "3")
	require.EqualValues(t, 1<<20, p.space.reserved(), "the reserve is taken back before the next commit")
	want := map[string]string{"a": "1", "b": "2", "c": "3"}
	holds(t, p, want)
	require.NoError(t, p.Close())
	holds(t, open(t, "s", Options{FS: d}), want)
}

func TestCloseEndsWhileTheDiskIsFull(t *testing.T) {
	d := newSmallDisk(64 << 20)
	p := open(t, "s", Options{FS: d})
	set(t, p, "a", "1")
	d.fault = func(op, _ string) error {
		if op == "write" {
			return syscall.ENOSPC
		}
		return nil
	}
	done := make(chan error, 1)
	go func() {
		var b Batch
		b.Set([]byte("b"), []byte("2"))
		done <- p.Commit(&b)
	}()
	require.Eventually(t, func() bool { return p.space.pending.Load() > 0 }, waitFor, tick)
	require.ErrorContains(t, p.Close(), "closed while the disk was full")
	require.ErrorContains(t, <-done, "may be there or not")

	// The directory is free, and what is parked writes nothing into it any more.
	d.fault = nil
	p = open(t, "s", Options{FS: d})
	got := all(t, p)
	delete(got, "b")
	require.Equal(t, map[string]string{"a": "1"}, got)
}

func TestOpeningOnAFullDiskIsAnError(t *testing.T) {
	d := newSmallDisk(64 << 20)
	o := Options{FS: d, ReserveBytes: 4 << 20, MinFreeBytes: 2 << 20}
	p := open(t, "s", o)
	set(t, p, "a", "1")
	require.NoError(t, p.Close())

	d.setOthers(64 << 20)
	_, err := Open("s", o)
	require.ErrorIs(t, err, ErrFull)
	require.ErrorContains(t, err, "free space on its disk")

	// The reserve is enough to open and to read; commits are refused.
	d.setOthers(0)
	p = open(t, "s", o)
	require.NoError(t, p.Close())
	d.mu.Lock()
	d.others += d.free()
	d.mu.Unlock()
	p = open(t, "s", o)
	require.Equal(t, map[string]string{"a": "1"}, all(t, p))
	require.ErrorIs(t, p.Commit(&Batch{Ops: []Op{{Key: []byte("b")}}}), ErrFull)
	d.setOthers(0)
	set(t, p, "b", "2")
}

// TestAnyOperationMayFindTheDiskFull lets each operation in turn fail, once and for long, while tables are flushed and
// compacted, and holds the store against what it acknowledged.
func TestAnyOperationMayFindTheDiskFull(t *testing.T) {
	f := func(first, last int32) (reached bool) {
		t.Helper()
		mem := vfs.NewCrashableMem()
		var n atomic.Int32
		var armed atomic.Bool
		injected := errorfs.InjectorFunc(func(op errorfs.Op) error {
			switch op.Kind {
			case errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpRename, errorfs.OpFileWrite, errorfs.OpRemove:
			default:
				return nil
			}
			if !armed.Load() || strings.HasSuffix(op.Path, ballastName) {
				return nil
			}
			if i := n.Add(1); i >= first && i < last {
				return syscall.ENOSPC
			}
			return nil
		})
		o := Options{FS: errorfs.Wrap(mem, injected), ReserveBytes: 4096, MemTableBytes: 256 << 10}
		p, err := Open("s", o)
		require.NoError(t, err)
		p.guard.retry = tick
		armed.Store(true)
		want := map[string]string{}
		for i := range 12 {
			key, value := fmt.Sprint(i%5), noise(50<<10)
			set(t, p, key, value)
			want[key] = value
		}
		require.NoError(t, p.guarded(p.db.Flush))
		holds(t, p, want)
		armed.Store(false)
		require.NoError(t, p.Close())
		p, err = Open("s", Options{FS: mem})
		require.NoError(t, err)
		holds(t, p, want)
		require.NoError(t, p.Close())
		return n.Load() >= first
	}
	for _, long := range []int32{1, 2, 7} {
		first := int32(1)
		for f(first, first+long) {
			first += 1 + first/8
		}
		require.Greater(t, first, int32(20))
	}
}

func TestAFailedSyncEndsTheStoreNotTheProcess(t *testing.T) {
	for _, code := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for _, suffix := range []string{".log", "s", ""} { // the WAL, the directory, and any file
			t.Run(fmt.Sprintf("%s %q", code, suffix), func(t *testing.T) {
				d := newSmallDisk(64 << 20)
				p := open(t, "s", Options{FS: d, MemTableBytes: 256 << 10})
				set(t, p, "a", "1")
				require.NoError(t, p.Err())
				d.mu.Lock()
				d.fault = func(op, name string) error {
					if op == "sync" && strings.HasSuffix(name, suffix) {
						return code
					}
					return nil
				}
				d.mu.Unlock()
				var err error
				for i := 0; i < 1000 && err == nil; i++ { // until a WAL is full, for the directory
					var b Batch
					b.Set([]byte("b"), make([]byte, 20<<10))
					err = p.Commit(&b)
				}
				var failed *FailedError
				require.ErrorAs(t, err, &failed)
				require.ErrorIs(t, err, ErrFailed)
				require.ErrorIs(t, err, code)
				require.NotErrorIs(t, err, ErrFull, "a full disk may go away by itself, and this does not")
				<-p.Failed()
				_, _, err = p.Get([]byte("a"))
				require.ErrorIs(t, err, ErrFailed, "what was not synced must not be read")
				require.ErrorContains(t, err, "restart")
				require.ErrorIs(t, p.Close(), ErrFailed)
				require.Zero(t, p.Stats())

				d.mu.Lock()
				d.fault = nil
				d.mu.Unlock()
				p = open(t, "s", Options{FS: d.CrashClone(vfs.CrashCloneCfg{})})
				require.Equal(t, "1", all(t, p)["a"])
			})
		}
	}
}

func TestAFailingMANIFESTEndsTheStoreNotTheProcess(t *testing.T) {
	d := newSmallDisk(64 << 20)
	p := open(t, "s", Options{FS: d})
	set(t, p, "a", "1")
	d.fault = func(op, name string) error {
		if op == "write" && strings.HasPrefix(name, "MANIFEST-") {
			return syscall.EIO
		}
		return nil
	}
	go func() { _ = p.guarded(p.db.Flush) }() // parked with the flush it waits for
	<-p.Failed()
	require.ErrorIs(t, p.Err(), syscall.EIO)
	require.ErrorIs(t, p.Close(), ErrFailed)
	d.fault = nil
	require.Equal(t, map[string]string{"a": "1"}, all(t, open(t, "s", Options{FS: d})))
}
