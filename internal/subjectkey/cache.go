// SPDX-License-Identifier: Apache-2.0

package subjectkey

// cache keeps about what was used last: it lets keys go in the order in which they came, but spares each once that was used
// meanwhile (CLOCK), so that a hit changes nothing that goroutines share but the key's own mark. Keys.mu guards it: a reader's lock is
// enough for get.
type cache struct {
	limit int
	slots []*Key // nil where a key was removed
	index map[Handle]int
	hand  int
}

func newCache(limit int) cache { return cache{limit: limit, index: map[Handle]int{}} }

func (c *cache) get(h Handle) *Key {
	i, ok := c.index[h]
	if !ok {
		return nil
	}
	k := c.slots[i]
	if !k.used.Load() {
		k.used.Store(true)
	}
	return k
}

func (c *cache) put(k *Key) {
	if i, ok := c.index[k.handle]; ok {
		c.slots[i] = k
		return
	}
	if len(c.slots) < c.limit {
		c.index[k.handle] = len(c.slots)
		c.slots = append(c.slots, k)
		return
	}
	for c.slots[c.hand] != nil && c.slots[c.hand].used.Swap(false) {
		c.hand = (c.hand + 1) % len(c.slots)
	}
	if old := c.slots[c.hand]; old != nil {
		delete(c.index, old.handle)
	}
	c.slots[c.hand] = k
	c.index[k.handle] = c.hand
	c.hand = (c.hand + 1) % len(c.slots)
}

// remove returns the key that it lets go, or nil.
func (c *cache) remove(h Handle) *Key {
	i, ok := c.index[h]
	if !ok {
		return nil
	}
	k := c.slots[i]
	c.slots[i] = nil
	delete(c.index, h)
	return k
}

func (c *cache) clear() { *c = newCache(c.limit) }
