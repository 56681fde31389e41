// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/receiver/archivereceiver/internal/pages"
)

// column is what a fileMap reads of a row: a *pages.Column.
type column interface {
	Null() bool
	Text() string
	Bits() uint64
	Fixed() []byte
	Elements() int
	Element(i int) (null bool, text string, bits uint64, fixed []byte)
}

var _ column = (*pages.Column)(nil)

// fileError is why a file cannot be read as events, though it is a whole Parquet file.
type fileError struct {
	reason string
	text   string
}

func (e *fileError) Error() string { return e.text }

// errOtherKind is of a file that the job is not for.
var errOtherKind = errors.New("the file is of another kind")

func columnType(name string, want string, got *pages.Leaf) error {
	is := got.Type.Kind.String()
	if got.Repeated() {
		is = "list of " + is
	}
	return &fileError{fileColumnType, fmt.Sprintf("column %q is a %s and has to be a %s", name, is, want)}
}

// fileMap says what the columns of one file mean: it is made of the file's footer and the configuration, and knows nothing
// of reading. It is immutable; what changes from row to row is the Restorer's and the columns'.
type fileMap struct {
	use    []int // leaves of the file that are read; a row's columns are in this order
	leaves []*pages.Leaf
	texts  []bool // of decimals: the property is a text
	nanos  []bool // of times: the property is an integer, Unix nanoseconds

	// Indexes in use, or none. The texts stand where there is no column.
	id, name, user, anonymous, session, tenant, source, schema, version textField
	time, received                                                      timeField
	trace, span, resource, properties, raw, stage, ordinal, late        int
	tree                                                                *node // of typed properties

	selection *selection
	when      *timeField // what from and to are about
	filters   []rowFilter
	failed    bool
}

const none = -1

type textField struct {
	column int
	value  string
}

type timeField struct {
	column int
	unit   int64 // nanoseconds, of a column of numbers; 0 of one that is a time already
}

type rowFilter struct {
	column int
	values map[string]bool
}

// node is a place among the properties.
type node struct {
	key      string
	children []*node
	column   int   // of a value, or none
	others   []int // where other versions of a schema have the value: a row has one of them
	// Of an array of objects, the columns that have a value in each of its elements.
	each []eachColumn
}

type eachColumn struct {
	path   []string // from the element
	column int
}

// newFileMap reads what the footer says. Its error is errOtherKind or a *fileError.
func newFileMap(f *pages.File, s *selection) (*fileMap, error) {
	m := &fileMap{selection: s, tree: &node{column: none}}
	b := mapBuilder{fileMap: m, all: f.Leaves(), index: map[int]int{}, byName: map[string]int{}}
	for i := range b.all {
		b.byName[strings.Join(b.all[i].Path, ".")] = i
	}
	var err error
	kind, ours := f.Lookup(parquetfile.KeyKind)
	switch {
	case s.mapping != nil:
		err = b.foreign(s.mapping)
	case !ours:
		err = &fileError{fileForeign, "the file was not written by the parquet exporter: give a mapping to read it"}
	case kind != s.kind:
		err = errOtherKind
	case kind == parquetfile.KindFailedEvents:
		err = b.failedEvents()
	default:
		layout, _ := f.Lookup(parquetfile.KeyLayout)
		err = b.events(layout)
	}
	if err != nil {
		return nil, err
	}
	for _, filter := range s.filters {
		at := none
		if leaf, ok := b.byName[filter.Column]; ok {
			if l := &b.all[leaf]; l.Repeated() || l.Type.Kind == pages.Unsupported {
				return nil, columnType(filter.Column, "single value to be a filter", l)
			}
			at = b.take(leaf)
		}
		values := map[string]bool{}
		for _, v := range filter.Values {
			values[v] = true
		}
		m.filters = append(m.filters, rowFilter{at, values})
	}
	return m, nil
}

// mapBuilder makes a fileMap.
type mapBuilder struct {
	*fileMap
	all    []pages.Leaf
	byName map[string]int // index in all
	index  map[int]int    // from all to use
}

// take makes a leaf one of those that are read, and returns its index among them.
func (b *mapBuilder) take(leaf int) int {
	at, ok := b.index[leaf]
	if !ok {
		at = len(b.use)
		b.index[leaf] = at
		b.use = append(b.use, leaf)
		b.leaves = append(b.leaves, &b.all[leaf])
		b.texts, b.nanos = append(b.texts, false), append(b.nanos, false)
	}
	return at
}

