// SPDX-License-Identifier: Apache-2.0

package subjectkey

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"crypto/cipher"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/state"
)

// What is in the store, below Key(state.Own, "subject_keys"):
//
//	handle_key           what handles are made with, wrapped
//	key, HANDLE          a subject's key, wrapped
//	erased, HANDLE       a tombstone: when, and whether there was a key
//	purge, HANDLE        an erasure whose bytes may still be in a file
//	purge_all            the same for keys that were wrapped anew
var (
	handleKeyAt = part("subject_keys", "handle_key")
	keysAt      = part("subject_keys", "key")
	erasedAt    = part("subject_keys", "erased")
	purgeAt     = part("subject_keys", "purge")
	purgeAllAt  = part("subject_keys", "purge_all")
)

func part(names ...string) []byte {
	parts := [][]byte{[]byte(state.Own)}
	for _, n := range names {
		parts = append(parts, []byte(n))
	}
	return state.Key(parts...)
}

// at returns a handle's key below a prefix. Prefixes are whole keys, so that joining them is what state.Key does.
func at(prefix []byte, h Handle) []byte {
	return append(append(make([]byte, 0, len(prefix)+2*len(h)+2), prefix...), state.Key(h[:])...)
}

// handleOf undoes at.
func handleOf(prefix, key []byte) (Handle, error) {
	parts, ok := state.SplitKey(key[len(prefix):])
	if !ok || len(parts) != 1 || len(parts[0]) != len(Handle{}) {
		return Handle{}, fmt.Errorf("%w: the key of a record", errCorrupt)
	}
	return Handle(parts[0]), nil
}

var errCorrupt = errors.New("the subject keys are corrupt: restore the state store from a copy")

// A wrapped secret: version, length of the ring key's ID, ID, and the secret encrypted (nonce, ciphertext, tag). The ID and what
// the secret is of are authenticated.
const recordVersion = 1

func wrap(k *keyring.Key, of string, raw *[secretBytes]byte) ([]byte, error) {
	a, err := wrapper(k)
	if err != nil {
		return nil, err
	}
	record := append([]byte{recordVersion, byte(len(k.ID()))}, k.ID()...)
	return a.Seal(record, nil, raw[:], aad(of, k.ID())), nil //nolint:gosec // G407: the cipher makes a random nonce itself
}

// unwrap undoes wrap. The error wraps keyring.ErrNoKey where the ring does not have the key.
func unwrap(ring keyring.Ring, of string, record []byte) (raw [secretBytes]byte, err error) {
	id, sealed, err := wrappedBy(record)
	if err != nil {
		return raw, err
	}
	k, err := ring.Find(id)
	if err != nil {
		return raw, fmt.Errorf("finding the key %q that subject keys are wrapped by: %w: give it back to the key store until all are wrapped by another", id, err)
	}
	a, err := wrapper(k)
	if err != nil {
		return raw, err
	}
	var room [secretBytes]byte
	plain, err := a.Open(room[:0], nil, sealed, aad(of, id))
	if err != nil || len(plain) != secretBytes {
		return raw, fmt.Errorf("%w, or key %q is another than it was", errCorrupt, id)
	}
	copy(raw[:], plain)
	clear(room[:])
	return raw, nil
}

// wrappedBy returns the ID of the ring's key that a record is wrapped by.
func wrappedBy(record []byte) (id string, sealed []byte, err error) {
	if len(record) < 2 || record[0] != recordVersion || len(record) != 2+int(record[1])+secretBytes+Overhead {
		return "", nil, fmt.Errorf("%w: a record of %d bytes", errCorrupt, len(record))
	}
	id, sealed = string(record[2:2+record[1]]), record[2+int(record[1]):]
	return id, sealed, nil
}

func wrapper(k *keyring.Key) (cipher.AEAD, error) {
	return keyring.Derived(k, keyring.Subjects, "", "wrap", secretBytes, newAEAD)
}

func aad(of, id string) []byte {
	b := append(make([]byte, 0, 64), "millrace subject key\x00"...)
	b = append(b, id...)
	return append(append(b, 0), of...)
}

const (
	tombstoneBytes = 9
	hadKey         = 1
)

func tombstone(at time.Time, had bool) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, tombstoneBytes), uint64(at.UnixNano()))
	if had {
		return append(b, hadKey)
	}
	return append(b, 0)
}

func readTombstone(h Handle, b []byte) (Erasure, error) {
	if len(b) != tombstoneBytes {
		return Erasure{}, fmt.Errorf("%w: a tombstone of %d bytes", errCorrupt, len(b))
	}
	return Erasure{Handle: h, At: time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC(), HadKey: b[8] == hadKey}, nil
}
