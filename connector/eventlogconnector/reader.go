// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/segmentlog"
)

// reader shows the log to its consumers; one that takes bytes has a reader of its own.
type reader struct {
	log  *segmentlog.Log
	tail *tail
	lent []lent // by partition; nil where it is not one consumer's
}

var _ delivery.Log = (*reader)(nil)

func (r *reader) Incarnation() uuid.UUID                   { return r.log.ID() }
func (r *reader) Partitions() uint32                       { return uint32(r.log.Partitions()) }
func (r *reader) First(partition uint32) uint64            { return r.log.First(partition) }
func (r *reader) Next(partition uint32) uint64             { return r.log.Next(partition) }
func (r *reader) Changed(partition uint32) <-chan struct{} { return r.log.Changed(partition) }

func (r *reader) Scan(partition uint32, from uint64, f func(delivery.Chunk) bool) error {
	err := r.log.Scan(partition, from, func(i segmentlog.Info) bool { return f(chunkOf(i)) })
	if errors.Is(err, segmentlog.ErrGone) {
		return fmt.Errorf("position %d of partition %d: %w", from, partition, delivery.ErrGone)
	}
	return err
}

func chunkOf(i segmentlog.Info) delivery.Chunk {
	return delivery.Chunk{
		Tick: i.Kind == segmentlog.Tick, First: i.First, Records: i.Records, Bytes: i.Bytes,
		Appended: i.Appended, EventTime: i.EventTime,
	}
}

// Load implements delivery.Log.
func (r *reader) Load(partition uint32, first, last uint64, again bool) (plog.Logs, error) {
	var infos []segmentlog.Info
	err := r.log.Scan(partition, first, func(i segmentlog.Info) bool {
		if i.First <= last {
			infos = append(infos, i)
		}
		return i.Next() <= last
	})
	if err != nil {
		return plog.Logs{}, err
	}
	out := event.FromLogs(plog.NewLogs())
	var buf []byte
	for _, i := range infos {
		if i.Kind != segmentlog.Events {
			return plog.Logs{}, fmt.Errorf("position %d is a tick within a delivery", i.First)
		}
		whole := i.First >= first && i.Next() <= last+1
		batch, ok := event.Batch{}, false
		if whole && !again {
			batch, ok = r.tail.take(partition, i.First, int(i.Records))
		}
		if !ok {
			if buf, err = r.log.Read(i, buf[:0]); err != nil {
				return plog.Logs{}, err
			}
			ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(buf)
			if err != nil {
				return plog.Logs{}, fmt.Errorf("decoding positions %d to %d: %w", i.First, i.Next()-1, err)
			}
			batch = event.FromLogs(ld)
			if !whole {
				batch.Slice(int(max(first, i.First)-i.First), int(min(last+1, i.Next())-i.First))
			}
		}
		out.Append(batch)
	}
	if n := out.Len(); uint64(n) != last-first+1 {
		return plog.Logs{}, fmt.Errorf("positions %d to %d hold %d events", first, last, n)
	}
	return out.Logs(), nil
}
