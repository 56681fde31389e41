// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ids makes n IDs from the ordinal `first`.
func ids(first, n uint64) (b []byte) {
	for i := range n {
		b = append(b, fmt.Sprintf("%016d", first+i)...)
	}
	return b
}

// data that compresses, of any length.
func data(seed, n int) []byte {
	b := bytes.Repeat(fmt.Appendf(nil, "event %d of the shop ", seed), n/10+1)
	return b[:n]
}

func open(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	if o.Partitions == 0 {
		o.Partitions = 4
	}
	l, err := Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func add(t testing.TB, l *Log, e *Entry) Receipt {
	t.Helper()
	r, err := l.Append(t.Context(), e)
	require.NoError(t, err)
	return r
}

// chunk as it was read back.
type readChunk struct {
	Kind      Kind
	First     uint64
	Records   uint32
	EventTime int64
	Data      string
}

func readAll(t testing.TB, l *Log, p uint32, from uint64) (list []readChunk) {
	t.Helper()
	require.NoError(t, l.Scan(p, from, func(i Info) bool {
		b, err := l.Read(i, nil)
		require.NoError(t, err)
		require.Len(t, b, i.Bytes)
		list = append(list, readChunk{i.Kind, i.First, i.Records, i.EventTime, string(b)})
		return true
	}))
	return list
}

func readIDs(t testing.TB, l *Log, from uint64) (all []byte, sources []string) {
	t.Helper()
	next, last := from, int64(0)
	require.NoError(t, l.IDs(from, func(first uint64, appended int64, ids, source []byte) error {
		require.Equal(t, next, first)
		require.LessOrEqual(t, last, appended)
		next, last = first+uint64(len(ids)/IDBytes), appended
		all = append(all, ids...)
		if len(source) > 0 {
			sources = append(sources, string(source))
		}
		return nil
	}))
	return all, sources
}

func TestWhatIsAppendedIsReadBack(t *testing.T) {
	for _, compression := range []Compression{S2, Zstd, None} {
		dir := t.TempDir()
		l := open(t, dir, Options{Compression: compression})
		r1 := add(t, l, &Entry{IDs: ids(0, 3), Source: []byte("kafka/1"), Chunks: []Chunk{
			{Partition: 0, Records: 2, EventTime: 5, Data: data(1, 3000)}, {Partition: 3, Records: 1, EventTime: 7, Data: data(2, 10)},
		}})
		r2 := add(t, l, &Entry{Chunks: []Chunk{{Partition: 0, Records: 1, Kind: Tick, EventTime: 9}}})
		r3 := add(t, l, &Entry{IDs: ids(3, 1), Chunks: []Chunk{{Partition: 0, Records: 4, Data: data(3, 1<<20)}}})
		r4 := add(t, l, &Entry{Source: []byte("kafka/2")})
		require.Equal(t, []uint64{1, 2, 3, 4}, []uint64{r1.Seq, r2.Seq, r3.Seq, r4.Seq})
		require.Equal(t, []uint64{0, 3, 3, 4}, []uint64{r1.FirstID, r2.FirstID, r3.FirstID, r4.FirstID})
		require.Equal(t, [][]uint64{{0, 0}, {2}, {3}, {}}, [][]uint64{r1.First, r2.First, r3.First, r4.First})
		id := l.ID()
		check := func() {
			require.Equal(t, id, l.ID())
			require.Equal(t, []readChunk{
				{Events, 0, 2, 5, string(data(1, 3000))}, {Tick, 2, 1, 9, ""}, {Events, 3, 4, 0, string(data(3, 1<<20))},
			}, readAll(t, l, 0, 0))
			require.Equal(t, readAll(t, l, 0, 0)[2:], readAll(t, l, 0, 5))
			require.Empty(t, readAll(t, l, 1, 0))
			require.Equal(t, []readChunk{{Events, 0, 1, 7, string(data(2, 10))}}, readAll(t, l, 3, 0))
			require.EqualValues(t, 7, l.Next(0))
			all, sources := readIDs(t, l, 0)
			require.Equal(t, ids(0, 4), all)
			require.Equal(t, []string{"kafka/1", "kafka/2"}, sources)
			all, _ = readIDs(t, l, 2)
			require.Equal(t, ids(2, 2), all)
			require.NoError(t, l.Verify(t.Context()))
		}
		check()
		require.NoError(t, l.Close())
		l = open(t, dir, Options{})
		check()
	}
}

func TestSegmentsRollAndOldOnesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{SegmentBytes: 64 << 10, Compression: None})
	const n = 100
	for i := range n {
		add(t, l, &Entry{IDs: ids(uint64(i), 1), Source: fmt.Appendf(nil, "s%d", i), Chunks: []Chunk{{Partition: uint32(i % 4), Records: 2, Data: data(i, 5000)}}})
	}
	reopen := func() {
		require.NoError(t, l.Close())
		l = open(t, dir, Options{SegmentBytes: 64 << 10})
	}
	reopen()
	require.Greater(t, l.Stats().Segments, 8)
	require.Len(t, readAll(t, l, 1, 0), n/4)

	removed, err := l.Remove(func(s SegmentInfo) bool { return s.Number > 5 })
	require.NoError(t, err)
	require.Len(t, removed, 5)
	for range 2 {
		require.Equal(t, removed[4].Next[1], l.First(1))
		require.ErrorIs(t, l.Scan(1, l.First(1)-1, nil), ErrGone)
		require.Len(t, readAll(t, l, 1, l.First(1)), n/4-int(l.First(1)/2))
		all, sources := readIDs(t, l, 0)
		require.Equal(t, ids(0, n), all)
		require.Len(t, sources, n)
		reopen()
	}
	require.NoError(t, l.SetIDFloor(removed[3].NextID, removed[2].NextSeq))
	for range 2 {
		require.ErrorIs(t, l.IDs(removed[2].NextID-1, nil), ErrGone)
		require.Equal(t, removed[2].NextID, l.Stats().FirstID)
		all, _ := readIDs(t, l, removed[2].NextID)
		require.Equal(t, ids(removed[2].NextID, n-removed[2].NextID), all)
		reopen()
	}
	// All but the last can go, and the log goes on.
	require.NoError(t, l.SetIDFloor(n, n+1))
	_, err = l.Remove(func(SegmentInfo) bool { return false })
	require.NoError(t, err)
	require.Equal(t, 1, l.Stats().Segments)
	r := add(t, l, &Entry{IDs: ids(n, 1), Chunks: []Chunk{{Partition: 2, Records: 1, Data: data(1, 1)}}})
	require.EqualValues(t, n, r.FirstID)
	require.EqualValues(t, n/2, r.First[0])
}

