// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/google/uuid"
)

// The format. All numbers are little-endian; every checksum is CRC32C. doc.go says what the parts are for.
//
// A segment's header. Its checksum covers all of it but itself, and stands at the same place in every version.
//
//	 0  8 magic
//	 8  4 version
//	12  4 length of the header: entries begin there
//	16  4 checksum
//	20  4 partitions
//	24 16 incarnation
//	40  8 number of the segment
//	48  8 created, Unix nanoseconds
//	56  8 sequence number of the first entry
//	64  8 ordinal of the first ID
//	72  8 append time of the entry before, or of the log's creation
//	80  8 where the entries of the segment before end
//	88  4 checksum of the header of the entry before
//	92  4 zero
//	96  8 for each partition: position of the first record
//
// An entry's header, at a multiple of 8.
//
//	 0  4 magic
//	 4  4 checksum of incarnation, segment, offset, and of header and directory from byte 8
//	 8  4 length of the entry, padding included
//	12  2 chunks
//	14  2 zero
//	16  8 sequence number
//	24  8 append time
//	32  8 ordinal of the first ID
//	40  4 number of IDs
//	44  4 length of the source
//	48  8 where the group of this entry begins: all before was synced when this was written
//	56  4 checksum of the header of the entry before
//	60  4 checksum of IDs and source
//	64    directory, 40 bytes a chunk; then IDs, source, the chunks' data, zeros up to a multiple of 8
//
// A chunk in the directory.
//
//	 0  4 partition
//	 4  1 kind
//	 5  1 compression
//	 6  2 zero
//	 8  8 position of the first record
//	16  4 records
//	20  4 length of the data as stored
//	24  4 length of the data
//	28  4 checksum of the data as stored
//	32  8 event time
const (
	formatVersion = 1

	segmentMagic     = "MRLOGSEG"
	segmentFixed     = 96
	segmentAlignment = 4096 // an entry's sectors are never the header's

	entryMagic = 0x4D4C5245
	entryFixed = 64
	chunkFixed = 40

	maxEntry  = 1 << 30
	maxSource = 1 << 16
)

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func roundUp[T int | int64](n, to T) T { return (n + to - 1) / to * to }

// tally is how far a log has come: what the next entry must continue.
type tally struct {
	seq      uint64 // of the next entry
	id       uint64 // ordinal of the next ID
	appended int64  // of the last entry
	chain    uint32 // checksum of the last entry's header
	next     []uint64
}

func (t tally) clone() tally {
	t.next = append([]uint64(nil), t.next...)
	return t
}

// segmentHeader is what a segment begins with.
type segmentHeader struct {
	incarnation uuid.UUID
	number      uint64
	created     int64
	begin       tally // before the first entry
	prevEnd     int64 // of the segment before
}

func headerSize(partitions int) int64 {
	return roundUp(int64(segmentFixed+8*partitions), segmentAlignment)
}

func (h *segmentHeader) encode() []byte {
	b := make([]byte, headerSize(len(h.begin.next)))
	copy(b, segmentMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], uint32(len(b)))
	le.PutUint32(b[20:], uint32(len(h.begin.next)))
	copy(b[24:], h.incarnation[:])
	le.PutUint64(b[40:], h.number)
	le.PutUint64(b[48:], uint64(h.created))
	le.PutUint64(b[56:], h.begin.seq)
	le.PutUint64(b[64:], h.begin.id)
	le.PutUint64(b[72:], uint64(h.begin.appended))
	le.PutUint64(b[80:], uint64(h.prevEnd))
	le.PutUint32(b[88:], h.begin.chain)
	for p, n := range h.begin.next {
		le.PutUint64(b[segmentFixed+8*p:], n)
	}
	le.PutUint32(b[16:], checksum(b))
	return b
}

