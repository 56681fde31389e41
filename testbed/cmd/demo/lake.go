// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/term"
)

// lakeMaxAge is the quickstart's variable for how long an event waits for its file, and demoLakeMaxAge what it is here.
const (
	lakeMaxAge     = "MILLRACE_LAKE_MAX_AGE"
	demoLakeMaxAge = "5s"
)

func lakePath(o *options) string { return filepath.Join(o.dataDir, "lake") }

// The files as ClickHouse reads them; relative paths begin beside the lake.
const (
	lakeEvents = "file('lake/event_name=*/**/*.parquet')"
	lakeFailed = "file('lake/failed_events/**/*.parquet')"
)

const lakeQuestion = `
SELECT event_name, count() AS events, uniqExact(event_id) AS distinct_ids, countIf(currency = 'EUR') AS in_euro
FROM ` + lakeEvents + `
GROUP BY event_name ORDER BY events DESC, event_name`

// notAllowed is ClickHouse's error where users may not read files.
const notAllowed = 497

var errLake = errors.New("the lake does not hold what the tables hold")

// showLake waits until the lake has what the tables have, and compares the two.
func showLake(ctx context.Context, out *term.Out, o *options, ch *chhttp.Client, p *child.Process) error {
	sql := strings.TrimSpace(lakeQuestion)
	began := time.Now()
	events, failed, err := awaitLake(ctx, out, ch, p)
	var refused *chhttp.Error
	if errors.As(err, &refused) && refused.Code == notAllowed {
		out.Printf("  The files are in %s. ClickHouse reads them where the kernel can keep it from all others (Landlock), and this one cannot;\n"+
			"  DuckDB, pyarrow and Spark do.\n", out.Bold(lakePath(o)))
		return nil
	}
	if err != nil {
		return err
	}
	out.Printf("  %s every event is in a file too, %.1f s later. ClickHouse reads them beside its tables:\n\n", out.Good("✓"), time.Since(began).Seconds())
	printSQL(out, sql)
	files, err := ch.Table(ctx, sql)
	if err != nil {
		return fmt.Errorf("reading the lake: %w", err)
	}
	printTable(out, files)
	stored, err := ch.Table(ctx, strings.Replace(sql, lakeEvents, "events", 1))
	if err != nil {
		return fmt.Errorf("asking for the same of the table: %w", err)
	}
	failedIDs := int64(0)
	if failed > 0 {
		if failedIDs, err = ch.Int(ctx, "SELECT uniqExact(event_id) FROM "+lakeFailed); err != nil {
			return fmt.Errorf("reading the lake's failed events: %w", err)
		}
	}
	same := reflect.DeepEqual(files.Rows, stored.Rows) && failedIDs == failed
	if err := printSizes(ctx, out, o, ch, events, failed); err != nil {
		return err
	}
	if !same {
		out.Printf("\n  %s the tables answer otherwise:\n\n", out.Bad("✗"))
		printTable(out, stored)
		return errLake
	}
	out.Printf("\n  %s the tables give the same answer, and %s failed events are in both\n", out.Good("✓"), out.Bold(term.Number(failed)))
	return nil
}

// awaitLake returns when the files have as many events as the tables, and how many those are.
func awaitLake(ctx context.Context, out *term.Out, ch *chhttp.Client, p *child.Process) (events, failed int64, err error) {
	age, err := time.ParseDuration(env(lakeMaxAge, demoLakeMaxAge))
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", lakeMaxAge, err)
	}
	ctx, cancel := context.WithTimeout(ctx, age+deliveryTimeout)
	defer cancel()
	defer out.ClearLive()
	if events, err = ch.Int(ctx, "SELECT count() FROM events"); err != nil {
		return 0, 0, err
	}
	if failed, err = ch.Int(ctx, "SELECT count() FROM failed_events"); err != nil {
		return 0, 0, err
	}
	shown := time.Now()
	for _, part := range []struct {
		files string
		want  int64
	}{{lakeEvents, events}, {lakeFailed, failed}} {
		for {
			var n int64
			var err error
			if part.want > 0 {
				n, err = ch.Int(ctx, "SELECT count() FROM "+part.files)
			}
			var refused *chhttp.Error
			switch {
			case err == nil && n == part.want:
			case err == nil && n > part.want:
				return 0, 0, fmt.Errorf("%w: %s has %s events, not %s", errLake, part.files, term.Number(n), term.Number(part.want))
			case errors.As(err, &refused) && refused.Code == notAllowed:
				return 0, 0, err
			default:
				if time.Since(shown) > time.Second {
					shown = time.Now()
					out.Live(fmt.Sprintf("  %s of %s events are in files of the lake", term.Number(n), term.Number(part.want)))
				}
				select {
				case <-p.Exited():
					return 0, 0, p.Died()
				case <-ctx.Done():
					return 0, 0, errors.Join(fmt.Errorf("waiting for the lake: %s of %s events are there: %w", term.Number(n), term.Number(part.want), ctx.Err()), err)
				case <-time.After(200 * time.Millisecond):
				}
				continue
			}
			break
		}
	}
	return events, failed, nil
}

// printSizes shows what an event takes in files and in tables.
func printSizes(ctx context.Context, out *term.Out, o *options, ch *chhttp.Client, events, failed int64) error {
	var rows [][]string
	add := func(what, pieces string, n, bytes int64) {
		if n > 0 {
			rows = append(rows, []string{what, pieces, strconv.FormatInt(n, 10), strconv.FormatInt(bytes/n, 10)})
		}
	}
	for _, part := range []struct {
		folder, table string
		n             int64
	}{{"event_name=", "events", events}, {"failed_events", "failed_events", failed}} {
		files, bytes, err := filesOf(lakePath(o), part.folder)
		if err != nil {
			return err
		}
		add("lake/"+part.folder+"…", fmt.Sprintf("%d files", files), part.n, bytes)
		parts, err := ch.Int(ctx, "SELECT count() FROM system.parts WHERE active AND database = 'analytics' AND table = '"+part.table+"'")
		if err != nil {
			return err
		}
		if bytes, err = ch.Int(ctx, "SELECT toInt64(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = 'analytics' AND table = '"+part.table+"'"); err != nil {
			return err
		}
		add("analytics."+part.table, fmt.Sprintf("%d parts", parts), part.n, bytes)
	}
	out.Printf("\n")
	out.Table("    ", []term.Column{{Name: "where"}, {Name: "pieces", Right: true}, {Name: "events", Right: true}, {Name: "bytes an event", Right: true}}, rows)
	return nil
}

// filesOf counts the Parquet files, and their bytes, in the lake's folders that begin so.
func filesOf(lake, folder string) (files, bytes int64, err error) {
	err = filepath.WalkDir(lake, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(lake, path)
		if err != nil || d.IsDir() || !strings.HasPrefix(rel, folder) || filepath.Ext(path) != ".parquet" {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("counting the lake's files: %w", err)
	}
	return files, bytes, nil
}
