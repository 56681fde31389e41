// SPDX-License-Identifier: Apache-2.0

//go:build peers

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/testbed/load"
)

// cost is what export prints.
type cost struct {
	Events     int     `json:"events"`
	CPUSeconds float64 `json:"cpu_seconds"`
	Wall       float64 `json:"wall_seconds"`
	PeakRSS    int64   `json:"peak_rss_bytes"`
}

// export makes one batch after the other in memory, sends each through one exporter, without queue or batching, and
// prints the process's CPU time between handing over a batch and its acknowledgement, summed. The events are valid and stamped with
// their schemas, as they come to the exporter from the validation.
func export() error {
	name := flag.String("exporter", "", "clickhouse (contrib's), clickhouse_events (ours) or nop")
	endpoint := flag.String("endpoint", "127.0.0.1:9000", "ClickHouse's native address")
	database := flag.String("database", "bench", "")
	schemas := flag.String("schemas", "configs/schemas", "")
	events := flag.Int("events", 200_000, "events to send")
	batch := flag.Int("batch", 10_000, "events in a batch")
	profile := flag.String("cpuprofile", "", "file for a CPU profile")
	flag.Parse()

	snap, err := load.Schemas(*schemas)
	if err != nil {
		return err
	}
	const warmUp = 2 // batches: tables are made and buffers grown before the clock starts
	gen, err := load.NewGenerator(load.GeneratorConfig{Seed: 1, Events: int64(*events + warmUp**batch), End: time.Now()})
	if err != nil {
		return err
	}
	ctx := context.Background()
	exp, err := newExporter(ctx, *name, map[string]map[string]any{
		"clickhouse": {
			"endpoint": "tcp://" + *endpoint, "database": *database, "create_schema": true, "ttl": "0s",
			"sending_queue": map[string]any{"enabled": false}, "retry_on_failure": map[string]any{"enabled": false},
		},
		"clickhouse_events": {
			"endpoints": []any{*endpoint}, "database": *database,
			"sending_queue": map[string]any{"enabled": false}, "retry_on_failure": map[string]any{"enabled": false},
		},
	}[*name])
	if err != nil {
		return err
	}
	host := registryHost{componenttest.NewNopHost(), &registry{snap: snap}}
	if err := exp.Start(ctx, host); err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	c := cost{}
	for i := 0; c.Events < *events; i++ {
		ld, err := next(gen, snap, *batch)
		if err != nil {
			return err
		}
		runtime.GC() // what making the batch left behind is not the exporter's cost
		before, started := cpu(), time.Now()
		if err := exp.ConsumeLogs(ctx, ld); err != nil {
			return fmt.Errorf("exporting: %w", err)
		}
		if i >= warmUp {
			c.CPUSeconds += cpu() - before
			c.Wall += time.Since(started).Seconds()
			c.Events += ld.LogRecordCount()
		}
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	c.PeakRSS = usage.Maxrss << 10
	if err := exp.Shutdown(ctx); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}

func newExporter(ctx context.Context, name string, settings map[string]any) (exporter.Logs, error) {
	f, err := factories()
	if err != nil {
		return nil, err
	}
	typ, err := component.NewType(name)
	if err != nil {
		return nil, err
	}
	factory, ok := f.Exporters[typ]
	if !ok {
		return nil, fmt.Errorf("no exporter %q", name)
	}
	cfg := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(settings).Unmarshal(cfg); err != nil {
		return nil, fmt.Errorf("configuring %s: %w", name, err)
	}
	return factory.CreateLogs(ctx, exporter.Settings{
		ID: component.NewID(typ), TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}, cfg)
}

// next makes a batch of valid events, stamped with their schemas.
func next(gen *load.Generator, snap *schema.Snapshot, n int) (plog.Logs, error) {
	ld := gen.Next(n)
	if ld.LogRecordCount() == 0 {
		return ld, errors.New("the generator has no more events")
	}
	var r event.Reader
	r.Reset(event.FromLogs(ld))
	for e := r.Next(); e != nil; e = r.Next() {
		if s := snap.Match(e.Name); s != nil {
			if v := s.Validate(e); v != nil {
				return ld, fmt.Errorf("a generated %s is not valid at %s: %s", e.Name, v.Pointer, v.Keyword)
			}
			e.SetSchema(s.Subject, s.Version)
		}
	}
	return ld, nil
}

// cpu returns the process's user and system time so far, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // no kernel refuses this
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

type registry struct {
	component.StartFunc
	component.ShutdownFunc
	snap *schema.Snapshot
}

func (r *registry) Snapshot() *schema.Snapshot { return r.snap }

type registryHost struct {
	component.Host
	registry *registry
}

func (h registryHost) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{component.MustNewID("schema_registry"): h.registry}
}
