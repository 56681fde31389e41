// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"errors"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

// Log is what a Consumer reads: ordered partitions, whose records have contiguous positions. What it has shown once it
// shows again, unchanged, until a checkpoint of every consumer has passed it. Any goroutine may call it.
type Log interface {
	Incarnation() uuid.UUID
	Partitions() uint32
	// First is the oldest position of the partition that is still there, Next the one after the last durable one.
	First(partition uint32) uint64
	Next(partition uint32) uint64
	// Changed is closed when Next is no longer what it was at the call.
	Changed(partition uint32) <-chan struct{}
	// Scan calls f for the chunks of the partition in order, from the one that holds the position, until f returns
	// false or the log ends. ErrGone if the position is before First.
	Scan(partition uint32, from uint64, f func(Chunk) bool) error
	// Load reads the records of a range. The caller owns them. again says that the consumer has loaded some of them
	// before: what an earlier attempt was given it may have changed.
	Load(partition uint32, first, last uint64, again bool) (plog.Logs, error)
	// LoadRaw reads the records of a range as the log keeps them, for a consumer that hands over bytes. They stay as they are
	// until the consumer loads from that partition again, which it does when the delivery before is done.
	LoadRaw(partition uint32, first, last uint64) ([]event.Chunk, error)
}

// ErrGone says that retention has removed the position.
var ErrGone = errors.New("no longer in the log")

// Chunk is what one append put into one partition: events, or one tick.
type Chunk struct {
	Tick      bool
	First     uint64
	Records   uint32
	Bytes     int   // uncompressed
	Appended  int64 // Unix nanoseconds
	EventTime int64 // of a tick: see Tick
	// Cut says that the append has more records than are shown yet. A log that shows an append as a whole never says so.
	Cut bool
}

// Last position of the chunk.
func (c Chunk) Last() uint64 { return c.First + uint64(c.Records) - 1 }
