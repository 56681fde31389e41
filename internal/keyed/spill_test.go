// SPDX-License-Identifier: Apache-2.0

package keyed

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func put(t *Table, key, value string) Ref {
	r := t.Insert(Hash([]byte(key)), []byte(key), len(value))
	copy(t.Edit(r), value)
	return r
}

func checkpoint(t testing.TB, s *Space, store *memStore) {
	t.Helper()
	require.NoError(t, s.Checkpoint(store))
	store.commit()
	s.Committed()
}

func TestWhatIsDueAtTheEndOfTimeIsNotLostOutOfMemory(t *testing.T) {
	store := newMemStore()
	s, err := Restore(store, Options{MaxBytes: 1})
	require.NoError(t, err)
	table := s.Table(0, "a")
	table.Schedule(put(table, "k", "v"), math.MaxInt64)
	checkpoint(t, s, store)
	require.Equal(t, 1, table.Spilled())
	s.Drop(table)
	checkpoint(t, s, store)
	s, err = Restore(store, Options{MaxBytes: 1})
	require.NoError(t, err)
	_, there := s.Lookup(0, "a")
	require.False(t, there, "a dropped table does not come back")

	table = s.Table(0, "b")
	table.Schedule(put(table, "k", "v"), math.MaxInt64)
	checkpoint(t, s, store)
	n := 0
	table.All(func(Ref) bool { n++; return true })
	require.Equal(t, 1, n)
	r, ok := table.Find(Hash([]byte("k")), []byte("k"))
	require.True(t, ok)
	require.NotZero(t, table.entries[r].due)
}

func TestATableThatIsMadeAnewKeepsWhatItSpillsWhenTheOldOneGoes(t *testing.T) {
	store := newMemStore()
	s, err := Restore(store, Options{MaxBytes: 1})
	require.NoError(t, err)
	table := s.Table(0, "a")
	put(table, "k", "old")
	checkpoint(t, s, store)
	require.Equal(t, 1, table.Spilled())
	s.Drop(table)
	table = s.Table(0, "a")
	put(table, "k", "new")
	checkpoint(t, s, store)
	require.Equal(t, 1, table.Spilled())
	r, ok := table.Find(Hash([]byte("k")), []byte("k"))
	require.True(t, ok)
	require.Equal(t, "new", string(table.Value(r)))
}

func TestDueStopsWhereItIsTold(t *testing.T) {
	store := newMemStore()
	s, err := Restore(store, Options{})
	require.NoError(t, err)
	table := s.Table(0, "a")
	for i := range 100 {
		table.Schedule(put(table, fmt.Sprint(i), "v"), int64(1+i/10)<<bucketShift)
	}
	checkpoint(t, s, store)
	var seen []string
	take := func(most int) (n int) {
		table.Due(math.MaxInt64, func(r Ref) int64 {
			if n == most {
				return Enough
			}
			n++
			seen = append(seen, string(table.Key(r)))
			table.Delete(r)
			return 0
		})
		return n
	}
	s.BeginCheckpoint()
	take(25)
	s.Aborted()
	seen = nil
	s.BeginCheckpoint()
	require.Equal(t, 25, take(25))
	require.LessOrEqual(t, len(table.dirty), 25, "what was not looked at has not changed")
	require.NoError(t, s.Checkpoint(store))
	store.commit()
	s.Committed()
	require.Equal(t, 75, take(1000))
	slices.Sort(seen)
	require.Len(t, slices.Compact(seen), 100)
	require.Zero(t, table.Len())
}
