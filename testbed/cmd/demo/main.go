// SPDX-License-Identifier: Apache-2.0

// Command demo does Millrace's main job once, for people to see: it starts the quickstart configuration on a
// fresh data directory, sends a million events of a simulated shop over OTLP and Segment's API, holds what
// ClickHouse has against what was sent, event for event, asks what an analyst would ask, of sessions and counts a minute too, and reads the same from
// the lake's files.
//
// Each flag has an environment variable, so that `make demo` can be told: DEMO_EVENTS, DEMO_KEEP, DEMO_SEED,
// DEMO_DUPLICATES, DEMO_DATA_DIR, DEMO_BINARY. Addresses are those of the quickstart (MILLRACE_OTLP_GRPC and so on); a default
// port that is taken is replaced by a free one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/command"
	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/term"
)

type options struct {
	binary, config, dataDir string
	events                  int64
	seed                    uint64
	duplicates              float64
	deduplicated            bool
	keep                    bool
}

func main() { os.Exit(command.Run("demo", parse, run)) }

func parse(args []string) (*options, error) {
	var o options
	var errs []error
	number := func(name string, otherwise float64) float64 {
		v := os.Getenv(name)
		if v == "" {
			return otherwise
		}
		n, err := strconv.ParseFloat(v, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is %q: give a number", name, v))
		}
		return n
	}
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.StringVar(&o.binary, "binary", env("DEMO_BINARY", "bin/millrace"), "the collector to start (DEMO_BINARY)")
	fs.StringVar(&o.config, "config", "configs/quickstart.yaml", "its configuration")
	fs.StringVar(&o.dataDir, "data", env("DEMO_DATA_DIR", "./data/demo"), "directory for all that is kept; emptied at the start if an earlier demo made it (DEMO_DATA_DIR)")
	fs.Int64Var(&o.events, "events", int64(number("DEMO_EVENTS", 1_000_000)), "events to send (DEMO_EVENTS)")
	fs.Uint64Var(&o.seed, "seed", uint64(number("DEMO_SEED", 1)), "determines the events (DEMO_SEED)")
	fs.Float64Var(&o.duplicates, "duplicates", number("DEMO_DUPLICATES", 0.01), "share of events that are sent twice (DEMO_DUPLICATES)")
	fs.BoolVar(&o.deduplicated, "deduplicated", true, "expect that of each event one row is stored, however often it was sent")
	fs.BoolVar(&o.keep, "keep", env("DEMO_KEEP", "0") != "0", "stay up at the end (DEMO_KEEP=1)")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: flags only", fs.Arg(0))
	}
	if o.events < 1 {
		return nil, fmt.Errorf("events is %d: give at least 1", o.events)
	}
	return &o, nil
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

const readyTimeout = 90 * time.Second

func run(ctx context.Context, out *term.Out, o *options) (err error) {
	out.Printf("\n%s\n%s\n", out.Bold("Millrace: business events in, typed ClickHouse rows and Parquet files out"),
		out.Dim(fmt.Sprintf("One binary takes %s events of a simulated shop over OTLP and Segment's API.", term.Number(o.events))))

	heading(out, 1, "Start")
	places, err := choosePlaces()
	if err != nil {
		return err
	}
	if err := freshDirectory(o.dataDir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mark(o.dataDir, "")) }()
	p, err := start(o, places)
	if err != nil {
		return err
	}
	ch := &chhttp.Client{URL: "http://" + places[clickHouseHTTP].addr, Database: "analytics"}
	defer func() {
		ch.Close()
		if stopErr := stop(p); err == nil && stopErr != nil {
			err = stopErr
		}
	}()
	printPlaces(out, o, places)
	began := time.Now()
	if err := awaitReady(ctx, p, o, ch, places); err != nil {
		return err
	}
	out.Printf("  %s ready after %.1f s\n", out.Good("✓"), time.Since(began).Seconds())

	heading(out, 2, "Send")
	r, err := sendAll(ctx, out, o, places, ch, p)
	if err != nil {
		return err
	}

	heading(out, 3, "Check")
	if err := awaitDelivered(ctx, out, places, p); err != nil {
		return err
	}
	if err := check(ctx, out, o, r, ch); err != nil {
		return err
	}

	heading(out, 4, "Ask")
	if err := askAll(ctx, out, ch, questions); err != nil {
		return err
	}
	if err := askResults(ctx, out, r, ch, p); err != nil {
		return err
	}

	heading(out, 5, "Read the lake")
	if err := showLake(ctx, out, o, ch, p); err != nil {
		return err
	}

	heading(out, 6, "Go on")
	if err := goOn(ctx, out, o, places, ch); err != nil {
		return err
	}
	if o.keep {
		out.Printf("\n  Everything stays up until Ctrl-C.\n")
		select {
		case <-ctx.Done():
		case <-p.Exited():
			return p.Died()
		}
	}
	return out.Err()
}

func heading(out *term.Out, n int, s string) {
	out.Printf("\n%s %s\n\n", out.Accent(strconv.Itoa(n)), out.Bold(s))
}

