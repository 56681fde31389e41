// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/enginetest"
)

func TestClickHouseRowsAreComparedAsTheyStandInTheTables(t *testing.T) {
	engine := enginetest.Start(t)
	c := &chhttp.Client{URL: "http://" + engine.HTTPAddr, User: engine.User, Password: engine.Password}
	ctx := context.Background()

	// Before the exporter has made its tables, nothing is stored.
	events, failed, err := Stored(ctx, c, Tables{})
	require.NoError(t, err)
	require.Zero(t, events+failed)
	m, rows := recorded(t, 3000)
	cmp, err := Compare(m, ClickHouseRows(ctx, c, Tables{}), CompareOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 3000, cmp.Lost)

	require.NoError(t, c.Exec(ctx, `CREATE TABLE analytics.events (event_id String, event_name LowCardinality(String),
		event_time DateTime64(9, 'UTC'), user_id Nullable(String), anonymous_id String, tenant_id LowCardinality(Nullable(String)),
		total Nullable(Decimal(18, 2))) ENGINE = MergeTree ORDER BY event_time`))
	require.NoError(t, c.Exec(ctx, `CREATE TABLE analytics.failed_events (event_id String, event_name String) ENGINE = MergeTree ORDER BY event_id`))
	text := func(s string) string { return "'" + s + "'" }
	var good, bad []string
	for _, r := range rows {
		if r.Failed {
			bad = append(bad, fmt.Sprintf("(%s,%s)", text(r.ID), text(r.Name)))
			continue
		}
		user, total := text(r.User), "NULL"
		if r.User == "" {
			user = "NULL"
		}
		if r.Total != 0 {
			total = text(string(appendCents(nil, r.Total)))
		}
		good = append(good, fmt.Sprintf("(%s,%s,fromUnixTimestamp64Nano(%d, 'UTC'),%s,%s,%s,%s)", text(r.ID), text(r.Name), r.Time, user, text(r.Anon), text(r.Tenant), total))
	}
	require.NoError(t, c.Exec(ctx, "INSERT INTO analytics.events SETTINGS max_query_size=100000000 VALUES "+strings.Join(good, ",")))
	require.NoError(t, c.Exec(ctx, "INSERT INTO analytics.failed_events VALUES "+strings.Join(bad, ",")))

	events, failed, err = Stored(ctx, c, Tables{})
	require.NoError(t, err)
	require.EqualValues(t, len(good), events)
	require.EqualValues(t, len(bad), failed)
	cmp, err = Compare(m, ClickHouseRows(ctx, c, Tables{}), CompareOptions{})
	require.NoError(t, err)
	require.True(t, cmp.OK(), "%s %v", cmp.Verdict(), cmp.Samples)
	require.EqualValues(t, 3000, cmp.Matched)

	// What goes wrong in the tables is found.
	require.NoError(t, c.Exec(ctx, "ALTER TABLE analytics.events UPDATE total = total + 0.01 WHERE total > 0 SETTINGS mutations_sync=1"))
	require.NoError(t, c.Exec(ctx, "INSERT INTO analytics.failed_events SELECT event_id, event_name FROM analytics.failed_events LIMIT 2"))
	require.NoError(t, c.Exec(ctx, "INSERT INTO analytics.events (event_id) VALUES ('x')"))
	cmp, err = Compare(m, ClickHouseRows(ctx, c, Tables{}), CompareOptions{})
	require.NoError(t, err)
	require.Positive(t, cmp.Altered)
	require.EqualValues(t, 2, cmp.Duplicated)
	require.EqualValues(t, 1, cmp.Unexpected)

	// A query that ClickHouse refuses is an error, not an empty table.
	_, err = Compare(m, ClickHouseRows(ctx, c, Tables{Where: "no_such_column = 1"}), CompareOptions{})
	require.ErrorContains(t, err, "no_such_column")

	table, err := c.Table(ctx, "SELECT 18446744073709551615 AS big, toDecimal64('12.50', 2) AS money, 'a' AS s, NULL AS n")
	require.NoError(t, err)
	require.Len(t, table.Columns, 4)
	require.Equal(t, "[[18446744073709551615 12.5 a <nil>]]", fmt.Sprint(table.Rows))
}
