// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"encoding/binary"
	"math"
	"math/big"
	"testing"

	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/receiver/archivereceiver/internal/pages"
)

func TestValuesAreAsAnEventHadThem(t *testing.T) {
	f := func(want any, typ pages.Type, text string, bits uint64, fixed []byte) {
		t.Helper()
		got := scalarOf(&typ, text, bits, fixed)
		switch want := want.(type) {
		case string:
			require.Equal(t, textScalar(want), got)
		case int:
			require.Equal(t, intScalar(int64(want)), got)
		case float64:
			require.Equal(t, doubleScalar(want), got)
		case bool:
			require.Equal(t, event.KindBool, got.kind)
			require.Equal(t, want, got.bits == 1)
		}
	}
	minus := func(n int64) uint64 { return uint64(n) }
	i32, i64 := pages.Type{Kind: pages.Int, Physical: format.Int32, Width: 4}, pages.Type{Kind: pages.Int, Physical: format.Int64, Width: 8}
	f(-5, i32, "", minus(-5)&math.MaxUint32, nil)
	f(math.MinInt64, i64, "", 1<<63, nil)
	u64 := pages.Type{Kind: pages.Uint, Physical: format.Int64, Width: 8}
	f(7, u64, "", 7, nil)
	f(math.Exp2(63), u64, "", 1<<63, nil)
	f("18446744073709551615", u64, "", math.MaxUint64, nil)
	f("9223372036854775809", u64, "", 1<<63+1, nil)

	f(true, pages.Type{Kind: pages.Bool, Physical: format.Boolean}, "", 1, nil)
	f(0.1, pages.Type{Kind: pages.Float32, Physical: format.Float, Width: 4}, "", uint64(math.Float32bits(0.1)), nil)
	f(-2.5, pages.Type{Kind: pages.Float32, Physical: format.Float, Width: 4}, "", uint64(math.Float32bits(-2.5)), nil)
	f(0.1, pages.Type{Kind: pages.Float64, Physical: format.Double, Width: 8}, "", math.Float64bits(0.1), nil)

	nano := pages.Type{Kind: pages.Timestamp, Physical: format.Int64, Width: 8, Unit: 1}
	f("2026-11-22T14:00:00Z", nano, "", 1795356000_000000000, nil)
	f("2026-11-22T14:00:00.1Z", nano, "", 1795356000_100000000, nil)
	f("2026-11-22T14:00:00.000000001Z", nano, "", 1795356000_000000001, nil)
	f("1969-12-31T23:59:59.999999999Z", nano, "", minus(-1), nil)
	milli := pages.Type{Kind: pages.Timestamp, Physical: format.Int64, Width: 8, Unit: 1e6}
	f("2026-11-22T14:00:00.25Z", milli, "", 1795356000_250, nil)
	f("1969-12-31T23:59:59.999Z", milli, "", minus(-1), nil)
	// 12 hours into Julian day 2440589.
	f("1970-01-02T12:00:00Z", pages.Type{Kind: pages.Timestamp, Physical: format.Int96, Width: 12, Unit: 1}, "", 0,
		binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, 12*3600_000000000), 2440589))
	date := pages.Type{Kind: pages.Date, Physical: format.Int32, Width: 4}
	f("1970-01-01", date, "", 0, nil)
	f("1900-01-01", date, "", minus(-25567)&math.MaxUint32, nil)
	f("14:00:00.5", pages.Type{Kind: pages.Time, Physical: format.Int64, Width: 8, Unit: 1000}, "", 50400_500000, nil)
	f("00112233-4455-6677-8899-aabbccddeeff", pages.Type{Kind: pages.UUID, Physical: format.FixedLenByteArray, Width: 16}, "", 0,
		[]byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff})
	f("Zoë", pages.Type{Kind: pages.Bytes, Physical: format.ByteArray}, "Zoë", 0, nil)
	f("/wA=", pages.Type{Kind: pages.Bytes, Physical: format.ByteArray}, "\xff\x00", 0, nil)
	f("/wA=", pages.Type{Kind: pages.Bytes, Physical: format.FixedLenByteArray, Width: 2}, "", 0, []byte("\xff\x00"))

	small := pages.Type{Kind: pages.Decimal, Physical: format.Int32, Width: 4, Scale: 2}
	f(19.9, small, "", 1990, nil)
	f(-0.01, small, "", minus(-1)&math.MaxUint32, nil)
	f(20.0, small, "", 2000, nil)
	long := pages.Type{Kind: pages.Decimal, Physical: format.Int64, Width: 8, Scale: 2}
	f(9999999999999.99, long, "", 999999999999999, nil)
	f(90071992547409.92, long, "", 1<<53, nil)
	f("90071992547409.93", pages.Type{Kind: pages.Decimal, Physical: format.Int64, Width: 8, Scale: 2}, "", 1<<53+1, nil)
	f(1e-18, pages.Type{Kind: pages.Decimal, Physical: format.Int64, Width: 8, Scale: 18}, "", 1, nil)
}

func TestDecimalsOfAnyWidthAreTheNumberOrItsDigits(t *testing.T) {
	f := func(want any, digits string, scale int) {
		t.Helper()
		n, ok := new(big.Int).SetString(digits, 10)
		require.True(t, ok)
		two := new(big.Int).Set(n)
		if n.Sign() < 0 {
			two.Add(two, new(big.Int).Lsh(big.NewInt(1), 128))
		}
		raw := two.FillBytes(make([]byte, 16))
		wide := pages.Type{Kind: pages.Decimal, Physical: format.FixedLenByteArray, Width: 16, Scale: scale}
		text := pages.Type{Kind: pages.Decimal, Physical: format.ByteArray, Scale: scale}
		for _, got := range []scalar{scalarOf(&wide, "", 0, raw), scalarOf(&text, string(raw), 0, nil)} {
			if number, ok := want.(float64); ok {
				require.Equal(t, doubleScalar(number), got)
			} else {
				require.Equal(t, textScalar(want.(string)), got)
			}
		}
	}
	f(19.9, "1990", 2)
	f(-19.9, "-1990", 2)
	f(0.0, "0", 2)
	f("12345678901234567890.12", "1234567890123456789012", 2)
	f("-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", 0)
	f("0.01234567890123456789", "1234567890123456789", 20)
	f(1e20, "100000000000000000000", 0)
	f(1.5, "150000000000000000000", 20)
}
