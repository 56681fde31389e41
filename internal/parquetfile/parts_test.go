// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/stretchr/testify/require"
)

func TestIndexesOfAllWidthsAreDecodedAsTheyWere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for width := range 33 {
		for _, n := range []int{1, 7, 8, 9, 63, 64, 1000} {
			ids := make([]uint32, n)
			for i := 0; i < n; {
				run := 1
				if r.IntN(3) == 0 {
					run = 1 + r.IntN(100)
				}
				id := uint32(r.Uint64() & (1<<width - 1))
				for ; run > 0 && i < n; run-- {
					ids[i] = id
					i++
				}
			}
			encoded := appendIndexes([]byte{}, ids)
			got, err := new(rle.DictionaryEncoding).DecodeInt32(nil, encoded)
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(got), n) // the last group may be filled up
			for i := range ids {
				require.Equal(t, ids[i], uint32(got[i]), "width %d, index %d of %d", width, i, n)
			}
		}
	}
}

func TestLevelsAreDecodedAsTheyWere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for width := 1; width <= 2; width++ {
		for _, n := range []int{1, 5, 8, 9, 40, 47, 1000} {
			for range 20 {
				levels := make([]byte, n)
				for i := 0; i < n; {
					level := byte(r.IntN(width + 1))
					for run := 1 + r.IntN(2)*r.IntN(200); run > 0 && i < n; run-- {
						levels[i] = level
						i++
					}
				}
				encoded := appendLevels(nil, levels, width)
				require.EqualValues(t, len(encoded)-4, binary.LittleEndian.Uint32(encoded))
				got, err := (&rle.Encoding{BitWidth: width}).DecodeLevels(nil, encoded[4:])
				require.NoError(t, err)
				require.Equal(t, levels, got[:n])
			}
		}
	}
	one := appendSameLevels(nil, 1000, 1, 1)
	got, err := (&rle.Encoding{BitWidth: 1}).DecodeLevels(nil, one[4:])
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte{1}, 1000), got)
}

func TestFramesOfLiteralsAreZstd(t *testing.T) {
	d, err := zstd.NewReader(nil)
	require.NoError(t, err)
	defer d.Close()
	s := takeScratch()
	defer s.release()
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{
		0, 1, 31, 32, 33, 255, 256, 257, 1023, 1024, 16383, 16384, 65535, 65536, 65791, 65792, 1<<17 - 1, 1 << 17, 1<<17 + 1, 300_000,
	} {
		for _, symbols := range []int{1, 2, 16, 60, 256} {
			src := make([]byte, n)
			for i := range src {
				src[i] = byte(r.IntN(symbols))
			}
			frame := s.appendLiterals(nil, src)
			got, err := d.DecodeAll(frame, nil)
			require.NoError(t, err, "%d bytes of %d symbols", n, symbols)
			require.True(t, bytes.Equal(src, got))
			require.LessOrEqual(t, len(frame), n+10+3*(n/maxBlock+1))
			if n > 1000 && symbols == 16 {
				require.Less(t, len(frame), n*6/10)
			}
		}
	}
}

func TestLongBoundsAreCutOffAndStillBounds(t *testing.T) {
	f := func(text, least, greatest string) {
		t.Helper()
		bound, exact := lowerBound([]byte(text))
		require.Equal(t, least, string(bound))
		require.Equal(t, least == text, exact)
		require.LessOrEqual(t, string(bound), text)
		bound, exact = upperBound(nil, []byte(text))
		require.Equal(t, greatest, string(bound))
		require.Equal(t, greatest == text, exact)
		require.GreaterOrEqual(t, string(bound), text)
		require.True(t, utf8.Valid(bound))
	}
	a := func(n int) string { return strings.Repeat("a", n) }
	f("", "", "")
	f("short", "short", "short")
	f(a(64), a(64), a(64))
	f(a(65), a(64), a(63)+"b")
	f(a(63)+"é…", a(63), a(62)+"b")                    // within a character
	f(a(61)+"\ud7ff…", a(61)+"\ud7ff", a(61)+"\ue000") // over the surrogates
	f(a(60)+"\U0010ffff…", a(60)+"\U0010ffff", a(59)+"b")
	last := strings.Repeat("\U0010ffff", 16)
	f(last+"a", last, last+"a") // nothing of that size is greater
}

func TestZerosAndNaNsOfFloatsDoNotMislead(t *testing.T) {
	f := func(values []float64, least, greatest float64, ok bool) {
		t.Helper()
		words := make([]uint64, len(values))
		words32 := make([]uint64, len(values))
		for i, v := range values {
			words[i] = math.Float64bits(v)
			words32[i] = uint64(math.Float32bits(float32(v)))
		}
		lo, hi, some := wordBounds(orderFloat64, words)
		require.Equal(t, ok, some)
		lo32, hi32, some := wordBounds(orderFloat32, words32)
		require.Equal(t, ok, some)
		if ok {
			require.Equal(t, [2]uint64{math.Float64bits(least), math.Float64bits(greatest)}, [2]uint64{lo, hi})
			require.Equal(t, [2]uint32{math.Float32bits(float32(least)), math.Float32bits(float32(greatest))}, [2]uint32{uint32(lo32), uint32(hi32)})
		}
	}
	minus := math.Copysign(0, -1)
	f([]float64{1, -2, 3}, -2, 3, true)
	f([]float64{0, 1}, minus, 1, true)
	f([]float64{-1, minus}, -1, 0, true)
	f([]float64{math.Inf(1), math.Inf(-1)}, math.Inf(-1), math.Inf(1), true)
	f([]float64{math.Inf(-1)}, math.Inf(-1), math.Inf(-1), true)
	f([]float64{1, math.NaN()}, 0, 0, false)
	f(nil, 0, 0, false)
}

func TestBloomFiltersHaveTheSizeOfTheirValues(t *testing.T) {
	require.Equal(t, 32, bloomBytes(0, 0.01))
	require.Equal(t, 32, bloomBytes(20, 0.01))
	require.Equal(t, 128<<10, bloomBytes(100_000, 0.01))
	require.Equal(t, maxBloomBytes, bloomBytes(math.MaxInt32, 0.0001))
	s := takeScratch()
	defer s.release()
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 10, 1000, 100_000} {
		hashes := make([]uint64, 0, 3*n)
		for range n {
			h := r.Uint64()
			hashes = append(hashes, h, h, h)
		}
		require.InEpsilon(t, float64(n)+1, float64(s.countDistinct(hashes))+1, 0.03, "%d", n)
	}
}
