// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/result"
)

// resultTables keeps the tables and views of results in step with the definitions that come with them.
type resultTables struct {
	*tables

	mu sync.Mutex // guards what is below, and is held while a table is brought up; any goroutine
	// known are the tables by the text of their definition. What is dropped is looked at again.
	known  map[string]*resultTable
	noted  map[string]bool // views that were spoken of
	atOnce int             // blocks that are kept for each table
}

// maxResultTables bounds known. Definitions come from this process's configuration, so there are few.
const maxResultTables = 256

// ensure returns the table once it is as the definition wants it.
func (t *resultTables) ensure(ctx context.Context, def *result.Table, text string) (*resultTable, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.known[text]; r != nil {
		return r, nil
	}
	r, err := t.bringUp(ctx, def)
	if err != nil {
		return nil, fmt.Errorf("results of %s: %w", def.Name, err)
	}
	if t.known == nil || len(t.known) >= maxResultTables {
		t.known = map[string]*resultTable{}
	}
	t.known[text] = r
	return r, nil
}

// forget makes the next ensure look at the tables again.
func (t *resultTables) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.known)
}

// found is a table or view as the server has it.
type found struct {
	engine, full, created, comment string
	columns                        []foundColumn // in their order; empty if there is none
}

type foundColumn struct {
	resultColumn
	sorting, partition bool
}

