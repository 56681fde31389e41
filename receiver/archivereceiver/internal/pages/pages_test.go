// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/stretchr/testify/require"
)

// row has a column of every physical type and encoding.
type row struct {
	Text       string    `parquet:"text"`
	Dict       string    `parquet:"dict,dict"`
	Length     string    `parquet:"length,delta"`
	Prefix     []byte    `parquet:"prefix,delta"`
	OptText    *string   `parquet:"opt_text,optional"`
	OptDict    *string   `parquet:"opt_dict,optional,dict"`
	Bool       bool      `parquet:"bool"`
	OptBool    *bool     `parquet:"opt_bool,optional"`
	I32        int32     `parquet:"i32"`
	I32Delta   int32     `parquet:"i32_delta,delta"`
	I64        int64     `parquet:"i64"`
	I64Delta   int64     `parquet:"i64_delta,delta"`
	I64Dict    int64     `parquet:"i64_dict,dict"`
	U64        uint64    `parquet:"u64"`
	F32        float32   `parquet:"f32,split"`
	F64        float64   `parquet:"f64"`
	F64Split   float64   `parquet:"f64_split,split"`
	At         time.Time `parquet:"at,timestamp(nanosecond)"`
	ID         [16]byte  `parquet:"id,uuid"`
	Nested     nested    `parquet:"nested"`
	OptNested  *nested   `parquet:"opt_nested,optional"`
	List       []string  `parquet:"list,list"`
	Bare       []int64   `parquet:"bare"`
	Structs    []nested  `parquet:"structs,list"`
	BareStruct []nested  `parquet:"bare_structs"`
}

type nested struct {
	A string `parquet:"a"`
	B *int64 `parquet:"b,optional"`
}

func randomRows(rng *rand.Rand, n int) []row {
	words := []string{"", "a", "Zoë", "東京", strings.Repeat("long ", 60), "order_completed", "\x00"}
	text := func() string { return words[rng.IntN(len(words))] }
	maybe := func() *string {
		if rng.IntN(3) == 0 {
			return nil
		}
		s := text() + fmt.Sprint(rng.IntN(1000))
		return &s
	}
	makeNested := func() nested {
		v := nested{A: text()}
		if rng.IntN(2) == 0 {
			i := int64(rng.Uint64())
			v.B = &i
		}
		return v
	}
	rows := make([]row, n)
	for i := range rows {
		r := &rows[i]
		*r = row{
			Text: text(), Dict: text(), Length: text() + fmt.Sprint(i), Prefix: []byte(fmt.Sprint("prefix-", i)), OptText: maybe(), OptDict: maybe(),
			Bool: rng.IntN(2) == 0, I32: int32(rng.Uint32()), I32Delta: int32(i), I64: int64(rng.Uint64()), I64Delta: int64(rng.Uint64()) >> rng.IntN(64),
			I64Dict: int64(rng.IntN(5)), U64: rng.Uint64(), F32: rng.Float32(), F64: rng.NormFloat64(), F64Split: rng.NormFloat64(),
			At: time.Unix(0, int64(rng.Uint64()>>2)).UTC(), Nested: makeNested(),
		}
		if i%7 == 0 {
			r.I64Delta, r.F64 = math.MinInt64, math.Inf(-1)
		}
		for j := range r.ID {
			r.ID[j] = byte(rng.Uint32())
		}
		if rng.IntN(2) == 0 {
			b := rng.IntN(2) == 0
			r.OptBool = &b
			v := makeNested()
			r.OptNested = &v
		}
		for range rng.IntN(4) {
			r.List = append(r.List, text())
			r.Structs = append(r.Structs, makeNested())
		}
		for range rng.IntN(3) {
			r.Bare = append(r.Bare, int64(rng.Uint64()))
			r.BareStruct = append(r.BareStruct, makeNested())
		}
	}
	return rows
}

func write(t testing.TB, rows []row, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, options...)
	_, err := w.Write(rows)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func open(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	return f
}

