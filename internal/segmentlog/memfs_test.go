// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
)

// memFS is a directory in memory that tells apart what the page cache has and what the disk has. It can be frozen in the
// middle of any operation, as a crash does, and what a crash leaves is a directory of its own.
type memFS struct {
	mu      sync.Mutex // guards all of it, the inodes too
	names   map[string]*inode
	durable map[string]*inode // what the directory is after a loss of power
	locked  bool
	dead    bool
	space   int64 // bytes; 0 is no bound
	sector  int

	// before is asked before each operation that changes something; an error is the operation's. It may freeze.
	before func(op, name string) error
	// torn is what a write leaves of its bytes if `before` returned errCrash.
	torn func(n int) int
}

type inode struct {
	data  []byte
	disk  []byte
	dirty map[int]bool // sectors in which data and disk may differ
}

var errCrash = errors.New("crashed")

func newMemFS() *memFS {
	return &memFS{names: map[string]*inode{}, durable: map[string]*inode{}, sector: 512}
}

// do runs an operation that changes something.
func (m *memFS) do(op, name string, f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errCrash
	}
	if m.before != nil {
		if err := m.before(op, name); err != nil {
			if errors.Is(err, errCrash) {
				m.dead = true
			}
			return err
		}
	}
	return f()
}

func (m *memFS) mkdir() error { return m.do("mkdir", "", func() error { return nil }) }

func (m *memFS) lock(string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return nil, errLocked
	}
	m.locked = true
	return closer(func() error { m.mu.Lock(); defer m.mu.Unlock(); m.locked = false; return nil }), nil
}

type closer func() error

func (c closer) Close() error { return c() }

func (m *memFS) list() (list []dirEntry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, n := range m.names {
		list = append(list, dirEntry{name: name, size: int64(len(n.data))})
	}
	return list, nil
}

func (m *memFS) open(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[name]
	if n == nil {
		return nil, fs.ErrNotExist
	}
	return &memFile{m, n, name}, nil
}

func (m *memFS) create(name string) (file, error) {
	n := &inode{dirty: map[int]bool{}}
	err := m.do("create", name, func() error { m.names[name] = n; return nil })
	if err != nil {
		return nil, err
	}
	return &memFile{m, n, name}, nil
}

func (m *memFS) rename(from, to string) error {
	return m.do("rename", to, func() error { m.names[to] = m.names[from]; delete(m.names, from); return nil })
}

func (m *memFS) remove(name string) error {
	return m.do("remove", name, func() error {
		if m.names[name] == nil {
			return fs.ErrNotExist
		}
		delete(m.names, name)
		return nil
	})
}

func (m *memFS) syncDir() error {
	return m.do("syncdir", "", func() error { m.durable = maps.Clone(m.names); return nil })
}

func (m *memFS) free() (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.space == 0 {
		return 1 << 40, nil
	}
	return m.space - m.used(), nil
}

func (m *memFS) used() (n int64) {
	for _, i := range m.names {
		n += int64(len(i.data))
	}
	return n
}

