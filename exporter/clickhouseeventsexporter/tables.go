// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/schema"
)

// jsonType bounds how many paths of undeclared properties become columns of their own inside a part; the rest
// shares one. Every such path costs files in wide parts and work in merges.
const jsonType = "JSON(max_dynamic_paths=256)"

// column is a column of a table as created.
type column struct{ name, typ string }

// envelopeColumns and failedColumns are the columns that every row of the two tables fills.
var envelopeColumns, failedColumns = created(columns.Envelope), created(columns.FailedEnvelope)

func created(fields []columns.Field) []column {
	var cs []column
	for _, f := range fields {
		typ := f.Type.String()
		switch {
		case f.Name == columns.Properties:
			typ = jsonType
		case f.Type.Kind == schema.DateTime64:
			typ = "DateTime64(9, 'UTC')"
		case f.Type.LowCardinality:
			typ = "LowCardinality(" + typ + ")"
		case f.Nullable:
			typ = "Nullable(" + typ + ")"
		}
		cs = append(cs, column{f.Name, typ})
	}
	return cs
}

// accessDenied is the server's ACCESS_DENIED.
const accessDenied = 497

// tables keeps the database's tables in step with the schemas.
type tables struct {
	cfg    *Config
	conn   driver.Conn
	logger *zap.Logger
	onDDL  func(ctx context.Context)

	// current is the layout that the tables are known to have; nil when they must be looked at again. Read by
	// every worker, written under mu and by forget.
	current atomic.Pointer[layout]
	// facts is what the delivery path knows of the tables; nil when it must look. Read by every worker, written under
	// mu and by forget.
	facts atomic.Pointer[facts]
	now   func() time.Time
	// mu lets one worker at a time bring the tables up to date.
	mu sync.Mutex
}

