// SPDX-License-Identifier: Apache-2.0

package delivery

import "github.com/millrace/millrace/internal/event"

// Appends walks the records of a delivery that reached a component by the appends that they came with: when each was appended, and where
// an append is complete. One goroutine at a time.
type Appends struct {
	// From is the first position of the append of the last record: a component keeps it, so that it knows in the next delivery whether
	// that append goes on.
	From uint64

	runs    []Run
	unknown bool // which append a record came with
	run     int
	left    int // of the run
}

// Appends of the batch. from is what From was after the delivery before. Behind a processor of which it cannot be told which records it
// has left (see RunsOf), each record stands for an append at the time of the first.
func (d *Delivery) Appends(b event.Batch, from uint64) (*Appends, error) {
	runs, exact, err := d.RunsOf(b)
	if err != nil {
		return nil, err
	}
	if !exact {
		runs = []Run{{Records: b.Len(), Appended: d.FirstAppended}}
	}
	return &Appends{From: from, runs: runs, unknown: !exact, run: -1}, nil
}

// Next moves to the next record, and returns its append time. ended says that the append before it is complete, whose end a processor may
// have removed.
func (a *Appends) Next() (appended int64, ended bool) {
	for a.left == 0 && a.run+1 < len(a.runs) {
		a.run++
		a.left = a.runs[a.run].Records
		if r := &a.runs[a.run]; a.left > 0 && r.First != a.From {
			a.From, ended = r.First, true
		}
	}
	a.left--
	return a.runs[a.run].Appended, ended
}

// Ends says whether the record is the last of its append.
func (a *Appends) Ends() bool { return a.left == 0 && a.runs[a.run].Ends || a.unknown }

// Complete says whether the delivery's last append ends with it.
func (a *Appends) Complete() bool { return a.runs[len(a.runs)-1].Ends }
