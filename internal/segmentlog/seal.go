// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/failpoint"
	"go.uber.org/zap"
)

const (
	reserveName = "reserve"
	temporary   = ".tmp"
)

// sealAll writes the ID files of all full segments that have none.
func (l *Log) sealAll() error {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	for {
		l.mu.RLock()
		var s *segment
		var after tally
		for i := range len(l.segments) - 1 {
			if !l.segments[i].sealed.Load() {
				s, after = l.segments[i], l.tallyAfter(i)
				break
			}
		}
		l.mu.RUnlock()
		if s == nil {
			return nil
		}
		if err := l.sealSegment(s, after); err != nil {
			return err
		}
	}
}

// sealSegment gives back what the segment did not use of its space, and writes its ID files. Called with sealing held.
func (l *Log) sealSegment(s *segment, after tally) error {
	if err := l.trim(s); err != nil {
		return err
	}
	data, err := l.collectIDs(s, after)
	if err != nil {
		return err
	}
	n := s.header.number
	write := func() error {
		for c := range 2 {
			if err := l.writeIDs(idName(n, c), data); err != nil {
				return err
			}
		}
		return l.fs.syncDir()
	}
	if err = write(); isFull(err) {
		// This is what the reserve is for. No segment is begun before it is whole again.
		l.short = true
		if err = l.reserve.truncate(0); err == nil {
			err = write()
		}
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.ids[n] = &idFile{known: true, begin: s.header.begin.bounds(), after: after.bounds(), bytes: 2 * int64(len(data))}
	l.mu.Unlock()
	s.sealed.Store(true)
	failpoint.Reach(failpoint.SegmentSealed)
	return nil
}

// trim cuts a full segment off behind its last entry.
func (l *Log) trim(s *segment) error {
	end := s.end.Load()
	if s.size.Load() <= end {
		return nil
	}
	f, err := s.acquire(l)
	if err != nil {
		return err
	}
	defer s.release(l)
	if err := f.truncate(end); err != nil {
		return fmt.Errorf("shortening a full segment: %w", err)
	}
	s.size.Store(end)
	return nil
}

// writeIDs writes an ID file and reads it back. The directory is not synced yet.
func (l *Log) writeIDs(name string, data []byte) error {
	f, err := l.fs.create(name + temporary)
	if err != nil {
		return fmt.Errorf("creating an ID file: %w", err)
	}
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.sync()
	}
	if err == nil {
		f.forget()
		back := make([]byte, len(data))
		if err = readFull(f, back, 0); err == nil && !bytes.Equal(back, data) {
			err = errors.New("it does not read as it was written")
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = l.fs.rename(name+temporary, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", l.path(name), err), l.removeIfThere(name+temporary))
	}
	return nil
}

// refill takes the space of the reserve again, if it was given up.
func (l *Log) refill() error {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	if !l.short {
		return nil
	}
	if err := l.reserve.allocate(reserveBytes(l.o)); err != nil {
		return errors.Join(err, l.reserve.truncate(0))
	}
	l.short = false
	return nil
}

// checkSealed makes sure that both ID files of a segment which is about to go are whole: it is the last moment at which they
// can be written anew.
func (l *Log) checkSealed(s *segment, after tally) error {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	whole := s.sealed.Load()
	for c := range 2 {
		if whole {
			if _, _, err := l.readIDs(s.header.number, c, nil, true); err != nil {
				l.o.Logger.Warn("an ID file is written anew", zap.Error(err))
				whole = false
			}
		}
	}
	if whole {
		return nil
	}
	s.sealed.Store(false)
	return l.sealSegment(s, after)
}

// Remove removes the oldest full segments for as long as keep says false, and returns them. It removes none whose IDs are
// still wanted and not in two whole files of their own. keep must not call Remove or SetIDFloor.
func (l *Log) Remove(keep func(SegmentInfo) bool) (removed []SegmentInfo, err error) {
	l.removing.Lock()
	defer l.removing.Unlock()
	for {
		l.mu.RLock()
		if l.closed {
			l.mu.RUnlock()
			return removed, ErrClosed
		}
		if len(l.segments) == 1 {
			l.mu.RUnlock()
			return removed, nil
		}
		s, after := l.segments[0], l.segments[1].header.begin
		m := l.manifest
		l.mu.RUnlock()

		info := s.info(after)
		if keep(info) {
			return removed, nil
		}
		if after.id > m.idFloor || after.seq > m.seqFloor {
			if err := l.checkSealed(s, after); err != nil {
				return removed, fmt.Errorf("keeping the IDs of a segment before it is removed: %w", err)
			}
		}
		m.firstSegment = s.header.number + 1
		if err := l.retain(m); err != nil {
			return removed, err
		}
		removed = append(removed, info)
		failpoint.Reach(failpoint.SegmentRemoved)
	}
}

// SetIDFloor lets the IDs below the ordinal, and the sources of entries below the sequence number, be forgotten: ID files
// that have none but such are removed, now or when their segment goes. A floor is never lowered.
func (l *Log) SetIDFloor(ordinal, seq uint64) error {
	l.removing.Lock()
	defer l.removing.Unlock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	m := l.manifest
	m.idFloor, m.seqFloor = max(m.idFloor, min(ordinal, l.at.id)), max(m.seqFloor, min(seq, l.at.seq))
	// Without a file to remove the floor need not be durable.
	l.manifest.idFloor, l.manifest.seqFloor = m.idFloor, m.seqFloor
	nothing := l.pastFloor(m) == m.firstIDs
	l.mu.Unlock()
	if nothing {
		return nil
	}
	return l.retain(m)
}

// pastFloor returns the first segment whose ID files are still wanted. Called with mu held.
func (l *Log) pastFloor(m manifest) uint64 {
	n := m.firstIDs
	for n < m.firstSegment {
		if _, after := l.bounds(n); after.id > m.idFloor || after.seq > m.seqFloor {
			break
		}
		n++
	}
	return n
}

// retain makes the manifest count, which names later first files than the one before, and then removes files. A crash in
// between leaves files that Open removes. Called with removing held.
func (l *Log) retain(m manifest) error {
	l.mu.RLock()
	old := l.manifest
	m.firstIDs = l.pastFloor(m)
	l.mu.RUnlock()
	if err := l.manifestFile.writeBoth(m.encode()); err != nil {
		return fmt.Errorf("writing %s: %w", l.path(manifestName), err)
	}
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	l.manifest = m
	var gone []*segment
	for l.segments[0].header.number < m.firstSegment {
		gone = append(gone, l.segments[0])
		l.segments = l.segments[1:]
	}
	for n := old.firstIDs; n < m.firstIDs; n++ {
		delete(l.ids, n)
	}
	l.mu.Unlock()
	var errs []error
	for _, s := range gone {
		errs = append(errs, s.discard(l), l.removeIfThere(s.name))
	}
	for n := old.firstIDs; n < m.firstIDs; n++ {
		errs = append(errs, l.removeIfThere(idName(n, 0)), l.removeIfThere(idName(n, 1)))
	}
	if err := errors.Join(append(errs, l.fs.syncDir())...); err != nil {
		return fmt.Errorf("removing old files of the log: %w", err)
	}
	return nil
}

func (s *segment) info(after tally) SegmentInfo {
	b := s.header.begin
	return SegmentInfo{
		Number: s.header.number, Bytes: s.size.Load(), First: b.next, Next: after.next, FirstSeq: b.seq, NextSeq: after.seq,
		FirstID: b.id, NextID: after.id, LastAppended: after.appended,
	}
}
