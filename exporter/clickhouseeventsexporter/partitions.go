// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/event"
)

// An INSERT is a block for each partition of the table that it touches, and a table remembers so many blocks. So the
// exporter reckons, before it sends, how many partitions that can be: never too few, and cheaply, since nearly always
// it is one or two.

// partitioning is the table's PARTITION BY as far as it is understood: the number of partitions is at most the product
// of the terms' numbers of values.
type partitioning struct {
	terms []term
	// unknown says that a term is not understood: a block can touch as many partitions as it has rows.
	unknown bool
}

// term is one expression of a partition key.
type term struct {
	column string
	period func(ns int64) int64 // of a time; nil of a text
}

// place is what a row's partition depends on.
type place struct {
	position       int
	time, received int64
	texts          [5]string // tenant_id, event_name, source, schema_name, schema_version
}

var placeTexts = []string{"tenant_id", "event_name", "source", "schema_name", "schema_version"}

const day = int64(24 * time.Hour)

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func byDuration(d int64) func(int64) int64 { return func(ns int64) int64 { return floorDiv(ns, d) } }

func byMonths(n int) func(int64) int64 {
	return func(ns int64) int64 {
		t := time.Unix(0, ns).UTC()
		return int64((t.Year()*12 + int(t.Month()) - 1) / n)
	}
}

// periods are ClickHouse's functions of a time that partition keys are made of. The columns are in UTC.
var periods = map[string]func(int64) int64{
	"toyyyymm": byMonths(1), "tostartofmonth": byMonths(1), "tostartofquarter": byMonths(3),
	"toyear": byMonths(12), "tostartofyear": byMonths(12),
	"toyyyymmdd": byDuration(day), "todate": byDuration(day), "todate32": byDuration(day), "tostartofday": byDuration(day),
	// 1970 began on a Thursday.
	"tomonday":        func(ns int64) int64 { return floorDiv(ns+3*day, 7*day) },
	"tostartofweek":   func(ns int64) int64 { return floorDiv(ns+4*day, 7*day) },
	"tostartofhour":   byDuration(int64(time.Hour)),
	"tostartofminute": byDuration(int64(time.Minute)),
}

var callOfColumn = regexp.MustCompile(`^([A-Za-z0-9]+)\(([a-z_]+)\)$`)

// parsePartitioning reads what system.tables says in partition_key.
func parsePartitioning(key string) partitioning {
	key = strings.ReplaceAll(strings.TrimSpace(key), "`", "")
	key = strings.TrimPrefix(key, "tuple")
	if strings.HasPrefix(key, "(") && strings.HasSuffix(key, ")") {
		key = key[1 : len(key)-1]
	}
	var p partitioning
	if key == "" {
		return p
	}
	for _, one := range strings.Split(key, ",") {
		one = strings.TrimSpace(one)
		if slices.Contains(placeTexts, one) {
			p.terms = append(p.terms, term{column: one})
			continue
		}
		m := callOfColumn.FindStringSubmatch(one)
		if m == nil || m[2] != "event_time" && m[2] != "received_time" || periods[strings.ToLower(m[1])] == nil {
			return partitioning{unknown: true}
		}
		p.terms = append(p.terms, term{m[2], periods[strings.ToLower(m[1])]})
	}
	return p
}

// extent is what is noted of the rows of a block while it is built.
type extent struct {
	rows                   int
	time, received         [2]int64 // least and greatest
	last                   [5]string
	changes                [5]int // how often a text differed from the row's before, at least one less than its values
	tenants                []string
	manyTenants, hasTenant bool
}

// maxTenants is how many tenants a question to the table may name.
const maxTenants = 32

func (x *extent) reset() { *x = extent{tenants: x.tenants[:0]} }

// add notes a row, whose times are as they are stored.
func (x *extent) add(e *event.Event, at, received int64) {
	texts := [5]string{e.Tenant, e.Name, e.Source, e.Schema, e.SchemaVersion}
	if x.rows == 0 {
		x.time, x.received, x.last = [2]int64{at, at}, [2]int64{received, received}, texts
	}
	x.time[0], x.time[1] = min(x.time[0], at), max(x.time[1], at)
	x.received[0], x.received[1] = min(x.received[0], received), max(x.received[1], received)
	for i := range texts {
		if x.last[i] != texts[i] {
			x.changes[i]++
			x.last[i] = texts[i]
		}
	}
	if !x.hasTenant || x.tenants[len(x.tenants)-1] != e.Tenant {
		x.hasTenant = true
		if len(x.tenants) < maxTenants {
			x.tenants = append(x.tenants, strings.Clone(e.Tenant))
		} else {
			x.manyTenants = true
		}
	}
	x.rows++
}

// bound returns how many partitions the rows touch at most.
func (p *partitioning) bound(x *extent) uint64 {
	rows := uint64(max(1, x.rows))
	if p.unknown {
		return rows
	}
	product := uint64(1)
	for _, t := range p.terms {
		var n uint64
		switch {
		case t.period == nil:
			n = uint64(x.changes[slices.Index(placeTexts, t.column)] + 1)
		case t.column == "event_time":
			n = uint64(t.period(x.time[1]) - t.period(x.time[0]) + 1)
		default:
			n = uint64(t.period(x.received[1]) - t.period(x.received[0]) + 1)
		}
		if product *= min(n, rows); product >= rows {
			return rows
		}
	}
	return product
}

// cut groups rows, in the order of their time, so that each group touches at most limit partitions. Groups hold
// ascending positions.
func (p *partitioning) cut(places []place, limit uint64) [][]int {
	slices.SortStableFunc(places, func(a, b place) int {
		switch {
		case a.time != b.time:
			if a.time < b.time {
				return -1
			}
			return 1
		default:
			return a.position - b.position
		}
	})
	var groups [][]int
	var group []int
	seen := map[string]bool{}
	for i := range places {
		key := p.key(&places[i])
		if !seen[key] && uint64(len(seen)) == limit {
			groups, group = append(groups, group), nil
			clear(seen)
		}
		seen[key] = true
		group = append(group, places[i].position)
	}
	groups = append(groups, group)
	for _, g := range groups {
		slices.Sort(g)
	}
	return groups
}

// key is equal for rows of one partition.
func (p *partitioning) key(at *place) string {
	if p.unknown {
		return strconv.Itoa(at.position)
	}
	var b []byte
	for _, t := range p.terms {
		switch {
		case t.period == nil:
			b = appendText(b, at.texts[slices.Index(placeTexts, t.column)])
		case t.column == "event_time":
			b = strconv.AppendInt(append(b, '|'), t.period(at.time), 10)
		default:
			b = strconv.AppendInt(append(b, '|'), t.period(at.received), 10)
		}
	}
	return string(b)
}
