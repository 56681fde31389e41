// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/millrace/millrace/internal/schema"
)

// block is random vectors and, in words that every reader's answer is put into, what their rows say.
//
// NULL is "null"; numbers, days, ticks and the whole numbers of decimals are decimal; floats are the hex digits of their bits as
// a double; texts are hex, UUIDs as usual; lists are their elements in brackets.
type block struct {
	columns []Column
	vectors []Vector
	rows    int
	want    [][]string // by column and row
}

// allColumns has every type in every form, and names as schemas make them.
func allColumns() []Column {
	types := []schema.Type{
		{Kind: schema.String}, {Kind: schema.String, LowCardinality: true}, {Kind: schema.Bool},
		{Kind: schema.Int8}, {Kind: schema.Int16}, {Kind: schema.Int32}, {Kind: schema.Int64},
		{Kind: schema.UInt8}, {Kind: schema.UInt16}, {Kind: schema.UInt32}, {Kind: schema.UInt64},
		{Kind: schema.Float32}, {Kind: schema.Float64}, {Kind: schema.Date32}, {Kind: schema.UUID},
		{Kind: schema.Decimal, Precision: 9, Scale: 2}, {Kind: schema.Decimal, Precision: 18, Scale: 4},
		{Kind: schema.Decimal, Precision: 38, Scale: 10}, {Kind: schema.Decimal, Precision: 38, Scale: 0},
	}
	for scale := range 10 {
		types = append(types, schema.Type{Kind: schema.DateTime64, Scale: scale})
	}
	columns := []Column{{Name: "json", JSON: true}, {Name: "json or null", JSON: true, Optional: true}}
	for i, t := range types {
		name := fmt.Sprintf("c%d.%s", i, strings.ToLower(t.Kind.String()))
		bloom := t.Kind != schema.Bool
		columns = append(columns,
			Column{Name: name, Type: t, Bloom: bloom},
			Column{Name: name + ".größe", Type: t, Optional: true, Bloom: bloom && i%2 == 0},
			Column{Name: name + "_list", Type: t, Repeated: true, Bloom: bloom && i%3 == 0})
	}
	return columns
}

// generator makes random values of one column.
type generator struct {
	*rand.Rand
	column Column
	pool   [][]byte // values that repeat; nil: none does
	last   int64
	style  int
	nulls  int // percent
}

func newGenerator(r *rand.Rand, c Column) *generator {
	g := &generator{Rand: r, column: c, style: r.IntN(4), nulls: []int{0, 1, 30, 100}[r.IntN(4)]}
	if n := []int{0, 0, 1, 3, 200, 3000}[r.IntN(6)]; n > 0 {
		for range n {
			g.pool = append(g.pool, g.fresh())
		}
	}
	return g
}

// value returns a value as a Vector has it.
func (g *generator) value() []byte {
	if g.pool != nil {
		return g.pool[g.IntN(len(g.pool))]
	}
	return g.fresh()
}

var pieces = []string{"a", "Zürich ", "東京", "🛒", "\x00", "\"", "e\u0301", "\U0010ffff", "plain words ", "\u007f", "\ud7ff", "\ue000"}

