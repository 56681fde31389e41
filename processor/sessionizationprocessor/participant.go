// SPDX-License-Identifier: Apache-2.0

package sessionizationprocessor

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/session"
)

// Restore implements delivery.Participant.
func (p *sessionization) Restore(_ context.Context, s delivery.Snapshot) error {
	if err := p.engine.Restore(s, p.home.Load().Partitions()); err != nil {
		return fmt.Errorf("restoring sessions: %w", err)
	}
	p.restored.Store(true)
	return nil
}

// Tick implements delivery.Participant.
func (p *sessionization) Tick(t delivery.Tick) (delivery.Overlay, error) {
	return p.engine.Tick(t), nil
}

// DirtyBytes implements delivery.Participant.
func (p *sessionization) DirtyBytes() int { return p.engine.DirtyBytes() }

// Checkpoint implements delivery.Participant: it closes the sessions that are due.
func (p *sessionization) Checkpoint(w delivery.CheckpointWriter) error {
	before := p.engine.Emitted()
	emit := func(*session.Summary) error { return nil }
	var held []byte
	if p.writer != nil {
		// All batches but the last say what the checkpoint before said: what is behind them is not all there yet.
		writer, err := result.NewWriter(p.writer.table, func(otlp []byte) {
			if held != nil {
				w.Emit(delivery.OutboxBatch{Logs: held, Watermark: before})
			}
			held = append([]byte{}, otlp...)
		})
		if err != nil {
			return fmt.Errorf("writing sessions: %w", err)
		}
		p.writer.w = writer
		emit = func(s *session.Summary) error { p.writer.add(s); return nil }
	}
	watermark, err := p.engine.Checkpoint(w, emit)
	if err != nil {
		return fmt.Errorf("closing sessions: %w", err)
	}
	if p.writer == nil {
		return nil
	}
	if err := p.writer.w.Flush(); err != nil {
		return fmt.Errorf("writing sessions: %w", err)
	}
	if held != nil || watermark > before {
		w.Emit(delivery.OutboxBatch{Logs: held, Watermark: watermark})
	}
	return nil
}

// Committed implements delivery.Participant.
func (p *sessionization) Committed() {
	p.metrics.closed(p.engine.Committed())
	if p.engine.More() {
		p.home.Load().RequestCheckpoint()
	}
}

// Aborted implements delivery.Participant.
func (p *sessionization) Aborted() { p.engine.Aborted() }

// Send implements delivery.Participant.
func (p *sessionization) Send(ctx context.Context, b delivery.OutboxBatch) error {
	ld, err := delivery.DecodeOutbox(b)
	if err != nil {
		return err
	}
	return p.next.ConsumeLogs(delivery.WithStage(ctx, p.id, true, false), ld)
}
