// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package windowmetricsconnector aggregates events over windows of time and hands the results on as metrics. What counts
// where, and when a window closes, is in internal/window, as for the window_aggregation processor.
//
// The way of a result: the engine closes a window within a checkpoint and writes rows; rows.go reads them; totals.go makes points
// of them, and adds up those of counters in state of its own; points.go writes them as OTLP, which goes into the outbox of the same checkpoint and
// from there, by participant.go, to the metrics pipelines.
package windowmetricsconnector
