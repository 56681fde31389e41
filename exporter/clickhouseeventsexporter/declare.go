// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Readers want a table before its first row comes, which may be a window's length or a session's gap later, or as long as nobody sends
// anything. The server may not be up when the collector starts or a stage declares its results: what is wanted is remembered, and
// brought up when the server answers. Nobody waits for that. What is not there at shutdown is wanted again at the next start.

// wanted is a table, or several, to be brought up.
type wanted struct {
	name  string
	bring func(ctx context.Context) error
}

// declarer brings wanted tables up. Its worker runs while something waits.
type declarer struct {
	logger *zap.Logger
	// ctx ends with stop.
	ctx    context.Context
	cancel context.CancelFunc
	worker sync.WaitGroup

	mu      sync.Mutex // guards what is below; any goroutine
	waiting []wanted
	running bool
	stopped bool
}

func newDeclarer(logger *zap.Logger) *declarer {
	ctx, cancel := context.WithCancel(context.Background())
	return &declarer{logger: logger, ctx: ctx, cancel: cancel}
}

// want returns at once.
func (d *declarer) want(w wanted) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	d.waiting = append(d.waiting, w)
	if !d.running {
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
		var failed []wanted
		for _, w := range now {
			err := w.bring(d.ctx)
			if err == nil {
				continue
			}
			failed = append(failed, w)
			if words := err.Error(); said[w.name] != words && d.ctx.Err() == nil {
				said[w.name] = words
				d.logger.Warn("A table is not there yet: it is tried again", zap.String("table", w.name), zap.Error(err))
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
