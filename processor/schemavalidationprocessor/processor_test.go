// SPDX-License-Identifier: Apache-2.0

package schemavalidationprocessor

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/httpingest"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/processor/schemavalidationprocessor/internal/metadata"
	"github.com/millrace/millrace/processor/schemavalidationprocessor/internal/metadatatest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// clock is the processors' time in tests.
var clock = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// testSchemas compiles testdata/schemas.
func testSchemas(tb testing.TB) []*schema.Schema {
	tb.Helper()
	files, err := filepath.Glob("testdata/schemas/*.json")
	require.NoError(tb, err)
	require.NotEmpty(tb, files)
	var schemas []*schema.Schema
	for _, name := range files {
		doc, err := os.ReadFile(name)
		require.NoError(tb, err)
		subject, version, ok := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".json"), ".v")
		require.True(tb, ok)
		s, err := schema.Compile(subject, version, doc)
		require.NoError(tb, err)
		schemas = append(schemas, s)
	}
	return schemas
}

func settings(telemetry component.TelemetrySettings) processor.Settings {
	set := processortest.NewNopSettings(metadata.Type)
	set.ID = component.MustNewID("schema_validation")
	set.TelemetrySettings = telemetry
	return set
}

// start returns a running processor.
func start(tb testing.TB, registry *testRegistry, next consumer.Logs, telemetry component.TelemetrySettings, change func(*Config)) *schemaValidation {
	tb.Helper()
	cfg := createDefaultConfig().(*Config)
	if change != nil {
		change(cfg)
	}
	require.NoError(tb, cfg.Validate())
	p, err := newProcessor(context.Background(), settings(telemetry), cfg, next)
	require.NoError(tb, err)
	p.now = func() time.Time { return clock }
	require.NoError(tb, p.Start(context.Background(), hostWith(registry)))
	tb.Cleanup(func() { assert.NoError(tb, p.Shutdown(context.Background())) })
	return p
}

// run judges one batch with the test schemas.
func run(tb testing.TB, ld plog.Logs, change func(*Config)) (plog.Logs, error) {
	tb.Helper()
	var sink consumertest.LogsSink
	p := start(tb, newTestRegistry(testSchemas(tb)...), &sink, componenttest.NewNopTelemetrySettings(), change)
	err := p.ConsumeLogs(context.Background(), ld)
	if all := sink.AllLogs(); len(all) > 0 {
		require.Len(tb, all, 1)
		return all[0], err
	}
	return plog.NewLogs(), err
}

// logsOf makes a batch of events of one resource, received at the clock's time.
func logsOf(tb testing.TB, names []string, attributes ...map[string]any) plog.Logs {
	tb.Helper()
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for i, name := range names {
		lr := records.AppendEmpty()
		lr.SetEventName(name)
		lr.SetTimestamp(pcommon.NewTimestampFromTime(clock))
		lr.SetObservedTimestamp(pcommon.NewTimestampFromTime(clock))
		if i < len(attributes) {
			require.NoError(tb, lr.Attributes().FromRaw(attributes[i]))
		}
	}
	return ld
}

