// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

// dice makes choices from bytes, so that a fuzzer's bytes become schemas and instances. Without bytes left it
// always chooses the first.
type dice struct{ data []byte }

func (d *dice) roll(sides int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b) % sides
}

func pick[T any](d *dice, from []T) T { return from[d.roll(len(from))] }

// All names have four bytes, so that a repeated one can be written into the encoded record.
var (
	diceNames   = []string{"alfa", "beta", "gama", "delt", "ekko", "foxt"}
	diceStrings = []string{
		"", "a", "ab", "abc", "ABC", "12", "héé", "日本語", "2024-02-29", "2023-02-29", "2024-05-01T10:00:00Z",
		"2024-05-01T10:00:00.123+02:00", "2016-12-31T23:59:60Z", "10:00:00Z", "24:00:00Z", "a@b.co", ".a@b", "a..b@c", "x@[1.2.3.4]",
		"0aee0a35-0000-4000-8000-00000000000F", "0aee0a35000040008000000000000000", "1.2.3.4", "01.2.3.4", "256.1.1.1",
		"::1", "example.com", "-a.com", "a-.com", "http://example.com/a?b=c#d", "https://[::1]/", "http:///x", "/rel", "a b", "aaa", "\xff", "null",
	}
	diceNumbers = []string{
		"0", "-0", "1", "1.0", "2", "3", "-1", "-2.5", "0.1", "0.3", "0.30000000000000004", "2.5", "10", "100", "19.99", "1e2", "1E-2",
		"9007199254740992", "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"-9223372036854775809", "1152921504606846976", "1152921504606847000", "18446744073709551616", "1e300", "1e-300", "1e400", "5e-324", "0.1000000000000000055511151231257827",
	}
	diceFloats = []float64{
		0, math.Copysign(0, -1), 1, 2, 3, -1, -2.5, 0.1, 0.3, 0.1 + 0.2, 2.5, 10, 100, 19.99, 0.01, 1 << 53, 1<<53 + 2, 1 << 60, 1 << 63,
		-(1 << 63), 1e300, 1e-300, 5e-324, 1e22, 123456.789, math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1),
	}
	diceInts     = []int64{0, 1, 2, 3, -1, -2, 10, 12, 100, 1 << 53, 1<<53 + 1, 1 << 60, math.MaxInt64, math.MinInt64}
	dicePatterns = []string{
		"^[A-Z]{3}$", "^a", "b+", "^[a-z]+$", "^a*b?c{1,2}$", "^a*ab$", "^(a|b)+$", "^[^a]*$", "^\\d+$", "^\\p{L}+$", "a$", "^$", "^a?b*$",
		"^[a-z]{0,2}[0-9]$", "^(?i)abc$", "^.{2}$", "^h[é]{2}$", "^[a-c][b-d]+?$", "^lfa$", "^[a-g]",
	}
	diceFormats = []string{
		"date-time", "date", "time", "email", "uuid", "uri", "ipv4", "ipv6", "hostname", "regex", "duration", "json-pointer", "uri-reference", "semver", "nonsense",
	}
	diceTypes = []string{"string", "integer", "number", "boolean", "object", "array", "null"}
	diceDraft = []string{
		"https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2019-09/schema",
		"http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-06/schema#", "http://json-schema.org/draft-04/schema#",
	}
)

// jsonValue makes a value of a schema document.
func (d *dice) jsonValue(depth int) any {
	switch n := d.roll(8); {
	case n == 0:
		return nil
	case n == 1:
		return d.roll(2) == 0
	case n <= 3:
		return json.Number(pick(d, diceNumbers))
	case n <= 5 || depth > 2:
		return strings.ToValidUTF8(pick(d, diceStrings), "")
	case n == 6:
		arr := make([]any, d.roll(3))
		for i := range arr {
			arr[i] = d.jsonValue(depth + 1)
		}
		return arr
	default:
		obj := map[string]any{}
		for range d.roll(3) {
			obj[pick(d, diceNames)] = d.jsonValue(depth + 1)
		}
		return obj
	}
}

func (d *dice) names() []any {
	var names []any
	for i, n := range diceNames {
		if d.roll(3) == 1 || i == 0 {
			names = append(names, n)
		}
	}
	return names
}

func (d *dice) schemas(draft, depth int) []any {
	arr := make([]any, 1+d.roll(2))
	for i := range arr {
		arr[i] = d.schema(draft, depth+1)
	}
	return arr
}

func (d *dice) schemaMap(draft, depth int, keys []string) map[string]any {
	obj := map[string]any{}
	for range 1 + d.roll(3) {
		obj[pick(d, keys)] = d.schema(draft, depth+1)
	}
	return obj
}

