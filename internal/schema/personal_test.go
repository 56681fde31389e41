// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsPersonalIsFoundWhereverTheSchemaSaysSo(t *testing.T) {
	f := func(doc, path, want string) {
		t.Helper()
		s, err := Compile("e", "1", []byte(doc))
		require.NoError(t, err)
		at, class := s.Personal(), s.Personal().Class()
		for _, name := range strings.Split(path, "/") {
			if name == "*" {
				at = at.Elements()
			} else {
				at = at.Member(name)
			}
			if c := at.Class(); c != "" {
				class = c
			}
		}
		require.Equal(t, want, class, "%s in %s", path, doc)
	}
	object := func(properties string) string { return `{"type":"object","properties":{` + properties + `}}` }

	f(object(`"a":{"type":"string","x-pii":"email"}`), "a", "email")
	f(object(`"a":{"type":"string","x-pii":"email"}`), "b", "")
	f(object(`"a":{"x-pii":"email"}`), "a", "email") // no type, no column
	f(object(`"a":{"type":["string","integer"],"x-pii":"phone"}`), "a", "phone")
	f(object(`"a":{"type":"object","x-pii":"name"}`), "a/b/c", "name")
	f(object(`"a":{"type":"object","x-pii":"name","properties":{"m":{"type":"string","x-pii":"email"},"n":{"type":"string"}}}`), "a/m", "email")
	f(object(`"a":{"type":"object","x-pii":"name","properties":{"m":{"type":"string","x-pii":"email"},"n":{"type":"string"}}}`), "a/n", "name")
	f(object(`"a":{"type":"array","items":{"type":"object","properties":{"m":{"type":"string","x-pii":"email"}}}}`), "a/*/m", "email")
	f(object(`"a":{"type":"array","items":{"type":"array","items":{"type":"string","x-pii":"email"}}}`), "a/*/*", "email")
	f(object(`"a":{"type":"array","prefixItems":[{"type":"integer"},{"type":"string","x-pii":"email"}]}`), "a/*", "email")
	f(object(`"a":{"oneOf":[{"type":"integer"},{"type":"object","properties":{"b":{"type":"string","x-pii":"iban"}}}]}`), "a/b", "iban")
	f(object(`"a":{"if":{"type":"string"},"then":{"x-pii":"email"}}`), "a", "email")
	f(`{"type":"object","dependentSchemas":{"x":{"properties":{"a":{"x-pii":"email"}}}}}`, "a", "email")
	f(`{"type":"object","additionalProperties":{"type":"string","x-pii":"email"},"properties":{"known":{"type":"string"}}}`, "whatever", "email")
	f(`{"type":"object","additionalProperties":{"type":"string","x-pii":"email"},"properties":{"known":{"type":"string"}}}`, "known", "")
	f(`{"type":"object","patternProperties":{"^mail":{"x-pii":"email"},"_tel$":{"x-pii":"phone"}}}`, "mail_2", "email")
	f(`{"type":"object","patternProperties":{"^mail":{"x-pii":"email"},"_tel$":{"x-pii":"phone"}}}`, "my_tel", "phone")
	f(`{"type":"object","patternProperties":{"^mail":{"x-pii":"email"}}}`, "tel", "")
	f(`{"type":"object","x-pii":"everything"}`, "a/b", "everything")
	f(`{"type":"object","properties":{"a":{"$ref":"#/$defs/m"},"b":{"allOf":[{"$ref":"#/$defs/m"}]}},"$defs":{"m":{"type":"string","x-pii":"email"}}}`, "a", "email")
	f(`{"type":"object","properties":{"a":{"$ref":"#/$defs/m"},"b":{"allOf":[{"$ref":"#/$defs/m"}]}},"$defs":{"m":{"type":"string","x-pii":"email"}}}`, "b", "email")
	f(`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"a":{"$ref":"#/definitions/m","x-pii":"phone"}},"definitions":{"m":{"type":"string"}}}`, "a", "phone")

	person := `{"type":"object","properties":{"p":{"$ref":"#/$defs/person"}},"$defs":{"person":{"type":"object","properties":{
		"email":{"type":"string","x-pii":"email"},"age":{"type":"integer"},"friend":{"$ref":"#/$defs/person"},"others":{"type":"array","items":{"$ref":"#/$defs/person"}}}}}}`
	f(person, "p/email", "email")
	f(person, "p/age", "")
	f(person, "p/friend/friend/others/*/email", "email")
}

func TestASchemaWithNothingPersonalCostsNothing(t *testing.T) {
	f := func(doc string, want bool) {
		t.Helper()
		s, err := Compile("e", "1", []byte(doc))
		require.NoError(t, err)
		require.Equal(t, want, s.Personal() == nil, doc)
	}
	f(`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"object","properties":{"c":{"type":"array","items":{"type":"integer"}}}}}}`, true)
	f(`{"type":"object","properties":{"a":{"$ref":"#"}}}`, true)
	f(`{"type":"object","properties":{"a":{"$ref":"#"},"b":{"x-pii":"email"}}}`, false)
}

func TestASchemaOfTooManyPersonalPlacesIsRefused(t *testing.T) {
	// Each level doubles the sets of schemas that can apply.
	var defs []string
	for i := range 16 {
		defs = append(defs, fmt.Sprintf(`"d%d":{"properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}}}`, i, (i+1)%16, (i*3+1)%16, (i*5+2)%16))
	}
	_, err := Compile("e", "1", []byte(`{"type":"object","x-pii":"x","$ref":"#/$defs/d0","$defs":{`+strings.Join(defs, ",")+`}}`))
	if err != nil { // whichever bound is met first
		require.NotContains(t, err.Error(), "\n")
	}
}
