// SPDX-License-Identifier: Apache-2.0

package native

import (
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// value is what a record that has it would give.
func value(t *testing.T, raw any) event.Value {
	t.Helper()
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	require.NoError(t, lr.Attributes().PutEmpty("v").FromRaw(raw))
	var r event.Reader
	r.Reset(event.FromLogs(ld))
	return r.Next().Properties[0].Value
}

func int64s() *Fixed { return NewFixed(schema.Type{Kind: schema.Int64}, false) }

func TestMapsAreEncodedAsTheClientLibraryDoes(t *testing.T) {
	c := NewMap(NewString(false), int64s())
	require.Equal(t, proto.ColumnType("Map(String, Int64)"), c.Type())
	require.True(t, c.Seek(1))
	require.NoError(t, c.Append(value(t, map[string]any{"a": int64(-1)})))
	require.True(t, c.Seek(2))
	require.ErrorIs(t, c.Append(value(t, map[string]any{"b": "no number"})), ErrType)
	c.Rollback()
	require.True(t, c.Seek(2))
	require.ErrorIs(t, c.Append(event.IntValue(1)), ErrType)
	c.Rollback()
	require.True(t, c.Seek(3))
	require.NoError(t, c.Append(value(t, map[string]any{"c": int64(3)})))
	require.NoError(t, c.Append(event.Value{}))

	ref := proto.NewMap[string, int64](new(proto.ColStr), new(proto.ColInt64))
	for _, m := range []map[string]int64{nil, {"a": -1}, nil, {"c": 3}, nil} {
		ref.Append(m)
	}
	require.Equal(t, 5, c.Rows())
	require.Equal(t, encode(ref), encode(c))
	c.Reset()
	require.Zero(t, c.Rows())
}

func TestListsOfTuplesAreEncodedAsTheirColumns(t *testing.T) {
	c := NewArray(NewTuple([]string{"value", "count"}, NewString(false), int64s()))
	require.Equal(t, proto.ColumnType("Array(Tuple(value String, count Int64))"), c.Type())
	require.True(t, c.Seek(0))
	require.NoError(t, c.Append(value(t, []any{map[string]any{"value": "x", "count": int64(2)}, map[string]any{"count": int64(1)}})))
	require.True(t, c.Seek(1))
	require.ErrorIs(t, c.Append(value(t, []any{map[string]any{"value": "y", "count": "z"}})), ErrType)
	c.Rollback()
	require.True(t, c.Seek(1))
	require.ErrorIs(t, c.Append(value(t, []any{"no object"})), ErrType)
	c.Rollback()
	c.Fill(2)

	var b proto.Buffer
	for _, end := range []uint64{2, 2} {
		b.PutUInt64(end)
	}
	texts := new(proto.ColStr)
	texts.Append("x")
	texts.Append("")
	texts.EncodeColumn(&b)
	numbers := proto.ColInt64{2, 1}
	numbers.EncodeColumn(&b)
	require.Equal(t, b.Buf, encode(c))
}

func TestNanosecondsAreTimes(t *testing.T) {
	c := NewNanoseconds(true)
	require.Equal(t, proto.ColumnType("Nullable(DateTime64(9, 'UTC'))"), c.Type())
	require.NoError(t, c.Append(event.IntValue(1)))
	require.NoError(t, c.Append(event.Value{}))
	require.ErrorIs(t, c.Append(event.IntValue(minTime-1)), ErrRange)
	require.ErrorIs(t, c.Append(event.StringValue("2026-01-01T00:00:00Z")), ErrType)
	require.Equal(t, []byte{0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, encode(c))
	plain := NewNanoseconds(false)
	require.NoError(t, plain.Append(event.Value{}))
	require.Equal(t, make([]byte, 8), encode(plain))
}
