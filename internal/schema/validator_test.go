// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

func compile(tb testing.TB, doc string) *Schema {
	tb.Helper()
	s, err := Compile("test", "1", []byte(doc))
	require.NoError(tb, err, doc)
	return s
}

// logsOf makes a batch of one event of these properties.
func logsOf(tb testing.TB, properties map[string]any) plog.Logs {
	tb.Helper()
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetEventName("test")
	require.NoError(tb, lr.Attributes().FromRaw(properties))
	return ld
}

func eventOf(tb testing.TB, properties map[string]any) *event.Event {
	tb.Helper()
	var r event.Reader
	r.Reset(event.FromLogs(logsOf(tb, properties)))
	return r.Next()
}

func TestViolationNamesPlaceAndKeyword(t *testing.T) {
	f := func(doc string, properties map[string]any, want string) {
		t.Helper()
		v := compile(t, doc).Validate(eventOf(t, properties))
		got := "valid"
		if v != nil {
			got = v.Pointer + " " + v.Keyword
		}
		assert.Equal(t, want, got, doc)
	}
	type m = map[string]any
	property := func(p string) string { return `{"properties":{"a":` + p + `}}` }

	f(`{}`, m{"a": 1}, "valid")
	f(`true`, m{"a": 1}, "valid")
	f(`false`, m{"a": 1}, " schema")
	f(`{"required":["a","b"]}`, m{"b": 1}, "/a required")
	f(`{"properties":{"o":{"type":"object","required":["x/y~z"]}}}`, m{"o": m{}}, "/o/x~1y~0z required")
	f(`{"required":["z","y"],"properties":{"x":{"type":"string"}}}`, m{"x": 1}, "/x type")
	f(`{"dependentRequired":{"a":["b"]}}`, m{"a": 1}, "/b dependentRequired")
	f(`{"$schema":"http://json-schema.org/draft-07/schema#","dependencies":{"a":["b"]}}`, m{"a": 1}, "/b dependencies")
	f(`{"properties":{"a":{}},"additionalProperties":false}`, m{"a": 1, "c": 2, "b": 3}, "/b additionalProperties")
	f(`{"propertyNames":{"maxLength":2}}`, m{"abc": 1}, "/abc propertyNames")
	f(property(`{"propertyNames":{"maxLength":2}}`), m{"a": m{"abc": 1}}, "/a/abc propertyNames")
	f(property(`{"type":"string"}`), m{"a": 1}, "/a type")
	f(property(`{"type":"number"}`), m{"a": math.NaN()}, "/a type")
	f(property(`{"type":"number"}`), m{"a": math.Inf(-1)}, "/a type")
	f(property(`{"title":"anything"}`), m{"a": math.NaN()}, "/a type")
	f(property(`{}`), m{"a": math.NaN()}, "valid")
	f(property(`{"uniqueItems":true}`), m{"a": append(make([]any, 30), math.NaN(), math.NaN())}, "/a uniqueItems")
	f(property(`{"type":"integer"}`), m{"a": 1.0}, "valid")
	f(property(`{"type":"integer"}`), m{"a": 1.5}, "/a type")
	f(property(`{"type":"string","contentEncoding":"base64"}`), m{"a": []byte{0xff}}, "valid")
	f(property(`{"type":"string","maxLength":2}`), m{"a": []byte{0xff}}, "/a maxLength")
	f(property(`{"minimum":0.1}`), m{"a": 0.1}, "valid")
	f(property(`{"maximum":9007199254740992}`), m{"a": 9007199254740993}, "/a maximum")
	f(property(`{"exclusiveMinimum":0}`), m{"a": 0}, "/a exclusiveMinimum")
	f(property(`{"multipleOf":0.01}`), m{"a": 19.99}, "valid")
	f(property(`{"multipleOf":0.01}`), m{"a": 19.999}, "/a multipleOf")
	f(property(`{"enum":["x","y"]}`), m{"a": "z"}, "/a enum")
	f(property(`{"const":{"b":[1,2]}}`), m{"a": m{"b": []any{1, 2.0}}}, "valid")
	f(property(`{"const":{"b":[1,2]}}`), m{"a": m{"b": []any{2, 1}}}, "/a const")
	f(property(`{"minLength":3}`), m{"a": "héé"}, "valid")
	f(property(`{"maxLength":2}`), m{"a": "日本語"}, "/a maxLength")
	f(property(`{"pattern":"^[A-Z]{3}$"}`), m{"a": "eur"}, "/a pattern")
	f(property(`{"format":"email"}`), m{"a": "nobody"}, "/a format")
	f(property(`{"format":"unheard-of"}`), m{"a": "x"}, "valid")
	f(property(`{"items":{"type":"integer"}}`), m{"a": []any{1, "x"}}, "/a/1 type")
	f(property(`{"contains":{"type":"integer"}}`), m{"a": []any{"x", "y"}}, "/a contains")
	f(property(`{"minItems":2}`), m{"a": []any{1}}, "/a minItems")
	f(property(`{"not":{"type":"string"}}`), m{"a": "x"}, "/a not")
	f(property(`{"anyOf":[{"type":"string"},{"type":"null"}]}`), m{"a": 1}, "/a type")
	f(property(`{"oneOf":[{"minimum":3},{"type":"string"}]}`), m{"a": 1}, "/a oneOf")
	f(property(`{"oneOf":[{"minimum":0},{"type":"integer"}]}`), m{"a": 1}, "/a oneOf")
	f(property(`{"allOf":[{"minimum":3},{"type":"integer"}]}`), m{"a": 1}, "/a minimum")
	f(property(`{"$ref":"#/$defs/d"},"x":{"$ref":"#/$defs/d"}},"$defs":{"d":{"minimum":2}`), m{"a": 1, "x": 5}, "/a minimum")
	f(property(`false`), m{"a": 1}, "/a properties")
	f(`{"unevaluatedProperties":false,"properties":{"a":true}}`, m{"b": 1}, "/b unevaluatedProperties")
	f(`{"if":{"required":["a"]},"then":{"required":["b"]}}`, m{"a": 1}, "/b required")
	f(property(`{"$ref":"#/$defs/d"}},"$defs":{"d":{"allOf":[{"$ref":"#/$defs/d"}]}`), m{"a": 1}, "/a schema")
	f(`{"additionalProperties":false}`, m{strings.Repeat("é", 2000): 1}, "/"+strings.Repeat("é", 511)+" additionalProperties")
}

