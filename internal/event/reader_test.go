// SPDX-License-Identifier: Apache-2.0

package event

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// newRecord returns logs with one record, for tests to fill.
func newRecord() (plog.Logs, plog.LogRecord) {
	ld := plog.NewLogs()
	return ld, ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
}

func readOne(t *testing.T, ld plog.Logs) *Event {
	t.Helper()
	var r Reader
	r.Reset(FromLogs(ld))
	e := r.Next()
	require.NotNil(t, e)
	require.Nil(t, r.Next())
	return e
}

func TestReaderTellsEnvelopePropertiesAndContextApart(t *testing.T) {
	ld, lr := newRecord()
	res := ld.ResourceLogs().At(0).Resource().Attributes()
	res.PutStr("tenant.id", "acme")
	res.PutStr("service.name", "shop")
	lr.SetEventName("order_completed")
	lr.SetTimestamp(100)
	lr.SetObservedTimestamp(200)
	lr.SetTraceID([16]byte{1})
	lr.SetSpanID([8]byte{2})
	lr.SetSeverityText("INFO")
	lr.Body().SetStr("an order")
	a := lr.Attributes()
	a.PutStr("log.record.uid", "e-1")
	a.PutStr("user.id", "u-1")
	a.PutStr("enduser.pseudo.id", "a-1")
	a.PutStr("session.id", "s-1")
	a.PutStr("session.previous_id", "s-0")
	a.PutStr("event.schema", "order_completed")
	a.PutInt("event.schema.version", 2)
	a.PutStr("segment.type", "track")
	a.PutDouble("total", 9.5)

	e := readOne(t, ld)
	assert.Equal(t, "order_completed", e.Name)
	assert.Equal(t, "e-1", e.ID)
	assert.Equal(t, pcommon.Timestamp(100), e.Time)
	assert.Equal(t, pcommon.Timestamp(200), e.Received)
	assert.Equal(t, "u-1", e.UserID)
	assert.Equal(t, "a-1", e.AnonymousID)
	assert.Equal(t, "s-1", e.SessionID)
	assert.Equal(t, "s-0", e.PreviousSessionID)
	assert.Equal(t, "order_completed", e.Schema)
	assert.Equal(t, "2", e.SchemaVersion, "an envelope field sent as a number is read as text")
	assert.Equal(t, "acme", e.Tenant)
	assert.Equal(t, "shop", e.Source)
	assert.False(t, e.Failed)
	require.Len(t, e.Properties, 1)
	assert.Equal(t, "total", e.Properties[0].Key)
	assert.InDelta(t, 9.5, e.Properties[0].Value.Double(), 0)
	var context []string
	for _, c := range e.Context {
		context = append(context, c.Key)
	}
	assert.Equal(t, []string{"segment.type", "log.body", "log.severity_text"}, context)
}

func TestReaderFindsTheNameWhereOlderProducersPutIt(t *testing.T) {
	f := func(field, attribute, want string) {
		t.Helper()
		ld, lr := newRecord()
		lr.SetEventName(field)
		if attribute != "" {
			lr.Attributes().PutStr(attribute, "older")
		}
		e := readOne(t, ld)
		assert.Equal(t, want, e.Name)
		assert.Empty(t, e.Properties)
	}
	f("field", "", "field")
	f("field", "event.name", "field")
	f("", "event.name", "older")
	f("", "otel.event.name", "older")
	f("", "", "")
}

func TestReaderTakesTheSourceFromTheMostSpecificPlace(t *testing.T) {
	f := func(event, cloud, service, want string) {
		t.Helper()
		ld, lr := newRecord()
		res := ld.ResourceLogs().At(0).Resource().Attributes()
		if service != "" {
			res.PutStr("service.name", service)
		}
		if event != "" {
			res.PutStr("event.source", event)
		}
		if cloud != "" {
			lr.Attributes().PutStr("cloudevents.event_source", cloud)
		}
		assert.Equal(t, want, readOne(t, ld).Source)
	}
	f("web", "/orders", "shop", "web")
	f("", "/orders", "shop", "/orders")
	f("", "", "shop", "shop")
	f("", "", "", "")
}

func TestReaderWalksAllScopesAndNumbersTheirResources(t *testing.T) {
	ld := plog.NewLogs()
	ld.ResourceLogs().AppendEmpty() // no scopes
	for r := range 2 {
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("tenant.id", string(rune('a'+r)))
		rl.ScopeLogs().AppendEmpty() // no records
		for range 2 {
			sl := rl.ScopeLogs().AppendEmpty()
			for range 2 {
				sl.LogRecords().AppendEmpty()
			}
		}
	}
	var reader Reader
	for range 2 { // a Reader can be used again
		reader.Reset(FromLogs(ld))
		var tenants string
		resources := map[int]int{}
		for e := reader.Next(); e != nil; e = reader.Next() {
			tenants += e.Tenant
			resources[reader.ResourceIndex()]++
		}
		assert.Equal(t, "aaaabbbb", tenants)
		assert.Len(t, resources, 4)
	}
	assert.Equal(t, 8, FromLogs(ld).Len())
}

