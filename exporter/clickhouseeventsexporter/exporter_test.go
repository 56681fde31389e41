// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-faster/jx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/enginetest"
)

// everyType declares one property of each type that a column can have.
const everyType = `{
  "type": "object",
  "properties": {
    "text": {"type": "string"},
    "low": {"type": "string", "x-low-cardinality": true},
    "int": {"type": "integer"},
    "i8": {"type": "integer", "x-column": "Int8"},
    "u64": {"type": "integer", "x-column": "UInt64"},
    "float": {"type": "number"},
    "f32": {"type": "number", "x-column": "Float32"},
    "money": {"type": "number", "x-column": "Decimal(18, 2)"},
    "huge": {"type": "string", "x-column": "Decimal(38, 10)"},
    "flag": {"type": "boolean"},
    "at": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "uid": {"type": "string", "format": "uuid"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "numbers": {"type": "array", "items": {"type": "integer"}},
    "address": {"type": "object", "properties": {
      "city": {"type": "string"},
      "lines": {"type": "array", "items": {"type": "string"}},
      "codes": {"type": "array", "items": {"type": "string"}}}},
    "products": {"type": "array", "items": {"type": "object", "properties": {
      "sku": {"type": "string"}, "price": {"type": "number"},
      "size": {"type": "object", "properties": {"width": {"type": "integer"}}}}}},
    "Order ID": {"type": "string"},
    "naïve 'quoted' name": {"type": "string"}
  }
}`

// add appends an event with properties given as JSON.
func add(t testing.TB, b *event.Builder, name, id, properties string) event.Draft {
	t.Helper()
	d := b.Add()
	d.SetName(name)
	d.SetID(id)
	d.SetTime(pcommon.NewTimestampFromTime(someTime))
	d.SetReceived(pcommon.NewTimestampFromTime(someTime.Add(time.Second)))
	require.NoError(t, d.PutJSONProperties(jx.DecodeStr(properties)))
	return d
}

func addTyped(t testing.TB, b *event.Builder, id, properties string) event.Draft {
	t.Helper()
	d := add(t, b, "every", id, properties)
	d.SetSchema("every", "1")
	return d
}

func TestEveryTypeReadsBackAsItWasSent(t *testing.T) {
	x := newTestExporter(t, map[string]string{"every": everyType}, nil)
	b := event.NewBuilder("acme", "web", "test")
	addTyped(t, b, "none", `{}`)
	addTyped(t, b, "all", `{
		"text": "grüße 'x' \\ \u0000 end", "low": "a", "int": -9223372036854775808, "i8": -128, "u64": 7, "float": 0.1, "f32": 1.5,
		"money": 19.99, "huge": "-1234567890123456789012345678.0123456789", "flag": true,
		"at": "2026-02-03T04:05:06.123456789+01:00", "day": "2026-02-03", "uid": "0198c5f0-1234-7abc-8def-0123456789ab",
		"tags": ["x", null, ""], "numbers": [1, 2, 3],
		"address": {"city": "Köln", "lines": ["a", "b"], "codes": ["c"], "planet": "Erde"},
		"products": [{"sku": "s1", "price": 1.5, "size": {"width": 3, "depth": 9}}, {"price": 2, "gift": true}, {}],
		"Order ID": "o-1", "naïve 'quoted' name": "q", "undeclared": {"deep": [1, "two"]}, "dotted.key": 5}`)
	addTyped(t, b, "nulls", `{"text": null, "int": null, "tags": null, "products": [], "address": {"city": null}, "money": null}`)
	x.send(t, b)

	f := func(id, expression, want string) {
		t.Helper()
		assert.Equal(t, want, x.engine.Query(fmt.Sprintf("SELECT %s FROM events WHERE event_id = '%s'", expression, id)), expression)
	}
	f("all", "text", `grüße \'x\' \\ \0 end`)
	f("all", "low", "a")
	f("all", "int, i8, u64", "-9223372036854775808\t-128\t7")
	f("all", "float, f32", "0.1\t1.5")
	f("all", "money, huge", "19.99\t-1234567890123456789012345678.0123456789")
	f("all", "flag", "true")
	f("all", "at, day", "2026-02-03 03:05:06.123456789\t2026-02-03")
	f("all", "uid", "0198c5f0-1234-7abc-8def-0123456789ab")
	f("all", "tags, numbers", "['x',NULL,'']\t[1,2,3]")
	f("all", "address.city, address_lines, address_codes", "Köln\t['a','b']\t['c']")
	f("all", "products.sku, products.price, products.size.width", "['s1',NULL,NULL]\t[1.5,2,NULL]\t[3,NULL,NULL]")
	f("all", "`Order ID`, `naïve 'quoted' name`", "o-1\tq")
	f("all", "properties.address.planet, properties.dotted.key, properties.undeclared.deep", "Erde\t5\t[1,'two']")
	f("all", "properties.products[2].gift, properties.products[1].size.depth", "true\t9")
	for _, id := range []string{"none", "nulls"} {
		f(id, "text, low, int, float, money, flag, at, day, uid", strings.TrimSuffix(strings.Repeat("\\N\t", 9), "\t"))
		f(id, "tags, address.city, products.sku, toString(properties)", "[]\t\\N\t[]\t{}")
	}
	f("all", "event_name, event_time, received_time, tenant_id, source, schema_name, schema_version",
		"every\t2026-11-01 12:00:00.123456789\t2026-11-01 12:00:01.123456789\tacme\tweb\tevery\t1")
	f("all", "user_id, anonymous_id, session_id, trace_id, span_id", "\\N\t\\N\t\\N\t\t")
	f("all", "resource", `{"tenant.id":"acme","event.source":"web","otel.scope.name":"test"}`)
	assert.Equal(t, "0", x.engine.Query("SELECT count() FROM failed_events"))
}

