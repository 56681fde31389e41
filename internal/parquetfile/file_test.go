// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/schema"
)

var (
	textType = schema.Type{Kind: schema.String}
	intType  = schema.Type{Kind: schema.Int64}
)

// texts makes a vector of strings.
func texts(values ...string) Vector {
	v := Vector{Offsets: []uint32{0}}
	for _, s := range values {
		v.Text = append(v.Text, s...)
		v.Offsets = append(v.Offsets, uint32(len(v.Text)))
	}
	return v
}

// ints makes a vector of Int64.
func ints(values ...int64) (v Vector) {
	for _, x := range values {
		v.Fixed = binary.LittleEndian.AppendUint64(v.Fixed, uint64(x))
	}
	return v
}

// writeOne writes a file of one row group.
func writeOne(t testing.TB, rows int, columns []Column, vectors []Vector, o Options) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, columns, o)
	require.NoError(t, err)
	_, err = w.WriteRowGroup(rows, vectors, nil)
	require.NoError(t, err)
	_, err = w.Close(nil)
	require.NoError(t, err)
	return out.Bytes()
}

func openGo(t testing.TB, file []byte) *parquet.File {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	return f
}

func TestTheFooterSaysWhatIsInTheFile(t *testing.T) {
	const rows = 50_000
	r := rand.New(rand.NewPCG(1, 2))
	ids := Vector{Offsets: []uint32{0}}
	var times, kinds []int64
	for i := range rows {
		ids.Text = fmt.Appendf(ids.Text, "%016x%016x", r.Uint64(), r.Uint64())
		ids.Offsets = append(ids.Offsets, uint32(len(ids.Text)))
		times = append(times, int64(i)*1000+r.Int64N(1000))
		kinds = append(kinds, r.Int64N(5)*1_000_000_007)
	}
	nulls := bytes.Repeat([]byte{0, 1}, rows/2)
	kindVector := ints(kinds...)
	kindVector.Nulls = nulls
	columns := []Column{
		{Name: "id", Type: textType, Bloom: true},
		{Name: "time", Type: schema.Type{Kind: schema.DateTime64, Scale: 9}},
		{Name: "kind", Type: intType, Optional: true},
		{Name: "nothing", Type: textType, Optional: true},
	}
	file := writeOne(t, rows, columns, []Vector{ids, ints(times...), kindVector, {}},
		Options{Sorted: []SortingColumn{{Column: 1}}, CreatedBy: "test version 1.0"})
	f := openGo(t, file)
	m := f.Metadata()
	require.Equal(t, "test version 1.0", m.CreatedBy)
	require.Len(t, m.ColumnOrders, 4)
	require.Len(t, m.RowGroups, 1)
	g := m.RowGroups[0]
	require.EqualValues(t, []format.SortingColumn{{ColumnIdx: 1}}, g.SortingColumns)
	require.EqualValues(t, 4, g.FileOffset)
	var compressed, uncompressed int64
	for i := range g.Columns {
		compressed += g.Columns[i].MetaData.TotalCompressedSize
		uncompressed += g.Columns[i].MetaData.TotalUncompressedSize
	}
	require.Equal(t, compressed, g.TotalCompressedSize)
	require.Equal(t, uncompressed, g.TotalByteSize)

	encodings := func(i int) (out []format.Encoding) {
		for _, e := range g.Columns[i].MetaData.EncodingStats {
			out = append(out, e.Encoding)
		}
		return out
	}
	require.Equal(t, []format.Encoding{format.DeltaLengthByteArray}, encodings(0))
	require.Equal(t, []format.Encoding{format.DeltaBinaryPacked}, encodings(1))
	require.Equal(t, []format.Encoding{format.Plain, format.RLEDictionary}, encodings(2))
	require.EqualValues(t, rows/2, g.Columns[2].MetaData.Statistics.NullCount)
	require.EqualValues(t, rows, g.Columns[3].MetaData.Statistics.NullCount)
	require.Nil(t, g.Columns[3].MetaData.Statistics.MinValue)
	require.Equal(t, times[0], int64(binary.LittleEndian.Uint64(g.Columns[1].MetaData.Statistics.MinValue)))
	require.Equal(t, times[rows-1], int64(binary.LittleEndian.Uint64(g.Columns[1].MetaData.Statistics.MaxValue)))

	// Pages: several of each column, none of the one without values.
	indexes := f.ColumnIndexes()
	offsets := f.OffsetIndexes()
	require.Equal(t, format.Ascending, indexes[1].BoundaryOrder)
	require.Equal(t, format.Unordered, indexes[0].BoundaryOrder)
	require.Greater(t, len(offsets[0].PageLocations), 2)
	require.Len(t, offsets[1].PageLocations, 3)
	require.Len(t, offsets[3].PageLocations, 1)
	require.EqualValues(t, []bool{true}, indexes[3].NullPages)
	for i, p := range offsets[1].PageLocations {
		require.EqualValues(t, i*maxPageRows, p.FirstRowIndex)
		require.Equal(t, times[i*maxPageRows], int64(binary.LittleEndian.Uint64(indexes[1].MinValues[i])))
	}

	// The bloom filter has all IDs, and few others.
	bloom := f.RowGroups()[0].ColumnChunks()[0].BloomFilter()
	require.NotNil(t, bloom)
	wrong := 0
	for i := range 2000 {
		ok, err := bloom.Check(parquet.ValueOf(string(ids.Text[i*32 : i*32+32])))
		require.NoError(t, err)
		require.True(t, ok)
		ok, err = bloom.Check(parquet.ValueOf(fmt.Sprint(i)))
		require.NoError(t, err)
		if ok {
			wrong++
		}
	}
	require.Less(t, wrong, 60)
}

