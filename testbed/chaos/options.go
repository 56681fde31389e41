// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/failpoint"
)

// Options say what to break and how often.
type Options struct {
	Binary string // of the collector
	Root   string // the repository, for its configuration and schemas
	Dir    string // for all data; made if absent
	Seed   uint64 // of the load and of everything that is drawn
	Kills  int    // over both kinds of engine
	Rate   float64
	// Phases to run, in order; nil is all.
	Phases []string
	// Steps are the fail points to hit; nil is all. Those that are not hit fail the run.
	Steps    []string
	soon     bool     // reaches fail points after a few times, for a short run
	overlays []string // more configuration, of tests
	// Progress is told how a phase stands, about ten times a second; it may be nil.
	Progress func(Progress)
	// Logf is told what happens, a line each; it may be nil.
	Logf func(format string, args ...any)
}

// Progress of a phase.
type Progress struct {
	Phase       string
	Done, Of    int
	Doing       string
	Sent, Acked int64
	Elapsed     time.Duration
}

// The phases.
const (
	PhaseKillsChild = "kills, engine as child"
	PhaseKills      = "kills, engine apart"
	PhaseResults    = "kills, sessions and windows"
	PhaseEngine     = "engine killed"
	PhaseDisk       = "disk full"
	PhaseLakeDisk   = "lake's disk full"
	PhaseStore      = "lake's store killed"
	PhaseTail       = "log's tail torn"
	PhaseFreeze     = "frozen"
)

// AllPhases in their order.
var AllPhases = []string{PhaseKillsChild, PhaseKills, PhaseResults, PhaseEngine, PhaseDisk, PhaseLakeDisk, PhaseStore, PhaseTail, PhaseFreeze}

func (o *Options) setDefaults() {
	if o.Phases == nil {
		o.Phases = AllPhases
	}
	if o.Steps == nil {
		o.Steps = failpoint.Names
	}
	if o.Rate == 0 {
		o.Rate = 2000
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
}

func (o *Options) validate() error {
	var errs []error
	if o.Kills < 1 {
		errs = append(errs, fmt.Errorf("kills is %d: give at least 1", o.Kills))
	}
	for _, p := range o.Phases {
		if !slices.Contains(AllPhases, p) {
			errs = append(errs, fmt.Errorf("phase %q is unknown: there are %q", p, AllPhases))
		}
	}
	for _, s := range o.Steps {
		if !slices.Contains(failpoint.Names, s) {
			errs = append(errs, fmt.Errorf("fail point %q is unknown: there are %q", s, failpoint.Names))
		}
	}
	for _, path := range []*string{&o.Binary, &o.Root, &o.Dir} {
		abs, err := filepath.Abs(*path)
		errs = append(errs, err)
		*path = abs
	}
	if _, err := os.Stat(o.Binary); err != nil {
		errs = append(errs, fmt.Errorf("%s is missing: run make build first", o.Binary))
	}
	return errors.Join(errs...)
}

// random gives each phase draws of its own, so that one phase alone does the same as among the others.
func (o *Options) random(phase string) *rand.Rand {
	h := o.Seed
	for _, b := range []byte(phase) {
		h = h*0x100000001b3 ^ uint64(b)
	}
	return rand.New(rand.NewPCG(o.Seed, h))
}

// between draws a duration.
func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)+1))
}

// millionEvents is how much event time they take: as fast as it passes here, sessions and windows are over soon.
func (o *Options) millionEvents() time.Duration {
	faster := 20.0
	if o.soon {
		faster = 40
	}
	return time.Duration(faster * 1e6 / o.Rate * float64(time.Second))
}

// poisonInterval is the time between two events that ClickHouse refuses: each costs some twenty INSERTs until it is found.
func (o *Options) poisonInterval() time.Duration {
	if o.soon {
		return 400 * time.Millisecond
	}
	return 2 * time.Second
}