// ensure returns the layout for the snapshot once the tables have it.
func (t *tables) ensure(ctx context.Context, snap *schema.Snapshot) (*layout, error) {
	if l := t.current.Load(); l != nil && l.snapshot == snap {
		return l, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.current.Load(); l != nil && l.snapshot == snap {
		return l, nil
	}
	l, err := t.bringUp(ctx, snap)
	if err != nil {
		return nil, err
	}
	t.current.Store(l)
	return l, nil
}

// forget makes the next ensure look at the tables again: the server says that something of them is gone.
func (t *tables) forget() {
	t.current.Store(nil)
	t.facts.Store(nil)
}

func (t *tables) bringUp(ctx context.Context, snap *schema.Snapshot) (*layout, error) {
	have, err := t.describe(ctx, t.cfg.Events.Name)
	if err != nil {
		return nil, err
	}
	l := t.fit(snap, have)
	events := slices.Clone(envelopeColumns)
	for i := range l.Columns {
		events = append(events, column{l.Columns[i].Name, l.Columns[i].Definition()})
	}
	types, err := t.bringUpTable(ctx, &t.cfg.Events, have, events)
	if err != nil {
		return nil, err
	}
	l.propertiesType = types["properties"]
	if have, err = t.describe(ctx, t.cfg.FailedEvents.Name); err != nil {
		return nil, err
	}
	_, err = t.bringUpTable(ctx, &t.cfg.FailedEvents, have, failedColumns)
	return l, err
}

// fit returns the layout for the snapshot as far as the table's columns allow.
//
// A column keeps or lacks LowCardinality as the table has it: that is a way to store the same values, and a schema
// that comes or goes can change what all schemas say of it. A column of another type is left alone, since the server
// would cast, and a cast clips silently; its property's values are stored with the undeclared until it is mended, so
// that one schema does not stop the events of all.
func (t *tables) fit(snap *schema.Snapshot, have map[string]string) *layout {
	l := newLayout(snap, nil)
	leave := map[string]bool{}
	for i := range l.Columns {
		c := &l.Columns[i]
		got, want := have[c.Name], c.Definition()
		if got == "" || got == want || storedAs(c, got) {
			continue
		}
		leave[c.Name] = true
		t.logger.Error("A column has another type than the schemas say: values of its property go into the column properties. "+
			"Give the property another x-column, or change the column, then restart",
			zap.String("table", t.cfg.Database+"."+t.cfg.Events.Name), zap.String("column", c.Name),
			zap.String("type", got), zap.String("wanted", want))
	}
	if len(leave) > 0 {
		l = newLayout(snap, leave)
	}
	for i := range l.Columns {
		if c := &l.Columns[i]; storedAs(c, have[c.Name]) {
			c.Type.LowCardinality = !c.Type.LowCardinality
		}
	}
	return l
}

// bringUpTable creates the table, or adds the columns it lacks, and returns the types it then has. It never
// changes or drops a column.
func (t *tables) bringUpTable(ctx context.Context, table *TableConfig, have map[string]string, want []column) (map[string]string, error) {
	if len(have) == 0 {
		if !t.cfg.CreateTables {
			return nil, fmt.Errorf("table %s.%s is not there: create it with the README's SQL or set create_tables: true", t.cfg.Database, table.Name)
		}
		if err := t.run(ctx, createDatabase(t.cfg)); err != nil {
			return nil, err
		}
		known, err := t.knownSettings(ctx)
		if err != nil {
			return nil, err
		}
		if err := t.run(ctx, createTable(t.cfg, table, want, known)); err != nil {
			return nil, err
		}
	} else if missing := missingColumns(have, want); len(missing) > 0 {
		if !t.cfg.CreateTables {
			return nil, fmt.Errorf("table %s.%s lacks column %s: add it or set create_tables: true", t.cfg.Database, table.Name, missing[0].name)
		}
		if err := t.run(ctx, addColumns(t.cfg, table, missing)); err != nil {
			return nil, err
		}
		names := make([]string, len(missing))
		for i, c := range missing {
			names[i] = c.name
		}
		t.logger.Info("Added columns to table", zap.String("table", table.Name), zap.Strings("columns", names))
	} else {
		return have, checkTypes(t.cfg.Database, table.Name, have, want)
	}
	// Another gateway may have been first, with other columns: look again instead of believing our statement.
	have, err := t.describe(ctx, table.Name)
	if err != nil {
		return nil, err
	}
	if missing := missingColumns(have, want); len(missing) > 0 {
		return nil, fmt.Errorf("table %s.%s still lacks column %s after it was added", t.cfg.Database, table.Name, missing[0].name)
	}
	return have, checkTypes(t.cfg.Database, table.Name, have, want)
}

// restore sees to it that the events table has the columns of a layout of before, by which a delivery was planned.
func (t *tables) restore(ctx context.Context, l *layout) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	have, err := t.describe(ctx, t.cfg.Events.Name)
	if err != nil {
		return err
	}
	var missing []column
	for i := range l.Columns {
		c := &l.Columns[i]
		got, there := have[c.Name]
		switch {
		case !there:
			missing = append(missing, column{c.Name, c.Definition()})
		case !holds(c, got):
			return fmt.Errorf("column %s of %s.%s is %s now, but a delivery that was not stored yet was planned for %s: change the column back until it is, then again",
				quote(c.Name), t.cfg.Database, t.cfg.Events.Name, got, c.Definition())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	alter := addColumns(t.cfg, &t.cfg.Events, missing)
	if !t.cfg.CreateTables {
		return fmt.Errorf("table %s.%s lacks column %s, which a delivery that was not stored yet was planned for: add it again or set create_tables: true",
			t.cfg.Database, t.cfg.Events.Name, missing[0].name)
	}
	return t.run(ctx, alter)
}

func missingColumns(have map[string]string, want []column) []column {
	var missing []column
	for _, c := range want {
		if _, ok := have[c.name]; !ok {
			missing = append(missing, c)
		}
	}
	return missing
}

// checkTypes refuses a column of another type than ours: the server would cast, and a cast clips silently.
func checkTypes(database, table string, have map[string]string, want []column) error {
	for _, c := range want {
		if got := have[c.name]; got != c.typ && !(isJSON(got) && isJSON(c.typ)) {
			return fmt.Errorf("column %s of %s.%s is %s but must be %s: change the column, or name another table", quote(c.name), database, table, got, c.typ)
		}
	}
	return nil
}

func isJSON(t string) bool { return t == "JSON" || strings.HasPrefix(t, "JSON(") }

func (t *tables) describe(ctx context.Context, table string) (map[string]string, error) {
	rows, err := t.conn.Query(ctx, "SELECT name, type FROM system.columns WHERE database = ? AND table = ?", t.cfg.Database, table)
	if err != nil {
		return nil, fmt.Errorf("reading the columns of %s.%s: %w", t.cfg.Database, table, err)
	}
	types := map[string]string{}
	for rows.Next() {
		var name, typ string
		if err := rows.Scan(&name, &typ); err != nil {
			return nil, fmt.Errorf("reading the columns of %s.%s: %w", t.cfg.Database, table, err)
		}
		types[name] = typ
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the columns of %s.%s: %w", t.cfg.Database, table, err)
	}
	return types, rows.Close()
}

// knownSettings returns which of tunedSettings the server has: a CREATE TABLE that names another would fail. It is
// none where our user may not look.
func (t *tables) knownSettings(ctx context.Context) (map[string]string, error) {
	known := map[string]string{}
	for name, value := range tunedSettings {
		var n uint64
		if err := t.conn.QueryRow(ctx, "SELECT count() FROM system.merge_tree_settings WHERE name = ?", name).Scan(&n); err != nil {
			var refusal *clickhouse.Exception
			if errors.As(err, &refusal) && refusal.Code == accessDenied {
				return nil, nil
			}
			return nil, fmt.Errorf("reading the server's table settings: %w", err)
		}
		if n > 0 {
			known[name] = value
		}
	}
	return known, nil
}

func (t *tables) run(ctx context.Context, sql string) error {
	if err := t.conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("running %q: %w", firstLine(sql), err)
	}
	t.onDDL(ctx)
	return nil
}

func firstLine(sql string) string {
	line, _, _ := strings.Cut(sql, "\n")
	return line
}
