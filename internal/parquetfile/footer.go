// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/parquet-go/parquet-go/format"
)

const magic = "PAR1"

// chunk is what the footer has of one column of one row group. What copying leaves as it is, is kept as Thrift.
type chunk struct {
	encodings       []byte // list
	statistics      []byte // struct
	pageEncodings   []byte // list
	values          int64  // with NULLs and empty lists
	uncompressed    int64
	compressed      int64
	dictionary      int64 // offset in the file; 0: none
	data            int64
	bloom           int64 // 0: none
	bloomLength     int32
	columnIndex     []byte // empty: none
	columnIndexAt   int64  // where a file has it that is read
	columnIndexSize int32
	pages           []pageLocation
	offsetIndexAt   int64
	offsetIndexSize int32

	// While the column is encoded.
	encoding      format.Encoding // of its data pages
	method        method          // of compressing them
	dataPages     int32
	bloomDistinct int // values in the bloom filter
}

// start returns the offset of the chunk's first page.
func (c *chunk) start() int64 {
	if c.dictionary > 0 {
		return c.dictionary
	}
	return c.data
}

// rowGroup is what the footer has of one row group.
type rowGroup struct {
	chunks []chunk
	rows   int64
}

func (g *rowGroup) compressed() (n int64) {
	for i := range g.chunks {
		n += g.chunks[i].compressed
	}
	return n
}

