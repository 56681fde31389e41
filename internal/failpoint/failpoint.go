// SPDX-License-Identifier: Apache-2.0

// Package failpoint ends the process at a named step, so that a test from outside can crash Millrace between any
// two steps that must survive it: MILLRACE_FAILPOINT=log.append.synced:3 kills the process, with SIGKILL, when it
// reaches that step for the third time. Without the variable a step costs one load of a nil pointer.
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable is the environment variable that arms one step, as NAME or NAME:COUNT.
const Variable = "MILLRACE_FAILPOINT"

// The steps, in the order in which an event passes them. `before` is before the effect, `after` is after it.
const (
	AppendWritten    = "log.append.written"      // frames are in the file, not synced
	AppendSynced     = "log.append.synced"       // frames are synced, nobody is told
	AppendAcked      = "log.append.acknowledged" // the sender is about to be told
	SegmentCreated   = "log.segment.created"     // a new segment is there, empty
	SegmentSealed    = "log.segment.sealed"      // a segment's IDs are in their own file
	SegmentRemoved   = "log.segment.removed"     // retention removed a segment
	DeliveryRecorded = "delivery.recorded"       // the range is durable, not handed out
	DeliveryDone     = "delivery.done"           // every sink has acknowledged, nothing is published
	CheckpointBefore = "checkpoint.before"       // drained, nothing committed
	CheckpointAfter  = "checkpoint.after"        // committed, nothing said
	OutboxBefore     = "outbox.before"           // about to send results that a checkpoint emitted
	OutboxAfter      = "outbox.after"            // every sink has acknowledged them, nothing is published
	PlanBound        = "insert.bound"            // the plan is durable, nothing inserted
	InsertBefore     = "insert.before"           // about to send the INSERT
	InsertAfter      = "insert.after"            // acknowledged by ClickHouse, nobody is told
	BisectBound      = "insert.bisect.bound"     // a split is durable, no half inserted
	StageWritten     = "parquet.stage.written"   // rows are synced, not noted
	StageNoted       = "parquet.stage.noted"     // noted, nobody is told
	PartWritten      = "parquet.part.written"    // a row group is encoded, not noted
	FilePlanned      = "parquet.file.planned"    // a file is decided, not made
	FileWritten      = "parquet.file.written"    // made, not in the store
	FilePut          = "parquet.file.put"        // in the store, not noted
	CataloguePut     = "parquet.catalogue.put"   // the catalogue has it, not noted
)

// Names lists every step, for the harness that tries them all.
var Names = []string{
	AppendWritten, AppendSynced, AppendAcked, SegmentCreated, SegmentSealed, SegmentRemoved, DeliveryRecorded, DeliveryDone,
	CheckpointBefore, CheckpointAfter, OutboxBefore, OutboxAfter, PlanBound, InsertBefore, InsertAfter, BisectBound,
	StageWritten, StageNoted, PartWritten, FilePlanned, FileWritten, FilePut, CataloguePut,
}

type point struct {
	name string
	left atomic.Int64 // any goroutine
}

var armed = parse(os.Getenv(Variable))

func parse(s string) *point {
	if s == "" {
		return nil
	}
	name, count, _ := strings.Cut(s, ":")
	p := &point{name: name}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		n = 1
	}
	p.left.Store(n)
	return p
}

// Reach marks the step. It does not return if the step is armed and its count has run out.
func Reach(name string) {
	if armed == nil || armed.name != name || armed.left.Add(-1) != 0 {
		return
	}
	kill()
}

// kill is what a test of this package replaces.
var kill = func() {
	// SIGKILL, not os.Exit: nothing of ours may run any more.
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
