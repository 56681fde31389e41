// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Column reads one column of one row group, row by row. One goroutine at a time.
type Column struct {
	leaf   *Leaf
	codec  format.CompressionCodec
	in     window
	left   int64 // values and NULLs in pages to come
	budget *Budget
	held   int64 // taken from the budget

	// The present page.
	definitions []byte // nil where all values are there
	repetitions []byte
	entries     int // values and NULLs
	entry       int // the next one
	page        values
	indexes     []uint32 // of the values in the dictionary, where indexed
	indexed     bool
	body        []byte // decompressed
	value       int    // the next one that is not NULL

	dictionary values
	hasDict    bool
	dictBody   []byte

	// The present row.
	null bool
	at   int       // of the value
	list []element // of a repeated column

	header  format.PageHeader
	decoder *thrift.Decoder
	reader  thrift.BytesReader
}

// element is one of a repeated column's row. It is kept, since a row may go on in the next page.
type element struct {
	null bool
	text string
	bits uint64
	wide [16]byte
	raw  []byte // of types wider than that
}

// Column opens a column of row group g.
func (f *File) Column(g, leaf int, b *Budget) (*Column, error) {
	chunk := &f.meta.RowGroups[g].Columns[leaf]
	m := &chunk.MetaData
	l := &f.leaves[leaf]
	switch {
	case chunk.FilePath != "":
		return nil, unsupported("its columns are in other files")
	case chunk.CryptoMetadata.Value != nil:
		return nil, unsupported("it is encrypted")
	case m.Type != l.Type.Physical && l.Type.Kind != Unsupported:
		return nil, corrupt("a column is not of the type that the schema says")
	}
	start := m.DataPageOffset
	if d := m.DictionaryPageOffset; d > 0 && d < start {
		start = d
	}
	if start < 4 || m.TotalCompressedSize < 0 || m.TotalCompressedSize > f.size-start || m.NumValues < 0 {
		return nil, corrupt("a column lies outside of the file")
	}
	c := &Column{
		leaf: l, codec: m.Codec, left: m.NumValues, budget: b,
		in: window{r: f.r, at: start, end: start + m.TotalCompressedSize},
	}
	compact := thrift.CompactProtocol{}
	c.reader = compact.NewReaderFromBytes(nil)
	c.decoder = thrift.NewDecoder(c.reader)
	return c, nil
}

// Close gives back what the column took of its Budget.
func (c *Column) Close() {
	c.budget.left += c.held
	*c = Column{leaf: c.leaf, budget: c.budget}
}

// Next moves to the next row. It fails after the last one.
func (c *Column) Next() error {
	if c.leaf.maxRepetition > 0 {
		return c.nextList()
	}
	for c.entry == c.entries {
		if err := c.nextPage(); err != nil {
			return err
		}
	}
	c.step()
	return nil
}

// step takes the next entry of the page.
func (c *Column) step() {
	c.null = c.definitions != nil && int(c.definitions[c.entry]) != c.leaf.maxDefinition
	c.entry++
	if !c.null {
		c.at = c.value
		c.value++
	}
}

func (c *Column) nextList() error {
	c.list = c.list[:0]
	for first := true; ; first = false {
		for c.entry == c.entries {
			if c.left == 0 && !first {
				return nil
			}
			if err := c.nextPage(); err != nil {
				return err
			}
		}
		begins := c.repetitions[c.entry] == 0
		if begins != first {
			if first {
				return corrupt("a list begins in its middle")
			}
			return nil // of the next row
		}
		definition := int(c.definitions[c.entry])
		c.step()
		if definition >= c.leaf.elementDefinition {
			if len(c.list) >= maxPageValues {
				return ErrTooLarge
			}
			c.list = append(c.list, c.element())
		}
	}
}

func (c *Column) element() element {
	if c.null {
		return element{null: true}
	}
	switch {
	case c.leaf.Type.Physical == format.ByteArray:
		return element{text: c.Text()}
	case c.leaf.Type.Width <= 8:
		if c.leaf.Type.Physical != format.FixedLenByteArray {
			return element{bits: c.Bits()}
		}
		fallthrough
	default:
		var e element
		raw := c.Fixed()
		if len(raw) > len(e.wide) {
			e.raw = append([]byte(nil), raw...)
		} else {
			copy(e.wide[:], raw)
		}
		return e
	}
}

// Skip moves over n rows.
func (c *Column) Skip(n int64) error {
	for n > 0 {
		if c.leaf.maxRepetition > 0 {
			if err := c.Next(); err != nil {
				return err
			}
			n--
			continue
		}
		if c.entry == c.entries {
			skipped, err := c.page1(n)
			if err != nil {
				return err
			}
			n -= skipped
			continue
		}
		for ; n > 0 && c.entry < c.entries; n-- {
			c.step()
		}
	}
	return nil
}

// Null says whether the row has no value. It is not for a repeated column.
func (c *Column) Null() bool { return c.null }

