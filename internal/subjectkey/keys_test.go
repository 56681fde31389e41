// SPDX-License-Identifier: Apache-2.0

package subjectkey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/state"
)

// secretSource is a ring's key of a test: 32 bytes that the name makes.
type secretSource struct {
	name string
	gone atomic.Bool
}

func (s *secretSource) Load(context.Context) ([]byte, error) {
	if s.gone.Load() {
		return nil, keyring.ErrGone
	}
	return []byte(fmt.Sprintf("%064x", []byte(s.name))), nil
}

// ringOf opens a ring whose first key is current.
func ringOf(t testing.TB, ids ...string) (*keyring.KeyRing, map[string]*secretSource) {
	t.Helper()
	var cfg keyring.Config
	sources, own := map[string]keyring.Source{}, map[string]*secretSource{}
	for i, id := range ids {
		own[id] = &secretSource{name: "key " + id}
		sources[id] = own[id]
		cfg = append(cfg, keyring.KeyConfig{ID: id, Env: "UNUSED", ActiveFrom: time.Unix(int64(1000-i), 0)})
	}
	r, err := keyring.Open(context.Background(), cfg, keyring.Options{Sources: sources})
	require.NoError(t, err)
	return r, own
}

func storeOn(t testing.TB, fsys vfs.FS) *state.Pebble {
	t.Helper()
	s, err := state.Open("s", state.Options{FS: fsys, MemTableBytes: 64 << 10})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openKeys(t testing.TB, s state.Store, r keyring.Ring, o Options) *Keys {
	t.Helper()
	k, err := Open(s, r, o)
	require.NoError(t, err)
	return k
}

func subject(i int) Subject { return Subject{Tenant: "t", ID: fmt.Sprintf("user-%d", i)} }

func get(t testing.TB, k *Keys, subjects ...Subject) []*Key {
	t.Helper()
	keys := make([]*Key, len(subjects))
	require.NoError(t, k.Keys(context.Background(), subjects, keys))
	return keys
}

func seal(t testing.TB, k *Key, text string) []byte {
	t.Helper()
	sealed, err := k.Seal(nil, []byte(text), []byte("aad"))
	require.NoError(t, err)
	require.Len(t, sealed, len(text)+Overhead)
	return sealed
}

func unseal(t testing.TB, k *Key, sealed []byte) string {
	t.Helper()
	plain, err := k.Open(nil, sealed, []byte("aad"))
	require.NoError(t, err)
	return string(plain)
}

// holders names the files that hold some bytes.
func holders(t testing.TB, fsys vfs.FS, secret []byte) (found []string) {
	t.Helper()
	names, err := fsys.List("s")
	require.NoError(t, err)
	for _, n := range names {
		f, err := fsys.Open(fsys.PathJoin("s", n))
		if err != nil {
			continue // removed meanwhile
		}
		content, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		if bytes.Contains(content, secret) {
			found = append(found, n)
		}
	}
	return found
}

// sealedIn returns what of a subject's record no other has: the encrypted key.
func sealedIn(t testing.TB, s state.Store, h Handle) []byte {
	t.Helper()
	record, ok, err := s.Get(at(keysAt, h))
	require.NoError(t, err)
	require.True(t, ok)
	_, sealed, err := wrappedBy(record)
	require.NoError(t, err)
	return sealed
}

func TestAPersonHasOneKeyThatOutlivesTheProcess(t *testing.T) {
	mem := vfs.NewMem()
	r, _ := ringOf(t, "k1")
	s := storeOn(t, mem)
	k := openKeys(t, s, r, Options{})
	nobody := Subject{Tenant: "t"}
	other := Subject{Tenant: "u", ID: "user-1"}
	keys := get(t, k, subject(1), nobody, subject(2), subject(1), other)
	require.Nil(t, keys[1])
	require.Same(t, keys[0], keys[3])
	require.Equal(t, 3, k.Count())
	require.NotEqual(t, keys[0].Handle(), keys[4].Handle(), "a person of another tenant is another one")
	require.Equal(t, k.Handle(subject(1)), keys[0].Handle())
	require.NotEqual(t, k.Handle(Subject{"a", "bc"}), k.Handle(Subject{"ab", "c"}))

	sealed := seal(t, keys[0], "ann@example.com")
	require.NotEqual(t, sealed, seal(t, keys[0], "ann@example.com"), "equal values are not seen to be equal")
	require.Equal(t, "ann@example.com", unseal(t, keys[0], sealed))
	for _, wrong := range []*Key{keys[2], keys[4]} {
		_, err := wrong.Open(nil, sealed, []byte("aad"))
		require.ErrorIs(t, err, ErrSealed)
	}
	_, err := keys[0].Open(nil, sealed, nil)
	require.ErrorIs(t, err, ErrSealed)
	_, err = keys[0].Open(nil, sealed[:5], []byte("aad"))
	require.ErrorIs(t, err, ErrSealed)

	require.NoError(t, s.Close())
	k = openKeys(t, storeOn(t, mem), r, Options{})
	require.Equal(t, 3, k.Count())
	require.Equal(t, keys[0].Handle(), k.Handle(subject(1)))
	found, err := k.Find(keys[0].Handle())
	require.NoError(t, err)
	require.Equal(t, "ann@example.com", unseal(t, found, sealed))
	_, err = k.Find(Handle{1})
	require.ErrorIs(t, err, ErrUnknown)
	require.Equal(t, 3, k.Count())
}

func TestTheStoreHasNoKeyInClear(t *testing.T) {
	mem := vfs.NewMem()
	r, _ := ringOf(t, "k1")
	k := openKeys(t, storeOn(t, mem), r, Options{})
	key := get(t, k, Subject{"tenant-name", "person-name"})[0]
	raw := key.hidden().raw
	require.NotZero(t, raw)
	for _, secret := range [][]byte{raw[:8], []byte("person-name"), []byte("tenant-name")} {
		require.Empty(t, holders(t, mem, secret))
	}
	h := key.Handle()
	require.NotEmpty(t, holders(t, mem, sealedIn(t, k.store, h)), "the search finds what is there")
}

func TestAKeyHasNoTextForm(t *testing.T) {
	r, _ := ringOf(t, "k1")
	key := get(t, openKeys(t, storeOn(t, vfs.NewMem()), r, Options{}), subject(1))[0]
	seal(t, key, "x")
	want := "subject key " + key.Handle().String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Equal(t, want, fmt.Sprintf(verb, key))
	}
	b, err := json.Marshal(map[string]any{"key": key})
	require.NoError(t, err)
	require.JSONEq(t, `{"key":"`+want+`"}`, string(b))
	h, err := ParseHandle(key.Handle().String())
	require.NoError(t, err)
	require.Equal(t, key.Handle(), h)
	_, err = ParseHandle("12")
	require.Error(t, err)
	require.Equal(t, "no subject key", (*Key)(nil).String())
}

