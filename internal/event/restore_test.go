// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/load"
)

// story is all that a Reader says of an event, as one text. Its failure is left out: an archive does not keep it.
func story(e *event.Event) string {
	plain := *e
	plain.Failed, plain.Failure = false, event.Failure{}
	return fmt.Sprintf("tenant=%q source=%q %s", e.Tenant, e.Source, plain.AppendRaw(nil))
}

// stories are those of a batch by ID: a Restorer puts events of one origin together.
func stories(b event.Batch) map[string]string {
	all := map[string]string{}
	var r event.Reader
	r.Reset(b)
	for e := r.Next(); e != nil; e = r.Next() {
		all[e.ID] = story(e)
	}
	return all
}

func resourceJSON(e *event.Event) string {
	dst := []byte{'{'}
	for k, v := range e.Resource.Attributes {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(event.AppendJSONString(dst, k), ':')
		dst, _ = v.AppendJSON(dst)
	}
	return string(append(dst, '}'))
}

// propertiesJSON is what a table keeps where no property has a column of its own.
func propertiesJSON(e *event.Event) string {
	dst := []byte{'{'}
	put := func(k string, v event.Value) {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(event.AppendJSONString(dst, k), ':')
		dst, _ = v.AppendJSON(dst)
	}
	for _, p := range e.Properties {
		put(p.Key, p.Value)
	}
	for _, p := range e.Context {
		put(p.Key, p.Value)
	}
	if e.PreviousSessionID != "" {
		put("session.previous_id", event.StringValue(e.PreviousSessionID))
	}
	return string(append(dst, '}'))
}

// restoreRow restores an event from what a row of a table has of it.
func restoreRow(t testing.TB, r *event.Restorer, e *event.Event) {
	t.Helper()
	d, err := r.Add(event.Origin{Resource: resourceJSON(e), Tenant: e.Tenant})
	require.NoError(t, err)
	d.SetName(e.Name)
	d.SetID(e.ID)
	d.SetTime(e.Time)
	d.SetReceived(e.Received)
	d.SetUserID(e.UserID)
	d.SetAnonymousID(e.AnonymousID)
	d.SetSessionID(e.SessionID)
	d.SetSchema(e.Schema, e.SchemaVersion)
	if !e.TraceID.IsEmpty() {
		require.NoError(t, d.SetTraceID(e.TraceID.String()))
	}
	if !e.SpanID.IsEmpty() {
		require.NoError(t, d.SetSpanID(e.SpanID.String()))
	}
	require.NoError(t, d.PutPropertiesJSON(propertiesJSON(e)))
	d.Done()
}

func checkRoundTrip(t *testing.T, logs plog.Logs) {
	t.Helper()
	batch := event.FromLogs(logs)
	want := stories(batch)
	raw, rows := event.NewRestorer(), event.NewRestorer()
	var r event.Reader
	r.Reset(batch)
	n := 0
	for e := r.Next(); e != nil; e = r.Next() {
		_, err := raw.AddRaw(e.AppendRaw(nil))
		require.NoError(t, err)
		restoreRow(t, rows, e)
		n++
	}
	require.Equal(t, n, raw.Len())
	require.Equal(t, want, stories(raw.Batch()), "from AppendRaw")
	require.Equal(t, want, stories(rows.Batch()), "from rows")
	require.Zero(t, raw.Len(), "Batch begins the next one")
}

func TestGeneratedEventsComeBackAsTheyWere(t *testing.T) {
	for _, tenants := range [][]string{{"one"}, {"one", "two", "three"}} {
		g, err := load.NewGenerator(load.GeneratorConfig{Seed: 7, Events: 2000, Tenants: tenants})
		require.NoError(t, err)
		checkRoundTrip(t, g.Next(2000))
	}
}

func TestRandomEventsComeBackAsTheyWere(t *testing.T) {
	for seed := range uint64(200) {
		checkRoundTrip(t, randomLogs(rand.New(rand.NewPCG(seed, 1)), 20))
	}
}

