// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/native"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/internal/state"
)

// fileLayout says which columns a file has. It is kept in the state store under its name, which is a function of its content,
// so that what is staged can be encoded whatever the schemas say by then. Immutable, but for spare.
type fileLayout struct {
	name string
	keptLayout
	columns *columns.Layout // nil of failed events
	fields  []columns.Field
	file    []parquetfile.Column
	sorted  []parquetfile.SortingColumn
	tenant  int // the columns that rows are sorted by: indexes in fields
	time    int
	spare   chan *rows // empty blocks, to be used again; any goroutine
}

// keptLayout is what is stored.
type keptLayout struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject,omitempty"`
	// Result is the name of the table that the events are results of.
	Result  string           `json:"result,omitempty"`
	Columns *columns.Encoded `json:"columns,omitempty"`
	// Envelope names the columns before those of Columns: a block knows its columns by their place.
	Envelope []string `json:"envelope"`
	// Compatibility is that of the time: a file's parts must be of one kind.
	Compatibility string `json:"compatibility,omitempty"`
}

// dataset is how the catalogue calls files of this layout.
func (l *fileLayout) dataset() string {
	switch {
	case l.Kind == parquetfile.KindFailedEvents:
		return parquetfile.KindFailedEvents
	case l.Result != "":
		return l.Result
	case l.Subject == "":
		return "undeclared"
	}
	return l.Subject
}

// versions of the schema that the columns are of.
func (l *fileLayout) versions() []string {
	var v []string
	if l.columns != nil && l.Result == "" {
		for i := range l.columns.Schemas {
			v = append(v, l.columns.Schemas[i].Version)
		}
	}
	return v
}

func (l *fileLayout) schema() string {
	if l.Subject == "" {
		return ""
	}
	return l.Subject + "/" + strings.Join(l.versions(), ",")
}

// footer is the layout as the file's metadata has it.
func (l *fileLayout) footer() string {
	out := parquetfile.Layout{Columns: []parquetfile.LayoutColumn{}}
	if l.columns != nil {
		place := map[int]*columns.Property{}
		for i := range l.columns.Schemas {
			for j := range l.columns.Schemas[i].Properties {
				p := &l.columns.Schemas[i].Properties[j]
				place[p.Column] = p // schemas stand oldest first
			}
		}
		for i := range l.columns.Columns {
			if c, p := &l.columns.Columns[i], place[i]; p != nil {
				out.Columns = append(out.Columns, parquetfile.LayoutColumn{
					Name: c.Name, Path: p.Path, Each: p.Each, Array: c.Repeated && p.Each == 0, Type: l.typeOf(c.Type).String(), Text: p.Text,
					Nanoseconds: c.Nanoseconds,
				})
			}
		}
	}
	b, err := json.Marshal(out)
	if err != nil { // texts and numbers only
		panic(err)
	}
	return string(b)
}

func (k keptLayout) ready() (*fileLayout, []byte, error) {
	value, err := json.Marshal(k)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a layout: %w", err)
	}
	digest := sha256.Sum256(value)
	l := &fileLayout{name: hex.EncodeToString(digest[:12]), keptLayout: k, fields: columns.FailedEnvelope, spare: make(chan *rows, 8)}
	if have := envelopeOf(k.Kind); !slices.Equal(have, k.Envelope) {
		return nil, nil, fmt.Errorf("reading a kept layout: %w: it was staged with the columns %q, by another version: let that one finish its files first", errDamaged, k.Envelope)
	}
	if k.Kind != parquetfile.KindFailedEvents {
		if k.Columns == nil {
			return nil, nil, fmt.Errorf("reading a kept layout: %s of kind %s has no columns", l.name, k.Kind)
		}
		if l.columns, err = k.Columns.Decode(); err != nil {
			return nil, nil, err
		}
		l.fields = columns.Fields(l.columns)
	}
	for i, f := range l.fields {
		l.file = append(l.file, parquetfile.Column{
			Name: f.Name, Type: l.typeOf(f.Type), Optional: f.Nullable, Repeated: f.Repeated, JSON: f.JSON,
		})
		switch f.Name {
		case columns.TenantID:
			l.tenant = i
		case columns.EventTime:
			l.time = i
		}
	}
	l.sorted = []parquetfile.SortingColumn{{Column: l.tenant}, {Column: l.time}}
	return l, value, nil
}

func envelopeOf(kind string) []string {
	fields := columns.Envelope
	if kind == parquetfile.KindFailedEvents {
		fields = columns.FailedEnvelope
	}
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].Name
	}
	return names
}

// layouts makes and keeps layouts. Guarded by exporter.mu.
type layouts struct {
	cfg    *Config
	logger *zap.Logger
	index  *index

	byName   map[string]*fileLayout
	results  map[string]*fileLayout // by the text of their table
	snapshot *schema.Snapshot       // that the following are of
	subjects map[string]*fileLayout
}

func newLayouts(cfg *Config, logger *zap.Logger, ix *index) *layouts {
	return &layouts{cfg: cfg, logger: logger, index: ix, byName: map[string]*fileLayout{}}
}

