// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/enginetest"
)

// TestAColumnThatIsChangedWhileWeRunClipsNothing changes it between two batches that no look at the tables separates.
func TestAColumnThatIsChangedWhileWeRunClipsNothing(t *testing.T) {
	schema := map[string]string{"every": `{"type":"object","properties":{"n":{"type":"integer","x-column":"Int16"}}}`}
	x := newDeliverer(t, schema, nil)
	c := newCoordinator("one")
	batch := func(id string) plog.Logs {
		b := event.NewBuilder("acme", "web", "test")
		addTyped(t, b, id, `{"n": 300}`)
		return b.Batch().Logs()
	}
	read := func(id, want string) {
		t.Helper()
		require.Equal(t, want, x.engine.Query("SELECT n, properties.n FROM events WHERE event_id = '"+id+"'"))
	}
	// A wider one takes what it is sent.
	x.until(t, c, 0, batch("1"), func(_ int, err error) { require.NoError(t, err) })
	x.engine.Exec("ALTER TABLE events MODIFY COLUMN n Nullable(Int32)")
	x.until(t, c, 100, batch("2"), func(_ int, err error) { require.NoError(t, err) })
	read("2", "300\t\\N")
	// With a narrower one, what was planned waits for it to be changed back.
	x.engine.Exec("ALTER TABLE events MODIFY COLUMN n Nullable(Int8)")
	x.until(t, c, 200, batch("3"), func(attempt int, err error) {
		require.ErrorContains(t, err, "column `n`")
		require.ErrorContains(t, err, "is Nullable(Int8) now")
		if attempt == 3 {
			x.engine.Exec("ALTER TABLE events MODIFY COLUMN n Nullable(Int16)")
		}
	})
	read("3", "300\t\\N")
	// Without a log nothing is planned: the column is left alone, as at a start.
	x.restart()
	require.NoError(t, x.ConsumeLogs(t.Context(), batch("0")))
	read("0", "300\t\\N")
	x.engine.Exec("ALTER TABLE events MODIFY COLUMN n Nullable(Int8)")
	require.ErrorContains(t, x.ConsumeLogs(t.Context(), batch("4")), "is Nullable(Int8) now")
	require.NoError(t, x.ConsumeLogs(t.Context(), batch("4")))
	read("4", "\\N\t300")
	// Nor does one of the envelope change unseen.
	x.engine.Exec("ALTER TABLE events MODIFY COLUMN received_time DateTime64(3, 'UTC')")
	require.ErrorContains(t, x.ConsumeLogs(t.Context(), batch("5")), "column `received_time` is DateTime64(3, 'UTC') now")
	require.ErrorContains(t, x.ConsumeLogs(t.Context(), batch("5")), "must be DateTime64(9, 'UTC')")
	require.Equal(t, "5", x.engine.Query("SELECT count() FROM events"))
}

// TestACancelledINSERTEnds although nothing bounds it, and the server would be at it for minutes.
func TestACancelledINSERTEnds(t *testing.T) {
	x := newDeliverer(t, nil, func(c *Config) { c.TimeoutConfig.Timeout = 0 }, enginetest.WithSettings(map[string]string{"function_sleep_max_microseconds_per_block": "600000000"}))
	x.engine.Exec("ALTER TABLE events ADD CONSTRAINT slow CHECK sleepEachRow(60) = 0")
	ctx, cancel := context.WithCancel(newCoordinator("one").attempt(t, 0, 1, false))
	done := make(chan error, 1)
	ld := some(t, "a", 0, 5)
	go func() { done <- x.ConsumeLogs(ctx, ld) }()
	require.Eventually(t, func() bool {
		return x.engine.Query("SELECT count() FROM system.processes WHERE startsWith(query, 'INSERT INTO `analytics`')") == "1"
	}, time.Minute, 10*time.Millisecond)
	cancel()
	select {
	case err := <-done:
		require.Error(t, err)
	case <-time.After(time.Minute):
		t.Fatal("it goes on")
	}
	x.engine.Exec("KILL QUERY WHERE startsWith(query, 'INSERT INTO `analytics`') SYNC")
}
