// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/millrace/millrace/internal/delivery/deliverytest"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/processor/windowaggregationprocessor/internal/metadata"
)

const perMinute = `
max_out_of_orderness: 10s
aggregations:
  - name: per_minute
    window: {type: tumbling, size: 1m}
    group_by: [user]
    values: [{function: count, as: c}, {function: sum, field: v, as: s}]
`

func TestWithoutALogEventsAreRefusedForGood(t *testing.T) {
	sink := deliverytest.NewSink(t)
	p, err := newProcessor(processortest.NewNopSettings(metadata.Type), readConfig(t, perMinute), sink)
	require.NoError(t, err)
	require.NoError(t, p.Start(context.Background(), componenttest.NewNopHost()))
	err = p.ConsumeLogs(context.Background(), newEvent(at(t, "12:00:00"), "view"))
	require.True(t, consumererror.IsPermanent(err))
	require.EqualError(t, err, "Permanent error: window_aggregation needs an event_log before it, which keeps its state: let the pipeline receive from an event_log connector")
	require.NoError(t, p.Shutdown(context.Background()))
}

func TestAnotherStagesTableIsAnnouncedWhereItsResultsPass(t *testing.T) {
	f := func(more string, want int) {
		t.Helper()
		sink := deliverytest.NewSink(t)
		p, err := newProcessor(processortest.NewNopSettings(metadata.Type), readConfig(t, perMinute+more), sink)
		require.NoError(t, err)
		require.NoError(t, p.ConsumeLogs(result.Emitted(context.Background()), result.Declaration(p.plan.Tables()...)))
		require.Len(t, sink.Outside, want)
	}
	f("", 0)
	f("pass_events: true", 1)
	f("pass_late_events: true", 1)
}

func TestTheTableIsAnnouncedAtStart(t *testing.T) {
	p := deliverytest.New(t, 1, one(t, perMinute))
	require.Len(t, p.Sink.Outside, 1)
	scopes := result.Tables(p.Sink.Outside[0])
	require.Len(t, scopes, 1)
	table := scopes[0].Table
	require.Equal(t, "per_minute", table.Name)
	require.Equal(t, []string{"window_start"}, table.Key)
	var columns []string
	for _, c := range table.Columns {
		columns = append(columns, fmt.Sprint(c.Name, " ", c.Type, " ", c.Nullable))
	}
	require.Equal(t, []string{
		"window_start timestamp false", "window_end timestamp false", "user string true", "overflow bool false", "c int64 false", "s float64 true",
	}, columns)
}

func TestWhatBecameOfEventsIsCountedOnceHoweverOftenTheyCame(t *testing.T) {
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	cfg := readConfig(t, perMinute)
	p := deliverytest.New(t, 1, func(next consumer.Logs) (consumer.Logs, []component.Component) {
		set := processortest.NewNopSettings(metadata.Type)
		set.TelemetrySettings = tel.NewTelemetrySettings()
		proc, err := newProcessor(set, cfg, next)
		require.NoError(t, err)
		return proc, []component.Component{proc}
	})
	p.Append(0, at(t, "12:01:00"), newEvent(at(t, "12:01:00"), "e", "v=1"))
	p.Append(0, at(t, "12:01:00"), newEvent(at(t, "12:00:00"), "e", "v=1"))
	p.Append(0, at(t, "12:01:00"), newEvent(at(t, "12:50:00"), "e", "v=NaN"))
	p.Append(0, at(t, "12:01:00"), newEvent(at(t, "2027-01-01T00:00:00Z"), "e", "v=1"))
	p.Append(0, at(t, "12:01:00"), newEvent(at(t, "12:01:00"), "e", "v=1", "event.failure.reason=schema_violation", "event.failure.stage=validation"))
	failures := 3
	p.Log.Show(0, 5)
	p.Store.Full = func() bool { failures--; return failures >= 0 }
	p.Deliver(0, 5)
	p.Append(0, at(t, "13:00:00"), newEvent(at(t, "13:00:00"), "e", "v=text"))
	p.DeliverAll(0)
	p.Checkpoint()

	require.Equal(t, map[string]int64{"counted": 2, "late": 1, "future": 1, "too_far_ahead": 1, "failed": 1},
		sums(t, tel, "otelcol_processor_window_aggregation_events", "outcome"))
	require.Equal(t, map[string]int64{"not_a_number": 1, "wrong_type": 1},
		sums(t, tel, "otelcol_processor_window_aggregation_skipped_values", "reason"))
	require.Equal(t, map[string]int64{"on_time": 2}, sums(t, tel, "otelcol_processor_window_aggregation_results", "timing"))
	require.Equal(t, map[string]int64{"per_minute": 1}, sums(t, tel, "otelcol_processor_window_aggregation_groups", "aggregation"))
	require.Equal(t, map[string]int64{"per_minute": 1}, sums(t, tel, "otelcol_processor_window_aggregation_open_windows", "aggregation"))
}