func randomLogs(rng *rand.Rand, n int) plog.Logs {
	logs := plog.NewLogs()
	for i := range n {
		if i == 0 || rng.IntN(5) == 0 {
			rl := logs.ResourceLogs().AppendEmpty()
			attrs := rl.Resource().Attributes()
			for range rng.IntN(4) {
				randomValue(rng, attrs.PutEmpty(randomText(rng)+"r"), 0)
			}
			for _, k := range []string{"tenant.id", "event.source", "service.name"} {
				if rng.IntN(2) == 0 {
					attrs.PutStr(k, randomText(rng))
				}
			}
			scope := rl.ScopeLogs().AppendEmpty().Scope()
			if rng.IntN(2) == 0 {
				scope.SetName(randomText(rng))
				scope.SetVersion(randomText(rng))
				randomValue(rng, scope.Attributes().PutEmpty("a"), 0)
			}
		}
		rl := logs.ResourceLogs().At(logs.ResourceLogs().Len() - 1)
		randomRecord(rng, rl.ScopeLogs().At(0).LogRecords().AppendEmpty(), i)
	}
	return logs
}

func randomRecord(rng *rand.Rand, lr plog.LogRecord, i int) {
	attrs := lr.Attributes()
	attrs.PutStr("log.record.uid", fmt.Sprint("id-", i))
	for _, k := range []string{
		"user.id", "enduser.pseudo.id", "session.id", "session.previous_id", "event.schema", "event.schema.version",
		"segment.type", "webhook.path", "cloudevents.event_source", "log.file.name",
	} {
		if rng.IntN(3) == 0 {
			attrs.PutStr(k, randomText(rng))
		}
	}
	for j := range rng.IntN(8) {
		randomValue(rng, attrs.PutEmpty(fmt.Sprint(randomText(rng), "p", j)), 0)
	}
	if rng.IntN(4) > 0 {
		lr.SetEventName(randomText(rng))
	}
	lr.SetTimestamp(pcommon.Timestamp(rng.Uint64N(1 << 62)))
	lr.SetObservedTimestamp(pcommon.Timestamp(rng.Uint64() >> rng.IntN(64)))
	if rng.IntN(3) == 0 {
		lr.SetTraceID(pcommon.TraceID{1, 2, byte(rng.Uint32())})
		lr.SetSpanID(pcommon.SpanID{byte(rng.Uint32()), 9})
	}
	if rng.IntN(4) == 0 {
		randomValue(rng, lr.Body(), 0)
	}
	if rng.IntN(4) == 0 {
		lr.SetSeverityText(randomText(rng))
		lr.SetSeverityNumber(plog.SeverityNumber(rng.IntN(25)))
	}
	if rng.IntN(3) == 0 {
		attrs.PutStr("event.failure.stage", event.StageValidation)
		attrs.PutStr("event.failure.reason", "schema_violation")
	}
}

func randomText(rng *rand.Rand) string {
	parts := []string{"a", "Zoë", "東京", "\"", "\\", "\n", "\x00", ".", " ", "😀", "/", "x7", "\u2028"}
	var b strings.Builder
	for range rng.IntN(5) {
		b.WriteString(parts[rng.IntN(len(parts))])
	}
	return b.String()
}

func randomValue(rng *rand.Rand, v pcommon.Value, depth int) {
	kinds := 9
	if depth > 3 {
		kinds = 6
	}
	switch rng.IntN(kinds) {
	case 0:
		v.SetStr(randomText(rng))
	case 1:
		v.SetInt(int64(rng.Uint64()) >> rng.IntN(64))
	case 2:
		v.SetDouble([]float64{0.1, -2.5, 3, 1e300, 5e-324, math.MaxFloat64, 1 << 60, math.Copysign(0, -1)}[rng.IntN(8)])
	case 3:
		v.SetBool(rng.IntN(2) == 0)
	case 4: // empty
	case 5:
		v.SetEmptyBytes().FromRaw([]byte(randomText(rng)))
	case 6:
		v.SetDouble([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}[rng.IntN(3)])
	case 7:
		s := v.SetEmptySlice()
		for range rng.IntN(4) {
			randomValue(rng, s.AppendEmpty(), depth+1)
		}
	default:
		m := v.SetEmptyMap()
		for j := range rng.IntN(4) {
			randomValue(rng, m.PutEmpty(fmt.Sprint(randomText(rng), j)), depth+1)
		}
	}
}

func TestAnEventThatFailedForItsDepthComesBackWhole(t *testing.T) {
	logs := plog.NewLogs()
	lr := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	v := lr.Attributes().PutEmpty("deep")
	for range 500 {
		v = v.SetEmptySlice().AppendEmpty()
	}
	v.SetInt(1)
	checkRoundTripRaw(t, logs)
}