func TestBoundsAreMarkedWhereTheyAreNoValues(t *testing.T) {
	long := strings.Repeat("x", 100)
	file := writeOne(t, 2, []Column{{Name: "a", Type: textType}}, []Vector{texts(long, "a")}, Options{})
	// parquet-go does not read these marks: the footer has the bound, then is_max_value_exact and is_min_value_exact.
	bound := strings.Repeat("x", 63) + "y"
	at := bytes.LastIndex(file, []byte(bound))
	require.Positive(t, at)
	require.Equal(t, []byte{thriftBinary | 1<<4, 1, 'a', thriftFalse | 1<<4, thriftTrue | 1<<4, thriftStop}, file[at+len(bound):at+len(bound)+6])
}

func TestNaNsLeaveAColumnWithoutBounds(t *testing.T) {
	v := ints(0, int64(math.Float64bits(math.NaN())))
	file := writeOne(t, 2, []Column{{Name: "a", Type: schema.Type{Kind: schema.Float64}}}, []Vector{v}, Options{})
	require.Nil(t, openGo(t, file).Metadata().RowGroups[0].Columns[0].MetaData.Statistics.MinValue)
	require.Zero(t, openGo(t, file).Metadata().RowGroups[0].Columns[0].ColumnIndexOffset)
}

func TestTextsThatAreNotUTF8AreMended(t *testing.T) {
	f := func(values []string, want ...string) {
		t.Helper()
		columns := []Column{{Name: "n", Type: intType}, {Name: "a", Type: textType, Bloom: true}, {Name: "b", Type: schema.Type{Kind: schema.String, LowCardinality: true}}}
		keyed := texts(values...)
		for i := range values {
			keyed.Keys = append(keyed.Keys, uint32(i))
		}
		n := make([]int64, len(values))
		for _, old := range []bool{false, true} {
			file := writeOne(t, len(values), columns, []Vector{ints(n...), texts(values...), keyed}, Options{OldReaders: old})
			got := readGo(t, file, columns)
			for i := range want {
				require.Equal(t, fmt.Sprintf("%x", want[i]), got[1][i])
				require.Equal(t, fmt.Sprintf("%x", want[i]), got[2][i])
			}
		}
	}
	f([]string{"good", "b\xffad", ""}, "good", "b\ufffdad", "")
	f([]string{"\xc3", "\xa9"}, "\ufffd", "\ufffd") // together they are é
	same := make([]string, 50)
	for i := range same {
		same[i] = "x\xc3"
	}
	f(same, "x\ufffd", "x\ufffd")
}

