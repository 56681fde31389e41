// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/delivery"
)

// parts are the row groups that are made and wait for their file.
func (h *harness) parts() (names []string) {
	h.x.mu.Lock()
	defer h.x.mu.Unlock()
	for _, l := range h.x.lots {
		for i := range l.parts {
			names = append(names, h.x.partPath(l.parts[i].File))
		}
	}
	return names
}

func TestARowGroupThatMayHaveBeenNotedIsNotMadeOfNothing(t *testing.T) {
	f := func(done bool) {
		t.Helper()
		h := newHarness(t, func(c *Config) { c.File.RowGroupRows = 10; c.Catalogue = "" })
		require.NoError(t, h.deliver(0, 1, one{id: "first", name: "clicked"}))
		h.awaitIDs("first")
		var commits atomic.Int64
		h.state.failing(func() (error, bool) {
			if commits.Add(1) == 2 { // of the delivery, and then of the row group
				return errors.New("broken"), done
			}
			return nil, false
		})
		events, ids := numbered("a", 10)
		require.NoError(t, h.deliver(1, 1, events...))
		h.await(func() bool { h.clock.advance(time.Second); return len(h.parts()) == 1 })
		h.awaitIDs(append(ids, "first")...)
	}
	f(true)
	f(false)
}

func TestARowGroupThatCannotBeMadeDoesNotPutOffOtherFiles(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.File.RowGroupRows = 5; c.File.MaxAge = time.Minute })
	began := h.clock.Now()
	require.NoError(t, h.deliver(0, 1, one{id: "second", name: "second"}))
	h.x.staging.mu.Lock()
	h.x.staging.active = nil // the next is in a segment of its own
	h.x.staging.mu.Unlock()
	h.clock.advance(30 * time.Second)
	events, ids := numbered("a", 4)
	require.NoError(t, h.deliver(1, 1, events...))
	flip := func() {
		segment := filepath.Join(h.cfg.Staging.Directory, segmentName(1))
		content, err := os.ReadFile(segment)
		require.NoError(t, err)
		content[10] ^= 1
		require.NoError(t, os.WriteFile(segment, content, 0o600))
	}
	flip()
	more, others := numbered("b", 4)
	require.NoError(t, h.deliver(5, 1, more...)) // a row group is full, and half of it damaged
	var third []string
	for at := uint64(9); !slices.Contains(h.ids(), "second"); at++ {
		require.Less(t, h.clock.Now().Sub(began), 80*time.Second, "as long as the damaged one is not due itself")
		third = append(third, fmt.Sprint("third", at))
		require.NoError(t, h.deliver(at, 1, one{id: third[len(third)-1], name: "third"}))
		h.awaitRound()
		h.clock.advance(time.Second)
	}
	flip()
	h.awaitIDs(slices.Concat(ids, others, third, []string{"second"})...)
}

func TestADamagedPartHoldsBackItsFileAndNoOther(t *testing.T) {
	f := func(damage func(content []byte) []byte) {
		t.Helper()
		h := newHarness(t, func(c *Config) { c.File.RowGroupRows = 5 })
		events, ids := numbered("a", 5)
		require.NoError(t, h.deliver(0, 1, events...))
		h.await(func() bool { return len(h.parts()) == 1 })
		part := h.parts()[0]
		content, err := os.ReadFile(part)
		require.NoError(t, err)
		if bad := damage(slices.Clone(content)); bad != nil {
			require.NoError(t, os.WriteFile(part, bad, 0o600))
		} else {
			require.NoError(t, os.Remove(part))
		}
		require.NoError(t, h.deliver(5, 1, one{id: "z", name: "second"}))
		h.clock.advance(h.cfg.File.MaxAge)
		h.await(func() bool { h.clock.advance(time.Minute); return slices.Equal(h.ids(), []string{"z"}) })
		require.NoError(t, os.WriteFile(part, content, 0o600))
		h.awaitIDs(append(ids, "z")...)
	}
	f(func(b []byte) []byte { return b[:len(b)/2] })
	f(func(b []byte) []byte { b[50] ^= 1; return b })
	f(func([]byte) []byte { return nil })
}

