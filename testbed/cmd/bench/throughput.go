// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/term"
)

// How the load is sent: 64,000 events are under way at most, so that full batches can form although a sender waits for its
// acknowledgement.
const (
	connections = 4
	inFlight    = 16
	requestSize = 1000
)

// collector is a collector of one of the two kinds that writes into e.
type collector struct {
	*child.Process
	otlp string
	peer peer
}

func (b *bench) startCollector(ctx context.Context, e *engine, p peer) (*collector, error) {
	addrs, err := freeport.Addrs(2)
	if err != nil {
		return nil, err
	}
	schemas, err := schemaDir()
	if err != nil {
		return nil, err
	}
	_, metricsPort, err := net.SplitHostPort(addrs[1])
	if err != nil {
		return nil, err
	}
	env := []string{
		"BENCH_OTLP=" + addrs[0], "BENCH_CLICKHOUSE=" + e.tcp, "BENCH_DATABASE=" + database,
		"BENCH_METRICS_PORT=" + metricsPort, "BENCH_SCHEMA_DIR=" + schemas,
	}
	path, args := peers, []string{"collector", "--config", "testbed/bench/contrib.yaml"}
	if p.exporter == "clickhouse_events" {
		path, args = binary, []string{"--config", "testbed/bench/millrace.yaml"}
	}
	c := &collector{otlp: addrs[0], peer: p}
	if c.Process, err = launch("the collector ("+p.name+")", filepath.Join(b.dir, "collector.log"), nil, env, path, args...); err != nil {
		return nil, err
	}
	err = poll(ctx, "the collector listens", 20*time.Millisecond, time.Minute, func() (bool, error) {
		select {
		case <-c.Exited():
			return false, c.Died()
		default:
		}
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", c.otlp)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return true, conn.Close()
	})
	if err != nil {
		return nil, errors.Join(err, c.Stop(stopTimeout))
	}
	return c, nil
}

// stored counts what has arrived, rows of failed_events too.
func (c *collector) stored(ctx context.Context, e *engine) (int64, error) {
	n, err := e.count(ctx, c.peer.table)
	if err != nil || c.peer.table != "events" {
		return n, err
	}
	failed, err := e.count(ctx, "failed_events")
	if failed > 0 {
		return 0, fmt.Errorf("%d valid events ended in failed_events", failed)
	}
	return n, err
}

// send sends valid events as fast as they are taken, and returns when all are stored and how long that took.
func (b *bench) send(ctx context.Context, e *engine, c *collector, events int, seed uint64) (time.Duration, error) {
	before, err := c.stored(ctx, e)
	if err != nil {
		return 0, err
	}
	r, err := load.NewRun(load.RunConfig{
		Generator:   load.GeneratorConfig{Seed: seed, Events: int64(events), End: time.Now()},
		Targets:     load.Targets{OTLPGRPC: c.otlp},
		Connections: connections, InFlight: inFlight, Batch: requestSize,
	})
	if err != nil {
		return 0, err
	}
	start := time.Now()
	sending, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // a collector that is gone would be waited for
		select {
		case <-c.Exited():
			cancel(c.Died())
		case <-sending.Done():
		}
	}()
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		load.Watch(sending, b.out, r, nil, done)
	}()
	err = r.Do(sending)
	close(done)
	<-watched
	if err != nil {
		return 0, err
	}
	if s := r.Stats(); s.Acked != int64(events) {
		return 0, fmt.Errorf("%d of %d events were acknowledged, %d refused; last error: %w", s.Acked, events, s.Refused, s.LastError)
	}
	var have int64
	progress := time.Now()
	err = poll(sending, "all events stored", 20*time.Millisecond, 10*time.Minute, func() (bool, error) {
		n, err := c.stored(sending, e)
		if err != nil {
			return false, err
		}
		if n -= before; n != have {
			have, progress = n, time.Now()
		}
		if time.Since(progress) > time.Minute {
			return false, fmt.Errorf("of %d acknowledged events only %d are stored, and no more came within a minute; the collector said:\n%s", events, have, c.Tail(8))
		}
		return have >= int64(events), nil
	})
	if err != nil {
		return 0, err
	}
	took := time.Since(start)
	if have > int64(events) {
		return 0, fmt.Errorf("%d events were sent but %d are stored: a batch was sent twice; the collector said:\n%s", events, have, c.Tail(8))
	}
	return took, nil
}

