// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// anyLogs makes logs of everything that a record can hold.
func anyLogs(rng *rand.Rand) plog.Logs {
	ld := plog.NewLogs()
	text := func() string {
		return []string{"", "a", "key.with.dots", string(make([]byte, 127)), string(make([]byte, 128)), "ünïcode\xff\x00", string(make([]byte, 20_000))}[rng.IntN(7)]
	}
	var fill func(v pcommon.Value, depth int)
	fill = func(v pcommon.Value, depth int) {
		kinds := 9
		if depth == 0 {
			kinds = 7
		}
		switch rng.IntN(kinds) {
		case 0: // empty
		case 1:
			v.SetStr(text())
		case 2:
			v.SetBool(rng.IntN(2) == 0)
		case 3:
			v.SetInt([]int64{0, 1, -1, math.MinInt64, math.MaxInt64, 127, 128, 1 << 40}[rng.IntN(8)])
		case 4:
			v.SetDouble([]float64{0, math.Copysign(0, -1), 1.5, math.Inf(1), math.MaxFloat64}[rng.IntN(5)])
		case 5, 6:
			v.SetEmptyBytes().FromRaw([]byte(text()))
		case 7:
			m := v.SetEmptyMap()
			for i := range rng.IntN(4) {
				fill(m.PutEmpty(fmt.Sprint(text(), i)), depth-1)
			}
		case 8:
			s := v.SetEmptySlice()
			for range rng.IntN(4) {
				fill(s.AppendEmpty(), depth-1)
			}
		}
	}
	for range rng.IntN(4) {
		rl := ld.ResourceLogs().AppendEmpty()
		fill(rl.Resource().Attributes().PutEmpty("r"), 2)
		rl.Resource().SetDroppedAttributesCount(uint32(rng.IntN(3)))
		rl.SetSchemaUrl(text())
		for range rng.IntN(4) {
			sl := rl.ScopeLogs().AppendEmpty()
			sl.Scope().SetName(text())
			sl.Scope().SetVersion(text())
			sl.SetSchemaUrl(text())
			for range rng.IntN(5) {
				lr := sl.LogRecords().AppendEmpty()
				lr.SetTimestamp(pcommon.Timestamp(rng.Uint64() >> uint(rng.IntN(64))))
				lr.SetObservedTimestamp(pcommon.Timestamp(rng.Uint64() >> uint(rng.IntN(64))))
				lr.SetSeverityNumber(plog.SeverityNumber(rng.IntN(25)))
				lr.SetSeverityText(text())
				lr.SetEventName(text())
				lr.SetDroppedAttributesCount(uint32(rng.IntN(300)))
				lr.SetFlags(plog.LogRecordFlags(rng.IntN(3)))
				if rng.IntN(2) == 0 {
					lr.SetTraceID(pcommon.TraceID{1, 2, byte(rng.IntN(256))})
					lr.SetSpanID(pcommon.SpanID{9, byte(rng.IntN(256))})
				}
				fill(lr.Body(), 3)
				for i := range rng.IntN(6) {
					fill(lr.Attributes().PutEmpty(fmt.Sprint(text(), i)), 3)
				}
			}
		}
	}
	return ld
}

func TestWhatIsEncodedIsDecodedByPdataAsItWas(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var e Encoder
	for range 500 {
		ld := anyLogs(rng)
		n := 1 + rng.IntN(4)
		to := make([]int, ld.LogRecordCount())
		for i := range to {
			to[i] = rng.IntN(n+1) - 1
		}
		encoded, err := e.Encode(FromLogs(ld), n, to)
		require.NoError(t, err)
		parts := FromLogs(ld).Split(n, to) // moves the same events apart
		for i := range n {
			got, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(encoded[i])
			require.NoError(t, err)
			want, err := (&plog.ProtoMarshaler{}).MarshalLogs(parts[i].Logs())
			require.NoError(t, err)
			again, err := (&plog.ProtoMarshaler{}).MarshalLogs(got)
			require.NoError(t, err)
			require.Equal(t, want, again)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte{})
	raw, err := (&plog.ProtoMarshaler{}).MarshalLogs(anyLogs(rand.New(rand.NewPCG(2, 2))))
	require.NoError(f, err)
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(raw)
		if err != nil {
			return
		}
		var e Encoder
		to := make([]int, ld.LogRecordCount())
		encoded, err := e.Encode(FromLogs(ld), 1, to)
		require.NoError(t, err)
		got, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(encoded[0])
		require.NoError(t, err)
		part := FromLogs(ld).Split(1, to)[0]
		want, err := (&plog.ProtoMarshaler{}).MarshalLogs(part.Logs())
		require.NoError(t, err)
		again, err := (&plog.ProtoMarshaler{}).MarshalLogs(got)
		require.NoError(t, err)
		require.Equal(t, want, again)
	})
}

// benchmarkLogs are 1,000 events of 20 attributes.
func benchmarkLogs() plog.Logs {
	ld := plog.NewLogs()
	lrs := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for i := range 1000 {
		lr := lrs.AppendEmpty()
		lr.SetEventName("product_viewed")
		lr.SetTimestamp(pcommon.Timestamp(1_700_000_000_000_000_000 + i))
		lr.Attributes().PutStr(keyID, fmt.Sprintf("0192f0c1-2a4b-7cde-8f01-%012d", i))
		for a := range 19 {
			if a%3 == 0 {
				lr.Attributes().PutInt(fmt.Sprintf("attribute.number.%d", a), int64(a*i))
			} else {
				lr.Attributes().PutStr(fmt.Sprintf("attribute.text.%d", a), "a value of some length")
			}
		}
	}
	return ld
}

func BenchmarkEncode(b *testing.B) {
	ld := benchmarkLogs()
	b.Run("pdata", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		var e Encoder
		to := make([]int, 1000)
		for i := range to {
			to[i] = i % 4
		}
		for b.Loop() {
			if _, err := e.Encode(FromLogs(ld), 4, to); err != nil {
				b.Fatal(err)
			}
		}
	})
}
