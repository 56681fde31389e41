// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/exporter/parquetexporter"
	"github.com/millrace/millrace/extension/schemaregistryextension"
	"github.com/millrace/millrace/extension/statestoreextension"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/gcpace"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/term"
)

// lakeBatch is how many events a delivery of the log has at full speed.
const lakeBatch = 20_000

// lake measures the exporter parquet against parquet-go alone writing the same rows, and its files against ClickHouse's.
func (b *bench) lake(ctx context.Context) (s section, err error) {
	ctx, e, err := b.startEngine(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = e.end(ctx, err) }()
	s = section{
		title: "The lake",
		intro: fmt.Sprintf("%s events in batches of %s, rounds: %d, in turn. Ours is the whole exporter: events read, typed, staged and synced, noted, encoded, stored; "+
			"what decoding the batches from OTLP costs, measured by itself before, is taken off. "+
			"The floor is parquet-go's writer alone, which is handed the very rows of our files as `parquet.Row`, with the same schema, encodings, zstd, row groups, page index and bloom filters, and writes to memory. Garbage is collected as behind an event log, for both.",
			term.Number(int64(b.events)), term.Number(lakeBatch), b.rounds),
	}
	defer gcpace.Start()() // as behind an event log, for all that is measured in this process
	batches, err := lakeBatches(b.events)
	if err != nil {
		return s, err
	}
	var ours, floor, bytes, theirs series
	var files int
	for round := range b.rounds {
		b.out.Live(fmt.Sprintf("  lake: round %d of %d, parquet", round+1, b.rounds))
		dir, err := os.MkdirTemp(b.dir, "lake-")
		if err != nil {
			return s, fmt.Errorf("making a directory for the lake: %w", err)
		}
		decoding, err := measured(func() error {
			for _, b := range batches {
				if _, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(b); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return s, fmt.Errorf("decoding a batch: %w", err)
		}
		took, err := measured(func() error { return exportLake(ctx, dir, batches) })
		if err != nil {
			return s, err
		}
		ours = append(ours, (took-decoding)/float64(b.events))
		found, size, err := lakeFiles(filepath.Join(dir, "lake"))
		if err != nil {
			return s, err
		}
		files = len(found)
		bytes = append(bytes, float64(size)/float64(b.events))
		b.out.Live(fmt.Sprintf("  lake: round %d of %d, parquet-go alone", round+1, b.rounds))
		library, rows, err := libraryFloor(found)
		if err != nil {
			return s, err
		}
		if rows != int64(b.events) {
			return s, fmt.Errorf("the lake has %d rows of %d events", rows, b.events)
		}
		floor = append(floor, library/float64(b.events))
		if round == 0 {
			b.out.Live("  lake: ClickHouse's Parquet of the same rows")
			n, err := e.parquetOf(ctx, dir, found)
			if err != nil {
				return s, err
			}
			theirs = append(theirs, float64(n)/float64(b.events))
		}
		if err := os.RemoveAll(dir); err != nil {
			return s, fmt.Errorf("removing the lake: %w", err)
		}
	}
	replay, replayTable, err := b.replay(ctx, batches)
	if err != nil {
		return s, fmt.Errorf("replay: %w", err)
	}
	cpu := ours.over(floor)
	size := series{bytes[0] / theirs[0]}
	s.tables = append(s.tables, table{
		caption: fmt.Sprintf("%s events in %d files", term.Number(int64(b.events)), files),
		columns: []term.Column{{Name: "an event costs"}, {Name: "against", Right: true}, {Name: "`parquet`", Right: true}, {Name: "ratio, median", Right: true}, {Name: "ratio of each round"}},
		rows: [][]string{
			{"CPU, µs; against parquet-go alone", floor.spread(2), ours.spread(2), "**" + fixed(cpu.median(), 2) + "**", cpu.all()},
			{"bytes; against ClickHouse's Parquet with zstd", theirs.spread(1), bytes.spread(1), "**" + fixed(size.median(), 2) + "**", size.all()},
		},
	}, replayTable, goalTable([]goal{
		atMost("CPU an event against the library alone", cpu.median(), 1.5),
		atMost("bytes an event against ClickHouse's own Parquet", size.median(), 1.1),
		atLeast("replay: events a second and core against the live path", replay, 1),
	}))
	return s, nil
}

// measured runs f and returns its CPU time in µs, all threads and garbage collection included.
func measured(f func() error) (float64, error) {
	runtime.GC()
	used := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return 0
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3
	}
	before := used()
	err := f()
	return used() - before, err
}

// lakeBatches makes events as the validation leaves them, as OTLP: a heap of decoded ones would have the garbage collector walk
// through all of them, for whoever is measured.
func lakeBatches(events int) ([][]byte, error) {
	dir, err := schemaDir()
	if err != nil {
		return nil, err
	}
	snap, err := load.Schemas(dir)
	if err != nil {
		return nil, err
	}
	gen, err := load.NewGenerator(load.GeneratorConfig{Seed: 1, Events: int64(events)})
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for left := events; left > 0; left -= lakeBatch {
		ld := gen.Next(min(left, lakeBatch))
		var r event.Reader
		r.Reset(event.FromLogs(ld))
		for e := r.Next(); e != nil; e = r.Next() {
			if s := snap.Match(e.Name); s != nil {
				e.SetSchema(s.Subject, s.Version)
			}
		}
		encoded, err := new(plog.ProtoMarshaler).MarshalLogs(ld)
		if err != nil {
			return nil, fmt.Errorf("encoding a batch: %w", err)
		}
		out = append(out, encoded)
	}
	return out, nil
}

type extensionHost map[component.ID]component.Component

func (h extensionHost) GetExtensions() map[component.ID]component.Component { return h }

// exportLake runs the exporter over the batches: once to stage, and once more, with an age that is over, to store.
func exportLake(ctx context.Context, dir string, batches [][]byte) (err error) {
	schemas, err := schemaDir()
	if err != nil {
		return err
	}
	host := extensionHost{}
	start := func(f extension.Factory, config component.Config) error {
		set := extensiontest.NewNopSettings(f.Type())
		set.ID = component.NewID(f.Type())
		ext, err := f.Create(ctx, set, config)
		if err != nil {
			return err
		}
		host[set.ID] = ext
		return ext.Start(ctx, componenttest.NewNopHost())
	}
	registry := schemaregistryextension.NewFactory()
	registryConfig := registry.CreateDefaultConfig().(*schemaregistryextension.Config)
	registryConfig.Directory = schemas
	store := statestoreextension.NewFactory()
	storeConfig := store.CreateDefaultConfig().(*statestoreextension.Config)
	storeConfig.Directory = filepath.Join(dir, "state")
	if err := errors.Join(start(registry, registryConfig), start(store, storeConfig)); err != nil {
		return err
	}
	defer func() {
		for _, ext := range host {
			err = errors.Join(err, ext.Shutdown(context.Background()))
		}
	}()
	for _, age := range []time.Duration{time.Hour, time.Nanosecond} {
		f := parquetexporter.NewFactory()
		cfg := f.CreateDefaultConfig().(*parquetexporter.Config)
		cfg.Directory, cfg.Staging.Directory = filepath.Join(dir, "lake"), filepath.Join(dir, "staging")
		cfg.File.MaxAge = age
		set := exportertest.NewNopSettings(f.Type())
		set.ID = component.NewID(f.Type())
		x, err := f.CreateLogs(ctx, set, cfg)
		if err != nil {
			return err
		}
		if err := x.Start(ctx, host); err != nil {
			return err
		}
		for _, b := range batches {
			ld, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(b)
			if err != nil {
				return errors.Join(err, x.Shutdown(ctx))
			}
			if err := x.ConsumeLogs(ctx, ld); err != nil {
				return errors.Join(err, x.Shutdown(ctx))
			}
		}
		if batches != nil {
			batches = nil
		} else if err := poll(ctx, "all files are stored", 5*time.Millisecond, time.Minute, func() (bool, error) {
			left, err := filepath.Glob(filepath.Join(cfg.Staging.Directory, "*.*"))
			return len(left) == 0, err
		}); err != nil {
			return errors.Join(err, x.Shutdown(ctx))
		}
		if err := x.Shutdown(ctx); err != nil {
			return err
		}
	}
	return nil
}

func lakeFiles(dir string) (files []string, size int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".parquet" {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files, size = append(files, path), size+info.Size()
		}
		return err
	})
	return files, size, err
}