func TestAnErasedPersonHasNoKeyAndNoFileHasIt(t *testing.T) {
	mem := vfs.NewMem()
	r, _ := ringOf(t, "k1")
	s := storeOn(t, mem)
	now := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	var erased []Erasure
	k := openKeys(t, s, r, Options{Now: func() time.Time { return now }, Hooks: Hooks{Erased: func(e Erasure) { erased = append(erased, e) }}})
	keys := get(t, k, subject(1), subject(2))
	sealed := seal(t, keys[0], "ann@example.com")
	record := sealedIn(t, s, keys[0].Handle())
	require.NotEmpty(t, holders(t, mem, record))
	// Somebody lets the cache forget a key that a batch still holds.
	k.DropCache()
	fresh := get(t, k, subject(1))[0]
	require.NotSame(t, keys[0], fresh)

	e, err := k.Erase(context.Background(), subject(1))
	require.NoError(t, err)
	want := Erasure{Handle: keys[0].Handle(), At: now, HadKey: true}
	require.Equal(t, want, e)
	require.Empty(t, holders(t, mem, record))
	require.Zero(t, k.Unpurged())
	require.Equal(t, 1, k.Count())
	for _, held := range []*Key{keys[0], fresh} {
		_, err = held.Seal(nil, []byte("new"), nil)
		require.ErrorIs(t, err, ErrErased)
		_, err = held.Open(nil, sealed, []byte("aad"))
		require.ErrorIs(t, err, ErrErased)
		require.Zero(t, held.hidden().raw)
	}
	check := func(k *Keys) {
		t.Helper()
		require.True(t, k.Erased(subject(1)))
		require.False(t, k.Erased(subject(2)))
		require.Nil(t, get(t, k, subject(1))[0])
		_, err = k.Find(want.Handle)
		require.ErrorIs(t, err, ErrErased)
		require.NotNil(t, get(t, k, subject(2))[0])
	}
	check(k)
	now = now.Add(time.Hour)
	e, err = k.Erase(context.Background(), subject(1))
	require.NoError(t, err)
	want.Already = true
	require.Equal(t, want, e)
	require.Len(t, erased, 1)

	// One who never had a key gets none later.
	e, err = k.Erase(context.Background(), subject(3))
	require.NoError(t, err)
	require.Equal(t, Erasure{Handle: k.Handle(subject(3)), At: now}, e)
	require.Nil(t, get(t, k, subject(3))[0])
	_, err = k.Erase(context.Background(), Subject{Tenant: "t"})
	require.ErrorIs(t, err, ErrNobody)

	require.NoError(t, s.Close())
	k = openKeys(t, storeOn(t, mem), r, Options{})
	check(k)
	list, err := k.Erasures(Handle{}, 10)
	require.NoError(t, err)
	require.Len(t, list, 2)
	next, err := k.Erasures(list[0].Handle, 10)
	require.NoError(t, err)
	require.Equal(t, list[1:], next)
	list, err = k.Erasures(Handle{}, 1)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

// gated is a store whose commits and purges can be held up or fail.
type gated struct {
	*state.Pebble
	commit func() error // before each; nil is nothing
	purge  func() error
}

func (g *gated) Commit(b *state.Batch) error {
	if g.commit != nil {
		if err := g.commit(); err != nil {
			return err
		}
	}
	return g.Pebble.Commit(b)
}

func (g *gated) Purge(ctx context.Context, r ...state.KeyRange) error {
	if g.purge != nil {
		if err := g.purge(); err != nil {
			return err
		}
	}
	return g.Pebble.Purge(ctx, r...)
}

func TestMissingKeysAreMadeInOneCommit(t *testing.T) {
	r, _ := ringOf(t, "k1")
	s := &gated{Pebble: storeOn(t, vfs.NewMem())}
	var created []int
	k := openKeys(t, s, r, Options{Hooks: Hooks{Created: func(n int) { created = append(created, n) }}})
	commits := 0
	s.commit = func() error { commits++; return nil }
	var subjects []Subject
	for i := range 500 {
		subjects = append(subjects, subject(i%400))
	}
	get(t, k, subjects...)
	require.Equal(t, 1, commits)
	require.Equal(t, []int{400}, created)
	get(t, k, subjects...)
	require.Equal(t, 1, commits)
}

func TestAFullStoreGivesNoKey(t *testing.T) {
	r, _ := ringOf(t, "k1")
	s := &gated{Pebble: storeOn(t, vfs.NewMem())}
	k := openKeys(t, s, r, Options{})
	get(t, k, subject(1))
	s.commit = func() error { return fmt.Errorf("committing: %w", state.ErrFull) }
	keys := make([]*Key, 2)
	require.ErrorIs(t, k.Keys(context.Background(), []Subject{subject(1), subject(2)}, keys), state.ErrFull)
	require.Equal(t, []*Key{nil, nil}, keys)
	_, err := k.Erase(context.Background(), subject(1))
	require.ErrorIs(t, err, state.ErrFull)
	require.NotNil(t, get(t, k, subject(1))[0], "an erasure that failed changes nothing")
	s.commit = nil
	require.NotNil(t, get(t, k, subject(2))[0])
	require.Equal(t, 2, k.Count())
}

func TestConcurrentCallsForANewPersonGiveOneKey(t *testing.T) {
	r, _ := ringOf(t, "k1")
	s := &gated{Pebble: storeOn(t, vfs.NewMem())}
	k := openKeys(t, s, r, Options{})
	begun, release := make(chan struct{}, 100), make(chan struct{})
	s.commit = func() error { begun <- struct{}{}; <-release; return nil }
	var wg sync.WaitGroup
	got := make([][]*Key, 8)
	call := func(i int) {
		got[i] = make([]*Key, 2)
		// Each has a new person of its own beside the one of all.
		if err := k.Keys(context.Background(), []Subject{subject(0), subject(1 + i)}, got[i]); err != nil {
			t.Errorf("getting keys: %v", err)
		}
	}
	wg.Go(func() { call(0) })
	<-begun
	for i := 1; i < len(got); i++ {
		wg.Go(func() { call(i) })
	}
	for range len(got) - 1 {
		<-begun // none waits for another's person before it has made its own
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, k.Keys(ctx, []Subject{subject(0)}, make([]*Key, 1)), context.Canceled)
	close(release)
	wg.Wait()
	for _, keys := range got {
		require.Same(t, got[0][0], keys[0])
	}
	require.Equal(t, 1+len(got), k.Count())
}

func TestWhoWaitsForAnothersCommitGetsItsError(t *testing.T) {
	r, _ := ringOf(t, "k1")
	s := &gated{Pebble: storeOn(t, vfs.NewMem())}
	k := openKeys(t, s, r, Options{})
	broken := errors.New("broken")
	begun, release := make(chan struct{}), make(chan struct{})
	tell := sync.OnceFunc(func() { close(begun) })
	s.commit = func() error { tell(); <-release; return broken }
	errs := make(chan error, 2)
	call := func() { errs <- k.Keys(context.Background(), []Subject{subject(0)}, make([]*Key, 1)) }
	go call()
	<-begun
	go call()
	close(release)
	// The second one waited, or came after and tried itself.
	require.ErrorIs(t, <-errs, broken)
	require.ErrorIs(t, <-errs, broken)
	s.commit = nil
	require.NotNil(t, get(t, k, subject(0))[0])
}

func TestAPurgeThatFailedIsRepeated(t *testing.T) {
	mem := vfs.NewMem()
	r, _ := ringOf(t, "k1")
	s := &gated{Pebble: storeOn(t, mem)}
	k := openKeys(t, s, r, Options{})
	handle := get(t, k, subject(1))[0].Handle()
	record := sealedIn(t, s, handle)
	broken := errors.New("broken")
	s.purge = func() error { return broken }
	e, err := k.Erase(context.Background(), subject(1))
	require.ErrorIs(t, err, broken)
	require.Equal(t, handle, e.Handle)
	require.True(t, k.Erased(subject(1)), "the key is of no use to anyone already")
	require.Equal(t, 1, k.Unpurged())
	require.NotEmpty(t, holders(t, mem, record))
	// As a process does that ended there, and one that finds the disk no better.
	k = openKeys(t, s, r, Options{})
	require.Equal(t, 1, k.Unpurged())
	s.purge = nil
	k = openKeys(t, s, r, Options{})
	require.Zero(t, k.Unpurged())
	require.Empty(t, holders(t, mem, record))

	// In the same process: by calling it again, or by Purge.
	for n, again := range []func(s Subject) error{
		func(s Subject) error { _, err := k.Erase(context.Background(), s); return err },
		func(Subject) error { return k.Purge(context.Background()) },
	} {
		next := subject(10 + n)
		record = sealedIn(t, s, get(t, k, next)[0].Handle())
		s.purge = func() error { return broken }
		_, err = k.Erase(context.Background(), next)
		require.ErrorIs(t, err, broken)
		s.purge = nil
		require.NoError(t, again(next))
		require.Zero(t, k.Unpurged())
		require.Empty(t, holders(t, mem, record))
	}
}

func TestRotationWrapsAllKeysAnewAndNeedsTheOldOneNoMore(t *testing.T) {
	mem := vfs.NewMem()
	s := storeOn(t, mem)
	before, _ := ringOf(t, "k1")
	k := openKeys(t, s, before, Options{})
	var subjects []Subject
	for i := range 2*rewrapBatch + 100 {
		subjects = append(subjects, subject(i))
	}
	keys := get(t, k, subjects...)
	sealed := seal(t, keys[7], "ann")
	old := sealedIn(t, s, keys[7].Handle())
	handles, _, err := s.Get(handleKeyAt)
	require.NoError(t, err)

	both, _ := ringOf(t, "k2", "k1")
	k = openKeys(t, s, both, Options{})
	get(t, k, subject(-1))
	counts, err := k.WrappedBy(context.Background())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"k1": len(subjects) + 1, "k2": 1}, counts)
	// A first attempt is cut off after some batches; what it did stays.
	ctx, cancel := context.WithCancel(context.Background())
	stops := &gated{Pebble: s}
	commits := 0
	stops.commit = func() error {
		if commits++; commits == 2 {
			cancel()
		}
		return nil
	}
	first, err := openKeys(t, stops, both, Options{}).Rewrap(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Contains(t, []int{rewrapBatch, 1 + rewrapBatch}, first, "the handles' key and a batch, in which there may be the one that needs nothing")
	k = openKeys(t, s, both, Options{})
	rest, err := k.Rewrap(context.Background())
	require.NoError(t, err)
	require.Equal(t, len(subjects)+1, first+rest)
	counts, err = k.WrappedBy(context.Background())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"k2": len(subjects) + 2}, counts)
	require.Empty(t, holders(t, mem, old), "whoever has the old key and the disk has nothing")
	require.Empty(t, holders(t, mem, handles[4:]))
	again, err := k.Rewrap(context.Background())
	require.NoError(t, err)
	require.Zero(t, again)

	after, _ := ringOf(t, "k2")
	k = openKeys(t, s, after, Options{})
	require.Equal(t, keys[7].Handle(), k.Handle(subject(7)), "a person's handle never changes")
	require.Equal(t, "ann", unseal(t, get(t, k, subject(7))[0], sealed))
}

