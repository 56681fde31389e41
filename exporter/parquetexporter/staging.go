// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/millrace/millrace/internal/syncedfile"
)

// staging keeps pieces of rows in append-only segment files. It knows no more than where they are: which of them count is in
// the state store (index.go), so what was written and not noted there does not exist, and a torn end needs no repair. A
// segment is removed when no piece in it counts any more.
type staging struct {
	dir          string
	segmentBytes int64

	mu       sync.Mutex          // guards what follows; any goroutine
	segments map[uint64]*segment // by number
	active   *segment            // nil: the next append makes one
	next     uint64
	bytes    int64 // of all pieces that count, and of all parts
}

// segment is one file. Its fields are guarded by staging.mu but for what says otherwise.
type segment struct {
	number uint64
	path   string
	file   *os.File
	size   int64 // written
	pieces int   // that count, or are about to be noted
	bytes  int64 // of those

	syncMu sync.Mutex
	synced int64 // guarded by syncMu
	failed error // guarded by syncMu: after a failed sync nothing of the file is to be trusted that was not noted
}

// place is where a piece lies.
type place struct {
	Segment  uint64 `json:"segment"`
	Offset   int64  `json:"offset"`
	Length   uint32 `json:"length"`
	Checksum uint32 `json:"checksum"` // CRC-32C
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("a staged piece is damaged")

func segmentName(number uint64) string { return fmt.Sprintf("%016x.staged", number) }

// openStaging opens the directory, with the pieces that count. Segments without any are removed: their pieces were never
// acknowledged, or have left.
func openStaging(dir string, segmentBytes int64, pieces func(yield func(place) error) error) (*staging, error) {
	s := &staging{dir: dir, segmentBytes: segmentBytes, segments: map[uint64]*segment{}}
	err := pieces(func(p place) error {
		seg := s.segments[p.Segment]
		if seg == nil {
			seg = &segment{number: p.Segment, path: filepath.Join(dir, segmentName(p.Segment))}
			s.segments[p.Segment] = seg
		}
		seg.pieces++
		seg.bytes += int64(p.Length)
		seg.size = max(seg.size, p.Offset+int64(p.Length))
		s.bytes += int64(p.Length)
		return nil
	})
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing what is staged: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".staged")
		number, err := strconv.ParseUint(name, 16, 64)
		if !ok || err != nil {
			continue
		}
		s.next = max(s.next, number+1)
		if s.segments[number] == nil {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, fmt.Errorf("removing what was not acknowledged: %w", err)
			}
		}
	}
	for number, seg := range s.segments {
		s.next = max(s.next, number+1)
		if seg.file, err = os.Open(seg.path); err != nil {
			return nil, errors.Join(fmt.Errorf("opening what is staged: %w: events that were acknowledged are in it: bring it back, "+
				"or give them up by removing the whole of %s and the exporter's name", err, dir), s.close())
		}
		info, err := seg.file.Stat()
		if err == nil && info.Size() < seg.size {
			err = fmt.Errorf("%s has %d bytes and should have %d: %w", seg.path, info.Size(), seg.size, errDamaged)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("opening what is staged: %w", err), s.close())
		}
		seg.synced = seg.size
	}
	return s, nil
}

func (s *staging) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, seg := range s.segments {
		if seg.file != nil {
			errs = append(errs, seg.file.Close())
		}
	}
	clear(s.segments)
	s.active = nil
	return errors.Join(errs...)
}

// append writes pieces behind one another and returns where they are, synced. They count from now on, until released: a crash
// before they are noted in the state store makes them nothing.
func (s *staging) append(data []byte, lengths []int) ([]place, error) {
	seg, at, err := s.write(data, len(lengths))
	if err != nil {
		return nil, fmt.Errorf("staging events: %w", err)
	}
	if err := s.sync(seg, at+int64(len(data))); err != nil {
		s.drop(seg, len(lengths), int64(len(data)))
		return nil, fmt.Errorf("staging events: %w", err)
	}
	places := make([]place, len(lengths))
	for i, n := range lengths {
		places[i] = place{Segment: seg.number, Offset: at, Length: uint32(n), Checksum: crc32.Checksum(data[:n], castagnoli)}
		data = data[n:]
		at += int64(n)
	}
	return places, nil
}

