// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// One instance takes all that does no harm to it; what is meant to do harm must not.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	i := start(t, "extensions::schema_registry::reload_interval: 100ms")
	collector, engine := i.PID(), i.engine()
	t.Run("while", func(t *testing.T) { // ends with the last of the parallel ones
		for _, c := range []struct {
			name string
			f    func(*testing.T, *instance)
		}{
			{"tables have the columns that readers count on", columns},
			{"OTLP's envelope is stored field by field", otlpEnvelope},
			{"Segment's envelope is stored field by field", segmentEnvelope},
			{"environment is honoured", environment},
			{"metrics speak of the events", metrics},
			{"schemas are reloaded while events come", reload},
			{"the stock Segment SDK delivers", stockSDK},
			{"bad OTLP requests are refused with a reason", badOTLPRequests},
			{"bad gRPC requests are refused with a reason", badGRPCRequests},
			{"bad Segment requests are refused with a reason", badSegmentRequests},
			{"bad OTLP events fail with a reason and take none with them", badOTLPEvents},
			{"bad Segment messages fail with a reason and take none with them", badSegmentMessages},
			{"ten thousand property names in a batch are stored", manyNames},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.f(t, i)
			})
		}
	})
	require.Less(t, peakMemory(t, i), 1<<30, "bytes of memory at the peak")
	t.Run("depth that overflows stacks is refused or fails", func(t *testing.T) { deepRequests(t, i) })

	require.True(t, i.running(), "%s", i.tail())
	require.Equal(t, collector, i.PID())
	require.Equal(t, engine, i.engine(), "the engine was restarted")
	require.NotContains(t, i.said(), "panic")

	// After all of it, events flow.
	ld, records := events()
	id := newID("after")
	addValid(records, id)
	require.NoError(t, sendGRPC(i, ld))
	require.Equal(t, "1", i.one(t, "SELECT count() FROM events WHERE event_id = '%s'", id))

	files, err := os.ReadDir(i.dir)
	require.NoError(t, err)
	require.Empty(t, files, "something was written to the working directory instead of MILLRACE_DATA_DIR")
}

// peakMemory is the most that the collector had in memory, in bytes.
func peakMemory(t *testing.T, i *instance) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", i.PID()))
	require.NoError(t, err)
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	require.NotNil(t, m)
	kib, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return kib << 10
}

func columns(t *testing.T, i *instance) {
	f := func(table string, want ...string) {
		t.Helper()
		have := i.rows(t, "SELECT name FROM system.columns WHERE database = 'analytics' AND table = '%s'", table)
		require.Subset(t, have, want)
	}
	f("events", "event_id", "event_name", "event_time", "received_time", "user_id", "anonymous_id", "session_id", "tenant_id", "source",
		"schema_name", "schema_version", "trace_id", "span_id", "resource", "properties",
		// of the tracking plan
		"total", "currency", "order_id", "products.price", "shipping_address.country")
	f("failed_events", "event_id", "event_name", "received_time", "stage", "reason", "pointer", "schema_name", "raw")

	typeOf := func(column, want string) {
		t.Helper()
		require.Equal(t, want, i.one(t, "SELECT type FROM system.columns WHERE database = 'analytics' AND table = 'events' AND name = '%s'", column))
	}
	typeOf("event_time", "DateTime64(9, 'UTC')")
	typeOf("total", "Nullable(Decimal(18, 2))")
	typeOf("order_id", "Nullable(UUID)")
	typeOf("gift", "Nullable(Bool)")
}

const envelope = `SELECT event_name, event_time, user_id, anonymous_id, session_id, tenant_id, source, schema_name,
	schema_version, trace_id, span_id, resource, toJSONString(properties), stars, verified_purchase FROM events WHERE event_id = '%s'`

