// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/objectstore"
)

func (c *RetentionConfig) on() bool { return c.Age > 0 || c.Bytes > 0 }

// ours is the name of a file that an exporter made: others' files in the lake are left alone.
var ours = regexp.MustCompile(`^\d{8}T\d{6}Z-[0-9a-f]{12}-\d{6,}\.parquet$`)

// retain removes files that are too old or too many. The catalogue says so first: a crash in between has the removal said
// again, and done.
func (x *parquetExporter) retain(ctx context.Context, now time.Time) (removed bool, err error) {
	var files []objectstore.Info
	var total int64
	for f, err := range x.store.List(ctx, "") {
		if err != nil {
			return false, fmt.Errorf("looking for files to remove: %w", err)
		}
		if ours.MatchString(path.Base(f.Key)) {
			files = append(files, f)
			total += f.Size
		}
	}
	slices.SortFunc(files, func(a, b objectstore.Info) int {
		if c := a.Modified.Compare(b.Modified); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	for _, f := range files {
		reason := ""
		switch {
		case x.cfg.Retention.Age > 0 && now.Sub(f.Modified) > x.cfg.Retention.Age:
			reason = "age"
		case x.cfg.Retention.Bytes > 0 && total > x.cfg.Retention.Bytes:
			reason = "bytes"
		default:
			return removed, x.forgetHours(ctx, now)
		}
		if err := x.remove(ctx, f, reason); err != nil {
			return removed, err
		}
		total -= f.Size
		removed = true
	}
	return removed, x.forgetHours(ctx, now)
}

func (x *parquetExporter) remove(ctx context.Context, f objectstore.Info, reason string) error {
	w := &write{apply: func() {}, undo: func() {}}
	x.mu.Lock()
	err := x.settle()
	if err == nil {
		x.enter(w, entry{Op: "remove", File: f.Key, Bytes: f.Size, Writer: x.writer, At: stamp(x.clock.Now().UnixNano()), Reason: reason})
		err = x.commit(w)
	}
	x.mu.Unlock()
	if err != nil {
		return err
	}
	if err := x.store.Delete(ctx, f.Key); err != nil {
		return fmt.Errorf("removing %s: %w", f.Key, err)
	}
	x.telemetry.ExporterParquetRemoved.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason))))
	x.logger.Debug("Removed a file", zap.String("file", f.Key), zap.String("reason", reason))
	return nil
}

// forgetHours removes the catalogue's files whose lines speak of nothing that is there: all that was added then is removed.
func (x *parquetExporter) forgetHours(ctx context.Context, now time.Time) error {
	if x.cfg.Catalogue == "" || x.cfg.Retention.Age == 0 {
		return nil
	}
	for f, err := range x.store.List(ctx, x.cfg.Catalogue+"/") {
		if err != nil {
			return fmt.Errorf("looking for lines of the catalogue to remove: %w", err)
		}
		if path.Base(f.Key) == x.writer+".jsonl" && now.Sub(f.Modified) > x.cfg.Retention.Age+2*time.Hour {
			if err := x.store.Delete(ctx, f.Key); err != nil {
				return fmt.Errorf("removing %s: %w", f.Key, err)
			}
		}
	}
	return nil
}
