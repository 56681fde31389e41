// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// columns prints the properties of a schema, one line each.
func columns(t *testing.T, doc string) string {
	t.Helper()
	s, err := Compile("test", "1", []byte(doc))
	require.NoError(t, err)
	var b strings.Builder
	for _, p := range s.Properties {
		typ := p.Type.String()
		if p.Type.LowCardinality {
			typ = "LowCardinality(" + typ + ")"
		}
		if p.Repeated() {
			typ = "Array(" + typ + ")"
		}
		fmt.Fprintf(&b, "%s %s %q", p.Column, typ, p.Path)
		if p.Each > 0 {
			fmt.Fprintf(&b, " each %d", p.Each)
		}
		if p.Text {
			b.WriteString(" text")
		}
		if p.PII != "" {
			fmt.Fprintf(&b, " pii %s", p.PII)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestPropertiesAreTheTypedLeaves(t *testing.T) {
	f := func(properties, want string) {
		t.Helper()
		doc := `{"type":"object","properties":` + properties + `,
			"$defs":{"money":{"type":"object","properties":{"amount":{"type":"number","x-column":"Decimal(18, 2)"},"currency":{"type":"string","x-low-cardinality":true}}},
			         "tree":{"type":"object","properties":{"name":{"type":"string"},"next":{"$ref":"#/$defs/tree"}}}}}`
		assert.Equal(t, want, columns(t, doc), properties)
	}
	f(`{"a":{"type":"string"}}`, "a String [\"a\"]\n")
	f(`{"a":{"type":"string","enum":["x","y"]}}`, "a LowCardinality(String) [\"a\"]\n")
	f(`{"a":{"enum":["x",null]}}`, "a LowCardinality(String) [\"a\"]\n")
	f(`{"a":{"const":"x"}}`, "a LowCardinality(String) [\"a\"]\n")
	f(`{"a":{"enum":["x",1]}}`, "")
	f(`{"a":{"type":"number","enum":[1,2]}}`, "a Float64 [\"a\"]\n")
	f(`{"a":{"enum":[1,2.0]}}`, "a Int64 [\"a\"]\n")
	f(`{"a":{"type":"string","enum":["x"],"x-low-cardinality":false}}`, "a String [\"a\"]\n")
	f(`{"a":{"type":"string","x-low-cardinality":true}}`, "a LowCardinality(String) [\"a\"]\n")
	f(`{"a":{"type":"string","format":"date-time"}}`, "a DateTime64(9, 'UTC') [\"a\"]\n")
	f(`{"a":{"type":"string","format":"date"}}`, "a Date32 [\"a\"]\n")
	f(`{"a":{"type":"string","format":"uuid"}}`, "a UUID [\"a\"]\n")
	f(`{"a":{"type":"string","format":"email","x-pii":"email"}}`, "a String [\"a\"] pii email\n")
	f(`{"a":{"type":"integer"},"b":{"type":"number"},"c":{"type":"boolean"}}`, "a Int64 [\"a\"]\nb Float64 [\"b\"]\nc Bool [\"c\"]\n")
	f(`{"a":{"type":["string","null"],"x-column":"Decimal(18, 2)"},"b":{"type":"array","items":{"type":"string"},"x-column":"Array(Decimal(18, 2))"},
		"c":{"type":"number","x-column":"Decimal(18, 2)"}}`,
		"a Decimal(18, 2) [\"a\"] text\nb Array(Decimal(18, 2)) [\"b\"] text\nc Decimal(18, 2) [\"c\"]\n")
	f(`{"a":{"type":["integer","null"]},"b":{"type":["integer","number"]}}`, "a Int64 [\"a\"]\nb Float64 [\"b\"]\n")
	f(`{"a":{"anyOf":[{"type":"integer"},{"type":"null"}]}}`, "a Int64 [\"a\"]\n")
	f(`{"a":{"type":["integer","string"]},"b":{},"c":true,"d":{"type":"null"},"e":{"minimum":1}}`, "")
	f(`{"a":{"type":"object","properties":{"b":{"type":"object","properties":{"c":{"type":"string"}}}}}}`, "a.b.c String [\"a\" \"b\" \"c\"]\n")
	f(`{"a":{"type":"object"},"b":{"type":"object","additionalProperties":{"type":"string"}},"c":{"properties":{"d":{"type":"string"}}}}`, "")
	f(`{"a":{"type":"array","items":{"type":"string"}}}`, "a Array(String) [\"a\"]\n")
	f(`{"a":{"type":"array","items":{"type":"string","enum":["x"]}}}`, "a Array(LowCardinality(String)) [\"a\"]\n")
	f(`{"a":{"type":"array","items":{"type":["integer","null"]},"x-column":"Array(UInt8)"}}`, "a Array(UInt8) [\"a\"]\n")
	f(`{"a":{"type":"object","properties":{"tags":{"type":"array","items":{"type":"string"}}}}}`, "a_tags Array(String) [\"a\" \"tags\"]\n")
	f(`{"cart.tags":{"type":"array","items":{"type":"string"}}}`, "cart_tags Array(String) [\"cart.tags\"]\n")
	f(`{"cart.total":{"type":"number"}}`, "cart.total Float64 [\"cart.total\"]\n")
	f(`{"p":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"d":{"type":"object","properties":{"w":{"type":"integer"}}},"t":{"type":"array","items":{"type":"string"}}}}}}`,
		"p.d.w Array(Int64) [\"p\" \"d\" \"w\"] each 1\np.sku Array(String) [\"p\" \"sku\"] each 1\n")
	f(`{"o":{"type":"object","properties":{"p":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}}}}}`,
		"o_p.sku Array(String) [\"o\" \"p\" \"sku\"] each 2\n")
	f(`{"a":{"type":"array"},"b":{"type":"array","items":{"type":"array","items":{"type":"string"}}},"c":{"type":"array","prefixItems":[{"type":"string"}]}}`, "")
	f(`{"total":{"$ref":"#/$defs/money","x-pii":"finance"}}`,
		"total.amount Decimal(18, 2) [\"total\" \"amount\"] pii finance\ntotal.currency LowCardinality(String) [\"total\" \"currency\"] pii finance\n")
	f(`{"t":{"$ref":"#/$defs/tree"}}`, "t.name String [\"t\" \"name\"]\n")
	f(`{"a":{"allOf":[{"type":["string","integer"]},{"type":["string","null"]},{"format":"date"}]}}`, "a Date32 [\"a\"]\n")
	f(`{"a":{"allOf":[{"type":"object","properties":{"x":{"type":"string"}}},{"properties":{"x":{"enum":["u"]},"y":{"type":"boolean"}}}]}}`,
		"a.x LowCardinality(String) [\"a\" \"x\"]\na.y Bool [\"a\" \"y\"]\n")
	f(`{"a":{"type":"integer","x-column":"UInt32"},"b":{"type":"integer","x-column":{"name":"bee","type":"Int8"}},"c":{"type":"string","x-column":{"name":"sea"}}}`,
		"a UInt32 [\"a\"]\nbee Int8 [\"b\"]\nsea String [\"c\"]\n")
	f(`{"a":{"type":"string","format":"date-time","x-column":"DateTime64(3)"},"b":{"type":"string","x-column":"LowCardinality(String)"},"c":{"type":"string","x-column":"Decimal(38,9)"}}`,
		"a DateTime64(3, 'UTC') [\"a\"]\nb LowCardinality(String) [\"b\"]\nc Decimal(38, 9) [\"c\"] text\n")
	f(`{"user_id":{"type":"string"},"resource":{"type":"object","properties":{"x":{"type":"string"}}},"properties":{"type":"array","items":{"type":"string"}}}`,
		"property_properties Array(String) [\"properties\"]\nproperty_resource.x String [\"resource\" \"x\"]\nproperty_user_id String [\"user_id\"]\n")
	f(`{"":{"type":"string"},"a`+"`"+`b":{"type":"string"},"x\u0000":{"type":"string"},"ü !":{"type":"string"}}`, "ü ! String [\"ü !\"]\n")
}

func TestPropertiesOfOlderDrafts(t *testing.T) {
	for _, draft := range []string{
		"http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-06/schema#",
		"http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema",
	} {
		got := columns(t, `{"$schema":"`+draft+`","type":"object","properties":{
			"a":{"$ref":"#/definitions/id","x-pii":"id"},
			"b":{"type":"array","items":{"type":"integer"}}},
			"definitions":{"id":{"type":"string","format":"uuid"}}}`)
		assert.Equal(t, "a UUID [\"a\"] pii id\nb Array(Int64) [\"b\"]\n", got, draft)
	}
}

func TestCompileRefusesWithPlaceAndMend(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		_, err := Compile("test", "1", []byte(doc))
		require.Error(t, err, doc)
		assert.Contains(t, err.Error(), want)
		assert.NotContains(t, err.Error(), "\n")
	}
	property := func(p string) string { return `{"properties":{"a":` + p + `}}` }
	f(`{`, "unexpected EOF")
	f("{\n\"a\": tru\n}", "line 2")
	f(`{} {}`, "remove what follows")
	f("{\"title\":\"\xff\"}", "UTF-8")
	f(`[]`, "got array, want boolean or object")
	f(property(`{"type":"strin"}`), "#/properties/a/type")
	f(property(`{"minimum":1e999999}`), "out of range")
	f(strings.Repeat(`{"not":`, 200)+`{}`+strings.Repeat(`}`, 200), "nests deeper")
	f(`{"examples":[1`+strings.Repeat(`,1`, 20_000)+`]}`, "more than 20000 JSON values")
	f(property(`{"$ref":"https://example.com/a.json"}`), "may refer only to itself")
	f(property(`{"$ref":"other.json"}`), "may refer only to itself")
	f(property(`{"$ref":"file:///etc/passwd"}`), "may refer only to itself")
	f(property(`{"$ref":"#/nowhere"}`), "not found")
	f(`{"$schema":"https://example.com/mine"}`, "may refer only to itself")
	f(property(`{"pattern":"(?=x)"}`), "RE2")
	f(`{"type":"string"}`, "root must describe")
	f(`{"x-column":"String"}`, "the root is no column")
	f(property(`{"type":"integer","x-column":"Int128"}`), `"#/properties/a/x-column": "Int128": not a supported type; use one of String`)
	f(property(`{"type":"integer","x-column":"UUID"}`), "does not fit")
	f(property(`{"type":"number","x-column":"Int32"}`), "may have a fraction")
	f(property(`{"type":"string","x-column":"Int32"}`), "the schema says string")
	f(property(`{"type":"string","x-column":"DateTime64(3)"}`), `add "format": "date-time"`)
	f(property(`{"type":"string","x-column":"Date32"}`), `add "format": "date"`)
	f(property(`{"type":"string","x-column":"UUID"}`), `add "format": "uuid"`)
	f(property(`{"type":"boolean","x-column":"UInt8"}`), "use Bool")
	f(property(`{"type":"number","x-column":"Decimal(39, 2)"}`), "P from 1 to 38")
	f(property(`{"type":"number","x-column":"Decimal(3, 4)"}`), "S from 0 to P")
	f(property(`{"type":"string","format":"date-time","x-column":"DateTime64(10)"}`), "S from 0 to 9")
	f(property(`{"type":"string","format":"date-time","x-column":"DateTime64(3, 'CET')"}`), "times are UTC")
	f(property(`{"type":"integer","x-column":7}`), "must be a type such as")
	f(property(`{"type":"integer","x-column":{"typ":"Int8"}}`), "only, both strings")
	f(property(`{"type":"integer","x-column":{"name":""}}`), "is empty")
	f(property(`{"type":"integer","x-column":{"name":"user_id"}}`), "envelope")
	f(property(`{"type":"integer","x-column":{"name":"a`+"`"+`"}}`), "backtick")
	f(property(`{"type":"array","items":{"type":"string"},"x-column":{"name":"a.b"}}`), "dot")
	f(property(`{"type":"object","x-column":"String"}`), "an object is not one column")
	f(property(`{"x-column":"String"}`), "no single scalar type")
	f(property(`{"type":"integer","x-low-cardinality":true}`), "true is for text")
	f(property(`{"type":"string","x-low-cardinality":"yes"}`), "true or false")
	f(property(`{"type":"string","x-pii":true}`), "class of personal data")
	f(`{"properties":{"a.b":{"type":"string"},"a":{"type":"object","properties":{"b":{"type":"string"}}}}}`, `"/a/b" and "/a.b" are both column "a.b"`)

	_, err := Compile("", "1", []byte(`{}`))
	require.ErrorContains(t, err, "subject")
	_, err = Compile("a", "1/2", []byte(`{}`))
	require.ErrorContains(t, err, "version")
}

func TestCompileBoundsWhatReferencesMultiply(t *testing.T) {
	// Each definition holds ten of the next: ten to the eighth leaves.
	var b strings.Builder
	b.WriteString(`{"properties":{"r":{"$ref":"#/$defs/d0"}},"$defs":{`)
	for i := range 8 {
		fmt.Fprintf(&b, `"d%d":{"type":"object","properties":{`, i)
		for j := range 10 {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"p%d":{"$ref":"#/$defs/d%d"}`, j, i+1)
		}
		b.WriteString(`}},`)
	}
	b.WriteString(`"d8":{"type":"string"}}}`)
	_, err := Compile("test", "1", []byte(b.String()))
	require.ErrorContains(t, err, "more than 5000 typed properties")
}
