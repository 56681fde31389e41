// SPDX-License-Identifier: Apache-2.0

package schemavalidationprocessor

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
	// Registry is the extension that has the schemas.
	Registry component.ID `mapstructure:"registry"`
	// UnknownEvents says what becomes of an event that no schema describes: accept, fail or refuse.
	UnknownEvents Policy `mapstructure:"unknown_events"`
	// EventTime bounds when an event may have happened.
	EventTime EventTimeConfig `mapstructure:"event_time"`
	// MaxProperties is how many properties one event may have, members of nested objects counted.
	MaxProperties int `mapstructure:"max_properties"`
	// MaxNameLength and MaxIDLength bound the event's name and its IDs, in bytes.
	MaxNameLength int `mapstructure:"max_name_length"`
	MaxIDLength   int `mapstructure:"max_id_length"`
}

// EventTimeConfig bounds when an event may have happened.
type EventTimeConfig struct {
	// Earliest is the earliest time that is believed.
	Earliest time.Time `mapstructure:"earliest"`
	// MaxFutureSkew is how far an event may lie after the time at which it was received.
	MaxFutureSkew time.Duration `mapstructure:"max_future_skew"`
}

// Policy says what becomes of unknown events.
type Policy string

// The policies.
const (
	Accept Policy = "accept" // they pass without a schema
	Fail   Policy = "fail"   // they are marked as failed
	Refuse Policy = "refuse" // they are removed and the sender gets an error
)

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

func createDefaultConfig() component.Config {
	return &Config{
		Registry:      component.MustNewID("schema_registry"),
		UnknownEvents: Accept,
		EventTime: EventTimeConfig{
			Earliest:      time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC),
			MaxFutureSkew: 24 * time.Hour,
		},
		MaxProperties: 1000,
		MaxNameLength: 512,
		MaxIDLength:   512,
	}
}

// maxFutureSkew keeps sums of times within what a timestamp holds.
const maxFutureSkew = 100 * 366 * 24 * time.Hour

// Validate names field, value and mend.
func (c *Config) Validate() error {
	if c.Registry == (component.ID{}) {
		return errors.New("registry: is empty; name the extension that has the schemas, such as schema_registry")
	}
	switch c.UnknownEvents {
	case Accept, Fail, Refuse:
	default:
		return fmt.Errorf("unknown_events: %q must be accept, fail or refuse", c.UnknownEvents)
	}
	if e := c.EventTime.Earliest; e.Year() < 1970 || e.Year() > 2100 {
		return fmt.Errorf("event_time::earliest: %s must be between 1970-01-01T00:00:00Z and 2100-12-31T23:59:59Z", e.Format(time.RFC3339))
	}
	if s := c.EventTime.MaxFutureSkew; s < 0 || s > maxFutureSkew {
		return fmt.Errorf("event_time::max_future_skew: %s must be from 0s to %s", s, maxFutureSkew)
	}
	for _, limit := range []struct {
		field      string
		value, max int
	}{
		{"max_properties", c.MaxProperties, 100_000},
		{"max_name_length", c.MaxNameLength, 65_536},
		{"max_id_length", c.MaxIDLength, 65_536},
	} {
		if limit.value < 1 || limit.value > limit.max {
			return fmt.Errorf("%s: %d must be from 1 to %d", limit.field, limit.value, limit.max)
		}
	}
	return nil
}
