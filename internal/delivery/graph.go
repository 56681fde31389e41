// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pipeline"
)

// What may stand behind the log, by type. They are allowed by list: what is not known to be synchronous, deterministic
// and idempotent breaks the promise silently, and only after a crash.
var (
	// Processors that hand on what they are given within the call, and the same for the same.
	allowedProcessors = []string{
		"memory_limiter", "pii_masking", "schema_validation", "sessionization", "window_aggregation", // ours, and core's that refuses
		"filter", "transform", // contrib's, without functions of clock and chance
	}
	// Exporters that store a token once, or that keep nothing.
	allowedExporters = []string{"clickhouse_events", "parquet", "nop", "debug"}
	// Connectors that hand on within the call.
	allowedConnectors = []string{"event_log", "forward", "routing", "window_metrics"}
	// Processors that acknowledge before they have handed on, or hold on to what they acknowledged: not before the log.
	refusedAtTheDoor = []string{"batch", "groupbytrace", "tail_sampling", "sessionization", "window_aggregation"}
)

// impure finds OTTL functions whose value is another at a replay.
var impure = regexp.MustCompile(`\b(Now|UUID|UUIDv7|RandomInt|Random)\(`)

// GraphError is one thing in the configuration that breaks the promise.
type GraphError struct {
	Pipeline string
	Path     string // of the component through pipelines, from the log or to it
	Reason   string
	Mend     string
}

func (e *GraphError) Error() string {
	return fmt.Sprintf("service::pipelines::%s: %s %s: %s", e.Pipeline, e.Path, e.Reason, e.Mend)
}

// graph is what the configuration says of pipelines.
type graph struct {
	root      map[string]any
	pipelines map[string]pipelineConfig
	log       string
	counting  map[string]string // window_metrics by the pipeline that leads to it
	errs      []error
}

type pipelineConfig struct{ receivers, processors, exporters []string }

// CheckGraph says what in the effective configuration breaks the promise of the log with that ID: before it, what
// acknowledges too early; behind it, what is not known to keep the promise. nil if nothing does.
func CheckGraph(conf *confmap.Conf, log component.ID) error {
	if conf == nil {
		return errors.New("the effective configuration is not known, so it cannot be checked: set guarantee: at_least_once to go without the check")
	}
	g := &graph{root: conf.ToStringMap(), pipelines: map[string]pipelineConfig{}, log: log.String(), counting: map[string]string{}}
	for id, p := range child(child(g.root, "service"), "pipelines") {
		m, _ := p.(map[string]any)
		g.pipelines[id] = pipelineConfig{texts(m["receivers"]), texts(m["processors"]), texts(m["exporters"])}
	}
	kafkas := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(g.pipelines)) {
		p := g.pipelines[id]
		if slices.Contains(p.receivers, g.log) {
			g.behind(id, map[string]string{}, nil)
		}
		if slices.Contains(p.exporters, g.log) {
			g.before(id, kafkas, nil)
		}
	}
	return errors.Join(g.errs...)
}

func (g *graph) fail(pipeline, path, reason, mend string) {
	g.errs = append(g.errs, &GraphError{pipeline, path, reason, mend})
}

// HandsOverBytes says whether the log is to hand its own bytes to the pipeline: if the first processor is one that reads them in
// place and passes nothing of them on, or there is none and nothing behind it but such a connector. For any other, what it would save is
// spent on decoding them elsewhere. What looks at memory alone may stand before it.
func HandsOverBytes(conf *confmap.Conf, id pipeline.ID) bool {
	if conf == nil {
		return false
	}
	root := conf.ToStringMap()
	p := child(child(child(root, "service"), "pipelines"), id.String())
	for _, name := range texts(p["processors"]) {
		switch typeOf(name) {
		case "memory_limiter":
			continue
		case "window_aggregation":
			passes, said := child(child(root, "processors"), name)["pass_events"]
			return !said || passes == false
		}
		return false
	}
	exporters := texts(p["exporters"])
	return len(exporters) == 1 && typeOf(exporters[0]) == "window_metrics"
}

