// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrace/millrace/internal/segmentlog"
)

// lag is how far a consumer is behind the log.
type lag struct {
	total uint64
	bytes int64   // uncompressed; about, see lagOf
	age   float64 // seconds: of the oldest record it has not acknowledged
}

// lagSample bounds how many chunks are looked at to tell bytes.
const lagSample = 200

// lagOf counts records, and takes their bytes from the first chunks behind, as an average.
func (l *eventLog) lagOf(c *logConsumer, now time.Time) lag {
	var out lag
	var sampledBytes, sampledRecords, oldest int64
	for p := range l.cfg.Partitions {
		at, next := c.DeliveredTo(uint32(p)), l.log.Next(uint32(p))
		if next <= at {
			continue
		}
		out.total += next - at
		chunks := 0
		_ = l.log.Scan(uint32(p), at, func(i segmentlog.Info) bool { // it may have gone since: then the next look tells
			if chunks == 0 && (oldest == 0 || i.Appended < oldest) {
				oldest = i.Appended
			}
			sampledBytes += int64(i.Bytes)
			sampledRecords += int64(i.Records)
			chunks++
			return chunks < lagSample
		})
	}
	if sampledRecords > 0 {
		out.bytes = int64(float64(out.total) * float64(sampledBytes) / float64(sampledRecords))
	}
	if oldest > 0 {
		out.age = max(0, now.Sub(time.Unix(0, oldest)).Seconds())
	}
	return out
}

// registerGauges lets the collector ask how things stand.
func (l *eventLog) registerGauges() error {
	t := l.telemetry
	attr := func(kv ...attribute.KeyValue) metric.ObserveOption {
		return metric.WithAttributeSet(attribute.NewSet(kv...))
	}
	each := func(observe func(c *logConsumer, consumer attribute.KeyValue)) {
		for _, c := range l.consumers {
			observe(c, attribute.String("consumer", c.id.String()))
		}
	}
	return errors.Join(
		t.RegisterEventLogDiskCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(l.log.Stats().Bytes)
			return nil
		}),
		t.RegisterEventLogRetentionAgeCallback(func(_ context.Context, o metric.Float64Observer) error {
			age := 0.0
			if oldest := l.log.Stats().OldestAppended; oldest > 0 {
				age = max(0, l.clock.Now().Sub(time.Unix(0, oldest)).Seconds())
			}
			o.Observe(age)
			return nil
		}),
		t.RegisterEventLogIndexIdsCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(l.index.Len()))
			return nil
		}),
		t.RegisterEventLogIndexMemoryCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(l.index.Bytes())
			return nil
		}),
		t.RegisterEventLogBlockedCallback(func(_ context.Context, o metric.Int64Observer) error {
			each(func(c *logConsumer, consumer attribute.KeyValue) { o.Observe(int64(len(c.Blocked())), attr(consumer)) })
			return nil
		}),
		t.RegisterEventLogLagEventsCallback(func(_ context.Context, o metric.Int64Observer) error {
			each(func(c *logConsumer, consumer attribute.KeyValue) {
				for p := range l.cfg.Partitions {
					at, next := c.DeliveredTo(uint32(p)), l.log.Next(uint32(p))
					o.Observe(int64(max(next, at)-at), attr(consumer, attribute.Int("partition", p)))
				}
			})
			return nil
		}),
		t.RegisterEventLogLagBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
			each(func(c *logConsumer, consumer attribute.KeyValue) {
				o.Observe(l.lagOf(c, l.clock.Now()).bytes, attr(consumer))
			})
			return nil
		}),
		t.RegisterEventLogLagAgeCallback(func(_ context.Context, o metric.Float64Observer) error {
			each(func(c *logConsumer, consumer attribute.KeyValue) {
				o.Observe(l.lagOf(c, l.clock.Now()).age, attr(consumer))
			})
			return nil
		}),
	)
}
