// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/native"
	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/testbed/load"
)

// Files as the exporter writes them, by the packages that it writes them with.

func shopSchemas(t testing.TB) *schema.Snapshot {
	t.Helper()
	snap, err := load.Schemas("../../configs/schemas")
	require.NoError(t, err)
	return snap
}

// generated are events of the simulated shop, each with its schema; every failEvery-th, where that is above 0, has failed.
func generated(t testing.TB, snap *schema.Snapshot, n, failEvery int) plog.Logs {
	t.Helper()
	g, err := load.NewGenerator(load.GeneratorConfig{Seed: 11, Events: int64(n), Tenants: []string{"one", "two"}})
	require.NoError(t, err)
	logs := g.Next(n)
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	i := 0
	for e := r.Next(); e != nil; e = r.Next() {
		e.SetReceived(e.Time + 1_500_000_123)
		if s := snap.Match(e.Name); s != nil {
			e.SetSchema(s.Subject, s.Version)
		}
		if i++; failEvery > 0 && i%failEvery == 0 {
			e.Fail(event.Failure{Stage: event.StageValidation, Reason: "schema_violation", Schema: e.Schema})
		}
	}
	return logs
}

// fileOf writes rows of a file. group is how many rows a row group has.
func fileOf(t testing.TB, fields []columns.Field, group int, blocks [][]byte, metadata map[string]string) []byte {
	t.Helper()
	var cols []parquetfile.Column
	for _, f := range fields {
		cols = append(cols, parquetfile.Column{Name: f.Name, Type: f.Type, Optional: f.Nullable, Repeated: f.Repeated, JSON: f.JSON})
	}
	var b bytes.Buffer
	w, err := parquetfile.NewWriter(&b, cols, parquetfile.Options{PageBytes: 16 << 10})
	require.NoError(t, err)
	var join columns.Join
	for len(blocks) > 0 {
		join.Reset(fields)
		for len(blocks) > 0 && join.Rows() < group {
			require.NoError(t, join.Add(blocks[0]))
			blocks = blocks[1:]
		}
		_, err := w.WriteRowGroup(join.Rows(), join.Vectors(), nil)
		require.NoError(t, err)
	}
	_, err = w.Close(metadata)
	require.NoError(t, err)
	return b.Bytes()
}

// lake writes the events into files by name, and the failed ones into one: what a lake of one hour has.
func lake(t testing.TB, snap *schema.Snapshot, logs plog.Logs, group int) map[string][]byte {
	t.Helper()
	rows := map[string]*columns.Events{}
	blocks := map[string][][]byte{}
	failed, failedBlocks := columns.NewFailed(), [][]byte(nil)
	layouts := map[string]*columns.Layout{}
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	flush := func(subject string) {
		e := rows[subject]
		blocks[subject] = append(blocks[subject], columns.AppendBlock(nil, e.Rows(), append(e.Envelope(), e.Typed()...)))
		e.Reset()
	}
	for e := r.Next(); e != nil; e = r.Next() {
		if e.Failed {
			failed.Add(e, e.Failure, "")
			if failed.Rows() == 50 {
				failedBlocks = append(failedBlocks, columns.AppendBlock(nil, failed.Rows(), failed.All()))
				failed.Reset()
			}
			continue
		}
		subject := e.Schema
		if rows[subject] == nil {
			layouts[subject] = columns.New(snap, subject, nil)
			rows[subject] = columns.NewEvents(layouts[subject], "String")
			rows[subject].KeepEmpty = true
		}
		refused := rows[subject].Add(e, r.ResourceIndex())
		require.Nil(t, refused)
		if rows[subject].Rows() == 50 {
			flush(subject)
		}
	}
	files := map[string][]byte{}
	for _, subject := range slices.Sorted(maps.Keys(rows)) {
		if rows[subject].Rows() > 0 {
			flush(subject)
		}
		l := layouts[subject]
		files["event_name="+subject+"/a.parquet"] = fileOf(t, columns.Fields(l), group, blocks[subject], map[string]string{
			parquetfile.KeyKind: parquetfile.KindEvents, parquetfile.KeyDataset: subject, parquetfile.KeyLayout: footer(t, l),
		})
	}
	if failed.Rows() > 0 {
		failedBlocks = append(failedBlocks, columns.AppendBlock(nil, failed.Rows(), failed.All()))
	}
	if len(failedBlocks) > 0 {
		files["failed_events/a.parquet"] = fileOf(t, columns.FailedEnvelope, group, failedBlocks, map[string]string{
			parquetfile.KeyKind: parquetfile.KindFailedEvents,
		})
	}
	return files
}

