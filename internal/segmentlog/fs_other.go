// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package segmentlog

import (
	"errors"
	"math"
	"os"
	"syscall"
)

func (f osFile) allocate(size int64) error { return allocateByWriting(f.File, size) }
func (f osFile) sync() error               { return f.Sync() }
func (f osFile) data(off int64) int64      { return off }
func (f osFile) forget()                   {}

// free is not asked for here: a segment is written as a whole when it is begun, which shows a full disk too.
func (o osFS) free() (int64, error) { return math.MaxInt64, nil }

func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
