// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/term"
)

// node is a bin/millrace under one of the configurations in testbed/bench.
type node struct {
	*child.Process
	otlp, metrics string
	config, data  string
	env           []string
}

// startNode starts a collector with a data directory of its own.
func (b *bench) startNode(ctx context.Context, config string, env ...string) (*node, error) {
	addrs, err := freeport.Addrs(2)
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the data: %w", err)
	}
	schemas, err := schemaDir()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addrs[1])
	if err != nil {
		return nil, err
	}
	n := &node{otlp: addrs[0], metrics: "http://" + addrs[1], config: config, data: data}
	n.env = append([]string{
		"BENCH_OTLP=" + n.otlp, "BENCH_METRICS_PORT=" + port, "BENCH_DATA=" + data, "BENCH_SCHEMA_DIR=" + schemas,
	}, env...)
	return n, b.runNode(ctx, n)
}

// runNode starts the process, and returns when it takes requests.
func (b *bench) runNode(ctx context.Context, n *node) (err error) {
	log := filepath.Join(b.dir, "node.log")
	if n.Process, err = launch("the collector ("+n.config+")", log, nil, n.env, binary, "--config", "testbed/bench/"+n.config+".yaml"); err != nil {
		return err
	}
	err = poll(ctx, "the collector listens", 5*time.Millisecond, time.Minute, func() (bool, error) {
		select {
		case <-n.Exited():
			return false, n.Died()
		default:
		}
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", n.otlp)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return true, conn.Close()
	})
	if err != nil {
		return errors.Join(err, n.Stop(stopTimeout))
	}
	return nil
}

// push sends events, as fast as they are taken or at a rate, and returns when every consumer of a log has them, and how long
// that took.
func (b *bench) push(ctx context.Context, n *node, events int, seed uint64, rate float64) (time.Duration, error) {
	c := load.RunConfig{
		Generator:   load.GeneratorConfig{Seed: seed, Events: int64(events), End: time.Now()},
		Targets:     load.Targets{OTLPGRPC: n.otlp},
		Connections: connections, InFlight: 2, Batch: requestSize, Rate: rate,
	}
	if rate > 0 {
		c.Batch, c.InFlight = 250, 4 // an event hardly waits for its neighbours at its sender
	}
	r, err := load.NewRun(c)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		load.Watch(ctx, b.out, r, nil, done)
	}()
	err = r.Do(ctx)
	close(done)
	<-watched
	if err != nil {
		return 0, err
	}
	if s := r.Stats(); s.Acked != int64(events) {
		return 0, fmt.Errorf("%d of %d events were acknowledged; last error: %w", s.Acked, events, s.LastError)
	}
	waiting, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := lag.Await(waiting, n.metrics, nil); err != nil {
		return 0, fmt.Errorf("%w; the collector said:\n%s", err, n.Tail(8))
	}
	return time.Since(start), nil
}

// cost sends events and returns the collector's CPU time for each, in µs.
func (b *bench) cost(ctx context.Context, n *node, events int, seed uint64) (float64, error) {
	before, err := cpuOf(n.PID())
	if err != nil {
		return 0, err
	}
	if _, err := b.push(ctx, n, events, seed, 0); err != nil {
		return 0, err
	}
	after, err := cpuOf(n.PID())
	return (after - before).Seconds() * 1e6 / float64(events), err
}

// eventLog measures what the log costs, what many IDs cost it, how fast it is back, and how soon an event can be asked for.
func (b *bench) eventLog(ctx context.Context) (section, error) {
	s := section{
		title: "Event log",
		intro: fmt.Sprintf("OTLP gRPC in, requests of %s events, fsync on: %s events after a warm-up, rounds: %d, in turn.",
			term.Number(requestSize), term.Number(int64(b.events)), b.rounds),
	}
	var goals []goal
	price, t, err := b.price(ctx)
	if err != nil {
		return s, fmt.Errorf("price: %w", err)
	}
	s.tables = append(s.tables, t)
	goals = append(goals, atMost("CPU an event with the log against without", price, 1.6))
	flat, restart, t, err := b.manyIDs(ctx)
	if err != nil {
		return s, fmt.Errorf("many IDs: %w", err)
	}
	s.tables = append(s.tables, t)
	goals = append(goals,
		atLeast(fmt.Sprintf("events a second and core with %s IDs against 10,000", term.Number(int64(b.ids))), flat, 0.8),
		atMost("seconds from a kill to serving, with as many IDs", restart, 5))
	p99, t, err := b.doorToQueryable(ctx)
	if err != nil {
		return s, fmt.Errorf("door to queryable: %w", err)
	}
	s.tables = append(s.tables, t)
	goals = append(goals, atMost("seconds from the door to queryable at half of the full rate, p99", p99, 1))
	s.tables = append(s.tables, goalTable(goals))
	return s, nil
}

