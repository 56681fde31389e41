// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/internal/state"
)

// checkpoint commits what the published state of all partitions amounts to. The caller holds the gate for writing, so
// that every partition is between two attempts. Nothing changes if it fails.
func (c *Consumer) checkpoint() error {
	names := c.componentNames()
	next := c.nextRecord()
	if !c.worthwhile(next) {
		return nil
	}
	failpoint.Reach(failpoint.CheckpointBefore)
	var b state.Batch
	var asked []Participant
	abort := func(err error) error {
		for _, p := range asked {
			p.Aborted()
		}
		return fmt.Errorf("checkpoint %d of %s: %w", next.Checkpoint, c.o.Pipeline, err)
	}
	// What is not acknowledged stays: its stage has not enrolled since the last start.
	sent := c.sentBatches()
	for _, item := range sent {
		b.Delete(c.keys.outbox(item.checkpoint, item.stage, item.ordinal))
		c.keys.deletePrefix(&b, "outboxplan", state.Uint64(item.checkpoint), []byte(item.stage), state.Uint64(uint64(item.ordinal)))
	}
	outbox := map[string][]outboxItem{}
	for _, name := range names {
		c.mu.Lock()
		e := c.parts[name]
		c.mu.Unlock()
		if e == nil || e.participant == nil {
			continue // it holds what its last checkpoint wrote
		}
		w := &checkpointWriter{batch: &b, root: keyspace{c, name}.prefix()}
		asked = append(asked, e.participant)
		if err := e.participant.Checkpoint(w); err != nil {
			return abort(fmt.Errorf("asking %s: %w", name, err))
		}
		for i, out := range w.outbox {
			item := outboxItem{checkpoint: next.Checkpoint, stage: name, ordinal: uint32(i), batch: out}
			outbox[name] = append(outbox[name], item)
			value := binary.BigEndian.AppendUint64(nil, uint64(out.Watermark))
			b.Set(c.keys.outbox(item.checkpoint, name, item.ordinal), append(value, out.Logs...))
		}
	}
	for p, at := range next.Positions {
		partition := state.Uint64(uint64(p))
		// Ranges and plans of what is passed; one that failed and waits for its next attempt begins at `at`.
		b.DeleteRange(c.keys.key("range", partition), c.keys.key("range", partition, state.Uint64(at)))
		b.DeleteRange(c.keys.key("plan", partition), c.keys.key("plan", partition, state.Uint64(at)))
	}
	b.Set(c.keys.record(), next.bytes())
	if err := c.store.Commit(&b); err != nil {
		return abort(err)
	}
	failpoint.Reach(failpoint.CheckpointAfter)
	c.mu.Lock()
	c.record = next
	c.sent = c.sent[len(sent):]
	for name, items := range outbox {
		c.outbox[name] = append(c.outbox[name], items...)
	}
	for p, at := range next.Positions {
		c.committed[p].Store(at)
	}
	c.mu.Unlock()
	for _, p := range asked {
		p.Committed()
	}
	return nil
}

// nextRecord is what a checkpoint now would commit.
func (c *Consumer) nextRecord() consumerRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.record
	next.Checkpoint++
	next.Positions = make([]uint64, len(c.partitions))
	for p, part := range c.partitions {
		next.Positions[p] = part.next
	}
	next.Components = slices.Clone(c.record.Components)
	next.Resets = slices.Clone(c.record.Resets)
	next.Ticks = slices.Clone(c.record.Ticks)
	next.Held = map[string][]Tick{}
	for name, held := range c.record.Held {
		next.Held[name] = slices.Clone(held)
	}
	return next
}

// worthwhile says whether anything has happened since the last checkpoint.
func (c *Consumer) worthwhile(next consumerRecord) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, at := range next.Positions {
		if at != c.committed[p].Load() {
			return true
		}
	}
	for _, e := range c.parts {
		if e.participant != nil && e.participant.DirtyBytes() > 0 {
			return true
		}
	}
	return false
}

