// SPDX-License-Identifier: Apache-2.0

package subjectkey

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/state"
)

// Options of Open. The zero value is good.
type Options struct {
	// CacheKeys bounds the keys that are kept unwrapped in memory, of some 200 bytes each. 0 is DefaultCacheKeys.
	CacheKeys int
	// Now is the clock of erasures; nil is the system's.
	Now   func() time.Time
	Hooks Hooks
}

// DefaultCacheKeys is of Options.
const DefaultCacheKeys = 100_000

// expandedKeys bounds the keys that have a cipher at a time, of 1.3 KB each.
const expandedKeys = 4096

// Hooks tell of what happens. Any may be nil. They are called by any goroutine, and must not call back.
type Hooks struct {
	Created func(keys int)         // after the commit
	Erased  func(e Erasure)        // after the commit; not of a second call
	Looked  func(hits, misses int) // in the cache, once for each call of Keys and Find
}

// Keys is a Store in the state store. A person has one owner: two processes with a store each give one person two keys.
//
// What is erased stays known in memory, at some 20 bytes a person: that set grows with each erasure, since a person who was forgotten
// there would get a new key with the next event.
type Keys struct {
	store  state.Store
	purger state.Purger
	ring   keyring.Ring
	now    func() time.Time
	hooks  Hooks
	names  sync.Pool // of *namer

	erasures     atomic.Uint64 // raised by each erasure, after `erased` has it
	expanded     [expandedKeys]atomic.Pointer[secret]
	nextExpanded atomic.Uint32

	// wrapping is held for reading from asking the ring which key is current, or the store which there is, to the end of the commit,
	// and for writing by each batch of Rewrap: it neither misses a key that is being made nor brings back one that is being erased.
	wrapping sync.RWMutex
	purging  chan struct{} // has room for one: who purges

	mu       sync.RWMutex // guards what follows; any goroutine
	cache    cache
	pending  map[Handle]*pending // what is being read, made or erased, by one call each
	erased   map[Handle]struct{}
	unpurged map[Handle]struct{} // erased, and the bytes may still be in a file
	purgeAll bool                // the same of keys that were wrapped anew
	count    int
}

var _ Store = (*Keys)(nil)

// pending is what others of the same subject wait for.
type pending struct {
	done chan struct{} // closed when it has ended
	key  *Key          // set before that; nil where there is none, or on an error
	err  error         // the same
}