// Text is the value of a BYTE_ARRAY. What is not UTF-8 in a Text becomes U+FFFD.
func (c *Column) Text() string {
	v, i := &c.page, c.at
	if c.indexed {
		v, i = &c.dictionary, int(c.indexes[i])
	}
	s := v.text(i)
	if !v.ascii && c.leaf.Type.Kind == Text && !utf8.ValidString(s) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}

// Bits are those of a boolean, number, date or time: of 32 bits without a sign.
func (c *Column) Bits() uint64 {
	v, i := &c.page, c.at
	if c.indexed {
		v, i = &c.dictionary, int(c.indexes[i])
	}
	switch c.leaf.Type.Width {
	case 0:
		return uint64(v.fixed[i])
	case 4:
		return uint64(binary.LittleEndian.Uint32(v.fixed[4*i:]))
	default:
		return binary.LittleEndian.Uint64(v.fixed[8*i:])
	}
}

// Fixed is the value of a FIXED_LEN_BYTE_ARRAY or INT96, valid until the next row.
func (c *Column) Fixed() []byte {
	v, i := &c.page, c.at
	if c.indexed {
		v, i = &c.dictionary, int(c.indexes[i])
	}
	w := c.leaf.Type.Width
	return v.fixed[w*i : w*i+w]
}

// Elements is the number of elements of a repeated column's row.
func (c *Column) Elements() int { return len(c.list) }

// Element is a value of a repeated column's row: as Null, Text, Bits and Fixed have it.
func (c *Column) Element(i int) (null bool, text string, bits uint64, fixed []byte) {
	e := &c.list[i]
	if fixed = e.raw; fixed == nil && c.leaf.Type.Width <= len(e.wide) {
		fixed = e.wide[:c.leaf.Type.Width]
	}
	return e.null, e.text, e.bits, fixed
}

// Leaf is the column's.
func (c *Column) Leaf() *Leaf { return c.leaf }

func (c *Column) nextPage() error {
	_, err := c.page1(0)
	return err
}

// page1 reads the next page. One of at most skip rows is passed over, and their number returned.
func (c *Column) page1(skip int64) (skipped int64, err error) {
	if c.left <= 0 {
		return 0, corrupt("a column has fewer rows than its row group")
	}
	h, err := c.readHeader()
	if err != nil {
		return 0, err
	}
	compressed, size := int(h.CompressedPageSize), int(h.UncompressedPageSize)
	if compressed < 0 || size < 0 || compressed > maxPageBytes || size > maxPageBytes {
		return 0, corrupt("a page says that it has %d bytes, compressed %d", size, compressed)
	}
	n := 0
	switch {
	case h.Type == format.DataPage && h.DataPageHeader.Valid:
		n = int(h.DataPageHeader.V.NumValues)
	case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
		n = int(h.DataPageHeaderV2.V.NumValues)
	case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid:
		return 0, c.readDictionary(h, compressed, size)
	default: // of an index: no data
		return 0, c.in.skip(compressed)
	}
	if n < 0 || n > maxPageValues || int64(n) > c.left {
		return 0, corrupt("a page says that it has %d values", n)
	}
	c.left -= int64(n)
	if c.entries, c.entry, c.value = 0, 0, 0; int64(n) <= skip {
		return int64(n), c.in.skip(compressed)
	}
	if err := c.hold(int64(compressed) + int64(size) + 8*int64(n)); err != nil {
		return 0, err
	}
	data, err := c.in.take(compressed)
	if err != nil {
		return 0, err
	}
	if h.CRC != 0 && uint32(h.CRC) != crc32.ChecksumIEEE(data) {
		return 0, corrupt("the checksum of a page of column %q differs", strings.Join(c.leaf.Path, "."))
	}
	if h.Type == format.DataPage {
		err = c.dataPage(&h.DataPageHeader.V, data, size, n)
	} else {
		err = c.dataPageV2(&h.DataPageHeaderV2.V, data, size, n)
	}
	if err != nil {
		return 0, err
	}
	c.entries = n
	return 0, c.hold(0)
}

// hold accounts for what the column has in memory, and what it is about to have.
func (c *Column) hold(more int64) error {
	now := more + c.page.bytes() + c.dictionary.bytes() + int64(cap(c.body)+cap(c.dictBody)+cap(c.in.buf)+cap(c.definitions)+cap(c.repetitions)) +
		4*int64(cap(c.indexes)) + 64*int64(cap(c.list))
	if err := c.budget.take(now - c.held); err != nil {
		return err
	}
	c.held = now
	return nil
}

func (c *Column) readHeader() (*format.PageHeader, error) {
	for want := 1 << 10; ; want *= 8 {
		b, err := c.in.peek(want)
		if err != nil {
			return nil, err
		}
		w := thriftWalker{b: b}
		if err := w.structure(0); err != nil {
			if len(b) < want || want > 8<<20 { // there is no more, or no header is that long
				return nil, corrupt("the header of a page cannot be read")
			}
			continue
		}
		c.header = format.PageHeader{}
		c.reader.ResetBytes(b[:w.at])
		if err := c.decoder.Decode(&c.header); err != nil {
			return nil, corrupt("the header of a page: %v", err)
		}
		return &c.header, c.in.skip(w.at)
	}
}

