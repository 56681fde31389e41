// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/millrace/millrace/internal/delivery"
)

// ledger counts the blocks that this process has sent to a table and that a pipeline's checkpoint has not passed, so that
// the table never forgets an INSERT that may come again: the log is asked for a checkpoint early, and an INSERT that would
// push out another's token waits for it.
//
// An INSERT that is repeated counts once: however often a delivery comes again while a view, a disk or a branch beside
// this one is to be mended, what it is counted for does not grow, so that it can never be held back by itself.
//
// A crash empties it. What was sent before the crash is found out from the table's own count of blocks: see
// run.forgotten.
type ledger struct {
	mu   sync.Mutex // guards what is below; any goroutine
	sent uint64     // blocks, of all pipelines: those that are under way as many as they can be
	// open has the pipelines with blocks that no checkpoint has passed.
	open map[delivery.Coordinator]*opened
}

type opened struct {
	checkpoint uint64 // the last one that was seen
	base       uint64 // ledger.sent then
	// done is ledger.sent before the first block of the deliveries that are done, if any is: the next checkpoint passes them.
	done    uint64
	anyDone bool
	// latest is the last delivery of each partition. It may come again, through checkpoints too, until one has passed it.
	latest    map[source]*latest
	requested bool
	refused   time.Time // since when INSERTs wait for this pipeline; zero if none does
}

// insertion is what an INSERT is for.
type insertion struct {
	c     delivery.Coordinator
	by    component.ID // the exporter: two of one pipeline can write into the table
	id    delivery.Identity
	token string
}

// source is where deliveries come from one after the other.
type source struct {
	by        component.ID
	partition uint32
	stage     string
}

func (i *insertion) source() source { return source{i.by, i.id.Partition, i.id.Stage} }

type latest struct {
	id delivery.Identity
	// tokens are the INSERTs that it may send again.
	tokens map[string]*reservation
	from   uint64 // the least of theirs
	// begun says that nobody had a plan for it before this process, so that nothing was sent of it but tokens.
	begun bool
}

type reservation struct {
	from   uint64 // ledger.sent when it was sent first
	at     uint64 // and when its blocks were counted last
	blocks uint64
	stored bool // the server has acknowledged it
}

// from is ledger.sent before the first block that may come again, or now's if none may.
func (o *opened) from(now uint64) uint64 {
	if o.anyDone {
		now = min(now, o.done)
	}
	for _, d := range o.latest {
		if len(d.tokens) > 0 {
			now = min(now, d.from)
		}
	}
	return now
}

// finish notes that a delivery does not come again after the next checkpoint.
func (o *opened) finish(d *latest) {
	if len(d.tokens) > 0 && (!o.anyDone || d.from < o.done) {
		o.done, o.anyDone = d.from, true
	}
}

