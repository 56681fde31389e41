// SPDX-License-Identifier: Apache-2.0

package deliverytest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
)

func events(names ...string) plog.Logs {
	ld := plog.NewLogs()
	for _, n := range names {
		ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().SetEventName(n)
	}
	return ld
}

func TestDeliveriesHaveTheSizeThatWasAskedForAndComeAgainAfterFailuresAndCrashes(t *testing.T) {
	p := New(t, 2, func(next consumer.Logs) (consumer.Logs, []component.Component) { return next, nil })
	p.Append(0, 10, events("a", "b", "c"))
	p.Log.Tick(0, 11, 5)
	p.Append(0, 12, events("d", "e"))
	p.Append(1, 13, events("f"))

	p.Sink.Fail = func(d *delivery.Delivery) (error, error) {
		if d.Attempt == 1 && d.ID.First == 2 {
			return nil, errors.New("away")
		}
		return nil, nil
	}
	p.Deliver(0, 2)
	passed, err := p.Attempt(0, 3)
	require.False(t, passed)
	require.ErrorContains(t, err, "away")
	p.Crash()
	p.DeliverAll(0)
	p.Checkpoint()
	require.EqualValues(t, 6, p.Consumer.Committed(0))

	var got []string
	p.Sink.Each(func(b *Batch, lr plog.LogRecord) {
		got = append(got, fmt.Sprint(b.ID.Partition, " ", b.ID.First, "-", b.ID.Last, " ", lr.EventName()))
	})
	require.Equal(t, []string{"0 0-1 a", "0 0-1 b", "0 2-2 c", "0 4-5 d", "0 4-5 e", "1 0-0 f"}, got)
}
