// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/testbed/enginetest"
)

// batchOf is n events with IDs of that name, of as many users, so that they go to all partitions.
func batchOf(name string, n int) plog.Logs {
	ld, records := events()
	for k := range n {
		lr := addValid(records, fmt.Sprintf("%s/%d", name, k))
		lr.Attributes().PutStr("user.id", fmt.Sprint("user-", k))
	}
	return ld
}

// copies says how often the events of that name are stored: "EVENTS times ROWS EACH", or whatever else is there.
func (i *instance) copies(t *testing.T, name string) string {
	t.Helper()
	said := strings.Join(i.rows(t, `SELECT concat(toString(count()), ' times ', toString(n)) FROM
		(SELECT event_id, count() AS n FROM events WHERE startsWith(event_id, '%s/') GROUP BY event_id) GROUP BY n ORDER BY n`, name), ", ")
	if strings.Contains(said, ",") {
		t.Logf("the INSERTs that brought them: %s", strings.Join(i.rows(t, `SELECT concat(_delivery, ' ', toString(count()), ' of ', _part) FROM events
			WHERE startsWith(event_id, '%s/') GROUP BY _delivery, _part ORDER BY ALL`, name), "; "))
	}
	return said
}

// logFiles hashes what the log keeps of events.
func logFiles(t *testing.T, i *instance) map[string][32]byte {
	t.Helper()
	sums := map[string][32]byte{}
	for _, pattern := range []string{"*.segment", "*.ids.*"} {
		files, err := filepath.Glob(filepath.Join(i.data, "log", "segments", pattern))
		require.NoError(t, err)
		for _, f := range files {
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			sums[filepath.Base(f)] = sha256.Sum256(b)
		}
	}
	require.NotEmpty(t, sums)
	return sums
}

// configFrom makes the instance's configuration the quickstart's with other words in the place of some.
func (i *instance) configFrom(t *testing.T, oldnew ...string) {
	t.Helper()
	text := readText(t, "configs", "quickstart.yaml")
	for n := 0; n < len(oldnew); n += 2 {
		require.Contains(t, text, oldnew[n])
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(strings.NewReplacer(oldnew...).Replace(text)), 0o600))
	i.args[1] = path
}

// What does not fit to the data that is there ends the collector with one line and changes nothing; the mend it names is one.
func TestConfigThatDoesNotFitTheDataIsRefusedAndTheDataKept(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	quickstartArgs := append([]string(nil), i.args...)
	i.start(t)
	require.NoError(t, sendGRPC(i, batchOf("before", 100)))
	require.Equal(t, "100 times 1", i.copies(t, "before"))
	i.stop(t)
	before := logFiles(t, i)

	refused := func(want ...string) {
		t.Helper()
		p := launch(t, i.dir, filepath.Join(t.TempDir(), "log"), i.env, i.args...)
		<-p.Exited()
		require.Error(t, p.Err())
		requireOneLine(t, p.said(), want)
		require.Equal(t, before, logFiles(t, i))
	}
	with := func(overlays ...overlay) {
		i.args = append([]string(nil), quickstartArgs...)
		for _, o := range overlays {
			i.args = append(i.args, "--config", "yaml:"+string(o))
		}
	}
	// works starts it, sends, and finds what was there before, stored once, and what came now.
	works := func(name string) {
		t.Helper()
		i.start(t)
		require.NoError(t, sendGRPC(i, batchOf(name, 20)))
		require.NoError(t, sendGRPC(i, batchOf("before", 100)), "the log knows them as duplicates")
		require.Equal(t, "20 times 1", i.copies(t, name))
		require.Equal(t, "100 times 1", i.copies(t, "before"))
		i.stop(t)
		before = logFiles(t, i)
	}

	with("connectors::event_log::partitions: 8")
	refused("event_log", "has 4 partitions and not 8", "fixed at creation", "set partitions: 4")
	with()
	works("with the right partitions")

	// Which of the components of a pipeline is started first, core does not say.
	otherState := overlay("extensions::state_store::directory: " + filepath.Join(t.TempDir(), "state"))
	with(otherState, overlay("exporters::parquet::staging::directory: "+filepath.Join(t.TempDir(), "staging")))
	refused("event_log", "was used with another state store", "bring that directory back", "accept_state_store")
	with(otherState, overlay("connectors::event_log::directory: "+filepath.Join(t.TempDir(), "log")))
	refused("parquet", "has events that another state store or exporter knows of", "bring that back")
	with()
	works("with the right state store")

	with()
	i.configFrom(t, "logs/clickhouse:", "logs/sink:")
	refused("event_log", "has a consumer logs/clickhouse", "consumers::NEW_NAME::renamed_from: logs/clickhouse", "removed: true")
	i.args = append(i.args, "--config", "yaml:connectors::event_log::consumers: {logs/sink: {renamed_from: logs/clickhouse}}")
	works("renamed")

	with("connectors::event_log::consumers: {logs/clickhouse: {renamed_from: logs/snik}}")
	refused("event_log", "consumers::logs/clickhouse::renamed_from", `"logs/snik"`, "logs/sink")
	with("connectors::event_log::consumers: {logs/clickhouse: {renamed_from: logs/sink}}")
	works("renamed back")

	with("service::pipelines::logs/other: {receivers: [event_log], exporters: [nop]}", "exporters::nop: {}")
	works("with another consumer")
	with()
	refused("event_log", "has a consumer logs/other", "consumers::logs/other::removed: true")
	with("connectors::event_log::consumers: {logs/clickhouse: {removed: true}}")
	refused("consumers::logs/clickhouse::removed", "the pipeline is in the configuration")
	with("connectors::event_log::consumers: {logs/other: {removed: true}}")
	works("without it")

	segments, err := filepath.Glob(filepath.Join(i.data, "log", "segments", "*.segment"))
	require.NoError(t, err)
	away := filepath.Join(t.TempDir(), "away")
	last := segments[len(segments)-1]
	require.NoError(t, os.Rename(last, away))
	delete(before, filepath.Base(last))
	before["none"] = [32]byte{}
	p := launch(t, i.dir, filepath.Join(t.TempDir(), "log"), i.env, i.args...)
	<-p.Exited()
	requireOneLine(t, p.said(), []string{filepath.Base(last), "is missing", "put it back"})
	require.NoError(t, os.Rename(away, last))
	works("with the segment put back")
}

