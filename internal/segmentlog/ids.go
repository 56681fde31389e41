// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// An ID file holds the IDs and sources of a segment's entries. There are two equal ones for each full segment.
//
//	 0  8 magic
//	 8  4 version
//	12  4 checksum of these 128 bytes, these four zero
//	16 16 incarnation
//	32  8 number of the segment
//	40  8 sequence number of its first entry
//	48  8 after its last
//	56  8 ordinal of its first ID
//	64  8 after its last
//	72  8 append time of its last entry
//	80  8 length of what follows
//	88  4 checksum of what follows
//	92    zero
//
// What follows is, for each entry that has an ID or a source: append time (8), number of IDs (4), length of the source (4),
// IDs, source.
const (
	idsMagic  = "MRLOGIDS"
	idsHeader = 128
	sideFixed = 16
)

// idFile is what is known of a segment's two ID files.
type idFile struct {
	known bool // a header could be read: the following is true
	begin idBounds
	after idBounds
	bytes int64   // of both
	bad   [2]bool // missing or damaged, as far as was looked
}

// idBounds is a place between entries.
type idBounds struct{ seq, id uint64 }

func (t tally) bounds() idBounds { return idBounds{t.seq, t.id} }

func idName(n uint64, copyNumber int) string { return fmt.Sprintf("%016d.ids.%d", n, copyNumber) }

// sideLimit bounds a segment's ID file, by beginning another segment. Only an entry that is larger by itself may pass it.
func sideLimit(o Options) int64 { return o.SegmentBytes / 8 }

// reserveBytes has room for both ID files of a segment: on a full disk they must be written before anything can be removed.
func reserveBytes(o Options) int64 { return roundUp(2*sideLimit(o)+64<<10, segmentAlignment) }

type idHeader struct {
	incarnation  uuid.UUID
	segment      uint64
	begin, after idBounds
	appended     int64
	length       int64
	sum          uint32
}

func (h *idHeader) encode(b []byte) {
	clear(b[:idsHeader])
	copy(b, idsMagic)
	le.PutUint32(b[8:], formatVersion)
	copy(b[16:], h.incarnation[:])
	for i, n := range []uint64{h.segment, h.begin.seq, h.after.seq, h.begin.id, h.after.id, uint64(h.appended), uint64(h.length)} {
		le.PutUint64(b[32+8*i:], n)
	}
	le.PutUint32(b[88:], h.sum)
	le.PutUint32(b[12:], checksum(b[:idsHeader]))
}

// decodeIDHeader changes b.
func decodeIDHeader(b []byte, name string) (*idHeader, error) {
	corrupt := func(reason string) error { return &CorruptError{File: name, Reason: reason} }
	if len(b) < idsHeader {
		return nil, corrupt("it is shorter than its header")
	}
	sum := le.Uint32(b[12:])
	le.PutUint32(b[12:], 0)
	if string(b[:8]) != idsMagic || checksum(b[:idsHeader]) != sum {
		return nil, corrupt("the checksum of its header does not match")
	}
	if v := le.Uint32(b[8:]); v != formatVersion {
		return nil, &VersionError{File: name, Have: v, Known: formatVersion}
	}
	h := &idHeader{
		segment: le.Uint64(b[32:]), begin: idBounds{le.Uint64(b[40:]), le.Uint64(b[56:])}, after: idBounds{le.Uint64(b[48:]), le.Uint64(b[64:])},
		appended: int64(le.Uint64(b[72:])), length: int64(le.Uint64(b[80:])), sum: le.Uint32(b[88:]),
	}
	copy(h.incarnation[:], b[16:])
	return h, nil
}

// readIDHeader reads one file's header, and checks that the file is as long as that says.
func (l *Log) readIDHeader(n uint64, copyNumber int) (*idHeader, error) {
	h, _, err := l.readIDs(n, copyNumber, nil, false)
	return h, err
}

