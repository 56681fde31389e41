// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

func (f osFile) allocate(size int64) error {
	err := retry(func() error { return unix.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return allocateByWriting(f.File, size)
	}
	if err != nil {
		return fmt.Errorf("allocating %s: %w", f.Name(), err)
	}
	return nil
}

// sync leaves out the times of the file: they are nothing to us, and would cost a write of their own.
func (f osFile) sync() error {
	if err := retry(func() error { return unix.Fdatasync(int(f.Fd())) }); err != nil {
		return fmt.Errorf("syncing %s: %w", f.Name(), err)
	}
	return nil
}

func (f osFile) data(off int64) int64 {
	next, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return math.MaxInt64
	}
	if err != nil {
		return off
	}
	return next
}

func (f osFile) forget() { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }

func (o osFS) free() (int64, error) {
	var s unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(o.dir, &s) }); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", o.dir, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

func lockFile(f *os.File) error {
	err := retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
