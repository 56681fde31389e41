// SPDX-License-Identifier: Apache-2.0

package load

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
)

// Generator makes events. It is not safe for concurrent use.
type Generator struct {
	cfg      GeneratorConfig
	rng      *rand.Rand
	users    *rand.Zipf
	popular  *rand.Zipf
	products []product
	tenants  []string
	segment  []uint8 // by tenant: the one that it is by Segment

	countryDraw, agentDraw, campaignDraw, tenantDraw weighted

	pathBelow [numPaths]float64 // cumulated shares
	signedUp  []bool            // by user: whether they have an account by now

	now      float64 // the simulated clock, in nanoseconds since start
	start    int64   // nanoseconds since the epoch
	step     float64 // mean distance of two events, in nanoseconds
	expected float64 // events in the span
	made     int64
	sessions uint64 // how many began
	active   sessionHeap
	free     []*session

	held    heldHeap // late events and further copies, waiting for their time
	current simEvent // handed out by next
	repeat  bool     // current is a further copy
	waited  bool     // current was held back: it is older than its neighbours
	record  *Manifest
	scratch []byte
}

// NewGenerator checks the configuration, fills in its defaults and prepares the simulation.
func NewGenerator(cfg GeneratorConfig) (*Generator, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configuring the generator: %w", err)
	}
	g := &Generator{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x6d696c6c72616365))}
	g.users = rand.NewZipf(g.rng, 1.1, 20, uint64(cfg.Users-1))
	g.popular = rand.NewZipf(g.rng, 1.2, 15, numProducts-1)
	g.products = makeProducts(g.rng)
	g.countryDraw = newWeighted(len(countries), func(i int) int { return countries[i].weight })
	g.agentDraw = newWeighted(len(userAgents), func(i int) int { return userAgents[i].weight })
	g.campaignDraw = newWeighted(len(campaigns), func(i int) int { return campaigns[i].weight })
	g.tenantDraw = newWeighted(len(cfg.Tenants), func(i int) int { return 60 / (i + 1) })
	g.tenants = cfg.allTenants()
	g.segment = make([]uint8, len(g.tenants))
	for i, t := range g.tenants {
		g.segment[i] = uint8(i)
		if len(cfg.SegmentTenants) > 0 && !slices.Contains(cfg.SegmentTenants, t) {
			g.segment[i] = uint8(slices.Index(g.tenants, cfg.SegmentTenants[0]))
		}
	}
	g.signedUp = make([]bool, cfg.Users)
	for i := range g.signedUp {
		g.signedUp[i] = mix(cfg.Seed^uint64(i)<<1)%100 < 35
	}
	var sum float64
	for _, w := range cfg.Paths {
		sum += w
	}
	var below float64
	for p, w := range cfg.Paths {
		below += w / sum
		g.pathBelow[p] = below
	}
	g.expected = 1_000_000
	if cfg.Events > 0 {
		g.expected = float64(cfg.Events)
	}
	g.step = float64(cfg.Span) / g.expected
	g.start = cfg.End.Add(-cfg.Span).UnixNano()
	return g, nil
}

// Config returns the configuration with its defaults.
func (g *Generator) Config() GeneratorConfig { return g.cfg }

// Made returns how many unique events were made so far, those not yet sent because they are late included.
func (g *Generator) Made() int64 { return g.made }

// Next returns the next n events, copies included, or fewer at the end, as an OTLP batch: one resource per
// tenant. It returns a batch of no events when there are none left. The batch is the caller's.
func (g *Generator) Next(n int) plog.Logs {
	logs := plog.NewLogs()
	var records [maxTenants]plog.LogRecordSlice
	var seen [maxTenants]bool
	for range n {
		e := g.next()
		if e == nil {
			break
		}
		if !seen[e.tenant] {
			seen[e.tenant] = true
			records[e.tenant] = fillResource(logs.ResourceLogs().AppendEmpty(), g.tenants[e.tenant])
		}
		e.fill(records[e.tenant].AppendEmpty())
	}
	return logs
}

