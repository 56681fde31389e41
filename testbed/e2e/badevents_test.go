// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

func mustInt(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	require.NoError(t, err)
	return n
}

// where says what became of an event: "stored", or the stage, reason and pointer of its failure.
func where(t *testing.T, i *instance, id string) string {
	t.Helper()
	return strings.Join(append(i.rows(t, "SELECT 'stored' FROM events WHERE event_id = '%s'", id),
		i.rows(t, "SELECT stage || ' ' || reason || ' ' || pointer FROM failed_events WHERE event_id = '%s'", id)...), " and ")
}

func putNested(v pcommon.Value, depth int) {
	for range depth {
		v = v.SetEmptyMap().PutEmpty("n")
	}
	v.SetInt(1)
}

func badOTLPEvents(t *testing.T, i *instance) {
	cases := []struct {
		name, want string
		spoil      func(plog.LogRecord, pcommon.Map)
	}{
		{"no name", "validation missing_event_name ", func(lr plog.LogRecord, _ pcommon.Map) { lr.SetEventName("") }},
		{"long name", "validation event_name_too_long ", func(lr plog.LogRecord, _ pcommon.Map) { lr.SetEventName(strings.Repeat("x", 10_000)) }},
		{"time 0", "stored", func(lr plog.LogRecord, _ pcommon.Map) { lr.SetTimestamp(0) }},
		{"time 1", "validation event_time_out_of_range ", func(lr plog.LogRecord, _ pcommon.Map) { lr.SetTimestamp(1) }},
		{"time max", "validation event_time_out_of_range ", func(lr plog.LogRecord, _ pcommon.Map) { lr.SetTimestamp(math.MaxUint64) }},
		{"year 1700", "validation event_time_out_of_range ", func(lr plog.LogRecord, _ pcommon.Map) {
			lr.SetTimestamp(pcommon.NewTimestampFromTime(time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)))
		}},
		{"year 2200", "validation event_time_out_of_range ", func(lr plog.LogRecord, _ pcommon.Map) {
			lr.SetTimestamp(pcommon.NewTimestampFromTime(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)))
		}},
		{"year 2500", "validation event_time_out_of_range ", func(lr plog.LogRecord, _ pcommon.Map) {
			lr.SetTimestamp(pcommon.Timestamp(uint64(16725225600) * 1e9))
		}},
		{"observed max", "stored", func(lr plog.LogRecord, _ pcommon.Map) { lr.SetObservedTimestamp(math.MaxUint64) }},
		{"wrong type", "validation schema_violation /country", func(_ plog.LogRecord, a pcommon.Map) { a.PutInt("country", 49) }},
		{"map for text", "validation schema_violation /country", func(_ plog.LogRecord, a pcommon.Map) { a.PutEmptyMap("country").PutStr("a", "b") }},
		{"missing", "validation schema_violation /country", func(_ plog.LogRecord, a pcommon.Map) { a.Remove("country") }},
		{"no UTF-8 in a value", "validation invalid_utf8 /note", func(_ plog.LogRecord, a pcommon.Map) { a.PutStr("note", "a\xff\xfeb") }},
		{"no UTF-8 in a nested value", "validation invalid_utf8 /note/0/x", func(_ plog.LogRecord, a pcommon.Map) {
			a.PutEmptySlice("note").AppendEmpty().SetEmptyMap().PutStr("x", "\xc3")
		}},
		{"no UTF-8 in a typed column", "validation invalid_utf8 /full_name", func(_ plog.LogRecord, a pcommon.Map) { a.PutStr("full_name", "M\xfcller") }},
		{"no UTF-8 in a name of a property", "validation invalid_utf8 /\uFFFD", func(_ plog.LogRecord, a pcommon.Map) { a.PutStr("\xff", "x") }},
		{"no UTF-8 in the name", "validation invalid_utf8 ", func(lr plog.LogRecord, _ pcommon.Map) { lr.SetEventName("x\xff") }},
		{"no UTF-8 in a user", "validation invalid_utf8 ", func(_ plog.LogRecord, a pcommon.Map) { a.PutStr("user.id", "x\xff") }},
		{"no UTF-8 in the body", "validation invalid_utf8 ", func(lr plog.LogRecord, _ pcommon.Map) { lr.Body().SetStr("x\xff") }},
		{"10,000 properties", "validation too_many_properties ", func(_ plog.LogRecord, a pcommon.Map) {
			for n := range 10_000 {
				a.PutInt(fmt.Sprintf("p%d", n), 1)
			}
		}},
		{"10,000 nested properties", "validation too_many_properties ", func(_ plog.LogRecord, a pcommon.Map) {
			m := a.PutEmptyMap("m")
			for n := range 10_000 {
				m.PutInt(fmt.Sprintf("p%d", n), 1)
			}
		}},
		{"1,000 deep", "validation too_deep /deep", func(_ plog.LogRecord, a pcommon.Map) { putNested(a.PutEmpty("deep"), 1000) }},
		{"1,000 deep in a typed column", "validation too_deep /country", func(_ plog.LogRecord, a pcommon.Map) { putNested(a.PutEmpty("country"), 1000) }},
		{"1,000 deep as the ID of a user", "validation too_deep /user.id", func(_ plog.LogRecord, a pcommon.Map) { putNested(a.PutEmpty("user.id"), 1000) }},
		{"1,000 deep body", "validation too_deep ", func(lr plog.LogRecord, _ pcommon.Map) { putNested(lr.Body(), 1000) }},
		{"60 deep", "stored", func(_ plog.LogRecord, a pcommon.Map) { putNested(a.PutEmpty("deep"), 60) }},
		{"one path twice", "export duplicate_path ", func(_ plog.LogRecord, a pcommon.Map) {
			a.PutInt("a.b", 1)
			a.PutEmptyMap("a").PutInt("b", 2)
		}},
		{"out of a column's range", "export out_of_range /price", func(lr plog.LogRecord, a pcommon.Map) {
			lr.SetEventName("product_added") // its price is a Decimal(18, 2) without a maximum
			a.PutStr("cart_id", "0190f5a0-0000-7000-8000-000000000001")
			a.PutStr("product_id", "p")
			a.PutStr("currency", "EUR")
			a.PutInt("quantity", 1)
			a.PutDouble("price", 1e300)
		}},
		{"a mark of somebody else", "stored", func(_ plog.LogRecord, a pcommon.Map) {
			a.PutStr("event.failure.stage", "validation")
			a.PutStr("event.failure.reason", "because")
		}},
		{"a made-up schema", "stored", func(_ plog.LogRecord, a pcommon.Map) { a.PutStr("event.schema", "../../etc/passwd") }},
		{"a made-up version", "stored", func(_ plog.LogRecord, a pcommon.Map) { a.PutStr("event.schema.version", "99") }},
		{"5 MB of text", "stored", func(_ plog.LogRecord, a pcommon.Map) { a.PutStr("note", strings.Repeat("ü", 5<<19)) }},
		{"numbers that JSON lacks", "stored", func(_ plog.LogRecord, a pcommon.Map) {
			a.PutDouble("nan", math.NaN())
			a.PutDouble("inf", math.Inf(-1))
			a.PutEmptyBytes("bytes").FromRaw([]byte{0, 255})
			a.PutEmpty("null")
		}},
		{"names that are no identifiers", "stored", func(_ plog.LogRecord, a pcommon.Map) {
			for n, name := range oddNames {
				a.PutInt(name, int64(n))
			}
		}},
		{"names of columns", "stored", func(_ plog.LogRecord, a pcommon.Map) {
			for _, name := range []string{"event_id", "event_name", "event_time", "tenant_id", "properties", "resource", "schema_name", "trace_id"} {
				a.PutStr(name, "mine")
			}
		}},
	}
	// All at once, so that they share batches on their way: one that takes its neighbours with it shows.
	ids := make([]string, len(cases))
	var senders sync.WaitGroup
	for n, c := range cases {
		ids[n] = newID("bad")
		senders.Go(func() {
			ld, records := events()
			addValid(records, ids[n]+"-before")
			lr := addValid(records, ids[n])
			c.spoil(lr, lr.Attributes())
			addValid(records, ids[n]+"-after")
			assert.NoError(t, sendGRPC(i, ld), c.name)
		})
	}
	senders.Wait()
	for n, c := range cases {
		assert.Equal(t, c.want, where(t, i, ids[n]), c.name)
		assert.Equal(t, "stored", where(t, i, ids[n]+"-before"), c.name)
		assert.Equal(t, "stored", where(t, i, ids[n]+"-after"), c.name)
		// What failed can be read, and what it was sent as is in it.
		if c.want != "stored" {
			raw := i.one(t, "SELECT raw FROM failed_events WHERE event_id = '%s'", ids[n])
			assert.True(t, json.Valid([]byte(raw)), "%s: %.200s", c.name, raw)
			assert.Contains(t, raw, ids[n], c.name)
		}
	}
	id := func(name string) string {
		for n, c := range cases {
			if c.name == name {
				return ids[n]
			}
		}
		t.Fatal(name)
		return ""
	}
	require.Equal(t, "1", i.one(t, "SELECT event_time = received_time FROM events WHERE event_id = '%s'", id("time 0")))
	require.Equal(t, "mine|mine|e2e|signed_up", i.one(t, "SELECT properties.event_id, properties.tenant_id, source, event_name FROM events WHERE event_id = '%s'", id("names of columns")))
	require.Equal(t, "5242880", i.one(t, "SELECT length(properties.note::String) FROM events WHERE event_id = '%s'", id("5 MB of text")))
	require.Equal(t, "NaN|-Infinity|AP8=", i.one(t, "SELECT properties.nan, properties.inf, properties.bytes FROM events WHERE event_id = '%s'", id("numbers that JSON lacks")))
	requireOddNames(t, i, id("names that are no identifiers"))

	// A resource that is bad is bad for all of its events, and for no other's.
	ld, records := events()
	good, bad := newID("resource"), newID("resource")
	addValid(records, good)
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("x", "\xff")
	addValid(rl.ScopeLogs().AppendEmpty().LogRecords(), bad)
	require.NoError(t, sendGRPC(i, ld))
	require.Equal(t, "stored", where(t, i, good))
	require.Equal(t, "validation invalid_utf8 ", where(t, i, bad))

	// Of a key that stands twice the first counts. pdata's maps make none such: by hand.
	id2 := newID("twice")
	status, answer := post(t, i.url("MILLRACE_OTLP_HTTP", "/v1/logs"), []byte(`{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": "twice", "attributes": [
		{"key": "log.record.uid", "value": {"stringValue": "`+id2+`"}}, {"key": "log.record.uid", "value": {"stringValue": "other"}},
		{"key": "country", "value": {"stringValue": "DE"}}, {"key": "country", "value": {"stringValue": "FR"}},
		{"key": "m", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "1"}}, {"key": "k", "value": {"intValue": "2"}}]}}}]}]}]}]}`),
		"Content-Type", jsonType)
	require.Equal(t, http.StatusOK, status, answer)
	require.Equal(t, "DE|1", i.one(t, "SELECT properties.country, properties.m.k FROM events WHERE event_id = '%s'", id2))
}