// decodeSegmentHeader reads what the first bytes of a file say. b is headerSize(partitions) long, or what there is.
func decodeSegmentHeader(b []byte, name string, partitions int) (*segmentHeader, error) {
	corrupt := func(reason string) error { return &CorruptError{File: name, Offset: 0, Reason: reason} }
	if len(b) < segmentFixed {
		return nil, corrupt("the file is shorter than a segment's header")
	}
	if string(b[:8]) != segmentMagic {
		return nil, &ForeignError{File: name, Reason: "it does not begin as a segment does"}
	}
	length := le.Uint32(b[12:])
	if int64(length) > int64(len(b)) || length < segmentFixed {
		if v := le.Uint32(b[8:]); v > formatVersion {
			return nil, &VersionError{File: name, Have: v, Known: formatVersion}
		}
		return nil, corrupt("the length of the segment's header is not what it must be")
	}
	b = append([]byte(nil), b[:length]...)
	sum := le.Uint32(b[16:])
	le.PutUint32(b[16:], 0)
	if checksum(b) != sum {
		return nil, corrupt("the checksum of the segment's header does not match")
	}
	if v := le.Uint32(b[8:]); v != formatVersion {
		return nil, &VersionError{File: name, Have: v, Known: formatVersion}
	}
	if int(le.Uint32(b[20:])) != partitions || int64(length) != headerSize(partitions) {
		return nil, &ForeignError{File: name, Reason: fmt.Sprintf("it has %d partitions", le.Uint32(b[20:]))}
	}
	h := &segmentHeader{
		number:  le.Uint64(b[40:]),
		created: int64(le.Uint64(b[48:])),
		prevEnd: int64(le.Uint64(b[80:])),
		begin: tally{
			seq: le.Uint64(b[56:]), id: le.Uint64(b[64:]), appended: int64(le.Uint64(b[72:])), chain: le.Uint32(b[88:]),
			next: make([]uint64, partitions),
		},
	}
	copy(h.incarnation[:], b[24:])
	for p := range h.begin.next {
		h.begin.next[p] = le.Uint64(b[segmentFixed+8*p:])
	}
	return h, nil
}

// seed is what the checksum of an entry's header begins with, so that an entry counts only where it was written: in this
// log, this segment, at this offset. A stale block of another file is no entry.
type seed uint32

func newSeed(incarnation uuid.UUID, segment uint64) seed {
	var b [24]byte
	copy(b[:], incarnation[:])
	le.PutUint64(b[16:], segment)
	return seed(checksum(b[:]))
}

// sum of the header and directory in b, which lies at off.
func (s seed) sum(b []byte, off int64) uint32 {
	var o [8]byte
	le.PutUint64(o[:], uint64(off))
	return crc32.Update(crc32.Update(uint32(s), castagnoli, o[:]), castagnoli, b[8:])
}

// entryHead is an entry's header, read and checked. The directory lies in the buffer that it was read from.
type entryHead struct {
	off       int64
	length    int64
	sum       uint32
	seq       uint64
	appended  int64
	id        uint64
	ids       int // how many
	source    int // bytes
	group     int64
	chain     uint32
	bodySum   uint32
	chunks    int
	directory []byte
}

func (h *entryHead) headSize() int { return entryFixed + chunkFixed*h.chunks }
func (h *entryHead) sideSize() int { return IDBytes*h.ids + h.source }

// chunkHead is one line of the directory.
type chunkHead struct {
	partition   uint32
	kind        Kind
	compression Compression
	first       uint64
	records     uint32
	stored      uint32
	length      uint32
	sum         uint32
	eventTime   int64
}

func (h *entryHead) chunk(i int) chunkHead {
	d := h.directory[chunkFixed*i:]
	return chunkHead{
		partition: le.Uint32(d), kind: Kind(d[4]), compression: Compression(d[5]), first: le.Uint64(d[8:]),
		records: le.Uint32(d[16:]), stored: le.Uint32(d[20:]), length: le.Uint32(d[24:]), sum: le.Uint32(d[28:]),
		eventTime: int64(le.Uint64(d[32:])),
	}
}

