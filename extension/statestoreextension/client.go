// SPDX-License-Identifier: Apache-2.0

package statestoreextension

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/millrace/millrace/internal/state"
)

var (
	errNotStarted   = errors.New("the state_store extension has not started: list it under service::extensions")
	errClientClosed = errors.New("the storage client is closed")
)

// keyspace is what all clients of one component's storage share.
type keyspace struct {
	prefix []byte
	// order is held for writing by what reads and then changes: a Walk, and a Batch that does both. What only changes
	// holds it for reading, so that concurrent commits share a sync. What only reads needs no lock.
	order sync.RWMutex
}

// GetClient returns a client of the component's own keys. Clients of one kind, ID and name see the same keys.
func (s *store) GetClient(_ context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	p := s.current.Load()
	if p == nil {
		return nil, errNotStarted
	}
	// Parts are told apart, so no prefix begins another, and state.Own begins none.
	prefix := state.Key([]byte("storage"), []byte(kind.String()), []byte(id.String()), []byte(name))
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keyspaces[string(prefix)]
	if k == nil {
		k = &keyspace{prefix: prefix}
		s.keyspaces[string(prefix)] = k
	}
	return &client{store: p, space: k}, nil
}

// client is a component's storage. Any goroutine may use it.
type client struct {
	store  state.Store
	space  *keyspace
	closed atomic.Bool
}

var (
	_ storage.Client = (*client)(nil)
	_ storage.Walker = (*client)(nil)
)

func (c *client) key(k string) []byte {
	return append(append(make([]byte, 0, len(c.space.prefix)+len(k)), c.space.prefix...), k...)
}

func (c *client) usable(ctx context.Context) error {
	if c.closed.Load() {
		return errClientClosed
	}
	return ctx.Err()
}

// Get returns the value, or nil where there is none.
func (c *client) Get(ctx context.Context, key string) ([]byte, error) {
	if err := c.usable(ctx); err != nil {
		return nil, err
	}
	v, _, err := c.store.Get(c.key(key))
	return v, err
}

// Set stores a value: it is durable when Set returns.
func (c *client) Set(ctx context.Context, key string, value []byte) error {
	return c.Batch(ctx, storage.SetOperation(key, value))
}

// Delete removes a key, if it is there.
func (c *client) Delete(ctx context.Context, key string) error {
	return c.Batch(ctx, storage.DeleteOperation(key))
}

// Batch carries out the operations in their order as one: all changes are durable when it returns nil, and a get sees
// the changes before it.
func (c *client) Batch(ctx context.Context, ops ...*storage.Operation) error {
	if err := c.usable(ctx); err != nil {
		return err
	}
	reads, writes := false, false
	for _, op := range ops {
		reads, writes = reads || op.Type == storage.Get, writes || op.Type != storage.Get
	}
	switch {
	case reads && (writes || len(ops) > 1):
		c.space.order.Lock()
		defer c.space.order.Unlock()
	case writes:
		c.space.order.RLock()
		defer c.space.order.RUnlock()
	}
	return c.apply(ops)
}

// apply gets and commits. The caller holds order as Batch does.
func (c *client) apply(ops []*storage.Operation) error {
	var batch state.Batch
	var changed map[string][]byte // by this batch so far; nil is deleted
	var got [][]byte              // as ops; nothing is written into them before the commit
	for i, op := range ops {
		switch op.Type {
		case storage.Get:
			if got == nil {
				got = make([][]byte, len(ops))
			}
			if v, ok := changed[op.Key]; ok {
				got[i] = v
				continue
			}
			v, _, err := c.store.Get(c.key(op.Key))
			if err != nil {
				return err
			}
			got[i] = v
		case storage.Set, storage.Delete:
			if changed == nil {
				changed = make(map[string][]byte, len(ops))
			}
			if op.Type == storage.Delete {
				batch.Delete(c.key(op.Key))
				changed[op.Key] = nil
				continue
			}
			batch.Set(c.key(op.Key), op.Value)
			changed[op.Key] = append(make([]byte, 0, len(op.Value)), op.Value...)
		default:
			return fmt.Errorf("operation of unknown type %d", op.Type)
		}
	}
	if len(batch.Ops) > 0 {
		if err := c.store.Commit(&batch); err != nil {
			if errors.Is(err, state.ErrFull) {
				return fmt.Errorf("%w: %w", storage.ErrStorageFull, err)
			}
			return err
		}
	}
	for i, op := range ops {
		if op.Type == storage.Get {
			op.Value = got[i]
		}
	}
	return nil
}

// Walk calls fn for each key, in order, and carries out what it returned as one batch, with nothing of another client
// between. fn may read by a client of the same storage, and must not change by one.
func (c *client) Walk(ctx context.Context, fn storage.WalkFunc) error {
	if err := c.usable(ctx); err != nil {
		return err
	}
	c.space.order.Lock()
	defer c.space.order.Unlock()
	var ops []*storage.Operation
	err := c.store.Range(c.space.prefix, state.PrefixEnd(c.space.prefix), func(k, v []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := fn(string(k[len(c.space.prefix):]), v)
		if err == nil || errors.Is(err, storage.SkipAll) {
			ops = append(ops, more...)
		}
		return err
	})
	if err != nil && !errors.Is(err, storage.SkipAll) {
		return err
	}
	return c.apply(ops)
}

// Close ends this client, not the store.
func (c *client) Close(context.Context) error {
	c.closed.Store(true)
	return nil
}
