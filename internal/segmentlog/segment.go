// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"sync"
	"sync/atomic"
)

// segment is one file of entries.
type segment struct {
	header *segmentHeader // never changed
	name   string
	seed   seed
	end    atomic.Int64 // of the synced entries; the writer moves it, with Log.mu held
	size   atomic.Int64 // on disk
	sealed atomic.Bool  // its ID files were written, or are not wanted

	mu      sync.Mutex // guards what is below
	file    file       // nil until somebody needs it
	users   int
	lastUse uint64
	gone    bool // removed: close the file with the last user

	indexing sync.Mutex // guards what is below; it comes after mu
	index    [][]point  // by partition; nil until a user of the file needs it
}

// point says where the entry begins that has this position of a partition, relative to the segment's first one.
type point struct{ position, off uint32 }

const (
	// indexStep is the least distance of two points of a partition. All its chunks that lie further from a point than
	// this are points themselves.
	indexStep = 64 << 10
	// maxOpen is how many segments keep their file open and their index in memory, beside those in use.
	maxOpen = 64
)

func segmentName(n uint64) string { return fmt.Sprintf("%016d.segment", n) }

// acquire opens the file, if it is not open, and holds it until release.
func (s *segment) acquire(l *Log) (file, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		if s.gone {
			return nil, ErrGone
		}
		f, err := l.fs.open(s.name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &MissingError{File: l.path(s.name)}
		}
		if err != nil {
			return nil, fmt.Errorf("opening a segment: %w", err)
		}
		s.file = f
	}
	s.users++
	l.loaded.Lock()
	l.useCount++
	s.lastUse = l.useCount
	l.openSegs[s] = struct{}{}
	l.loaded.Unlock()
	return s.file, nil
}

func (s *segment) release(l *Log) {
	s.mu.Lock()
	s.users--
	if s.gone && s.users == 0 {
		_ = s.close(l)
	}
	s.mu.Unlock()
	l.closeUnused()
}

// close is called with mu held.
func (s *segment) close(l *Log) error {
	if s.file == nil {
		return nil
	}
	l.loaded.Lock()
	delete(l.openSegs, s)
	l.loaded.Unlock()
	s.indexing.Lock()
	s.index = nil
	s.indexing.Unlock()
	err := s.file.Close()
	s.file = nil
	return err
}

// discard closes the file, now or with its last user.
func (s *segment) discard(l *Log) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	if s.users > 0 {
		return nil
	}
	return s.close(l)
}

// closeUnused closes the segment that was not used for the longest time, if there are too many.
func (l *Log) closeUnused() {
	for {
		l.loaded.Lock()
		var idle []*segment
		if len(l.openSegs) > maxOpen {
			for s := range l.openSegs {
				idle = append(idle, s)
			}
		}
		l.loaded.Unlock()
		var oldest *segment
		for _, s := range idle {
			s.mu.Lock()
			if s.users == 0 && (oldest == nil || s.lastUse < oldest.lastUse) {
				oldest = s
			}
			s.mu.Unlock()
		}
		if oldest == nil {
			return
		}
		oldest.mu.Lock()
		if oldest.users == 0 {
			_ = oldest.close(l)
		}
		oldest.mu.Unlock()
	}
}

func (s *segment) walk(l *Log, f file, from, end int64) *walker {
	return &walker{file: f, name: l.path(s.name), seed: s.seed, partitions: l.o.Partitions, off: from, end: end}
}

// note adds an entry to the index. Called with indexing held, in the order of entries.
func (s *segment) note(h *entryHead) {
	for i := range h.chunks {
		c := h.chunk(i)
		s.notePoint(c.partition, c.first, h.off)
	}
}

func (s *segment) notePoint(partition uint32, first uint64, off int64) {
	points := s.index[partition]
	if n := len(points); n > 0 && off-int64(points[n-1].off) < indexStep {
		return
	}
	s.index[partition] = append(points, point{uint32(first - s.header.begin.next[partition]), uint32(off)})
}

// load builds the index, if it is not there. The caller has acquired the segment.
func (s *segment) load(l *Log, f file) error {
	s.indexing.Lock()
	defer s.indexing.Unlock()
	if s.index != nil {
		return nil
	}
	s.index = make([][]point, l.o.Partitions)
	w := s.walk(l, f, headerSize(l.o.Partitions), s.end.Load())
	for {
		h, err := w.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			s.index = nil
			return err
		}
		s.note(&h)
	}
}

// before returns where to begin to look for the position.
func (s *segment) before(p uint32, position uint64) int64 {
	s.indexing.Lock()
	defer s.indexing.Unlock()
	rel := position - s.header.begin.next[p]
	i := sort.Search(len(s.index[p]), func(i int) bool { return uint64(s.index[p][i].position) > rel }) - 1
	if i < 0 {
		return headerSize(len(s.index)) // cannot be: every partition's first chunk is a point
	}
	return int64(s.index[p][i].off)
}

// skip returns where the partition's next chunk after off can lie at the earliest.
func (s *segment) skip(p uint32, off int64) int64 {
	s.indexing.Lock()
	defer s.indexing.Unlock()
	points := s.index[p]
	i := sort.Search(len(points), func(i int) bool { return int64(points[i].off) >= off })
	if i == len(points) || (i > 0 && off-int64(points[i-1].off) < indexStep) {
		return off
	}
	return int64(points[i].off)
}
