// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/processor/piimaskingprocessor/internal/metadata"
)

var storeID = component.MustNewID("key_store")

// withKeys turns on pseudonyms of e-mail addresses.
func withKeys(c *Config) {
	c.KeyStore = &storeID
	c.Actions = map[string]masking.Spec{"email": {Action: masking.Pseudonym}}
}

// started runs a processor.
func started(tb testing.TB, host component.Host, sink *consumertest.LogsSink, change func(*Config)) *piiMasking {
	tb.Helper()
	cfg := createDefaultConfig().(*Config)
	if change != nil {
		change(cfg)
	}
	require.NoError(tb, cfg.Validate())
	set := processortest.NewNopSettings(metadata.Type)
	set.ID = component.MustNewID("pii_masking")
	p, err := newProcessor(context.Background(), set, cfg, sink)
	require.NoError(tb, err)
	p.after = func(time.Duration) <-chan time.Time { return nil }
	require.NoError(tb, p.Start(context.Background(), host))
	tb.Cleanup(func() { assert.NoError(tb, p.Shutdown(context.Background())) })
	return p
}

func compile(tb testing.TB, subject, doc string) *schema.Schema {
	tb.Helper()
	s, err := schema.Compile(subject, "1", []byte(doc))
	require.NoError(tb, err)
	return s
}

// oneEvent makes a batch of one event whose attributes are the JSON object's members.
func oneEvent(tb testing.TB, name, attributes string) plog.Logs {
	tb.Helper()
	var raw map[string]any
	dec := json.NewDecoder(strings.NewReader(attributes))
	dec.UseNumber()
	require.NoError(tb, dec.Decode(&raw))
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetEventName(name)
	require.NoError(tb, lr.Attributes().FromRaw(plain(raw).(map[string]any)))
	return ld
}

// plain turns JSON's numbers into ints and doubles.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k, m := range v {
			v[k] = plain(m)
		}
	case []any:
		for i, m := range v {
			v[i] = plain(m)
		}
	}
	return v
}

func recordOf(ld plog.Logs) plog.LogRecord {
	return ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
}

func attributesOf(tb testing.TB, ld plog.Logs) string {
	tb.Helper()
	b, err := json.Marshal(recordOf(ld).Attributes().AsRaw())
	require.NoError(tb, err)
	return string(b)
}

// process sends a batch through a processor of its own.
func process(tb testing.TB, host component.Host, ld plog.Logs, change func(*Config)) plog.Logs {
	tb.Helper()
	sink := new(consumertest.LogsSink)
	p := started(tb, host, sink, change)
	require.NoError(tb, p.ConsumeLogs(context.Background(), ld))
	require.Len(tb, sink.AllLogs(), 1)
	return sink.AllLogs()[0]
}

const person = `{"type":"object","properties":{
	"email":{"type":"string","format":"email","x-pii":"email"},
	"age":{"type":"integer","x-pii":"age"},
	"born":{"type":"string","format":"date","x-pii":"birth_date"},
	"ref":{"type":"string","format":"uuid","x-pii":"customer"},
	"consent":{"type":"boolean","x-pii":"health"},
	"contacts":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string","x-pii":"name"},"role":{"type":"string"}}}},
	"delivery_address":{"type":"object","properties":{"note":{"type":"string"},"city":{"type":"string"}}},
	"comment":{"type":"string"}}}`

