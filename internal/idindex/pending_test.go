// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ids(n ...uint64) (fps []Fingerprint) {
	for _, n := range n {
		fps = append(fps, id(n))
	}
	return fps
}

var errDisk = errors.New("no space left on device")

func TestVerdicts(t *testing.T) {
	d := NewDoor(New(Options{MaxCount: 100}))
	first := d.Begin(ids(1, 2, 1, 3), 0)
	assert.Equal(t, []Verdict{Fresh, Fresh, Repeated, Fresh}, first.Verdicts)
	assert.Equal(t, batch{ids: ids(1, 2, 3)}.bytes(), first.Fresh())
	second := d.Begin(ids(3, 4, 3, 1), 0)
	assert.Equal(t, []Verdict{Waiting, Fresh, Waiting, Waiting}, second.Verdicts)
	first.Commit(0, 1)
	third := d.Begin(ids(4, 1, 2, 5, 5), 1)
	assert.Equal(t, []Verdict{Waiting, Known, Known, Fresh, Repeated}, third.Verdicts)
	second.Commit(3, 1)
	third.Commit(4, 1)
	require.NoError(t, second.Wait(context.Background()))
	require.NoError(t, third.Wait(context.Background()))
	fourth := d.Begin(ids(1, 2, 3, 4, 5), 1)
	assert.Equal(t, []Verdict{Known, Known, Known, Known, Known}, fourth.Verdicts)
	require.NoError(t, fourth.Wait(context.Background()), "what has nothing to append needs no Commit")
}

func TestAFailedAppendTakesItsIDsBackAndTellsThoseWhoWait(t *testing.T) {
	f := func(abort func(c *Claim), want error) {
		t.Helper()
		d := NewDoor(New(Options{MaxCount: 100}))
		first := d.Begin(ids(1, 2), 0)
		second := d.Begin(ids(2, 3), 0)
		second.Commit(0, 1)
		abort(first)
		err := second.Wait(context.Background())
		require.ErrorIs(t, err, want)
		var original *OriginalError
		require.ErrorAs(t, err, &original)
		require.ErrorContains(t, err, "send the request again")
		again := d.Begin(ids(2, 3), 1)
		require.Equal(t, []Verdict{Fresh, Known}, again.Verdicts)
	}
	f(func(c *Claim) { c.Abort(errDisk) }, errDisk)
	f(func(c *Claim) { c.Abort(nil) }, errAbandoned)
	f(func(c *Claim) { c.Abort(errDisk); c.Commit(5, 5); c.Abort(nil) }, errDisk)
}

func TestAbortAfterCommitDoesNothing(t *testing.T) {
	d := NewDoor(New(Options{MaxCount: 100}))
	c := d.Begin(ids(1), 0)
	other := d.Begin(ids(1), 0)
	c.Commit(0, 0)
	c.Abort(errDisk)
	require.NoError(t, other.Wait(context.Background()))
	require.Equal(t, []Verdict{Known}, d.Begin(ids(1), 0).Verdicts)
}

func TestRequestsThatHoldDuplicatesOfEachOtherDoNotWaitInACircle(t *testing.T) {
	d := NewDoor(New(Options{MaxCount: 100}))
	a := d.Begin(ids(1), 0)
	b := d.Begin(ids(2), 0)
	// Each goes on by claiming the other's: as one request of two chunks would.
	c := d.Begin(ids(1, 3, 2), 0)
	e := d.Begin(ids(3, 4), 0)
	f := d.Begin(ids(4, 1), 0)
	require.ErrorIs(t, c.Wait(context.Background()), errNotEnded)
	for i, claim := range []*Claim{a, b, c, e, f} {
		claim.Commit(uint64(i), 0)
	}
	for _, claim := range []*Claim{f, e, c, b, a} {
		require.NoError(t, claim.Wait(context.Background()))
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	d := NewDoor(New(Options{MaxCount: 100}))
	d.Begin(ids(1), 0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, d.Begin(ids(1), 0).Wait(ctx), context.Canceled)
}

func TestAnExpiredIDIsAppendedAnew(t *testing.T) {
	d := NewDoor(New(Options{MaxCount: 2}))
	d.Begin(ids(1), 0).Commit(0, 0)
	d.Begin(ids(2, 3), 0).Commit(1, 0)
	c := d.Begin(ids(1, 2, 3), 0)
	require.Equal(t, []Verdict{Fresh, Known, Known}, c.Verdicts)
	c.Commit(3, 0)
	require.Equal(t, []Verdict{Known, Fresh, Known}, d.Begin(ids(1, 2, 3), 0).Verdicts)
}

// TestWhatAnyoneWasToldIsInExactlyOneAppend has senders that send the same events side by side, and a log that refuses at
// random: at the end, each acknowledged event is in the log, and none is in it twice.
func TestWhatAnyoneWasToldIsInExactlyOneAppend(t *testing.T) {
	const senders, events, most = 8, 3_000, 60
	x := New(Options{MaxCount: 1_000_000})
	d := NewDoor(x)
	var (
		mu      sync.Mutex // guards the log
		log     []Fingerprint
		refused atomic.Int64
		waited  atomic.Int64
		acked   [events]atomic.Bool
	)
	appendTo := func(r *rand.Rand, c *Claim) error {
		defer c.Abort(errDisk)
		if r.IntN(4) == 0 {
			refused.Add(1)
			return errDisk
		}
		mu.Lock()
		first := uint64(len(log))
		for i := 0; i < len(c.Fresh()); i += Size {
			log = append(log, Fingerprint(c.Fresh()[i:]))
		}
		mu.Unlock()
		c.Commit(first, int64(first))
		err := c.Wait(context.Background())
		if err != nil {
			waited.Add(1)
			var original *OriginalError
			if !errors.As(err, &original) {
				panic(fmt.Sprintf("not retryable: %v", err))
			}
		}
		return err
	}
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(s), 0))
			for at := 0; at < events; {
				var request []uint64
				var fps []Fingerprint
				for range 1 + r.IntN(most) { // about the same events as the others, at about the same time
					n := min(events-1, at+r.IntN(most))
					request, fps = append(request, uint64(n)), append(fps, id(uint64(n)))
				}
				for n := at; n < min(events, at+most/2); n++ {
					request, fps = append(request, uint64(n)), append(fps, id(uint64(n)))
				}
				for appendTo(r, d.Begin(fps, 0)) != nil { // it sends until it is acknowledged
				}
				for _, n := range request {
					acked[n].Store(true)
				}
				at += most / 2
			}
		})
	}
	wg.Wait()
	count := map[Fingerprint]int{}
	for _, fp := range log {
		count[fp]++
	}
	for n := range events {
		require.True(t, acked[n].Load())
		require.Equal(t, 1, count[id(uint64(n))], "event %d", n)
	}
	require.Len(t, log, events)
	require.NotZero(t, refused.Load())
	t.Logf("%d appends failed, %d requests waited for one of those", refused.Load(), waited.Load())
	for i := range x.shards {
		require.Empty(t, x.shards[i].pending)
	}
}
