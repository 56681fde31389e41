// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/exporter/parquetexporter/internal/metadata"
	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/internal/state"
)

// parquetExporter takes batches. consume may be called by several goroutines at once; one worker makes files.
type parquetExporter struct {
	cfg       *Config
	id        component.ID
	logger    *zap.Logger
	telemetry *metadata.TelemetryBuilder
	// A test may set these before start.
	clock delivery.Clock
	wrap  func(objectstore.Store) objectstore.Store

	// Set by start, before the first batch.
	registry  schema.Registry
	index     *index
	staging   *staging
	store     objectstore.Store
	writer    string // names files: no other exporter, of any process, makes equal names
	author    string // in the files' metadata
	events    *template
	failed    *template
	lock      *os.File
	worker    *worker
	host      component.Host
	buffers   sync.Pool // *buffer
	readers   sync.Pool // *event.Sorted
	closeOnce sync.Once

	mu       sync.Mutex // guards what follows
	layouts  *layouts
	lots     map[uint64]*lot
	open     map[lotKey]*lot
	tokens   tokens
	counters counters
	// unsure is a write to the state store that failed and may nevertheless have been done. It is repeated, the same, before
	// anything else.
	unsure *write
}

// write is one change of what counts.
type write struct {
	batch state.Batch
	apply func() // to memory, once the batch is durable
	undo  func() // when it is known not to have been done
}

func newParquetExporter(set exporter.Settings, cfg *Config) (*parquetExporter, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	return &parquetExporter{
		cfg: cfg, id: set.ID, logger: set.Logger, telemetry: telemetry, clock: delivery.SystemClock(),
		lots: map[uint64]*lot{}, open: map[lotKey]*lot{},
	}, nil
}

