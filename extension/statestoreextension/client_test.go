// SPDX-License-Identifier: Apache-2.0

package statestoreextension

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/millrace/millrace/internal/state"
)

func newClient(t *testing.T, s *store, kind component.Kind, id, name string) *client {
	t.Helper()
	var cid component.ID
	require.NoError(t, cid.UnmarshalText([]byte(id)))
	c, err := s.GetClient(t.Context(), kind, cid, name)
	require.NoError(t, err)
	return c.(*client)
}

// content walks all of a client's keys.
func content(t *testing.T, c storage.Walker) map[string]string {
	t.Helper()
	m := map[string]string{}
	require.NoError(t, c.Walk(t.Context(), func(k string, v []byte) ([]*storage.Operation, error) {
		m[k] = string(v)
		return nil, nil
	}))
	return m
}

func TestAClientIsLikeAMap(t *testing.T) {
	s, _, _ := start(t, "s", vfs.NewMem())
	c := newClient(t, s, component.KindReceiver, "filelog", "offsets")
	ctx := t.Context()
	v, err := c.Get(ctx, "a")
	require.NoError(t, err)
	require.Nil(t, v, "no key is nil without an error")
	require.NoError(t, c.Delete(ctx, "a"))
	require.NoError(t, c.Set(ctx, "a", []byte("1")))
	require.NoError(t, c.Set(ctx, "a", []byte("2")))
	require.NoError(t, c.Set(ctx, "", []byte("the empty key")))
	require.NoError(t, c.Set(ctx, "empty", nil))
	require.Equal(t, map[string]string{"": "the empty key", "a": "2", "empty": ""}, content(t, c))
	v, err = c.Get(ctx, "empty")
	require.NoError(t, err)
	require.NotNil(t, v)
	require.Empty(t, v)
	require.NoError(t, c.Delete(ctx, "a"))
	v, err = c.Get(ctx, "a")
	require.NoError(t, err)
	require.Nil(t, v)
}

func TestABatchIsOne(t *testing.T) {
	s, _, _ := start(t, "s", vfs.NewMem())
	c := newClient(t, s, component.KindReceiver, "x", "")
	ctx := t.Context()
	require.NoError(t, c.Set(ctx, "a", []byte("1")))
	gets := []*storage.Operation{
		storage.GetOperation("a"), storage.GetOperation("b"), storage.GetOperation("b"), storage.GetOperation("a"), storage.GetOperation("none"),
	}
	require.NoError(t, c.Batch(ctx, gets[0], gets[1],
		storage.SetOperation("b", []byte("2")), gets[2],
		storage.DeleteOperation("a"), gets[3], gets[4]))
	require.Equal(t, "1", string(gets[0].Value))
	require.Nil(t, gets[1].Value)
	require.Equal(t, "2", string(gets[2].Value), "a get sees the changes before it")
	require.Nil(t, gets[3].Value)
	require.Nil(t, gets[4].Value)
	require.Equal(t, map[string]string{"b": "2"}, content(t, c))
	require.NoError(t, c.Batch(ctx))

	// One operation that cannot be carried out, and none is.
	require.Error(t, c.Batch(ctx, storage.SetOperation("c", nil), &storage.Operation{Type: 9}))
	require.Error(t, c.Batch(ctx, storage.SetOperation("c", nil), storage.SetOperation(string(make([]byte, state.MaxKeyBytes)), nil)))
	require.Equal(t, map[string]string{"b": "2"}, content(t, c))
}