func TestAPieceThatIsCutOffHoldsBackItsFileAndNoOther(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.deliver(0, 1, one{id: "a", name: "first"}))
	h.x.staging.mu.Lock()
	h.x.staging.active = nil // the next is in a segment of its own
	h.x.staging.mu.Unlock()
	require.NoError(t, h.deliver(1, 1, one{id: "b", name: "second"}))
	segment := filepath.Join(h.cfg.Staging.Directory, segmentName(0))
	content, err := os.ReadFile(segment)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(segment, 5))
	h.clock.advance(h.cfg.File.MaxAge)
	h.await(func() bool { h.clock.advance(time.Minute); return slices.Equal(h.ids(), []string{"b"}) })
	require.NoError(t, os.WriteFile(segment, content, 0o600))
	h.awaitIDs("a", "b")
}

func TestALineOfTheCatalogueThatMayHaveBeenNotedIsWritten(t *testing.T) {
	f := func(fail int64, done bool) {
		t.Helper()
		h := newHarness(t, nil)
		require.NoError(t, h.deliver(0, 1, one{id: "first", name: "clicked"}))
		h.awaitIDs("first")
		h.await(func() bool { lines, _ := h.catalogue(); return len(lines) == 1 && h.staleHours() == 0 })
		again := []one{{id: "a", name: "a"}, {id: "b", name: "b"}}
		require.NoError(t, h.deliver(1, 1, again...))
		var commits atomic.Int64
		h.state.failing(func() (error, bool) {
			if commits.Add(1) == fail { // the plan, two files, the catalogue's hour
				return errors.New("broken"), done
			}
			return nil, false
		})
		h.pass(h.cfg.File.MaxAge)
		h.await(func() bool { return commits.Load() >= fail })
		h.await(func() bool { return len(h.files()) >= 2 })
		require.NoError(t, h.deliver(1, 2, again...)) // finds out whether it was done
		h.await(func() bool {
			h.clock.advance(time.Second)
			lines, _ := h.catalogue()
			return len(lines) == 3 && len(h.files()) == 3
		})
	}
	f(2, true)
	f(2, false)
	f(3, true)
	f(3, false)
}

// staleHours is how many files of the catalogue lack a line.
func (h *harness) staleHours() (n int) {
	require.NoError(h.t, h.x.index.each(func([][]byte, []byte) error { n++; return nil }, "stale"))
	return n
}

func TestAFileLeavesThoughTheClockWentBack(t *testing.T) {
	h := newHarness(t, nil)
	h.clock.advance(365 * 24 * time.Hour) // the host's clock was wrong when it started
	require.NoError(t, h.deliver(0, 1, one{id: "a", name: "first"}))
	h.clock.mu.Lock()
	h.clock.now = h.clock.now.Add(-365 * 24 * time.Hour)
	h.clock.mu.Unlock()
	h.restart()
	h.await(func() bool {
		h.clock.advance(time.Minute)
		require.Less(t, h.clock.Now().Month(), time.February)
		return slices.Equal(h.ids(), []string{"a"})
	})
}

func TestAnOutboxBatchThatComesLateIsKnownUntilACheckpointHasPassedIt(t *testing.T) {
	// A stage enrols when an event reaches it, and then sends what it emitted at checkpoint 1, of which nothing is
	// acknowledged before checkpoint 8.
	h := newHarness(t, nil)
	for range 7 {
		h.pipe.commit(0)
	}
	send := func(checkpoint uint64, ordinal uint32, id string) {
		t.Helper()
		d := h.id
		d.Stage, d.Checkpoint, d.Ordinal = "sessionization", checkpoint, ordinal
		ctx := delivery.NewContext(t.Context(), delivery.New(d, 1, h.pipe))
		require.NoError(t, h.x.consume(ctx, batch(t, one{id: id, name: "session.end"})))
	}
	send(1, 0, "a")
	send(1, 1, "b")
	h.restart() // killed: the outbox comes again
	send(1, 0, "a")
	send(1, 1, "b")
	h.pipe.commit(0)
	h.restart() // and once more, by a process that has got to another checkpoint
	send(1, 0, "a")
	send(1, 1, "b")
	send(1, 2, "c")
	h.restart()
	send(1, 0, "a")
	h.pipe.commit(0)
	send(9, 0, "d")
	require.Len(t, h.x.tokens.known, 1)
	h.awaitIDs("a", "b", "c", "d")
}

