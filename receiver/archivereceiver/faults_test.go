// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/schema"
)

// shapes are events of versions of one schema, "shape".
func shapes(t testing.TB, events ...[2]string) plog.Logs {
	t.Helper()
	logs := plog.NewLogs()
	records := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for i, e := range events {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(e[1]), &m))
		r := records.AppendEmpty()
		require.NoError(t, r.Attributes().FromRaw(m))
		r.SetEventName("shape")
		r.SetTimestamp(pcommon.Timestamp(1_800_000_000_000_000_000))
		r.SetObservedTimestamp(pcommon.Timestamp(1_800_000_000_000_000_000))
		r.Attributes().PutStr("log.record.uid", fmt.Sprintf("%04d", i))
		r.Attributes().PutStr("event.schema", "shape")
		r.Attributes().PutStr("event.schema.version", e[0])
	}
	return logs
}

func versions(t testing.TB, docs ...string) *schema.Snapshot {
	t.Helper()
	var schemas []*schema.Schema
	for i, doc := range docs {
		s, err := schema.Compile("shape", fmt.Sprint(i+1), []byte(doc))
		require.NoError(t, err)
		schemas = append(schemas, s)
	}
	snap, err := schema.NewSnapshot(1, schemas)
	require.NoError(t, err)
	return snap
}

func TestAPropertyThatVersionsHaveInOtherColumnsComesBack(t *testing.T) {
	f := func(first, second string, events ...[2]string) {
		t.Helper()
		snap := versions(t, `{"type":"object","properties":{`+first+`}}`, `{"type":"object","properties":{`+second+`}}`)
		logs := shapes(t, events...)
		w := newWorld(t, lake(t, snap, logs, 100))
		w.run()
		got, _ := w.sink.all()
		require.Equal(t, stories(t, logs, true, all), stories(t, got, true, all))
	}
	f(`"total":{"type":"integer"}`, `"total":{"type":"string","x-column":{"name":"total_text"}}`, [2]string{"1", `{"total":7}`}, [2]string{"2", `{"total":"seven"}`}, [2]string{"1", `{}`})
	f(`"tags":{"type":"string"}`, `"tags":{"type":"array","items":{"type":"string"},"x-column":{"name":"tag_list"}}`, [2]string{"1", `{"tags":"a b"}`}, [2]string{"2", `{"tags":["a","b"]}`})
	f(`"items":{"type":"string"}`, `"items":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}}`, [2]string{"1", `{"items":"a"}`}, [2]string{"2", `{"items":[{"sku":"b"}]}`})
	f(`"items":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}}`, `"items":{"type":"string"}`, [2]string{"1", `{"items":[{"sku":"b"}]}`}, [2]string{"2", `{"items":"a"}`})
	f(`"items":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}}`, `"items":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"integer","x-column":{"name":"sku_number"}}}}}`,
		[2]string{"1", `{"items":[{"sku":"b"}]}`}, [2]string{"2", `{"items":[{"sku":1},{}]}`})
	f(`"a":{"type":"string"}`, `"a":{"type":"object","properties":{"b":{"type":"string"}}}`, [2]string{"1", `{"a":"x"}`}, [2]string{"2", `{"a":{"b":"y"}}`})
}

func TestRowsBeforeTheDamageAreRead(t *testing.T) {
	snap := versions(t, `{"type":"object","properties":{"n":{"type":"integer"}}}`)
	var events [][2]string
	for i := range 1000 {
		events = append(events, [2]string{"1", fmt.Sprintf(`{"n":%d}`, i)})
	}
	logs := shapes(t, events...)
	files := lake(t, snap, logs, 100) // of ten row groups
	for key, b := range files {
		for i := range 400 { // data pages of one in the middle
			b[len(b)/4+i] ^= 0xff
		}
		files[key] = b
	}
	w := newWorld(t, files)
	w.run()
	w.counted("otelcol_receiver_archive_skipped_files", fileCorrupt, 1)
	got, times := w.sink.all()
	require.GreaterOrEqual(t, len(times), 100)
	require.Less(t, len(times), 1000)
	want, back := stories(t, logs, true, all), stories(t, got, true, all)
	for id := range back {
		require.Equal(t, want[id], back[id])
	}
}
