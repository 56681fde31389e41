// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/syncedfile"
)

// Suffixes of what the worker makes in the staging directory.
const (
	partSuffix = ".part"
	fileSuffix = ".file"
)

// encoder turns staged pieces into row groups. It is the worker's, and keeps its memory between them.
type encoder struct {
	x      *parquetExporter
	join   columns.Join
	piece  []byte
	block  []byte
	order  []uint32
	keys   []sortKey
	memory []adapted
}

// full says whether the pieces are enough for a row group.
func (x *parquetExporter) full(l *lot) bool {
	return l.rows >= int64(x.cfg.File.RowGroupRows) || l.raw >= x.cfg.File.RowGroupBytes
}

// encode writes pieces as one row group.
func (e *encoder) encode(w *parquetfile.Writer, layout *fileLayout, pieces []piece) error {
	e.join.Reset(layout.fields)
	for i := range pieces {
		if err := e.add(&pieces[i]); err != nil {
			return err
		}
	}
	vectors := e.join.Vectors()
	e.sort(&vectors[layout.tenant], &vectors[layout.time])
	e.adapt(layout, vectors)
	if _, err := w.WriteRowGroup(e.join.Rows(), vectors, e.order); err != nil {
		return fmt.Errorf("encoding a row group: %w", err)
	}
	return nil
}

func (e *encoder) add(p *piece) (err error) {
	if e.piece, err = e.x.staging.read(p.place, e.piece); err != nil {
		return err
	}
	if n, err := s2.DecodedLen(e.piece); err != nil || n != int(p.Raw) {
		return fmt.Errorf("reading a staged piece: %w", errDamaged)
	}
	if e.block, err = s2.Decode(e.block[:cap(e.block)], e.piece); err != nil {
		return fmt.Errorf("reading a staged piece: %w", errors.Join(errDamaged, err))
	}
	before := e.join.Rows()
	if err := e.join.Add(e.block); err != nil {
		return fmt.Errorf("reading a staged piece: %w", err)
	}
	if int64(e.join.Rows()-before) != p.Rows {
		return fmt.Errorf("reading a staged piece: it has %d rows and should have %d: %w", e.join.Rows()-before, p.Rows, errDamaged)
	}
	return nil
}

type sortKey struct {
	tenant uint32 // by rank
	row    uint32
	time   int64
}

// sort orders the rows by tenant and time, equal ones as they came.
func (e *encoder) sort(tenant, at *parquetfile.Vector) {
	text := func(key uint32) []byte { return tenant.Text[tenant.Offsets[key]:tenant.Offsets[key+1]] }
	byText := make([]uint32, len(tenant.Offsets)-1)
	for i := range byText {
		byText[i] = uint32(i)
	}
	slices.SortFunc(byText, func(a, b uint32) int { return bytes.Compare(text(a), text(b)) })
	rank := make([]uint32, len(byText))
	for i, key := range byText {
		rank[key] = uint32(i)
	}
	n := len(tenant.Keys)
	e.keys = slices.Grow(e.keys[:0], n)[:n]
	for i := range e.keys {
		e.keys[i] = sortKey{rank[tenant.Keys[i]], uint32(i), int64(binary.LittleEndian.Uint64(at.Fixed[8*i:]))}
	}
	slices.SortFunc(e.keys, func(a, b sortKey) int {
		if c := cmp.Compare(a.tenant, b.tenant); c != 0 {
			return c
		}
		if c := cmp.Compare(a.time, b.time); c != 0 {
			return c
		}
		return cmp.Compare(a.row, b.row)
	})
	e.order = slices.Grow(e.order[:0], n)[:n]
	for i := range e.keys {
		e.order[i] = e.keys[i].row
	}
}

// create writes a Parquet file below the staging directory, synced but for its name. It overwrites what a crash left.
func (m *making) create(path string, l *fileLayout, metadata map[string]string, fill func(w *parquetfile.Writer) error) (stats parquetfile.FileStats, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return stats, fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(path))
		}
	}()
	w, err := parquetfile.NewWriter(f, m.columns(l), m.options(l))
	if err == nil {
		err = fill(w)
	}
	if err == nil {
		stats, err = w.Close(metadata)
	}
	if err == nil {
		err = f.Sync()
	}
	return stats, errors.Join(err, f.Close())
}

// seal makes a part of the lot's first pieces: what is staged gets small, and the file later only copies it. The part is
// nothing until the state store names it, in the write that forgets the pieces.
func (x *parquetExporter) seal(e *encoder, l *lot) error {
	start := time.Now()
	x.mu.Lock()
	if err := x.settle(); err != nil {
		x.mu.Unlock()
		return err
	}
	if l.file != "" || !x.full(l) { // by a write of which it was not known whether it was done
		x.mu.Unlock()
		return nil
	}
	made := x.making()
	n := made.group(l.pieces)
	pieces := slices.Clone(l.pieces[:n])
	layout, err := x.layouts.named(l.key.layout)
	x.mu.Unlock()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%016x-%016x%s", l.id, pieces[0].Sequence, partSuffix)
	stats, err := made.create(x.partPath(name), layout, nil, func(w *parquetfile.Writer) error { return e.encode(w, layout, pieces) })
	if err != nil {
		return err
	}
	if err := syncedfile.Sync(x.cfg.Staging.Directory); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	failpoint.Reach(failpoint.PartWritten)
	s := sumOf(pieces, nil)
	done := part{File: name, Bytes: stats.Bytes, Rows: s.rows, Extent: s.extent, Log: s.log}

	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.settle(); err != nil {
		return err
	}
	w := &write{undo: func() { _ = os.Remove(x.partPath(name)) }} // else the next start does
	after := *l
	after.parts = append(slices.Clone(l.parts), done)
	x.index.setLot(&w.batch, &after)
	x.index.deletePieces(&w.batch, l.id, pieces[n-1].Sequence)
	w.apply = func() {
		l.parts = after.parts
		l.drop(n)
		x.staging.add(done.Bytes)
		x.staging.release(places(pieces))
		x.telemetry.ExporterParquetSealDuration.Record(x.worker.ctx, time.Since(start).Seconds())
	}
	return x.commit(w)
}

func places(pieces []piece) []place {
	out := make([]place, len(pieces))
	for i := range pieces {
		out[i] = pieces[i].place
	}
	return out
}
