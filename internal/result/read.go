// SPDX-License-Identifier: Apache-2.0

package result

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
)

// Parse reads a table as JSON. It takes any text.
func Parse(text string) (*Table, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("reading a result's table: it has %d bytes, more than %d", len(text), maxText)
	}
	t := &Table{}
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(t); err != nil {
		return nil, errors.New("reading a result's table: it is no JSON of one") // err would quote it
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading a result's table: something stands behind it")
	}
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("reading a result's table: %w", err)
	}
	return t, nil
}

// tables are those that were read lately, by text. What is dropped is read again.
var tables = struct {
	mu sync.Mutex
	of map[string]*Table // guarded by mu; any goroutine
}{of: map[string]*Table{}}

const maxTables = 256

func parsed(text string) (*Table, error) {
	tables.mu.Lock()
	t := tables.of[text]
	tables.mu.Unlock()
	if t != nil {
		return t, nil
	}
	t, err := Parse(text)
	if err != nil {
		return nil, err
	}
	tables.mu.Lock()
	defer tables.mu.Unlock()
	if len(tables.of) >= maxTables {
		clear(tables.of)
	}
	tables.of[strings.Clone(text)] = t
	return t, nil
}

// Scope is one instrumentation scope of a batch.
type Scope struct {
	// Table of the scope's results, nil if it holds other events. Equal texts mostly give the same Table.
	Table *Table
	// Err says that the scope is one of results, but its table is none.
	Err error
	// Text is result.table, by which tables are told apart.
	Text string
	// Records are how many the scope has, from position First of the batch.
	First, Records int
}

// IsResult says whether the scope's events are results, readable or not.
func (s *Scope) IsResult() bool { return s.Table != nil || s.Err != nil }

// Tables returns the scopes of a batch in order, nil if none is of results. event.Reader.ResourceIndex less 1 is the index of an
// event's scope.
func Tables(ld plog.Logs) []Scope {
	var scopes []Scope
	at, index := 0, 0
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			s := Scope{First: at, Records: sl.LogRecords().Len()}
			if text, ok := tableOf(sl); ok {
				s.Text = text
				s.Table, s.Err = parsed(text)
			}
			if s.IsResult() && scopes == nil {
				scopes = before(ld, index)
			}
			if scopes != nil {
				scopes = append(scopes, s)
			}
			at += s.Records
			index++
		}
	}
	return scopes
}

// before returns the first n scopes, none of which is of results.
func before(ld plog.Logs, n int) []Scope {
	scopes := make([]Scope, 0, n+1)
	at := 0
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			if len(scopes) == n {
				return scopes
			}
			scopes = append(scopes, Scope{First: at, Records: sl.LogRecords().Len()})
			at += sl.LogRecords().Len()
		}
	}
	return scopes
}

func tableOf(sl plog.ScopeLogs) (string, bool) {
	if sl.Scope().Name() != ScopeName {
		return "", false
	}
	v, ok := sl.Scope().Attributes().Get(AttributeTable)
	if !ok {
		return "", false
	}
	return v.AsString(), true
}

// Declaration returns a batch without records, which says that results of these tables may come. Stages pass it on at Start, on a
// context of Emitted, so that the tables are there for readers before the first result.
func Declaration(t ...*Table) plog.Logs {
	ld := plog.NewLogs()
	scopes := ld.ResourceLogs().AppendEmpty().ScopeLogs()
	for _, one := range t {
		s := scopes.AppendEmpty().Scope()
		s.SetName(ScopeName)
		s.Attributes().PutStr(AttributeTable, one.Text())
	}
	return ld
}

type emittedKey struct{}

// Emitted returns a context that says that the batch which is passed on with it holds results, or a Declaration, of a stage of this
// process. It is not needed in Participant.Send, whose context says so already.
func Emitted(ctx context.Context) context.Context { return context.WithValue(ctx, emittedKey{}, true) }

// IsEmitted says whether the batch that comes with this context was made by a stage of this process.
func IsEmitted(ctx context.Context) bool {
	if d := delivery.FromContext(ctx); d != nil && d.ID.Stage != "" {
		return true
	}
	emitted, _ := ctx.Value(emittedKey{}).(bool)
	return emitted
}

// Accept is the setting of a sink: which batches may hold results.
type Accept string

// The settings.
const (
	// AcceptStages are those that a stage of this process has made.
	AcceptStages Accept = "stages"
	// AcceptAny are all that say so, for where nobody else can write: results that an archive gives back, or that came from
	// other collectors.
	AcceptAny Accept = "any"
)