// cell is a value as a test compares it.
func cell(l *Leaf, text string, bits uint64, fixed []byte) any {
	switch l.Type.Kind {
	case Text, Bytes:
		if l.Type.Width > 0 {
			return string(fixed)
		}
		return text
	case UUID:
		return string(fixed)
	case Bool:
		return bits == 1
	case Float32:
		return math.Float32frombits(uint32(bits))
	case Float64:
		return math.Float64frombits(bits)
	case Int, Date:
		if l.Type.Width == 4 {
			return int64(int32(bits))
		}
		return int64(bits)
	case Timestamp:
		return int64(bits) * l.Type.Unit
	}
	return bits
}

// readColumn returns a column's values by row; NULL is nil, and a list a []any.
func readColumn(t testing.TB, f *File, leaf int, skip int64) []any {
	t.Helper()
	var out []any
	budget := NewBudget(64 << 20)
	for g := range f.RowGroups() {
		c, err := f.Column(g, leaf, budget)
		require.NoError(t, err)
		n := f.GroupRows(g)
		here := min(skip, n)
		require.NoError(t, c.Skip(here))
		skip -= here
		l := c.Leaf()
		for range n - here {
			require.NoError(t, c.Next())
			if l.Repeated() {
				list := []any{}
				for i := range c.Elements() {
					null, text, bits, fixed := c.Element(i)
					if null {
						list = append(list, nil)
					} else {
						list = append(list, cell(l, text, bits, fixed))
					}
				}
				out = append(out, list)
				continue
			}
			if c.Null() {
				out = append(out, nil)
				continue
			}
			var text string
			var bits uint64
			var fixed []byte
			switch {
			case l.Type.Physical == 6: // BYTE_ARRAY
				text = c.Text()
			case l.Type.Physical == 7:
				fixed = c.Fixed()
			default:
				bits = c.Bits()
			}
			out = append(out, cell(l, text, bits, fixed))
		}
		require.ErrorIs(t, c.Next(), ErrCorrupt, "there is no row after the last")
		c.Close()
	}
	require.Equal(t, NewBudget(64<<20), budget, "what was taken is given back")
	return out
}

// want is what readColumn should return, from the rows.
func want(rows []row, path string) []any {
	deref := func(v reflect.Value) any {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return nil
			}
			v = v.Elem()
		}
		switch x := v.Interface().(type) {
		case time.Time:
			return x.UnixNano()
		case [16]byte:
			return string(x[:])
		case []byte:
			return string(x)
		case int32:
			return int64(x)
		}
		return v.Interface()
	}
	var out []any
	for i := range rows {
		r := &rows[i]
		member := func(vs []nested, name string) any {
			list := []any{}
			for j := range vs {
				list = append(list, deref(reflect.ValueOf(vs[j]).FieldByName(name)))
			}
			return list
		}
		switch path {
		case "list":
			list := []any{}
			for _, s := range r.List {
				list = append(list, s)
			}
			out = append(out, list)
		case "bare":
			list := []any{}
			for _, s := range r.Bare {
				list = append(list, s)
			}
			out = append(out, list)
		case "structs.a":
			out = append(out, member(r.Structs, "A"))
		case "structs.b":
			out = append(out, member(r.Structs, "B"))
		case "bare_structs.a":
			out = append(out, member(r.BareStruct, "A"))
		case "bare_structs.b":
			out = append(out, member(r.BareStruct, "B"))
		case "nested.a":
			out = append(out, r.Nested.A)
		case "nested.b":
			out = append(out, deref(reflect.ValueOf(r.Nested.B)))
		case "opt_nested.a", "opt_nested.b":
			switch {
			case r.OptNested == nil:
				out = append(out, nil)
			case path == "opt_nested.a":
				out = append(out, r.OptNested.A)
			default:
				out = append(out, deref(reflect.ValueOf(r.OptNested.B)))
			}
		default:
			v := reflect.ValueOf(*r)
			for i := range v.NumField() {
				if tag := v.Type().Field(i).Tag.Get("parquet"); tag == path || strings.HasPrefix(tag, path+",") {
					out = append(out, deref(v.Field(i)))
				}
			}
		}
	}
	return out
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	rows := randomRows(rand.New(rand.NewPCG(1, 2)), 3000)
	f := func(version int, codec compress.Codec, page int, group int64) {
		t.Helper()
		file := open(t, write(t, rows, parquet.DataPageVersion(version), parquet.Compression(codec), parquet.PageBufferSize(page), parquet.MaxRowsPerRowGroup(group)))
		require.Equal(t, int64(len(rows)), file.Rows())
		for i, l := range file.Leaves() {
			name := strings.Join(l.Path, ".")
			all := want(rows, name)
			require.Equal(t, all, readColumn(t, file, i, 0), "column %s of version %d", name, version)
			require.Equal(t, all[1234:], readColumn(t, file, i, 1234), "the end of column %s of version %d", name, version)
		}
	}
	f(1, &parquet.Uncompressed, 1<<10, 1000)
	f(1, &parquet.Zstd, 1<<16, 10_000)
	f(2, &parquet.Snappy, 1<<10, 700)
	f(2, &parquet.Gzip, 1<<14, 10_000)
	f(2, &parquet.Zstd, 1<<8, 10_000)
}

