// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/native"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/schema"
)

// resultColumn is a column of a table of results: one of the definition, or one that every result has.
type resultColumn struct {
	column
	comment string
}

// ownColumns are those that every result has, behind its own.
var ownColumns = []resultColumn{
	{column{result.ColumnID, "String"}, "Which result this is: the same for all of its panes."},
	{column{result.ColumnTiming, "LowCardinality(String)"}, "early: before the result was due; on_time: when it was; late: changed by late events."},
	{column{result.ColumnIndex, "UInt32"}, "Counts a result's panes from 0. The highest one is the result."},
}

// resultType is the column's type in ClickHouse's words.
func resultType(c *result.Column) string {
	text := "String"
	if c.LowCardinality {
		text = "LowCardinality(String)"
	}
	var t string
	switch c.Type {
	case result.Int64:
		t = "Int64"
	case result.Float64:
		t = "Float64"
	case result.Bool:
		t = "Bool"
	case result.Timestamp:
		t = "DateTime64(9, 'UTC')"
	case result.Strings:
		return "Array(" + text + ")"
	case result.Counts:
		return "Map(" + text + ", Int64)"
	case result.Ranked:
		return "Array(Tuple(value String, count Int64))"
	default:
		if c.LowCardinality && c.Nullable {
			return "LowCardinality(Nullable(String))"
		}
		t = text
	}
	if c.Nullable {
		return "Nullable(" + t + ")"
	}
	return t
}

// resultColumns are all columns of the table of panes.
func resultColumns(def *result.Table) []resultColumn {
	all := make([]resultColumn, 0, len(def.Columns)+len(ownColumns))
	for i := range def.Columns {
		c := &def.Columns[i]
		all = append(all, resultColumn{column{c.Name, resultType(c)}, c.Description})
	}
	return append(all, ownColumns...)
}

// withoutLow is a type but for LowCardinality, which is a way to store the same values.
var withoutLow = strings.NewReplacer("LowCardinality(String)", "String", "LowCardinality(Nullable(String))", "Nullable(String)")

// sqlText writes a literal: comments take no expression.
func sqlText(s string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(s) + "'"
}

func (c *resultColumn) define() string {
	s := quote(c.name) + " " + c.typ
	if c.comment != "" {
		s += " COMMENT " + sqlText(c.comment)
	}
	return s
}

func defineAll(cs []resultColumn) string {
	parts := make([]string, len(cs))
	for i := range cs {
		parts[i] = "    " + cs[i].define()
	}
	return "(\n" + strings.Join(parts, ",\n") + "\n)"
}

// createResultTable returns the statement that creates the table of a result's panes.
//
// It is parted by month only where the time belongs to the key: rows of one result are replaced within a partition, and the time
// of another result may differ from pane to pane.
func createResultTable(c *Config, def *result.Table) string {
	own := c.Results.of(def.Name)
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s.%s%s\n%s\nENGINE = %s\n",
		quote(c.Database), quote(def.Name+result.PanesSuffix), c.onCluster(), defineAll(resultColumns(def)), own.Engine)
	switch {
	case own.PartitionBy != "":
		fmt.Fprintf(&b, "PARTITION BY %s\n", own.PartitionBy)
	case def.Time != "" && def.Keyed(def.Time):
		fmt.Fprintf(&b, "PARTITION BY toYYYYMM(%s)\n", quote(def.Time))
	}
	var order []string
	for _, k := range def.Key {
		order = append(order, quote(k))
	}
	fmt.Fprintf(&b, "ORDER BY (%s)", strings.Join(append(order, quote(result.ColumnID)), ", "))
	ttl := own.TTL
	if ttl == 0 {
		ttl = def.TTL
	}
	if ttl > 0 && def.Time != "" {
		fmt.Fprintf(&b, "\nTTL toDateTime(%s) + INTERVAL %d SECOND", quote(def.Time), int64(ttl.Seconds()))
	}
	for i, k := range slices.Sorted(maps.Keys(own.Settings)) {
		word := ",\n    "
		if i == 0 {
			word = "\nSETTINGS\n    "
		}
		value := fmt.Sprint(own.Settings[k])
		if !isNumber(value) {
			value = sqlText(value)
		}
		fmt.Fprintf(&b, "%s%s = %s", word, k, value)
	}
	fmt.Fprintf(&b, "\nCOMMENT %s", sqlText(panesComment(def)))
	return b.String()
}

func panesComment(def *result.Table) string {
	return "Panes of the results in " + def.Name + ": of one result_id the row with the highest pane_index counts."
}

// viewMark begins the comment of views that are ours, and that may be replaced when their table has more columns.
const viewMark = "One whole row for each result, by Millrace."

