// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"io"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// FuzzEntry reads bytes as an entry whose checksums all match, so that what is behind the checksums is tried.
func FuzzEntry(f *testing.F) {
	dir := newMemFS()
	smallLog(f, dir, None)
	segment := dir.names[first].data
	f.Add(segment[headerSize(3):])
	f.Add(segment[headerSize(3) : headerSize(3)+entryFixed])
	s := newSeed(uuid.UUID{}, 1)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < entryFixed {
			return
		}
		b = slices.Clone(b)
		le.PutUint32(b, entryMagic)
		need := headNeed(b)
		if need > len(b) {
			_, err := decodeHead(s, b, 8, 8+int64(len(b)), 3)
			require.ErrorIs(t, err, errCutOff)
			return
		}
		sum := func() { le.PutUint32(b[4:], s.sum(b[:need], 8)) }
		sum()
		h, err := decodeHead(s, b, 8, 8+int64(len(b)), 3)
		if err != nil {
			return
		}
		at := h.headSize() + h.sideSize()
		le.PutUint32(b[60:], checksum(b[h.headSize():at]))
		for i := range h.chunks {
			n := int(h.chunk(i).stored)
			le.PutUint32(b[entryFixed+chunkFixed*i+28:], checksum(b[at:at+n]))
			at += n
		}
		sum()
		if h, err = decodeHead(s, b, 8, 8+int64(len(b)), 3); err != nil {
			t.Fatal(err)
		}
		if err := h.checkBody(b[:h.length]); err != nil {
			require.ErrorIs(t, err, errPadding)
		}
		codec := newCodec()
		at = h.headSize() + h.sideSize()
		for i := range h.chunks {
			c := h.chunk(i)
			if c.length < 1<<20 {
				data, err := codec.decode(c.compression, nil, b[at:at+int(c.stored)], int(c.length))
				require.True(t, err != nil || len(data) == int(c.length))
			}
			at += int(c.stored)
		}
		_ = eachID(b[h.headSize():], 0, 1, func(uint64, int64, []byte, []byte) error { return nil })
	})
}

// FuzzOpen opens a log whose first segment is any bytes. What it then shows is what the checksums vouch for.
func FuzzOpen(f *testing.F) {
	im := newMemFS()
	l, err := Open("log", Options{Partitions: 3, SegmentBytes: 64 << 10, Compression: None, fs: im})
	require.NoError(f, err)
	for _, e := range smallEntries() {
		add(f, l, &e)
	}
	end := l.w.off
	require.NoError(f, l.Close())
	f.Add(im.names[first].data[:end], true)
	f.Add(im.names[first].data[:end-1], true)
	f.Add(im.names[first].data[:headerSize(3)], false)
	f.Fuzz(func(t *testing.T, b []byte, keepMark bool) {
		c := im.copy()
		c.names[first].data = slices.Clone(b)
		if !keepMark {
			delete(c.names, markName)
		}
		l, err := Open("log", Options{Partitions: 3, SegmentBytes: 64 << 10, AcceptLostMark: true, fs: c})
		if err != nil {
			require.NotErrorIs(t, err, io.EOF, "errors say what is wrong")
			return
		}
		require.NoError(t, l.Verify(t.Context()))
		if keepMark {
			require.Equal(t, im.names[first].data[:end], b[:end])
		}
		add(t, l, &Entry{Source: []byte("x")})
		require.NoError(t, l.Close())
	})
}
