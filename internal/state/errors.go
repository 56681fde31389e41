// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"strings"
)

// What can keep a store from opening, or end it while it runs. They are wrapped in an OpenError or a FailedError.
var (
	ErrCorrupt     = errors.New("the state store is corrupt")
	ErrFailed      = errors.New("the state store has failed")
	ErrLocked      = errors.New("another process uses the directory")
	ErrMissing     = errors.New("there is no state store")
	ErrNewerFormat = errors.New("a newer version wrote the state store")
	ErrNotStore    = errors.New("the directory holds something else")
	ErrReadOnly    = errors.New("the directory cannot be written")
)

// OpenError says why a store does not open, and what to do. Nothing that was acknowledged was changed, and where
// the kind is not ErrFull nothing at all but for the lock file.
type OpenError struct {
	Dir  string
	Kind error // one of the above or ErrFull; nil for what has no name
	Err  error // the cause; may be nil
	Mend string
}

func (e *OpenError) Error() string {
	s := fmt.Sprintf("state store %q", e.Dir)
	if e.Kind != nil {
		s += ": " + e.Kind.Error()
	}
	if e.Err != nil {
		s += ": " + oneLine(e.Err)
	}
	return s + ": " + e.Mend
}

// Unwrap gives errors.Is both the kind and the cause.
func (e *OpenError) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// FailedError is what every call returns after the store has met an error that it cannot go on with. A commit that was
// under way is there as a whole or not at all; opening the store anew tells which.
type FailedError struct {
	Dir  string
	Kind error // ErrFailed or ErrCorrupt
	Err  error
}

func (e *FailedError) Error() string {
	mend := "look after the disk and restart, which recovers every commit that was acknowledged"
	if errors.Is(e.Kind, ErrCorrupt) {
		mend = mendCorrupt
	}
	return fmt.Sprintf("state store %q: %v: %s: %s", e.Dir, e.Kind, oneLine(e.Err), mend)
}

// Unwrap gives errors.Is both the kind and the cause.
func (e *FailedError) Unwrap() []error { return []error{e.Kind, e.Err} }

// oneLine is an error's text without Pebble's details, which are on lines of their own.
func oneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

const (
	mendCorrupt  = "restore the directory from a copy; or move it away, and the event log hands out again what it still has"
	mendReadOnly = "give the collector's user the right to write there, or mount the file system for writing"
	mendFull     = "free space on its disk, or lower reserve_bytes"
)
