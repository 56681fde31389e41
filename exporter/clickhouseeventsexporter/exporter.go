// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/exporter/clickhouseeventsexporter/internal/metadata"
	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/native"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/schema"
)

// eventsExporter writes batches. consumeLogs may be called by several of the queue's workers at once.
type eventsExporter struct {
	cfg       *Config
	id        component.ID
	logger    *zap.Logger
	telemetry *metadata.TelemetryBuilder
	now       func() time.Time // a test may set it before start

	sink    sink
	ledgers struct{ events, failed *ledger } // set by start
	noLog   sync.Once
	refused sync.Once
	kept    sync.Map // keptKey to true: the layouts that pipelines have kept; any goroutine

	declared *declarer

	// Set by start, before the first batch.
	registry schema.Registry
	conn     driver.Conn
	tables   *tables
	results  *resultTables
	inserter *inserter

	// blocks keeps one block for each worker between batches, so that a steady load allocates nothing: a sync.Pool
	// would lose them, and their tens of megabytes, to every second garbage collection. Any goroutine.
	blocks chan *block
}

// block is what one batch is built in.
type block struct {
	events *eventRows
	failed *failedRows
	// inFailed holds the positions in the batch of the events in failed, ascending.
	inFailed []int
	sorted   event.Sorted

	// Of the delivery path.
	eventsExtent, failedExtent extent
	delivery                   *native.LowCardinality // the column of the INSERT's token
	input                      proto.Input
}

func newEventsExporter(set exporter.Settings, cfg *Config) (*eventsExporter, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	x := &eventsExporter{
		cfg: cfg, id: set.ID, logger: set.Logger, telemetry: telemetry, now: time.Now,
		sink: sink{pipelines: map[delivery.Coordinator]observed{}, layouts: map[string]*layout{}},
	}
	x.declared = newDeclarer(set.Logger)
	return x, nil
}

// wantEvents has the tables of events brought up without an event.
func (x *eventsExporter) wantEvents() {
	x.want(x.cfg.Events.Name, func(ctx context.Context) error {
		_, err := x.tables.ensure(ctx, x.registry.Snapshot())
		return err
	})
}

// wantResults has declared tables of results brought up without a result.
func (x *eventsExporter) wantResults(scopes []result.Scope) {
	for i := range scopes {
		if s := &scopes[i]; s.Table != nil {
			x.want(s.Table.Name, func(ctx context.Context) error {
				_, err := x.results.ensure(ctx, s.Table, s.Text)
				return err
			})
		}
	}
}

func (x *eventsExporter) want(name string, ensure func(ctx context.Context) error) {
	x.declared.want(wanted{name, func(ctx context.Context) error {
		ctx, cancel := x.timeout(ctx)
		defer cancel()
		return ensure(ctx)
	}})
}

// deliveriesAtOnce is for how many deliveries at once connections and buffers are kept. More wait for nothing but
// dial and allocate anew.
const deliveriesAtOnce = 4

func (x *eventsExporter) start(ctx context.Context, host component.Host) error {
	var err error
	if x.registry, err = columns.FindRegistry(host, x.cfg.SchemaRegistry, createDefaultConfig().(*Config).SchemaRegistry, x.logger); err != nil {
		return err
	}

	var tlsConfig *tls.Config
	if x.cfg.TLS.HasValue() {
		var err error
		if tlsConfig, err = x.cfg.TLS.Get().LoadTLSConfig(ctx); err != nil {
			return fmt.Errorf("tls: loading: %w", err)
		}
	}
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: x.cfg.Endpoints, TLS: tlsConfig, DialTimeout: x.cfg.DialTimeout,
		Auth:             clickhouse.Auth{Username: x.cfg.Username, Password: string(x.cfg.Password)},
		ConnOpenStrategy: clickhouse.ConnOpenRoundRobin,
		MaxOpenConns:     1, MaxIdleConns: 1,
		ClientInfo: clickhouse.ClientInfo{Products: []struct{ Name, Version string }{{"millrace", ""}}},
	})
	if err != nil {
		return fmt.Errorf("configuring the ClickHouse client: %w", err)
	}
	x.conn = conn
	x.tables = &tables{
		cfg: x.cfg, logger: x.logger, conn: conn, now: x.now,
		onDDL: func(ctx context.Context) { x.telemetry.ExporterClickhouseEventsSchemaChanges.Add(ctx, 1) },
	}
	workers := 1
	if x.cfg.QueueConfig.HasValue() {
		workers = max(1, x.cfg.QueueConfig.Get().NumConsumers)
	}
	// A log's partitions come side by side.
	workers = max(workers, deliveriesAtOnce)
	x.results = &resultTables{tables: x.tables, atOnce: workers}
	x.inserter = newInserter(x.cfg, tlsConfig, workers)
	x.blocks = make(chan *block, workers)
	server := strings.Join(x.cfg.Endpoints, ",") + "/" + x.cfg.Database + "."
	x.ledgers.events, x.ledgers.failed = ledgerOf(server+x.cfg.Events.Name), ledgerOf(server+x.cfg.FailedEvents.Name)

	// Readers want the tables before the first event comes. A server that is not there yet is no reason not to
	// start: it is tried again beside, and by the first batch, which waits.
	ctx, cancel := context.WithTimeout(ctx, x.cfg.DialTimeout)
	defer cancel()
	if _, err := x.tables.ensure(ctx, x.registry.Snapshot()); err != nil {
		x.logger.Warn("ClickHouse is not ready: events wait until it is", zap.Error(err))
		x.wantEvents()
	}
	return nil
}

