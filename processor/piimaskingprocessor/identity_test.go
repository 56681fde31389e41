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
	"github.com/millrace/millrace/internal/masking"
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

// A write key says whose events they are, or, over OTLP, the sender.
func TestATenantIsMaskedLikeAnID(t *testing.T) {
	store := newTestStore(t)
	f := func(change func(*Config), tenant string, want string) {
		t.Helper()
		ld := oneEvent(t, "e", `{"x":"to ann@example.com"}`)
		ld.ResourceLogs().At(0).Resource().Attributes().PutStr("tenant.id", tenant)
		ld.ResourceLogs().At(0).Resource().Attributes().PutStr("owner", "ann@example.com")
		out := process(t, hostOf(nil, store), ld, change)
		var r event.Reader
		r.Reset(event.FromLogs(out))
		require.Regexp(t, "^"+want+"$", r.Next().Tenant)
	}
	f(withKeys, "shop-17", "shop-17")
	f(withKeys, "shop.example.com", `shop\.example\.com`)
	f(withKeys, "ann@example.com", "pn_k1_[a-z2-7]{26}")
	f(nil, "ann@example.com", "")
	f(func(c *Config) { c.IgnoreKeys = []string{"tenant.id"} }, "ann@example.com", "ann@example.com")
	store.ring = ringWithout{store.ring}
	f(withKeys, "ann@example.com", "")
	f(withKeys, "shop-17", "shop-17")
}

// What is masked for a tenant is read back for it.
func TestValuesOfAResourceAreItsTenants(t *testing.T) {
	store := newTestStore(t)
	ld := oneEvent(t, "e", `{}`)
	rl := ld.ResourceLogs().At(0)
	rl.Resource().Attributes().PutStr("tenant.id", "shop")
	rl.Resource().Attributes().PutStr("owner", "ann@example.com")
	rl.ScopeLogs().At(0).Scope().Attributes().PutStr("owner", "ann@example.com")
	process(t, hostOf(nil, store), ld, func(c *Config) {
		c.KeyStore = &storeID
		c.Actions = map[string]masking.Spec{"email": {Action: masking.Token}}
	})
	for _, attributes := range []pcommon.Map{rl.Resource().Attributes(), rl.ScopeLogs().At(0).Scope().Attributes()} {
		token, _ := attributes.Get("owner")
		plain, _, err := masking.Reader{Ring: store.ring}.Detokenize(token.Str(), "shop")
		require.NoError(t, err)
		require.Equal(t, "ann@example.com", plain)
	}
}