// marks describes each event of a batch: its schema, its times where they are not the clock's, its failure.
func marks(ld plog.Logs) []string {
	var lines []string
	var r event.Reader
	r.Reset(event.FromLogs(ld))
	for e := r.Next(); e != nil; e = r.Next() {
		line := e.Schema + "/" + e.SchemaVersion
		if e.Received != pcommon.NewTimestampFromTime(clock) {
			line += " received " + e.Received.AsTime().Format(time.RFC3339Nano)
		}
		if e.Time != pcommon.NewTimestampFromTime(clock) {
			line += " happened " + e.Time.AsTime().Format(time.RFC3339Nano)
		}
		if e.Failed {
			f := e.Failure
			line += fmt.Sprintf(" failed stage=%s reason=%s", f.Stage, f.Reason)
			for _, kv := range [][2]string{{"pointer", f.Pointer}, {"keyword", f.Keyword}, {"schema", f.Schema}, {"processor", f.Processor}} {
				if kv[1] != "" {
					line += " " + kv[0] + "=" + kv[1]
				}
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestMarksAreAsInTheGoldenFile(t *testing.T) {
	var events []struct {
		Case, Name     string
		Time, Received *string
		Attributes     map[string]any
	}
	text, err := os.ReadFile("testdata/events.json")
	require.NoError(t, err)
	long := strings.Repeat("x", 513)
	require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(string(text), "LONG", long)), &events))

	parse := func(s *string) pcommon.Timestamp {
		switch {
		case s == nil:
			return pcommon.NewTimestampFromTime(clock)
		case *s == "":
			return 0
		}
		at, err := time.Parse(time.RFC3339Nano, *s)
		require.NoError(t, err)
		return pcommon.NewTimestampFromTime(at)
	}
	var got strings.Builder
	for _, policy := range []Policy{Accept, Fail} {
		fmt.Fprintf(&got, "unknown_events: %s\n", policy)
		ld := plog.NewLogs()
		records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
		for _, e := range events {
			lr := records.AppendEmpty()
			lr.SetEventName(e.Name)
			lr.SetTimestamp(parse(e.Time))
			lr.SetObservedTimestamp(parse(e.Received))
			for k, v := range e.Attributes {
				if f, ok := v.(float64); ok && f == float64(int64(f)) {
					e.Attributes[k] = int64(f)
				}
			}
			require.NoError(t, lr.Attributes().FromRaw(e.Attributes))
		}
		out, err := run(t, ld, func(c *Config) { c.UnknownEvents = policy })
		require.NoError(t, err)
		lines := marks(out)
		require.Len(t, lines, len(events))
		for i, line := range lines {
			fmt.Fprintf(&got, "  %s: %s\n", events[i].Case, strings.ReplaceAll(line, long, "LONG"))
		}
	}
	const golden = "testdata/marks.golden"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String())
}

func TestRefusedEventsDoNotTakeTheirNeighboursAlong(t *testing.T) {
	refuse := func(c *Config) { c.UnknownEvents = Refuse }
	page := map[string]any{"url": "https://example.com/", "title": "Home"}

	ld := logsOf(t, []string{"nowhere", "page_viewed", "nothing", "page_viewed", ""}, nil, page, map[string]any{"event.failure.stage": "x"}, page, nil)
	out, err := run(t, ld, refuse)
	assert.Equal(t, []string{"page_viewed/2", "page_viewed/2", "/ failed stage=validation reason=missing_event_name processor=schema_validation"}, marks(out))
	require.True(t, consumererror.IsPermanent(err))
	require.ErrorContains(t, err, `refused 2 of 5 events, the first "nowhere" (unknown_event); the others were accepted`)
	assert.Equal(t, 400, consumererror.ToHTTPStatus(err))
	st, ok := status.FromError(err)
	require.True(t, ok)
	assert.Equal(t, codes.InvalidArgument, st.Code())
	answer := httpingest.FromConsumer(err, time.Second)
	assert.Equal(t, 400, answer.Status, "so that a Segment SDK does not send it again")
	assert.Equal(t, `refused 2 of 5 events, the first "nowhere" (unknown_event); the others were accepted`, answer.Message)

	out, err = run(t, logsOf(t, []string{"nowhere"}), refuse)
	assert.Empty(t, marks(out))
	require.ErrorContains(t, err, "there were no others")

	out, err = run(t, logsOf(t, []string{"page_viewed"}, page), refuse)
	require.NoError(t, err)
	assert.Len(t, marks(out), 1)

	out, err = run(t, logsOf(t, []string{"page_viewed", "page_viewed"}, page, map[string]any{"event.schema.version": "7"}), refuse)
	assert.Len(t, marks(out), 1)
	assert.ErrorContains(t, err, "unknown_schema_version")
}

func TestAnErrorBehindComesBeforeARefusal(t *testing.T) {
	busy := consumererror.NewRetryableError(fmt.Errorf("busy"))
	p := start(t, newTestRegistry(testSchemas(t)...), consumertest.NewErr(busy), componenttest.NewNopTelemetrySettings(), func(c *Config) { c.UnknownEvents = Refuse })
	err := p.ConsumeLogs(context.Background(), logsOf(t, []string{"nowhere", "page_viewed"}))
	assert.Equal(t, busy, err, "the sender is to send all of it again")
}

