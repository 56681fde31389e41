// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/connector/windowmetricsconnector/internal/metadata"
	"github.com/millrace/millrace/internal/delivery/deliverytest"
)

const orders = `
max_out_of_orderness: 0s
aggregations:
  - name: orders
    window: {type: tumbling, size: 1m}
    events: [order]
    group_by: [country]
    values:
      - {function: count, as: orders}
      - {function: sum, field: total, as: revenue}
      - {function: max, field: total, as: most}
    metrics:
      - {name: shop.orders, value: orders, unit: "{order}"}
      - {name: shop.revenue, value: revenue, type: counter, unit: "{EUR}"}
      - {name: shop.order.max, value: most}
`

func text(lines ...string) string { return strings.Join(lines, "\n") }

func TestACounterIsTheTotalOfAllWindowsAndAGaugeTheValueOfOne(t *testing.T) {
	b := newBench(t, 1, orders)
	b.event("12:00:10", "order", "country", "DE", "total", 10.5)
	b.event("12:00:50", "order", "country", "DE", "total", 2.0)
	b.event("12:00:55", "order", "country", "FR", "total", 7.0)
	b.event("12:00:56", "view", "country", "DE")
	require.Empty(t, b.came(), "the window is open")
	b.event("12:01:30", "order", "country", "DE", "total", 1.0)
	require.Equal(t, text(
		"12:00:00 counter shop.orders{country=DE} 0 since 12:00:00",
		"12:01:00 counter shop.orders{country=DE} 2 since 12:00:00",
		"12:00:00 counter shop.orders{country=FR} 0 since 12:00:00",
		"12:01:00 counter shop.orders{country=FR} 1 since 12:00:00",
		"12:00:00 counter shop.revenue{country=DE} 0 since 12:00:00",
		"12:01:00 counter shop.revenue{country=DE} 12.5 since 12:00:00",
		"12:00:00 counter shop.revenue{country=FR} 0 since 12:00:00",
		"12:01:00 counter shop.revenue{country=FR} 7 since 12:00:00",
		"12:01:00 gauge shop.order.max{country=DE} 10.5",
		"12:01:00 gauge shop.order.max{country=FR} 7",
	), b.came())
	b.event("12:05:00", "view")
	require.Equal(t, text(
		"12:02:00 counter shop.orders{country=DE} 3 since 12:00:00",
		"12:05:00 counter shop.orders{country=DE} 3 since 12:00:00",
		"12:05:00 counter shop.orders{country=FR} 1 since 12:00:00",
		"12:02:00 counter shop.revenue{country=DE} 13.5 since 12:00:00",
		"12:05:00 counter shop.revenue{country=DE} 13.5 since 12:00:00",
		"12:05:00 counter shop.revenue{country=FR} 7 since 12:00:00",
		"12:02:00 gauge shop.order.max{country=DE} 1",
	), b.came(), "a total stands still where nothing came; a gauge has no point then")
	b.event("12:05:30", "view")
	require.Empty(t, b.came(), "no window has ended since")
	b.Restart()
	b.event("12:06:00", "order", "country", "FR", "total", 3.0)
	b.event("12:07:00", "view")
	require.Equal(t, text(
		"12:07:00 counter shop.orders{country=FR} 2 since 12:00:00",
		"12:07:00 counter shop.orders{country=DE} 3 since 12:00:00",
		"12:07:00 counter shop.revenue{country=FR} 10 since 12:00:00",
		"12:07:00 counter shop.revenue{country=DE} 13.5 since 12:00:00",
		"12:07:00 gauge shop.order.max{country=FR} 3",
	), b.came())
}

func TestAnEventThatIsLateCountsNowhere(t *testing.T) {
	b := newBench(t, 1, orders)
	b.event("12:02:00", "order", "country", "DE", "total", 1.0)
	b.event("12:00:30", "order", "country", "DE", "total", 1.0)
	b.event("12:03:00", "view")
	require.Contains(t, b.came(), "12:03:00 counter shop.orders{country=DE} 1 since 12:02:00")
	require.Len(t, b.sink.lines, 5)
}

