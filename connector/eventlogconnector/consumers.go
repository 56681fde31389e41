// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/segmentlog"
	"github.com/millrace/millrace/internal/state"
)

// logConsumer is one pipeline behind the log.
type logConsumer struct {
	*delivery.Consumer
	id      pipeline.ID
	raw     bool // it takes bytes
	running bool // Start's and close's
}

// openConsumers restores a consumer for each pipeline behind the log. What the state store knows and the configuration does
// not is an error: it may have been renamed by mistake, and would begin anew, or hold back retention for ever.
func (l *eventLog) openConsumers(store state.Store, firstEpoch uint64) error {
	ids := l.router.PipelineIDs()
	slices.SortFunc(ids, func(a, b pipeline.ID) int { return strings.Compare(a.String(), b.String()) })
	if err := l.renameConsumers(store, ids); err != nil {
		return err
	}
	decoding := 0
	raw := make([]bool, len(ids))
	for i, id := range ids {
		if raw[i] = delivery.HandsOverBytes(l.conf, id); !raw[i] {
			decoding++
		}
	}
	l.reader = &reader{log: l.log, tail: newTail(decoding, l.cfg.Delivery.CacheBytes, l.leastDecoded)}
	for i, id := range ids {
		c, err := l.openConsumer(store, id, firstEpoch, raw[i])
		if err != nil {
			return err
		}
		l.consumers = append(l.consumers, c)
	}
	return nil
}

func (l *eventLog) renameConsumers(store state.Store, ids []pipeline.ID) error {
	known, err := delivery.Known(store, l.log.ID())
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(l.cfg.Consumers)) {
		told := l.cfg.Consumers[name]
		isPipeline := slices.ContainsFunc(ids, func(id pipeline.ID) bool { return id.String() == name })
		_, isKnown := known[name]
		switch {
		case told.Removed && isPipeline:
			return fmt.Errorf("consumers::%s::removed: the pipeline is in the configuration: leave one of them out", name)
		case told.Removed && isKnown:
			if err := delivery.Forget(store, l.log.ID(), name); err != nil {
				return err
			}
			l.logger.Info("The consumer was removed, with its positions and its state", zap.String("consumer", name))
			delete(known, name)
		case told.RenamedFrom != "" && !isKnown && isPipeline:
			if _, ok := known[told.RenamedFrom]; !ok {
				return fmt.Errorf("consumers::%s::renamed_from: the log has no consumer %q: it has %q", name, told.RenamedFrom, slices.Sorted(maps.Keys(known)))
			}
			if slices.ContainsFunc(ids, func(id pipeline.ID) bool { return id.String() == told.RenamedFrom }) {
				return fmt.Errorf("consumers::%s::renamed_from: %s is still a pipeline and would lose its place: leave renamed_from out, or that pipeline", name, told.RenamedFrom)
			}
			if err := delivery.Rename(store, l.log.ID(), told.RenamedFrom, name); err != nil {
				return err
			}
			l.logger.Info("The consumer was renamed", zap.String("from", told.RenamedFrom), zap.String("to", name))
			known[name] = known[told.RenamedFrom]
			delete(known, told.RenamedFrom)
		case !told.Removed && !isPipeline:
			return fmt.Errorf("consumers: %q is no pipeline that receives from %s: name one of %q", name, l.set.ID, ids)
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if slices.ContainsFunc(ids, func(id pipeline.ID) bool { return id.String() == name }) {
			continue
		}
		behind := uint64(0)
		for p, at := range known[name] {
			if next := l.log.Next(uint32(p)); p < l.cfg.Partitions && next > at {
				behind += next - at
			}
		}
		errs = append(errs, fmt.Errorf("the log has a consumer %s, %d records behind, and no pipeline of that name receives from %s: "+
			"if the pipeline was renamed, set consumers::NEW_NAME::renamed_from: %s; if it is gone for good, set consumers::%s::removed: true; "+
			"else bring it back", name, behind, l.set.ID, name, name))
	}
	return errors.Join(errs...)
}

