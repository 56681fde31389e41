// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
)

// With existing: skip, events that a table has already by their ID are left out: an archive that is replayed has another
// log, and so other tokens, than the events had when they came first.
//
// The table is asked before anything of the delivery is sent to it, and the answer is bound with the plan before the
// first INSERT. A replay follows the plan and asks no more: the table has this delivery's own rows by then.

// What to do with an event that the table has.
const (
	existingStore = "store"
	existingSkip  = "skip"
)

// existingKey is what makes two rows one event. What is said of the failure is empty in the events table.
type existingKey struct{ tenant, id, stage, reason, pointer string }

// leaveOutExisting takes what the table has out of the one piece of a plan that nothing was sent of, and says how many rows
// that were. What is left, if it is not all, is another piece, which is to be bound.
func (s *stage) leaveOutExisting(ctx context.Context) (int, error) {
	if s.cfg.Existing != existingSkip || s.rows() == 0 {
		return 0, nil
	}
	positions := map[existingKey][]int{}
	var all []int
	var ids proto.ColStr
	var times windows
	s.visit(&s.plan.pieces[0], func(e *event.Event, i int) {
		all = append(all, i)
		if e.ID == "" {
			return // it is another one each time
		}
		key := existingKey{tenant: e.Tenant, id: e.ID}
		name, at := e.Name, e.Time
		if at == 0 {
			at = e.Received
		}
		if !s.bisects {
			f := e.Failure
			if one, rejected := s.rejected[i]; rejected {
				f = s.failure(one)
			}
			key.stage, key.reason, key.pointer = f.Stage, f.Reason, f.Pointer
			name, at = "", e.Received
		}
		if positions[key] == nil {
			ids.Append(e.ID)
			key = existingKey{ // what the event lends ends with it
				strings.Clone(key.tenant), strings.Clone(key.id), strings.Clone(key.stage), strings.Clone(key.reason), strings.Clone(key.pointer),
			}
		}
		positions[key] = append(positions[key], i)
		times.add(name, columns.FailedTime(at))
	})
	if ids.Rows() == 0 {
		return 0, nil
	}
	there := map[int]bool{}
	err := s.existing(ctx, &ids, &times, func(key existingKey) {
		for _, i := range positions[key] {
			there[i] = true
		}
	})
	if err != nil || len(there) == 0 {
		return 0, err
	}
	left := slices.DeleteFunc(all, func(i int) bool { return there[i] })
	slices.Sort(left)
	if len(left) == 0 {
		s.plan.pieces = s.plan.pieces[1:]
	} else {
		s.split([][]int{left})
	}
	return len(there), nil
}

// countSkipped counts what a bound plan leaves out.
func (s *stage) countSkipped(ctx context.Context, n int) {
	if n > 0 {
		s.telemetry.ExporterClickhouseEventsSkipped.Add(ctx, int64(n), metric.WithAttributeSet(attribute.NewSet(attribute.String("table", s.table))))
	}
}

// existing calls found for what the table has of the IDs, within the windows and the block's tenants.
func (s *stage) existing(ctx context.Context, ids *proto.ColStr, times *windows, found func(existingKey)) error {
	ctx, cancel := s.timeout(ctx)
	defer cancel()
	if err := s.sync(ctx); err != nil {
		return err
	}
	selected := []string{"CAST(tenant_id, 'String')", "event_id"}
	timeColumn := "event_time"
	if !s.bisects {
		selected = append(selected, "CAST(stage, 'String')", "CAST(reason, 'String')", "pointer")
		timeColumn = "received_time"
	}
	sql := "SELECT DISTINCT " + strings.Join(selected, ", ") + " FROM " + quote(s.cfg.Database) + "." + quote(s.table) +
		" WHERE event_id IN " + idsTable + " AND (" + times.where(timeColumn) + ")"
	if !s.extent.manyTenants {
		tenants := make([]string, len(s.extent.tenants))
		for i, tenant := range s.extent.tenants {
			tenants[i] = literal(tenant)
		}
		sql += " AND tenant_id IN (" + strings.Join(tenants, ", ") + ")"
	}
	texts := make([]proto.ColStr, len(selected))
	results := make(proto.Results, len(selected))
	for i := range texts {
		results[i].Data = &texts[i]
	}
	err := s.inserter.ask(ctx, ch.Query{
		Body: sql, Result: results,
		ExternalTable: idsTable, ExternalData: proto.Input{{Name: "id", Data: ids}},
		OnResult: func(_ context.Context, block proto.Block) error {
			for row := range block.Rows {
				var values [5]string
				for i := range texts {
					values[i] = texts[i].Row(row)
				}
				found(existingKey{values[0], values[1], values[2], values[3], values[4]})
			}
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("asking %s.%s which events it has (it needs GRANT SELECT): %w", s.cfg.Database, s.table, err)
	}
	return nil
}

const idsTable = "_ids"

// windows are the times of rows, by name: what is asked of the table follows its sorting key and its partitions, so that a
// delivery of few hours reads few parts. Times of the hours between are left out.
type windows struct{ of map[nameHour][2]int64 }

type nameHour struct {
	name string
	hour int64
}

const hour = int64(time.Hour)

func (w *windows) add(name string, at int64) {
	if w.of == nil {
		w.of = map[nameHour][2]int64{}
	}
	key := nameHour{name, floorDiv(at, hour)}
	one, ok := w.of[key]
	if !ok {
		key.name = strings.Clone(name)
		one = [2]int64{at, at}
	}
	w.of[key] = [2]int64{min(one[0], at), max(one[1], at)}
}

type window struct {
	name string // empty in the failed events' table, which is not sorted by it
	from time.Duration
	to   time.Duration // inclusive, both since 1970
	any  bool          // of whatever name
}

// maxWindows bounds the length of a question.
const maxWindows = 64

// merged returns few windows that have all the times.
func (w *windows) merged() []window {
	var all []window
	for key, one := range w.of {
		all = append(all, window{name: key.name, from: time.Duration(one[0]), to: time.Duration(one[1])})
	}
	slices.SortFunc(all, func(a, b window) int { return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.from, b.from)) })
	// Within an hour of each other they are one; if they are too many, whatever lies between.
	for _, together := range []func(a, b *window) bool{
		func(a, b *window) bool { return a.name == b.name && b.from-a.to <= time.Hour },
		func(a, b *window) bool { return a.name == b.name },
		func(a, _ *window) bool { a.any = true; return true },
	} {
		var few []window
		for _, one := range all {
			if n := len(few); n > 0 && together(&few[n-1], &one) {
				last := &few[n-1]
				last.from, last.to = min(last.from, one.from), max(last.to, one.to)
				continue
			}
			few = append(few, one)
		}
		if all = few; len(all) <= maxWindows {
			break
		}
	}
	return all
}

func (w *windows) where(timeColumn string) string {
	var terms []string
	for _, one := range w.merged() {
		term := timeColumn + " BETWEEN " + nanoseconds(one.from) + " AND " + nanoseconds(one.to)
		if one.name != "" && !one.any {
			term = "event_name = " + literal(one.name) + " AND " + term
		}
		terms = append(terms, term)
	}
	return strings.Join(terms, " OR ")
}

func nanoseconds(t time.Duration) string {
	return "fromUnixTimestamp64Nano(toInt64(" + strconv.FormatInt(int64(t), 10) + "), 'UTC')"
}

// literal writes any bytes as SQL.
func literal(s string) string {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\'' || c == '\\' {
			return "unhex('" + hex.EncodeToString([]byte(s)) + "')"
		}
	}
	return "'" + s + "'"
}
