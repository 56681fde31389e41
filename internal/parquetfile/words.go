// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/format"
)

// loadWords takes the values that gather has chosen as words: extended by their sign, or by zeros.
func (s *scratch) loadWords(l *leaf, fixed []byte) error {
	s.words = grown(s.words, s.values)
	words := s.words
	le := binary.LittleEndian
	switch {
	case l.physical == format.Boolean:
		for i := range words {
			if fixed[s.at(i)] != 0 {
				words[i] = 1
			} else {
				words[i] = 0
			}
		}
	case l.width == 8 && s.identity:
		for i := range words {
			words[i] = le.Uint64(fixed[8*i:])
		}
	case l.width == 8:
		for i, at := range s.sel {
			words[i] = le.Uint64(fixed[8*int(at):])
		}
	case l.width == 4 && s.identity:
		for i := range words {
			words[i] = uint64(le.Uint32(fixed[4*i:]))
		}
	case l.width == 4:
		for i, at := range s.sel {
			words[i] = uint64(le.Uint32(fixed[4*int(at):]))
		}
	case l.width == 2:
		for i := range words {
			words[i] = uint64(le.Uint16(fixed[2*s.at(i):]))
		}
	default:
		for i := range words {
			words[i] = uint64(fixed[s.at(i)])
		}
	}
	if l.extend && l.width < 8 {
		shift := 64 - 8*l.width
		for i, w := range words {
			words[i] = uint64(int64(w<<shift) >> shift)
		}
	}
	if l.factor > 1 {
		bound := math.MaxInt64 / l.factor
		for i, w := range words {
			if v := int64(w); v > bound || v < -bound {
				return fmt.Errorf("the time %d of %s is beyond what a timestamp of the next finer unit holds", v, l.Type)
			}
			words[i] = w * uint64(l.factor)
		}
	}
	return nil
}

// at returns the place in the vector of value i.
func (s *scratch) at(i int) int {
	if s.identity {
		return i
	}
	return int(s.sel[i])
}

// maxDictionary bounds a dictionary's bytes, which a reader holds while it reads the column.
const maxDictionary = 4 << 20

// encodeWords writes a column of values of at most 8 bytes.
func (w *Writer) encodeWords(s *scratch, l *leaf, c *chunk, rows int) error {
	words := s.words
	encoding := w.chooseWords(s, l)
	if encoding == format.RLEDictionary {
		s.page = s.page[:0]
		for _, e := range s.wordEntries {
			s.page = l.appendWord(s.page, e)
		}
		if err := w.dictionaryPage(s, c, len(s.wordEntries)); err != nil {
			return err
		}
		s.cut(rows, w.options.PageBytes, indexBits(len(s.wordEntries)), nil)
	} else {
		s.cut(rows, w.options.PageBytes, max(1, 8*l.plain), nil)
	}
	for i := range s.ends {
		from, to := s.pageAt(i)
		w.levels(s, l, from, to)
		page := words[from.value:to.value]
		info := w.newPage(s, from, to)
		if least, greatest, ok := wordBounds(l.order, page); ok {
			info.bounded, info.leastExact, info.greatestExact = true, true, true
			info.leastWord, info.greatestWord = least, greatest
			info.least = s.keepBound(l.appendWord(s.boundBytes, least))
			info.greatest = s.keepBound(l.appendWord(s.boundBytes, greatest))
		}
		switch encoding {
		case format.RLEDictionary:
			s.page = appendIndexes(s.page, s.ids[from.value:to.value])
		case format.DeltaBinaryPacked:
			if err := s.appendDelta(l, page); err != nil {
				return err
			}
		default:
			s.appendPlain(l, page)
		}
		if err := w.dataPage(s, c, info, from, to, encoding); err != nil {
			return err
		}
	}
	if l.Bloom {
		s.hashes = s.hashes[:0]
		distinct := 0
		if encoding == format.RLEDictionary {
			for _, e := range s.wordEntries {
				s.hashes = append(s.hashes, l.hashWord(e))
			}
			distinct = len(s.hashes)
		} else {
			for _, v := range words {
				s.hashes = append(s.hashes, l.hashWord(v))
			}
			distinct = s.countDistinct(s.hashes)
		}
		c.bloomDistinct = distinct
	}
	return nil
}

func (s *scratch) appendPlain(l *leaf, words []uint64) {
	switch l.plain {
	case 0: // booleans
		var last [8]byte
		for len(words) > 0 {
			n := min(8, len(words))
			last = [8]byte{}
			for i, w := range words[:n] {
				last[i] = byte(w)
			}
			s.page = packLevels(s.page, binary.LittleEndian.Uint64(last[:]), 1)
			words = words[n:]
		}
	case 4:
		at := len(s.page)
		s.page = slices.Grow(s.page, 4*len(words))[:at+4*len(words)]
		for i, out := 0, s.page[at:]; i < len(words); i++ {
			binary.LittleEndian.PutUint32(out[4*i:], uint32(words[i]))
		}
	default:
		at := len(s.page)
		s.page = slices.Grow(s.page, 8*len(words))[:at+8*len(words)]
		for i, out := 0, s.page[at:]; i < len(words); i++ {
			binary.LittleEndian.PutUint64(out[8*i:], words[i])
		}
	}
}

