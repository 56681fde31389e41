// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// asBytes is the batch as the log keeps it.
func asBytes(t testing.TB, ld plog.Logs) Batch {
	t.Helper()
	b, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	require.NoError(t, err)
	return FromBytes([]Chunk{{OTLP: b, To: ld.LogRecordCount()}})
}

// describe writes all that a row says of itself.
func describe(row *Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %d %d", row.Name, row.Time, row.Received)
	for _, v := range row.Values {
		n, isNumber := v.Number()
		fmt.Fprintf(&b, " [%s %x %q %q %v %v %x]", v.Kind, v.Bits, v.Text, v.ScalarText(), math.Float64bits(n), isNumber, v.AppendKey(nil))
	}
	return b.String()
}

func rowsOf(r *RowReader, b Batch) (rows []string, err error) {
	err = r.Each(b, func(i int, row *Row) bool {
		rows = append(rows, fmt.Sprint(i, " ", describe(row)))
		return true
	})
	return rows, err
}

// each reads one record over pdata and over bytes, which must be the same.
func oneRow(t *testing.T, reference string, resource, record map[string]any) string {
	t.Helper()
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	require.NoError(t, rl.Resource().Attributes().FromRaw(resource))
	lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	require.NoError(t, lr.Attributes().FromRaw(record))
	fields, err := NewFields(reference)
	require.NoError(t, err)
	var got []string
	for _, b := range []Batch{FromLogs(ld), asBytes(t, ld)} {
		require.NoError(t, fields.Reader().Each(b, func(_ int, row *Row) bool {
			v := row.Values[0]
			got = append(got, fmt.Sprintf("%s:%s", v.Kind, v.ScalarText()))
			return true
		}))
	}
	require.Len(t, got, 2)
	assert.Equal(t, got[0], got[1], "over bytes")
	return got[0]
}

func TestAReferenceNamesOneValue(t *testing.T) {
	type m = map[string]any
	f := func(reference string, resource, record m, want string) {
		t.Helper()
		assert.Equal(t, want, oneRow(t, reference, resource, record), reference)
	}
	f("plan", nil, m{"plan": "pro"}, "string:pro")
	f("plan", nil, m{"plan": 7}, "integer:7")
	f("plan", nil, m{"plan": 1.5}, "number:1.5")
	f("plan", nil, m{"plan": false}, "boolean:false")
	f("plan", nil, m{"plan": []byte("abc")}, "bytes:YWJj")
	f("plan", nil, m{"plan": []any{1, "a", nil, m{"b": 2.5}}}, `array:[1,"a",null,{"b":2.5}]`)
	f("plan", nil, m{"plan": m{"a": true}}, `object:{"a":true}`)
	f("plan", nil, nil, "null:")
	f("plan", nil, m{"plan": nil}, "null:")
	f("plan", nil, m{"plan": ""}, "string:")
	f("plan", m{"plan": "resource"}, nil, "string:resource")
	f("plan", m{"plan": "resource"}, m{"plan": "record"}, "string:record")
	f("plan", m{"plan": "resource"}, m{"plan": ""}, "string:resource")
	f("plan", m{"plan": ""}, m{"plan": nil}, "string:")

	f("cart.total", nil, m{"cart": m{"total": 9}}, "integer:9")
	f("cart.total", nil, m{"cart.total": 8, "cart": m{"total": 9}}, "integer:8")
	f("cart.total", nil, m{"cart.total": nil, "cart": m{"total": 9}}, "integer:9")
	f("cart.total", m{"cart.total": 1}, m{"cart": m{"total": 9}}, "integer:9")
	f("cart.total", m{"cart": m{"total": 1}}, m{"cart": m{"other": 9}}, "integer:1")
	f("cart.total", m{"cart": m{"total": ""}}, m{"cart": "no map"}, "string:")
	f("a.b.c", nil, m{"a": m{"b.c": 1, "b": m{"c": 2}}}, "integer:1")
	f("a.b.c", nil, m{"a": m{"b.c": "", "b": m{"c": 2}}}, "integer:2")
	f("a.b.c", nil, m{"a": m{"b": m{"c": 2}}, "a.b": m{"c": 3}}, "integer:3")
	f("a.b.c", nil, m{"a": m{"b": m{"c": m{"d": "e"}}}}, `object:{"d":"e"}`)
	f("a.", nil, m{"a": m{"": 1}, "a.": 2}, "integer:2")
	f(".", nil, m{".": 2}, "integer:2")

	f("a|b", nil, m{"b": 2}, "integer:2")
	f("a | b", nil, m{"a": "", "b": 2}, "integer:2")
	f("a|b", nil, m{"a": false, "b": 2}, "boolean:false")
	f("a|b", nil, m{"a": "", "b": nil}, "string:")
	f("user.id|enduser.pseudo.id", nil, m{"enduser.pseudo.id": "anon"}, "string:anon")
	f("user.id|enduser.pseudo.id", m{"user.id": "r"}, m{"enduser.pseudo.id": "anon"}, "string:r")

	f("user.id", nil, m{"user.id": 42}, "string:42")
	f("user.id", nil, m{"user.id": m{"a": 1}}, `string:{"a":1}`)
	f("user.id", nil, m{"user": m{"id": "x"}}, "null:")
	f("user.id", nil, m{"user.id": ""}, "null:")
	f("session.id", m{"session.id": 5}, nil, "string:5")
	f("tenant.id", m{"tenant.id": "t"}, m{"tenant.id": "forged"}, "string:t")
	f("tenant.id", nil, m{"tenant.id": "forged"}, "null:")
	f("event.source", m{"service.name": "shop"}, nil, "string:shop")
	f("event.source", m{"service.name": "shop", "event.source": "web"}, nil, "string:web")
	f("event.source", m{"service.name": "shop"}, m{"cloudevents.event_source": "/ce"}, "string:/ce")
	f("event.source", m{"event.source": "web"}, m{"cloudevents.event_source": "/ce"}, "string:web")
	f("event.name", nil, m{"event.name": "old"}, "string:old")
	f("event.name", nil, m{"otel.event.name": "older"}, "string:older")
	f("time", nil, m{"time": 5}, "null:")
}

