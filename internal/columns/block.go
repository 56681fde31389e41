// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/native"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/schema"
)

// A block is rows in bytes, to be kept and joined with others: the number of rows and of columns that are there, then for
// each its index, its length and its bytes as package native encodes them.

// AppendBlock appends a block of so many rows. Columns that are nil or have no row are left out: they are all NULL.
func AppendBlock(dst []byte, rows int, cols []native.Column) []byte {
	present := 0
	for _, c := range cols {
		if c != nil && c.Rows() > 0 {
			present++
		}
	}
	b := proto.Buffer{Buf: binary.AppendUvarint(binary.AppendUvarint(dst, uint64(rows)), uint64(present))}
	for i, c := range cols {
		if c == nil || c.Rows() == 0 {
			continue
		}
		b.Buf = binary.AppendUvarint(b.Buf, uint64(i))
		at := len(b.Buf)
		b.Buf = append(b.Buf, 0, 0, 0, 0)
		c.EncodeColumn(&b)
		binary.LittleEndian.PutUint32(b.Buf[at:], uint32(len(b.Buf)-at-4))
	}
	return b.Buf
}

// ErrBlock says that bytes are no block of these columns.
var ErrBlock = errors.New("the block is damaged")

// Join puts the rows of many blocks of equal columns behind one another. Its zero value is ready after Reset. It is owned by one
// goroutine at a time.
type Join struct {
	fields  []Field
	columns []joined
	rows    int
	vectors []parquetfile.Vector
}

// joined is one column under construction.
type joined struct {
	parquetfile.Vector
	rows    int // so far
	elems   int // of a repeated column
	numbers map[string]uint32
	remap   []uint32
}

// Rows so far.
func (j *Join) Rows() int { return j.rows }

// Reset empties it, keeps its memory, and readies it for blocks of these columns.
func (j *Join) Reset(fields []Field) {
	j.rows, j.fields = 0, fields
	if more := len(fields) - len(j.columns); more > 0 {
		j.columns = append(j.columns, make([]joined, more)...)
		j.vectors = append(j.vectors, make([]parquetfile.Vector, more)...)
	}
	for i := range j.columns {
		c := &j.columns[i]
		clear(c.numbers)
		c.Vector = parquetfile.Vector{
			Ends: c.Ends[:0], Nulls: c.Nulls[:0], Fixed: c.Fixed[:0], Text: c.Text[:0], Offsets: append(c.Offsets[:0], 0), Keys: c.Keys[:0],
		}
		c.rows, c.elems = 0, 0
	}
}

// Add appends the rows of a block. After an error the Join must be reset.
func (j *Join) Add(block []byte) error {
	r := reader{b: block}
	rows := r.uvarint()
	present := r.uvarint()
	if r.bad || rows > maxBlockRows || present > uint64(len(j.fields)) {
		return ErrBlock
	}
	end := j.rows + int(rows)
	for range present {
		i := r.uvarint()
		data := reader{b: r.next(int(binary.LittleEndian.Uint32(r.next(4))))}
		if r.bad || i >= uint64(len(j.fields)) || j.columns[i].rows > j.rows {
			return ErrBlock
		}
		c, f := &j.columns[i], &j.fields[i]
		c.fill(f, j.rows)
		if err := c.add(f, &data, int(rows)); err != nil {
			return fmt.Errorf("column %s: %w", f.Name, err)
		}
		c.rows = end
	}
	if len(r.b) > 0 {
		return ErrBlock
	}
	j.rows = end
	return nil
}

// maxBlockRows bounds what a damaged block can ask for.
const maxBlockRows = 1 << 26

// Vectors returns all columns with all rows. They are valid until the next call of Add or Reset.
func (j *Join) Vectors() []parquetfile.Vector {
	for i := range j.fields {
		c, f := &j.columns[i], &j.fields[i]
		j.vectors[i] = parquetfile.Vector{}
		if c.rows == 0 && (f.Nullable || f.Repeated) {
			continue // all NULL, or all empty
		}
		c.fill(f, j.rows)
		v := c.Vector
		if !f.Nullable && !f.Repeated {
			v.Nulls = nil
		}
		switch {
		case f.Type.Kind != schema.String:
			v.Text, v.Offsets, v.Keys = nil, nil, nil
		case f.Type.LowCardinality:
			v.Fixed = nil
		default:
			v.Fixed, v.Keys = nil, nil
		}
		if !f.Repeated {
			v.Ends = nil
		}
		j.vectors[i] = v
	}
	return j.vectors[:len(j.fields)]
}