func TestValuesOutOfAColumnsRangeFailTheEventAlone(t *testing.T) {
	x := newTestExporter(t, map[string]string{"every": everyType}, nil)
	b := event.NewBuilder("acme", "web", "test")
	wants := map[string]string{}
	f := func(properties, reason, pointer string) {
		t.Helper()
		bad := fmt.Sprintf("bad-%02d", len(wants))
		addTyped(t, b, "good"+bad, `{"text": "good", "tags": ["a"], "products": [{"sku": "s"}], "money": 1}`)
		addTyped(t, b, bad, properties)
		wants[bad] = reason + "\t" + pointer
	}
	f(`{"text": "x", "i8": 128}`, "out_of_range", "/i8")
	f(`{"i8": -129}`, "out_of_range", "/i8")
	f(`{"int": 9223372036854775808.0}`, "out_of_range", "/int")
	f(`{"int": 1.5}`, "type_mismatch", "/int")
	f(`{"int": "1"}`, "type_mismatch", "/int")
	f(`{"u64": -1}`, "out_of_range", "/u64")
	f(`{"float": 9007199254740993}`, "precision_loss", "/float")
	f(`{"f32": 1e300}`, "out_of_range", "/f32")
	f(`{"money": 0.001}`, "precision_loss", "/money")
	f(`{"money": 1e17}`, "out_of_range", "/money")
	f(`{"huge": "twelve"}`, "unreadable_format", "/huge")
	f(`{"huge": "123456789012345678901234567890"}`, "out_of_range", "/huge")
	f(`{"at": "1812-01-01T00:00:00Z"}`, "out_of_range", "/at")
	f(`{"at": "2300-01-01T00:00:00Z"}`, "out_of_range", "/at")
	f(`{"at": "2026-01-01T00:00:00.0000000001Z"}`, "precision_loss", "/at")
	f(`{"at": "yesterday"}`, "unreadable_format", "/at")
	f(`{"day": "2026-02-30"}`, "unreadable_format", "/day")
	f(`{"day": "0001-01-01"}`, "out_of_range", "/day")
	f(`{"uid": "0198c5f0"}`, "unreadable_format", "/uid")
	f(`{"flag": 1}`, "type_mismatch", "/flag")
	f(`{"text": "x", "tags": ["a", "b", 3]}`, "type_mismatch", "/tags")
	f(`{"products": [{"sku": "a"}, {"sku": 2}]}`, "type_mismatch", "/products/1/sku")
	f(`{"products": [{"size": 2}]}`, "type_mismatch", "/products/0/size")
	f(`{"products": 1}`, "type_mismatch", "/products")
	f(`{"address": "here"}`, "type_mismatch", "/address")
	f(`{"address": {"city": 1}}`, "type_mismatch", "/address/city")
	f(`{"a.b": 1, "a": {"b": 2}}`, "duplicate_path", "")
	f(`{"x": {"a.b": 1, "a": {"b": 2}}}`, "duplicate_path", "")
	f(`{"x": [{"a.b": 1, "a": {"b": 2}}]}`, "duplicate_path", "")
	x.send(t, b)

	for id, want := range wants {
		assert.Equal(t, want, x.engine.Query("SELECT reason, pointer FROM failed_events WHERE stage = 'export' AND event_id = '"+id+"'"), id)
	}
	n := fmt.Sprint(len(wants))
	assert.Equal(t, n, x.engine.Query("SELECT count() FROM failed_events"))
	assert.Equal(t, n+"\t"+n, x.engine.Query("SELECT count(), countIf(text = 'good' AND tags = ['a'] AND products.sku = ['s'] AND money = 1) FROM events"))
	assert.Equal(t, "acme", x.engine.Query("SELECT DISTINCT JSONExtractString(raw, 'resource', 'tenant.id') FROM failed_events"))
}