func checkRoundTripRaw(t *testing.T, logs plog.Logs) {
	t.Helper()
	r := event.NewRestorer()
	var reader event.Reader
	reader.Reset(event.FromLogs(logs))
	e := reader.Next()
	_, err := r.AddRaw(e.AppendRaw(nil))
	require.NoError(t, err)
	require.Equal(t, stories(event.FromLogs(logs)), stories(r.Batch()))
}

func TestABodyBesideAnAttributeOfItsNameStaysApart(t *testing.T) {
	logs := plog.NewLogs()
	lr := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.Attributes().PutStr("log.body", "an attribute")
	lr.Body().SetStr("the body")
	checkRoundTripRaw(t, logs)
}

func TestWhatNoArchiveWritesIsRefused(t *testing.T) {
	f := func(text string) {
		t.Helper()
		r := event.NewRestorer()
		_, err := r.AddRaw([]byte(text))
		require.ErrorIs(t, err, event.ErrNotRestorable)
		require.NotContains(t, err.Error(), "hunter2")
		require.Zero(t, r.Len())
		require.Zero(t, r.Batch().Len())
	}
	f(``)
	f(`no JSON at all`)
	f(`[]`)
	f(`{"event":"Signed Up","userId":"u-1"}`)
	f(`{"hunter2":1}`)
	f(`{"event_name":"x"} {}`)
	f(`{"event_name":7}`)
	f(`{"event_time":"yesterday"}`)
	f(`{"event_time":"1800-01-01T00:00:00Z"}`)
	f(`{"trace_id":"zz"}`)
	f(`{"span_id":"zzzzzzzzzzzzzzzz"}`)
	f(`{"properties":[]}`)
	f(`{"properties":{"a":}}`)
	f(`{"properties":{"a":1e999}}`)
	f(`{"resource":{"a":1e999}}`)
	f("{\"event_name\":\"\xff\"}")
	f(`{"properties":{"a":` + strings.Repeat("[", 20_000))
	f(`{"properties":{"a":[` + strings.Repeat("0,", 300_000) + `0]}}`)
}

func TestARefusedEventLeavesNoTraceAmongTheOthers(t *testing.T) {
	r := event.NewRestorer()
	for i := range 5 {
		_, err := r.AddRaw(fmt.Appendf(nil, `{"event_name":"e","event_id":"%d","properties":{"n":%d}}`, i, i))
		require.NoError(t, err)
		_, err = r.AddRaw([]byte(`{"event_name":"bad","event_id":"bad","properties":{"n":nope}}`))
		require.ErrorIs(t, err, event.ErrNotRestorable)
	}
	require.Equal(t, 5, r.Len())
	got := stories(r.Batch())
	require.Len(t, got, 5)
	require.NotContains(t, got, "bad")
}

func TestTheSchemaIsLeftOutWhereItIsToBeJudgedAnew(t *testing.T) {
	r := event.NewRestorer()
	r.DropSchema = true
	_, err := r.AddRaw([]byte(`{"event_name":"e","event_id":"1","schema_name":"e","schema_version":"3"}`))
	require.NoError(t, err)
	var reader event.Reader
	reader.Reset(r.Batch())
	e := reader.Next()
	require.Empty(t, e.Schema)
	require.Empty(t, e.SchemaVersion)
	require.Equal(t, "e", e.Name)
}

func TestTenantAndSourceAreAddedWhereTheResourceLacksThem(t *testing.T) {
	f := func(o event.Origin, tenant, source string) {
		t.Helper()
		r := event.NewRestorer()
		_, err := r.Add(o)
		require.NoError(t, err)
		var reader event.Reader
		reader.Reset(r.Batch())
		e := reader.Next()
		require.Equal(t, tenant, e.Tenant)
		require.Equal(t, source, e.Source)
	}
	f(event.Origin{}, "", "")
	f(event.Origin{Tenant: "t", Source: "s"}, "t", "s")
	f(event.Origin{Resource: `{"tenant.id":"other"}`, Tenant: "t"}, "t", "")
	f(event.Origin{Resource: `{"service.name":"web"}`, Source: "web"}, "", "web")
}

