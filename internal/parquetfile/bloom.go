// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"math"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/bloom"
	bloomhash "github.com/parquet-go/parquet-go/bloom/xxhash"
)

const (
	minBloomBytes = bloom.BlockSize
	maxBloomBytes = 128 << 20 // the format's bound
)

// hashWord is the bloom filter's hash of a word, which is that of its PLAIN bytes.
func (l *leaf) hashWord(w uint64) uint64 {
	if l.plain == 4 {
		return bloomhash.Sum64Uint32(uint32(w))
	}
	return bloomhash.Sum64Uint64(w)
}

func hashBytes(b []byte) uint64 { return xxhash.Sum64(b) }

// appendBloom appends the header and the bits of a filter of s.hashes.
func (s *scratch) appendBloom(dst []byte, fpp float64, distinct int) []byte {
	size := bloomBytes(distinct, fpp)
	s.bloom = slices.Grow(s.bloom[:0], size)[:size]
	clear(s.bloom)
	bloom.MakeSplitBlockFilter(s.bloom).InsertBulk(s.hashes)
	t := thriftWriter{b: dst}
	t.i32(1, int32(size))
	for id := 2; id <= 4; id++ { // split blocks, xxHash and no compression are each the first of their union
		outer := t.open(id)
		t.empty(1)
		t.end(outer)
	}
	t.b = append(t.b, thriftStop)
	return append(t.b, s.bloom...)
}

// bloomBytes returns the size of a filter: a power of two, since some readers take no other.
func bloomBytes(distinct int, fpp float64) int {
	n := -8 / math.Log1p(-math.Pow(fpp, 1.0/8)) * float64(distinct) / 8
	if n >= maxBloomBytes {
		return maxBloomBytes
	}
	return 1 << bits.Len(uint(max(n, minBloomBytes)-1))
}

// countDistinct estimates how many of the hashes differ, within about a hundredth, by how many bits they set.
func (s *scratch) countDistinct(hashes []uint64) int {
	if len(hashes) == 0 {
		return 0
	}
	size := 1 << bits.Len(uint(len(hashes)|63))
	s.table = slices.Grow(s.table[:0], size/64)[:size/64]
	clear(s.table)
	shift := 64 - bits.Len(uint(size-1))
	for _, h := range hashes {
		h >>= shift
		s.table[h/64] |= 1 << (h % 64)
	}
	set := 0
	for _, w := range s.table {
		set += bits.OnesCount64(w)
	}
	if set == size {
		return len(hashes)
	}
	n := -float64(size) * math.Log1p(-float64(set)/float64(size))
	return min(int(n+0.5), len(hashes))
}
