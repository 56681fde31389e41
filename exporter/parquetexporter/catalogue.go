// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/state"
	"github.com/millrace/millrace/internal/syncedfile"
)

// The catalogue is a file of JSON lines for each hour and writer: what was added and what was removed. The state store is
// where it is made of; a file is replaced as a whole, and its lines leave the state store when its hour is over. Decision
// 013.

// entry is one line.
type entry struct {
	Op        string            `json:"op"` // add or remove
	File      string            `json:"file"`
	Kind      string            `json:"kind,omitempty"`
	Dataset   string            `json:"dataset,omitempty"`
	Schema    string            `json:"schema,omitempty"`
	Versions  []string          `json:"versions,omitempty"`
	Partition map[string]string `json:"partition,omitempty"`
	Rows      int64             `json:"rows"`
	Bytes     int64             `json:"bytes"`
	RowGroups int               `json:"row_groups,omitempty"`
	// Times are RFC 3339 with nanoseconds, UTC.
	MinEventTime    string                 `json:"min_event_time,omitempty"`
	MaxEventTime    string                 `json:"max_event_time,omitempty"`
	MinReceivedTime string                 `json:"min_received_time,omitempty"`
	MaxReceivedTime string                 `json:"max_received_time,omitempty"`
	Log             []parquetfile.LogRange `json:"log,omitempty"`
	Writer          string                 `json:"writer"`
	At              string                 `json:"at"`
	Reason          string                 `json:"reason,omitempty"` // of a removal: age or bytes
}

func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

func (x *parquetExporter) added(layout *fileLayout, l *lot, all *sum, stats *parquetfile.FileStats) entry {
	return entry{
		Op: "add", File: l.file, Kind: layout.Kind, Dataset: layout.dataset(), Schema: layout.Subject, Versions: layout.versions(),
		Partition: partitionValues(l.key.folder), Rows: stats.Rows, Bytes: stats.Bytes, RowGroups: stats.RowGroups,
		MinEventTime: stamp(all.extent.Event[0]), MaxEventTime: stamp(all.extent.Event[1]),
		MinReceivedTime: stamp(all.extent.Received[0]), MaxReceivedTime: stamp(all.extent.Received[1]),
		Log: all.log, Writer: x.writer, At: stamp(x.clock.Now().UnixNano()),
	}
}

// enter adds a line to the write that makes it true. The caller holds mu.
func (x *parquetExporter) enter(w *write, e entry) {
	if x.cfg.Catalogue == "" {
		return
	}
	// The hour never goes back, whatever the clock does: the file of an hour that is over is not made again.
	next := x.counters
	if hour := x.clock.Now().Unix() / 3600; hour > next.Hour {
		w.batch.Set(x.index.key("stale", uint64(next.Hour)), nil) // it is written once more, and then forgotten
		next.Hour = hour
		x.index.setCounters(&w.batch, next)
		apply := w.apply
		w.apply = func() {
			x.counters.Hour = next.Hour
			apply()
		}
	}
	hour := uint64(next.Hour)
	x.index.set(&w.batch, x.index.key("entry", hour, e.Op, e.File), e)
	w.batch.Set(x.index.key("stale", hour), nil)
}

// writeCatalogue puts the files of hours that lack a line.
func (x *parquetExporter) writeCatalogue(ctx context.Context) error {
	// A line of which it is not known whether it was noted must be there before the lines are read: else it would be noted
	// behind them, and its hour be taken for written.
	x.mu.Lock()
	err := x.settle()
	x.mu.Unlock()
	if err != nil {
		return err
	}
	var stale []uint64
	err = x.index.each(func(rest [][]byte, _ []byte) error {
		if len(rest) != 1 || len(rest[0]) != 8 {
			return errDamaged
		}
		stale = append(stale, binary.BigEndian.Uint64(rest[0]))
		return nil
	}, "stale")
	if err != nil {
		return err
	}
	for _, hour := range stale {
		if err := x.writeHour(ctx, hour); err != nil {
			return fmt.Errorf("writing the catalogue: %w", err)
		}
	}
	return nil
}

func (x *parquetExporter) writeHour(ctx context.Context, hour uint64) error {
	type line struct{ at, file, text []byte }
	var lines []line
	err := x.index.each(func(_ [][]byte, value []byte) error {
		var e entry
		if err := json.Unmarshal(value, &e); err != nil {
			return errors.Join(errDamaged, err)
		}
		lines = append(lines, line{[]byte(e.At), []byte(e.File), bytes.Clone(value)})
		return nil
	}, "entry", hour)
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		return x.hourWritten(hour)
	}
	slices.SortFunc(lines, func(a, b line) int {
		if c := bytes.Compare(a.at, b.at); c != 0 {
			return c
		}
		return bytes.Compare(a.file, b.file)
	})
	var content []byte
	for _, l := range lines {
		content = append(append(content, l.text...), '\n')
	}
	local := x.partPath("catalogue" + fileSuffix)
	if err := errors.Join(os.WriteFile(local, content, 0o600), syncedfile.Sync(local)); err != nil {
		return err
	}
	if err := x.store.Put(ctx, x.cataloguePath(int64(hour)), local); err != nil {
		return errors.Join(err, removed(local))
	}
	failpoint.Reach(failpoint.CataloguePut)
	if err := removed(local); err != nil {
		return err
	}
	return x.hourWritten(hour)
}

func (x *parquetExporter) hourWritten(hour uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.settle(); err != nil {
		return err
	}
	w := &write{apply: func() {}, undo: func() {}}
	// Whoever adds a line is the worker, as we are: none came in between.
	w.batch.Delete(x.index.key("stale", hour))
	if int64(hour) < x.counters.Hour {
		prefix := x.index.key("entry", hour)
		w.batch.DeleteRange(prefix, state.PrefixEnd(prefix))
	}
	return x.commit(w)
}

// cataloguePath is the file of an hour.
func (x *parquetExporter) cataloguePath(hour int64) string {
	at := time.Unix(hour*3600, 0).UTC()
	return path.Join(x.cfg.Catalogue, "date="+at.Format(time.DateOnly), fmt.Sprintf("hour=%02d", at.Hour()), x.writer+".jsonl")
}