func TestCodecsWithoutABoundAreRefused(t *testing.T) {
	rows := randomRows(rand.New(rand.NewPCG(1, 2)), 10)
	for _, codec := range []compress.Codec{&parquet.Brotli, &parquet.Lz4Raw} {
		f := open(t, write(t, rows, parquet.Compression(codec)))
		c, err := f.Column(0, 0, NewBudget(1<<20))
		require.NoError(t, err)
		require.ErrorIs(t, c.Next(), ErrUnsupported)
	}
}

func TestPathsLeaveOutWhatListsAdd(t *testing.T) {
	file := open(t, write(t, randomRows(rand.New(rand.NewPCG(1, 2)), 1)))
	got := map[string]int{}
	for _, l := range file.Leaves() {
		if l.Each > 0 {
			got[strings.Join(l.Path, ".")] = l.Each
		}
	}
	require.Equal(t, map[string]int{"list": 1, "bare": 1, "structs.a": 1, "structs.b": 1, "bare_structs.a": 1, "bare_structs.b": 1}, got)
}

func TestMapsAndListsInListsAreUnsupportedAndTheRestIsNot(t *testing.T) {
	type odd struct {
		M map[string]string `parquet:"m"`
		L [][]string        `parquet:"l,list"`
		A string            `parquet:"a"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[odd](&b)
	_, err := w.Write([]odd{{M: map[string]string{"k": "v"}, L: [][]string{{"x"}}, A: "a"}})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	for i, l := range open(t, b.Bytes()).Leaves() {
		if l.Path[0] == "a" {
			require.Equal(t, Text, l.Type.Kind)
			require.Equal(t, []any{"a"}, readColumn(t, open(t, b.Bytes()), i, 0))
		} else if l.Path[0] == "m" {
			require.Equal(t, Unsupported, l.Type.Kind)
		}
	}
}

func TestABudgetThatIsTooSmallIsAnError(t *testing.T) {
	file := open(t, write(t, randomRows(rand.New(rand.NewPCG(1, 2)), 3000), parquet.PageBufferSize(1<<20)))
	c, err := file.Column(0, 0, NewBudget(10_000))
	require.NoError(t, err)
	require.ErrorIs(t, c.Next(), ErrTooLarge)
}

func TestAFileThatIsNoneIsCorrupt(t *testing.T) {
	whole := write(t, randomRows(rand.New(rand.NewPCG(1, 2)), 100))
	f := func(b []byte) {
		t.Helper()
		_, err := Open(bytes.NewReader(b), int64(len(b)))
		require.ErrorIs(t, err, ErrCorrupt)
	}
	f(nil)
	f([]byte("PAR1"))
	f([]byte("PAR1PAR1PAR1"))
	f([]byte("{\"event\": \"a JSON file of some length\"}"))
	f(whole[:len(whole)/2])
	f(whole[:len(whole)-1])
	f(whole[1:])
	// A footer that says that it is longer than the file.
	long := bytes.Clone(whole)
	copy(long[len(long)-8:], "\xff\xff\xff\x7f")
	f(long)
	// Its size was another one when it was listed.
	_, err := Open(bytes.NewReader(whole), int64(len(whole))+100)
	require.ErrorIs(t, err, ErrCorrupt)
}

func TestAListOfAFooterThatIsLongerThanItIsAllocatesNothing(t *testing.T) {
	// Field 2, a list of 2^31-1 structs.
	footer := []byte{0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00}
	b := append([]byte("PAR1"), footer...)
	b = append(b, byte(len(footer)), 0, 0, 0)
	b = append(b, "PAR1"...)
	_, err := Open(bytes.NewReader(b), int64(len(b)))
	require.ErrorIs(t, err, ErrCorrupt)
}

// readAll reads every column to its end, as far as that goes.
func readAll(b []byte) error {
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	var errs []error
	budget := NewBudget(16 << 20)
	for g := range f.RowGroups() {
		for i := range f.Leaves() {
			c, err := f.Column(g, i, budget)
			for n := int64(0); err == nil && n < min(f.GroupRows(g), 100_000); n++ {
				if err = c.Next(); err == nil && f.Leaves()[i].Type.Kind != Unsupported && !c.leaf.Repeated() && !c.Null() {
					_ = c.element()
				}
			}
			errs = append(errs, err)
			if c != nil {
				c.Close()
			}
		}
	}
	return errors.Join(errs...)
}

func TestADamagedFileIsAnErrorAndNeverAPanic(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	rows := randomRows(rng, 200)
	for version := 1; version <= 2; version++ {
		for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Zstd, &parquet.Snappy, &parquet.Gzip} {
			whole := write(t, rows, parquet.DataPageVersion(version), parquet.Compression(codec), parquet.PageBufferSize(1<<12))
			require.NoError(t, readAll(whole))
			for range 300 {
				b := bytes.Clone(whole)
				for range 1 + rng.IntN(3) {
					b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
				}
				if err := readAll(b); err != nil {
					require.True(t, errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported) || errors.Is(err, ErrTooLarge), "%v", err)
				}
			}
		}
	}
}

func FuzzReadAll(f *testing.F) {
	type small struct {
		D *string  `parquet:"d,optional,dict"`
		L []string `parquet:"l,list"`
		I int64    `parquet:"i,delta"`
	}
	d := "a"
	for version := 1; version <= 2; version++ {
		for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Zstd} {
			var b bytes.Buffer
			w := parquet.NewGenericWriter[small](&b, parquet.DataPageVersion(version), parquet.Compression(codec))
			_, err := w.Write([]small{{D: &d, L: []string{"x", "y"}, I: 1}, {I: 2}, {D: &d, I: -3}})
			require.NoError(f, err)
			require.NoError(f, w.Close())
			f.Add(b.Bytes())
		}
	}
	f.Fuzz(func(_ *testing.T, b []byte) { _ = readAll(b) })
}

func FuzzDelta(f *testing.F) {
	f.Add([]byte{0x80, 1, 4, 3, 2, 2, 0, 0, 0, 0}, 3)
	f.Fuzz(func(_ *testing.T, b []byte, n int) {
		if n < 0 || n > 10_000 {
			return
		}
		for _, width := range []int{4, 8} {
			_, _, _ = delta(nil, b, n, width)
		}
		_, _ = levels(nil, b, n, 3)
		_, _ = indexes(nil, b, n, 100)
		var v values
		_, _ = v.prefixes(b, min(n, 0))
	})
}