// libraryFloor has parquet-go write the rows of the files anew, and returns the CPU time of writing alone, in µs.
func libraryFloor(files []string) (cpu float64, rows int64, err error) {
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			return 0, 0, err
		}
		f, err := parquet.OpenFile(strings.NewReader(string(content)), int64(len(content)))
		if err != nil {
			return 0, 0, fmt.Errorf("opening %s: %w", name, err)
		}
		schema := parquet.NewSchema("events", likeOurs(f.Root(), f.Metadata().RowGroups[0].Columns))
		conversion, err := parquet.Convert(schema, f.Schema())
		if err != nil {
			return 0, 0, fmt.Errorf("converting %s: %w", name, err)
		}
		options := []parquet.WriterOption{schema, parquet.Compression(&parquet.Zstd), parquet.DataPageStatistics(true)}
		var blooms []parquet.BloomFilterColumn
		for _, column := range []string{"event_id", "user_id", "anonymous_id", "session_id", "trace_id"} {
			if _, ok := f.Schema().Lookup(column); ok {
				blooms = append(blooms, parquet.SplitBlockFilter(10, column))
			}
		}
		options = append(options, parquet.BloomFilters(blooms...))
		var groups [][]parquet.Row
		for _, g := range f.RowGroups() {
			all, err := rowsOf(g)
			if err != nil {
				return 0, 0, fmt.Errorf("reading %s: %w", name, err)
			}
			if _, err := conversion.Convert(all); err != nil {
				return 0, 0, fmt.Errorf("converting %s: %w", name, err)
			}
			groups = append(groups, all)
			rows += int64(len(all))
		}
		took, err := measured(func() error {
			w := parquet.NewWriter(io.Discard, options...)
			for _, g := range groups {
				if _, err := w.WriteRows(g); err != nil {
					return err
				}
				if err := w.Flush(); err != nil {
					return err
				}
			}
			return w.Close()
		})
		if err != nil {
			return 0, 0, fmt.Errorf("writing %s anew: %w", name, err)
		}
		cpu += took
	}
	return cpu, rows, nil
}

