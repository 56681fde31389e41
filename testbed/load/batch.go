// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/binary"
	"math"
)

// batch is what goes out in one request.
type batch struct {
	path    Path
	tenant  uint8 // of a Segment batch, whose write key says it
	events  int   // copies
	body    []byte
	entries []uint32 // in the manifest, where there is one
	times   span
}

// span is the time from the first to the last event, in nanoseconds since the epoch. An event that was held back is of when it was released.
type span struct{ from, to int64 }

var noSpan = span{math.MaxInt64, math.MinInt64}

func (s *span) add(at int64) { s.from, s.to = min(s.from, at), max(s.to, at) }

type batchSizes struct {
	otlp, segment int // events
	// span is the event time after which a batch that is not full goes out too; 0 is never.
	span int64
}

// batcher collects a generator's events into request bodies: OTLP by path with a resource for each tenant,
// Segment by tenant. Not safe for concurrent use.
type batcher struct {
	g       *Generator
	sizes   batchSizes
	heads   []otlpHead
	otlp    [2]otlpPending
	segment [maxTenants]segmentPending
	record  []byte // scratch
	ready   []*batch
	ended   bool
}

type otlpPending struct {
	records [maxTenants][]byte
	events  int
	entries []uint32
	times   span
}

type segmentPending struct {
	body    []byte
	events  int
	entries []uint32
	times   span
}

func newBatcher(g *Generator, sizes batchSizes) *batcher {
	b := &batcher{g: g, sizes: sizes}
	for _, t := range g.tenants {
		b.heads = append(b.heads, newOTLPHead(t))
	}
	return b
}

// next returns the next batch, which is the caller's, or nil at the end.
func (b *batcher) next() *batch {
	for len(b.ready) == 0 && !b.ended {
		e := b.g.next()
		if e == nil {
			b.ended = true
			b.flush(math.MaxInt64)
			break
		}
		if b.sizes.span > 0 {
			b.flush(b.g.releasedAt() - b.sizes.span)
		}
		if full := b.add(e); full != nil {
			b.ready = append(b.ready, full)
		}
	}
	if len(b.ready) == 0 {
		return nil
	}
	first := b.ready[0]
	b.ready = b.ready[1:]
	return first
}

// flush makes batches of what begins before that time.
func (b *batcher) flush(before int64) {
	due := func(events int, times span) bool { return events > 0 && times.from < before }
	for p := range b.otlp {
		if due(b.otlp[p].events, b.otlp[p].times) {
			b.ready = append(b.ready, b.flushOTLP(Path(p)))
		}
	}
	for t := range b.segment {
		if due(b.segment[t].events, b.segment[t].times) {
			b.ready = append(b.ready, b.flushSegment(uint8(t)))
		}
	}
}

func (b *batcher) add(e *simEvent) *batch {
	recording := b.g.record != nil
	if e.path == Segment {
		p := &b.segment[e.tenant]
		if p.events == 0 {
			p.times = noSpan
			p.body = append(p.body, segmentHead...)
		} else {
			p.body = append(p.body, ',')
		}
		p.times.add(b.g.releasedAt())
		p.body = e.appendTrack(p.body)
		if recording {
			p.entries = append(p.entries, e.entry)
		}
		if p.events++; p.events >= b.sizes.segment {
			return b.flushSegment(e.tenant)
		}
		return nil
	}
	p := &b.otlp[e.path]
	if p.events == 0 {
		p.times = noSpan
	}
	p.times.add(b.g.releasedAt())
	b.record = e.appendRecord(b.record[:0])
	dst := p.records[e.tenant]
	dst = append(dst, 2<<3|wireBytes)
	dst = binary.AppendUvarint(dst, uint64(len(b.record)))
	p.records[e.tenant] = append(dst, b.record...)
	if recording {
		p.entries = append(p.entries, e.entry)
	}
	if p.events++; p.events >= b.sizes.otlp {
		return b.flushOTLP(e.path)
	}
	return nil
}

func (b *batcher) flushOTLP(path Path) *batch {
	p := &b.otlp[path]
	size := 0
	for _, r := range p.records {
		size += len(r) + 300
	}
	out := &batch{path: path, events: p.events, entries: p.entries, times: p.times, body: make([]byte, 0, size)}
	for t, r := range p.records {
		if len(r) > 0 {
			out.body = b.heads[t].appendResourceLogs(out.body, r)
			p.records[t] = r[:0]
		}
	}
	p.events, p.entries = 0, nil
	return out
}

func (b *batcher) flushSegment(tenant uint8) *batch {
	p := &b.segment[tenant]
	body := p.body
	body = append(body, segmentTail...)
	out := &batch{path: Segment, tenant: tenant, events: p.events, entries: p.entries, times: p.times, body: append([]byte(nil), body...)}
	p.body, p.events, p.entries = body[:0], 0, nil
	return out
}
