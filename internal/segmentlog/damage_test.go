// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// image of a directory that tests damage.
type image struct {
	t  *testing.T
	fs *memFS
	o  Options
}

// newImage appends the entries one by one and closes the log.
func newImage(t *testing.T, entries int) *image {
	t.Helper()
	im := &image{t: t, fs: newMemFS(), o: Options{Partitions: 2, SegmentBytes: 64 << 10, Compression: None}}
	l := im.open()
	for i := range entries {
		add(t, l, &Entry{IDs: ids(uint64(i), 2), Source: []byte("source"), Chunks: []Chunk{
			{Partition: 0, Records: 2, EventTime: int64(i), Data: data(i, 99)}, {Partition: 1, Records: 1, Kind: Tick},
		}})
	}
	require.NoError(t, l.Close())
	return im
}

func (im *image) open() *Log {
	im.t.Helper()
	im.o.fs = im.fs
	l, err := Open("log", im.o)
	require.NoError(im.t, err)
	return l
}

// try opens a copy of the directory that `change` has changed.
func (im *image) try(change func(files map[string]*inode)) error {
	c := im.fs.copy()
	change(c.names)
	before := c.copy()
	o := im.o
	o.fs = c
	l, err := Open("log", o)
	if err == nil {
		return l.Close()
	}
	after := c.copy()
	require.Len(im.t, after.names, len(before.names))
	for name, n := range before.names {
		require.Equal(im.t, n.data, after.names[name].data, "%s was changed", name)
	}
	return err
}

const first = "0000000000000001.segment"

func TestAFlippedBitInWhatWasAcknowledgedIsAnError(t *testing.T) {
	im := newImage(t, 4)
	end := decodeMark(im.fs.names[markName].data[slotStride*0+slotFixed:]).end
	if e := decodeMark(im.fs.names[markName].data[slotStride+slotFixed:]).end; e > end {
		end = e
	}
	for off := headerSize(2); off < end; off++ {
		err := im.try(func(files map[string]*inode) { files[first].data[off] ^= 1 << (off % 8) })
		var corrupt *CorruptError
		require.ErrorAs(t, err, &corrupt, "byte %d", off)
		require.Equal(t, "log/"+first, corrupt.File)
		require.LessOrEqual(t, corrupt.Offset, off)
	}
	for off := int64(0); off < headerSize(2); off += 1 + off/32 {
		require.Error(t, im.try(func(files map[string]*inode) { files[first].data[off] ^= 1 }), "byte %d of the header", off)
	}
	for off := headerSize(2) - 8; off < end; off++ {
		err := im.try(func(files map[string]*inode) { files[first].data = files[first].data[:off] })
		var corrupt *CorruptError
		require.ErrorAs(t, err, &corrupt, "cut off at %d", off)
	}
	require.NoError(t, im.try(func(files map[string]*inode) { files[first].data = files[first].data[:end] }))
}

func TestDamageIsFoundByALaterEntryIfTheMarkIsOld(t *testing.T) {
	im := newImage(t, 4)
	ends := []int64{headerSize(2)}
	l := im.open()
	w := l.segments[0].walk(l, l.w.file, headerSize(2), l.w.off)
	for range 4 {
		_, err := w.next()
		require.NoError(t, err)
		ends = append(ends, w.off)
	}
	require.NoError(t, l.Close())
	// A loss of power leaves a mark from before the first entry, and sectors of the last group.
	old := func(files map[string]*inode) {
		for i := range int64(2) {
			s := slots{file: &memFile{newMemFS(), files[markName], markName}, magic: markMagic, id: l.id, counter: uint64(i)}
			require.NoError(t, s.write(mark{segment: 1, end: headerSize(2), seq: 1}.encode(nil)))
		}
	}
	require.NoError(t, im.try(old))
	for off := ends[0]; off < ends[4]; off++ {
		err := im.try(func(files map[string]*inode) {
			old(files)
			files[first].data[off] ^= 0x10
		})
		if off >= ends[3] {
			require.NoError(t, err, "the last group may have been torn") // and so it is cut off
			continue
		}
		var corrupt *CorruptError
		require.ErrorAs(t, err, &corrupt, "byte %d", off)
	}
}

