// SPDX-License-Identifier: Apache-2.0

package clickhouseengineextension

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"

	"github.com/millrace/millrace/extension/clickhouseengineextension/internal/metadata"
)

// NewFactory creates the factory of the clickhouse_engine extension.
func NewFactory() extension.Factory {
	return extension.NewFactory(metadata.Type, createDefaultConfig, create, metadata.ExtensionStability)
}

func createDefaultConfig() component.Config {
	return &Config{
		DataDir:      "./data/clickhouse",
		TCPEndpoint:  "127.0.0.1:9000",
		HTTPEndpoint: "127.0.0.1:8123",
		Confined:     true,
		StartTimeout: 30 * time.Second,
		StopTimeout:  10 * time.Second,
		Restart:      RestartConfig{InitialInterval: 100 * time.Millisecond, MaxInterval: 10 * time.Second},
	}
}

func create(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return newEngineExtension(cfg.(*Config), set.Logger, telemetry), nil
}