// schema makes a schema of a draft (0 the newest, as in diceDraft).
func (d *dice) schema(draft, depth int) any {
	if depth > 4 {
		return map[string]any{}
	}
	if draft < 4 && d.roll(16) == 1 {
		return d.roll(2) == 0
	}
	s := map[string]any{}
	small := func() json.Number { return json.Number(pick(d, []string{"0", "1", "2", "3", "7"})) }
	for range 1 + d.roll(3) {
		switch d.roll(34) {
		case 0, 1, 2:
			s["type"] = pick(d, diceTypes)
		case 3:
			a, b := d.roll(7), d.roll(6)
			s["type"] = []any{diceTypes[a], diceTypes[(a+1+b)%7]}
		case 4, 5, 6, 7:
			s["properties"] = d.schemaMap(draft, depth, diceNames)
		case 8:
			s["required"] = d.names()
		case 9:
			s["additionalProperties"] = d.roll(2) == 0
		case 10:
			s["additionalProperties"] = d.schema(draft, depth+1)
		case 11:
			s["patternProperties"] = d.schemaMap(draft, depth, dicePatterns)
		case 12:
			if draft < 4 {
				s["propertyNames"] = d.schema(draft, depth+1)
			}
		case 13:
			seen := map[string]bool{}
			var values []any
			for range 1 + d.roll(15) {
				v := d.jsonValue(0)
				if key := compactJSON(v); !seen[key] {
					seen[key] = true
					values = append(values, v)
				}
			}
			s["enum"] = values
		case 14:
			if draft < 4 {
				s["const"] = d.jsonValue(0)
			}
		case 15:
			s["minimum"] = json.Number(pick(d, diceNumbers))
			if draft == 4 && d.roll(2) == 1 {
				s["exclusiveMinimum"] = true
			}
		case 16:
			s["maximum"] = json.Number(pick(d, diceNumbers))
			if draft == 4 && d.roll(2) == 1 {
				s["exclusiveMaximum"] = true
			}
		case 17:
			if draft < 4 {
				s[pick(d, []string{"exclusiveMinimum", "exclusiveMaximum"})] = json.Number(pick(d, diceNumbers))
			}
		case 18:
			s["multipleOf"] = json.Number(pick(d, []string{"1", "2", "0.01", "0.1", "1.5", "10", "1e-20", "1e30", "3e2", "18446744073709551615", "0.000001"}))
		case 19:
			s[pick(d, []string{"minLength", "maxLength"})] = small()
		case 20:
			s["pattern"] = pick(d, dicePatterns)
		case 21:
			s["format"] = pick(d, diceFormats)
		case 22:
			s["items"] = d.schema(draft, depth+1)
		case 23:
			if draft == 0 {
				s["prefixItems"] = d.schemas(draft, depth)
			} else {
				s["items"] = d.schemas(draft, depth)
				s["additionalItems"] = d.schema(min(draft, 3), depth+1)
			}
		case 24:
			s[pick(d, []string{"minItems", "maxItems", "minProperties", "maxProperties"})] = small()
		case 25:
			s["uniqueItems"] = true
		case 26:
			if draft < 4 {
				s["contains"] = d.schema(draft, depth+1)
				if d.roll(2) == 1 {
					s["minContains"] = small()
				}
				if d.roll(3) == 1 {
					s["maxContains"] = small()
				}
			}
		case 27:
			s[pick(d, []string{"allOf", "anyOf", "oneOf"})] = d.schemas(draft, depth)
		case 28:
			s["not"] = d.schema(draft, depth+1)
		case 29:
			if draft < 3 {
				s["if"] = d.schema(draft, depth+1)
				s["then"] = d.schema(draft, depth+1)
				s["else"] = d.schema(draft, depth+1)
			}
		case 30:
			s["$ref"] = pick(d, []string{"#/definitions/a", "#/definitions/b", "#"})
		case 31:
			if draft < 2 {
				s["dependentRequired"] = map[string]any{pick(d, diceNames): d.names()}
				s["dependentSchemas"] = d.schemaMap(draft, depth, diceNames)
			} else {
				s["dependencies"] = map[string]any{pick(d, diceNames): d.names(), pick(d, diceNames): d.schema(draft, depth+1)}
			}
		case 32:
			if draft < 2 && d.roll(4) == 1 {
				s[pick(d, []string{"unevaluatedProperties", "unevaluatedItems"})] = d.roll(2) == 0
			}
		default:
			s["title"] = "t"
		}
	}
	return s
}