func TestViolationHoldsNoValue(t *testing.T) {
	v := compile(t, `{"properties":{"a":{"enum":["x"]},"b":{"format":"email"},"c":{"const":1},"d":{"pattern":"^y$"}}}`).
		Validate(eventOf(t, map[string]any{"a": "secret", "b": "secret", "c": "secret", "d": "secret"}))
	require.NotNil(t, v)
	assert.NotContains(t, v.Pointer+v.Keyword, "secret")
}

func TestDeepValuesAreLeftUnreadAndJudgedInvalidOnlyWhereTheSchemaLooks(t *testing.T) {
	nest := func(levels int) map[string]any {
		var v any = "leaf"
		for range levels {
			v = map[string]any{"n": v}
		}
		return map[string]any{"a": v}
	}
	tree := compile(t, `{"properties":{"a":{"$ref":"#/$defs/t"}},"$defs":{"t":{"type":["object","string"],"properties":{"n":{"$ref":"#/$defs/t"}}}}}`)
	open := compile(t, `{"properties":{"b":{"type":"string"}}}`)

	assert.Nil(t, tree.Validate(eventOf(t, nest(event.MaxDepth-1))))
	assert.Equal(t, "type", tree.Validate(eventOf(t, nest(event.MaxDepth))).Keyword)
	assert.Equal(t, "type", tree.Validate(eventOf(t, nest(5000))).Keyword)
	assert.Nil(t, open.Validate(eventOf(t, nest(5000))))
}

func TestCommonFormatsAcceptOnlyWhatTheLibraryAccepts(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	accepted := map[string]int{}
	for name, common := range commonFormats {
		require.NoError(t, c.AddResource(name, map[string]any{"format": name}))
		library := c.MustCompile(name)
		for _, s := range formatSamples() {
			if common(s) {
				accepted[name]++
				assert.NoError(t, library.Validate(s), "%s %q", name, s)
			}
		}
	}
	for name := range commonFormats {
		assert.NotZero(t, accepted[name], "the samples hold no common %s", name)
	}
}

