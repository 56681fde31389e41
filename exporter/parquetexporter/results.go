// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/state"
)

// Results are events whose columns the table tells that comes with them, and no schema: also where one of that name is in the
// registry. They are one dataset of the table's name, with all panes of a result.

// reasonTable is why a result has no row whose table cannot be read.
const reasonTable = "result_table_unreadable"

// maxResults bounds the layouts that are found by their table's text. Those that are dropped are made again.
const maxResults = 256

// ofResult returns the layout for results of a table.
func (ls *layouts) ofResult(s *result.Scope) (*fileLayout, error) {
	if l := ls.results[s.Text]; l != nil {
		return l, nil
	}
	typed, err := columns.ForResults(s.Table, nil)
	if err != nil {
		return nil, err
	}
	var b state.Batch
	leave, err := ls.conflicts("\x00result/"+s.Table.Name, typed, &b, "table of results", s.Table.Name, "Give the column another name")
	if err != nil {
		return nil, err
	}
	if len(leave) > 0 {
		if typed, err = columns.ForResults(s.Table, leave); err != nil {
			return nil, err
		}
	}
	encoded := typed.Encode()
	l, err := ls.keep(keptLayout{Kind: parquetfile.KindResults, Result: s.Table.Name, Columns: &encoded}, &b)
	if err != nil {
		return nil, err
	}
	if ls.results == nil || len(ls.results) >= maxResults {
		ls.results = map[string]*fileLayout{}
	}
	ls.results[s.Text] = l
	return l, nil
}

// resultsOf finds the layouts of a batch's results, by scope, and remembers the last.
type resultsOf struct {
	x      *parquetExporter
	scopes []result.Scope // nil where the batch has no results
	last   *result.Scope
	layout *fileLayout
}

// at returns the scope of an event, by event.Sorted's ResourceIndex, or nil where it is no result.
func (r *resultsOf) at(resource int) *result.Scope {
	if r.scopes == nil || !r.scopes[resource-1].IsResult() {
		return nil
	}
	return &r.scopes[resource-1]
}

func (r *resultsOf) of(s *result.Scope) (*fileLayout, error) {
	if r.last == s {
		return r.layout, nil
	}
	r.x.mu.Lock()
	defer r.x.mu.Unlock()
	l, err := r.x.layouts.ofResult(s)
	if err == nil {
		r.last, r.layout = s, l
	}
	return l, err
}