func TestATotalBeginsAnewWhenItsSeriesHadNoEventsForLong(t *testing.T) {
	b := newBench(t, 1, "expire_after: 10m\n"+orders)
	b.event("12:00:10", "order", "country", "DE", "total", 1.0)
	b.event("12:05:00", "order", "country", "FR", "total", 1.0)
	b.event("12:10:59", "view")
	require.Contains(t, b.came(), "12:10:00 counter shop.orders{country=DE} 1 since 12:00:00")
	b.event("12:11:00", "view")
	came := b.came()
	require.NotContains(t, came, "DE")
	require.Contains(t, came, "12:11:00 counter shop.orders{country=FR} 1 since 12:05:00")
	b.event("12:12:30", "order", "country", "DE", "total", 1.0)
	b.event("12:13:00", "view")
	require.Contains(t, b.came(), text(
		"12:12:00 counter shop.orders{country=DE} 0 since 12:12:00",
		"12:13:00 counter shop.orders{country=DE} 1 since 12:12:00",
	))
}

func TestSeriesBeyondALimitCountInOneOfTheirOwn(t *testing.T) {
	b := newBench(t, 1, "max_series: 2\n"+strings.Replace(orders, "group_by", "cardinality_limit: 3\n    group_by", 1))
	for _, country := range []string{"A", "B", "C", "D", "E"} { // D and E are beyond the engine's limit, C beyond that of totals
		b.event("12:00:10", "order", "country", country, "total", 1.0)
	}
	b.event("12:01:00", "order", "country", "F", "total", 1.0)
	b.event("12:02:00", "view")
	came := b.came()
	require.Contains(t, came, text(
		"12:00:00 counter shop.orders{otel.metric.overflow=true} 0 since 12:00:00",
		"12:01:00 counter shop.orders{otel.metric.overflow=true} 3 since 12:00:00",
	))
	require.Contains(t, came, "12:02:00 counter shop.orders{otel.metric.overflow=true} 4 since 12:00:00")
	require.Contains(t, came, "12:01:00 gauge shop.order.max{country=C} 1", "a gauge keeps nothing, so the window's own limit is its only one")
	require.Contains(t, came, "12:01:00 gauge shop.order.max{otel.metric.overflow=true} 1")
}

func TestAnEmptyTextIsTheSeriesOfAMissingValue(t *testing.T) {
	b := newBench(t, 1, `
max_out_of_orderness: 0s
aggregations:
  - name: orders
    window: {type: tumbling, size: 1m}
    group_by: [country]
    values:
      - {function: count, as: orders}
      - {function: sum, field: total, as: revenue}
      - {function: max, field: total, as: most}
      - {function: min, field: total, as: least}
      - {function: avg, field: total, as: mean}
`)
	b.event("12:00:10", "order", "country", "", "total", 3.0)
	b.event("12:00:20", "order", "total", 1.0)
	b.event("12:00:30", "order", "total", 5.0)
	b.event("12:01:00", "order")
	require.Equal(t, text(
		"12:00:00 counter orders.orders{} 0 since 12:00:00",
		"12:01:00 counter orders.orders{} 3 since 12:00:00",
		"12:01:00 gauge orders.revenue{} 9",
		"12:01:00 gauge orders.most{} 5",
		"12:01:00 gauge orders.least{} 1",
		"12:01:00 gauge orders.mean{} 3",
	), b.came())
	require.EqualValues(t, 1, b.counted("otelcol_connector_window_metrics_dropped_points", "reason", "same_series"), "two means make none")
}

func TestWhatIsNoPointIsCounted(t *testing.T) {
	b := newBench(t, 1, orders)
	b.event("12:00:10", "order", "country", "DE", "total", -2.0)
	b.event("12:00:10", "order", "country", "FR")
	b.event("12:00:10", "order", "country", "IT", "total", math.MaxFloat64)
	b.event("12:00:10", "order", "country", "IT", "total", math.MaxFloat64)
	b.event("12:01:00", "view")
	came := b.came()
	require.NotContains(t, came, "revenue{country=DE}", "a counter does not fall")
	require.NotContains(t, came, "max{country=FR}", "there is no greatest of nothing")
	require.NotContains(t, came, "Inf")
	require.EqualValues(t, 1, b.counted("otelcol_connector_window_metrics_dropped_points", "reason", "negative"))
	require.EqualValues(t, 4, b.counted("otelcol_connector_window_metrics_events", "outcome", "counted"))
	require.EqualValues(t, 3, b.counted("otelcol_connector_window_metrics_series", "metric", "shop.orders"))
}

