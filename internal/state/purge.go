// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// deleteCleaner removes obsolete files, as Pebble's own does, and keeps Pebble from recycling WALs: it embeds the one cleaner that needs
// what is in a file. A WAL that waits to be written over, or whose end was not reached yet, holds what was deleted long ago. See
// BenchmarkCommit for what that costs.
type deleteCleaner struct {
	pebble.DeleteCleaner // its methods hide those of the other one, which is embedded deeper
	needsContents
}

type needsContents struct{ pebble.ArchiveCleaner }

// deletions tells that Pebble removed files, or tried to.
type deletions struct {
	mu     sync.Mutex // guards what follows; any goroutine
	failed map[string]struct{}
	next   chan struct{} // closed at the next one
}

func newDeletions() *deletions {
	return &deletions{failed: map[string]struct{}{}, next: make(chan struct{})}
}

func (d *deletions) note(path string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		// The last part, in whatever way the file system joins paths.
		d.failed[filepath.Base(path)] = struct{}{}
	}
	close(d.next)
	d.next = make(chan struct{})
}

func (d *deletions) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.next
}

// takeFailed says whether removing the file failed, and forgets it.
func (d *deletions) takeFailed(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.failed[name]
	delete(d.failed, name)
	return ok
}

var _ Purger = (*Pebble)(nil)

// Purge flushes, so that no WAL has what was deleted; compacts the ranges, so that no table has; and waits until the files that had it are
// removed. What the file system or the disk itself keep of removed files is theirs. A call of Range that is under way keeps files: it is
// waited for. It costs reading and writing all tables that overlap with the ranges, and a new WAL.
func (p *Pebble) Purge(ctx context.Context, ranges ...KeyRange) error {
	if err := p.enter(); err != nil {
		return err
	}
	defer p.leave()
	if err := p.space.room(p.space.minFree); err != nil {
		return fmt.Errorf("purging: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.again()
	done := make(chan error, 1)
	go func() {
		defer p.leave()
		done <- p.guarded(func() error { return p.purge(ctx, ranges) })
	}()
	var err error
	select {
	case err = <-done:
	case <-p.failed:
		err = p.failure
	case <-ctx.Done():
		err = ctx.Err()
	case <-p.guard.closing:
		err = ErrClosed
	}
	if err != nil {
		return fmt.Errorf("purging: %w", p.classify(err))
	}
	return nil
}

func (p *Pebble) purge(ctx context.Context, ranges []KeyRange) error {
	logs, err := p.names(".log")
	if err != nil {
		return err
	}
	// It rotates the WAL, so all that are there now become obsolete.
	flushed, err := p.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, r := range ranges {
		to := r.To
		if len(to) == 0 {
			to = afterAll
		}
		if bytes.Compare(r.From, to) >= 0 {
			continue
		}
		if err := p.compact(ctx, r.From, to); err != nil {
			return err
		}
	}
	tables, err := p.names(".sst")
	if err != nil {
		return err
	}
	if err := p.gone(ctx, append(logs, tables...)); err != nil {
		return err
	}
	// Or a power loss brings the files back, whole.
	if err := syncDirectory(p.guard, p.dir); err != nil {
		return fmt.Errorf("syncing directory: %w", err)
	}
	return nil
}

// compact brings the deletions in a range down to what they delete, where both vanish. Pebble's compaction goes down to the deepest level
// that had any of the range when it began; where another compaction has brought something deeper meanwhile, it is done again.
func (p *Pebble) compact(ctx context.Context, from, to []byte) error {
	for {
		before, err := p.deepest(from, to)
		if err != nil {
			return err
		}
		if err := p.db.Compact(ctx, from, to, false); err != nil {
			return err
		}
		// A compaction ends one level below the deepest; at the last there is none below.
		after, err := p.deepest(from, to)
		if err != nil || after <= before+1 {
			return err
		}
	}
}

// deepest returns the deepest level that has a table which overlaps with the range; 0 if there is none.
func (p *Pebble) deepest(from, to []byte) (int, error) {
	levels, err := p.db.SSTables()
	if err != nil {
		return 0, err
	}
	for level, tables := range slices.Backward(levels) {
		for i := range tables {
			t := &tables[i]
			if bytes.Compare(t.Largest.UserKey, from) >= 0 && bytes.Compare(t.Smallest.UserKey, to) < 0 {
				return level, nil
			}
		}
	}
	return 0, nil
}

// names lists the files with an ending.
func (p *Pebble) names(suffix string) ([]string, error) {
	names, err := p.guard.List(p.dir)
	if err != nil {
		return nil, fmt.Errorf("listing files: %w", err)
	}
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, suffix) }), nil
}

// gone waits until each of the files is removed, or is a table that the store is made of.
func (p *Pebble) gone(ctx context.Context, names []string) error {
	for {
		next := p.deleted.wait()
		levels, err := p.db.SSTables()
		if err != nil {
			return err
		}
		used := map[string]bool{}
		for _, tables := range levels {
			for i := range tables {
				used[fmt.Sprintf("%06d.sst", tables[i].FileNum)] = true
			}
		}
		var left []string
		for _, n := range names {
			path := p.guard.PathJoin(p.dir, n)
			if _, err := p.guard.Stat(path); errors.Is(err, fs.ErrNotExist) || used[n] {
				continue
			} else if err != nil {
				return err
			}
			if p.deleted.takeFailed(n) {
				// Pebble would leave it for its next start.
				if err := p.guard.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					p.deleted.note(path, err)
					return fmt.Errorf("removing a file: %w", err)
				}
				continue
			}
			left = append(left, n)
		}
		if len(left) == 0 {
			return nil
		}
		names = left
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
