// SPDX-License-Identifier: Apache-2.0

package native

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// model is what a column should hold: the values by row, nil for NULL.
type model []*string

// play builds a column by random rows, some skipped, some taken back, over several blocks, and calls check with each.
func play(t *testing.T, c Column, check func(model)) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		c.Reset()
		var want model
		rows := r.IntN(400)
		for row := range rows {
			if r.IntN(3) == 0 {
				continue // nothing for this column: filled later
			}
			require.True(t, c.Seek(row))
			for len(want) < row {
				want = append(want, nil)
			}
			value := fmt.Sprint("value ", r.IntN(300))
			var of *string
			v := event.Value{}
			if r.IntN(10) > 0 {
				v, of = event.StringValue(value), &value
			}
			if r.IntN(20) == 0 {
				require.ErrorIs(t, c.Append(event.IntValue(1)), ErrType)
				c.Rollback()
				continue
			}
			require.NoError(t, c.Append(v))
			if r.IntN(10) == 0 {
				c.Rollback() // the row failed elsewhere
				continue
			}
			require.False(t, c.Seek(row), "the row is there")
			want = append(want, of)
		}
		c.Fill(rows)
		for len(want) < rows {
			want = append(want, nil)
		}
		require.Equal(t, rows, c.Rows())
		check(want)
	}
}

func encode(c proto.ColInput) []byte {
	var b proto.Buffer
	if s, ok := c.(proto.StateEncoder); ok {
		s.EncodeState(&b)
	}
	c.EncodeColumn(&b)
	return b.Buf
}

func TestStringsAreEncodedAsTheClientLibraryDoes(t *testing.T) {
	c := New(schema.Type{Kind: schema.String}, false)
	play(t, c, func(want model) {
		ref := *new(proto.ColStr).Nullable()
		for _, v := range want {
			if v == nil {
				ref.Append(proto.Null[string]())
			} else {
				ref.Append(proto.NewNullable(*v))
			}
		}
		require.True(t, bytes.Equal(encode(&ref), encode(c)))
	})
}

func TestDictionariesDecodeToWhatWasAppended(t *testing.T) {
	c := NewLowCardinality(false)
	play(t, c, func(want model) {
		ref := proto.NewLowCardinality[string](new(proto.ColStr))
		if len(want) > 0 {
			reader := proto.NewReader(bytes.NewReader(encode(c)))
			require.NoError(t, ref.DecodeState(reader))
			require.NoError(t, ref.DecodeColumn(reader, len(want)))
		}
		for i, v := range want {
			got := ref.Row(i)
			if v == nil {
				require.Empty(t, got) // this column is not nullable: its default
			} else {
				require.Equal(t, *v, got)
			}
		}
	})
}

func TestADictionaryGrowsItsKeysWithItsValues(t *testing.T) {
	for _, distinct := range []int{1, 254, 255, 256, 257, 65_535, 65_536, 70_000} {
		c := NewLowCardinality(false)
		for i := range distinct {
			c.AppendString(fmt.Sprint(i))
		}
		ref := proto.NewLowCardinality[string](new(proto.ColStr))
		reader := proto.NewReader(bytes.NewReader(encode(c)))
		require.NoError(t, ref.DecodeState(reader))
		require.NoError(t, ref.DecodeColumn(reader, distinct))
		for i := range distinct {
			require.Equal(t, fmt.Sprint(i), ref.Row(i))
		}
		c.Reset()
		c.AppendString("again")
		require.Equal(t, 1, c.Rows())
	}
}

func TestArraysTakeBackARowThatFailsHalfWay(t *testing.T) {
	c := New(schema.Type{Kind: schema.String}, true).(*Array)
	require.True(t, c.Seek(2))
	require.NoError(t, c.AppendElement(event.StringValue("a")))
	require.NoError(t, c.AppendElement(event.StringValue("b")))
	require.ErrorIs(t, c.AppendElement(event.IntValue(1)), ErrType)
	c.Rollback()
	require.True(t, c.Seek(2))
	require.NoError(t, c.AppendElement(event.StringValue("c")))
	c.FillElements(3)
	require.Equal(t, 3, c.Elements())
	c.EndRow()

	ref := proto.NewArray[proto.Nullable[string]](new(proto.ColStr).Nullable())
	ref.Append(nil)
	ref.Append(nil)
	ref.Append([]proto.Nullable[string]{proto.NewNullable("c"), proto.Null[string](), proto.Null[string]()})
	require.Equal(t, encode(ref), encode(c))
}

func TestColumnsNameTheirTypes(t *testing.T) {
	f := func(typ schema.Type, repeated bool, want string) {
		t.Helper()
		require.Equal(t, want, Define(typ, repeated))
	}
	f(schema.Type{Kind: schema.String}, false, "Nullable(String)")
	f(schema.Type{Kind: schema.String, LowCardinality: true}, false, "LowCardinality(Nullable(String))")
	f(schema.Type{Kind: schema.String, LowCardinality: true}, true, "Array(LowCardinality(Nullable(String)))")
	f(schema.Type{Kind: schema.Decimal, Precision: 18, Scale: 2}, false, "Nullable(Decimal(18, 2))")
	f(schema.Type{Kind: schema.DateTime64, Scale: 9}, true, "Array(Nullable(DateTime64(9, 'UTC')))")
}
