// SPDX-License-Identifier: Apache-2.0

// Command bench measures what an event costs, against contrib's ClickHouse exporter in the same run, and writes the
// measured part of docs/benchmarks.md, which says how and why so. Run it by `make bench` or scripts/bench.sh: it needs
// bin/millrace, bin/peers and the engine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/millrace/millrace/testbed/command"
	"github.com/millrace/millrace/testbed/term"
)

type options struct {
	sections     []string
	rounds       int
	events       int
	memoryEvents int
	ids          int
	write        string // the page, or ""
}

// bench is a run. Used by one goroutine.
type bench struct {
	*options
	out *term.Out
	dir string // temporary, removed at the end
	// memory is what the memory section sampled; written beside the page.
	csv, svg []byte
}

func main() { os.Exit(command.Run("bench", parse, run)) }

func parse(args []string) (*options, error) {
	var o options
	var errs []error
	number := func(name string, otherwise int) int {
		text := os.Getenv(name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is %q: give a number", name, text))
		}
		return n
	}
	events, memoryEvents := number("BENCH_EVENTS", 500_000), number("BENCH_MEMORY_EVENTS", 10_000_000)
	ids := number("BENCH_IDS", 10_000_000)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := fs.String("only", "exporter,process,build,profile", "sections: exporter, process, log (some minutes), lake, pii, memory (some minutes), build, profile")
	fs.IntVar(&o.rounds, "rounds", 3, "how often each comparison is repeated")
	fs.IntVar(&o.events, "events", events, "events of one measurement ($BENCH_EVENTS)")
	fs.IntVar(&o.memoryEvents, "memory-events", memoryEvents, "events of the memory section ($BENCH_MEMORY_EVENTS)")
	fs.IntVar(&o.ids, "ids", ids, "event IDs of the log section ($BENCH_IDS)")
	fs.StringVar(&o.write, "write", "", "page whose measured part is replaced, such as docs/benchmarks.md")
	if err := fs.Parse(args); err != nil {
		return nil, flag.ErrHelp // the flag set has said why
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	atLeast := func(name string, v, least int) {
		if v < least {
			errs = append(errs, fmt.Errorf("-%s is %d: give at least %d", name, v, least))
		}
	}
	atLeast("rounds", o.rounds, 1)
	atLeast("events", o.events, 1000)
	atLeast("memory-events", o.memoryEvents, 1000)
	atLeast("ids", o.ids, 20_000)
	var err error
	o.sections, err = chosen(*only)
	return &o, errors.Join(append(errs, err)...)
}

func run(ctx context.Context, out *term.Out, o *options) (err error) {
	for _, needed := range []string{"go.mod", binary, peers} {
		if _, err := os.Stat(needed); err != nil {
			return fmt.Errorf("%s is missing: run scripts/bench.sh, which builds what is needed", needed)
		}
	}
	b := &bench{options: o, out: out}
	if b.dir, err = os.MkdirTemp("", "millrace-bench-"); err != nil {
		return fmt.Errorf("making a directory for the data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()

	found := []section{b.machine(ctx)}
	found[0].print(out)
	steps := map[string]func(context.Context) (section, error){
		"exporter": b.exporterStep, "process": b.process, "log": b.eventLog, "lake": b.lake, "pii": b.pii, "memory": b.memory, "build": b.build, "profile": b.profile,
	}
	for _, name := range o.sections {
		s, err := steps[name](ctx)
		out.ClearLive()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.name = name
		s.notes = append(s.notes, b.when(ctx))
		s.print(out)
		found = append(found, s)
		// Written after each section: what follows may be interrupted.
		if o.write == "" {
			continue
		}
		if name == "memory" {
			beside := filepath.Join(filepath.Dir(o.write), "benchmarks")
			if err := errors.Join(writeWhole(filepath.Join(beside, "memory.csv"), b.csv), writeWhole(filepath.Join(beside, "memory.svg"), b.svg)); err != nil {
				return err
			}
		}
		if err := writePage(o.write, found); err != nil {
			return err
		}
	}
	out.Printf("\n")
	if o.write != "" {
		out.Printf("%s has these figures.\n", o.write)
	} else if slices.Contains(o.sections, "memory") {
		out.Printf("Nothing was written: -write docs/benchmarks.md writes the page, the samples and their plot.\n")
	}
	return out.Err()
}

// What is compared.
const (
	binary = "bin/millrace"
	peers  = "bin/peers"
)

// peer is one of the two exporters.
type peer struct {
	name     string // in tables
	exporter string // peers' --exporter
	table    string // that it creates
}

// both are measured in this order, each round.
var both = []peer{
	{"contrib", "clickhouse", "otel_logs"},
	{"Millrace", "clickhouse_events", "events"},
}
