// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func open(t testing.TB, dir string, o Options) *Pebble {
	t.Helper()
	p, err := Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func set(t testing.TB, s Store, key, value string) {
	t.Helper()
	var b Batch
	b.Set([]byte(key), []byte(value))
	require.NoError(t, s.Commit(&b))
}

// all returns what is in the store, but for its own keys.
func all(t testing.TB, s Store) map[string]string {
	t.Helper()
	m := map[string]string{}
	require.NoError(t, s.Range(nil, nil, func(k, v []byte) error {
		if parts, ok := SplitKey(k); ok && string(parts[0]) == Own {
			return nil
		}
		m[string(k)] = string(v)
		return nil
	}))
	return m
}

// holds compares what is in the store, and prints no long values.
func holds(t testing.TB, s Store, want map[string]string) {
	t.Helper()
	got := all(t, s)
	for k, v := range want {
		g, ok := got[k]
		require.True(t, ok, "%q is lost", k)
		if g != v {
			require.Fail(t, "altered", "%q: %.20q, not %.20q", k, g, v)
		}
	}
	for k := range got {
		_, ok := want[k]
		require.True(t, ok, "%q: nobody committed it", k)
	}
}

func TestWhatIsCommittedIsThereAfterOpeningAnew(t *testing.T) {
	f := func(fs vfs.FS, dir string) {
		t.Helper()
		p := open(t, dir, Options{FS: fs})
		id := p.ID()
		require.NotZero(t, id)
		set(t, p, "a", "1")
		set(t, p, "b", "")
		var b Batch
		b.Set([]byte("c"), []byte("3"))
		b.Set([]byte("d"), []byte("4"))
		b.Delete([]byte("a"))
		b.DeleteRange([]byte("d"), []byte("e"))
		b.Set([]byte("d1"), []byte("5"))
		require.NoError(t, p.Commit(&b))
		want := map[string]string{"b": "", "c": "3", "d1": "5"}
		require.Equal(t, want, all(t, p))
		require.NoError(t, p.Close())

		p = open(t, dir, Options{FS: fs, MustExist: true})
		require.Equal(t, id, p.ID())
		require.Equal(t, want, all(t, p))
		v, ok, err := p.Get([]byte("b"))
		require.NoError(t, err)
		require.True(t, ok)
		require.Empty(t, v)
		_, ok, err = p.Get([]byte("a"))
		require.NoError(t, err)
		require.False(t, ok)
		require.NoError(t, p.Close())
	}
	f(nil, filepath.Join(t.TempDir(), "some", "where"))
	f(vfs.NewCrashableMem(), "state")
	f(vfs.NewCrashableMem(), "/some/where")
}

func TestStoresHaveDifferentIDs(t *testing.T) {
	a, b := open(t, "s", Options{FS: vfs.NewMem()}), open(t, "s", Options{FS: vfs.NewMem()})
	require.NotEqual(t, a.ID(), b.ID())
}

func TestRangeIsOfOneMomentAndInOrder(t *testing.T) {
	p := open(t, "s", Options{FS: vfs.NewMem()})
	for i := range 10 {
		set(t, p, fmt.Sprint(i), "old")
	}
	var got []string
	require.NoError(t, p.Range([]byte("3"), []byte("6"), func(k, v []byte) error {
		set(t, p, "5", "new")
		got = append(got, string(k)+string(v))
		return nil
	}))
	require.Equal(t, []string{"3old", "4old", "5old"}, got)

	stop := errors.New("stop")
	n := 0
	require.ErrorIs(t, p.Range(nil, nil, func(_, _ []byte) error { n++; return stop }), stop)
	require.Equal(t, 1, n)
	require.Panics(t, func() { _ = p.Range(nil, nil, func(_, _ []byte) error { panic("theirs") }) })
	require.NoError(t, p.Err(), "a panic of the callback is none of the store")
	require.NoError(t, p.Close(), "no iterator is left open")
}

func TestDeleteRangeWithoutEndDeletesToTheEnd(t *testing.T) {
	p := open(t, "s", Options{FS: vfs.NewMem()})
	set(t, p, "a", "")
	set(t, p, "z", "")
	set(t, p, string(afterAll[:MaxKeyBytes]), "")
	var b Batch
	b.DeleteRange([]byte("z"), nil)
	b.DeleteRange([]byte("z"), []byte("a")) // nothing
	require.NoError(t, p.Commit(&b))
	require.Equal(t, map[string]string{"a": ""}, all(t, p))
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	var reasons []string
	p := open(t, "s", Options{FS: vfs.NewMem(), Hooks: Hooks{Refused: func(r string) { reasons = append(reasons, r) }}})
	var b Batch
	b.Set(make([]byte, MaxKeyBytes+1), nil)
	require.ErrorContains(t, p.Commit(&b), "use a shorter one")
	require.ErrorContains(t, p.Commit(&Batch{Ops: []Op{{}}, Size: MaxBatchBytes + 1}), "in parts")
	require.ErrorContains(t, p.Commit(&Batch{Ops: []Op{{Kind: 9}}}), "unknown kind")
	require.Equal(t, []string{RefusedInvalid, RefusedInvalid, RefusedInvalid}, reasons)
}

func TestAClosedStoreRefusesEverything(t *testing.T) {
	var reasons []string
	p := open(t, "s", Options{FS: vfs.NewMem(), Hooks: Hooks{Refused: func(r string) { reasons = append(reasons, r) }}})
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	_, _, err := p.Get(nil)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, p.Range(nil, nil, nil), ErrClosed)
	require.ErrorIs(t, p.Commit(&Batch{}), ErrClosed)
	require.Equal(t, []string{RefusedClosed}, reasons)
	require.Zero(t, p.Stats())
}

func TestCloseLeavesNoGoroutines(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	p, err := Open(t.TempDir(), Options{ReserveBytes: 1 << 20, MemTableBytes: 256 << 10})
	require.NoError(t, err)
	for i := range 50 {
		set(t, p, fmt.Sprint(i), string(make([]byte, 20<<10))) // flushes and compacts
	}
	require.Positive(t, p.Stats().DiskBytes)
	require.Positive(t, p.Stats().MemoryBytes)
	require.EqualValues(t, 1<<20, p.Stats().ReserveBytes)
	require.NoError(t, p.Close())
	goleak.VerifyNone(t, ignore)
}

func TestCloseWaitsForCallsUnderWay(t *testing.T) {
	p := open(t, "s", Options{FS: vfs.NewMem()})
	set(t, p, "a", "1")
	closed := make(chan error, 1)
	require.NoError(t, p.Range([]byte("a"), []byte("b"), func(_, v []byte) error {
		go func() { closed <- p.Close() }()
		require.Eventually(t, func() bool { _, _, err := p.Get([]byte("a")); return errors.Is(err, ErrClosed) }, waitFor, tick)
		require.Equal(t, "1", string(v))
		require.Empty(t, closed)
		return nil
	}))
	require.NoError(t, <-closed)
}