func (g *generator) fresh() []byte {
	t := g.column.Type
	le := binary.LittleEndian
	switch t.Kind {
	case schema.String:
		b := []byte{}
		if g.column.JSON {
			return fmt.Appendf(nil, `{"n":%d,"größe":["%x"]}`, g.Uint32(), g.Uint32())
		}
		n := g.IntN(4)
		if g.style == 1 || g.IntN(50) == 0 {
			n = g.IntN(60) // long, and so cut off in statistics
		}
		if g.style == 2 {
			b = append(b, strings.Repeat("\U0010ffff", g.IntN(2)*20)...)
		}
		for range n {
			b = append(b, pieces[g.IntN(len(pieces))]...)
		}
		return b
	case schema.Bool:
		return []byte{byte(g.IntN(2))}
	case schema.Int8, schema.UInt8:
		return []byte{byte(g.integer(8))}
	case schema.Int16, schema.UInt16:
		return le.AppendUint16(nil, uint16(g.integer(16)))
	case schema.Int32, schema.UInt32:
		return le.AppendUint32(nil, uint32(g.integer(32)))
	case schema.Int64, schema.UInt64:
		return le.AppendUint64(nil, uint64(g.integer(64)))
	case schema.Float32:
		return le.AppendUint32(nil, math.Float32bits(float32(g.float())))
	case schema.Float64:
		return le.AppendUint64(nil, math.Float64bits(g.float()))
	case schema.Date32: // what every reader holds: 1900 to 2299
		return le.AppendUint32(nil, uint32(g.IntN(146_000)-25_567))
	case schema.DateTime64: // what ns and ClickHouse hold: 1900 to 2262
		seconds := g.Int64N(11_400_000_000) - 2_200_000_000
		ticks := seconds
		for range t.Scale {
			ticks = ticks*10 + g.Int64N(10)*int64(g.style&1)
		}
		if g.style > 1 { // in order
			g.last += g.Int64N(1000)
			ticks = g.last
		}
		return le.AppendUint64(nil, uint64(ticks))
	case schema.UUID:
		return le.AppendUint64(le.AppendUint64(nil, g.Uint64()), g.Uint64())
	case schema.Decimal:
		digits := t.Precision
		if g.style == 0 {
			digits = g.IntN(digits) + 1
		}
		n := new(big.Int)
		for range digits {
			n.Add(n.Mul(n, big.NewInt(10)), big.NewInt(int64(9-g.IntN(10)*min(1, g.style))))
		}
		if g.IntN(2) == 0 {
			n.Neg(n)
		}
		width := 16
		if t.Precision <= 9 {
			width = 4
		} else if t.Precision <= 18 {
			width = 8
		}
		b := make([]byte, width)
		if n.Sign() < 0 {
			n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*width)))
		}
		n.FillBytes(b)
		slices.Reverse(b)
		return b
	}
	panic(t)
}

func (g *generator) integer(bits int) int64 {
	switch g.style {
	case 0:
		return int64(g.Uint64())
	case 1: // the ends
		return []int64{0, -1, math.MinInt64 >> (64 - bits), math.MaxInt64 >> (64 - bits), 1}[g.IntN(5)]
	case 2:
		g.last += g.Int64N(100)
		return g.last
	default:
		return g.Int64N(100) - 10
	}
}

func (g *generator) float() float64 {
	switch g.style {
	case 0:
		return []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 1.5, -2}[g.IntN(7)]
	case 1:
		return float64(g.IntN(1000)) / 4
	default:
		return g.NormFloat64()
	}
}

// say puts a vector's value into words.
func say(t schema.Type, b []byte) string {
	le := binary.LittleEndian
	switch t.Kind {
	case schema.String:
		return hex.EncodeToString(b)
	case schema.Bool:
		return strconv.FormatBool(b[0] != 0)
	case schema.Int8:
		return strconv.Itoa(int(int8(b[0])))
	case schema.Int16:
		return strconv.Itoa(int(int16(le.Uint16(b))))
	case schema.Int32, schema.Date32:
		return strconv.Itoa(int(int32(le.Uint32(b))))
	case schema.Int64:
		return strconv.FormatInt(int64(le.Uint64(b)), 10)
	case schema.UInt8:
		return strconv.Itoa(int(b[0]))
	case schema.UInt16:
		return strconv.Itoa(int(le.Uint16(b)))
	case schema.UInt32:
		return strconv.FormatUint(uint64(le.Uint32(b)), 10)
	case schema.UInt64:
		return strconv.FormatUint(le.Uint64(b), 10)
	case schema.Float32:
		return sayFloat(float64(math.Float32frombits(le.Uint32(b))))
	case schema.Float64:
		return sayFloat(math.Float64frombits(le.Uint64(b)))
	case schema.DateTime64:
		n := big.NewInt(int64(le.Uint64(b)))
		for s := t.Scale; s < 9; s++ {
			n.Mul(n, big.NewInt(10))
		}
		return n.String() // in nanoseconds
	case schema.UUID:
		var u uuid.UUID
		binary.BigEndian.PutUint64(u[:], le.Uint64(b))
		binary.BigEndian.PutUint64(u[8:], le.Uint64(b[8:]))
		return u.String()
	case schema.Decimal:
		be := slices.Clone(b)
		slices.Reverse(be)
		return sayBig(be)
	}
	panic(t)
}

func sayFloat(f float64) string {
	if math.IsNaN(f) {
		return "nan"
	}
	return fmt.Sprintf("%016x", math.Float64bits(f))
}

