// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
)

func TestADeliveryThatComesAgainIsStoredOnce(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	c := newCoordinator("one")
	ld := some(t, "a", 0, 10)
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), ld))
	require.Equal(t, "10/10\t0/0", x.counts())
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 2, false), ld), "a branch beside this one failed")
	c = c.restarted()
	x.restart()
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, true), ld), "the process died before the checkpoint")
	require.Equal(t, "10/10\t0/0", x.counts())
	require.EqualValues(t, 1, x.replays(t, outcomeFound))
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 100, 1, false), some(t, "a", 10, 10)))
	require.Equal(t, "20/20\t0/0", x.counts())
	require.Equal(t, "1", x.engine.Query("SELECT min(length(_delivery) = 32) FROM events"))
	require.EqualValues(t, 20, x.counter(t, "otelcol_exporter_sent_log_records", "", ""), "of both deliveries to this exporter")
	require.EqualValues(t, 1, x.counter(t, "otelcol_exporter_clickhouse_events_plans", "", ""), "one write for each delivery")
}

func TestACallWithoutEventsIsNoCall(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	c := newCoordinator("one")
	ctx := c.attempt(t, 0, 1, false)
	require.NoError(t, x.ConsumeLogs(ctx, plog.NewLogs()))
	require.NoError(t, x.ConsumeLogs(ctx, some(t, "a", 0, 1)))
	err := x.ConsumeLogs(ctx, some(t, "a", 1, 1))
	require.ErrorIs(t, err, delivery.ErrSecondCall)
	require.True(t, delivery.Blocked(err))
	require.Equal(t, "1/1\t0/0", x.counts())
}

func TestWithoutALogEqualBatchesAreBothStored(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	ld := some(t, "a", 0, 10)
	require.NoError(t, x.ConsumeLogs(t.Context(), ld))
	require.NoError(t, x.ConsumeLogs(t.Context(), ld))
	require.Equal(t, "20/10\t0/0", x.counts())
}

func TestFailedEventsOfADeliveryAreStoredOnce(t *testing.T) {
	x := newDeliverer(t, map[string]string{"every": everyType}, nil)
	c := newCoordinator("one")
	b := event.NewBuilder("acme", "web", "test")
	addTyped(t, b, "good", `{"int": 1}`)
	addTyped(t, b, "bad", `{"int": "one"}`)
	addTyped(t, b, "marked", `{}`).Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
	ld := b.Batch().Logs()
	for i := range 3 {
		require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, i > 0), ld))
		c = c.restarted()
		x.restart()
	}
	require.Equal(t, "1/1\t2/2", x.counts())
	require.Equal(t, "bad\ttype_mismatch\nmarked\tx", x.engine.Query("SELECT event_id, reason FROM failed_events ORDER BY event_id"))
}