func otlpEnvelope(t *testing.T, i *instance) {
	build := func(id string) plog.Logs {
		ld := plog.NewLogs()
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("service.name", "checkout")
		rl.Resource().Attributes().PutStr("tenant.id", "shop-1")
		sl := rl.ScopeLogs().AppendEmpty()
		sl.Scope().SetName("shop")
		lr := sl.LogRecords().AppendEmpty()
		lr.SetEventName("product_reviewed")
		lr.SetTimestamp(pcommon.NewTimestampFromTime(time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)))
		lr.SetObservedTimestamp(pcommon.NewTimestampFromTime(time.Date(2026, 1, 2, 3, 4, 6, 7, time.UTC)))
		lr.SetTraceID(pcommon.TraceID{0: 0xab, 15: 1})
		lr.SetSpanID(pcommon.SpanID{0: 0xcd, 7: 2})
		lr.Body().SetStr("a body")
		a := lr.Attributes()
		a.PutStr("log.record.uid", id)
		a.PutStr("user.id", "u-1")
		a.PutStr("enduser.pseudo.id", "a-1")
		a.PutStr("session.id", "s-1")
		a.PutStr("review_id", "0190f5a0-0000-7000-8000-000000000001")
		a.PutStr("product_id", "p-1")
		a.PutInt("stars", 5)
		a.PutBool("verified_purchase", true)
		a.PutStr("device_type", "mobile")
		a.PutStr("country", "DE")
		a.PutEmptyMap("extra").PutInt("n", 1<<60)
		return ld
	}
	f := func(id string) {
		t.Helper()
		require.Equal(t, strings.Join([]string{
			"product_reviewed", "2026-01-02 03:04:05.123456789", "u-1", "a-1", "s-1", "shop-1", "checkout", "product_reviewed", "1",
			"ab000000000000000000000000000001", "cd00000000000002",
			`{"service.name":"checkout","tenant.id":"shop-1","otel.scope.name":"shop"}`,
			`{"extra":{"n":1152921504606846976},"log":{"body":"a body"}}`, "5", "true",
		}, "|"), i.one(t, envelope, id))
		require.Equal(t, "2026-01-02 03:04:06.000000007", i.one(t, "SELECT received_time FROM events WHERE event_id = '%s'", id))
	}

	byGRPC, byHTTP, byJSON := newID("grpc"), newID("http"), newID("json")
	require.NoError(t, sendGRPC(i, build(byGRPC)))
	f(byGRPC)
	status, answer := post(t, i.url("MILLRACE_OTLP_HTTP", "/v1/logs"), protobuf(t, build(byHTTP)), "Content-Type", protobufType)
	require.Equal(t, http.StatusOK, status, answer)
	f(byHTTP)
	// As somebody writes it by hand.
	status, answer = post(t, i.url("MILLRACE_OTLP_HTTP", "/v1/logs"), []byte(`{"resourceLogs": [{
		"resource": {"attributes": [
			{"key": "service.name", "value": {"stringValue": "checkout"}},
			{"key": "tenant.id", "value": {"stringValue": "shop-1"}}]},
		"scopeLogs": [{"scope": {"name": "shop"}, "logRecords": [{
			"eventName": "product_reviewed",
			"timeUnixNano": "1767323045123456789", "observedTimeUnixNano": "1767323046000000007",
			"traceId": "ab000000000000000000000000000001", "spanId": "cd00000000000002",
			"body": {"stringValue": "a body"},
			"attributes": [
				{"key": "log.record.uid", "value": {"stringValue": "`+byJSON+`"}},
				{"key": "user.id", "value": {"stringValue": "u-1"}},
				{"key": "enduser.pseudo.id", "value": {"stringValue": "a-1"}},
				{"key": "session.id", "value": {"stringValue": "s-1"}},
				{"key": "review_id", "value": {"stringValue": "0190f5a0-0000-7000-8000-000000000001"}},
				{"key": "product_id", "value": {"stringValue": "p-1"}},
				{"key": "stars", "value": {"intValue": "5"}},
				{"key": "verified_purchase", "value": {"boolValue": true}},
				{"key": "device_type", "value": {"stringValue": "mobile"}},
				{"key": "country", "value": {"stringValue": "DE"}},
				{"key": "extra", "value": {"kvlistValue": {"values": [{"key": "n", "value": {"intValue": "1152921504606846976"}}]}}}]
		}]}]}]}`), "Content-Type", jsonType)
	require.Equal(t, http.StatusOK, status, answer)
	f(byJSON)

	// The least that is an event: no ID, no times, no resource. The name in its older form.
	before := time.Now().UnixNano()
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	name := newID("bare")
	lr.Attributes().PutStr("event.name", name)
	require.NoError(t, sendGRPC(i, ld))
	require.Equal(t, "|||||{}|{}|true", i.one(t, `SELECT event_id, user_id IS NULL ? '' : 'user', tenant_id, source, trace_id, resource, toJSONString(properties),
		event_time = received_time AND received_time BETWEEN fromUnixTimestamp64Nano(%d) AND fromUnixTimestamp64Nano(%d) ? 'true' : 'false'
		FROM events WHERE event_name = '%s'`, before, time.Now().UnixNano(), name))
}