type memFile struct {
	m    *memFS
	n    *inode
	name string
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// grow is called with the lock held.
func (f *memFile) grow(size int64) error {
	more := size - int64(len(f.n.data))
	if more <= 0 {
		return nil
	}
	if f.m.space > 0 && f.m.used()+more > f.m.space {
		return syscall.ENOSPC
	}
	f.n.data = append(f.n.data, make([]byte, more)...)
	return nil
}

func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	put := func(b []byte) error {
		if err := f.grow(off + int64(len(b))); err != nil {
			return err
		}
		copy(f.n.data[off:], b)
		for s := int(off) / f.m.sector; s*f.m.sector < int(off)+len(b); s++ {
			f.n.dirty[s] = true
		}
		return nil
	}
	err := f.m.do("write", f.name, func() error { return put(b) })
	if errors.Is(err, errCrash) {
		f.m.mu.Lock()
		if f.m.torn != nil && f.m.torn(len(b)) > 0 {
			_ = put(b[:f.m.torn(len(b))])
		}
		f.m.torn = nil // the others of this crash did not begin
		f.m.mu.Unlock()
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

func (f *memFile) Close() error { return nil }
func (f *memFile) forget()      {}

func (f *memFile) data(off int64) int64 {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	for ; off < int64(len(f.n.data)); off++ {
		if f.n.data[off] != 0 {
			return off &^ 7 // as sloppy as a file system, which knows of blocks
		}
	}
	return off
}

func (f *memFile) size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) allocate(size int64) error {
	return f.m.do("allocate", f.name, func() error { return f.grow(size) })
}

func (f *memFile) truncate(size int64) error {
	return f.m.do("truncate", f.name, func() error {
		if err := f.grow(size); err != nil {
			return err
		}
		f.n.data = f.n.data[:size:size]
		return nil
	})
}

func (f *memFile) sync() error {
	err := f.m.do("sync", f.name, func() error { f.n.flush(f.m.sector, func() bool { return true }); return nil })
	if errors.Is(err, errCrash) || err == nil {
		return err
	}
	// What a failed sync leaves: some sectors written, and all of them taken for written.
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.flush(f.m.sector, func() bool { return rand.IntN(2) == 0 })
	return err
}

// flush writes the dirty sectors that `some` chooses, and counts all as clean.
func (n *inode) flush(sector int, some func() bool) {
	if len(n.disk) > len(n.data) {
		n.disk = n.disk[:len(n.data)]
	}
	if more := len(n.data) - len(n.disk); more > 0 {
		n.disk = append(n.disk, make([]byte, more)...)
	}
	for _, s := range slices.Sorted(maps.Keys(n.dirty)) {
		if some() && s*sector < len(n.data) {
			copy(n.disk[s*sector:min((s+1)*sector, len(n.disk))], n.data[s*sector:])
		}
	}
	n.dirty = map[int]bool{}
}

// afterKill is what another process finds: the page cache is there.
func (m *memFS) afterKill() *memFS {
	m.mu.Lock()
	m.dead = true
	m.mu.Unlock()
	return m.copy()
}

func (m *memFS) copy() *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newMemFS()
	c.sector, c.space = m.sector, m.space
	copied := map[*inode]*inode{}
	clone := func(names map[string]*inode) map[string]*inode {
		to := map[string]*inode{}
		for name, n := range names {
			if copied[n] == nil {
				copied[n] = &inode{data: slices.Clone(n.data), disk: slices.Clone(n.disk), dirty: maps.Clone(n.dirty)}
			}
			to[name] = copied[n]
		}
		return to
	}
	c.names, c.durable = clone(m.names), clone(m.durable)
	return c
}

// afterPowerLoss is what the next boot finds: of what was not synced, any part.
func (m *memFS) afterPowerLoss(r *rand.Rand) *memFS {
	c := m.afterKill()
	names := map[string]*inode{}
	for _, name := range slices.Sorted(maps.Keys(union(c.names, c.durable))) {
		n := c.durable[name]
		if r.IntN(2) == 0 {
			n = c.names[name]
		}
		if n != nil {
			names[name] = n
		}
	}
	some := [](func() bool){func() bool { return r.IntN(2) == 0 }, func() bool { return r.IntN(10) == 0 }, func() bool { return r.IntN(10) > 0 }}[r.IntN(3)]
	done := map[*inode]bool{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		n := names[name]
		if done[n] {
			continue
		}
		done[n] = true
		if len(n.data) > len(n.disk) && r.IntN(2) == 0 {
			n.data = n.data[:len(n.disk)]
		}
		n.flush(c.sector, some)
		n.data = slices.Clone(n.disk)
	}
	c.names, c.durable = names, maps.Clone(names)
	return c
}

func union(a, b map[string]*inode) map[string]*inode {
	u := maps.Clone(a)
	maps.Copy(u, b)
	return u
}
