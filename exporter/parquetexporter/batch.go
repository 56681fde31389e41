// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"context"
	"slices"

	"github.com/klauspost/compress/s2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/schema"
)

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
	r := take(x.readers)
	defer give(x.readers, r)
	defer r.Release()
	r.Reset(batch)
	subject := subjects{x: x, snap: snap}
	results := resultsOf{x: x, scopes: result.Tables(batch.Logs())}
	refuse := func(e *event.Event, refused *columns.Error) error {
		x.telemetry.ExporterParquetFailed.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", refused.Reason))))
		return fail(e, event.Failure{Stage: event.StageExport, Reason: refused.Reason, Pointer: refused.Pointer, Processor: x.id.String()})
	}
	for e, _ := r.Next(); e != nil; e, _ = r.Next() {
		scope := results.at(r.ResourceIndex())
		if scope != nil && e.ID == "" {
			e.ID = result.EventID(e) // by which an archive's replay knows it
		}
		var l *fileLayout
		var err error
		switch {
		case e.Failed:
			err = fail(e, e.Failure)
		case scope == nil:
			l, err = subject.layout(e.Schema)
		case scope.Table == nil:
			err = refuse(e, &columns.Error{Reason: reasonTable})
		default:
			l, err = results.of(scope)
		}
		if err != nil {
			return nil, err
		}
		if l == nil {
			continue // among the failed ones
		}
		when := int64(e.Time)
		if when == 0 {
			when = int64(e.Received)
		}
		folders := x.events
		if scope != nil {
			folders = x.results
		}
		t := route(l, folders, e, when)
		if refused := t.rows.events.Add(e, r.ResourceIndex()); refused != nil {
			if err := refuse(e, refused); err != nil {
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

// atOnce is for how many batches at once memory is kept: a log's partitions come side by side.
const atOnce = 4

func take[T any](spare chan *T) *T {
	select {
	case t := <-spare:
		return t
	default:
		return new(T)
	}
}

func give[T any](spare chan *T, t *T) {
	select {
	case spare <- t:
	default:
	}
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
