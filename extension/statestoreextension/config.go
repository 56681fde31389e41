// SPDX-License-Identifier: Apache-2.0

package statestoreextension

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/state"
)

// Config is what users set.
type Config struct {
	// Directory is the store's own. One process uses it at a time.
	Directory string `mapstructure:"directory"`
	// CreateDirectory makes the directory where it is missing.
	CreateDirectory bool `mapstructure:"create_directory"`
	// ReserveBytes are held on the disk, so that a full one leaves room to finish what was begun. 0 is none.
	ReserveBytes int64 `mapstructure:"reserve_bytes"`
	// MinFreeBytes is the free space of the disk below which commits are refused.
	MinFreeBytes int64 `mapstructure:"min_free_bytes"`
	// MemoryBytes bounds what tables in memory and cache take.
	MemoryBytes int64 `mapstructure:"memory_bytes"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

const (
	minMemoryBytes = 4 << 20
	maxMemoryBytes = 4 << 30
	minFreeBytes   = 1 << 20
)

// memoryParts is how many of them the memory has: three memtables, as state.Options says, and the cache.
const memoryParts = 4

func createDefaultConfig() component.Config {
	return &Config{
		CreateDirectory: true,
		ReserveBytes:    state.DefaultReserveBytes,
		MinFreeBytes:    state.DefaultMinFreeBytes,
		MemoryBytes:     memoryParts * state.DefaultMemTableBytes,
	}
}

// Validate checks what can be checked without the disk.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Directory == "" {
		bad("directory: is empty; set it to a directory that outlives the process, such as ./data/state")
	}
	if c.ReserveBytes < 0 {
		bad("reserve_bytes: %d is negative; use 0 for no reserve, or for example %d", c.ReserveBytes, state.DefaultReserveBytes)
	}
	if c.MinFreeBytes < minFreeBytes {
		bad("min_free_bytes: %d is too little to finish what is begun; use at least %d", c.MinFreeBytes, minFreeBytes)
	}
	if c.MemoryBytes < minMemoryBytes || c.MemoryBytes > maxMemoryBytes {
		bad("memory_bytes: %d must be from %d to %d", c.MemoryBytes, minMemoryBytes, int64(maxMemoryBytes))
	}
	return errors.Join(errs...)
}
