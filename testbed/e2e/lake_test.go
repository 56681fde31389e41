// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/lake"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/pythontest"
)

// lakeMaxAge says how long an event waits for its file.
const lakeMaxAge = "MILLRACE_LAKE_MAX_AGE"

func (i *instance) lake() lake.Directory { return lake.Directory(filepath.Join(i.data, "lake")) }

// eventsOnly keeps sessions out of the lake, for tests that count its rows.
const eventsOnly = overlay("service::pipelines::logs/lake::processors: []")

// startLake runs an instance whose files are closed after that time.
func startLake(t *testing.T, maxAge string, overlays ...overlay) *instance {
	t.Helper()
	i := newInstance(t, overlays...)
	i.fixed = map[string]string{lakeMaxAge: maxAge}
	i.start(t)
	t.Cleanup(func() { i.stop(t) })
	return i
}

// awaitFiles waits until all that was acknowledged is in files, and they are in the catalogues.
func (i *instance) awaitFiles(t *testing.T, lakes ...lake.Directory) {
	t.Helper()
	i.awaitDelivered(t)
	await(t, "what is staged becomes files", func() bool {
		n, err := lag.Staged(t.Context(), i.url("MILLRACE_METRICS", ""))
		return err == nil && n == 0
	})
	for _, l := range lakes {
		await(t, "the catalogue has every file", func() bool {
			files, added, err := lake.Counts(t.Context(), l)
			return err == nil && files == added && files > 0
		})
	}
}

// requireLake holds the lake to one row for every event that was sent, with its values, and to its catalogue.
func requireLake(t *testing.T, l lake.Directory, r *load.Run) *lake.Contents {
	t.Helper()
	contents := lake.Open(l)
	results := int64(0)
	rows := func(yield func(load.Row, error) bool) {
		for row, err := range contents.Rows(t.Context()) {
			if row.Name == "session.end" { // what was made of them stands beside them
				results++
			} else if !yield(row, err) {
				return
			}
		}
	}
	c, err := load.Compare(r.Manifest(), rows, load.CompareOptions{Deduplicated: true})
	require.NoError(t, err)
	require.True(t, c.OK(), "%s %v", c.Verdict(), c.Samples)
	require.NoError(t, contents.CheckCatalogue(t.Context()))
	require.Empty(t, contents.Faults)
	require.Equal(t, c.Matched, contents.Count-results)
	require.NotZero(t, contents.Failed)
	return contents
}

// A user's first questions to the lake.
const askLake = `
import sys, json, duckdb
lake = sys.argv[1]
events = duckdb.read_parquet(lake + "/event_name=*/**/*.parquet", union_by_name=True, hive_partitioning=True)
failed = duckdb.read_parquet(lake + "/failed_events/**/*.parquet", union_by_name=True, hive_partitioning=True)
ask = lambda sql: duckdb.sql(sql).fetchall()
print(json.dumps({
  "events": ask("select count(*) from events")[0][0],
  "unique": ask("select count(distinct event_id) from (select event_id from events union all select event_id from failed)")[0][0],
  "failed": ask("select count(*) from failed")[0][0],
  "by_name": dict(ask("select event_name, count(*) from events group by all")),
  "cents": int(ask("select coalesce(sum(total), 0) * 100 from events")[0][0]),
  "type_of_total": ask("select any_value(typeof(total)) from events")[0][0],
  "with_folder": ask("select count(*) from events where hour = strftime(event_time at time zone 'UTC', '%H') and event_name = 'order_completed'")[0][0],
}))`

func TestTheLakeHasEveryEventOnce(t *testing.T) {
	t.Parallel()
	i := startLake(t, "1s", eventsOnly)
	w := lake.Watch(i.lake(), watchInterval, false)
	r := newRun(t, i, "lake", 11, 10_000, nil)
	require.NoError(t, r.Do(context.Background()))
	i.awaitFiles(t, i.lake())
	seen := w.Stop()
	require.Empty(t, seen.Faults)
	contents := requireLake(t, i.lake(), r)
	require.Equal(t, contents.Files, seen.Files)
	requireStored(t, i, r, load.CompareOptions{})

	type answer struct {
		Events, Unique, Failed int64
		ByName                 map[string]int64 `json:"by_name"`
		Cents                  int64
		TypeOfTotal            string `json:"type_of_total"`
		WithFolder             int64  `json:"with_folder"`
	}
	want := answer{Unique: 10_000, ByName: map[string]int64{}, TypeOfTotal: "DECIMAL(18,2)"}
	for _, e := range r.Manifest().Entries() {
		if e.Failed() {
			want.Failed++
			continue
		}
		want.Events++
		want.ByName[e.Name]++
		want.Cents += e.Total
	}
	want.WithFolder = want.ByName["order_completed"]
	var have answer
	require.NoError(t, json.Unmarshal([]byte(pythontest.Run(t, askLake, string(i.lake()))), &have))
	require.Equal(t, want, have)
}