func TestInvalidTextFailsWithItsPlace(t *testing.T) {
	const bad = "a\xffb"
	f := func(attributes map[string]any, want string) {
		t.Helper()
		out, err := run(t, logsOf(t, []string{"seen_nowhere", "page_viewed"}, attributes, map[string]any{"event.schema.version": "1", "url": "x"}), nil)
		require.NoError(t, err)
		got := marks(out)
		assert.Equal(t, "/ failed stage=validation reason=invalid_utf8"+want+" processor=schema_validation", got[0])
		assert.Equal(t, "page_viewed/1", got[1], "the neighbour is not lost")
	}
	f(map[string]any{"a": bad}, " pointer=/a")
	f(map[string]any{bad: 1}, " pointer=/a\uFFFDb")
	f(map[string]any{"a": map[string]any{"b": []any{"x", map[string]any{"c/d": bad}}}}, " pointer=/a/b/1/c~1d")
	f(map[string]any{"user.id": bad}, "")
	f(map[string]any{"segment.context": bad}, "")

	ld := logsOf(t, []string{bad})
	out, err := run(t, ld, nil)
	require.NoError(t, err)
	assert.Contains(t, marks(out)[0], "invalid_utf8")

	ld = logsOf(t, []string{"a", "b"})
	ld.ResourceLogs().At(0).Resource().Attributes().PutStr("host.name", bad)
	logsOf(t, []string{"c"}).ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
	out, err = run(t, ld, nil)
	require.NoError(t, err)
	got := marks(out)
	assert.Contains(t, got[0], "invalid_utf8")
	assert.Contains(t, got[1], "invalid_utf8")
	assert.Equal(t, "/", got[2], "another resource is no concern")
}

func TestTooManyPropertiesFailTheOneEventOnly(t *testing.T) {
	many := func(n int, prefix string) map[string]any {
		m := map[string]any{}
		for i := range n {
			m[fmt.Sprintf("%s%d", prefix, i)] = i
		}
		return m
	}
	f := func(attributes map[string]any, want string) {
		t.Helper()
		out, err := run(t, logsOf(t, []string{"a", "b"}, attributes), nil)
		require.NoError(t, err)
		assert.Equal(t, want, marks(out)[0])
		assert.Equal(t, "/", marks(out)[1])
	}
	const failed = "/ failed stage=validation reason=too_many_properties processor=schema_validation"
	f(many(10_000, "p"), failed)
	f(many(1001, "p"), failed)
	f(many(1000, "p"), "/")
	f(map[string]any{"a": many(1000, "p")}, failed)
	f(map[string]any{"a": many(999, "p")}, "/")
	f(map[string]any{"a": []any{many(900, "p"), many(900, "q")}}, "/")
	f(map[string]any{"a": []any{many(1001, "p")}}, failed)

	// 10,000 distinct names over a batch are nothing special.
	var names []string
	var attributes []map[string]any
	for i := range 1000 {
		names, attributes = append(names, "e"), append(attributes, many(10, fmt.Sprintf("e%d_", i)))
	}
	out, err := run(t, logsOf(t, names, attributes...), nil)
	require.NoError(t, err)
	for _, line := range marks(out) {
		assert.Equal(t, "/", line)
	}
}

func TestTooDeepValuesFail(t *testing.T) {
	nest := func(levels int) map[string]any {
		var v any = 1
		for i := range levels {
			if v = map[string]any{"n": v}; i%2 == 1 {
				v = []any{v.(map[string]any)["n"]}
			}
		}
		return map[string]any{"deep": v}
	}
	out, err := run(t, logsOf(t, []string{"a", "b", "c"}, nest(event.MaxDepth-1), nest(event.MaxDepth), nest(5_000)), nil)
	require.NoError(t, err)
	got := marks(out)
	assert.Equal(t, "/", got[0])
	assert.Equal(t, "/", got[1])
	assert.Equal(t, "/ failed stage=validation reason=too_deep pointer=/deep processor=schema_validation", got[2])

	out, err = run(t, logsOf(t, []string{"a"}, nest(event.MaxDepth+1)), nil)
	require.NoError(t, err)
	assert.Contains(t, marks(out)[0], "too_deep")
}

func TestAnEmptyBatchPasses(t *testing.T) {
	_, err := run(t, plog.NewLogs(), func(c *Config) { c.UnknownEvents = Refuse })
	require.NoError(t, err)
}

