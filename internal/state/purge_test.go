// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// marker returns bytes that no compression shortens, so that they are found in whatever file they are in.
func marker(rng *rand.Rand) []byte {
	b := make([]byte, 64)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// where names the files that hold any 16 bytes of the marker.
func where(t testing.TB, fsys vfs.FS, dir string, marker []byte) (found []string) {
	t.Helper()
	names, err := fsys.List(dir)
	require.NoError(t, err)
	for _, n := range names {
		f, err := fsys.Open(fsys.PathJoin(dir, n))
		if err != nil {
			continue // removed meanwhile
		}
		content, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		for at := 0; at+16 <= len(marker); at += 16 {
			if bytes.Contains(content, marker[at:at+16]) {
				found = append(found, n)
				break
			}
		}
	}
	return found
}

func count(names []string, suffix string) (n int) {
	for _, name := range names {
		if strings.HasSuffix(name, suffix) {
			n++
		}
	}
	return n
}

func remove(t testing.TB, s Store, keys ...string) {
	t.Helper()
	var b Batch
	for _, k := range keys {
		b.Delete([]byte(k))
	}
	require.NoError(t, s.Commit(&b))
}

func one(key string) KeyRange { return KeyRange{From: []byte(key), To: append([]byte(key), 0)} }

func TestWhatIsDeletedAndPurgedIsInNoFile(t *testing.T) {
	f := func(fsys vfs.FS, dir string) {
		t.Helper()
		rng := rand.New(rand.NewPCG(1, 2))
		p := open(t, dir, Options{FS: fsys, MemTableBytes: 256 << 10})
		if fsys == nil {
			fsys = vfs.Default
		}
		fill := func(prefix string) {
			for i := range 40 {
				set(t, p, fmt.Sprintf("%s%02d", prefix, i), string(make([]byte, 20<<10)))
			}
		}
		fill("a")
		deep, wal := marker(rng), marker(rng)
		set(t, p, "m/deep", string(deep))
		fill("b") // it is in tables now
		require.NoError(t, p.db.Compact(context.Background(), []byte("a"), []byte("z"), false))
		fill("n")
		set(t, p, "m/wal", string(wal))
		require.Positive(t, count(where(t, fsys, dir, deep), ".sst"))
		require.Equal(t, 1, count(where(t, fsys, dir, wal), ".log"))

		remove(t, p, "m/deep", "m/wal")
		require.NotEmpty(t, where(t, fsys, dir, deep), "deleting alone leaves the bytes")
		require.NotEmpty(t, where(t, fsys, dir, wal))
		require.NoError(t, p.Purge(context.Background(), one("m/deep"), one("m/wal")))
		require.Empty(t, where(t, fsys, dir, deep))
		require.Empty(t, where(t, fsys, dir, wal))

		// What stays is there.
		require.NoError(t, p.Close())
		p = open(t, dir, Options{FS: fsys})
		require.Len(t, all(t, p), 120)
	}
	f(nil, t.TempDir())
	f(vfs.NewCrashableMem(), "s")
}

func TestPurgeRemovesWhatWasOverwritten(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	dir := t.TempDir()
	p := open(t, dir, Options{})
	for range 5 {
		old := marker(rng)
		set(t, p, "k", string(old))
		set(t, p, "k", "new")
		require.NoError(t, p.Purge(context.Background(), one("k")))
		require.Empty(t, where(t, vfs.Default, dir, old))
		require.Equal(t, map[string]string{"k": "new"}, all(t, p))
	}
}

// Pebble would write a new WAL over an old one, whose end then stays in it.
func TestNoWALHasTheRestOfAnOlderOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	dir := t.TempDir()
	p := open(t, dir, Options{MemTableBytes: 256 << 10})
	secret := marker(rng)
	for i := range 10 {
		set(t, p, "k", string(make([]byte, 100<<10)))
		set(t, p, "secret", string(secret))
		if i == 5 {
			remove(t, p, "secret")
			require.NoError(t, p.Purge(context.Background(), one("secret")))
			require.Empty(t, where(t, vfs.Default, dir, secret))
		}
	}
	remove(t, p, "secret")
	require.NoError(t, p.Purge(context.Background(), KeyRange{}))
	require.Empty(t, where(t, vfs.Default, dir, secret))
	require.Zero(t, p.db.Metrics().WAL.ObsoleteFiles, "no WAL is kept for writing over it")
}

