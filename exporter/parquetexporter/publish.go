// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/internal/parquetfile"
)

// plan closes lots: from then on each is one file, whose name and content do not change whatever crashes when. The name is
// made of numbers that never come again.
func (x *parquetExporter) plan(lots []*lot) error {
	if len(lots) == 0 {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.settle(); err != nil {
		return err
	}
	w := &write{undo: func() {}}
	planned := make([]lot, len(lots))
	for i, l := range lots {
		opened := time.Unix(0, l.opened).UTC().Format("20060102T150405Z")
		planned[i] = *l
		planned[i].file = path.Join(l.key.folder, fmt.Sprintf("%s-%s-%06d.parquet", opened, x.writer, l.id))
		planned[i].made = x.making()
		x.index.setLot(&w.batch, &planned[i])
	}
	w.apply = func() {
		for i, l := range lots {
			l.file, l.made = planned[i].file, planned[i].made
			if x.open[l.key] == l {
				delete(x.open, l.key)
			}
		}
	}
	if err := x.commit(w); err != nil {
		return err
	}
	failpoint.Reach(failpoint.FilePlanned)
	return nil
}

// publish carries out a plan: it makes the file, puts it into the store, and notes it in the catalogue. After a crash it does
// all of it again: the same file under the same name.
func (x *parquetExporter) publish(ctx context.Context, e *encoder, l *lot) error {
	start := time.Now()
	x.mu.Lock()
	err := x.settle()
	done := x.lots[l.id] != l // by a write of which it was not known whether it was done
	layout, layoutErr := x.layouts.named(l.key.layout)
	x.mu.Unlock()
	if err = errors.Join(err, layoutErr); err != nil || done {
		return err
	}
	// A closed lot is the worker's alone.
	all := sumOf(l.pieces, l.parts)
	metadata, err := x.metadata(layout, l, &all)
	if err != nil {
		return err
	}
	local := x.partPath(fmt.Sprintf("%016x%s", l.id, fileSuffix))
	stats, err := l.made.create(local, layout, metadata, func(w *parquetfile.Writer) error { return x.fill(e, w, layout, l) })
	if err != nil {
		return err
	}
	if stats.Rows != all.rows {
		return fmt.Errorf("making %s: it has %d rows and should have %d: %w", l.file, stats.Rows, all.rows, errDamaged)
	}
	failpoint.Reach(failpoint.FileWritten)
	if err := x.store.Put(ctx, l.file, local); err != nil {
		return errors.Join(fmt.Errorf("storing %s: %w", l.file, err), removed(local))
	}
	failpoint.Reach(failpoint.FilePut)
	if err := removed(local); err != nil { // a local store has moved it
		return err
	}

	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.settle(); err != nil {
		return err
	}
	w := &write{undo: func() {}}
	x.index.deletePieces(&w.batch, l.id, ^uint64(0)-1)
	w.batch.Delete(x.index.key("lot", l.id))
	w.apply = func() {
		delete(x.lots, l.id)
		x.staging.release(places(l.pieces))
		for i := range l.parts {
			_ = os.Remove(x.partPath(l.parts[i].File)) // else the next start does
			x.staging.add(-l.parts[i].Bytes)
		}
		set := metric.WithAttributeSet(attribute.NewSet(attribute.String("dataset", layout.dataset())))
		x.telemetry.ExporterParquetFiles.Add(ctx, 1, set)
		x.telemetry.ExporterParquetRows.Add(ctx, stats.Rows, set)
		x.telemetry.ExporterParquetBytes.Add(ctx, stats.Bytes, set)
		x.telemetry.ExporterParquetPublishDuration.Record(ctx, time.Since(start).Seconds())
		x.logger.Debug("Stored a file", zap.String("file", l.file), zap.Int64("rows", stats.Rows), zap.Int64("bytes", stats.Bytes))
	}
	x.enter(w, x.added(layout, l, &all, &stats))
	return x.commit(w)
}

// fill writes the row groups: parts as they are encoded, then what is left of the pieces.
func (x *parquetExporter) fill(e *encoder, w *parquetfile.Writer, layout *fileLayout, l *lot) error {
	for i := range l.parts {
		if err := copyPart(w, x.partPath(l.parts[i].File)); err != nil {
			return err
		}
	}
	for pieces := l.pieces; len(pieces) > 0; {
		n := l.made.group(pieces)
		if err := e.encode(w, layout, pieces[:n]); err != nil {
			return err
		}
		pieces = pieces[n:]
	}
	return nil
}

func copyPart(w *parquetfile.Writer, name string) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(errDamaged, err)
	}
	if err != nil {
		return fmt.Errorf("copying a part: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err == nil {
		_, err = w.CopyRowGroups(f, info.Size())
	}
	if errors.Is(err, parquetfile.ErrDamaged) || errors.Is(err, parquetfile.ErrOtherColumns) || errors.Is(err, syscall.EIO) {
		err = errors.Join(errDamaged, err) // other files have parts of their own
	}
	if err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	return nil
}

func removed(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing a file that was stored: %w", err)
	}
	return nil
}

// metadata is what a file's footer says of it. It is a function of the plan.
func (x *parquetExporter) metadata(layout *fileLayout, l *lot, all *sum) (map[string]string, error) {
	log, err := json.Marshal(all.log)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		parquetfile.KeyKind: layout.Kind, parquetfile.KeyDataset: layout.dataset(), parquetfile.KeySchema: layout.schema(),
		parquetfile.KeyLayout: layout.footer(), parquetfile.KeyLog: string(log), parquetfile.KeyWriter: l.made.Author + " " + x.id.String() + " " + x.writer,
	}, nil
}