func TestATornEndIsCutOffAndWrittenOver(t *testing.T) {
	im := newImage(t, 3)
	l := im.open()
	end := l.w.off
	require.NoError(t, l.Close())
	whole := newImage(t, 4)
	whole.fs.names[first].data = slices.Clone(whole.fs.names[first].data)
	// The fourth entry of another image would be whole but for its incarnation: any part of it is no entry here.
	copy(im.fs.names[first].data[end:], whole.fs.names[first].data[end:])
	l = im.open()
	require.EqualValues(t, 4, l.Stats().NextSeq)
	for _, b := range im.fs.names[first].data[end:] {
		require.Zero(t, b)
	}
	require.EqualValues(t, 4, add(t, l, &Entry{Source: []byte("x")}).Seq)
	require.NoError(t, l.Close())
	l = im.open()
	require.EqualValues(t, 5, l.Stats().NextSeq)
	require.NoError(t, l.Close())
}

func TestDamageInAFullSegmentIsFoundWhenItIsRead(t *testing.T) {
	im := newImage(t, 500)
	l := im.open()
	require.Greater(t, l.Stats().Segments, 2)
	require.NoError(t, l.Verify(t.Context()))
	im.fs.names[first].data[headerSize(2)+entryFixed+2*chunkFixed+2*IDBytes+20] ^= 1
	require.Error(t, l.Verify(t.Context()))
	require.NoError(t, l.Scan(0, 0, func(i Info) bool {
		_, err := l.Read(i, nil)
		var corrupt *CorruptError
		require.ErrorAs(t, err, &corrupt)
		return false
	}))
	im.fs.names[first].data[headerSize(2)+20] ^= 1
	l.segments[0].index = nil
	var corrupt *CorruptError
	require.ErrorAs(t, l.Scan(0, 0, func(Info) bool { return true }), &corrupt)
	require.Equal(t, headerSize(2), corrupt.Offset)
	require.NoError(t, l.Close())
}

