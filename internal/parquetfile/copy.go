// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go/format"
)

// CopyRowGroups appends all row groups of a file that this package wrote with the same columns, as they are encoded. The file's
// order of rows is taken for this writer's. Every page's checksum is compared on the way, so that damage does not spread.
//
// It refuses a file, and leaves the writer as it was, with ErrOtherColumns or ErrDamaged where the footer or an index shows it. An
// error after that, ErrDamaged too, leaves a file that cannot be completed.
func (w *Writer) CopyRowGroups(r io.ReaderAt, size int64) (rows int64, err error) {
	if w.err != nil {
		return 0, w.err
	}
	s := takeScratch()
	defer s.release()
	groups, err := w.open(s, r, size)
	if err != nil {
		return 0, err
	}
	if len(groups)+len(w.groups) > maxRowGroups {
		return 0, fmt.Errorf("a file has up to %d row groups", maxRowGroups)
	}
	shift := w.position() - int64(len(magic))
	for i := range groups {
		g := &groups[i]
		for j := range g.chunks {
			if err := w.copyChunk(r, &g.chunks[j]); err != nil {
				return 0, w.fail(fmt.Errorf("copying column %q of row group %d: %w", w.leaves[j].Name, i, err))
			}
		}
		for j := range g.chunks {
			if c := &g.chunks[j]; c.bloom > 0 {
				if err := w.copyBytes(r, c.bloom, int64(c.bloomLength)); err != nil {
					return 0, w.fail(fmt.Errorf("copying the bloom filter of column %q of row group %d: %w", w.leaves[j].Name, i, err))
				}
			}
		}
		rows += g.rows
		for j := range g.chunks {
			g.chunks[j].shift(shift)
		}
	}
	w.groups = append(w.groups, groups...)
	w.rows += rows
	return rows, nil
}

// shift moves the chunk to where it lies in this file.
func (c *chunk) shift(by int64) {
	c.data += by
	if c.dictionary > 0 {
		c.dictionary += by
	}
	if c.bloom > 0 {
		c.bloom += by
	}
	for i := range c.pages {
		c.pages[i].offset += by
	}
}

// maxFooter is far more than the footer of a file with the most columns and some row groups.
const maxFooter = 1 << 30

// open reads a file's footer and indexes, and holds them against the layout that this package writes: without a gap from the magic
// on, row group by row group its chunks and then its bloom filters; behind the last one all column indexes, all offset indexes, and the
// footer.
func (w *Writer) open(s *scratch, r io.ReaderAt, size int64) ([]rowGroup, error) {
	const tail = 8
	if size < int64(len(magic))+tail {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrDamaged, size)
	}
	var ends [tail + len(magic)]byte
	if err := readAt(r, ends[:len(magic)], 0); err != nil {
		return nil, err
	}
	if err := readAt(r, ends[len(magic):], size-tail); err != nil {
		return nil, err
	}
	length := int64(binary.LittleEndian.Uint32(ends[len(magic):]))
	if string(ends[:len(magic)]) != magic || string(ends[tail:]) != magic || length > min(maxFooter, size-tail-int64(len(magic))) {
		return nil, fmt.Errorf("%w: it does not begin and end as Parquet does", ErrDamaged)
	}
	footer := make([]byte, length) // not of s: the chunks keep parts of it
	footerAt := size - tail - length
	if err := readAt(r, footer, footerAt); err != nil {
		return nil, err
	}
	groups, sameSchema, ok := readFooter(footer, w.schema, w.leaves)
	switch {
	case ok && !sameSchema:
		return nil, ErrOtherColumns
	case !ok:
		return nil, fmt.Errorf("%w: its footer cannot be read", ErrDamaged)
	}
	at := int64(len(magic))
	expect := func(offset, length int64) bool {
		ok := offset == at && length >= 0 && length <= footerAt-at
		at += length
		return ok
	}
	for i := range groups {
		g := &groups[i]
		for j := range g.chunks {
			c := &g.chunks[j]
			sound := c.uncompressed >= 0 && (c.values == g.rows || c.values > g.rows && w.leaves[j].Repeated) &&
				c.dictionary >= 0 && c.dictionary < c.data && expect(c.start(), c.compressed) && c.data < at
			if !sound {
				return nil, fmt.Errorf("%w: column %q of row group %d is out of place", ErrDamaged, w.leaves[j].Name, i)
			}
		}
		for j := range g.chunks {
			if c := &g.chunks[j]; (c.bloom != 0 || c.bloomLength != 0) && (c.bloomLength == 0 || !expect(c.bloom, int64(c.bloomLength))) {
				return nil, fmt.Errorf("%w: the bloom filter of column %q of row group %d is out of place", ErrDamaged, w.leaves[j].Name, i)
			}
		}
	}
	for i := range groups {
		for j := range groups[i].chunks {
			c := &groups[i].chunks[j]
			if c.columnIndexAt == 0 && c.columnIndexSize == 0 {
				continue
			}
			if c.columnIndexSize <= 0 || !expect(c.columnIndexAt, int64(c.columnIndexSize)) {
				return nil, fmt.Errorf("%w: the column index of column %q of row group %d is out of place", ErrDamaged, w.leaves[j].Name, i)
			}
			c.columnIndex = make([]byte, c.columnIndexSize)
			if err := readAt(r, c.columnIndex, c.columnIndexAt); err != nil {
				return nil, err
			}
			t := thriftReader{b: c.columnIndex}
			if t.skip(thriftStruct); t.bad || t.i != len(t.b) {
				return nil, fmt.Errorf("%w: the column index of column %q of row group %d cannot be read", ErrDamaged, w.leaves[j].Name, i)
			}
		}
	}
	for i := range groups {
		for j := range groups[i].chunks {
			c := &groups[i].chunks[j]
			if !expect(c.offsetIndexAt, int64(c.offsetIndexSize)) {
				return nil, fmt.Errorf("%w: the offset index of column %q of row group %d is out of place", ErrDamaged, w.leaves[j].Name, i)
			}
			s.page = grown(s.page, int(c.offsetIndexSize))
			if err := readAt(r, s.page, c.offsetIndexAt); err != nil {
				return nil, err
			}
			if !c.readOffsetIndex(s.page, groups[i].rows) {
				return nil, fmt.Errorf("%w: the offset index of column %q of row group %d cannot be read", ErrDamaged, w.leaves[j].Name, i)
			}
		}
	}
	if at != footerAt {
		return nil, fmt.Errorf("%w: there is something before its footer", ErrDamaged)
	}
	return groups, nil
}

