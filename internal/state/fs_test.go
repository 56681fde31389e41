// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

const (
	waitFor = time.Minute
	tick    = time.Millisecond
)

// smallDisk is a disk of limited size, of which others use a part.
type smallDisk struct {
	*vfs.MemFS
	mu     sync.Mutex // guards what is below
	size   int64
	others int64
	dir    string
	fault  func(op, name string) error // nil is none
}

func newSmallDisk(size int64) *smallDisk {
	return &smallDisk{MemFS: vfs.NewCrashableMem(), size: size, dir: "s"}
}

func (d *smallDisk) setOthers(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.others = n
}

// free is the space left. The caller holds mu.
func (d *smallDisk) free() int64 {
	left := d.size - d.others
	names, _ := d.List(d.dir)
	for _, n := range names {
		if info, err := d.Stat(d.PathJoin(d.dir, n)); err == nil {
			left -= info.Size()
		}
	}
	return max(left, 0)
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return vfs.DiskUsage{AvailBytes: uint64(d.free()), TotalBytes: uint64(d.size)}, nil
}

func (d *smallDisk) check(op, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault == nil {
		return nil
	}
	return d.fault(op, d.PathBase(name))
}

func (d *smallDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.check("create", name); err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	f, err := d.MemFS.Create(name, c)
	return d.wrap(f, name, err)
}

func (d *smallDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.check("reuse", to); err != nil {
		return nil, &fs.PathError{Op: "reuse", Path: to, Err: err}
	}
	f, err := d.MemFS.ReuseForWrite(from, to, c)
	return d.wrap(f, to, err)
}

func (d *smallDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.MemFS.OpenReadWrite(name, c, o...)
	return d.wrap(f, name, err)
}

func (d *smallDisk) OpenDir(name string) (vfs.File, error) {
	f, err := d.MemFS.OpenDir(name)
	return d.wrap(f, name, err)
}

func (d *smallDisk) Rename(from, to string) error {
	if err := d.check("rename", to); err != nil {
		return &fs.PathError{Op: "rename", Path: to, Err: err}
	}
	return d.MemFS.Rename(from, to)
}

func (d *smallDisk) Remove(name string) error {
	if err := d.check("remove", name); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return d.MemFS.Remove(name)
}

func (d *smallDisk) wrap(f vfs.File, name string, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, d: d, name: name}, nil
}

type diskFile struct {
	vfs.File
	d    *smallDisk
	name string
	at   int64
}

// Write writes what there is room for, as the kernel does.
func (f *diskFile) Write(p []byte) (int, error) {
	if err := f.d.check("write", f.name); err != nil {
		return 0, err
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	n := min(int64(len(p)), f.d.free()+max(info.Size()-f.at, 0))
	done, err := f.File.Write(p[:n])
	f.at += int64(done)
	if err == nil && done < len(p) {
		err = syscall.ENOSPC
	}
	return done, err
}

func (f *diskFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.d.check("write", f.name); err != nil {
		return 0, err
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if at+int64(len(p))-info.Size() > f.d.free() {
		return 0, syscall.ENOSPC
	}
	return f.File.WriteAt(p, at)
}

func (f *diskFile) Sync() error {
	if err := f.d.check("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *diskFile) SyncData() error { return f.Sync() }

// files reads all files of a directory, but for the lock.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	m := map[string]string{}
	for _, e := range entries {
		if e.Name() == lockName {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a WAL that a flush made obsolete: Pebble removes it in its own time
		}
		require.NoError(t, err)
		m[e.Name()] = string(b)
	}
	return m
}

// newest returns the path of the file with the largest name that has prefix and suffix.
func newest(t testing.TB, dir, prefix, suffix string) string {
	t.Helper()
	name := ""
	for n := range files(t, dir) {
		if strings.HasPrefix(n, prefix) && strings.HasSuffix(n, suffix) && n > name {
			name = n
		}
	}
	require.NotEmpty(t, name, "no %s*%s", prefix, suffix)
	return filepath.Join(dir, name)
}

// flip turns a bit of a file, counted from the end where at is negative.
func flip(t testing.TB, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0x10
	require.NoError(t, os.WriteFile(path, b, 0o600))
}
