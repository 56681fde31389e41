// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"context"
	"fmt"
	"sync"
)

// pending is an entry on its way: encoded but for what only the writer knows.
type pending struct {
	buf     *[]byte // the whole entry
	chunks  int
	ids     int
	side    int64 // bytes that it takes in an ID file
	receipt Receipt
	err     error
	done    chan struct{} // holds one; the writer sends when receipt and err are set
}

var pendings = sync.Pool{New: func() any { return &pending{done: make(chan struct{}, 1)} }}

// Append adds the entry and returns when a sync holds it. Concurrent appends share one. If ctx is done before the entry is
// queued nothing is appended; after that Append waits for the sync, since only that tells what became of the entry.
//
// After ErrFull nothing was appended. After a FailedError it is not known: the entry may be there when the log is opened
// anew, whole.
func (l *Log) Append(ctx context.Context, e *Entry) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		return Receipt{}, err
	}
	if err := l.check(e); err != nil {
		return Receipt{}, err
	}
	p, err := l.encode(e)
	if err != nil {
		return Receipt{}, err
	}
	if err := l.enqueue(ctx, p); err != nil {
		p.free()
		return Receipt{}, err
	}
	<-p.done
	receipt, err := p.receipt, p.err
	p.free()
	return receipt, err
}

func (p *pending) free() {
	giveBuffer(p.buf)
	*p = pending{done: p.done}
	pendings.Put(p)
}

func (l *Log) enqueue(ctx context.Context, p *pending) error {
	l.queue.Lock()
	defer l.queue.Unlock()
	if l.queue.closing {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.queue.waiting = append(l.queue.waiting, p)
	l.queue.wake.Signal()
	return nil
}

func (l *Log) check(e *Entry) error {
	fail := func(format string, a ...any) error { return &EntryError{Reason: fmt.Sprintf(format, a...)} }
	if len(e.IDs)%IDBytes != 0 {
		return fail("its IDs are %d bytes, which is no multiple of %d", len(e.IDs), IDBytes)
	}
	if len(e.Source) > maxSource {
		return fail("its source is %d bytes, and %d is the most", len(e.Source), maxSource)
	}
	if len(e.Chunks) == 0 && len(e.IDs) == 0 && len(e.Source) == 0 {
		return fail("it is empty")
	}
	size, last := int64(entryFixed+len(e.IDs)+len(e.Source)), -1
	for i := range e.Chunks {
		c := &e.Chunks[i]
		switch {
		case int64(c.Partition) >= int64(l.o.Partitions):
			return fail("there is no partition %d", c.Partition)
		case int(c.Partition) <= last:
			return fail("its chunks are not in ascending order of partitions")
		case c.Records == 0:
			return fail("a chunk has no records")
		case c.Kind > Tick:
			return fail("a chunk is of the unknown kind %d", c.Kind)
		case c.Kind == Tick && (c.Records != 1 || len(c.Data) > 0):
			return fail("a tick takes one position and has no data")
		case len(c.Data) >= maxEntry:
			return fail("a chunk is %d bytes, and an entry must be less than %d", len(c.Data), maxEntry)
		}
		last = int(c.Partition)
		size += chunkFixed + int64(bound(len(c.Data)))
	}
	if size >= l.largest() {
		return fail("it may take %d bytes, and must be less than %d", size, l.largest())
	}
	return nil
}

// largest is what an entry must be less than.
func (l *Log) largest() int64 {
	if l.o.MaxBytes > 0 {
		return min(maxEntry, l.o.MaxBytes/2)
	}
	return maxEntry
}

// encode writes and compresses all of the entry but what depends on its place.
func (l *Log) encode(e *Entry) (*pending, error) {
	head := entryFixed + chunkFixed*len(e.Chunks)
	size := head + len(e.IDs) + len(e.Source) + 8
	for i := range e.Chunks {
		size += bound(len(e.Chunks[i].Data))
	}
	buf := takeBuffer(size)
	b := (*buf)[:head]
	clear(b)
	le.PutUint32(b, entryMagic)
	le.PutUint16(b[12:], uint16(len(e.Chunks)))
	le.PutUint32(b[40:], uint32(len(e.IDs)/IDBytes))
	le.PutUint32(b[44:], uint32(len(e.Source)))
	b = append(append(b, e.IDs...), e.Source...)
	le.PutUint32(b[60:], checksum(b[head:]))
	for i := range e.Chunks {
		c := &e.Chunks[i]
		at := len(b)
		n, compression, err := l.codec.encode(l.o.Compression, b[at:at+bound(len(c.Data))], c.Data)
		if err != nil {
			giveBuffer(buf)
			return nil, err
		}
		b = b[:at+n]
		d := b[entryFixed+chunkFixed*i:]
		le.PutUint32(d, c.Partition)
		d[4], d[5] = byte(c.Kind), byte(compression)
		le.PutUint32(d[16:], c.Records)
		le.PutUint32(d[20:], uint32(n))
		le.PutUint32(d[24:], uint32(len(c.Data)))
		le.PutUint32(d[28:], checksum(b[at:]))
		le.PutUint64(d[32:], uint64(c.EventTime))
	}
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	le.PutUint32(b[8:], uint32(len(b)))
	*buf = b
	p := pendings.Get().(*pending)
	p.buf, p.chunks, p.ids = buf, len(e.Chunks), len(e.IDs)/IDBytes
	if len(e.IDs)+len(e.Source) > 0 {
		p.side = int64(sideFixed + len(e.IDs) + len(e.Source))
	}
	p.receipt.First = make([]uint64, len(e.Chunks))
	return p, nil
}

// place completes the entry for its place, and moves the tally past it. Only the writer calls it.
func (p *pending) place(t *tally, s seed, off, group, now int64) {
	b := *p.buf
	head := entryFixed + chunkFixed*p.chunks
	t.appended = max(t.appended, now)
	p.receipt.Seq, p.receipt.Appended, p.receipt.FirstID = t.seq, t.appended, t.id
	le.PutUint64(b[16:], t.seq)
	le.PutUint64(b[24:], uint64(t.appended))
	le.PutUint64(b[32:], t.id)
	le.PutUint64(b[48:], uint64(group))
	le.PutUint32(b[56:], t.chain)
	for i := range p.chunks {
		d := b[entryFixed+chunkFixed*i:]
		partition := le.Uint32(d)
		p.receipt.First[i] = t.next[partition]
		le.PutUint64(d[8:], t.next[partition])
		t.next[partition] += uint64(le.Uint32(d[16:]))
	}
	t.chain = s.sum(b[:head], off)
	le.PutUint32(b[4:], t.chain)
	t.seq++
	t.id += uint64(p.ids)
}
