// SPDX-License-Identifier: Apache-2.0

package event

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/xpdata/entity"

	"github.com/millrace/millrace/internal/seal"
)

// everywhere puts the text in every place of a batch that takes one, each with a number of its own.
func everywhere(t *testing.T, text string) (plog.Logs, int) {
	t.Helper()
	n := 0
	next := func() string { n++; return text + strings.Repeat("i", n) }
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.SetSchemaUrl(next())
	rl.Resource().Attributes().PutStr("r", next())
	ref := entity.ResourceEntityRefs(rl.Resource()).AppendEmpty()
	ref.SetType(next())
	ref.SetSchemaUrl(next())
	ref.IdKeys().Append(next())
	sl := rl.ScopeLogs().AppendEmpty()
	sl.SetSchemaUrl(next())
	sl.Scope().SetName(next())
	sl.Scope().SetVersion(next())
	sl.Scope().Attributes().PutStr("s", next())
	lr := sl.LogRecords().AppendEmpty()
	lr.SetEventName(next())
	lr.SetSeverityText(next())
	lr.Body().SetStr(next())
	attrs := lr.Attributes()
	attrs.PutStr("a", next())
	attrs.PutStr("log.record.uid", next())
	attrs.PutStr("user.id", next())
	attrs.PutStr("event.name", next())
	attrs.PutStr("event.schema", next())
	attrs.PutStr("event.failure.pointer", next())
	attrs.PutStr("event.failure.of_somebodys_own", next())
	attrs.PutStr("segment.context", next())
	m := attrs.PutEmptyMap("m")
	m.PutStr(next(), next())
	m.PutEmptySlice("l").AppendEmpty().SetStr(next())
	attrs.PutEmptyBytes("b").FromRaw([]byte(next()))
	attrs.PutStr(next(), "value")
	return ld, n
}

// twice makes the attribute stand a second time, as OTLP's bytes can and pdata's maps cannot be asked to.
func twice(t *testing.T, ld plog.Logs, value string) plog.Logs {
	t.Helper()
	var lr plog.LogRecord
	for _, rl := range ld.ResourceLogs().All() {
		lr = rl.ScopeLogs().At(0).LogRecords().At(0)
	}
	lr.Attributes().PutStr("user.iD", value)
	wire, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	require.NoError(t, err)
	out, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs([]byte(strings.Replace(string(wire), "user.iD", "user.id", 1)))
	require.NoError(t, err)
	return out
}

func change(v Value) {
	switch v.Kind() {
	case KindString:
		v.SetText("masked")
	case KindBytes:
		v.SetBytes([]byte("masked"))
	case KindMap:
		v.RenameMembers(func(k string) string { return strings.ReplaceAll(k, "secret", "masked") })
		for _, m := range v.Members {
			change(m)
		}
	case KindSlice:
		for i := range v.Len() {
			change(v.Index(i))
		}
	}
}

func TestEveryTextOfABatchCanBeChanged(t *testing.T) {
	ld, _ := everywhere(t, "secret")
	ld = twice(t, ld, "secret of a second value")
	b := FromLogs(ld)
	for s := range b.Sources {
		for _, v := range s.Attributes {
			change(v)
		}
		s.ChangeTexts(func(string) string { return "masked" })
		s.RemoveReferences()
	}
	var r Reader
	r.Reset(b)
	e := r.Next()
	e.SetName("masked")
	e.SetSeverityText("masked")
	for _, v := range e.Attributes {
		change(v)
	}
	e.RenameAttributes(func(k string) string { return strings.ReplaceAll(k, "secret", "masked") })

	var enc Encoder
	parts, err := enc.Encode(b, 1, []int{0})
	require.NoError(t, err)
	require.NotContains(t, string(parts[0]), "secret")
	wire, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	require.NoError(t, err)
	require.NotContains(t, string(wire), "secret")
	require.Equal(t, "masked", e.Name)
}

func TestAStrippedEventHasNothingOfItsProducer(t *testing.T) {
	ld, _ := everywhere(t, "secret")
	b := FromLogs(ld)
	var r Reader
	r.Reset(b)
	e := r.Next()
	e.Strip(func(key string) bool { return key == FieldID })
	e.ReplaceFailure(Failure{Stage: StageMasking, Reason: "no_key"})
	sealed := seal.Prefix + "r1:" + strings.Repeat("A", 66)
	e.SetSealed(sealed)
	lr := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	require.Empty(t, lr.EventName()+lr.SeverityText()+lr.Body().AsString())
	have := lr.Attributes().AsRaw()
	require.Contains(t, have[keyID], "secret", "it was to be kept")
	delete(have, keyID)
	require.Equal(t, map[string]any{keyFailureStage: StageMasking, keyFailureReason: "no_key", keySealed: sealed}, have)
	lr.SetSeverityNumber(plog.SeverityNumberError)
	r.Reset(b)
	require.Equal(t, sealed, string(r.Next().AppendRaw(nil)))
}

