// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/schema"
)

// A sender says which schema its event has.
func TestASenderCannotChooseASchemaThatTagsLess(t *testing.T) {
	older := compile(t, "signed_up", `{"type":"object","properties":{"ref":{"type":"string"},"friends":{"type":"array","items":{"type":"object","properties":{"ref":{"type":"string"}}}}}}`)
	newer, err := schema.Compile("signed_up", "2", []byte(`{"type":"object","properties":{"ref":{"type":"string","x-pii":"customer"},
		"friends":{"type":"array","items":{"type":"object","properties":{"ref":{"type":"string","x-pii":"customer"}}}}}}`))
	require.NoError(t, err)
	other := compile(t, "page_viewed", `{"type":"object","properties":{"ref":{"type":"string"},"title":{"type":"string","x-pii":"title"}}}`)
	registry := newTestRegistry(older, newer, other)
	f := func(name, attributes, want string) {
		t.Helper()
		require.JSONEq(t, want, attributesOf(t, process(t, hostOf(registry, nil), oneEvent(t, name, attributes), nil)))
	}
	f("signed_up", `{"ref":"r1","title":"x"}`, `{"ref":"[customer]","title":"x"}`)
	f("signed_up", `{"event.schema":"signed_up","event.schema.version":"1","ref":"r1","friends":[{"ref":"r2"}]}`,
		`{"event.schema":"signed_up","event.schema.version":"1","ref":"[customer]","friends":[{"ref":"[customer]"}]}`)
	f("signed_up", `{"event.schema":"page_viewed","ref":"r1","title":"x"}`, `{"event.schema":"page_viewed","ref":"[customer]","title":"[title]"}`)
	f("signed_up", `{"event.schema":"nothing","event.schema.version":"9","ref":"r1"}`, `{"event.schema":"nothing","event.schema.version":"9","ref":"[customer]"}`)
	f("whatever", `{"event.schema":"signed_up","event.schema.version":"1","ref":"r1"}`, `{"event.schema":"signed_up","event.schema.version":"1","ref":"[customer]"}`)
	f("page_viewed", `{"ref":"r1","title":"x"}`, `{"ref":"r1","title":"[title]"}`)
}

func TestATagHoldsForAllBelowUntilADeeperOne(t *testing.T) {
	f := func(doc, attributes, want string) {
		t.Helper()
		registry := newTestRegistry(compile(t, "e", doc))
		require.JSONEq(t, want, attributesOf(t, process(t, hostOf(registry, nil), oneEvent(t, "e", attributes), nil)))
	}
	const deeper = `"o":{"type":"object","properties":{"a":{"type":"string","x-pii":"a"},"b":{"type":"string"},"l":{"type":"array","items":{"type":"string"}}}}`
	f(`{"type":"object","x-pii":"all","properties":{`+deeper+`}}`, `{"o":{"a":"x","b":"x","c":"x","l":["x"]},"p":"x"}`,
		`{"o":{"a":"[a]","b":"[all]","c":"[all]","l":["[all]"]},"p":"[all]"}`)
	f(`{"type":"object","properties":{"n":{"type":"object","x-pii":"all","properties":{`+deeper+`}}}}`, `{"n":{"o":{"a":"x","b":"x","l":["x"]}},"p":"x"}`,
		`{"n":{"o":{"a":"[a]","b":"[all]","l":["[all]"]}},"p":"x"}`)
}
