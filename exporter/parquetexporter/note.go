// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/state"
)

// write is one change of what counts.
type write struct {
	batch state.Batch
	apply func() // to memory, once the batch is durable
	undo  func() // when it is known not to have been done
}

// note makes staged pieces count, all at once.
func (x *parquetExporter) note(d *delivery.Delivery, token string, b *batchRows, buf *buffer, places []place) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.settle(); err != nil {
		x.staging.release(places)
		return err
	}
	w := &write{undo: func() { x.staging.release(places) }}
	next := x.counters
	now := x.clock.Now().UnixNano()
	var at stream
	var first, last uint64
	var gone []string
	if d != nil {
		at, first, last, gone = x.passed(d)
		for _, t := range gone {
			w.batch.Delete(x.index.key("token", t))
		}
		x.index.setToken(&w.batch, token, at, last)
	}
	type added struct {
		lot   *lot
		piece piece
	}
	var all []added
	opened := map[lotKey]*lot{}
	for i, t := range b.targets {
		l := x.open[t.key]
		if l == nil {
			l = opened[t.key]
		}
		if l == nil {
			l = &lot{id: next.Lot, key: t.key, opened: now}
			next.Lot++
			opened[t.key] = l
			x.index.setLot(&w.batch, l)
		}
		p := piece{
			Sequence: next.Sequence, place: places[i], Raw: uint32(buf.raw[i]), Rows: int64(t.rows.len()), Extent: t.rows.extent,
		}
		if d != nil && at.stage == "" {
			p.Log = at.logRange(first, last, p.Rows)
		}
		next.Sequence++
		x.index.setPiece(&w.batch, l.id, &p)
		all = append(all, added{l, p})
	}
	x.index.setCounters(&w.batch, next)
	w.apply = func() {
		x.counters = next
		x.tokens.forget(gone)
		if d != nil {
			x.tokens.add(at, token, last)
		}
		for key, l := range opened {
			x.lots[l.id], x.open[key] = l, l
		}
		for _, a := range all {
			a.lot.add(a.piece)
		}
		x.worker.wake()
	}
	return x.commit(w)
}

// passed names the delivery's stream and the tokens that cannot come again. The caller holds mu.
func (x *parquetExporter) passed(d *delivery.Delivery) (at stream, first, last uint64, gone []string) {
	id := d.ID
	at = stream{incarnation: id.Incarnation, epoch: id.Epoch, pipeline: id.Pipeline.String(), partition: id.Partition, stage: id.Stage}
	if id.Stage != "" {
		// An outbox batch is deleted by the checkpoint after its acknowledgement: mostly the one after that which made it, but
		// a stage may enrol, and send, many checkpoints later.
		now := d.Coordinator().Checkpoint()
		return at, 0, max(id.Checkpoint, now), x.tokens.passed(at, now)
	}
	return at, id.First, id.Last, x.tokens.passed(at, d.Coordinator().Committed(id.Partition))
}

// commit makes a write durable and then known. The caller holds mu, and has called settle before it decided what to write.
func (x *parquetExporter) commit(w *write) error {
	err := x.index.store.Commit(&w.batch)
	switch {
	case err == nil:
		w.apply()
		return nil
	case errors.Is(err, state.ErrFull), errors.Is(err, state.ErrClosed): // nothing was changed
		w.undo()
	default:
		x.unsure = w
	}
	return fmt.Errorf("noting what is staged: %w", err)
}

// settle repeats a write of which it is not known whether it was done. The caller holds mu.
func (x *parquetExporter) settle() error {
	w := x.unsure
	if w == nil {
		return nil
	}
	if err := x.index.store.Commit(&w.batch); err != nil {
		return fmt.Errorf("noting what is staged: %w", err)
	}
	x.unsure = nil
	w.apply()
	return nil
}
