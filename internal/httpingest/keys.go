// SPDX-License-Identifier: Apache-2.0

package httpingest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/config/configopaque"
)

// WriteKey is one key that senders authenticate with, in a receiver's configuration.
type WriteKey struct {
	// Key is the secret. It should come from the environment or a file.
	Key configopaque.String `mapstructure:"key"`
	// Tenant is stamped on every event of the key as tenant.id. Default: none.
	Tenant string `mapstructure:"tenant"`
	// Source is stamped on every event of the key as event.source. Default: none.
	Source string `mapstructure:"source"`
	// prevent unkeyed literal initialization
	_ struct{}
}

// ValidateWriteKeys checks a list of keys for the mistakes that a configuration can have.
func ValidateWriteKeys(keys []WriteKey) error {
	if len(keys) == 0 {
		return errors.New("write_keys is empty: list at least one key, such as {key: \"${env:SEGMENT_WRITE_KEY}\", tenant: shop, source: web}")
	}
	seen := make(map[configopaque.String]int, len(keys))
	for i, k := range keys {
		if k.Key == "" {
			return fmt.Errorf("write_keys[%d].key is empty: give a key, or check that its environment variable is set", i)
		}
		if first, twice := seen[k.Key]; twice {
			return fmt.Errorf("write_keys[%d].key is the same as write_keys[%d].key: a key has one tenant and source, remove one", i, first)
		}
		seen[k.Key] = i
	}
	return nil
}

// Owner is whom the events sent with a key belong to.
type Owner struct{ Tenant, Source string }

// Keys finds the owner of a key. It is immutable and may be used by many goroutines.
type Keys struct {
	salt   [sha256.Size]byte
	owners map[[sha256.Size]byte]Owner
}

// NewKeys makes the lookup. Keys are kept as salted hashes: how long a lookup takes says nothing of how much of
// a guess is right.
func NewKeys(keys []WriteKey) *Keys {
	k := &Keys{owners: make(map[[sha256.Size]byte]Owner, len(keys))}
	_, _ = rand.Read(k.salt[:]) // never fails: see crypto/rand
	for _, w := range keys {
		k.owners[k.hash([]byte(w.Key))] = Owner{Tenant: w.Tenant, Source: w.Source}
	}
	return k
}

// Owner returns the owner of the key, and whether there is one.
func (k *Keys) Owner(key []byte) (Owner, bool) {
	o, ok := k.owners[k.hash(key)]
	return o, ok
}

func (k *Keys) hash(key []byte) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, k.salt[:])
	mac.Write(key)
	mac.Sum(sum[:0])
	return sum
}
