// SPDX-License-Identifier: Apache-2.0

package nexmark

import (
	"container/heap"
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog"
)

// Sent is an event as it arrives.
type Sent struct {
	Event
	Repeat bool // a copy of it came before
	Held   bool // it comes after its time
	Ahead  bool // its clock is ahead
}

// Generator makes events in the order in which they arrive. One goroutine at a time.
type Generator struct {
	cfg   Config
	maker *maker
	next  int64 // number
	held  heldHeap
	sent  Sent

	record, records []byte // scratch
}

// New fills in the configuration's defaults and checks it.
func New(cfg Config) (*Generator, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configuring Nexmark: %w", err)
	}
	return &Generator{cfg: cfg, maker: newMaker(cfg)}, nil
}

// Config returns the configuration with its defaults.
func (g *Generator) Config() Config { return g.cfg }

// Next returns the event that arrives next, which is valid until the next call; nil at the end.
func (g *Generator) Next() *Sent {
	for {
		done := g.cfg.Events > 0 && g.next >= g.cfg.Events
		if len(g.held) > 0 && (done || g.held[0].release <= g.next) {
			h := heap.Pop(&g.held).(held)
			g.sent = Sent{Event: *g.maker.of(h.number), Repeat: h.repeat, Held: h.late}
			g.ahead()
			return &g.sent
		}
		if done {
			return nil
		}
		number := g.next
		g.next++
		late := g.drawn(saltLate, number) < g.cfg.Late
		after := int64(0)
		if late {
			after = 1 + g.events(g.cfg.LateBy.Seconds(), saltLateBy, number)
			heap.Push(&g.held, held{release: number + after, number: number, late: true})
		}
		if g.drawn(saltRepeat, number) < g.cfg.Duplicates {
			again := after + g.events(g.cfg.RepeatWithin.Seconds(), saltRepeatAfter, number)
			heap.Push(&g.held, held{release: number + again, number: number, repeat: true, late: late})
		}
		if late {
			continue
		}
		g.sent = Sent{Event: *g.maker.of(number)}
		g.ahead()
		return &g.sent
	}
}

func (g *Generator) ahead() {
	if g.drawn(saltFuture, g.sent.Number) < g.cfg.Future {
		g.sent.Ahead = true
		g.sent.Time += int64(g.cfg.FutureBy)
	}
}

// What else is drawn of an event, apart from its content.
const (
	saltLate = 1 + iota
	saltLateBy
	saltRepeat
	saltRepeatAfter
	saltFuture
)

// drawn is in [0, 1), and a function of seed, salt and number.
func (g *Generator) drawn(salt uint64, number int64) float64 {
	return float64(mix(mix(g.cfg.Seed+salt<<56)^uint64(number))>>11) / (1 << 53)
}

// events is how many happen in an evenly drawn part of a time.
func (g *Generator) events(seconds float64, salt uint64, number int64) int64 {
	return int64(g.drawn(salt, number) * seconds * g.cfg.Rate)
}

// Batch returns the next n events, fewer at the end, as OTLP protobuf: the bytes of an ExportLogsServiceRequest, which are
// also those of LogsData. They are the caller's. No bytes: there are no more.
func (g *Generator) Batch(n int) (request []byte, events int) {
	records := g.records[:0]
	for events < n {
		s := g.Next()
		if s == nil {
			break
		}
		g.record = appendRecord(g.record[:0], g.cfg.Seed, &s.Event)
		records = appendBytes(records, 2, g.record)
		events++
	}
	g.records = records
	if events == 0 {
		return nil, 0
	}
	return requestOf(records), events
}

// Logs is Batch as pdata: no records when there are no more.
func (g *Generator) Logs(n int) (plog.Logs, error) {
	request, _ := g.Batch(n)
	return (&plog.ProtoUnmarshaler{}).UnmarshalLogs(request)
}

// held is an event that comes later than its number says.
type held struct {
	release int64 // before the event of this number
	number  int64
	repeat  bool
	late    bool
}

// heldHeap is in order of release, then of number; a copy comes after its original.
type heldHeap []held

func (h heldHeap) Len() int      { return len(h) }
func (h heldHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h heldHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	if a.release != b.release {
		return a.release < b.release
	}
	if a.number != b.number {
		return a.number < b.number
	}
	return !a.repeat && b.repeat
}
func (h *heldHeap) Push(x any) { *h = append(*h, x.(held)) }
func (h *heldHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