func (b *bench) price(ctx context.Context) (ratio float64, t table, err error) {
	costs := map[string]series{}
	for round := range b.rounds {
		for _, config := range []string{"nop", "log"} {
			b.out.Live(fmt.Sprintf("  log: price, round %d of %d, %s", round+1, b.rounds, config))
			n, err := b.startNode(ctx, config, "BENCH_IDS=10000000")
			if err != nil {
				return 0, t, err
			}
			_, err = b.push(ctx, n, max(b.events/10, 1000), 1, 0)
			var c float64
			if err == nil {
				c, err = b.cost(ctx, n, b.events, 2)
			}
			costs[config] = append(costs[config], c)
			if err = errors.Join(err, n.Stop(stopTimeout), os.RemoveAll(n.data)); err != nil {
				return 0, t, err
			}
		}
	}
	over := costs["log"].over(costs["nop"])
	return over.median(), table{
		caption: "The log's price: OTLP in → `event_log` → `nop` against OTLP in → `nop`",
		columns: []term.Column{{Name: "collector"}, {Name: "without", Right: true}, {Name: "with", Right: true}, {Name: "ratio, median", Right: true}, {Name: "ratio of each round"}},
		rows: [][]string{{"CPU, µs an event", costs["nop"].spread(2), costs["log"].spread(2),
			"**" + fixed(over.median(), 2) + "**", over.all()}},
	}, nil
}

// manyIDs fills one log with IDs, and compares it with one that knows ten thousand. Then it kills the first.
func (b *bench) manyIDs(ctx context.Context) (flat, restart float64, t table, err error) {
	few, err := b.startNode(ctx, "log", "BENCH_IDS=10000")
	if err != nil {
		return 0, 0, t, err
	}
	defer func() { err = errors.Join(err, few.Stop(stopTimeout), os.RemoveAll(few.data)) }()
	many, err := b.startNode(ctx, "log", "BENCH_IDS="+strconv.Itoa(b.ids))
	if err != nil {
		return 0, 0, t, err
	}
	defer func() { err = errors.Join(err, many.Stop(stopTimeout), os.RemoveAll(many.data)) }()
	b.out.Live(fmt.Sprintf("  log: %s IDs", term.Number(int64(b.ids))))
	if _, err := b.push(ctx, many, b.ids, 3, 0); err != nil {
		return 0, 0, t, err
	}
	if _, err := b.push(ctx, few, max(b.events/10, 20_000), 4, 0); err != nil {
		return 0, 0, t, err
	}
	var fewCost, manyCost, restarts series
	for round := range b.rounds {
		b.out.Live(fmt.Sprintf("  log: few and many IDs, round %d of %d", round+1, b.rounds))
		c, err := b.cost(ctx, few, b.events, uint64(10+round))
		if err != nil {
			return 0, 0, t, err
		}
		fewCost = append(fewCost, c)
		if c, err = b.cost(ctx, many, b.events, uint64(20+round)); err != nil {
			return 0, 0, t, err
		}
		manyCost = append(manyCost, c)
	}
	memory, _, err := memoryOf(many.PID())
	if err != nil {
		return 0, 0, t, err
	}
	for round := range b.rounds {
		b.out.Live(fmt.Sprintf("  log: killed and restarted, round %d of %d", round+1, b.rounds))
		if err := many.End(syscall.SIGKILL, stopTimeout); err != nil {
			return 0, 0, t, err
		}
		start := time.Now()
		if err := b.runNode(ctx, many); err != nil {
			return 0, 0, t, err
		}
		if _, err := b.push(ctx, many, 1000, uint64(30+round), 0); err != nil { // serving is acknowledging
			return 0, 0, t, err
		}
		restarts = append(restarts, time.Since(start).Seconds())
	}
	ratio := fewCost.over(manyCost) // as events a second and core
	t = table{
		caption: term.Number(int64(b.ids)) + " IDs in the index, against 10,000",
		columns: []term.Column{{Name: "collector"}, {Name: "10,000 IDs", Right: true}, {Name: "many IDs", Right: true}, {Name: "ratio of each round"}},
		rows: [][]string{
			{"CPU, µs an event", fewCost.spread(2), manyCost.spread(2), manyCost.over(fewCost).all()},
			{"from a kill -9 to a request acknowledged, s", "", restarts.spread(2), ""},
			{"RSS, MB", "", fixed(float64(memory)/1e6, 0), ""},
		},
	}
	return ratio.median(), slices.Max(restarts), t, nil
}

