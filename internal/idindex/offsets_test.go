// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOffsetsAreThoseOfASet(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		o := NewOffsets()
		want := map[TopicPartition]map[int64]bool{}
		for range 2_000 {
			tp := TopicPartition{[]string{"a", "b"}[r.IntN(2)], int32(r.IntN(2))}
			if want[tp] == nil {
				want[tp] = map[int64]bool{}
			}
			first := r.Int64N(3_000)
			last := first
			if r.IntN(10) == 0 {
				last += r.Int64N(20)
				o.AddInterval(tp.Topic, tp.Partition, Interval{first, last})
			} else {
				o.Add(tp.Topic, tp.Partition, first)
			}
			for n := first; n <= last; n++ {
				want[tp][n] = true
			}
		}
		copied := NewOffsets()
		o.Range(func(tp TopicPartition, seen []Interval) {
			before := int64(-2)
			for _, in := range seen {
				require.Greater(t, in.First, before+1, "in order, and not adjacent")
				before = in.Last
				copied.AddInterval(tp.Topic, tp.Partition, in)
			}
		})
		for tp, offsets := range want {
			for n := range int64(3_030) {
				require.Equal(t, offsets[n], o.Seen(tp.Topic, tp.Partition, n), "seed %d, offset %d", seed, n)
				require.Equal(t, offsets[n], copied.Seen(tp.Topic, tp.Partition, n))
			}
		}
		require.Zero(t, o.Filled())
	}
}

func TestTooManyGapsAreFilledFromBelow(t *testing.T) {
	o := NewOffsets()
	for n := range int64(MaxIntervals + 2) {
		o.Add("t", 0, 10+n*2)
	}
	assert.EqualValues(t, 2, o.Filled())
	assert.True(t, o.Seen("t", 0, 11))
	assert.True(t, o.Seen("t", 0, 13))
	assert.False(t, o.Seen("t", 0, 15))
	assert.False(t, o.Seen("t", 0, 9), "what is below all intervals is no gap")
	o.Range(func(_ TopicPartition, seen []Interval) { assert.Len(t, seen, MaxIntervals) })
}

func TestAForgottenTopicBeginsAnew(t *testing.T) {
	o := NewOffsets()
	o.Add("t", 0, 1)
	o.Add("u", 0, 1)
	c := o.Begin("t", 1, 1)
	o.Forget("t")
	assert.False(t, o.Seen("t", 0, 1))
	assert.True(t, o.Seen("u", 0, 1))
	c.Commit()
	assert.True(t, o.Seen("t", 1, 1))
}

func TestARedeliveryWaitsForTheAppendUnderWay(t *testing.T) {
	ctx := context.Background()
	o := NewOffsets()
	first := o.Begin("t", 0, 7)
	require.Equal(t, Fresh, first.Verdict)
	require.ErrorIs(t, first.Wait(ctx), errNotEnded)
	again := o.Begin("t", 0, 7)
	require.Equal(t, Waiting, again.Verdict)
	again.Abort(errDisk) // nothing of its own to end
	first.Abort(errDisk)
	require.ErrorIs(t, again.Wait(ctx), errDisk)
	require.False(t, o.Seen("t", 0, 7))

	second := o.Begin("t", 0, 7)
	require.Equal(t, Fresh, second.Verdict)
	again = o.Begin("t", 0, 7)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, again.Wait(canceled), context.Canceled)
	second.Commit()
	second.Abort(errDisk)
	require.NoError(t, again.Wait(ctx))
	require.NoError(t, second.Wait(ctx))
	known := o.Begin("t", 0, 7)
	require.Equal(t, Known, known.Verdict)
	require.NoError(t, known.Wait(ctx))
}

func TestEachRecordIsAppendedOnceHoweverOftenItIsDelivered(t *testing.T) {
	const consumers, records = 8, 2_000
	o := NewOffsets()
	var appended [records]atomic.Int32
	var wg sync.WaitGroup
	for n := range consumers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 0))
			for offset := range int64(records) {
				for {
					c := o.Begin("t", 0, offset)
					if c.Verdict == Fresh {
						if r.IntN(3) == 0 {
							c.Abort(errDisk)
							continue
						}
						appended[offset].Add(1)
						c.Commit()
					}
					if c.Wait(context.Background()) == nil {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	for offset := range appended {
		require.EqualValues(t, 1, appended[offset].Load())
	}
	o.Range(func(_ TopicPartition, seen []Interval) { assert.Equal(t, []Interval{{0, records - 1}}, seen) })
}