// next returns the event that is sent next, valid until the next call, or nil at the end.
func (g *Generator) next() *simEvent {
	for {
		done := g.cfg.Events > 0 && g.made >= g.cfg.Events
		if len(g.held) > 0 && (done || g.held[0].release <= g.now || len(g.held) > maxHeld) {
			h := heap.Pop(&g.held).(heldEvent)
			g.current, g.repeat, g.waited = *h.event, h.repeat, true
			return &g.current
		}
		if done {
			return nil
		}
		g.repeat, g.waited = false, false
		e := g.fresh()
		if g.cfg.Duplicates > 0 && g.rng.Float64() < g.cfg.Duplicates {
			// Half of them at once, as a client does that retries; the others when a whole batch comes again.
			after := 0.0
			if g.rng.IntN(2) == 0 {
				after = g.rng.Float64() * float64(g.cfg.LateMax)
			}
			g.hold(e, after, true)
		}
		if g.cfg.Late > 0 && g.rng.Float64() < g.cfg.Late {
			g.hold(e, g.rng.Float64()*float64(g.cfg.LateMax), false)
			continue
		}
		return e
	}
}

// releasedAt is the event time of the current event, or, where it was held back, the simulated time by now.
func (g *Generator) releasedAt() int64 {
	if g.waited {
		return g.start + int64(g.now)
	}
	return g.current.time
}

func (g *Generator) hold(e *simEvent, after float64, repeat bool) {
	heap.Push(&g.held, heldEvent{release: g.now + after, number: g.made, repeat: repeat, event: e.clone()})
}

// fresh simulates the next event, spoils it if it is one of the bad, and records it.
func (g *Generator) fresh() *simEvent {
	// The clock goes by even steps, a little faster and slower in turns, as a shop's day does.
	// Three whole waves over the span, so that the last event happens at its end.
	g.now += g.step * (1 + 0.3*math.Sin(3*2*math.Pi*float64(g.made)/g.expected))
	g.made++

	var s *session
	at := g.now
	if len(g.active) > 0 && (g.active[0].due <= g.now || len(g.active) >= maxSessions) {
		s = heap.Pop(&g.active).(*session)
		at = min(at, s.due)
	} else {
		s = g.newSession()
	}

	e := &g.current
	*e = simEvent{
		id: uuid(g.cfg.Seed, saltEvent, uint64(g.made)), path: s.path, tenant: s.tenant, user: s.user,
		time: g.start + int64(at), props: e.props[:0],
		anonID: s.anonID, anonymous: true, session: s.id,
	}
	if s.path == Segment {
		e.time -= e.time % int64(time.Millisecond) // its clients know no more
		e.session = ""                             // and name no session
	}
	e.name = s.next
	g.describe(e, s)
	if g.signedUp[s.user] && s.loggedIn {
		e.known, e.userID = true, s.userID
	}
	if e.path != Segment && s.traced {
		e.traced = true
		e.trace = uuid(g.cfg.Seed, saltTrace, s.number)
		binary.BigEndian.PutUint64(e.span[:], mix(g.cfg.Seed+uint64(g.made))|1)
	}
	if g.cfg.Bad > 0 && g.rng.Float64() < g.cfg.Bad {
		g.spoil(e)
	}

	if s.next = g.move(s); s.next == leave {
		g.free = append(g.free, s)
	} else {
		s.due = at + g.gap(s.next)
		heap.Push(&g.active, s)
	}
	if g.record != nil {
		var hash uint64
		hash, g.scratch = hashProps(e.props, g.scratch)
		e.entry = g.record.add(e, hash)
	}
	return e
}

// sessionHeap is ordered by when the visitor does something next, ties by age so that runs are repeatable.
type sessionHeap []*session

func (h sessionHeap) Len() int { return len(h) }
func (h sessionHeap) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].number < h[j].number
}
func (h sessionHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *sessionHeap) Push(x any)   { *h = append(*h, x.(*session)) }
func (h *sessionHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	*h = old[:len(old)-1]
	return s
}

type heldEvent struct {
	release float64 // on the simulated clock
	number  int64   // breaks ties
	repeat  bool
	event   *simEvent
}

type heldHeap []heldEvent

func (h heldHeap) Len() int { return len(h) }
func (h heldHeap) Less(i, j int) bool {
	return h[i].release < h[j].release || h[i].release == h[j].release && h[i].number < h[j].number
}
func (h heldHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *heldHeap) Push(x any)   { *h = append(*h, x.(heldEvent)) }
func (h *heldHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1].event = nil
	*h = old[:len(old)-1]
	return e
}
