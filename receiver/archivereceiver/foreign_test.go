// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/millrace/millrace/internal/event"
)

// foreignRow is a row of a file that somebody else wrote.
type foreignRow struct {
	ID       string    `parquet:"id"`
	Kind     string    `parquet:"kind,dict"`
	Millis   int64     `parquet:"ts_ms"`
	Seconds  float64   `parquet:"ts_s"`
	Text     string    `parquet:"ts_text"`
	At       time.Time `parquet:"ts,timestamp(microsecond)"`
	Customer int64     `parquet:"customer"`
	Shop     *string   `parquet:"shop,optional"`
	Total    int64     `parquet:"total,decimal(2:10)"`
	Paid     bool      `parquet:"paid"`
	Tags     []string  `parquet:"tags,list"`
	Items    []item    `parquet:"items,list"`
	Address  *address  `parquet:"address,optional"`
	UserID   string    `parquet:"user.id"`
}

type item struct {
	SKU string `parquet:"sku"`
	N   *int32 `parquet:"n,optional"`
}

type address struct {
	City string `parquet:"city"`
}

func foreignRows(n int) []foreignRow {
	rows := make([]foreignRow, n)
	for i := range rows {
		at := time.UnixMilli(1_795_356_000_000 + int64(i)).UTC()
		two := int32(2)
		rows[i] = foreignRow{
			ID: fmt.Sprint("order-", i), Kind: "purchase", Millis: at.UnixMilli(), Seconds: float64(at.UnixMilli()) / 1000, Text: at.Format(time.RFC3339Nano),
			At: at, Customer: 42, Total: 1990, Paid: true, Tags: []string{"a", "b"}, Items: []item{{SKU: "x", N: &two}, {SKU: "y"}},
			Address: &address{City: "Köln"}, UserID: "not the user",
		}
		if i%2 == 1 {
			shop := "north"
			rows[i].Shop, rows[i].Tags, rows[i].Items, rows[i].Address = &shop, nil, nil, nil
		}
	}
	return rows
}

func foreignFile(t testing.TB, rows []foreignRow) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[foreignRow](&b, parquet.Compression(&parquet.Snappy))
	_, err := w.Write(rows)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func purchases(m MappingConfig) MappingConfig {
	if m.EventName == (Field{}) {
		m.EventName = Field{Value: "purchase"}
	}
	if m.EventTime == (TimeField{}) {
		m.EventTime = TimeField{Column: "ts"}
	}
	return m
}

// readForeign reads two foreign rows by a mapping.
func readForeign(t *testing.T, m MappingConfig) (*world, []string) {
	t.Helper()
	w := newWorld(t, map[string][]byte{"2026/orders.parquet": foreignFile(t, foreignRows(2))})
	w.cfg.Mapping = configoptional.Some(m)
	w.run()
	logs, _ := w.sink.all()
	var got []string
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	for e := r.Next(); e != nil; e = r.Next() {
		got = append(got, string(e.AppendRaw(nil)))
	}
	return w, got
}

func TestForeignColumnsBecomeFieldsAndProperties(t *testing.T) {
	_, got := readForeign(t, purchases(MappingConfig{
		EventName: Field{Column: "kind"}, EventID: Field{Column: "id"}, UserID: Field{Column: "customer"}, Tenant: Field{Column: "shop"},
		Source: Field{Value: "till"}, Schema: Field{Value: "order"}, SchemaVersion: Field{Value: "2"},
	}))
	require.Equal(t, []string{
		`{"event_name":"purchase","event_id":"order-0","event_time":"2026-11-22T14:00:00Z","received_time":"2026-11-22T14:00:00Z","user_id":"42",` +
			`"schema_name":"order","schema_version":"2","resource":{"event.source":"till"},` +
			`"properties":{"ts_ms":1795356000000,"ts_s":1795356000,"ts_text":"2026-11-22T14:00:00Z","total":19.9,"paid":true,"tags":["a","b"],` +
			`"items":[{"sku":"x","n":2},{"sku":"y"}],"address":{"city":"Köln"},"properties.user.id":"not the user"}}`,
		`{"event_name":"purchase","event_id":"order-1","event_time":"2026-11-22T14:00:00.001Z","received_time":"2026-11-22T14:00:00.001Z","user_id":"42",` +
			`"schema_name":"order","schema_version":"2","resource":{"tenant.id":"north","event.source":"till"},` +
			`"properties":{"ts_ms":1795356000001,"ts_s":1795356000.001,"ts_text":"2026-11-22T14:00:00.001Z","total":19.9,"paid":true,"properties.user.id":"not the user"}}`,
	}, got)
}

func TestForeignTimesAreReadInEveryForm(t *testing.T) {
	f := func(field TimeField) {
		t.Helper()
		_, got := readForeign(t, MappingConfig{
			EventName: Field{Value: "p"}, EventID: Field{Column: "id"}, EventTime: field, Properties: []string{"paid"},
		})
		require.Equal(t, []string{
			`{"event_name":"p","event_id":"order-0","event_time":"2026-11-22T14:00:00Z","received_time":"2026-11-22T14:00:00Z","properties":{"paid":true}}`,
			`{"event_name":"p","event_id":"order-1","event_time":"2026-11-22T14:00:00.001Z","received_time":"2026-11-22T14:00:00.001Z","properties":{"paid":true}}`,
		}, got)
	}
	f(TimeField{Column: "ts"})
	f(TimeField{Column: "ts_ms", Unit: "ms"})
	f(TimeField{Column: "ts_text"})
}

func TestAForeignEventWithoutAnIDHasTheSameAtEveryReading(t *testing.T) {
	_, once := readForeign(t, purchases(MappingConfig{Properties: []string{"paid"}}))
	_, twice := readForeign(t, purchases(MappingConfig{Properties: []string{"paid"}}))
	require.Len(t, once, 2)
	require.Equal(t, once, twice)
	require.Contains(t, once[0], `"event_id":"`)
}

func TestAMappingThatDoesNotFitSkipsTheFile(t *testing.T) {
	f := func(reason string, m MappingConfig) {
		t.Helper()
		w, got := readForeign(t, purchases(m))
		require.Empty(t, got)
		w.counted("otelcol_receiver_archive_skipped_files", reason, 1)
	}
	f(fileColumnMissing, MappingConfig{EventID: Field{Column: "nope"}})
	f(fileColumnMissing, MappingConfig{Properties: []string{"nope"}})
	f(fileColumnType, MappingConfig{EventTime: TimeField{Column: "ts_ms"}})
	f(fileColumnType, MappingConfig{EventTime: TimeField{Column: "paid"}})
	f(fileColumnType, MappingConfig{UserID: Field{Column: "tags"}})
}

func TestARowWhoseTimeCannotBeReadIsSkippedAndTheOthersAreNot(t *testing.T) {
	rows := foreignRows(5)
	rows[1].Text = "yesterday"
	rows[3].Text = "1066-10-14T09:00:00Z"
	w := newWorld(t, map[string][]byte{"a.parquet": foreignFile(t, rows)})
	w.cfg.Mapping = configoptional.Some(MappingConfig{
		EventName: Field{Value: "p"}, EventID: Field{Column: "id"}, EventTime: TimeField{Column: "ts_text"},
	})
	w.run()
	_, times := w.sink.all()
	require.Equal(t, map[string]int{"order-0": 1, "order-2": 1, "order-4": 1}, times)
	w.counted("otelcol_receiver_archive_skipped_rows", rowTime, 2)
}
