// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chainOf nests n objects under "child" around a value.
func chainOf(n int, innermost any) any {
	for range n {
		innermost = map[string]any{"child": innermost}
	}
	return innermost
}

// Without a bound the last of these would take longer than anyone waits: the work doubles with each level.
func TestEventsThatMultiplyARecursiveSchemaAreInvalid(t *testing.T) {
	two := `{"properties":{"n":{"$ref":"#/$defs/node"}},"$defs":{"node":{"type":"object","oneOf":[
		{"required":["leaf"],"properties":{"child":{"$ref":"#/$defs/node"}}},
		{"required":["child"],"properties":{"child":{"$ref":"#/$defs/node"}}}]}}}`
	one := `{"properties":{"n":{"$ref":"#/$defs/node"}},"$defs":{"node":{"type":"object","properties":{"child":{"$ref":"#/$defs/node"}}}}}`
	unknown := strings.Replace(two, `"type":"object"`, `"unevaluatedProperties":true,"type":"object"`, 1)
	leaf := map[string]any{"leaf": 1}
	f := func(doc string, levels int, want *Violation) {
		t.Helper()
		e := eventOf(t, map[string]any{"n": chainOf(levels, leaf)})
		assert.Equal(t, want, compile(t, doc).Validate(e), "%d levels", levels)
	}
	f(two, 5, nil)
	f(two, 60, &Violation{Keyword: "schema"})
	f(unknown, 5, nil)
	f(unknown, 60, &Violation{Keyword: "schema"})
	f(one, 60, nil)
}

func TestOnlySchemasThatCanMultiplyAreReckoned(t *testing.T) {
	f := func(doc string, want bool) {
		t.Helper()
		assert.Equal(t, want, compile(t, doc).validator.costly, doc)
	}
	f(`{"properties":{"a":{"type":"string"},"b":{"type":"array","items":{"$ref":"#/$defs/d"}}},"$defs":{"d":{"type":"string"}}}`, false)
	f(`{"properties":{"a":{"$ref":"#"}}}`, true)
	f(`{"properties":{"a":{"type":"array","items":{"$ref":"#"}}}}`, true)
	f(`{"additionalProperties":{"$ref":"#"}}`, true)
	f(doubling(20, `"anyOf":[%s,%s]`), true)
	f(doubling(5, `"anyOf":[%s,%s]`), false)
}

// doubling is a document in which each of n definitions leads to the next one twice.
func doubling(n int, form string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":"object","properties":{"a":{"$ref":"#/$defs/d0"}},"$defs":{`)
	for i := range n {
		next := fmt.Sprintf(`{"$ref":"#/$defs/d%d"}`, i+1)
		fmt.Fprintf(&b, `"d%d":{"type":"object",`+form+`},`, i, next, next)
	}
	fmt.Fprintf(&b, `"d%d":{}}}`, n)
	return b.String()
}

func TestDocumentsThatUnfoldToTooManyPropertiesAreRefused(t *testing.T) {
	const form = `"properties":{"x":%s,"y":%s}`
	_, err := Compile("a", "1", []byte(doubling(8, form)))
	require.NoError(t, err)
	_, err = Compile("a", "1", []byte(doubling(30, form)))
	assert.ErrorContains(t, err, "unfolds to more than 50000 properties")
}

// An event can break one rule a great many times; each place is found without looking through the whole event again.
func TestManyViolationsOfPropertyNamesAreExplained(t *testing.T) {
	doc := `{"properties":{"a":{"items":{"propertyNames":{"maxLength":1}}}}}`
	elements := make([]any, 50_000)
	for i := range elements {
		elements[i] = map[string]any{fmt.Sprintf("name%05d", i): 1}
	}
	got := compile(t, doc).Validate(eventOf(t, map[string]any{"a": elements}))
	assert.Equal(t, &Violation{Pointer: "/a/0/name00000", Keyword: "propertyNames"}, got)
}
