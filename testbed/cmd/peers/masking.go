// SPDX-License-Identifier: Apache-2.0

//go:build peers

package main

import (
	"context"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"

	"github.com/millrace/millrace/processor/piimaskingprocessor"
)

// newMasking is ours as it is by default: all detectors, the built-in names, no schemas and no keys, so that what is found is redacted.
func newMasking(ctx context.Context, next consumer.Logs) (processor.Logs, error) {
	return newProcessor(ctx, piimaskingprocessor.NewFactory(), nil, next)
}
