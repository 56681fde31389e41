// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

// Two IDs that become one are an event that is lost as a duplicate of another.
func TestTwoIDsNeverBecomeOne(t *testing.T) {
	p := started(t, hostOf(nil, newTestStore(t)), new(consumertest.LogsSink), withKeys)
	text := func(s string) func(pcommon.Value) { return func(v pcommon.Value) { v.SetStr(s) } }
	object := func(key, s string) func(pcommon.Value) {
		return func(v pcommon.Value) { v.SetEmptyMap().PutStr(key, s) }
	}
	masked := func(key string, set func(pcommon.Value)) string {
		ld := plog.NewLogs()
		lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		set(lr.Attributes().PutEmpty(key))
		require.NoError(t, p.ConsumeLogs(context.Background(), ld))
		var r event.Reader
		r.Reset(event.FromLogs(ld))
		e := r.Next()
		return e.ID + e.UserID
	}
	differ := func(key string, ids ...func(pcommon.Value)) {
		t.Helper()
		seen := map[string]int{}
		for i, set := range ids {
			got := masked(key, set)
			require.Contains(t, got, "pn_k1_")
			require.NotContains(t, seen, got, "%d and %d", i, seen[got])
			require.Equal(t, got, masked(key, set), "a retry has the same ID")
			seen[got] = i
		}
	}
	for _, key := range []string{"log.record.uid", "user.id"} {
		differ(key, text("created +49 1512 3456789"), text("paid +49 1512 3456789"), text("tel:+4915123456789/signup"), text("tel:+4915123456789/login"),
			text("card 4111-1111-1111-1111 a"), text("card 4111 1111 1111 1111 a"), text("x/ann@example.com"), text("X/ann@example.com"),
			object("x", "ann@example.com"), object("x", "bob@example.com"), object("first_name", "Ann"), object("first_name", "Bob"),
			func(v pcommon.Value) { v.SetEmptyBytes().FromRaw([]byte("to ann@example.com")) },
			func(v pcommon.Value) { v.SetEmptyBytes().FromRaw([]byte("to bob@example.com")) },
			func(v pcommon.Value) { v.SetEmptySlice().AppendEmpty().SetEmptyMap().PutInt("ann@example.com", 1) })
	}
	differ("log.record.uid", text("ann@example.com"), text("Ann@example.com"), text("ann@example.com "))
	// One person stays one.
	require.Equal(t, masked("user.id", text("ann@example.com")), masked("user.id", text(" Ann@example.com")))
	// Numbers are IDs as they are.
	require.Equal(t, "4111111111111111", masked("log.record.uid", func(v pcommon.Value) { v.SetInt(4111111111111111) }))
}

func TestAnIDOfAConfiguredClassIsMaskedWhateverItsType(t *testing.T) {
	f := func(attributes, want string) {
		t.Helper()
		got := attributesOf(t, process(t, hostOf(nil, newTestStore(t)), oneEvent(t, "e", attributes), func(c *Config) {
			withKeys(c)
			c.Names.Rules = []NameRule{{Keys: []string{"user.id"}, Class: "who"}}
		}))
		require.Regexp(t, want, got)
	}
	f(`{"user.id":4711}`, `^{"user.id":"pn_k1_[a-z2-7]{26}"}$`)
	f(`{"user.id":"u1"}`, `^{"user.id":"pn_k1_[a-z2-7]{26}"}$`)
	f(`{"user.id":{"x":1}}`, `^{"user.id":"pn_k1_[a-z2-7]{26}"}$`)
}