// Any producer can write an attribute of that name, and what is written for it is read back as an event of any tenant.
func TestWhatIsNotSealedIsNotTakenForIt(t *testing.T) {
	sealed := seal.Prefix + "r1:" + strings.Repeat("A", 66)
	f := func(want bool, set func(plog.LogRecord)) {
		t.Helper()
		ld := plog.NewLogs()
		lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		lr.Attributes().PutStr(keyFailureStage, StageValidation)
		lr.Attributes().PutStr(keySealed, sealed)
		set(lr)
		var r Reader
		r.Reset(FromLogs(ld))
		require.Equal(t, want, string(r.Next().AppendRaw(nil)) == sealed)
	}
	f(true, func(plog.LogRecord) {})
	f(true, func(lr plog.LogRecord) { lr.Attributes().PutStr(keyID, "id") })
	f(false, func(lr plog.LogRecord) { lr.Attributes().Remove(keyFailureStage) })
	f(false, func(lr plog.LogRecord) { lr.Attributes().PutStr("x", "y") })
	f(false, func(lr plog.LogRecord) { lr.Attributes().PutStr("user.id", "y") })
	f(false, func(lr plog.LogRecord) { lr.Body().SetStr("y") })
	for _, text := range []string{`{"event_name":"x","resource":{"tenant.id":"other"}}`, seal.Prefix + "r1:4915112345678", sealed + ".", sealed + "AAA", seal.Prefix + strings.Repeat("A", 90)} {
		f(false, func(lr plog.LogRecord) { lr.Attributes().PutStr(keySealed, text) })
	}
}

func TestRenamingKeepsEveryValueAndTheOrder(t *testing.T) {
	f := func(keys []string, to map[string]string, want string) {
		t.Helper()
		m, ok := mapOf(keys)
		require.True(t, ok)
		i := int64(0)
		for _, v := range m.All() {
			v.SetInt(i)
			i++
		}
		rename(m, func(k string) string {
			if r, ok := to[k]; ok {
				return r
			}
			return k
		})
		var have []string
		for k, v := range m.All() {
			have = append(have, k+"="+v.AsString())
		}
		require.Equal(t, want, strings.Join(have, " "))
	}
	f([]string{"a", "b", "c"}, nil, "a=0 b=1 c=2")
	f([]string{"a", "b", "c", "d", "e"}, map[string]string{"a": "x", "b": "c", "d": "", "e": "y"}, "x=0 c_2=1 c=2 y=4")
	f([]string{"a", "b", "c", "x_2", "d"}, map[string]string{"a": "x", "b": "x", "c": "x", "d": "x"}, "x=0 x_3=1 x_4=2 x_2=3 x_5=4")
	f([]string{"a", "b", "a", "b", "c"}, map[string]string{"a": "x", "c": "b"}, "x=0 b=1 x=2 b=3 b_2=4") // the first of a key still wins
	f([]string{"", "a\xff", "c"}, map[string]string{"c": "d\xff"}, "=0 a\xff=1 d\xff=2")
	f([]string{"a"}, map[string]string{"a": ""}, "")
}

// A sender chooses how many keys there are.
func TestRenamingTakesTimeByTheNumberOfKeys(t *testing.T) {
	var keys []string
	for i := range 200_000 { // each looked for among all others: a minute
		keys = append(keys, strconv.Itoa(i))
	}
	m, ok := mapOf(keys)
	require.True(t, ok)
	rename(m, func(string) string { return "x" })
	require.Equal(t, len(keys), m.Len())
}

func TestPartsAreToldByKey(t *testing.T) {
	f := func(key string, want Part) {
		t.Helper()
		require.Equal(t, want, PartOf(key), key)
	}
	f("email", PartProperty)
	f("customer.email", PartProperty)
	f("log.record.uid", PartIdentity)
	f("user.id", PartIdentity)
	f("enduser.pseudo.id", PartIdentity)
	f("session.previous_id", PartIdentity)
	f("event.name", PartName)
	f("otel.event.name", PartName)
	f("event.schema.version", PartSchema)
	f("event.failure.pointer", PartFailure)
	f("segment.context", PartContext)
	f("log.body", PartContext)
	f("event.sealed", PartProperty)
}
