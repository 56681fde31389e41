// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/millrace/millrace/internal/clickhouseengine"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/testbed/enginetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// ddlSchema has one property of each kind that makes a column of its own type.
const ddlSchema = `{
  "type": "object",
  "properties": {
    "name":       {"type": "string"},
    "channel":    {"type": "string", "enum": ["mail", "app"]},
    "quantity":   {"type": "integer"},
    "pixels":     {"type": "integer", "x-column": "UInt16"},
    "rate":       {"type": "number"},
    "price":      {"type": "number", "x-column": "Decimal(18, 2)"},
    "gift":       {"type": "boolean"},
    "placed_at":  {"type": "string", "format": "date-time"},
    "birth_date": {"type": "string", "format": "date"},
    "order_id":   {"type": "string", "format": "uuid"},
    "tags":       {"type": "array", "items": {"type": "string"}},
    "address":    {"type": "object", "properties": {"city": {"type": "string"}, "lines": {"type": "array", "items": {"type": "string"}}}},
    "products":   {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}, "price": {"type": "number"}}}}
  }
}`

func ddlColumns(t *testing.T) []column {
	t.Helper()
	s, err := schema.Compile("order", "1", []byte(ddlSchema))
	require.NoError(t, err)
	snap, err := schema.NewSnapshot(1, []*schema.Schema{s})
	require.NoError(t, err)
	columns := []column{}
	for _, c := range newLayout(snap, nil).Columns {
		columns = append(columns, column{c.Name, c.Definition()})
	}
	return columns
}

// TestStatementsAreAsInTheGoldenFiles holds the SQL that the README shows against the SQL that is run.
func TestStatementsAreAsInTheGoldenFiles(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	golden := func(name, sql string) {
		t.Helper()
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o700))
			require.NoError(t, os.WriteFile(path, []byte(sql+"\n"), 0o600))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err, "run this test with -update")
		require.Equal(t, string(want), sql+"\n")
	}
	cfg := createDefaultConfig().(*Config)
	events := createTable(cfg, &cfg.Events, envelopeColumns, tunedSettings)
	failed := createTable(cfg, &cfg.FailedEvents, failedColumns, tunedSettings)
	added := addColumns(cfg, &cfg.Events, ddlColumns(t))
	golden("create_events.sql", events)
	golden("create_failed_events.sql", failed)
	golden("add_columns.sql", added)

	cfg.Cluster = "main"
	cfg.Events.Engine = "ReplicatedMergeTree"
	cfg.Events.TTL = "toDateTime(event_time) + INTERVAL 90 DAY"
	cfg.Events.Settings = map[string]any{"storage_policy": "tiered", "index_granularity": 4096}
	golden("cluster.sql", strings.Join([]string{
		createDatabase(cfg), createTable(cfg, &cfg.Events, envelopeColumns, tunedSettings), addColumns(cfg, &cfg.Events, ddlColumns(t)[:1]),
	}, ";\n\n"))

	for _, sql := range []string{"CREATE DATABASE IF NOT EXISTS `analytics`", events, failed, added} {
		require.Contains(t, string(readme), sql+"\n", "the README must show this statement as it is run")
	}
}

// TestTablesMadeByHandAreTaken runs the statements as the README tells those to do who set create_tables: false.
func TestTablesMadeByHandAreTaken(t *testing.T) {
	x := newTestExporter(t, map[string]string{"order": ddlSchema}, func(c *Config) { c.CreateTables = false })
	b := event.NewBuilder("acme", "web", "test")
	add(t, b, "order", "1", `{"name": "n", "channel": "app", "pixels": 640, "price": 1.5, "tags": ["a"], "address": {"city": "Bonn", "lines": ["l"]},
		"products": [{"sku": "s", "price": 2}], "placed_at": "2026-11-01T12:00:00Z"}`).SetSchema("order", "1")
	require.ErrorContains(t, x.ConsumeLogs(t.Context(), b.Batch().Logs()), "table analytics.events is not there: create it with the README's SQL")

	for i, name := range []string{"create_events.sql", "create_failed_events.sql", "add_columns.sql"} {
		sql, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		x.engine.Exec(string(sql))
		if i == 1 {
			require.ErrorContains(t, x.ConsumeLogs(t.Context(), b.Batch().Logs()), "table analytics.events lacks column")
		}
	}
	x.send(t, b)
	require.Equal(t, "n\tapp\t640\t1.5\t['a']\tBonn\t['l']\t['s']\t[2]\t2026-11-01 12:00:00.000000000", x.engine.Query(
		"SELECT name, channel, pixels, price, tags, address.city, address_lines, products.sku, products.price, placed_at FROM events"))
}

// TestTheUserNeedsOnlyTheRightsOfTheReadme creates, extends and fills the tables as a user with no other rights.
func TestTheUserNeedsOnlyTheRightsOfTheReadme(t *testing.T) {
	rights := []string{"INSERT, CREATE DATABASE, CREATE TABLE, ALTER ADD COLUMN ON analytics.*", "TABLE ENGINE ON MergeTree"}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, right := range rights {
		require.Contains(t, string(readme), "GRANT "+right+" TO")
	}
	writer := clickhouseengine.User{Name: "writer", Password: "a long one", Grants: rights}
	x := newTestExporter(t, nil, func(c *Config) { c.Username, c.Password = writer.Name, configopaque.String(writer.Password) },
		enginetest.WithOtherUser(writer))
	b := event.NewBuilder("acme", "web", "test")
	add(t, b, "order", "1", `{}`)
	x.send(t, b)
	x.registry.set(t, map[string]string{"order": ddlSchema})
	x.send(t, b)
	require.Equal(t, "2\t0", x.engine.Query("SELECT count(), countIf(price > 0) FROM events"))
}
