// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/result"
)

// A declaration says that results of a table may come. Readers want the table before the first one does, which may be a window's
// length or a session's gap later. The server may not be up when the declaration comes: it is remembered, and the table brought
// up when the server answers. Nobody waits for that. What is not brought up at shutdown is declared again at the next start.

// declarer brings declared tables up. Its worker runs while something waits.
type declarer struct {
	bring  func(ctx context.Context, s *result.Scope) error
	logger *zap.Logger
	// ctx ends with stop.
	ctx    context.Context
	cancel context.CancelFunc
	worker sync.WaitGroup

	mu      sync.Mutex // guards what is below; any goroutine
	waiting []*result.Scope
	running bool
	stopped bool
}

func newDeclarer(logger *zap.Logger, bring func(ctx context.Context, s *result.Scope) error) *declarer {
	ctx, cancel := context.WithCancel(context.Background())
	return &declarer{bring: bring, logger: logger, ctx: ctx, cancel: cancel}
}

// declare returns at once.
func (d *declarer) declare(scopes []result.Scope) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	for i := range scopes {
		if scopes[i].Table != nil {
			d.waiting = append(d.waiting, &scopes[i])
		}
	}
	if len(d.waiting) > 0 && !d.running {
		d.running = true
		d.worker.Add(1)
		go d.work()
	}
}

// Between two tries.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 30 * time.Second
)

func (d *declarer) work() {
	defer d.worker.Done()
	pause := firstPause
	said := map[string]string{}
	for {
		d.mu.Lock()
		now := d.waiting
		d.waiting = nil
		if len(now) == 0 {
			d.running = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		var failed []*result.Scope
		for _, s := range now {
			err := d.bring(d.ctx, s)
			if err == nil {
				continue
			}
			failed = append(failed, s)
			if words := err.Error(); said[s.Table.Name] != words && d.ctx.Err() == nil {
				said[s.Table.Name] = words
				d.logger.Warn("A table of results is not there yet: it is tried again", zap.String("table", s.Table.Name), zap.Error(err))
			}
		}
		if len(failed) == 0 {
			continue
		}
		d.mu.Lock()
		d.waiting = append(failed, d.waiting...)
		d.mu.Unlock()
		select {
		case <-d.ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// stop returns when the worker has ended.
func (d *declarer) stop() {
	d.mu.Lock()
	d.stopped = true
	d.mu.Unlock()
	d.cancel()
	d.worker.Wait()
}
