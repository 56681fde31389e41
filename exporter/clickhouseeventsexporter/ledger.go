// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/delivery"
)

// ledger counts the blocks that this process has sent to a table and that a pipeline's checkpoint has not passed, so that
// the table never forgets an INSERT that may come again: the log is asked for a checkpoint early, and an INSERT that would
// push out another's token waits for it.
//
// A crash empties it. What was sent before the crash is found out from the table's own count of blocks: see
// run.forgotten.
type ledger struct {
	mu       sync.Mutex // guards what is below; any goroutine
	reserved uint64     // how many times blocks were
	// open has the pipelines with blocks that no checkpoint has passed.
	open map[delivery.Coordinator]*opened
}

type opened struct {
	checkpoint uint64 // the last one when the first block was sent
	since      uint64 // the reservation of that block
	blocks     uint64 // sent since then, by all pipelines
	only       delivery.Identity
	many       bool // other deliveries than that one have sent since
	requested  bool
	refused    time.Time // since when INSERTs wait for this pipeline; zero if none does
}

// ledgers of the process, by the table: several exporters can write into one.
var ledgers = struct {
	sync.Mutex
	of map[string]*ledger
}{of: map[string]*ledger{}}

// ledgerOf returns the ledger of a table, named by endpoint, database and name.
func ledgerOf(table string) *ledger {
	ledgers.Lock()
	defer ledgers.Unlock()
	l := ledgers.of[table]
	if l == nil {
		l = &ledger{open: map[delivery.Coordinator]*opened{}}
		ledgers.of[table] = l
	}
	return l
}

// maxWait is how long INSERTs wait for a pipeline that cannot make a checkpoint, because it is blocked or its other sink
// is away. Then they go on, since the table can be asked for rows by their token.
const maxWait = time.Minute

var errWindow = errors.New("the table would forget INSERTs that the event log may repeat: waiting for a checkpoint")

// reserve notes blocks that are about to be sent, and asks for checkpoints. It returns the reservation's number.
// askable says that the table can be asked for rows by their token.
func (l *ledger) reserve(c delivery.Coordinator, id delivery.Identity, blocks, budget uint64, askable bool, now time.Time) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var waits error
	for other, o := range l.open {
		if o.checkpoint != other.Checkpoint() {
			delete(l.open, other)
			continue
		}
		if o.blocks+blocks > budget/4 && !o.requested {
			o.requested = true
			other.RequestCheckpoint()
		}
		if o.blocks+blocks <= budget {
			o.refused = time.Time{}
			continue
		}
		if o.refused.IsZero() {
			o.refused = now
		}
		if !askable || now.Sub(o.refused) < maxWait {
			waits = fmt.Errorf("%w: %d blocks since the last one, %d to come, %d remembered", errWindow, o.blocks, blocks, budget)
		}
	}
	if waits != nil {
		return 0, waits
	}
	l.reserved++
	if o := l.open[c]; o == nil {
		l.open[c] = &opened{checkpoint: c.Checkpoint(), since: l.reserved, only: id}
	} else if o.only != id {
		o.many = true
	}
	for _, o := range l.open {
		o.blocks += blocks
	}
	return l.reserved, nil
}

// correct puts what an INSERT was found to have made in the place of what was reserved.
func (l *ledger) correct(reservation, reserved, made uint64) {
	if made == reserved {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.open {
		if o.since <= reservation {
			o.blocks += made - reserved
		}
	}
}

// settled notes that a plan is durable by which the delivery does not repeat what it has sent so far.
func (l *ledger) settled(c delivery.Coordinator, id delivery.Identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.open[c]; o != nil && o.only == id && !o.many {
		delete(l.open, c)
	}
}

// leave forgets a pipeline. Its exporter is shut down, and with it the pipeline.
func (l *ledger) leave(c delivery.Coordinator) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}