// footer is the layout as the exporter writes it into a file.
func footer(t testing.TB, l *columns.Layout) string {
	t.Helper()
	var out parquetfile.Layout
	place := map[int]columns.Property{}
	for _, s := range l.Schemas {
		for _, p := range s.Properties {
			place[p.Column] = p
		}
	}
	for i, c := range l.Columns {
		p := place[i]
		out.Columns = append(out.Columns, parquetfile.LayoutColumn{
			Name: c.Name, Path: p.Path, Each: p.Each, Array: c.Repeated && p.Each == 0, Type: c.Type.String(), Text: p.Text, Nanoseconds: c.Nanoseconds,
		})
	}
	text, err := json.Marshal(out)
	require.NoError(t, err)
	return string(text)
}

var _ native.Column // the columns of a block

// memStore is a Store in memory. mu guards its fields.
type memStore struct {
	mu    sync.Mutex
	files map[string][]byte
	// onOpen, if set, may fail or change what is opened.
	onOpen func(key string) error
	// onRead likewise.
	onRead func(key string) error
}

var _ objectstore.Store = (*memStore)(nil)

func (s *memStore) Put(context.Context, string, string) error { panic("a reader puts nothing") }

func (s *memStore) Open(_ context.Context, key string) (objectstore.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.onOpen != nil {
		if err := s.onOpen(key); err != nil {
			return nil, err
		}
	}
	b, ok := s.files[key]
	if !ok {
		return nil, fmt.Errorf("opening %s: %w", key, objectstore.ErrNotExist)
	}
	return &memObject{bytes.NewReader(b), s, objectstore.Info{Key: key, Size: int64(len(b))}}, nil
}

func (s *memStore) List(_ context.Context, prefix string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		s.mu.Lock()
		files := maps.Clone(s.files)
		s.mu.Unlock()
		for _, key := range slices.Sorted(maps.Keys(files)) {
			if strings.HasPrefix(key, prefix) && !yield(objectstore.Info{Key: key, Size: int64(len(files[key]))}, nil) {
				return
			}
		}
	}
}

func (s *memStore) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, key)
	return nil
}
func (s *memStore) String() string { return "memory" }
func (s *memStore) Close() error   { return nil }

type memObject struct {
	*bytes.Reader
	store *memStore
	info  objectstore.Info
}

func (o *memObject) ReadAt(b []byte, at int64) (int, error) {
	o.store.mu.Lock()
	onRead := o.store.onRead
	o.store.mu.Unlock()
	if onRead != nil {
		if err := onRead(o.info.Key); err != nil {
			return 0, err
		}
	}
	return o.Reader.ReadAt(b, at)
}
func (o *memObject) Info() objectstore.Info { return o.info }
func (o *memObject) Close() error           { return nil }

// story is an event as one text: without its failure mark, with its properties by key, and times of properties in one form.
func story(t testing.TB, e *event.Event, withSchema bool) string {
	t.Helper()
	plain := *e
	plain.Failed, plain.Failure = false, event.Failure{}
	if !withSchema {
		plain.Schema, plain.SchemaVersion = "", ""
	}
	var v any
	require.NoError(t, json.Unmarshal(plain.AppendRaw(nil), &v))
	text, err := json.Marshal(v) // sorts by key
	require.NoError(t, err)
	return e.Tenant + " " + e.Source + " " + string(text)
}

// stories are those of a batch, by ID.
func stories(t testing.TB, logs plog.Logs, withSchema bool, which func(*event.Event) bool) map[string]string {
	t.Helper()
	all := map[string]string{}
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	for e := r.Next(); e != nil; e = r.Next() {
		if which(e) {
			all[e.ID] = story(t, e, withSchema)
		}
	}
	return all
}
