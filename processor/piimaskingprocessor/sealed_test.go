// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/seal"
)

// A sender can write the attribute, and marks of failure, too.
func TestASenderCannotKeepAFailedEventFromBeingSealed(t *testing.T) {
	private, err := seal.Generate("r1")
	require.NoError(t, err)
	store := newTestStore(t)
	store.repair = private.Public()
	sink := new(consumertest.LogsSink)
	p := started(t, hostOf(nil, store), sink, func(c *Config) { withKeys(c); c.SealFailed = true })
	own, err := private.Public().Seal(nil, []byte("{}"))
	require.NoError(t, err)
	for _, claimed := range []string{"x", string(own), seal.Prefix + "r1:4915112345678"} {
		ld := oneEvent(t, "e", `{"event.failure.stage":"receive","event.failure.reason":"Jane Roe","event.failure.keyword":"Jane Roe","event.failure.of":"Jane Roe",
			"event.failure.pointer":"Jane Roe","event.sealed":`+quote(claimed)+`,"note":"Jane Roe","user.id":"Jane Roe"}`)
		recordOf(ld).SetSeverityText("Jane Roe")
		recordOf(ld).SetSeverityNumber(plog.SeverityNumberError)
		require.NoError(t, p.ConsumeLogs(context.Background(), ld))
		wire, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
		require.NoError(t, err)
		require.NotContains(t, string(wire), "Jane Roe")
		var r event.Reader
		r.Reset(event.FromLogs(ld))
		plain, err := private.Open(string(r.Next().AppendRaw(nil)))
		require.NoError(t, err)
		require.Contains(t, string(plain), `"note":"Jane Roe"`)
		require.Contains(t, string(plain), `"user_id":"Jane Roe"`)

		// A second time it stays as it is.
		before := attributesOf(t, ld)
		require.NoError(t, p.ConsumeLogs(context.Background(), ld))
		require.Equal(t, before, attributesOf(t, ld))
	}
}

func quote(s string) string { return string(event.AppendJSONString(nil, s)) }

func TestASealedTextIsLeftOnlyWhereOneStands(t *testing.T) {
	text := seal.Prefix + "r1:" + strings.Repeat("4", 66) // whoever seals would be lucky
	f := func(attributes string, stays bool) {
		t.Helper()
		out := process(t, hostOf(nil, nil), oneEvent(t, "e", attributes), func(c *Config) {
			c.Names.Rules = []NameRule{{Keys: []string{"event.sealed", "note"}, Class: "x"}}
		})
		require.Equal(t, stays, strings.Contains(attributesOf(t, out), text), attributes)
	}
	f(`{"event.failure.stage":"validation","event.sealed":"`+text+`"}`, true)
	f(`{"event.sealed":"`+text+`"}`, false)
	f(`{"event.failure.stage":"validation","note":"`+text+`"}`, false)
}

func TestWhatIsSealedOfAnEventThatCannotBeMaskedIsAsFarAsItCame(t *testing.T) {
	private, err := seal.Generate("r1")
	require.NoError(t, err)
	store := newTestStore(t)
	store.ring, store.repair = ringWithout{store.ring}, private.Public()
	ld := oneEvent(t, "signed_up", "{}")
	attributes := recordOf(ld).Attributes()
	attributes.PutInt("age", 37)
	attributes.PutInt("jane@example.com", 38)
	attributes.PutStr("email", "jane@example.com")
	attributes.PutInt("n", 39)
	recordOf(ld).SetSeverityText("of +49 1512 3456789")
	process(t, hostOf(nil, store), ld, func(c *Config) {
		withKeys(c)
		c.SealFailed = true
		c.Names.Rules = []NameRule{{Keys: []string{"age"}, Class: "age"}}
	})
	text, _ := recordOf(ld).Attributes().Get("event.sealed")
	plain, err := private.Open(text.Str())
	require.NoError(t, err)
	require.JSONEq(t, `{"event_name":"signed_up","properties":{"age":"[age]","jane@example.com":38,"email":"jane@example.com","n":39},"context":{"log.severity_text":"of [phone]"}}`, string(plain))
}
