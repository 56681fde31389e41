// SPDX-License-Identifier: Apache-2.0

package window

import (
	"fmt"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrace/millrace/internal/delivery"
)

// Holder has a component's engine, which is that of one pipeline behind one log. Any goroutine may use it.
type Holder struct {
	// Make is called once, with the coordinator of the first delivery.
	Make func(delivery.Coordinator) *Engine
	// Type of the component, for errors.
	Type string
	// Component is the attribute that tells one component's gauges from another's, such as processor="window_aggregation/hourly".
	Component attribute.KeyValue

	mu          sync.Mutex // guards coordinator and pipeline, and the making of engine
	pipeline    string
	coordinator delivery.Coordinator
	engine      atomic.Pointer[Engine]
}

// Engine for a delivery.
func (h *Holder) Engine(d *delivery.Delivery) (*Engine, error) {
	c := d.Coordinator()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch h.coordinator {
	case nil:
		h.coordinator, h.pipeline = c, d.ID.Pipeline.String()
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

// attributes tell this component's gauges, in this pipeline, from those of others: of two that observe the same ones, the last counts.
func (h *Holder) attributes(more ...attribute.KeyValue) metric.MeasurementOption {
	h.mu.Lock()
	defer h.mu.Unlock()
	return metric.WithAttributes(append(more, h.Component, attribute.String("pipeline", h.pipeline))...)
}

// Stats of the last checkpoint: those of nothing before there is an engine.
func (h *Holder) Stats() *Stats {
	if e := h.engine.Load(); e != nil {
		return e.Stats()
	}
	return &Stats{}
}