func TestFirstFailureStaysUntilCleared(t *testing.T) {
	ld, lr := newRecord()
	lr.Attributes().PutStr("total", "x")
	e := readOne(t, ld)
	first := Failure{Stage: StageValidation, Reason: "schema_violation", Pointer: "/total", Keyword: "type", Schema: "o/1", Processor: "p"}
	e.Fail(first)
	e.Fail(Failure{Stage: StageExport, Reason: "other"})

	again := readOne(t, ld)
	assert.True(t, again.Failed)
	assert.Equal(t, first, again.Failure)
	assert.Len(t, again.Properties, 1, "the mark is not a property")

	again.ClearFailure()
	cleared := readOne(t, ld)
	assert.False(t, cleared.Failed)
	assert.Equal(t, Failure{}, cleared.Failure)
	assert.Equal(t, 1, lr.Attributes().Len())
}

func TestAnnotationsAreReadBack(t *testing.T) {
	ld, _ := newRecord()
	e := readOne(t, ld)
	e.SetSchema("order", "3")
	e.SetTime(7)
	e.SetReceived(8)
	again := readOne(t, ld)
	assert.Equal(t, "order", again.Schema)
	assert.Equal(t, "3", again.SchemaVersion)
	assert.Equal(t, pcommon.Timestamp(7), again.Time)
	assert.Equal(t, pcommon.Timestamp(8), again.Received)
}

func TestDeleteRemovesTheChosenEventsAndEmptyGroups(t *testing.T) {
	b := NewBuilder("t", "s", "scope")
	for _, name := range []string{"a", "b", "a"} {
		b.Add().SetName(name)
	}
	batch := b.Batch()
	batch.DeleteAt([]int{0, 2})
	assert.Equal(t, "b", readOne(t, batch.Logs()).Name)
	batch.DeleteAt([]int{0})
	assert.Zero(t, batch.Logs().ResourceLogs().Len())
}

func TestWrongKindReadsAsZero(t *testing.T) {
	v := StringValue("x")
	assert.Zero(t, v.Int())
	assert.Zero(t, v.Double())
	assert.False(t, v.Bool())
	assert.Nil(t, v.Bytes())
	assert.Zero(t, v.Len())
	assert.Equal(t, Value{}, v.Index(0))
	_, ok := v.Get("x")
	assert.False(t, ok)
	for range v.Members {
		t.Fatal("a string has no members")
	}
}

func benchmarkBatch(n int) Batch {
	b := NewBuilder("acme", "shop", "bench")
	for range n {
		d := b.Add()
		d.SetName("order_completed")
		d.SetID("0198c5f0-0000-7000-8000-000000000000")
		d.SetUserID("user-12345")
		for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"} {
			d.Put(key, "some value of a property")
		}
	}
	return b.Batch()
}

func BenchmarkReader(b *testing.B) {
	batch := benchmarkBatch(1000)
	var r Reader
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(batch)
		for e := r.Next(); e != nil; e = r.Next() {
			if e.Name == "" {
				b.Fatal("no name")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}

// The recursion that writes such a value as text ended the process.
func TestEnvelopeValueThatNestsTooDeepIsAProperty(t *testing.T) {
	f := func(depth int, wantID string, wantProperties int) {
		t.Helper()
		ld := plog.NewLogs()
		rl := ld.ResourceLogs().AppendEmpty()
		nested := func(v pcommon.Value) {
			for range depth {
				v = v.SetEmptySlice().AppendEmpty()
			}
		}
		for _, k := range []string{keyTenant, keySource} {
			nested(rl.Resource().Attributes().PutEmpty(k))
		}
		lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		for _, k := range []string{keyID, keyUser} {
			nested(lr.Attributes().PutEmpty(k))
		}
		var r Reader
		r.Reset(FromLogs(ld))
		e := r.Next()
		require.Equal(t, [4]string{wantID, wantID, wantID, wantID}, [4]string{e.ID, e.UserID, e.Tenant, e.Source})
		require.Len(t, e.Properties, wantProperties)
	}
	f(2, "[[null]]", 0)
	f(MaxDepth+1, "", 2)
	f(100_000, "", 2)
}