// createResultView returns the statement that creates the view which has one row for each result, or replaces one of ours. have are
// the columns of the table of panes as it is.
func createResultView(c *Config, def *result.Table, have []resultColumn, replace bool) string {
	names := make([]string, len(have))
	for i := range have {
		names[i] = quote(have[i].name)
	}
	word := "CREATE VIEW IF NOT EXISTS"
	if replace {
		word = "CREATE OR REPLACE VIEW"
	}
	comment := viewMark
	if def.Description != "" {
		comment += " " + def.Description
	}
	return fmt.Sprintf("%s %s.%s%s\n%s\nAS SELECT\n    %s\nFROM %s.%s FINAL\nCOMMENT %s", word, quote(c.Database), quote(def.Name), c.onCluster(),
		defineAll(have), strings.Join(names, ",\n    "), quote(c.Database), quote(def.Name+result.PanesSuffix), sqlText(comment))
}

// dropResultView removes a view of ours, to be made anew. It removes no row.
func dropResultView(c *Config, def *result.Table) string {
	return fmt.Sprintf("DROP VIEW IF EXISTS %s.%s%s", quote(c.Database), quote(def.Name), c.onCluster())
}

// resultTable is a table of panes that is known to be as a definition wants it. It is immutable, but for spare, and shared by all
// workers.
type resultTable struct {
	def     *result.Table
	name    string   // of the table of panes
	columns []column // as the server has them: the definition's, then ownColumns
	spare   chan *resultRows
}

// resultRows is a block of a table of panes under construction, of one worker at a time.
type resultRows struct {
	table  *resultTable
	reader *result.Reader
	cells  []native.Column // of the definition
	id     *native.String
	timing native.Text
	index  *native.Fixed
	rows   int
	input  proto.Input
	guards guards
}

func (t *resultTable) take() *resultRows {
	select {
	case r := <-t.spare:
		return r
	default:
	}
	r := &resultRows{table: t, reader: result.NewReader(t.def), id: native.NewString(false), index: native.NewFixed(schema.Type{Kind: schema.UInt32}, false)}
	for i := range t.def.Columns {
		r.cells = append(r.cells, newCell(&t.def.Columns[i], t.columns[i].typ))
	}
	r.timing = newText(false, t.columns[len(t.def.Columns)+1].typ)
	return r
}

func (t *resultTable) give(r *resultRows) {
	r.reset()
	select {
	case t.spare <- r:
	default:
	}
}

func (r *resultRows) reset() {
	for _, c := range r.cells {
		c.Reset()
	}
	r.id.Reset()
	r.timing.Reset()
	r.index.Reset()
	r.rows = 0
}

func newText(nullable bool, typ string) native.Text {
	if strings.Contains(typ, "LowCardinality(") {
		return native.NewLowCardinality(nullable)
	}
	return native.NewString(nullable)
}

// newCell returns the column that a block has for one of the table, whose type the server says.
func newCell(c *result.Column, typ string) native.Column {
	int64s := func(nullable bool) *native.Fixed { return native.NewFixed(schema.Type{Kind: schema.Int64}, nullable) }
	switch c.Type {
	case result.Int64:
		return int64s(c.Nullable)
	case result.Float64:
		return native.NewFixed(schema.Type{Kind: schema.Float64}, c.Nullable)
	case result.Bool:
		return native.NewFixed(schema.Type{Kind: schema.Bool}, c.Nullable)
	case result.Timestamp:
		return native.NewNanoseconds(c.Nullable)
	case result.Strings:
		return native.NewArray(newText(false, typ))
	case result.Counts:
		return native.NewMap(newText(false, typ), int64s(false))
	case result.Ranked:
		return native.NewArray(native.NewTuple([]string{"value", "count"}, native.NewString(false), int64s(false)))
	}
	return newText(c.Nullable, typ)
}

// add appends the event's row. On an error nothing was added.
func (r *resultRows) add(e *event.Event) *columns.Error {
	row, err := r.reader.Read(e)
	if err != nil {
		return &columns.Error{Reason: err.Error()}
	}
	for i, c := range r.cells {
		c.Seek(r.rows)
		if err := c.Append(row.Values[i]); err != nil {
			for _, done := range r.cells[:i+1] {
				done.Rollback()
			}
			return &columns.Error{Reason: err.Error(), Pointer: event.Pointer([]string{r.table.def.Columns[i].Source()})}
		}
	}
	r.id.AppendString(row.ID)
	r.timing.AppendString(row.Timing)
	r.index.AppendInt(int64(row.Index))
	r.rows++
	return nil
}

// columns finishes the block.
func (r *resultRows) columns() proto.Input {
	r.input = r.input[:0]
	for i, c := range slices.Concat(r.cells, []native.Column{r.id, r.timing, r.index}) {
		r.input = append(r.input, r.guards.input(i, &r.table.columns[i], nil, c))
	}
	return r.input
}