func (f *found) column(name string) *foundColumn {
	i := slices.IndexFunc(f.columns, func(c foundColumn) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return &f.columns[i]
}

func (t *resultTables) find(ctx context.Context, table string) (*found, error) {
	fail := func(err error) error {
		return fmt.Errorf("reading what %s.%s is: %w", t.cfg.Database, table, err)
	}
	f := &found{}
	err := t.conn.QueryRow(ctx, "SELECT engine, engine_full, create_table_query, comment FROM system.tables WHERE database = ? AND name = ?", t.cfg.Database, table).
		Scan(&f.engine, &f.full, &f.created, &f.comment)
	if errors.Is(err, errNoRows) {
		return f, nil
	} else if err != nil {
		return nil, fail(err)
	}
	rows, err := t.conn.Query(ctx, "SELECT name, type, comment, is_in_sorting_key, is_in_partition_key FROM system.columns WHERE database = ? AND table = ? ORDER BY position",
		t.cfg.Database, table)
	if err != nil {
		return nil, fail(err)
	}
	for rows.Next() {
		var c foundColumn
		var sorting, partition uint8
		if err := rows.Scan(&c.name, &c.typ, &c.comment, &sorting, &partition); err != nil {
			return nil, fail(errors.Join(err, rows.Close()))
		}
		c.sorting, c.partition = sorting > 0, partition > 0
		f.columns = append(f.columns, c)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, fail(err)
	}
	return f, nil
}

// bringUp creates or extends the table of panes and the view. It changes and drops nothing else; nothing is done if either name is
// taken by something that is not ours.
func (t *resultTables) bringUp(ctx context.Context, def *result.Table) (*resultTable, error) {
	panes := def.Name + result.PanesSuffix
	for _, other := range []string{t.cfg.Events.Name, t.cfg.FailedEvents.Name} {
		if other == def.Name || other == panes {
			return nil, fmt.Errorf("%s is the name of a table of events: give the results or the events another name", quote(other))
		}
	}
	view, err := t.find(ctx, def.Name)
	if err != nil {
		return nil, err
	}
	if err := t.checkView(view, def); err != nil {
		return nil, err
	}
	have, err := t.find(ctx, panes)
	if err != nil {
		return nil, err
	}
	if have, err = t.bringUpPanes(ctx, def, have); err != nil {
		return nil, err
	}
	if err := t.bringUpView(ctx, def, view, have); err != nil {
		return nil, err
	}
	r := &resultTable{def: def, name: panes, spare: make(chan *resultRows, max(1, t.atOnce))}
	for _, want := range resultColumns(def) {
		r.columns = append(r.columns, have.column(want.name).column)
	}
	return r, nil
}

// checkView refuses a name that something else has.
func (t *resultTables) checkView(view *found, def *result.Table) error {
	if len(view.columns) == 0 && view.engine == "" {
		return nil
	}
	if view.engine == "View" && (strings.HasPrefix(view.comment, viewMark) || t.readsPanes(view, def)) {
		return nil
	}
	return fmt.Errorf("%s.%s is there and is no view of results but a %s: rename it, or give the results another name; nothing was changed",
		t.cfg.Database, def.Name, view.engine)
}

// readsPanes says whether a view reads the table of panes: then it is one that somebody made to read our results by.
func (t *resultTables) readsPanes(view *found, def *result.Table) bool {
	return strings.Contains(strings.ReplaceAll(view.created, "`", ""), t.cfg.Database+"."+def.Name+result.PanesSuffix)
}

func (t *resultTables) bringUpPanes(ctx context.Context, def *result.Table, have *found) (*found, error) {
	panes := def.Name + result.PanesSuffix
	want := resultColumns(def)
	missing := func() (columns []resultColumn) {
		for _, c := range want {
			if have.column(c.name) == nil {
				columns = append(columns, c)
			}
		}
		return columns
	}
	switch lacks := missing(); {
	case len(have.columns) == 0:
		if !t.cfg.CreateTables {
			return nil, fmt.Errorf("table %s.%s is not there: run `%s` or set create_tables: true", t.cfg.Database, panes, oneLine(createResultTable(t.cfg, def)))
		}
		if err := t.run(ctx, createDatabase(t.cfg)); err != nil {
			return nil, err
		}
		if err := t.run(ctx, createResultTable(t.cfg, def)); err != nil {
			return nil, err
		}
	case len(lacks) == 0:
		return have, t.checkPanes(def, have)
	default:
		if err := t.checkPanes(def, have); err != nil { // before anything is added to what is not ours
			return nil, err
		}
		add := addResultColumns(t.cfg, panes, lacks)
		if !t.cfg.CreateTables {
			return nil, fmt.Errorf("table %s.%s lacks column %s: run `%s` or set create_tables: true", t.cfg.Database, panes, lacks[0].name, oneLine(add))
		}
		if err := t.run(ctx, add); err != nil {
			return nil, err
		}
		t.logger.Info("Added columns to a table of results", zap.String("table", panes), zap.Int("columns", len(lacks)))
	}
	// Another gateway may have been first, with other columns: look again instead of believing our statement.
	have, err := t.find(ctx, panes)
	if err != nil {
		return nil, err
	}
	if lacks := missing(); len(lacks) > 0 {
		return nil, fmt.Errorf("table %s.%s still lacks column %s after it was added", t.cfg.Database, panes, lacks[0].name)
	}
	return have, t.checkPanes(def, have)
}

func addResultColumns(c *Config, panes string, missing []resultColumn) string {
	parts := make([]string, len(missing))
	for i := range missing {
		parts[i] = "ADD COLUMN IF NOT EXISTS " + missing[i].define()
	}
	return fmt.Sprintf("ALTER TABLE %s.%s%s\n    %s", quote(c.Database), quote(panes), c.onCluster(), strings.Join(parts, ",\n    "))
}

// checkPanes refuses a table in which rows would be cast, or a result's panes not replace each other.
func (t *resultTables) checkPanes(def *result.Table, have *found) error {
	name := t.cfg.Database + "." + def.Name + result.PanesSuffix
	if !strings.Contains(have.engine, replacing) || !strings.Contains(have.full, result.ColumnIndex) {
		return fmt.Errorf("table %s has the engine %s, which keeps all panes of a result: it must be ReplacingMergeTree(%s): rename the table, or give the results another name",
			name, have.engine, result.ColumnIndex)
	}
	for _, want := range resultColumns(def) {
		got := have.column(want.name)
		if got != nil && withoutLow.Replace(got.typ) != withoutLow.Replace(want.typ) {
			return fmt.Errorf("column %s of %s is %s but the results say %s: rename the column in the configuration of what emits them, or run `ALTER TABLE %s RENAME COLUMN %s TO %s`",
				quote(want.name), name, got.typ, want.typ, name, quote(want.name), quote(want.name+"_before"))
		}
	}
	sorted := false
	for _, c := range have.columns {
		sorted = sorted || c.name == result.ColumnID && c.sorting
		ours := def.Find(c.name) >= 0 || c.name == result.ColumnTiming || c.name == result.ColumnIndex
		if (c.sorting || c.partition) && ours && !def.Keyed(c.name) {
			return fmt.Errorf("table %s is sorted or parted by %s, which may differ between panes of one result, so that none would replace another: rename the table, or give the results another name",
				name, quote(c.name))
		}
	}
	if !sorted {
		return fmt.Errorf("table %s is not sorted by %s, so that results would replace each other: rename the table, or give the results another name", name, result.ColumnID)
	}
	return nil
}

// bringUpView sees to it that there is a view that has the table's columns.
func (t *resultTables) bringUpView(ctx context.Context, def *result.Table, view, have *found) error {
	columns := make([]resultColumn, len(have.columns))
	for i := range have.columns {
		columns[i] = have.columns[i].resultColumn
	}
	name := t.cfg.Database + "." + def.Name
	whole := !slices.ContainsFunc(columns, func(c resultColumn) bool {
		seen := view.column(c.name)
		return seen == nil || seen.typ != c.typ
	})
	switch {
	case view.engine == "" && !t.cfg.CreateTables:
		t.note(name, "There is no view with one row for each result", createResultView(t.cfg, def, columns, false))
		return nil
	case view.engine == "":
		return t.run(ctx, createResultView(t.cfg, def, columns, false))
	case whole:
		return nil
	case !t.cfg.CreateTables || !strings.HasPrefix(view.comment, viewMark):
		t.note(name, "A view lacks columns of its results, and is not the exporter's to change", createResultView(t.cfg, def, columns, true))
		return nil
	}
	err := t.run(ctx, createResultView(t.cfg, def, columns, true))
	if !isCode(err, accessDenied) {
		return err
	}
	// To replace it takes the right to drop tables, which nobody likes to give: readers miss the view for a moment instead.
	err = t.run(ctx, dropResultView(t.cfg, def))
	if isCode(err, accessDenied) {
		t.note(name, "A view lacks columns of its results, and our user may not replace it (it needs GRANT DROP VIEW)", createResultView(t.cfg, def, columns, true))
		return nil
	} else if err != nil {
		return err
	}
	return t.run(ctx, createResultView(t.cfg, def, columns, false))
}

// note says something about a view once. The caller holds mu.
func (t *resultTables) note(view, words, statement string) {
	if t.noted[view] {
		return
	}
	if t.noted == nil {
		t.noted = map[string]bool{}
	}
	t.noted[view] = true
	t.logger.Warn(words, zap.String("view", view), zap.String("statement", oneLine(statement)))
}
