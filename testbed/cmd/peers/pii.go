// SPDX-License-Identifier: Apache-2.0

//go:build peers

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/redactionprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"

	"github.com/millrace/millrace/testbed/personaldata"
)

// expressions are what contrib's `redaction` gets to do: one for each of five classes. Of those that users write for a class the cheapest one
// stands here that finds most of it. Ours looks for twelve classes.
var expressions = map[string][]any{
	"five": {email, phone, `\b(?:\d[ -]*?){13,16}\b`, ipv4, iban},
	// Its README has two for payment cards, which find Visa's and Mastercard's without blanks. Each begins with a digit that Go's regexp
	// searches for by itself, so that both cost less than the one above.
	"readme": {email, phone, `4[0-9]{12}(?:[0-9]{3})?`, `(5[1-5][0-9]{14})`, ipv4, iban},
}

const (
	email = `[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}`
	phone = `\+?[0-9][0-9 ()./-]{7,}[0-9]`
	ipv4  = `(?:[0-9]{1,3}\.){3}[0-9]{1,3}` // its README's
	iban  = `[A-Z]{2}[0-9]{2}[ ]?(?:[A-Z0-9]{4}[ ]?){2,7}[A-Z0-9]{1,4}`
)

// scenario is how many events have something personal in them, one of `every` or none for 0, and what contrib looks for.
type scenario struct {
	Every       int    `json:"every"`
	Expressions string `json:"expressions"`
}

// piiCost is one side's in one scenario.
type piiCost struct {
	CPU         []float64 `json:"cpu_microseconds"` // of an event, round by round
	Allocations []float64 `json:"allocations"`      // for an event, round by round
	Bytes       []float64 `json:"bytes"`            // allocated for an event, round by round
	Changed     float64   `json:"changed"`          // share of the events in which a text was changed
}

type piiResult struct {
	Scenario scenario `json:"scenario"`
	Events   int      `json:"events"` // of one round
	Contrib  piiCost  `json:"contrib"`
	Ours     piiCost  `json:"ours"`
}

// pii has both processors mask the same batches in turn, round by round, on one thread. Each gets a copy of its own that is made
// before its clock starts, and garbage is collected then; the clock is the process's CPU time within ConsumeLogs.
func pii() error {
	rounds := flag.Int("rounds", 7, "how often each side has its turn")
	batches := flag.Int("batches", 20, "batches of 1,000 events in a turn")
	flag.Parse()
	runtime.GOMAXPROCS(1)

	ctx := context.Background()
	var out []piiResult
	for _, s := range []scenario{{0, "five"}, {10, "five"}, {1, "five"}, {0, "readme"}} {
		const size = 1000
		events, err := personaldata.Events(1, size, s.Every)
		if err != nil {
			return err
		}
		r := piiResult{Scenario: s, Events: size * *batches}
		sides := []struct {
			cost *piiCost
			new  func(context.Context, consumer.Logs) (processor.Logs, error)
		}{{&r.Contrib, newRedaction(expressions[s.Expressions])}, {&r.Ours, newMasking}}
		for round := range *rounds + 1 { // the first one warms up
			for _, side := range sides {
				sink := new(consumertest.LogsSink)
				p, err := side.new(ctx, sink)
				if err != nil {
					return err
				}
				c, err := turn(ctx, p, events, *batches)
				if err != nil {
					return err
				}
				if err := p.Shutdown(ctx); err != nil {
					return err
				}
				side.cost.Changed = changed(events, sink.AllLogs()[0])
				if round > 0 {
					n := float64(r.Events)
					side.cost.CPU = append(side.cost.CPU, c.cpu*1e6/n)
					side.cost.Allocations = append(side.cost.Allocations, float64(c.mallocs)/n)
					side.cost.Bytes = append(side.cost.Bytes, float64(c.bytes)/n)
				}
			}
		}
		out = append(out, r)
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

type turnCost struct {
	cpu            float64 // seconds
	mallocs, bytes uint64
}

// turn starts the processor and has it consume fresh copies of the events.
func turn(ctx context.Context, p processor.Logs, events plog.Logs, batches int) (c turnCost, err error) {
	if err := p.Start(ctx, componenttest.NewNopHost()); err != nil {
		return c, fmt.Errorf("starting: %w", err)
	}
	fresh := make([]plog.Logs, batches+1)
	for i := range fresh {
		fresh[i] = plog.NewLogs()
		events.CopyTo(fresh[i])
	}
	if err := p.ConsumeLogs(ctx, fresh[batches]); err != nil { // buffers have their size when the clock starts
		return c, err
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	started := cpu()
	for _, ld := range fresh[:batches] {
		if err := p.ConsumeLogs(ctx, ld); err != nil {
			return c, err
		}
	}
	c.cpu = cpu() - started
	runtime.ReadMemStats(&after)
	c.mallocs, c.bytes = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	return c, nil
}

// changed is the share of events that are not what they were.
func changed(before, after plog.Logs) float64 {
	a, b := before.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords(), after.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	n := 0
	for i := range a.Len() {
		for k, v := range a.At(i).Attributes().All() {
			if w, ok := b.At(i).Attributes().Get(k); !ok || !v.Equal(w) {
				n++
				break
			}
		}
	}
	return float64(n) / float64(a.Len())
}

func newRedaction(blocked []any) func(context.Context, consumer.Logs) (processor.Logs, error) {
	return func(ctx context.Context, next consumer.Logs) (processor.Logs, error) {
		return newProcessor(ctx, redactionprocessor.NewFactory(), map[string]any{
			"allow_all_keys": true, "blocked_values": blocked, "summary": "silent",
		}, next)
	}
}

func newProcessor(ctx context.Context, factory processor.Factory, settings map[string]any, next consumer.Logs) (processor.Logs, error) {
	cfg := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(settings).Unmarshal(cfg); err != nil {
		return nil, fmt.Errorf("configuring %s: %w", factory.Type(), err)
	}
	return factory.CreateLogs(ctx, processor.Settings{
		ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}, cfg, next)
}