// one takes a column of one value a row.
func (b *mapBuilder) one(name, want string, fits func(pages.Kind) bool, optional bool) (int, error) {
	leaf, ok := b.byName[name]
	if !ok {
		if optional {
			return none, nil
		}
		return none, &fileError{fileColumnMissing, fmt.Sprintf("column %q is not there", name)}
	}
	if l := &b.all[leaf]; l.Repeated() || !fits(l.Type.Kind) {
		return none, columnType(name, want, l)
	}
	return b.take(leaf), nil
}

func isText(k pages.Kind) bool      { return k == pages.Text || k == pages.Bytes }
func isTimestamp(k pages.Kind) bool { return k == pages.Timestamp }
func isAny(k pages.Kind) bool       { return k != pages.Unsupported }

// envelope takes our own columns.
func (b *mapBuilder) envelope(texts map[string]*textField) error {
	for _, t := range []struct {
		name  string
		field *timeField
	}{{"event_time", &b.time}, {"received_time", &b.received}} {
		at, err := b.one(t.name, "timestamp", isTimestamp, false)
		if err != nil {
			return err
		}
		t.field.column = at
	}
	for _, f := range []*textField{&b.id, &b.name, &b.user, &b.anonymous, &b.session, &b.tenant, &b.source, &b.schema, &b.version} {
		f.column = none
	}
	for name, f := range texts {
		at, err := b.one(name, "text", isText, name != "event_id" && name != "event_name")
		if err != nil {
			return err
		}
		f.column = at
	}
	b.trace, b.span, b.resource, b.properties, b.raw, b.stage, b.ordinal, b.late = none, none, none, none, none, none, none, none
	return nil
}

// optional takes columns of texts that may be missing.
func (b *mapBuilder) optional(columns map[string]*int) error {
	for name, at := range columns {
		var err error
		if *at, err = b.one(name, "text", isText, true); err != nil {
			return err
		}
	}
	return nil
}

func (b *mapBuilder) failedEvents() error {
	err := b.envelope(map[string]*textField{"event_id": &b.id, "event_name": &b.name})
	if err != nil {
		return err
	}
	b.failed, b.when = true, &b.received
	if b.raw, err = b.one("raw", "text", isText, false); err != nil {
		return err
	}
	return b.optional(map[string]*int{"stage": &b.stage})
}

func (b *mapBuilder) events(layoutText string) error {
	err := b.envelope(map[string]*textField{
		"event_id": &b.id, "event_name": &b.name, "user_id": &b.user, "anonymous_id": &b.anonymous, "session_id": &b.session,
		"tenant_id": &b.tenant, "schema_name": &b.schema, "schema_version": &b.version,
	})
	if err != nil {
		return err
	}
	b.when = &b.time
	if b.ordinal, err = b.one(columns.SessionOrdinal, "number", isAny, true); err != nil { // files from before have none
		return err
	}
	if b.late, err = b.one(columns.Late, "boolean", isAny, true); err != nil {
		return err
	}
	err = b.optional(map[string]*int{"trace_id": &b.trace, "span_id": &b.span, "resource": &b.resource, "properties": &b.properties})
	if err != nil || layoutText == "" {
		return err
	}
	var layout parquetfile.Layout
	if err := json.Unmarshal([]byte(layoutText), &layout); err != nil {
		return &fileError{fileLayout, "the footer's layout of the columns cannot be read"}
	}
	for i := range layout.Columns {
		if err := b.typed(&layout.Columns[i]); err != nil {
			return err
		}
	}
	return nil
}

// typed takes a column that the exporter's layout names.
func (b *mapBuilder) typed(c *parquetfile.LayoutColumn) error {
	if len(c.Path) == 0 || c.Each < 0 || c.Each >= len(c.Path) && c.Each > 0 || c.Each > 0 && c.Array || len(c.Path) > event.MaxDepth {
		return &fileError{fileLayout, fmt.Sprintf("the footer's layout of column %q cannot be read", c.Name)}
	}
	leaf, ok := b.byName[c.Name]
	if !ok {
		return &fileError{fileColumnMissing, fmt.Sprintf("column %q is not there", c.Name)}
	}
	l := &b.all[leaf]
	name, _, _ := strings.Cut(c.Type, "(")
	if want := kindsOf[name]; l.Repeated() != (c.Array || c.Each > 0) || !slices.Contains(want, l.Type.Kind) || l.Repeated() && l.Each != len(l.Path) {
		return columnType(c.Name, c.Type, l)
	}
	b.texts[b.take(leaf)] = c.Text && l.Type.Kind == pages.Decimal
	b.nanos[b.take(leaf)] = c.Nanoseconds && l.Type.Kind == pages.Timestamp && l.Type.Width == 8 && !l.Repeated()
	return b.place(c.Path, c.Each, leaf, true)
}