func TestNestedPropertiesAreMergedIntoWhatIsThere(t *testing.T) {
	r := event.NewRestorer()
	d, err := r.Add(event.Origin{})
	require.NoError(t, err)
	require.NoError(t, d.PutPropertiesJSON(`{"o":{"left":1},"items":[{"x":1},{}],"scalar":1}`))
	p := d.Properties()
	p.Object("o").PutString("typed", "a")
	p.List("items").Object(2).PutInt("n", 3)
	p.List("items").Object(0).PutBool("b", true)
	p.Object("scalar").PutDouble("now", 0.5)
	l := p.List("l")
	l.AddNull()
	l.AddInt(1)
	l.AddDouble(2.5)
	l.AddString("s")
	l.AddBool(false)
	var reader event.Reader
	reader.Reset(r.Batch())
	got := string(reader.Next().AppendRaw(nil))
	require.JSONEq(t, `{"properties":{"o":{"left":1,"typed":"a"},"items":[{"x":1,"b":true},{},{"n":3}],"scalar":{"now":0.5},"l":[null,1,2.5,"s",false]}}`, got)
}

func FuzzRestoreRaw(f *testing.F) {
	f.Add([]byte(`{"event_name":"e","event_time":"2026-11-22T13:00:00.5Z","trace_id":"0102030405060708090a0b0c0d0e0f10",` +
		`"resource":{"tenant.id":"t","otel.scope.name":"s"},"properties":{"a":[1,{"b":null}]},"context":{"log.body":{"x":1}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := event.NewRestorer()
		if _, err := r.AddRaw(text); err != nil {
			require.ErrorIs(t, err, event.ErrNotRestorable)
			return
		}
		// What was read once is written and read as the same: a second time changes nothing.
		var reader event.Reader
		reader.Reset(r.Batch())
		once := reader.Next().AppendRaw(nil)
		_, err := r.AddRaw(once)
		require.NoError(t, err)
		reader.Reset(r.Batch())
		require.Equal(t, string(once), string(reader.Next().AppendRaw(nil)))
	})
}

func BenchmarkRestore(b *testing.B) {
	g, err := load.NewGenerator(load.GeneratorConfig{Seed: 7, Events: 2000})
	require.NoError(b, err)
	logs := g.Next(2000)
	b.Run("rows", func(b *testing.B) {
		var rows []func(*event.Restorer)
		var reader event.Reader
		reader.Reset(event.FromLogs(logs))
		for e := reader.Next(); e != nil; e = reader.Next() {
			rows = append(rows, flatRow(e))
		}
		r := event.NewRestorer()
		for b.Loop() {
			for _, row := range rows {
				row(r)
			}
			r.Batch()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/event")
	})
	b.Run("unmarshal", func(b *testing.B) {
		wire, err := new(plog.ProtoMarshaler).MarshalLogs(logs)
		require.NoError(b, err)
		var u plog.ProtoUnmarshaler
		for b.Loop() {
			if _, err := u.UnmarshalLogs(wire); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*logs.LogRecordCount()), "ns/event")
	})
}

// flatRow restores an event whose scalar properties have columns and whose others stand in properties.
func flatRow(e *event.Event) func(*event.Restorer) {
	resource, name, id, user, anonymous, session := resourceJSON(e), e.Name, e.ID, e.UserID, e.AnonymousID, e.SessionID
	at, received, trace, span := e.Time, e.Received, "", ""
	if !e.TraceID.IsEmpty() {
		trace, span = e.TraceID.String(), e.SpanID.String()
	}
	var puts []func(event.Object)
	left := *e
	left.Properties = nil
	for _, p := range e.Properties {
		switch key := p.Key; p.Value.Kind() {
		case event.KindString:
			v := p.Value.Str()
			puts = append(puts, func(o event.Object) { o.PutString(key, v) })
		case event.KindInt:
			v := p.Value.Int()
			puts = append(puts, func(o event.Object) { o.PutInt(key, v) })
		case event.KindDouble:
			v := p.Value.Double()
			puts = append(puts, func(o event.Object) { o.PutDouble(key, v) })
		case event.KindBool:
			v := p.Value.Bool()
			puts = append(puts, func(o event.Object) { o.PutBool(key, v) })
		default:
			left.Properties = append(left.Properties, p)
		}
	}
	rest := propertiesJSON(&left)
	return func(r *event.Restorer) {
		d, _ := r.Add(event.Origin{Resource: resource})
		d.SetName(name)
		d.SetTime(at)
		d.SetReceived(received)
		d.SetID(id)
		d.SetUserID(user)
		d.SetAnonymousID(anonymous)
		d.SetSessionID(session)
		_ = d.SetTraceID(trace)
		_ = d.SetSpanID(span)
		_ = d.PutPropertiesJSON(rest)
		for _, put := range puts {
			put(d.Properties())
		}
		d.Done()
	}
}