func TestBadDirectoriesAreRefusedUntouched(t *testing.T) {
	im := newImage(t, 500)
	second := segmentName(2)
	f := func(target any, words string, change func(files map[string]*inode)) {
		t.Helper()
		err := im.try(change)
		require.ErrorAs(t, err, target)
		require.ErrorContains(t, err, words)
		require.NotContains(t, err.Error(), "\n")
	}
	last := segmentName(uint64(len(im.segments())))
	var missing *MissingError
	f(&missing, second+" is missing", func(files map[string]*inode) { delete(files, second) })
	f(&missing, first+" is missing", func(files map[string]*inode) { delete(files, first) })
	f(&missing, last+" is missing", func(files map[string]*inode) { delete(files, last) })
	f(&missing, "manifest is missing", func(files map[string]*inode) { delete(files, manifestName) })
	f(&missing, "is missing", func(files map[string]*inode) {
		delete(files, last)
		delete(files, segmentName(uint64(len(im.segments())-1)))
	})
	var foreign *ForeignError
	f(&foreign, "notes.txt does not belong", func(files map[string]*inode) { files["notes.txt"] = &inode{} })
	f(&foreign, "1.segment does not belong", func(files map[string]*inode) { files["1.segment"] = &inode{} })
	f(&foreign, "it is of the log", func(files map[string]*inode) { files[second] = newImage(t, 500).fs.names[second] })
	f(&foreign, "it is of the log", func(files map[string]*inode) { files[markName] = newImage(t, 500).fs.names[markName] })
	f(&foreign, "segment 1 by its header", func(files map[string]*inode) { files[second].data = files[first].data })
	f(&foreign, "does not begin as a segment", func(files map[string]*inode) { copy(files[second].data, "PK") })
	var version *VersionError
	f(&version, "has format version 2", func(files map[string]*inode) {
		b := files[second].data
		le.PutUint32(b[8:], 2)
		le.PutUint32(b[16:], 0)
		le.PutUint32(b[16:], checksum(b[:headerSize(2)]))
	})
	f(&version, "mark has format version 3", func(files map[string]*inode) {
		for _, b := range [][]byte{files[markName].data[:512], files[markName].data[slotStride : slotStride+512]} {
			le.PutUint32(b[8:], 3)
			le.PutUint32(b[12:], 0)
			le.PutUint32(b[12:], checksum(b))
		}
	})
	var lost *MarkError
	f(&lost, "it is missing", func(files map[string]*inode) { delete(files, markName) })
	f(&lost, "neither of its two copies", func(files map[string]*inode) { files[markName].data[0]++; files[markName].data[slotStride]++ })
	f(&lost, "neither of its two copies", func(files map[string]*inode) { files[markName].data = nil })
	var corrupt *CorruptError
	f(&corrupt, "the file is cut off", func(files map[string]*inode) { files[second].data = files[second].data[:20000] })
	f(&corrupt, "manifest is damaged", func(files map[string]*inode) { clear(files[manifestName].data) })
	im.o.Partitions = 3
	var partitions *PartitionsError
	f(&partitions, "has 2 partitions and not 3", func(map[string]*inode) {})
	im.o.Partitions = 2
	for _, ok := range []func(files map[string]*inode){
		func(files map[string]*inode) { files[markName].data[50]++ },
		func(files map[string]*inode) { files[manifestName].data[slotStride+50]++ },
		func(files map[string]*inode) { files[".hidden"] = &inode{} },
		func(files map[string]*inode) { delete(files, reserveName) },
		func(files map[string]*inode) { delete(files, idName(1, 0)) },
	} {
		require.NoError(t, im.try(ok))
	}
	im.o.AcceptLostMark = true
	require.NoError(t, im.try(func(files map[string]*inode) { delete(files, markName) }))
	require.NoError(t, im.try(func(files map[string]*inode) { clear(files[markName].data) }))
}

func (im *image) segments() (names []string) {
	for name := range im.fs.names {
		if strings.HasSuffix(name, ".segment") {
			names = append(names, name)
		}
	}
	return names
}

func TestOneDirectoryIsForOneLog(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	_, err := Open(dir, Options{Partitions: 4})
	var locked *LockedError
	require.ErrorAs(t, err, &locked)
	require.NoError(t, l.Close())
	l = open(t, dir, Options{})
	require.NoError(t, l.Close())
}

func TestAReadOnlyDirectoryIsRefused(t *testing.T) {
	for _, errno := range []error{syscall.EROFS, syscall.EACCES} {
		m := newMemFS()
		m.before = func(string, string) error { return errno }
		_, err := Open("log", Options{Partitions: 1, fs: m})
		var readOnly *ReadOnlyError
		require.ErrorAs(t, err, &readOnly)
	}
}

func TestACreationThatCrashedIsBegunAnew(t *testing.T) {
	for left := 0; ; left++ {
		m, n := newMemFS(), left
		m.before = func(string, string) error {
			if n--; n < 0 {
				return errCrash
			}
			return nil
		}
		l, err := Open("log", Options{Partitions: 2, SegmentBytes: 64 << 10, fs: m})
		if err == nil {
			_ = l.Close()
			break
		}
		l, err = Open("log", Options{Partitions: 2, SegmentBytes: 64 << 10, fs: m.afterKill()})
		require.NoError(t, err, "after %d operations", left)
		add(t, l, &Entry{Source: []byte("x")})
		require.NoError(t, l.Close())
	}
}