func TestWithoutTheRingsKeyNothingIsGiven(t *testing.T) {
	s := storeOn(t, vfs.NewMem())
	both, sources := ringOf(t, "k2", "k1")
	old, _ := ringOf(t, "k1")
	k := openKeys(t, s, old, Options{})
	get(t, k, subject(1))
	k = openKeys(t, s, both, Options{})
	get(t, k, subject(1), subject(2))

	none, _ := ringOf(t, "k3")
	_, err := Open(s, none, Options{})
	require.ErrorIs(t, err, keyring.ErrNoKey)
	require.ErrorContains(t, err, `"k1"`)

	// The current one is taken away while in use: what is cached does not help.
	sources["k2"].gone.Store(true)
	_, err = both.Reload(context.Background())
	require.NoError(t, err)
	keys := make([]*Key, 1)
	require.ErrorIs(t, k.Keys(context.Background(), []Subject{subject(2)}, keys), keyring.ErrNoKey)
	require.Nil(t, keys[0])
	sources["k2"].gone.Store(false)
	sources["k1"].gone.Store(true)
	_, err = both.Reload(context.Background())
	require.NoError(t, err)
	k.DropCache()
	require.NoError(t, k.Keys(context.Background(), []Subject{subject(2)}, keys))
	require.ErrorIs(t, k.Keys(context.Background(), []Subject{subject(1)}, keys), keyring.ErrNoKey)
	_, err = k.Find(k.Handle(subject(1)))
	require.ErrorIs(t, err, keyring.ErrNoKey)
	_, err = k.Rewrap(context.Background())
	require.ErrorIs(t, err, keyring.ErrNoKey)
	// A person can be forgotten all the same.
	e, err := k.Erase(context.Background(), subject(1))
	require.NoError(t, err)
	require.True(t, e.HadKey)
}

