// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

const ballastName = "RESERVE"

// space keeps a reserve: a file that holds blocks of the disk for Pebble's own work, so that what was let in can
// always be finished. It is given away when the disk is full, and taken back when there is space again; until then
// commits are refused.
type space struct {
	fs      vfs.FS // the disk's, not the guard's
	dir     string
	path    string
	reserve int64
	minFree int64
	log     *zap.Logger

	pending atomic.Int64 // bytes of the commits under way; any goroutine

	mu   sync.Mutex // guards what is below; any goroutine
	held int64      // size of the reserve on the disk
	full bool       // said so in the log
}

// free returns the bytes that can be written, and false where the file system does not tell.
func (s *space) free() (int64, bool) {
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return 0, false
	}
	return int64(min(usage.AvailBytes, math.MaxInt64/4)), true
}

// admit lets a commit of so many bytes in, if there is room for it twice, in the WAL and in a table, above minFree.
func (s *space) admit(bytes int) (release func(), err error) {
	n := 2 * int64(bytes)
	need := s.minFree + s.pending.Add(n)
	release = func() { s.pending.Add(-n) }
	if err := s.room(need); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func (s *space) room(need int64) error {
	free, known := s.free()
	s.mu.Lock()
	defer s.mu.Unlock()
	if known && free < need {
		return s.refuse(fmt.Errorf("%w: %d bytes are free and %d are needed: %s", ErrFull, free, need, mendFull))
	}
	if s.held < s.reserve {
		if known && free < need+s.reserve {
			return s.refuse(fmt.Errorf("%w: the reserve is in use: %d bytes are free and %d are needed: %s",
				ErrFull, free, need+s.reserve, mendFull))
		}
		if err := s.take(); err != nil {
			return s.refuse(fmt.Errorf("%w: making the reserve: %w: %s", ErrFull, err, mendFull))
		}
	}
	if s.full {
		s.full = false
		s.log.Info("The state store's disk has space again")
	}
	return nil
}

// refuse says it once in the log. The caller holds mu.
func (s *space) refuse(err error) error {
	if !s.full {
		s.full = true
		s.log.Warn("Refusing commits to the state store", zap.Error(err))
	}
	return err
}

// give removes the reserve, and reports whether there was one.
func (s *space) give() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == 0 {
		return false
	}
	if err := s.fs.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("Giving the state store's reserve away", zap.Error(err))
		return false
	}
	s.held = 0
	s.log.Warn("The disk is full: gave the state store's reserve away", zap.Int64("bytes", s.reserve))
	return true
}

// reserved is what the reserve takes on the disk.
func (s *space) reserved() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// find looks for the reserve of an earlier process. One that is not whole, or of another size than configured, is
// removed and made anew. Only Open calls it.
func (s *space) find() error {
	info, err := s.fs.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Size() == s.reserve:
		s.held = s.reserve
		return nil
	}
	return s.fs.Remove(s.path)
}

// take makes the reserve. The caller holds mu. Its last byte is written last: a file of the whole size has all blocks.
func (s *space) take() (err error) {
	f, err := s.fs.OpenReadWrite(s.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			_ = s.fs.Remove(s.path)
			return
		}
		s.held = s.reserve
	}()
	err = errors.ErrUnsupported
	if f.Fd() != vfs.InvalidFd {
		err = f.Preallocate(0, s.reserve)
	}
	if isFull(err) {
		return err
	}
	if err == nil {
		_, err = f.WriteAt([]byte{1}, s.reserve-1)
		return err
	}
	// Not every file system can reserve blocks. Random bytes, since some compress.
	random := rand.NewChaCha8([32]byte{})
	buf := make([]byte, 256<<10)
	for at := int64(0); at < s.reserve; at += int64(len(buf)) {
		n := min(s.reserve-at, int64(len(buf)))
		_, _ = random.Read(buf[:n])
		if _, err := f.WriteAt(buf[:n], at); err != nil {
			return err
		}
	}
	return f.Sync()
}
