// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"go.uber.org/zap"
)

// deliveryColumn holds the token of the INSERT that stored a row. By it the table itself can be asked what of an INSERT
// it has, where its memory of tokens is not to be trusted. It is empty for rows that came without an event log.
const deliveryColumn = "_delivery"

// deliveryColumnType is that of a column with one value for each INSERT.
const deliveryColumnType = "LowCardinality(String)"

// tableFacts is what the delivery path must know of a table. It is immutable.
type tableFacts struct {
	name string
	// identity changes when the table is dropped and made anew.
	identity   uint64
	replicated bool
	// exact says that rows are kept as they were inserted, so that they can be counted by their token: engines that
	// replace, sum or collapse rows do not.
	exact bool
	// window is how many blocks the table remembers, and, for a Replicated one, seconds how long.
	window  uint64
	seconds time.Duration
	// partitioning is what the table's PARTITION BY is understood to be.
	partitioning partitioning
	// views says that materialized views read the table.
	views bool
}

// facts are of both tables.
type facts struct {
	layout         *layout // the tables have its columns
	events, failed *tableFacts
	looked         time.Time
}

func (f *facts) identities() [2]uint64 { return [2]uint64{f.events.identity, f.failed.identity} }

// lookAgainAfter is how old facts may be when the log's next checkpoint is seen: an operator may change settings or add
// a view meanwhile.
const lookAgainAfter = 30 * time.Second

// behindLog returns the layout for the snapshot, as ensure does, and the facts of the tables, once these remember INSERTs
// for as long as the event log may repeat them.
func (t *tables) behindLog(ctx context.Context, ensured *layout) (*facts, error) {
	if f := t.facts.Load(); f != nil && f.layout == ensured {
		return f, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.facts.Load(); f != nil && f.layout == ensured {
		return f, nil
	}
	return t.learn(ctx, ensured)
}

// learn looks at the tables. The caller holds mu.
func (t *tables) learn(ctx context.Context, ensured *layout) (*facts, error) {
	f := &facts{layout: ensured, looked: t.now()}
	for i, table := range []*TableConfig{&t.cfg.Events, &t.cfg.FailedEvents} {
		one, err := t.learnTable(ctx, table)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			f.events = one
		} else {
			f.failed = one
		}
	}
	t.facts.Store(f)
	return f, nil
}

