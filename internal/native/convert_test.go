// SPDX-License-Identifier: Apache-2.0

package native

import (
	"math"
	"math/big"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// doubleValue returns a double as it is read from a record.
func doubleValue(f float64) event.Value {
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.Attributes().PutDouble("v", f)
	var r event.Reader
	r.Reset(event.FromLogs(ld))
	return r.Next().Properties[0].Value
}

func TestIntegersFitOrFail(t *testing.T) {
	f := func(kind schema.Kind, v event.Value, want uint64, wantErr error) {
		t.Helper()
		got, _, err := convert(schema.Type{Kind: kind}, v)
		require.ErrorIs(t, err, wantErr)
		require.Equal(t, want, got)
	}
	f(schema.Int8, event.IntValue(-128), ^uint64(127), nil)
	f(schema.Int8, event.IntValue(128), 0, ErrRange)
	f(schema.Int16, event.IntValue(-32769), 0, ErrRange)
	f(schema.Int32, event.IntValue(math.MaxInt32), math.MaxInt32, nil)
	f(schema.Int64, event.IntValue(math.MinInt64), 1<<63, nil)
	f(schema.UInt8, event.IntValue(255), 255, nil)
	f(schema.UInt8, event.IntValue(256), 0, ErrRange)
	f(schema.UInt32, event.IntValue(-1), 0, ErrRange)
	f(schema.UInt64, event.IntValue(math.MaxInt64), math.MaxInt64, nil)
	f(schema.UInt64, doubleValue(1<<63), 1<<63, nil)
	f(schema.UInt64, doubleValue(1<<64), 0, ErrRange)
	f(schema.Int64, doubleValue(1<<63), 0, ErrRange)
	f(schema.Int64, doubleValue(-1<<63), 1<<63, nil)
	f(schema.Int64, doubleValue(3), 3, nil)
	f(schema.Int64, doubleValue(3.5), 0, ErrType)
	f(schema.Int64, doubleValue(math.NaN()), 0, ErrType)
	f(schema.Int64, doubleValue(math.Inf(1)), 0, ErrRange)
	f(schema.Int64, event.StringValue("3"), 0, ErrType)
	f(schema.Float64, event.IntValue(1<<53), math.Float64bits(1<<53), nil)
	f(schema.Float64, event.IntValue(1<<53+1), 0, ErrPrecision)
	f(schema.Float64, event.IntValue(math.MaxInt64), 0, ErrPrecision)
	f(schema.Float32, doubleValue(0.1), uint64(math.Float32bits(0.1)), nil)
	f(schema.Float32, doubleValue(1e39), 0, ErrRange)
}

func FuzzDecimalOfADoubleIsItsShortestDecimal(f *testing.F) {
	for _, v := range []float64{0, 19.99, -0.01, 0.1, 1e15, 123456789012345.67, 9007199254740993, 0.005, 1e-7, -1e300, 99999999.99} {
		f.Add(v, uint8(18), uint8(2))
		f.Add(v, uint8(38), uint8(10))
		f.Add(v, uint8(9), uint8(9))
	}
	f.Fuzz(func(t *testing.T, v float64, precision, scale uint8) {
		if precision < 1 || precision > 38 || scale > precision {
			return
		}
		typ := schema.Type{Kind: schema.Decimal, Precision: int(precision), Scale: int(scale)}
		lo, hi, err := decimal(doubleValue(v), typ)
		want, wantErr := decimalOracle(v, typ)
		if (err != nil) != wantErr {
			t.Fatalf("%v as %s: error %v, want one: %t", v, typ, err, wantErr)
		}
		if err == nil {
			got := new(big.Int).SetUint64(hi)
			got.Or(got.Lsh(got, 64), new(big.Int).SetUint64(lo))
			if hi>>63 == 1 {
				got.Sub(got, new(big.Int).Lsh(big.NewInt(1), 128))
			}
			if got.Cmp(want) != 0 {
				t.Fatalf("%v as %s: %v, want %v", v, typ, got, want)
			}
		}
	})
}

// decimalOracle does the same by exact arithmetic on the shortest decimal form.
func decimalOracle(v float64, typ schema.Type) (*big.Int, bool) {
	r, ok := new(big.Rat).SetString(strconv.FormatFloat(v, 'f', -1, 64))
	if !ok { // NaN, infinities
		return nil, true
	}
	r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(typ.Scale)), nil)))
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(typ.Precision)), nil)
	if !r.IsInt() || new(big.Int).Abs(r.Num()).Cmp(limit) >= 0 {
		return nil, true
	}
	return r.Num(), false
}

func FuzzTextsNeverPanic(f *testing.F) {
	for _, s := range []string{"", "-", "+.5", "1.", "00.10", "2026-02-03T04:05:06.123456789+01:00", "2026-02-30", "0198c5f0-1234-7abc-8def-0123456789ab", "-99999999999999999999999999999999999999"} {
		f.Add(s)
	}
	types := []schema.Type{
		{Kind: schema.Decimal, Precision: 38, Scale: 10}, {Kind: schema.Decimal, Precision: 5, Scale: 0},
		{Kind: schema.DateTime64, Scale: 9}, {Kind: schema.DateTime64}, {Kind: schema.Date32}, {Kind: schema.UUID},
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, typ := range types {
			c := New(typ, false)
			c.Seek(0)
			if err := c.Append(event.StringValue(s)); err != nil {
				c.Rollback()
			}
			c.Fill(1)
			if c.Rows() != 1 {
				t.Fatalf("%q in %s: %d rows", s, typ, c.Rows())
			}
		}
	})
}
