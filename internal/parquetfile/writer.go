// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// Errors of CopyRowGroups, wrapped.
var (
	// ErrOtherColumns says that a file has other columns than the writer.
	ErrOtherColumns = errors.New("the file has other columns")
	// ErrDamaged says that a file is cut off, damaged, or none that this package wrote.
	ErrDamaged = errors.New("the file is damaged, or was written by something else")
)

// Defaults of Options.
const (
	defaultLevel     = 3
	defaultPageBytes = 256 << 10
	defaultBloomFPP  = 0.01
	// Readers take the name apart: see the pattern in the format's documentation.
	defaultCreatedBy = "millrace version 1"
)

const (
	maxColumns   = 1 << 15
	maxRowGroups = math.MaxInt16 // their ordinals are of 16 bits
	flushBytes   = 1 << 20
)

// FileStats says what is in a file that was written.
type FileStats struct {
	Rows      int64
	Bytes     int64 // of the whole file
	RowGroups int
}

// Writer writes one file. It is owned by one goroutine at a time. After an error every call returns that error, and what was
// written is no file; except that CopyRowGroups leaves the writer as it was where it refuses a file.
type Writer struct {
	w       io.Writer
	options Options
	leaves  []leaf
	schema  []byte // as the footer has it: a Thrift list of elements
	zstd    *zstd.Encoder

	out     []byte // not yet written to w
	flushed int64
	rows    int64
	groups  []rowGroup
	err     error
}

// NewWriter returns a writer of a file with these columns to w. Equal calls write equal bytes.
func NewWriter(w io.Writer, columns []Column, o Options) (*Writer, error) {
	if o.CompressionLevel == 0 {
		o.CompressionLevel = defaultLevel
	}
	if o.PageBytes == 0 {
		o.PageBytes = defaultPageBytes
	}
	if o.BloomFPP == 0 {
		o.BloomFPP = defaultBloomFPP
	}
	if o.CreatedBy == "" {
		o.CreatedBy = defaultCreatedBy
	}
	switch {
	case o.CompressionLevel < 1 || o.CompressionLevel > 22:
		return nil, fmt.Errorf("zstd has the levels 1 to 22, not %d", o.CompressionLevel)
	case o.PageBytes < 1 || o.PageBytes > 1<<28:
		return nil, fmt.Errorf("a page may be up to 256 MiB large, not %d bytes", o.PageBytes)
	case !(o.BloomFPP > 0 && o.BloomFPP < 1):
		return nil, fmt.Errorf("the share of false positives of a bloom filter must be between 0 and 1, not %g", o.BloomFPP)
	case len(columns) == 0 || len(columns) > maxColumns:
		return nil, fmt.Errorf("a file has 1 to %d columns, not %d", maxColumns, len(columns))
	}
	f := &Writer{w: w, options: o, leaves: make([]leaf, len(columns))}
	var err error
	if f.zstd, err = compressor(o.CompressionLevel); err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(columns))
	var t thriftWriter
	t.list(1, thriftStruct, elements(columns))
	outer := t.begin()
	t.string(4, "schema")
	t.i32(5, int32(len(columns)))
	t.end(outer)
	for i := range columns {
		c := &columns[i]
		if names[c.Name] {
			return nil, fmt.Errorf("there are two columns %q", c.Name)
		}
		names[c.Name] = true
		if f.leaves[i], err = describe(c, &t); err != nil {
			return nil, err
		}
	}
	f.schema = t.b[1:] // without the field's header
	for _, s := range o.Sorted {
		if s.Column < 0 || s.Column >= len(columns) || columns[s.Column].Repeated {
			return nil, fmt.Errorf("rows cannot be sorted by column %d: it is a list, or there is none", s.Column)
		}
	}
	f.out = append(takeOutput(), magic...)
	return f, nil
}

// elements returns how many schema elements there are: the root, one a column, and three for a list.
func elements(columns []Column) int {
	n := 1 + len(columns)
	for i := range columns {
		if columns[i].Repeated {
			n += 2
		}
	}
	return n
}