// Open reads what the store has, and carries on what a crash interrupted: an erasure that was committed and whose bytes may be in a file.
// What cannot be carried on now, since the disk is full, can be later: see Purge.
func Open(store state.Store, ring keyring.Ring, o Options) (*Keys, error) {
	purger, ok := store.(state.Purger)
	if !ok {
		return nil, errors.New("opening subject keys: the store cannot purge what was deleted, so nobody could be erased")
	}
	if o.CacheKeys <= 0 {
		o.CacheKeys = DefaultCacheKeys
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Keys{
		store: store, purger: purger, ring: ring, now: o.Now, hooks: o.Hooks, purging: make(chan struct{}, 1), cache: newCache(o.CacheKeys),
		pending: map[Handle]*pending{}, erased: map[Handle]struct{}{}, unpurged: map[Handle]struct{}{},
	}
	if err := k.load(); err != nil {
		return nil, fmt.Errorf("opening subject keys: %w", err)
	}
	_ = k.Purge(context.Background()) // Unpurged tells
	return k, nil
}

func (k *Keys) load() error {
	for _, p := range []struct {
		prefix []byte
		each   func(h Handle)
	}{
		{keysAt, func(Handle) { k.count++ }},
		{erasedAt, func(h Handle) { k.erased[h] = struct{}{} }},
		{purgeAt, func(h Handle) { k.unpurged[h] = struct{}{} }},
	} {
		err := k.store.Range(p.prefix, state.PrefixEnd(p.prefix), func(key, _ []byte) error {
			h, err := handleOf(p.prefix, key)
			if err == nil {
				p.each(h)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	_, all, err := k.store.Get(purgeAllAt)
	if err != nil {
		return err
	}
	k.purgeAll = all
	raw, err := k.handleKey()
	if err != nil {
		return err
	}
	k.names.New = func() any { return &namer{mac: hmac.New(sha256.New, raw[:])} }
	return nil
}

// handleKey reads what handles are made with, or makes it.
func (k *Keys) handleKey() (raw [secretBytes]byte, err error) {
	record, ok, err := k.store.Get(handleKeyAt)
	if err != nil {
		return raw, err
	}
	if ok {
		return unwrap(k.ring, "handles", record)
	}
	if k.count+len(k.erased) > 0 {
		return raw, fmt.Errorf("%w: the key of handles is missing", errCorrupt)
	}
	current, err := k.ring.Current()
	if err != nil {
		return raw, err
	}
	_, _ = rand.Read(raw[:]) // it never fails
	if record, err = wrap(current, "handles", &raw); err != nil {
		return raw, err
	}
	var b state.Batch
	b.Set(handleKeyAt, record)
	return raw, k.store.Commit(&b)
}

// namer makes handles, one at a time.
type namer struct {
	mac  hash.Hash
	text []byte
	sum  [sha256.Size]byte
}

// Handle names the subject: the beginning of an HMAC-SHA-256 by a random key of this store.
func (k *Keys) Handle(s Subject) (h Handle) {
	n := k.names.Get().(*namer)
	n.text = binary.BigEndian.AppendUint64(n.text[:0], uint64(len(s.Tenant)))
	n.text = append(append(n.text, s.Tenant...), s.ID...)
	n.mac.Reset()
	_, _ = n.mac.Write(n.text)
	copy(h[:], n.mac.Sum(n.sum[:0]))
	if cap(n.text) <= 4<<10 {
		k.names.Put(n)
	}
	return h
}

// Count is how many subjects have a key.
func (k *Keys) Count() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.count
}

// Erased says whether the subject was erased. It reads memory only.
func (k *Keys) Erased(s Subject) bool {
	return k.isErased(k.Handle(s))
}

func (k *Keys) isErased(h Handle) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	_, ok := k.erased[h]
	return ok
}

// lookup returns a cached key, or whether there is none to look for.
func (k *Keys) lookup(h Handle) (key *Key, known bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if key = k.cache.get(h); key != nil {
		return key, true
	}
	_, known = k.erased[h]
	return nil, known
}

// wanted is a subject of a call whose key is not in the cache.
type wanted struct {
	at     int // in the call's keys
	handle Handle
}

// Keys puts the key of subjects[i] in keys[i], and makes those that are missing in one synced commit. The error wraps keyring.ErrNoKey
// where the ring has no current key, or lacks one that is needed, and state.ErrFull where the disk is full.
func (k *Keys) Keys(ctx context.Context, subjects []Subject, keys []*Key) (err error) {
	if len(subjects) != len(keys) {
		return fmt.Errorf("%d subjects and room for %d keys", len(subjects), len(keys))
	}
	clear(keys)
	defer func() {
		if err != nil {
			clear(keys)
		}
	}()
	// What is cached too must not be used when the ring's key was taken away.
	if _, err := k.ring.Current(); err != nil {
		return fmt.Errorf("looking for the current key: %w", err)
	}
	var missing []wanted
	looked := 0
	for i := range subjects {
		if subjects[i].ID == "" {
			continue
		}
		h := k.Handle(subjects[i])
		looked++
		key, known := k.lookup(h)
		if keys[i] = key; !known {
			missing = append(missing, wanted{i, h})
		}
	}
	k.hooks.looked(looked-len(missing), len(missing))
	for len(missing) > 0 {
		if missing, err = k.fetch(ctx, missing, keys, true); err != nil {
			return fmt.Errorf("fetching subject keys: %w", err)
		}
	}
	return nil
}

// Find returns the key that a value names.
func (k *Keys) Find(h Handle) (*Key, error) {
	key, known := k.lookup(h)
	k.hooks.looked(btoi(known), btoi(!known))
	missing, keys := []wanted{{0, h}}, []*Key{key}
	for !known && len(missing) > 0 {
		var err error
		if missing, err = k.fetch(context.Background(), missing, keys, false); err != nil {
			return nil, fmt.Errorf("finding subject key %s: %w", h, err)
		}
	}
	if keys[0] == nil {
		return nil, fmt.Errorf("finding subject key %s: %w", h, ErrErased)
	}
	return keys[0], nil
}

// fetch reads or makes what nobody else is at, and waits for the rest. It returns what is to be looked for again: what another call
// was at when this one came, and has ended without a key.
func (k *Keys) fetch(ctx context.Context, missing []wanted, keys []*Key, create bool) (again []wanted, err error) {
	var own []wanted
	var ours []*pending
	var theirs []*pending
	var waits []wanted
	k.mu.Lock()
	for _, w := range missing {
		if _, gone := k.erased[w.handle]; gone {
			continue
		}
		if keys[w.at] = k.cache.get(w.handle); keys[w.at] != nil {
			continue
		}
		if p := k.pending[w.handle]; p != nil {
			theirs, waits = append(theirs, p), append(waits, w) // our own too, where a subject comes twice in one call
			continue
		}
		p := &pending{done: make(chan struct{})}
		k.pending[w.handle] = p
		own, ours = append(own, w), append(ours, p)
	}
	k.mu.Unlock()

	if len(own) > 0 {
		made, err := k.obtain(own, ours, create)
		k.finish(own, ours, err)
		if made > 0 && err == nil && k.hooks.Created != nil {
			k.hooks.Created(made)
		}
		if err != nil {
			return nil, err
		}
		for i, w := range own {
			keys[w.at] = ours[i].key
		}
	}
	for i, w := range waits {
		select {
		case <-theirs[i].done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if theirs[i].err != nil && !errors.Is(theirs[i].err, ErrUnknown) {
			return nil, theirs[i].err
		}
		if keys[w.at] = theirs[i].key; keys[w.at] == nil {
			again = append(again, w)
		}
	}
	return again, nil
}

// obtain reads the keys, and makes those that are not there. Nobody else is at them.
func (k *Keys) obtain(own []wanted, ours []*pending, create bool) (made int, err error) {
	k.wrapping.RLock()
	defer k.wrapping.RUnlock()
	var b state.Batch
	var current *keyring.Key
	for i, w := range own {
		record, ok, err := k.store.Get(at(keysAt, w.handle))
		if err != nil {
			return 0, err
		}
		var raw [secretBytes]byte
		of := string(w.handle[:])
		switch {
		case ok:
			if raw, err = unwrap(k.ring, of, record); err != nil {
				return 0, err
			}
		case !create:
			return 0, ErrUnknown
		default:
			if current == nil {
				if current, err = k.ring.Current(); err != nil {
					return 0, err
				}
			}
			_, _ = rand.Read(raw[:]) // it never fails
			if record, err = wrap(current, of, &raw); err != nil {
				return 0, err
			}
			b.Set(at(keysAt, w.handle), record)
		}
		ours[i].key = newKey(k, w.handle, raw)
		clear(raw[:])
	}
	if len(b.Ops) == 0 {
		return 0, nil
	}
	// A commit that fails may be there all the same. Then the next call reads the key instead of making one.
	if err := k.store.Commit(&b); err != nil {
		return 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.count += len(b.Ops)
	return len(b.Ops), nil
}

// finish puts keys in the cache and lets those go on who wait for them.
func (k *Keys) finish(own []wanted, ours []*pending, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, w := range own {
		p := ours[i]
		if p.err = err; err != nil {
			p.key = nil
		} else {
			k.cache.put(p.key)
		}
		delete(k.pending, w.handle)
		close(p.done)
	}
}

// DropCache forgets the unwrapped keys that nobody uses. It is called when keys of the ring were taken away.
func (k *Keys) DropCache() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cache.clear()
}

func (h *Hooks) looked(hits, misses int) {
	if h.Looked != nil && hits+misses > 0 {
		h.Looked(hits, misses)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
