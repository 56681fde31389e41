// SPDX-License-Identifier: Apache-2.0

package subjectkey

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"sync"
	"sync/atomic"
)

// Overhead is how many bytes a sealed value is longer than the value.
const Overhead = 12 + 16

const secretBytes = 32

// Key is the key of one subject: AES-256-GCM with random nonces, so that equal values are not seen to be equal. It has no text form:
// printed, it is its handle. Callable by any goroutine.
type Key struct {
	handle Handle
	used   atomic.Bool // since the cache's hand last passed
	// hidden returns the secret. It is a function because nothing that prints or dumps values by reflection sees into one.
	hidden func() *secret
}

type secret struct {
	owner *Keys
	seen  atomic.Uint64 // the erasures that it has been held against

	mu   sync.RWMutex // guards what follows; held for reading while a value is sealed or opened
	raw  [secretBytes]byte
	gone bool
	aead cipher.AEAD // made when first used; nil again when many others were used after it
}

func newKey(owner *Keys, h Handle, raw [secretBytes]byte) *Key {
	s := &secret{owner: owner, raw: raw}
	s.seen.Store(owner.erasures.Load())
	return &Key{handle: h, hidden: func() *secret { return s }}
}

// Handle names the subject.
func (k *Key) Handle() Handle { return k.handle }

// Seal appends the encrypted value, which is Overhead longer than plain, to dst. Open needs the same aad. The error wraps ErrErased
// where the subject was erased meanwhile: then the value is not to be kept in any form. There is no other.
func (k *Key) Seal(dst, plain, aad []byte) ([]byte, error) {
	s, a, err := k.acquire()
	if err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	return a.Seal(dst, nil, plain, aad), nil //nolint:gosec // G407: the cipher makes a random nonce itself
}

// Open appends what Seal encrypted to dst. The error wraps ErrErased or ErrSealed.
func (k *Key) Open(dst, sealed, aad []byte) ([]byte, error) {
	s, a, err := k.acquire()
	if err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	plain, err := a.Open(dst, nil, sealed, aad)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// acquire returns the cipher with the secret's lock held for reading: it is not destroyed before that is released.
func (k *Key) acquire() (*secret, cipher.AEAD, error) {
	s := k.hidden()
	// A key that the cache let go is not found by Erase, so each looks for itself.
	if n := s.owner.erasures.Load(); s.seen.Load() != n {
		if s.owner.isErased(k.handle) {
			s.destroy()
		}
		s.seen.Store(n)
	}
	for {
		s.mu.RLock()
		if !s.gone && s.aead != nil {
			return s, s.aead, nil
		}
		gone := s.gone
		s.mu.RUnlock()
		if gone {
			return nil, nil, ErrErased
		}
		if err := s.expand(); err != nil {
			return nil, nil, err
		}
	}
}

// expand makes the cipher, which takes ten times the memory of the secret: only so many keys have one at a time.
func (s *secret) expand() error {
	s.mu.Lock()
	if s.gone || s.aead != nil {
		s.mu.Unlock()
		return nil
	}
	a, err := newAEAD(s.raw[:])
	s.aead = a
	s.mu.Unlock()
	if err != nil {
		return err
	}
	at := s.owner.nextExpanded.Add(1) % expandedKeys
	if old := s.owner.expanded[at].Swap(s); old != nil && old != s {
		old.mu.Lock()
		old.aead = nil
		old.mu.Unlock()
	}
	return nil
}

// destroy makes the key useless to whoever holds it, once the values that are being sealed are.
func (s *secret) destroy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.raw[:])
	s.gone, s.aead = true, nil
}

// newAEAD is AES-256-GCM with a random nonce before the ciphertext. NIST SP 800-38D allows 2^32 values by one key so.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making cipher: %w", err)
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("making cipher: %w", err)
	}
	return a, nil
}

// String names the key.
func (k *Key) String() string {
	if k == nil {
		return "no subject key"
	}
	return "subject key " + k.handle.String()
}

// GoString names the key.
func (k *Key) GoString() string { return k.String() }

// Format names the key, whatever the verb.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// MarshalText names the key; JSON takes it too.
func (k *Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
