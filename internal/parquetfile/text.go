// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/format"

	"github.com/millrace/millrace/internal/schema"
)

// errNotUTF8 says that a text must be mended first. It does not leave the package.
var errNotUTF8 = errors.New("a text is not UTF-8")

var textSeed = maphash.MakeSeed()

// encodeTexts writes a column of byte strings.
func (w *Writer) encodeTexts(s *scratch, l *leaf, v *Vector, c *chunk, rows int) error {
	data := v.Text
	var encoding format.Encoding
	var err error
	switch {
	case l.plain > 0:
		data = s.loadWide(l, v.Fixed)
		encoding = w.chooseText(s, l, data)
	case v.Keys != nil && s.values > 0:
		if encoding, err = w.chooseKeyed(s, l, v); err != nil {
			return err
		}
	default:
		if err := s.loadSpans(v); err != nil {
			return err
		}
		encoding = w.chooseText(s, l, data)
	}
	start := len(w.out)
	err = w.textPages(s, l, data, c, rows, encoding)
	if !errors.Is(err, errNotUTF8) {
		return err
	}
	// One such text would make the file unreadable for some readers, so its bad bytes are replaced. That is rare, so that the
	// column begins anew.
	w.out = w.out[:start]
	*c = chunk{}
	s.pages, s.boundBytes = s.pages[:0], s.boundBytes[:0]
	if encoding == format.RLEDictionary {
		s.spans = s.spans[:0]
		for _, id := range s.ids {
			s.spans = append(s.spans, s.textEntries[id])
		}
	}
	if data, err = s.mend(data); err != nil {
		return err
	}
	return w.textPages(s, l, data, c, rows, w.chooseText(s, l, data))
}

// loadWide makes spans of values of 16 bytes, big-endian.
func (s *scratch) loadWide(l *leaf, fixed []byte) []byte {
	s.text, s.spans = grown(s.text, 16*s.values), grown(s.spans, s.values)
	for i := range s.spans {
		from := fixed[16*s.at(i):]
		lo, hi := binary.LittleEndian.Uint64(from), binary.LittleEndian.Uint64(from[8:])
		if l.reverse == 16 {
			lo, hi = hi, lo
		}
		binary.BigEndian.PutUint64(s.text[16*i:], lo)
		binary.BigEndian.PutUint64(s.text[16*i+8:], hi)
		s.spans[i] = span{uint32(16 * i), uint32(16*i + 16)}
	}
	return s.text
}

func checkSpan(v span, text []byte) error {
	if v.start > v.end || int(v.end) > len(text) {
		return fmt.Errorf("its Offsets name bytes %d to %d of a Text of %d", v.start, v.end, len(text))
	}
	return nil
}

// loadSpans makes spans of strings that are no dictionary.
func (s *scratch) loadSpans(v *Vector) error {
	s.spans = grown(s.spans, s.values)
	for i := range s.spans {
		at := s.at(i)
		s.spans[i] = span{v.Offsets[at], v.Offsets[at+1]}
		if err := checkSpan(s.spans[i], v.Text); err != nil {
			return err
		}
	}
	return nil
}

// chooseText decides how the texts of s.spans are encoded, and builds the dictionary where it is one.
func (w *Writer) chooseText(s *scratch, l *leaf, data []byte) format.Encoding {
	if s.values > 0 && s.textDictionary(data) {
		total := 0
		for _, v := range s.spans {
			total += v.len()
		}
		if s.worthwhile(total) {
			return format.RLEDictionary
		}
	}
	return w.undictionaried(l)
}

// undictionaried is the encoding of byte strings without a dictionary.
func (w *Writer) undictionaried(l *leaf) format.Encoding {
	if l.plain > 0 || w.options.OldReaders {
		return format.Plain
	}
	return format.DeltaLengthByteArray
}

// worthwhile says whether the dictionary is smaller than the values, which have so many bytes and some for their lengths.
func (s *scratch) worthwhile(total int) bool {
	size := (s.values*indexBits(len(s.textEntries)) + 7) / 8
	for _, e := range s.textEntries {
		size += 4 + e.len()
	}
	return size <= total+s.values/2
}

// textDictionary gives each value its place among the distinct ones, in the order in which they come. It returns false where too
// many differ.
func (s *scratch) textDictionary(data []byte) bool {
	s.ids, s.textEntries = grown(s.ids, s.values), s.textEntries[:0]
	s.resetTable(1 << 11)
	check, size := firstCheck, 0
	var before []byte
	var id uint32
	for i, v := range s.spans {
		if i == check {
			if tooMany(len(s.textEntries), i) {
				return false
			}
			check *= 2
		}
		b := data[v.start:v.end]
		if i > 0 && bytes.Equal(b, before) {
			s.ids[i] = id
			continue
		}
		known := len(s.textEntries)
		id = s.intern(data, v)
		if len(s.textEntries) > known {
			if size += 4 + v.len(); size > maxDictionary {
				return false
			}
		}
		s.ids[i], before = id, b
	}
	return !tooMany(len(s.textEntries), s.values) || s.values == 1
}