// readIDs reads one file, checked, with the part after the header in buf if that has room and `body` is asked for. Called with
// sealing held, or by Open.
func (l *Log) readIDs(n uint64, copyNumber int, buf []byte, body bool) (h *idHeader, data []byte, err error) {
	name := idName(n, copyNumber)
	path := l.path(name)
	f, err := l.fs.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &MissingError{File: path}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening an ID file: %w", err)
	}
	defer func() { _ = f.Close() }()
	var head [idsHeader]byte
	if err := readFull(f, head[:], 0); errors.Is(err, errCutOff) {
		return nil, nil, &CorruptError{File: path, Reason: "it is shorter than its header"}
	} else if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if h, err = decodeIDHeader(head[:], path); err != nil {
		return nil, nil, err
	}
	if h.incarnation != l.id || h.segment != n {
		return nil, nil, &ForeignError{File: path, Reason: "its header names another log or another segment"}
	}
	size, err := f.size()
	if err != nil {
		return nil, nil, fmt.Errorf("asking for the size of %s: %w", path, err)
	}
	if size != idsHeader+h.length {
		return nil, nil, &CorruptError{File: path, Offset: min(size, idsHeader+h.length), Reason: "it has not the length that its header says"}
	}
	if !body {
		return h, nil, nil
	}
	if int64(cap(buf)) < h.length {
		buf = make([]byte, h.length)
	}
	buf = buf[:h.length]
	if err := readFull(f, buf, idsHeader); err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if checksum(buf) != h.sum {
		return nil, nil, &CorruptError{File: path, Offset: idsHeader, Reason: "the checksum does not match"}
	}
	return h, buf, nil
}

// collectIDs makes the content of a segment's ID files from the segment.
func (l *Log) collectIDs(s *segment, after tally) ([]byte, error) {
	f, err := s.acquire(l)
	if err != nil {
		return nil, err
	}
	defer s.release(l)
	b := make([]byte, idsHeader, idsHeader+int(sideLimit(l.o)/4))
	w := s.walk(l, f, headerSize(l.o.Partitions), s.end.Load())
	for {
		h, err := w.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		ids, source, err := w.side(&h)
		if err != nil {
			return nil, err
		}
		if h.ids == 0 && h.source == 0 {
			continue
		}
		b = le.AppendUint64(b, uint64(h.appended))
		b = le.AppendUint32(b, uint32(h.ids))
		b = le.AppendUint32(b, uint32(h.source))
		b = append(append(b, ids...), source...)
	}
	head := idHeader{
		incarnation: l.id, segment: s.header.number, begin: s.header.begin.bounds(), after: after.bounds(), appended: after.appended,
		length: int64(len(b) - idsHeader), sum: checksum(b[idsHeader:]),
	}
	head.encode(b)
	return b, nil
}

// IDs calls f for each entry that has IDs or a source, in order, from the ordinal `from` on: with the ordinal of the first of
// the IDs given, the append time, the IDs and the source. An entry that lies across `from` is given from there on, with its
// source; one without IDs counts as lying at the next ID's ordinal, so what lies at `from` itself may come twice to
// somebody who goes on from where a former walk ended. The slices are f's until it returns. An error of f ends the walk and is
// returned. Entries that are appended during the walk may be left out.
//
// ErrGone says that ordinals from `from` on were given up by SetIDFloor: Stats.FirstID is the first that is there. IDsLostError
// says that they should be there.
func (l *Log) IDs(from uint64, f func(first uint64, appended int64, ids, source []byte) error) error {
	l.mu.RLock()
	if l.closed {
		l.mu.RUnlock()
		return ErrClosed
	}
	number, last := l.manifest.firstIDs, l.segments[len(l.segments)-1].header.number
	gone := from < l.firstID()
	l.mu.RUnlock()
	if gone {
		return ErrGone
	}
	var buf []byte
	for ; number <= last; number++ {
		l.mu.RLock()
		begin, after := l.bounds(number)
		l.mu.RUnlock()
		if after.id < from {
			continue
		}
		data, err := l.idsOf(number, begin, after, buf)
		if err != nil {
			return err
		}
		if buf = data; data == nil {
			continue
		}
		if err := eachID(data, begin.id, from, f); err != nil {
			return err
		}
	}
	return nil
}

