// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/state"
)

// enrolled is a component that has made itself known.
type enrolled struct {
	name string
	// mu is held while the component is restored and gets what waits for it. Enrolment of an inner stage may happen
	// within it, from the outbox that an outer one passes on; never the other way round.
	mu          sync.Mutex
	participant Participant // nil until restored; guarded by mu, and by Consumer.mu for those who only look
}

// outboxItem is one batch of the outbox.
type outboxItem struct {
	checkpoint uint64
	stage      string
	ordinal    uint32
	batch      OutboxBatch
}

// Enrol implements Coordinator.
func (c *Consumer) Enrol(ctx context.Context, id component.ID, p Participant) error {
	name := id.String()
	c.mu.Lock()
	e := c.parts[name]
	if e == nil {
		e = &enrolled{name: name}
		c.parts[name] = e
	}
	c.mu.Unlock()

	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.participant == nil:
		if err := p.Restore(ctx, keyspace{c, name}); err != nil {
			return fmt.Errorf("restoring %s: %w", name, err)
		}
		if err := c.passHeld(e, p); err != nil {
			return err
		}
	case e.participant != p:
		return &BlockedError{Err: fmt.Errorf("two components of pipeline %s are called %s: two paths lead to it; give each its own name", c.o.Pipeline, name)}
	}
	// What the last checkpoint emitted before a crash goes before what comes now.
	return c.sendOutbox(ctx, e)
}

// passHeld makes p, which was restored, the component's participant, and gives it the ticks that came while it was not enrolled. One that the log has not
// known gets the last of each partition: a partition may have nothing else. Other partitions' ticks may come meanwhile: they are held too, and passed
// before p gets any by itself. The caller holds e.mu.
func (c *Consumer) passHeld(e *enrolled, p Participant) error {
	c.mu.Lock()
	if !slices.Contains(c.record.Components, e.name) {
		c.record.Components = append(c.record.Components, e.name)
		c.hold(e.name, c.record.Ticks...)
	}
	c.mu.Unlock()
	var passed []Tick
	for {
		c.mu.Lock()
		held := c.record.Held[e.name]
		delete(c.record.Held, e.name)
		if len(held) == 0 {
			e.participant = p
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		passed = append(passed, held...)
		for _, t := range held {
			o, err := p.Tick(t)
			if err != nil { // it is restored again, to what it was before all of them
				c.mu.Lock()
				later := c.record.Held[e.name]
				delete(c.record.Held, e.name)
				c.hold(e.name, passed...)
				c.hold(e.name, later...)
				c.mu.Unlock()
				return fmt.Errorf("passing a tick to %s: %w", e.name, err)
			}
			if o != nil {
				o.Publish()
			}
		}
	}
}

// hold keeps the last tick of each partition for a component that has not enrolled: as nothing came between them, it stands for all. The caller
// has locked mu.
func (c *Consumer) hold(name string, ticks ...Tick) {
	if c.record.Held == nil {
		c.record.Held = map[string][]Tick{}
	}
	held := c.record.Held[name]
	for _, t := range ticks {
		if i := slices.IndexFunc(held, func(h Tick) bool { return h.Partition == t.Partition }); i >= 0 {
			held[i] = t
		} else {
			held = append(held, t)
		}
	}
	if len(held) > 0 {
		c.record.Held[name] = held
	}
}

// tick passes a tick to the components that have enrolled, and holds it for those that the last checkpoint knows and
// that have not.
func (c *Consumer) tick(_ context.Context, ch Chunk, partition uint32) error {
	t := Tick{Partition: partition, Position: ch.First, Appended: ch.Appended, EventTime: ch.EventTime}
	c.mu.Lock()
	if i := slices.IndexFunc(c.record.Ticks, func(h Tick) bool { return h.Partition == partition }); i >= 0 {
		c.record.Ticks[i] = t
	} else {
		c.record.Ticks = append(c.record.Ticks, t)
	}
	var now []Participant
	for _, name := range c.record.Components {
		if e := c.parts[name]; e != nil && e.participant != nil {
			now = append(now, e.participant)
			continue
		}
		c.hold(name, t)
	}
	c.mu.Unlock()
	var overlays []Overlay
	for _, p := range now {
		o, err := p.Tick(t)
		if err != nil {
			for _, o := range overlays {
				o.Discard()
			}
			return fmt.Errorf("passing a tick of partition %d: %w", partition, err)
		}
		if o != nil {
			overlays = append(overlays, o)
		}
	}
	for _, o := range overlays {
		o.Publish()
	}
	return nil
}

// WantsTicks says whether any component of the pipeline has state: without one, ticks are only weight.
func (c *Consumer) WantsTicks() bool { return len(c.componentNames()) > 0 }

// probe passes an empty batch, so that components with state enrol without an event: an idle pipeline must close its
// sessions too. Some processors swallow an empty batch; then components enrol with the first event behind them.
func (c *Consumer) probe(ctx context.Context) {
	missing := false
	c.mu.Lock()
	for _, name := range c.record.Components {
		missing = missing || c.parts[name] == nil
	}
	c.mu.Unlock()
	if !missing {
		return
	}
	id := c.identity()
	id.First = 1 // to 0: no range has this identity
	d := New(id, 1, c)
	// Its errors come again with the first delivery.
	_ = c.o.Next(NewContext(ctx, d), plog.NewLogs())
	d.Discard()
}

func (c *Consumer) dirtyBytes() int {
	n := 0
	for _, p := range c.participants() {
		n += p.DirtyBytes()
	}
	return n
}

// participants are those that have enrolled, in the order of their first enrolment.
func (c *Consumer) participants() []Participant {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Participant
	for _, name := range c.record.Components {
		if e := c.parts[name]; e != nil && e.participant != nil {
			out = append(out, e.participant)
		}
	}
	return out
}

// keyspace is a component's part of the store.
type keyspace struct {
	c    *Consumer
	name string
}

func (k keyspace) prefix() []byte { return k.c.keys.key("state", []byte(k.name)) }

// Get implements Snapshot.
func (k keyspace) Get(key []byte) ([]byte, bool, error) {
	return k.c.store.Get(append(k.prefix(), key...))
}

// Range implements Snapshot.
func (k keyspace) Range(prefix []byte, f func(key, value []byte) error) error {
	root := k.prefix()
	from := append(append([]byte(nil), root...), prefix...)
	return k.c.store.Range(from, state.PrefixEnd(from), func(key, value []byte) error {
		return f(key[len(root):], value)
	})
}