func TestAnEventOfLongNamesHoldsBackNoOther(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.PartitionBy = "{tenant}-{event_name}/{date}" })
	long := strings.Repeat("x", 150)
	require.NoError(t, h.deliver(0, 1, one{id: "a", name: long, tenant: long}))
	require.NoError(t, h.deliver(1, 1, one{id: "b", name: "second"}))
	h.awaitIDs("a", "b")
}

func TestPartsAreCopiedWhateverTheConfigurationSaysByThen(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.File.RowGroupRows = 5 })
	events, ids := numbered("a", 5)
	require.NoError(t, h.deliver(0, 1, events...))
	h.await(func() bool { return len(h.parts()) == 1 })
	h.stop()
	h.cfg.File.BloomFilter.Columns = []string{"event_name"}
	h.cfg.File.PageBytes, h.cfg.File.CompressionLevel, h.cfg.File.Compatibility = 1<<10, 9, spark
	h.cfg.PartitionBy, h.cfg.Catalogue, h.cfg.File.Writer = "{event_name}", "", "other"
	h.start()
	more, others := numbered("b", 3)
	require.NoError(t, h.deliver(5, 1, more...))
	h.awaitIDs(append(ids, others...)...)
	h.stop()
	h.cfg.Catalogue = "_catalogue"
	h.start()
	require.NoError(t, h.deliver(8, 1, one{id: "z", name: "clicked"}))
	h.awaitIDs(append(append(ids, others...), "z")...)
}

func TestNoFileIsInAFolderThatReadersPassOver(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		c.PartitionBy = "{tenant}/{event_name}"
		c.FailedPartitionBy = "failed/{hour}"
		c.File.MaxOpen = 2
	})
	require.NoError(t, h.deliver(0, 1, one{id: "a", name: "clicked"}, one{id: "b", name: "clicked", tenant: "one"},
		one{id: "c", name: "clicked", tenant: "two"}, one{id: "d", name: "other", failed: true})) // which List does, too
	h.awaitIDs("a", "b", "c", "d")
}

func TestATimeThatTheFileCannotHoldHoldsBackNoFile(t *testing.T) {
	for _, typ := range []string{"DateTime64(0)", "DateTime64(3)", "DateTime64(5)", "DateTime64(6)", "DateTime64(7)", "DateTime64(8)", "DateTime64(9)"} {
		for _, compatibility := range []string{standard, spark} {
			h := newHarness(t, func(c *Config) { c.File.Compatibility = compatibility })
			h.registry.set(t, compile(t, "order", "1", `{"type":"object","properties":{"at":{"type":"string","format":"date-time","x-column":{"type":"`+typ+`"}},"d":{"type":"string","format":"date"}}}`))
			var ids []string
			for i, at := range []string{"2290-01-01T00:00:00Z", "1899-01-01T00:00:00Z", "1900-01-01T00:00:00Z", "2262-04-12T00:00:00Z", "2299-12-31T23:59:59.999999999Z", "9999-12-31T00:00:00Z"} {
				ids = append(ids, fmt.Sprint("a", i))
				require.NoError(t, h.deliver(uint64(i), 1, one{id: ids[i], name: "order", schema: "order/1", properties: `{"at":"` + at + `","d":"` + at[:10] + `"}`}))
			}
			h.awaitIDs(ids...)
		}
	}
}
