// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func TestTheDefaultConfigurationIsValid(t *testing.T) {
	require.NoError(t, createDefaultConfig().(*Config).Validate())
}

func TestAMistakeIsOneLineThatNamesFieldValueAndMend(t *testing.T) {
	f := func(change map[string]any, want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		require.NoError(t, confmap.NewFromStringMap(change).Unmarshal(cfg))
		err := cfg.Validate()
		require.Error(t, err)
		assert.Equal(t, want, err.Error())
		assert.NotContains(t, err.Error(), "\n")
	}
	empty := createDefaultConfig().(*Config)
	empty.Endpoints = nil
	require.EqualError(t, empty.Validate(), `endpoints is empty: give at least one host:port, such as "127.0.0.1:9000"`)
	f(map[string]any{"endpoints": []any{"tcp://x"}}, `endpoints: "tcp://x" is not host:port: give the native protocol's address, such as "127.0.0.1:9000"`)
	f(map[string]any{"database": "a-b"}, `database: "a-b" is not an identifier: use letters, digits and _, and begin with a letter`)
	f(map[string]any{"cluster": "`"}, "cluster: \"`\" is not an identifier: use letters, digits and _, and begin with a letter")
	f(map[string]any{"failed_events": map[string]any{"name": "events"}}, `failed_events.name: "events" is the events table's name too: name another`)
	f(map[string]any{"compression": "gzip"}, `compression: "gzip" is unknown: use lz4, zstd or none`)
	f(map[string]any{"existing": "replace"}, `existing: "replace" is unknown: use store, or skip to leave out events that the table has already`)
	f(map[string]any{"dial_timeout": "0s"}, `dial_timeout: 0s is not positive: use a duration such as 5s`)
	f(map[string]any{"events": map[string]any{"engine": "Log"}}, `events.engine: "Log" is not of the MergeTree family: use MergeTree or a relative of it`)
	f(map[string]any{"events": map[string]any{"order_by": ""}}, `events.order_by is empty: give an expression, such as "(tenant_id, event_time)"`)
	f(map[string]any{"events": map[string]any{"settings": map[string]any{"a": "x; DROP"}}}, `events.settings: a = "x; DROP" is no setting: use a name and a plain number or word`)
	results := func(m map[string]any) map[string]any { return map[string]any{"results": m} }
	f(results(map[string]any{"accept": "all"}), `results.accept: "all" is unknown: use stages, or any where only your own collectors can write`)
	f(results(map[string]any{"engine": "MergeTree"}), `results.engine: "MergeTree" does not replace a result's earlier rows: use ReplacingMergeTree or ReplicatedReplacingMergeTree`)
	f(results(map[string]any{"engine": "ReplacingMergeTree(at)"}), `results.engine: "ReplacingMergeTree(at)" does not name its version: give pane_index as the last parameter`)
	f(results(map[string]any{"ttl": "5ms"}), `results.ttl: 5ms is out of range: use a duration such as 2160h, of 1s to 175200h0m0s`)
	f(results(map[string]any{"settings": map[string]any{"a": "';"}}), `results.settings: a = "';" is no setting: use a name and a plain number or word`)
	f(results(map[string]any{"tables": map[string]any{"a b": nil}}), `results.tables: "a b" is not an identifier: give the name of a result's table, such as sessions`)
	f(results(map[string]any{"tables": map[string]any{"sessions": map[string]any{"ttl": "-1h"}}}), `results.tables.sessions.ttl: -1h0m0s is out of range: use a duration such as 2160h, of 1s to 175200h0m0s`)
	f(map[string]any{"sending_queue": map[string]any{"wait_for_result": false}},
		`retry_on_failure.max_elapsed_time: 30s would drop events that were acknowledged, since sending_queue.wait_for_result is false: set max_elapsed_time: 0 or wait_for_result: true`)
}

func TestAnUnendingRetryMayAcknowledgeEarly(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, confmap.NewFromStringMap(map[string]any{
		"sending_queue":    map[string]any{"wait_for_result": false},
		"retry_on_failure": map[string]any{"max_elapsed_time": time.Duration(0)},
	}).Unmarshal(cfg))
	require.NoError(t, cfg.Validate())
}