// refresh looks at the tables again if the facts are old.
func (t *tables) refresh(ctx context.Context, f *facts) (*facts, error) {
	if t.now().Sub(f.looked) < lookAgainAfter {
		return f, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if latest := t.facts.Load(); latest != nil && latest != f && latest.layout == f.layout {
		return latest, nil
	}
	return t.learn(ctx, f.layout)
}

func (t *tables) learnTable(ctx context.Context, table *TableConfig) (*tableFacts, error) {
	name := t.cfg.Database + "." + table.Name
	have, err := t.describe(ctx, table.Name)
	if err != nil {
		return nil, err
	}
	if len(have) == 0 {
		return nil, fmt.Errorf("table %s %w", name, errNoTable)
	}
	d, err := t.read(ctx, t.cfg.Database, table.Name)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(d.engine, "MergeTree") {
		return nil, fmt.Errorf("table %s has the engine %s, which does not know repeated INSERTs: behind an event_log name a table of the MergeTree family", name, d.engine)
	}
	f := &tableFacts{
		name: table.Name, replicated: isReplicated(d.engine), views: len(d.views) > 0,
		exact:        slices.Contains([]string{"MergeTree", "ReplicatedMergeTree", "SharedMergeTree"}, d.engine),
		partitioning: parsePartitioning(d.partitionKey),
	}
	if !f.replicated && len(t.cfg.Endpoints) > 1 {
		return nil, fmt.Errorf("endpoints: %s has the engine %s, so that each of the %d endpoints has a table of its own, and an INSERT that is repeated elsewhere "+
			"would be stored twice: behind an event_log give one endpoint, or use a Replicated engine", name, d.engine, len(t.cfg.Endpoints))
	}
	if f.identity, err = t.identity(ctx, table.Name, d, f.replicated); err != nil {
		return nil, err
	}
	if f.window, f.seconds, err = t.window(ctx, d); err != nil {
		return nil, err
	}
	if err := t.bringUpDeliveryColumn(ctx, table, have, f); err != nil {
		return nil, err
	}
	if err := t.bringUpWindow(ctx, table, f); err != nil {
		return nil, err
	}
	if err := t.checkAskable(ctx, f); err != nil {
		return nil, err
	}
	return f, t.checkViews(ctx, d, map[string]bool{})
}

// checkAskable sees to it now that what is to be asked in doubt is answered then.
func (t *tables) checkAskable(ctx context.Context, f *tableFacts) error {
	if !f.exact {
		return nil
	}
	name := quote(t.cfg.Database) + "." + quote(f.name)
	rows, err := t.conn.Query(ctx, "SELECT tenant_id, event_name, event_id, source, schema_name, schema_version, event_time, received_time, "+
		quote(deliveryColumn)+" FROM "+name+" LIMIT 0")
	if err == nil {
		err = errors.Join(rows.Close(), rows.Err())
	}
	if isCode(err, accessDenied) {
		return fmt.Errorf("table %s cannot be asked which rows it has, without which an INSERT in doubt may be lost or stored twice: GRANT SELECT ON %s: %w", name, name, err)
	} else if err != nil {
		return fmt.Errorf("asking table %s: %w", name, err)
	}
	return nil
}

// remembers says whether a table remembers as much as the configuration says.
func (f *tableFacts) remembers(c *DeduplicationConfig) bool {
	return f.window >= uint64(c.Window) && (!f.replicated || f.seconds >= c.ReplicatedWindow)
}

// bringUpDeliveryColumn adds the column to a table that was made without it.
func (t *tables) bringUpDeliveryColumn(ctx context.Context, table *TableConfig, have map[string]string, f *tableFacts) error {
	want := []column{{deliveryColumn, deliveryColumnType}}
	if len(missingColumns(have, want)) == 0 {
		return checkTypes(t.cfg.Database, table.Name, have, want)
	}
	if f.remembers(&t.cfg.Deduplication) {
		// The column and the setting came together: the column was dropped.
		return fmt.Errorf("table %s.%s has lost column %s, by which an INSERT in doubt is found: what is under way could be stored twice. Compare its last rows by hand, "+
			"then run `%s`", t.cfg.Database, table.Name, deliveryColumn, oneLine(addColumns(t.cfg, table, want)))
	}
	if !t.cfg.CreateTables {
		return fmt.Errorf("table %s.%s lacks column %s, which an event_log needs: run `%s` or set create_tables: true",
			t.cfg.Database, table.Name, deliveryColumn, oneLine(addColumns(t.cfg, table, want)))
	}
	return t.run(ctx, addColumns(t.cfg, table, want))
}

func oneLine(sql string) string { return strings.Join(strings.Fields(sql), " ") }

// bringUpWindow makes the table remember as much as the configuration says, and sees to it that it then does.
func (t *tables) bringUpWindow(ctx context.Context, table *TableConfig, f *tableFacts) error {
	if f.remembers(&t.cfg.Deduplication) {
		return nil
	}
	engine := "MergeTree"
	if f.replicated {
		engine = "ReplicatedMergeTree"
	}
	alter := modifySettings(t.cfg, table.Name, deduplicationSettings(t.cfg, engine))
	if !t.cfg.CreateTables {
		return fmt.Errorf("table %s.%s remembers %d INSERTs, too few to know those that the event log repeats: run `%s` or set create_tables: true",
			t.cfg.Database, table.Name, f.window, oneLine(alter))
	}
	if err := t.run(ctx, alter); err != nil {
		return err
	}
	t.logger.Info("Made a table remember more INSERTs", zap.String("table", table.Name), zap.Uint64("before", f.window), zap.Int("now", t.cfg.Deduplication.Window))
	d, err := t.read(ctx, t.cfg.Database, table.Name)
	if err != nil {
		return err
	}
	if f.window, f.seconds, err = t.window(ctx, d); err != nil {
		return err
	}
	if !f.remembers(&t.cfg.Deduplication) {
		return fmt.Errorf("table %s.%s still remembers only %d INSERTs after %q", t.cfg.Database, table.Name, f.window, oneLine(alter))
	}
	return nil
}

// description is a row of system.tables.
type description struct {
	database, name                            string
	uuid, engine, full, partitionKey, created string
	views                                     [][2]string // database, table
}

// errNoRows is what the client says where a question has no answer.
var errNoRows = sql.ErrNoRows

var errNoTable = errors.New("is not there")

func (t *tables) read(ctx context.Context, database, table string) (*description, error) {
	d := &description{database: database, name: table}
	var databases, names []string
	err := t.conn.QueryRow(ctx, "SELECT toString(uuid), engine, engine_full, partition_key, create_table_query, dependencies_database, dependencies_table "+
		"FROM system.tables WHERE database = ? AND name = ?", database, table).
		Scan(&d.uuid, &d.engine, &d.full, &d.partitionKey, &d.created, &databases, &names)
	switch {
	case errors.Is(err, errNoRows):
		return nil, fmt.Errorf("table %s.%s %w", database, table, errNoTable)
	case err != nil:
		return nil, fmt.Errorf("reading what table %s.%s is: %w", database, table, err)
	}
	for i := range names {
		d.views = append(d.views, [2]string{databases[i], names[i]})
	}
	slices.SortFunc(d.views, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	return d, nil
}

// identity is a number that another table does not have, nor this one after it was made anew.
func (t *tables) identity(ctx context.Context, table string, d *description, replicated bool) (uint64, error) {
	of := d.uuid
	if replicated {
		// Every replica has a UUID of its own where the database is not replicated; the path in Keeper is common to them.
		var path string
		err := t.conn.QueryRow(ctx, "SELECT zookeeper_path FROM system.replicas WHERE database = ? AND table = ?", t.cfg.Database, table).Scan(&path)
		switch {
		case err == nil:
			of = path
		case !errors.Is(err, errNoRows) && !isCode(err, unknownTable) && !isCode(err, accessDenied):
			return 0, fmt.Errorf("reading where table %s.%s keeps its state: %w", t.cfg.Database, table, err)
		}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(of))
	return h.Sum64(), nil
}

// Codes of the server: src/Common/ErrorCodes.cpp.
const (
	unknownTable    = 60
	unknownDatabase = 81
)

func isCode(err error, code int32) bool {
	var refusal *clickhouse.Exception
	return errors.As(err, &refusal) && refusal.Code == code
}

var settingInEngine = regexp.MustCompile(`\b([a-z_]+) = '?(\d+)'?`)

// window returns what the table remembers: what its settings say, else what the server's say.
func (t *tables) window(ctx context.Context, d *description) (blocks uint64, lasts time.Duration, err error) {
	set := map[string]uint64{}
	_, settings, _ := strings.Cut(d.full, " SETTINGS ")
	for _, m := range settingInEngine.FindAllStringSubmatch(settings, -1) {
		if n, err := strconv.ParseUint(m[2], 10, 64); err == nil {
			set[m[1]] = n
		}
	}
	read := func(setting, from string, otherwise uint64) (uint64, error) {
		if n, ok := set[setting]; ok {
			return n, nil
		}
		var value string
		err := t.conn.QueryRow(ctx, "SELECT value FROM system."+from+" WHERE name = ?", setting).Scan(&value)
		switch {
		case errors.Is(err, errNoRows) || isCode(err, accessDenied) || isCode(err, unknownTable):
			return otherwise, nil
		case err != nil:
			return 0, fmt.Errorf("reading the server's %s: %w", setting, err)
		}
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the server's %s: %w", setting, err)
		}
		return n, nil
	}
	if !isReplicated(d.engine) {
		blocks, err = read(settingWindow, "merge_tree_settings", 0)
		return blocks, 0, err
	}
	if blocks, err = read(settingReplicatedWindow, "replicated_merge_tree_settings", 0); err != nil {
		return 0, 0, err
	}
	seconds, err := read(settingReplicatedSeconds, "replicated_merge_tree_settings", 0)
	return blocks, time.Duration(min(seconds, 1<<31)) * time.Second, err
}

// identifierInSQL is a name as the server prints it.
const identifierInSQL = "(`(?:[^`\\\\]|\\\\.)*`|[A-Za-z0-9_]+)"

var viewTarget = regexp.MustCompile(`^CREATE MATERIALIZED VIEW ` + identifierInSQL + `\.` + identifierInSQL + `(?: UUID '[^']*')?(?: ON CLUSTER \S+)? TO ` +
	identifierInSQL + `\.` + identifierInSQL)

func unquote(name string) string {
	if !strings.HasPrefix(name, "`") {
		return name
	}
	return strings.NewReplacer("\\\\", "\\", "\\`", "`").Replace(name[1 : len(name)-1])
}

// target returns the table that a materialized view writes to.
func (d *description) target() (database, table string) {
	if m := viewTarget.FindStringSubmatch(d.created); m != nil {
		return unquote(m[3]), unquote(m[4])
	}
	if strings.Trim(d.uuid, "0-") == "" {
		return d.database, ".inner." + d.name
	}
	return d.database, ".inner_id." + d.uuid
}

// checkViews looks at the tables that materialized views write to, through views of these too: a repeated INSERT is
// known there only if they remember it.
func (t *tables) checkViews(ctx context.Context, d *description, seen map[string]bool) error {
	for _, v := range d.views {
		view, err := t.read(ctx, v[0], v[1])
		if errors.Is(err, errNoTable) {
			continue // gone, or not for our user to see
		} else if err != nil {
			return err
		}
		if view.engine != "MaterializedView" {
			continue
		}
		database, table := view.target()
		if seen[database+"."+table] {
			continue
		}
		seen[database+"."+table] = true
		target, err := t.read(ctx, database, table)
		if errors.Is(err, errNoTable) {
			continue
		} else if err != nil {
			return err
		}
		if err := t.checkTarget(ctx, v, target); err != nil {
			return err
		}
		if err := t.checkViews(ctx, target, seen); err != nil {
			return err
		}
	}
	return nil
}

func (t *tables) checkTarget(ctx context.Context, view [2]string, target *description) error {
	var mend string
	switch {
	case target.engine == "Null":
		return nil // its own views are looked at
	case !strings.Contains(target.engine, "MergeTree"):
		mend = "write it into a table of the MergeTree family"
	default:
		blocks, _, err := t.window(ctx, target)
		if err != nil {
			return err
		}
		if blocks >= uint64(t.cfg.Deduplication.Window) {
			return nil
		}
		setting := settingWindow
		if isReplicated(target.engine) {
			setting = settingReplicatedWindow
		}
		mend = fmt.Sprintf("run `ALTER TABLE %s.%s MODIFY SETTING %s = %d`", quote(target.database), quote(target.name), setting, t.cfg.Deduplication.Window)
	}
	text := fmt.Sprintf("materialized view %s.%s writes into %s.%s (%s), which would count an INSERT that the event log repeats twice: %s",
		view[0], view[1], target.database, target.name, target.engine, mend)
	if t.cfg.Deduplication.Views == viewsWarn {
		t.logger.Warn(text)
		return nil
	}
	return errors.New(text + ", or set deduplication.views: warn")
}

// marks returns how far each table's count of blocks is. Where our user may not know, a repeated INSERT is always looked
// for in the table.
func (t *tables) marks(ctx context.Context, f *facts) (events, failed counter, err error) {
	rows, err := t.conn.Query(ctx, "SELECT table, partition_id, toUInt64(max(max_block_number)) FROM system.parts WHERE database = ? AND table IN (?, ?) "+
		"GROUP BY table, partition_id", t.cfg.Database, f.events.name, f.failed.name)
	switch {
	case isCode(err, accessDenied) && (!f.events.exact || !f.failed.exact):
		return events, failed, fmt.Errorf("reading how many blocks the tables have, by which alone it is known whether a table of such an engine remembers an INSERT: "+
			"GRANT SELECT ON system.parts: %w", err)
	case isCode(err, accessDenied):
		return events, failed, nil
	case err != nil:
		return events, failed, fmt.Errorf("reading how many blocks the tables have: %w", err)
	}
	events.table, failed.table = f.events.identity, f.failed.identity
	for rows.Next() {
		var table string
		var n blockNumber
		if err := rows.Scan(&table, &n.partition, &n.number); err != nil {
			return events, failed, fmt.Errorf("reading how many blocks the tables have: %w", err)
		}
		if table == f.events.name {
			events.count(n, f.events.replicated)
		} else {
			failed.count(n, f.failed.replicated)
		}
	}
	events.sort()
	failed.sort()
	return events, failed, errors.Join(rows.Err(), rows.Close())
}

// count notes a partition's highest block number. A Replicated table counts each partition's blocks, another one
// all of them together.
func (c *counter) count(n blockNumber, replicated bool) {
	switch {
	case replicated:
		c.blocks = append(c.blocks, n)
	case len(c.blocks) == 0:
		c.blocks = []blockNumber{{number: n.number}}
	default:
		c.blocks[0].number = max(c.blocks[0].number, n.number)
	}
}

func (c *counter) sort() {
	slices.SortFunc(c.blocks, func(a, b blockNumber) int { return cmp.Compare(a.partition, b.partition) })
}

// since returns how many blocks at most were inserted since an earlier count, or false where that cannot be told: the
// table is another one, or parts of it are gone.
func (c *counter) since(before counter) (uint64, bool) {
	if c.table != before.table || c.table == 0 {
		return 0, false
	}
	var sum uint64
	i := 0
	for _, n := range c.blocks {
		var was uint64
		if i < len(before.blocks) {
			switch order := cmp.Compare(before.blocks[i].partition, n.partition); {
			case order < 0:
				return 0, false
			case order == 0:
				was = before.blocks[i].number
				i++
			default:
				sum++ // a Replicated table's partition begins with number 0
			}
		} else {
			sum++
		}
		if n.number < was {
			return 0, false
		}
		sum += n.number - was
	}
	return sum, i == len(before.blocks)
}