func TestRewrapLeavesAKeyThatItCannotReadAndSaysSo(t *testing.T) {
	s := storeOn(t, vfs.NewMem())
	one, _ := ringOf(t, "k1")
	k := openKeys(t, s, one, Options{})
	get(t, k, subject(1))
	two, _ := ringOf(t, "k2", "k1")
	k = openKeys(t, s, two, Options{})
	n, err := k.rewrapHandles(must(two.Current()))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	three, _ := ringOf(t, "k3", "k2")
	k = openKeys(t, s, three, Options{})
	get(t, k, subject(2))
	n, err = k.Rewrap(context.Background())
	require.ErrorIs(t, err, keyring.ErrNoKey)
	require.Equal(t, 1, n)
	counts, err := k.WrappedBy(context.Background())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"k1": 1, "k3": 2}, counts)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestAKeyOfTheSameNameButAnotherSecretIsNotTaken(t *testing.T) {
	s := storeOn(t, vfs.NewMem())
	r, _ := ringOf(t, "k1")
	openKeys(t, s, r, Options{})
	cfg := keyring.Config{{ID: "k1", Env: "UNUSED"}}
	other, err := keyring.Open(context.Background(), cfg, keyring.Options{Sources: map[string]keyring.Source{"k1": &secretSource{name: "another"}}})
	require.NoError(t, err)
	_, err = Open(s, other, Options{})
	require.ErrorContains(t, err, "another than it was")
}