// eachID goes through the content of an ID file.
func eachID(data []byte, first, from uint64, f func(uint64, int64, []byte, []byte) error) error {
	for len(data) >= sideFixed {
		appended, n, m := int64(le.Uint64(data)), int(le.Uint32(data[8:])), int(le.Uint32(data[12:]))
		if len(data) < sideFixed+IDBytes*n+m {
			return damage("an ID file contradicts itself") // cannot be: its checksum matched
		}
		ids, source := data[sideFixed:sideFixed+IDBytes*n], data[sideFixed+IDBytes*n:sideFixed+IDBytes*n+m]
		data = data[sideFixed+IDBytes*n+m:]
		at := first
		first += uint64(n)
		if first < from || (n > 0 && first == from) {
			continue
		}
		if at < from {
			ids, at = ids[IDBytes*(from-at):], from
		}
		if err := f(at, appended, ids, source); err != nil {
			return err
		}
	}
	return nil
}

// bounds of a segment, which may be gone. Called with mu held.
func (l *Log) bounds(n uint64) (begin, after idBounds) {
	start := func(n uint64) idBounds {
		for ; ; n++ {
			if s := l.byNumber(n); s != nil {
				return s.header.begin.bounds()
			}
			if f := l.ids[n]; f != nil && f.known {
				return f.begin
			}
			if n >= l.segments[0].header.number {
				return l.at.bounds()
			}
		}
	}
	begin, after = start(n), start(n+1)
	if l.byNumber(n) == nil {
		// The file before may know better where a damaged one begins.
		if f := l.ids[n-1]; f != nil && f.known {
			begin = f.after
		} else if f := l.ids[n]; n == l.manifest.firstIDs && (f == nil || !f.known) {
			begin = idBounds{seq: min(l.manifest.seqFloor, after.seq), id: min(l.manifest.idFloor, after.id)}
		}
	}
	return begin, after
}

// idsOf returns the content of the segment's ID files, from wherever it is whole. It is nil if it is lost and that is accepted.
func (l *Log) idsOf(n uint64, begin, after idBounds, buf []byte) ([]byte, error) {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	lost := &IDsLostError{From: begin.id, To: after.id}
	l.mu.RLock()
	s, file := l.byNumber(n), l.ids[n]
	var end tally
	if s != nil {
		end = l.tallyAfter(int(n - l.segments[0].header.number)).clone()
	}
	l.mu.RUnlock()
	if s == nil || s.sealed.Load() {
		for c := range 2 {
			_, data, err := l.readIDs(n, c, buf, true)
			if err == nil {
				if file != nil && file.bad[1-c] {
					l.rewriteIDs(n, c, 1-c)
				}
				return data, nil
			}
			lost.Files[c], lost.Reasons[c] = l.path(idName(n, c)), err
			if file != nil {
				file.bad[c] = true
			}
			l.o.Logger.Warn("an ID file cannot be used", zap.Error(err))
		}
	}
	switch {
	case s != nil && s.sealed.Load():
		s.sealed.Store(false) // and so they are written anew
		if err := l.sealSegment(s, end); err != nil {
			l.o.Logger.Warn("damaged ID files could not be written anew", zap.Error(err))
		}
		fallthrough
	case s != nil:
		data, err := l.collectIDs(s, end)
		if err != nil {
			return nil, err
		}
		return data[idsHeader:], nil
	case l.o.AcceptLostIDs:
		l.o.Logger.Warn("going on without event IDs", zap.Error(lost))
		return nil, nil
	}
	return nil, lost
}

// rewriteIDs copies a whole ID file over its damaged twin. Called with sealing held.
func (l *Log) rewriteIDs(n uint64, from, to int) {
	h, data, err := l.readIDs(n, from, nil, true)
	if err == nil {
		b := make([]byte, idsHeader+len(data))
		h.encode(b)
		copy(b[idsHeader:], data)
		if err = l.writeIDs(idName(n, to), b); err == nil {
			err = l.fs.syncDir()
		}
	}
	if err != nil {
		l.o.Logger.Warn("a damaged ID file could not be written anew", zap.Error(err))
		return
	}
	l.mu.Lock()
	if f := l.ids[n]; f != nil {
		f.bad[to] = false
	}
	l.mu.Unlock()
}