// fill appends NULLs, or empty lists, up to n rows.
func (c *joined) fill(f *Field, n int) {
	more := n - c.rows
	if more <= 0 {
		return
	}
	c.rows = n
	if f.Repeated {
		for range more {
			c.Ends = append(c.Ends, uint64(c.elems))
		}
		return
	}
	c.Nulls = appendN(c.Nulls, 1, more)
	switch {
	case f.Type.Kind != schema.String:
		c.Fixed = appendN(c.Fixed, 0, more*native.Width(f.Type))
	case f.Type.LowCardinality:
		c.Keys = slices.Grow(c.Keys, more)
		for range more {
			c.Keys = append(c.Keys, 0)
		}
	default:
		for range more {
			c.Offsets = append(c.Offsets, uint32(len(c.Text)))
		}
	}
}

func appendN(dst []byte, b byte, n int) []byte {
	dst = slices.Grow(dst, n)
	from := len(dst)
	dst = dst[:from+n]
	for i := range dst[from:] {
		dst[from+i] = b
	}
	return dst
}

func (c *joined) add(f *Field, r *reader, rows int) error {
	n := rows
	nullable := f.Nullable
	if f.Repeated {
		last := uint64(0)
		ends := r.next(8 * rows)
		if r.bad {
			return ErrBlock
		}
		for ; len(ends) > 0; ends = ends[8:] {
			end := binary.LittleEndian.Uint64(ends)
			if end < last || end > maxBlockRows {
				return ErrBlock
			}
			last = end
			c.Ends = append(c.Ends, uint64(c.elems)+end)
		}
		n, nullable = int(last), true
		c.elems += n
	}
	switch {
	case f.Type.Kind != schema.String:
		c.addNulls(r, n, nullable)
		c.Fixed = append(c.Fixed, r.next(n*native.Width(f.Type))...)
	case f.Type.LowCardinality:
		return c.addNumbered(r, n, nullable)
	default:
		c.addNulls(r, n, nullable)
		c.addTexts(r, n)
	}
	if r.bad || len(r.b) > 0 {
		return ErrBlock
	}
	return nil
}

func (c *joined) addNulls(r *reader, n int, nullable bool) {
	if nullable {
		c.Nulls = append(c.Nulls, r.next(n)...)
	} else {
		c.Nulls = appendN(c.Nulls, 0, n)
	}
}

func (c *joined) addTexts(r *reader, n int) {
	c.Offsets = slices.Grow(c.Offsets, n)
	c.Text = slices.Grow(c.Text, len(r.b))
	for range n {
		var size int
		if len(r.b) > 0 && r.b[0] < 1<<7 {
			size = int(r.b[0])
			r.b = r.b[1:]
		} else {
			size = r.count()
		}
		if size > len(r.b) {
			r.bad = true
			return
		}
		c.Text = append(c.Text, r.b[:size]...)
		r.b = r.b[size:]
		c.Offsets = append(c.Offsets, uint32(len(c.Text)))
	}
}

// addNumbered reads a LowCardinality column, whose strings get other numbers: every block has its own.
func (c *joined) addNumbered(r *reader, n int, nullable bool) error {
	if n == 0 {
		if len(r.b) > 0 {
			return ErrBlock
		}
		return nil
	}
	if c.numbers == nil {
		c.numbers = map[string]uint32{}
	}
	flags, size := r.fixed(), r.fixed()
	if r.bad || size > uint64(len(r.b)) {
		return ErrBlock
	}
	c.remap = c.remap[:0]
	for range size {
		text := r.next(r.count())
		number, known := c.numbers[string(text)]
		if !known {
			number = uint32(len(c.numbers))
			c.numbers[string(text)] = number
			c.Text = append(c.Text, text...)
			c.Offsets = append(c.Offsets, uint32(len(c.Text)))
		}
		c.remap = append(c.remap, number)
	}
	width := 1 << (flags & 3)
	if count := r.fixed(); r.bad || count != uint64(n) || width > 4 {
		return ErrBlock
	}
	keys := r.next(n * width)
	if r.bad || len(r.b) > 0 {
		return ErrBlock
	}
	for i := range n {
		var key uint32
		switch width {
		case 1:
			key = uint32(keys[i])
		case 2:
			key = uint32(binary.LittleEndian.Uint16(keys[2*i:]))
		default:
			key = binary.LittleEndian.Uint32(keys[4*i:])
		}
		if uint64(key) >= size {
			return ErrBlock
		}
		null := byte(0)
		if nullable && key == 0 {
			null = 1
		}
		c.Nulls = append(c.Nulls, null)
		c.Keys = append(c.Keys, c.remap[key])
	}
	return nil
}

// reader reads; after the first error everything is empty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads a length of bytes that follow.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) next(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, min(max(n, 0), 8)) // of fixed sizes
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) fixed() uint64 { return binary.LittleEndian.Uint64(r.next(8)) }
