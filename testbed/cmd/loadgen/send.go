// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/term"
)

type sendFlags struct {
	cfg        load.RunConfig
	mix        string
	tenants    string
	keys       string
	end        string
	manifest   string
	clickhouse string
	check      bool
	dedup      bool
}

func parseSend(args []string) (*sendFlags, error) {
	var f sendFlags
	g, t := &f.cfg.Generator, &f.cfg.Targets
	fs := flag.NewFlagSet("loadgen send", flag.ContinueOnError)
	fs.Int64Var(&g.Events, "events", 0, "unique events to send; further copies come on top (default 100,000 without -duration)")
	fs.DurationVar(&f.cfg.Duration, "duration", 0, "end after this time")
	fs.Float64Var(&f.cfg.Rate, "rate", 0, "events a second that are due, whether or not the server keeps up; 0 is as fast as it takes them")
	fs.IntVar(&f.cfg.Connections, "connections", 4, "connections for each path")
	fs.IntVar(&f.cfg.InFlight, "in-flight", 2, "requests at once on each gRPC connection")
	fs.IntVar(&f.cfg.Batch, "batch", 1000, "events in an OTLP request")
	fs.IntVar(&f.cfg.SegmentBatch, "segment-batch", 250, "events in a Segment request")
	fs.StringVar(&f.mix, "mix", "otlp_grpc=70,otlp_http=10,segment=20", "shares of the visits by path")
	fs.StringVar(&t.OTLPGRPC, "otlp-grpc", env("MILLRACE_OTLP_GRPC", "127.0.0.1:4317"), "host:port for OTLP/gRPC")
	fs.StringVar(&t.OTLPHTTP, "otlp-http", "http://"+env("MILLRACE_OTLP_HTTP", "127.0.0.1:4318"), "base URL for OTLP/HTTP")
	fs.StringVar(&t.Segment, "segment", "http://"+env("MILLRACE_SEGMENT", "127.0.0.1:8181"), "base URL for Segment's API")
	fs.StringVar(&f.keys, "segment-keys", "dev=millrace-dev", "Segment write keys as tenant=key,…")
	fs.BoolVar(&t.Gzip, "gzip", false, "compress what is sent")
	fs.DurationVar(&t.Timeout, "timeout", 30*time.Second, "of one attempt")
	fs.Uint64Var(&g.Seed, "seed", 1, "determines every event, its ID included: use another for each run into one table")
	fs.StringVar(&f.end, "end", "", "simulated time of the last event, RFC 3339 (default now; with -rate, now plus the length of the run)")
	fs.DurationVar(&g.Span, "span", 0, "simulated time from the first event to the last (default 1h; with -rate, the length of the run)")
	fs.IntVar(&g.Users, "users", 100_000, "different visitors, Zipf-distributed")
	fs.StringVar(&f.tenants, "tenants", strings.Join(load.DefaultTenants, ","), "tenants of the OTLP events, the first with the most visitors")
	fs.Float64Var(&g.Late, "late", 0.02, "share of events that arrive late")
	fs.DurationVar(&g.LateMax, "late-max", 5*time.Minute, "by how much at most, in simulated time")
	fs.Float64Var(&g.Duplicates, "duplicates", 0, "share of events that are sent twice")
	fs.Float64Var(&g.Bad, "bad", 0.01, "share of events that are bad")
	fs.StringVar(&f.manifest, "manifest", "", "file to record in what was sent")
	fs.StringVar(&f.clickhouse, "clickhouse", "", "ClickHouse's HTTP URL, to show how much is stored meanwhile")
	fs.BoolVar(&f.check, "verify", false, "hold ClickHouse's tables (-clickhouse) against what was sent")
	fs.BoolVar(&f.dedup, "deduplicated", false, "with -verify: further copies must not have been stored")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: flags only", fs.Arg(0))
	}
	return &f, f.complete(time.Now())
}

// complete turns texts into configuration and fills in what depends on other flags.
func (f *sendFlags) complete(now time.Time) error {
	g := &f.cfg.Generator
	mix, err := pairs("mix", f.mix)
	if err != nil {
		return err
	}
	for name, v := range mix {
		i := slices.Index([]string{"otlp_grpc", "otlp_http", "segment"}, name)
		if i < 0 {
			return fmt.Errorf("-mix: unknown path %q: it is otlp_grpc, otlp_http or segment", name)
		}
		if g.Paths[i], err = strconv.ParseFloat(v, 64); err != nil {
			return fmt.Errorf("-mix: %q is no share of %s: give a number", v, name)
		}
	}
	if f.cfg.Targets.SegmentKeys, err = pairs("segment-keys", f.keys); err != nil {
		return err
	}
	g.Tenants = strings.Split(f.tenants, ",")
	if g.Events == 0 && f.cfg.Duration == 0 {
		g.Events = 100_000
	}
	length := f.cfg.Duration
	if f.cfg.Rate > 0 {
		if g.Events == 0 {
			g.Events = int64(f.cfg.Rate * f.cfg.Duration.Seconds())
		}
		length = time.Duration(float64(g.Events) / f.cfg.Rate * float64(time.Second))
	}
	g.End = now
	if f.cfg.Rate > 0 && g.Span == 0 {
		g.Span, g.End = length, now.Add(length)
	}
	if f.end != "" {
		if g.End, err = time.Parse(time.RFC3339Nano, f.end); err != nil {
			return fmt.Errorf("-end: %q is no RFC 3339 time: give one such as 2026-11-02T12:00:00Z", f.end)
		}
	}
	f.cfg.Record = f.manifest != "" || f.check
	if f.check && f.clickhouse == "" {
		return errors.New("-verify needs -clickhouse: give ClickHouse's HTTP URL, such as http://127.0.0.1:8123")
	}
	return nil
}

