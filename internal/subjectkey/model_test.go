// SPDX-License-Identifier: Apache-2.0

package subjectkey

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/state"
)

// person is what a model knows of one.
type person struct {
	sealed  []byte // a value under the key; nil where there is no key that is known of
	record  []byte // the encrypted key, as the store had it, once erased
	erased  bool
	perhaps bool // an erasure that a crash came into: it may have happened or not
}

// model runs Keys against a simple map, with crashes at any moment: what a power loss leaves, of which what was not synced is there in
// any part.
type model struct {
	t      *testing.T
	rng    *rand.Rand
	mem    *vfs.MemFS
	store  *state.Pebble
	keys   *Keys
	ring   *keyring.KeyRing
	people []person
}

func (m *model) open() {
	s, err := state.Open("s", state.Options{FS: m.mem, MemTableBytes: 64 << 10})
	require.NoError(m.t, err)
	m.store = s
	m.keys = openKeys(m.t, s, m.ring, Options{CacheKeys: 5})
	require.Zero(m.t, m.keys.Unpurged())
	for i := range m.people {
		p := &m.people[i]
		if p.perhaps {
			p.erased, p.perhaps = m.keys.Erased(subject(i)), false
			if !p.erased {
				p.record = nil
			}
		}
		m.check(i)
	}
}

// crash takes what the disk has now, and goes on from it once what is under way here has ended.
func (m *model) crash() (finish func()) {
	mem := m.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: m.rng.IntN(101), RNG: m.rng})
	return func() {
		require.NoError(m.t, m.store.Close())
		m.mem = mem
		m.open()
	}
}

// check holds one person against the model.
func (m *model) check(i int) {
	p := &m.people[i]
	require.Equal(m.t, p.erased, m.keys.Erased(subject(i)))
	key, err := m.keys.Find(m.keys.Handle(subject(i)))
	switch {
	case p.erased:
		require.ErrorIs(m.t, err, ErrErased)
		if p.record != nil {
			require.Empty(m.t, holders(m.t, m.mem, p.record), "person %d", i)
		}
	case p.sealed != nil:
		require.NoError(m.t, err)
		require.Equal(m.t, fmt.Sprint(i), unseal(m.t, key, p.sealed))
	case err != nil: // a key that a crash came into may be there, which nobody used
		require.ErrorIs(m.t, err, ErrUnknown)
	}
}

func (m *model) fetch(crash bool) {
	var subjects []Subject
	var at []int
	for range 1 + m.rng.IntN(6) {
		i := m.rng.IntN(len(m.people))
		subjects, at = append(subjects, subject(i)), append(at, i)
	}
	keys := make([]*Key, len(subjects))
	done := make(chan error, 1)
	go func() { done <- m.keys.Keys(context.Background(), subjects, keys) }()
	var finish func()
	if crash {
		m.idle()
		finish = m.crash()
	}
	require.NoError(m.t, <-done)
	if crash {
		finish() // the keys were not used
		return
	}
	for n, i := range at {
		p := &m.people[i]
		if p.erased {
			require.Nil(m.t, keys[n])
			continue
		}
		if p.sealed == nil {
			p.sealed = seal(m.t, keys[n], fmt.Sprint(i))
		}
		require.Equal(m.t, fmt.Sprint(i), unseal(m.t, keys[n], p.sealed))
	}
}

// idle lets a random time pass.
func (m *model) idle() {
	for range m.rng.IntN(300) {
		_, _, err := m.store.Get(handleKeyAt)
		require.NoError(m.t, err)
	}
}

func (m *model) erase(crash bool) {
	i := m.rng.IntN(len(m.people))
	p := &m.people[i]
	h := m.keys.Handle(subject(i))
	record, had, err := m.store.Get(at(keysAt, h))
	require.NoError(m.t, err)
	if had {
		_, p.record, err = wrappedBy(record)
		require.NoError(m.t, err)
	}
	type result struct {
		e   Erasure
		err error
	}
	done := make(chan result, 1)
	go func() {
		e, err := m.keys.Erase(context.Background(), subject(i))
		done <- result{e, err}
	}()
	var finish func()
	if crash {
		m.idle()
		finish = m.crash()
	}
	r := <-done
	require.NoError(m.t, r.err)
	require.Equal(m.t, p.erased, r.e.Already)
	if crash {
		p.perhaps = !p.erased
		finish()
		return
	}
	p.erased = true
	m.check(i)
}