func TestFailedEventsKeepTheirWholeContent(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	b := event.NewBuilder("acme", "web", "test")
	d := add(t, b, "order", "e-1", `{"total": "much", "nested": {"a": [1]}}`)
	d.SetUserID("u-1")
	d.SetSchema("order", "1")
	d.Fail(event.Failure{Stage: event.StageValidation, Reason: "schema_violation", Pointer: "/total", Keyword: "type", Schema: "order/1", Processor: "schema_validation"})
	x.send(t, b)
	assert.Equal(t, "e-1\torder\tvalidation\tschema_violation\t/total\ttype\torder\t1\tschema_validation\tacme\tweb\t2026-11-01 12:00:01.123456789",
		x.engine.Query("SELECT event_id, event_name, stage, reason, pointer, keyword, schema_name, schema_version, processor, tenant_id, source, received_time FROM failed_events"))
	assert.JSONEq(t, `{"event_name":"order","event_id":"e-1","event_time":"2026-11-01T12:00:00.123456789Z","received_time":"2026-11-01T12:00:01.123456789Z",
		"user_id":"u-1","schema_name":"order","schema_version":"1","resource":{"tenant.id":"acme","event.source":"web","otel.scope.name":"test"},
		"properties":{"total":"much","nested":{"a":[1]}}}`, x.engine.Query("SELECT raw FROM failed_events FORMAT TSVRaw"))
	assert.Equal(t, "0", x.engine.Query("SELECT count() FROM events"))
}

func TestColumnsAreAddedWhenASchemaAddsAProperty(t *testing.T) {
	x := newTestExporter(t, map[string]string{"a": `{"type":"object","properties":{"one":{"type":"string"}}}`}, nil)
	b := event.NewBuilder("t", "s", "test")
	add(t, b, "a", "1", `{"one":"x","two":7}`).SetSchema("a", "1")
	x.send(t, b)
	x.registry.set(t, map[string]string{
		"a": `{"type":"object","properties":{"one":{"type":"string"}, "two":{"type":"integer"}}}`,
		"b": `{"type":"object","properties":{"one":{"type":"string"}, "three":{"type":"array","items":{"type":"boolean"}}}}`,
	})
	b = event.NewBuilder("t", "s", "test")
	add(t, b, "a", "2", `{"one":"y","two":8}`).SetSchema("a", "1")
	add(t, b, "b", "3", `{"one":"z","three":[true]}`).SetSchema("b", "1")
	add(t, b, "c", "4", `{"one":"w"}`) // no schema: its property is not the declared one
	x.send(t, b)
	assert.Equal(t, "1\tx\t\\N\t[]\t7\n2\ty\t8\t[]\t\\N\n3\tz\t\\N\t[true]\t\\N\n4\t\\N\t\\N\t[]\t\\N",
		x.engine.Query("SELECT event_id, one, two, three, properties.two FROM events ORDER BY event_id"))
	assert.Equal(t, "w", x.engine.Query("SELECT properties.one FROM events WHERE event_id = '4'"))
}

func TestTenThousandPropertyNamesInABatchAreStored(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	b := event.NewBuilder("t", "s", "test")
	for i := range 100 {
		var doc strings.Builder
		for j := range 100 {
			fmt.Fprintf(&doc, `,"name %d %d":%d`, i, j, j)
		}
		add(t, b, "wide", fmt.Sprint(i), "{"+doc.String()[1:]+"}")
	}
	x.send(t, b)
	assert.Equal(t, "100\t10000\t495000", x.engine.Query(
		"SELECT count(), sum(length(JSONAllPaths(properties))), sum(arraySum(arrayMap(v -> toUInt32(v), extractAll(toString(properties), ':\"?(\\\\d+)')))) FROM events"))
}

