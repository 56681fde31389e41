// SPDX-License-Identifier: Apache-2.0

// Package keyring holds the secrets that personal data is masked with: where they come from, which one is current, and what is
// derived from them. A key never leaves it: it has no text form, and no error, log or metric carries any of it.
package keyring

import "errors"

// Ring is a set of keys, of which one is current. Rotation is a second key whose time has come: new values are made with
// it, and values of the one before it are still read, for as long as it is in the ring. Callable by any goroutine.
type Ring interface {
	// Current returns the key that new values are made with. The error wraps ErrNoKey where there is none: it was taken
	// away while in use, or the time of none has come. Then nothing may pass that was to be masked with it.
	Current() (*Key, error)
	// Find returns the key of that ID, current or not. The error wraps ErrNoKey.
	Find(id string) (*Key, error)
	// IDs are those of all keys, the current one first.
	IDs() []string
}

// ErrNoKey says that there is no such key, or none that is current.
var ErrNoKey = errors.New("there is no such key")

// Purpose separates what is derived from one key: no two purposes share a derived key.
type Purpose string

// The purposes.
const (
	Pseudonyms Purpose = "pseudonym"
	FPE        Purpose = "fpe"
	Tokens     Purpose = "token"
	Subjects   Purpose = "subject" // wraps per-subject keys
	Check      Purpose = "check"   // a value that tells one key from another and nothing else
)