func TestOldReadersGetNoDeltaEncodings(t *testing.T) {
	columns := allColumns()
	for seed := range uint64(3) {
		file, want := writeRandom(t, seed+40, columns, Options{OldReaders: true})
		requireSame(t, columns, want, readGo(t, file, columns))
		for _, g := range openGo(t, file).Metadata().RowGroups {
			for _, c := range g.Columns {
				for _, e := range c.MetaData.Encoding {
					require.Contains(t, []format.Encoding{format.Plain, format.RLE, format.RLEDictionary}, e)
				}
			}
		}
	}
}

func TestColumnsAndOptionsThatCannotBeAreRefused(t *testing.T) {
	f := func(columns []Column, o Options, want string) {
		t.Helper()
		_, err := NewWriter(io.Discard, columns, o)
		require.ErrorContains(t, err, want)
	}
	one := []Column{{Name: "a", Type: intType}}
	f(nil, Options{}, "columns")
	f([]Column{{Type: intType}}, Options{}, "no name")
	f([]Column{{Name: "a"}, {Name: "a"}}, Options{}, `two columns "a"`)
	f([]Column{{Name: "a", Type: intType, JSON: true}}, Options{}, "JSON")
	f([]Column{{Name: "a", Type: schema.Type{Kind: schema.Bool}, Bloom: true}}, Options{}, "bloom")
	f([]Column{{Name: "a", Type: schema.Type{Kind: schema.Decimal, Precision: 39}}}, Options{}, "precision")
	f([]Column{{Name: "a", Type: schema.Type{Kind: schema.Decimal, Precision: 3, Scale: 4}}}, Options{}, "scale")
	f([]Column{{Name: "a", Type: schema.Type{Kind: schema.DateTime64, Scale: 10}}}, Options{}, "scale")
	f([]Column{{Name: "a", Type: schema.Type{Kind: 99}}}, Options{}, "not known")
	f(one, Options{CompressionLevel: 23}, "zstd")
	f(one, Options{PageBytes: -1}, "page")
	f(one, Options{BloomFPP: 1}, "false positives")
	f(one, Options{Sorted: []SortingColumn{{Column: 1}}}, "sorted")
}

