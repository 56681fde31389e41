// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/term"
)

func verify(ctx context.Context, out *term.Out, args []string) error {
	var ch chhttp.Client
	var tables load.Tables
	var opts load.CompareOptions
	fs := flag.NewFlagSet("loadgen verify", flag.ContinueOnError)
	fs.StringVar(&ch.URL, "clickhouse", "http://"+env("MILLRACE_CLICKHOUSE_HTTP", "127.0.0.1:8123"), "ClickHouse's HTTP URL")
	fs.StringVar(&ch.User, "user", "", "ClickHouse user; the password is taken from CLICKHOUSE_PASSWORD")
	fs.StringVar(&tables.Events, "events", "analytics.events", "table of the events")
	fs.StringVar(&tables.Failed, "failed", "analytics.failed_events", "table of the failed events")
	fs.StringVar(&tables.Where, "where", "1", "SQL condition that holds for this run's rows in both tables")
	fs.BoolVar(&opts.Deduplicated, "deduplicated", false, "further copies must not have been stored")
	fs.BoolVar(&opts.Shared, "shared", false, "the tables hold other runs' events too: do not count those as unexpected")
	fs.IntVar(&opts.Samples, "samples", 5, "examples to show of each kind of mismatch")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return errors.New("verify needs the manifest's file as its one argument")
	}
	ch.Password = os.Getenv("CLICKHOUSE_PASSWORD")
	m, err := load.ReadManifest(fs.Arg(0))
	if err != nil {
		return err
	}
	return compare(ctx, out, m, &ch, tables, opts)
}

var errMismatch = errors.New("ClickHouse does not hold what was sent")

func compare(ctx context.Context, out *term.Out, m *load.Manifest, ch *chhttp.Client, tables load.Tables, opts load.CompareOptions) error {
	c, err := load.Compare(m, load.ClickHouseRows(ctx, ch, tables), opts)
	if err != nil {
		return err
	}
	out.Printf("  rows           %s in events, %s in failed_events, for %s events sent\n", term.Number(c.Rows), term.Number(c.Failed), term.Number(c.Expected))
	if c.OK() {
		out.Printf("  %s %s\n", out.Good("✓"), c.Verdict())
		return nil
	}
	out.Printf("  %s %s\n", out.Bad("✗"), c.Verdict())
	c.PrintSamples(out.Printf)
	return errMismatch
}

func printManifest(args []string) error {
	fs := flag.NewFlagSet("loadgen print", flag.ContinueOnError)
	summary := fs.Bool("summary", false, "only the summary")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return errors.New("print needs the manifest's file as its one argument")
	}
	m, err := load.ReadManifest(fs.Arg(0))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(os.Stdout, 1<<16)
	enc := json.NewEncoder(w)
	if *summary {
		enc.SetIndent("", "  ")
		err = enc.Encode(m.Summary())
	} else {
		for _, e := range m.Entries() {
			if err = enc.Encode(e); err != nil {
				break
			}
		}
	}
	if err = errors.Join(err, w.Flush()); err != nil {
		return fmt.Errorf("printing the manifest: %w", err)
	}
	return nil
}
