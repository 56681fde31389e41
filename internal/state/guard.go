// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// retryAfter is how long an operation waits that found the disk full with the reserve already given away.
const retryAfter = 100 * time.Millisecond

// guardFS is the file system that Pebble sees. What it writes either succeeds, waits or never returns:
//
//   - When the disk is full, the reserve is given away and the operation tried again. Is it full even then, WAL and
//     MANIFEST wait until it is not: Pebble could not go on without them. Tables are given up: Pebble removes the
//     unfinished one, which makes room, and tries again by itself.
//   - Any other error of WAL, MANIFEST or directory ends the store, and the goroutine is parked. In particular a sync
//     that failed is never tried again: it would report success for pages that the kernel has dropped.
type guardFS struct {
	vfs.FS
	space  *space
	synced *synced
	fail   func(kind, err error)

	opening atomic.Bool   // a full disk ends the attempt to open instead of waiting
	closing chan struct{} // closed by close: nothing waits for space any more
	retry   time.Duration

	gate   sync.RWMutex // held for reading by each operation that changes files, for writing by fence
	fenced bool         // guarded by gate: the directory may be another store's by now
}

func newGuardFS(fs vfs.FS, sp *space, sy *synced, fail func(kind, err error)) *guardFS {
	g := &guardFS{FS: fs, space: sp, synced: sy, fail: fail, closing: make(chan struct{}), retry: retryAfter}
	g.opening.Store(true)
	return g
}

func (g *guardFS) close() { close(g.closing) }

// fence waits for the operations that are changing files and lets none through afterwards.
func (g *guardFS) fence() {
	g.gate.Lock()
	defer g.gate.Unlock()
	g.fenced = true
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// change carries out an operation that changes files. A vital one succeeds or does not return.
func (g *guardFS) change(vital, again bool, op func() error) error {
	for last := false; ; {
		g.gate.RLock()
		if g.fenced {
			g.gate.RUnlock()
			park()
		}
		err := op()
		g.gate.RUnlock()
		switch {
		case err == nil:
			return nil
		case again && isFull(err):
			if g.space.give() {
				continue
			}
			if g.opening.Load() {
				g.fail(ErrFull, err)
				park()
			}
			if g.wait() && vital {
				continue
			}
			if !vital {
				return err
			}
			if !last { // the store is closed while it waits: there may be space by now
				last = true
				continue
			}
			g.fail(ErrFailed, fmt.Errorf("closed while the disk was full: %w", err))
			park()
		case vital:
			g.fail(ErrFailed, err)
			park()
		default:
			return err
		}
	}
}

// wait lets time pass, and reports false when the store is being closed.
func (g *guardFS) wait() bool {
	t := time.NewTimer(g.retry)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.closing:
		return false
	}
}

// vital says whether Pebble can go on without a file.
func vital(name string) bool {
	return !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".blob")
}

func (g *guardFS) file(f vfs.File, name string, isVital bool) vfs.File {
	w := &guardFile{File: f, g: g, vital: isVital}
	w.slot, w.number = syncedSlot(g.PathBase(name))
	return w
}

func (g *guardFS) Create(name string, c vfs.DiskWriteCategory) (f vfs.File, err error) {
	if strings.HasPrefix(g.PathBase(name), "marker.") {
		// It names a MANIFEST, whose own name Pebble makes durable together with the marker's: a power loss may keep
		// the marker and lose the MANIFEST.
		if err := g.change(true, false, func() error { return syncDirectory(g.FS, g.PathDir(name)) }); err != nil {
			return nil, err
		}
	}
	err = g.change(vital(name), true, func() error { f, err = g.FS.Create(name, c); return err })
	if err != nil {
		return nil, err
	}
	return g.file(f, name, vital(name)), nil
}

func (g *guardFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = g.change(vital(to), true, func() error { f, err = g.FS.ReuseForWrite(from, to, c); return err })
	if err != nil {
		return nil, err
	}
	return g.file(f, to, vital(to)), nil
}

func (g *guardFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (f vfs.File, err error) {
	err = g.change(vital(name), true, func() error { f, err = g.FS.OpenReadWrite(name, c, o...); return err })
	if err != nil {
		return nil, err
	}
	return g.file(f, name, vital(name)), nil
}

func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return g.file(f, name, true), nil
}

func (g *guardFS) Link(from, to string) error {
	return g.change(vital(to), true, func() error { return g.FS.Link(from, to) })
}

func (g *guardFS) Rename(from, to string) error {
	return g.change(vital(to), true, func() error { return g.FS.Rename(from, to) })
}

// Remove may fail: Pebble logs it, and removes what is left over at its next start.
func (g *guardFS) Remove(name string) error {
	if slot, _ := syncedSlot(g.PathBase(name)); slot == slotWAL && g.opening.Load() {
		// Opening, Pebble removes the WALs that it has replayed before there is a new one.
		if err := g.change(false, true, g.synced.forget); err != nil {
			return err
		}
	}
	return g.change(false, true, func() error { return g.FS.Remove(name) })
}

func (g *guardFS) RemoveAll(name string) error {
	return g.change(false, true, func() error { return g.FS.RemoveAll(name) })
}

func (g *guardFS) MkdirAll(dir string, mode os.FileMode) error {
	return g.change(true, true, func() error { return g.FS.MkdirAll(dir, mode) })
}

// Lock gives Pebble what Open holds already, so that Close can release it where Pebble cannot be closed.
func (g *guardFS) Lock(string) (io.Closer, error) { return nopCloser{}, nil }

func (g *guardFS) Unwrap() vfs.FS { return g.FS }

type nopCloser struct{}

func (nopCloser) Close() error { return nil }

// guardFile is a file that Pebble writes. It has one writer at a time, as vfs.File asks for.
type guardFile struct {
	vfs.File
	g       *guardFS
	vital   bool
	slot    int    // of g.synced, or noSlot
	number  uint64 // of the WAL or MANIFEST
	written int64  // bytes since it was created; only the writer
}

func (f *guardFile) Write(p []byte) (done int, err error) {
	err = f.g.change(f.vital, true, func() error {
		n, err := f.File.Write(p[done:])
		done += n
		return err
	})
	f.written += int64(done)
	return done, err
}

func (f *guardFile) WriteAt(p []byte, at int64) (done int, err error) {
	err = f.g.change(f.vital, true, func() error {
		n, err := f.File.WriteAt(p[done:], at+int64(done))
		done += n
		return err
	})
	return done, err
}

// Preallocate is a help only; without room for it the write will tell.
func (f *guardFile) Preallocate(at, n int64) error {
	return f.g.change(false, false, func() error { return f.File.Preallocate(at, n) })
}

func (f *guardFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *guardFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *guardFile) sync(sync func() error) error {
	return f.g.change(f.vital, false, func() error {
		if err := sync(); err != nil {
			return err
		}
		if f.slot != noSlot {
			f.g.synced.record(f.slot, f.number, f.written)
		}
		return nil
	})
}

func (f *guardFile) SyncTo(n int64) (full bool, err error) {
	err = f.g.change(f.vital, false, func() error { full, err = f.File.SyncTo(n); return err })
	return full, err
}
