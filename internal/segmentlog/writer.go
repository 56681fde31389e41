// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/internal/failpoint"
	"go.uber.org/zap"
)

// writer is what the writer goroutine knows. Nobody else touches it while that runs.
type writer struct {
	segment  *segment
	file     file
	off      int64 // where the next entry goes
	capacity int64 // of the segment's file
	at       tally // after the last entry written
	began    int64 // append time of the segment's first entry
	side     int64 // bytes that its ID file will have
	gather   []byte
}

const (
	// gatherBytes is how much of small entries is put together for one write.
	gatherBytes = 256 << 10
	// maxGroup bounds how much shares one sync, so that the first of a crowd does not wait for all of it.
	maxGroup = 32 << 20
)

// write commits what is queued, group by group, until Close.
func (l *Log) write() {
	defer l.writing.Done()
	var group []*pending
	for {
		l.queue.Lock()
		for len(l.queue.waiting) == 0 && !l.queue.closing {
			l.queue.wake.Wait()
		}
		group, l.queue.waiting = l.queue.waiting, group[:0]
		l.queue.Unlock()
		if len(group) == 0 {
			l.w.segment.release(l)
			return
		}
		l.commit(group)
		clear(group) // the next groups' slice must not hold entries that are done
	}
}

// commit appends the entries, in as few syncs as they fit in, and tells those who wait.
func (l *Log) commit(group []*pending) {
	w := &l.w
	var full error
	for len(group) > 0 {
		now := l.o.Now().UnixNano()
		if l.o.SegmentAge > 0 && w.off > headerSize(l.o.Partitions) && now-w.began >= int64(l.o.SegmentAge) && full == nil && l.failed == nil {
			full = l.roll(int64(len(*group[0].buf)), now)
		}
		n := l.fitting(group)
		if n == 0 && full == nil && l.failed == nil {
			full = l.roll(int64(len(*group[0].buf)), now)
			n = l.fitting(group)
		}
		var err error
		switch {
		case n > 0:
			err = l.commitGroup(group[:n], now)
		case full != nil:
			n, err = 1, full
		default:
			n, err = 1, ErrFull // cannot be: a new segment has room for the entry
		}
		if l.failed != nil {
			n, err = len(group), l.failed
		}
		for _, p := range group[:n] {
			p.err = err
			p.done <- struct{}{}
		}
		group = group[n:]
	}
}

// fitting says how many of the entries go into the segment by one sync.
func (l *Log) fitting(group []*pending) int {
	w := &l.w
	if l.failed != nil {
		return 0
	}
	size, side := int64(0), w.side
	for i, p := range group {
		size += int64(len(*p.buf))
		side += p.side
		crowded := side > sideLimit(l.o) && side > p.side // the first entry always fits: see sideLimit
		if w.off+size > w.capacity || crowded || (i > 0 && size > maxGroup) {
			return i
		}
	}
	return len(group)
}

// commitGroup writes and syncs entries that fit.
func (l *Log) commitGroup(group []*pending, now int64) error {
	w := &l.w
	began := time.Now()
	start, before := w.off, w.at.clone()
	for _, p := range group {
		p.place(&w.at, w.segment.seed, w.off, start, now)
		w.off += int64(len(*p.buf))
	}
	if err := w.writeOut(group, start); err != nil {
		if isFull(err) {
			// Where allocated space is no promise (copy on write, thin volumes). No sync failed, so what was synced is
			// there. What came into the file is written over; until then a crash may bring it back, whole and unacknowledged.
			w.off, w.at = start, before
			return ErrFull
		}
		return l.fail("writing", err, start)
	}
	failpoint.Reach(failpoint.AppendWritten)
	if err := w.file.sync(); err != nil {
		return l.fail("syncing", err, start)
	}
	failpoint.Reach(failpoint.AppendSynced)
	if err := l.setMark(mark{segment: w.segment.header.number, end: w.off, seq: w.at.seq}); err != nil {
		// The group is synced, and the mark may or may not tell of it: it must not be cut off.
		return l.failWithout("marking", err)
	}
	if start == headerSize(l.o.Partitions) {
		w.began = group[0].receipt.Appended
	}
	l.publish(group, start)
	if l.o.OnSync != nil {
		l.o.OnSync(time.Since(began), len(group), int(w.off-start))
	}
	return nil
}