func (x *parquetExporter) start(ctx context.Context, host component.Host) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, x.close())
		}
	}()
	x.host = host
	if err := x.findExtensions(host); err != nil {
		return err
	}
	if x.events, err = parseTemplate(x.cfg.PartitionBy); err != nil {
		return fmt.Errorf("partition_by: %w", err)
	}
	if x.failed, err = parseTemplate(x.cfg.FailedPartitionBy); err != nil {
		return fmt.Errorf("failed_partition_by: %w", err)
	}
	storeID := x.index.store.ID()
	digest := sha256.Sum256(append(storeID[:], x.id.String()...))
	x.writer = hex.EncodeToString(digest[:6])
	if x.author = x.cfg.File.Writer; x.author == "" {
		if x.author, err = os.Hostname(); err != nil {
			x.author = "unknown"
		}
	}
	if err := x.claimStaging(hex.EncodeToString(storeID[:])); err != nil {
		return err
	}
	found, err := x.index.load()
	if err != nil {
		return err
	}
	x.staging, err = openStaging(x.cfg.Staging.Directory, x.cfg.Staging.SegmentBytes, func(yield func(place) error) error {
		for _, l := range found.lots {
			for i := range l.pieces {
				if err := yield(l.pieces[i].place()); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	x.counters, x.tokens = found.counters, found.tokens
	for _, l := range found.lots {
		x.lots[l.id] = l
		if l.file == "" {
			x.open[l.key] = l
		}
		for i := range l.parts {
			x.staging.add(l.parts[i].Bytes)
		}
	}
	x.layouts = newLayouts(x.cfg, x.logger, x.index)
	if err := x.removeLeftovers(); err != nil {
		return err
	}
	if x.store, err = x.cfg.destination().Open(ctx); err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	if x.wrap != nil {
		x.store = x.wrap(x.store)
	}
	if err := x.observe(); err != nil {
		return err
	}
	x.worker = startWorker(x)
	return nil
}

var (
	errNoRegistry = errors.New("is no extension that has schemas: add a schema_registry to service::extensions")
	errNoState    = errors.New("is no extension that keeps state: add a state_store to service::extensions, since what is staged must be known after a crash")
)

func (x *parquetExporter) findExtensions(host component.Host) error {
	ext, ok := host.GetExtensions()[x.cfg.StateStore].(state.Provider)
	if !ok {
		return fmt.Errorf("state_store: %q %w", x.cfg.StateStore, errNoState)
	}
	x.index = &index{store: ext.Store(), owner: []byte(x.id.String())}
	registry, ok := host.GetExtensions()[x.cfg.SchemaRegistry]
	if !ok {
		// Without the extension every event is undeclared: that is a setup, a wrong name is a mistake.
		if x.cfg.SchemaRegistry != createDefaultConfig().(*Config).SchemaRegistry {
			return fmt.Errorf("schema_registry: %q %w", x.cfg.SchemaRegistry, errNoRegistry)
		}
		x.logger.Warn("No schema_registry extension: all properties go into the column `properties`, none gets a column of its own")
		empty, err := schema.NewSnapshot(0, nil)
		if err != nil {
			return fmt.Errorf("creating an empty schema registry: %w", err)
		}
		x.registry = noRegistry{empty}
		return nil
	}
	if x.registry, ok = registry.(schema.Registry); !ok {
		return fmt.Errorf("schema_registry: %q %w", x.cfg.SchemaRegistry, errNoRegistry)
	}
	return nil
}

// noRegistry stands in where no schemas are configured.
type noRegistry struct{ snapshot *schema.Snapshot }

func (r noRegistry) Snapshot() *schema.Snapshot { return r.snapshot }

// shutdown ends the worker and leaves what is staged for the next start.
func (x *parquetExporter) shutdown(context.Context) error {
	if x.worker != nil {
		x.worker.stop()
	}
	return x.close()
}

func (x *parquetExporter) close() error {
	var errs []error
	x.closeOnce.Do(func() {
		x.telemetry.Shutdown()
		if x.staging != nil {
			errs = append(errs, x.staging.close())
		}
		if x.store != nil {
			errs = append(errs, x.store.Close())
		}
		if x.lock != nil {
			errs = append(errs, x.lock.Close())
		}
	})
	return errors.Join(errs...)
}

// errStagingFull is retryable: the event log waits, a receiver's sender is told to come again.
var errStagingFull = errors.New("staging has reached staging::max_bytes, so files do not leave as fast as events come: look for why the store does not take them")

// consume stages a batch: when it returns nil, its events are durable here and will be in a file each, once.
//
// Behind an event log the batch has an identity. One that is staged already is acknowledged and not staged again. Else all of
// it is noted in the state store in one write, whatever files it goes into: after a crash it is there as a whole or comes
// again.
func (x *parquetExporter) consume(ctx context.Context, ld plog.Logs) error {
	d := delivery.FromContext(ctx)
	var token string
	if d != nil {
		if err := d.Claim(x.id); err != nil {
			return err
		}
		token = d.ID.Token()
		x.mu.Lock()
		err := x.settle()
		again := x.tokens.known[token]
		x.mu.Unlock()
		if err != nil {
			return err
		}
		if again {
			x.telemetry.ExporterParquetReplays.Add(ctx, 1)
			return nil
		}
	}
	if x.staging.staged() >= x.cfg.Staging.MaxBytes {
		x.worker.wake()
		return errStagingFull
	}
	batch := event.FromLogs(ld)
	if batch.Len() == 0 {
		return nil
	}
	b, err := x.build(ctx, batch)
	if err != nil {
		return err
	}
	defer b.release()
	buf := x.takeBuffer()
	defer x.buffers.Put(buf)
	buf.encode(b)
	places, err := x.staging.append(buf.data, buf.lengths)
	if err != nil {
		return err
	}
	failpoint.Reach(failpoint.StageWritten)
	if err := x.note(d, token, b, buf, places); err != nil {
		return err
	}
	failpoint.Reach(failpoint.StageNoted)
	return nil
}

// target is the rows of a batch that go into one file.
type target struct {
	key    lotKey
	layout *fileLayout
	rows   *rows
}

// batchRows is a batch by where its rows go.
type batchRows struct {
	targets []*target
	fresh   int // that have no lot yet
}

func (b *batchRows) release() {
	for _, t := range b.targets {
		t.layout.give(t.rows)
	}
}

// routeKey finds a target again.
type routeKey struct {
	layout *fileLayout
	partition
}

// build reads the batch into typed columns.
func (x *parquetExporter) build(ctx context.Context, batch event.Batch) (*batchRows, error) {
	snap := x.registry.Snapshot()
	b := &batchRows{}
	routes := map[routeKey]*target{}
	var last routeKey
	var at *target
	route := func(l *fileLayout, t *template, e *event.Event, when int64) *target {
		key := routeKey{l, t.of(e, when)}
		if at != nil && key == last {
			return at
		}
		found := routes[key]
		if found == nil {
			lk := x.place(b, l, t, &key.partition)
			for _, other := range b.targets { // of one that overflowed
				if other.key == lk {
					found = other
				}
			}
			if found == nil {
				found = &target{key: lk, layout: l, rows: l.take()}
				b.targets = append(b.targets, found)
			}
			routes[key] = found
		}
		last, at = key, found
		return found
	}
	fail := func(e *event.Event, f event.Failure) error {
		l, err := x.layout(snap, failedKey)
		if err != nil {
			return err
		}
		received := columns.FailedTime(e.Received)
		t := route(l, x.failed, e, received)
		t.rows.failed.Add(e, f, "")
		t.rows.extent.add(columns.FailedTime(e.Time), received)
		return nil
	}
	// Events of one file come together, which keeps its columns near.
	r, _ := x.readers.Get().(*event.Sorted)
	if r == nil {
		r = &event.Sorted{}
	}
	defer x.readers.Put(r)
	defer r.Release()
	r.Reset(batch)
	subject := subjects{x: x, snap: snap}
	for e, _ := r.Next(); e != nil; e, _ = r.Next() {
		if e.Failed {
			if err := fail(e, e.Failure); err != nil {
				return nil, err
			}
			continue
		}
		l, err := subject.layout(e.Schema)
		if err != nil {
			return nil, err
		}
		when := int64(e.Time)
		if when == 0 {
			when = int64(e.Received)
		}
		t := route(l, x.events, e, when)
		if refused := t.rows.events.Add(e, r.ResourceIndex()); refused != nil {
			x.telemetry.ExporterParquetFailed.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", refused.Reason))))
			if err := fail(e, event.Failure{Stage: event.StageExport, Reason: refused.Reason, Pointer: refused.Pointer, Processor: x.id.String()}); err != nil {
				return nil, err
			}
			continue
		}
		t.rows.extent.add(when, int64(e.Received))
	}
	b.targets = slices.DeleteFunc(b.targets, func(t *target) bool {
		if t.rows.len() > 0 {
			return false
		}
		t.layout.give(t.rows) // all that was for it was refused
		return true
	})
	return b, nil
}

// subjects remembers the last layout: events of one kind mostly come together.
type subjects struct {
	x       *parquetExporter
	snap    *schema.Snapshot
	subject string
	last    *fileLayout
}

func (s *subjects) layout(subject string) (*fileLayout, error) {
	if s.last != nil && s.subject == subject {
		return s.last, nil
	}
	known := subject
	if known != "" && s.snap.Find(known, "") == nil {
		known = "" // its schema is gone: its properties are undeclared by now
	}
	l, err := s.x.layout(s.snap, known)
	if err == nil {
		s.subject, s.last = subject, l
	}
	return l, err
}

func (x *parquetExporter) layout(snap *schema.Snapshot, subject string) (*fileLayout, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.layouts.of(snap, subject)
}

// place says into which file's lot a partition goes. Where too many are open, new ones share.
func (x *parquetExporter) place(b *batchRows, l *fileLayout, t *template, p *partition) lotKey {
	key := lotKey{l.name, t.expand(p, false)}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.open[key] != nil {
		return key
	}
	if len(x.open)+b.fresh < x.cfg.File.MaxOpen {
		b.fresh++
		return key
	}
	x.telemetry.ExporterParquetOverflow.Add(context.Background(), 1)
	return lotKey{l.name, t.expand(p, true)}
}

// buffer is what a batch's pieces are encoded in.
type buffer struct {
	block   []byte
	data    []byte
	lengths []int
	raw     []int
}

func (x *parquetExporter) takeBuffer() *buffer {
	if b, ok := x.buffers.Get().(*buffer); ok {
		return b
	}
	return &buffer{}
}

func (f *buffer) encode(b *batchRows) {
	f.data, f.lengths, f.raw = f.data[:0], f.lengths[:0], f.raw[:0]
	for _, t := range b.targets {
		f.block = columns.AppendBlock(f.block[:0], t.rows.len(), t.rows.columns())
		at := len(f.data)
		if room := at + s2.MaxEncodedLen(len(f.block)); cap(f.data) < room {
			f.data = append(make([]byte, 0, room+room/4), f.data...)
		}
		f.data = f.data[:at+len(s2.Encode(f.data[at:cap(f.data)], f.block))]
		f.lengths = append(f.lengths, len(f.data)-at)
		f.raw = append(f.raw, len(f.block))
	}
}

// note makes staged pieces count, all at once.
func (x *parquetExporter) note(d *delivery.Delivery, token string, b *batchRows, buf *buffer, places []place) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.settle(); err != nil {
		x.staging.release(places)
		return err
	}
	w := &write{undo: func() { x.staging.release(places) }}
	next := x.counters
	now := x.clock.Now().UnixNano()
	var at stream
	var first, last uint64
	var gone []string
	if d != nil {
		at, first, last, gone = x.passed(d)
		for _, t := range gone {
			w.batch.Delete(x.index.key("token", t))
		}
		x.index.setToken(&w.batch, token, at, last)
	}
	type added struct {
		lot   *lot
		piece piece
	}
	var all []added
	opened := map[lotKey]*lot{}
	for i, t := range b.targets {
		l := x.open[t.key]
		if l == nil {
			l = opened[t.key]
		}
		if l == nil {
			l = &lot{id: next.Lot, key: t.key, opened: now}
			next.Lot++
			opened[t.key] = l
			x.index.setLot(&w.batch, l)
		}
		p := piece{
			Sequence: next.Sequence, Segment: places[i].segment, Offset: places[i].offset, Length: places[i].length, Checksum: places[i].checksum,
			Raw: uint32(buf.raw[i]), Rows: int64(t.rows.len()), Extent: t.rows.extent,
		}
		if d != nil && at.stage == "" {
			p.Log = at.logRange(first, last, p.Rows)
		}
		next.Sequence++
		x.index.setPiece(&w.batch, l.id, &p)
		all = append(all, added{l, p})
	}
	x.index.setCounters(&w.batch, next)
	w.apply = func() {
		x.counters = next
		x.tokens.forget(gone)
		if d != nil {
			x.tokens.add(at, token, last)
		}
		for key, l := range opened {
			x.lots[l.id], x.open[key] = l, l
		}
		for _, a := range all {
			a.lot.add(a.piece)
		}
		x.worker.wake()
	}
	return x.commit(w)
}

// passed names the delivery's stream and the tokens that cannot come again. The caller holds mu.
func (x *parquetExporter) passed(d *delivery.Delivery) (at stream, first, last uint64, gone []string) {
	id := d.ID
	at = stream{incarnation: id.Incarnation, epoch: id.Epoch, pipeline: id.Pipeline.String(), partition: id.Partition, stage: id.Stage}
	if id.Stage != "" {
		// An outbox is deleted by the checkpoint after the one that made it.
		return at, 0, id.Checkpoint, x.tokens.passed(at, d.Coordinator().Checkpoint())
	}
	return at, id.First, id.Last, x.tokens.passed(at, d.Coordinator().Committed(id.Partition))
}

// commit makes a write durable and then known. The caller holds mu, and has called settle before it decided what to write.
func (x *parquetExporter) commit(w *write) error {
	err := x.index.store.Commit(&w.batch)
	switch {
	case err == nil:
		w.apply()
		return nil
	case errors.Is(err, state.ErrFull), errors.Is(err, state.ErrClosed): // nothing was changed
		w.undo()
	default:
		x.unsure = w
	}
	return fmt.Errorf("noting what is staged: %w", err)
}

// settle repeats a write of which it is not known whether it was done. The caller holds mu.
func (x *parquetExporter) settle() error {
	w := x.unsure
	if w == nil {
		return nil
	}
	if err := x.index.store.Commit(&w.batch); err != nil {
		return fmt.Errorf("noting what is staged: %w", err)
	}
	x.unsure = nil
	w.apply()
	return nil
}

// partPath is where a lot's part lies.
func (x *parquetExporter) partPath(file string) string {
	return filepath.Join(x.cfg.Staging.Directory, file)
}

// now in UTC.
func (x *parquetExporter) now() time.Time { return x.clock.Now().UTC() }
