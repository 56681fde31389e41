// SPDX-License-Identifier: Apache-2.0

package window

import (
	"fmt"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/consumer/consumererror"

	"github.com/millrace/millrace/internal/delivery"
)

// Holder has a component's engine, which is that of one pipeline behind one log. Any goroutine may use it.
type Holder struct {
	// Make is called once, with the coordinator of the first delivery.
	Make func(delivery.Coordinator) *Engine
	// Type of the component, for errors.
	Type string

	mu          sync.Mutex // guards coordinator, and the making of engine
	coordinator delivery.Coordinator
	engine      atomic.Pointer[Engine]
}

// Engine for a delivery of that coordinator.
func (h *Holder) Engine(c delivery.Coordinator) (*Engine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch h.coordinator {
	case nil:
		h.coordinator = c
		h.engine.Store(h.Make(c))
	case c:
	default:
		return nil, consumererror.NewPermanent(fmt.Errorf("%s is behind two logs, or twice behind one: give each pipeline one of its own, such as %s/two", h.Type, h.Type))
	}
	return h.engine.Load(), nil
}

// ErrNoLog is for records that come without a delivery.
func (h *Holder) ErrNoLog() error {
	return consumererror.NewPermanent(fmt.Errorf(
		"%s needs an event_log before it, which keeps its state: let the pipeline receive from an event_log connector", h.Type))
}

// Stats of the last checkpoint: those of nothing before there is an engine.
func (h *Holder) Stats() *Stats {
	if e := h.engine.Load(); e != nil {
		return e.Stats()
	}
	return &Stats{}
}
