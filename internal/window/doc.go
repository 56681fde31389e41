// SPDX-License-Identifier: Apache-2.0

// Package window aggregates events over windows of time: tumbling, hopping, rolling and session windows, by event time or by
// processing time, grouped by fields of the event. It is the engine of the window_aggregation processor.
//
// A Plan is compiled from Definitions and immutable. An Engine is the state of a Plan in one pipeline behind the log, and a
// delivery.Participant.
//
// # State
//
// State lies in internal/keyed, by partition of the log. Each aggregation has a table for each slice of time that has
// events: group key to accumulator (internal/aggregate). A slice is the time between two edges of windows, so that a
// tumbling window is one slice, and hopping windows share theirs: an event is counted once, whatever the number of windows it
// falls into. Windows are merged from slices when they close, in the order of partitions, then of slices. Session windows
// have one table for each aggregation: group key to the group's intervals, each with its accumulator. Rolling windows have slices too, and
// one result for each group: see rolling.go.
//
// Results of a stage before this one have a partition of their own. If that stage may emit a result more than once, the
// result's values are kept by result.id until the window closes, so that a later pane takes the place of an earlier one.
//
// # Closing
//
// At a checkpoint. A window is complete when the least watermark of all inputs has reached its end; it is dropped when nothing
// can be added to it any more, which is allowed_lateness later. An event counts unless it is late by its own partition's
// watermark, which is at or beyond the least one: so it never meets a window that was dropped.
//
// # What is the same at every replay
//
// What is decided for an event is a function of the records of its partition up to it: lateness, its slice, whether its
// group is one too many. What is emitted last for a result.id is a function of the records that count. How often a result is
// emitted before that depends on when checkpoints were, and is not promised.
package window
