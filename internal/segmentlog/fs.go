// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// fileSystem is the log's directory. Tests put one in its place that fails, fills up and loses power.
type fileSystem interface {
	// mkdir makes the directory, durably, if it is absent.
	mkdir() error
	// lock fails with errLocked if somebody else holds it. It goes with the process.
	lock(name string) (io.Closer, error)
	list() ([]dirEntry, error)
	open(name string) (file, error)
	// create makes an empty file, in place of one that may be there.
	create(name string) (file, error)
	rename(from, to string) error
	remove(name string) error
	// syncDir makes what create, rename and remove did durable.
	syncDir() error
	// free is in bytes.
	free() (int64, error)
}

type dirEntry struct {
	name string
	dir  bool
	size int64
}

// file is an open file. ReadAt and WriteAt may be called by any goroutine.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	size() (int64, error)
	// allocate makes the file this long, reading as zeros, with the space taken. An error leaves any length.
	allocate(size int64) error
	truncate(size int64) error
	// sync makes data and length durable.
	sync() error
	// data returns where, from off on, the next byte lies that may be something else than zero: off itself is a right
	// answer. It is the file's length or more if there is none.
	data(off int64) int64
	// forget drops what memory holds of the file, so that a reader sees what the disk has. It is a hint.
	forget()
}

var errLocked = errors.New("locked")

// isFull says whether an error is of a disk or a quota that has no space left.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func isReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// osFS is a directory of the operating system.
type osFS struct{ dir string }

var _ fileSystem = osFS{}

func (o osFS) path(name string) string { return filepath.Join(o.dir, name) }

func (o osFS) mkdir() error {
	if _, err := os.Stat(o.dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(o.dir))
}

func (o osFS) list() ([]dirEntry, error) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return nil, err
	}
	var list []dirEntry
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, dirEntry{name: e.Name(), dir: e.IsDir(), size: info.Size()})
	}
	return list, nil
}

func (o osFS) open(name string) (file, error) { return o.openFile(name, os.O_RDWR) }

func (o osFS) create(name string) (file, error) {
	return o.openFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func (o osFS) openFile(name string, flag int) (file, error) {
	f, err := os.OpenFile(o.path(name), flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (o osFS) rename(from, to string) error { return os.Rename(o.path(from), o.path(to)) }
func (o osFS) syncDir() error               { return syncDirectory(o.dir) }

func (o osFS) remove(name string) error {
	return os.Remove(o.path(name)) //nolint:gosec // names come from the log's own formats, or passed them (look)
}

func (o osFS) lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(o.path(name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func syncDirectory(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	// Some file systems cannot sync a directory, and say so by EINVAL.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

type osFile struct{ *os.File }

func (f osFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) truncate(size int64) error { return f.Truncate(size) }

// allocateByWriting is for file systems that cannot reserve space.
func allocateByWriting(f *os.File, size int64) error {
	zeros := make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off); err != nil {
			return fmt.Errorf("allocating %s: %w", f.Name(), err)
		}
	}
	return nil
}
