// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/internal/result"
)

// The delivery path, behind an event log. It is effectively once:
//
//   - A delivery has an identity that outlives every crash, and an INSERT's token is a function of it. A token that the
//     table remembers is not stored again.
//   - Before the first INSERT a plan is bound to the identity (plan.go), so that equal tokens mean equal rows whatever
//     the schemas, the tables or the server's mind are by the time of a replay.
//   - A table remembers a number of blocks. The ledger (ledger.go) keeps what may come again below it; the table's own
//     count of blocks (facts.go) tells afterwards whether it has.
//   - Every row carries its INSERT's token in the column _delivery. Where the table's memory is not to be trusted (too
//     many blocks since, or a server that died between noting a token and keeping the rows), the table is asked which
//     rows it has, and gets the rest (settle.go).

// logsExporter is the component: two ways into one exporter.
type logsExporter struct {
	exporter.Logs               // with queue and retries
	behindLog     exporter.Logs // synchronous: the event log retries, and waits without end
	inner         *eventsExporter
}

// ConsumeLogs takes the delivery path where an event log hands out the batch.
func (x *logsExporter) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	ld, refused := x.inner.cfg.Results.Accept.Admit(ctx, ld)
	if refused > 0 {
		x.inner.refused.Do(func() {
			x.inner.logger.Warn("Events say that they are results, but no processor before this exporter has made them: they are stored as events")
		})
	}
	if ld.LogRecordCount() == 0 {
		if scopes := result.Tables(ld); scopes != nil {
			x.inner.wantResults(scopes)
			return nil
		}
	}
	if delivery.FromContext(ctx) != nil {
		return x.behindLog.ConsumeLogs(ctx, ld)
	}
	return x.Logs.ConsumeLogs(ctx, ld)
}

// Start starts both ways; the first one starts the exporter.
func (x *logsExporter) Start(ctx context.Context, host component.Host) error {
	if err := x.Logs.Start(ctx, host); err != nil {
		return err
	}
	return x.behindLog.Start(ctx, host)
}

// Shutdown ends both ways, and the exporter last.
func (x *logsExporter) Shutdown(ctx context.Context) error {
	return errors.Join(x.behindLog.Shutdown(ctx), x.Logs.Shutdown(ctx))
}

var _ consumer.Logs = (*logsExporter)(nil)

// observed is what was seen of a pipeline and the tables at the pipeline's last checkpoint.
type observed struct {
	checkpoint     uint64
	tables         [2]uint64 // identities
	events, failed counter
}

// sink is the exporter's side of the pipelines behind logs.
type sink struct {
	mu        sync.Mutex // guards what is below, and is held while the tables are looked at; any goroutine
	pipelines map[delivery.Coordinator]observed
	layouts   map[string]*layout // of plans of before, by name
}

// consumeDelivery writes one delivery. All its errors are retryable, except a *delivery.BlockedError where going on would
// break the promise.
func (x *eventsExporter) consumeDelivery(ctx context.Context, ld plog.Logs) error {
	d := delivery.FromContext(ctx)
	if ld.LogRecordCount() == 0 {
		return nil
	}
	if err := d.Claim(x.id); err != nil {
		return err
	}
	ld, err := x.storeResults(ctx, ld)
	if batch := event.FromLogs(ld); err == nil && batch.Len() > 0 {
		err = x.deliver(ctx, d, batch)
	}
	if err != nil {
		if isCode(err, unknownTable) || isCode(err, unknownDatabase) || errors.Is(err, errNoTable) {
			x.tables.forget()
		}
		x.logger.Warn("A delivery was not stored: the event log hands it out again",
			zap.Stringer("delivery", d.ID), zap.Int("attempt", d.Attempt), zap.Error(err))
	}
	return err
}

