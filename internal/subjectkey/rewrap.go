// SPDX-License-Identifier: Apache-2.0

package subjectkey

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/state"
)

// rewrapBatch bounds the records that Rewrap looks at while no key can be made or erased.
const rewrapBatch = 1000

// Rewrap wraps all keys by the ring's current key that are wrapped by another one, and removes the old forms from the store's files: then
// nothing needs the others any more. It returns how many it wrapped anew. It goes in batches, between which keys are made and
// erased as ever, and can be ended and called again. Keys whose own ring key is missing are left, and said so at the end.
func (k *Keys) Rewrap(ctx context.Context) (wrapped int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("wrapping subject keys anew: %w", err)
		}
	}()
	current, err := k.ring.Current()
	if err != nil {
		return 0, err
	}
	if wrapped, err = k.rewrapHandles(current); err != nil {
		return wrapped, err
	}
	var lost error
	for from := keysAt; from != nil; {
		if err := ctx.Err(); err != nil {
			return wrapped, err
		}
		n, next, missing, err := k.rewrapBatch(current, from)
		wrapped += n
		if err != nil {
			return wrapped, err
		}
		if missing != nil {
			lost = missing
		}
		from = next
	}
	if err := k.purge(ctx, nil); err != nil {
		return wrapped, err
	}
	return wrapped, lost
}

func (k *Keys) rewrapHandles(current *keyring.Key) (int, error) {
	k.wrapping.Lock()
	defer k.wrapping.Unlock()
	record, ok, err := k.store.Get(handleKeyAt)
	if err != nil || !ok {
		return 0, err
	}
	if id, _, err := wrappedBy(record); err != nil || id == current.ID() {
		return 0, err
	}
	raw, err := unwrap(k.ring, "handles", record)
	if err != nil {
		return 0, err
	}
	defer clear(raw[:])
	if record, err = wrap(current, "handles", &raw); err != nil {
		return 0, err
	}
	var b state.Batch
	b.Set(handleKeyAt, record)
	return 1, k.commitRewrapped(&b)
}

// rewrapBatch looks at some records from a key on, and returns where to go on; nil at the end.
func (k *Keys) rewrapBatch(current *keyring.Key, from []byte) (wrapped int, next []byte, missing, err error) {
	k.wrapping.Lock()
	defer k.wrapping.Unlock()
	var b state.Batch
	looked := 0
	err = k.store.Range(from, state.PrefixEnd(keysAt), func(key, record []byte) error {
		if looked++; looked > rewrapBatch {
			next = append([]byte(nil), key...)
			return errEnough
		}
		id, _, err := wrappedBy(record)
		if err != nil || id == current.ID() {
			return err
		}
		h, err := handleOf(keysAt, key)
		if err != nil {
			return err
		}
		raw, err := unwrap(k.ring, string(h[:]), record)
		if errors.Is(err, keyring.ErrNoKey) {
			missing = err
			return nil
		}
		if err != nil {
			return err
		}
		again, err := wrap(current, string(h[:]), &raw)
		clear(raw[:])
		if err == nil {
			b.Set(key, again)
		}
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return 0, nil, nil, err
	}
	if wrapped = len(b.Ops); wrapped > 0 {
		if err := k.commitRewrapped(&b); err != nil {
			return 0, nil, nil, err
		}
	}
	return wrapped, next, missing, nil
}

// commitRewrapped commits keys with the intent to remove their old forms from the files.
func (k *Keys) commitRewrapped(b *state.Batch) error {
	b.Set(purgeAllAt, nil)
	if err := k.store.Commit(b); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.purgeAll = true
	return nil
}

// WrappedBy counts the keys by the ID of the ring's key that they are wrapped by, the key of handles among them. A ring's key that
// is not among the IDs is not needed here any more. It reads the whole store.
func (k *Keys) WrappedBy(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	count := func(_, record []byte) error {
		id, _, err := wrappedBy(record)
		if err != nil {
			return err
		}
		counts[id]++
		return ctx.Err()
	}
	for _, prefix := range [][]byte{handleKeyAt, keysAt} {
		if err := k.store.Range(prefix, state.PrefixEnd(prefix), count); err != nil {
			return nil, fmt.Errorf("counting subject keys: %w", err)
		}
	}
	return counts, nil
}
