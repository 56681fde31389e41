// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"context"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/delivery"
)

// limiter lets a number of events through in a second. Any goroutine may use it.
type limiter struct {
	clock delivery.Clock
	rate  int // 0 is no limit

	mu   sync.Mutex
	free time.Time // when the next event may go; mu guards it
}

// wait returns when n events may go, or with the context's error.
func (l *limiter) wait(ctx context.Context, n int) error {
	if l.rate == 0 {
		return ctx.Err()
	}
	l.mu.Lock()
	now := l.clock.Now()
	if l.free.Before(now) {
		l.free = now
	}
	pause := l.free.Sub(now)
	l.free = l.free.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
	l.mu.Unlock()
	return sleep(ctx, l.clock, pause)
}

func sleep(ctx context.Context, clock delivery.Clock, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-clock.After(d):
		return nil
	}
}

// backoff is the pause before something is tried again.
type backoff struct{ last time.Duration }

const (
	firstPause   = 200 * time.Millisecond
	longestPause = 30 * time.Second
)

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, firstPause), longestPause)
	return b.last
}

func (b *backoff) reset() { b.last = 0 }