func TestARowHasNameAndTimes(t *testing.T) {
	f := func(name string, time, received uint64, wantTime, wantReceived int64) {
		t.Helper()
		ld := plog.NewLogs()
		lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		lr.SetEventName(name)
		lr.SetTimestamp(pcommon.Timestamp(time))
		lr.SetObservedTimestamp(pcommon.Timestamp(received))
		lr.Attributes().PutStr("event.name", "older")
		fields, err := NewFields("time", "received", "event.name")
		require.NoError(t, err)
		for _, b := range []Batch{FromLogs(ld), asBytes(t, ld)} {
			require.NoError(t, fields.Reader().Each(b, func(_ int, row *Row) bool {
				want := name
				if name == "" {
					want = "older"
				}
				assert.Equal(t, want, row.Name)
				assert.Equal(t, want, row.Values[2].Text)
				assert.Equal(t, []int64{wantTime, wantReceived}, []int64{row.Time, row.Received})
				assert.Equal(t, []int64{wantTime, wantReceived}, []int64{row.Values[0].Int(), row.Values[1].Int()})
				return true
			}))
		}
	}
	f("x", 5, 6, 5, 6)
	f("x", 0, 6, 6, 6)
	f("", 5, 0, 5, 0)
	f("", 0, 0, 0, 0)
	f("x", math.MaxUint64, 1<<63, math.MaxInt64, math.MaxInt64)
}

func TestAReferenceThatNamesNothingIsRefused(t *testing.T) {
	for _, name := range []string{"", "a|", "|", " "} {
		_, err := NewFields("fine", name)
		require.ErrorIs(t, err, errNoReference, "%q", name)
	}
	_, err := NewFields(make([]string, maxReferences+1)...)
	require.Error(t, err)
	_, err = NewFields(strings.Repeat("a.", 1<<13))
	require.Error(t, err)
}

func TestFieldsReadWhatTheLogPartitionsBy(t *testing.T) {
	names := []string{"user.id", "enduser.pseudo.id", "session.id", "log.record.uid", "plan"}
	fields, err := NewFields(append(names, "tenant.id", "event.source", "event.name")...)
	require.NoError(t, err)
	keys, rows := NewKeyReader(names...), fields.Reader()
	for seed := range uint64(300) {
		ld := randomLogs(seed)
		var want, got []string
		keys.Each(FromLogs(ld), func(_ int, k Keys) {
			want = append(want, fmt.Sprintf("%q", append(append([]string(nil), k.Values...), k.Tenant)))
		})
		var r Reader
		r.Reset(FromLogs(ld))
		for i := range want {
			e := r.Next()
			want[i] += fmt.Sprintf("%q %q", e.Source, e.Name)
		}
		require.NoError(t, rows.Each(FromLogs(ld), func(_ int, row *Row) bool {
			var texts []string
			for _, v := range row.Values[:len(names)+1] {
				texts = append(texts, v.ScalarText())
			}
			got = append(got, fmt.Sprintf("%q%q %q", texts, row.Values[len(names)+1].Text, row.Name))
			return true
		}))
		require.Equal(t, want, got, "seed %d", seed)
	}
}

func TestKeysOfDifferentValuesDiffer(t *testing.T) {
	values := []Scalar{
		{}, IntScalar(1), IntScalar(-1), DoubleScalar(1), DoubleScalar(-1), BoolScalar(true), BoolScalar(false), StringScalar(""),
		StringScalar("1"), StringScalar("true"), DoubleScalar(math.NaN()), DoubleScalar(math.Inf(1)), DoubleScalar(0), IntScalar(0),
	}
	seen := map[string]int{}
	for i, a := range values {
		for j, b := range values {
			key := string(b.AppendKey(a.AppendKey(nil)))
			at := i*len(values) + j
			if other, ok := seen[key]; ok {
				t.Errorf("pairs %d and %d have one key", other, at)
			}
			seen[key] = at
		}
	}
	assert.Equal(t, DoubleScalar(0).AppendKey(nil), DoubleScalar(math.Copysign(0, -1)).AppendKey(nil))
	assert.Equal(t, DoubleScalar(math.NaN()).AppendKey(nil), DoubleScalar(math.Float64frombits(0x7ff8000000000abc)).AppendKey(nil))
}

func TestANumberIsNoText(t *testing.T) {
	f := func(s Scalar, want float64, isNumber bool) {
		t.Helper()
		got, ok := s.Number()
		assert.Equal(t, math.Float64bits(want), math.Float64bits(got))
		assert.Equal(t, isNumber, ok)
	}
	f(IntScalar(-3), -3, true)
	f(DoubleScalar(2.5), 2.5, true)
	f(StringScalar("5"), 0, false)
	f(BoolScalar(true), 0, false)
	f(Scalar{}, 0, false)
	assert.Zero(t, DoubleScalar(2).Int())
	assert.Zero(t, IntScalar(2).Double())
	assert.False(t, IntScalar(1).Bool())
	assert.True(t, BoolScalar(true).Bool())
}
