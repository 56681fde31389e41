// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// observe lets the collector ask how much waits.
func (x *parquetExporter) observe() error {
	t := x.telemetry
	us := metric.WithAttributes(attribute.String("exporter", x.id.String())) // of two exporters that observe the same gauge, the last counts
	look := func(f func(l *lot)) {
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, l := range x.lots {
			f(l)
		}
	}
	return errors.Join(
		t.RegisterExporterParquetStagedBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(x.staging.staged(), us)
			return nil
		}),
		t.RegisterExporterParquetStagedRowsCallback(func(_ context.Context, o metric.Int64Observer) error {
			var n int64
			look(func(l *lot) {
				n += l.rows
				for i := range l.parts {
					n += l.parts[i].Rows
				}
			})
			o.Observe(n, us)
			return nil
		}),
		t.RegisterExporterParquetStagedAgeCallback(func(_ context.Context, o metric.Float64Observer) error {
			var age float64
			now := x.clock.Now()
			look(func(l *lot) { age = max(age, now.Sub(time.Unix(0, l.opened)).Seconds()) })
			o.Observe(age, us)
			return nil
		}),
		t.RegisterExporterParquetOpenFilesCallback(func(_ context.Context, o metric.Int64Observer) error {
			var n int64
			look(func(*lot) { n++ })
			o.Observe(n, us)
			return nil
		}),
	)
}
