// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// RunConfig says what to send, whereto and how fast. Zero fields take their defaults, which NewRun fills in.
type RunConfig struct {
	Generator GeneratorConfig
	Targets   Targets
	// Rate is how many events a second are due, whether or not the server keeps up; 0 is as fast as it takes them.
	Rate float64
	// Duration ends the run after that time; 0 is when Generator.Events are sent.
	Duration time.Duration
	// Connections is how many to open for each path in use (default 4).
	Connections int
	// InFlight is how many requests are under way at once on each gRPC connection (default 2). HTTP has one. What
	// is due beyond all of them waits and counts as behind.
	InFlight int
	// Batch is how many events an OTLP request holds (default 1000), SegmentBatch a Segment one (default 250). At
	// low rates fewer, so that an event does not wait for its neighbours.
	Batch, SegmentBatch int
	// MaxDisorder is how much event time may lie between two events of which the younger is sent while the older waits for its
	// acknowledgement; what the generator sends late on purpose comes on top. A sender that has to try again holds back the others. 0 is
	// no bound.
	MaxDisorder time.Duration
	// Record keeps a Manifest, at about 60 bytes an event.
	Record bool
}

// Run sends generated events. Use it once.
type Run struct {
	cfg      RunConfig
	gen      *Generator
	manifest *Manifest // nil where none is kept
	stats    counters
	flight   flight
	finish   chan struct{} // closed by Finish
	finished sync.Once
}

// counters are atomic each for itself: written by the senders, read by Stats at any time.
type counters struct {
	sent                                         [numPaths]atomic.Int64
	acked, refused, abandoned, retries, requests atomic.Int64
	bytes, behind, maxBehind, made               atomic.Int64
	started, ended, reached                      atomic.Int64 // nanoseconds since the epoch
	lastError                                    atomic.Pointer[error]
	latency                                      histogram
}

// Stats is how a run stands. All but the last few fields count copies of events.
type Stats struct {
	Sent      int64            // given to a sender, acknowledged or not
	SentBy    [numPaths]int64  // of them, by path
	Acked     int64            // acknowledged
	Refused   int64            // refused for good
	Abandoned int64            // neither, when the run was broken off
	Behind    int64            // due by now, but waiting because all connections are busy
	MaxBehind int64            // the highest value of Behind
	Retries   int64            // attempts after a first one
	Requests  int64            // attempts in all
	Bytes     int64            // of the request bodies, before compression, without retries
	Elapsed   time.Duration    // since the first event was sent, up to the end of the run
	Latency   LatencyQuantiles // from when a batch was due to its acknowledgement, retries included
	LastError error            // of an attempt; nil if there was none
	EventTime time.Time        // the latest that an event has that was given to a sender; zero if there is none
}

// NewRun checks the configuration and fills in its defaults. Nothing is sent before Do.
func NewRun(cfg RunConfig) (*Run, error) {
	setDefault(&cfg.Connections, 4)
	setDefault(&cfg.InFlight, 2)
	setDefault(&cfg.Batch, 1000)
	setDefault(&cfg.SegmentBatch, 250)
	if cfg.Targets.Timeout == 0 {
		cfg.Targets.Timeout = 30 * time.Second
	}
	cfg.Generator.setDefaults()
	if cfg.Generator.Paths[Segment] > 0 {
		cfg.Generator.SegmentTenants = slices.Sorted(maps.Keys(cfg.Targets.SegmentKeys))
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configuring the run: %w", err)
	}
	gen, err := NewGenerator(cfg.Generator)
	if err != nil {
		return nil, err
	}
	r := &Run{cfg: cfg, gen: gen, finish: make(chan struct{}), flight: flight{bound: int64(cfg.MaxDisorder), left: make(chan struct{}, 1)}}
	if cfg.Record {
		r.manifest = NewManifest(cfg.Generator)
		gen.Record(r.manifest)
	}
	return r, nil
}

func setDefault(v *int, to int) {
	if *v == 0 {
		*v = to
	}
}

func (c *RunConfig) validate() error {
	var errs []error
	atLeast := func(field string, v int) {
		if v < 1 {
			errs = append(errs, fmt.Errorf("%s: %d is too few: give at least 1", field, v))
		}
	}
	atLeast("connections", c.Connections)
	atLeast("in flight", c.InFlight)
	atLeast("batch", c.Batch)
	atLeast("segment batch", c.SegmentBatch)
	if c.Rate < 0 {
		errs = append(errs, fmt.Errorf("rate: %v is negative: give events a second, or 0 for as fast as possible", c.Rate))
	}
	if c.MaxDisorder < 0 {
		errs = append(errs, fmt.Errorf("max disorder: %s is negative: give a time above 0, or 0 for no bound", c.MaxDisorder))
	}
	if c.Duration < 0 {
		errs = append(errs, fmt.Errorf("duration: %s is negative: give a time above 0", c.Duration))
	}
	if c.Duration == 0 && c.Generator.Events == 0 {
		errs = append(errs, errors.New("neither a duration nor a number of events is given: the run would not end"))
	}
	web := func(p Path, v string) {
		if u, err := url.Parse(v); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, fmt.Errorf("%s target: %q is no base URL: give one such as http://127.0.0.1:4318", p, v))
		}
	}
	for p, w := range c.Generator.Paths {
		if w == 0 {
			continue
		}
		switch Path(p) {
		case OTLPGRPC:
			if c.Targets.OTLPGRPC == "" {
				errs = append(errs, errors.New("otlp_grpc target is empty: give host:port, or take the path out of the mix"))
			}
		case OTLPHTTP:
			web(OTLPHTTP, c.Targets.OTLPHTTP)
		case Segment:
			web(Segment, c.Targets.Segment)
			if len(c.Targets.SegmentKeys) == 0 {
				errs = append(errs, errors.New("segment write keys are missing: give one for at least one tenant"))
			}
		}
	}
	return errors.Join(errs...)
}

