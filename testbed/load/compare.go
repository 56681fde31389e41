// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/term"
)

// Row is what a sink holds of one event.
type Row struct {
	ID     string
	Name   string
	Failed bool // from failed_events; only ID, Name and Hash are compared then
	Time   int64
	User   string
	Anon   string
	Tenant string
	Total  int64 // hundredths of the typed column total, 0 where it is NULL
	// Hash is HashProperties of the row's properties, where Hashed says that the sink gives them back whole. Then Total need not be set.
	Hash   uint64
	Hashed bool
}

// CompareOptions say what the sink promises.
type CompareOptions struct {
	// Deduplicated is for sinks behind something that drops further copies: one row per event and no more. Without
	// it, there must be a row for every acknowledged copy, and there may be one more for every copy or attempt whose
	// outcome is not known.
	Deduplicated bool
	// Shared is for tables that hold other runs' rows too: rows whose ID was never sent are then not looked at.
	Shared bool
	// Samples is how many finds of each class are kept as text (default 5).
	Samples int
}

// Comparison is what came of comparing a sink with a manifest. All counts are of events, not of rows.
type Comparison struct {
	Expected int64 // events in the manifest that were sent
	Rows     int64 // rows in events
	Failed   int64 // rows in failed_events

	Matched    int64 // there as often as they must be, with the right values
	Lost       int64 // acknowledged, and missing (or some acknowledged copy of it)
	Duplicated int64 // more rows than there may be
	Altered    int64 // a row with a wrong value
	Misplaced  int64 // a row in events that belongs into failed_events, or the other way round
	Unexpected int64 // rows whose ID was never sent
	Open       int64 // not acknowledged: they may be there or not
	OpenThere  int64 // of them, there

	Samples map[string][]string // class to examples
}

// OK says that nothing is wrong.
func (c *Comparison) OK() bool {
	return c.Lost == 0 && c.Duplicated == 0 && c.Altered == 0 && c.Misplaced == 0 && c.Unexpected == 0
}

// Verdict says it in one line.
func (c *Comparison) Verdict() string {
	if c.OK() {
		s := fmt.Sprintf("all %s events are there, each as often as it must be and with its values", term.Number(c.Matched))
		if c.Open > 0 {
			s += fmt.Sprintf("; %s were never acknowledged, %s of them are there", term.Number(c.Open), term.Number(c.OpenThere))
		}
		return s
	}
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{
		{c.Lost, "lost"}, {c.Duplicated, "duplicated"}, {c.Altered, "altered"},
		{c.Misplaced, "in the wrong table"}, {c.Unexpected, "unexpected"},
	} {
		if p.n > 0 {
			parts = append(parts, term.Number(p.n)+" "+p.what)
		}
	}
	return fmt.Sprintf("MISMATCH: %s, of %s events", strings.Join(parts, ", "), term.Number(c.Expected))
}

// PrintSamples prints the examples of what is wrong, one to a line.
func (c *Comparison) PrintSamples(printf func(format string, args ...any)) {
	for _, class := range []string{"lost", "duplicated", "altered", "misplaced", "unexpected"} {
		for _, s := range c.Samples[class] {
			printf("    %-10s %s\n", class, s)
		}
	}
}

// Compare reads a sink's rows, of events and failed_events in any order, and holds them against the manifest,
// which must not change meanwhile.
func Compare(m *Manifest, rows iter.Seq2[Row, error], opts CompareOptions) (*Comparison, error) {
	if opts.Samples == 0 {
		opts.Samples = 5
	}
	c := &Comparison{Samples: map[string][]string{}}
	note := func(class, format string, args ...any) {
		if len(c.Samples[class]) < opts.Samples {
			c.Samples[class] = append(c.Samples[class], fmt.Sprintf(format, args...))
		}
	}
	byID := make(map[ID]uint32, len(m.entries))
	for i := range m.entries {
		byID[m.entries[i].id] = uint32(i)
	}
	const (
		altered = 1 << iota
		misplaced
	)
	found := make([]uint32, len(m.entries))
	wrong := make([]uint8, len(m.entries))
	for row, err := range rows {
		if err != nil {
			return nil, fmt.Errorf("comparing with the manifest: %w", err)
		}
		if row.Failed {
			c.Failed++
		} else {
			c.Rows++
		}
		id, ok := parseID(row.ID)
		i, known := byID[id]
		if !ok || !known || m.entries[i].sent == 0 {
			if opts.Shared {
				continue
			}
			c.Unexpected++
			note("unexpected", "%s %q", row.ID, row.Name)
			continue
		}
		found[i]++
		e := m.entry(int(i))
		if row.Failed != e.Failed() {
			if wrong[i]&misplaced == 0 {
				note("misplaced", "%s %s: a %s event stands in %s", row.ID, e.Name, e.Bad, table(row.Failed))
			}
			wrong[i] |= misplaced
			continue
		}
		if field, got, want := e.differs(&row); field != "" {
			if wrong[i]&altered == 0 {
				note("altered", "%s %s: %s is %v, was sent as %v", row.ID, e.Name, field, got, want)
			}
			wrong[i] |= altered
		}
	}
	for i := range m.entries {
		e := &m.entries[i]
		if e.sent == 0 {
			continue
		}
		c.Expected++
		least, most := uint32(e.acked), uint32(e.sent)+uint32(e.unsure)
		if opts.Deduplicated {
			least, most = min(least, 1), 1
		}
		switch n := found[i]; {
		case n < least:
			c.Lost++
			note("lost", "%s %s of %s: %d copies acknowledged, %d there", e.id, eventNames[e.name], time.Unix(0, e.time).UTC().Format(time.RFC3339Nano), e.acked, n)
		case n > most:
			c.Duplicated++
			note("duplicated", "%s %s: %d rows, at most %d may be", e.id, eventNames[e.name], n, most)
		case wrong[i]&misplaced != 0:
			c.Misplaced++
		case wrong[i]&altered != 0:
			c.Altered++
		case e.acked == 0:
			c.Open++
			if n > 0 {
				c.OpenThere++
			}
		default:
			c.Matched++
		}
	}
	return c, nil
}

func table(failed bool) string {
	if failed {
		return "failed_events"
	}
	return "events"
}

// differs names the first field in which the row is not what was sent.
func (e *Entry) differs(r *Row) (field string, got, want any) {
	switch {
	case r.Name != e.Name:
		return "event_name", r.Name, e.Name
	case r.Hashed && r.Hash != e.Hash:
		return "properties (their hash)", r.Hash, e.Hash
	case r.Failed:
		return "", nil, nil
	case r.Time != e.Time:
		return "event_time", r.Time, e.Time
	case r.User != e.UserID:
		return "user_id", r.User, e.UserID
	case r.Anon != e.AnonymousID:
		return "anonymous_id", r.Anon, e.AnonymousID
	case r.Tenant != e.Tenant:
		return "tenant_id", r.Tenant, e.Tenant
	case e.Total != 0 && r.Total != e.Total && !r.Hashed:
		return "total", r.Total, e.Total
	}
	return "", nil, nil
}