// position is the offset in the file of what is appended to w.out next.
func (w *Writer) position() int64 { return w.flushed + int64(len(w.out)) }

// flush writes what is buffered, where there is enough of it or all is asked for.
func (w *Writer) flush(all bool) error {
	if len(w.out) == 0 || len(w.out) < flushBytes && !all {
		return nil
	}
	n, err := w.w.Write(w.out)
	if err == nil && n < len(w.out) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("writing a Parquet file: %w", err)
	}
	w.flushed += int64(len(w.out))
	w.out = w.out[:0]
	return nil
}

// fail makes err, if there is one, the answer to every later call.
func (w *Writer) fail(err error) error {
	if err != nil && w.err == nil {
		w.end(err)
	}
	return err
}

// end makes err the answer to every later call.
func (w *Writer) end(err error) {
	w.err = err
	releaseOutput(w.out)
	w.out, w.groups = nil, nil
}

// WriteRowGroup writes one row group of so many rows, vectors by column. Row i of it is row order[i] of the vectors; a nil
// order leaves them as they stand. No rows are no row group.
func (w *Writer) WriteRowGroup(rows int, vectors []Vector, order []uint32) (RowGroup, error) {
	if w.err != nil {
		return RowGroup{}, w.err
	}
	switch {
	case rows < 0 || rows > math.MaxInt32:
		return RowGroup{}, w.fail(fmt.Errorf("a row group has up to 2^31-1 rows, not %d", rows))
	case len(vectors) != len(w.leaves):
		return RowGroup{}, w.fail(fmt.Errorf("there are %d vectors for %d columns", len(vectors), len(w.leaves)))
	case order != nil && len(order) != rows:
		return RowGroup{}, w.fail(fmt.Errorf("the order names %d rows for a row group of %d", len(order), rows))
	case rows == 0:
		return RowGroup{}, nil
	case len(w.groups) == maxRowGroups:
		return RowGroup{}, w.fail(fmt.Errorf("a file has up to %d row groups", maxRowGroups))
	}
	s := takeScratch()
	defer s.release()
	g := rowGroup{rows: int64(rows), chunks: make([]chunk, len(w.leaves))}
	s.filters = s.filters[:0]
	for i := range w.leaves {
		l, c := &w.leaves[i], &g.chunks[i]
		if err := w.encode(s, l, &vectors[i], c, rows, order); err != nil { //nolint:gosec // there are as many as leaves
			return RowGroup{}, w.fail(fmt.Errorf("writing column %q: %w", l.Name, err))
		}
		if err := w.flush(false); err != nil {
			return RowGroup{}, w.fail(err)
		}
	}
	at := 0
	for i := range g.chunks {
		if c := &g.chunks[i]; c.bloomLength > 0 {
			c.bloom = w.position()
			w.out = append(w.out, s.filters[at:at+int(c.bloomLength)]...)
			at += int(c.bloomLength)
		}
	}
	w.groups = append(w.groups, g)
	w.rows += g.rows
	return RowGroup{Rows: g.rows, Bytes: g.compressed()}, w.fail(w.flush(false))
}

// encode writes one column of a row group.
func (w *Writer) encode(s *scratch, l *leaf, v *Vector, c *chunk, rows int, order []uint32) error {
	if err := s.gather(l, v, rows, order); err != nil {
		return err
	}
	s.pages, s.boundBytes, s.hashes = s.pages[:0], s.boundBytes[:0], s.hashes[:0]
	if l.fixed() {
		if err := s.loadWords(l, v.Fixed); err != nil {
			return err
		}
		if err := w.encodeWords(s, l, c, rows); err != nil {
			return err
		}
	} else if err := w.encodeTexts(s, l, v, c, rows); err != nil {
		return err
	}
	if len(s.hashes) > 0 {
		start := len(s.filters)
		s.filters = s.appendBloom(s.filters, w.options.BloomFPP, c.bloomDistinct)
		c.bloomLength = int32(len(s.filters) - start)
	}
	c.values = int64(s.slots)
	c.pages = make([]pageLocation, len(s.pages))
	for i := range s.pages {
		p := &s.pages[i]
		c.pages[i] = pageLocation{p.offset, p.size, p.firstRow}
	}
	if index := s.appendColumnIndex(s.page[:0], l); len(index) > 0 {
		c.columnIndex = append([]byte(nil), index...)
		s.page = index
	}
	s.summarize(l, c)
	return nil
}