func TestAnUpDownCounterFalls(t *testing.T) {
	b := newBench(t, 1, strings.Replace(orders, "type: counter", "type: up_down_counter", 1))
	b.event("12:00:10", "order", "country", "DE", "total", 5.0)
	b.event("12:01:10", "order", "country", "DE", "total", -7.0)
	b.event("12:02:00", "view")
	require.Contains(t, b.came(), text(
		"12:01:00 up_down shop.revenue{country=DE} 5 since 12:00:00",
		"12:02:00 up_down shop.revenue{country=DE} -2 since 12:00:00",
	))
}

func TestHoppingWindowsAreGauges(t *testing.T) {
	b := newBench(t, 1, `
max_out_of_orderness: 0s
aggregations:
  - name: views
    window: {type: hopping, size: 2m, slide: 1m}
    metrics: [{name: web.views, unit: "{view}"}]
`)
	b.event("12:00:10", "view")
	b.event("12:01:10", "view")
	b.event("12:04:00", "view")
	require.Equal(t, text(
		"12:01:00 gauge web.views{} 1",
		"12:02:00 gauge web.views{} 2",
		"12:03:00 gauge web.views{} 1",
	), b.came())
}

func TestACounterGoesOnWhenItsAggregationIsChanged(t *testing.T) {
	b := newBench(t, 1, orders)
	b.event("12:00:10", "order", "country", "DE", "total", 1.0)
	b.event("12:01:10", "order", "country", "DE", "total", 2.0)
	require.Contains(t, b.came(), "12:01:00 counter shop.orders{country=DE} 1")
	b.configure(strings.Replace(orders, "events: [order]", "events: [order, purchase]", 1))
	b.Crash()
	b.event("12:01:20", "purchase", "country", "DE", "total", 4.0)
	b.event("12:02:00", "view")
	require.Equal(t, text(
		"12:02:00 counter shop.orders{country=DE} 3 since 12:00:00",
		"12:02:00 counter shop.revenue{country=DE} 7 since 12:00:00",
		"12:02:00 gauge shop.order.max{country=DE} 4",
	), b.came(), "totals have what was counted before; the gauge only what came since")
	b.configure(strings.Replace(orders, "shop.orders", "shop.purchases", 1))
	b.Crash()
	b.event("12:02:20", "order", "country", "DE", "total", 4.0)
	b.event("12:03:00", "view")
	require.Contains(t, b.came(), text(
		"12:02:00 counter shop.purchases{country=DE} 0 since 12:02:00",
		"12:03:00 counter shop.purchases{country=DE} 1 since 12:02:00",
	), "a counter of another name is another one")
}

func TestALogThatIsReadAnewIsAnotherInstance(t *testing.T) {
	b := newBench(t, 1, orders)
	b.event("12:00:10", "order", "country", "DE", "total", 1.0)
	b.event("12:01:00", "view")
	b.came()
	require.Len(t, b.sink.last, 3)
	require.NoError(t, b.Consumer.Reset(func(uint32) (uint64, error) { return 0, nil }))
	b.event("12:02:00", "view")
	require.Contains(t, b.came(), "12:01:00 counter shop.orders{country=DE} 1 since 12:00:00")
	require.Len(t, b.sink.last, 6, "no series has points of both")
}

func TestWhatTheReceiverRefusesForGoodDoesNotHoldUpWhatFollows(t *testing.T) {
	f := func(err error, dropped bool) {
		t.Helper()
		b := newBench(t, 1, orders)
		tries := 0
		b.sink.fail = func() (error, error) {
			if tries++; tries < 4 {
				return err, nil
			}
			return nil, nil
		}
		b.event("12:00:10", "order", "country", "DE", "total", 1.0)
		b.event("12:01:00", "view")
		b.came()
		if dropped {
			require.Equal(t, 1, tries)
			require.EqualValues(t, 5, b.counted("otelcol_connector_window_metrics_dropped_points", "reason", "refused"))
		} else {
			require.Equal(t, 4, tries, "it is sent until it is taken")
			require.Len(t, b.sink.lines, 5)
		}
	}
	refuse := func(c codes.Code) error { return consumererror.NewPermanent(status.Error(c, "no")) }
	f(refuse(codes.InvalidArgument), true)
	f(errors.Join(refuse(codes.InvalidArgument), refuse(codes.InvalidArgument)), true)
	f(refuse(codes.Unauthenticated), false)
	f(status.Error(codes.InvalidArgument, "not permanent"), false)
	f(errors.Join(refuse(codes.InvalidArgument), errors.New("away")), false)
	f(errors.New("away"), false)
}

