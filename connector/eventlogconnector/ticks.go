// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/segmentlog"
)

// sameTick is how long a partition is not told again what its last tick said of event time. Then it is, for those who
// go by the time of the tick itself.
const sameTick = time.Minute

// quietShare is the part of the time without any event that is at least between two ticks of a partition: a log that
// nobody writes to grows by the logarithm of time.
const quietShare = 60

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
			l.logger.Warn("Writing ticks failed: time does not pass for idle partitions until one succeeds", zap.Error(err))
		}
	}
}

// tick appends one to each idle partition that it has something to tell. A crash before it is in the log, or an
// error, leaves that to the next one; what it says is in the log, so that a replay sees time pass as it did.
func (l *eventLog) tick(now time.Time) error {
	l.ticking.Lock()
	defer l.ticking.Unlock()
	wanted := false
	for _, c := range l.consumers {
		wanted = wanted || c.WantsTicks()
	}
	if !wanted {
		return nil
	}
	if err := l.readMarks(); err != nil {
		return err
	}
	if l.stopping() || slices.Max(l.high.next) == 0 { // not all may have been read; or there never was a record
		return nil
	}
	l.high.look(now)
	s := l.high.at(now, l.cfg.TickInterval, l.cfg.IdleTimeout)
	entry := &segmentlog.Entry{}
	for _, p := range s.idle {
		last, err := l.lastOf(uint32(p))
		if err != nil {
			return err
		}
		eventTime := s.eventTime
		if last.Kind == segmentlog.Tick {
			eventTime = max(eventTime, last.EventTime) // the last of several stands for all
			at := last.Appended
			if at > now.UnixNano() { // the clock was put back
				at = l.high.ticked[p]
			}
			if now.Sub(time.Unix(0, at)) < s.spacing(eventTime != last.EventTime) {
				continue
			}
		}
		l.high.ticked[p] = now.UnixNano()
		entry.Chunks = append(entry.Chunks, segmentlog.Chunk{
			Partition: uint32(p), Records: 1, Kind: segmentlog.Tick, EventTime: eventTime,
		})
	}
	if len(entry.Chunks) > 0 {
		if _, err := l.log.Append(context.Background(), entry); err != nil {
			return err
		}
	}
	return l.keepMarks(now)
}

// spacing is the least time between two ticks of a partition that have no event between them.
func (s *stand) spacing(news bool) time.Duration {
	if news {
		return s.quiet / quietShare
	}
	return max(sameTick, s.quiet/quietShare)
}

// lastOf returns the last record of a partition; it is of no kind of tick where there is none.
func (l *eventLog) lastOf(p uint32) (last segmentlog.Info, err error) {
	next := l.log.Next(p)
	if next == l.log.First(p) {
		return last, nil
	}
	err = l.log.Scan(p, next-1, func(i segmentlog.Info) bool {
		last = i
		return true
	})
	if errors.Is(err, segmentlog.ErrGone) {
		return segmentlog.Info{}, nil
	}
	return last, err
}
