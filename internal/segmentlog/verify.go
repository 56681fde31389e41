// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"context"
	"errors"
	"io"
)

// verify goes through the entries up to the end, checks everything, moves the tally, and adds to the index of s if that is not nil.
// It stops before the first entry that is damaged.
func (w *walker) verify(at *tally, s *segment) error {
	for {
		h, err := w.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err = w.body(&h); err == nil {
			if err = at.follow(&h); err != nil {
				err = w.wrap(h.off, err)
			}
		}
		if err != nil {
			w.off = h.off
			return err
		}
		if s != nil {
			s.indexing.Lock()
			s.note(&h)
			s.indexing.Unlock()
		}
	}
}

// verifySegment reads all of a full segment.
func (l *Log) verifySegment(s *segment, after tally) error {
	f, err := s.acquire(l)
	if err != nil {
		return err
	}
	defer s.release(l)
	at := s.header.begin.clone()
	w := s.walk(l, f, headerSize(l.o.Partitions), s.end.Load())
	if err := w.verify(&at, nil); err != nil {
		return err
	}
	if at.seq != after.seq || at.chain != after.chain {
		return &CorruptError{File: w.name, Offset: w.off, Reason: "the next segment does not continue it"}
	}
	return nil
}

// Verify reads the whole log and checks every checksum: what Open does for the end of the log only, since it would take
// minutes for a large one. It returns the first damage. What retention removes meanwhile is passed over.
func (l *Log) Verify(ctx context.Context) error {
	l.mu.RLock()
	number, last, end := l.manifest.firstIDs, l.segments[len(l.segments)-1].header.number, l.at.clone()
	active := l.segments[len(l.segments)-1].end.Load()
	l.mu.RUnlock()
	for ; number <= last; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.mu.RLock()
		closed, s := l.closed, l.byNumber(number)
		after := end
		if s != nil && number != last {
			after = l.tallyAfter(int(number - l.segments[0].header.number))
		}
		l.mu.RUnlock()
		if closed {
			return ErrClosed
		}
		if s != nil {
			if err := l.verifyUpTo(s, after, number == last, active); err != nil && !errors.Is(err, ErrGone) {
				return err
			}
		}
		if err := l.verifyIDs(number); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) verifyUpTo(s *segment, after tally, isLast bool, end int64) error {
	if !isLast {
		return l.verifySegment(s, after)
	}
	f, err := s.acquire(l)
	if err != nil {
		return err
	}
	defer s.release(l)
	at := s.header.begin.clone()
	return s.walk(l, f, headerSize(l.o.Partitions), end).verify(&at, nil)
}

// verifyIDs reads both ID files of a segment, if it has them.
func (l *Log) verifyIDs(n uint64) error {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.RLock()
	s := l.byNumber(n)
	wanted := n >= l.manifest.firstIDs && (s == nil || s.sealed.Load())
	l.mu.RUnlock()
	if !wanted {
		return nil
	}
	for c := range 2 {
		if _, _, err := l.readIDs(n, c, nil, true); err != nil {
			return err
		}
	}
	return nil
}
