// SPDX-License-Identifier: Apache-2.0

package lake

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/testbed/load"
)

// Contents is what a lake has, and what is wrong with it by itself.
type Contents struct {
	Files, RowGroups, Count, Failed int64 // Count is of all rows, Failed of those of failed events
	Bytes                           int64
	// Log counts rows by the log's partition, as the catalogue has them.
	Log    map[Partition]int64
	Faults []string

	source Source
	files  map[string]*fileFacts
}

// Partition of a log, as one pipeline reads it.
type Partition struct {
	Incarnation string
	Epoch       uint64
	Pipeline    string
	Number      uint32
}

// fileFacts is what the catalogue must say of a file.
type fileFacts struct {
	rows, bytes     int64
	rowGroups       int
	kind            string
	event, received [2]int64
	log             []parquetfile.LogRange
	added           int
}

// Open begins to read a lake that nobody writes to meanwhile. First Rows are to be read to their end, then CheckCatalogue called.
func Open(source Source) *Contents {
	return &Contents{Log: map[Partition]int64{}, source: source, files: map[string]*fileFacts{}}
}

func (c *Contents) fault(format string, args ...any) {
	if len(c.Faults) < maxFaults {
		c.Faults = append(c.Faults, fmt.Sprintf(format, args...))
	}
}

// Rows yields every row of every file, for load.Compare. A file that cannot be read is a fault, and so is a row in a folder that
// is not its own.
func (c *Contents) Rows(ctx context.Context) iter.Seq2[load.Row, error] {
	return func(yield func(load.Row, error) bool) {
		entries, err := c.source.List(ctx)
		if err != nil {
			yield(load.Row{}, err)
			return
		}
		for _, e := range entries {
			if hidden(e.Key) {
				continue
			}
			if !strings.HasSuffix(e.Key, ".parquet") {
				c.fault("%s: whoever lists the lake takes it for data", e.Key)
				continue
			}
			content, err := c.source.Read(ctx, e.Key)
			if err != nil {
				yield(load.Row{}, err)
				return
			}
			if !c.file(e.Key, content, yield) {
				return
			}
		}
	}
}

func (c *Contents) file(key string, content []byte, yield func(load.Row, error) bool) bool {
	f, err := open(content)
	if err != nil {
		c.fault("%s: cannot be read: %v", key, err)
		return true
	}
	facts := &fileFacts{
		bytes: int64(len(content)), rowGroups: len(f.pq.RowGroups()), kind: f.kind, log: f.log,
		event: [2]int64{1<<63 - 1, -1 << 63}, received: [2]int64{1<<63 - 1, -1 << 63},
	}
	c.files[key] = facts
	c.Files++
	c.RowGroups += int64(facts.rowGroups)
	c.Bytes += facts.bytes
	place := folders(key)
	more := true
	err = f.rows(func(r *row) error {
		facts.rows++
		facts.event = [2]int64{min(facts.event[0], r.Time), max(facts.event[1], r.Time)}
		facts.received = [2]int64{min(facts.received[0], r.received), max(facts.received[1], r.received)}
		if why := place.differs(r); why != "" {
			c.fault("%s: event %s stands there, whose %s", key, r.ID, why)
		}
		if more {
			more = yield(r.Row, nil)
		}
		return nil
	})
	if err != nil {
		c.fault("%s: cannot be read: %v", key, err)
	}
	if facts.rows != f.pq.NumRows() || facts.rows == 0 {
		c.fault("%s: has %d rows, and its footer says %d", key, facts.rows, f.pq.NumRows())
	}
	c.Count += facts.rows
	if f.failed {
		c.Failed += facts.rows
	}
	return more
}

// folder is the part of the key that tells what is in the file.
type folder struct {
	failed bool
	values map[string]string
}

func folders(key string) folder {
	f := folder{failed: strings.HasPrefix(key, "failed_events/"), values: map[string]string{}}
	for part := range strings.SplitSeq(key, "/") {
		if k, v, ok := strings.Cut(part, "="); ok {
			if plain, err := url.PathUnescape(v); err == nil {
				v = plain
			}
			f.values[k] = v
		}
	}
	return f
}

