// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/disksearch"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/lake"
	"github.com/millrace/millrace/testbed/load"
)

// reprocessing is a collector under configs/reprocess.yaml, beside a quickstart.
type reprocessing struct {
	*process
	i       *instance
	job     string
	env     map[string]string
	overlay []string
}

// reprocessing prepares a job. Settings are MILLRACE_REPROCESS_FROM=…, without what all of them begin with.
func (i *instance) reprocessing(t *testing.T, job, kind string, settings ...string) *reprocessing {
	t.Helper()
	r := &reprocessing{i: i, job: job, env: map[string]string{
		"MILLRACE_DATA_DIR": i.data, "MILLRACE_SCHEMA_DIR": i.schema,
		"MILLRACE_CLICKHOUSE": i.env["MILLRACE_CLICKHOUSE_TCP"], "MILLRACE_CLICKHOUSE_INSECURE": "true",
		"MILLRACE_REPROCESS_JOB": job, "MILLRACE_REPROCESS_KIND": kind,
	}}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		r.env["MILLRACE_"+name] = value
	}
	return r
}

func (r *reprocessing) metrics() string { return "http://" + r.env["MILLRACE_REPROCESS_METRICS"] }

func (r *reprocessing) start(t *testing.T) {
	t.Helper()
	r.env["MILLRACE_REPROCESS_METRICS"] = freeport.Must(t, 1)[0]
	config, err := filepath.Abs(filepath.Join(root(), "configs", "reprocess.yaml"))
	require.NoError(t, err)
	log := filepath.Join(filepath.Dir(r.i.data), fmt.Sprintf("%s-%s.log", r.job, r.env["MILLRACE_REPROCESS_KIND"]))
	args := []string{"--config", config}
	for _, file := range r.overlay {
		args = append(args, "--config", file)
	}
	r.process = launch(t, r.i.dir, log, r.env, args...)
	t.Cleanup(func() { r.stop(t) })
}

func (r *reprocessing) stop(t *testing.T) {
	t.Helper()
	if t.Failed() {
		t.Logf("the end of the log of %s:\n%s", r.job, r.tail())
	}
	if r.running() {
		r.end(t, syscall.SIGTERM)
		require.NoError(t, r.Err(), "%s", r.tail())
	}
}

// toTheEnd waits until the job has read everything, the tables have it, and so has the lake if it goes there.
func (r *reprocessing) toTheEnd(t *testing.T) {
	t.Helper()
	await(t, "the job has finished", func() bool {
		require.True(t, r.running(), "%s", r.tail())
		return r.lines("The job has finished") > 0
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, lag.Await(ctx, r.metrics(), nil), "%s", r.tail())
	if r.overlay != nil {
		await(t, "what is staged becomes files", func() bool {
			n, err := lag.Staged(ctx, r.metrics())
			return err == nil && n == 0
		})
	}
	r.stop(t)
}

// run does a job from beginning to end.
func (i *instance) run(t *testing.T, job, kind string, settings ...string) {
	t.Helper()
	r := i.reprocessing(t, job, kind, settings...)
	r.start(t)
	r.toTheEnd(t)
}

// read returns how many events the job's receiver has passed on.
func (r *reprocessing) read(t *testing.T) int64 {
	t.Helper()
	n, err := lag.Sum(t.Context(), r.metrics(), "otelcol_receiver_archive_events")
	if err != nil { // not yet
		return 0
	}
	return n
}

// tables is a digest of each table, with every column of every row.
func (i *instance) tables(t *testing.T, database string) [2]string {
	t.Helper()
	var out [2]string
	for n, table := range []string{"events", "failed_events"} {
		out[n] = i.one(t, `SELECT concat(toString(count()), ' rows, ', toString(sum(cityHash64(formatRow('JSONEachRow', *))))) FROM %s.%s`, database, table)
	}
	return out
}

// howTo returns a file that docs/how-to/reprocess.md has its reader save.
func howTo(t *testing.T, name string) string {
	t.Helper()
	block := regexp.MustCompile("(?s)```\\w+ " + regexp.QuoteMeta(name) + "\n(.*?)```").FindStringSubmatch(readText(t, "docs", "how-to", "reprocess.md"))
	require.NotNil(t, block, "the page has no %s", name)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(block[1]), 0o600))
	return path
}