func TestTheCacheIsBounded(t *testing.T) {
	r, _ := ringOf(t, "k1")
	var hits, misses int
	k := openKeys(t, storeOn(t, vfs.NewMem()), r, Options{CacheKeys: 10, Hooks: Hooks{Looked: func(h, m int) { hits += h; misses += m }}})
	for i := range 100 {
		get(t, k, subject(i+1), subject(0)) // the latter is in use all the time
	}
	require.Len(t, k.cache.index, 10)
	require.LessOrEqual(t, len(k.cache.slots), 10)
	require.Equal(t, 101, misses, "what is used is kept")
	require.Equal(t, 99, hits)
	first := get(t, k, subject(0))[0]
	for i := range 50 {
		if i == 25 {
			_, err := k.Erase(context.Background(), subject(0))
			require.NoError(t, err)
		}
		get(t, k, subject(i+1))
	}
	require.Len(t, k.cache.index, 10)
	_, err := first.Seal(nil, nil, nil)
	require.ErrorIs(t, err, ErrErased)
}

func TestOnlySoManyKeysHaveACipher(t *testing.T) {
	r, _ := ringOf(t, "k1")
	k := openKeys(t, storeOn(t, vfs.NewMem()), r, Options{})
	var subjects []Subject
	for i := range expandedKeys + 100 {
		subjects = append(subjects, subject(i))
	}
	keys := get(t, k, subjects...)
	var sealed [][]byte
	for _, key := range keys {
		sealed = append(sealed, seal(t, key, "x"))
	}
	with := 0
	for _, key := range keys {
		if key.hidden().aead != nil {
			with++
		}
	}
	require.Equal(t, expandedKeys, with)
	for i, key := range keys {
		require.Equal(t, "x", unseal(t, key, sealed[i]))
	}
}

