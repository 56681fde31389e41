// SPDX-License-Identifier: Apache-2.0

// Package idindex remembers which event IDs the log holds, so that an event that comes again is acknowledged and not
// appended again. It does no I/O: the log feeds it what it has synced, and after a crash the same again.
//
// An ID is kept as a Fingerprint of 128 bits. Index holds the fingerprints within a horizon, in about 29 bytes each,
// and its answers are a function of what was inserted (ordinal, append time, ID) and of the time asked for, whatever
// the order of concurrent inserts was. Door puts appends under way in front of it:
//
//	c := door.Begin(fingerprints, now)
//	defer c.Abort(err)              // does nothing after Commit
//	append and sync the records whose verdict is Fresh, together with c.Fresh()
//	c.Commit(first, appended)
//	return c.Wait(ctx)              // for the syncs that hold the originals of Waiting records
//
// What holds, of all IDs acknowledged to anybody: each is in a successful append, and within the horizon in exactly
// one. For an ID is, at any moment, in the pending set or in the index or in neither, and Begin looks and claims under
// one lock; Commit inserts into the index and leaves the pending set under that lock, after the sync; Abort leaves it
// without inserting. So two appends of an ID are never under way at once, and a second one never begins while the
// first is known. A duplicate's sender hears yes from the index, which holds synced records only, or from Wait, after
// the Commit of the original. If the original's append fails, Wait returns an OriginalError, which is retryable.
//
// Requests that hold duplicates of each other do not wait in a circle: each commits its own Fresh records first, and
// Wait, which comes after, is the only thing that waits.
//
// Offsets is the same for Kafka's (topic, partition, offset), which need no fingerprints.
package idindex