func pairs(flag, s string) (map[string]string, error) {
	out := map[string]string{}
	for p := range strings.SplitSeq(s, ",") {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("-%s: %q is no name=value: give pairs separated by commas", flag, p)
		}
		out[k] = v
	}
	return out, nil
}

func send(ctx context.Context, out *term.Out, args []string) error {
	f, err := parseSend(args)
	if err != nil {
		return err
	}
	r, err := load.NewRun(f.cfg)
	if err != nil {
		return err
	}
	var stored func(context.Context) (int64, error)
	ch := &chhttp.Client{URL: f.clickhouse}
	if f.clickhouse != "" {
		stored = func(ctx context.Context) (int64, error) {
			events, failed, err := load.Stored(ctx, ch, load.Tables{})
			return events + failed, err
		}
	}
	g := r.Generator().Config()
	out.Printf("Sending %s, seed %d, simulated %s to %s\n", f.mix, g.Seed,
		g.End.Add(-g.Span).UTC().Format(time.DateTime), g.End.UTC().Format(time.DateTime))
	runErr := watch(ctx, out, r, stored)
	report(out, r)
	if f.manifest != "" {
		if err := r.Manifest().WriteFile(f.manifest); err != nil {
			return errors.Join(runErr, err)
		}
		out.Printf("  manifest       %s\n", f.manifest)
	}
	if runErr != nil {
		return runErr
	}
	if s := r.Stats(); s.Refused > 0 {
		return fmt.Errorf("%s events were refused for good; the last error: %w", term.Number(s.Refused), s.LastError)
	}
	if f.check {
		return compare(ctx, out, r.Manifest(), ch, load.Tables{}, load.CompareOptions{Deduplicated: f.dedup})
	}
	return nil
}

// watch runs it with the progress display.
func watch(ctx context.Context, out *term.Out, r *load.Run, stored func(context.Context) (int64, error)) error {
	done, shown := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(shown)
		load.Watch(ctx, out, r, stored, done)
	}()
	err := r.Do(ctx)
	close(done)
	<-shown
	return err
}

func report(out *term.Out, r *load.Run) {
	s := r.Stats()
	row := func(name, format string, args ...any) {
		out.Printf("  %-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("sent", "%s events, %s, mean %d bytes", term.Number(s.Sent), term.Bytes(s.Bytes), s.Bytes/max(s.Sent, 1))
	for p, n := range s.SentBy {
		if n > 0 {
			row("", "%s by %s", term.Number(n), load.Path(p))
		}
	}
	row("acknowledged", "%s in %.1f s, %s a second", term.Number(s.Acked), s.Elapsed.Seconds(),
		term.Number(int64(float64(s.Acked)/max(s.Elapsed.Seconds(), 1e-9))))
	row("latency", "p50 %s   p95 %s   p99 %s   max %s", round(s.Latency.P50), round(s.Latency.P95), round(s.Latency.P99), round(s.Latency.Max))
	if s.Retries > 0 {
		row("retries", "%s, the last because: %v", term.Number(s.Retries), s.LastError)
	}
	if s.MaxBehind > 0 && r.Generator().Config().Events > 0 {
		row("behind", "at most %s events", term.Number(s.MaxBehind))
	}
	if s.Refused > 0 {
		row("refused", "%s", out.Bad(term.Number(s.Refused)))
	}
	if s.Abandoned > 0 {
		row("abandoned", "%s", out.Bad(term.Number(s.Abandoned)))
	}
	if m := r.Manifest(); m != nil {
		sum := m.Summary()
		row("expected", "%s in events, %s in failed_events, %s copies on top", term.Number(sum.ExpectedStored), term.Number(sum.ExpectedFailed), term.Number(sum.Duplicates))
		for _, k := range slices.Sorted(maps.Keys(sum.Bad)) {
			row("", "%s %s", term.Number(sum.Bad[k]), k)
		}
	}
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
