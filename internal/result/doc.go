// SPDX-License-Identifier: Apache-2.0

// Package result is what stateful components emit: rows of tables that describe themselves.
//
// A result is an event. Its name is the component's, such as session.end; its attributes are result.id, pane.timing,
// pane.index and those that the table's columns name. Its instrumentation scope is called millrace/results and has the
// attribute result.table: the Table as JSON. So whoever stores results needs no registry, and a replay carries the
// definition that the results were emitted under.
//
// A result may come more than once: early, on time, and again when late events change it. Its result.id stays the same and
// its pane.index rises, so that the row with the highest one is the result. A sink that replaces by result.id needs to know
// nothing else to be idempotent.
//
// A sender at the door could claim that scope too, and with it any table. So sinks take for results only what a stage before
// them in the same process has made: see Accept.
package result