// document makes a whole schema.
func (d *dice) document() []byte {
	draft := d.roll(len(diceDraft))
	root, ok := d.schema(draft, 0).(map[string]any)
	if !ok {
		root = map[string]any{}
	}
	delete(root, "$ref")
	root["$schema"] = diceDraft[draft]
	root["type"] = "object"
	if root["properties"] == nil {
		root["properties"] = d.schemaMap(draft, 0, diceNames)
	}
	root["definitions"] = map[string]any{"a": d.schema(draft, 1), "b": d.schema(draft, 1)}
	doc, err := json.Marshal(root)
	if err != nil {
		panic(err)
	}
	return doc
}

func (d *dice) value(dst pcommon.Value, depth int) {
	switch n := d.roll(14); {
	case n == 0:
	case n == 1:
		dst.SetBool(d.roll(2) == 0)
	case n <= 3:
		dst.SetInt(pick(d, diceInts))
	case n <= 5:
		dst.SetDouble(pick(d, diceFloats))
	case n == 6:
		dst.SetEmptyBytes().FromRaw([]byte("abc"))
	case n <= 9 || depth > 3:
		dst.SetStr(pick(d, diceStrings))
	case n == 10 && d.roll(8) == 1: // more than is compared each with each
		s := dst.SetEmptySlice()
		for i := range 15 + d.roll(60) {
			s.AppendEmpty().SetInt(int64(i))
		}
		d.value(s.AppendEmpty(), depth+1)
	case n <= 11:
		s := dst.SetEmptySlice()
		for range d.roll(4) {
			d.value(s.AppendEmpty(), depth+1)
		}
	default:
		d.members(dst.SetEmptyMap(), depth)
	}
}

func (d *dice) members(dst pcommon.Map, depth int) {
	for range d.roll(6) {
		name := pick(d, diceNames)
		if d.roll(5) == 1 {
			name = "\x01" + name[1:] // becomes a repetition, see logs
		}
		d.value(dst.PutEmpty(name), depth+1)
	}
}

// logs makes a batch of one event, in which names may stand twice.
func (d *dice) logs() plog.Logs {
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetEventName("test")
	d.members(lr.Attributes(), 0)
	encoded, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	if err != nil {
		panic(err)
	}
	for _, name := range diceNames {
		encoded = bytes.ReplaceAll(encoded, []byte("\x01"+name[1:]), []byte(name))
	}
	ld, err = (&plog.ProtoUnmarshaler{}).UnmarshalLogs(encoded)
	if err != nil {
		panic(err)
	}
	return ld
}

// tally counts what a run compared, so that a test can tell that it compared something.
type tally struct{ compiled, fast, valid, invalid, unsure int }

// compareVerdicts makes one schema and some events, and requires that the rules never contradict the library.
func compareVerdicts(t *testing.T, data []byte, n *tally) {
	t.Helper()
	d := &dice{data}
	doc := d.document()
	s, err := Compile("test", "1", doc)
	if err != nil {
		return // such as two properties with one column
	}
	n.compiled++
	if s.validator.fast == nil {
		return
	}
	n.fast++
	for range 8 {
		ld := d.logs()
		var r event.Reader
		r.Reset(event.FromLogs(ld))
		e := r.Next()
		violation := validateLibrary(s.validator.library, e)
		got := s.validator.fast.eval(nil, e.Properties, 0)
		if got == unsure {
			n.unsure++
			continue
		}
		if got == valid {
			n.valid++
		} else {
			n.invalid++
		}
		if (got == valid) != (violation == nil) {
			text, _ := (&plog.JSONMarshaler{}).MarshalLogs(ld)
			t.Fatalf("rules say %d (1 is valid), the library %+v\nschema %s\nevent %s", got, violation, doc, text)
		}
		require.Equal(t, violation, s.Validate(e), "the violation chosen must not change from run to run")
	}
}

func FuzzValidatorEqualsLibrary(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add(randomBytes(random, 400))
	}
	f.Fuzz(func(t *testing.T, data []byte) { compareVerdicts(t, data, &tally{}) })
}

func TestValidatorEqualsLibraryOnRandomSchemas(t *testing.T) {
	var n tally
	random := rand.New(rand.NewPCG(3, 4))
	for range 2_000 {
		compareVerdicts(t, randomBytes(random, 600), &n)
	}
	t.Logf("%+v", n)
	require.Greater(t, n.fast, n.compiled/2, "%+v", n)
	require.Greater(t, n.valid, 1000, "%+v", n)
	require.Greater(t, n.invalid, 1000, "%+v", n)
	require.Less(t, n.unsure, (n.valid+n.invalid)/10, "%+v", n)
}

func randomBytes(random *rand.Rand, n int) []byte {
	data := make([]byte, n)
	for i := 0; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(data[i:], random.Uint64())
	}
	return data
}
