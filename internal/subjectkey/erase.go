// SPDX-License-Identifier: Apache-2.0

package subjectkey

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/state"
)

// Erase destroys the subject's key. The tombstone and the end of the key are one commit, and with it the intent to remove the key's bytes
// from the store's files: when a crash comes between, or the error is of that part, Open or Purge does it. Of a subject who never had a
// key it keeps the tombstone: no later event gets one.
//
// What is being sealed at that moment ends before, and cannot be read after; what comes later answers ErrErased.
func (k *Keys) Erase(ctx context.Context, s Subject) (Erasure, error) {
	if s.ID == "" {
		return Erasure{}, fmt.Errorf("erasing: %w", ErrNobody)
	}
	return k.EraseHandle(ctx, k.Handle(s))
}

// EraseHandle is Erase of the subject that values name: whoever has one of them need not know under which ID its events came.
func (k *Keys) EraseHandle(ctx context.Context, h Handle) (Erasure, error) {
	p, err := k.claim(ctx, h)
	if err != nil {
		return Erasure{}, fmt.Errorf("erasing: %w", err)
	}
	e, err := k.bury(h)
	k.release(h, p)
	if err != nil {
		return Erasure{}, fmt.Errorf("erasing: %w", err)
	}
	if !e.Already && k.hooks.Erased != nil {
		k.hooks.Erased(e)
	}
	if err := k.purge(ctx, &h); err != nil {
		return e, fmt.Errorf("erasing: the key cannot be used any more, and its bytes are still to be removed: %w", err)
	}
	return e, nil
}

// claim waits until nobody is at the subject's key, and keeps all others off.
func (k *Keys) claim(ctx context.Context, h Handle) (*pending, error) {
	for {
		k.mu.Lock()
		other := k.pending[h]
		if other == nil {
			p := &pending{done: make(chan struct{})}
			k.pending[h] = p
			k.mu.Unlock()
			return p, nil
		}
		k.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (k *Keys) release(h Handle, p *pending) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.pending, h)
	close(p.done)
}

// bury commits the erasure, or finds that it is there.
func (k *Keys) bury(h Handle) (Erasure, error) {
	k.wrapping.RLock()
	defer k.wrapping.RUnlock()
	old, ok, err := k.store.Get(at(erasedAt, h))
	if err != nil {
		return Erasure{}, err
	}
	if ok {
		e, err := readTombstone(h, old)
		e.Already = true
		return e, err
	}
	_, had, err := k.store.Get(at(keysAt, h))
	if err != nil {
		return Erasure{}, err
	}
	e := Erasure{Handle: h, At: k.now().UTC(), HadKey: had}
	var b state.Batch
	b.Set(at(erasedAt, h), tombstone(e.At, had))
	if had {
		b.Delete(at(keysAt, h))
		b.Set(at(purgeAt, h), nil)
	}
	if err := k.store.Commit(&b); err != nil {
		return Erasure{}, err
	}
	k.mu.Lock()
	k.erased[h] = struct{}{}
	if had {
		k.unpurged[h] = struct{}{}
		k.count--
	}
	cached := k.cache.remove(h)
	k.mu.Unlock()
	k.erasures.Add(1)
	if cached != nil {
		cached.hidden().destroy()
	}
	return e, nil
}

// Unpurged is how many erasures there are whose bytes may still be in a file: a disk was full, or Erase is under way.
func (k *Keys) Unpurged() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.unpurged) + btoi(k.purgeAll)
}

// Purge removes from the store's files what is left over of erasures that an error or a crash ended.
func (k *Keys) Purge(ctx context.Context) error { return k.purge(ctx, nil) }

// purgeOneByOne is up to how many keys are looked for in the files singly, instead of all keys at once.
const purgeOneByOne = 100

// purge removes what is left over. Calls at the same time share it: nothing is done where another one has done it for the handle.
func (k *Keys) purge(ctx context.Context, only *Handle) error {
	select {
	case k.purging <- struct{}{}:
		defer func() { <-k.purging }()
	case <-ctx.Done():
		return ctx.Err()
	}
	k.mu.RLock()
	all := k.purgeAll
	var handles []Handle
	for h := range k.unpurged {
		handles = append(handles, h)
	}
	needed := all || len(handles) > 0
	if only != nil {
		_, needed = k.unpurged[*only]
	}
	k.mu.RUnlock()
	if !needed {
		return nil
	}

	ranges := []state.KeyRange{{From: keysAt, To: state.PrefixEnd(keysAt)}, {From: handleKeyAt, To: state.PrefixEnd(handleKeyAt)}}
	if !all && len(handles) <= purgeOneByOne {
		ranges = ranges[:0]
		for _, h := range handles {
			from := at(keysAt, h)
			ranges = append(ranges, state.KeyRange{From: from, To: state.PrefixEnd(from)})
		}
	}
	if err := k.purger.Purge(ctx, ranges...); err != nil {
		return fmt.Errorf("purging: %w", err)
	}
	var b state.Batch
	for _, h := range handles {
		b.Delete(at(purgeAt, h))
	}
	if all {
		b.Delete(purgeAllAt)
	}
	// Not said yet that it is done: a crash here repeats it.
	if err := k.store.Commit(&b); err != nil {
		return fmt.Errorf("noting a purge: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, h := range handles {
		delete(k.unpurged, h)
	}
	if all {
		k.purgeAll = false
	}
	return nil
}

var errEnough = errors.New("enough")

// Erasures returns up to limit erasures in the order of their handles, after a handle, or from the first where it is zero.
func (k *Keys) Erasures(after Handle, limit int) ([]Erasure, error) {
	from := erasedAt
	if after != (Handle{}) {
		from = state.PrefixEnd(at(erasedAt, after))
	}
	var list []Erasure
	err := k.store.Range(from, state.PrefixEnd(erasedAt), func(key, value []byte) error {
		if len(list) == limit {
			return errEnough
		}
		h, err := handleOf(erasedAt, key)
		if err != nil {
			return err
		}
		e, err := readTombstone(h, value)
		if err != nil {
			return err
		}
		list = append(list, e)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("listing erasures: %w", err)
	}
	return list, nil
}