func segmentEnvelope(t *testing.T, i *instance) {
	track, page := newID("track"), newID("page")
	before := time.Now().UnixNano()
	status, answer := postSegment(t, i, "/v1/batch", `{"batch": [
		{"type": "track", "event": "Product Reviewed", "messageId": "`+track+`", "userId": "u-1", "anonymousId": "a-1",
		 "timestamp": "2026-01-02T03:04:05.678Z", "context": {"ip": "192.0.2.1"},
		 "properties": {"review_id": "0190f5a0-0000-7000-8000-000000000001", "product_id": "p-1", "stars": 5, "verified_purchase": true,
		                "device_type": "mobile", "country": "DE", "tenant.id": "somebody else's", "user.id": "another"}},
		{"type": "page", "name": "Home", "messageId": "`+page+`", "anonymousId": "a-2"}]}`)
	require.Equal(t, http.StatusOK, status, answer)
	require.JSONEq(t, `{"success": true}`, answer)
	require.Equal(t, `Product Reviewed|2026-01-02 03:04:05.678000000|u-1|a-1|<nil>|dev|web|product_reviewed|1|||`+
		`5|true|192.0.2.0|track|somebody else's|another|dev`, i.one(t, `SELECT event_name, event_time, user_id, anonymous_id, session_id, tenant_id, source,
		schema_name, schema_version, trace_id, span_id, stars, verified_purchase, properties.segment.context.ip, properties.segment.type,
		properties.tenant.id, properties.properties.user.id, JSONExtractString(resource, 'tenant.id') FROM events WHERE event_id = '%s'`, track))
	require.Equal(t, `page|a-2|Home|true`, i.one(t, `SELECT event_name, anonymous_id, properties.name,
		event_time = received_time AND received_time BETWEEN fromUnixTimestamp64Nano(%d) AND fromUnixTimestamp64Nano(%d) ? 'true' : 'false'
		FROM events WHERE event_id = '%s'`, before, time.Now().UnixNano(), page))
}

// environment starts a second instance beside the first: they share nothing, and listen where they were told to and nowhere else.
func environment(t *testing.T, i *instance) {
	other := start(t, "{}")
	for _, x := range []*instance{i, other} {
		var want []string
		for _, name := range places {
			want = append(want, x.env[name])
		}
		have := append(listening(t, x.PID()), listening(t, x.engine())...)
		slices.Sort(want)
		slices.Sort(have)
		require.Equal(t, want, have)
		require.DirExists(t, filepath.Join(x.data, "clickhouse"))
	}
	id := newID("other")
	ld, records := events()
	addValid(records, id)
	require.NoError(t, sendGRPC(other, ld))
	status, answer := postSegment(t, other, "/v1/track", `{"event": "Other", "userId": "u", "messageId": "`+id+`"}`)
	require.Equal(t, http.StatusOK, status, answer)
	require.Equal(t, "2", other.one(t, "SELECT count() FROM events WHERE event_id = '%s'", id))
	require.Equal(t, "0", i.one(t, "SELECT count() FROM events WHERE event_id = '%s'", id))
}

// listening returns the addresses on which a process listens.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	sockets := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil {
			sockets[target] = true
		}
	}
	var addrs []string
	for _, file := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, file))
		require.NoError(t, err)
		for _, line := range strings.Split(string(b), "\n") {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !sockets["socket:["+f[9]+"]"] {
				continue
			}
			host, port, _ := strings.Cut(f[1], ":")
			n, err := strconv.ParseUint(port, 16, 16)
			require.NoError(t, err)
			require.Equal(t, "0100007F", host, "listening on another address than 127.0.0.1")
			addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", n))
		}
	}
	return addrs
}

func metrics(t *testing.T, i *instance) {
	ld, records := events()
	addValid(records, newID("metrics"))
	addValid(records, newID("metrics")).Attributes().PutStr("country", "nowhere")
	require.NoError(t, sendGRPC(i, ld))
	i.awaitDelivered(t)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, i.url("MILLRACE_METRICS", "/metrics"), nil)
	require.NoError(t, err)
	status, text := do(t, r)
	require.Equal(t, http.StatusOK, status)
	for _, want := range []string{
		`(?m)^# TYPE otelcol_receiver_accepted_log_records`,
		`(?m)^otelcol_receiver_accepted_log_records\S*\{[^}]*receiver="otlp"[^}]*\} [1-9]`,
		`(?m)^otelcol_exporter_clickhouse_events_rows\S*\{[^}]*table="events"[^}]*\} [1-9]`,
		`(?m)^otelcol_exporter_clickhouse_events_rows\S*\{[^}]*table="failed_events"[^}]*\} [1-9]`,
		`(?m)^otelcol_processor_schema_validation_\S*\{[^}]*reason="schema_violation"[^}]*\} [1-9]`,
		`(?m)^otelcol_\S*clickhouse_engine_up\S* 1$`,
		`(?m)^otelcol_\S*clickhouse_engine_restarts\S* 0$`,
	} {
		assert.Regexp(t, want, text)
	}
}
