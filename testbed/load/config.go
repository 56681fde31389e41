// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// GeneratorConfig says what to simulate. Zero fields take their defaults, which NewGenerator fills in.
type GeneratorConfig struct {
	// Seed determines, with the rest of the configuration, every byte. Runs into one table need different seeds:
	// the event IDs follow from it.
	Seed uint64
	// Events is how many unique events to make; 0 is no end.
	Events int64
	// End is the simulated time at which the last event happens. Zero is 2026-11-02 12:00 UTC, for tests.
	End time.Time
	// Span is the simulated time from the first to the last event (default 1h; without Events, the time in which
	// a million of them happen).
	Span time.Duration
	// Users is how many different visitors there are, at most (default 100,000).
	Users int
	// Tenants are the shops (default: DefaultTenants). The first have the more visitors. At most 16.
	Tenants []string
	// SegmentTenants are those that have a Segment write key (default: all). A visit by Segment to another tenant
	// goes to the first of these instead, so that one key is enough.
	SegmentTenants []string
	// Paths are the shares of the sessions that come in by each path (default: all OTLPGRPC).
	Paths [3]float64
	// Late is the share of events that arrive late, by up to LateMax of simulated time (default 5m).
	Late    float64
	LateMax time.Duration
	// Duplicates is the share of events of which a second copy is sent, at once or later.
	Duplicates float64
	// Bad is the share of events that are spoilt, by each BadKind that the event has something for.
	Bad float64
}

// DefaultTenants are the simulated shops.
var DefaultTenants = []string{"shop-eu", "shop-us", "shop-jp", "outlet"}

const (
	maxTenants  = 16
	maxSessions = 50_000  // at once; beyond it, visitors hurry. Bounds the memory.
	maxHeld     = 100_000 // late events at once; beyond it, the first is sent earlier. Bounds the memory.
)

func (c *GeneratorConfig) setDefaults() {
	if c.End.IsZero() {
		c.End = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	}
	if c.Span == 0 {
		c.Span = time.Hour
	}
	if c.Users == 0 {
		c.Users = 100_000
	}
	if len(c.Tenants) == 0 {
		c.Tenants = DefaultTenants
	}
	if c.Paths == [3]float64{} {
		c.Paths[OTLPGRPC] = 1
	}
	if c.LateMax == 0 {
		c.LateMax = 5 * time.Minute
	}
}

// allTenants are Tenants and those that come in by Segment only.
func (c *GeneratorConfig) allTenants() []string {
	all := slices.Clone(c.Tenants)
	for _, t := range c.SegmentTenants {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

func (c *GeneratorConfig) validate() error {
	var errs []error
	share := func(field string, v float64) {
		if !(v >= 0 && v <= 1) {
			errs = append(errs, fmt.Errorf("%s: %v is no share: give a number from 0 to 1", field, v))
		}
	}
	share("late", c.Late)
	share("duplicates", c.Duplicates)
	share("bad", c.Bad)
	if c.Events < 0 {
		errs = append(errs, fmt.Errorf("events: %d is negative: give a number from 0, which is no end", c.Events))
	}
	if c.Span < 0 {
		errs = append(errs, fmt.Errorf("span: %s is negative: give a duration above 0", c.Span))
	}
	if c.LateMax < 0 {
		errs = append(errs, fmt.Errorf("late max: %s is negative: give a duration above 0", c.LateMax))
	}
	if c.Users < 0 || c.Users > 10_000_000 {
		errs = append(errs, fmt.Errorf("users: %d is out of range: give 1 to 10,000,000", c.Users))
	}
	if n := len(c.allTenants()); n > maxTenants {
		errs = append(errs, fmt.Errorf("tenants: %d are too many: give at most %d", n, maxTenants))
	}
	var sum float64
	for p, v := range c.Paths {
		if v < 0 {
			errs = append(errs, fmt.Errorf("paths: %v for %s is negative: give a weight from 0", v, Path(p)))
		}
		sum += v
	}
	if sum <= 0 {
		errs = append(errs, errors.New("paths: all weights are 0: give at least one above 0"))
	}
	return errors.Join(errs...)
}