// behind follows a pipeline from the log to its sinks. seen has the path on which each sink was met.
func (g *graph) behind(id string, seen map[string]string, trail []string) {
	p := g.pipelines[id]
	if slices.Contains(trail, id) {
		return // core refuses a circle
	}
	trail = append(trail, id)
	for _, name := range p.receivers {
		if _, isConnector := child(g.root, "connectors")[name]; !isConnector {
			g.fail(id, name, "brings events beside those of the log, under no name that a repetition has",
				"send them into the log, or give them a pipeline and an exporter of their own")
		}
	}
	for _, name := range p.processors {
		kind := typeOf(name)
		if kind == "sessionization" {
			g.sessionKey(id, name)
		}
		if !slices.Contains(allowedProcessors, kind) {
			g.fail(id, name, "is not known to be synchronous and deterministic, so a replay after a crash may differ",
				"move it before the log, leave it out, or give up the promise with connectors::"+g.log+"::guarantee: at_least_once")
		}
		if f := impureFunction(child(g.root, "processors")[name]); f != "" && (kind == "transform" || kind == "filter") {
			g.fail(id, name, "calls "+f+", which gives another value at a replay",
				"move it before the log, or leave the function out")
		}
	}
	for _, name := range p.exporters {
		kind := typeOf(name)
		if _, isConnector := child(g.root, "connectors")[name]; isConnector {
			if !slices.Contains(allowedConnectors, kind) {
				g.fail(id, name, "is not known to hand on within the call",
					"leave it out, or give up the promise with connectors::"+g.log+"::guarantee: at_least_once")
				continue
			}
			if kind == "event_log" {
				continue // the next log has a promise of its own
			}
			if kind == "window_metrics" {
				g.toMetrics(id, name)
				continue
			}
			for _, next := range slices.Sorted(maps.Keys(g.pipelines)) {
				if slices.Contains(g.pipelines[next].receivers, name) {
					g.behind(next, seen, trail)
				}
			}
			continue
		}
		if !slices.Contains(allowedExporters, kind) {
			g.fail(id, name, "is not known to store the same delivery once",
				"use clickhouse_events or parquet, or give up the promise with connectors::"+g.log+"::guarantee: at_least_once")
		}
		if other, twice := seen[name]; twice && kind != "nop" && kind != "debug" {
			g.fail(id, name, "is reached on two paths from one delivery (also "+other+")",
				"give each path an exporter of its own, such as "+kind+"/two")
		}
		seen[name] = id
	}
}

// before follows a pipeline from the log back to its receivers.
func (g *graph) before(id string, kafkas map[string]string, trail []string) {
	p := g.pipelines[id]
	if slices.Contains(trail, id) {
		return
	}
	trail = append(trail, id)
	for _, name := range p.processors {
		kind := typeOf(name)
		if slices.Contains(refusedAtTheDoor, kind) {
			mend := "leave it out: the log groups by itself"
			if kind == "sessionization" || kind == "window_aggregation" {
				mend = "move it behind the log, which keeps its state"
			}
			g.fail(id, name, "acknowledges or holds events before they are in the log", mend)
		}
	}
	for _, name := range p.receivers {
		if typeOf(name) == "kafka" {
			g.kafka(id, name, kafkas)
			continue
		}
		if _, isConnector := child(g.root, "connectors")[name]; isConnector && typeOf(name) != "event_log" {
			for _, previous := range slices.Sorted(maps.Keys(g.pipelines)) {
				if slices.Contains(g.pipelines[previous].exporters, name) {
					g.before(previous, kafkas, trail)
				}
			}
		}
	}
}

func impureFunction(config any) string {
	switch v := config.(type) {
	case string:
		return strings.TrimSuffix(impure.FindString(v), "(")
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if f := impureFunction(v[k]); f != "" {
				return f
			}
		}
	case []any:
		for _, e := range v {
			if f := impureFunction(e); f != "" {
				return f
			}
		}
	}
	return ""
}

func typeOf(name string) string {
	kind, _, _ := strings.Cut(name, "/")
	return kind
}

func child(m map[string]any, key string) map[string]any {
	c, _ := m[key].(map[string]any)
	return c
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprint(e))
	}
	return out
}
