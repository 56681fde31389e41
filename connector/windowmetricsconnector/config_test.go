// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func TestAConfigurationThatCannotBeIsRefusedWithItsMend(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		cfg, err := parseConfig(t, text)
		if want == "" {
			require.NoError(t, err)
			require.NoError(t, confmap.Validate(cfg))
			return
		}
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n")
		if cfg != nil {
			require.Equal(t, 1, strings.Count(confmap.Validate(cfg).Error(), "\n")+1, "it is said once: %v", confmap.Validate(cfg))
		}
	}
	one := func(fields string) string {
		return "aggregations:\n  - {name: orders, window: {type: tumbling, size: 1m}, " + fields + "}\n"
	}
	f(one(""), "")
	f(one("metrics: [{name: shop.orders}]"), "")
	f("resource: {service.name: shop, deployment.environment.name: prod}\n"+one(""), "")
	f("", "aggregations: is empty")
	f("max_series: 0\n"+one(""), "max_series: 0: use a number from 1")
	f("expire_after: 1s\n"+one(""), "expire_after: 1s: use at least 1m")
	f("max_out_of_orderness: -1s\n"+one(""), "max_out_of_orderness: -1s: use a time from 0s")
	f("resource: {'': x}\n"+one(""), "resource: an attribute has no name")
	f("aggregations: [{name: s, window: {type: session, gap: 1m}}]", `aggregations::0::window::type: "session" has no metrics, which are values at regular times: use tumbling or hopping`)
	f("aggregations: [{name: s, window: {type: tumbling}}]", "window::size")
	f(one("early: {every: 10s}"), "aggregations::0::early: a point cannot be taken back")
	f(one("table: {name: x}"), "aggregations::0::table: metrics have none")
	f(one("values: [{function: first, field: page}]"), "values: none is a number")
	f(one("metrics: [{name: 1st}]"), `aggregations::0::metrics::0::name: "1st": begin with a letter`)
	f(one("metrics: [{name: o, unit: é}]"), `metrics::0::unit: "é": use at most 63 ASCII`)
	f(one("metrics: [{name: o, value: x}]"), `metrics::0::value: "x" is none of the aggregation's: use one of [events]`)
	f(one("metrics: [{name: o, type: histogram}]"), `metrics::0::type: "histogram" is not known: use gauge, counter or up_down_counter`)
	f(one("values: [{function: count}, {function: avg, field: x}], metrics: [{name: o}]"), "value: is empty: name one of the values [count avg_x]")
	f(one("values: [{function: avg, field: x}], metrics: [{name: o, type: counter}]"), "type: counter of avg does not add up over windows: use gauge")
	f(one("values: [{function: first, field: x}], metrics: [{name: o}]"), "value: first_x of first is no number")
	f(one("metrics: [{name: o}, {name: o}]"), `aggregations::0::metrics: "o" is another one's name`)
	f("aggregations: [{name: h, window: {type: hopping, size: 2m, slide: 1m}, metrics: [{name: o, type: counter}]}]", "would count an event several times")
	f("aggregations: [{name: a b, window: {type: tumbling, size: 1m}}]", `name: "a b" cannot begin`)
	f(one("metric: []"), "did you mean metrics?")
}
