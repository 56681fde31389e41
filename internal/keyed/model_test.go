// SPDX-License-Identifier: Apache-2.0

package keyed

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/delivery"
)

// memStore is a component's keyspace in memory. A checkpoint's writes count when commit is called.
type memStore struct {
	data    map[string]string
	pending []func()
}

var (
	_ delivery.Snapshot         = (*memStore)(nil)
	_ delivery.CheckpointWriter = (*memStore)(nil)
)

func newMemStore() *memStore { return &memStore{data: map[string]string{}} }

func (m *memStore) Get(key []byte) ([]byte, bool, error) {
	v, ok := m.data[string(key)]
	return []byte(v), ok, nil
}

func (m *memStore) Range(prefix []byte, f func(key, value []byte) error) error {
	for _, k := range slices.Sorted(maps.Keys(m.data)) {
		if strings.HasPrefix(k, string(prefix)) {
			if err := f([]byte(k), []byte(m.data[k])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memStore) Set(key, value []byte) {
	k, v := string(key), string(value)
	m.pending = append(m.pending, func() { m.data[k] = v })
}

func (m *memStore) Delete(key []byte) {
	k := string(key)
	m.pending = append(m.pending, func() { delete(m.data, k) })
}
func (m *memStore) Emit(delivery.OutboxBatch) {}

func (m *memStore) commit() {
	for _, f := range m.pending {
		f()
	}
	m.pending = nil
}

func (m *memStore) size() (n int) {
	for _, v := range m.data {
		n += len(v)
	}
	return n
}

type modelEntry struct {
	value string
	due   int64 // 0 without a timer
}

// model is what a Space should hold: by table and key.
type model map[string]map[string]modelEntry

func (m model) clone() model {
	c := model{}
	for name, table := range m {
		c[name] = maps.Clone(table)
	}
	return c
}

func held(s *Space, part uint32) model {
	m := model{}
	for t := range s.Tables(part) {
		table := map[string]modelEntry{}
		t.All(func(r Ref) bool {
			e := modelEntry{value: string(t.Value(r))}
			if due := t.entries[r].due; due != 0 {
				e.due = int64(due) << bucketShift
			}
			table[string(t.Key(r))] = e
			return true
		})
		m[t.Name()] = table
	}
	return m
}

// TestAnyScheduleEqualsTheModel edits at random, within journals that are published, discarded and nested, drops tables, closes by
// timers, and checkpoints, aborts and restarts; and compares with a map after each.
func TestAnyScheduleEqualsTheModel(t *testing.T) {
	everSpilled := 0
	defer func() { require.NotZero(t, everSpilled) }()
	for run := range uint64(60) {
		rng := rand.New(rand.NewPCG(run, 1))
		store := newMemStore()
		o := Options{MaxBytes: int(run%3) * 10_000} // two of three spill
		s, err := Restore(store, o)
		require.NoError(t, err)
		want, committed := model{}, model{}
		wantMeta, committedMeta := "", ""
		keys := 1 + rng.IntN(400)
		edit := func(want model) {
			name := fmt.Sprint("t", rng.IntN(3))
			table := s.Table(0, name)
			if want[name] == nil {
				want[name] = map[string]modelEntry{}
			}
			for range rng.IntN(60) {
				key := []byte(strings.Repeat("k", rng.IntN(3)*20) + fmt.Sprint(rng.IntN(keys)))
				r, ok := table.Find(Hash(key), key)
				_, wanted := want[name][string(key)]
				require.Equal(t, wanted, ok, "%s %s", name, key)
				n := rng.IntN(40)
				if rng.IntN(50) == 0 {
					n = rng.IntN(5000)
				}
				switch {
				case !ok:
					r = table.Insert(Hash(key), key, n)
					for i := range table.Edit(r) {
						table.Edit(r)[i] = byte(rng.Uint32())
					}
				case rng.IntN(4) == 0:
					table.Delete(r)
					delete(want[name], string(key))
					continue
				case rng.IntN(2) == 0:
					v := table.Edit(r)
					for i := range v {
						v[i] ^= byte(rng.Uint32())
					}
				default:
					before := append([]byte(nil), table.Value(r)...)
					v := table.Resize(r, n)
					require.Equal(t, string(before[:min(len(before), n)]), string(v[:min(len(before), n)]), "what they have in common stays")
					if n > len(before) {
						require.Equal(t, make([]byte, n-len(before)), v[len(before):], "what is added is zero")
					}
				}
				e := want[name][string(key)]
				if rng.IntN(3) == 0 {
					at := int64(1+rng.IntN(50)) << bucketShift
					table.Schedule(r, at)
					if e.due == 0 || e.due > at {
						e.due = at
					}
				}
				e.value = string(table.Value(r))
				want[name][string(key)] = e
			}
			if rng.IntN(30) == 0 {
				s.Drop(table)
				delete(want, name)
			}
		}
		due := func(want model) {
			until := int64(1+rng.IntN(60)) << bucketShift
			for table := range s.Tables(0) {
				of := want[table.Name()]
				seen := map[string]bool{}
				table.Due(until, func(r Ref) int64 {
					key := string(table.Key(r))
					e, there := of[key]
					require.True(t, there && e.due != 0 && e.due <= until && !seen[key], "%q is due: %v %d until %d, seen %v, run %d", key, there, e.due>>bucketShift, until>>bucketShift, seen[key], run)
					seen[key] = true
					if rng.IntN(2) == 0 {
						table.Delete(r)
						delete(of, key)
						return 0
					}
					table.Resize(r, 9)[0]++
					e.value, e.due = string(table.Value(r)), until+int64(1+rng.IntN(5))<<bucketShift
					of[key] = e
					return e.due
				})
				for key, e := range of {
					require.False(t, e.due != 0 && e.due <= until, "%q was due", key)
				}
			}
		}
		spilled := 0
		for range 60 {
			for table := range s.Tables(0) {
				spilled += len(table.spill.due)
			}
			switch rng.IntN(8) {
			case 0: // fails
				j := s.Begin(0)
				edit(want.clone())
				if rng.IntN(2) == 0 {
					inner := s.Begin(0)
					edit(held(s, 0))
					inner.Discard()
				}
				s.SetMeta(0, []byte("discarded"))
				j.Discard()
			case 1: // twice within a call
				outer := s.Begin(0)
				edit(want)
				inner := s.Begin(0)
				edit(want)
				outer.Publish()
				inner.Publish()
			case 2:
				before := want.clone()
				s.BeginCheckpoint()
				due(want)
				require.NoError(t, s.Checkpoint(store))
				if rng.IntN(2) == 0 {
					store.pending, want = nil, before
					s.Aborted()
				} else {
					store.commit()
					s.Committed()
					require.Zero(t, s.DirtyBytes())
					committed, committedMeta = want.clone(), wantMeta
				}
			case 3: // crash
				store.pending = nil
				s, err = Restore(store, o)
				require.NoError(t, err)
				want, wantMeta = committed.clone(), committedMeta
				for name, table := range want { // a table without entries is not kept
					if len(table) == 0 {
						delete(want, name)
						_ = s.Table(0, name)
						want[name] = table
					}
				}
			default:
				j := s.Begin(0)
				edit(want)
				wantMeta = fmt.Sprint(rng.Uint32())
				s.SetMeta(0, []byte(wantMeta))
				j.Publish()
			}
			if o.MaxBytes == 0 || rng.IntN(8) == 0 { // looking brings all back into memory
				require.Equal(t, want, held(s, 0), "run %d", run)
			}
			require.NoError(t, s.Err(0))
			require.Equal(t, wantMeta, string(s.Meta(0)))
		}
		everSpilled += spilled
	}
}

func TestTheStoreHoldsAboutTwiceTheTable(t *testing.T) {
	store := newMemStore()
	s, err := Restore(store, Options{})
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 1))
	const keys, value = 20_000, 60
	table := s.Table(0, "t")
	worst := 0
	for range 400 {
		j := s.Begin(0)
		for range keys / 20 {
			key := fmt.Append(nil, rng.IntN(keys))
			r, ok := table.Find(Hash(key), key)
			if !ok {
				r = table.Insert(Hash(key), key, value)
			}
			table.Edit(r)[0]++
		}
		j.Publish()
		require.NoError(t, s.Checkpoint(store))
		store.commit()
		s.Committed()
		worst = max(worst, store.size())
	}
	whole := table.Len() * (value + 10)
	require.Less(t, worst, 4*whole, "what no chunk needs any more is deleted")
	again, err := Restore(store, Options{})
	require.NoError(t, err)
	require.Equal(t, held(s, 0), held(again, 0))
}

func TestShardsHoldEachEntryOnce(t *testing.T) {
	s, err := Restore(newMemStore(), Options{})
	require.NoError(t, err)
	table := s.Table(0, "t")
	for i := range 3000 {
		key := fmt.Append(nil, i)
		table.Insert(Hash(key), key, 1)
		if i%97 != 0 {
			continue
		}
		for _, bits := range []uint{0, 4, 8, 12} {
			seen := map[Ref]int{}
			for k := range uint32(1) << bits {
				table.shard(bits, k, func(r Ref) { seen[r]++ })
			}
			require.Len(t, seen, i+1)
			for _, n := range seen {
				require.Equal(t, 1, n)
			}
		}
	}
}

func TestClassesHoldWhatTheyAreAskedFor(t *testing.T) {
	last, lastSize := -1, 0
	for n := range 300_000 {
		class, size := classOf(n)
		require.GreaterOrEqual(t, size, n)
		require.Less(t, size-n, max(16, n/7+16), "%d", n)
		if class != last {
			require.Equal(t, last+1, class, "%d", n)
			require.Greater(t, size, lastSize)
			last, lastSize = class, size
		} else {
			require.Equal(t, lastSize, size)
		}
	}
}

func FuzzRestore(f *testing.F) {
	store := newMemStore()
	s, _ := Restore(store, Options{})
	table := s.Table(0, "t")
	for i := range 5 {
		key := fmt.Append(nil, i)
		r := table.Insert(Hash(key), key, 3)
		table.Schedule(r, int64(i)<<40)
	}
	_ = s.Checkpoint(store)
	store.commit()
	for _, v := range store.data {
		f.Add([]byte(v))
	}
	f.Add([]byte{formatV1, 3, 'a'})
	f.Fuzz(func(_ *testing.T, b []byte) {
		s := &Space{parts: map[uint32]*partition{}}
		if t := s.Table(0, "t"); t.apply(b) == nil {
			t.All(func(r Ref) bool { return bytes.Equal(t.Key(r), t.Key(r)) })
		}
	})
}
