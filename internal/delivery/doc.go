// SPDX-License-Identifier: Apache-2.0

// Package delivery is how what is in the event log reaches sinks: each event counted once, whatever crashes when.
//
// # The contract, by who reads it
//
// A sink, such as an exporter, finds a *Delivery on its context (FromContext). It calls Claim once, stores the records
// under d.ID.Token(table) so that a second time changes nothing, and returns nil when they are durable. If it decides
// anything that a repetition must not decide otherwise (a schema to map by, a split into halves), it Binds that decision
// before acting on it, and follows what Plan returns.
//
// A stateful component reads its records from the delivery's Batch, which may be the log's own bytes: valid until the call
// returns. It Enrols with the delivery's Coordinator, applies the records to an Overlay of its state, Stages
// the overlay and passes the records on. It never changes its state itself: the log publishes the overlays of all
// components once the whole call has returned nil, or discards them. At a Checkpoint it writes what changed and emits
// the results that became due. It is a function of what it is given: no wall clock, no map order, no random number.
//
// The log (connector event_log) runs one Consumer for each pipeline behind it.
//
// # What a Consumer does
//
// For each partition one delivery at a time: gather a range of positions, record it durably, load it, hand it to the
// pipeline, and again on an error, without end. When all of the call has returned nil, publish the overlays.
// From time to time, and when asked, a checkpoint: wait until every partition is between two attempts; ask the components
// for their changes and results; commit changes, results (the outbox), positions and the deletion of what was passed in
// one atomic, synced write; send the outbox until it is acknowledged; go on.
//
// # Why nothing is lost and nothing counted twice
//
// Take the state that the last checkpoint committed: positions P, component state S, outbox O. Claim: whatever happens
// after it, a process that starts from (P, S, O) brings every sink and every component's state to where a process that
// never failed would have brought them.
//
//  1. O is sent again, the same bytes under the same identities: they are in the commit. A sink that has them changes nothing.
//  2. After P the same deliveries come again: a range is recorded before anyone sees it and deleted only by the checkpoint
//     that passes it, and restoreSpans hands out recorded ranges before it gathers new ones. The log shows the same records
//     at the same positions, since it keeps what no checkpoint has passed. So each identity carries equal records.
//  3. By induction over the deliveries of a partition, each component sees what it saw before, on a state that is what it
//     was before: S at first, then what its overlays made of it. Ticks are in the log, at their positions. So it
//     makes the same annotations, and a sink gets equal rows under an equal token: it changes nothing, or stores now what
//     it did not have. Whatever it decided in between is in its plan, which lives as long as the range.
//  4. A component's state counts a record once: an overlay is published once, when all of the call is done, and everything
//     that is published is forgotten together with the position in a crash, or committed together with it.
//     An attempt that fails publishes nothing, in no stage: hence the log publishes and never the component (an inner
//     stage would count a delivery that an outer one has yet to fail).
//  5. Nothing is lost: positions move only past ranges that were published, and results leave the outbox only when they
//     are acknowledged.
//
// Partitions run side by side: their states do not meet (5 in the design), and what joins them, a checkpoint, happens
// when all stand still.
//
// What it takes from others: the log keeps and orders what it acknowledged (internal/segmentlog); Commit is atomic and durable
// (internal/state); sinks take a token once, for as long as deliveries since the last checkpoint may come again
// (see RequestCheckpoint); components are deterministic (CheckGraph refuses those that are not known to be).
//
// The model test runs a chain of two stateful stages and a fan-out of two sinks through random schedules of deliveries,
// failures, full disks and crashes around every commit, and compares with a model that never fails.
package delivery