func TestPurgeUnderLoadLeavesNothing(t *testing.T) {
	mem := vfs.NewMem()
	p := open(t, "s", Options{FS: mem, MemTableBytes: 64 << 10})
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer func() { stop.Store(true); wg.Wait() }()
	for w := range 2 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(w)))
			for !stop.Load() {
				var b Batch
				for range 10 {
					b.Set(fmt.Appendf(nil, "%02d", rng.IntN(100)), marker(rng))
				}
				if err := p.Commit(&b); err != nil {
					t.Errorf("committing: %v", err)
					return
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range 20 {
		secret := marker(rng)
		key := fmt.Sprintf("%02d/secret", rng.IntN(100))
		set(t, p, key, string(secret))
		if i%2 == 0 {
			require.NoError(t, p.db.Flush())
		}
		remove(t, p, key)
		require.NoError(t, p.Purge(context.Background(), one(key)))
		require.Empty(t, where(t, mem, "s", secret))
	}
}

// The disk as a power loss at any moment of a purge leaves it: the purge is repeated, and then nothing is left.
func TestAPurgeThatACrashEndedCanBeRepeated(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 12 {
		mem := vfs.NewCrashableMem()
		p := open(t, "s", Options{FS: mem, MemTableBytes: 64 << 10})
		secret := marker(rng)
		set(t, p, "secret", string(secret))
		if rng.IntN(2) == 0 {
			for i := range 20 {
				set(t, p, fmt.Sprintf("s%d", i), string(make([]byte, 10<<10)))
			}
		}
		remove(t, p, "secret")
		purged := make(chan error, 1)
		go func() { purged <- p.Purge(context.Background(), one("secret")) }()
		for range rng.IntN(2000) {
			_, _, err := p.Get([]byte("secret"))
			require.NoError(t, err)
		}
		crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		require.NoError(t, <-purged)
		require.NoError(t, p.Close())

		p = open(t, "s", Options{FS: crashed, MemTableBytes: 64 << 10})
		_, ok, err := p.Get([]byte("secret"))
		require.NoError(t, err)
		require.False(t, ok)
		require.NoError(t, p.Purge(context.Background(), one("secret")))
		require.Empty(t, where(t, crashed, "s", secret))
		require.NoError(t, p.Close())
	}
}

func TestAfterAPurgeNoPowerLossBringsFilesBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	mem := vfs.NewCrashableMem()
	p := open(t, "s", Options{FS: mem})
	secret := marker(rng)
	set(t, p, "secret", string(secret))
	require.NoError(t, p.db.Flush())
	remove(t, p, "secret")
	require.NoError(t, p.Purge(context.Background(), one("secret")))
	for range 10 {
		require.Empty(t, where(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng}), "s", secret))
	}
}

func TestAFileThatCouldNotBeRemovedIsRemovedByThePurge(t *testing.T) {
	disk := newSmallDisk(1 << 30)
	p := open(t, "s", Options{FS: disk})
	secret := marker(rand.New(rand.NewPCG(13, 14)))
	set(t, p, "secret", string(secret))
	require.NoError(t, p.db.Flush())
	remove(t, p, "secret")
	broken := errors.New("broken")
	disk.mu.Lock()
	disk.fault = func(op, name string) error {
		if op == "remove" && strings.HasSuffix(name, ".sst") {
			return broken
		}
		return nil
	}
	disk.mu.Unlock()
	require.ErrorIs(t, p.Purge(context.Background(), one("secret")), broken)
	require.NotEmpty(t, where(t, disk, "s", secret))
	disk.mu.Lock()
	disk.fault = nil
	disk.mu.Unlock()
	require.NoError(t, p.Purge(context.Background(), one("secret")))
	require.Empty(t, where(t, disk, "s", secret))
}

func TestPurgeWaitsForReadersAndCanBeGivenUp(t *testing.T) {
	mem := vfs.NewMem()
	p := open(t, "s", Options{FS: mem})
	secret := marker(rand.New(rand.NewPCG(15, 16)))
	set(t, p, "secret", string(secret))
	require.NoError(t, p.db.Flush())
	require.NoError(t, p.Range(nil, nil, func(key, _ []byte) error {
		if string(key) != "secret" {
			return nil
		}
		remove(t, p, "secret")
		ctx, cancel := context.WithCancel(context.Background())
		purged := make(chan error, 1)
		go func() { purged <- p.Purge(ctx, one("secret")) }()
		cancel()
		require.ErrorIs(t, <-purged, context.Canceled)
		return nil
	}))
	require.NoError(t, p.Purge(context.Background(), one("secret")))
	require.Empty(t, where(t, mem, "s", secret))
	require.NoError(t, p.Close())
	require.ErrorIs(t, p.Purge(context.Background()), ErrClosed)
}

func TestCloseEndsAPurge(t *testing.T) {
	mem := vfs.NewMem()
	p := open(t, "s", Options{FS: mem})
	set(t, p, "secret", "x")
	require.NoError(t, p.db.Flush())
	it, err := p.db.NewIter(nil) // keeps the table
	require.NoError(t, err)
	remove(t, p, "secret")
	purged := make(chan error, 1)
	go func() { purged <- p.Purge(context.Background(), one("secret")) }()
	require.Eventually(t, func() bool { return p.db.Metrics().Compact.Count > 0 }, waitFor, tick)
	close(p.guard.closing)
	require.ErrorIs(t, <-purged, ErrClosed)
	require.NoError(t, it.Close())
	p.guard.closing = make(chan struct{}) // for Close
}

func TestAPurgeOnAFullDiskIsRefused(t *testing.T) {
	disk := newSmallDisk(64 << 20)
	p := open(t, "s", Options{FS: disk})
	set(t, p, "secret", "x")
	remove(t, p, "secret")
	disk.setOthers(64 << 20)
	require.ErrorIs(t, p.Purge(context.Background(), one("secret")), ErrFull)
	disk.setOthers(0)
	require.NoError(t, p.Purge(context.Background(), one("secret")))
}

func BenchmarkPurge(b *testing.B) {
	p, err := Open(b.TempDir(), Options{})
	require.NoError(b, err)
	defer func() { _ = p.Close() }()
	rng := rand.New(rand.NewPCG(1, 1))
	var batch Batch
	for range 200_000 {
		batch.Set(marker(rng)[:18], marker(rng))
	}
	require.NoError(b, p.Commit(&batch))
	for b.Loop() {
		key := marker(rng)[:18]
		set(b, p, string(key), "secret")
		remove(b, p, string(key))
		if err := p.Purge(context.Background(), one(string(key))); err != nil {
			b.Fatal(err)
		}
	}
}
