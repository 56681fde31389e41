// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// smallLog appends the same to each log: two entries into a first segment, one into a second.
func smallLog(t testing.TB, dir *memFS, compressions ...Compression) {
	t.Helper()
	var now atomic.Int64
	now.Store(1_800_000_000_000_000_000)
	o := Options{
		Partitions: 3, SegmentBytes: 64 << 10, SegmentAge: time.Second, fs: dir,
		Now:   func() time.Time { return time.Unix(0, now.Load()) },
		newID: func() (uuid.UUID, error) { return uuid.MustParse("00112233-4455-6677-8899-aabbccddeeff"), nil },
	}
	for i, e := range smallEntries() {
		o.Compression = compressions[i%len(compressions)]
		l, err := Open("log", o)
		require.NoError(t, err)
		if i == 2 {
			now.Add(int64(time.Second))
		}
		add(t, l, &e)
		require.NoError(t, l.sealAll())
		require.NoError(t, l.Close())
	}
}

func smallEntries() []Entry {
	return []Entry{
		{IDs: ids(0, 2), Source: []byte("orders/3/1017"), Chunks: []Chunk{{Partition: 0, Records: 2, EventTime: 11, Data: data(1, 200)}, {Partition: 2, Records: 1, EventTime: 12, Data: data(2, 77)}}},
		{Chunks: []Chunk{{Partition: 1, Records: 1, Kind: Tick, EventTime: 13}}},
		{IDs: ids(2, 1), Chunks: []Chunk{{Partition: 2, Records: 5, EventTime: 14, Data: data(3, 301)}}},
	}
}

func checkSmallLog(t *testing.T, dir *memFS) {
	t.Helper()
	l, err := Open("log", Options{Partitions: 3, fs: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	require.NoError(t, l.Verify(t.Context()))
	require.Equal(t, 2, l.Stats().Segments)
	next := make([]uint64, 3)
	for _, e := range smallEntries() {
		for _, c := range e.Chunks {
			got := readAll(t, l, c.Partition, next[c.Partition])
			require.Equal(t, readChunk{c.Kind, next[c.Partition], c.Records, c.EventTime, string(c.Data)}, got[0])
			next[c.Partition] += uint64(c.Records)
		}
	}
	all, sources := readIDs(t, l, 0)
	require.Equal(t, ids(0, 3), all)
	require.Equal(t, []string{"orders/3/1017"}, sources)
}

// files of the directory without the zeros at their ends.
func (m *memFS) files() map[string][]byte {
	list := map[string][]byte{}
	for name, n := range m.names {
		end := len(n.data)
		for end > 0 && n.data[end-1] == 0 {
			end--
		}
		list[name] = n.data[:roundUp(end, 8)]
	}
	delete(list, reserveName)
	return list
}

func TestTheFormatIsWhatItWas(t *testing.T) {
	f := func(name string, equal bool, compressions ...Compression) {
		t.Helper()
		made := newMemFS()
		smallLog(t, made, compressions...)
		golden := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.RemoveAll(golden))
			require.NoError(t, os.MkdirAll(golden, 0o755))
			for name, b := range made.files() {
				require.NoError(t, os.WriteFile(filepath.Join(golden, name), b, 0o644))
			}
		}
		read := newMemFS()
		files, err := os.ReadDir(golden)
		require.NoError(t, err)
		for _, file := range files {
			b, err := os.ReadFile(filepath.Join(golden, file.Name()))
			require.NoError(t, err)
			read.names[file.Name()] = &inode{data: b, dirty: map[int]bool{}}
		}
		if equal {
			require.Equal(t, slices.Sorted(maps.Keys(read.names)), slices.Sorted(maps.Keys(made.files())))
			for name, b := range made.files() {
				require.Equal(t, read.names[name].data, b, name)
			}
		}
		checkSmallLog(t, read)
		checkSmallLog(t, made)
	}
	f("v1", true, None)
	f("v1-compressed", false, S2, None, Zstd) // what a compressor writes may change with its version, what it reads not
}