// writeOut writes the group from start, small entries together.
func (w *writer) writeOut(group []*pending, start int64) error {
	flush := func() error {
		if len(w.gather) == 0 {
			return nil
		}
		_, err := w.file.WriteAt(w.gather, start)
		start += int64(len(w.gather))
		w.gather = w.gather[:0]
		return err
	}
	defer func() { w.gather = w.gather[:0] }()
	for _, p := range group {
		b := *p.buf
		if len(b) <= gatherBytes/4 && len(group) > 1 {
			if len(w.gather)+len(b) > gatherBytes {
				if err := flush(); err != nil {
					return err
				}
			}
			w.gather = append(w.gather, b...)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		if _, err := w.file.WriteAt(b, start); err != nil {
			return err
		}
		start += int64(len(b))
	}
	return flush()
}

// publish shows a synced group to readers.
func (l *Log) publish(group []*pending, start int64) {
	w := &l.w
	s := w.segment
	s.indexing.Lock()
	off := start
	for _, p := range group {
		b := *p.buf
		for i := range p.chunks {
			s.notePoint(le.Uint32(b[entryFixed+chunkFixed*i:]), p.receipt.First[i], off)
		}
		w.side += p.side
		off += int64(len(b))
	}
	s.indexing.Unlock()

	l.mu.Lock()
	defer l.mu.Unlock()
	for i, n := range w.at.next {
		if n != l.at.next[i] && l.changed[i] != nil {
			close(l.changed[i])
			l.changed[i] = nil
		}
	}
	next := l.at.next
	copy(next, w.at.next)
	l.at = w.at
	l.at.next = next
	s.end.Store(w.off)
}

// fail ends all appending. It tries to cut off the group that failed, so that it does not come back when the log is
// opened anew; if that fails too the group may come back, and is whole then.
func (l *Log) fail(op string, err error, start int64) error {
	failed := &FailedError{Op: op, Err: err}
	l.o.Logger.Error("the log takes nothing more until it is opened anew", zap.Error(failed))
	var zeros [entryFixed]byte
	if _, err := l.w.file.WriteAt(zeros[:], start); err == nil {
		_ = l.w.file.sync()
	}
	l.mu.Lock()
	l.failed = failed
	l.mu.Unlock()
	return failed
}

// failWithout is fail where no group was begun.
func (l *Log) failWithout(op string, err error) error {
	failed := &FailedError{Op: op, Err: err}
	l.o.Logger.Error("the log takes nothing more until it is opened anew", zap.Error(failed))
	l.mu.Lock()
	l.failed = failed
	l.mu.Unlock()
	return failed
}

// roll begins a new segment with room for an entry of that size. ErrFull leaves the old one as it is.
func (l *Log) roll(entry, now int64) error {
	w := &l.w
	// At most one full segment may be without its ID files, because the reserve is for one.
	if err := l.sealAll(); err != nil {
		if isFull(err) {
			return ErrFull
		}
		return fmt.Errorf("the IDs of a full segment could not be written to files of their own: %w", err)
	}
	if err := l.room(l.segmentSize(entry)); err != nil {
		return err
	}
	h := &segmentHeader{
		incarnation: l.id, number: w.segment.header.number + 1, created: now, begin: w.at.clone(), prevEnd: w.off,
	}
	s, f, err := l.createSegment(h, l.segmentSize(entry))
	if err != nil {
		if isFull(err) {
			return ErrFull
		}
		return l.failWithout("beginning a segment", err)
	}
	failpoint.Reach(failpoint.SegmentCreated)
	if err := l.setMark(mark{segment: h.number, end: headerSize(l.o.Partitions), seq: w.at.seq}); err != nil {
		_ = f.Close()
		return l.failWithout("marking", err)
	}
	old := w.segment
	s.hold(l, f)
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	w.segment, w.file, w.off, w.capacity, w.side = s, f, headerSize(l.o.Partitions), s.size.Load(), 0
	old.release(l)
	select {
	case l.seal <- struct{}{}:
	default:
	}
	return nil
}

// segmentSize is that of a new segment which must have room for the entry.
func (l *Log) segmentSize(entry int64) int64 {
	return max(l.o.SegmentBytes, roundUp(headerSize(l.o.Partitions)+entry, segmentAlignment))
}

// room says whether the bounds allow for a file of that size.
func (l *Log) room(size int64) error {
	l.mu.RLock()
	bytes := l.bounded()
	l.mu.RUnlock()
	if l.o.MaxBytes > 0 && bytes+size > l.o.MaxBytes {
		return ErrFull
	}
	if err := l.refill(); err != nil {
		if isFull(err) {
			return ErrFull
		}
		return l.failWithout("reserving space", err)
	}
	if l.o.MinFreeBytes > 0 {
		free, err := l.fs.free()
		if err != nil {
			return l.failWithout("asking for free space", err)
		}
		if free-size < l.o.MinFreeBytes {
			return ErrFull
		}
	}
	return nil
}

// createSegment makes a segment's file: allocated, with its header, durable. It appears by rename, so a segment's header is
// always whole. An error leaves nothing behind that counts.
func (l *Log) createSegment(h *segmentHeader, size int64) (*segment, file, error) {
	name := segmentName(h.number)
	f, err := l.fs.create(name + temporary)
	if err != nil {
		return nil, nil, err
	}
	err = f.allocate(size)
	if err == nil {
		_, err = f.WriteAt(h.encode(), 0)
	}
	if err == nil {
		err = f.sync()
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close(), l.fs.remove(name+temporary))
	}
	if err = l.fs.rename(name+temporary, name); err == nil {
		err = l.fs.syncDir()
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("naming %s: %w", name, err), f.Close())
	}
	s := newSegment(h)
	s.size.Store(size)
	s.end.Store(headerSize(len(h.begin.next)))
	return s, f, nil
}

func newSegment(h *segmentHeader) *segment {
	return &segment{header: h, name: segmentName(h.number), seed: newSeed(h.incarnation, h.number)}
}

// hold makes f the segment's open file, with the writer as its user, and begins its index.
func (s *segment) hold(l *Log, f file) {
	s.mu.Lock()
	s.file, s.users = f, s.users+1
	s.mu.Unlock()
	s.indexing.Lock()
	s.index = make([][]point, l.o.Partitions)
	s.indexing.Unlock()
	l.loaded.Lock()
	l.openSegs[s] = struct{}{}
	l.loaded.Unlock()
}
