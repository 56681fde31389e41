// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/schema"
)

var errNoRegistry = errors.New("is not an extension that has schemas: name a schema_registry extension and list it under service.extensions")

// FindRegistry returns the extension that has the schemas, for a sink of rows whose field schema_registry names it. Without the
// extension every event is undeclared: that is a setup where the field has its default, and a mistake where it names another.
func FindRegistry(host component.Host, id, byDefault component.ID, logger *zap.Logger) (schema.Registry, error) {
	ext, ok := host.GetExtensions()[id]
	if !ok && id == byDefault {
		empty, err := schema.NewSnapshot(0, nil)
		if err != nil {
			return nil, fmt.Errorf("creating an empty schema registry: %w", err)
		}
		logger.Warn("No schema_registry extension: all properties go into the column `properties`, none gets a column of its own")
		return noRegistry{empty}, nil
	}
	registry, ok := ext.(schema.Registry)
	if !ok {
		return nil, fmt.Errorf("schema_registry: %q %w", id, errNoRegistry)
	}
	return registry, nil
}

// noRegistry stands in where no schemas are configured.
type noRegistry struct{ snapshot *schema.Snapshot }

func (r noRegistry) Snapshot() *schema.Snapshot { return r.snapshot }