// A process may end between the naming of a segment and the sync of the directory. The next one finds the name in memory, and
// must not acknowledge anything in a file that a loss of power would take.
func TestANameThatWasNotSyncedIsSyncedBeforeItIsUsed(t *testing.T) {
	for seed := range uint64(10) {
		im := newImage(t, 1)
		l := im.open()
		im.fs.before = func(op, _ string) error {
			if op == "syncdir" && im.fs.names[segmentName(2)] != nil {
				return errCrash
			}
			return nil
		}
		for err := error(nil); err == nil; {
			_, err = l.Append(t.Context(), &Entry{Chunks: []Chunk{{Records: 1, Data: data(1, 9000)}}})
		}
		_ = l.Close()
		im.fs = im.fs.afterKill()
		im.fs.before = func(op, name string) error {
			if op == "create" && strings.Contains(name, ".ids.") {
				return syscall.EIO // the sealer, too, syncs the directory
			}
			return nil
		}
		l = im.open()
		next := add(t, l, &Entry{Chunks: []Chunk{{Records: 1, Data: data(1, 9000)}}}).First[0] + 1
		im.fs = im.fs.afterPowerLoss(rand.New(rand.NewPCG(seed, 0)))
		_ = l.Close()
		l = im.open()
		require.Equal(t, next, l.Next(0))
		require.NoError(t, l.Close())
	}
}

func TestDamagedIDFilesAreMendedOrTold(t *testing.T) {
	logs, seen := observer.New(zap.WarnLevel)
	f := func(gone bool, accept bool, damage ...int) error {
		t.Helper()
		im := newImage(t, 500)
		im.o.Logger, im.o.AcceptLostIDs = zap.New(logs), accept
		l := im.open()
		if gone {
			_, err := l.Remove(func(s SegmentInfo) bool { return s.Number > 2 })
			require.NoError(t, err)
		}
		require.NoError(t, l.sealAll())
		require.NoError(t, l.Close())
		for _, c := range damage {
			im.fs.names[idName(2, c)].data[idsHeader+7] ^= 1
		}
		l = im.open()
		defer func() { require.NoError(t, l.Close()) }()
		var all []byte
		err := l.IDs(0, func(_ uint64, _ int64, ids, _ []byte) error { all = append(all, ids...); return nil })
		if err != nil {
			return err
		}
		if !accept {
			require.Len(t, all, 1000*IDBytes)
			if len(damage) > 0 && damage[0] == 0 {
				require.NoError(t, l.verifyIDs(2), "the damaged file was written anew")
			}
		}
		return nil
	}
	require.NoError(t, f(false, false))
	require.NoError(t, f(false, false, 0))
	require.NoError(t, f(false, false, 0, 1))
	require.NoError(t, f(true, false, 0))
	require.NoError(t, f(true, false, 1))
	var lost *IDsLostError
	require.ErrorAs(t, f(true, false, 0, 1), &lost)
	require.Positive(t, lost.To-lost.From)
	require.NoError(t, f(true, true, 0, 1))
	require.NotZero(t, seen.Len())
}

func TestIDFilesAreCheckedBeforeTheirSegmentGoes(t *testing.T) {
	im := newImage(t, 500)
	l := im.open()
	require.NoError(t, l.sealAll())
	im.fs.names[idName(1, 0)].data[idsHeader+7] ^= 1
	im.fs.names[idName(1, 1)].data = nil
	removed, err := l.Remove(func(s SegmentInfo) bool { return s.Number > 1 })
	require.NoError(t, err)
	require.Len(t, removed, 1)
	require.NoError(t, l.verifyIDs(1))
	// And a segment that cannot give them stays.
	im.fs.names[idName(2, 1)].data = nil
	im.fs.names[segmentName(2)].data[headerSize(2)+entryFixed+2*chunkFixed] ^= 1
	removed, err = l.Remove(func(SegmentInfo) bool { return false })
	var corrupt *CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.Empty(t, removed)
	require.NotNil(t, im.fs.names[segmentName(2)])
	require.NoError(t, l.Close())
}

