// SPDX-License-Identifier: Apache-2.0

// Command nexmark sends the events of the Nexmark benchmark to a collector, and measures what its queries cost.
//
//	nexmark send        sends events over OTLP, for the configurations in configs/nexmark
//	nexmark bench       fills a log and measures the queries on it: make bench-nexmark
//	nexmark collector   the collector that bench profiles
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/millrace/millrace/testbed/command"
	"github.com/millrace/millrace/testbed/nexmark"
	"github.com/millrace/millrace/testbed/term"
)

const usage = `Usage:
  nexmark send [flags]     send events over OTLP
  nexmark bench [flags]    fill a log and measure the queries on it

Each command explains its flags with -h.
`

func main() {
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = append(os.Args[:1], os.Args[2:]...)
	}
	switch name {
	case "send":
		os.Exit(command.Run("nexmark send", parseSend, send))
	case "bench":
		os.Exit(command.Run("nexmark bench", parseBench, bench))
	case "collector":
		os.Exit(collector())
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
}

type sendOptions struct {
	nexmark.Config
	to      string
	batch   int
	closing bool
}

// streamFlags are those of the generator.
func streamFlags(fs *flag.FlagSet, c *nexmark.Config) {
	fs.Uint64Var(&c.Seed, "seed", 1, "determines the events")
	fs.Float64Var(&c.Rate, "rate", nexmark.DefaultRate, "events in a second of event time")
	fs.Int64Var(&c.OutOfOrderGroup, "disorder", 1, "events in a row whose times are permuted")
}

func parseSend(args []string) (*sendOptions, error) {
	var o sendOptions
	var start string
	fs := flag.NewFlagSet("nexmark send", flag.ContinueOnError)
	streamFlags(fs, &o.Config)
	fs.Int64Var(&o.Events, "events", 100_000, "how many, copies not counted")
	fs.StringVar(&start, "start", nexmark.DefaultStart.Format(time.RFC3339), "time of the first event")
	fs.Float64Var(&o.Duplicates, "duplicates", 0, "share of events that come twice")
	fs.Float64Var(&o.Late, "late", 0, "share of events that are held back, for up to 30 s of event time")
	fs.Float64Var(&o.Future, "future", 0, "share of events whose clock is 20 years ahead")
	to := os.Getenv("MILLRACE_OTLP_GRPC")
	if to == "" {
		to = "127.0.0.1:4317"
	}
	fs.StringVar(&o.to, "to", to, "host:port of OTLP/gRPC ($MILLRACE_OTLP_GRPC)")
	fs.IntVar(&o.batch, "batch", 1000, "events of a request")
	fs.BoolVar(&o.closing, "closing", true, "send events an hour later at the end, which close all windows and sessions")
	if err := fs.Parse(args); err != nil {
		return nil, flag.ErrHelp // the flag set has said why
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: flags only", fs.Arg(0))
	}
	if o.Events < 1 || o.batch < 1 {
		return nil, fmt.Errorf("-events is %d and -batch is %d: give at least 1", o.Events, o.batch)
	}
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		return nil, fmt.Errorf("-start is %q: give a time such as 2026-01-01T00:00:00Z", start)
	}
	o.Start = at
	return &o, nil
}

func send(ctx context.Context, out *term.Out, o *sendOptions) error {
	began := time.Now()
	sent, err := fill(ctx, o.Config, o.to, o.batch, o.closing, func(sent int64) {
		out.Live(fmt.Sprintf("  %s events", term.Number(sent)))
	})
	out.ClearLive()
	if err != nil {
		return err
	}
	out.Printf("%s events are acknowledged, in %s.\n", term.Number(sent), term.Clock(time.Since(began)))
	return out.Err()
}

// fill sends all events of a configuration in their order, and returns how many that were, copies included.
func fill(ctx context.Context, cfg nexmark.Config, to string, batch int, closing bool, progress func(sent int64)) (sent int64, err error) {
	g, err := nexmark.New(cfg)
	if err != nil {
		return 0, err
	}
	s, err := nexmark.NewSender(to)
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.Close() }() // everything is acknowledged
	for told := time.Now(); ; {
		request, n := g.Batch(batch)
		if n == 0 {
			break
		}
		if err := s.Send(ctx, request); err != nil {
			return sent, err
		}
		sent += int64(n)
		if time.Since(told) > time.Second {
			told = time.Now()
			progress(sent)
		}
	}
	if !closing {
		return sent, nil
	}
	cfg = g.Config()
	end := cfg.Start.Add(time.Duration(float64(cfg.Events) / cfg.Rate * float64(time.Second)))
	return sent, s.Send(ctx, nexmark.Closing(cfg.Seed, end.Add(time.Hour), 64))
}
