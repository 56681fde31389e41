// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/millrace/millrace/internal/state"
)

func TestAdvancePassesOverTheWholeOfWhatAFailedAttemptWasGiven(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	stored := map[string]int{}
	seen := map[string]bool{}
	var answer error
	h.next = func(d *Delivery, bodies []string) error { // a sink that has it, and whose answer is lost
		if token := d.ID.Token("events"); !seen[token] {
			seen[token] = true
			for _, b := range bodies {
				stored[b]++
			}
		}
		return answer
	}
	answer = errors.New("time-out")
	h.log.append(0, records("a", "b", "c", "d")...)
	h.log.append(0, records("e", "f")...)
	h.step(0)
	skipped, err := h.Advance([]uint64{2})
	require.NoError(t, err)
	require.EqualValues(t, 4, skipped)
	answer = nil
	h.step(0)
	require.Equal(t, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}, stored)
}

func TestWhatEndsABlockedDeliveryEndsTheAlarm(t *testing.T) {
	f := func(what string, end func(h *harness) error) {
		t.Helper()
		h := newHarness(t, 1)
		h.clock.now = time.Unix(100, 0)
		var alarms []bool
		h.o.Observer = &Observer{Blocked: func(err error) { alarms = append(alarms, err != nil) }}
		h.log.append(0, records("poison")...)
		h.next = func(*Delivery, []string) error { return consumererror.NewPermanent(errors.New("never")) }
		h.step(0)
		require.Equal(t, []bool{true}, alarms, what)
		require.NoError(t, end(h), what)
		require.Equal(t, []bool{true, false}, alarms, what)
		require.Empty(t, h.Consumer.Blocked(), what)
	}
	f("a reset", func(h *harness) error { return h.Reset(func(p uint32) (uint64, error) { return h.log.Next(p), nil }) })
	f("retention", func(h *harness) error { _, err := h.Advance([]uint64{1}); return err })
	f("a skip", func(h *harness) error {
		_, err := h.Skip(0, func(Identity, plog.Logs) error { return nil })
		return err
	})
	f("a success", func(h *harness) error {
		h.next = func(*Delivery, []string) error { return nil }
		h.step(0)
		return nil
	})
}

func TestALogThatCannotBeReadIsAFailureThatCounts(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	failures := 0
	h.o.Observer = &Observer{Failed: func(error, bool) { failures++ }}
	h.Consumer.log = damagedLog{h.log}
	h.log.append(0, records("a")...)
	o, _ := h.step(0)
	require.Equal(t, failed, o)
	require.Equal(t, 1, failures)
}

type damagedLog struct{ *memLog }

func (damagedLog) Load(uint32, uint64, uint64, bool) (plog.Logs, error) {
	return plog.Logs{}, errors.New("a flipped bit")
}

func TestNothingIsRemovedWhileAResetPutsPositionsBack(t *testing.T) {
	h := newHarness(t, 1)
	held, commits := false, 0
	h.o.Hold = func() func() {
		require.False(t, held)
		held = true
		return func() {
			require.Zero(t, h.Committed(0), "retention knows the new position before it goes on")
			held = false
		}
	}
	h.clock.now = time.Unix(100, 0)
	h.log.append(0, records("a", "b", "c", "d")...)
	h.step(0)
	h.gate.Lock()
	require.NoError(t, h.checkpoint())
	h.gate.Unlock()
	h.store.crash = func() (before, after bool) { commits++; require.True(t, held); return false, false }
	require.NoError(t, h.Reset(func(uint32) (uint64, error) { require.True(t, held); return 0, nil }))
	require.Equal(t, 1, commits)
	require.False(t, held)
}

func TestAConsumerThatTakesANameAnewHasOtherTokens(t *testing.T) {
	old, renamed := pipeline.NewID(pipeline.SignalLogs), pipeline.NewIDWithName(pipeline.SignalLogs, "renamed")
	tokens := map[string]string{}
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	h.log.append(0, records("a", "b", "c", "d")...)
	f := func(what string, id pipeline.ID, resets int) {
		t.Helper()
		o := h.options()
		o.Pipeline = id
		c, err := NewConsumer(h.log, h.store, o)
		require.NoError(t, err)
		h.Consumer = c
		for range resets {
			require.NoError(t, h.Reset(func(uint32) (uint64, error) { return 0, nil }))
		}
		h.next = func(d *Delivery, _ []string) error {
			token := d.ID.Token("events")
			require.Empty(t, tokens[token], "%s has the tokens of %s", what, tokens[token])
			tokens[token] = what
			return errors.New("away")
		}
		h.step(0)
	}
	f("the first", old, 0)
	require.NoError(t, Forget(h.store, h.log.id, old.String()))
	f("one after it was removed", old, 0)
	require.NoError(t, Rename(h.store, h.log.id, old.String(), renamed.String()))
	f("one after it was renamed", old, 0)
	f("the renamed one, which is reset", renamed, 2)
	f("the new one, which is reset", old, 2)
}

func TestASkipThatCannotBeCommittedLeavesTheDeliveryBlocked(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	var attempts []string
	h.next = func(d *Delivery, _ []string) error {
		attempts = append(attempts, d.ID.String())
		return consumererror.NewPermanent(errors.New("never"))
	}
	h.log.append(0, records("poison")...)
	h.step(0)
	h.store.full = func() bool { return true }
	_, err := h.Skip(0, func(Identity, plog.Logs) error { return nil })
	require.ErrorIs(t, err, state.ErrFull)
	require.Equal(t, []uint64{0}, h.Delivered())
	require.Equal(t, []uint64{0}, h.Positions())
	require.Len(t, h.Consumer.Blocked(), 1)
	h.step(0)
	require.Len(t, attempts, 2)
	require.Equal(t, attempts[0], attempts[1])
}

func TestAResetTellsNoTickOfWhatComesAgain(t *testing.T) {
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	id := component.MustNewID("sessions")
	l := &listener{}
	h.next = func(d *Delivery, _ []string) error { return d.Coordinator().Enrol(context.Background(), id, l) }
	h.log.append(0, records("a")...)
	h.log.tick(0)
	h.log.append(0, records("b")...)
	h.log.tick(0)
	for range 4 {
		h.step(0)
	}
	require.Equal(t, []uint64{1, 3}, l.ticks)
	reset := func(to uint64, ticks ...uint64) {
		t.Helper()
		l = &listener{}
		require.NoError(t, h.Reset(func(uint32) (uint64, error) { return to, nil }))
		h.step(0)
		require.Equal(t, ticks, l.ticks)
		h.restart()
		l = &listener{}
		h.step(0)
		require.Equal(t, ticks, l.ticks, "after a crash")
		for range 3 {
			h.step(0)
		}
	}
	reset(0) // all events would be late
	reset(2)
}
