// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// compressors has one *zstd.Encoder for each level, shared by all writers: each is megabytes large. EncodeAll may be called by any
// goroutine, and compresses in the one that calls it.
var compressors sync.Map

func compressor(level int) (*zstd.Encoder, error) {
	if e, ok := compressors.Load(level); ok {
		return e.(*zstd.Encoder), nil
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithEncoderCRC(false)) // a page header has a checksum
	if err != nil {
		return nil, fmt.Errorf("making a zstd encoder: %w", err)
	}
	was, _ := compressors.LoadOrStore(level, e)
	return was.(*zstd.Encoder), nil
}

// method is how a column's pages are compressed. All are zstd frames. A frame that looks for what has been there before is worth
// its time on texts, but not on random IDs and packed indexes, which it even makes larger: there, short repetitions that are none cost
// more than the bytes that they replace. A frame of Huffman-coded bytes alone is smaller then, and made in a fraction of the time.
type method uint8

const (
	methodOpen     method = iota // to be decided by the first page
	methodMatches                // zstd's own
	methodLiterals               // Huffman codes only
)

// Below this many bytes there is nothing to be had.
const minCompressed = 32

// compress makes s.zipped of s.page.
func (s *scratch) compress(z *zstd.Encoder, m *method) {
	switch {
	case len(s.page) < minCompressed:
		s.zipped = s.appendLiterals(s.zipped[:0], s.page)
	case *m == methodMatches:
		s.zipped = z.EncodeAll(s.page, s.zipped[:0])
	case *m == methodLiterals:
		s.zipped = s.appendLiterals(s.zipped[:0], s.page)
	default:
		s.literals = s.appendLiterals(s.literals[:0], s.page)
		s.zipped = z.EncodeAll(s.page, s.zipped[:0])
		if *m = methodMatches; len(s.literals) <= len(s.zipped)+len(s.zipped)/64 {
			*m = methodLiterals
			s.zipped, s.literals = s.literals, s.zipped
		}
	}
}

// Of the zstd format, RFC 8878.
const (
	zstdMagic       = 0xfd2fb528
	singleSegment   = 1 << 5
	maxBlock        = 128 << 10
	blockRaw        = 0
	blockRepeated   = 1
	blockCompressed = 2
)

// appendLiterals appends a zstd frame of src whose blocks have Huffman-coded literals and no sequences, or are stored as they are.
func (s *scratch) appendLiterals(dst, src []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, zstdMagic)
	switch n := len(src); {
	case n < 1<<8:
		dst = append(dst, singleSegment, byte(n))
	case n < 1<<16+1<<8:
		dst = binary.LittleEndian.AppendUint16(append(dst, 1<<6|singleSegment), uint16(n-1<<8))
	default:
		dst = binary.LittleEndian.AppendUint32(append(dst, 2<<6|singleSegment), uint32(n))
	}
	if len(src) == 0 {
		return appendBlockHeader(dst, blockRaw, 0, true)
	}
	for len(src) > 0 {
		n := min(len(src), maxBlock)
		dst = s.appendBlock(dst, src[:n], n == len(src))
		src = src[n:]
	}
	return dst
}

func appendBlockHeader(dst []byte, typ, size int, last bool) []byte {
	h := size<<3 | typ<<1
	if last {
		h |= 1
	}
	return append(dst, byte(h), byte(h>>8), byte(h>>16))
}

func (s *scratch) appendBlock(dst, src []byte, last bool) []byte {
	var coded []byte
	err := huff0.ErrIncompressible
	if len(src) >= minCompressed {
		s.huffman.Reuse = huff0.ReusePolicyNone
		coded, _, err = huff0.Compress4X(src, &s.huffman)
	}
	if errors.Is(err, huff0.ErrUseRLE) {
		return append(appendBlockHeader(dst, blockRepeated, len(src), last), src[0])
	}
	// The header of the literals: their kind, 2 (with a tree), then the width of the sizes, and both sizes.
	const kind = 2
	var header uint64
	size := 0
	switch n := uint64(len(src)); {
	case n < 1<<10:
		header, size = kind|1<<2|n<<4|uint64(len(coded))<<14, 3
	case n < 1<<14:
		header, size = kind|2<<2|n<<4|uint64(len(coded))<<18, 4
	default:
		header, size = kind|3<<2|n<<4|uint64(len(coded))<<22, 5
	}
	total := size + len(coded) + 1
	if err != nil || total >= len(src) {
		return append(appendBlockHeader(dst, blockRaw, len(src), last), src...)
	}
	dst = appendBlockHeader(dst, blockCompressed, total, last)
	for range size {
		dst = append(dst, byte(header))
		header >>= 8
	}
	return append(append(dst, coded...), 0) // no sequences
}