// sayBig reads a big-endian two's complement number.
func sayBig(be []byte) string {
	n := new(big.Int).SetBytes(be)
	if be[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(be))))
	}
	return n.String()
}

// randomBlock makes a block of the columns.
func randomBlock(r *rand.Rand, columns []Column, rows int) *block {
	b := &block{columns: columns, rows: rows}
	for _, c := range columns {
		g := newGenerator(r, c)
		var v Vector
		var want []string
		if c.Repeated {
			v.Ends = make([]uint64, rows)
			var elements [][]byte
			for i := range rows {
				for range g.IntN(4) {
					elements = append(elements, g.nullable())
				}
				v.Ends[i] = uint64(len(elements))
			}
			said := fill(r, &v, c, elements)
			start := 0
			for _, end := range v.Ends {
				want = append(want, "["+strings.Join(said[start:end], ",")+"]")
				start = int(end)
			}
			if r.IntN(20) == 0 { // nothing at all
				v, want = Vector{}, slices.Repeat([]string{"[]"}, rows)
			}
		} else {
			values := make([][]byte, rows)
			for i := range values {
				if c.Optional {
					values[i] = g.nullable()
				} else {
					values[i] = g.value()
				}
			}
			want = fill(r, &v, c, values)
			if c.Optional && r.IntN(20) == 0 {
				v, want = Vector{}, slices.Repeat([]string{"null"}, rows)
			}
		}
		b.vectors, b.want = append(b.vectors, v), append(b.want, want)
	}
	return b
}

func (g *generator) nullable() []byte {
	if g.IntN(100) < g.nulls {
		return nil
	}
	return g.value()
}

// fill puts values, nil for NULL, into the vector.
func fill(r *rand.Rand, v *Vector, c Column, values [][]byte) (said []string) {
	keyed := c.Type.LowCardinality && r.IntN(4) > 0
	places := map[string]uint32{}
	if c.Type.Kind == schema.String {
		v.Offsets = []uint32{0}
		if keyed { // a default that may be unused, and a double
			v.Text, v.Offsets = append(v.Text, "xx"...), []uint32{0, 0, 1, 2}
			v.Keys = make([]uint32, 0, len(values))
		}
	} else {
		v.Fixed = []byte{}
	}
	l := leaf{Column: c}
	_ = l.setType()
	nulls := make([]byte, len(values))
	any := false
	for i, b := range values {
		if b == nil {
			nulls[i], any = 1, true
			said = append(said, "null")
		} else {
			said = append(said, say(c.Type, b))
		}
		switch {
		case keyed && b == nil:
			v.Keys = append(v.Keys, 1<<31) // is not read
		case keyed:
			key, ok := places[string(b)]
			if !ok || r.IntN(500) == 0 {
				v.Text = append(v.Text, b...)
				v.Offsets = append(v.Offsets, uint32(len(v.Text)))
				key = uint32(len(v.Offsets) - 2)
				places[string(b)] = key
			}
			v.Keys = append(v.Keys, key)
		case c.Type.Kind == schema.String:
			v.Text = append(v.Text, b...)
			v.Offsets = append(v.Offsets, uint32(len(v.Text)))
		case b == nil:
			v.Fixed = append(v.Fixed, make([]byte, l.width)...)
		default:
			v.Fixed = append(v.Fixed, b...)
		}
	}
	if any || r.IntN(2) == 0 && (c.Optional || c.Repeated) {
		v.Nulls = nulls
	}
	return said
}

// inOrder returns what the rows of an order say.
func (b *block) inOrder(order []uint32) [][]string {
	if order == nil {
		return b.want
	}
	out := make([][]string, len(b.want))
	for i, column := range b.want {
		for _, at := range order {
			out[i] = append(out[i], column[at])
		}
	}
	return out
}

// randomOrder returns a permutation, a part of one, or nil.
func randomOrder(r *rand.Rand, rows int) []uint32 {
	if rows == 0 || r.IntN(3) == 0 {
		return nil
	}
	order := make([]uint32, rows)
	for i, at := range r.Perm(rows) {
		order[i] = uint32(at)
	}
	if r.IntN(2) == 0 {
		order = order[:r.IntN(rows)+1]
	}
	return order
}