func TestWhatIsFoundIsMasked(t *testing.T) {
	registry := newTestRegistry(compile(t, "signed_up", person))
	store := newTestStore(t)
	f := func(attributes, want string) {
		t.Helper()
		got := attributesOf(t, process(t, hostOf(registry, store), oneEvent(t, "signed_up", attributes), func(c *Config) {
			withKeys(c)
			c.Actions["age"] = masking.Spec{Action: masking.Bucket, Width: 10}
			c.Actions["birth_date"] = masking.Spec{Action: masking.Truncate}
			c.Actions["ip_address"] = masking.Spec{Action: masking.Truncate}
			c.Actions["customer"] = masking.Spec{Action: masking.Pseudonym}
		}))
		got = regexp.MustCompile(`pn_k1_[a-z2-7]{26}`).ReplaceAllString(got, "PN")
		got = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`).ReplaceAllString(got, "UUID")
		require.JSONEq(t, want, got)
	}
	// By schema.
	f(`{"email":"ann@example.com","comment":"fine"}`, `{"email":"PN@pseudonym.invalid","comment":"fine"}`)
	f(`{"email":"not an address at all"}`, `{"email":"PN@pseudonym.invalid"}`)
	f(`{"age":37,"born":"1984-05-17","consent":true}`, `{"age":30,"born":"1984-01-01","consent":null}`)
	f(`{"ref":"8f14e45f-ceea-467f-8e3d-1d2b8d6cf3a1"}`, `{"ref":"UUID"}`)
	f(`{"contacts":[{"name":"Ann Lee","role":"owner"},{"name":"Bob","role":"guest"}]}`,
		`{"contacts":[{"name":"[name]","role":"owner"},{"name":"[name]","role":"guest"}]}`)
	f(`{"contacts":"Ann Lee"}`, `{"contacts":"Ann Lee"}`) // not where the schema says, and no detector knows names
	// By name, at any depth.
	f(`{"customerEmail":"whoever","x":{"y":[{"Phone-Number":"unlisted"}]}}`, `{"customerEmail":"PN@pseudonym.invalid","x":{"y":[{"Phone-Number":"[phone]"}]}}`)
	f(`{"password":"hunter2","is_email":true,"email_count":3}`, `{"password":"[password]","is_email":true,"email_count":3}`)
	f(`{"contactEmail":4111111111111111,"username":4915112345678,"address":{"street":17}}`, `{"contactEmail":"[payment_card]","username":4915112345678,"address":{"street":17}}`)
	f(`{"emails":["a","b"]}`, `{"emails":["PN@pseudonym.invalid","PN@pseudonym.invalid"]}`)
	f(`{"billing_address":{"line":"1 Main St","city":"Ulm","phone":"x"}}`, `{"billing_address":{"line":"[address]","city":"Ulm","phone":"[phone]"}}`)
	f(`{"delivery_address":{"note":"left of the door","city":"Ulm"}}`, `{"delivery_address":{"note":"left of the door","city":"Ulm"}}`) // declared
	f(`{"customer":{"name":"Ann Lee","nested":{"name":"kept"}},"product":{"name":"Boots"},"name":"Boots","user.name":"ann"}`,
		`{"customer":{"name":"[name]","nested":{"name":"kept"}},"product":{"name":"Boots"},"name":"Boots","user.name":"[name]"}`)
	// By value.
	f(`{"comment":"write to ann@example.com or bob@example.org!"}`, `{"comment":"write to PN@pseudonym.invalid or PN@pseudonym.invalid!"}`)
	f(`{"note":{"deep":["from 203.0.113.77"]}}`, `{"note":{"deep":["from 203.0.113.0"]}}`)
	f(`{"order_id":"4111-0001-2222","total":12.5,"n":3}`, `{"order_id":"4111-0001-2222","total":12.5,"n":3}`)
	// A key that says "a number" or "an ID" is not believed where there are sentences.
	f(`{"x":"call me at +49 1512 3456789 please","y":"+49 1512 3456789 12"}`, `{"x":"call me at [phone] please","y":"+49 1512 3456789 12"}`)
	f(`{"user.id":"pay it to DE89 3704 0044 0532 0130 00"}`, `{"user.id":"PN"}`)
	// In JSON within a text, and in JSON within that.
	f(`{"payload":"{\"email\":\"x\",\"n\":1,\"text\":\"to ann@example.com\"}"}`,
		`{"payload":"{\"email\":\"PN@pseudonym.invalid\",\"n\":1,\"text\":\"to PN@pseudonym.invalid\"}"}`)
	f(`{"payload":"{\"inner\":\"{\\\"password\\\":\\\"hunter2\\\"}\"}"}`, `{"payload":"{\"inner\":\"{\\\"password\\\":\\\"[password]\\\"}\"}"}`)
	f(`{"payload":"[{\"phone\":4917112345678,\"ok\":true}]"}`, `{"payload":"[{\"phone\":\"[phone]\",\"ok\":true}]"}`)
	f(`{"payload":"{\"email\":{\"of\":[\"x\",\"y\"]},\"z\":\"kept\"}"}`, `{"payload":"{\"email\":{\"of\":[\"PN@pseudonym.invalid\",\"PN@pseudonym.invalid\"]},\"z\":\"kept\"}"}`)
	f(`{"payload":"{\"e\\u006dail\":\"x\",\"t\":\"ann\\u0040example.com\"}"}`, `{"payload":"{\"e\\u006dail\":\"PN@pseudonym.invalid\",\"t\":\"PN@pseudonym.invalid\"}"}`)
	f(`{"payload":"{\"email\":\"cut of"}`, `{"payload":"{\"email\":\"PN@pseudonym.invalid"}`)
	// In queries.
	f(`{"url":"https://x.example/a?q=shoes&email=ann%40example.com&p=2#f"}`, `{"url":"https://x.example/a?q=shoes&email=PN%40pseudonym.invalid&p=2#f"}`)
	f(`{"url":"/a?redirect=%2Fb%3Ftoken%3Dabc123&x=1"}`, `{"url":"/a?redirect=%2Fb%3Ftoken%3D%255Bsecret%255D&x=1"}`)
	f(`{"form":"first_name=Ann&x=2"}`, `{"form":"first_name=%5Bname%5D&x=2"}`)
	f(`{"text":"a = b and c=d"}`, `{"text":"a = b and c=d"}`)
	// Keys.
	f(`{"by":{"ann@example.com":1}}`, `{"by":{"PN@pseudonym.invalid":1}}`)
	f(`{"ann@example.com":1}`, `{"PN@pseudonym.invalid":1}`)
	// IDs as a whole.
	f(`{"user.id":"ann@example.com","log.record.uid":"order-of/ann@example.com/17"}`, `{"user.id":"PN@pseudonym.invalid","log.record.uid":"PN"}`)
	f(`{"user.id":"u-4711","log.record.uid":"0198c0de-0000-7000-8000-000000000001"}`, `{"user.id":"u-4711","log.record.uid":"0198c0de-0000-7000-8000-000000000001"}`)
	// What is masked already.
	f(`{"email":"pn_k0_aaaaaaaaaaaaaaaaaaaaaaaaaa@pseudonym.invalid"}`, `{"email":"pn_k0_aaaaaaaaaaaaaaaaaaaaaaaaaa@pseudonym.invalid"}`)
}

func TestOnePersonHasOnePseudonymWhereverTheAddressStands(t *testing.T) {
	registry := newTestRegistry(compile(t, "signed_up", person))
	out := process(t, hostOf(registry, newTestStore(t)), oneEvent(t, "signed_up",
		`{"email":"Ann@Example.com","comment":"ann@example.com","user.id":"ann@example.com","j":"{\"email\":\"ann@example.com \"}"}`), withKeys)
	found := map[string]int{}
	for _, pn := range regexp.MustCompile(`pn_k1_[a-z2-7]{26}`).FindAllString(attributesOf(t, out), -1) {
		found[pn]++
	}
	require.Len(t, found, 1)
	for _, n := range found {
		require.Equal(t, 4, n)
	}
}

func TestConfiguredNamesGoBeforeTheBuiltInOnes(t *testing.T) {
	f := func(change func(*Config), attributes, want string) {
		t.Helper()
		require.JSONEq(t, want, attributesOf(t, process(t, hostOf(nil, nil), oneEvent(t, "e", attributes), change)))
	}
	rule := func(class string, keys ...string) func(*Config) {
		return func(c *Config) { c.Names.Rules = []NameRule{{Keys: keys, Class: class}} }
	}
	f(rule("employee", "emp_*"), `{"empNo":7,"emp_no":"E1","temp_no":"E1"}`, `{"empNo":"[employee]","emp_no":"[employee]","temp_no":"E1"}`)
	f(rule("none", "token"), `{"token":"abc","access_token":"abc"}`, `{"token":"abc","access_token":"[secret]"}`)
	f(rule("ref", "customer.*"), `{"customer":{"id":"c1"},"other":{"id":"c1"}}`, `{"customer":{"id":"[ref]"},"other":{"id":"c1"}}`)
	f(rule("ref", "customer.*"), `{"customer.id":"c1","id":"c1"}`, `{"customer.id":"[ref]","id":"c1"}`)
	f(rule("ref", "customer data.*"), `{"customer data":{"id":"c1"},"other":{"id":"c1"}}`, `{"customer data":{"id":"[ref]"},"other":{"id":"c1"}}`)
	// At any depth, and in JSON.
	f(rule("ref", "customer.*"), `{"a":{"b":[{"customer":{"x":{"id":"c1"}}}],"id":"c1"}}`, `{"a":{"b":[{"customer":{"x":{"id":"[ref]"}}}],"id":"c1"}}`)
	f(rule("ref", "customer.id"), `{"j":"{\"customer\":{\"x\":{\"id\":1},\"id\":1,\"l\":[{\"id\":1}]},\"id\":1}"}`,
		`{"j":"{\"customer\":{\"x\":{\"id\":1},\"id\":\"[ref]\",\"l\":[{\"id\":1}]},\"id\":1}"}`)
	f(rule("ref", "customer.*"), `{"j":"[{\"customer\":[{\"x\":\"c1\"}]},{\"x\":\"c1\"}]"}`, `{"j":"[{\"customer\":[{\"x\":\"[ref]\"}]},{\"x\":\"c1\"}]"}`)
	// What one key is says nothing of another one that reads alike with those above it.
	f(rule("ref", "customer.*"), `{"a@example":{"com":1},"a@example.com":1}`, `{"a@example":{"com":1},"[email]":1}`)
	f(rule("who", "user.id"), `{"user.id":"u1"}`, `{"user.id":null}`) // without keys nothing tells two apart
	f(func(c *Config) { c.Names.Builtin = false }, `{"password":"x"}`, `{"password":"x"}`)
	f(func(c *Config) { c.IgnoreKeys = []string{"support_*"} }, `{"support_mail":"help@example.com","m":"help@example.com"}`, `{"support_mail":"help@example.com","m":"[email]"}`)
}

func TestSegmentsIdentifyDescribesSomebody(t *testing.T) {
	out := process(t, hostOf(nil, nil), oneEvent(t, "identify", `{"name":"Ann Lee","address":{"street":"1 Main St","line":"x","city":"Ulm"},"plan":"pro","company":{"name":"Acme"},
		"segment.context":{"traits":{"name":"Ann Lee"},"library":{"name":"analytics.js"}}}`), nil)
	require.JSONEq(t, `{"name":"[name]","address":{"street":"[address]","line":"[address]","city":"Ulm"},"plan":"pro","company":{"name":"Acme"},
		"segment.context":{"traits":{"name":"[name]"},"library":{"name":"analytics.js"}}}`, attributesOf(t, out))
}

func TestFailedEventsAreSearchedAsAWhole(t *testing.T) {
	ld := oneEvent(t, "no such@event.example", `{"event.failure.stage":"validation","event.failure.pointer":"/by/ann@example.com","x":"4111 1111 1111 1111"}`)
	recordOf(ld).Body().SetStr(`{"broken": "bob\u0040example.org", "password": "hunter2`)
	recordOf(ld).SetSeverityText("for carol@example.com")
	rl := ld.ResourceLogs().At(0)
	rl.Resource().Attributes().PutStr("host.owner", "dave@example.com")
	rl.ScopeLogs().At(0).Scope().SetName("erin@example.com")
	rl.ScopeLogs().At(0).Scope().Attributes().PutStr("client.address", "203.0.113.9")
	out := process(t, hostOf(nil, nil), ld, nil)
	wire, err := (&plog.ProtoMarshaler{}).MarshalLogs(out)
	require.NoError(t, err)
	for _, secret := range []string{"ann@", "bob", "carol", "dave", "erin", "such@event", "4111", "hunter2", "203.0.113.9"} {
		require.NotContains(t, string(wire), secret)
	}
	require.Contains(t, string(wire), "/by/[email]")
}

func TestFailedEventsAreSealedToTheRepairKey(t *testing.T) {
	private, err := seal.Generate("r1")
	require.NoError(t, err)
	store := newTestStore(t)
	store.repair = private.Public()
	registry := newTestRegistry(compile(t, "signed_up", person))
	ld := oneEvent(t, "signed_up", `{"event.failure.stage":"validation","event.failure.reason":"schema_violation","event.schema":"signed_up","event.schema.version":"1",
		"email":"ann@example.com","note":"my name is Ann","log.record.uid":"id-1","user.id":"u1"}`)
	ld.ResourceLogs().At(0).Resource().Attributes().PutStr("owner", "dave@example.com")
	out := process(t, hostOf(registry, store), ld, func(c *Config) { withKeys(c); c.SealFailed = true })
	have := recordOf(out).Attributes().AsRaw()
	text, _ := have["event.sealed"].(string)
	delete(have, "event.sealed")
	require.Equal(t, map[string]any{"event.failure.stage": "validation", "event.failure.reason": "schema_violation", "event.schema": "signed_up",
		"event.schema.version": "1", "log.record.uid": "id-1"}, have)
	require.Equal(t, "signed_up", recordOf(out).EventName())
	wire, err := (&plog.ProtoMarshaler{}).MarshalLogs(out)
	require.NoError(t, err)
	require.NotContains(t, string(wire), "name is", "with a blank, which base64 does not spell")
	require.NotContains(t, string(wire), "@example.com")

	r := event.NewRestorer()
	r.Unseal = private.Open
	_, err = r.AddRaw([]byte(text))
	require.NoError(t, err)
	restored := r.Batch().Logs()
	require.JSONEq(t, `{"email":"ann@example.com","note":"my name is Ann","log.record.uid":"id-1","user.id":"u1","event.schema":"signed_up","event.schema.version":"1"}`,
		attributesOf(t, restored))
	owner, _ := restored.ResourceLogs().At(0).Resource().Attributes().Get("owner")
	require.Equal(t, "dave@example.com", owner.Str())

	// At a gateway that has no repair key it stays as it is.
	again := process(t, hostOf(registry, newTestStore(t)), out, withKeys)
	kept, _ := recordOf(again).Attributes().Get("event.sealed")
	require.Equal(t, text, kept.Str())
}

// ringWithout is a ring whose keys were taken away.
type ringWithout struct{ keyring.Ring }

func (ringWithout) Current() (*keyring.Key, error) { return nil, keyring.ErrNoKey }

func TestAnEventThatCannotBeMaskedIsHeldBackWithoutItsValues(t *testing.T) {
	registry := newTestRegistry(compile(t, "signed_up", person))
	f := func(name string, ld plog.Logs, without bool, want map[string]any, wantName string) {
		t.Run(name, func(t *testing.T) {
			store := newTestStore(t)
			sink := new(consumertest.LogsSink)
			p := started(t, hostOf(registry, store), sink, withKeys)
			if without {
				email, err := masking.New(masking.Spec{Action: masking.Pseudonym}, ringWithout{store.ring})
				require.NoError(t, err)
				p.actions["email"] = email
			}
			clean := oneEvent(t, "signed_up", `{"comment":"fine"}`)
			clean.ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
			require.NoError(t, p.ConsumeLogs(context.Background(), ld))
			out := sink.AllLogs()[0]
			require.Equal(t, 2, out.LogRecordCount())
			require.Equal(t, want, recordOf(out).Attributes().AsRaw())
			require.Equal(t, wantName, recordOf(out).EventName())
			require.Empty(t, recordOf(out).Body().AsString())
			neighbour, _ := out.ResourceLogs().At(1).ScopeLogs().At(0).LogRecords().At(0).Attributes().Get("comment")
			require.Equal(t, "fine", neighbour.Str())
		})
	}
	failure := func(reason string) map[string]any {
		return map[string]any{"event.failure.stage": "masking", "event.failure.reason": reason, "event.failure.processor": "pii_masking",
			"event.failure.schema": "signed_up/1", "log.record.uid": "id-1"}
	}
	withBody := func(ld plog.Logs) plog.Logs {
		recordOf(ld).Body().SetStr("a text")
		return ld
	}
	f("a key that was taken away", withBody(oneEvent(t, "signed_up", `{"log.record.uid":"id-1","note":"Ann Lee","email":"ann@example.com","user.id":"u1"}`)), true,
		failure("no_key"), "signed_up")
	unknown := failure("no_key")
	delete(unknown, "event.failure.schema")
	f("a name that nobody knows", oneEvent(t, "ann_lee_did_it", `{"log.record.uid":"id-1","x":"ann@example.com"}`), true, unknown, "")
}

func TestAValueThatNestsTooDeepIsTakenOut(t *testing.T) {
	f := func(attributes string, levels int, want map[string]any) {
		t.Helper()
		ld := oneEvent(t, "e", attributes)
		v := recordOf(ld).Attributes().PutEmpty("deep")
		for range levels {
			v = v.SetEmptySlice().AppendEmpty()
		}
		v.SetStr("ann@example.com")
		out := process(t, hostOf(nil, nil), ld, nil)
		have := recordOf(out).Attributes().AsRaw()
		for depth, at := 0, have["deep"]; at != nil; depth++ {
			inner, ok := at.([]any)
			if !ok {
				require.Equal(t, levels, depth)
				require.Equal(t, "[email]", at)
				delete(have, "deep")
				break
			}
			at = inner[0]
		}
		require.Equal(t, want, have)
	}
	f(`{"x":"bob@example.com"}`, 1000, map[string]any{"x": "[email]"})
	f(`{"x":"bob@example.com"}`, maxDepth, map[string]any{"x": "[email]"})
	f(`{"x":"bob@example.com"}`, maxDepth+1, map[string]any{"x": "[email]", "deep": nil, "event.failure.stage": "masking", "event.failure.reason": "too_deep",
		"event.failure.processor": "pii_masking"})
	f(`{"event.failure.stage":"validation","event.failure.reason":"too_deep","event.failure.pointer":"/deep"}`, maxDepth+1,
		map[string]any{"deep": nil, "event.failure.stage": "validation", "event.failure.reason": "too_deep", "event.failure.pointer": "/deep"})
}

func TestWhateverGoesWrongInMaskingHoldsTheEventBack(t *testing.T) {
	registry := newTestRegistry(compile(t, "signed_up", person))
	sink := new(consumertest.LogsSink)
	p := started(t, hostOf(registry, newTestStore(t)), sink, withKeys)
	p.actions["email"] = panicking{}
	require.NoError(t, p.ConsumeLogs(context.Background(), oneEvent(t, "signed_up", `{"email":"ann@example.com","x":"Ann Lee"}`)))
	require.JSONEq(t, `{"event.failure.stage":"masking","event.failure.reason":"internal_error","event.failure.processor":"pii_masking","event.failure.schema":"signed_up/1"}`,
		attributesOf(t, sink.AllLogs()[0]))
	p.actions["email"] = failing{}
	resource := plog.NewLogs()
	rl := resource.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("tenant.id", "t1")
	rl.Resource().Attributes().PutStr("owner", "ann@example.com")
	rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().SetEventName("signed_up")
	require.NoError(t, p.ConsumeLogs(context.Background(), resource))
	require.Equal(t, map[string]any{"tenant.id": "t1"}, sink.AllLogs()[1].ResourceLogs().At(0).Resource().Attributes().AsRaw())
}

type panicking struct{}

func (panicking) Kind() masking.Kind { return masking.Redact }
func (panicking) Mask(v masking.Value, _ *masking.Target) (masking.Value, error) {
	panic("with " + v.Text)
}

type failing struct{}

func (failing) Kind() masking.Kind { return masking.Redact }
func (failing) Mask(v masking.Value, _ *masking.Target) (masking.Value, error) {
	return v, masking.ErrCannotMask
}

func TestADryRunChangesNothingAndTellsWhatItWould(t *testing.T) {
	registry := newTestRegistry(compile(t, "signed_up", person))
	store, log := newTestStore(t), &auditLog{}
	store.audit = log
	sink := new(consumertest.LogsSink)
	p := started(t, hostOf(registry, store), sink, func(c *Config) { withKeys(c); c.DryRun = true })
	ld := oneEvent(t, "signed_up", `{"email":"ann@example.com","user.id":"ann@example.com","note":{"x":"from 203.0.113.9"},"by":{"bob@example.com":1},"q":"a?token=x"}`)
	recordOf(ld).Body().SetStr(`{"password":"x"}`)
	before := plog.NewLogs()
	ld.CopyTo(before)
	require.False(t, p.Capabilities().MutatesData)
	require.NoError(t, p.ConsumeLogs(context.Background(), ld))
	require.Equal(t, before, sink.AllLogs()[0])
	p.reporter.report()
	require.Equal(t, []audit.Record{
		{Action: audit.WouldMask, Component: "pii_masking", Class: "email", Field: "email", Rule: "schema", Masking: "pseudonym", Count: 1},
		{Action: audit.WouldMask, Component: "pii_masking", Class: "email", Field: "user.id", Rule: "email", Masking: "pseudonym", Count: 1},
		{Action: audit.WouldMask, Component: "pii_masking", Class: "ip_address", Field: "note.*", Rule: "ipv4", Masking: "redact", Count: 1},
		{Action: audit.WouldMask, Component: "pii_masking", Class: "password", Field: "log.body", Rule: "name", Masking: "redact", Count: 1},
		{Action: audit.WouldMask, Component: "pii_masking", Class: "secret", Field: "q", Rule: "name", Masking: "redact", Count: 1},
	}, timeless(log.all()))
}

func timeless(records []audit.Record) []audit.Record {
	for i := range records {
		records[i].Time = time.Time{}
	}
	return records
}

func TestTheAuditLogHasEveryCountOnceWhateverItRefuses(t *testing.T) {
	store, log := newTestStore(t), &auditLog{err: errors.New("full")}
	store.audit = log
	sink := new(consumertest.LogsSink)
	p := started(t, hostOf(nil, store), sink, withKeys)
	send := func() {
		require.NoError(t, p.ConsumeLogs(context.Background(), oneEvent(t, "e", `{"x":"ann@example.com"}`)))
	}
	send()
	p.reporter.report()
	send()
	log.fail(nil)
	p.reporter.report()
	p.reporter.report()
	require.Equal(t, []audit.Record{{Action: audit.Masked, Component: "pii_masking", Class: "email", Field: "x", Rule: "email", Masking: "pseudonym", Count: 2}}, timeless(log.all()))
}

func TestNoValueIsInTheNamesOfFields(t *testing.T) {
	f := func(key, want string) {
		t.Helper()
		require.Equal(t, want, fieldName(key), key)
	}
	f("email", "email")
	f("http.request.header.x-forwarded-for", "http.request.header.x-forwarded-for")
	f("line_2", "line_2")
	f("4915112345678", otherField)
	f("Ann Lee", otherField)
	f("ann@example.com", otherField)
	f(strings.Repeat("a", 65), otherField)
	f("", otherField)
}

func TestEventsWithNothingToFindCostNoMemory(t *testing.T) {
	registry := newTestRegistry(compile(t, "signed_up", person))
	p := started(t, hostOf(registry, newTestStore(t)), new(consumertest.LogsSink), withKeys)
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for range 100 {
		oneEvent(t, "signed_up", `{"comment":"a text of some length in which nothing is to be found, 12 pieces","order":"A-1001","n":3,"url":"https://x.example/a?b=c",
			"nested":{"a":"b","c":[1,2,"three"]}}`).ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).MoveTo(records.AppendEmpty())
	}
	w := newWork(p)
	batch := event.FromLogs(ld)
	require.NoError(t, w.batch(context.Background(), batch))
	require.Empty(t, w.tally.hits)
	require.Zero(t, testing.AllocsPerRun(20, func() { _ = w.batch(context.Background(), batch) }))
}

func TestMistakesInTheConfigurationAreNamed(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		change(cfg)
		require.ErrorContains(t, confmap.Validate(cfg), want)
	}
	f(func(c *Config) { c.Detectors.Classes = []string{"face"} }, `detectors::classes::0: "face" is none that is found by value`)
	f(func(c *Config) { c.Detectors.Custom = []CustomConfig{{Name: "x", Class: "x", Pattern: "("}} }, "detectors: ")
	f(func(c *Config) { c.Names.Rules = []NameRule{{Keys: []string{"a"}, Class: "E mail"}} }, `names::rules::0::class: "E mail"`)
	f(func(c *Config) { c.Names.Rules = []NameRule{{Class: "email"}} }, "names::rules::0::keys: is empty")
	f(func(c *Config) { c.Names.Rules = []NameRule{{Keys: []string{"*"}, Class: "email"}} }, `names::rules::0::keys: "*" would match every key`)
	f(func(c *Config) { c.IgnoreKeys = []string{"a(b)"} }, `ignore_keys: "a(b)" has a character`)
	f(func(c *Config) { c.Actions = map[string]masking.Spec{"email": {Action: "hide"}} }, "actions::email: ")
	f(func(c *Config) { c.Actions = map[string]masking.Spec{"email": {Action: masking.Pseudonym}} }, "actions::email: action: pseudonym needs keys")
	f(func(c *Config) { c.DefaultAction = masking.Spec{} }, "default_action: ")
	f(func(c *Config) { c.SealFailed = true }, "seal_failed: true needs a repair key")
	f(func(c *Config) { c.AuditInterval = time.Millisecond }, "audit_interval: 1ms must be from 1s")
}

