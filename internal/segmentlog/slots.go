// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
)

// A slotted file holds a small value that is replaced in place: two slots of a sector each, written in turns, so that a
// write that is torn leaves the value before. It needs no space of a full disk. In every version the checksum covers the
// whole slot.
//
//	 0  8 magic
//	 8  4 version
//	12  4 checksum of the 512 bytes, these four zero
//	16 16 incarnation
//	32  8 counter: the slot with the higher one counts
//	40    value
const (
	slotBytes   = 512
	slotStride  = 4096
	slotFixed   = 40
	slotsLength = 2 * slotStride

	markMagic     = "MRLOGMRK"
	manifestMagic = "MRLOGMAN"
)

// slots is an open slotted file. Not for concurrent use, but for sync.
type slots struct {
	file    file
	magic   string
	id      uuid.UUID
	counter uint64
	buf     [slotBytes]byte
}

// write puts the value into the older slot.
func (s *slots) write(value []byte) error {
	s.counter++
	clear(s.buf[:])
	copy(s.buf[:], s.magic)
	le.PutUint32(s.buf[8:], formatVersion)
	copy(s.buf[16:], s.id[:])
	le.PutUint64(s.buf[32:], s.counter)
	copy(s.buf[slotFixed:], value)
	le.PutUint32(s.buf[12:], checksum(s.buf[:]))
	_, err := s.file.WriteAt(s.buf[:], int64(s.counter%2)*slotStride)
	return err
}

// writeBoth leaves the same value in both slots, durably: either may be damaged later.
func (s *slots) writeBoth(value []byte) error {
	for range 2 {
		if err := s.write(value); err != nil {
			return err
		}
		if err := s.file.sync(); err != nil {
			return err
		}
	}
	return nil
}

// errSlots says that neither slot can be read.
var errSlots = errors.New("neither of its two copies is whole")

// read finds the newest whole slot, and tells whether the other one is damaged.
func (s *slots) read(name string) (value []byte, damaged bool, err error) {
	for i := range int64(2) {
		var b [slotBytes]byte
		if _, err := s.file.ReadAt(b[:], i*slotStride); err != nil && !errors.Is(err, io.EOF) {
			return nil, false, fmt.Errorf("reading %s: %w", name, err)
		}
		sum := le.Uint32(b[12:])
		le.PutUint32(b[12:], 0)
		if string(b[:8]) != s.magic || checksum(b[:]) != sum {
			damaged = true
			continue
		}
		if v := le.Uint32(b[8:]); v != formatVersion {
			return nil, false, &VersionError{File: name, Have: v, Known: formatVersion}
		}
		if n := le.Uint64(b[32:]); value == nil || n > s.counter {
			s.counter, value = n, append([]byte(nil), b[slotFixed:]...)
			copy(s.id[:], b[16:])
		}
	}
	if value == nil {
		return nil, true, errSlots
	}
	return value, damaged, nil
}

// mark is how far the log is acknowledged.
type mark struct {
	segment uint64
	end     int64
	seq     uint64 // of the next entry
}

func (m mark) encode(b []byte) []byte {
	b = le.AppendUint64(b[:0], m.segment)
	b = le.AppendUint64(b, uint64(m.end))
	return le.AppendUint64(b, m.seq)
}

func decodeMark(b []byte) mark {
	return mark{segment: le.Uint64(b), end: int64(le.Uint64(b[8:])), seq: le.Uint64(b[16:])}
}

// manifest is what is fixed at creation, and how far retention has come.
type manifest struct {
	partitions   int
	created      int64
	firstSegment uint64 // segments before are removed
	firstIDs     uint64 // ID files before are removed
	idFloor      uint64 // what SetIDFloor was told
	seqFloor     uint64
}

func (m manifest) encode() []byte {
	b := le.AppendUint64(nil, uint64(m.partitions))
	b = le.AppendUint64(b, uint64(m.created))
	b = le.AppendUint64(b, m.firstSegment)
	b = le.AppendUint64(b, m.firstIDs)
	b = le.AppendUint64(b, m.idFloor)
	return le.AppendUint64(b, m.seqFloor)
}

func decodeManifest(b []byte) manifest {
	return manifest{
		partitions: int(le.Uint64(b)), created: int64(le.Uint64(b[8:])), firstSegment: le.Uint64(b[16:]),
		firstIDs: le.Uint64(b[24:]), idFloor: le.Uint64(b[32:]), seqFloor: le.Uint64(b[40:]),
	}
}