// smallEnough says whether the dictionary is within its bound.
func (s *scratch) smallEnough() bool {
	size := 0
	for _, e := range s.textEntries {
		size += 4 + e.len()
	}
	return size <= maxDictionary
}

func (s *scratch) resetTable(size int) {
	s.table = grown(s.table, size)
	clear(s.table)
}

// intern returns the text's place in s.textEntries, where it adds it if it is not there. A slot of the table has 32 bits of the hash
// and the place, plus one.
func (s *scratch) intern(data []byte, v span) uint32 {
	b := data[v.start:v.end]
	hash := maphash.Bytes(textSeed, b)
	mask := uint64(len(s.table) - 1)
	high := hash &^ math.MaxUint32
	for at := hash & mask; ; at = (at + 1) & mask {
		slot := s.table[at]
		if slot == 0 {
			s.textEntries = append(s.textEntries, v)
			n := uint64(len(s.textEntries))
			s.table[at] = high | n
			if int(n)*2 > len(s.table) {
				s.rehashTexts(data)
			}
			return uint32(n - 1)
		}
		if slot&^math.MaxUint32 == high {
			id := uint32(slot) - 1
			if e := s.textEntries[id]; bytes.Equal(data[e.start:e.end], b) {
				return id
			}
		}
	}
}

func (s *scratch) rehashTexts(data []byte) {
	s.resetTable(2 * len(s.table))
	mask := uint64(len(s.table) - 1)
	for i, e := range s.textEntries {
		hash := maphash.Bytes(textSeed, data[e.start:e.end])
		at := hash & mask
		for s.table[at] != 0 {
			at = (at + 1) & mask
		}
		s.table[at] = hash&^math.MaxUint32 | uint64(i+1)
	}
}

// chooseKeyed takes over the vector's dictionary, without what is unused or stands there twice, unless that is too large.
func (w *Writer) chooseKeyed(s *scratch, l *leaf, v *Vector) (format.Encoding, error) {
	known := len(v.Offsets) - 1
	s.ids, s.textEntries = grown(s.ids, s.values), s.textEntries[:0]
	s.remap = grown(s.remap, known)
	clear(s.remap)
	s.resetTable(1 << 11)
	total := 0
	for i := range s.ids {
		key := v.Keys[s.at(i)]
		if int(key) >= known {
			return 0, fmt.Errorf("its key %d is not in a dictionary of %d", key, known)
		}
		id := s.remap[key]
		if id == 0 {
			e := span{v.Offsets[key], v.Offsets[key+1]}
			if err := checkSpan(e, v.Text); err != nil {
				return 0, err
			}
			id = s.intern(v.Text, e) + 1
			s.remap[key] = id
		}
		s.ids[i] = id - 1
		total += s.textEntries[id-1].len()
	}
	if s.smallEnough() && s.worthwhile(total) {
		return format.RLEDictionary, nil
	}
	s.spans = grown(s.spans, s.values)
	for i, id := range s.ids {
		s.spans[i] = s.textEntries[id]
	}
	return w.undictionaried(l), nil
}

// mend copies the values of s.spans into s.text, with U+FFFD in place of what is not UTF-8.
func (s *scratch) mend(data []byte) ([]byte, error) {
	s.text = s.text[:0]
	for i, v := range s.spans {
		start := len(s.text)
		if b := data[v.start:v.end]; utf8.Valid(b) {
			s.text = append(s.text, b...)
		} else {
			s.text = append(s.text, bytes.ToValidUTF8(b, []byte(string(utf8.RuneError)))...)
		}
		if len(s.text) > math.MaxUint32 {
			return nil, errors.New("its texts are too large for one row group")
		}
		s.spans[i] = span{uint32(start), uint32(len(s.text))}
	}
	return s.text, nil
}

