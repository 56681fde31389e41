// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/delivery"
)

// participant is a component with state: it keeps the last tick of each partition, and counts restores.
type participant struct {
	mu       sync.Mutex // guards all
	ticks    map[uint32]delivery.Tick
	dirty    int
	restored map[string]string
}

var _ delivery.Participant = (*participant)(nil)

func (p *participant) Restore(_ context.Context, s delivery.Snapshot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restored = map[string]string{}
	return s.Range(nil, func(key, value []byte) error {
		p.restored[string(key)] = string(value)
		return nil
	})
}

func (p *participant) Tick(t delivery.Tick) (delivery.Overlay, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ticks == nil {
		p.ticks = map[uint32]delivery.Tick{}
	}
	p.ticks[t.Partition] = t
	p.dirty++
	return nil, nil
}

func (p *participant) DirtyBytes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dirty
}

func (p *participant) Checkpoint(w delivery.CheckpointWriter) error {
	w.Set([]byte("ticked"), []byte("yes"))
	return nil
}

func (p *participant) Committed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dirty = 0
}

func (*participant) Aborted()                                         {}
func (*participant) Send(context.Context, delivery.OutboxBatch) error { return nil }

func (p *participant) ticked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ticks)
}

func TestAnIdlePipelineWithStateIsToldTheTimeAlsoAfterARestart(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Partitions = 2; c.TickInterval = time.Hour })
	h.sink().state = &participant{}
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	require.NoError(t, h.tick(time.Now().Add(2*time.Hour)))
	h.await("a tick in each partition", func() bool { return h.sink().state.ticked() == 2 })
	require.NoError(t, h.consumers[0].CheckpointNow(context.Background()))

	h.stop()
	h.sink().state = &participant{} // a new process
	require.NoError(t, h.start())
	require.NoError(t, h.tick(time.Now().Add(4*time.Hour)))
	h.await("ticks, without an event since the restart", func() bool { return h.sink().state.ticked() == 2 })
	require.Equal(t, map[string]string{"ticked": "yes"}, h.sink().state.restored)
	require.NoError(t, h.send("b"))
	h.awaitStored(2)
}
