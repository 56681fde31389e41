// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/internal/state"
)

// Target says where a reset puts a partition's position.
type Target func(partition uint32) (uint64, error)

// ResetRequest is a reset by configuration: done once by its name.
type ResetRequest struct {
	Name string
	To   Target
}

// Reset puts the positions where the target says and raises the epoch, so that what is delivered again is stored again:
// reprocessing, on purpose. Components begin without state. In one synced write: after a crash it was done or not.
func (c *Consumer) Reset(to Target) error {
	c.gate.Lock()
	defer c.gate.Unlock()
	if c.o.Hold != nil { // else retention may remove what the positions were put back to, before it knows
		defer c.o.Hold()()
	}
	next := c.nextRecord()
	if err := c.commitReset(&next, ResetRequest{To: to}); err != nil {
		return err
	}
	c.mu.Lock()
	c.record = next
	c.outbox, c.sent = map[string][]outboxItem{}, nil
	c.parts = map[string]*enrolled{} // they enrol again, and are restored from nothing
	for p, at := range next.Positions {
		c.committed[p].Store(at)
	}
	c.mu.Unlock()
	for p, part := range c.partitions {
		part.next, part.pending, part.current, part.attempt, part.filling = next.Positions[p], nil, nil, 0, filling{}
		part.head.Store(part.next)
		c.setBlocked(part, false, nil)
		part.wake()
	}
	return nil
}

// commitReset makes the record one that has been reset, durably.
func (c *Consumer) commitReset(next *consumerRecord, r ResetRequest) error {
	next.Epoch++
	next.Held, next.Components = nil, nil
	if r.Name != "" {
		next.Resets = append(next.Resets, r.Name)
	}
	for p := range next.Positions {
		at, err := r.To(uint32(p))
		if err != nil {
			return fmt.Errorf("resetting consumer %s: %w", c.o.Pipeline, err)
		}
		next.Positions[p] = min(max(at, c.log.First(uint32(p))), c.log.Next(uint32(p)))
	}
	// A tick that comes again is not told beforehand: all events before it would be late.
	next.Ticks = slices.DeleteFunc(next.Ticks, func(t Tick) bool { return t.Position >= next.Positions[t.Partition] })
	var b state.Batch
	for _, kind := range []string{"range", "plan", "outbox", "outboxplan", "state"} {
		c.keys.deletePrefix(&b, kind)
	}
	b.Set(c.keys.record(), next.bytes())
	if err := c.store.Commit(&b); err != nil {
		return fmt.Errorf("resetting consumer %s: %w", c.o.Pipeline, err)
	}
	c.o.Logger.Info("The consumer was reset: what follows is delivered again, and stored again",
		zap.Stringer("consumer", c.o.Pipeline), zap.Uint64("epoch", next.Epoch), zap.Uint64s("positions", next.Positions))
	return nil
}

// Advance moves the positions up to those given, past records that nobody will have: retention was told to remove
// them. It returns how many positions were passed over.
func (c *Consumer) Advance(to []uint64) (uint64, error) {
	c.gate.Lock()
	defer c.gate.Unlock()
	var skipped uint64
	for p, at := range to[:min(len(to), len(c.partitions))] {
		part := c.partitions[p]
		if part.next >= at {
			continue
		}
		if part.current != nil {
			// What a failed attempt was given goes as a whole: a sink may have it, and the rest of it would have another name.
			at = max(at, part.current.last+1)
		}
		skipped += at - part.next
		part.pass(at - 1)
		for len(part.pending) > 0 && part.pending[0].last < part.next {
			part.pending = part.pending[1:]
		}
		if len(part.pending) > 0 && part.pending[0].first < part.next { // its records are not all there any more
			skipped += part.pending[0].last + 1 - part.next
			part.pass(part.pending[0].last)
			part.pending = part.pending[1:]
		}
		c.setBlocked(part, false, nil)
		part.wake()
	}
	return skipped, c.checkpoint()
}

// ErrNotBlocked says that there is nothing to skip.
var ErrNotBlocked = errors.New("the partition is not blocked")

// Skip passes the delivery that blocks a partition without any sink having it. export must have stored its records
// durably when it returns nil. A crash after that and before the skip is committed leaves the partition blocked.
func (c *Consumer) Skip(partition uint32, export func(Identity, plog.Logs) error) (Identity, error) {
	c.gate.Lock()
	defer c.gate.Unlock()
	if int(partition) >= len(c.partitions) {
		return Identity{}, fmt.Errorf("partition %d: the log has %d", partition, len(c.partitions))
	}
	p := c.partitions[partition]
	if p.current == nil || !p.blocked {
		return Identity{}, fmt.Errorf("skipping partition %d of %s: %w", partition, c.o.Pipeline, ErrNotBlocked)
	}
	id := c.identity()
	id.Partition, id.First, id.Last = p.id, p.current.first, p.current.last
	ld, err := c.log.Load(p.id, p.current.first, p.current.last, true)
	if err != nil {
		return id, fmt.Errorf("reading %s: %w", id, err)
	}
	if err := export(id, ld); err != nil {
		return id, fmt.Errorf("exporting %s: %w", id, err)
	}
	before := *p.current
	attempt := p.attempt
	p.pass(before.last)
	if err := c.checkpoint(); err != nil {
		p.next, p.current, p.attempt = before.first, &before, attempt
		p.head.Store(p.next)
		return id, err
	}
	failpoint.Reach(failpoint.DeliveryDone)
	c.setBlocked(p, false, nil)
	p.wake()
	c.o.Logger.Warn("A blocked delivery was skipped by the operator: sinks that failed lack it", zap.Stringer("delivery", id))
	return id, nil
}