func (x *eventsExporter) shutdown(context.Context) error {
	x.declared.stop()
	x.telemetry.Shutdown()
	x.sink.mu.Lock()
	for c := range x.sink.pipelines {
		x.ledgers.events.leave(c)
		x.ledgers.failed.leave(c)
	}
	x.sink.mu.Unlock()
	if x.inserter != nil {
		x.inserter.close()
	}
	if x.conn != nil {
		return x.conn.Close()
	}
	return nil
}

// consumeLogs writes one batch: its results, then at most one INSERT for each of the two tables, unless the server refuses rows.
// Its errors are all retryable: an event that cannot be a row is stored as a failed one instead.
//
// On a crash or a lost connection between the INSERT and its acknowledgement, the sender's retry stores the
// batch twice.
func (x *eventsExporter) consumeLogs(ctx context.Context, ld plog.Logs) error {
	if x.cfg.Existing == existingSkip {
		x.noLog.Do(func() {
			x.logger.Warn("existing: skip does nothing without an event_log before this exporter: events that the table has are stored again")
		})
	}
	ld, err := x.storeResults(ctx, ld)
	if err != nil || ld.LogRecordCount() == 0 {
		return err
	}
	layout, err := x.tables.ensure(ctx, x.registry.Snapshot())
	if err != nil {
		return err
	}
	batch := event.FromLogs(ld)
	b := x.takeBlock(layout)
	defer x.giveBlock(b)

	x.build(ctx, b, batch)
	err = x.insert(ctx, x.cfg.Events.Name, b.events.Rows(), b.events.columns)
	if err != nil {
		switch classify(err) {
		case classTables:
			x.tables.forget()
			return err
		case classRetry:
			return err
		case classRows:
			if err := x.bisect(ctx, b, batch, err); err != nil {
				return err
			}
		}
	}
	if err := x.insert(ctx, x.cfg.FailedEvents.Name, b.failed.Rows(), b.failed.columns); err != nil {
		if classify(err) == classTables {
			x.tables.forget()
		}
		// The events are in: only the failed ones are to come again.
		return consumererror.NewLogs(err, pick(ld, b.inFailed))
	}
	return nil
}

func (x *eventsExporter) takeBlock(l *layout) *block {
	var b *block
	select {
	case b = <-x.blocks:
	default:
		b = &block{failed: newFailedRows(), delivery: native.NewLowCardinality(false)}
	}
	if b.events == nil || b.events.layout != l {
		b.events = newEventRows(l)
	}
	return b
}

// giveBlock empties the block, so that it holds on to its memory but to nothing of the batch.
func (x *eventsExporter) giveBlock(b *block) {
	b.events.Reset()
	b.failed.Reset()
	b.inFailed = b.inFailed[:0]
	b.eventsExtent.reset()
	b.failedExtent.reset()
	b.sorted.Release()
	select {
	case x.blocks <- b:
	default: // there are more workers than the configuration says
	}
}

// build reads the batch into the block, in the order of the table's default sorting key: the server then need
// not sort, which costs it the moving of every column, and like values side by side compress better.
func (x *eventsExporter) build(ctx context.Context, b *block, batch event.Batch) {
	b.sorted.Reset(batch)
	for e, i := b.sorted.Next(); e != nil; e, i = b.sorted.Next() {
		if e.Failed {
			b.failed.Add(e, e.Failure, "")
			b.inFailed = append(b.inFailed, i)
			continue
		}
		if err := b.events.Add(e, b.sorted.ResourceIndex()); err != nil {
			x.failRow(ctx, b, i, e, err, "")
		}
	}
	slices.Sort(b.inFailed)
}

func (x *eventsExporter) failRow(ctx context.Context, b *block, i int, e *event.Event, err *columns.Error, message string) {
	b.failed.Add(e, event.Failure{
		Stage: event.StageExport, Reason: err.Reason, Pointer: err.Pointer, Processor: x.id.String(),
	}, message)
	b.inFailed = append(b.inFailed, i)
	x.telemetry.ExporterClickhouseEventsFailed.Add(ctx, 1,
		metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", err.Reason))))
}

func (x *eventsExporter) insert(ctx context.Context, table string, rows int, columns func() proto.Input) error {
	if rows == 0 {
		return nil
	}
	start := time.Now()
	if _, err := x.inserter.insert(ctx, table, columns(), ""); err != nil {
		return err
	}
	x.inserted(ctx, table, rows, start)
	return nil
}

// inserted counts an INSERT that was acknowledged.
func (x *eventsExporter) inserted(ctx context.Context, table string, rows int, start time.Time) {
	set := metric.WithAttributeSet(attribute.NewSet(attribute.String("table", table)))
	x.telemetry.ExporterClickhouseEventsInsertDuration.Record(ctx, time.Since(start).Seconds(), set)
	x.telemetry.ExporterClickhouseEventsRows.Add(ctx, int64(rows), set)
}
