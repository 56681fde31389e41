// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/state"
)

// Start hands out deliveries until Stop: one worker for each partition, one for checkpoints.
func (c *Consumer) Start() {
	for _, p := range c.partitions {
		c.workers.Go(func() { c.work(p) })
	}
	c.workers.Go(c.checkpoints)
}

// Stop hands out nothing more, lets what is under way finish within the grace, and commits a last checkpoint. Windows
// and sessions stay open. What could not finish comes again after the next start.
func (c *Consumer) Stop(ctx context.Context) error {
	close(c.stop)
	done := make(chan struct{})
	go func() { c.workers.Wait(); close(done) }()
	select {
	case <-done:
	case <-c.o.Clock.After(c.o.Grace):
	case <-ctx.Done():
	}
	c.giveUp()
	select {
	case <-done:
	case <-c.o.Clock.After(c.o.Grace):
		// A commit that waits for space on a full disk, or a sink that does not heed its context: the last checkpoint stands.
		return fmt.Errorf("consumer %s: what is under way does not end: it comes again at the next start", c.o.Pipeline)
	}
	c.gate.Lock()
	err := c.checkpoint()
	c.gate.Unlock()
	if errors.Is(err, state.ErrFull) {
		c.o.Logger.Warn("The last checkpoint found the disk full: deliveries since the one before come again at the next start, under their own names",
			zap.Error(err))
		return nil
	}
	return err
}

func (c *Consumer) stopping() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// work is the life of a partition's worker.
func (c *Consumer) work(p *partition) {
	backoff := time.Duration(0)
	for !c.stopping() {
		changed := c.log.Changed(p.id) // before looking, so that nothing comes unseen between
		var (
			o    = waiting
			wait time.Duration
			err  error
		)
		c.gate.RLock()
		held := c.anyUnsent()
		if !held {
			o, wait, err = c.step(c.lifetime, p)
		}
		c.gate.RUnlock()
		var timer <-chan time.Time
		switch {
		case held: // by the outbox, which the checkpoints' worker is sending
			timer = c.o.Clock.After(c.o.RetryInitial)
			changed = nil
		case o == advanced:
			backoff = 0
			continue
		case o == failed:
			backoff = c.longer(backoff)
			if Blocked(err) {
				backoff = c.o.RetryMax
			}
			c.logFailure(p, err, backoff)
			timer = c.o.Clock.After(backoff)
			changed = nil // more records do not mend it
		case wait > 0:
			timer = c.o.Clock.After(wait)
		}
		select {
		case <-c.stop:
			return
		case <-changed:
		case <-timer:
		case <-p.moved:
			backoff = 0
		}
	}
}

// longer is the pause after one of that length.
func (c *Consumer) longer(backoff time.Duration) time.Duration {
	return min(max(2*backoff, c.o.RetryInitial), c.o.RetryMax)
}

func (c *Consumer) logFailure(p *partition, err error, backoff time.Duration) {
	if c.stopping() {
		return
	}
	c.o.Logger.Warn("A delivery failed and comes again", zap.Uint32("partition", p.id), zap.Duration("in", backoff), zap.Error(err))
}

// anyUnsent says whether a component that has enrolled has outbox batches left: they go before any delivery. Those of
// one that has not enrolled go when it does, which is before it gets a delivery.
func (c *Consumer) anyUnsent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, items := range c.outbox {
		if e := c.parts[name]; len(items) > 0 && e != nil && e.participant != nil {
			return true
		}
	}
	return false
}

// checkpoints is the life of the checkpoints' worker.
func (c *Consumer) checkpoints() {
	c.gate.Lock()
	c.probe(c.lifetime)
	c.gate.Unlock()
	backoff := time.Duration(0)
	for {
		timer := c.o.Clock.After(c.o.CheckpointInterval)
		wanted := c.wanted
		if backoff > 0 {
			timer, wanted = c.o.Clock.After(backoff), nil
		}
		select {
		case <-c.stop:
			return
		case <-timer:
		case <-wanted:
		}
		if err := c.CheckpointNow(c.lifetime); err != nil {
			if c.stopping() {
				return
			}
			backoff = c.longer(backoff)
			c.o.Logger.Warn("A checkpoint failed and is tried again", zap.Duration("in", backoff), zap.Error(err))
			continue
		}
		backoff = 0
	}
}

// CheckpointNow drains the partitions, commits, and sends the outbox.
func (c *Consumer) CheckpointNow(ctx context.Context) error {
	c.gate.Lock()
	defer c.gate.Unlock()
	start := c.o.Clock.Now()
	// An outbox that failed last time goes first.
	if err := c.sendOutboxes(ctx); err != nil {
		return err
	}
	err := c.checkpoint()
	if c.o.Observer != nil && c.o.Observer.Checkpointed != nil {
		c.o.Observer.Checkpointed(c.o.Clock.Now().Sub(start), err)
	}
	if err != nil {
		return err
	}
	return c.sendOutboxes(ctx)
}

// systemClock is the machine's.
type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// SystemClock reads the machine's time.
func SystemClock() Clock { return systemClock{} }