func (s *scratch) appendDelta(l *leaf, words []uint64) (err error) {
	var e delta.BinaryPackedEncoding
	if l.plain == 4 {
		s.int32s = grown(s.int32s, len(words))
		for i, w := range words {
			s.int32s[i] = int32(w)
		}
		s.delta, err = e.EncodeInt32(s.delta, s.int32s)
	} else {
		signed := unsafe.Slice((*int64)(unsafe.Pointer(unsafe.SliceData(words))), len(words)) //nolint:gosec // the same words, signed
		s.delta, err = e.EncodeInt64(s.delta, signed)
	}
	s.page = append(s.page, s.delta...)
	return err
}

// chooseWords decides by size how the values are encoded, and builds the dictionary where it is one.
func (w *Writer) chooseWords(s *scratch, l *leaf) format.Encoding {
	if l.physical == format.Boolean || s.values == 0 {
		return format.Plain
	}
	best, encoding := s.values*l.plain, format.Plain
	if l.integer() && !w.options.OldReaders {
		// What DELTA_BINARY_PACKED saves, compression no longer finds: it must save enough.
		if n := s.estimateDelta(l); n < best-best/4 {
			best, encoding = n, format.DeltaBinaryPacked
		}
	}
	if s.wordDictionary(l) {
		if n := len(s.wordEntries)*l.plain + (s.values*indexBits(len(s.wordEntries))+7)/8; n < best {
			encoding = format.RLEDictionary
		}
	}
	return encoding
}

// indexBits is how many bits an index of a dictionary takes.
func indexBits(entries int) int { return bitLen(uint32(max(entries, 1) - 1)) }

func bitLen(x uint32) int { return bits.Len32(x) }

// estimateDelta returns about how many bytes DELTA_BINARY_PACKED takes, by some blocks of the values.
func (s *scratch) estimateDelta(l *leaf) int {
	const block, samples = 128, 16
	words := s.words
	if len(words) < 2 {
		return 16
	}
	step := max(block, len(words)/samples)
	width, blocks := 0, 0
	for at := 0; at+1 < len(words); at += step {
		part := words[at:min(at+block+1, len(words))]
		least, greatest := int64(math.MaxInt64), int64(math.MinInt64)
		for i := 1; i < len(part); i++ {
			d := int64(part[i] - part[i-1])
			if l.plain == 4 {
				d = int64(int32(d))
			}
			least, greatest = min(least, d), max(greatest, d)
		}
		width += bits.Len64(uint64(greatest - least))
		blocks++
	}
	return len(words)*width/blocks/8 + len(words)/16 + 16
}

// wordDictionary gives each value its place among the distinct ones, which it puts in the order in which they come. It returns
// false where too many differ.
func (s *scratch) wordDictionary(l *leaf) bool {
	words := s.words
	s.ids, s.wordEntries = grown(s.ids, len(words)), s.wordEntries[:0]
	limit := maxDictionary / l.plain
	if l.integer() {
		least, greatest, _ := wordBounds(l.order, words)
		if spread := greatest - least; spread < 1<<16 && spread < uint64(4*len(words)) {
			// A table of all values that can be, without hashing.
			s.remap = grown(s.remap, int(spread)+1)
			clear(s.remap)
			for i, v := range words {
				id := s.remap[v-least]
				if id == 0 {
					s.wordEntries = append(s.wordEntries, v)
					id = uint32(len(s.wordEntries))
					s.remap[v-least] = id
				}
				s.ids[i] = id - 1
			}
			return true
		}
	}
	size := 1 << 11
	s.remap = grown(s.remap, size)
	clear(s.remap)
	check := firstCheck
	var before uint64
	var beforeID uint32
	for i, v := range words {
		if i == check {
			if tooMany(len(s.wordEntries), i) {
				return false
			}
			check *= 2
		}
		if v == before && i > 0 {
			s.ids[i] = beforeID
			continue
		}
		at := hashInt(v) & uint64(size-1)
		for {
			id := s.remap[at]
			if id == 0 {
				s.wordEntries = append(s.wordEntries, v)
				id = uint32(len(s.wordEntries))
				if len(s.wordEntries) > limit {
					return false
				}
				s.remap[at] = id
				if len(s.wordEntries)*2 > size {
					size *= 2
					s.rehashWords(size)
				}
				beforeID = id - 1
				break
			}
			if s.wordEntries[id-1] == v {
				beforeID = id - 1
				break
			}
			at = (at + 1) & uint64(size-1)
		}
		s.ids[i] = beforeID
		before = v
	}
	return !tooMany(len(s.wordEntries), len(words))
}

func (s *scratch) rehashWords(size int) {
	s.remap = grown(s.remap, size)
	clear(s.remap)
	for i, v := range s.wordEntries {
		at := hashInt(v) & uint64(size-1)
		for s.remap[at] != 0 {
			at = (at + 1) & uint64(size-1)
		}
		s.remap[at] = uint32(i + 1)
	}
}

// firstCheck is after how many values a dictionary is first judged, and then whenever they have doubled.
const firstCheck = 1024

// tooMany says whether so many distinct ones among the values make a dictionary pointless.
func tooMany(distinct, values int) bool { return distinct > values-values/4 }

// hashSeed is another in each process, so that nobody can send numbers that all collide. The bytes written do not depend on it.
var hashSeed = maphash.Comparable(maphash.MakeSeed(), 0)

func hashInt(v uint64) uint64 {
	hi, lo := bits.Mul64(v^hashSeed, 0x9e3779b97f4a7c15)
	return hi ^ lo
}
