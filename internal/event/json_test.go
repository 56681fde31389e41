// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/go-faster/jx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

func TestJSONKeepsValuesOverARoundTrip(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		ld, lr := newRecord()
		require.NoError(t, Draft{lr}.PutJSON("v", jx.DecodeStr(in)))
		e := readOne(t, ld)
		got, err := e.Properties[0].Value.AppendJSON(nil)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	f(`null`, `null`)
	f(`true`, `true`)
	f(`"a\"\\\n\u0001é😀"`, `"a\"\\\n\u0001é😀"`)
	f(`0`, `0`)
	f(`-9223372036854775808`, `-9223372036854775808`)
	f(`9223372036854775808`, `"9223372036854775808"`) // no int64 and no exact double: kept as digits
	f(`1e3`, `1000`)
	f(`0.1`, `0.1`)
	f(`1e-9`, `1e-09`)
	f(`{"b":1,"a":[1,"x",null,{}]}`, `{"b":1,"a":[1,"x",null,{}]}`)
	f(`{"a":1,"a":2}`, `{"a":1}`) // first wins
	f(`[[],{}]`, `[[],{}]`)
}

func TestJSONWritesWhatItHasNoWordFor(t *testing.T) {
	f := func(set func(pcommon.Value), want string) {
		t.Helper()
		ld, lr := newRecord()
		set(lr.Attributes().PutEmpty("v"))
		got, err := readOne(t, ld).Properties[0].Value.AppendJSON(nil)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	f(func(v pcommon.Value) { v.SetDouble(math.NaN()) }, `"NaN"`)
	f(func(v pcommon.Value) { v.SetDouble(math.Inf(1)) }, `"Infinity"`)
	f(func(v pcommon.Value) { v.SetDouble(math.Inf(-1)) }, `"-Infinity"`)
	f(func(v pcommon.Value) { v.SetEmptyBytes().FromRaw([]byte{0xff, 0}) }, `"/wA="`)
	f(func(v pcommon.Value) { v.SetStr("a\xffb") }, "\"a\uFFFDb\"")
}

func TestJSONReadingRefuses(t *testing.T) {
	f := func(in string, want error) {
		t.Helper()
		_, lr := newRecord()
		err := Draft{lr}.PutJSON("v", jx.DecodeStr(in))
		require.Error(t, err)
		if want != nil {
			require.ErrorIs(t, err, want)
		}
	}
	f(strings.Repeat("[", 1000)+strings.Repeat("]", 1000), ErrTooDeep)
	f("["+strings.Repeat("[],", MaxValues)+"[]]", ErrTooManyValues)
	f(`{"a":{"b":[`+strings.Repeat("[],", MaxValues-3)+`1]}}`, ErrTooManyValues)
	f("\"a\xff\"", nil)
	f("{\"a\xff\":1}", nil)
	f(`{"a":}`, nil)
	f(`1e999`, nil)
	f(``, nil)
}

func TestJSONReadingTakesAsManyValuesAsItSays(t *testing.T) {
	_, lr := newRecord()
	in := strings.Repeat("[],", MaxValues-2) + "1"
	require.NoError(t, Draft{lr}.PutJSON("v", jx.DecodeStr("["+in+"]")))
	require.NoError(t, Draft{lr}.PutJSONProperties(jx.DecodeStr(`{"v":[`+in+`]}`)), "a second one has its own number")
	require.ErrorIs(t, Draft{lr}.PutJSONProperties(jx.DecodeStr(`{"w":[`+in+`],"x":1}`)), ErrTooManyValues)
}

func TestPropertiesCannotPassForTheEnvelope(t *testing.T) {
	ld, lr := newRecord()
	d := Draft{lr}
	d.SetID("real")
	require.NoError(t, d.PutJSONProperties(jx.DecodeStr(
		`{"log.record.uid":"forged","event.failure.stage":"x","segment.type":"y","event.name":"z","price":1}`)))
	e := readOne(t, ld)
	assert.Equal(t, "real", e.ID)
	assert.False(t, e.Failed)
	assert.Empty(t, e.Name)
	assert.Empty(t, e.Context)
	var keys []string
	for _, p := range e.Properties {
		keys = append(keys, p.Key)
	}
	assert.Equal(t, []string{
		"properties.log.record.uid", "properties.event.failure.stage", "properties.segment.type", "properties.event.name", "price",
	}, keys)
}

func TestRawHoldsTheWholeEvent(t *testing.T) {
	ld, lr := newRecord()
	ld.ResourceLogs().At(0).Resource().Attributes().PutStr("service.name", "shop")
	lr.SetEventName("n")
	lr.SetTimestamp(1)
	lr.SetObservedTimestamp(math.MaxUint64)
	d := Draft{lr}
	d.SetID("i")
	d.Put("p", "v\xff")
	d.Put("segment.type", "track")
	deep := lr.Attributes().PutEmpty("deep").SetEmptySlice()
	for range 500 { // deeper than MaxDepth
		deep = deep.AppendEmpty().SetEmptySlice()
	}
	d.Fail(Failure{Stage: StageValidation, Reason: "r"})
	raw := readOne(t, ld).AppendRaw(nil)
	var got map[string]any
	require.NoError(t, json.Unmarshal(raw, &got), string(raw))
	assert.Equal(t, "1970-01-01T00:00:00.000000001Z", got["event_time"])
	assert.Equal(t, "18446744073709551615", got["received_time"])
	assert.Equal(t, map[string]any{"service.name": "shop"}, got["resource"])
	assert.Equal(t, "v\uFFFD", got["properties"].(map[string]any)["p"])
	assert.NotNil(t, got["properties"].(map[string]any)["deep"])
	assert.Equal(t, map[string]any{"segment.type": "track"}, got["context"])
}

func TestRawOfAnUnreadableEventIsItsText(t *testing.T) {
	ld, lr := newRecord()
	d := Draft{lr}
	d.SetBody(`{"half`)
	d.Fail(Failure{Stage: StageReceive, Reason: "malformed"})
	assert.Equal(t, `{"half`, string(readOne(t, ld).AppendRaw(nil)))
}

// FuzzPutJSON: whatever comes, reading neither panics nor lets anything through that encoding/json would refuse,
// and what was read is written as JSON of equal meaning.
func FuzzPutJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null,true]}`, `[[[]]]`, `1e400`, `"\ud800"`, `{"a":1,"a":2}`, "\"\xff\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		ld, lr := newRecord()
		if err := (Draft{lr}).PutJSON("v", jx.DecodeStr(in)); err != nil {
			return
		}
		var value any // only the first value was asked for
		if err := json.NewDecoder(strings.NewReader(in)).Decode(&value); err != nil {
			t.Fatalf("accepted %q: %v", in, err)
		}
		out, err := readOne(t, ld).Properties[0].Value.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(out) {
			t.Fatalf("wrote invalid JSON %q of %q", out, in)
		}
		// Written and read again, nothing changes any more.
		ld2, lr2 := newRecord()
		if err := (Draft{lr2}).PutJSON("v", jx.DecodeBytes(out)); err != nil {
			t.Fatalf("reading back %q: %v", out, err)
		}
		again, err := readOne(t, ld2).Properties[0].Value.AppendJSON(nil)
		if err != nil || string(again) != string(out) {
			t.Fatalf("%q became %q: %v", out, again, err)
		}
	})
}
