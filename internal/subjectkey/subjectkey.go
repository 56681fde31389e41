// SPDX-License-Identifier: Apache-2.0

// Package subjectkey keeps a key for each person, so that forgetting a person is destroying a key: what was written under it, in
// whatever table, file or copy, cannot be read by anyone from then on.
//
// A person is known in the store, and in what is written, by a Handle, never by a name. Keys are random, wrapped by a key of the ring
// and committed to the state store, synced, before the first value is encrypted under them: after a crash no value lacks its key.
package subjectkey

import (
	"context"
	"encoding/hex"
	"errors"
	"time"
)

// Subject is a person as events name them: by user ID, else by anonymous ID.
type Subject struct{ Tenant, ID string }

// Handle names a subject without saying who it is.
type Handle [16]byte

// String is the handle in hexadecimal.
func (h Handle) String() string { return hex.EncodeToString(h[:]) }

// ParseHandle undoes String.
func ParseHandle(text string) (h Handle, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(h) {
		return h, errors.New("a subject's handle has 32 hexadecimal digits")
	}
	return Handle(b), nil
}

// Erasure says when a subject was erased, and whether by this call.
type Erasure struct {
	Handle  Handle
	At      time.Time
	Already bool // it had been erased before: nothing was changed
	HadKey  bool // there was a key to destroy
}

// Store has the keys. Callable by any goroutine.
type Store interface {
	// Keys puts the key of subjects[i] in keys[i], and makes those that are missing in one synced commit. Of an erased subject, and
	// of one without an ID, the key is nil. On an error all are nil.
	Keys(ctx context.Context, subjects []Subject, keys []*Key) error
	// Find returns the key that a value names. The error wraps ErrErased or ErrUnknown where there is none.
	Find(h Handle) (*Key, error)
	// Erased says whether the subject was erased. It reads memory only.
	Erased(s Subject) bool
	// Handle names the subject: always the same in this store, whatever keys the ring has.
	Handle(s Subject) Handle
	// Erase destroys the subject's key, and remembers that it did. When it returns nil no file of the store has the key any
	// more. It can be called again. A Key that somebody still holds answers ErrErased from then on.
	Erase(ctx context.Context, s Subject) (Erasure, error)
}

// Errors of a Store.
var (
	ErrErased  = errors.New("the person was erased")
	ErrUnknown = errors.New("there is no such key")
	// ErrSealed is of Open: the bytes were not sealed by this key for this purpose, or were changed.
	ErrSealed = errors.New("the value was not sealed by this key, or was changed")
	// ErrNobody is of Erase: the subject has no ID.
	ErrNobody = errors.New("the subject has no ID")
)
