// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
)

// Key is one secret. It has no text form: printed, logged or encoded it is its name. Callable by any goroutine.
type Key struct {
	id string
	// hidden returns the secret and what is derived from it. It is a function because nothing that prints or dumps values by
	// reflection, unexported fields among them, sees into one.
	hidden func() *material
}

type material struct {
	prk     []byte // HKDF's pseudorandom key; the secret itself is forgotten
	derived cache
}

// newKey makes the key of a secret, which it does not keep.
func newKey(id string, secret []byte) (*Key, error) {
	prk, err := hkdf.Extract(sha256.New, secret, []byte("millrace key ring v1"))
	if err != nil {
		return nil, fmt.Errorf("deriving from key %s: %w", id, err)
	}
	m := &material{prk: prk, derived: cache{limit: cacheLimit}}
	return &Key{id: id, hidden: func() *material { return m }}, nil
}

// ID names the key in values.
func (k *Key) ID() string { return k.id }

// Derive returns a secret of size bytes, at most 8,160, by HKDF-SHA256: another one for each purpose, tenant, label and size. The
// same key gives the same one, in every release: what was written with it must stay readable.
func (k *Key) Derive(purpose Purpose, tenant, label string, size int) ([]byte, error) {
	info := make([]byte, 0, 64)
	for _, part := range [...]string{string(purpose), tenant, label} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(part)))
		info = append(info, part...)
	}
	info = binary.BigEndian.AppendUint32(info, uint32(size))
	secret, err := hkdf.Expand(sha256.New, k.hidden().prk, string(info), size)
	if err != nil {
		return nil, fmt.Errorf("deriving from key %s: %w", k.id, err)
	}
	return secret, nil
}

// Derived returns what newT makes of the secret that Derive returns, and keeps it with the key: a cipher, a MAC's state. What was used
// lately is kept, up to a bound; asking for that allocates nothing. newT may be called by several goroutines at once, of whose
// results one is kept. What is asked for by a tenant of a very long name is not. It must not keep the slice that it is given beyond the T.
func Derived[T any](k *Key, purpose Purpose, tenant, label string, size int, newT func(secret []byte) (T, error)) (T, error) {
	m := k.hidden()
	at := cacheKey{purpose, tenant, label, size}
	if v, ok := m.derived.get(at).(T); ok {
		return v, nil
	}
	var none T
	secret, err := k.Derive(purpose, tenant, label, size)
	if err != nil {
		return none, err
	}
	v, err := newT(secret)
	if err != nil {
		return none, fmt.Errorf("deriving from key %s: %w", k.id, err)
	}
	// A tenant's name is often a sender's word, and may be of megabytes: there are so many keys in the cache, not so many bytes.
	if len(tenant)+len(label) <= maxCachedName {
		at.tenant, at.label = strings.Clone(tenant), strings.Clone(label)
		m.derived.put(at, v)
	}
	return v, nil
}

const maxCachedName = 256 // bytes

// CheckValue tells this key from any other that has the same ID, and nothing else about it: 16 hexadecimal digits.
func (k *Key) CheckValue() string {
	v, err := k.Derive(Check, "", "", 8)
	if err != nil {
		return "" // not for this size
	}
	return hex.EncodeToString(v)
}

// String returns the key's name.
func (k Key) String() string { return "key " + k.id }

// GoString returns the key's name.
func (k Key) GoString() string { return k.String() }

// Format prints the key's name, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// MarshalText returns the key's name.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalJSON returns the key's name.
func (k Key) MarshalJSON() ([]byte, error) { return []byte(`"` + k.String() + `"`), nil }

// LogValue returns the key's name.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
