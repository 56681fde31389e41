// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/processor/piimaskingprocessor/internal/metadata"
)

// hit is what is counted of a value that was found.
type hit struct {
	class, rule, field string
	action             masking.Kind
}

// outcome is what became of an event.
type outcome struct{ name, reason string }

// The outcomes' names.
const (
	clean         = "clean"
	masked        = "masked"
	heldBack      = "held_back"
	sealedOutcome = "sealed"
	suppressed    = "suppressed"
)

// tally counts what was done in one batch.
type tally struct {
	hits   map[hit]int64
	events map[outcome]int64
	fields fieldNames
}

func newTally() tally {
	return tally{hits: map[hit]int64{}, events: map[outcome]int64{}, fields: fieldNames{joined: map[[2]string]string{}}}
}

func (t *tally) reset() {
	clear(t.hits)
	clear(t.events)
}

// release does not keep a map that a batch of many keys has made large.
func (t *tally) release() {
	if len(t.hits) > maxKept {
		t.hits = map[hit]int64{}
	}
}

func (t *tally) value(h hit) { t.hits[h]++ }

func (t *tally) event(name, reason string) { t.events[outcome{name, reason}]++ }

// fieldNames keeps the names of fields within objects.
type fieldNames struct{ joined map[[2]string]string }

// maxFields bounds the fields that are told apart, here and in metrics; producers choose keys.
const maxFields = 1000

// maxField is the longest name of a field: what is deeper has its object's.
const maxField = 128

func (f *fieldNames) join(parent, key string) string {
	at := [2]string{parent, key}
	if name, ok := f.joined[at]; ok {
		return name
	}
	if len(parent)+len(key) > maxField {
		return parent
	}
	if len(f.joined) >= maxPlans {
		clear(f.joined)
	}
	name := parent + "." + key
	f.joined[at] = name
	return name
}

// counters adds tallies to the metrics, and to what the audit log is told.
type counters struct {
	telemetry *metadata.TelemetryBuilder
	mode      attribute.KeyValue

	mu     sync.Mutex // guards what is below: batches come from many goroutines
	values map[hit]metric.MeasurementOption
	events map[outcome]metric.MeasurementOption
	fields [2]map[string]bool // those told apart: of tags, and of all else that a sender can name
	since  map[hit]int64      // what the audit log was not told yet
}

func newCounters(set component.TelemetrySettings, dryRun bool) (*counters, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	mode := "mask"
	if dryRun {
		mode = "dry_run"
	}
	return &counters{
		telemetry: telemetry, mode: attribute.String("mode", mode), values: map[hit]metric.MeasurementOption{},
		events: map[outcome]metric.MeasurementOption{}, fields: [2]map[string]bool{{}, {}}, since: map[hit]int64{},
	}, nil
}

func (c *counters) add(ctx context.Context, t *tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for h, n := range t.hits {
		fields := c.fields[1]
		if h.rule == "schema" {
			fields = c.fields[0]
		}
		if !fields[h.field] {
			if len(fields) >= maxFields {
				h.field = otherField
			}
			fields[h.field] = true
		}
		option := c.values[h]
		if option == nil {
			option = metric.WithAttributeSet(attribute.NewSet(c.mode, attribute.String("action", string(h.action)), attribute.String("class", h.class),
				attribute.String("field", h.field), attribute.String("rule", h.rule)))
			c.values[h] = option
		}
		c.telemetry.ProcessorPiiMaskingValues.Add(ctx, n, option)
		c.since[h] += n
	}
	for o, n := range t.events {
		option := c.events[o]
		if option == nil {
			attributes := []attribute.KeyValue{c.mode, attribute.String("outcome", o.name)}
			if o.reason != "" {
				attributes = append(attributes, attribute.String("reason", o.reason))
			}
			option = metric.WithAttributeSet(attribute.NewSet(attributes...))
			c.events[o] = option
		}
		c.telemetry.ProcessorPiiMaskingEvents.Add(ctx, n, option)
	}
}

// take returns what the audit log was not told yet, and gives it up.
func (c *counters) take() map[hit]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.since) == 0 {
		return nil
	}
	since := c.since
	c.since = map[hit]int64{}
	return since
}

// giveBack is for what the audit log did not take.
func (c *counters) giveBack(since map[hit]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for h, n := range since {
		c.since[h] += n
	}
}

func (c *counters) shutdown() { c.telemetry.Shutdown() }
