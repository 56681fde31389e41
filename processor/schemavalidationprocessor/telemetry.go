// SPDX-License-Identifier: Apache-2.0

package schemavalidationprocessor

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/processor/schemavalidationprocessor/internal/metadata"
)

// series is one time series of the metric. The schema is one of the registry's, never what a producer wrote,
// so that producers cannot make series.
type series struct {
	schema  *schema.Schema // or nil
	outcome outcome
}

// tally counts the events of one batch.
type tally struct {
	counts map[series]int64
	last   series // not yet in counts, with its number: a batch has few series and long runs of one
	n      int64
}

func newTally() tally { return tally{counts: map[series]int64{}} }

func (t *tally) reset() {
	clear(t.counts)
	t.last, t.n = series{}, 0
}

func (t *tally) add(s *schema.Schema, o outcome) {
	if at := (series{s, o}); at != t.last {
		t.flush()
		t.last = at
	}
	t.n++
}

func (t *tally) flush() {
	if t.n > 0 {
		t.counts[t.last] += t.n
		t.n = 0
	}
}

// maxOptions bounds the series remembered: each reload makes new schemas.
const maxOptions = 4096

// counters adds tallies to the metric.
type counters struct {
	telemetry *metadata.TelemetryBuilder

	mu      sync.Mutex // guards options: batches come from many goroutines
	options map[series]metric.MeasurementOption
}

func newCounters(set component.TelemetrySettings) (*counters, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	return &counters{telemetry: telemetry, options: map[series]metric.MeasurementOption{}}, nil
}

func (c *counters) add(ctx context.Context, t *tally) {
	t.flush()
	for s, n := range t.counts {
		c.telemetry.ProcessorSchemaValidationEvents.Add(ctx, n, c.option(s))
	}
}

func (c *counters) option(s series) metric.MeasurementOption {
	c.mu.Lock()
	defer c.mu.Unlock()
	if option, ok := c.options[s]; ok {
		return option
	}
	attributes := []attribute.KeyValue{attribute.String("outcome", s.outcome.String())}
	if reason := s.outcome.reason(); reason != "" {
		attributes = append(attributes, attribute.String("reason", reason))
	}
	if s.schema != nil {
		attributes = append(attributes, attribute.String("schema", s.schema.ID()))
	}
	option := metric.WithAttributeSet(attribute.NewSet(attributes...))
	if len(c.options) >= maxOptions {
		clear(c.options)
	}
	c.options[s] = option
	return option
}

func (c *counters) shutdown() { c.telemetry.Shutdown() }
