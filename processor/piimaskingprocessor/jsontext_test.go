// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJSONIsReadWhereverItStandsAndAsItIsWritten(t *testing.T) {
	mask := texts(t, func(c *Config) { c.IgnoreKeys = []string{"support_email"} })
	f := func(text, want string) {
		t.Helper()
		once := mask(text)
		require.Equal(t, want, once)
		require.Equal(t, want, mask(once), "a second time")
	}
	f(`{"first_name":"Jane","n":1}`, `{"first_name":"[name]","n":1}`)
	f("\ufeff"+`{"first_name":"Jane"}`, "\ufeff"+`{"first_name":"[name]"}`)
	// After words, before and between them.
	f(`request failed: {"first_name":"Jane","id":7} (400)`, `request failed: {"first_name":"[name]","id":7} (400)`)
	f(`to ann@example.com {"a":1} and bob@example.com`, `to [email] {"a":1} and [email]`)
	f(`/?first_name=Jane {"a":1} &last_name=Roe`, `/?first_name=%5Bname%5D {"a":1} &last_name=%5Bname%5D`)
	f(`{"a":1}`+"\n"+`{"first_name":"Jane"}`+"\n", `{"a":1}`+"\n"+`{"first_name":"[name]"}`+"\n")
	f(`{"a":1}}}{"first_name":{"of":"Jane"}}`, `{"a":1}}}{"first_name":{"of":"[name]"}}`)
	f(`{x} {"first_name":["Jane",["J."]]} {y}`, `{x} {"first_name":["[name]",["[name]"]]} {y}`)
	f(`[1,{"first_name":"Jane"}]`, `[1,{"first_name":"[name]"}]`)
	f(`[12:00:01] got {"first_name":"Jane"}`, `[12:00:01] got {"first_name":"[name]"}`)
	f(`[12:00:01] meet me at 48.123456, 2.123456`, `[12:00:01] meet me at [coordinates]`)
	// Keys twice, comments, single quotes, escapes.
	f(`{"first_name":"Jane","first_name":"Roe"}`, `{"first_name":"[name]","first_name":"[name]"}`)
	f(`{/* it's */"first_name":"Jane"}`, `{/* it's */"first_name":"[name]"}`)
	f(`// c`+"\n"+`{ "first_name" : "Jane" }`, `// c`+"\n"+`{ "first_name" : "[name]" }`)
	f(`{'first_name': 'Jane', 'n': 1}`, `{'first_name': "[name]", 'n': 1}`)
	f(`{'say': "it's ann@example.com", 'x': 'ann\x40example.com'}`, `{'say': "it's [email]", 'x': "[email]"}`)
	f(`{"x":"{\"first_name\":\"Jane\"}"}`, `{"x":"{\"first_name\":\"[name]\"}"}`)
	f(`{"x":"it said {\"first_name\":\"Jane\"} twice"}`, `{"x":"it said {\"first_name\":\"[name]\"} twice"}`)
	// In an object that is somebody's, as in one that is no text.
	f(`{"user":{"id":7,"name":"Jane"},"product":{"name":"Shoe"},"name":"x"}`, `{"user":{"id":7,"name":"[name]"},"product":{"name":"Shoe"},"name":"x"}`)
	f(`{"customer":[{"name":"Jane","shop":{"name":"x"}},{"name":"Joe"}],"name":"x"}`, `{"customer":[{"name":"[name]","shop":{"name":"x"}},{"name":"[name]"}],"name":"x"}`)
	// What is to be left alone is.
	f(`{"support_email":"help@example.com","email":"x"}`, `{"support_email":"help@example.com","email":"[email]"}`)
	f(`{"support_email":{"of":["help@example.com",4111111111111111]},"x":"ann@example.com"}`, `{"support_email":{"of":["help@example.com",4111111111111111]},"x":"[email]"}`)
	f(`{"a":1}`, `{"a":1}`)
	f(`if (x) {"use strict"; y('z')}`, `if (x) {"use strict"; y('z')}`)
}
