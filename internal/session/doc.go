// SPDX-License-Identifier: Apache-2.0

// Package session finds the sessions in the events of each key: runs of events of which none is further than the gap from
// the one before, whatever the order in which they come.
//
// # What a session is
//
// An event joins the session that it lies in or within the gap of. An event that closes the gap between two joins them: the
// earlier one keeps its ID and absorbs the other's. A session ends before an event that a cut puts into the next one: one
// that would make it longer than the maximum, one on another day, one of a name or with a new value of a field
// that begins a session. The first two look at times alone, so the order of arrival does not matter to them, but for one case: two
// sessions that an event out of order would join to one that is too long stay two. The others look at what came so
// far: an event that is older than its session's last one cuts nothing.
//
// A session is over when its partition's watermark, less the allowed lateness, has passed its last event by more than the gap. No event
// that is not late can be within the gap of it by then (see package watermark). So what is annotated, and what the summary says, do not
// depend on when a checkpoint closes it. Its own partition's watermark, and not the least of all: a key's events are all in
// one partition, so that others can add nothing, and one that lags would keep all sessions in memory.
//
// # What is kept
//
// One value for each key: its sessions, oldest first, of which usually there is one. See value.go for the bytes. A closed session leaves its
// ID and its end behind until a next one can no longer name it as the previous.
package session