// plain returns the decompressed body of a page in buf, or src itself.
func (c *Column) plain(buf *[]byte, src []byte, size int) ([]byte, error) {
	if c.codec == format.Uncompressed {
		if len(src) != size {
			return nil, corrupt("a page is not as long as it says")
		}
		*buf = append((*buf)[:0], src...) // the window moves on
		return *buf, nil
	}
	*buf = grow(*buf, size)
	return *buf, decompress(c.codec, *buf, src)
}

func (c *Column) readDictionary(h *format.PageHeader, compressed, size int) error {
	n := int(h.DictionaryPageHeader.V.NumValues)
	if c.hasDict || n < 0 || n > maxPageValues {
		return corrupt("a dictionary cannot be read")
	}
	if err := c.hold(int64(compressed) + int64(size) + 4*int64(n)); err != nil {
		return err
	}
	data, err := c.in.take(compressed)
	if err != nil {
		return err
	}
	if h.CRC != 0 && uint32(h.CRC) != crc32.ChecksumIEEE(data) {
		return corrupt("the checksum of a page of column %q differs", strings.Join(c.leaf.Path, "."))
	}
	if data, err = c.plain(&c.dictBody, data, size); err != nil {
		return err
	}
	c.hasDict = true
	return c.dictionary.decode(c.leaf.Type, format.Plain, data, n)
}

func (c *Column) dataPage(h *format.DataPageHeader, data []byte, size, n int) error {
	data, err := c.plain(&c.body, data, size)
	if err != nil {
		return err
	}
	level := func(dst []byte, most int, encoding format.Encoding) ([]byte, error) {
		if encoding != format.RLE {
			return dst, unsupported("levels are encoded as %s", encoding)
		}
		if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
			return dst, corrupt("levels are longer than their page")
		}
		size := int(binary.LittleEndian.Uint32(data))
		dst, err := levels(dst, data[4:4+size], n, most)
		data = data[4+size:]
		return dst, err
	}
	if c.leaf.maxRepetition > 0 {
		if c.repetitions, err = level(c.repetitions, c.leaf.maxRepetition, h.RepetitionLevelEncoding); err != nil {
			return err
		}
	}
	if c.leaf.maxDefinition > 0 {
		if c.definitions, err = level(c.definitions, c.leaf.maxDefinition, h.DefinitionLevelEncoding); err != nil {
			return err
		}
	}
	return c.decode(h.Encoding, data, n)
}

func (c *Column) dataPageV2(h *format.DataPageHeaderV2, data []byte, size, n int) (err error) {
	r, d := int(h.RepetitionLevelsByteLength), int(h.DefinitionLevelsByteLength)
	if r < 0 || d < 0 || r > len(data) || d > len(data)-r || r+d > size {
		return corrupt("levels are longer than their page")
	}
	if c.leaf.maxRepetition > 0 {
		if c.repetitions, err = levels(c.repetitions, data[:r], n, c.leaf.maxRepetition); err != nil {
			return err
		}
	}
	if c.leaf.maxDefinition > 0 {
		if d == 0 && h.NumNulls == 0 && c.leaf.maxRepetition == 0 { // left out where all values are there
			c.definitions = grow(c.definitions, n)
			for i := range c.definitions {
				c.definitions[i] = byte(c.leaf.maxDefinition)
			}
		} else if c.definitions, err = levels(c.definitions, data[r:r+d], n, c.leaf.maxDefinition); err != nil {
			return err
		}
	}
	body := data[r+d:]
	if h.IsCompressed.Valid && !h.IsCompressed.V {
		c.body = append(c.body[:0], body...)
		body = c.body
	} else if body, err = c.plain(&c.body, body, size-r-d); err != nil {
		return err
	}
	return c.decode(h.Encoding, body, n)
}

// decode reads the values of a page of n entries.
func (c *Column) decode(encoding format.Encoding, data []byte, n int) (err error) {
	if c.leaf.maxDefinition > 0 {
		there := 0
		for _, d := range c.definitions {
			if int(d) == c.leaf.maxDefinition {
				there++
			}
		}
		n = there
	} else {
		c.definitions = nil
	}
	//nolint:staticcheck // deprecated to write, and in the files of older writers
	c.indexed = encoding == format.RLEDictionary || encoding == format.PlainDictionary
	if !c.indexed {
		return c.page.decode(c.leaf.Type, encoding, data, n)
	}
	if !c.hasDict && n > 0 {
		return corrupt("a dictionary is missing")
	}
	c.indexes, err = indexes(c.indexes, data, n, c.dictionary.n)
	return err
}
