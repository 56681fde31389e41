// SPDX-License-Identifier: Apache-2.0

package state

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tmpfs mounts a small file system, or skips the test.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("NOT TESTED on a real file system: mounting a tmpfs: %v (run as root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

func TestAFileSystemMountedReadOnlyIsRefused(t *testing.T) {
	dir := tmpfs(t, "size=16m")
	p := open(t, dir, Options{MinFreeBytes: 1})
	require.NoError(t, p.Close())
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	refused(t, dir, Options{MinFreeBytes: 1}, ErrReadOnly, "mount the file system for writing")
}

func TestAFullFileSystemRefusesCommitsAndLosesNothing(t *testing.T) {
	dir := tmpfs(t, "size=48m")
	o := Options{ReserveBytes: 8 << 20, MinFreeBytes: 4 << 20, MemTableBytes: 2 << 20}
	p := open(t, filepath.Join(dir, "state"), o)
	acked := map[string]string{}
	var mu sync.Mutex
	both := func(name string) {
		var wg sync.WaitGroup
		for _, w := range []string{"x", "y", "z"} {
			wg.Go(func() {
				m := fill(t, p, name+w, 5000)
				mu.Lock()
				defer mu.Unlock()
				for k, v := range m {
					acked[k] = v
				}
			})
		}
		wg.Wait()
	}
	both("a")
	require.NoError(t, p.Err())
	holds(t, p, acked)

	// Another takes every block while commits are tried, so that what Pebble does meanwhile meets the full disk.
	other := filepath.Join(dir, "other")
	require.ErrorIs(t, os.WriteFile(other, make([]byte, 64<<20), 0o600), syscall.ENOSPC)
	refused := 0
	require.Eventually(t, func() bool {
		// A compaction that was under way may give back what it took.
		f, err := os.OpenFile(other, os.O_WRONLY|os.O_APPEND, 0)
		require.NoError(t, err)
		_, err = f.Write(make([]byte, 64<<20))
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.NoError(t, f.Close())
		if err = p.Commit(&Batch{Ops: []Op{{Key: []byte("b")}}}); err == nil {
			acked["b"], refused = "", 0
			return false
		}
		require.ErrorIs(t, err, ErrFull)
		refused++
		return refused == 20
	}, waitFor, tick)
	flushed := make(chan error, 1) // it may wait until there is space again
	go func() { flushed <- p.guarded(p.db.Flush) }()
	holds(t, p, acked)

	// Deleting other files is enough; so would be a larger disk.
	require.NoError(t, os.Remove(other))
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=128m"))
	require.Eventually(t, func() bool {
		var b Batch
		b.Set([]byte("c"), []byte("3"))
		return p.Commit(&b) == nil
	}, waitFor, 10*time.Millisecond)
	acked["c"] = "3"
	require.NoError(t, p.Err())
	require.EqualValues(t, 8<<20, p.Stats().ReserveBytes)
	holds(t, p, acked)
	require.NoError(t, <-flushed)
	require.NoError(t, p.Close())
	before, err := os.Stat(filepath.Join(dir, "state", ballastName))
	require.NoError(t, err)
	require.GreaterOrEqual(t, before.Sys().(*syscall.Stat_t).Blocks*512, int64(8<<20), "the reserve has its blocks")
	p = open(t, filepath.Join(dir, "state"), o)
	holds(t, p, acked)
	after, err := os.Stat(filepath.Join(dir, "state", ballastName))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "and is kept over a restart")
}
