// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/millrace/millrace/exporter/parquetexporter/internal/metadata"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/internal/state"
)

// clock stands still until it is moved.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[chan time.Time]time.Time
	asked  int // times that somebody began to wait
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), timers: map[chan time.Time]time.Time{}}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	ch := make(chan time.Time, 1)
	if d <= 0 {
		ch <- c.now
		return ch
	}
	c.timers[ch] = c.now.Add(d)
	return ch
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for ch, at := range c.timers {
		if !at.After(c.now) {
			ch <- c.now
			delete(c.timers, ch)
		}
	}
}

// registry has the schemas that a test sets.
type registry struct {
	mu       sync.Mutex
	snapshot *schema.Snapshot
}

func (r *registry) Start(context.Context, component.Host) error { return nil }
func (r *registry) Shutdown(context.Context) error              { return nil }

func (r *registry) Snapshot() *schema.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.snapshot
}

func (r *registry) set(t testing.TB, schemas ...*schema.Schema) {
	t.Helper()
	snap, err := schema.NewSnapshot(1, schemas)
	require.NoError(t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.snapshot = snap
}

func compile(t testing.TB, subject, version, doc string) *schema.Schema {
	t.Helper()
	s, err := schema.Compile(subject, version, []byte(doc))
	require.NoError(t, err)
	return s
}

// stateStore is a real one whose writes can fail.
type stateStore struct {
	state.Store
	mu sync.Mutex
	// fail is asked before each write: an error is returned, after the write was done if done.
	fail func() (err error, done bool)
}

func (s *stateStore) Start(context.Context, component.Host) error { return nil }
func (s *stateStore) Shutdown(context.Context) error              { return nil }

// provider gives out the store as an extension does.
type provider struct{ *stateStore }

func (p provider) Store() state.Store { return p.stateStore }

func (s *stateStore) Commit(b *state.Batch) error {
	s.mu.Lock()
	fail := s.fail
	s.mu.Unlock()
	if fail != nil {
		if err, done := fail(); err != nil {
			if done {
				if err := s.Store.Commit(b); err != nil {
					return err
				}
			}
			return err
		}
	}
	return s.Store.Commit(b)
}

func (s *stateStore) failing(f func() (error, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// objects is a store that can be away.
type objects struct {
	objectstore.Store
	mu   sync.Mutex
	fail func(key string) error
}

func (o *objects) Put(ctx context.Context, key, file string) error {
	o.mu.Lock()
	fail := o.fail
	o.mu.Unlock()
	if fail != nil {
		if err := fail(key); err != nil {
			return err
		}
	}
	return o.Store.Put(ctx, key, file)
}

func (o *objects) failing(f func(key string) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = f
}

// coordinator is a pipeline's side of a log.
type coordinator struct {
	delivery.Coordinator
	mu                    sync.Mutex
	committed, checkpoint uint64
}

func (c *coordinator) Partitions() uint32 { return 1 }

func (c *coordinator) Committed(uint32) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.committed
}

func (c *coordinator) Checkpoint() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.checkpoint
}

func (c *coordinator) commit(position uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.committed = position
	c.checkpoint++
}

type host struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

// harness runs an exporter on directories that outlive it.
type harness struct {
	t        testing.TB
	cfg      *Config
	clock    *clock
	registry *registry
	state    *stateStore
	objects  *objects
	pipe     *coordinator
	id       delivery.Identity
	x        *parquetExporter
}

func newHarness(t testing.TB, change func(*Config)) *harness {
	t.Helper()
	dir := t.TempDir()
	cfg := createDefaultConfig().(*Config)
	cfg.Directory = filepath.Join(dir, "lake")
	cfg.Staging.Directory = filepath.Join(dir, "staging")
	if change != nil {
		change(cfg)
	}
	require.NoError(t, cfg.Validate())
	store, err := state.Open(filepath.Join(dir, "state"), state.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	h := &harness{
		t: t, cfg: cfg, clock: newClock(), registry: &registry{}, state: &stateStore{Store: store}, pipe: &coordinator{},
		id: delivery.Identity{Incarnation: uuid.New(), Pipeline: pipeline.NewIDWithName(pipeline.SignalLogs, "lake")},
	}
	h.registry.set(t)
	h.start()
	t.Cleanup(h.stop)
	return h
}

func (h *harness) host() host {
	return host{extensions: map[component.ID]component.Component{
		h.cfg.StateStore: provider{h.state}, h.cfg.SchemaRegistry: h.registry,
	}}
}

func (h *harness) tryStart() error {
	set := exportertest.NewNopSettings(metadata.Type)
	set.ID = component.NewID(metadata.Type)
	x, err := newParquetExporter(set, h.cfg)
	require.NoError(h.t, err)
	x.clock = h.clock
	x.wrap = func(s objectstore.Store) objectstore.Store {
		var fail func(string) error
		if h.objects != nil {
			fail = h.objects.fail
		}
		h.objects = &objects{Store: s, fail: fail}
		return h.objects
	}
	if err := x.start(h.t.Context(), h.host()); err != nil {
		return err
	}
	h.x = x
	return nil
}

func (h *harness) start() {
	h.t.Helper()
	require.NoError(h.t, h.tryStart())
}

func (h *harness) stop() {
	if h.x != nil {
		require.NoError(h.t, h.x.shutdown(context.Background()))
		h.x = nil
	}
}

func (h *harness) restart() {
	h.t.Helper()
	h.stop()
	h.start()
}

// one describes an event.
type one struct {
	id, name, tenant, properties string
	at                           time.Time
	schema                       string // SUBJECT/VERSION
	failed                       bool
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func batch(t testing.TB, events ...one) plog.Logs {
	t.Helper()
	ld := plog.NewLogs()
	for _, o := range events {
		rl := ld.ResourceLogs().AppendEmpty()
		if o.tenant != "" {
			rl.Resource().Attributes().PutStr("tenant.id", o.tenant)
		}
		r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		if o.at.IsZero() {
			o.at = noon
		}
		r.SetTimestamp(pcommon.NewTimestampFromTime(o.at))
		r.SetObservedTimestamp(pcommon.NewTimestampFromTime(noon))
		r.SetEventName(o.name)
		r.Attributes().PutStr("log.record.uid", o.id)
		if subject, version, ok := strings.Cut(o.schema, "/"); ok {
			r.Attributes().PutStr("event.schema", subject)
			r.Attributes().PutStr("event.schema.version", version)
		}
		if o.properties != "" {
			var m map[string]any
			require.NoError(t, jsonDecode(o.properties, &m))
			for k, v := range m {
				require.NoError(t, r.Attributes().PutEmpty(k).FromRaw(v))
			}
		}
	}
	if slices.ContainsFunc(events, func(o one) bool { return o.failed }) {
		var r event.Reader
		r.Reset(event.FromLogs(ld))
		for i := 0; ; i++ {
			e := r.Next()
			if e == nil {
				break
			}
			if events[i].failed {
				e.Fail(event.Failure{Stage: event.StageValidation, Reason: "schema_violation", Pointer: "/a", Keyword: "type"})
			}
		}
	}
	return ld
}

// deliver hands over the delivery that begins at a position, of as many records as there are events.
func (h *harness) deliver(first uint64, attempt int, events ...one) error {
	id := h.id
	id.First, id.Last = first, first+uint64(len(events))-1
	ctx := delivery.NewContext(h.t.Context(), delivery.New(id, attempt, h.pipe))
	return h.x.consume(ctx, batch(h.t, events...))
}

// row is what a file has.
type row map[string]parquet.Value

// files reads all files of the lake: rows by key.
func (h *harness) files() map[string][]row {
	h.t.Helper()
	out := map[string][]row{}
	for info, err := range h.objects.List(h.t.Context(), "") {
		require.NoError(h.t, err)
		if path.Ext(info.Key) != ".parquet" {
			continue
		}
		out[info.Key] = readRows(h.t, filepath.Join(h.cfg.Directory, info.Key))
	}
	return out
}

func open(t testing.TB, name string) *parquet.File {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err, name)
	return f
}

func readRows(t testing.TB, name string) []row {
	t.Helper()
	f := open(t, name)
	var out []row
	for _, g := range f.RowGroups() {
		rows := g.Rows()
		buf := make([]parquet.Row, 100)
		for {
			n, err := rows.ReadRows(buf)
			for _, r := range buf[:n] {
				one := row{}
				for _, v := range r {
					one[strings.Join(f.Schema().Columns()[v.Column()], ".")] = v.Clone()
				}
				out = append(out, one)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		require.NoError(t, rows.Close())
	}
	return out
}

// ids returns the IDs of all events in the lake, sorted.
func (h *harness) ids() []string {
	h.t.Helper()
	var out []string
	for _, rows := range h.files() {
		for _, r := range rows {
			out = append(out, r["event_id"].String())
		}
	}
	slices.Sort(out)
	return out
}

// awaitIDs waits until the lake has exactly these events, while the clock goes on.
func (h *harness) awaitIDs(want ...string) {
	h.t.Helper()
	slices.Sort(want)
	h.await(func() bool {
		h.clock.advance(h.cfg.File.MaxAge/4 + time.Second)
		return h.idle() && len(h.ids()) >= len(want)
	})
	require.Equal(h.t, want, h.ids())
}

// pass lets the clock go on by so much. The worker looks at it though it may be about to wait for a time that is over by then.
func (h *harness) pass(d time.Duration) {
	h.clock.advance(d)
	h.x.worker.wake()
}

// awaitRound returns when the worker has gone through a whole round at the present time: it waits after each, and the first may
// have been under way.
func (h *harness) awaitRound() {
	h.t.Helper()
	asked := func() int {
		h.clock.mu.Lock()
		defer h.clock.mu.Unlock()
		return h.clock.asked
	}
	for range 2 {
		before := asked()
		h.x.worker.wake()
		h.await(func() bool { return asked() > before })
	}
}

// idle says whether nothing is staged.
func (h *harness) idle() bool { return h.waiting() == 0 }

// waiting is for how many files rows are staged.
func (h *harness) waiting() int {
	h.x.mu.Lock()
	defer h.x.mu.Unlock()
	return len(h.x.lots)
}

func (h *harness) await(condition func() bool) {
	h.t.Helper()
	require.Eventually(h.t, condition, 2*time.Minute, 2*time.Millisecond)
}

func numbered(prefix string, n int) (events []one, ids []string) {
	for i := range n {
		id := fmt.Sprintf("%s%04d", prefix, i)
		events = append(events, one{id: id, name: "clicked", at: noon.Add(time.Duration(n-i) * time.Second)})
		ids = append(ids, id)
	}
	return events, ids
}