func TestAbsurdTimesFailTheEventAlone(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	b := event.NewBuilder("t", "s", "test")
	add(t, b, "ok", "1", `{}`)
	add(t, b, "far", "2", `{}`).SetTime(1<<63 - 1)
	add(t, b, "never", "3", `{}`).SetTime(1 << 63)
	add(t, b, "epoch", "4", `{}`).SetTime(1)
	none := add(t, b, "none", "5", `{}`)
	none.SetTime(0)
	x.send(t, b)
	assert.Equal(t, "1\n4\n5", x.engine.Query("SELECT event_id FROM events ORDER BY event_id"))
	assert.Equal(t, "2026-11-01 12:00:01.123456789", x.engine.Query("SELECT event_time FROM events WHERE event_id = '5'"))
	assert.Equal(t, "2\tevent_time_out_of_range\n3\tevent_time_out_of_range",
		x.engine.Query("SELECT event_id, reason FROM failed_events ORDER BY event_id"))
}

func TestTheServersRefusalOfOneRowLetsItsNeighboursIn(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	x.engine.Exec("ALTER TABLE events ADD CONSTRAINT no_poison CHECK event_name != 'poison'")
	b := event.NewBuilder("t", "s", "test")
	for i := range 50 {
		name := "ok"
		if i == 0 || i == 31 || i == 49 {
			name = "poison"
		}
		add(t, b, name, fmt.Sprint(i), `{}`)
	}
	bad := add(t, b, "marked", "50", `{}`)
	bad.Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
	x.send(t, b)
	assert.Equal(t, "47\t47", x.engine.Query("SELECT count(), uniqExact(event_id) FROM events"))
	assert.Equal(t, "0\trefused_by_server\t1\n31\trefused_by_server\t1\n49\trefused_by_server\t1\n50\tx\t0",
		x.engine.Query("SELECT event_id, reason, error LIKE '%no_poison%' FROM failed_events ORDER BY toUInt32(event_id)"))
}

func TestABisectionThatIsCutShortLeavesOnlyWhatIsNotStored(t *testing.T) {
	x := newTestExporter(t, nil, nil, enginetest.WithSettings(map[string]string{"allow_custom_error_code_in_throwif": "1"}))
	x.engine.Exec("ALTER TABLE events ADD CONSTRAINT no_poison CHECK event_name != 'poison'")
	const memoryLimit = 241 // an error that a retry can mend
	x.engine.Exec(fmt.Sprintf("ALTER TABLE events ADD CONSTRAINT room CHECK throwIf(event_name = 'heavy', 'no room', toInt16(%d)) = 0", memoryLimit))
	b := event.NewBuilder("t", "s", "test")
	for i, name := range []string{"ok", "poison", "ok", "ok", "ok", "ok", "ok", "heavy"} {
		add(t, b, name, fmt.Sprint(i), `{}`)
	}
	err := x.ConsumeLogs(t.Context(), b.Batch().Logs())
	var partial consumererror.Logs
	require.ErrorAs(t, err, &partial)
	require.False(t, consumererror.IsPermanent(err))
	left := partial.Data()
	require.Equal(t, 5, left.LogRecordCount(), "the refused one and the half that had no room")

	x.engine.Exec("ALTER TABLE events DROP CONSTRAINT room")
	require.NoError(t, x.ConsumeLogs(t.Context(), left))
	assert.Equal(t, "7\t7", x.engine.Query("SELECT count(), uniqExact(event_id) FROM events"))
	assert.Equal(t, "1", x.engine.Query("SELECT event_id FROM failed_events"))
}