func TestTwoPipelinesIntoOneExporterStoreEachEventOnceEach(t *testing.T) {
	t.Parallel()
	i := start(t, "service::pipelines::logs/again: {receivers: [event_log], exporters: [clickhouse_events]}")
	for n := range 5 {
		require.NoError(t, sendGRPC(i, batchOf(fmt.Sprint("both", n), 200)))
	}
	i.end(t, syscall.SIGKILL)
	i.start(t)
	for n := range 5 {
		require.Equal(t, "200 times 2", i.copies(t, fmt.Sprint("both", n)))
	}
}

// Two collectors with one configuration number their deliveries alike: the table must not take the one's for the other's.
func TestTwoLogsOfOneConfigurationIntoOneTableSwallowNothing(t *testing.T) {
	t.Parallel()
	engine := enginetest.Start(t)
	overlays := []overlay{"service::extensions: [schema_registry, state_store, key_store]", "exporters::clickhouse_events::deduplication::writers: 2"}
	elsewhere := map[string]string{"MILLRACE_CLICKHOUSE_TCP": engine.TCPAddr, "MILLRACE_CLICKHOUSE_HTTP": engine.HTTPAddr}
	var both [2]*instance
	for n := range both {
		both[n] = newInstance(t, overlays...)
		both[n].fixed = elsewhere
		both[n].start(t)
		t.Cleanup(func() { both[n].stop(t) })
	}
	for n := range 3 {
		for _, i := range both {
			require.NoError(t, sendGRPC(i, batchOf(fmt.Sprint("same", n), 100)))
			i.awaitDelivered(t)
		}
	}
	both[0].end(t, syscall.SIGKILL)
	both[1].end(t, syscall.SIGKILL)
	both[0].start(t)
	both[1].start(t)
	both[1].awaitDelivered(t)
	for n := range 3 {
		require.Equal(t, "100 times 2", both[0].copies(t, fmt.Sprint("same", n)))
	}
}

// A log that is made anew begins at position 0 again, under which the table has rows already.
func TestALogThatWasDeletedAndMadeAnewSwallowsNothing(t *testing.T) {
	t.Parallel()
	i := start(t)
	for range 2 {
		require.NoError(t, sendGRPC(i, batchOf("old", 200)))
	}
	require.Equal(t, "200 times 1", i.copies(t, "old"))
	i.stop(t)
	require.NoError(t, os.RemoveAll(filepath.Join(i.data, "log")))
	i.start(t)
	require.NoError(t, sendGRPC(i, batchOf("new", 200)))
	require.Equal(t, "200 times 1", i.copies(t, "new"))
	require.Equal(t, "200 times 1", i.copies(t, "old"), "what went with the log comes from nowhere")
}

func TestRowsComeAgainAfterAResetAndOnlyThen(t *testing.T) {
	t.Parallel()
	i := start(t)
	command := func(body string) (int, string) {
		t.Helper()
		return post(t, i.url(admin, "/consumers/reset"), []byte(body), "Content-Type", jsonType)
	}
	restart := func() {
		t.Helper()
		i.end(t, syscall.SIGKILL)
		i.start(t)
	}
	require.NoError(t, sendGRPC(i, batchOf("again", 300)))
	require.Equal(t, "300 times 1", i.copies(t, "again"))
	restart()
	require.Equal(t, "300 times 1", i.copies(t, "again"))

	status, answer := command(`{"consumer": "logs/clickhouse", "to": "beginning"}`)
	require.Equal(t, http.StatusOK, status, answer)
	var reset struct{ Epoch int }
	require.NoError(t, json.Unmarshal([]byte(answer), &reset))
	require.Equal(t, 2, reset.Epoch)
	require.Equal(t, "300 times 2", i.copies(t, "again"))
	restart()
	require.Equal(t, "300 times 2", i.copies(t, "again"))

	// To the end: nothing comes again, and what comes now is stored.
	status, answer = command(`{"consumer": "logs/clickhouse", "to": "end"}`)
	require.Equal(t, http.StatusOK, status, answer)
	require.NoError(t, sendGRPC(i, batchOf("later", 50)))
	require.Equal(t, "50 times 1", i.copies(t, "later"))
	require.Equal(t, "300 times 2", i.copies(t, "again"))

	// By configuration, once for each name.
	i.stop(t)
	i.args = append(i.args, "--config", "yaml:connectors::event_log::consumers: {logs/clickhouse: {reset: {name: a, to: beginning}}}")
	for range 2 {
		i.start(t)
		require.Equal(t, "300 times 3", i.copies(t, "again"))
		require.Equal(t, "50 times 2", i.copies(t, "later"))
		i.stop(t)
	}
	i.start(t)

	status, answer = command(`{"consumer": "logs/clickhose", "to": "beginning"}`)
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, answer, "GET /consumers lists them")
	status, answer = command(`{"consumer": "logs/clickhouse", "to": "yesterday"}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, answer, "yesterday")
}
