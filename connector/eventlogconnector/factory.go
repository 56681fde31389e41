// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"

	"github.com/millrace/millrace/connector/eventlogconnector/internal/metadata"
)

// NewFactory returns the factory of event_log.
func NewFactory() connector.Factory {
	return connector.NewFactory(metadata.Type, createDefaultConfig,
		connector.WithLogsToLogs(createLogsToLogs, metadata.LogsToLogsStability))
}

func createLogsToLogs(_ context.Context, set connector.Settings, cfg component.Config, next consumer.Logs) (connector.Logs, error) {
	router, ok := next.(connector.LogsRouterAndConsumer)
	if !ok {
		return nil, fmt.Errorf("creating %s: the collector gave no router of pipelines", set.ID)
	}
	return newEventLog(set, cfg.(*Config), router)
}
