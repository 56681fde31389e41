// SPDX-License-Identifier: Apache-2.0

// Command chaos breaks a running collector in every way that its guarantee names, and shows what was lost, duplicated or
// altered by it: see package testbed/chaos. Its exit code is 1 unless all of that is 0 and every fail point was hit.
//
// `make chaos` takes CHAOS_KILLS, CHAOS_SEED, CHAOS_PHASES (separated by |) and CHAOS_DIR from the environment. The same seed
// breaks the same things in the same order; what they meet depends on the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/chaos"
	"github.com/millrace/millrace/testbed/command"
	"github.com/millrace/millrace/testbed/term"
)

type options struct {
	chaos.Options
	keep  bool
	write string
}

func main() { os.Exit(command.Run("chaos", parse, run)) }

func parse(args []string) (*options, error) {
	var o options
	var phases string
	var errs []error
	number := func(name string, otherwise uint64) uint64 {
		v := os.Getenv(name)
		if v == "" {
			return otherwise
		}
		n, err := strconv.ParseUint(v, 10, 63)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is %q: give a number", name, v))
		}
		return n
	}
	fs := flag.NewFlagSet("chaos", flag.ContinueOnError)
	fs.StringVar(&o.Binary, "binary", "bin/millrace", "the collector")
	fs.StringVar(&o.Root, "root", ".", "the repository")
	fs.StringVar(&o.Dir, "dir", os.Getenv("CHAOS_DIR"), "directory for all data, removed at the end; a temporary one unless set (CHAOS_DIR)")
	fs.Uint64Var(&o.Seed, "seed", number("CHAOS_SEED", uint64(time.Now().UnixNano()%1_000_000)), "determines load and faults (CHAOS_SEED)")
	fs.IntVar(&o.Kills, "kills", int(number("CHAOS_KILLS", 100)), "how often to kill the collector (CHAOS_KILLS)")
	fs.Float64Var(&o.Rate, "rate", 2000, "events a second")
	fs.StringVar(&phases, "phases", os.Getenv("CHAOS_PHASES"), fmt.Sprintf("phases to run, separated by |; all unless set: %s (CHAOS_PHASES)", strings.Join(chaos.AllPhases, "|")))
	fs.BoolVar(&o.keep, "keep", false, "keep the data")
	fs.StringVar(&o.write, "write", "", "write the record to this file, as CSV")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: flags only", fs.Arg(0))
	}
	if phases != "" {
		o.Phases = strings.Split(phases, "|")
	}
	return &o, nil
}

var errFound = errors.New("the guarantee does not hold")

func run(ctx context.Context, out *term.Out, o *options) (err error) {
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "millrace-chaos-"); err != nil {
			return fmt.Errorf("making a directory for the data: %w", err)
		}
	} else if entries, err := os.ReadDir(o.Dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("the directory %s is not empty: name another one, since all of it is removed at the end", o.Dir)
	}
	out.Printf("\n%s\n%s\n\n", out.Bold("Millrace: break it, and count"),
		out.Dim(fmt.Sprintf("%d kills under %s events a second, seed %d (CHAOS_SEED=%d breaks the same), data in %s", o.Kills, term.Number(int64(o.Rate)), o.Seed, o.Seed, o.Dir)))
	lines := make(chan string, 100)
	show := &shower{out: out, lines: lines}
	o.Progress = show.progress
	o.Logf = func(format string, args ...any) {
		select {
		case lines <- fmt.Sprintf(format, args...):
		default: // nobody shows them
		}
	}
	began := time.Now()
	r, err := chaos.Run(ctx, o.Options)
	out.ClearLive()
	if r == nil {
		return err
	}
	show.drain()
	r.Print(out)
	if err != nil {
		out.Printf("\n  The data and the collector's logs stay in %s\n", o.Dir)
		return err
	}
	if o.write != "" {
		if err := writeRecord(o.write, r); err != nil {
			return err
		}
	}
	if !r.OK() {
		out.Printf("\n  The data and the collector's logs stay in %s\n", o.Dir)
		return errFound
	}
	out.Printf("\n  %s %s, in %s\n\n", out.Good("✓"), out.Bold("0 lost, 0 duplicated, 0 altered, in ClickHouse and in the lake"), term.Clock(time.Since(began)))
	if o.keep {
		return out.Err()
	}
	return errors.Join(out.Err(), os.RemoveAll(o.Dir))
}

func writeRecord(path string, r *chaos.Report) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone once it is renamed
	if err := errors.Join(r.WriteCSV(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// shower shows how phases go: one live line on a terminal, else a line every few seconds. It is used by one goroutine at a time.
type shower struct {
	out   *term.Out
	lines chan string
	last  time.Time
	phase string
}

func (s *shower) drain() {
	for {
		select {
		case line := <-s.lines:
			s.out.ClearLive()
			s.out.Printf("  %s\n", s.out.Dim(line))
		default:
			return
		}
	}
}

func (s *shower) progress(p chaos.Progress) {
	s.drain()
	every := 100 * time.Millisecond
	if !s.out.TTY() {
		every = 5 * time.Second
	}
	if p.Phase == s.phase && time.Since(s.last) < every {
		return
	}
	s.phase, s.last = p.Phase, time.Now()
	line := fmt.Sprintf("  %-22s", p.Phase)
	if p.Of > 0 {
		if s.out.TTY() {
			line += " " + s.out.Bar(float64(p.Done)/float64(p.Of), 12)
		}
		line += fmt.Sprintf(" %3d of %d  %10s acked", p.Done, p.Of, term.Number(p.Acked))
	}
	line += "  " + term.Clock(p.Elapsed) + "  " + p.Doing
	if r := []rune(line); s.out.TTY() && len(r) > s.out.Width()+40 { // about: colours take no columns
		line = string(r[:s.out.Width()+40])
	}
	s.out.Live(line)
}
