// SPDX-License-Identifier: Apache-2.0

// Package keyed is the state of components behind the log: tables of key bytes to value bytes, by partition.
//
// # Contract
//
// A Space is one component's state in one pipeline. A partition's tables are one goroutine's at a time; partitions run side
// by side. Edits are made in place between Begin and the journal's Publish or Discard, and Discard undoes them: to
// the log a journal is a delivery.Overlay, without a second copy of what succeeds, which is nearly everything.
//
// A checkpoint writes what changed. Values are the same bytes in memory and on disk, in pages that the garbage collector
// does not look into: ten million keys are as cheap to it as ten.
//
// # How it is stored
//
// Each table is a sequence of chunks, numbered by checkpoint. A chunk holds the entries that changed since the one before,
// and, about as many bytes again, entries that did not: the next ones of a round through the table. When a round is
// done, all chunks from before its beginning are superseded and deleted. So a checkpoint costs twice what changed, whatever the
// size of the table, restoring reads about two tables' worth in sequence, and no key is looked up on disk to be written.
//
// Entries beyond Options.MaxBytes are spilled: see spill.go.
//
// Nothing that leaves a component may depend on the order in which a table is walked: the hash is seeded anew by every process.
package keyed