// differs says what of the row is not what its folder says.
func (f *folder) differs(r *row) string {
	at := r.Time
	if f.failed {
		at = r.received
	}
	t := time.Unix(0, at).UTC()
	for _, p := range [][2]string{{"event_name", r.Name}, {"date", t.Format(time.DateOnly)}, {"hour", t.Format("15")}} {
		if want, has := f.values[p[0]]; has && want != p[1] {
			return fmt.Sprintf("%s is %q", p[0], p[1])
		}
	}
	if f.failed != r.Failed {
		return fmt.Sprintf("failure is %v", r.Failed)
	}
	return ""
}

// CheckCatalogue holds the catalogue against the files that Rows has read: each is added once, and is what the line says.
func (c *Contents) CheckCatalogue(ctx context.Context) error {
	entries, err := c.source.List(ctx)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !isCatalogue(e.Key) {
			continue
		}
		content, err := c.source.Read(ctx, e.Key)
		if err != nil {
			return err
		}
		lines, err := parseCatalogue(content)
		if err != nil {
			c.fault("%s: cannot be read: %v", e.Key, err)
		}
		for i := range lines {
			c.line(e.Key, &lines[i])
		}
	}
	for key, f := range c.files {
		if f.added != 1 {
			c.fault("%s: the catalogue has it %d times", key, f.added)
		}
	}
	return nil
}

func (c *Contents) line(key string, l *Line) {
	f := c.files[l.File]
	if f == nil || l.Op != "add" {
		c.fault("%s: %s of %s, which is not there", key, l.Op, l.File)
		return
	}
	f.added++
	differs := func(what string, have, want any) {
		if !reflect.DeepEqual(have, want) {
			c.fault("%s: of %s, %s is %v and should be %v", key, l.File, what, have, want)
		}
	}
	differs("kind", l.Kind, f.kind)
	differs("rows", l.Rows, f.rows)
	differs("bytes", l.Bytes, f.bytes)
	differs("row_groups", l.RowGroups, f.rowGroups)
	differs("log", sorted(l.Log), sorted(f.log))
	stamp := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
	differs("min_event_time", l.MinEventTime, stamp(f.event[0]))
	differs("max_event_time", l.MaxEventTime, stamp(f.event[1]))
	differs("min_received_time", l.MinReceivedTime, stamp(f.received[0]))
	differs("max_received_time", l.MaxReceivedTime, stamp(f.received[1]))
	var rows uint64
	for _, r := range l.Log {
		rows += r.Rows
		c.Log[Partition{r.Incarnation, r.Epoch, r.Pipeline, r.Partition}] += int64(r.Rows)
		if r.First > r.Last || r.Rows > r.Last-r.First+1 {
			text, _ := json.Marshal(r) // numbers and texts
			c.fault("%s: of %s, there cannot be so many rows in %s", key, l.File, text)
		}
	}
	if len(l.Log) > 0 {
		differs("rows of the log", int64(rows), f.rows)
	}
}

// sorted is in one order; results, which are of no range of the log, have none.
func sorted(log []parquetfile.LogRange) []parquetfile.LogRange {
	log = append([]parquetfile.LogRange{}, log...)
	slices.SortFunc(log, func(a, b parquetfile.LogRange) int {
		return cmp.Or(strings.Compare(a.Incarnation+a.Pipeline, b.Incarnation+b.Pipeline), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Partition, b.Partition))
	})
	return log
}

// Counts says how many files there are and how many the catalogue adds.
func Counts(ctx context.Context, source Source) (files, added int, err error) {
	entries, err := source.List(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		switch {
		case isCatalogue(e.Key):
			content, err := source.Read(ctx, e.Key)
			if err != nil {
				return 0, 0, err
			}
			lines, err := parseCatalogue(content)
			if err != nil {
				return 0, 0, err
			}
			added += len(lines)
		case !hidden(e.Key):
			files++
		}
	}
	return files, added, nil
}
