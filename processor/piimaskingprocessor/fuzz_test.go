// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Whatever stands around it, an address is never passed on, JSON stays JSON, and a second run changes nothing.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", " ", "{", `{"a":"`, `{"a":1,"email":{"b":[`, "?a=b&c=%40&d", `"\u00`, "[[[[", "a=b=c", `{"x":"{\"y\":\"z\"}"`, "é\xff", "%", "=", `{"\ud800":1}`} {
		f.Add(s, s)
	}
	sink := new(consumertest.LogsSink)
	p := started(f, hostOf(nil, newTestStore(f)), sink, withKeys)
	const address = "ann.lee@example.com"
	f.Fuzz(func(t *testing.T, before, after string) {
		text := before + " " + address + " " + after
		mask := func(s string) string {
			ld := plog.NewLogs()
			lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
			lr.Attributes().PutStr("x", s)
			require.NoError(t, p.ConsumeLogs(context.Background(), ld))
			all := sink.AllLogs()
			v, _ := all[len(all)-1].ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes().Get("x")
			sink.Reset()
			return v.AsString()
		}
		once := mask(text)
		require.NotContains(t, once, address)
		if json.Valid([]byte(text)) && strings.HasPrefix(strings.TrimSpace(text), "{") {
			require.True(t, json.Valid([]byte(once)), "%q became %q", text, once)
		}
		require.NotContains(t, mask(once), address)
	})
}

// A text of many near-matches takes time by its length, and no more.
func TestHostileTextsAreMaskedInOnePass(t *testing.T) {
	p := started(t, hostOf(nil, newTestStore(t)), new(consumertest.LogsSink), withKeys)
	for _, piece := range []string{"a=", "?a=b&", "%40", "{\"a\":", "[", "\\\"", "@", "1.", "1-", "a@b.", "0000000000", ":", "{\"a\":\"{\\\"", "eyJ",
		"{'", "[1]", "{\"a\":1}[1]", "{ ", "a='", "a=\"", "a=?b", "a=%25", "%2525", "a=+", "{//", "a=b@", "x=%40+"} {
		text := strings.Repeat(piece, 2<<20/len(piece))
		ld := plog.NewLogs()
		lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		lr.Attributes().PutStr("x", text)
		lr.Attributes().PutStr(text[:1<<16], "x")
		require.NoError(t, p.ConsumeLogs(context.Background(), ld), "%q", piece)
	}
}

// A path has the keys of all objects around a value: with each value that is found, or is in an object of a name, all of them were gone through.
func TestDeepObjectsOfLongKeysAreMaskedInOnePass(t *testing.T) {
	registry := newTestRegistry(compile(t, "signed_up", person))
	f := func(root string, change func(*Config)) {
		p := started(t, hostOf(registry, newTestStore(t)), new(consumertest.LogsSink), change)
		ld := oneEvent(t, "signed_up", "{}")
		at := recordOf(ld).Attributes().PutEmptyMap(root)
		key := strings.Repeat("k", 2000)
		for range maxDepth - 2 {
			at.PutStr("x", "to ann@example.com")
			at = at.PutEmptyMap(key)
		}
		require.NoError(t, p.ConsumeLogs(context.Background(), ld))
		x, _ := recordOf(ld).Attributes().Get(root)
		require.NotContains(t, x.Map().AsRaw()["x"], "@example.com")
	}
	f("x", withKeys)
	f("billing_address", withKeys)
	f("x", func(c *Config) {
		withKeys(c)
		c.Names.Rules = []NameRule{{Keys: []string{"customer.*"}, Class: "customer"}}
	})
}