// processCosts are one collector's over the rounds.
type processCosts struct {
	cpu     series // µs an event
	perCore series // events a second of CPU
	rate    series // events a second of wall time, until all are stored
	server  series // µs of ClickHouse's CPU an event, with the merges that fell into it
	peak    series // RSS, MB
}

func (b *bench) process(ctx context.Context) (s section, err error) {
	ctx, e, err := b.startEngine(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = e.end(ctx, err) }()
	warmUp := max(b.events/10, 1000)
	s = section{
		title: "Whole process",
		intro: fmt.Sprintf("OTLP gRPC in to ClickHouse: %s events after a warm-up of %s, rounds: %d, contrib and Millrace in turn. Contrib's collector passes events on; Millrace's validates each and masks it by all detectors.",
			term.Number(int64(b.events)), term.Number(int64(warmUp)), b.rounds),
	}
	costs := make([]processCosts, len(both))
	for round := range b.rounds {
		for i, p := range both {
			b.out.Live(fmt.Sprintf("  process: round %d of %d, %s", round+1, b.rounds, p.name))
			if err := b.processOnce(ctx, e, p, warmUp, &costs[i]); err != nil {
				return s, fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	contrib, ours := costs[0], costs[1]
	t := table{columns: []term.Column{{Name: "collector"}, {Name: "contrib", Right: true}, {Name: "Millrace", Right: true}, {Name: "ratio, median", Right: true}, {Name: "ratio of each round"}}}
	row := func(name string, decimals int, contrib, ours series, dress string) {
		ratio := ours.over(contrib)
		t.rows = append(t.rows, []string{name, contrib.spread(decimals), ours.spread(decimals), dress + fixed(ratio.median(), 2) + dress, ratio.all()})
	}
	row("events a second and core", 0, contrib.perCore, ours.perCore, "**")
	row("CPU, µs an event", 2, contrib.cpu, ours.cpu, "")
	row("peak RSS, MB", 0, contrib.peak, ours.peak, "")
	row("events a second on this machine, until stored", 0, contrib.rate, ours.rate, "")
	row("ClickHouse's CPU meanwhile, µs an event", 2, contrib.server, ours.server, "")
	s.tables = []table{t, goalTable([]goal{
		atLeast("events a second and core against contrib", ours.perCore.over(contrib.perCore).median(), 1),
	})}
	return s, nil
}

func (b *bench) processOnce(ctx context.Context, e *engine, p peer, warmUp int, c *processCosts) (err error) {
	if err := e.drop(ctx); err != nil {
		return err
	}
	col, err := b.startCollector(ctx, e, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, col.Stop(stopTimeout)) }()
	if err := b.awaitTable(ctx, e, col); err != nil {
		return err
	}
	if _, err := b.send(ctx, e, col, warmUp, 1); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	before, err := cpuOf(col.PID())
	if err != nil {
		return err
	}
	serverBefore, err := e.cpu()
	if err != nil {
		return err
	}
	took, err := b.send(ctx, e, col, b.events, 2)
	if err != nil {
		return err
	}
	after, err := cpuOf(col.PID())
	if err != nil {
		return err
	}
	serverAfter, err := e.cpu()
	if err != nil {
		return err
	}
	_, peak, err := memoryOf(col.PID())
	if err != nil {
		return err
	}
	n := float64(b.events)
	used := (after - before).Seconds()
	c.cpu = append(c.cpu, used*1e6/n)
	c.perCore = append(c.perCore, n/used)
	c.rate = append(c.rate, n/took.Seconds())
	c.server = append(c.server, (serverAfter-serverBefore).Seconds()*1e6/n)
	c.peak = append(c.peak, float64(peak)/1e6)
	return nil
}

// awaitTable returns when the exporter has created its tables, which it may do in the background.
func (b *bench) awaitTable(ctx context.Context, e *engine, c *collector) error {
	return poll(ctx, "the exporter's tables are there", 50*time.Millisecond, time.Minute, func() (bool, error) {
		select {
		case <-c.Exited():
			return false, c.Died()
		default:
		}
		n, err := e.ch.Int(ctx, "SELECT count() FROM system.tables WHERE database = '"+database+"' AND name IN ('otel_logs', 'failed_events')")
		return n == 1, err
	})
}