func sendAll(ctx context.Context, out *term.Out, o *options, places map[string]*place, ch *chhttp.Client, p *child.Process) (*load.Run, error) {
	r, err := load.NewRun(load.RunConfig{
		Generator: load.GeneratorConfig{
			Seed: o.seed, Events: o.events, End: time.Now().Truncate(time.Minute), Span: time.Hour,
			Paths: [3]float64{load.OTLPGRPC: 70, load.OTLPHTTP: 10, load.Segment: 20},
			Late:  0.02, Bad: 0.01, Duplicates: o.duplicates,
		},
		Targets: load.Targets{
			OTLPGRPC: places[otlpGRPC].addr, OTLPHTTP: "http://" + places[otlpHTTP].addr,
			Segment: "http://" + places[segment].addr, SegmentKeys: load.QuickstartSegmentKeys(),
		},
		// Enough under way at once that one sync of the log serves several requests: an acknowledgement waits for one. More
		// would only leave ClickHouse behind.
		Batch: 2000, SegmentBatch: 500, InFlight: 2, Connections: 4, MaxDisorder: maxDisorder, Record: true,
	})
	if err != nil {
		return nil, err
	}
	// A collector that died will acknowledge nothing any more.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.Exited():
			cancel(p.Died())
		case <-ctx.Done():
		}
	}()
	done, shown := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(shown)
		load.Watch(ctx, out, r, func(ctx context.Context) (int64, error) {
			events, failed, err := load.Stored(ctx, ch, load.Tables{})
			return events + failed, err
		}, done)
	}()
	err = r.Do(ctx)
	close(done)
	<-shown
	if err != nil {
		return nil, err
	}
	s := r.Stats()
	if s.Refused > 0 {
		return nil, fmt.Errorf("the collector refused %s events: %w", term.Number(s.Refused), s.LastError)
	}
	rows := [][]string{}
	for path, n := range s.SentBy {
		name := [...]string{"OTLP over gRPC", "OTLP over HTTP", "Segment's API"}[path]
		rows = append(rows, []string{name, strconv.FormatInt(n, 10)})
	}
	rows = append(rows, []string{"acknowledged", strconv.FormatInt(s.Acked, 10)})
	out.Table("  ", []term.Column{{Name: "path"}, {Name: "events", Right: true}}, rows)
	out.Printf("\n  %s acknowledged in %.1f s: %s events a second, %s bytes each\n", out.Good("✓"), s.Elapsed.Seconds(),
		out.Bold(term.Number(int64(float64(s.Acked)/max(s.Elapsed.Seconds(), 1e-9)))), term.Number(s.Bytes/max(s.Sent, 1)))
	if s.Retries > 0 {
		out.Printf("    %s\n", out.Dim(fmt.Sprintf("%s requests were sent again; the last reason: %v", term.Number(s.Retries), s.LastError)))
	}
	return r, nil
}

var errMismatch = errors.New("the tables do not hold what was sent")

func check(ctx context.Context, out *term.Out, o *options, r *load.Run, ch *chhttp.Client) error {
	m := r.Manifest()
	if err := m.WriteFile(manifestPath(o)); err != nil {
		return err
	}
	sum := m.Summary()
	c, err := load.Compare(m, load.ClickHouseRows(ctx, ch, load.Tables{}), load.CompareOptions{Deduplicated: o.deduplicated})
	if err != nil {
		return err
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	out.Table("  ", []term.Column{{Name: "table"}, {Name: "expected", Right: true}, {Name: "rows", Right: true}, {Name: "what belongs there"}}, [][]string{
		{"analytics.events", number(sum.ExpectedStored), number(c.Rows), "valid events, and those without a schema"},
		{"analytics.failed_events", number(sum.ExpectedFailed), number(c.Failed), "events that break their schema, with the reason"},
	})
	if sum.Duplicates > 0 {
		out.Printf("  %s\n", out.Dim(term.Number(sum.Duplicates)+" events were sent twice on purpose: the log dropped their copies."))
	}
	if !c.OK() {
		out.Printf("\n  %s %s\n", out.Bad("✗"), c.Verdict())
		c.PrintSamples(out.Printf)
		return errMismatch
	}
	out.Printf("\n  %s every one of %s events sent is there by its ID: %s\n", out.Good("✓"), out.Bold(term.Number(c.Matched)),
		out.Bold("0 lost, 0 duplicated, 0 altered, 0 unexpected"))
	return nil
}

// deliveryTimeout bounds what comes after the last acknowledgement.
const deliveryTimeout = 2 * time.Minute

// awaitDelivered waits until ClickHouse has, and the lake's staging, what the log has acknowledged, and shows what is left.
func awaitDelivered(ctx context.Context, out *term.Out, places map[string]*place, p *child.Process) error {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		select {
		case <-p.Exited():
			close(ended)
			cancel()
		case <-ctx.Done():
		}
	}()
	began := time.Now()
	shown := began
	err := lag.Await(ctx, "http://"+places[metrics].addr, func(left int64) {
		if !out.TTY() && time.Since(shown) < time.Second { // a line each
			return
		}
		shown = time.Now()
		out.Live(fmt.Sprintf("  %s acknowledged events are on their way from the log to ClickHouse and the lake", term.Number(left)))
	})
	out.ClearLive()
	select {
	case <-ended:
		return p.Died()
	default:
	}
	if err != nil {
		return err
	}
	out.Printf("  %s ClickHouse has all that was acknowledged, %.1f s after the last acknowledgement\n\n", out.Good("✓"), time.Since(began).Seconds())
	return nil
}