// checkpointWriter adds a component's changes to the checkpoint's one write.
type checkpointWriter struct {
	batch  *state.Batch
	root   []byte
	outbox []OutboxBatch
}

func (w *checkpointWriter) key(k []byte) []byte { return append(append([]byte(nil), w.root...), k...) }

func (w *checkpointWriter) Set(key, value []byte) { w.batch.Set(w.key(key), value) }
func (w *checkpointWriter) Delete(key []byte)     { w.batch.Delete(w.key(key)) }
func (w *checkpointWriter) Emit(b OutboxBatch) {
	w.outbox = append(w.outbox, OutboxBatch{Logs: slices.Clone(b.Logs), Watermark: b.Watermark})
}

// restoreOutbox reads what the last checkpoint emitted: any of it may have been sent, and all of it is sent again.
func (c *Consumer) restoreOutbox() error {
	prefix := c.keys.key("outbox")
	return c.store.Range(prefix, state.PrefixEnd(prefix), func(key, value []byte) error {
		parts, ok := state.SplitKey(key[len(prefix):])
		if !ok || len(parts) != 3 || len(parts[0]) != 8 || len(parts[2]) != 8 || len(value) < 8 {
			return fmt.Errorf("an outbox batch is not readable: key %x", key)
		}
		item := outboxItem{
			checkpoint: binary.BigEndian.Uint64(parts[0]), stage: string(parts[1]), ordinal: uint32(binary.BigEndian.Uint64(parts[2])),
			batch: OutboxBatch{Watermark: int64(binary.BigEndian.Uint64(value)), Logs: slices.Clone(value[8:])},
		}
		c.outbox[item.stage] = append(c.outbox[item.stage], item)
		return nil
	})
}

// sentBatches are those that were acknowledged since the last checkpoint, which the next one deletes.
func (c *Consumer) sentBatches() []outboxItem {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// sendOutboxes sends what the last checkpoint emitted, stage by stage in the order of enrolment. The caller holds the
// gate for writing. After an error the same comes again from the batch that failed.
func (c *Consumer) sendOutboxes(ctx context.Context) error {
	for _, name := range c.componentNames() {
		c.mu.Lock()
		e := c.parts[name]
		c.mu.Unlock()
		if e == nil {
			continue // it gets its batches when it enrols
		}
		e.mu.Lock()
		err := c.sendOutbox(ctx, e)
		e.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// sendOutbox sends one stage's batches in order. The caller holds e.mu.
func (c *Consumer) sendOutbox(_ context.Context, e *enrolled) error {
	if e.participant == nil {
		return nil
	}
	for {
		c.mu.Lock()
		items := c.outbox[e.name]
		c.mu.Unlock()
		if len(items) == 0 {
			return nil
		}
		item := items[0]
		id := c.identity()
		id.Stage, id.Checkpoint, id.Ordinal = item.stage, item.checkpoint, item.ordinal
		d := New(id, 1, c)
		d.Restored = true // whether it was sent before a crash is not recorded
		d.Watermark = item.batch.Watermark
		failpoint.Reach(failpoint.OutboxBefore)
		if err := e.participant.Send(NewContext(c.lifetime, d), item.batch); err != nil {
			d.Discard()
			return fmt.Errorf("sending the outbox: %s: %w", id, err)
		}
		failpoint.Reach(failpoint.OutboxAfter)
		d.Publish()
		c.mu.Lock()
		c.outbox[e.name] = items[1:]
		c.sent = append(c.sent, item)
		c.mu.Unlock()
		if c.o.Observer != nil && c.o.Observer.OutboxBatches != nil {
			c.o.Observer.OutboxBatches(1)
		}
	}
}

// DecodeOutbox reads the bytes of an OutboxBatch.
func DecodeOutbox(b OutboxBatch) (plog.Logs, error) {
	ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(b.Logs)
	if err != nil {
		return plog.Logs{}, fmt.Errorf("reading an outbox batch: %w", err)
	}
	return ld, nil
}