// formatSamples are spellings near the border, each also with one character changed.
func formatSamples() []string {
	samples := append([]string{
		"0000-01-01", "0001-01-01", "1900-02-29", "2000-02-29", "2024-02-30", "2024-13-01", "9999-12-31", "2024-04-31",
		"00:00:00Z", "23:59:59.999999999-23:59", "23:59:59.Z", "12:00:00+24:00", "12:00:00+00:60", "12:00:00",
		"user.name+tag@sub-domain.example.com", strings.Repeat("a", 64) + "@b.c", strings.Repeat("a", 65) + "@b.c", "a@" + strings.Repeat("b", 63) + ".c",
		"a@" + strings.Repeat("b", 64), "a@b.", "a@b..c", "a@-b", "a@b-.c", "@b", "a@", strings.Repeat("a.", 126) + "a", strings.Repeat("a.", 127) + "a",
		"0.0.0.0", "255.255.255.255", "1.2.3", "1.2.3.4.5", "1..2.3", "1.2.3.", "00.1.2.3", "1.2.3.400",
		"https://shop.example.com/p/a-b_c~d.e?x=1&y=2,3#top", "http://h", "http://h?q", "http://h#f", "https://h:80/", "https://u@h/", "http://h/%zz", "http:///",
	}, diceStrings...)
	for _, s := range samples[:len(samples):len(samples)] {
		for i := range len(s) {
			for _, c := range []byte("0:-./@Z %") {
				samples = append(samples, s[:i]+string(c)+s[i+1:])
			}
		}
	}
	return samples
}

func TestLinearPatternEqualsRegexp(t *testing.T) {
	linear := 0
	f := func(expression string, texts []string) {
		p := newLinearPattern(expression)
		if p == nil {
			return
		}
		linear++
		re := regexp.MustCompile(expression)
		for _, s := range texts {
			assert.Equal(t, re.MatchString(s), p.matches(s), "%s %q", expression, s)
		}
	}
	texts := append([]string{"EUR", "EU", "EURO", "SKU-1234", "SKU-123", "abcc", "bc", "hé", "héé", "a\xffb", "\xff", "\n", "abc\n", "ab9", "z9", "-"}, diceStrings...)
	for _, p := range append([]string{"^SKU-[0-9]{4,8}$", "^[a-z0-9-]+$", "^[^a]+$", "^a*b*c*$", "^[\x00-\x7f]*$", "^x{0}a$", "^[é-日]+a?$"}, dicePatterns...) {
		f(p, texts)
	}
	require.GreaterOrEqual(t, linear, 12)
	for _, p := range []string{"^a*a$", "a$", "^a", "^(a|b)$", "^a+?$", "^a?b*a$", "^(?i)abc$", "(?m)^a$"} {
		assert.Nil(t, newLinearPattern(p), p)
	}
}

func FuzzLinearPatternEqualsRegexp(f *testing.F) {
	for _, p := range dicePatterns {
		f.Add(p, "abc")
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		if p := newLinearPattern(expression); p != nil {
			require.Equal(t, regexp.MustCompile(expression).MatchString(text), p.matches(text))
		}
	})
}

func FuzzCompile(f *testing.F) {
	documents, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	for _, name := range documents {
		doc, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(doc)
	}
	f.Add([]byte(`{"$id":"http://x/","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"$dynamicAnchor":"x","x-column":"String"}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		s, err := Compile("fuzz", "1", doc)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		_, err = NewSnapshot(1, []*Schema{s})
		require.NoError(t, err)
		s.Validate(eventOf(t, map[string]any{"a": 1, "b": "x", "c": []any{map[string]any{"d": 1.5}}}))
	})
}

// orderSchema and orderEvent are a usual event of 20 properties.
func orderSchema(tb testing.TB) *Schema {
	tb.Helper()
	doc, err := os.ReadFile("testdata/order_completed.v1.json")
	require.NoError(tb, err)
	return compile(tb, string(doc))
}

func orderEvent(tb testing.TB) *event.Event {
	tb.Helper()
	text, err := os.ReadFile("testdata/order_completed.event")
	require.NoError(tb, err)
	var raw map[string]any
	require.NoError(tb, json.Unmarshal(text, &raw))
	ld := logsOf(tb, raw)
	attrs := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes()
	attrs.Range(func(_ string, v pcommon.Value) bool {
		if v.Type() == pcommon.ValueTypeDouble && v.Double() == math.Trunc(v.Double()) {
			v.SetInt(int64(v.Double()))
		}
		return true
	})
	var r event.Reader
	r.Reset(event.FromLogs(ld))
	return r.Next()
}

func TestUsualEventIsJudgedWithoutTheLibrary(t *testing.T) {
	s, e := orderSchema(t), orderEvent(t)
	require.Len(t, e.Properties, 20)
	require.NotNil(t, s.validator.fast)
	require.Equal(t, valid, s.validator.fast.eval(nil, e.Properties, 0))
	require.Nil(t, validateLibrary(s.validator.library, e))
	require.Zero(t, testing.AllocsPerRun(100, func() { s.Validate(e) }))
}

func BenchmarkValidate(b *testing.B) {
	s, e := orderSchema(b), orderEvent(b)
	b.Run("fast", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Validate(e)
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			validateLibrary(s.validator.library, e)
		}
	})
}