// kindsOf are the kinds of columns that hold values of a schema's type.
var kindsOf = map[string][]pages.Kind{
	"String": {pages.Text, pages.Bytes}, "Bool": {pages.Bool},
	"Int8": {pages.Int}, "Int16": {pages.Int}, "Int32": {pages.Int}, "Int64": {pages.Int},
	"UInt8": {pages.Uint}, "UInt16": {pages.Uint}, "UInt32": {pages.Uint}, "UInt64": {pages.Uint},
	"Float32": {pages.Float32}, "Float64": {pages.Float64}, "Decimal": {pages.Decimal}, "DateTime64": {pages.Timestamp},
	"Date32": {pages.Date}, "UUID": {pages.UUID},
}

// place puts a column into the tree of properties. each is the length of the path to an array of objects, or 0. Where versions
// is true, a property may have several columns: as a schema's versions have that give it another type and so another column.
func (b *mapBuilder) place(path []string, each, leaf int, versions bool) error {
	n := b.tree
	last := len(path)
	if each > 0 {
		last = each
	}
	for _, key := range path[:last] {
		i := slices.IndexFunc(n.children, func(c *node) bool { return c.key == key })
		if i < 0 {
			i = len(n.children)
			n.children = append(n.children, &node{key: key, column: none})
		}
		n = n.children[i]
	}
	if !versions && (n.column != none || n.each != nil && each == 0) {
		return &fileError{fileLayout, fmt.Sprintf("two columns are one property, %q", strings.Join(path, "."))}
	}
	if each > 0 {
		n.each = append(n.each, eachColumn{path[each:], b.take(leaf)})
		return nil
	}
	if at := b.take(leaf); n.column == none {
		n.column = at
	} else {
		n.others = append(n.others, at)
	}
	return nil
}

// foreign maps a file that the exporter did not write.
func (b *mapBuilder) foreign(c *MappingConfig) error {
	named := map[string]bool{}
	b.trace, b.span, b.resource, b.properties, b.raw, b.stage, b.ordinal, b.late = none, none, none, none, none, none, none, none
	fields := []*textField{&b.name, &b.id, &b.user, &b.anonymous, &b.session, &b.tenant, &b.source, &b.schema, &b.version}
	for i, f := range c.fields() { // in the same order
		*fields[i] = textField{none, f.field.Value}
		if f.field.Column == "" {
			continue
		}
		at, err := b.one(f.field.Column, "text or a number", isAny, false)
		if err != nil {
			return err
		}
		fields[i].column = at
		named[f.field.Column] = true
	}
	for _, t := range []struct {
		name  string
		from  TimeField
		field *timeField
	}{{"event_time", c.EventTime, &b.time}, {"received_time", c.ReceivedTime, &b.received}} {
		t.field.column = none
		if t.from.Column == "" {
			continue
		}
		at, err := b.one(t.from.Column, "time", isAny, false)
		if err != nil {
			return err
		}
		named[t.from.Column] = true
		*t.field = timeField{at, units[t.from.Unit]}
		switch l := b.leaves[at]; l.Type.Kind {
		case pages.Timestamp, pages.Date, pages.Text:
			t.field.unit = 0
		case pages.Int, pages.Uint, pages.Float32, pages.Float64:
			if t.field.unit == 0 {
				return &fileError{fileColumnType, fmt.Sprintf("column %q is a number: give mapping.%s.unit", t.from.Column, t.name)}
			}
		default:
			return columnType(t.from.Column, "time", l)
		}
	}
	b.when = &b.time
	for _, name := range c.Properties {
		if leaf, ok := b.byName[name]; !ok || b.all[leaf].Type.Kind == pages.Unsupported {
			return &fileError{fileColumnMissing, fmt.Sprintf("column %q is not there, or of a type that is not read", name)}
		}
	}
	for i := range b.all {
		l := &b.all[i]
		name := strings.Join(l.Path, ".")
		if named[name] || l.Type.Kind == pages.Unsupported || len(c.Properties) > 0 && !slices.Contains(c.Properties, name) {
			continue
		}
		path := slices.Clone(l.Path)
		path[0] = event.PropertyKey(path[0])
		each := l.Each
		if each == len(path) { // an array of values
			each = 0
		}
		if err := b.place(path, each, i, false); err != nil {
			return err
		}
	}
	return nil
}
