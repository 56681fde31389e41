// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// engineKills kills ClickHouse, or both, and starts what is down in any order.
func (p *phase) engineKills(ctx context.Context, n int) (err error) {
	defer func() { err = p.close(ctx, err) }()
	r := p.o.random(p.report.Phase)
	if err := p.open(ctx, Spec{Apart: true, Compared: !p.o.soon, InsertTimeout: "3s"}, n); err != nil {
		return err
	}
	for i := range n {
		p.say("waiting")
		if err := pause(ctx, between(r, 300*time.Millisecond, 2*time.Second)); err != nil {
			return err
		}
		p.say("ClickHouse is killed")
		if err := p.w.KillEngine(); err != nil {
			return err
		}
		both := i%2 == 1
		if both {
			p.say("both are killed")
			if err := p.w.Kill(); err != nil {
				return err
			}
		}
		if err := pause(ctx, between(r, 0, 1500*time.Millisecond)); err != nil {
			return err
		}
		start := []func(context.Context) error{p.w.StartEngine}
		if both {
			start = append(start, p.w.Start)
			if r.IntN(2) == 0 { // a collector must also come up while ClickHouse is down
				start[0], start[1] = start[1], start[0]
			}
		}
		for _, f := range start {
			if err := f(ctx); err != nil {
				return err
			}
		}
		if both {
			p.step("ClickHouse and collector")
		} else {
			p.step("ClickHouse")
		}
		if !p.w.Running() {
			return p.w.child.Died()
		}
	}
	return nil
}

// freezes stops a process for longer than senders and exporter wait, and lets it go on: what they repeat meets the first attempt.
func (p *phase) freezes(ctx context.Context, n int) (err error) {
	defer func() { err = p.close(ctx, err) }()
	r := p.o.random(p.report.Phase)
	if err := p.open(ctx, Spec{Apart: true, Compared: !p.o.soon, InsertTimeout: "2s"}, 5*n); err != nil {
		return err
	}
	freeze := func(name string, of func() int, d time.Duration) error {
		if err := pause(ctx, between(r, 300*time.Millisecond, time.Second)); err != nil {
			return err
		}
		pid := of()
		for pid == 0 { // the engine has ended by itself, and is started again: 0 would be ourselves
			if err := pause(ctx, 50*time.Millisecond); err != nil {
				return err
			}
			pid = of()
		}
		p.say("%s is frozen for %.1f s", name, d.Seconds())
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return fmt.Errorf("freezing %s: %w", name, err)
		}
		err := pause(ctx, d)
		err = errors.Join(err, syscall.Kill(pid, syscall.SIGCONT))
		p.say("%s goes on", name)
		p.step(name + " frozen")
		return err
	}
	for range n {
		if err := freeze("collector", p.w.child.PID, between(r, senderTimeout+500*time.Millisecond, 2*senderTimeout)); err != nil {
			return err
		}
		if err := freeze("ClickHouse", p.w.engine.PID, between(r, 2500*time.Millisecond, 6*time.Second)); err != nil {
			return err
		}
		for range 3 {
			if err := pause(ctx, between(r, 200*time.Millisecond, time.Second)); err != nil {
				return err
			}
			p.say("connections to ClickHouse are cut")
			if p.w.proxy.cut() > 0 {
				p.step("connections cut")
			}
		}
		if !p.w.Running() {
			return p.w.child.Died()
		}
	}
	return nil
}
