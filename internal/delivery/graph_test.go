// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
)

// pipelinesYAML makes a configuration of pipelines written as "id: receivers | processors | exporters", and more.
func pipelinesYAML(t *testing.T, more map[string]any, pipelines ...string) *confmap.Conf {
	t.Helper()
	all := map[string]any{}
	for _, p := range pipelines {
		id, rest, _ := strings.Cut(p, ": ")
		parts := strings.Split(rest, "|")
		list := func(i int) []any {
			var out []any
			for name := range strings.FieldsSeq(parts[i]) {
				out = append(out, name)
			}
			return out
		}
		all[id] = map[string]any{"receivers": list(0), "processors": list(1), "exporters": list(2)}
	}
	conf := map[string]any{"service": map[string]any{"pipelines": all}, "connectors": map[string]any{"event_log": nil, "routing": nil, "count": nil}}
	for k, v := range more {
		conf[k] = v
	}
	return confmap.NewFromStringMap(conf)
}

func TestCheckGraphRefusesWhatBreaksThePromiseAndNamesTheMend(t *testing.T) {
	kafka := func(after, onError, onPermanent, backoff bool, brokers string) map[string]any {
		return map[string]any{
			"brokers":         []any{brokers},
			"message_marking": map[string]any{"after": after, "on_error": onError, "on_permanent_error": onPermanent},
			"error_backoff":   map[string]any{"enabled": backoff, "initial_interval": "1s", "max_interval": 10 * time.Second, "multiplier": 1.5},
			"initial_offset":  "earliest",
		}
	}
	receivers := func(m map[string]any) map[string]any { return map[string]any{"receivers": m} }
	f := func(more map[string]any, pipelines []string, want ...string) {
		t.Helper()
		err := CheckGraph(pipelinesYAML(t, more, pipelines...), component.MustNewID("event_log"))
		if len(want) == 0 {
			require.NoError(t, err)
			return
		}
		for _, w := range want {
			require.ErrorContains(t, err, w)
		}
		var joined interface{ Unwrap() []error }
		require.ErrorAs(t, err, &joined)
		require.Len(t, joined.Unwrap(), len(want))
	}
	door := "logs/in: otlp | memory_limiter schema_validation | event_log"
	f(nil, []string{door, "logs: event_log | | clickhouse_events"})
	f(nil, []string{door, "logs: event_log | filter transform sessionization window_aggregation | clickhouse_events parquet debug"})
	f(nil, []string{door, "logs/a: event_log | | clickhouse_events", "logs/b: event_log | | clickhouse_events"}) // two consumers, two identities
	f(nil, []string{"logs/elsewhere: otlp | batch | otlp", door, "logs: event_log | | nop"})

	f(nil, []string{door, "logs: event_log | batch | clickhouse_events"}, "service::pipelines::logs: batch is not known to be synchronous")
	f(nil, []string{door, "logs: event_log | tail_sampling/x | clickhouse_events"}, "tail_sampling/x")
	f(nil, []string{door, "logs: event_log | | otlp kafka"}, "otlp is not known to store", "kafka is not known to store")
	f(nil, []string{"logs/in: otlp | batch | event_log", "logs: event_log | | nop"}, "batch acknowledges or holds events before they are in the log: leave it out")
	f(nil, []string{"logs/in: otlp | sessionization | event_log", "logs: event_log | | nop"}, "move it behind the log")
	f(nil, []string{door, "logs: event_log | | routing", "logs/a: routing | batch | nop"}, "service::pipelines::logs/a: batch")
	f(nil, []string{door, "logs: event_log | | routing", "logs/a: routing | | clickhouse_events", "logs/b: routing | | clickhouse_events"},
		"clickhouse_events is reached on two paths from one delivery (also logs/a): give each path an exporter of its own, such as clickhouse_events/two")
	f(nil, []string{door, "logs: event_log | | routing", "logs/a: routing | | clickhouse_events", "logs/b: routing | | clickhouse_events/two"})
	f(nil, []string{door, "logs: event_log otlp | | clickhouse_events"}, "logs: otlp brings events beside those of the log")
	f(nil, []string{door, "logs: event_log | | routing", "logs/a: routing webhook | | nop"}, "logs/a: webhook brings events beside those of the log")
	f(nil, []string{door, "logs: event_log | | count", "logs/a: count | | nop"}, "count is not known to hand on")

	transform := func(statement string) map[string]any {
		return map[string]any{"processors": map[string]any{"transform": map[string]any{
			"log_statements": []any{map[string]any{"statements": []any{statement}}}}}}
	}
	f(transform(`set(log.attributes["at"], Time("2024", "%Y"))`), []string{door, "logs: event_log | transform | nop"})
	f(transform(`set(log.attributes["at"], Now())`), []string{door, "logs: event_log | transform | nop"}, "transform calls Now")
	f(transform(`set(log.attributes["id"], UUIDv7())`), []string{door, "logs: event_log | transform | nop"}, "transform calls UUIDv7")
	f(transform(`set(log.attributes["at"], Now())`), []string{"logs/in: otlp | transform | event_log", "logs: event_log | | nop"})

	kafkaDoor := []string{"logs/in: kafka | | event_log", "logs: event_log | | nop"}
	f(receivers(map[string]any{"kafka": kafka(true, false, false, true, "a:9092")}), kafkaDoor)
	f(receivers(map[string]any{"kafka": kafka(false, false, false, true, "a:9092")}), kafkaDoor, "set receivers::kafka::message_marking::after: true")
	f(receivers(map[string]any{"kafka": kafka(true, true, false, true, "a:9092")}), kafkaDoor, "set receivers::kafka::message_marking::on_error: false")
	f(receivers(map[string]any{"kafka": kafka(true, false, true, true, "a:9092")}), kafkaDoor, "message_marking::on_permanent_error: false")
	f(receivers(map[string]any{"kafka": kafka(true, false, false, false, "a:9092")}), kafkaDoor, "set receivers::kafka::error_backoff::enabled: true")
	with := func(path, key string, value any) map[string]any {
		k := kafka(true, false, false, true, "a:9092")
		if path == "" {
			k[key] = value
		} else {
			k[path].(map[string]any)[key] = value
		}
		return receivers(map[string]any{"kafka": k})
	}
	f(with("error_backoff", "initial_interval", "0s"), kafkaDoor, "set receivers::kafka::error_backoff::initial_interval: 1s")
	f(with("error_backoff", "max_interval", int64(0)), kafkaDoor, "set receivers::kafka::error_backoff::max_interval: 1s")
	f(with("error_backoff", "multiplier", 0), kafkaDoor, "set receivers::kafka::error_backoff::multiplier: 1.5")
	f(with("", "initial_offset", "latest"), kafkaDoor, "set receivers::kafka::initial_offset: earliest")
	f(with("", "brokers", []any{"b:1", "a:1"}), []string{"logs/a: kafka | | event_log", "logs/b: kafka | | event_log", "logs: event_log | | nop"},
		"kafka reaches the log on two paths")
	f(receivers(map[string]any{"kafka": kafka(true, false, false, true, "a:9092"), "kafka/b": kafka(true, false, false, true, "b:9092")}),
		[]string{"logs/in: kafka kafka/b | | event_log", "logs: event_log | | nop"}, "give each cluster an event_log of its own")
}