func TestAStoreThatCannotPurgeIsRefused(t *testing.T) {
	r, _ := ringOf(t, "k1")
	_, err := Open(struct{ state.Store }{storeOn(t, vfs.NewMem())}, r, Options{})
	require.ErrorContains(t, err, "cannot purge")
}

func TestLookingUpCachedKeysAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	r, _ := ringOf(t, "k1")
	k := openKeys(t, storeOn(t, vfs.NewMem()), r, Options{})
	subjects := []Subject{subject(1), subject(2), subject(3)}
	keys := make([]*Key, len(subjects))
	require.NoError(t, k.Keys(context.Background(), subjects, keys))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = k.Keys(context.Background(), subjects, keys)
		_ = k.Erased(subjects[0])
	}))
}

func BenchmarkKeys(b *testing.B) {
	r, _ := ringOf(b, "k1")
	s, err := state.Open(b.TempDir(), state.Options{})
	require.NoError(b, err)
	defer func() { _ = s.Close() }()
	k, err := Open(s, r, Options{})
	require.NoError(b, err)
	const batch = 1000
	subjects, keys := make([]Subject, batch), make([]*Key, batch)
	b.Run("cached", func(b *testing.B) {
		for i := range subjects {
			subjects[i] = subject(i)
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := k.Keys(context.Background(), subjects, keys); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/subject")
	})
	b.Run("new", func(b *testing.B) {
		next := batch
		for b.Loop() {
			for i := range subjects {
				subjects[i] = subject(next)
				next++
			}
			if err := k.Keys(context.Background(), subjects, keys); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/subject")
	})
	b.Run("erase", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if _, err := k.Erase(context.Background(), subject(i)); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	r, _ := ringOf(b, "k1")
	key := get(b, openKeys(b, storeOn(b, vfs.NewMem()), r, Options{}), subject(1))[0]
	dst := make([]byte, 0, 100)
	plain := []byte("ann@example.com, +49 30 123456")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Seal(dst, plain, nil); err != nil {
			b.Fatal(err)
		}
	}
}
