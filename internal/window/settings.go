// SPDX-License-Identifier: Apache-2.0

package window

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/internal/watermark"
)

// Settings are what every component with an engine lets users set beside its aggregations. It is squashed into their configurations.
type Settings struct {
	// MaxOutOfOrderness is by how much an event may come after one that is younger.
	MaxOutOfOrderness time.Duration `mapstructure:"max_out_of_orderness"`
	// MaxFutureSkew is by how much an event may be ahead of when the log took it and still move the watermark.
	MaxFutureSkew time.Duration `mapstructure:"max_future_skew"`
	// MaxFuture is by how much an event may be ahead of when the log took it and still count.
	MaxFuture time.Duration `mapstructure:"max_future"`
	// MaxMemoryBytes is what state may take in memory; what is beyond is moved to the state store.
	MaxMemoryBytes int `mapstructure:"max_memory_bytes"`
}

// DefaultSettings are for what is left out.
func DefaultSettings() Settings {
	return Settings{
		MaxOutOfOrderness: time.Minute,
		MaxFutureSkew:     10 * time.Minute,
		MaxFuture:         24 * time.Hour,
		MaxMemoryBytes:    512 << 20,
	}
}

const minMemory = 1 << 20

// Check names field, value and mend. It is not called Validate, which core would call beside that of the whole, and say the same twice.
func (s *Settings) Check() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"max_out_of_orderness", s.MaxOutOfOrderness}, {"max_future_skew", s.MaxFutureSkew}, {"max_future", s.MaxFuture},
	} {
		if err := ValidateTime(d.name, d.value); err != nil {
			return err
		}
	}
	switch {
	case s.MaxFuture < s.MaxFutureSkew:
		return fmt.Errorf("max_future: %s is less than max_future_skew, %s: use at least that", s.MaxFuture, s.MaxFutureSkew)
	case s.MaxMemoryBytes < minMemory:
		return fmt.Errorf("max_memory_bytes: %d: use at least %d", s.MaxMemoryBytes, minMemory)
	}
	return nil
}

// ValidateTime of a setting that is a time of events.
func ValidateTime(field string, d time.Duration) error {
	if d < 0 || d > maxSpan {
		return fmt.Errorf("%s: %s: use a time from 0s to %s", field, d, maxSpan)
	}
	return nil
}

// Options of a Plan with these settings.
func (s *Settings) Options() Options {
	return Options{
		Watermark: watermark.Config{MaxOutOfOrderness: s.MaxOutOfOrderness, MaxFutureSkew: s.MaxFutureSkew},
		MaxFuture: s.MaxFuture, MaxBytes: s.MaxMemoryBytes,
	}
}