func (w *Writer) textPages(s *scratch, l *leaf, data []byte, c *chunk, rows int, encoding format.Encoding) error {
	dictionary := encoding == format.RLEDictionary
	switch {
	case dictionary:
		s.page = s.page[:0]
		for _, e := range s.textEntries {
			b := data[e.start:e.end]
			if l.plain == 0 {
				s.page = binary.LittleEndian.AppendUint32(s.page, uint32(len(b)))
				if !utf8.Valid(b) {
					return errNotUTF8
				}
			}
			s.page = append(s.page, b...)
		}
		if err := w.dictionaryPage(s, c, len(s.textEntries)); err != nil {
			return err
		}
		s.cut(rows, w.options.PageBytes, indexBits(len(s.textEntries)), nil)
		s.seen = grown(s.seen, len(s.textEntries))
		clear(s.seen)
	case l.plain > 0:
		s.cut(rows, w.options.PageBytes, 8*l.plain, nil)
	default:
		s.cut(rows, w.options.PageBytes, 0, s.spans[:s.values])
	}
	for i := range s.ends {
		from, to := s.pageAt(i)
		w.levels(s, l, from, to)
		bounds := newByteBounds(l.order)
		if dictionary {
			ids := s.ids[from.value:to.value]
			for _, id := range ids {
				s.seen[id] = uint32(i + 1)
			}
			for id, page := range s.seen {
				if page == uint32(i+1) {
					e := s.textEntries[id]
					bounds.add(data[e.start:e.end])
				}
			}
			s.page = appendIndexes(s.page, ids)
		} else if err := s.appendTexts(l, data, s.spans[from.value:to.value], &bounds, encoding); err != nil {
			return err
		}
		info := w.newPage(s, from, to)
		// ClickHouse 26.7 compares UUIDs by their second half first, and so passes over row groups and pages that have the one it
		// looks for. Without bounds it reads them; the bloom filter it takes rightly.
		if bounds.some && l.Type.Kind != schema.UUID {
			w.keepByteBounds(s, l, info, &bounds)
		}
		if err := w.dataPage(s, c, info, from, to, encoding); err != nil {
			return err
		}
	}
	if l.Bloom {
		s.hashes = s.hashes[:0]
		if dictionary {
			for _, e := range s.textEntries {
				s.hashes = append(s.hashes, hashBytes(data[e.start:e.end]))
			}
			c.bloomDistinct = len(s.hashes)
		} else {
			for _, v := range s.spans[:s.values] {
				s.hashes = append(s.hashes, hashBytes(data[v.start:v.end]))
			}
			c.bloomDistinct = s.countDistinct(s.hashes)
		}
	}
	return nil
}

// appendTexts appends a page's byte strings.
func (s *scratch) appendTexts(l *leaf, data []byte, spans []span, bounds *byteBounds, encoding format.Encoding) error {
	if l.plain > 0 {
		for _, v := range spans {
			b := data[v.start:v.end]
			bounds.add(b)
			s.page = append(s.page, b...)
		}
		return nil
	}
	if encoding == format.Plain {
		for _, v := range spans {
			b := data[v.start:v.end]
			if !utf8.Valid(b) {
				return errNotUTF8
			}
			bounds.add(b)
			s.page = append(binary.LittleEndian.AppendUint32(s.page, uint32(len(b))), b...)
		}
		return nil
	}
	s.lengths = grown(s.lengths, len(spans))
	total := 0
	for i, v := range spans {
		s.lengths[i] = int32(v.len())
		total += v.len()
	}
	if total > math.MaxInt32 {
		return errPageSize
	}
	var err error
	if s.delta, err = new(delta.BinaryPackedEncoding).EncodeInt32(s.delta, s.lengths); err != nil {
		return err
	}
	s.page = append(s.page, s.delta...)
	start := len(s.page)
	s.page = slices.Grow(s.page, total)
	var run span // texts that stand one behind the other are copied at once
	for _, v := range spans {
		b := data[v.start:v.end]
		// Together with the check of all of the page below: a text that begins within a character makes another end there.
		if len(b) > 0 && !utf8.RuneStart(b[0]) {
			return errNotUTF8
		}
		bounds.add(b)
		if v.start != run.end {
			s.page = append(s.page, data[run.start:run.end]...)
			run.start = v.start
		}
		run.end = v.end
	}
	s.page = append(s.page, data[run.start:run.end]...)
	if !utf8.Valid(s.page[start:]) {
		return errNotUTF8
	}
	return nil
}

// keepByteBounds keeps a page's bounds, cut off where they are long.
func (w *Writer) keepByteBounds(s *scratch, l *leaf, info *pageInfo, bounds *byteBounds) {
	info.bounded = true
	least, exact := bounds.least, true
	if l.plain == 0 {
		least, exact = lowerBound(bounds.least)
	}
	info.least, info.leastExact = s.keepBound(append(s.boundBytes, least...)), exact
	if l.plain == 0 {
		var kept []byte
		kept, info.greatestExact = upperBound(s.boundBytes, bounds.greatest)
		info.greatest = s.keepBound(kept)
	} else {
		info.greatest, info.greatestExact = s.keepBound(append(s.boundBytes, bounds.greatest...)), true
	}
}
