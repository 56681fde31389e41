// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// Options of a log. The zero value of all but Partitions is of use.
type Options struct {
	// Partitions is fixed at the log's creation: 1 to MaxPartitions.
	Partitions int
	// SegmentBytes is the size at which a segment is full; 128 MiB if 0. A segment is allocated as a whole when it is
	// begun, so that a full disk shows there, as ErrFull, and not in the middle of an append.
	SegmentBytes int64
	// SegmentAge is the age of a segment's first entry from which the next append begins another, so that retention
	// by age can let go of a log that few events come to. 0: never.
	SegmentAge time.Duration
	// MaxBytes is the size of the log's segments on disk beyond which Append returns ErrFull; ID files, 32 bytes for each ID above
	// the floor, come on top. 0: no bound but the disk. SegmentBytes
	// is lowered to a quarter of it.
	MaxBytes int64
	// MinFreeBytes is what a new segment must leave free on the file system.
	MinFreeBytes int64
	// Compression of chunks appended from now on. It stands with each chunk and may change at any time.
	Compression Compression
	// Now is the wall clock; time.Now if nil. Only Open and the writer call it.
	Now func() time.Time
	// Logger may be nil.
	Logger *zap.Logger
	// OnSync is told of every group commit, by the writer: it must be quick. It may be nil.
	OnSync func(took time.Duration, frames int, bytes int)
	// AcceptLostMark opens a log whose mark is missing or damaged: see MarkError.
	AcceptLostMark bool
	// AcceptLostIDs lets IDs pass over what IDsLostError would tell.
	AcceptLostIDs bool

	// What tests put in place of the operating system's files and of chance.
	fs    fileSystem
	newID func() (uuid.UUID, error)
}

// MaxPartitions is the most partitions that a log may have.
const MaxPartitions = 1024

// IDBytes is the size of each of Entry.IDs.
const IDBytes = 16

// Compression of a chunk's data.
type Compression uint8

// The kinds of Compression.
const (
	S2 Compression = iota
	Zstd
	None
)

// Kind of a chunk.
type Kind uint8

// The kinds of a chunk. A tick has no data and takes one position.
const (
	Events Kind = iota
	Tick
)

// Entry is one atomic append: after a crash all of it is there or nothing. Append does not change it, and does not
// keep it when it has returned.
type Entry struct {
	// IDs is 16 bytes for each event that has an ID, in the order of appending. They are kept apart from the records:
	// see Log.IDs.
	IDs []byte
	// Source says where the entry comes from, in words that the log does not read. At most 64 KiB.
	Source []byte
	// Chunks are at most one for each partition, in ascending order of partitions. There may be none, if there are
	// IDs or a Source.
	Chunks []Chunk
}

// Chunk is the part of an entry that goes to one partition.
type Chunk struct {
	Partition uint32
	// Records is how many positions it takes: at least 1, exactly 1 for a tick.
	Records uint32
	Kind    Kind
	// EventTime is not read by the log, and returned by Scan.
	EventTime int64
	// Data is compressed by the goroutine that calls Append.
	Data []byte
}

// Receipt tells where an entry came to lie.
type Receipt struct {
	// Seq numbers the entries of the log from 1.
	Seq uint64
	// Appended is in Unix nanoseconds, and never less than the one before, across restarts too.
	Appended int64
	// FirstID is the ordinal of the first of Entry.IDs in the log's whole history, from 0.
	FirstID uint64
	// First is the position of each chunk's first record.
	First []uint64
}

// Info is the head of a chunk.
type Info struct {
	Kind      Kind
	First     uint64 // position
	Records   uint32
	Bytes     int // of the data, uncompressed
	Appended  int64
	EventTime int64
	Seq       uint64 // of its entry

	at location
}

// Next is the position after the chunk's last record.
func (i Info) Next() uint64 { return i.First + uint64(i.Records) }

// SegmentInfo describes a segment that is full.
type SegmentInfo struct {
	Number       uint64
	Bytes        int64
	First, Next  []uint64 // positions by partition
	FirstSeq     uint64
	NextSeq      uint64
	FirstID      uint64 // ordinal
	NextID       uint64
	LastAppended int64 // of its last entry
}

// Stats of a log.
type Stats struct {
	Bytes          int64  // on disk: segments as allocated, ID files, reserve
	SegmentBytes   int64  // of entries, in all segments
	Segments       int    // the one being written included
	OldestAppended int64  // not after the append time of the oldest entry still there; 0 if there is none
	LastAppended   int64  // of the last entry, or of the creation of the log
	FirstID        uint64 // the oldest ordinal that IDs can give
	NextID         uint64
	NextSeq        uint64
	Unsealed       int  // full segments whose IDs are not yet in files of their own
	Failed         bool // FailedError is what Append returns
}