func (x *eventsExporter) deliver(ctx context.Context, d *delivery.Delivery, batch event.Batch) error {
	lookCtx, cancel := x.timeout(ctx)
	defer cancel()
	f, err := x.look(lookCtx)
	if err != nil {
		return err
	}
	r := &run{eventsExporter: x, d: d, coordinator: d.Coordinator(), batch: batch, layout: f.layout, facts: f, name: x.planName()}
	if r.at, err = x.observe(lookCtx, r); err != nil {
		return err
	}
	cancel()
	raw, err := r.coordinator.Plan(d.ID, r.name)
	if err != nil {
		return fmt.Errorf("reading the plan of %s: %w", d.ID, err)
	}
	if raw != nil {
		if r.plan, err = decodePlan(raw); err != nil {
			return blocked("reading the plan of %s: %w: reset the pipeline's position behind it", d.ID, err)
		}
		err = r.follow(ctx)
	} else {
		err = r.begin(ctx)
	}
	if r.block != nil {
		defer x.giveBlock(r.block)
	}
	if err != nil {
		return err
	}
	return r.carryOut(ctx)
}

// look returns what the tables are, once they are as they must be.
func (x *eventsExporter) look(ctx context.Context) (*facts, error) {
	for again := false; ; again = true {
		ensured, err := x.tables.ensure(ctx, x.registry.Snapshot())
		if err != nil {
			return nil, err
		}
		f, err := x.tables.behindLog(ctx, ensured)
		if err == nil {
			return f, nil
		}
		if again || !errors.Is(err, errNoTable) {
			return nil, err
		}
		x.tables.forget() // it was dropped since: it is made again
	}
}

// timeout bounds one exchange with the server.
func (x *eventsExporter) timeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if x.cfg.TimeoutConfig.Timeout > 0 {
		return context.WithTimeout(ctx, x.cfg.TimeoutConfig.Timeout)
	}
	return context.WithCancel(ctx)
}

func blocked(format string, args ...any) error {
	return &delivery.BlockedError{Err: fmt.Errorf(format, args...)}
}

// planName is that of this exporter's plans among the pipeline's. A plan does not hold for other tables.
func (x *eventsExporter) planName() string {
	return strings.Join([]string{x.id.String(), x.cfg.Database, x.cfg.Events.Name, x.cfg.FailedEvents.Name}, " ")
}

// observe returns how far the tables' counts of blocks were at the pipeline's last checkpoint, or a little after it but
// before anything was sent since. It asks the server once for each checkpoint.
func (x *eventsExporter) observe(ctx context.Context, r *run) (observed, error) {
	x.sink.mu.Lock()
	defer x.sink.mu.Unlock()
	at, ok := x.sink.pipelines[r.coordinator]
	checkpoint := r.coordinator.Checkpoint()
	if ok && at.checkpoint == checkpoint && at.tables == r.facts.identities() {
		return at, nil
	}
	var err error
	if r.facts, err = x.tables.refresh(ctx, r.facts); err != nil {
		return at, err
	}
	at = observed{checkpoint: checkpoint, tables: r.facts.identities()}
	if at.events, at.failed, err = x.tables.marks(ctx, r.facts); err != nil {
		return at, err
	}
	x.sink.pipelines[r.coordinator] = at
	return at, nil
}

// begin makes a new delivery's plan and binds it. The block then has the rows of the first piece, which is all there
// is unless they touch too many partitions.
func (r *run) begin(ctx context.Context) error {
	r.block = r.takeBlock(r.layout)
	name, value := r.layout.encoding()
	n := r.batch.Len()
	r.plan = &plan{
		layout: name, records: uint64(n), bound: r.now().UnixNano(),
		events: tablePlan{mark: r.at.events, next: 1, pieces: []piece{{rows: spans{{0, n}}, fresh: true}}},
		failed: tablePlan{mark: r.at.failed},
	}
	r.buildFirst(ctx)
	r.built = builtBoth
	events, failed := r.eventsStage(), r.failedStage()
	events.ledger().begin(events.insertion(""))
	failed.ledger().begin(failed.insertion(""))
	skipped, err := events.leaveOutExisting(ctx)
	if err != nil {
		return err
	}
	if skipped > 0 {
		r.built = builtNothing
	}
	if len(r.plan.events.pieces) > 0 {
		if groups := events.cut(&r.plan.events.pieces[0]); len(groups) > 1 {
			events.split(groups)
			r.built = builtNothing
		}
	}
	if err := r.keep(name, value); err != nil {
		return err
	}
	if err := r.bind(ctx); err != nil {
		return err
	}
	events.countSkipped(ctx, skipped)
	failpoint.Reach(failpoint.PlanBound)
	return nil
}

