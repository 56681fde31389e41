// SPDX-License-Identifier: Apache-2.0

package keystoreextension

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"

	"github.com/millrace/millrace/extension/keystoreextension/internal/metadata"
)

// NewFactory creates the factory of the key_store extension.
func NewFactory() extension.Factory {
	return extension.NewFactory(metadata.Type, createDefaultConfig, create, metadata.ExtensionStability)
}

func create(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
	return newKeyStore(cfg.(*Config), set.ID, set.TelemetrySettings)
}