// readOffsetIndex reads where the chunk's pages lie, and returns false unless they are all of it, one behind the other.
func (c *chunk) readOffsetIndex(b []byte, rows int64) bool {
	t := thriftReader{b: b}
	outer := t.begin()
	if id, typ, ok := t.next(outer); !ok || id != 1 || typ != thriftList {
		return false
	}
	at, row := c.data, int64(-1)
	for range t.list(thriftStruct) {
		var p pageLocation
		outer := t.begin()
		for {
			id, typ, ok := t.next(outer)
			if !ok {
				break
			}
			switch {
			case id == 1 && typ == thriftI64:
				p.offset = t.varint(64)
			case id == 2 && typ == thriftI32:
				p.size = int32(t.varint(32))
			case id == 3 && typ == thriftI64:
				p.firstRow = t.varint(64)
			default:
				t.fail()
			}
		}
		if t.bad || p.offset != at || p.size <= 0 || p.firstRow <= row || p.firstRow >= rows || row < 0 && p.firstRow != 0 {
			return false
		}
		at, row = at+int64(p.size), p.firstRow
		c.pages = append(c.pages, p)
	}
	if _, _, more := t.next(outer); more || t.bad || t.i != len(b) {
		return false
	}
	return len(c.pages) > 0 && at == c.start()+c.compressed
}

// copyChunk copies a chunk's pages.
func (w *Writer) copyChunk(r io.ReaderAt, c *chunk) error {
	if c.dictionary > 0 {
		if err := w.copyPage(r, c.dictionary, c.data-c.dictionary, format.DictionaryPage); err != nil {
			return err
		}
	}
	for _, p := range c.pages {
		if err := w.copyPage(r, p.offset, int64(p.size), format.DataPage); err != nil {
			return err
		}
	}
	return nil
}

// copyPage copies one page, whose header and checksum must be right.
func (w *Writer) copyPage(r io.ReaderAt, offset, length int64, typ format.PageType) error {
	start := len(w.out)
	if err := w.read(r, offset, length); err != nil {
		return err
	}
	if !soundPage(w.out[start:], typ) {
		return fmt.Errorf("%w: the page at byte %d", ErrDamaged, offset)
	}
	return w.flush(false)
}

// soundPage says whether b is one page of the type with the checksum of its bytes.
func soundPage(b []byte, typ format.PageType) bool {
	t := thriftReader{b: b}
	outer := t.begin()
	var got, size, sum int64
	seen := 0
	for {
		id, kind, ok := t.next(outer)
		if !ok {
			break
		}
		switch {
		case id == 1 && kind == thriftI32:
			got = t.varint(32)
			seen++
		case id == 3 && kind == thriftI32:
			size = t.varint(32)
			seen++
		case id == 4 && kind == thriftI32:
			sum = t.varint(32)
			seen++
		default:
			t.skip(kind)
		}
	}
	return !t.bad && seen == 3 && got == int64(typ) && size == int64(len(b)-t.i) && uint32(sum) == crc32.ChecksumIEEE(b[t.i:])
}

func (w *Writer) copyBytes(r io.ReaderAt, offset, length int64) error {
	for length > 0 {
		n := min(length, flushBytes)
		if err := w.read(r, offset, n); err != nil {
			return err
		}
		if err := w.flush(false); err != nil {
			return err
		}
		offset, length = offset+n, length-n
	}
	return nil
}

// read appends bytes of r to w.out.
func (w *Writer) read(r io.ReaderAt, offset, length int64) error {
	start := len(w.out)
	w.out = slices.Grow(w.out, int(length))[:start+int(length)]
	return readAt(r, w.out[start:], offset)
}

func readAt(r io.ReaderAt, b []byte, offset int64) error {
	if n, err := r.ReadAt(b, offset); n < len(b) {
		if err == io.EOF {
			return fmt.Errorf("%w: it ends early", ErrDamaged)
		}
		return fmt.Errorf("reading a Parquet file: %w", err)
	}
	return nil
}
