// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/internal/state"
)

// outcome of a step, which says what the partition's worker waits for before the next.
type outcome int

const (
	advanced outcome = iota // something was passed: go on
	waiting                 // nothing, or not enough, to hand out
	failed                  // the attempt failed: back off
)

// step does the next thing of a partition: it gathers a range and records it, or makes one attempt at handing out the
// recorded one, or passes a tick. The caller holds the gate for reading. wait is how long a delivery that is being
// gathered may still be waited for, 0 if it is empty.
func (c *Consumer) step(ctx context.Context, p *partition) (o outcome, wait time.Duration, err error) {
	if p.current == nil && len(p.pending) > 0 {
		next := p.pending[0]
		if next.first == p.next {
			p.pending = p.pending[1:]
			p.current, p.attempt = &next, 0
		} else if next.first < p.next {
			return failed, 0, fmt.Errorf("the recorded range %d to %d of partition %d begins before position %d", next.first, next.last, p.id, p.next)
		}
		// Else ticks stand between: they are in the log and are gathered, one by one, as they were.
	}
	if p.current == nil {
		wait, err := c.gather(p)
		if err != nil {
			return failed, 0, err
		}
		f := &p.filling
		switch {
		case f.tick != nil && f.records == 0:
			if err := c.tick(ctx, *f.tick, p.id); err != nil {
				return failed, 0, err
			}
			p.pass(f.tick.Last())
			return advanced, 0, nil
		case !f.complete:
			return waiting, wait, nil
		case len(p.pending) > 0:
			return failed, 0, fmt.Errorf("partition %d has events at position %d before the recorded range at %d", p.id, p.next, p.pending[0].first)
		}
		s := &span{first: f.from, last: f.from + uint64(f.records) - 1}
		var b state.Batch
		b.Set(c.keys.span(p.id, s.first), state.Uint64(s.last))
		if err := c.store.Commit(&b); err != nil {
			return failed, 0, fmt.Errorf("recording a delivery: %w", err)
		}
		failpoint.Reach(failpoint.DeliveryRecorded)
		p.current, p.attempt = s, 0
	}
	if err := c.attempt(p); err != nil {
		return failed, 0, err
	}
	return advanced, 0, nil
}

func (p *partition) pass(last uint64) {
	p.next = last + 1
	p.head.Store(p.next)
	p.current, p.attempt, p.filling = nil, 0, filling{}
}

// gather looks at chunks until the delivery is complete: enough records or bytes, a tick behind them, or the first has
// waited long enough. It goes on where it stopped, so that many small appends are each looked at once.
func (c *Consumer) gather(p *partition) (wait time.Duration, err error) {
	f := &p.filling
	if f.to == 0 || f.from != p.next {
		*f = filling{from: p.next, to: p.next}
	}
	// While it may still be waited for and cannot be full, what has come is not looked at: an append is many a worker's
	// wake-up, and a delivery one look.
	next := c.log.Next(p.id)
	if f.records > 0 && !f.complete && next-f.from < uint64(c.o.MaxEvents) {
		if wait := c.remaining(f); wait > 0 {
			return wait, nil
		}
	}
	if !f.complete && f.tick == nil && f.to < next {
		err = c.log.Scan(p.id, f.to, func(ch Chunk) bool {
			if ch.Tick {
				f.tick = &ch
				f.complete = true
				return false
			}
			if f.records == 0 {
				f.appended = ch.Appended
			}
			n := int(ch.Last() - f.to + 1) // a delivery may have taken the chunk's beginning
			switch {
			case f.records+n <= c.o.MaxEvents:
				f.records += n
			case f.records == 0:
				f.records, f.complete = c.o.MaxEvents, true // one chunk, larger than a delivery may be
			default:
				f.complete = true
			}
			if f.complete {
				return false
			}
			f.to = ch.Last() + 1
			f.bytes += ch.Bytes
			f.complete = f.records == c.o.MaxEvents || f.bytes >= c.o.MaxBytes
			return !f.complete
		})
		if err != nil {
			return 0, fmt.Errorf("looking for the next delivery of partition %d: %w", p.id, err)
		}
	}
	if f.complete || f.records == 0 {
		return 0, nil
	}
	if wait = c.remaining(f); wait <= 0 {
		f.complete = true
		wait = 0
	}
	return wait, nil
}

// remaining is how long the first record of a delivery may still wait for others. The log's time never goes back, the
// machine's may: no record waits longer than it would have by the log's.
func (c *Consumer) remaining(f *filling) time.Duration {
	return min(time.Unix(0, f.appended).Add(c.o.MaxWait).Sub(c.o.Clock.Now()), c.o.MaxWait)
}