func TestKeysAreAsASimpleMapAcrossCrashes(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			one, _ := ringOf(t, "k1")
			m := &model{t: t, rng: rand.New(rand.NewPCG(seed, 1)), mem: vfs.NewCrashableMem(), ring: one, people: make([]person, 30)}
			m.open()
			rotations := 1
			for range 150 {
				crash := m.rng.IntN(6) == 0
				switch n := m.rng.IntN(20); {
				case n == 0:
					rotations++
					m.ring, _ = ringOf(t, fmt.Sprintf("k%d", rotations), fmt.Sprintf("k%d", rotations-1))
					require.NoError(t, m.store.Close())
					m.open()
					_, err := m.keys.Rewrap(context.Background())
					require.NoError(t, err)
				case n == 1:
					m.crash()()
				case n < 8:
					m.erase(crash)
				default:
					m.fetch(crash)
				}
				m.check(m.rng.IntN(len(m.people)))
			}
			live := 0
			for i := range m.people {
				m.check(i)
				if !m.people[i].erased {
					if _, err := m.keys.Find(m.keys.Handle(subject(i))); err == nil {
						live++
					}
				}
			}
			require.Equal(t, live, m.keys.Count())
			require.NoError(t, m.store.Close())
		})
	}
}

// TestNoTwoKeysOfAPersonAreEverInUse has many goroutines ask for, erase and rewrap the same people. Whatever was sealed opens with
// the key that the store has in the end, or the person was erased; and nothing is sealed after an erasure was acknowledged.
func TestNoTwoKeysOfAPersonAreEverInUse(t *testing.T) {
	const people = 25
	ring, _ := ringOf(t, "k2", "k1")
	older, _ := ringOf(t, "k1")
	mem := vfs.NewMem()
	s := storeOn(t, mem)
	get(t, openKeys(t, s, older, Options{}), subject(0), subject(1))
	k := openKeys(t, s, ring, Options{CacheKeys: 7}) // keys come and go
	var mu sync.Mutex                                // guards what follows
	sealed := map[int][][]byte{}
	gone := map[int]bool{}

	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(9, uint64(w)))
			for range 150 {
				var subjects []Subject
				var at []int
				for range 1 + rng.IntN(5) {
					i := rng.IntN(people)
					subjects, at = append(subjects, subject(i)), append(at, i)
				}
				mu.Lock()
				before := map[int]bool{}
				for i := range gone {
					before[i] = true
				}
				mu.Unlock()
				keys := make([]*Key, len(subjects))
				if err := k.Keys(context.Background(), subjects, keys); err != nil {
					t.Errorf("getting keys: %v", err)
					return
				}
				for n, key := range keys {
					if key == nil {
						if !k.Erased(subjects[n]) {
							t.Errorf("no key for a person who was not erased")
						}
						continue
					}
					if before[at[n]] {
						t.Errorf("a key for a person who was erased")
					}
					b, err := key.Seal(nil, fmt.Append(nil, at[n]), nil)
					if errors.Is(err, ErrErased) {
						continue
					}
					if err != nil {
						t.Errorf("sealing: %v", err)
						return
					}
					mu.Lock()
					sealed[at[n]] = append(sealed[at[n]], b)
					mu.Unlock()
				}
			}
		})
	}
	wg.Go(func() {
		for i := range people / 3 {
			if _, err := k.Erase(context.Background(), subject(3*i)); err != nil {
				t.Errorf("erasing: %v", err)
			}
			mu.Lock()
			gone[3*i] = true
			mu.Unlock()
			if _, err := k.Rewrap(context.Background()); err != nil {
				t.Errorf("rewrapping: %v", err)
			}
		}
	})
	wg.Wait()

	check := func(k *Keys) {
		t.Helper()
		for i := range people {
			key, err := k.Find(k.Handle(subject(i)))
			if gone[i] {
				require.ErrorIs(t, err, ErrErased)
				continue
			}
			if len(sealed[i]) == 0 {
				continue
			}
			require.NoError(t, err)
			for _, b := range sealed[i] {
				plain, err := key.Open(nil, b, nil)
				require.NoError(t, err, "person %d has had two keys", i)
				require.Equal(t, fmt.Sprint(i), string(plain))
			}
		}
	}
	check(k)
	check(openKeys(t, s, ring, Options{}))
}