func (l *eventLog) openConsumer(store state.Store, id pipeline.ID, firstEpoch uint64, raw bool) (*logConsumer, error) {
	next, err := l.router.Consumer(id)
	if err != nil {
		return nil, fmt.Errorf("finding pipeline %s: %w", id, err)
	}
	told := l.cfg.Consumers[id.String()]
	startAt := l.cfg.StartAt
	if told.StartAt != "" {
		startAt = told.StartAt
	}
	o := delivery.Options{
		Pipeline: id, Next: next.ConsumeLogs, Raw: raw, StartAtEnd: startAt == end, FirstEpoch: firstEpoch,
		MaxEvents: l.cfg.Delivery.MaxEvents, MaxBytes: l.cfg.Delivery.MaxBytes, MaxWait: l.cfg.Delivery.MaxWait,
		CheckpointInterval: l.cfg.CheckpointInterval, CheckpointBytes: l.cfg.CheckpointBytes,
		RetryInitial: l.cfg.Retry.InitialInterval, RetryMax: l.cfg.Retry.MaxInterval, Grace: l.cfg.Delivery.ShutdownGrace,
		Clock: l.clock, Logger: l.logger.With(zap.Stringer("consumer", id)), Observer: l.observer(id),
		Hold: func() func() { l.removing.Lock(); return l.removing.Unlock },
	}
	if told.Reset.HasValue() {
		r := told.Reset.Get()
		to, err := parseTarget(r.To)
		if err != nil {
			return nil, err
		}
		o.Reset = &delivery.ResetRequest{Name: r.Name, To: l.positionsOf(to)}
	}
	log := l.reader
	if raw {
		log = &reader{log: l.log, tail: l.reader.tail, lent: make([]lent, l.cfg.Partitions)}
		l.logger.Debug("The pipeline reads the log's own bytes", zap.Stringer("consumer", id))
	}
	c, err := delivery.NewConsumer(log, store, o)
	if err != nil {
		return nil, err
	}
	return &logConsumer{Consumer: c, id: id, raw: raw}, nil
}

// positionsOf finds a target's positions.
func (l *eventLog) positionsOf(t target) delivery.Target {
	return func(partition uint32) (uint64, error) {
		switch {
		case t.beginning:
			return l.log.First(partition), nil
		case t.end:
			return l.log.Next(partition), nil
		}
		at, found := l.log.Next(partition), false
		err := l.log.Scan(partition, l.log.First(partition), func(i segmentlog.Info) bool {
			if !found && i.Appended >= t.at.UnixNano() {
				at, found = i.First, true
			}
			return !found
		})
		if err != nil {
			return 0, fmt.Errorf("looking for %s in partition %d: %w", t.at.Format(time.RFC3339), partition, err)
		}
		return at, nil
	}
}

// leastDecoded is the first position of the partition that some consumer which takes events decoded has not been given.
func (l *eventLog) leastDecoded(partition uint32) uint64 {
	least := ^uint64(0)
	for _, c := range l.consumers {
		if !c.raw {
			least = min(least, c.DeliveredTo(partition))
		}
	}
	return least
}

// committed is, by partition, the first position that some consumer's checkpoint has not passed.
func (l *eventLog) committed() []uint64 {
	least := make([]uint64, l.cfg.Partitions)
	for p := range least {
		least[p] = ^uint64(0)
		for _, c := range l.consumers {
			least[p] = min(least[p], c.Committed(uint32(p)))
		}
	}
	return least
}

// observer turns what a consumer tells into metrics and status.
func (l *eventLog) observer(id pipeline.ID) *delivery.Observer {
	ctx := context.Background()
	set := metric.WithAttributeSet(attribute.NewSet(attribute.String("consumer", id.String())))
	t := l.telemetry
	return &delivery.Observer{
		Delivered: func(events int, took time.Duration) {
			t.EventLogDelivered.Add(ctx, int64(events), set)
			t.EventLogDeliveryDuration.Record(ctx, took.Seconds(), set)
		},
		Failed: func(error, bool) { t.EventLogDeliveryFailures.Add(ctx, 1, set) },
		Checkpointed: func(took time.Duration, err error) {
			if err != nil {
				t.EventLogCheckpointFailures.Add(ctx, 1, set)
				return
			}
			t.EventLogCheckpointDuration.Record(ctx, took.Seconds(), set)
		},
		Blocked: func(err error) {
			if err != nil {
				l.report(componentstatus.NewRecoverableErrorEvent(fmt.Errorf("consumer %s is blocked: %w", id, err)))
				return
			}
			for _, c := range l.consumers {
				if len(c.Blocked()) > 0 {
					return
				}
			}
			l.report(componentstatus.NewEvent(componentstatus.StatusOK))
		},
	}
}