func TestItNeedsALogBeforeIt(t *testing.T) {
	cfg, err := parseConfig(t, orders)
	require.NoError(t, err)
	c, err := NewFactory().CreateLogsToMetrics(t.Context(), connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), nil))
	require.NoError(t, c.ConsumeLogs(t.Context(), plog.NewLogs()), "such as a stage's declaration")
	err = c.ConsumeLogs(t.Context(), newEvent(1, "order"))
	require.ErrorContains(t, err, "window_metrics needs an event_log before it")
	require.True(t, consumererror.IsPermanent(err))
	require.NoError(t, c.Shutdown(context.Background()))
}

var _ component.Component = (*windowMetrics)(nil)

// counted is the value of a metric of the connector's own that has the attribute.
func (b *bench) counted(name, key, value string) (n int64) {
	b.t.Helper()
	m, err := b.telemetry.GetMetric(name)
	require.NoError(b.t, err)
	points := []metricdata.DataPoint[int64]{}
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		points = data.DataPoints
	case metricdata.Gauge[int64]:
		points = data.DataPoints
	}
	for _, p := range points {
		for _, a := range p.Attributes.ToSlice() {
			if string(a.Key) == key && a.Value.AsString() == value {
				n += p.Value
			}
		}
	}
	return n
}

func TestAttributesAreTheFieldsUnderTheirOwnNames(t *testing.T) {
	b := newBench(t, 1, `
max_out_of_orderness: 0s
aggregations:
  - name: events
    window: {type: tumbling, size: 1m}
    group_by: [event.name, event.source, tenant.id, "user.id|enduser.pseudo.id", {field: cart.items, type: integer}, {field: vip, type: boolean, as: is_vip}, {field: score, type: number}]
`)
	ld := newEvent(clock(t, "12:00:10"), "order", "user.id", "u1", "cart", map[string]any{"items": 3}, "vip", true, "score", 1.5)
	resource := ld.ResourceLogs().At(0).Resource().Attributes()
	resource.PutStr("tenant.id", "shop")
	resource.PutStr("service.name", "web")
	b.Append(0, clock(t, "12:00:10"), ld)
	b.event("12:01:00", "order")
	require.Contains(t, b.came(), "12:01:00 counter events.events{cart.items=3,event.name=order,event.source=web,is_vip=true,score=1.5,tenant.id=shop,user.id=u1} 1")
}

func TestTwoPipelinesNeedTwoConnectors(t *testing.T) {
	b := newBench(t, 1, orders)
	b.event("12:00:10", "order")
	b.came()
	other := deliverytest.New(t, 1, func(consumer.Logs) (consumer.Logs, []component.Component) { return b.connector, nil })
	other.Append(0, clock(t, "12:00:10"), newEvent(clock(t, "12:00:10"), "order"))
	_, err := other.Attempt(0, 1)
	require.ErrorContains(t, err, "window_metrics is behind two logs, or twice behind one: give each pipeline one of its own, such as window_metrics/two")
}

func TestManyPointsAreSentInBatches(t *testing.T) {
	b := newBench(t, 1, strings.Replace(orders, "group_by", "cardinality_limit: 100000\n    group_by", 1))
	const groups = 4000
	for i := range groups {
		b.event("12:00:10", "order", "country", strconv.Itoa(i), "total", 1.0)
	}
	b.event("12:01:00", "view")
	b.came()
	require.Len(t, b.sink.lines, 5*groups, "two counters with a zero each, and a gauge")
	require.Len(t, b.sink.batches, 5*groups/batchPoints)
}
