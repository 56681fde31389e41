// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// diskBytes is the size of the disk that is filled.
const diskBytes = 64 << 20

// diskFull fills the disk of log and state under load, also while the collector is killed and started, and makes room again.
func (p *phase) diskFull(ctx context.Context, n int) (err error) {
	disk := filepath.Join(p.o.Dir, "disk")
	if err := os.MkdirAll(disk, 0o755); err != nil {
		return fmt.Errorf("making the disk's folder: %w", err)
	}
	if err := mountMemory(disk, diskBytes); err != nil {
		p.report.Skipped = fmt.Sprintf("a disk in memory cannot be mounted here (%v): run it as root", err)
		return nil
	}
	defer func() { err = errors.Join(err, unmount(disk)) }() // after the collector has ended
	defer func() { err = p.close(ctx, err) }()
	r := p.o.random(p.report.Phase)
	if err := p.open(ctx, Spec{Apart: true, Data: disk, MinFree: 1 << 20}, 2*n); err != nil {
		return err
	}
	filler := filepath.Join(disk, "filler")
	fill := func() error {
		if err := pause(ctx, between(r, 500*time.Millisecond, 2*time.Second)); err != nil {
			return err
		}
		p.say("the disk is filled")
		if err := fillDisk(filler); err != nil {
			return err
		}
		// Full means full to senders: they are told to come again.
		refused := p.t.run.Stats().Retries
		return await(ctx, "senders are told that the log is full", func() bool {
			s := p.t.run.Stats()
			return s.Retries > refused && s.LastError != nil && saysFull(s.LastError.Error()) || !p.w.Running()
		})
	}
	goesOn := func() error {
		p.say("the disk has room again")
		if err := os.Remove(filler); err != nil {
			return err
		}
		acked := p.t.run.Stats().Acked
		return await(ctx, "events are acknowledged again", func() bool { return p.t.run.Stats().Acked > acked+100 || !p.w.Running() })
	}
	alive := func() error {
		if !p.w.Running() {
			return fmt.Errorf("on a full disk: %w", p.w.child.Died())
		}
		return nil
	}
	for range n {
		if err := errors.Join(fill(), pause(ctx, 2*time.Second), alive()); err != nil {
			return err
		}
		if err := errors.Join(goesOn(), alive()); err != nil {
			return err
		}
		p.step("disk full")
		if err := errors.Join(fill(), alive()); err != nil {
			return err
		}
		p.say("the collector is killed on a full disk")
		if err := p.w.Kill(); err != nil {
			return err
		}
		if err := p.startOnFullDisk(ctx); err != nil {
			return err
		}
		if p.w.Running() {
			if err := goesOn(); err != nil {
				return err
			}
		} else if err := errors.Join(os.Remove(filler), p.w.Start(ctx)); err != nil {
			return err
		}
		if err := alive(); err != nil {
			return err
		}
		p.step("killed on a full disk")
	}
	return nil
}

// startOnFullDisk starts the collector, which either serves or says that there is no room.
func (p *phase) startOnFullDisk(ctx context.Context) error {
	if err := p.w.Launch(""); err != nil {
		return err
	}
	served, err := p.w.awaitServing(ctx)
	if err != nil || served {
		return err
	}
	if last := p.w.child.Tail(3); !saysFull(last) && !strings.Contains(last, "free space") {
		return fmt.Errorf("the collector does not start on a full disk, and does not say that it is full: %w", p.w.child.Died())
	}
	return nil
}

func saysFull(text string) bool {
	for _, words := range []string{"full", "no space left", "free space", "RESOURCE_EXHAUSTED", "429"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// fillDisk takes all space that is left, in one file.
func fillDisk(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("filling the disk: %w", err)
	}
	block := make([]byte, 1<<16)
	for len(block) > 512 {
		if _, err = f.Write(block); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				break
			}
			block = block[:len(block)/2]
			err = nil
		}
	}
	return errors.Join(err, f.Close())
}