// damage is why bytes are no entry.
type damage string

func (d damage) Error() string { return string(d) }

const (
	errNoEntry = damage("no entry begins here")
	errCutOff  = damage("the file ends within an entry")
	errHeadSum = damage("the checksum of an entry's header does not match")
	errShape   = damage("an entry's lengths contradict one another")
	errOrder   = damage("an entry does not continue the one before")
	errBodySum = damage("the checksum of an entry's IDs does not match")
	errDataSum = damage("the checksum of a chunk does not match")
	errPadding = damage("an entry is not padded with zeros")
)

// headNeed says how many bytes of an entry decodeHead needs, by its first entryFixed bytes.
func headNeed(b []byte) int { return entryFixed + chunkFixed*int(le.Uint16(b[12:])) }

// decodeHead reads an entry's header at off of a segment of which `limit` bytes count. b holds at least entryFixed
// bytes, and headNeed(b) where limit allows it.
func decodeHead(s seed, b []byte, off, limit int64, partitions int) (entryHead, error) {
	if le.Uint32(b) != entryMagic {
		return entryHead{}, errNoEntry
	}
	need := headNeed(b)
	if need > len(b) {
		return entryHead{}, errCutOff
	}
	sum := le.Uint32(b[4:])
	if s.sum(b[:need], off) != sum {
		return entryHead{}, errHeadSum
	}
	h := entryHead{
		off: off, length: int64(le.Uint32(b[8:])), sum: sum, chunks: int(le.Uint16(b[12:])), seq: le.Uint64(b[16:]),
		appended: int64(le.Uint64(b[24:])), id: le.Uint64(b[32:]), ids: int(le.Uint32(b[40:])), source: int(le.Uint32(b[44:])),
		group: int64(le.Uint64(b[48:])), chain: le.Uint32(b[56:]), bodySum: le.Uint32(b[60:]), directory: b[entryFixed:need:need],
	}
	size := int64(need) + int64(IDBytes)*int64(h.ids) + int64(h.source)
	last := int64(-1)
	for i := range h.chunks {
		c := h.chunk(i)
		size += int64(c.stored)
		if int64(c.partition) <= last || int(c.partition) >= partitions || c.records == 0 || c.kind > Tick || c.compression > None {
			return entryHead{}, errShape
		}
		last = int64(c.partition)
	}
	if roundUp(size, 8) != h.length || h.group > off || h.source > maxSource {
		return entryHead{}, errShape
	}
	if off+h.length > limit {
		return entryHead{}, errCutOff
	}
	return h, nil
}

// follow checks that the entry is the one that the tally awaits, and moves the tally past it.
func (t *tally) follow(h *entryHead) error {
	if h.seq != t.seq || h.id != t.id || h.chain != t.chain || h.appended < t.appended {
		return errOrder
	}
	for i := range h.chunks {
		c := h.chunk(i)
		if c.first != t.next[c.partition] {
			return errOrder
		}
	}
	t.seq++
	t.id += uint64(h.ids)
	t.appended, t.chain = h.appended, h.sum
	for i := range h.chunks {
		c := h.chunk(i)
		t.next[c.partition] += uint64(c.records)
	}
	return nil
}

// checkBody checks the checksums of all that follows the header. b is the whole entry.
func (h *entryHead) checkBody(b []byte) error {
	at := h.headSize()
	if checksum(b[at:at+h.sideSize()]) != h.bodySum {
		return errBodySum
	}
	at += h.sideSize()
	for i := range h.chunks {
		c := h.chunk(i)
		if checksum(b[at:at+int(c.stored)]) != c.sum {
			return errDataSum
		}
		at += int(c.stored)
	}
	for _, c := range b[at:h.length] {
		if c != 0 {
			return errPadding
		}
	}
	return nil
}