// attempt hands the current range to the pipeline once.
func (c *Consumer) attempt(p *partition) error {
	s := p.current
	p.attempt++
	start := c.o.Clock.Now()
	ld, raw, err := c.load(p.id, s, p.attempt)
	if err != nil {
		c.noteFailure(p, err)
		return fmt.Errorf("reading positions %d to %d of partition %d: %w", s.first, s.last, p.id, err)
	}
	id := c.identity()
	id.Partition, id.First, id.Last = p.id, s.first, s.last
	d := New(id, p.attempt, c)
	d.Restored, d.raw = s.restored, raw
	if d.Runs, err = c.runs(p.id, s.first, s.last); err != nil {
		c.noteFailure(p, err)
		return err
	}
	d.original = func() (plog.Logs, error) { return c.log.Load(p.id, s.first, s.last, true) }
	d.FirstAppended, d.LastAppended = d.Runs[0].Appended, d.Runs[len(d.Runs)-1].Appended
	err = c.o.Next(NewContext(c.lifetime, d), ld)
	if err == nil && d.unread() {
		err = errUnread
	}
	if err != nil {
		d.Discard()
		s.restored = true
		c.noteFailure(p, err)
		return fmt.Errorf("delivering %s, attempt %d: %w", id, p.attempt, err)
	}
	failpoint.Reach(failpoint.DeliveryDone)
	d.Publish()
	events := int(s.last - s.first + 1)
	p.pass(s.last)
	c.noteSuccess(p, events, c.o.Clock.Now().Sub(start))
	if c.dirtyBytes() >= c.o.CheckpointBytes {
		c.RequestCheckpoint()
	}
	return nil
}

// errUnread keeps a mistake in how bytes are handed over from losing events.
var errUnread = &BlockedError{Err: errors.New("the log handed over bytes and the first component of the pipeline did not read them")}

// load reads the records of a span, as pdata or as bytes.
func (c *Consumer) load(partition uint32, s *span, attempt int) (plog.Logs, []event.Chunk, error) {
	if c.o.Raw {
		raw, err := c.log.LoadRaw(partition, s.first, s.last)
		if n := event.FromBytes(raw).Len(); err == nil && uint64(n) != s.last-s.first+1 {
			err = fmt.Errorf("the log has %d events there", n)
		}
		return plog.NewLogs(), raw, err
	}
	ld, err := c.log.Load(partition, s.first, s.last, s.restored || attempt > 1)
	return ld, nil, err
}

// runs reads when the records of a range were appended. There is at least one.
func (c *Consumer) runs(p uint32, first, last uint64) ([]Run, error) {
	var runs []Run
	err := c.log.Scan(p, first, func(ch Chunk) bool {
		from, to := max(first, ch.First), min(last, ch.Last())
		runs = append(runs, Run{Records: int(to - from + 1), Appended: ch.Appended, First: ch.First, Ends: to == ch.Last() && !ch.Cut})
		return ch.Last() < last
	})
	if err == nil && len(runs) == 0 {
		err = ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("reading append times of partition %d: %w", p, err)
	}
	return runs, nil
}

func (c *Consumer) noteFailure(p *partition, err error) {
	blocked := Blocked(err)
	if c.o.Observer != nil && c.o.Observer.Failed != nil {
		c.o.Observer.Failed(err, blocked)
	}
	c.setBlocked(p, blocked, err)
}

func (c *Consumer) noteSuccess(p *partition, events int, took time.Duration) {
	if c.o.Observer != nil && c.o.Observer.Delivered != nil {
		c.o.Observer.Delivered(events, took)
	}
	c.setBlocked(p, false, nil)
}

func (c *Consumer) setBlocked(p *partition, blocked bool, err error) {
	if !blocked && !p.blocked {
		return
	}
	p.blocked = blocked
	c.mu.Lock()
	if blocked {
		c.blocked[p.id] = err
	} else {
		delete(c.blocked, p.id)
	}
	var first error
	for _, e := range c.blocked {
		first = e
		break
	}
	c.mu.Unlock()
	if blocked {
		c.o.Logger.Error("A delivery is blocked by an error that no retry mends: it is tried again from time to time; skip it to go on without it",
			zap.Uint32("partition", p.id), zap.Uint64("first", p.current.first), zap.Uint64("last", p.current.last), zap.Error(err))
	}
	if c.o.Observer != nil && c.o.Observer.Blocked != nil {
		c.o.Observer.Blocked(first)
	}
}