// once passes each row on that is not among failed_events though it is among events, or there a second time.
func once(rows iter.Seq2[load.Row, error], repaired map[string]bool) iter.Seq2[load.Row, error] {
	seen := map[string]bool{}
	return func(yield func(load.Row, error) bool) {
		for row, err := range rows {
			if row.Name == "session.end" || row.Failed && (repaired[row.ID] || seen[row.ID]) { // what was made of events stands beside them
				continue
			}
			if row.Failed {
				seen[row.ID] = true
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// What docs/how-to/reprocess.md does.
func TestAMendedSchemaRepairsTheFailedEventsOfADay(t *testing.T) {
	t.Parallel()
	i := startLake(t, "1s", "extensions::schema_registry::reload_interval: 100ms")
	r := newRun(t, i, "reprocess", 21, 6000, func(c *load.RunConfig) { c.Generator.Bad = 0.2 })
	today := time.Now().UTC() // or it is tomorrow when all is sent
	require.NoError(t, r.Do(context.Background()))
	i.awaitFiles(t, i.lake())
	requireStored(t, i, r, load.CompareOptions{})
	failed := mustInt(t, i.one(t, "SELECT count() FROM failed_events"))
	before := mustInt(t, i.one(t, "SELECT count() FROM events"))
	var mended int64
	for _, e := range r.Manifest().Entries() {
		if e.Bad == load.BadEnum {
			mended++
		}
	}
	require.Greater(t, mended, int64(100))
	require.Greater(t, failed, 2*mended)

	// The word that was missing in the schemas.
	files, err := filepath.Glob(filepath.Join(i.schema, "*.json"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		putSchema(t, i, filepath.Base(file), strings.ReplaceAll(string(text), `"enum": [`, `"enum": ["Sonstiges", `))
	}
	r.Manifest().Mend(load.BadEnum)

	job := i.reprocessing(t, "enum", "failed_events", "REPROCESS_RATE=50", "LAKE_MAX_AGE=1s",
		"REPROCESS_FROM="+today.Format(time.DateOnly), "REPROCESS_TO="+today.AddDate(0, 0, 2).Format(time.DateOnly))
	job.overlay = []string{howTo(t, "reprocess-lake.yaml")}
	job.start(t)
	await(t, "some are read", func() bool { return job.read(t) >= failed/4 })
	job.end(t, syscall.SIGKILL)
	require.Zero(t, job.lines("The job has finished"))
	job.env["MILLRACE_REPROCESS_RATE"] = "2000"
	job.start(t)
	job.toTheEnd(t)

	count := func(format string, args ...any) int64 {
		t.Helper()
		return mustInt(t, i.one(t, "SELECT count() FROM %s", fmt.Sprintf(format, args...)))
	}
	require.Equal(t, before+mended, count("events"))
	require.Equal(t, failed, count("failed_events"), "what failed again is there already, what was repaired is still there")
	const repaired = "failed_events WHERE event_id IN (SELECT event_id FROM events)"
	require.Equal(t, mended, count(repaired))
	require.Equal(t, mended, count(repaired+" AND keyword = 'enum'"))
	const told = "event_id, event_name, event_time, received_time, tenant_id, source"
	require.Zero(t, count("(SELECT %s FROM %s EXCEPT SELECT %s FROM events)", told, repaired, told), "IDs and times are as they were")
	stillFailed := load.Tables{Failed: "(SELECT * FROM analytics.failed_events WHERE event_id NOT IN (SELECT event_id FROM analytics.events))"}
	c, err := load.Compare(r.Manifest(), load.ClickHouseRows(t.Context(), i.ch, stillFailed), load.CompareOptions{Deduplicated: true})
	require.NoError(t, err)
	require.True(t, c.OK(), "%s %v", c.Verdict(), c.Samples)

	// The lake has the repaired ones too, and what failed again a second time.
	ids := map[string]bool{}
	for _, id := range i.rows(t, "SELECT event_id FROM %s", repaired) {
		ids[id] = true
	}
	contents := lake.Open(i.lake())
	c, err = load.Compare(r.Manifest(), once(contents.Rows(t.Context()), ids), load.CompareOptions{Deduplicated: true})
	require.NoError(t, err)
	require.True(t, c.OK(), "%s %v", c.Verdict(), c.Samples)
	require.NoError(t, contents.CheckCatalogue(t.Context()))
	require.Empty(t, contents.Faults)
	require.Equal(t, failed+failed-mended, contents.Failed, "%d failed, of which %d were mended", failed, mended)

	// All of it again, into the tables that have it.
	were := i.tables(t, "analytics")
	i.run(t, "again", "events")
	i.run(t, "again", "failed_events")
	require.Equal(t, were, i.tables(t, "analytics"))

	// What they lost comes back.
	lost := count("events WHERE event_name = 'page_viewed'")
	require.NotZero(t, lost)
	require.NoError(t, i.ch.Exec(t.Context(), "ALTER TABLE events DELETE WHERE event_name = 'page_viewed' SETTINGS mutations_sync = 1"))
	require.Equal(t, before+mended-lost, count("events"))
	i.run(t, "lost", "events")
	require.Equal(t, before+mended, count("events"))

	// And into new ones.
	i.run(t, "rebuild", "events", "CLICKHOUSE_DATABASE=rebuilt")
	require.Equal(t, before+mended, count("rebuilt.events"))
	i.run(t, "rebuild", "failed_events", "CLICKHOUSE_DATABASE=rebuilt")
	same := func(table, of string) {
		t.Helper()
		columns := i.one(t, `SELECT arrayStringConcat(groupArray(concat('\x60', name, '\x60')), ', ') FROM system.columns
			WHERE database = 'analytics' AND table = '%s' AND name != '_delivery' AND NOT startsWith(type, 'JSON')`, table)
		require.Greater(t, strings.Count(columns, ","), 10)
		for _, way := range [][2]string{{"analytics." + table + of, "rebuilt." + table}, {"rebuilt." + table, "analytics." + table + of}} {
			require.Zero(t, count("(SELECT %s FROM %s EXCEPT SELECT %s FROM %s)", columns, way[0], columns, way[1]), "%v", way)
		}
		require.Equal(t, count("analytics.%s%s", table, of), count("rebuilt.%s", table))
	}
	same("events", "")
	same("failed_events", " WHERE event_id NOT IN (SELECT event_id FROM analytics.events)")
	require.Zero(t, count("(SELECT event_id, toJSONString(properties) FROM events EXCEPT SELECT event_id, toJSONString(properties) FROM rebuilt.events)"))
}

// Failed events are stored sealed, and repaired by who has the private key.
func TestSealedEventsAreRepairedWithThePrivateKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := exec.Command(filepath.Join(root(), "bin", "millrace"), "keys", "repair-pair", "r1", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	i := startLake(t, "1s", "extensions::schema_registry::reload_interval: 100ms", "processors::pii_masking::seal_failed: true",
		overlay("extensions::key_store::repair_key::public_key_file: "+filepath.Join(dir, "r1.repair.pub")))
	ld, records := events()
	const secret = "Zq Nobody Knows"
	for n := range 5 {
		lr := addValid(records, fmt.Sprint("sealed-", n))
		lr.Attributes().PutStr("signup_method", "by pigeon")
		lr.Attributes().PutStr("comment", secret)
	}
	require.NoError(t, sendGRPC(i, ld))
	i.awaitFiles(t, i.lake())
	require.Equal(t, "5", i.one(t, "SELECT countIf(startsWith(raw, 'millrace-sealed:v1:r1:')) FROM failed_events WHERE keyword = 'enum' AND startsWith(event_id, 'sealed-')"))
	finds, err := disksearch.Search(filepath.Dir(i.data), []string{secret})
	require.NoError(t, err)
	require.Empty(t, finds.In)

	text, err := os.ReadFile(filepath.Join(i.schema, "signed_up.v1.json"))
	require.NoError(t, err)
	putSchema(t, i, "signed_up.v1.json", strings.ReplaceAll(string(text), `"enum": [`, `"enum": ["by pigeon", `))
	i.run(t, "without", "failed_events")
	require.Equal(t, "0", i.one(t, "SELECT count() FROM events"))
	i.run(t, "with", "failed_events", "REPROCESS_REPAIR_KEYS=["+filepath.Join(dir, "r1.repair.key")+"]")
	require.Equal(t, "5", i.one(t, "SELECT countIf(properties.comment = '%s' AND startsWith(email, 'pn_k1_')) FROM events WHERE signup_method = 'by pigeon'", secret))
}