// named returns a layout that is kept.
func (ls *layouts) named(name string) (*fileLayout, error) {
	if l := ls.byName[name]; l != nil {
		return l, nil
	}
	value, err := ls.index.layout(name)
	if err != nil {
		return nil, err
	}
	var kept keptLayout
	if err := json.Unmarshal(value, &kept); err != nil {
		return nil, fmt.Errorf("reading the layout %s: %w", name, err)
	}
	l, _, err := kept.ready()
	if err != nil {
		return nil, err
	}
	if l.name != name {
		return nil, fmt.Errorf("reading the layout %s: %w", name, errDamaged)
	}
	ls.byName[name] = l
	return l, nil
}

// failedKey is the place of the failed events' layout among subjects; none is called so.
const failedKey = "\x00failed"

// of returns the layout for events of a subject by a snapshot of the schemas: "" for undeclared ones.
func (ls *layouts) of(snap *schema.Snapshot, subject string) (*fileLayout, error) {
	if ls.snapshot != snap {
		ls.snapshot, ls.subjects = snap, map[string]*fileLayout{}
	}
	if l := ls.subjects[subject]; l != nil {
		return l, nil
	}
	l, err := ls.make(snap, subject)
	if err != nil {
		return nil, err
	}
	ls.subjects[subject] = l
	return l, nil
}

func (ls *layouts) make(snap *schema.Snapshot, subject string) (*fileLayout, error) {
	var b state.Batch
	kept := keptLayout{Kind: parquetfile.KindFailedEvents}
	if subject != failedKey {
		typed, err := ls.typed(snap, subject, &b)
		if err != nil {
			return nil, err
		}
		encoded := typed.Encode()
		kept = keptLayout{Kind: parquetfile.KindEvents, Subject: subject, Columns: &encoded}
	}
	return ls.keep(kept, &b)
}

// keep stores the layout, with what is in the batch, unless it is there.
func (ls *layouts) keep(kept keptLayout, b *state.Batch) (*fileLayout, error) {
	if c := ls.cfg.File.Compatibility; c != standard {
		kept.Compatibility = c
	}
	kept.Envelope = envelopeOf(kept.Kind)
	l, value, err := kept.ready()
	if err != nil {
		return nil, err
	}
	if have := ls.byName[l.name]; have != nil {
		return have, nil
	}
	b.Set(ls.index.key("layout", []byte(l.name)), value)
	if err := ls.index.store.Commit(b); err != nil { // the same again changes nothing
		return nil, fmt.Errorf("keeping a layout: %w", err)
	}
	ls.byName[l.name] = l
	return l, nil
}

// typed returns the columns for a subject, without those that had another type in files that were written before: readers
// of a folder take one type for a column. Their values go into the column properties.
func (ls *layouts) typed(snap *schema.Snapshot, subject string, b *state.Batch) (*columns.Layout, error) {
	if subject == "" {
		empty, err := schema.NewSnapshot(0, nil)
		if err != nil {
			return nil, err
		}
		return columns.New(empty, "", nil), nil
	}
	l := columns.New(snap, subject, nil)
	leave, err := ls.conflicts(subject, l, b, "schema", subject, "Give the property another x-column")
	if err != nil {
		return nil, err
	}
	if len(leave) > 0 {
		l = columns.New(snap, subject, leave)
	}
	return l, nil
}

// conflicts returns the columns that had another type in files of that key, and adds the types of the others to the batch.
func (ls *layouts) conflicts(key string, l *columns.Layout, b *state.Batch, kind, name, mend string) (map[string]bool, error) {
	known, err := ls.index.types(key)
	if err != nil {
		return nil, err
	}
	leave := map[string]bool{}
	for i := range l.Columns {
		c := &l.Columns[i]
		plain := *c
		plain.Type.LowCardinality = false // a way to store the same values
		typ := plain.Definition()
		switch known[c.Name] {
		case "":
			known[c.Name] = typ
		case typ:
		default:
			leave[c.Name] = true
			ls.logger.Error("A "+kind+" gives a column another type than files have that were written before: its values go into the column properties. "+mend,
				zap.String(kind, name), zap.String("column", c.Name), zap.String("type", known[c.Name]), zap.String("wanted", typ))
		}
	}
	value, err := json.Marshal(known)
	if err != nil {
		return nil, fmt.Errorf("keeping the types of columns: %w", err)
	}
	b.Set(ls.index.key("types", []byte(key)), value)
	return leave, nil
}

// rows is a block under construction, of one worker at a time.
type rows struct {
	events *columns.Events
	failed *columns.Failed
	extent extent
}

func (l *fileLayout) take() *rows {
	select {
	case r := <-l.spare:
		return r
	default:
	}
	if l.columns == nil {
		return &rows{failed: columns.NewFailed(), extent: newExtent()}
	}
	events := columns.NewEvents(l.columns, "JSON")
	events.KeepEmpty = true // the archive gives events back as they were
	return &rows{events: events, extent: newExtent()}
}

func (l *fileLayout) give(r *rows) {
	if r.events != nil {
		r.events.Reset()
	} else {
		r.failed.Reset()
	}
	r.extent = newExtent()
	select {
	case l.spare <- r:
	default:
	}
}

func (r *rows) len() int {
	if r.events != nil {
		return r.events.Rows()
	}
	return r.failed.Rows()
}

func (r *rows) columns() []native.Column {
	if r.events != nil {
		return slices.Concat(r.events.Envelope(), r.events.Typed())
	}
	return r.failed.All()
}
