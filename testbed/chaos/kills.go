// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/failpoint"
)

// stepNames are the fail points and, after them, the kill from outside.
var stepNames = append(slices.Clone(failpoint.Names), randomMoment)

// randomMoment is a kill from outside, whatever the collector does.
const randomMoment = "any moment"

// kill is one to come.
type kill struct {
	step  string // a fail point, or randomMoment
	count int
	after time.Duration // from the launch, for a random moment
}

// often is how often a step is passed within a few seconds, at least: a kill's count is drawn up to there.
var often = map[string]int{
	failpoint.AppendWritten: 30, failpoint.AppendSynced: 30, failpoint.AppendAcked: 40,
	failpoint.SegmentCreated: 2, failpoint.SegmentSealed: 2, failpoint.SegmentRemoved: 2,
	failpoint.DeliveryRecorded: 20, failpoint.DeliveryDone: 20, failpoint.CheckpointBefore: 4, failpoint.CheckpointAfter: 4,
	failpoint.OutboxBefore: 8, failpoint.OutboxAfter: 8,
	failpoint.PlanBound: 20, failpoint.InsertBefore: 20, failpoint.InsertAfter: 20, failpoint.BisectBound: 12,
	failpoint.StageWritten: 20, failpoint.StageNoted: 20, failpoint.PartWritten: 12, failpoint.FilePlanned: 3, failpoint.FileWritten: 20,
	failpoint.FilePut: 20, failpoint.CataloguePut: 3,
}

// plan draws the kills: every step once, if there are so many, then steps in turn with random moments. Of those, one in three is
// soon after the launch, so that a recovery is cut short as well.
func plan(r *rand.Rand, n int, steps []string) []kill {
	var kills []kill
	order := r.Perm(len(steps))
	each := 0
	for i := range n {
		if each < len(order) || len(order) > 0 && i%2 == 0 {
			step := steps[order[each%len(order)]]
			each++
			kills = append(kills, kill{step: step, count: 1 + r.IntN(often[step])})
			continue
		}
		after := between(r, 500*time.Millisecond, 4*time.Second)
		if r.IntN(3) == 0 {
			after = between(r, 0, 600*time.Millisecond)
		}
		kills = append(kills, kill{step: randomMoment, after: after})
	}
	r.Shuffle(len(kills), func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	return kills
}

// stepPatience is how long a step may take to be reached: the log looks after old segments every ten seconds.
const stepPatience = 40 * time.Second

// kills kills the collector again and again, and starts it at once.
func (p *phase) kills(ctx context.Context, spec Spec, n int) (err error) {
	defer func() { err = p.close(ctx, err) }()
	r := p.o.random(p.report.Phase)
	steps := p.o.Steps
	if spec.Compared { // its log keeps everything
		steps = slices.DeleteFunc(slices.Clone(steps), func(s string) bool { return s == failpoint.SegmentRemoved })
	}
	todo := plan(r, n, steps)
	if p.o.soon && !spec.Compared { // which needs time, for something to be over
		for i := range todo {
			todo[i].count = (todo[i].count + 3) / 4
		}
	}
	if err := p.open(ctx, spec, len(todo)); err != nil {
		return err
	}
	if err := p.flow(ctx, spec); err != nil {
		return err
	}
	if err := p.w.Kill(); err != nil { // the first one is not in the plan: it is what begins
		return err
	}
	again := map[string]int{}
	for i := 0; i < len(todo); i++ {
		k := todo[i]
		hit, err := p.killOnce(ctx, k)
		if err != nil {
			return err
		}
		if hit {
			p.step(k.step)
			continue
		}
		p.o.Logf("%s was not reached %d times within %s", k.step, k.count, stepPatience)
		if again[k.step]++; again[k.step] > 2 {
			continue
		}
		k.count = 1
		todo = append(todo, k)
	}
	if err := p.w.Start(ctx); err != nil {
		return err
	}
	return p.flow(ctx, spec)
}

// flow lets events come undisturbed for a while: where results are compared, so many that some are over by themselves, and some events too late.
func (p *phase) flow(ctx context.Context, spec Spec) error {
	if !spec.Compared {
		return pause(ctx, time.Second)
	}
	p.say("events come")
	acked := p.t.run.Stats().Acked
	return await(ctx, "events are acknowledged", func() bool { return p.t.run.Stats().Acked > acked+6000 || !p.w.Running() })
}

// killOnce starts the collector and has it killed. It returns false if the step was not reached; then it was killed all the same.
func (p *phase) killOnce(ctx context.Context, k kill) (bool, error) {
	arm, limit := "", k.after
	p.say("SIGKILL %.1f s after the launch", k.after.Seconds())
	if k.step != randomMoment {
		arm, limit = fmt.Sprintf("%s:%d", k.step, k.count), stepPatience
		p.say("SIGKILL at %s", arm)
	}
	began := time.Now()
	if err := p.w.Launch(arm); err != nil {
		return false, err
	}
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	served := false
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-p.w.child.Exited():
			if !p.w.wasKilled() || k.step == randomMoment {
				return false, p.w.child.Died()
			}
			return true, nil
		case <-deadline.C:
			return k.step == randomMoment, p.w.Kill()
		case <-time.After(5 * time.Millisecond):
			if !served && p.w.serving() {
				served = true
				p.w.serve = append(p.w.serve, time.Since(began))
			}
		}
	}
}