func TestADroppedTableIsMadeAgain(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	for _, table := range []string{"events", "failed_events"} {
		x.engine.Exec("DROP TABLE " + table + " SYNC")
		b := event.NewBuilder("t", "s", "test")
		add(t, b, "a", table, `{}`)
		add(t, b, "b", table, `{}`).Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
		err := x.ConsumeLogs(t.Context(), b.Batch().Logs())
		require.Error(t, err, "the first attempt finds it gone")
		require.False(t, consumererror.IsPermanent(err))
		again := b.Batch().Logs()
		var partial consumererror.Logs
		if assert.Equal(t, table == "failed_events", errors.As(err, &partial)) && table == "failed_events" {
			again = partial.Data()
			require.Equal(t, 1, again.LogRecordCount(), "only what is not stored comes again")
		}
		require.NoError(t, x.ConsumeLogs(t.Context(), again))
		assert.Equal(t, "1\t1", x.engine.Query("SELECT (SELECT count() FROM events WHERE event_id = '"+table+"'), (SELECT count() FROM failed_events WHERE event_id = '"+table+"')"))
	}
}

func TestAColumnOfAnotherTypeStopsNobody(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	x.engine.Exec("ALTER TABLE events ADD COLUMN price String, ADD COLUMN `items.n` Array(String)")
	x.registry.set(t, map[string]string{"a": `{"type":"object","properties":{"price":{"type":"number"},"name":{"type":"string"},
		"items":{"type":"array","items":{"type":"object","properties":{"n":{"type":"integer"},"m":{"type":"integer"}}}}}}`})
	b := event.NewBuilder("t", "s", "test")
	add(t, b, "a", "1", `{"price":1.5,"name":"x","items":[{"n":1,"m":2}]}`).SetSchema("a", "1")
	x.send(t, b)
	assert.Equal(t, "\t1.5\tx\t1\t[2]\t['']", x.engine.Query("SELECT price, properties.price, name, properties.items[1].n, items.m, items.n FROM events"),
		"its values are kept with the undeclared")
	x.engine.Exec("ALTER TABLE events DROP COLUMN price")
	x.engine.Exec("DROP TABLE failed_events SYNC") // makes the exporter look at the tables again
	b = event.NewBuilder("t", "s", "test")
	add(t, b, "a", "2", `{}`).Fail(event.Failure{Stage: event.StageValidation})
	require.Error(t, x.ConsumeLogs(t.Context(), b.Batch().Logs()))
	b = event.NewBuilder("t", "s", "test")
	add(t, b, "a", "3", `{"price":1.5}`).SetSchema("a", "1")
	x.send(t, b)
	assert.Equal(t, "1.5", x.engine.Query("SELECT price FROM events WHERE event_id = '3'"))
}

func TestAnEnvelopeColumnOfAnotherTypeIsAClearError(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	x.engine.Exec("DROP TABLE events SYNC")
	x.engine.Exec("CREATE TABLE events (event_id UInt64) ENGINE = MergeTree ORDER BY event_id")
	b := event.NewBuilder("t", "s", "test")
	add(t, b, "a", "1", `{}`)
	ld := b.Batch().Logs()
	require.Error(t, x.ConsumeLogs(t.Context(), ld))
	err := x.ConsumeLogs(t.Context(), ld)
	require.ErrorContains(t, err, "column `event_id` of analytics.events is UInt64 but must be String: change the column, or name another table")
	require.False(t, consumererror.IsPermanent(err), "the pipeline waits until it is mended")
}

func TestAnOutageIsRetryableAndHeals(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	b := event.NewBuilder("t", "s", "test")
	add(t, b, "a", "1", `{}`)
	x.send(t, b)
	x.engine.Kill()
	b = event.NewBuilder("t", "s", "test")
	add(t, b, "a", "2", `{}`)
	ld := b.Batch().Logs()
	err := x.ConsumeLogs(t.Context(), ld)
	require.Error(t, err)
	require.False(t, consumererror.IsPermanent(err))
	x.engine.Restart()
	require.NoError(t, x.ConsumeLogs(t.Context(), ld))
	assert.Equal(t, "1\n2", x.engine.Query("SELECT event_id FROM events ORDER BY event_id"))
}

func TestCompressions(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	for _, compression := range []string{"zstd", "none", "lz4"} {
		x.cfg.Compression = compression
		x.engine.Kill() // no connection of the last compression is left
		x.engine.Restart()
		b := event.NewBuilder("t", "s", "test")
		add(t, b, compression, "1", `{"text":"`+strings.Repeat("x", 1000)+`"}`)
		require.Eventually(t, func() bool { return x.ConsumeLogs(t.Context(), b.Batch().Logs()) == nil }, time.Minute, 50*time.Millisecond)
		assert.Equal(t, "1", x.engine.Query("SELECT count() FROM events WHERE event_name = '"+compression+"'"))
	}
}