func TestConcurrentAppendsShareSyncsAndReadersFollow(t *testing.T) {
	var frames, syncs int
	var l *Log
	l = open(t, t.TempDir(), Options{SegmentBytes: 256 << 10, OnSync: func(_ time.Duration, n, _ int) {
		syncs++
		frames += n
		for syncs == 1 { // until two wait, who then share the next one: the appends of this one are not answered yet
			l.queue.Lock()
			waiting := len(l.queue.waiting)
			l.queue.Unlock()
			if waiting >= 2 {
				break
			}
			runtime.Gosched()
		}
	}})
	const workers, each = 8, 50
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				_, err := l.Append(context.Background(), &Entry{
					IDs: ids(0, 1), Chunks: []Chunk{{Partition: uint32(w % 4), Records: 3, EventTime: int64(i), Data: data(w, 2000)}},
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for p := range uint32(4) {
		wg.Go(func() {
			for next := uint64(0); next < workers/4*each*3; {
				changed := l.Changed(p)
				if l.Next(p) == next {
					<-changed
				}
				if err := l.Scan(p, next, func(i Info) bool {
					_, err := l.Read(i, nil)
					if i.First != next || err != nil {
						t.Error(i.First, next, err)
					}
					next = i.Next()
					return true
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, l.Close())
	require.Equal(t, workers*each, frames)
	require.Less(t, syncs, frames)
}

func TestAppendTimeNeverGoesBack(t *testing.T) {
	dir, now := t.TempDir(), time.Unix(1000, 0)
	o := Options{Now: func() time.Time { return now }}
	l := open(t, dir, o)
	e := &Entry{Chunks: []Chunk{{Partition: 0, Records: 1, Kind: Tick}}}
	require.Equal(t, now.UnixNano(), add(t, l, e).Appended)
	now = time.Unix(900, 0)
	require.Equal(t, time.Unix(1000, 0).UnixNano(), add(t, l, e).Appended)
	require.NoError(t, l.Close())
	l = open(t, dir, o)
	require.Equal(t, time.Unix(1000, 0).UnixNano(), add(t, l, e).Appended)
	now = time.Unix(1001, 0)
	require.Equal(t, now.UnixNano(), add(t, l, e).Appended)
}

func TestASegmentRollsByAge(t *testing.T) {
	var mu sync.Mutex
	now := time.Unix(1000, 0)
	l := open(t, t.TempDir(), Options{SegmentAge: time.Minute, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	e := &Entry{Chunks: []Chunk{{Partition: 0, Records: 1, Kind: Tick}}}
	add(t, l, e)
	mu.Lock()
	now = now.Add(59 * time.Second)
	mu.Unlock()
	add(t, l, e)
	require.Equal(t, 1, l.Stats().Segments)
	mu.Lock()
	now = now.Add(time.Second)
	mu.Unlock()
	add(t, l, e)
	require.Equal(t, 2, l.Stats().Segments)
}

func TestAnEntryThatCannotBeIsRefused(t *testing.T) {
	l := open(t, t.TempDir(), Options{MaxBytes: 1 << 20})
	f := func(e Entry) {
		t.Helper()
		_, err := l.Append(t.Context(), &e)
		var refused *EntryError
		require.ErrorAs(t, err, &refused)
	}
	f(Entry{})
	f(Entry{IDs: make([]byte, 17)})
	f(Entry{Source: make([]byte, maxSource+1)})
	f(Entry{Chunks: []Chunk{{Partition: 4, Records: 1}}})
	f(Entry{Chunks: []Chunk{{Partition: 1, Records: 1}, {Partition: 1, Records: 1}}})
	f(Entry{Chunks: []Chunk{{Partition: 1}}})
	f(Entry{Chunks: []Chunk{{Records: 2, Kind: Tick}}})
	f(Entry{Chunks: []Chunk{{Records: 1, Kind: 7}}})
	f(Entry{Chunks: []Chunk{{Records: 1, Data: make([]byte, 1<<20)}}})

	done, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Append(done, &Entry{Source: []byte("x")})
	require.ErrorIs(t, err, context.Canceled)
	require.EqualValues(t, 1, l.Stats().NextSeq)
	require.NoError(t, l.Close())
	_, err = l.Append(t.Context(), &Entry{Source: []byte("x")})
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, l.Close(), ErrClosed)
	<-l.Changed(0)
}

func TestAFullLogTakesMoreWhenOldSegmentsAreRemoved(t *testing.T) {
	l := open(t, t.TempDir(), Options{MaxBytes: 1 << 20, Compression: None})
	e := &Entry{IDs: ids(0, 1), Chunks: []Chunk{{Records: 1, Data: data(1, 20000)}}}
	fill := func() (n int) {
		for {
			if _, err := l.Append(t.Context(), e); errors.Is(err, ErrFull) {
				return n
			} else if err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	require.Greater(t, fill(), 20)
	require.LessOrEqual(t, l.Stats().Bytes, int64(1<<20))
	require.Zero(t, fill())
	removed, err := l.Remove(func(s SegmentInfo) bool { return s.Number > 1 })
	require.NoError(t, err)
	require.Len(t, removed, 1)
	require.Positive(t, fill())
}

func TestIDsThatOutliveTheirSegmentsDoNotFillTheLog(t *testing.T) {
	l := open(t, t.TempDir(), Options{MaxBytes: 1 << 20, Compression: None})
	appended := uint64(0)
	for range 300 { // 20,000 bytes of IDs each: far more than MaxBytes in all, and nobody lowers their floor
		e := &Entry{IDs: ids(appended, 1250), Chunks: []Chunk{{Records: 1, Data: data(1, 1000)}}}
		if _, err := l.Append(t.Context(), e); errors.Is(err, ErrFull) {
			_, err := l.Remove(func(s SegmentInfo) bool { return s.NextID == appended })
			require.NoError(t, err)
			_, err = l.Append(t.Context(), e)
			require.NoError(t, err, "after %d IDs", appended)
		} else {
			require.NoError(t, err)
		}
		appended += 1250
	}
	require.Greater(t, l.Stats().Bytes, int64(5<<20))
	seen := uint64(0)
	require.NoError(t, l.IDs(0, func(_ uint64, _ int64, ids, _ []byte) error {
		seen += uint64(len(ids) / IDBytes)
		return nil
	}))
	require.Equal(t, appended, seen)
}