// oddNames are names of properties that are no identifiers anywhere.
var oddNames = []string{
	"two words", "with-dash", "ключ", "日本", "`; DROP TABLE events; --", "quote'", `double"quote`, `back\slash`, "new\nline", "tab\t",
	"$set", "@type", "%", "a:b", "^a", "a[]", "a[0]", "a/b~c", "1st", "emoji 🦀", " ", "", "select", "NULL", "\x01", strings.Repeat("long", 500),
}

func requireOddNames(t *testing.T, i *instance, id string) {
	t.Helper()
	var have map[string]any
	require.NoError(t, json.Unmarshal([]byte(i.one(t, "SELECT toJSONString(properties) FROM events WHERE event_id = '%s'", id)), &have))
	for n, name := range oddNames {
		assert.Contains(t, []any{float64(n), strconv.Itoa(n)}, have[name], "%q", name)
	}
}

func badSegmentMessages(t *testing.T, i *instance) {
	cases := []struct{ name, want, message string }{ // %s is the message's ID
		{"no event name", "receive missing_event_name /event", `{"type": "track", "userId": "u", "messageId": "%s"}`},
		{"empty event name", "receive missing_event_name /event", `{"type": "track", "event": "", "userId": "u", "messageId": "%s"}`},
		{"number for a name", "receive invalid_event_name /event", `{"type": "track", "event": 7, "userId": "u", "messageId": "%s"}`},
		{"no type", "receive missing_type /type", `{"event": "E", "userId": "u", "messageId": "%s"}`},
		{"unknown type", "receive unknown_type /type", `{"type": "trick", "event": "E", "userId": "u", "messageId": "%s"}`},
		{"object as a user", "receive invalid_user_id /userId", `{"type": "track", "event": "E", "userId": {}, "messageId": "%s"}`},
		{"text as properties", "receive invalid_properties /properties", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "properties": "all"}`},
		{"number as a time", "receive invalid_timestamp /timestamp", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "timestamp": 0}`},
		{"no time", "receive invalid_timestamp /timestamp", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "timestamp": "yesterday"}`},
		{"year 1700", "receive timestamp_out_of_range /timestamp", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "timestamp": "1700-01-01T00:00:00Z"}`},
		{"year 3000", "receive timestamp_out_of_range /timestamp", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "timestamp": "3000-01-01T00:00:00Z"}`},
		{"year 1980", "validation event_time_out_of_range ", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "timestamp": "1980-01-01T00:00:00Z"}`},
		{"no UTF-8", "receive invalid_utf8 /properties", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "properties": {"x": "` + "\xff" + `"}}`},
		{"1,000 deep", "receive nesting_too_deep /properties", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "properties": {"x": ` +
			strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}}`},
		{"10,000 properties", "receive too_many_members /properties", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "properties": {` + manyMembers(10_000) + `}}`},
		{"wrong type", "validation schema_violation /country", `{"type": "track", "event": "Signed Up", "userId": "u", "messageId": "%s",
			"properties": {"signup_method": "email", "email": "a@example.com", "device_type": "mobile", "country": ["DE"]}}`},
		{"malformed literal", "receive malformed_json /properties", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "properties": {"x": truth}}`},
		{"members twice", "stored", `{"type": "track", "event": "E", "userId": "u", "messageId": "%s", "messageId": "other", "event": "F", "properties": {"x": 1, "x": 2}}`},
	}
	id := newID("message")
	var body strings.Builder
	body.WriteString(`{"batch": [`)
	for n, c := range cases {
		fmt.Fprintf(&body, `{"type": "track", "event": "Neighbour", "userId": "u", "messageId": "%s-%d-before"},`, id, n)
		body.WriteString(strings.Replace(c.message, "%s", fmt.Sprintf("%s-%d", id, n), 1) + ",")
	}
	// What has no ID at all: a number, a text, an array, null, an empty object.
	fmt.Fprintf(&body, `7, "%[1]s", ["%[1]s"], null, {}, {"type": "track", "event": "Neighbour", "userId": "u", "messageId": "%[1]s-last"}]}`, id)
	status, answer := postSegment(t, i, "/v1/batch", body.String())
	require.Equal(t, http.StatusOK, status, answer)
	for n, c := range cases {
		assert.Equal(t, c.want, strings.TrimSuffix(where(t, i, fmt.Sprintf("%s-%d", id, n)), "/x"), c.name)
		assert.Equal(t, "stored", where(t, i, fmt.Sprintf("%s-%d-before", id, n)), c.name)
	}
	assert.Equal(t, "stored", where(t, i, id+"-last"))
	assert.Equal(t, []string{`"` + id + `"`, `["` + id + `"]`},
		i.rows(t, `SELECT raw FROM failed_events WHERE reason = 'not_an_object' AND raw LIKE '%%%s%%' ORDER BY raw`, id))
	assert.Equal(t, "0", i.one(t, "SELECT count() FROM failed_events WHERE position(raw, 'millrace-dev') > 0"))

	odd := newID("odd")
	properties := map[string]int{}
	for n, name := range oddNames {
		properties[name] = n
	}
	text, err := json.Marshal(properties)
	require.NoError(t, err)
	status, answer = postSegment(t, i, "/v1/track", fmt.Sprintf(`{"event": "Odd", "userId": "u", "messageId": "%s", "properties": %s}`, odd, text))
	require.Equal(t, http.StatusOK, status, answer)
	requireOddNames(t, i, odd)
}

func manyMembers(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"p%d": %d`, i, i)
	}
	return strings.Join(members, ", ")
}

// manyNames sends what breaks systems that make a column of each property.
func manyNames(t *testing.T, i *instance) {
	ld, records := events()
	name := newID("many")
	for n := range 100 {
		lr := records.AppendEmpty()
		lr.SetEventName(name)
		lr.Attributes().PutStr("log.record.uid", fmt.Sprintf("%s-%d", name, n))
		for p := range 100 {
			lr.Attributes().PutInt(fmt.Sprintf("%s_%d_%d", name, n, p), int64(p))
		}
	}
	require.NoError(t, sendGRPC(i, ld))
	require.Equal(t, "100|100|100", i.one(t, `SELECT count(), uniqExact(event_id), min(length(JSONAllPaths(properties))) FROM events WHERE event_name = '%s'`, name))
	require.Equal(t, "99", i.one(t, "SELECT properties.`%[1]s_7_99` FROM events WHERE event_id = '%[1]s-7'", name))
}