func TestAStartWithoutWhatItNeedsNamesTheMend(t *testing.T) {
	f := func(host component.Host, change func(*Config), want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		change(cfg)
		require.NoError(t, cfg.Validate())
		p, err := newProcessor(context.Background(), processortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
		require.NoError(t, err)
		require.ErrorContains(t, p.Start(context.Background(), host), want)
		require.NoError(t, p.Shutdown(context.Background()))
	}
	none := component.MustNewID("none")
	f(hostOf(nil, nil), func(c *Config) { c.Registry = &none }, `registry: "none" is no extension of this collector`)
	f(hostOf(nil, nil), withKeys, `key_store: "key_store" is no extension of this collector`)
	f(hostOf(newTestRegistry(), nil), func(c *Config) { c.KeyStore = &component.ID{}; *c.KeyStore = component.MustNewID("schema_registry") }, `has no keys`)
	f(hostOf(nil, newTestStore(t)), func(c *Config) { withKeys(c); c.SealFailed = true }, "seal_failed: \"key_store\" has no repair key")
	f(hostOf(nil, newTestStore(t)), func(c *Config) { withKeys(c); c.Actions["name"] = masking.Spec{Action: masking.Erasable} }, "keeps no keys of persons")
}

func TestReadmeHasEveryFieldAndBuiltInName(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for name, class := range builtin {
		if class != "" {
			require.Contains(t, string(readme), "`"+name+"`")
		}
	}
	for _, field := range []string{"registry", "key_store", "detectors::classes", "detectors::custom", "names::builtin", "names::rules", "ignore_keys",
		"actions", "default_action", "seal_failed", "dry_run", "audit_interval"} {
		require.Contains(t, string(readme), "`"+field+"`")
	}
}
