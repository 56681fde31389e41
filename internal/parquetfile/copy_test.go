// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/schema"
)

// copyRandom writes a file of the row groups of others, with one of its own among them.
func copyRandom(t testing.TB, columns []Column, seeds ...uint64) (file []byte, want [][]string) {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, columns, Options{})
	require.NoError(t, err)
	want = make([][]string, len(columns))
	for i, seed := range seeds {
		part, said := writeRandom(t, seed, columns, Options{PageBytes: 4096})
		rows, err := w.CopyRowGroups(bytes.NewReader(part), int64(len(part)))
		require.NoError(t, err)
		require.EqualValues(t, len(said[0]), rows)
		if i == 0 {
			b := randomBlock(rand.New(rand.NewPCG(seed, 3)), columns, 50)
			_, err := w.WriteRowGroup(b.rows, b.vectors, nil)
			require.NoError(t, err)
			for j := range said {
				said[j] = append(said[j], b.want[j]...)
			}
		}
		for j := range said {
			want[j] = append(want[j], said[j]...)
		}
	}
	stats, err := w.Close(nil)
	require.NoError(t, err)
	require.EqualValues(t, out.Len(), stats.Bytes)
	require.EqualValues(t, len(want[0]), stats.Rows)
	return out.Bytes(), want
}

func TestParquetGoReadsCopiedRowGroups(t *testing.T) {
	columns := allColumns()
	for seed := range uint64(5) {
		file, want := copyRandom(t, columns, 3*seed, 3*seed+1, 3*seed+2)
		requireSame(t, columns, want, readGo(t, file, columns))
	}
}

func TestCopiesAreTheBytesOfTheOriginals(t *testing.T) {
	columns := allColumns()
	part, _ := writeRandom(t, 5, columns, Options{})
	var out bytes.Buffer
	w, err := NewWriter(&out, columns, Options{})
	require.NoError(t, err)
	_, err = w.CopyRowGroups(bytes.NewReader(part), int64(len(part)))
	require.NoError(t, err)
	_, err = w.Close(map[string]string{"b": "2", "a": "1", "ü": ""})
	require.NoError(t, err)
	require.True(t, bytes.Equal(part, out.Bytes())) // at the same place of the file, not even an offset differs
}

func TestAFileOfOtherColumnsIsRefusedAndTheWriterGoesOn(t *testing.T) {
	text := Column{Name: "a", Type: schema.Type{Kind: schema.String}}
	f := func(change func(*Column)) {
		t.Helper()
		other := text
		change(&other)
		var part, out bytes.Buffer
		p, err := NewWriter(&part, []Column{other}, Options{})
		require.NoError(t, err)
		_, err = p.Close(nil)
		require.NoError(t, err)
		w, err := NewWriter(&out, []Column{text}, Options{})
		require.NoError(t, err)
		_, err = w.CopyRowGroups(bytes.NewReader(part.Bytes()), int64(part.Len()))
		require.ErrorIs(t, err, ErrOtherColumns)
		_, err = w.WriteRowGroup(1, []Vector{texts("x")}, nil)
		require.NoError(t, err)
		_, err = w.Close(nil)
		require.NoError(t, err)
		require.Equal(t, [][]string{{"78"}}, readGo(t, out.Bytes(), []Column{text}))
	}
	f(func(c *Column) { c.Name = "b" })
	f(func(c *Column) { c.JSON = true })
	f(func(c *Column) { c.Optional = true })
	f(func(c *Column) { c.Repeated = true })
	f(func(c *Column) { c.Type.Kind = schema.Int64 })
}

// damaged is a small file, and a writer that takes it.
func damaged(t testing.TB) (file []byte, open func(testing.TB) *Writer) {
	t.Helper()
	columns := []Column{
		{Name: "a", Type: textType, Bloom: true}, {Name: "b", Type: intType, Optional: true}, {Name: "c", Type: intType, Repeated: true},
	}
	list := ints(1, 2, 3)
	list.Ends = []uint64{0, 1, 1, 3}
	vectors := []Vector{texts("x", "x", "y", "x"), ints(7, 8, 9, 10), list}
	var out bytes.Buffer
	w, err := NewWriter(&out, columns, Options{PageBytes: 8})
	require.NoError(t, err)
	for range 2 {
		_, err = w.WriteRowGroup(4, vectors, nil)
		require.NoError(t, err)
	}
	_, err = w.Close(map[string]string{"k": "v"})
	require.NoError(t, err)
	return out.Bytes(), func(t testing.TB) *Writer {
		t.Helper()
		w, err := NewWriter(io.Discard, columns, Options{})
		require.NoError(t, err)
		return w
	}
}

