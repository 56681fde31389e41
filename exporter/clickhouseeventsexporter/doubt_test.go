// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/exporter/clickhouseeventsexporter/internal/metadata"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/enginetest"
)

// TestTwoExportersOfOneDeliveryIntoOneTable is what a routing connector makes: each gets a part of the delivery.
func TestTwoExportersOfOneDeliveryIntoOneTable(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	other := x.another()
	other.inner.id = component.NewIDWithName(metadata.Type, "other")
	c := newCoordinator("one")
	for range 2 {
		ctx := c.attempt(t, 0, 1, true)
		require.NoError(t, x.ConsumeLogs(ctx, some(t, "a", 0, 10)))
		require.NoError(t, other.ConsumeLogs(ctx, some(t, "b", 0, 10)))
	}
	require.Equal(t, "20/20\t0/0", x.counts())
}

// TestADeliveryThatComesAgainAndAgainDoesNotUseUpTheWindow is stored here, while a branch beside this one is away.
func TestADeliveryThatComesAgainAndAgainDoesNotUseUpTheWindow(t *testing.T) {
	x := newDeliverer(t, nil, func(c *Config) {
		c.Events.Engine, c.Events.OrderBy = "ReplacingMergeTree", "(tenant_id, event_name, event_time, event_id)"
		c.Deduplication.Window = 100
	})
	c, other := newCoordinator("one"), newCoordinator("two")
	other.id.Partition = 1
	for attempt := range 150 {
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, attempt+1, false), some(t, "a", 0, 10)), attempt)
		if attempt%10 == 0 {
			require.NoError(t, x.ConsumeLogs(other.attempt(t, uint64(attempt)*100, 1, false), some(t, "b", attempt, 1)), attempt)
			other.commit()
		}
	}
	require.Equal(t, "25/25\t0/0", x.counts())
}

func TestAServerThatTellsNothingOfKnownBlocks(t *testing.T) {
	x := newDeliverer(t, nil, nil, enginetest.WithSettings(map[string]string{"send_profile_events": "0"}))
	c := newCoordinator("one")
	ld := some(t, "a", 0, 10)
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
	part := x.engine.Query("SELECT path FROM system.parts WHERE database = 'analytics' AND table = 'events' AND active ORDER BY max_block_number DESC LIMIT 1")
	x.engine.Kill()
	remove(t, part)
	x.engine.Restart()
	c = c.restarted()
	x.restart()
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
	require.Equal(t, "10/10\t0/0", x.counts())
}

// TestRowsThatAreMissingAreToldApartByTheirPartition loses the rows of one source. The events have no ID.
func TestRowsThatAreMissingAreToldApartByTheirPartition(t *testing.T) {
	x := newDeliverer(t, nil, func(c *Config) { c.Events.PartitionBy = "source" })
	c := newCoordinator("one")
	ld := plog.NewLogs()
	for _, source := range []string{"web", "app"} {
		b := event.NewBuilder("acme", source, "test")
		for range 5 {
			add(t, b, "a", "", `{}`)
		}
		b.Batch().Logs().ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
	}
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
	part := x.engine.Query("SELECT path FROM system.parts WHERE database = 'analytics' AND table = 'events' AND active AND partition = 'web'")
	x.engine.Kill()
	remove(t, part)
	x.engine.Restart()
	x.restart()
	c = c.restarted()
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld))
	require.Equal(t, "app\t5\nweb\t5", x.engine.Query("SELECT source, count() FROM events GROUP BY source ORDER BY source"))
}
