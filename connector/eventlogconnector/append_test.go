// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/internal/event"
)

func TestABatchThatWasRefusedIsWholeAndCanBeSentAgain(t *testing.T) {
	h := newHarness(t, nil)
	ld := events("acme", "a", "b", "")
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, h.ConsumeLogs(gone, ld))
	require.Equal(t, 3, ld.LogRecordCount(), "else its repetition is acknowledged for nothing")
	require.NoError(t, h.ConsumeLogs(context.Background(), ld))
	h.awaitStored(3)
}

func TestABatchWhoseOriginalsFailedIsWholeAndCanBeSentAgain(t *testing.T) {
	h := newHarness(t, nil)
	s := newScratch(h.eventLog)
	h.look(s, event.FromLogs(events("acme", "a")))
	other := h.door.Begin(s.prints, time.Now().UnixNano()) // another request, whose append is under way

	ld := events("acme", "a", "b")
	answer := make(chan error)
	go func() { answer <- h.ConsumeLogs(context.Background(), ld) }()
	h.awaitStored(1)
	require.Equal(t, []string{"b"}, h.sink().stored(), "what is its own is in the log")
	select {
	case err := <-answer:
		t.Fatal("acknowledged before its original was synced", err)
	default:
	}
	other.Abort(errors.New("the sync failed"))
	require.Equal(t, codes.Unavailable, status.Code(<-answer))
	require.Equal(t, 2, ld.LogRecordCount())
	require.NoError(t, h.ConsumeLogs(context.Background(), ld))
	h.awaitStored(2)
	require.ElementsMatch(t, []string{"a", "b"}, h.sink().stored())
}

func TestASenderThatGoesAwayWhileItsOriginalIsUnderWayIsNotToldThatItIsThere(t *testing.T) {
	h := newHarness(t, nil)
	s := newScratch(h.eventLog)
	h.look(s, event.FromLogs(events("acme", "a")))
	other := h.door.Begin(s.prints, time.Now().UnixNano())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, h.ConsumeLogs(ctx, events("acme", "a")), context.Canceled)
	other.Abort(errors.New("the sync failed"))
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
}

func TestABatchThatNeverFitsIsRefusedForGood(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		c.SegmentBytes, c.MaxBytes, c.Retention.Bytes, c.Compression = 1<<16, 1<<18, 1<<18, "none"
	})
	err := h.ConsumeLogs(context.Background(), events("acme", strings.Repeat("long", 1<<16)))
	require.Equal(t, codes.InvalidArgument, status.Code(err), "or its sender tries without end")
	require.True(t, consumererror.IsPermanent(err))
	require.EqualValues(t, 1, h.counter("event_log_refused"))
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
}

func TestKeysAndNotBatchesDecideWhereAnEventGoes(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Partitions = 8 })
	place := func(ids ...string) []int {
		s := newScratch(h.eventLog)
		h.look(s, event.FromLogs(events("acme", ids...)))
		return slices.Clone(s.partition)
	}
	ids := numbered("e", 50)
	all := place(ids...)
	for i, id := range ids {
		require.Equal(t, all[i:i+1], place(id))
	}
	h.restart()
	require.Equal(t, all, place(ids...))
	require.Equal(t, []int{3, 1, 1, 5}, all[:4], "and another release puts it there too") // or state and events part
}