func TestVectorsThatDoNotFitAreAnErrorAndNoPanic(t *testing.T) {
	number := Column{Name: "a", Type: intType}
	text := Column{Name: "a", Type: textType}
	list := Column{Name: "a", Type: intType, Repeated: true}
	with := func(v Vector, change func(*Vector)) Vector { change(&v); return v }
	f := func(c Column, rows int, v Vector, order []uint32, want string) {
		t.Helper()
		w, err := NewWriter(io.Discard, []Column{c}, Options{})
		require.NoError(t, err)
		_, err = w.WriteRowGroup(rows, []Vector{v}, order)
		require.ErrorContains(t, err, want)
		_, again := w.WriteRowGroup(1, []Vector{ints(1)}, nil)
		require.Equal(t, err, again)
		_, again = w.Close(nil)
		require.Equal(t, err, again)
	}
	f(number, 2, ints(1), nil, "1 rows, but the row group 2")
	f(number, 1, ints(1), []uint32{1}, "order names row 1")
	f(number, 1, ints(1, 2), []uint32{0, 1}, "order names 2 rows")
	f(number, -1, ints(), nil, "row group")
	f(number, 1, Vector{}, nil, "may not be NULL")
	f(number, 1, Vector{Fixed: []byte{1}}, nil, "no multiple")
	f(number, 1, texts("a"), nil, "is not text")
	f(number, 1, with(ints(1), func(v *Vector) { v.Nulls = []byte{1} }), nil, "may not be NULL")
	f(number, 1, with(ints(1), func(v *Vector) { v.Nulls = []byte{0, 0} }), nil, "Nulls for 2")
	f(number, 1, with(ints(1), func(v *Vector) { v.Ends = []uint64{1} }), nil, "no list")
	f(text, 1, ints(1), nil, "is text")
	f(text, 1, Vector{Text: []byte("a")}, nil, "no Offsets")
	f(text, 1, Vector{Text: []byte("a"), Offsets: []uint32{0, 2}}, nil, "Offsets")
	f(text, 1, Vector{Text: []byte("a"), Offsets: []uint32{1, 0}}, nil, "Offsets")
	f(text, 1, Vector{Text: []byte("a"), Offsets: []uint32{0, 1}, Keys: []uint32{1}}, nil, "key 1")
	f(text, 1, Vector{Text: []byte("a"), Offsets: []uint32{0, 2}, Keys: []uint32{0}}, nil, "Offsets")
	f(list, 1, ints(1), []uint32{0, 1}, "order names 2 rows")
	f(list, 2, with(ints(1), func(v *Vector) { v.Ends = []uint64{1} }), nil, "1 rows")
	f(list, 1, with(ints(1), func(v *Vector) { v.Ends = []uint64{1} }), []uint32{1}, "order names row 1")
	f(list, 1, with(ints(1), func(v *Vector) { v.Ends = []uint64{2} }), nil, "1 elements")
	f(list, 2, with(ints(1), func(v *Vector) { v.Ends = []uint64{1, 0} }), nil, "from 1 to 0")
	f(Column{Name: "a", Type: schema.Type{Kind: schema.DateTime64}}, 1, ints(math.MaxInt64/10), nil, "beyond")

	w, err := NewWriter(io.Discard, []Column{number}, Options{})
	require.NoError(t, err)
	_, err = w.WriteRowGroup(1, nil, nil)
	require.ErrorContains(t, err, "0 vectors for 1 columns")
}

// failing fails at a write.
type failing struct{ left int }

var errDisk = errors.New("the disk is full")

func (f *failing) Write(b []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errDisk
	}
	return len(b), nil
}

func TestAFailedWriteIsTheAnswerFromThenOn(t *testing.T) {
	for left := range 2 {
		w, err := NewWriter(&failing{left: left}, []Column{{Name: "a", Type: intType}}, Options{})
		require.NoError(t, err)
		for err == nil {
			values := make([]int64, 200_000)
			for i := range values {
				values[i] = rand.Int64()
			}
			_, err = w.WriteRowGroup(len(values), []Vector{ints(values...)}, nil)
		}
		require.ErrorIs(t, err, errDisk)
		_, err = w.CopyRowGroups(bytes.NewReader(nil), 0)
		require.ErrorIs(t, err, errDisk)
		_, err = w.Close(nil)
		require.ErrorIs(t, err, errDisk)
	}
}

func TestAClosedWriterTakesNothing(t *testing.T) {
	w, err := NewWriter(io.Discard, []Column{{Name: "a", Type: intType}}, Options{})
	require.NoError(t, err)
	_, err = w.Close(nil)
	require.NoError(t, err)
	_, err = w.Close(nil)
	require.ErrorIs(t, err, errClosed)
	_, err = w.WriteRowGroup(1, []Vector{ints(1)}, nil)
	require.ErrorIs(t, err, errClosed)
}

func TestAFileWithoutRowsIsRead(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWriter(&out, allColumns(), Options{})
	require.NoError(t, err)
	stats, err := w.Close(map[string]string{"k": "v"})
	require.NoError(t, err)
	require.Equal(t, FileStats{Bytes: int64(out.Len())}, stats)
	f := openGo(t, out.Bytes())
	require.Zero(t, f.NumRows())
	v, ok := f.Lookup("k")
	require.True(t, ok)
	require.Equal(t, "v", v)
}