// probes is how many single events are followed from the door to ClickHouse.
const probes = 300

func (b *bench) doorToQueryable(ctx context.Context) (p99 float64, t table, err error) {
	ctx, e, err := b.startEngine(ctx)
	if err != nil {
		return 0, t, err
	}
	defer func() { err = e.end(ctx, err) }()
	n, err := b.startNode(ctx, "durable", "BENCH_CLICKHOUSE="+e.tcp, "BENCH_DATABASE="+database)
	if err != nil {
		return 0, t, err
	}
	defer func() { err = errors.Join(err, n.Stop(stopTimeout), os.RemoveAll(n.data)) }()
	b.out.Live("  log: full rate")
	if _, err := b.push(ctx, n, max(b.events/10, 1000), 5, 0); err != nil {
		return 0, t, err
	}
	took, err := b.push(ctx, n, b.events, 6, 0)
	if err != nil {
		return 0, t, err
	}
	full := float64(b.events) / took.Seconds()
	half := full / 2
	b.out.Live("  log: half of the full rate, with probes")
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	loaded := make(chan error, 1)
	go func() {
		_, err := b.push(loadCtx, n, int(half*30), 7, half)
		loaded <- err
	}()
	took30 := make(series, 0, probes)
	for i := range probes {
		seconds, err := b.probe(ctx, e, n, uint64(1000+i))
		if err != nil {
			return 0, t, err
		}
		took30 = append(took30, seconds)
	}
	if err := <-loaded; err != nil {
		return 0, t, err
	}
	slices.Sort(took30)
	at := func(q float64) float64 { return took30[min(len(took30)-1, int(q*float64(len(took30))))] }
	p99 = at(0.99)
	return p99, table{
		caption: fmt.Sprintf("Door to queryable: %d single events sent into a load of %s events a second, half of the full rate of %s",
			probes, term.Number(int64(half)), term.Number(int64(full))),
		columns: []term.Column{{Name: "until a SELECT sees it"}, {Name: "p50", Right: true}, {Name: "p95", Right: true}, {Name: "p99", Right: true}, {Name: "max", Right: true}},
		rows:    [][]string{{"seconds", fixed(at(0.5), 3), fixed(at(0.95), 3), "**" + fixed(p99, 3) + "**", fixed(took30[len(took30)-1], 3)}},
	}, nil
}

// probe sends one event and asks for it until it is there.
func (b *bench) probe(ctx context.Context, e *engine, n *node, seed uint64) (float64, error) {
	r, err := load.NewRun(load.RunConfig{
		Generator: load.GeneratorConfig{Seed: seed, Events: 1, End: time.Now(), Tenants: []string{"probe"}},
		Targets:   load.Targets{OTLPGRPC: n.otlp}, Connections: 1, InFlight: 1, Batch: 1, Record: true,
	})
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := r.Do(ctx); err != nil {
		return 0, err
	}
	var id string
	for _, entry := range r.Manifest().Entries() {
		id = entry.ID.String()
	}
	query := "SELECT count() FROM " + database + ".events WHERE tenant_id = 'probe' AND event_id = '" + id + "'"
	err = poll(ctx, "a probe can be asked for", 5*time.Millisecond, time.Minute, func() (bool, error) {
		found, err := e.ch.Int(ctx, query)
		return found == 1, err
	})
	return time.Since(start).Seconds(), err
}
