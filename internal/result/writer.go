// SPDX-License-Identifier: Apache-2.0

package result

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// ScopeName is the name of the instrumentation scope of results, and AttributeTable its attribute that has the Table.
const (
	ScopeName      = "millrace/results"
	AttributeTable = "result.table"
)

// Timing of a pane against its window's watermark.
type Timing string

// The timings.
const (
	Early  Timing = "early"
	OnTime Timing = "on_time"
	Late   Timing = "late"
)

// Head is what every result has.
type Head struct {
	Event string // the event's name, such as session.end
	Time  int64  // Unix nanoseconds; it stands for when it was received too, since there is no clock behind the log
	ID    string // see ID
	// Timing and Index of the pane. Of two panes of one ID the one with the higher index is the result.
	Timing Timing
	Index  uint32
}

// ID makes a result.id of what identifies the result: 32 hexadecimal digits of a hash of the parts.
func ID(parts ...[]byte) string {
	h := sha256.New()
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Count is how often a text was counted.
type Count struct {
	Value string
	Count int64
}

// batchBytes is when a batch is full: outbox batches are one write of the state store and one INSERT each.
const batchBytes = 1 << 20

// Writer writes results as OTLP protobuf (opentelemetry/proto/logs/v1), in batches of about 1 MiB. Equal calls give equal
// bytes. Rows of one tenant keep their order. One goroutine at a time.
//
// Row begins a row, and the methods after it set columns by their index in Table.Columns; a column that is not set is absent.
type Writer struct {
	table *Table
	scope []byte // the scope, as it stands in ScopeLogs
	flush func(otlp []byte)

	row     []byte // attributes of the row under construction
	head    Head
	open    bool
	set     []bool // columns of the row that were set
	tenant  string
	err     error
	parts   []part // by tenant, in the order in which they came
	tenants map[string]int
	bytes   int    // of all parts and what they need around them
	rows    int    // ever
	out     []byte // a batch
	tmp     []byte // an attribute
	counts  []Count
}

// part is the rows of one tenant.
type part struct {
	tenant string
	b      []byte // LogRecords of a ScopeLogs
}

// NewWriter returns a writer that gives its batches to flush, which must copy what it keeps: the bytes are the writer's again
// when it returns.
//
// A stage's watermark says that nothing before it comes later. So of the batches of one checkpoint all but the last carry the
// watermark of the checkpoint before.
func NewWriter(t *Table, flush func(otlp []byte)) (*Writer, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	text := t.Text()
	if len(text) > maxText {
		return nil, fmt.Errorf("table %s: its definition has %d bytes, more than %d: give fewer columns or shorter descriptions", t.Name, len(text), maxText)
	}
	w := &Writer{table: t, flush: flush, set: make([]bool, len(t.Columns)), tenants: map[string]int{}}
	scope := appendBytes(nil, tagName, ScopeName)
	scope = appendBytes(scope, tagScopeAttribute, appendString(nil, AttributeTable, text))
	w.scope = appendBytes(nil, tagScope, scope)
	return w, nil
}

// Rows that were written so far.
func (w *Writer) Rows() int {
	if w.open {
		return w.rows + 1
	}
	return w.rows
}

// Row ends the row before, if there is one, and begins another.
func (w *Writer) Row(h Head) {
	w.end()
	w.head, w.open, w.tenant, w.row = h, true, "", w.row[:0]
	clear(w.set)
	w.put(appendString(w.scratch(), AttributeID, h.ID))
	w.put(appendString(w.scratch(), AttributeTiming, string(h.Timing)))
	w.put(appendInt(w.scratch(), AttributeIndex, int64(h.Index)))
	if h.ID == "" || h.Timing == "" || h.Event == "" {
		w.fail("a row has no event name, ID or timing")
	}
}

// Str sets a column of type String.
func (w *Writer) Str(column int, s string) {
	if w.column(column, String) {
		if w.table.Columns[column].Source() == AttributeTenant {
			w.tenant = s
			return
		}
		w.put(appendString(w.scratch(), w.table.Columns[column].Source(), s))
	}
}

// Int sets a column of type Int64.
func (w *Writer) Int(column int, n int64) {
	if w.column(column, Int64) {
		w.put(appendInt(w.scratch(), w.table.Columns[column].Source(), n))
	}
}

// Time sets a column of type Timestamp, in Unix nanoseconds.
func (w *Writer) Time(column int, ns int64) {
	if w.column(column, Timestamp) {
		w.put(appendInt(w.scratch(), w.table.Columns[column].Source(), ns))
	}
}

// Float sets a column of type Float64.
func (w *Writer) Float(column int, f float64) {
	if w.column(column, Float64) {
		w.put(appendDouble(w.scratch(), w.table.Columns[column].Source(), f))
	}
}

// Bool sets a column of type Bool.
func (w *Writer) Bool(column int, v bool) {
	if w.column(column, Bool) {
		w.put(appendBool(w.scratch(), w.table.Columns[column].Source(), v))
	}
}

// Strs sets a column of type Strings, in the order given.
func (w *Writer) Strs(column int, list []string) {
	if w.column(column, Strings) {
		var elements []byte
		for _, s := range list {
			elements = appendBytes(elements, tagElement, appendBytes(nil, tagString, s))
		}
		w.put(appendNested(w.scratch(), w.table.Columns[column].Source(), tagArray, elements))
	}
}

// Counts sets a column of type Counts. It sorts by text; of equal texts the last one counts.
func (w *Writer) Counts(column int, list []Count) {
	if w.column(column, Counts) {
		w.counts = append(w.counts[:0], list...)
		slices.SortStableFunc(w.counts, func(a, b Count) int { return strings.Compare(a.Value, b.Value) })
		var elements []byte
		for i, c := range w.counts {
			if i+1 < len(w.counts) && w.counts[i+1].Value == c.Value {
				continue
			}
			elements = appendBytes(elements, tagElement, appendInt(nil, c.Value, c.Count))
		}
		w.put(appendNested(w.scratch(), w.table.Columns[column].Source(), tagMap, elements))
	}
}

// Ranked sets a column of type Ranked, in the order given.
func (w *Writer) Ranked(column int, list []Count) {
	if w.column(column, Ranked) {
		var elements []byte
		for _, c := range list {
			pair := appendBytes(nil, tagElement, appendString(nil, rankedValue, c.Value))
			pair = appendBytes(pair, tagElement, appendInt(nil, rankedCount, c.Count))
			elements = appendBytes(elements, tagElement, appendBytes(nil, tagMap, pair))
		}
		w.put(appendNested(w.scratch(), w.table.Columns[column].Source(), tagArray, elements))
	}
}

// Members of an element of type Ranked.
const (
	rankedValue = "value"
	rankedCount = "count"
)

// Flush gives out what is left. It returns what was wrong with a call since the last Flush: then rows are missing.
func (w *Writer) Flush() error {
	w.end()
	w.send()
	err := w.err
	w.err = nil
	return err
}

// column says whether the row can take a value there.
func (w *Writer) column(i int, t Type) bool {
	switch {
	case !w.open:
		w.fail("a value was set before the first row")
	case i < 0 || i >= len(w.table.Columns):
		w.fail("there is no column %d", i)
	case w.table.Columns[i].Type != t:
		w.fail("column %s is of type %s and not %s", w.table.Columns[i].Name, w.table.Columns[i].Type, t)
	case w.set[i]:
		w.fail("column %s was set twice in a row", w.table.Columns[i].Name)
	default:
		w.set[i] = true
		return true
	}
	return false
}

func (w *Writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("writing results of table %s: "+format, append([]any{w.table.Name}, args...)...)
	}
}