func TestAFailedSyncEndsAppendingAndShowsNothing(t *testing.T) {
	for _, op := range []string{"sync", "write"} {
		im := newImage(t, 3)
		l := im.open()
		im.fs.before = func(o, name string) error {
			if o == op && strings.HasSuffix(name, ".segment") {
				return syscall.EIO
			}
			return nil
		}
		for range 2 {
			_, err := l.Append(t.Context(), &Entry{IDs: ids(9, 1), Chunks: []Chunk{{Records: 1, Kind: Tick}}})
			var failed *FailedError
			require.ErrorAs(t, err, &failed)
			require.ErrorIs(t, err, syscall.EIO)
		}
		require.True(t, l.Stats().Failed)
		require.EqualValues(t, 6, l.Next(0))
		require.Len(t, readAll(t, l, 0, 0), 3)
		all, _ := readIDs(t, l, 0)
		require.Len(t, all, 6*IDBytes)
		require.ErrorIs(t, l.Close(), syscall.EIO)
		im.fs.before = nil
		l = im.open()
		require.EqualValues(t, 4, l.Stats().NextSeq, "the group was cut off")
		add(t, l, &Entry{Source: []byte("x")})
		require.NoError(t, l.Close())
	}
}

func TestAFullDiskIsBackpressure(t *testing.T) {
	im := newImage(t, 1)
	im.fs.space = 400 << 10
	l := im.open()
	e := &Entry{IDs: ids(0, 50), Chunks: []Chunk{{Records: 1, Data: data(1, 5000)}}}
	fill := func() (n int) {
		for {
			if _, err := l.Append(t.Context(), e); errors.Is(err, ErrFull) {
				return n
			} else if err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	require.Greater(t, fill(), 10)
	// Somebody else takes what is left of the disk, while a segment has no ID files yet: the reserve is for them.
	im.fs.mu.Lock()
	im.fs.names["other"] = &inode{data: make([]byte, im.fs.space-im.fs.used())}
	im.fs.mu.Unlock()
	require.Zero(t, fill())
	n := l.Stats().Segments
	require.Greater(t, n, 2)
	removed, err := l.Remove(func(s SegmentInfo) bool { return s.Number == uint64(n) })
	require.NoError(t, err)
	require.Len(t, removed, n-1)
	im.fs.mu.Lock()
	delete(im.fs.names, "other")
	im.fs.mu.Unlock()
	require.Positive(t, fill())
	require.NoError(t, l.Close())
}

func TestADiskThatFillsInTheMiddleOfAWriteIsBackpressure(t *testing.T) {
	im := newImage(t, 3)
	l := im.open()
	full := true
	im.fs.before = func(op, name string) error {
		if full && op == "write" && name == first {
			return syscall.ENOSPC
		}
		return nil
	}
	e := &Entry{Chunks: []Chunk{{Records: 1, Kind: Tick}}}
	_, err := l.Append(t.Context(), e)
	require.ErrorIs(t, err, ErrFull)
	im.fs.mu.Lock()
	full = false
	im.fs.mu.Unlock()
	require.EqualValues(t, 4, add(t, l, e).Seq)
	require.NoError(t, l.Close())
}

func TestMinFreeBytesAreLeftFree(t *testing.T) {
	im := newImage(t, 1)
	im.fs.space = 1 << 20
	im.o.MinFreeBytes = 500 << 10
	l := im.open()
	for {
		if _, err := l.Append(t.Context(), &Entry{Chunks: []Chunk{{Records: 1, Data: data(1, 5000)}}}); err != nil {
			require.ErrorIs(t, err, ErrFull)
			break
		}
	}
	free, _ := im.fs.free()
	require.GreaterOrEqual(t, free, im.o.MinFreeBytes)
	require.Less(t, free, im.o.MinFreeBytes+100<<10)
	require.NoError(t, l.Close())
}
