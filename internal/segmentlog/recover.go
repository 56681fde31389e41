// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"go.uber.org/zap"
)

// recover checks the end of the log against the mark, and makes it an end that can be written after.
func (l *Log) recover() (err error) {
	acked, err := l.readMark()
	if err != nil {
		return err
	}
	k := len(l.segments) - 1
	s := l.segments[k]
	start := headerSize(l.o.Partitions)
	if acked.segment > s.header.number {
		return &MissingError{File: l.path(segmentName(acked.segment))}
	}
	if acked.segment < s.header.number {
		// The segment was begun and the mark had not come so far: nothing in it is acknowledged, or power was lost.
		acked = mark{segment: s.header.number, end: start, seq: s.header.begin.seq}
	}
	if s.size.Load() < acked.end {
		return &CorruptError{File: l.path(s.name), Offset: s.size.Load(), Reason: fmt.Sprintf("the file is cut off; it had %d bytes of entries", acked.end)}
	}
	if k > 0 && acked.end == start {
		// The last acknowledged entry is in the segment before.
		if err := l.verifySegment(l.segments[k-1], s.header.begin); err != nil {
			return err
		}
	}
	f, err := s.acquire(l) // for the writer
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.release(l)
		}
	}()
	s.indexing.Lock()
	s.index = make([][]point, l.o.Partitions)
	s.indexing.Unlock()
	at := s.header.begin.clone()
	w := s.walk(l, f, start, acked.end)
	if err := w.verify(&at, s); err != nil {
		return err
	}
	if acked.seq != at.seq {
		return &CorruptError{File: l.path(s.name), Offset: acked.end, Reason: fmt.Sprintf("the next entry is %d here and %d by the mark", at.seq, acked.seq)}
	}
	// Behind the mark: entries that nobody was told of, or, after a loss of power, that the mark did not come to tell of.
	w.end, w.mend = s.size.Load(), true
	err = w.verify(&at, s)
	var torn damage
	if err != nil && !errors.As(err, &torn) {
		return err
	}
	end := w.off
	if torn != "" {
		proof, err := promised(f, s.seed, end, w.end, l.o.Partitions)
		if err != nil {
			return err
		}
		if proof >= 0 {
			return &CorruptError{File: l.path(s.name), Offset: end, Reason: fmt.Sprintf("%s, and the entry at %d was written when all before it was synced", torn, proof)}
		}
		if torn != errNoEntry {
			l.o.Logger.Info("an entry that was being written when the process or the power ended is cut off", zap.String("file", l.path(s.name)), zap.Int64("offset", end), zap.String("reason", string(torn)))
		}
	}
	// From here on the directory is changed. What was read may be in memory only, if a process ended before its sync: names
	// and manifest come first, because the rest relies on them.
	if err := l.fs.syncDir(); err != nil {
		return err
	}
	if err := l.manifestFile.writeBoth(l.manifest.encode()); err != nil {
		return fmt.Errorf("writing %s: %w", l.path(manifestName), err)
	}
	if err := settle(f, acked.end, end, s.size.Load()); err != nil {
		return fmt.Errorf("making the end of %s good: %w", l.path(s.name), err)
	}
	l.at = at.clone()
	s.end.Store(end)
	l.w = writer{segment: s, file: f, off: end, capacity: s.size.Load(), at: at}
	if err := l.readBegan(); err != nil {
		return err
	}
	if err := l.setMark(mark{segment: s.header.number, end: end, seq: at.seq}); err != nil {
		return err
	}
	return l.mark.file.sync()
}

// readBegan takes up the writer's sums over its segment.
func (l *Log) readBegan() error {
	w := l.w.segment.walk(l, l.w.file, headerSize(l.o.Partitions), l.w.off)
	for first := true; ; first = false {
		h, err := w.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if first {
			l.w.began = h.appended
		}
		if h.sideSize() > 0 {
			l.w.side += int64(sideFixed + h.sideSize())
		}
	}
}

func (l *Log) readMark() (mark, error) {
	path := l.path(markName)
	lost := func(reason string) (mark, error) {
		if !l.o.AcceptLostMark {
			return mark{}, &MarkError{File: path, Reason: reason}
		}
		l.o.Logger.Warn("the mark is made anew: damage to the last entries would not be noticed", zap.String("file", path), zap.String("reason", reason))
		if l.mark.file != nil {
			_ = l.mark.file.Close()
		}
		if err := l.createSlots(markName, markMagic, l.id, mark{}.encode(nil)); err != nil {
			return mark{}, err
		}
		f, err := l.fs.open(markName)
		if err != nil {
			return mark{}, err
		}
		l.mark.slots = slots{file: f, magic: markMagic, id: l.id, counter: 2}
		return mark{}, nil // before everything
	}
	f, err := l.fs.open(markName)
	if errors.Is(err, fs.ErrNotExist) {
		return lost("it is missing")
	}
	if err != nil {
		return mark{}, err
	}
	l.mark.slots = slots{file: f, magic: markMagic}
	value, damaged, err := l.mark.read(path)
	if errors.Is(err, errSlots) {
		return lost(err.Error())
	}
	if err != nil {
		return mark{}, err
	}
	if l.mark.id != l.id {
		return mark{}, &ForeignError{File: path, Reason: fmt.Sprintf("it is of the log %s, and this is %s", l.mark.id, l.id)}
	}
	if damaged {
		l.o.Logger.Warn("one of two copies in the mark is damaged; the other is used, which may be one group older", zap.String("file", path))
	}
	return decodeMark(value), nil
}

// settle makes [acked, end) durable and [end, size) zero. A sync that failed before a crash may have left pages that memory has
// and the disk has not, which the kernel takes for written: so they are written once more.
func settle(f file, acked, end, size int64) error {
	buf := make([]byte, 1<<20)
	for off := acked; off < end; off += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), end-off)]
		if err := readFull(f, b, off); err != nil {
			return err
		}
		if _, err := f.WriteAt(b, off); err != nil {
			return err
		}
	}
	// At the end itself zeros are written in any case: memory may have what the disk has not.
	zeros := make([]byte, segmentAlignment)
	if _, err := f.WriteAt(zeros[:min(segmentAlignment, size-end)], end); err != nil {
		return err
	}
	for off := end; ; off += int64(len(buf)) {
		if off = max(off, f.data(off)&^(segmentAlignment-1)); off >= size {
			break
		}
		b := buf[:min(int64(len(buf)), size-off)]
		if err := readFull(f, b, off); err != nil {
			return err
		}
		for i := 0; i < len(b); i += segmentAlignment {
			part := b[i:min(i+segmentAlignment, len(b))]
			if bytes.Equal(part, zeros[:len(part)]) {
				continue
			}
			if _, err := f.WriteAt(zeros[:len(part)], off+int64(i)); err != nil {
				return err
			}
		}
	}
	return f.sync()
}
