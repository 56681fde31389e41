// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// flight is the batches that were handed to senders and are not acknowledged, where a run bounds the disorder of event times.
type flight struct {
	bound int64 // nanoseconds; 0 is none, and then nothing is kept
	left  chan struct{}
	waits atomic.Bool // a batch has had to wait; for tests

	mu  sync.Mutex
	all []*batch // guarded by mu; as many as there are senders and places in their queues
}

// board waits until the batch may be handed to a sender: until no event that is older by more than the bound waits for its
// acknowledgement. False says that the run ended before. One goroutine calls it.
func (f *flight) board(ctx context.Context, finish <-chan struct{}, b *batch) bool {
	if f.bound == 0 {
		return true
	}
	for !f.fits(b) {
		f.waits.Store(true)
		select {
		case <-f.left:
		case <-finish:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// fits takes the batch in, if it may go.
func (f *flight) fits(b *batch) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range f.all {
		if o.times.from < b.times.to-f.bound {
			return false
		}
	}
	f.all = append(f.all, b)
	return true
}

// land takes out a batch that is done with.
func (f *flight) land(b *batch) {
	if f.bound == 0 {
		return
	}
	f.mu.Lock()
	f.all = slices.DeleteFunc(f.all, func(o *batch) bool { return o == b })
	f.mu.Unlock()
	select {
	case f.left <- struct{}{}:
	default: // it will look anyway
	}
}
