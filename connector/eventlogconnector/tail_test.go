// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

func TestAnAppendLargerThanADeliveryIsCutAndComesWhole(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Partitions, c.Delivery.MaxEvents = 1, 3 })
	want := numbered("e", 11)
	require.NoError(t, h.send(want...))
	h.awaitStored(11)
	require.Equal(t, want, h.sink().stored())
	h.restart()
	require.NoError(t, h.consumers[0].Reset(func(uint32) (uint64, error) { return 2, nil }))
	h.awaitStored(20)
	require.Equal(t, want[2:], h.sink().stored()[11:], "from the middle of an append")
}

func TestARepetitionLeavesTheTailToWhoHasNotHadIt(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Partitions = 1 })
	require.NoError(t, h.send("a", "b"))
	h.awaitStored(2)
	h.reader.tail = newTail(2, 1<<20, func(uint32) uint64 { return 0 })
	h.reader.tail.put(0, 0, 2, 100, event.FromLogs(events("acme", "from the tail", "b")))
	f := func(again bool, want string) {
		t.Helper()
		ld, err := h.reader.Load(0, 0, 1, again)
		require.NoError(t, err)
		require.Equal(t, []string{want, "b"}, idsOf(ld))
		ld.ResourceLogs().RemoveIf(func(plog.ResourceLogs) bool { return true }) // what it is given is its own
	}
	f(false, "from the tail")
	f(true, "a")
	f(true, "a")
	f(false, "from the tail")
	f(false, "a")
	require.Empty(t, h.reader.tail.items)
	require.Zero(t, h.reader.tail.bytes)
}

func TestTheTailGivesEachTakerItsOwn(t *testing.T) {
	const takers = 4
	tl := newTail(takers, 1<<20, func(uint32) uint64 { return 0 })
	var wg sync.WaitGroup
	for i := range uint64(200) {
		tl.put(0, i, 2, 10, event.FromLogs(events("acme", "a", "b")))
		for range takers {
			wg.Go(func() {
				b, ok := tl.take(0, i, 2)
				if !ok || b.Len() != 2 {
					t.Error("the tail lost a chunk")
					return
				}
				b.Logs().ResourceLogs().RemoveIf(func(plog.ResourceLogs) bool { return true })
			})
		}
	}
	wg.Wait()
	require.Empty(t, tl.items)

	for i := range uint64(1000) { // nobody takes: old ones go
		tl.put(1, i, 2, 10_000, event.FromLogs(events("acme", "a", "b")))
		require.LessOrEqual(t, tl.bytes, int64(1<<20))
	}
	require.LessOrEqual(t, len(tl.order), 2*len(tl.items)+65)
	_, ok := tl.take(1, 0, 2)
	require.False(t, ok)
	_, ok = tl.take(1, 999, 1)
	require.False(t, ok, "a part is not the whole")
}
