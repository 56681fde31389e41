// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"iter"

	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/lake"
	"github.com/millrace/millrace/testbed/load"
)

// LakeOutcome is what came of holding the lake against what was sent, and what a reader saw in between.
type LakeOutcome struct {
	Files, RowGroups, Rows int64
	Results                int64 // rows of sessions that are over, which come beside those of events
	Listings               int64 // while the collector was broken
	Replaced               int64 // files that were put again, the same, after a crash
	Lost                   int64
	Duplicated             int64
	Altered                int64 // with the misplaced and the unexpected
	Faults                 int64 // of files and of the catalogue
	Samples                []string
}

// OK says that nothing is wrong.
func (o LakeOutcome) OK() bool {
	return o.Lost == 0 && o.Duplicated == 0 && o.Altered == 0 && o.Faults == 0
}

// lakeNumbers name what numbers returns.
var lakeNumbers = []string{"files", "row groups", "rows", "sessions", "listings", "put again", "lost", "duplicated", "altered", "faults"}

func (o *LakeOutcome) numbers() (out []string) {
	for _, n := range o.all() {
		out = append(out, number(*n))
	}
	return out
}

func (o *LakeOutcome) all() []*int64 {
	return []*int64{&o.Files, &o.RowGroups, &o.Rows, &o.Results, &o.Listings, &o.Replaced, &o.Lost, &o.Duplicated, &o.Altered, &o.Faults}
}

func (o *LakeOutcome) add(other *LakeOutcome) {
	mine := o.all()
	for i, n := range other.all() {
		*mine[i] += *n
	}
}

func (o *LakeOutcome) sample(format string, args ...any) {
	if len(o.Samples) < 20 {
		o.Samples = append(o.Samples, fmt.Sprintf(format, args...))
	}
}

// seen takes what the watcher saw.
func (o *LakeOutcome) seen(s lake.Seen) {
	o.Listings, o.Replaced = s.Listings, s.Replaced
	o.Faults += int64(len(s.Faults)) + s.More
	for _, f := range s.Faults {
		o.sample("seen meanwhile: %s", f)
	}
}

// compareLake holds the lake to one row for every event, each with its values, and the catalogue to the files and to the log.
func (t *traffic) compareLake(ctx context.Context, out *Outcome) error {
	o := &out.Lake
	contents := lake.Open(t.w.lake)
	poison, sessions := map[string]int{}, map[string]int{}
	c, err := load.Compare(t.run.Manifest(), t.sentRows(contents.Rows(ctx), poison, sessions, o), load.CompareOptions{Deduplicated: true})
	if err != nil {
		return fmt.Errorf("reading the lake: %w", err)
	}
	if err := contents.CheckCatalogue(ctx); err != nil {
		return fmt.Errorf("reading the lake's catalogue: %w", err)
	}
	for id, times := range sessions {
		o.Results += int64(times)
		if times > 1 {
			o.Duplicated++
			o.sample("session %s is there %d times", id, times)
		}
	}
	o.Files, o.RowGroups, o.Rows = contents.Files, contents.RowGroups, contents.Count-o.Results
	o.Lost += c.Lost
	o.Duplicated += c.Duplicated
	o.Altered += c.Altered + c.Misplaced + c.Unexpected
	c.PrintSamples(o.sample)
	for n := range t.poisoned.Load() {
		switch times := poison[t.poisonID(n)]; {
		case times == 0:
			o.Lost++
			o.sample("%s is lost", t.poisonID(n))
		case times > 1:
			o.Duplicated++
			o.sample("%s is there %d times", t.poisonID(n), times)
		}
	}
	if err := t.compareLog(ctx, contents, o); err != nil {
		return err
	}
	o.Faults += int64(len(contents.Faults))
	for _, f := range contents.Faults {
		o.sample("%s", f)
	}
	return nil
}

// sessionName is that of results of sessions.
const sessionName = "session.end"

// sentRows are the rows of what the load sent. It takes out the events that ClickHouse refuses, which to the lake are events as any, and
// sessions.
func (t *traffic) sentRows(rows iter.Seq2[load.Row, error], poison, sessions map[string]int, o *LakeOutcome) iter.Seq2[load.Row, error] {
	return func(yield func(load.Row, error) bool) {
		for r, err := range rows {
			if err == nil && r.Name == sessionName {
				sessions[r.ID]++
				continue
			}
			if err == nil && r.Name == poisonName {
				poison[r.ID]++
				if r.Failed {
					o.Altered++
					o.sample("%s stands among the failed events", r.ID)
				}
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// compareLog adds up what the catalogue says of the log: every row is of a record, and what else a partition has is ticks, which are in no file.
// That every event has a row was seen before.
func (t *traffic) compareLog(ctx context.Context, contents *lake.Contents, o *LakeOutcome) error {
	records, err := lag.Records(ctx, "http://"+t.w.env[admin])
	if err != nil {
		return fmt.Errorf("asking the log for its positions: %w", err)
	}
	have := make([]uint64, len(records))
	var sum uint64
	logs := map[string]bool{}
	for p, rows := range contents.Log {
		if p.Number >= uint32(len(have)) {
			o.Faults++
			o.sample("the catalogue speaks of partition %d of %d", p.Number, len(have))
			continue
		}
		have[p.Number] += uint64(rows)
		sum += uint64(rows)
		logs[fmt.Sprint(p.Incarnation, p.Epoch, p.Pipeline)] = true
	}
	more := false
	for p, n := range records {
		more = more || have[p] > n
	}
	if more || sum != uint64(o.Rows) || len(logs) != 1 {
		o.Faults++
		o.sample("of %d logs the catalogue has %d rows by partition, the log has %d records, and the files have %d rows", len(logs), have, records, o.Rows)
	}
	return nil
}
