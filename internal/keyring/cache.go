// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"sync"
	"sync/atomic"
)

// cacheLimit bounds what is kept derived from one key: about a tenant's each. A miss costs some microseconds.
const cacheLimit = 4096

type cacheKey struct {
	purpose       Purpose
	tenant, label string
	size          int
}

type cacheEntry struct {
	key   cacheKey
	value any
	used  atomic.Bool // since the hand last passed; set under the read lock
}

// cache keeps about what was used last: it drops entries in the order in which they came, but spares each once that was used
// meanwhile (CLOCK). So a hit writes nothing that all goroutines share.
type cache struct {
	limit int

	mu      sync.RWMutex // over the fields below
	entries map[cacheKey]*cacheEntry
	ring    []*cacheEntry
	hand    int
}

// get returns nil where there is nothing.
func (c *cache) get(k cacheKey) any {
	c.mu.RLock()
	e := c.entries[k]
	c.mu.RUnlock()
	if e == nil {
		return nil
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e.value
}

func (c *cache) put(k cacheKey, v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[k]; e != nil {
		return // another goroutine made the same
	}
	if c.entries == nil {
		c.entries = map[cacheKey]*cacheEntry{}
	}
	e := &cacheEntry{key: k, value: v}
	c.entries[k] = e
	if len(c.ring) < c.limit {
		c.ring = append(c.ring, e)
		return
	}
	for c.ring[c.hand].used.Swap(false) {
		c.hand = (c.hand + 1) % len(c.ring)
	}
	delete(c.entries, c.ring[c.hand].key)
	c.ring[c.hand] = e
	c.hand = (c.hand + 1) % len(c.ring)
}
