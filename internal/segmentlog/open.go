// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

const (
	lockName     = "lock"
	manifestName = "manifest"
	markName     = "mark"

	defaultSegmentBytes = 128 << 20
	maxSegmentBytes     = 2 << 30 // offsets in the index are 32 bits
	minSegmentBytes     = 64 << 10
)

// Open opens the log in the directory, and creates it if the directory is empty or absent. doc.go says what it checks.
func Open(dir string, o Options) (*Log, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	l := &Log{o: o, dir: dir, fs: o.fs, codec: newCodec(), ids: map[uint64]*idFile{}, openSegs: map[*segment]struct{}{}}
	if l.fs == nil {
		l.fs = osFS{dir}
	}
	err := l.open()
	switch {
	case isReadOnly(err):
		return nil, &ReadOnlyError{Dir: dir, Err: err}
	case isFull(err):
		return nil, fmt.Errorf("opening %s: %w: %w", dir, ErrFull, err)
	case err != nil:
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return l, nil
}

func (o *Options) complete() error {
	if o.Partitions < 1 || o.Partitions > MaxPartitions {
		return fmt.Errorf("partitions is %d: it must be 1 to %d", o.Partitions, MaxPartitions)
	}
	if o.Compression > None {
		return fmt.Errorf("compression %d is unknown", o.Compression)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.MaxBytes > 0 {
		o.SegmentBytes = min(o.SegmentBytes, o.MaxBytes/4)
	}
	o.SegmentBytes = roundUp(min(max(o.SegmentBytes, minSegmentBytes), maxSegmentBytes-segmentAlignment), segmentAlignment)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.newID == nil {
		o.newID = uuid.NewRandom
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return nil
}

func (l *Log) path(name string) string { return filepath.Join(l.dir, name) }

func (l *Log) removeIfThere(name string) error {
	if err := l.fs.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (l *Log) open() (err error) {
	if err := l.fs.mkdir(); err != nil {
		return err
	}
	l.unlock, err = l.fs.lock(lockName)
	if errors.Is(err, errLocked) {
		return &LockedError{Dir: l.dir}
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.closeFiles())
		}
	}()
	d, err := l.look()
	if err != nil {
		return err
	}
	if !d.manifest {
		if err := l.create(d); err != nil {
			return err
		}
		if d, err = l.look(); err != nil {
			return err
		}
	}
	if err := l.readManifest(); err != nil {
		return err
	}
	if err := l.readSegments(d); err != nil {
		return err
	}
	if err := l.recover(); err != nil {
		return err
	}
	// Nothing in the directory was changed before all of it was found good.
	if err := l.tidy(d); err != nil {
		return err
	}
	l.changed = make([]chan struct{}, l.o.Partitions)
	l.stop, l.seal = make(chan struct{}), make(chan struct{}, 1)
	l.seal <- struct{}{}
	l.queue.wake = sync.NewCond(&l.queue)
	l.writing.Add(1)
	l.workers.Add(1)
	go l.write()
	go l.work()
	return nil
}

// listing is what lies in the directory.
type listing struct {
	segments       map[uint64]int64 // sizes
	ids            map[uint64][2]bool
	temporary      []string
	manifest, mark bool
}

func (l *Log) look() (*listing, error) {
	entries, err := l.fs.list()
	if err != nil {
		return nil, err
	}
	d := &listing{segments: map[uint64]int64{}, ids: map[uint64][2]bool{}}
	for _, e := range entries {
		var n uint64
		var c int
		name := e.name
		switch {
		case e.dir, strings.HasPrefix(name, "."), name == lockName, name == reserveName:
		case name == manifestName:
			d.manifest = true
		case name == markName:
			d.mark = true
		case scans(name, "%016d.segment", &n):
			d.segments[n] = e.size
		case scans(name, "%016d.ids.%d", &n, &c) && c >= 0 && c < 2:
			both := d.ids[n]
			both[c] = true
			d.ids[n] = both
		case strings.HasSuffix(name, temporary) && ours(strings.TrimSuffix(name, temporary)):
			d.temporary = append(d.temporary, name)
		default:
			return nil, &ForeignError{File: l.path(name), Reason: "no file of a log has such a name"}
		}
	}
	return d, nil
}

// scans says whether the name is exactly of the format.
func scans(name, format string, a ...any) bool {
	if n, err := fmt.Sscanf(name, format, a...); err != nil || n != len(a) {
		return false
	}
	values := make([]any, len(a))
	for i, p := range a {
		switch p := p.(type) {
		case *uint64:
			values[i] = *p
		case *int:
			values[i] = *p
		}
	}
	return fmt.Sprintf(format, values...) == name
}

func ours(name string) bool {
	var n uint64
	var c int
	return name == manifestName || name == markName || scans(name, "%016d.segment", &n) || scans(name, "%016d.ids.%d", &n, &c)
}

// create makes a new log. The manifest comes last: without one there was no log, and what lies there of an attempt that
// crashed is empty.
func (l *Log) create(d *listing) error {
	if err := l.checkUnborn(d); err != nil {
		return err
	}
	for _, name := range append(d.temporary, segmentName(1), markName) {
		if err := l.removeIfThere(name); err != nil {
			return err
		}
	}
	id, err := l.o.newID()
	if err != nil {
		return err
	}
	now := l.o.Now().UnixNano()
	h := &segmentHeader{
		incarnation: id, number: 1, created: now,
		begin: tally{seq: 1, appended: max(now, 0), next: make([]uint64, l.o.Partitions)},
	}
	_, f, err := l.createSegment(h, l.o.SegmentBytes)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	begin := mark{segment: 1, end: headerSize(l.o.Partitions), seq: 1}
	if err := l.createSlots(markName, markMagic, id, begin.encode(nil)); err != nil {
		return err
	}
	m := manifest{partitions: l.o.Partitions, created: now, firstSegment: 1, firstIDs: 1}
	return l.createSlots(manifestName, manifestMagic, id, m.encode())
}

// checkUnborn refuses to create a log where one was that lost its manifest.
func (l *Log) checkUnborn(d *listing) error {
	lost := &MissingError{File: l.path(manifestName)}
	if len(d.ids) > 0 || len(d.segments) > 1 {
		return lost
	}
	size, ok := d.segments[1]
	if !ok {
		if len(d.segments) > 0 {
			return lost
		}
		return nil
	}
	f, err := l.fs.open(segmentName(1))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, min(size, headerSize(MaxPartitions)+entryFixed))
	if err := readFull(f, b, 0); err != nil {
		return err
	}
	if len(b) < segmentFixed || int64(le.Uint32(b[12:]))+entryFixed > int64(len(b)) || le.Uint32(b[le.Uint32(b[12:]):]) != 0 {
		return lost
	}
	return nil
}

func (l *Log) createSlots(name, magic string, id uuid.UUID, value []byte) error {
	f, err := l.fs.create(name + temporary)
	if err != nil {
		return err
	}
	s := &slots{file: f, magic: magic, id: id}
	if err = f.allocate(slotsLength); err == nil {
		err = s.writeBoth(value)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := l.fs.rename(name+temporary, name); err != nil {
		return err
	}
	return l.fs.syncDir()
}

func (l *Log) readManifest() error {
	path := l.path(manifestName)
	f, err := l.fs.open(manifestName)
	if err != nil {
		return err
	}
	l.manifestFile = &slots{file: f, magic: manifestMagic}
	value, damaged, err := l.manifestFile.read(path)
	if errors.Is(err, errSlots) {
		return &CorruptError{File: path, Reason: err.Error()}
	}
	if err != nil {
		return err
	}
	if damaged {
		l.o.Logger.Warn("one of two copies in the manifest is damaged; the other is used", zap.String("file", path))
	}
	l.id, l.manifest = l.manifestFile.id, decodeManifest(value)
	if l.manifest.partitions != l.o.Partitions {
		return &PartitionsError{Dir: l.dir, Have: l.manifest.partitions, Want: l.o.Partitions}
	}
	return nil
}

// readSegments reads the headers of all segments and ID files, and checks that none is missing.
func (l *Log) readSegments(d *listing) error {
	var last uint64
	for n := range d.segments {
		last = max(last, n)
	}
	for n := range d.ids {
		last = max(last, n+1) // ID files are written when the next segment is there
	}
	last = max(last, l.manifest.firstSegment)
	for n := l.manifest.firstSegment; n <= last; n++ {
		size, ok := d.segments[n]
		if !ok {
			return &MissingError{File: l.path(segmentName(n))}
		}
		if err := l.readSegment(n, size); err != nil {
			return err
		}
	}
	for n := l.manifest.firstIDs; n < last; n++ {
		f := &idFile{}
		for c := range 2 {
			h, err := l.readIDHeader(n, c)
			var newer *VersionError
			if errors.As(err, &newer) {
				return err
			}
			if f.bad[c] = err != nil; err != nil {
				continue
			}
			f.known, f.begin, f.after = true, h.begin, h.after
			f.bytes += idsHeader + h.length
		}
		s := l.byNumber(n)
		if s != nil {
			after := l.tallyAfter(int(n - l.manifest.firstSegment)).bounds()
			if f.bad[0] || f.bad[1] || f.begin != s.header.begin.bounds() || f.after != after {
				continue // the sealer writes them anew
			}
			s.sealed.Store(true)
		} else if f.bad[0] || f.bad[1] {
			l.o.Logger.Warn("an ID file of a removed segment is missing or damaged", zap.Uint64("segment", n), zap.Bool("first", f.bad[0]), zap.Bool("second", f.bad[1]))
		}
		l.ids[n] = f
	}
	return nil
}

func (l *Log) readSegment(n uint64, size int64) error {
	f, err := l.fs.open(segmentName(n))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	path := l.path(segmentName(n))
	b := make([]byte, min(size, headerSize(MaxPartitions)))
	if err := readFull(f, b, 0); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	h, err := decodeSegmentHeader(b, path, l.o.Partitions)
	if err != nil {
		return err
	}
	if h.incarnation != l.id {
		return &ForeignError{File: path, Reason: fmt.Sprintf("it is of the log %s, and this is %s", h.incarnation, l.id)}
	}
	if h.number != n {
		return &ForeignError{File: path, Reason: fmt.Sprintf("it is segment %d by its header", h.number)}
	}
	s := newSegment(h)
	s.size.Store(size)
	if k := len(l.segments); k > 0 {
		before := l.segments[k-1]
		if before.size.Load() < h.prevEnd {
			return &CorruptError{File: l.path(before.name), Offset: before.size.Load(), Reason: fmt.Sprintf("the file is cut off; it had %d bytes of entries", h.prevEnd)}
		}
		before.end.Store(h.prevEnd)
		if slices.ContainsFunc(h.begin.pairs(before.header.begin), func(p [2]uint64) bool { return p[0] < p[1] }) {
			return &CorruptError{File: path, Reason: "it does not continue the segment before"}
		}
	}
	l.segments = append(l.segments, s)
	return nil
}

// pairs are what must not be less in the first than in the second.
func (t tally) pairs(before tally) [][2]uint64 {
	pairs := [][2]uint64{{t.seq, before.seq}, {t.id, before.id}, {uint64(t.appended), uint64(before.appended)}}
	for p := range t.next {
		pairs = append(pairs, [2]uint64{t.next[p], before.next[p]})
	}
	return pairs
}

// tidy finishes what a crash left half done.
func (l *Log) tidy(d *listing) error {
	old := d.temporary
	for n := range d.segments {
		if n < l.manifest.firstSegment {
			old = append(old, segmentName(n))
		}
	}
	for n := range d.ids {
		if n < l.manifest.firstIDs {
			old = append(old, idName(n, 0), idName(n, 1))
		}
	}
	for _, name := range old {
		if err := l.removeIfThere(name); err != nil {
			return err
		}
	}
	if len(old) > 0 {
		if err := l.fs.syncDir(); err != nil {
			return err
		}
	}
	for _, s := range l.segments[:len(l.segments)-1] {
		if err := l.trim(s); err != nil {
			return err
		}
	}
	return l.openReserve()
}

func (l *Log) openReserve() error {
	f, err := l.fs.open(reserveName)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = l.fs.create(reserveName)
	}
	if err != nil {
		return err
	}
	l.reserve, l.short = f, true
	size, err := f.size()
	if err != nil {
		return err
	}
	if size > reserveBytes(l.o) {
		if err := f.truncate(reserveBytes(l.o)); err != nil {
			return err
		}
	}
	if size >= reserveBytes(l.o) {
		l.short = false
		return nil
	}
	// A full disk is no reason not to open. The next segment waits for it.
	if err := l.refill(); err != nil && !isFull(err) {
		return err
	}
	return nil
}
