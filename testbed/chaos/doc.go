// SPDX-License-Identifier: Apache-2.0

// Package chaos breaks a running collector in every way that its guarantee names, under load, and then holds what
// ClickHouse has, and what the lake of Parquet files has, against what was acknowledged, event for event: lost, duplicated
// and altered must all be 0 in both. All the while a reader lists the lake every 50 ms and opens what appears: a file that
// cannot be read, that changes, or that vanishes is a fault (package testbed/lake).
//
// It runs the real binary from the quickstart's configuration, with the small numbers of config.go over it, so that within
// seconds segments are sealed and removed, checkpoints are made and bad rows are looked for by halves. A phase is one way to
// break it, on data of its own:
//
//	kills           SIGKILL at random moments and at every step of internal/failpoint; once with the ClickHouse engine as the
//	                collector's child, which dies with it, and once as a process of its own, which lives on with an
//	                INSERT that nobody knows the outcome of
//	results         the same kills again, with sessions and windows of every kind behind a log that keeps everything
//	engine          SIGKILL of ClickHouse alone, and of both, in any order
//	disk            the disk of log, state and lake full, at a kill too
//	lake's disk     the disk of the lake full, then that of what is staged, at a kill too
//	store           the lake is a bucket of a MinIO that is killed, stopped and frozen, the collector killed in between
//	tail            the log's end torn: what was being written is cut off, what was acknowledged is refused if it is damaged
//	freeze          SIGSTOP of the collector and of ClickHouse, so that senders and INSERTs are repeated while the first
//	                attempt is still under way
//
// The load never stops for that: senders repeat until they are acknowledged, and send some events twice on purpose.
//
// Where sessions and windows are compared (results, engine, freeze), the stream ends with events that let everything be over, and a second
// collector consumes a copy of the log, undisturbed: from an empty state store, in other deliveries, with other checkpoints and more memory, into
// other tables. Then every row of both is compared, in both directions: events with what they were annotated with, sessions, and windows in their
// last pane; and what the lake's pipeline has found for itself. Both runs might err alike, so sessions and minutes are counted
// anew from the rows of events as well.
package chaos
