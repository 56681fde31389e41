// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/clickhouseengine"
	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/nexmark"
	"github.com/millrace/millrace/testbed/term"
)

type benchOptions struct {
	nexmark.Config
	queries []string
	rounds  int
	binary  string
	write   string
	profile bool
}

// nop is a pipeline without a query: the log, its records decoded into pdata, and nobody who takes them. A query of ours reads them undecoded.
const nop = "nop"

func parseBench(args []string) (*benchOptions, error) {
	var o benchOptions
	var errs []error
	events := int64(5_000_000)
	if text := os.Getenv("BENCH_NEXMARK_EVENTS"); text != "" {
		var err error
		if events, err = strconv.ParseInt(text, 10, 64); err != nil {
			errs = append(errs, fmt.Errorf("BENCH_NEXMARK_EVENTS is %q: give a number", text))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	fs := flag.NewFlagSet("nexmark bench", flag.ContinueOnError)
	streamFlags(fs, &o.Config)
	fs.Int64Var(&o.Events, "events", events, "events in the log ($BENCH_NEXMARK_EVENTS)")
	only := fs.String("only", "q5,q11", "queries: q5, q7, q11, q12")
	fs.IntVar(&o.rounds, "rounds", 3, "how often each query is measured")
	fs.StringVar(&o.binary, "binary", "bin/millrace", "the collector")
	fs.BoolVar(&o.profile, "profile", true, "run each query once more under a profiler, to say what the time is spent on")
	fs.StringVar(&o.write, "write", "", "write the measurements to this file, as CSV")
	if err := fs.Parse(args); err != nil {
		return nil, flag.ErrHelp // the flag set has said why
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: flags only", fs.Arg(0))
	}
	o.queries = strings.Split(*only, ",")
	for _, name := range o.queries {
		if !slices.Contains([]string{"q5", "q7", "q11", "q12"}, name) {
			return nil, fmt.Errorf("-only: %q is no query: give some of q5, q7, q11, q12", name)
		}
	}
	if o.Events < 1000 || o.rounds < 1 {
		return nil, fmt.Errorf("-events is %d and -rounds is %d: give at least 1000 and 1", o.Events, o.rounds)
	}
	return &o, nil
}

// measurement of one query in one round.
type measurement struct {
	query      string
	round      int
	wall       time.Duration
	cpu        time.Duration // of the collector
	clickhouse time.Duration // CPU of the server meanwhile
	peak       int64         // resident memory of the collector, bytes
	rows       int64
	// shares of CPU by what it was spent on, of a run under the profiler: nil of others.
	shares map[string]float64
}

// run is one benchmark. One goroutine.
type run struct {
	*benchOptions
	out    *term.Out
	dir    string
	self   string
	engine *clickhouseengine.Engine
	tcp    string
	http   string
	ch     *chhttp.Client
	known  string // the consumer that the log knows
}

func bench(ctx context.Context, out *term.Out, o *benchOptions) (err error) {
	if _, err := os.Stat(o.binary); err != nil {
		return fmt.Errorf("%s is missing: run make build", o.binary)
	}
	r := &run{benchOptions: o, out: out}
	if r.self, err = os.Executable(); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp("", "millrace-nexmark-"); err != nil {
		return fmt.Errorf("making a directory for the data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if err := r.startEngine(ctx); err != nil {
		return err
	}
	defer func() {
		r.ch.Close()
		err = errors.Join(err, r.engine.Stop(context.Background()))
	}()
	c, err := nexmark.New(o.Config) // with its defaults
	if err != nil {
		return err
	}
	o.Config = c.Config()
	out.Printf("\n%s\n%s\n\n", out.Bold("Nexmark"), out.Dim(fmt.Sprintf("%s events, %s in a second of event time, seed %d; %d cores, %s",
		term.Number(o.Events), term.Number(int64(o.Rate)), o.Seed, runtime.NumCPU(), runtime.Version())))
	if err := r.fill(ctx); err != nil {
		return fmt.Errorf("filling the log: %w", err)
	}
	var all []measurement
	for round := range o.rounds {
		for _, query := range append([]string{nop}, o.queries...) {
			m, err := r.measure(ctx, query, "")
			if err != nil {
				return fmt.Errorf("%s: %w", query, err)
			}
			m.round = round + 1
			all = append(all, m)
		}
	}
	r.print(all)
	if o.profile {
		for _, query := range o.queries {
			file := filepath.Join(r.dir, query+".prof")
			m, err := r.measure(ctx, query, file)
			if err != nil {
				return fmt.Errorf("%s, profiled: %w", query, err)
			}
			if m.shares, err = r.shares(ctx, query, file); err != nil {
				return fmt.Errorf("%s, profiled: %w", query, err)
			}
			all = append(all, m)
		}
	}
	if o.write != "" {
		if err := r.record(ctx, all); err != nil {
			return err
		}
		out.Printf("\n%s has these figures.\n", o.write)
	}
	return out.Err()
}

func (r *run) startEngine(ctx context.Context) error {
	addrs, err := freeport.Addrs(2)
	if err != nil {
		return err
	}
	r.tcp, r.http = addrs[0], addrs[1]
	r.ch = &chhttp.Client{URL: "http://" + r.http, Database: "analytics"}
	r.engine = clickhouseengine.New(clickhouseengine.Options{
		DataDir: filepath.Join(r.dir, "clickhouse"), TCPAddr: r.tcp, HTTPAddr: r.http, Databases: []string{"analytics"},
		Users: []clickhouseengine.User{{Name: clickhouseengine.InternalUser}},
	})
	if err := r.engine.Start(ctx); err != nil {
		return fmt.Errorf("starting ClickHouse: %w", err)
	}
	return nil
}

// start runs a collector with a pipeline behind the log in the place of the one before.
func (r *run) start(ctx context.Context, query, profile string) (*nexmark.Collector, error) {
	o := nexmark.CollectorOptions{
		Command: []string{r.binary}, Root: ".", Data: filepath.Join(r.dir, "data"), Log: filepath.Join(r.dir, "collector.log"),
		TCP: r.tcp, HTTP: r.http,
		// It begins when it is told to: what a start costs is not what a query costs.
		Overlays: []string{"connectors::event_log::consumers: {logs/" + query + ": {start_at: end}}"},
	}
	if r.known != "" && r.known != query {
		o.Overlays[0] = "connectors::event_log::consumers: {logs/" + query + ": {start_at: end}, logs/" + r.known + ": {removed: true}}"
	}
	if query == nop {
		o.Overlays = append(o.Overlays, "service::pipelines::logs/nop: {receivers: [event_log], exporters: [nop]}", "exporters::nop: {}")
	} else {
		o.Queries = []string{query}
	}
	if profile != "" {
		o.Command = []string{r.self, "collector"}
		o.Env = []string{profileVariable + "=" + profile}
	}
	c, err := nexmark.StartCollector(ctx, o)
	if err == nil {
		r.known = query
	}
	return c, err
}

// fill sends all events through the door once; each measurement reads the same log.
func (r *run) fill(ctx context.Context) (err error) {
	c, err := r.start(ctx, nop, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	began := time.Now()
	sent, err := fill(ctx, r.Config, c.OTLP, 5000, true, func(sent int64) {
		r.out.Live(fmt.Sprintf("  filling the log: %s of %s events", term.Number(sent), term.Number(r.Events)))
	})
	r.out.ClearLive()
	if err != nil {
		return err
	}
	r.out.Printf("  %s events are in the log, in %s\n", term.Number(sent), term.Clock(time.Since(began)))
	return nil
}

// bids is how many of the events are bids.
func (r *run) bids() int64 {
	whole, rest := r.Events/50*46, max(r.Events%50-4, 0)
	return whole + rest
}

// counted asks for the sum of all counts of a query, and what it must be: each bid is in five windows of Q5.
func (r *run) counted(query string) (sql string, want int64) {
	switch query {
	case "q5":
		return "SELECT ifNull(sum(all_bids), 0) FROM nexmark_q5", 5 * r.bids()
	default:
		return "SELECT ifNull(sum(bids), 0) FROM nexmark_" + query, r.bids()
	}
}

// measure hands the whole log to a query. It takes from before the first delivery until ClickHouse has all results.
func (r *run) measure(ctx context.Context, query, profile string) (m measurement, err error) {
	r.out.Live("  " + query)
	defer r.out.ClearLive()
	m.query = query
	for _, sql := range []string{"DROP VIEW IF EXISTS nexmark_" + query, "DROP TABLE IF EXISTS nexmark_" + query + "_panes SYNC"} {
		if err := r.ch.Exec(ctx, sql); err != nil {
			return m, err
		}
	}
	c, err := r.start(ctx, query, profile)
	if err != nil {
		return m, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w; the collector said:\n%s", err, c.Tail(10))
		}
		err = errors.Join(err, c.Stop())
	}()
	consumer := "logs/" + query
	before, err := cpuOf(c.PID(), r.engine.PID())
	if err != nil {
		return m, err
	}
	began := time.Now()
	if err := c.Reset(ctx, consumer); err != nil {
		return m, err
	}
	if err := r.finish(ctx, c, query, consumer); err != nil {
		return m, err
	}
	m.wall = time.Since(began)
	after, err := cpuOf(c.PID(), r.engine.PID())
	if err != nil {
		return m, err
	}
	m.cpu, m.clickhouse = after[0]-before[0], after[1]-before[1]
	if m.peak, err = peakOf(c.PID()); err != nil {
		return m, err
	}
	if query == nop {
		return m, nil
	}
	m.rows, err = r.ch.Int(ctx, "SELECT count() FROM nexmark_"+query)
	return m, err
}

const patience = 15 * time.Minute

// finish waits until all is delivered, committed, and in ClickHouse.
func (r *run) finish(ctx context.Context, c *nexmark.Collector, query, consumer string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		behind, err := lag.Behind(ctx, c.Admin, consumer)
		if err != nil {
			return err
		}
		if behind == 0 {
			break
		}
		select {
		case <-c.Exited():
			return c.Died()
		case <-ctx.Done():
			return fmt.Errorf("%d records are not delivered: %w", behind, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	for {
		if err := c.Checkpoint(ctx, consumer); err != nil {
			return err
		}
		if query == nop {
			return nil
		}
		sql, want := r.counted(query)
		got, err := r.ch.Int(ctx, sql)
		switch {
		case err != nil && !chhttp.IsMissing(err):
			return err
		case err == nil && got == want:
			return nil
		case err == nil && got > want:
			return fmt.Errorf("%s gives %d, and not %d: events were counted twice", sql, got, want)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s gives %d, and not %d: %w", sql, got, want, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// goal is events a second and core, of issue 6.
const goal = 400_000

func (r *run) perCore(m *measurement) float64 { return float64(r.Events) / m.cpu.Seconds() }

func (r *run) print(all []measurement) {
	columns := []term.Column{
		{Name: "query"}, {Name: "round", Right: true}, {Name: "events/s/core", Right: true}, {Name: "events/s", Right: true}, {Name: "CPU, s", Right: true}, {Name: "wall, s", Right: true},
		{Name: "ClickHouse CPU, s", Right: true}, {Name: "peak RSS, MB", Right: true}, {Name: "results", Right: true},
	}
	var rows [][]string
	for i := range all {
		m := &all[i]
		rows = append(rows, []string{
			m.query, strconv.Itoa(m.round), fmt.Sprintf("%.0f", r.perCore(m)), fmt.Sprintf("%.0f", float64(r.Events)/m.wall.Seconds()), fmt.Sprintf("%.2f", m.cpu.Seconds()),
			fmt.Sprintf("%.2f", m.wall.Seconds()), fmt.Sprintf("%.2f", m.clickhouse.Seconds()), fmt.Sprintf("%.0f", float64(m.peak)/1e6), strconv.FormatInt(m.rows, 10),
		})
	}
	r.out.Printf("\n")
	r.out.Table("  ", columns, rows)
	r.out.Printf("\n")
	for _, query := range r.queries {
		var figures []float64
		for i := range all {
			if all[i].query == query {
				figures = append(figures, r.perCore(&all[i]))
			}
		}
		slices.Sort(figures)
		median := figures[len(figures)/2]
		verdict := r.out.Good("reached")
		if median < goal {
			verdict = r.out.Bad("missed")
		}
		r.out.Printf("  %s: %s events/s/core, all events counted; the goal of %s is %s\n", query, term.Number(int64(median)), term.Number(goal), verdict)
	}
}

func (r *run) record(ctx context.Context, all []measurement) error {
	f, err := os.CreateTemp(filepath.Dir(r.write), filepath.Base(r.write)+".*")
	if err != nil {
		return fmt.Errorf("writing the measurements: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone once it is renamed
	revision := "unknown"
	if b, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output(); err == nil {
		revision = strings.TrimSpace(string(b))
	}
	w := csv.NewWriter(f)
	head := []string{
		"date", "revision", "cores", "query", "round", "events", "event_time_rate", "disorder", "seed", "cpu_seconds", "wall_seconds", "events_per_second_and_core", "clickhouse_cpu_seconds",
		"peak_rss_bytes", "results", "profiled",
	}
	for _, p := range parts {
		head = append(head, p.column+"_percent")
	}
	rows := [][]string{head}
	for i := range all {
		m := &all[i]
		row := []string{
			time.Now().UTC().Format(time.DateOnly), revision, strconv.Itoa(runtime.NumCPU()), m.query, strconv.Itoa(m.round), strconv.FormatInt(r.Events, 10),
			strconv.FormatFloat(r.Rate, 'f', -1, 64), strconv.FormatInt(r.OutOfOrderGroup, 10), strconv.FormatUint(r.Seed, 10),
			fmt.Sprintf("%.2f", m.cpu.Seconds()), fmt.Sprintf("%.2f", m.wall.Seconds()), fmt.Sprintf("%.0f", r.perCore(m)), fmt.Sprintf("%.2f", m.clickhouse.Seconds()),
			strconv.FormatInt(m.peak, 10), strconv.FormatInt(m.rows, 10), strconv.FormatBool(m.shares != nil),
		}
		for _, p := range parts {
			share := ""
			if m.shares != nil {
				share = fmt.Sprintf("%.1f", m.shares[p.name])
			}
			row = append(row, share)
		}
		rows = append(rows, row)
	}
	if err := errors.Join(w.WriteAll(rows), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("writing the measurements: %w", err)
	}
	return os.Rename(f.Name(), r.write)
}