// look forgets what the pipeline's checkpoints have passed, and says whether anything is left.
func (l *ledger) look(c delivery.Coordinator, o *opened) bool {
	if checkpoint := c.Checkpoint(); o.checkpoint != checkpoint {
		o.checkpoint, o.base, o.anyDone, o.requested = checkpoint, l.sent, false, false
		for s, d := range o.latest {
			// An outbox is sent before the next checkpoint, as a whole.
			if s.stage != "" || c.Committed(s.partition) > d.id.First {
				delete(o.latest, s)
			}
		}
	}
	return o.anyDone || len(o.latest) > 0
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

// reserve notes blocks of an INSERT that is about to be sent, and asks for checkpoints. askable says that the table can be
// asked for rows by their token.
func (l *ledger) reserve(i insertion, blocks, budget uint64, askable bool, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for other, o := range l.open {
		if !l.look(other, o) {
			delete(l.open, other)
		}
	}
	r := l.reserved(&i)
	counts := r == nil
	var waits error
	for other, o := range l.open {
		from := o.from(l.sent)
		if from == l.sent {
			continue // it has nothing that could be pushed out
		}
		add := blocks
		if r != nil && r.blocks >= blocks && from <= r.at {
			add = 0 // it stands among those that are counted
		}
		counts = counts || add > 0
		stand := l.sent - from
		request := !o.requested && l.sent-max(from, o.base)+add > budget/4
		switch {
		case add == 0:
		case stand+add <= budget:
			o.refused = time.Time{}
		default:
			if o.refused.IsZero() {
				o.refused = now
			}
			if !askable || now.Sub(o.refused) < maxWait {
				waits = fmt.Errorf("%w: %d blocks since the last one, %d to come, %d remembered", errWindow, stand, add, budget)
				request = true // one that was asked for before may have found nothing to pass
			}
		}
		if request {
			o.requested = true
			other.RequestCheckpoint()
		}
	}
	if waits != nil {
		return waits
	}
	if counts {
		l.note(&i, r, blocks)
		l.sent += blocks
	}
	return nil
}

// reserved returns what was noted of an INSERT, or nil.
func (l *ledger) reserved(i *insertion) *reservation {
	if d := l.latest(i); d != nil {
		return d.tokens[i.token]
	}
	return nil
}

// latest returns what was noted of a delivery, or nil.
func (l *ledger) latest(i *insertion) *latest {
	if o := l.open[i.c]; o != nil {
		if d := o.latest[i.source()]; d != nil && d.id == i.id {
			return d
		}
	}
	return nil
}

func (l *ledger) note(i *insertion, r *reservation, blocks uint64) {
	if r != nil {
		r.at, r.blocks = l.sent, blocks
		return
	}
	d := l.enter(i)
	if len(d.tokens) == 0 {
		d.from = l.sent
	}
	d.tokens[i.token] = &reservation{from: l.sent, at: l.sent, blocks: blocks}
}

// enter makes a delivery the latest of its source.
func (l *ledger) enter(i *insertion) *latest {
	o := l.open[i.c]
	if o == nil {
		o = &opened{checkpoint: i.c.Checkpoint(), base: l.sent, latest: map[source]*latest{}}
		l.open[i.c] = o
	}
	d := o.latest[i.source()]
	if d == nil || d.id != i.id {
		if d != nil {
			o.finish(d)
		}
		d = &latest{id: i.id, tokens: map[string]*reservation{}}
		o.latest[i.source()] = d
	}
	return d
}

// begin notes that nobody had a plan for a delivery yet. i's token does not matter.
func (l *ledger) begin(i insertion) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enter(&i).begun = true
}

// unsent says whether an INSERT is known to have never been sent: its delivery was begun by this process, but the table
// would have forgotten others, or the plan was not durable.
func (l *ledger) unsent(i insertion) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.latest(&i)
	return d != nil && d.begun && d.tokens[i.token] == nil
}

// stored says whether this process knows that an INSERT was acknowledged.
func (l *ledger) stored(i insertion) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.reserved(&i)
	return r != nil && r.stored
}

// correct notes that an INSERT was acknowledged, and puts what it was found to have made in the place of what was reserved.
func (l *ledger) correct(i insertion, made uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.reserved(&i)
	if r == nil {
		return
	}
	r.stored = true
	if r.blocks == made {
		return
	}
	at, less := r.at, r.blocks-made // wraps around where it made more
	shift := func(n *uint64) {
		if *n > at {
			*n -= less
		}
	}
	r.blocks = made
	shift(&l.sent)
	for _, o := range l.open {
		shift(&o.base)
		shift(&o.done)
		for _, d := range o.latest {
			if len(d.tokens) > 0 {
				shift(&d.from)
			}
			for _, r := range d.tokens {
				shift(&r.from)
				shift(&r.at)
			}
		}
	}
}

// settled notes that a plan is durable by which the delivery repeats no INSERT but those of the tokens left. i's token does not matter.
func (l *ledger) settled(i insertion, left map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.latest(&i)
	if d == nil {
		return
	}
	for token := range d.tokens {
		if !left[token] {
			delete(d.tokens, token)
		}
	}
	d.reckon()
}

// reckon finds from anew.
func (d *latest) reckon() {
	d.from = math.MaxUint64
	for _, r := range d.tokens {
		d.from = min(d.from, r.from)
	}
}

// refused notes that nothing was stored of an INSERT.
func (l *ledger) refused(i insertion) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.latest(&i); d != nil {
		delete(d.tokens, i.token)
		d.reckon()
	}
}

// leave forgets a pipeline. Its exporter is shut down, and with it the pipeline.
func (l *ledger) leave(c delivery.Coordinator) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}
