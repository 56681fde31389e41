// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/segmentlog"
	"github.com/millrace/millrace/internal/state"
)

// maxAhead is how far an event's time may be ahead of the log's clock and still count, as the time of its append: clocks are not
// that exact. One that is further ahead says nothing about how far time has come.
const maxAhead = time.Minute

// marksInterval is how often marks are kept in the state store. What was appended since is read from the log at a start.
const marksInterval = time.Minute

// highMarks is how far each partition has come in event time, as the log says: they are read from it. The worker that
// writes ticks has them alone.
type highMarks struct {
	started  int64 // Unix nanoseconds, as all below: silence before this process began is nobody's
	restored bool
	kept     int64    // when they were last kept
	keptNext []uint64 // next, as it was then
	next     []uint64 // by partition: the first position that was not looked at
	appended []int64  // of the last event
	// moved is when the last event came by the machine's clock as it goes now. It is not kept. Where that clock was put back, the log's time stands
	// still until it has caught up, and says nothing of who is idle.
	moved  []int64
	ticked []int64 // when this process wrote the last tick, by the same clock
	event  []int64 // the highest event time, never more than its append time; 0 if none had a time
	seen   []int64 // append time of the event that has it
}

func newHighMarks(partitions int, now time.Time) *highMarks {
	return &highMarks{
		started: now.UnixNano(), next: make([]uint64, partitions), appended: make([]int64, partitions),
		event: make([]int64, partitions), seen: make([]int64, partitions), moved: make([]int64, partitions), ticked: make([]int64, partitions),
	}
}

// look takes all that is ahead of the clock for what has just happened: the clock was put back.
func (h *highMarks) look(now time.Time) {
	at := now.UnixNano()
	h.started = min(h.started, at)
	for p := range h.moved {
		h.moved[p], h.ticked[p] = min(h.moved[p], at), min(h.ticked[p], at)
	}
}

// note counts in what was appended to a partition at once: eventTime is the highest in it.
func (h *highMarks) note(partition int, appended, eventTime int64) {
	h.appended[partition] = max(h.appended[partition], appended)
	h.moved[partition] = max(h.moved[partition], appended)
	if eventTime > appended+int64(maxAhead) {
		return
	}
	if t := min(eventTime, appended); t > h.event[partition] {
		h.event[partition], h.seen[partition] = t, appended
	}
}

// stand is how things are at a moment.
type stand struct {
	idle []int // partitions without an event for the tick interval
	// eventTime is what idle partitions are told; 0 if it is not known.
	eventTime int64
	quiet     time.Duration // for how long no partition has had an event
}

// at says how things stand. While some partitions are active, idle ones come as far as the one of them that is least
// far. When all are idle, they come as far as the one that is farthest. When that has been so for the time-out, and events
// came as they happened, event time goes on with the clock: nothing else would ever end what is open. Where events are of the
// past it does not: they are a backfill that pauses.
func (h *highMarks) at(now time.Time, tickInterval, idleTimeout time.Duration) stand {
	var s stand
	last, lowest, farthest := h.started, int64(0), 0
	for p := range h.event {
		at := max(h.moved[p], h.started) // idle from the start on, so that who waited for it may send first
		last = max(last, at)
		if h.event[p] > h.event[farthest] {
			farthest = p
		}
		if at <= now.Add(-tickInterval).UnixNano() {
			s.idle = append(s.idle, p)
		} else if at := h.event[p]; at > 0 && (lowest == 0 || at < lowest) {
			lowest = at
		}
	}
	s.quiet = max(0, now.Sub(time.Unix(0, last)))
	if len(s.idle) < len(h.event) {
		s.eventTime = lowest
		return s
	}
	s.eventTime = h.event[farthest]
	live := s.eventTime > 0 && h.seen[farthest]-s.eventTime <= int64(idleTimeout)
	if idleTimeout > 0 && live && s.quiet >= idleTimeout {
		s.eventTime = max(s.eventTime, now.Add(-idleTimeout).UnixNano())
	}
	return s
}

// readMarks looks at what was appended since the last time, which after a start is what the state store does not tell.
func (l *eventLog) readMarks() error {
	h := l.high
	if !h.restored {
		if err := l.restoreMarks(); err != nil {
			return err
		}
		h.restored = true
	}
	for p := range h.next {
		err := l.readMarksOf(p)
		for errors.Is(err, segmentlog.ErrGone) { // removed, now or while nobody looked
			h.next[p] = max(h.next[p]+1, l.log.First(uint32(p)))
			err = l.readMarksOf(p)
		}
		if err != nil {
			return fmt.Errorf("reading how far partition %d has come: %w", p, err)
		}
	}
	return nil
}

func (l *eventLog) readMarksOf(p int) error {
	return l.log.Scan(uint32(p), l.high.next[p], func(i segmentlog.Info) bool {
		if i.Kind == segmentlog.Events {
			l.high.note(p, i.Appended, i.EventTime)
		}
		l.high.next[p] = i.Next()
		return !l.stopping()
	})
}

func (l *eventLog) stopping() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// marksRecord is what the state store keeps of highMarks, so that a start need not read all of the log, and so that the
// marks outlive the records which they are of. It is a help: without it they are read from what the log has.
type marksRecord struct {
	Next                  []uint64
	Appended, Event, Seen []int64
}

func (l *eventLog) marksKey() []byte { return delivery.LogKey(l.log.ID(), "marks") }

func (l *eventLog) restoreMarks() error {
	raw, ok, err := l.store.Get(l.marksKey())
	if err != nil || !ok {
		return err
	}
	var r marksRecord
	h := l.high
	if err := json.Unmarshal(raw, &r); err != nil || min(len(r.Next), len(r.Appended), len(r.Event), len(r.Seen)) < len(h.next) {
		l.logger.Warn("How far partitions had come cannot be read, and is read from the log", zap.Error(err))
		return nil
	}
	for p := range h.next {
		if r.Next[p] > l.log.Next(uint32(p)) { // of a log that was put back to an earlier time
			continue
		}
		h.next[p], h.appended[p], h.event[p], h.seen[p] = r.Next[p], r.Appended[p], r.Event[p], r.Seen[p]
		h.moved[p] = h.appended[p]
	}
	return nil
}

func (l *eventLog) keepMarks(now time.Time) error {
	h := l.high
	if now.UnixNano()-h.kept < int64(marksInterval) || slices.Equal(h.next, h.keptNext) {
		return nil
	}
	raw, err := json.Marshal(marksRecord{h.next, h.appended, h.event, h.seen})
	if err != nil {
		return fmt.Errorf("encoding how far partitions have come: %w", err)
	}
	var b state.Batch
	b.Set(l.marksKey(), raw)
	if err := l.store.Commit(&b); err != nil {
		return fmt.Errorf("keeping how far partitions have come: %w", err)
	}
	h.kept, h.keptNext = now.UnixNano(), append(h.keptNext[:0], h.next...)
	return nil
}
