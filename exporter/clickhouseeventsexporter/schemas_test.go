// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
)

func TestSchemasWithDifferentMembersOfOneArrayShareABatch(t *testing.T) {
	x := newTestExporter(t, map[string]string{
		"a": `{"type":"object","properties":{"products":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}}}}`,
		"b": `{"type":"object","properties":{"products":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"}}}}}}`,
	}, nil)
	b := event.NewBuilder("t", "s", "test")
	for i := range 200 {
		add(t, b, "a", fmt.Sprint("a", i), `{"products":[{"sku":"1"},{"sku":"2"}]}`).SetSchema("a", "1")
		add(t, b, "b", fmt.Sprint("b", i), `{"products":[{"name":"n"}, null]}`).SetSchema("b", "1")
		add(t, b, "b", fmt.Sprint("c", i), `{}`).SetSchema("b", "1")
	}
	x.send(t, b)
	assert.Equal(t, "0", x.engine.Query("SELECT count() FROM failed_events"))
	assert.Equal(t, "['1','2']\t[NULL,NULL]\t200\n[NULL,NULL]\t['n',NULL]\t200\n[]\t[]\t200",
		x.engine.Query("SELECT products.sku, products.name, count() FROM events GROUP BY 1, 2 ORDER BY min(event_id)"))
}

func TestADictionaryColumnStaysOneWhenSchemasDisagree(t *testing.T) {
	low := `{"type":"object","properties":{"currency":{"type":"string","x-low-cardinality":true}}}`
	plain := `{"type":"object","properties":{"currency":{"type":"string"}}}`
	for _, first := range []string{low, plain} {
		x := newTestExporter(t, map[string]string{"a": first}, nil)
		x.registry.set(t, map[string]string{"a": low, "b": plain})
		b := event.NewBuilder("t", "s", "test")
		add(t, b, "a", "1", `{"currency":"EUR"}`).SetSchema("a", "1")
		add(t, b, "b", "2", `{"currency":"USD"}`).SetSchema("b", "1")
		x.send(t, b)
		assert.Equal(t, "EUR\nUSD", x.engine.Query("SELECT currency FROM events ORDER BY event_id"))
	}
}

func TestARecordsOwnFieldsDoNotHideProperties(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	b := event.NewBuilder("t", "s", "test")
	add(t, b, "a", "1", `{"body":"property","severity_text":"high"}`).SetBody("text")
	add(t, b, "a", "2", `{"session":{"previous_id":"p"}}`).Put("session.previous_id", "q")
	add(t, b, "a", "3", `{"log":{"body":"p"}}`).SetBody("q")
	x.send(t, b)
	assert.JSONEq(t, `{"body":"property","log":{"body":"text"},"severity_text":"high"}`, x.engine.Query("SELECT properties FROM events WHERE event_id = '1'"))
	assert.Equal(t, "2\tduplicate_path\n3\tduplicate_path", x.engine.Query("SELECT event_id, reason FROM failed_events ORDER BY event_id"))
}

func TestTimesBeyondSignedOnesAreOutOfRange(t *testing.T) {
	x := newTestExporter(t, nil, nil)
	b := event.NewBuilder("t", "s", "test")
	for i, at := range []pcommon.Timestamp{1<<64 - 1, 1 << 63, 1<<63 - 1} {
		add(t, b, "a", fmt.Sprint(i), `{}`).SetTime(at)
		add(t, b, "a", fmt.Sprint(i+10), `{}`).SetReceived(at)
	}
	x.send(t, b)
	assert.Equal(t, "6", x.engine.Query("SELECT count() FROM failed_events WHERE reason = 'event_time_out_of_range'"))
}

func TestDatesOfRFC3339sSmallLettersAreRead(t *testing.T) {
	x := newTestExporter(t, map[string]string{"every": everyType}, nil)
	b := event.NewBuilder("t", "s", "test")
	addTyped(t, b, "1", `{"at":"2026-01-02t03:04:05z"}`)
	x.send(t, b)
	assert.Equal(t, "2026-01-02 03:04:05.000000000", x.engine.Query("SELECT at FROM events"))
}
