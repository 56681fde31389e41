// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.uber.org/zap"

	"github.com/millrace/millrace/exporter/clickhouseeventsexporter/internal/metadata"
)

// NewFactory returns the factory of clickhouse_events.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(metadata.Type, createDefaultConfig,
		exporter.WithLogs(createLogs, metadata.LogsStability))
}

func createLogs(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Logs, error) {
	cfg := config.(*Config)
	exp, err := newEventsExporter(set, cfg)
	if err != nil {
		return nil, err
	}
	return newLogs(ctx, set, cfg, exp)
}

func newLogs(ctx context.Context, set exporter.Settings, cfg *Config, exp *eventsExporter) (exporter.Logs, error) {
	// An event log's deliveries pass no queue, which would acknowledge for another and forget identities, and no
	// retries, which are the log's. The rest of the helper, such as its metrics, is the same.
	behindLog, err := exporterhelper.NewLogs(ctx, quiet(set), cfg, exp.consumeDelivery,
		exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{Timeout: 0}), // each INSERT has its own
	)
	if err != nil {
		return nil, err
	}
	plain, err := exporterhelper.NewLogs(ctx, set, cfg, exp.consumeLogs,
		exporterhelper.WithStart(exp.start),
		exporterhelper.WithShutdown(exp.shutdown),
		exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
		exporterhelper.WithTimeout(cfg.TimeoutConfig),
		exporterhelper.WithRetry(cfg.RetryConfig),
		exporterhelper.WithQueue(cfg.QueueConfig),
	)
	if err != nil {
		return nil, err
	}
	return &logsExporter{Logs: plain, behindLog: behindLog, inner: exp}, nil
}

// quiet leaves the helper's words out: behind a log nothing is rejected or lost, as they would have it.
func quiet(set exporter.Settings) exporter.Settings {
	set.Logger = zap.NewNop()
	return set
}
