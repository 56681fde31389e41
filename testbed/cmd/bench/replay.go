// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/term"
)

// replay measures what an event costs a collector that reads it from the lake, against one that is sent it: the same pipeline
// and sink, in turn. The ratio is of events a second and core.
func (b *bench) replay(ctx context.Context, batches [][]byte) (ratio float64, t table, err error) {
	made := filepath.Join(b.dir, "replay")
	b.out.Live("  lake: the files to replay")
	if err := exportLake(ctx, made, batches); err != nil {
		return 0, t, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(made)) }()
	files := filepath.Join(made, "lake")
	var live, replayed series
	for round := range b.rounds {
		b.out.Live(fmt.Sprintf("  lake: round %d of %d, the live path", round+1, b.rounds))
		cost, err := b.warm(ctx, func(n *node) (float64, error) { return b.cost(ctx, n, b.events, 2) })
		if err != nil {
			return 0, t, err
		}
		live = append(live, cost)
		b.out.Live(fmt.Sprintf("  lake: round %d of %d, replay", round+1, b.rounds))
		cost, err = b.warm(ctx, func(n *node) (cost float64, err error) {
			given := filepath.Join(n.data, "lake")
			if cost, err = b.replayCost(ctx, n, files, given); err != nil {
				return 0, err
			}
			return cost, os.Rename(given, files)
		})
		if err != nil {
			return 0, t, err
		}
		replayed = append(replayed, cost)
	}
	over := live.over(replayed)
	return over.median(), table{
		caption: "Replay: OTLP in, or the lake's files in → `schema_validation` → `event_log` → `nop`",
		columns: []term.Column{{Name: "collector"}, {Name: "live", Right: true}, {Name: "replay", Right: true}, {Name: "events a second and core, ratio, median", Right: true}, {Name: "ratio of each round"}},
		rows:    [][]string{{"CPU, µs an event", live.spread(2), replayed.spread(2), "**" + fixed(over.median(), 2) + "**", over.all()}},
	}, nil
}

// warm measures with a collector that has seen some events, and ends it.
func (b *bench) warm(ctx context.Context, measure func(*node) (float64, error)) (cost float64, err error) {
	n, err := b.startNode(ctx, "replay")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, n.Stop(stopTimeout), os.RemoveAll(n.data)) }()
	if _, err := b.push(ctx, n, max(b.events/10, 1000), 3, 0); err != nil {
		return 0, err
	}
	return measure(n)
}

// replayCost gives a collector the files that it waits for, and returns its CPU time for each event, in µs.
func (b *bench) replayCost(ctx context.Context, n *node, files, given string) (float64, error) {
	before, err := cpuOf(n.PID())
	if err != nil {
		return 0, err
	}
	if err := os.Rename(files, given); err != nil {
		return 0, fmt.Errorf("giving the files to the collector: %w", err)
	}
	err = poll(ctx, "all is replayed", 300*time.Millisecond, 5*time.Minute, func() (bool, error) {
		read, err := lag.Sum(ctx, n.metrics, "otelcol_receiver_archive_events")
		return err == nil && read == int64(b.events), nil // before the first event there is no such metric
	})
	if err != nil {
		return 0, fmt.Errorf("%w; the collector said:\n%s", err, n.Tail(8))
	}
	if err := lag.Await(ctx, n.metrics, nil); err != nil {
		return 0, err
	}
	after, err := cpuOf(n.PID())
	return (after - before).Seconds() * 1e6 / float64(b.events), err
}
