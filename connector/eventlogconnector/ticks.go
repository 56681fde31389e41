// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/segmentlog"
)

// highMarks is how far each partition has come: when it was last appended to, and the highest event time in it.
type highMarks struct {
	mu       *sync.Mutex // guards the slices; any goroutine
	appended []int64     // Unix nanoseconds
	event    []int64     // Unix nanoseconds; never more than the append time: a clock that is ahead moves nothing
}

func newHighMarks(partitions int, now time.Time) highMarks {
	h := highMarks{mu: &sync.Mutex{}, appended: make([]int64, partitions), event: make([]int64, partitions)}
	for p := range h.appended {
		h.appended[p] = now.UnixNano() // idle from now on, so that a start does not begin with ticks
	}
	return h
}

func (h highMarks) note(partition uint32, appended, eventTime int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.appended[partition] = max(h.appended[partition], appended)
	h.event[partition] = max(h.event[partition], min(eventTime, appended))
}

// idle lists the partitions without an append since the time given, and the least high mark of the others: 0 if none
// is active.
func (h highMarks) idle(since int64) (partitions []uint32, eventTime int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	eventTime = math.MaxInt64
	for p, at := range h.appended {
		if at <= since {
			partitions = append(partitions, uint32(p))
		} else {
			eventTime = min(eventTime, h.event[p])
		}
	}
	if len(partitions) == len(h.appended) {
		eventTime = 0
	}
	return partitions, eventTime
}

// ticks is the life of the worker that tells idle partitions the time. Without a component that has state behind the
// log nothing is written.
func (l *eventLog) ticks() {
	for {
		select {
		case <-l.stop:
			return
		case <-l.clock.After(l.cfg.TickInterval):
		}
		if err := l.tick(l.clock.Now()); err != nil && !errors.Is(err, segmentlog.ErrClosed) {
			l.logger.Warn("Appending a tick failed: time does not pass for idle partitions until one succeeds", zap.Error(err))
		}
	}
}

func (l *eventLog) tick(now time.Time) error {
	wanted := false
	for _, c := range l.consumers {
		wanted = wanted || c.WantsTicks()
	}
	if !wanted {
		return nil
	}
	idle, eventTime := l.high.idle(now.Add(-l.cfg.TickInterval).UnixNano())
	if len(idle) == 0 {
		return nil
	}
	entry := &segmentlog.Entry{}
	for _, p := range idle {
		entry.Chunks = append(entry.Chunks, segmentlog.Chunk{Partition: p, Records: 1, Kind: segmentlog.Tick, EventTime: eventTime})
	}
	_, err := l.log.Append(context.Background(), entry)
	return err
}
