// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const syncedName = "SYNCED"

// The slots of the file.
const (
	noSlot       = -1
	slotWAL      = 0
	slotManifest = 1
	slotCount    = 2
	slotBytes    = 32
)

// synced remembers how far the newest WAL and the newest MANIFEST are synced. Pebble takes an invalid record at the
// end of either for a write that a crash cut off, and goes on without it: a flipped bit in what was acknowledged last
// would be lost without a word, and in the MANIFEST everything after it. With this file it is told apart.
//
// It is written after each sync and not synced itself, which costs about a microsecond: it survives kill -9, and after
// a power loss it may be older, which hides a flip in the last moments but never cries one that is none.
type synced struct {
	mu   sync.Mutex // guards f; any goroutine of Pebble
	f    vfs.File   // nil once closed
	slot [slotCount][slotBytes]byte
}

// syncedSlot tells a WAL (000012.log) and a MANIFEST (MANIFEST-000012) by its name.
func syncedSlot(base string) (slot int, number uint64) {
	slot, digits := noSlot, ""
	if d, ok := strings.CutSuffix(base, ".log"); ok {
		slot, digits = slotWAL, d
	} else if d, ok := strings.CutPrefix(base, "MANIFEST-"); ok {
		slot, digits = slotManifest, d
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return noSlot, 0
	}
	return slot, number
}

func openSynced(fsys vfs.FS, path string) (*synced, error) {
	f, err := fsys.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	s := &synced{f: f}
	info, err := f.Stat()
	if err == nil && info.Size() < slotCount*slotBytes {
		// All bytes are there from the beginning, so that no later write needs space.
		if _, err = f.WriteAt(make([]byte, slotCount*slotBytes), 0); err == nil {
			err = f.Sync()
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

// record notes that so many bytes of a file are synced. An error leaves an older note, which is safe.
func (s *synced) record(slot int, number uint64, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return
	}
	b := s.slot[slot][:]
	binary.LittleEndian.PutUint64(b[8:], number)
	binary.LittleEndian.PutUint64(b[16:], uint64(bytes))
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[8:24], castagnoli))
	_, _ = s.f.WriteAt(b, int64(slot*slotBytes))
}

// forget takes the note of the WAL back, durably, before the WAL may be removed.
func (s *synced) forget() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return nil
	}
	if _, err := s.f.WriteAt(make([]byte, slotBytes), slotWAL*slotBytes); err != nil {
		return err
	}
	return s.f.Sync()
}

func (s *synced) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f != nil {
		_ = s.f.Close()
		s.f = nil
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkSynced compares the files with what is noted, before Pebble sees them. It changes nothing.
func checkSynced(fsys vfs.FS, dir string) error {
	notes, err := readFile(fsys, fsys.PathJoin(dir, syncedName), slotCount*slotBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", syncedName, err)
	}
	names, err := fsys.List(dir)
	if err != nil {
		return fmt.Errorf("listing files: %w", err)
	}
	for slot := range slotCount {
		if len(notes) < (slot+1)*slotBytes {
			break
		}
		b := notes[slot*slotBytes:][:slotBytes]
		number, bytes := binary.LittleEndian.Uint64(b[8:]), int64(binary.LittleEndian.Uint64(b[16:]))
		if binary.LittleEndian.Uint32(b) != crc32.Checksum(b[8:24], castagnoli) {
			continue // never written, or torn by a power loss
		}
		name, newer := "", false
		for _, n := range names {
			if s, k := syncedSlot(n); s == slot {
				if k == number {
					name = n
				}
				newer = newer || k > number
			}
		}
		if name == "" {
			// A WAL is removed, or taken for a newer one, when a newer one is there; and where Pebble does it earlier,
			// while it opens, the note is taken back first. A MANIFEST that is synced may not be the current one
			// yet, nor its name durable.
			if slot == slotWAL && !newer {
				return fmt.Errorf("%06d.log is missing", number)
			}
			continue
		}
		if err := checkRecords(fsys, fsys.PathJoin(dir, name), number, bytes); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// The form of Pebble's WAL and MANIFEST: blocks of 32 KiB, in them chunks of a checksum (4 bytes), a length (2), a
// type (1), in a WAL the log's number (4) and a sync offset (8), and the content. Chunks do not cross blocks; what is
// too short for one at a block's end is zero.
const (
	blockBytes       = 32 << 10
	headerLegacy     = 7
	headerRecyclable = headerLegacy + 4
	headerWALSync    = headerRecyclable + 8
)

// checkRecords reads the first bytes of a file, which were synced, and fails unless all of their chunks are valid.
func checkRecords(fsys vfs.FS, path string, number uint64, bytes int64) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, blockBytes)
	for at := int64(0); at < bytes; at += blockBytes {
		n, err := io.ReadFull(f, block[:min(blockBytes, bytes-at)])
		if err != nil {
			return fmt.Errorf("it ends at %d, and %d bytes were synced: %w", at+int64(n), bytes, io.ErrUnexpectedEOF)
		}
		if i, ok := checkBlock(block[:n], uint32(number)); !ok {
			return fmt.Errorf("invalid record at %d, before the %d bytes that were synced", at+int64(i), bytes)
		}
	}
	return nil
}

// checkBlock returns where the first invalid chunk is.
func checkBlock(b []byte, log uint32) (at int, ok bool) {
	for at < len(b) {
		rest := b[at:]
		left := blockBytes - at // to the end of the block, of which b may be a part
		if left < headerLegacy || left < headerWALSync && allZero(rest) {
			return at, allZero(rest)
		}
		if len(rest) < headerLegacy {
			return at, false
		}
		header := headerLegacy
		switch kind := rest[6]; {
		case kind >= 1 && kind <= 4:
		case kind >= 5 && kind <= 8:
			header = headerRecyclable
		case kind >= 9 && kind <= 12:
			header = headerWALSync
		default:
			return at, false
		}
		end := header + int(binary.LittleEndian.Uint16(rest[4:]))
		if end > len(rest) {
			return at, false
		}
		if header != headerLegacy {
			switch number := binary.LittleEndian.Uint32(rest[7:]); {
			case number == log+1 && allZero(rest[:6]) && end == headerRecyclable:
				return at, true // the end of a WAL that was closed
			case number != log:
				return at, false
			}
		}
		c := crc32.Checksum(rest[6:end], castagnoli)
		if binary.LittleEndian.Uint32(rest) != (c>>15|c<<17)+0xa282ead8 {
			return at, false
		}
		at += end
	}
	return at, true
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// readFile reads a small file, up to a number of bytes.
func readFile(fsys vfs.FS, path string, most int) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, int64(most)))
}
