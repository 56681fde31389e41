// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	_ "embed"
	"fmt"
)

// common is merged over the quickstart: numbers so small that everything happens often.
const common = `{
  connectors: {event_log: {
    segment_bytes: 262144, max_bytes: 268435456, min_free_bytes: %[1]d,
    retention: {age: 0s, bytes: 0},
    checkpoint_interval: 500ms,
    delivery: {max_events: 1000, max_wait: 100ms},
    deduplication: {horizon: {count: 5000000}},
    retry_on_failure: {initial_interval: 50ms, max_interval: 1s},
    admin: {endpoint: "${env:MILLRACE_TEST_ADMIN}"}}},
  extensions: {state_store: {reserve_bytes: 4194304, min_free_bytes: 4194304}},
  exporters: {
    clickhouse_events: {timeout: %[2]s, dial_timeout: 1s%[3]s},
    parquet: {staging: {segment_bytes: 1048576}, file: {row_group_rows: 100}}},
  service: {telemetry: {logs: {level: info}}}}`

// apart takes the engine out of the collector. The tables then have a partition for each tenant and remember little, so
// that INSERTs are several blocks and the bound on them counts.
const (
	apart       = `{service: {extensions: [schema_registry, state_store, key_store]}}`
	smallWindow = `, deduplication: {window: 1000}, events: {partition_by: tenant_id}`
)

// lakeMaxAge is how old a file of the lake gets before it is closed. Millrace's default is minutes.
const lakeMaxAge = "1s"

// bucket has the lake in a bucket instead of a directory.
const bucket = `{exporters: {parquet: {directory: "", s3: {
  endpoint: %q, bucket: %q, region: us-east-1, path_style: true, insecure: true, access_key_id: %q, secret_access_key: %q,
  max_retries: 1, timeout: 2s}}}}`

// lakeApart has the lake and what is staged on disks of their own.
const lakeApart = `{exporters: {parquet: {directory: %q, staging: {directory: %q}}}}`

// stateful has sessions and windows of every kind, where the results are held against those of an undisturbed run.
//
//go:embed stateful.yaml
var stateful string

// kept has the log keep all of a run, for the undisturbed one. Ticks come within the pauses that a restart makes.
const kept = `{connectors: {event_log: {max_bytes: 4294967296, retention: {age: 24h, bytes: 4294967296}, tick_interval: 300ms}}}`

// atRest has the log write nothing by itself: no tick, so that it stays what it is.
const atRest = `{connectors: {event_log: {tick_interval: 24h, idle_timeout: 0s}}}`

// undisturbed makes other deliveries and checkpoints of a copy of the log, with a state store of its own, into another database.
const undisturbed = `{
  connectors: {event_log: {delivery: {max_events: 3500, max_wait: 250ms}, checkpoint_interval: 1700ms, accept_state_store: %q}},
  exporters: {clickhouse_events: {database: ` + referenceDatabase + `}}}`

// How much memory sessions and windows may take, by MILLRACE_TEST_MEMORY: the least that can be configured, and the default.
const (
	littleMemory = "1048576"
	plentyMemory = "536870912"
)

// overlays for a world.
func (w *World) overlays() []string {
	table := ""
	if w.spec.Apart {
		table = smallWindow
	}
	timeout := w.spec.InsertTimeout
	if timeout == "" {
		timeout = "10s"
	}
	out := []string{fmt.Sprintf(common, w.spec.MinFree, timeout, table)}
	if w.spec.Apart {
		out = append(out, apart)
	}
	if w.spec.Compared {
		out = append(out, stateful, kept)
	}
	return append(append(out, w.spec.Overlays...), w.o.overlays...)
}
