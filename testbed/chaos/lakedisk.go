// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/lake"
)

// lakeConsumer is the pipeline of the lake.
const lakeConsumer = "logs/lake"

// lakeDiskFull fills the disk of the lake, then that of what is staged, under load. Neither is to hold up the door or ClickHouse.
func (p *phase) lakeDiskFull(ctx context.Context, n int) (err error) {
	var mounts [2]string
	for i, name := range []string{"lakedisk", "stagingdisk"} {
		mounts[i] = filepath.Join(p.o.Dir, name)
		if err := os.MkdirAll(mounts[i], 0o755); err != nil {
			return fmt.Errorf("making the disk's folder: %w", err)
		}
		if err := mountMemory(mounts[i], diskBytes); err != nil {
			p.report.Skipped = fmt.Sprintf("a disk in memory cannot be mounted here (%v): run it as root", err)
			return nil
		}
		defer func() { err = errors.Join(err, unmount(mounts[i])) }() // after the collector has ended
	}
	defer func() { err = p.close(ctx, err) }()
	r := p.o.random(p.report.Phase)
	files := lake.Directory(filepath.Join(mounts[0], "lake"))
	spec := Spec{Apart: true, Lake: files, Overlays: []string{fmt.Sprintf(lakeApart, files, filepath.Join(mounts[1], "staging"))}}
	if err := p.open(ctx, spec, 2*len(p.fills())*n); err != nil {
		return err
	}
	for range n {
		err := p.fillAndKill(ctx, r, "lake's disk full", filepath.Join(mounts[0], "filler"), func() bool {
			failures, err := lag.PublishFailures(ctx, "http://"+p.w.env[metrics])
			return err == nil && failures > 0
		})
		if err != nil {
			return err
		}
		err = p.fillAndKill(ctx, r, "staging's disk full", filepath.Join(mounts[1], "filler"), func() bool {
			behind, err := lag.Behind(ctx, "http://"+p.w.env[admin], lakeConsumer)
			return err == nil && behind > 3000
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fills says of each time that a disk is filled whether the collector is killed meanwhile.
func (p *phase) fills() []bool {
	if p.o.soon {
		return []bool{true}
	}
	return []bool{false, true}
}

// fillAndKill fills a disk until it is felt, makes room, fills it again, and kills the collector there.
func (p *phase) fillAndKill(ctx context.Context, r *rand.Rand, name, filler string, felt func() bool) error {
	files := func() int64 { return p.w.watcher.Seen().Files }
	flows := func(what string) error {
		acked, before := p.t.run.Stats().Acked, files()
		return await(ctx, what, func() bool { return p.t.run.Stats().Acked > acked+100 && files() > before || !p.w.Running() })
	}
	for _, kill := range p.fills() {
		if err := flows("files come"); err != nil {
			return err
		}
		if err := pause(ctx, between(r, 0, time.Second)); err != nil {
			return err
		}
		p.say("%s", name)
		acked := p.t.run.Stats().Acked
		if err := fillDisk(filler); err != nil {
			return err
		}
		if err := await(ctx, name+" is felt", func() bool { return felt() || !p.w.Running() }); err != nil {
			return err
		}
		// The door stays open.
		if err := await(ctx, "events are acknowledged while "+name, func() bool { return p.t.run.Stats().Acked > acked+500 || !p.w.Running() }); err != nil {
			return err
		}
		if kill {
			p.say("%s, and the collector is killed", name)
			if err := errors.Join(p.w.Kill(), p.w.Start(ctx)); err != nil {
				return err
			}
			if err := await(ctx, name+" is felt after the start", func() bool { return felt() || !p.w.Running() }); err != nil {
				return err
			}
		}
		if !p.w.Running() {
			return fmt.Errorf("%s: %w", name, p.w.child.Died())
		}
		p.say("there is room again")
		if err := os.Remove(filler); err != nil {
			return err
		}
		if err := flows("files come again"); err != nil {
			return err
		}
		if kill {
			p.step("killed, " + name)
		} else {
			p.step(name)
		}
	}
	return nil
}