// likeOurs returns the schema of a file with the encodings that its columns have, as far as the library can write them.
func likeOurs(c *parquet.Column, chunks []format.ColumnChunk) parquet.Node {
	var out parquet.Node
	if c.Leaf() {
		out = parquet.Compressed(parquet.Leaf(c.Type()), &parquet.Zstd)
		has := func(e format.Encoding) bool { return slices.Contains(chunks[c.Index()].MetaData.Encoding, e) }
		switch kind := c.Type().Kind(); {
		case has(format.RLEDictionary):
			out = parquet.Encoded(out, &parquet.RLEDictionary)
		case kind == parquet.ByteArray:
			out = parquet.Encoded(out, &parquet.DeltaLengthByteArray)
		case kind == parquet.Int64 && has(format.DeltaBinaryPacked), kind == parquet.Int32 && has(format.DeltaBinaryPacked):
			out = parquet.Encoded(out, &parquet.DeltaBinaryPacked)
		}
	} else {
		g := parquet.Group{}
		for _, child := range c.Columns() {
			g[child.Name()] = likeOurs(child, chunks)
		}
		out = g
	}
	switch {
	case c.Optional():
		return parquet.Optional(out)
	case c.Repeated():
		return parquet.Repeated(out)
	}
	return out
}

func rowsOf(g parquet.RowGroup) ([]parquet.Row, error) {
	r := g.Rows()
	defer func() { _ = r.Close() }() // only read
	var out []parquet.Row
	buf := make([]parquet.Row, 1000)
	for {
		n, err := r.ReadRows(buf)
		for _, row := range buf[:n] {
			out = append(out, row.Clone())
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// parquetOf has ClickHouse write the rows of each file into one of its own, and returns the bytes of all.
func (e *engine) parquetOf(ctx context.Context, dir string, files []string) (int64, error) {
	var total int64
	for i, name := range files {
		out := filepath.Join(dir, fmt.Sprintf("clickhouse-%d.parquet", i))
		sql := fmt.Sprintf("INSERT INTO FUNCTION file('%s', 'Parquet') SELECT * FROM file('%s', 'Parquet') ORDER BY tenant_id, event_time "+
			"SETTINGS output_format_parquet_compression_method = 'zstd', input_format_parquet_enable_json_parsing = 0, use_hive_partitioning = 0", out, name)
		if strings.Contains(name, "/failed_events/") {
			sql = strings.Replace(sql, "event_time", "received_time", 1)
		}
		if err := e.ch.Exec(ctx, sql); err != nil {
			return 0, fmt.Errorf("having ClickHouse write %s: %w", out, err)
		}
		info, err := os.Stat(out)
		if err != nil {
			return 0, err
		}
		total += info.Size()
		if err := os.Remove(out); err != nil {
			return 0, err
		}
	}
	return total, nil
}
