// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
)

// Errors that callers branch on.
var (
	// ErrFull is returned by Append: nothing was appended, and the same may succeed later.
	ErrFull = errors.New("the log is full")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the log is closed")
	// ErrGone says that what is asked for was removed by retention.
	ErrGone = errors.New("removed from the log by retention")
)

// FailedError says that the file system failed in a write or a sync. The log refuses every append until it is opened
// anew, because nothing is known after a failed sync: the kernel may have dropped the pages that it could not write and
// counts them as clean, so that the next sync succeeds without them. Opening writes again what no sync is known to hold.
type FailedError struct {
	Op  string
	Err error
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("the log takes nothing more until it is opened anew, since the file system failed in %s: %v", e.Op, e.Err)
}
func (e *FailedError) Unwrap() error { return e.Err }

// CorruptError says that data is damaged which was acknowledged. Nothing was changed.
type CorruptError struct {
	File   string
	Offset int64
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d, in acknowledged data: %s. Restore the file from a copy; "+
		"to go on without it, move the log's directory away, from which nothing was deleted", e.File, e.Offset, e.Reason)
}

// LockedError says that another process, or another log of this one, has the directory open.
type LockedError struct{ Dir string }

func (e *LockedError) Error() string {
	return e.Dir + " is in use by another process: stop that one, or give each its own directory"
}

// ReadOnlyError says that the directory cannot be written to.
type ReadOnlyError struct {
	Dir string
	Err error
}

func (e *ReadOnlyError) Error() string {
	return fmt.Sprintf("%s cannot be written to: make it writable for the user that runs this process: %v", e.Dir, e.Err)
}
func (e *ReadOnlyError) Unwrap() error { return e.Err }

// VersionError says that a newer release wrote the log.
type VersionError struct {
	File        string
	Have, Known uint32
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has format version %d and this release knows up to %d: run the release that wrote it, or a newer one",
		e.File, e.Have, e.Known)
}

// PartitionsError says that the log was created with another number of partitions.
type PartitionsError struct {
	Dir        string
	Have, Want int
}

func (e *PartitionsError) Error() string {
	return fmt.Sprintf("%s has %d partitions and not %d: the number is fixed at creation; set partitions: %d, or give the new number a new directory",
		e.Dir, e.Have, e.Want, e.Have)
}

// MissingError says that a file of the log is not there.
type MissingError struct{ File string }

func (e *MissingError) Error() string {
	return e.File + " is missing, and retention did not remove it: put it back from where it went; " +
		"to go on without it, move the log's directory away"
}

// ForeignError says that a file is not this log's.
type ForeignError struct {
	File   string
	Reason string
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s does not belong to this log: %s. Move it elsewhere; the log's directory is its own", e.File, e.Reason)
}

// MarkError says that the mark is missing or damaged, which tells how far the log was acknowledged. Without it a
// damaged end cannot be told from one that was being written.
type MarkError struct {
	File   string
	Reason string
}

func (e *MarkError) Error() string {
	return fmt.Sprintf("%s, which tells how far the log was acknowledged, cannot be used: %s. Put it back, or accept that "+
		"damage to the last entries would not be noticed (accept_lost: {mark: true})", e.File, e.Reason)
}

// IDsLostError says that the event IDs of a segment that retention removed cannot be read from either of their files.
type IDsLostError struct {
	Files   [2]string
	From    uint64 // ordinals
	To      uint64
	Reasons [2]error
}

func (e *IDsLostError) Error() string {
	return fmt.Sprintf("%d event IDs are lost: %s: %v; %s: %v. Put one of the files back, or accept that repetitions of "+
		"those events would not be recognised (accept_lost: {ids: true})", e.To-e.From, e.Files[0], e.Reasons[0], e.Files[1], e.Reasons[1])
}

// EntryError says what is wrong with an entry. It is the caller's mistake, and no retry mends it.
type EntryError struct{ Reason string }

func (e *EntryError) Error() string { return "this entry cannot be appended: " + e.Reason }