func TestADamagedFileIsRefused(t *testing.T) {
	file, open := damaged(t)
	w := open(t)
	rows, err := w.CopyRowGroups(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	require.EqualValues(t, 8, rows)
	for n := range file { // cut off
		_, err := open(t).CopyRowGroups(bytes.NewReader(file[:n]), int64(n))
		require.ErrorIs(t, err, ErrDamaged, "%d bytes", n)
	}
	_, err = open(t).CopyRowGroups(bytes.NewReader(file), int64(len(file))+5) // shorter than was said
	require.ErrorIs(t, err, ErrDamaged)
	// A flipped bit in a page is found by its checksum.
	indexes := bytes.Index(file, []byte("PAR1")) + 4
	page := indexes + 30
	file[page] ^= 1
	w = open(t)
	_, err = w.CopyRowGroups(bytes.NewReader(file), int64(len(file)))
	require.ErrorIs(t, err, ErrDamaged)
	_, err = w.Close(nil)
	require.ErrorIs(t, err, ErrDamaged)
	file[page] ^= 1
	// A flipped bit anywhere never makes another writer panic, and what it takes has the same rows.
	for i := range file {
		for bit := range 8 {
			file[i] ^= 1 << bit
			if rows, err := open(t).CopyRowGroups(bytes.NewReader(file), int64(len(file))); err == nil {
				require.EqualValues(t, 8, rows, "byte %d, bit %d", i, bit)
			}
			file[i] ^= 1 << bit
		}
	}
}

func TestAnErrorOfReadingIsNoDamage(t *testing.T) {
	file, open := damaged(t)
	_, err := open(t).CopyRowGroups(unreadable{}, int64(len(file)))
	require.ErrorIs(t, err, errDisk)
	require.NotErrorIs(t, err, ErrDamaged)
}

type unreadable struct{}

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// smallest is a file of one value, and a writer that takes it: fuzzing minimizes what it finds, and that takes long for larger ones.
func smallest(t testing.TB) (file []byte, open func() *Writer) {
	t.Helper()
	columns := []Column{{Name: "a", Type: intType, Bloom: true}}
	file = writeOne(t, 1, columns, []Vector{ints(1)}, Options{CreatedBy: "t"})
	return file, func() *Writer {
		w, err := NewWriter(io.Discard, columns, Options{})
		if err != nil {
			panic(err)
		}
		return w
	}
}

// FuzzCopyRowGroups takes files: whatever they are, copying them is an error or right, and never a panic.
func FuzzCopyRowGroups(f *testing.F) {
	file, open := smallest(f)
	f.Add(file)
	f.Add([]byte("PAR1\x00\x00\x00\x00PAR1"))
	f.Fuzz(func(t *testing.T, file []byte) {
		w := open()
		rows, err := w.CopyRowGroups(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		stats, err := w.Close(nil)
		if err != nil || stats.Rows != rows {
			t.Fatalf("%d rows were copied, then closing says %+v, %v", rows, stats, err)
		}
	})
}

// FuzzFooter takes footers, for which the fuzzing need not keep a whole file right.
func FuzzFooter(f *testing.F) {
	file, open := smallest(f)
	length := int(binary.LittleEndian.Uint32(file[len(file)-8:]))
	f.Add(file[len(file)-8-length : len(file)-8])
	w := open()
	f.Fuzz(func(t *testing.T, footer []byte) {
		groups, _, ok := readFooter(footer, w.schema, w.leaves)
		if ok {
			for _, g := range groups {
				if g.rows < 0 || len(g.chunks) != len(w.leaves) {
					t.Fatalf("a row group of %d rows and %d columns was taken", g.rows, len(g.chunks))
				}
			}
		}
		c := chunk{data: 4, compressed: 100}
		c.readOffsetIndex(footer, 10)
		soundPage(footer, 0)
	})
}