func (s *staging) write(data []byte, pieces int) (*segment, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active == nil || s.active.size > 0 && s.active.size+int64(len(data)) > s.segmentBytes {
		if err := s.roll(); err != nil {
			return nil, 0, err
		}
	}
	seg := s.active
	if _, err := seg.file.WriteAt(data, seg.size); err != nil {
		// What was written of it is overwritten by the next one, or never noted.
		if seg.pieces == 0 {
			s.remove(seg)
		}
		s.active = nil
		return nil, 0, err
	}
	at := seg.size
	seg.size += int64(len(data))
	seg.pieces += pieces
	seg.bytes += int64(len(data))
	s.bytes += int64(len(data))
	return seg, at, nil
}

// roll makes a new segment. The caller holds mu.
func (s *staging) roll() error {
	old := s.active
	s.active = nil
	if old != nil && old.pieces == 0 {
		s.remove(old)
	}
	seg := &segment{number: s.next, path: filepath.Join(s.dir, segmentName(s.next))}
	file, err := os.OpenFile(seg.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	s.next++
	if err := syncedfile.Sync(s.dir); err != nil {
		return errors.Join(err, file.Close(), os.Remove(seg.path))
	}
	seg.file = file
	s.segments[seg.number] = seg
	s.active = seg
	return nil
}

// sync makes the segment durable up to the end. Those who wait for one sync share the next.
func (s *staging) sync(seg *segment, end int64) error {
	seg.syncMu.Lock()
	defer seg.syncMu.Unlock()
	if seg.synced >= end {
		return nil
	}
	if seg.failed != nil {
		return seg.failed
	}
	s.mu.Lock()
	size := seg.size
	s.mu.Unlock()
	if err := seg.file.Sync(); err != nil {
		// The kernel may have dropped what it could not write: nothing that follows in this file may be acknowledged.
		seg.failed = err
		s.mu.Lock()
		if s.active == seg {
			s.active = nil
		}
		s.mu.Unlock()
		return err
	}
	seg.synced = size
	return nil
}

// read returns the piece, checked.
func (s *staging) read(p place, buf []byte) ([]byte, error) {
	s.mu.Lock()
	seg := s.segments[p.Segment]
	s.mu.Unlock()
	if seg == nil {
		return nil, fmt.Errorf("reading a staged piece: %w", fs.ErrNotExist)
	}
	if cap(buf) < int(p.Length) {
		buf = make([]byte, p.Length)
	}
	buf = buf[:p.Length]
	if _, err := seg.file.ReadAt(buf, p.Offset); err != nil {
		return nil, fmt.Errorf("%w: reading %s: %w", errDamaged, seg.path, err)
	}
	if crc32.Checksum(buf, castagnoli) != p.Checksum {
		return nil, fmt.Errorf("%w: %s at %d: its checksum is wrong", errDamaged, seg.path, p.Offset)
	}
	return buf, nil
}

// release lets go of pieces that no longer count.
func (s *staging) release(places []place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range places {
		if seg := s.segments[p.Segment]; seg != nil {
			s.forget(seg, 1, int64(p.Length))
		}
	}
}

func (s *staging) drop(seg *segment, pieces int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(seg, pieces, bytes)
}

// forget counts pieces out. The caller holds mu.
func (s *staging) forget(seg *segment, pieces int, bytes int64) {
	seg.pieces -= pieces
	seg.bytes -= bytes
	s.bytes -= bytes
	if seg.pieces == 0 {
		if seg == s.active {
			s.active = nil
		}
		s.remove(seg)
	}
}

// remove deletes a segment that has nothing that counts. Should that fail, or a crash come before, the next start does it.
func (s *staging) remove(seg *segment) {
	delete(s.segments, seg.number)
	_ = seg.file.Close() // nothing in it counts
	_ = os.Remove(seg.path)
}

// add counts bytes that are staged elsewhere, or no longer.
func (s *staging) add(n int64) {
	s.mu.Lock()
	s.bytes += n
	s.mu.Unlock()
}

// staged returns how many bytes wait.
func (s *staging) staged() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}
