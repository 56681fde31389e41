// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScanBeginsAtAnyPositionOfAnyPartition(t *testing.T) {
	m := newMemFS()
	o := Options{Partitions: 4, SegmentBytes: 1 << 20, Compression: None, fs: m}
	l, err := Open("log", o)
	require.NoError(t, err)
	// Partition 0 is in every entry, 1 in every fifth, 2 in every 200th, 3 in the last alone.
	const n = 3000
	var want [4][]uint64 // the first position of each chunk
	for i := range n {
		e := &Entry{Chunks: []Chunk{{Partition: 0, Records: 1 + uint32(i%3), Data: data(i, 1000)}}}
		if i%5 == 0 {
			e.Chunks = append(e.Chunks, Chunk{Partition: 1, Records: 2, Data: data(i, 10)})
		}
		if i%200 == 0 {
			e.Chunks = append(e.Chunks, Chunk{Partition: 2, Records: 3, Data: data(i, 10)})
		}
		if i == n-1 {
			e.Chunks = append(e.Chunks, Chunk{Partition: 3, Records: 1, Kind: Tick})
		}
		r := add(t, l, e)
		for k, c := range e.Chunks {
			want[c.Partition] = append(want[c.Partition], r.First[k])
		}
	}
	check := func() {
		for p := range uint32(4) {
			// Every chunk is there, from the beginning and from any position within it on.
			var got []uint64
			require.NoError(t, l.Scan(p, 0, func(i Info) bool { got = append(got, i.First); return true }))
			require.Equal(t, want[p], got)
			for k := 0; k < len(want[p]); k += 1 + len(want[p])/50 {
				from := want[p][k]
				for from < l.Next(p) && (k+1 == len(want[p]) || from < want[p][k+1]) {
					at := 0
					require.NoError(t, l.Scan(p, from, func(i Info) bool {
						require.Equal(t, want[p][k+at], i.First)
						at++
						return at < 30
					}))
					require.Equal(t, min(30, len(want[p])-k), at)
					from++
				}
			}
		}
	}
	check()
	points := 0
	for _, s := range l.segments {
		for _, p := range s.index {
			points += len(p)
		}
	}
	require.Less(t, points, 150, "the index is sparse")
	require.NoError(t, l.Close())
	l, err = Open("log", o) // the index of full segments is made when it is needed
	require.NoError(t, err)
	check()
	require.Error(t, l.Scan(4, 0, nil))
	require.NoError(t, l.Scan(3, 1, nil), "the end is no error")
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Scan(0, 0, nil), ErrClosed)
}

func TestFewSegmentsAreHeldOpen(t *testing.T) {
	im := newImage(t, 1)
	l := im.open()
	for i := range 3 * maxOpen {
		add(t, l, &Entry{Chunks: []Chunk{{Records: 1, Data: data(i, 40000)}}})
	}
	require.Greater(t, l.Stats().Segments, 2*maxOpen)
	for range 2 {
		require.Len(t, readAll(t, l, 0, 0), 1+3*maxOpen)
		require.LessOrEqual(t, len(l.openSegs), maxOpen+1)
	}
	var held Info
	require.NoError(t, l.Scan(0, 0, func(i Info) bool { held = i; return false }))
	_, err := l.Remove(func(SegmentInfo) bool { return false })
	require.NoError(t, err)
	_, err = l.Read(held, nil)
	require.ErrorIs(t, err, ErrGone)
	require.NoError(t, l.Close())
}

func TestARemovedSegmentIsReadToTheEndByWhoReadsIt(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{SegmentBytes: 64 << 10, Compression: None})
	for i := range 40 {
		add(t, l, &Entry{Chunks: []Chunk{{Records: 1, Data: data(i, 10000)}}})
	}
	seen := 0
	err := l.Scan(0, 0, func(i Info) bool {
		if seen == 0 {
			_, err := l.Remove(func(s SegmentInfo) bool { return s.Number > 1 })
			require.NoError(t, err)
			_, err = l.Read(i, nil)
			require.ErrorIs(t, err, ErrGone)
		}
		seen++
		return true
	})
	require.NoError(t, err)
	require.Equal(t, 40, seen)
}
