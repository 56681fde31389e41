// SPDX-License-Identifier: Apache-2.0

// Package segmentlog is the append-only store under the event log.
package segmentlog

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

var errNotYet = errors.New("not yet")

type fileSystem any
type location struct{}

// Log is a log. Any goroutine may call any of its methods.
type Log struct{}

// Open opens the log in the directory, and creates it if the directory is empty or absent.
func Open(_ string, _ Options) (*Log, error) { return nil, errNotYet }

// Close finishes what is queued and closes the log.
func (l *Log) Close() error { return errNotYet }

// ID is the incarnation: random, made at creation.
func (l *Log) ID() uuid.UUID { return uuid.UUID{} }

// Partitions is their number.
func (l *Log) Partitions() int { return 0 }

// Append returns after the sync that holds the entry.
func (l *Log) Append(_ context.Context, _ *Entry) (Receipt, error) { return Receipt{}, errNotYet }

// First is the oldest position still there.
func (l *Log) First(_ uint32) uint64 { return 0 }

// Next is the position after the last synced one.
func (l *Log) Next(_ uint32) uint64 { return 0 }

// Changed returns a channel that is closed when Next moves on from what it is now.
func (l *Log) Changed(_ uint32) <-chan struct{} { return nil }

// Scan calls f for the heads of chunks.
func (l *Log) Scan(_ uint32, _ uint64, _ func(Info) bool) error { return errNotYet }

// Read returns the chunk's data.
func (l *Log) Read(_ Info, _ []byte) ([]byte, error) { return nil, errNotYet }

// IDs calls f for the IDs and the source of every entry that has any.
func (l *Log) IDs(_ uint64, _ func(first uint64, appended int64, ids, source []byte) error) error {
	return errNotYet
}

// SetIDFloor lets IDs below the ordinal and sources of entries below seq be forgotten.
func (l *Log) SetIDFloor(_, _ uint64) error { return errNotYet }

// Remove removes the oldest full segments for as long as keep says false.
func (l *Log) Remove(_ func(SegmentInfo) bool) ([]SegmentInfo, error) { return nil, errNotYet }

// Verify reads the whole log.
func (l *Log) Verify(_ context.Context) error { return errNotYet }

// Stats of the log.
func (l *Log) Stats() Stats { return Stats{} }
