// SPDX-License-Identifier: Apache-2.0

package deliverytest

import (
	"sort"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
)

// Log is a log in memory, which survives a crash. What was appended is not seen before Show.
type Log struct {
	id         uuid.UUID
	partitions []logPartition
	never      chan struct{}
}

type logPartition struct {
	chunks []chunk
	next   uint64 // the position after the last one
	shown  uint64 // the first position that is not seen yet
	now    int64  // append time of the last chunk
}

type chunk struct {
	delivery.Chunk
	otlp []byte
}

var _ delivery.Log = (*Log)(nil)

// NewLog with that many partitions. Its incarnation is always the same, so that tokens are.
func NewLog(partitions int) *Log {
	return &Log{id: uuid.UUID{15: 1}, partitions: make([]logPartition, partitions), never: make(chan struct{})}
}

// Append adds a batch at that append time, in Unix nanoseconds: never before the last one's of the partition.
func (l *Log) Append(partition uint32, appended int64, ld plog.Logs) {
	n := ld.LogRecordCount()
	if n == 0 {
		return
	}
	b, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	if err != nil {
		panic(err) // pdata marshals whatever it holds
	}
	l.add(partition, chunk{Chunk: delivery.Chunk{Records: uint32(n), Bytes: len(b), Appended: appended}, otlp: b})
}

// Tick adds a tick. eventTime is as in delivery.Tick.
func (l *Log) Tick(partition uint32, appended, eventTime int64) {
	l.add(partition, chunk{Chunk: delivery.Chunk{Tick: true, Records: 1, Appended: appended, EventTime: eventTime}})
}

func (l *Log) add(partition uint32, c chunk) {
	p := &l.partitions[partition]
	p.now = max(p.now, c.Appended)
	c.Appended, c.First = p.now, p.next
	p.chunks = append(p.chunks, c)
	p.next += uint64(c.Records)
}

// Show lets the consumer see the partition up to that position, exclusive. What it has seen it goes on seeing.
func (l *Log) Show(partition uint32, to uint64) {
	p := &l.partitions[partition]
	p.shown = max(p.shown, min(to, p.next))
}

// Appended is the position after the last one of the partition, shown or not.
func (l *Log) Appended(partition uint32) uint64 { return l.partitions[partition].next }

// Incarnation implements delivery.Log.
func (l *Log) Incarnation() uuid.UUID { return l.id }

// Partitions implements delivery.Log.
func (l *Log) Partitions() uint32 { return uint32(len(l.partitions)) }

// First implements delivery.Log.
func (l *Log) First(uint32) uint64 { return 0 }

// Next implements delivery.Log.
func (l *Log) Next(partition uint32) uint64 { return l.partitions[partition].shown }

// Changed implements delivery.Log. Nobody waits here.
func (l *Log) Changed(uint32) <-chan struct{} { return l.never }

// Scan implements delivery.Log. A chunk that is shown in part is as long as what is shown of it.
func (l *Log) Scan(partition uint32, from uint64, f func(delivery.Chunk) bool) error {
	p := &l.partitions[partition]
	for i := p.find(from); i < len(p.chunks) && p.chunks[i].First < p.shown; i++ {
		c := p.chunks[i].Chunk
		if shown := p.shown - c.First; uint64(c.Records) > shown {
			c.Records, c.Cut = uint32(shown), true
		}
		if !f(c) {
			break
		}
	}
	return nil
}

// find the chunk that holds the position.
func (p *logPartition) find(position uint64) int {
	return sort.Search(len(p.chunks), func(i int) bool { return p.chunks[i].Last() >= position })
}

// LoadRaw implements delivery.Log.
func (l *Log) LoadRaw(partition uint32, first, last uint64) ([]event.Chunk, error) {
	p := &l.partitions[partition]
	var out []event.Chunk
	for i := p.find(first); i < len(p.chunks) && p.chunks[i].First <= last; i++ {
		c := p.chunks[i]
		out = append(out, event.Chunk{
			OTLP: c.otlp, From: int(max(first, c.First) - c.First), To: int(min(last, c.Last()) + 1 - c.First),
		})
	}
	return out, nil
}

// Load implements delivery.Log.
func (l *Log) Load(partition uint32, first, last uint64, _ bool) (plog.Logs, error) {
	p := &l.partitions[partition]
	all := plog.NewLogs()
	for i := p.find(first); i < len(p.chunks) && p.chunks[i].First <= last; i++ {
		ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(p.chunks[i].otlp)
		if err != nil {
			return plog.Logs{}, err
		}
		at := p.chunks[i].First
		ld.ResourceLogs().RemoveIf(func(rl plog.ResourceLogs) bool {
			rl.ScopeLogs().RemoveIf(func(sl plog.ScopeLogs) bool {
				sl.LogRecords().RemoveIf(func(plog.LogRecord) bool {
					at++
					return at-1 < first || at-1 > last
				})
				return sl.LogRecords().Len() == 0
			})
			return rl.ScopeLogs().Len() == 0
		})
		ld.ResourceLogs().MoveAndAppendTo(all.ResourceLogs())
	}
	return all, nil
}