func TestAWalkAppliesWhatItsFunctionReturns(t *testing.T) {
	s, _, _ := start(t, "s", vfs.NewMem())
	c := newClient(t, s, component.KindReceiver, "x", "")
	ctx := t.Context()
	for _, k := range []string{"a", "b", "c"} {
		require.NoError(t, c.Set(ctx, k, []byte(k)))
	}
	remove := func(k string, _ []byte) ([]*storage.Operation, error) {
		return []*storage.Operation{storage.DeleteOperation(k)}, nil
	}
	stop := errors.New("stop")
	require.ErrorIs(t, c.Walk(ctx, func(k string, v []byte) ([]*storage.Operation, error) {
		ops, _ := remove(k, v)
		if k == "b" {
			return ops, stop
		}
		return ops, nil
	}), stop)
	require.Len(t, content(t, c), 3, "an error discards all changes")

	get := storage.GetOperation("a")
	require.NoError(t, c.Walk(ctx, func(k string, v []byte) ([]*storage.Operation, error) {
		if k == "b" {
			return []*storage.Operation{storage.SetOperation("z", []byte("new")), get}, storage.SkipAll
		}
		return remove(k, v)
	}))
	require.Equal(t, map[string]string{"b": "b", "c": "c", "z": "new"}, content(t, c), "what is skipped stays, and what came before is applied")
	require.Nil(t, get.Value)

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, c.Walk(cancelled, remove), context.Canceled)
	require.Len(t, content(t, c), 3)
}

func TestNobodyReachesAnothersKeys(t *testing.T) {
	s, _, _ := start(t, "s", vfs.NewMem())
	own := state.Key([]byte(state.Own), []byte("positions"))
	var b state.Batch
	b.Set(own, []byte("own"))
	require.NoError(t, s.Store().Commit(&b))

	// Names that would be the same if they were only joined.
	clients := map[string]*client{}
	for _, kind := range []component.Kind{component.KindReceiver, component.KindProcessor, component.KindExporter, component.KindConnector, component.KindExtension} {
		for _, id := range []string{"a", "a/b", "a/b/c", "ab"} {
			for _, name := range []string{"", "b", "b/c", "\x00\x01", "\x00", "c"} {
				clients[fmt.Sprintf("%s %q %q", kind, id, name)] = newClient(t, s, kind, id, name)
			}
		}
	}
	keys := []string{"", "k", "\x00\x01", "\xff", "b\x00\x01k"}
	for who, c := range clients {
		for _, k := range keys {
			require.NoError(t, c.Set(t.Context(), k, []byte(who)))
		}
	}
	for who, c := range clients {
		got := content(t, c)
		require.Len(t, got, len(keys), who)
		for _, k := range keys {
			require.Equal(t, who, got[k])
		}
	}
	v, _, err := s.Store().Get(own)
	require.NoError(t, err)
	require.Equal(t, "own", string(v))

	// Another client of the same name has the same keys, and closing one leaves the other.
	c, again := newClient(t, s, component.KindReceiver, "a", "b"), newClient(t, s, component.KindReceiver, "a", "b")
	require.NoError(t, c.Set(t.Context(), "k", []byte("shared")))
	require.NoError(t, c.Close(t.Context()))
	require.ErrorIs(t, c.Set(t.Context(), "k", nil), errClientClosed)
	require.Equal(t, "shared", content(t, again)["k"])
}

func TestWhatReadsAndChangesIsNotInterrupted(t *testing.T) {
	s, _, _ := start(t, "s", vfs.NewMem())
	const workers, rounds = 4, 25
	var wg sync.WaitGroup
	c := newClient(t, s, component.KindProcessor, "count", "alone")
	require.NoError(t, c.Set(t.Context(), "n", []byte("0")))
	for range workers {
		wg.Go(func() {
			for range rounds {
				if err := c.Walk(context.Background(), func(_ string, v []byte) ([]*storage.Operation, error) {
					n, err := strconv.Atoi(string(v))
					return []*storage.Operation{storage.SetOperation("n", fmt.Append(nil, n+1))}, err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, strconv.Itoa(workers*rounds), content(t, c)["n"])
}

func TestClientsKeepTheirKeysOverARestart(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := start(t, dir, nil)
	c := newClient(t, s, component.KindExporter, "otlp/two", "traces")
	require.NoError(t, c.Set(t.Context(), "k", []byte("v")))
	before := maps.Clone(content(t, c))
	require.NoError(t, s.Shutdown(t.Context()))
	_, err := c.Get(t.Context(), "k")
	require.ErrorIs(t, err, state.ErrClosed)
	s, _, _ = start(t, dir, nil)
	require.Equal(t, before, content(t, newClient(t, s, component.KindExporter, "otlp/two", "traces")))
}