// Validate names the value and the mend; the field is the caller's.
func (a Accept) Validate() error {
	if a != AcceptStages && a != AcceptAny {
		return fmt.Errorf("%q is unknown: use stages, or any where only your own collectors can write", string(a))
	}
	return nil
}

// Admit returns the batch as a sink may take it: a batch that no stage has made has no results in it, whatever it says. Else a sender
// could create tables, and write results of other tenants. Such events are ordinary ones then, and lose nothing: the scope
// gets another name, in a copy. refused are their scopes.
func (a Accept) Admit(ctx context.Context, ld plog.Logs) (admitted plog.Logs, refused int) {
	if a == AcceptAny || IsEmitted(ctx) {
		return ld, 0
	}
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			if _, ok := tableOf(sl); ok {
				refused++
			}
		}
	}
	if refused == 0 {
		return ld, 0
	}
	admitted = plog.NewLogs()
	ld.CopyTo(admitted)
	for _, rl := range admitted.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			if _, ok := tableOf(sl); ok {
				sl.Scope().SetName(ScopeName + ".refused")
			}
		}
	}
	return admitted, refused
}

// Row is one result as it was read.
type Row struct {
	ID     string
	Timing string
	Index  uint32
	// Values by column; empty where the event has none.
	Values []event.Value
}

// Reader reads results of one table. One goroutine at a time.
type Reader struct {
	columns  map[string]int // by attribute
	envelope []own
	row      Row
}

// own is a column that is read from a part of the envelope.
type own struct {
	column int
	of     func(e *event.Event) string
}

// envelope are the attributes that are parts of the envelope.
var envelope = map[string]func(e *event.Event) string{
	event.FieldUser:       func(e *event.Event) string { return e.UserID },
	event.FieldAnonymous:  func(e *event.Event) string { return e.AnonymousID },
	event.FieldSession:    func(e *event.Event) string { return e.SessionID },
	"session.previous_id": func(e *event.Event) string { return e.PreviousSessionID },
	event.FieldTenant:     func(e *event.Event) string { return e.Tenant },
}

// NewReader of a table that is valid.
func NewReader(t *Table) *Reader {
	r := &Reader{columns: map[string]int{}, row: Row{Values: make([]event.Value, len(t.Columns))}}
	for i := range t.Columns {
		source := t.Columns[i].Source()
		if of := envelope[source]; of != nil {
			r.envelope = append(r.envelope, own{i, of})
			continue
		}
		r.columns[source] = i
	}
	return r
}

// Reasons for which an event is no result, as of failed events.
var (
	ErrNoID    = errors.New("result_id_missing")
	ErrNoIndex = errors.New("pane_index_out_of_range")
)

// Read the event as a result. The row is valid until the next call.
func (r *Reader) Read(e *event.Event) (*Row, error) {
	row := &r.row
	row.ID, row.Timing, row.Index = "", "", 0
	clear(row.Values)
	index := int64(-1)
	for i := range e.Properties {
		p := &e.Properties[i]
		switch p.Key {
		case AttributeID:
			row.ID = p.Value.Str()
		case AttributeTiming:
			row.Timing = p.Value.Str()
		case AttributeIndex:
			if p.Value.Kind() == event.KindInt {
				index = p.Value.Int()
			}
		default:
			r.set(p.Key, p.Value)
		}
	}
	for i := range e.Context {
		r.set(e.Context[i].Key, e.Context[i].Value)
	}
	for _, own := range r.envelope {
		if s := own.of(e); s != "" {
			row.Values[own.column] = event.StringValue(s)
		}
	}
	switch {
	case row.ID == "":
		return nil, ErrNoID
	case index < 0 || index > math.MaxUint32:
		return nil, ErrNoIndex
	}
	row.Index = uint32(index)
	return row, nil
}

func (r *Reader) set(attribute string, v event.Value) {
	if i, ok := r.columns[attribute]; ok && r.row.Values[i].Kind() == event.KindEmpty {
		r.row.Values[i] = v
	}
}

// EventID is what a result is known by as an event: its result.id and pane.index, "" where it has none.
func EventID(e *event.Event) string {
	var id, index string
	for i := range e.Properties {
		switch p := &e.Properties[i]; p.Key {
		case AttributeID:
			id = p.Value.Str()
		case AttributeIndex:
			index = p.Value.Text()
		}
	}
	if id == "" {
		return ""
	}
	return id + "." + index
}