// put adds an attribute to the row.
func (w *Writer) put(keyValue []byte) {
	w.row = appendBytes(w.row, tagAttribute, keyValue)
	w.tmp = keyValue
}

// scratch is memory for one attribute.
func (w *Writer) scratch() []byte { return w.tmp[:0] }

// end puts the row into its tenant's part.
func (w *Writer) end() {
	if !w.open {
		return
	}
	w.open = false
	w.rows++
	i, known := w.tenants[w.tenant]
	if !known {
		i = len(w.parts)
		if i < cap(w.parts) {
			w.parts = w.parts[:i+1]
		} else {
			w.parts = append(w.parts, part{})
		}
		w.parts[i].tenant, w.parts[i].b = w.tenant, w.parts[i].b[:0]
		w.tenants[w.tenant] = i
		w.bytes += len(w.scope) + len(w.tenant) + 40
	}
	p := &w.parts[i]
	before := len(p.b)
	n := 18 + len(w.row) + 1 + uvarintLen(len(w.head.Event)) + len(w.head.Event)
	p.b = binary.AppendUvarint(append(p.b, tagLogRecord), uint64(n))
	p.b = binary.LittleEndian.AppendUint64(append(p.b, tagTime), uint64(w.head.Time))
	p.b = append(p.b, w.row...)
	p.b = binary.LittleEndian.AppendUint64(append(p.b, tagObserved), uint64(w.head.Time))
	p.b = appendBytes(p.b, tagEventName, w.head.Event)
	if w.bytes += len(p.b) - before; w.bytes >= batchBytes {
		w.send()
	}
}

// send gives out the batch under construction.
func (w *Writer) send() {
	if len(w.parts) == 0 {
		return
	}
	b := w.out[:0]
	for i := range w.parts {
		p := &w.parts[i]
		var resource []byte
		if p.tenant != "" {
			resource = appendBytes(nil, tagResource, appendBytes(nil, tagResourceAttribute, appendString(nil, AttributeTenant, p.tenant)))
		}
		scope := len(w.scope) + len(p.b)
		b = binary.AppendUvarint(append(b, tagResourceLogs), uint64(len(resource)+1+uvarintLen(scope)+scope))
		b = append(b, resource...)
		b = binary.AppendUvarint(append(b, tagScopeLogs), uint64(scope))
		b = append(append(b, w.scope...), p.b...)
	}
	w.out = b
	w.parts = w.parts[:0]
	clear(w.tenants)
	w.bytes = 0
	w.flush(b)
}
