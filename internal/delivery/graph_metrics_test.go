// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pipeline"
)

func TestCheckGraphFollowsPointsToWhatSendsThem(t *testing.T) {
	more := func(queue map[string]any, processors map[string]any) map[string]any {
		return map[string]any{
			"connectors": map[string]any{"event_log": nil, "window_metrics": nil, "window_metrics/two": nil, "routing": nil, "count": nil},
			"exporters":  map[string]any{"otlp_http": map[string]any{"sending_queue": queue}, "otlp_grpc": nil},
			"processors": processors,
		}
	}
	f := func(more map[string]any, pipelines []string, want ...string) {
		t.Helper()
		err := CheckGraph(pipelinesYAML(t, more, pipelines...), component.MustNewID("event_log"))
		if len(want) == 0 {
			require.NoError(t, err)
		}
		for _, w := range want {
			require.ErrorContains(t, err, w)
		}
	}
	queue := map[string]any{"queue_size": 1000, "wait_for_result": false}
	counting := "logs/count: event_log | | window_metrics"
	f(more(nil, nil), []string{counting, "metrics: window_metrics | memory_limiter filter attributes | otlp_http otlp_grpc debug"})
	f(more(map[string]any{"enabled": false, "queue_size": 9}, nil), []string{counting, "metrics: window_metrics | | otlp_http"})
	f(more(map[string]any{"wait_for_result": true}, nil), []string{counting, "metrics: window_metrics | | otlp_http"})
	f(more(nil, nil), []string{counting, "metrics: window_metrics otlp | | otlp_http"}) // points of others do no harm
	f(more(queue, nil), []string{"metrics: otlp | batch | otlp_http", counting, "metrics/own: window_metrics | | otlp_grpc"})

	f(more(queue, nil), []string{counting, "metrics: window_metrics | | otlp_http"},
		"service::pipelines::metrics: otlp_http acknowledges points before it has sent them, so a crash would lose them: set exporters::otlp_http::sending_queue::enabled: false")
	f(more(nil, nil), []string{counting, "metrics: window_metrics | batch | otlp_http"}, "batch is not known to hand on points within the call: leave it out")
	f(more(nil, map[string]any{"transform": map[string]any{"metric_statements": []any{`set(datapoint.time, Now())`}}}),
		[]string{counting, "metrics: window_metrics | transform | otlp_http"}, "transform calls Now")
	f(more(nil, nil), []string{counting, "metrics: window_metrics | | prometheus"}, "prometheus is not known to hand on points")
	f(more(nil, nil), []string{counting, "metrics: window_metrics | | count"}, "count is not known to hand on points")
	f(more(queue, nil), []string{counting, "metrics: window_metrics | | routing", "metrics/a: routing | | otlp_http"}, "service::pipelines::metrics/a: otlp_http acknowledges")
	f(more(nil, nil), []string{counting, "logs/again: event_log | | window_metrics", "metrics: window_metrics | | otlp_http"},
		"window_metrics is reached by two pipelines (also logs/again), and keeps the state of one: give each pipeline one of its own, such as window_metrics/two")
	f(more(nil, nil), []string{counting, "logs/again: event_log | | window_metrics/two", "metrics: window_metrics window_metrics/two | | otlp_http"})
}

func TestTheLogHandsItsBytesToAConnectorThatReadsThemInPlace(t *testing.T) {
	f := func(want bool, pipeline string) {
		t.Helper()
		require.Equal(t, want, HandsOverBytes(pipelinesYAML(t, nil, pipeline), pipelineID(t, pipeline)), pipeline)
	}
	f(true, "logs/m: event_log | memory_limiter | window_metrics")
	f(false, "logs/m: event_log | sessionization | window_metrics")
	f(false, "logs/m: event_log | | window_metrics nop")
	f(false, "logs/m: event_log | | clickhouse_events")
}

func pipelineID(t *testing.T, text string) (id pipeline.ID) {
	t.Helper()
	name, _, _ := strings.Cut(text, ": ")
	require.NoError(t, id.UnmarshalText([]byte(name)))
	return id
}
