// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// location is where a chunk's data lies.
type location struct {
	segment     uint64
	off         int64
	stored      uint32
	sum         uint32
	compression Compression
}

// Scan calls f for the heads of the partition's chunks, in order, from the one that holds the position `from`, up to the
// last synced one, until f says false. It does not read the data. It returns ErrGone if retention has removed `from`.
func (l *Log) Scan(p uint32, from uint64, f func(Info) bool) error {
	if int(p) >= l.o.Partitions {
		return fmt.Errorf("there is no partition %d", p)
	}
	for {
		l.mu.RLock()
		switch {
		case l.closed:
			l.mu.RUnlock()
			return ErrClosed
		case from < l.segments[0].header.begin.next[p]:
			l.mu.RUnlock()
			return ErrGone
		case from >= l.at.next[p]:
			l.mu.RUnlock()
			return nil
		}
		s, next := l.find(p, from)
		end := s.end.Load()
		file, err := s.acquire(l)
		l.mu.RUnlock()
		if err != nil {
			return err
		}
		more, err := l.scanSegment(s, file, end, p, from, next, f)
		s.release(l)
		if err != nil || !more {
			return err
		}
		from = next
	}
}

// scanSegment is Scan within a segment, of which the position `next` is the first that it does not hold.
func (l *Log) scanSegment(s *segment, file file, end int64, p uint32, from, next uint64, f func(Info) bool) (more bool, err error) {
	if err := s.load(l, file); err != nil {
		return false, err
	}
	w := s.walk(l, file, s.before(p, from), end)
	for from < next {
		h, err := w.next()
		if errors.Is(err, io.EOF) {
			return false, &CorruptError{File: w.name, Offset: end, Reason: fmt.Sprintf("position %d of partition %d is not there", from, p)}
		}
		if err != nil {
			return false, err
		}
		at := h.off + int64(h.headSize()+h.sideSize())
		found := false
		for i := range h.chunks {
			c := h.chunk(i)
			if c.partition < p {
				at += int64(c.stored)
				continue
			}
			found = c.partition == p
			if !found || c.first+uint64(c.records) <= from {
				break
			}
			if c.first > from {
				return false, &CorruptError{File: w.name, Offset: h.off, Reason: fmt.Sprintf("position %d of partition %d is not there", from, p)}
			}
			if !f(Info{
				Kind: c.kind, First: c.first, Records: c.records, Bytes: int(c.length), Appended: h.appended, EventTime: c.eventTime, Seq: h.seq,
				at: location{segment: s.header.number, off: at, stored: c.stored, sum: c.sum, compression: c.compression},
			}) {
				return false, nil
			}
			from = c.first + uint64(c.records)
			break
		}
		if !found {
			w.off = s.skip(p, w.off)
		}
	}
	return true, nil
}

// Read returns the chunk's data, decompressed and checked, in buf if that has the room. It returns ErrGone if retention has
// removed the chunk.
func (l *Log) Read(info Info, buf []byte) ([]byte, error) {
	l.mu.RLock()
	if l.closed {
		l.mu.RUnlock()
		return nil, ErrClosed
	}
	s := l.byNumber(info.at.segment)
	if s == nil {
		l.mu.RUnlock()
		return nil, ErrGone
	}
	file, err := s.acquire(l)
	l.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	defer s.release(l)

	stored := buf[:0]
	if info.at.compression != None {
		scratch := takeBuffer(int(info.at.stored))
		defer giveBuffer(scratch)
		stored = *scratch
	}
	stored = slices.Grow(stored[:0], int(info.at.stored))[:info.at.stored]
	corrupt := func(reason string) error {
		return &CorruptError{File: l.path(s.name), Offset: info.at.off, Reason: reason}
	}
	if err := readFull(file, stored, info.at.off); errors.Is(err, errCutOff) {
		return nil, corrupt(string(errCutOff))
	} else if err != nil {
		return nil, fmt.Errorf("reading %s: %w", l.path(s.name), err)
	}
	if checksum(stored) != info.at.sum {
		return nil, corrupt(string(errDataSum))
	}
	data, err := l.codec.decode(info.at.compression, buf[:0], stored, info.Bytes)
	if err != nil {
		return nil, corrupt(err.Error())
	}
	return data, nil
}