// summarize makes the column's statistics and lists of encodings.
func (s *scratch) summarize(l *leaf, c *chunk) {
	var nulls int64
	var least, greatest *pageInfo
	bounded := true
	for i := range s.pages {
		p := &s.pages[i]
		nulls += p.nulls
		if p.empty {
			continue
		}
		if bounded = bounded && p.bounded; !bounded {
			continue
		}
		if least == nil || s.compareBounds(l, p.least, least.least, p.leastWord, least.leastWord) < 0 {
			least = p
		}
		if greatest == nil || s.compareBounds(l, p.greatest, greatest.greatest, p.greatestWord, greatest.greatestWord) > 0 {
			greatest = p
		}
	}
	var t thriftWriter
	t.i64(3, nulls)
	if bounded && least != nil {
		t.binary(5, s.bound(greatest.greatest))
		t.binary(6, s.bound(least.least))
		t.bool(7, greatest.greatestExact)
		t.bool(8, least.leastExact)
	}
	t.b = append(t.b, thriftStop)
	c.statistics = t.b

	data := c.encoding
	t = thriftWriter{}
	encodings := []format.Encoding{format.Plain, format.RLE, data} // of the dictionary, the levels and the data
	if data == format.Plain || c.dictionary == 0 {
		encodings = []format.Encoding{format.RLE, data}
	}
	t.list(1, thriftI32, len(encodings))
	for _, e := range encodings {
		t.b = appendZigzag(t.b, int64(e))
	}
	c.encodings = t.b[1:]

	t = thriftWriter{}
	count := func(typ format.PageType, e format.Encoding, n int32) {
		outer := t.begin()
		t.i32(1, int32(typ))
		t.i32(2, int32(e))
		t.i32(3, n)
		t.end(outer)
	}
	if c.dictionary > 0 {
		t.list(1, thriftStruct, 2)
		count(format.DictionaryPage, format.Plain, 1)
	} else {
		t.list(1, thriftStruct, 1)
	}
	count(format.DataPage, data, c.dataPages)
	c.pageEncodings = t.b[1:]
}

func (s *scratch) compareBounds(l *leaf, a, b span, aWord, bWord uint64) int {
	if l.fixed() {
		return compareWords(l.order, aWord, bWord)
	}
	return compareBytes(l.order, s.bound(a), s.bound(b))
}

// errClosed is the answer to every call after Close.
var errClosed = errors.New("the Parquet file is closed")

// Close writes the indexes and the footer. It does not close the underlying writer.
func (w *Writer) Close(metadata map[string]string) (FileStats, error) {
	if w.err != nil {
		return FileStats{}, w.err
	}
	for i := range w.groups {
		for j := range w.groups[i].chunks {
			c := &w.groups[i].chunks[j]
			c.columnIndexAt, c.columnIndexSize = w.position(), int32(len(c.columnIndex))
			w.out = append(w.out, c.columnIndex...)
		}
	}
	for i := range w.groups {
		for j := range w.groups[i].chunks {
			c := &w.groups[i].chunks[j]
			c.offsetIndexAt = w.position()
			w.out = appendOffsetIndex(w.out, c.pages)
			c.offsetIndexSize = int32(w.position() - c.offsetIndexAt)
		}
		if err := w.flush(false); err != nil {
			return FileStats{}, w.fail(err)
		}
	}
	w.out = w.appendFooter(w.out, metadata)
	if err := w.flush(true); err != nil {
		return FileStats{}, w.fail(err)
	}
	stats := FileStats{Rows: w.rows, Bytes: w.flushed, RowGroups: len(w.groups)}
	w.end(errClosed)
	return stats, nil
}
