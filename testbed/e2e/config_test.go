// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A mistake in the configuration ends the collector with one line that names the field, the value and the mend.
func TestConfigMistakesAreNamedInOneLine(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	blocked := taken.Addr().String()

	short := filepath.Join(t.TempDir(), "short")
	require.NoError(t, os.WriteFile(short, []byte("too short"), 0o600))

	for _, c := range []struct {
		name    string
		overlay string
		want    []string // in the line
	}{
		{"unknown field of the exporter", `exporters::clickhouse_events::databse: x`, []string{"clickhouse_events", "databse", "did you mean database?"}},
		{"unknown field of a key", `receivers::segment::write_keys: [{key: a, tennant: b}]`, []string{"segment", "write_keys[0].tennant", "did you mean tenant?"}},
		{"unknown field of the registry", `extensions::schema_registry::directry: x`, []string{"schema_registry", "directry", "did you mean directory?"}},
		{"unknown component", `exporters::clickhouse_event: {}`, []string{"'exporters'", "clickhouse_event", "valid values"}},
		{"component that is not configured", `service::pipelines::logs/door::processors: [schema_validation, pii]`, []string{`processor "pii"`, "not configured"}},
		{"endpoint without a port", `exporters::clickhouse_events::endpoints: [localhost]`,
			[]string{"exporters::clickhouse_events", "endpoints", `"localhost"`, "host:port"}},
		{"no endpoint", `exporters::clickhouse_events::endpoints: []`, []string{"exporters::clickhouse_events", "endpoints is empty", "give at least one"}},
		{"unknown compression", `exporters::clickhouse_events::compression: brotli`,
			[]string{"exporters::clickhouse_events", "compression", `"brotli"`, "use lz4, zstd or none"}},
		{"database that is no name", `exporters::clickhouse_events::database: "a;b"`, []string{"exporters::clickhouse_events", "database", `"a;b"`, "use letters"}},
		{"engine that keeps nothing", `exporters::clickhouse_events::events::engine: Log`, []string{"events.engine", `"Log"`, "use MergeTree"}},
		{"time-out without a unit", `exporters::clickhouse_events::dial_timeout: 5`, []string{"exporters::clickhouse_events", "dial_timeout", "5ns", "5s"}},
		{"request time-out without a unit", `exporters::clickhouse_events::timeout: 5`, []string{"exporters::clickhouse_events", "timeout", "5ns", "30s"}},
		{"text for a time", `exporters::clickhouse_events::timeout: soon`, []string{"clickhouse_events", "timeout", `"soon"`, "unit, such as 30s"}},
		{"schema registry that is not there", `exporters::clickhouse_events::schema_registry: schema_registry/other`,
			[]string{"clickhouse_events", "schema_registry", `"schema_registry/other"`, "service.extensions"}},
		{"schema registry that is none", `exporters::clickhouse_events::schema_registry: clickhouse_engine`,
			[]string{"clickhouse_events", "schema_registry", `"clickhouse_engine"`, "name a schema_registry"}},
		{"validation's registry that is not there", `processors::schema_validation::registry: schema_registry/other`,
			[]string{"schema_validation", "registry", `"schema_registry/other"`, "define it under extensions"}},
		{"unknown policy", `processors::schema_validation::unknown_events: drop`,
			[]string{"processors::schema_validation", "unknown_events", `"drop"`, "accept, fail or refuse"}},
		{"masking's registry that is not there", `processors::pii_masking::registry: schema_registry/other`,
			[]string{"pii_masking", "registry", `"schema_registry/other"`, "define it under extensions"}},
		{"masking's key store that is not there", `processors::pii_masking::key_store: key_store/other`,
			[]string{"pii_masking", "key_store", `"key_store/other"`, "define it under extensions"}},
		{"masking by an action that is none", `processors::pii_masking::actions::email: {action: hide}`,
			[]string{"processors::pii_masking", "actions::email", `"hide"`, "pseudonym"}},
		{"sealing without a repair key", `processors::pii_masking::seal_failed: true`,
			[]string{"pii_masking", "seal_failed", "repair_key", "millrace keys repair-pair"}},
		{"key of a source that is none", `extensions::key_store::keys: [{id: k1}]`, []string{"extensions::key_store", "k1", "file, env and transit"}},
		{"key that is too short", `extensions::key_store::keys: [{id: k1, file: ` + short + `}]`, []string{"keys", "k1", "openssl rand"}},
		{"no write key", `receivers::segment::write_keys: []`, []string{"receivers::segment", "write_keys is empty", "list at least one"}},
		{"empty write key", `receivers::segment::write_keys: [{key: "", tenant: a}]`, []string{"receivers::segment", "write_keys[0].key is empty", "give a key"}},
		{"write key twice", `receivers::segment::write_keys: [{key: a, tenant: x}, {key: a, tenant: y}]`,
			[]string{"receivers::segment", "write_keys[1].key", "write_keys[0].key", "remove one"}},
		{"text as a write key", `receivers::segment::write_keys: [a]`, []string{"segment", "write_keys[0]", `"string"`}},
		{"Segment's endpoint without a port", `receivers::segment::endpoint: nowhere`, []string{"receivers::segment", "endpoint", `"nowhere"`, "such as 127.0.0.1:8181"}},
		{"Segment's time-out without a unit", `receivers::segment::read_timeout: 5`, []string{"receivers::segment", "read_timeout", "5ns", "such as"}},
		{"body of no size", `receivers::segment::max_request_body_size: 0`, []string{"receivers::segment", "max_request_body_size", "0", "above 0"}},
		{"metrics' address without a port", `service::telemetry::metrics::address: nowhere`, []string{"service::telemetry::metrics::address", `"nowhere"`, "host:port"}},
		{"no schema directory", `extensions::schema_registry::directory: /none/such`, []string{"directory", `"/none/such"`, "create it"}},
		{"schema directory that is a file", `extensions::schema_registry::directory: /etc/passwd`, []string{"directory", `"/etc/passwd"`, "make it a directory"}},
		{"no engine library", `extensions::clickhouse_engine::library: /none/libchdb.so`, []string{"library", "/none/libchdb.so", "make engine"}},
		{"engine library that is none", `extensions::clickhouse_engine::library: /etc/passwd`, []string{"library", "/etc/passwd", "make engine"}},
		{"data directory that cannot be", `extensions::clickhouse_engine::data_dir: /proc/none`, []string{"data_dir", "/proc/none", "cannot be created"}},
		{"engine's port is taken", `extensions::clickhouse_engine::tcp_endpoint: ` + blocked, []string{"tcp_endpoint", blocked, "choose another port"}},
		{"Segment's port is taken", `receivers::segment::endpoint: ` + blocked, []string{"segment", "endpoint", blocked, "choose another"}},
		{"OTLP's port is taken", `receivers::otlp::protocols::grpc::endpoint: ` + blocked, []string{"otlp", blocked, "address already in use"}},
		{"metrics' port is taken", `service::telemetry::metrics::address: ` + blocked, []string{blocked, "address already in use"}},
		{"processor that is not compiled in", `{processors: {batch: {}}, service: {pipelines: {logs/door: {processors: [batch]}}}}`, []string{"'processors'", `"batch"`, "valid values"}},
		{"unknown field of the log", `connectors::event_log::partition: 4`, []string{"event_log", "partition", "did you mean partitions?"}},
		{"partitions that are none", `connectors::event_log::partitions: 0`, []string{"connectors::event_log", "partitions", "0", "between 1 and"}},
		{"retention beyond the log's size", `connectors::event_log: {max_bytes: 1073741824, retention: {bytes: 2147483648}}`,
			[]string{"connectors::event_log", "retention.bytes", "2147483648", "max_bytes", "lower the one"}},
		{"retention without a unit", `connectors::event_log::retention::age: 24`, []string{"connectors::event_log", "retention.age", "24ns", "with its unit"}},
		{"checkpoints without a unit", `connectors::event_log::checkpoint_interval: 5`, []string{"connectors::event_log", "checkpoint_interval", "5ns", "such as 5s"}},
		{"wait without a unit", `connectors::event_log::delivery::max_wait: 250`, []string{"connectors::event_log", "delivery.max_wait", "250ns", "with its unit"}},
		{"horizon without a unit", `connectors::event_log::deduplication::horizon::age: 24`, []string{"connectors::event_log", "horizon.age", "24ns", "such as 24h"}},
		{"what the log cannot do when full", `connectors::event_log::on_full: drop`, []string{"connectors::event_log", "on_full", `"drop"`, "backpressure"}},
		{"log in a directory that cannot be", `connectors::event_log::directory: /proc/none`, []string{"/proc/none"}},
		{"log without a state store", `service::extensions: [clickhouse_engine, schema_registry]`, []string{"state_store", "service::extensions"}},
		{"state store that is none", `connectors::event_log::state_store: schema_registry`, []string{"event_log", "state_store", `"schema_registry"`, "extension of type state_store"}},
		{"consumer that is no pipeline", `connectors::event_log::consumers: {logs/clickhose: {start_at: end}}`, []string{"consumers", "logs/clickhose", "logs/clickhouse"}},
		{"unknown field of the state store", `extensions::state_store::dir: x`, []string{"state_store", "dir"}},
		{"state store nowhere", `extensions::state_store::directory: ""`, []string{"extensions::state_store", "directory", "is empty"}},
		{"state store in a directory that cannot be", `extensions::state_store::directory: /proc/none`, []string{"state", "/proc/none"}},
		{"state store with next to no memory", `extensions::state_store::memory_bytes: 8`, []string{"extensions::state_store", "memory_bytes", "8", "from"}},
		{"exporter with a queue behind the log", `{exporters: {otlp_grpc: {endpoint: "127.0.0.1:1"}}, service: {pipelines: {logs/clickhouse: {exporters: [otlp_grpc]}}}}`,
			[]string{"logs/clickhouse", "otlp_grpc", "once", "at_least_once"}},
		{"one exporter on two ways", `{connectors: {forward: {}}, service: {pipelines: {logs/clickhouse: {exporters: [clickhouse_events, forward]}, logs/two: {receivers: [forward], exporters: [clickhouse_events]}}}}`,
			[]string{"forward"}},
		{"no YAML", `{a`, []string{"not valid YAML"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := newInstance(t, overlay(c.overlay))
			i.env = map[string]string{"MILLRACE_DATA_DIR": i.data, "MILLRACE_SCHEMA_DIR": i.schema}
			for name, addr := range freePlaces(t) {
				i.env[name] = addr
			}
			p := launch(t, i.dir, filepath.Join(filepath.Dir(i.data), "log"), i.env, i.args...)
			select {
			case <-p.Exited():
			case <-time.After(patience):
				p.end(t, 9)
				t.Fatalf("the collector runs with it:\n%s", p.tail())
			}
			require.Error(t, p.Err())
			require.Equal(t, 1, p.cmd.ProcessState.ExitCode(), "%s", p.tail())
			requireOneLine(t, p.said(), c.want)
			requireNoProcessOf(t, i.data)
		})
	}

	t.Run("several at once, a line each", func(t *testing.T) {
		i := newInstance(t, "exporters::clickhouse_events::compression: brotli", "processors::schema_validation::unknown_events: drop", "receivers::segment::write_keys: []")
		p := launch(t, i.dir, filepath.Join(filepath.Dir(i.data), "log"), nil, i.args...)
		<-p.Exited()
		require.Error(t, p.Err())
		said := strings.TrimSpace(p.said())
		require.Len(t, strings.Split(said, "\n"), 3, "%s", said)
		for _, want := range []string{"brotli", "drop", "write_keys is empty"} {
			require.Contains(t, said, want)
		}
	})

	t.Run("two collectors on one data directory", func(t *testing.T) {
		first := start(t)
		f := func(overlays []overlay, want ...string) {
			t.Helper()
			second := newInstance(t, overlays...)
			env := map[string]string{"MILLRACE_DATA_DIR": first.data, "MILLRACE_SCHEMA_DIR": second.schema}
			for name, addr := range freePlaces(t) {
				env[name] = addr
			}
			p := launch(t, second.dir, filepath.Join(t.TempDir(), "log"), env, second.args...)
			<-p.Exited()
			requireOneLine(t, p.said(), want)
			await(t, "the first one answers", func() bool { return first.ready() == nil })
			require.True(t, first.running())
		}
		// others give the second one directories of its own, but for one.
		others := func(but string) (o []overlay) {
			for what, place := range map[string]string{
				"clickhouse": "extensions: {clickhouse_engine: {data_dir: %q}}", "state": "extensions: {state_store: {directory: %q}}",
				"audit": "extensions: {key_store: {audit: {directory: %q}}}", "log": "connectors: {event_log: {directory: %q}}",
				"staging": "exporters: {parquet: {staging: {directory: %q}}}",
			} {
				if what != but {
					o = append(o, overlay(fmt.Sprintf(place, filepath.Join(t.TempDir(), what))))
				}
			}
			return o
		}
		f(others("state"), first.data, "another process uses the directory", "its own directory")
		f(others("clickhouse"), "data_dir", first.data, fmt.Sprintf("process %d", first.PID()), "directory of its own")
		f(others("audit"), filepath.Join(first.data, "audit"), "another process writes the audit log", "another directory")
		f(others("log"), filepath.Join(first.data, "log"), "in use by another process", "its own directory")
		f(others("staging"), filepath.Join(first.data, "staging"), "is used by another exporter or collector", "a directory of its own")
	})
}

// requireOneLine finds all of it in the last line, which begins with Error unless the collector's core has put a heading above it.
func requireOneLine(t *testing.T, said string, want []string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(said), "\n")
	last := lines[len(lines)-1]
	for _, w := range want {
		assert.Contains(t, last, w, "in the last line of:\n%s", said)
	}
	errorAt := len(lines)
	for n, line := range lines {
		if strings.HasPrefix(line, "Error: ") {
			errorAt = n
		}
	}
	require.Less(t, errorAt, len(lines), "%s", said)
	if errorAt < len(lines)-1 {
		require.Regexp(t, `decoding failed due to the following error\(s\)`, lines[errorAt])
	}
	assert.Less(t, len(last), 500)
	assert.NotContains(t, said, "panic")
	assert.NotContains(t, said, "goroutine ")
}

// requireNoProcessOf looks for an engine that was left behind.
func requireNoProcessOf(t *testing.T, data string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, path := range lines {
		if b, err := os.ReadFile(path); err == nil && alive(int(mustInt(t, filepath.Base(filepath.Dir(path))))) {
			require.NotContains(t, string(b), data, "%s", path)
		}
	}
}
