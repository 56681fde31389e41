// SPDX-License-Identifier: Apache-2.0

package window

import (
	"encoding/binary"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/result"
)

// row writes one result. other says that its identity is that of a definition that is no more.
func (c *closing) row(a *aggregation, out *result.Writer, start, end int64, key, acc []byte, timing result.Timing, index uint32, other bool) error {
	window := binary.BigEndian.AppendUint64(c.id[:0], uint64(start))
	window = binary.BigEndian.AppendUint64(window, uint64(end))
	c.id = window
	parts := [][]byte{[]byte(a.def.Name), window, key}
	if other {
		parts = append(parts, a.id[:])
	}
	return c.rowAt(a, out, result.Head{Event: a.def.Name, Time: end - 1, ID: result.ID(parts...), Timing: timing, Index: index}, start, end, key, acc)
}

func (c *closing) rowAt(a *aggregation, out *result.Writer, head result.Head, start, end int64, key, acc []byte) error {
	out.Row(head)
	out.Time(0, start)
	out.Time(1, end)
	if err := writeKey(out, a.table, 2, len(a.def.GroupBy), key); err != nil {
		return err
	}
	c.values = a.set.Results(acc, c.values[:0])
	for i := range c.values {
		out.Value(a.firstValue+i, &c.values[i])
	}
	n := c.results[a.def.Name]
	switch head.Timing {
	case result.Early:
		n[0]++
	case result.OnTime:
		n[1]++
	default:
		n[2]++
	}
	c.results[a.def.Name] = n
	return nil
}

func (c *closing) writer(a *aggregation) (*result.Writer, error) {
	return result.NewWriter(a.table, func(otlp []byte) {
		c.release(c.notes.Emitted)
		c.held, c.hasHeld = append(c.held[:0], otlp...), true
		c.emitted += len(otlp)
		c.full = c.full || c.emitted >= maxCheckpointBytes
	})
}

// release emits the batch that was held back. Only the checkpoint's last one carries its watermark: results that come before it
// may be older.
func (c *closing) release(watermark int64) {
	if c.hasHeld {
		c.w.Emit(delivery.OutboxBatch{Logs: c.held, Watermark: watermark})
		c.hasHeld = false
	}
}

// finish tells those behind how far the engine has come: with the last batch, or with an empty one if it has moved.
func (c *closing) finish(at int64) {
	if !c.hasHeld && at > c.notes.Emitted {
		c.held, c.hasHeld = c.held[:0], true
	}
	c.release(at)
	c.notes.Emitted = at
}

// emptySnapshot is for tables that nobody writes.
type emptySnapshot struct{}

func (emptySnapshot) Get([]byte) ([]byte, bool, error)                  { return nil, false, nil }
func (emptySnapshot) Range([]byte, func(key, value []byte) error) error { return nil }
