// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/segmentlog"
)

// retentionInterval is how often bounds are looked at when nobody asks.
const retentionInterval = 10 * time.Second

// retention is the life of the worker that removes old files of the log.
func (l *eventLog) retention() {
	for {
		pressed := false
		select {
		case <-l.stop:
			return
		case <-l.retain:
			pressed = true
		case <-l.clock.After(retentionInterval):
		}
		if err := l.cut(pressed); err != nil {
			l.logger.Error("Removing old files of the log failed and is tried again", zap.Error(err))
		}
	}
}

// askForRetention is for an append that found the log full: what every consumer has goes first, whatever its age.
func (l *eventLog) askForRetention() {
	select {
	case l.retain <- struct{}{}:
	default:
	}
}

// cut removes the oldest files beyond the bounds. pressed says that the log is full: then the oldest file that every consumer
// has acknowledged goes, even if it is within the bounds.
func (l *eventLog) cut(pressed bool) error {
	now := l.clock.Now()
	if pressed {
		// What is delivered and not committed could go with a checkpoint.
		for _, c := range l.consumers {
			c.RequestCheckpoint()
		}
	}
	for {
		select {
		case <-l.stop: // what is left goes after the next start
			return nil
		default:
		}
		bytes := l.log.Stats().Bytes
		beyond := func(s segmentlog.SegmentInfo) bool {
			return now.Sub(time.Unix(0, s.LastAppended)) > l.cfg.Retention.Age || bytes > l.cfg.Retention.Bytes
		}
		if l.cfg.Retention.DropUnconsumed {
			if err := l.advanceConsumers(beyond); err != nil {
				return err
			}
		}
		l.removing.Lock() // a reset may put positions back between a look at them and what follows from it
		floor := l.committed()
		removed, err := l.log.Remove(func(s segmentlog.SegmentInfo) bool {
			for p, next := range s.Next {
				if next > floor[p] {
					return true // somebody is to have it
				}
			}
			if !beyond(s) && !pressed {
				return true
			}
			pressed = false // one at a time
			bytes -= s.Bytes
			return false
		})
		l.removing.Unlock()
		if err != nil {
			return err
		}
		if len(removed) > 0 {
			l.logger.Debug("Removed old files of the log", zap.Int("files", len(removed)))
		}
		if len(removed) == 0 || !l.cfg.Retention.DropUnconsumed {
			break
		}
	}
	if err := l.saveOffsets(); err != nil {
		return err
	}
	idFloor := l.log.Stats().NextID
	if l.cfg.Deduplication.Enabled {
		idFloor = l.index.Floor(now.UnixNano())
	}
	return l.log.SetIDFloor(idFloor, l.sourceFloor.Load())
}

// advanceConsumers moves consumers past the oldest file if it is to go although they have not acknowledged it. It is
// durable before the file goes.
func (l *eventLog) advanceConsumers(beyond func(segmentlog.SegmentInfo) bool) error {
	var to []uint64
	_, err := l.log.Remove(func(s segmentlog.SegmentInfo) bool { // it only looks: nothing goes
		if beyond(s) {
			to = slices.Clone(s.Next)
		}
		return true
	})
	if err != nil || to == nil {
		return err
	}
	for _, c := range l.consumers {
		skipped, err := c.Advance(to)
		if skipped > 0 {
			l.logger.Warn("retention.drop_unconsumed: records were removed before the consumer had them",
				zap.Stringer("consumer", c.id), zap.Uint64("records", skipped))
			l.telemetry.EventLogRetentionDropped.Add(context.Background(), int64(skipped),
				metric.WithAttributeSet(attribute.NewSet(attribute.String("consumer", c.id.String()))))
		}
		if err != nil { // they are passed over all the same, and durably so before the file goes
			return err
		}
	}
	return nil
}
