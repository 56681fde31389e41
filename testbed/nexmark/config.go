// SPDX-License-Identifier: Apache-2.0

package nexmark

import (
	"errors"
	"fmt"
	"time"
)

// Config of a Generator. The zero value of each field stands for the published default.
type Config struct {
	Seed uint64
	// Events is how many there are, copies not counted. 0: without end.
	Events int64
	// Start is the time of event 0: 2026-01-01 00:00 UTC if zero.
	Start time.Time
	// Rate is events in a second of event time: 10,000.
	Rate float64
	// OutOfOrderGroup is how many events in a row permute their times: 1, in order.
	OutOfOrderGroup int64

	// The hot one is chosen with probability 1-1/ratio: 2, 4 and 4.
	HotAuctionRatio, HotSellerRatio, HotBidderRatio int
	// InFlightAuctions and ActivePeople are how many of the youngest are bid for, and bid: 100 and 1,000.
	InFlightAuctions, ActivePeople int64

	// Duplicates is the share of events that come again, up to RepeatWithin (10 s of event time) after.
	Duplicates   float64
	RepeatWithin time.Duration
	// Late is the share of events that are held back, for up to LateBy (30 s of event time).
	Late   float64
	LateBy time.Duration
	// Future is the share of events whose clock is ahead by FutureBy: 20 years, which is ahead of any clock that appends.
	Future   float64
	FutureBy time.Duration
}

// What holds unless told otherwise.
const (
	DefaultRate             = 10_000
	defaultHotAuctionRatio  = 2
	defaultHotSellerRatio   = 4
	defaultHotBidderRatio   = 4
	defaultInFlightAuctions = 100
	defaultActivePeople     = 1000
	defaultRepeatWithin     = 10 * time.Second
	defaultLateBy           = 30 * time.Second
	defaultFutureBy         = 20 * 365 * 24 * time.Hour
)

// DefaultStart is the time of event 0 unless told otherwise.
var DefaultStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

func (c *Config) setDefaults() {
	if c.Start.IsZero() {
		c.Start = DefaultStart
	}
	orElse(&c.Rate, DefaultRate)
	orElse(&c.OutOfOrderGroup, 1)
	orElse(&c.HotAuctionRatio, defaultHotAuctionRatio)
	orElse(&c.HotSellerRatio, defaultHotSellerRatio)
	orElse(&c.HotBidderRatio, defaultHotBidderRatio)
	orElse(&c.InFlightAuctions, defaultInFlightAuctions)
	orElse(&c.ActivePeople, defaultActivePeople)
	orElse(&c.RepeatWithin, defaultRepeatWithin)
	orElse(&c.LateBy, defaultLateBy)
	orElse(&c.FutureBy, defaultFutureBy)
}

func (c *Config) validate() error {
	var errs []error
	least := func(name string, v, least float64) {
		if !(v >= least) {
			errs = append(errs, fmt.Errorf("%s is %v: use %v or more", name, v, least))
		}
	}
	least("Events", float64(c.Events), 0)
	least("Rate", c.Rate, 1e-3)
	least("OutOfOrderGroup", float64(c.OutOfOrderGroup), 1)
	least("HotAuctionRatio", float64(c.HotAuctionRatio), 1)
	least("HotSellerRatio", float64(c.HotSellerRatio), 1)
	least("HotBidderRatio", float64(c.HotBidderRatio), 1)
	least("InFlightAuctions", float64(c.InFlightAuctions), 1)
	least("ActivePeople", float64(c.ActivePeople), 1)
	least("RepeatWithin", float64(c.RepeatWithin), 0)
	least("LateBy", float64(c.LateBy), 0)
	least("FutureBy", float64(c.FutureBy), 0)
	if c.OutOfOrderGroup%stride == 0 {
		errs = append(errs, fmt.Errorf("OutOfOrderGroup is %d: a multiple of %d is not permuted", c.OutOfOrderGroup, stride))
	}
	for name, share := range map[string]float64{"Duplicates": c.Duplicates, "Late": c.Late, "Future": c.Future} {
		if !(share >= 0 && share <= 1) {
			errs = append(errs, fmt.Errorf("%s is %v: use a share between 0 and 1", name, share))
		}
	}
	return errors.Join(errs...)
}