// sums of a metric by one of its attributes.
func sums(t *testing.T, tel *componenttest.Telemetry, name, by string) map[string]int64 {
	t.Helper()
	m, err := tel.GetMetric(name)
	require.NoError(t, err)
	out := map[string]int64{}
	var points []metricdata.DataPoint[int64]
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		points = d.DataPoints
	case metricdata.Gauge[int64]:
		points = d.DataPoints
	}
	for _, p := range points {
		v, _ := p.Attributes.Value(attribute.Key(by))
		out[v.AsString()] += p.Value
	}
	return out
}

// TestAnyOrderWithinTheBoundGivesTheSameResults permutes arrivals so that no event comes after one that is younger by more than the bound, and
// over partitions as it likes.
func TestAnyOrderWithinTheBoundGivesTheSameResults(t *testing.T) {
	build := one(t, `
max_out_of_orderness: 10s
aggregations:
  - name: t
    window: {type: tumbling, size: 15s}
    group_by: [user]
    values: [{function: count, as: c}, {function: sum, field: v, type: integer, as: s}, {function: count_distinct, field: n, as: d},
      {function: quantile, quantile: 0.9, field: v, as: q}, {function: first, field: v, as: f}, {function: arg_max, field: n, by: v, as: m}]
  - name: h
    window: {type: hopping, size: 35s, slide: 10s}
    values: [{function: count, as: c}, {function: last, field: v, as: l}, {function: stddev, field: v, as: dev}]
  - name: s
    window: {type: session, gap: 5s}
    group_by: [user]
    values: [{function: count, as: c}, {function: max, field: v, as: m}]
`)
	rng := rand.New(rand.NewPCG(3, 4))
	var events []happening
	start := at(t, "12:00:00")
	for i := range 400 {
		events = append(events, happening{
			time: start + int64(i)*int64(600*time.Millisecond) + rng.Int64N(int64(500*time.Millisecond)), name: "e", n: rng.Int64N(5), v: int64(i) * 7 % 101,
			user: fmt.Sprintf("u%d", rng.IntN(5)),
		})
	}
	var want []string
	for try := range 12 {
		partitions := 1 + try%4
		arrivals := slices.Clone(events)
		order := map[int64]int64{}
		for _, e := range arrivals {
			order[e.time] = e.time + rng.Int64N(int64(10*time.Second)) // one that is younger by the bound comes after
		}
		slices.SortFunc(arrivals, func(a, b happening) int { return int(order[a.time] - order[b.time]) })
		for i := range arrivals {
			arrivals[i].partition = rng.IntN(partitions)
			arrivals[i].appended = start + int64(time.Hour)
		}
		for p := range partitions {
			arrivals = append(arrivals, happening{partition: p, appended: start + int64(time.Hour), time: start + int64(time.Hour), name: "end", user: "end"})
		}
		got := lines(final(t, drive(t, rng, build, partitions, arrivals, try%2 == 1).Sink))
		got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "h [12:5") })
		if want == nil {
			want = got
			require.Greater(t, len(want), 150)
		}
		require.Equal(t, want, got)
	}
}

// TestStateBeyondItsMemoryIsCountedAll has many more groups than memory.
func TestStateBeyondItsMemoryIsCountedAll(t *testing.T) {
	p := deliverytest.New(t, 2, one(t, `
max_out_of_orderness: 10s
max_memory_bytes: 1048576
aggregations:
  - name: h
    window: {type: hopping, size: 10m, slide: 5m}
    group_by: [user]
    values: [{function: count, as: c}, {function: count_distinct, field: page, as: pages}]
  - name: s
    window: {type: session, gap: 5m}
    group_by: [user]
    values: [{function: count, as: c}]
`))
	const users = 12_000
	rng := rand.New(rand.NewPCG(1, 9))
	now := at(t, "12:00:00")
	want := map[string]int{}
	for round := range 4 {
		ld := plog.NewLogs()
		for range 5000 {
			now += int64(10 * time.Millisecond)
			user := fmt.Sprintf("user-%d", rng.IntN(users))
			want[user]++
			newEvent(now, "e", "user="+user, fmt.Sprintf("page=p%d", rng.IntN(3))).ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
		}
		p.Append(uint32(round%2), now, ld)
		p.DeliverAll(2500)
		p.Checkpoint()
		if round == 2 {
			p.Crash()
		}
	}
	require.Less(t, now, at(t, "12:05:00"))
	for partition := range uint32(2) {
		p.Append(partition, at(t, "13:00:00"), newEvent(at(t, "13:00:00"), "end", "user=end"))
	}
	p.Settle(0)
	sessions, windows := map[string]int{}, map[string]int{}
	p.Sink.Each(func(_ *deliverytest.Batch, lr plog.LogRecord) {
		raw := lr.Attributes().AsRaw()
		switch lr.EventName() {
		case "s":
			sessions[raw["user"].(string)] += int(raw["c"].(int64))
		case "h":
			windows[raw["user"].(string)] += int(raw["c"].(int64))
		}
	})
	require.Len(t, want, len(sessions))
	require.True(t, maps.Equal(want, sessions))
	for user, n := range want {
		require.Equal(t, 2*n, windows[user], "an event falls into two windows")
	}
}
