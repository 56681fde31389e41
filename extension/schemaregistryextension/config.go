// SPDX-License-Identifier: Apache-2.0

package schemaregistryextension

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
)

// Config is what users set.
type Config struct {
	// Directory holds the schemas, read with its subdirectories. A schema's file is SUBJECT.vVERSION.json.
	Directory string `mapstructure:"directory"`
	// ReloadInterval is how often the directory is looked at for changes; 0 turns reloading off.
	ReloadInterval time.Duration `mapstructure:"reload_interval"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

// minReloadInterval keeps a mistyped unit from reading the directory without pause.
const minReloadInterval = 10 * time.Millisecond

func createDefaultConfig() component.Config {
	return &Config{ReloadInterval: 5 * time.Second}
}

// Validate checks what can be checked without the disk.
func (c *Config) Validate() error {
	if c.Directory == "" {
		return errors.New("directory: is empty; set it to the directory that holds the schemas, such as ./schemas")
	}
	if c.ReloadInterval < 0 || c.ReloadInterval > 0 && c.ReloadInterval < minReloadInterval {
		return fmt.Errorf("reload_interval: %s must be 0 (off) or at least %s", c.ReloadInterval, minReloadInterval)
	}
	return nil
}
