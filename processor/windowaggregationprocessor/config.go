// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/window"
)

// Config is what users set.
type Config struct {
	// PassEvents hands on what comes in, beside the results. Late events are marked.
	PassEvents bool `mapstructure:"pass_events"`
	// PassLateEvents hands on late events, marked, and no others.
	PassLateEvents  bool `mapstructure:"pass_late_events"`
	window.Settings `mapstructure:",squash"`
	// AllowedLateness is how far behind that an event still counts: its windows are emitted again.
	AllowedLateness time.Duration `mapstructure:"allowed_lateness"`
	// Aggregations, each with a table of its own.
	Aggregations []window.Definition `mapstructure:"aggregations"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

func createDefaultConfig() component.Config { return &Config{Settings: window.DefaultSettings()} }

// Validate names field, value and mend.
func (c *Config) Validate() error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := window.ValidateTime("allowed_lateness", c.AllowedLateness); err != nil {
		return err
	}
	if c.PassEvents && c.PassLateEvents {
		return errors.New("pass_late_events: with pass_events all events are passed on: set one of them to false")
	}
	_, err := c.plan()
	return err
}

func (c *Config) plan() (*window.Plan, error) {
	o := c.Options()
	o.Watermark.AllowedLateness = c.AllowedLateness
	o.PassEvents, o.PassLate = c.PassEvents, c.PassLateEvents
	return window.NewPlan(o, c.Aggregations)
}