// watchInterval is how often a reader lists the lake.
const watchInterval = 50 * time.Millisecond

// What is staged waits for its file through a stop and a kill.
func TestStagedEventsSurviveARestart(t *testing.T) {
	t.Parallel()
	i := startLake(t, "1h", eventsOnly)
	r := newRun(t, i, "staged", 12, 3000, nil)
	require.NoError(t, r.Do(context.Background()))
	i.awaitDelivered(t)
	staged := func() int64 {
		n, err := lag.Staged(t.Context(), i.url("MILLRACE_METRICS", ""))
		require.NoError(t, err)
		return n
	}
	require.EqualValues(t, 3000, staged())
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		i.end(t, signal)
		i.start(t)
		i.awaitDelivered(t)
		require.EqualValues(t, 3000, staged(), "after %s", signal)
		files, err := i.lake().List(t.Context())
		require.NoError(t, err)
		require.Empty(t, files, "an hour is not over")
	}
	// They were staged longer ago than a second.
	i.end(t, syscall.SIGTERM)
	i.env[lakeMaxAge] = "1s"
	i.start(t)
	i.awaitFiles(t, i.lake())
	requireLake(t, i.lake(), r)
}

// requireFolders holds the folders of valid events' files to a pattern.
func requireFolders(t *testing.T, l lake.Directory, pattern string) {
	t.Helper()
	files, err := l.List(t.Context())
	require.NoError(t, err)
	want, n := regexp.MustCompile("^"+pattern+"$"), 0
	for _, f := range files {
		if folder := path.Dir(f.Key); !strings.HasPrefix(folder, "failed_events/") && !strings.HasPrefix(folder, "_") {
			require.Regexp(t, want, folder)
			n++
		}
	}
	require.NotZero(t, n)
}

// Two exporters behind one log, in one pipeline and each in its own, have a lake each.
func TestTwoLakesBehindOneLog(t *testing.T) {
	t.Parallel()
	f := func(name, pipelines string, seed uint64) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			dirs := []lake.Directory{lake.Directory(filepath.Join(base, "a")), lake.Directory(filepath.Join(base, "b"))}
			i := startLake(t, "1s", eventsOnly, overlay(fmt.Sprintf(`{exporters: {
				parquet/a: {directory: %q, staging: {directory: %q}, file: {max_age: 1s}},
				parquet/b: {directory: %q, staging: {directory: %q}, file: {max_age: 1s}, partition_by: "tenant={tenant}/date={date}"}},
				service: {pipelines: {%s}}}`,
				dirs[0], filepath.Join(base, "staging-a"), dirs[1], filepath.Join(base, "staging-b"), pipelines)))
			r := newRun(t, i, "two", seed, 3000, nil)
			require.NoError(t, r.Do(context.Background()))
			i.awaitFiles(t, dirs...)
			a, b := requireLake(t, dirs[0], r), requireLake(t, dirs[1], r)
			requireFolders(t, dirs[0], `event_name=[a-z_]+/date=[0-9-]{10}/hour=[0-9]{2}`)
			requireFolders(t, dirs[1], `tenant=[a-z0-9_-]+/date=[0-9-]{10}`)
			requireStored(t, i, r, load.CompareOptions{})
			// Both say of the log's partitions that they have all of them: but for ticks, which the log appends where nothing comes.
			records, err := lag.Records(t.Context(), i.url(admin, ""))
			require.NoError(t, err)
			of := func(l *lake.Contents) []uint64 {
				have, sum := make([]uint64, len(records)), int64(0)
				for p, n := range l.Log {
					have[p.Number] += uint64(n)
					sum += n
					require.LessOrEqual(t, have[p.Number], records[p.Number])
				}
				require.Equal(t, l.Count, sum)
				return have
			}
			require.Equal(t, of(a), of(b))
		})
	}
	f("in one pipeline", `logs/lake: {exporters: [parquet/a, parquet/b]}`, 13)
	f("in pipelines of their own", `logs/lake: {exporters: [parquet/a]}, logs/other: {receivers: [event_log], exporters: [parquet/b]}`, 14)
}
