// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/watermark"
	"github.com/millrace/millrace/internal/window"
)

// Config is what users set.
type Config struct {
	// PassEvents hands on what comes in, beside the results. Late events are marked.
	PassEvents bool `mapstructure:"pass_events"`
	// PassLateEvents hands on late events, marked, and no others.
	PassLateEvents bool `mapstructure:"pass_late_events"`
	// MaxOutOfOrderness is by how much an event may come after one that is younger.
	MaxOutOfOrderness time.Duration `mapstructure:"max_out_of_orderness"`
	// AllowedLateness is how far behind that an event still counts: its windows are emitted again.
	AllowedLateness time.Duration `mapstructure:"allowed_lateness"`
	// MaxFutureSkew is by how much an event may be ahead of when the log took it and still move the watermark.
	MaxFutureSkew time.Duration `mapstructure:"max_future_skew"`
	// MaxFuture is by how much an event may be ahead of when the log took it and still count.
	MaxFuture time.Duration `mapstructure:"max_future"`
	// MaxMemoryBytes is what state may take in memory; what is beyond is moved to the state store.
	MaxMemoryBytes int `mapstructure:"max_memory_bytes"`
	// Aggregations, each with a table of its own.
	Aggregations []window.Definition `mapstructure:"aggregations"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

func createDefaultConfig() component.Config {
	return &Config{
		MaxOutOfOrderness: time.Minute,
		MaxFutureSkew:     10 * time.Minute,
		MaxFuture:         24 * time.Hour,
		MaxMemoryBytes:    512 << 20,
	}
}

const (
	maxTime   = 366 * 24 * time.Hour
	minMemory = 1 << 20
)

// Validate names field, value and mend.
func (c *Config) Validate() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"max_out_of_orderness", c.MaxOutOfOrderness}, {"allowed_lateness", c.AllowedLateness},
		{"max_future_skew", c.MaxFutureSkew}, {"max_future", c.MaxFuture},
	} {
		if d.value < 0 || d.value > maxTime {
			return fmt.Errorf("%s: %s: use a time from 0s to %s", d.name, d.value, maxTime)
		}
	}
	switch {
	case c.MaxFuture < c.MaxFutureSkew:
		return fmt.Errorf("max_future: %s is less than max_future_skew, %s: use at least that", c.MaxFuture, c.MaxFutureSkew)
	case c.PassEvents && c.PassLateEvents:
		return errors.New("pass_late_events: with pass_events all events are passed on: set one of them to false")
	case c.MaxMemoryBytes < minMemory:
		return fmt.Errorf("max_memory_bytes: %d: use at least %d", c.MaxMemoryBytes, minMemory)
	}
	_, err := c.plan()
	return err
}

func (c *Config) plan() (*window.Plan, error) {
	return window.NewPlan(window.Options{
		Watermark: watermark.Config{
			MaxOutOfOrderness: c.MaxOutOfOrderness, AllowedLateness: c.AllowedLateness, MaxFutureSkew: c.MaxFutureSkew,
		},
		MaxFuture: c.MaxFuture, MaxBytes: c.MaxMemoryBytes, PassEvents: c.PassEvents, PassLate: c.PassLateEvents,
	}, c.Aggregations)
}