func TestMetricsCountByOutcomeReasonAndSchema(t *testing.T) {
	telemetry := componenttest.NewTelemetry()
	defer func() { require.NoError(t, telemetry.Shutdown(context.Background())) }()
	var sink consumertest.LogsSink
	p := start(t, newTestRegistry(testSchemas(t)...), &sink, telemetry.NewTelemetrySettings(), func(c *Config) { c.UnknownEvents = Refuse })
	page := map[string]any{"url": "https://example.com/", "title": "Home"}
	for range 2 {
		_ = p.ConsumeLogs(context.Background(), logsOf(t,
			[]string{"page_viewed", "made_up_by_a_producer", "page_viewed", "page_viewed", "", "page_viewed"},
			page, nil, page, map[string]any{"url": 1}, nil, map[string]any{"event.failure.stage": "receive"}))
	}
	point := func(n int64, kv ...attribute.KeyValue) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(kv...)}
	}
	outcome := func(s string) attribute.KeyValue { return attribute.String("outcome", s) }
	reason := func(s string) attribute.KeyValue { return attribute.String("reason", s) }
	page2 := attribute.String("schema", "page_viewed/2")
	metadatatest.AssertEqualProcessorSchemaValidationEvents(t, telemetry, []metricdata.DataPoint[int64]{
		point(4, outcome("valid"), page2),
		point(2, outcome("failed"), reason("schema_violation"), page2),
		point(2, outcome("failed"), reason("missing_event_name")),
		point(2, outcome("refused"), reason("unknown_event")),
		point(2, outcome("passed")),
	}, metricdatatest.IgnoreTimestamp())

	items, err := telemetry.GetMetric("otelcol_processor_outgoing_items")
	require.NoError(t, err)
	assert.Equal(t, int64(10), items.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
}

func TestStartNamesTheRegistryAndTheMend(t *testing.T) {
	f := func(host component.Host, want string) {
		t.Helper()
		p, err := newProcessor(context.Background(), settings(componenttest.NewNopTelemetrySettings()), createDefaultConfig().(*Config), consumertest.NewNop())
		require.NoError(t, err)
		require.EqualError(t, p.Start(context.Background(), host), want)
		require.NoError(t, p.Shutdown(context.Background()))
	}
	f(componenttest.NewNopHost(), `registry: "schema_registry" is no extension of this collector; define it under extensions and list it under service::extensions`)
	f(hostWith(struct {
		component.StartFunc
		component.ShutdownFunc
	}{}), `registry: extension "schema_registry" has no schemas; name a schema_registry extension`)
}

func TestConfigNamesFieldValueAndMend(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		require.NoError(t, cfg.Validate())
		change(cfg)
		assert.EqualError(t, cfg.Validate(), want)
	}
	f(func(c *Config) { c.Registry = component.ID{} }, "registry: is empty; name the extension that has the schemas, such as schema_registry")
	f(func(c *Config) { c.UnknownEvents = "drop" }, `unknown_events: "drop" must be accept, fail or refuse`)
	f(func(c *Config) { c.EventTime.Earliest = time.Time{} }, "event_time::earliest: 0001-01-01T00:00:00Z must be between 1970-01-01T00:00:00Z and 2100-12-31T23:59:59Z")
	f(func(c *Config) { c.EventTime.MaxFutureSkew = -1 }, "event_time::max_future_skew: -1ns must be from 0s to 878400h0m0s")
	f(func(c *Config) { c.MaxProperties = 0 }, "max_properties: 0 must be from 1 to 100000")
	f(func(c *Config) { c.MaxNameLength = -1 }, "max_name_length: -1 must be from 1 to 65536")
	f(func(c *Config) { c.MaxIDLength = 1 << 20 }, "max_id_length: 1048576 must be from 1 to 65536")
}

func TestConfigIsReadFromYAML(t *testing.T) {
	cm, err := confmaptest.LoadConf("testdata/config.yaml")
	require.NoError(t, err)
	for _, name := range []string{"schema_validation", "schema_validation/quoted"} {
		sub, err := cm.Sub(name)
		require.NoError(t, err)
		cfg := createDefaultConfig().(*Config)
		require.NoError(t, sub.Unmarshal(cfg))
		require.NoError(t, cfg.Validate())
		assert.Equal(t, &Config{
			Registry: component.MustNewIDWithName("schema_registry", "shop"), UnknownEvents: Refuse,
			EventTime:     EventTimeConfig{Earliest: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), MaxFutureSkew: time.Hour},
			MaxProperties: 10, MaxNameLength: 20, MaxIDLength: 30,
		}, cfg)
	}
}
