// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// codec compresses and decompresses. Any goroutine may use it.
type codec struct {
	encoder func() (*zstd.Encoder, error)
	decoder func() (*zstd.Decoder, error)
}

func newCodec() codec {
	return codec{
		encoder: sync.OnceValues(func() (*zstd.Encoder, error) {
			return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
				zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
		}),
		decoder: sync.OnceValues(func() (*zstd.Decoder, error) {
			return zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithDecoderMaxMemory(maxEntry))
		}),
	}
}

// bound is the most that encode writes for n bytes.
func bound(n int) int {
	if n == 0 {
		return 0
	}
	return max(s2.MaxEncodedLen(n), n+n/128+64)
}

// encode writes data to dst, which has room for bound(len(data)), and says how it did. What does not get smaller is
// stored as it is.
func (c codec) encode(kind Compression, dst, data []byte) (int, Compression, error) {
	if len(data) == 0 {
		return 0, None, nil
	}
	n := 0
	switch kind {
	case S2:
		n = len(s2.Encode(dst, data))
	case Zstd:
		e, err := c.encoder()
		if err != nil {
			return 0, None, fmt.Errorf("making a zstd encoder: %w", err)
		}
		out := e.EncodeAll(data, dst[:0])
		if n = len(out); n < len(data) {
			copy(dst, out) // the same memory, unless the bound was wrong
		}
	}
	if n == 0 || n >= len(data) {
		return copy(dst, data), None, nil
	}
	return n, kind, nil
}

var errLength = errors.New("a chunk does not decompress to the length that it says")

// decode writes to dst what the stored bytes stand for. stored may lie in dst if it is not compressed.
func (c codec) decode(kind Compression, dst, stored []byte, length int) ([]byte, error) {
	switch kind {
	case None:
		if len(stored) != length {
			return nil, errLength
		}
		return stored, nil
	case S2:
		if n, err := s2.DecodedLen(stored); err != nil || n != length {
			return nil, errLength
		}
		dst = slices.Grow(dst, length)[:length]
		out, err := s2.Decode(dst, stored)
		if err != nil {
			return nil, fmt.Errorf("decompressing: %w", err)
		}
		return out, nil
	case Zstd:
		d, err := c.decoder()
		if err != nil {
			return nil, fmt.Errorf("making a zstd decoder: %w", err)
		}
		out, err := d.DecodeAll(stored, slices.Grow(dst, length))
		if err != nil {
			return nil, fmt.Errorf("decompressing: %w", err)
		}
		if len(out) != length {
			return nil, errLength
		}
		return out, nil
	}
	return nil, fmt.Errorf("unknown compression %d", kind)
}

// buffers are for entries on their way to the file, and for stored data on its way back.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled keeps one giant entry from holding memory for ever.
const maxPooled = 16 << 20

// takeBuffer returns an empty buffer with room for n bytes.
func takeBuffer(n int) *[]byte {
	b := buffers.Get().(*[]byte)
	if cap(*b) < n {
		*b = make([]byte, 0, roundUp(n, 4096))
	}
	*b = (*b)[:0]
	return b
}

func giveBuffer(b *[]byte) {
	if cap(*b) <= maxPooled {
		buffers.Put(b)
	}
}
