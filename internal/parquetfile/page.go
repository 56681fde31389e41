// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"errors"
	"hash/crc32"
	"math"

	"github.com/parquet-go/parquet-go/format"
)

var errPageSize = errors.New("one row of it has more than the 2 GiB that a page holds")

// pageAt returns where page i of s.ends begins and ends.
func (s *scratch) pageAt(i int) (from, to pageEnd) {
	if i > 0 {
		from = s.ends[i-1]
	}
	return from, s.ends[i]
}

// levels begins a page with its levels.
func (w *Writer) levels(s *scratch, l *leaf, from, to pageEnd) {
	s.page = s.page[:0]
	n := to.slot - from.slot
	if l.maxRep > 0 {
		s.page = appendLevels(s.page, s.rep[from.slot:to.slot], 1)
	}
	switch {
	case l.maxDef == 0:
	case s.def == nil:
		s.page = appendSameLevels(s.page, n, l.maxDef, 1)
	default:
		s.page = appendLevels(s.page, s.def[from.slot:to.slot], int(l.maxDef))
	}
}

// newPage adds a page without bounds. What it returns is good until the next call.
func (w *Writer) newPage(s *scratch, from, to pageEnd) *pageInfo {
	slots, values := to.slot-from.slot, to.value-from.value
	s.pages = append(s.pages, pageInfo{firstRow: int64(from.row), nulls: int64(slots - values), empty: values == 0})
	return &s.pages[len(s.pages)-1]
}

// keepBound takes s.boundBytes with a bound appended.
func (s *scratch) keepBound(with []byte) span {
	was := len(s.boundBytes)
	s.boundBytes = with
	return span{uint32(was), uint32(len(with))}
}

// dataPage compresses and writes the data page in s.page.
func (w *Writer) dataPage(s *scratch, c *chunk, info *pageInfo, from, to pageEnd, encoding format.Encoding) error {
	offset := w.position()
	size, err := w.writePage(s, c, format.DataPage, func(t *thriftWriter) {
		outer := t.open(5)
		t.i32(1, int32(to.slot-from.slot))
		t.i32(2, int32(encoding))
		t.i32(3, int32(format.RLE))
		t.i32(4, int32(format.RLE))
		t.end(outer)
	})
	info.offset, info.size = offset, size
	c.dataPages++
	c.encoding = encoding
	if c.data == 0 {
		c.data = offset
	}
	return err
}

// dictionaryPage writes the dictionary of so many entries in s.page.
func (w *Writer) dictionaryPage(s *scratch, c *chunk, entries int) error {
	c.dictionary = w.position()
	defer func() { c.method = methodOpen }() // data pages are of another kind
	_, err := w.writePage(s, c, format.DictionaryPage, func(t *thriftWriter) {
		outer := t.open(7)
		t.i32(1, int32(entries))
		t.i32(2, int32(format.Plain))
		t.end(outer)
	})
	return err
}

func (w *Writer) writePage(s *scratch, c *chunk, typ format.PageType, header func(*thriftWriter)) (size int32, err error) {
	if len(s.page) > math.MaxInt32 {
		return 0, errPageSize
	}
	s.compress(w.zstd, &c.method)
	if len(s.zipped) > math.MaxInt32-1024 {
		return 0, errPageSize
	}
	start := len(w.out)
	t := thriftWriter{b: w.out}
	t.i32(1, int32(typ))
	t.i32(2, int32(len(s.page)))
	t.i32(3, int32(len(s.zipped)))
	t.i32(4, int32(crc32.ChecksumIEEE(s.zipped)))
	header(&t)
	t.b = append(t.b, thriftStop)
	headerSize := len(t.b) - start
	t.b = append(t.b, s.zipped...)
	w.out = t.b
	c.uncompressed += int64(headerSize + len(s.page))
	c.compressed += int64(headerSize + len(s.zipped))
	return int32(headerSize + len(s.zipped)), nil
}