// keep stores a layout with the pipeline's state, once for each pipeline and layout.
func (r *run) keep(name string, value []byte) error {
	key := keptKey{r.coordinator, name}
	if _, known := r.kept.Load(key); known {
		return nil
	}
	if err := r.coordinator.Keep(name, value); err != nil {
		return fmt.Errorf("keeping the layout of the events table: %w", err)
	}
	r.kept.Store(key, true)
	return nil
}

type keptKey struct {
	coordinator delivery.Coordinator
	layout      string
}

// follow prepares to carry out the plan of an earlier attempt.
func (r *run) follow(ctx context.Context) error {
	if r.plan.records != uint64(r.batch.Len()) {
		return blocked("%s has %d events, but had %d when it was first sent: what stands between the log and %s must be the same for a repeated delivery: "+
			"mend it, or reset the pipeline's position", r.d.ID, r.batch.Len(), r.plan.records, r.id)
	}
	for chunk := 0; ; chunk++ {
		raw, err := r.coordinator.Plan(r.d.ID, r.refusalsName(chunk))
		if err != nil {
			return fmt.Errorf("reading the plan of %s: %w", r.d.ID, err)
		}
		if raw == nil {
			break
		}
		refused, err := decodeRefusals(raw)
		if err != nil {
			return blocked("reading the plan of %s: %w: reset the pipeline's position behind it", r.d.ID, err)
		}
		r.refusals = append(r.refusals, refused)
	}
	l, err := r.plannedLayout()
	if err != nil {
		return err
	}
	if l != r.layout {
		lookCtx, cancel := r.timeout(ctx)
		defer cancel()
		if err := r.tables.restore(lookCtx, l); err != nil {
			return err
		}
		r.layout = l
	}
	r.noteRejected()
	r.block = r.takeBlock(r.layout)
	for _, s := range []*stage{r.eventsStage(), r.failedStage()} {
		for i := range s.plan.pieces {
			s.plan.pieces[i].fresh = s.ledger().unsent(s.insertion(s.token(&s.plan.pieces[i])))
		}
		if s.plan.next > 0 { // the bind can have failed after it was done
			s.settled()
		}
	}
	return nil
}

// plannedLayout returns the layout that the plan names.
func (r *run) plannedLayout() (*layout, error) {
	if name, _ := r.layout.encoding(); name == r.plan.layout {
		return r.layout, nil
	}
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	if l := r.sink.layouts[r.plan.layout]; l != nil {
		return l, nil
	}
	value, err := r.coordinator.Kept(r.plan.layout)
	if err != nil {
		return nil, fmt.Errorf("reading the layout of %s: %w", r.d.ID, err)
	}
	l, err := decodeLayout(value)
	if err != nil {
		return nil, blocked("%s was planned by a layout that is lost: %w: reset the pipeline's position behind it", r.d.ID, err)
	}
	l.propertiesType = r.layout.propertiesType // JSON goes as text into whatever JSON type the column has
	if len(r.sink.layouts) >= maxLayouts {
		clear(r.sink.layouts)
	}
	r.sink.layouts[r.plan.layout] = l
	return l, nil
}

// maxLayouts bounds the layouts of before that are held: few deliveries wait for a replay at any time.
const maxLayouts = 8
