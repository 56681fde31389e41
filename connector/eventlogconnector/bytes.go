// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"fmt"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/segmentlog"
)

// lent is the memory that a consumer's deliveries of one partition read the log's bytes into, one after the other. It is
// used by the partition's worker alone: the delivery before is done when the next one is loaded.
type lent struct {
	buf    []byte
	infos  []segmentlog.Info
	chunks []event.Chunk
	// cut is the data of the chunk that begins at `first`, of which the last delivery took a part; nil if it took the whole. It
	// lies in buf or in memory of its own.
	cut   []byte
	first uint64
}

// maxLent is how much is kept for the next delivery. A larger one has memory of its own, which goes with it.
const maxLent = 16 << 20

// LoadRaw implements delivery.Log.
func (r *reader) LoadRaw(partition uint32, first, last uint64) ([]event.Chunk, error) {
	if r.lent == nil { // nobody's in particular
		return new(lent).load(r.log, partition, first, last)
	}
	return r.lent[partition].load(r.log, partition, first, last)
}

func (l *lent) load(log *segmentlog.Log, partition uint32, first, last uint64) ([]event.Chunk, error) {
	l.infos, l.chunks = l.infos[:0], l.chunks[:0]
	need := 0
	err := log.Scan(partition, first, func(i segmentlog.Info) bool {
		if i.First <= last {
			l.infos = append(l.infos, i)
			need += i.Bytes
		}
		return i.Next() <= last
	})
	if err != nil {
		return nil, err
	}
	known := l.cut
	if len(l.infos) == 0 || l.infos[0].First != l.first {
		known = nil
	}
	if known != nil && len(l.infos) == 1 { // the next part of one large append
		l.chunks = append(l.chunks, event.Chunk{OTLP: known})
		return l.done(first, last, known), nil
	}
	l.cut = nil
	buf := l.buf
	switch {
	case need > maxLent:
		buf = make([]byte, 0, need)
	case cap(buf) < need:
		buf = make([]byte, 0, min(need+need/4, maxLent))
		l.buf = buf
	}
	buf = append(buf[:0], known...) // which may lie further back in the same memory
	data := buf
	for at, i := range l.infos {
		if i.Kind != segmentlog.Events {
			return nil, fmt.Errorf("position %d is a tick within a delivery", i.First)
		}
		if at > 0 || known == nil {
			if data, err = log.Read(i, buf[len(buf):]); err != nil {
				return nil, err
			}
			buf = buf[:len(buf)+len(data)]
		}
		l.chunks = append(l.chunks, event.Chunk{OTLP: data})
	}
	return l.done(first, last, data), nil
}

// done says which records of the chunks the delivery takes, and keeps the last chunk, which is data, if it leaves some.
func (l *lent) done(first, last uint64, data []byte) []event.Chunk {
	for at, i := range l.infos {
		c := &l.chunks[at]
		c.From, c.To = int(max(first, i.First)-i.First), int(min(last+1, i.Next())-i.First)
	}
	l.cut = nil
	if n := len(l.infos); n > 0 && l.infos[n-1].Next() > last+1 {
		l.cut, l.first = data, l.infos[n-1].First
	}
	return l.chunks
}
