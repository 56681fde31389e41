// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"fmt"
	"maps"
	"slices"
)

// What may stand behind window_metrics. Points are outside of the promise of effectively once: a receiver has each at least once, and is
// to take a repeated one for what it is. So all that is asked is that nothing is acknowledged before it was sent, and that a
// repetition is the same.
var (
	allowedMetricProcessors = []string{"memory_limiter", "filter", "transform", "attributes", "resource"}
	allowedMetricExporters  = []string{"otlp", "otlp_grpc", "otlphttp", "otlp_http", "kafka", "nop", "debug"}
	allowedMetricConnectors = []string{"forward", "routing"}
)

// toMetrics checks what window_metrics hands its points to. id is the pipeline that leads to it.
func (g *graph) toMetrics(id, name string) {
	if other, twice := g.counting[name]; twice {
		g.fail(id, name, "is reached by two pipelines (also "+other+"), and keeps the state of one",
			"give each pipeline one of its own, such as window_metrics/two")
		return
	}
	g.counting[name] = id
	g.metricsOf(name, nil)
}

func (g *graph) metricsOf(connector string, trail []string) {
	for _, id := range slices.Sorted(maps.Keys(g.pipelines)) {
		p := g.pipelines[id]
		if !slices.Contains(p.receivers, connector) || slices.Contains(trail, id) {
			continue
		}
		for _, name := range p.processors {
			kind := typeOf(name)
			if !slices.Contains(allowedMetricProcessors, kind) {
				g.fail(id, name, "is not known to hand on points within the call",
					"leave it out: window_metrics makes batches by itself, or give up the promise with connectors::"+g.log+"::guarantee: at_least_once")
			}
			if f := impureFunction(child(g.root, "processors")[name]); f != "" && (kind == "transform" || kind == "filter") {
				g.fail(id, name, "calls "+f+", which gives another value at a replay", "leave the function out")
			}
		}
		for _, name := range p.exporters {
			kind := typeOf(name)
			_, isConnector := child(g.root, "connectors")[name]
			switch {
			case isConnector && slices.Contains(allowedMetricConnectors, kind):
				g.metricsOf(name, append(trail, id))
			case isConnector || !slices.Contains(allowedMetricExporters, kind):
				g.fail(id, name, "is not known to hand on points within the call",
					"use otlp_http or otlp_grpc, or give up the promise with connectors::"+g.log+"::guarantee: at_least_once")
			case queues(child(g.root, "exporters")[name]):
				g.fail(id, name, "acknowledges points before it has sent them, so a crash would lose them",
					fmt.Sprintf("set exporters::%s::sending_queue::enabled: false", name))
			}
		}
	}
}

// queues says whether the exporter has a queue that does not wait for the result. The effective configuration has one unless it was disabled.
func queues(config any) bool {
	c, _ := config.(map[string]any)
	q, _ := c["sending_queue"].(map[string]any)
	if len(q) == 0 || q["enabled"] == false {
		return false
	}
	return q["wait_for_result"] != true
}
