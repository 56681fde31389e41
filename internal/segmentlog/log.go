// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// Log is a log. Any goroutine may call any of its methods.
type Log struct {
	o      Options
	dir    string
	fs     fileSystem
	unlock io.Closer
	id     uuid.UUID
	codec  codec

	// mu guards what readers see. It is never held over a write or a sync.
	mu       sync.RWMutex
	segments []*segment // in order; the last is being written
	at       tally      // after the last synced entry
	changed  []chan struct{}
	ids      map[uint64]*idFile // ID files that are there, by segment
	manifest manifest
	failed   error // set once by the writer
	closed   bool

	// removing is held by Remove and SetIDFloor, which change the manifest. It comes before sealing.
	removing     sync.Mutex
	manifestFile *slots

	// sealing is held by whoever writes or reads ID files. It comes before mu.
	sealing sync.Mutex
	reserve file
	short   bool // the reserve was given up for an ID file; guarded by sealing

	w    writer // the writer goroutine's alone, and Open's before it
	mark struct {
		sync.Mutex // guards what is here
		slots
		dirty bool
		buf   [32]byte
	}

	queue struct {
		sync.Mutex // guards what is here
		wake       *sync.Cond
		waiting    []*pending
		closing    bool
	}
	loaded   sync.Mutex // guards what is below
	useCount uint64
	openSegs map[*segment]struct{} // segments whose file is open

	stop    chan struct{} // closed by Close
	seal    chan struct{} // tells the sealer of a full segment; holds one
	workers sync.WaitGroup
	writing sync.WaitGroup
}

// Partitions is their number.
func (l *Log) Partitions() int { return l.o.Partitions }

// ID is the incarnation: random, made at the log's creation, in every segment.
func (l *Log) ID() uuid.UUID { return l.id }

// First is the oldest position of the partition that is still there. It is Next if there is none.
func (l *Log) First(p uint32) uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.segments[0].header.begin.next[p]
}

// Next is the position after the partition's last synced one.
func (l *Log) Next(p uint32) uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.at.next[p]
}

// Changed returns a channel that is closed when Next moves on from what it is now, and when the log is closed. To wait:
// take the channel, look at Next, wait for the channel.
func (l *Log) Changed(p uint32) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed[p] == nil {
		l.changed[p] = make(chan struct{})
		if l.closed {
			close(l.changed[p])
		}
	}
	return l.changed[p]
}

// Stats of the log.
func (l *Log) Stats() Stats {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := Stats{
		Bytes: l.bytes(), Segments: len(l.segments), NextID: l.at.id, NextSeq: l.at.seq, FirstID: l.firstID(),
		Failed: l.failed != nil, LastAppended: l.at.appended,
	}
	for i, seg := range l.segments {
		s.SegmentBytes += seg.end.Load() - headerSize(l.o.Partitions)
		if i < len(l.segments)-1 && !seg.sealed.Load() {
			s.Unsealed++
		}
	}
	if first := l.segments[0].header.begin; first.seq < l.at.seq {
		s.OldestAppended = first.appended
	}
	return s
}

// bytes on disk. Called with mu held.
func (l *Log) bytes() int64 {
	n := l.bounded()
	for _, f := range l.ids {
		n += f.bytes
	}
	return n
}

// bounded is what MaxBytes counts: all but ID files. Those outlive their segments, and only their floor lets them go: if
// they counted, a log could be full of IDs that nothing removes. Called with mu held.
func (l *Log) bounded() int64 {
	n := reserveBytes(l.o) + 2*slotsLength
	for _, s := range l.segments {
		n += s.size.Load()
	}
	return n
}

// firstID is the oldest ordinal that IDs can give. Called with mu held.
func (l *Log) firstID() uint64 {
	begin, _ := l.bounds(l.manifest.firstIDs)
	return begin.id
}

// find returns the segment that holds the position, and the position after its last one. Called with mu held, for a
// position that is there.
func (l *Log) find(p uint32, position uint64) (s *segment, next uint64) {
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].header.begin.next[p] > position }) - 1
	if i == len(l.segments)-1 {
		return l.segments[i], l.at.next[p]
	}
	return l.segments[i], l.segments[i+1].header.begin.next[p]
}

// tallyAfter a segment, by its place in the list. Called with mu held.
func (l *Log) tallyAfter(i int) tally {
	if i == len(l.segments)-1 {
		return l.at
	}
	return l.segments[i+1].header.begin
}

// byNumber returns a segment that is there, or nil. Called with mu held.
func (l *Log) byNumber(n uint64) *segment {
	first := l.segments[0].header.number
	if n < first || n-first >= uint64(len(l.segments)) {
		return nil
	}
	return l.segments[n-first]
}

// Close finishes what is queued, and closes the log. It returns what the log failed by, if it did.
func (l *Log) Close() error {
	l.queue.Lock()
	if l.queue.closing {
		l.queue.Unlock()
		return ErrClosed
	}
	l.queue.closing = true
	l.queue.wake.Broadcast()
	l.queue.Unlock()
	l.writing.Wait()
	close(l.stop)
	l.workers.Wait()

	l.removing.Lock()
	defer l.removing.Unlock()
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	l.closed = true
	err := l.failed
	for p, c := range l.changed {
		if c != nil {
			close(c)
		}
		l.changed[p] = nil
	}
	l.mu.Unlock()
	l.mark.Lock()
	defer l.mark.Unlock()
	if l.mark.dirty && err == nil {
		err = l.mark.file.sync()
	}
	return errors.Join(err, l.closeFiles())
}

// closeFiles gives back all that Open took.
func (l *Log) closeFiles() error {
	var errs []error
	for _, s := range l.segments {
		errs = append(errs, s.discard(l))
	}
	for _, f := range []file{l.mark.file, l.reserve} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if l.manifestFile != nil {
		errs = append(errs, l.manifestFile.file.Close())
	}
	return errors.Join(append(errs, l.unlock.Close())...)
}

// work keeps the mark synced and full segments sealed, until Close.
func (l *Log) work() {
	defer l.workers.Done()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.seal:
			if err := l.sealAll(); err != nil {
				// It is tried again when the next segment is full, and by Remove. Until then the IDs are in the segment.
				l.o.Logger.Warn("the IDs of a full segment could not be written to files of their own", zap.Error(err))
			}
		case <-ticker.C:
			if err := l.syncMark(); err != nil {
				l.o.Logger.Warn("the mark could not be synced", zap.Error(err))
			}
		}
	}
}

// syncMark bounds how old the mark is after a loss of power. Nobody waits for it: an old mark is right, and says less.
func (l *Log) syncMark() error {
	l.mark.Lock()
	f, dirty := l.mark.file, l.mark.dirty
	l.mark.dirty = false
	l.mark.Unlock()
	if !dirty {
		return nil
	}
	return f.sync()
}

// setMark is called by the writer when all before is synced.
func (l *Log) setMark(m mark) error {
	l.mark.Lock()
	defer l.mark.Unlock()
	l.mark.dirty = true
	if err := l.mark.write(m.encode(l.mark.buf[:])); err != nil {
		return fmt.Errorf("writing the mark: %w", err)
	}
	return nil
}
