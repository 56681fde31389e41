// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/testbed/load"
)

// Report is what came of a run.
type Report struct {
	Seed   uint64
	Phases []*PhaseReport
	// NeverHit are the fail points at which the collector was never killed.
	NeverHit []string
}

// PhaseReport is what came of a phase.
type PhaseReport struct {
	Phase   string
	Skipped string // why
	Faults  []*Fault
	Serve   []time.Duration // of every restart: from the launch until every door is open
	Took    time.Duration
	Outcome
	Results *Results // where sessions and windows were held against those of an undisturbed run
}

// Fault is one way to break something, and how often it was done.
type Fault struct {
	Name  string
	Times int
}

func (p *PhaseReport) fault(name string) {
	for _, f := range p.Faults {
		if f.Name == name {
			f.Times++
			return
		}
	}
	p.Faults = append(p.Faults, &Fault{name, 1})
}

// Kills adds up the phase's faults.
func (p *PhaseReport) Kills() (n int) {
	for _, f := range p.Faults {
		n += f.Times
	}
	return n
}

// OK says that nothing was lost, duplicated or altered, that results are those of an undisturbed run, and that every fail point was hit.
func (r *Report) OK() bool {
	return len(r.NeverHit) == 0 && !slices.ContainsFunc(r.Phases, func(p *PhaseReport) bool { return !p.Outcome.OK() || !p.Results.OK() })
}

// phase is one under way.
type phase struct {
	o       *Options
	report  *PhaseReport
	w       *World
	t       *traffic
	began   time.Time
	running chan struct{} // closed when the phase ends

	// What watch reads while the phase goes on.
	doing atomic.Pointer[string]
	done  atomic.Int64
	view  atomic.Pointer[view] // nil before there is traffic
}

type view struct {
	run *load.Run
	of  int
}

// Run breaks the collector in every way that the options name. An error says that a phase could not be carried to its end,
// which is no less a failure than a wrong outcome; the report then has what was found until then.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Report{Seed: o.Seed}
	steps := map[string]bool{}
	for _, name := range o.Phases {
		p := &phase{o: &o, report: &PhaseReport{Phase: name}, began: time.Now(), running: make(chan struct{})}
		p.say("starting")
		stopped := make(chan struct{})
		go p.watch(stopped)
		err := p.carryOut(ctx, name)
		close(p.running)
		<-stopped
		p.report.Took = time.Since(p.began)
		r.Phases = append(r.Phases, p.report)
		for _, f := range p.report.Faults {
			steps[f.Name] = true
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
	}
	all := slices.Contains(o.Phases, PhaseKills) || slices.Contains(o.Phases, PhaseKillsChild)
	if all || slices.Contains(o.Phases, PhaseResults) {
		for _, s := range o.Steps {
			if !steps[s] && (all || s != failpoint.SegmentRemoved) {
				r.NeverHit = append(r.NeverHit, s)
			}
		}
	}
	return r, nil
}

func (p *phase) carryOut(ctx context.Context, name string) error {
	switch name {
	case PhaseKillsChild:
		return p.kills(ctx, Spec{}, p.o.Kills-p.o.Kills/2)
	case PhaseKills:
		n := p.o.Kills / 2
		if !slices.Contains(p.o.Phases, PhaseKillsChild) {
			n = p.o.Kills
		}
		return p.kills(ctx, Spec{Apart: true}, n)
	case PhaseResults:
		return p.kills(ctx, Spec{Apart: true, Compared: true}, p.o.Kills)
	case PhaseEngine:
		return p.engineKills(ctx, max(3, p.o.Kills/10))
	case PhaseDisk:
		return p.diskFull(ctx, max(1, p.o.Kills/50))
	case PhaseLakeDisk:
		return p.lakeDiskFull(ctx, max(1, p.o.Kills/50))
	case PhaseStore:
		return p.storeKills(ctx, max(1, p.o.Kills/25))
	case PhaseTail:
		return p.tornTails(ctx, max(1, p.o.Kills/50))
	default:
		return p.freezes(ctx, max(1, p.o.Kills/50))
	}
}

func (p *phase) say(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	p.doing.Store(&s)
}

func (p *phase) step(fault string) {
	p.report.fault(fault)
	p.done.Add(1)
}

// watch tells how the phase stands until it ends.
func (p *phase) watch(stopped chan<- struct{}) {
	defer close(stopped)
	for {
		select {
		case <-p.running:
			return
		case <-time.After(100 * time.Millisecond):
		}
		pr := Progress{Phase: p.report.Phase, Doing: *p.doing.Load(), Done: int(p.done.Load()), Elapsed: time.Since(p.began)}
		if v := p.view.Load(); v != nil {
			pr.Of = v.of
			s := v.run.Stats()
			pr.Sent, pr.Acked = s.Sent, s.Acked
		}
		p.o.Progress(pr)
	}
}

// open makes the phase's world and starts the traffic.
func (p *phase) open(ctx context.Context, spec Spec, of int) (err error) {
	if p.w, err = newWorld(ctx, p.o, p.report.Phase, spec); err != nil {
		return err
	}
	if err := p.w.Start(ctx); err != nil {
		return err
	}
	if err := p.w.AwaitTables(ctx); err != nil {
		return err
	}
	if p.t, err = startTraffic(ctx, p.w, p.o.random(p.report.Phase).Uint64()); err != nil {
		return err
	}
	p.view.Store(&view{p.t.run, of})
	return nil
}

// close compares, and ends the world. An error of the phase comes first.
func (p *phase) close(ctx context.Context, err error) error {
	if p.w == nil {
		return err
	}
	p.report.Serve = p.w.serve
	if err == nil {
		p.say("waiting until all is delivered")
		p.report.Outcome, err = p.t.finish(ctx)
		if err == nil && p.w.spec.Compared {
			p.report.Results, err = p.t.compareResults(ctx, p.say)
		}
	} else if p.t != nil {
		err = errors.Join(err, p.t.abandon())
	}
	err = errors.Join(err, p.w.Close())
	p.report.Lake.seen(p.w.seen)
	if p.w.died > 0 {
		p.o.Logf("%s: ClickHouse ended %d times by itself, when it met the end of a client", p.report.Phase, p.w.died)
	}
	return err
}