func appendZigzag(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

// appendFooter appends the footer with its length and magic.
func (w *Writer) appendFooter(dst []byte, metadata map[string]string) []byte {
	start := len(dst)
	t := thriftWriter{b: dst}
	t.i32(1, 1)
	t.raw(2, thriftList, w.schema)
	t.i64(3, w.rows)
	t.list(4, thriftStruct, len(w.groups))
	for i := range w.groups {
		w.appendRowGroup(&t, &w.groups[i], i)
	}
	if len(metadata) > 0 {
		t.list(5, thriftStruct, len(metadata))
		for _, k := range slices.Sorted(maps.Keys(metadata)) {
			outer := t.begin()
			t.string(1, k)
			t.string(2, metadata[k])
			t.end(outer)
		}
	}
	t.string(6, w.options.CreatedBy)
	t.list(7, thriftStruct, len(w.leaves))
	for range w.leaves { // the order that the column's type defines
		outer := t.begin()
		t.empty(1)
		t.end(outer)
	}
	t.b = append(t.b, thriftStop)
	t.b = binary.LittleEndian.AppendUint32(t.b, uint32(len(t.b)-start))
	return append(t.b, magic...)
}

func (w *Writer) appendRowGroup(t *thriftWriter, g *rowGroup, ordinal int) {
	outer := t.begin()
	t.list(1, thriftStruct, len(g.chunks))
	var uncompressed, offset int64
	for i := range g.chunks {
		c := &g.chunks[i]
		if i == 0 {
			offset = c.start()
		}
		uncompressed += c.uncompressed
		w.leaves[i].appendChunk(t, c)
	}
	t.i64(2, uncompressed)
	t.i64(3, g.rows)
	if len(w.options.Sorted) > 0 {
		t.list(4, thriftStruct, len(w.options.Sorted))
		for _, s := range w.options.Sorted {
			inner := t.begin()
			t.i32(1, int32(s.Column))
			t.bool(2, false) // descending
			t.bool(3, false) // NULLs first
			t.end(inner)
		}
	}
	t.i64(5, offset)
	t.i64(6, g.compressed())
	t.i16(7, int16(ordinal))
	t.end(outer)
}

func (l *leaf) appendChunk(t *thriftWriter, c *chunk) {
	outer := t.begin()
	t.i64(2, 0) // of a copy of the metadata outside of the footer: there is none
	inner := t.open(3)
	t.i32(1, int32(l.physical))
	t.raw(2, thriftList, c.encodings)
	t.raw(3, thriftList, l.path)
	t.i32(4, int32(format.Zstd))
	t.i64(5, c.values)
	t.i64(6, c.uncompressed)
	t.i64(7, c.compressed)
	t.i64(9, c.data)
	if c.dictionary > 0 {
		t.i64(11, c.dictionary)
	}
	t.raw(12, thriftStruct, c.statistics)
	t.raw(13, thriftList, c.pageEncodings)
	if c.bloom > 0 {
		t.i64(14, c.bloom)
		t.i32(15, c.bloomLength)
	}
	t.end(inner)
	t.i64(4, c.offsetIndexAt)
	t.i32(5, c.offsetIndexSize)
	if len(c.columnIndex) > 0 {
		t.i64(6, c.columnIndexAt)
		t.i32(7, c.columnIndexSize)
	}
	t.end(outer)
}

// readFooter reads what appendFooter has written: of a file with this schema and these leaves. ok is false where the bytes are
// anything else; sameSchema tells a file with other columns apart.
func readFooter(b []byte, schema []byte, leaves []leaf) (groups []rowGroup, sameSchema, ok bool) {
	t := thriftReader{b: b}
	outer := t.begin()
	var version, rows int64
	for {
		id, typ, more := t.next(outer)
		if !more {
			break
		}
		switch {
		case id == 1 && typ == thriftI32:
			version = t.varint(32)
		case id == 2 && typ == thriftList:
			got := t.skip(typ)
			if t.bad {
				return nil, false, false
			}
			if sameSchema = string(got) == string(schema); !sameSchema {
				return nil, false, version == 1
			}
		case id == 3 && typ == thriftI64:
			rows = t.varint(64)
		case id == 4 && typ == thriftList && sameSchema:
			groups = make([]rowGroup, 0, min(64, len(b)))
			for range t.list(thriftStruct) {
				groups = append(groups, readRowGroup(&t, leaves))
				if t.bad {
					break
				}
			}
		case id == 5 && typ == thriftList, id == 6 && typ == thriftBinary, id == 7 && typ == thriftList:
			t.skip(typ)
		default:
			t.fail()
		}
	}
	for i := range groups {
		rows -= groups[i].rows // none is negative, so that no sum can wrap around to fit
		if groups[i].rows < 0 || rows < 0 {
			return nil, sameSchema, false
		}
	}
	return groups, sameSchema, !t.bad && t.i == len(b) && version == 1 && sameSchema && rows == 0
}

func readRowGroup(t *thriftReader, leaves []leaf) (g rowGroup) {
	outer := t.begin()
	for {
		id, typ, more := t.next(outer)
		if !more {
			if g.chunks == nil {
				t.fail()
			}
			return g
		}
		switch {
		case id == 1 && typ == thriftList:
			if t.list(thriftStruct) != len(leaves) {
				t.fail()
				return g
			}
			g.chunks = make([]chunk, len(leaves))
			for i := range g.chunks {
				readChunk(t, &leaves[i], &g.chunks[i])
			}
		case id == 3 && typ == thriftI64:
			g.rows = t.varint(64)
		case id == 2 && typ == thriftI64, id == 4 && typ == thriftList, id == 5 && typ == thriftI64, id == 6 && typ == thriftI64,
			id == 7 && typ == thriftI16:
			t.skip(typ) // follows from the rest, or is the writer's
		default:
			t.fail()
		}
	}
}

func readChunk(t *thriftReader, l *leaf, c *chunk) {
	outer := t.begin()
	for {
		id, typ, more := t.next(outer)
		if !more {
			break
		}
		switch {
		case id == 2 && typ == thriftI64:
			t.varint(64)
		case id == 3 && typ == thriftStruct:
			readChunkMetadata(t, l, c)
		case id == 4 && typ == thriftI64:
			c.offsetIndexAt = t.varint(64)
		case id == 5 && typ == thriftI32:
			c.offsetIndexSize = int32(t.varint(32))
		case id == 6 && typ == thriftI64:
			c.columnIndexAt = t.varint(64)
		case id == 7 && typ == thriftI32:
			c.columnIndexSize = int32(t.varint(32))
		default:
			t.fail()
		}
	}
	if c.encodings == nil || c.statistics == nil || c.pageEncodings == nil {
		t.fail()
	}
}

func readChunkMetadata(t *thriftReader, l *leaf, c *chunk) {
	outer := t.begin()
	var physical, codec int64
	var path []byte
	for {
		id, typ, more := t.next(outer)
		if !more {
			break
		}
		switch {
		case id == 1 && typ == thriftI32:
			physical = t.varint(32)
		case id == 2 && typ == thriftList:
			c.encodings = t.skip(typ)
		case id == 3 && typ == thriftList:
			path = t.skip(typ)
		case id == 4 && typ == thriftI32:
			codec = t.varint(32)
		case id == 5 && typ == thriftI64:
			c.values = t.varint(64)
		case id == 6 && typ == thriftI64:
			c.uncompressed = t.varint(64)
		case id == 7 && typ == thriftI64:
			c.compressed = t.varint(64)
		case id == 9 && typ == thriftI64:
			c.data = t.varint(64)
		case id == 11 && typ == thriftI64:
			c.dictionary = t.varint(64)
		case id == 12 && typ == thriftStruct:
			c.statistics = t.skip(typ)
		case id == 13 && typ == thriftList:
			c.pageEncodings = t.skip(typ)
		case id == 14 && typ == thriftI64:
			c.bloom = t.varint(64)
		case id == 15 && typ == thriftI32:
			c.bloomLength = int32(t.varint(32))
		default:
			t.fail()
		}
	}
	if physical != int64(l.physical) || codec != int64(format.Zstd) || string(path) != string(l.path) {
		t.fail()
	}
}