// Manifest returns what was recorded, or nil. It is complete once Do has returned.
func (r *Run) Manifest() *Manifest { return r.manifest }

// Generator returns what the events are made by. Not to be drawn from while Do runs.
func (r *Run) Generator() *Generator { return r.gen }

// dueBatch is a batch with the time at which it was to go out.
type dueBatch struct {
	*batch
	due time.Time
}

// Do sends, and returns when all is acknowledged or refused for good. When ctx ends before, it breaks off and
// returns its error: what was under way then counts as abandoned.
func (r *Run) Do(ctx context.Context) error {
	var queues [numPaths]chan dueBatch
	var workers sync.WaitGroup
	var senders []sender
	defer func() {
		for _, s := range senders {
			_ = s.close() // nothing is under way any more
		}
	}()
	for p, w := range r.cfg.Generator.Paths {
		if w == 0 {
			continue
		}
		conns, each := 1, r.cfg.Connections // HTTP's pool opens the connections itself
		if Path(p) == OTLPGRPC {
			conns, each = r.cfg.Connections, r.cfg.InFlight
		}
		queues[p] = make(chan dueBatch, conns*each)
		for range conns {
			s, err := newSender(Path(p), &r.cfg.Targets, r.gen.tenants, r.cfg.Connections)
			if err != nil {
				for _, q := range queues {
					if q != nil {
						close(q)
					}
				}
				workers.Wait()
				return err
			}
			senders = append(senders, s)
			for range each {
				workers.Go(func() {
					for b := range queues[p] {
						if ctx.Err() != nil {
							return
						}
						r.deliver(ctx, s, b.batch, b.due)
						r.flight.land(b.batch)
					}
				})
			}
		}
	}
	r.stats.started.Store(time.Now().UnixNano())
	r.produce(ctx, &queues)
	for _, q := range queues {
		if q != nil {
			close(q)
		}
	}
	workers.Wait()
	r.stats.behind.Store(0)
	r.stats.ended.Store(time.Now().UnixNano())
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("sending events: %w", err)
	}
	return nil
}

// produce hands each batch to its queue when it is due.
func (r *Run) produce(ctx context.Context, queues *[numPaths]chan dueBatch) {
	// Half of the bound: what is still being gathered may be that much older than what is sent.
	sizes := batchSizes{r.cfg.Batch, r.cfg.SegmentBatch, int64(r.cfg.MaxDisorder+1) / 2}
	if r.cfg.Rate > 0 { // at least ten batches a second
		most := max(1, int(r.cfg.Rate/10))
		sizes.otlp, sizes.segment = min(sizes.otlp, most), min(sizes.segment, most)
	}
	batches := newBatcher(r.gen, sizes)
	start := time.Now()
	var handed int64
	for {
		if r.cfg.Duration > 0 && time.Since(start) >= r.cfg.Duration {
			return
		}
		select {
		case <-r.finish:
			return
		default:
		}
		b := batches.next()
		r.stats.made.Store(r.gen.Made())
		if b == nil {
			return
		}
		due := time.Now()
		if r.cfg.Rate > 0 {
			handed += int64(b.events)
			due = start.Add(time.Duration(float64(handed) / r.cfg.Rate * float64(time.Second)))
			if wait := time.Until(due); wait > 0 && !sleep(ctx, wait) {
				return
			}
			behind := int64(time.Since(due).Seconds() * r.cfg.Rate)
			r.stats.behind.Store(behind)
			r.stats.maxBehind.Store(max(r.stats.maxBehind.Load(), behind))
		}
		if !r.flight.board(ctx, r.finish, b) {
			return
		}
		r.stats.reached.Store(max(r.stats.reached.Load(), b.times.to))
		select {
		case queues[b.path] <- dueBatch{b, due}:
		case <-r.finish:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Finish ends the run before its time, in order: what was handed to a sender is still sent until it is acknowledged.
func (r *Run) Finish() { r.finished.Do(func() { close(r.finish) }) }

// Stats returns how the run stands. Callable by any goroutine.
func (r *Run) Stats() Stats {
	c := &r.stats
	s := Stats{
		Acked: c.acked.Load(), Refused: c.refused.Load(), Abandoned: c.abandoned.Load(), Retries: c.retries.Load(),
		Requests: c.requests.Load(), Bytes: c.bytes.Load(), Behind: c.behind.Load(), MaxBehind: c.maxBehind.Load(),
		Latency: c.latency.quantiles(),
	}
	for p := range s.SentBy {
		s.SentBy[p] = c.sent[p].Load()
		s.Sent += s.SentBy[p]
	}
	if begin := c.started.Load(); begin != 0 {
		end := c.ended.Load()
		if end == 0 {
			end = time.Now().UnixNano()
		}
		s.Elapsed = time.Duration(end - begin)
	}
	if at := c.reached.Load(); at != 0 {
		s.EventTime = time.Unix(0, at)
	}
	if err := c.lastError.Load(); err != nil {
		s.LastError = *err
	}
	return s
}

// Progress returns how much of the run is done, 0 to 1.
func (r *Run) Progress() float64 {
	s := r.Stats()
	part := 0.0
	if n := r.cfg.Generator.Events; n > 0 {
		// What was made but is held back as late counts as made; what is further copies is little.
		part = min(float64(r.stats.made.Load())/float64(n), 1)
		if s.Sent > 0 {
			part *= float64(s.Acked+s.Refused) / float64(s.Sent)
		}
	}
	if d := r.cfg.Duration; d > 0 {
		part = max(part, min(float64(s.Elapsed)/float64(d), 1))
	}
	return part
}