func TestCheckGraphNeedsTheConfiguration(t *testing.T) {
	require.ErrorContains(t, CheckGraph(nil, component.MustNewID("event_log")), "guarantee: at_least_once")
}

func TestCheckGraphRefusesAKeyThatSpansPartitions(t *testing.T) {
	f := func(partitions int, by, key []any, refused bool) {
		t.Helper()
		err := CheckGraph(pipelinesYAML(t, map[string]any{
			"connectors": map[string]any{"event_log": map[string]any{"partitions": partitions, "partition_by": by}},
			"processors": map[string]any{"sessionization": map[string]any{"key": key}},
		}, "logs/out: event_log | sessionization | clickhouse_events"), component.MustNewID("event_log"))
		if refused {
			require.ErrorContains(t, err, "spread over partitions")
		} else {
			require.NoError(t, err)
		}
	}
	by := []any{"user.id", "enduser.pseudo.id", "session.id"}
	f(4, by, []any{"tenant.id", "user.id|enduser.pseudo.id"}, false)
	f(4, by, []any{"user.id"}, false)
	f(4, by, []any{"tenant.id", "user.id | enduser.pseudo.id | session.id"}, false)
	f(4, by, []any{"enduser.pseudo.id"}, true)
	f(4, by, []any{"enduser.pseudo.id|user.id"}, true)
	f(4, by, []any{"tenant.id"}, true)
	f(4, []any{"user.id"}, []any{"user.id|enduser.pseudo.id"}, true)
	f(1, by, []any{"card"}, false)
}
