// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/state"
)

func TestAVisitorTakesLittleMemory(t *testing.T) {
	var d Definition
	visitors(&d)
	e := benchEngine(t, d)
	const keys = 200_000
	next := 0
	for range keys / perBatch {
		apply(t, e, benchBatches(1, func() int { next++; return next - 1 })[0], nil)
	}
	e.checkpointToNowhere()
	perKey := float64(e.Bytes()) / keys
	t.Logf("%.0f bytes a visitor, whose key is 13 bytes", perKey)
	require.Less(t, perKey, 120.0)
}

// keyspace is a component's part of a store, in memory.
type keyspace struct {
	keys   []string
	values map[string][]byte
}

func TestWhatAStoreGivesBackIsChecked(t *testing.T) {
	d := draft{start: 1, last: 2, events: 3, absorbed: make([]byte, idSize), counts: make([]byte, countSize), accumulator: []byte{1, 2}}
	good := d.append(nil)
	good = d.append(good)
	ok := func(acc []byte) error {
		if len(acc) != 2 {
			return errValue
		}
		return nil
	}
	require.NoError(t, check(good, ok))
	for n := range len(good) {
		if n != len(good)/2 && n != 0 {
			require.Error(t, check(good[:n], ok), "%d bytes", n)
		}
	}
	short := append([]byte(nil), good[:len(good)/2]...)
	short[42] = 200
	require.Error(t, check(short, ok))
}

func FuzzCheck(f *testing.F) {
	d := draft{start: 1, last: 2, events: 3, absorbed: make([]byte, idSize), counts: make([]byte, countSize)}
	f.Add(d.append(nil))
	f.Add(d.append(d.append(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if check(b, func([]byte) error { return nil }) != nil {
			return
		}
		total := 0
		for _, v := range sessionsOf(b, nil) { // what was checked can be read
			total += len(v)
			o := v.open()
			_ = o.append(nil)
			v.count(1)
		}
		require.Equal(t, len(b), total)
	})
}

// onDisk is a component's keyspace in a real state store.
type onDisk struct {
	*state.Pebble
	batch state.Batch
}

var component = state.Key([]byte("component"))

func (d *onDisk) key(k []byte) []byte                  { return append(slices.Clone(component), k...) }
func (d *onDisk) Get(key []byte) ([]byte, bool, error) { return d.Pebble.Get(d.key(key)) }
func (d *onDisk) Set(key, value []byte)                { d.batch.Set(d.key(key), value) }
func (d *onDisk) Delete(key []byte)                    { d.batch.Delete(d.key(key)) }
func (d *onDisk) Emit(delivery.OutboxBatch)            {}
func (d *onDisk) Range(prefix []byte, f func(key, value []byte) error) error {
	from := d.key(prefix)
	return d.Pebble.Range(from, state.PrefixEnd(from), func(key, value []byte) error { return f(key[len(component):], value) })
}

// BenchmarkRecovery opens a state store with a million visitors in it, as after a crash, and restores them; beside it, what writing them at
// checkpoints took.
func BenchmarkRecovery(b *testing.B) {
	var d Definition
	visitors(&d)
	e := benchEngine(b, d)
	dir := b.TempDir()
	open := func() *onDisk {
		p, err := state.Open(dir, state.Options{})
		if err != nil {
			b.Fatal(err)
		}
		return &onDisk{Pebble: p}
	}
	store := open()
	next := 0
	wrote := time.Duration(0)
	for range 1_000_000 / perBatch {
		apply(b, e, benchBatches(1, func() int { next++; return next - 1 })[0], nil)
		start := time.Now()
		_, err := e.Checkpoint(store, func(*Summary) error { return nil })
		if err == nil {
			err = store.Commit(&store.batch)
		}
		if err != nil {
			b.Fatal(err)
		}
		store.batch.Reset()
		e.Committed()
		wrote += time.Since(start)
	}
	for b.Loop() {
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		store = open()
		again, err := New(e.cfg)
		if err == nil {
			err = again.Restore(store, 1)
		}
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/recovery")
	}
	b.ReportMetric(wrote.Seconds()*1e9/1e6, "ns/visitor-written")
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}

func (k *keyspace) Get(key []byte) ([]byte, bool, error) {
	v, ok := k.values[string(key)]
	return v, ok, nil
}

func (k *keyspace) Range(prefix []byte, f func(key, value []byte) error) error {
	for _, key := range k.sorted() {
		if len(key) >= len(prefix) && key[:len(prefix)] == string(prefix) {
			if err := f([]byte(key), k.values[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *keyspace) Set(key, value []byte)     { k.values[string(key)] = append([]byte(nil), value...) }
func (k *keyspace) Delete(key []byte)         { delete(k.values, string(key)) }
func (k *keyspace) Emit(delivery.OutboxBatch) {}
func (k *keyspace) sorted() []string {
	k.keys = k.keys[:0]
	k.keys = slices.AppendSeq(k.keys, maps.Keys(k.values))
	slices.Sort(k.keys)
	return k.keys
}

// TestSpilledVisitorsAreFoundAgain holds sessions to what they are with enough memory.
func TestSpilledVisitorsAreFoundAgain(t *testing.T) {
	run := func(maxBytes int) (map[string]int, int) {
		var d Definition
		visitors(&d)
		cfg := Config{Definition: d, Gap: 30 * time.Minute, MaxBytes: maxBytes}
		cfg.Time.MaxFutureSkew, cfg.Time.MaxOutOfOrderness = time.Hour, time.Minute
		e, err := New(cfg)
		require.NoError(t, err)
		store := &keyspace{values: map[string][]byte{}}
		require.NoError(t, e.Restore(store, 1))
		most := 0
		for n := range 6 {
			key := n % 3 * perBatch // each visitor comes twice
			apply(t, e, benchBatches(1, func() int { key++; return key - 1 })[0], nil)
			_, err := e.Checkpoint(store, func(*Summary) error { return nil })
			require.NoError(t, err)
			e.Committed()
			for table := range e.space.Tables(0) {
				most = max(most, table.Spilled())
			}
			if n == 4 {
				again, err := New(cfg)
				require.NoError(t, err)
				require.NoError(t, again.Restore(store, 1))
				e = again
			}
		}
		j := e.Tick(delivery.Tick{Appended: benchStart + int64(5*time.Hour), EventTime: benchStart + int64(3*time.Hour)})
		j.Publish()
		got := map[string]int{}
		for {
			_, err = e.Checkpoint(store, func(s *Summary) error {
				got[fmt.Sprint(s.Key[1].Text, " ", s.Events, " ", s.Start, " ", s.Last)]++
				return nil
			})
			require.NoError(t, err)
			e.Committed()
			if !e.More() {
				return got, most
			}
		}
	}
	want, none := run(0)
	require.Zero(t, none)
	require.Len(t, want, 3*perBatch)
	got, most := run(4 << 20)
	require.Len(t, got, len(want))
	require.Equal(t, want, got)
	require.NotZero(t, most)
}
