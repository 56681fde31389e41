// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/go-faster/jx"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Bounds of what a Restorer reads. They are wider than those of an intake (MaxMembers, MaxValues), since an event that came
// as OTLP was under none, and still keep a text of some megabytes from costing gigabytes or minutes.
const (
	maxRestoredMembers = 8192 // of one object; each is compared with those before it
	maxRestoredValues  = 200_000
	maxSources         = 1024 // resources whose attributes are kept
)

// ErrNotRestorable is wrapped by errors that say that a text is not what an archive writes.
var ErrNotRestorable = errors.New("is not what an archive writes")

// Origin is what the events of one source have in common, as an archive has it.
type Origin struct {
	// Resource is the JSON object of the attributes of resource and scope, as Resource.Attributes yields them; "" is none.
	Resource string
	// Tenant and Source are put on the resource where they are not "" and it says otherwise. They are for what has no
	// Resource.
	Tenant, Source string
}

// Restorer builds batches of events as they were, from what an archive keeps of them: read by a Reader, an event has the
// name, ID, times, user, session, schema, trace, properties, context and resource that it had. Its failure mark is gone. Events of one
// Origin stand together. A resource's text is parsed once, not for each event. One goroutine at a time; the zero value
// is not ready.
type Restorer struct {
	// DropSchema leaves out which schema the event was found to have, so that it is judged anew.
	DropSchema bool
	// Unseal opens what a failed event was sealed to; nil where there is no key for it.
	Unseal func(text string) ([]byte, error)

	logs    plog.Logs
	groups  map[Origin]*restoredGroup // of this batch
	last    *restoredGroup
	lastOf  Origin
	sources map[Origin]plog.ResourceLogs // parsed; kept over batches
	parts   rawParts
	dec     *jx.Decoder
	left    int // values that may still be read
	width   int // attributes of the last event
}

// restoredGroup is the events of one origin in this batch.
type restoredGroup struct {
	records plog.LogRecordSlice
	spare   bool // the last record is not an event: Discard gave it up
}

// NewRestorer returns a Restorer with an empty batch.
func NewRestorer() *Restorer {
	return &Restorer{
		logs: plog.NewLogs(), groups: map[Origin]*restoredGroup{}, sources: map[Origin]plog.ResourceLogs{}, dec: jx.DecodeBytes(nil),
	}
}

// Len returns the number of events of the batch.
func (r *Restorer) Len() int {
	n := 0
	for _, g := range r.groups {
		n += g.records.Len()
		if g.spare {
			n--
		}
	}
	return n
}

// Batch returns what was built, which is the caller's, and begins the next batch.
func (r *Restorer) Batch() Batch {
	for _, g := range r.groups {
		if g.spare {
			at, last := 0, g.records.Len()-1
			g.records.RemoveIf(func(plog.LogRecord) bool { at++; return at-1 == last })
		}
	}
	b := Batch{logs: r.logs}
	b.logs.ResourceLogs().RemoveIf(func(rl plog.ResourceLogs) bool { return rl.ScopeLogs().At(0).LogRecords().Len() == 0 })
	r.logs, r.last = plog.NewLogs(), nil
	clear(r.groups)
	return b
}

// Add appends an empty event. The error is of an Origin that cannot be read, and wraps ErrNotRestorable.
func (r *Restorer) Add(o Origin) (Restored, error) {
	g := r.last
	if g == nil || r.lastOf != o {
		var err error
		if g, err = r.group(o); err != nil {
			return Restored{}, err
		}
		r.last, r.lastOf = g, o
	}
	if g.spare {
		g.spare = false
		return Restored{Draft{g.records.At(g.records.Len() - 1)}, g, r}, nil
	}
	lr := g.records.AppendEmpty()
	lr.Attributes().EnsureCapacity(r.width)
	return Restored{Draft{lr}, g, r}, nil
}

func (r *Restorer) group(o Origin) (*restoredGroup, error) {
	if g := r.groups[o]; g != nil {
		return g, nil
	}
	o = Origin{strings.Clone(o.Resource), strings.Clone(o.Tenant), strings.Clone(o.Source)}
	source, ok := r.sources[o]
	if !ok {
		source = plog.NewResourceLogs()
		if err := r.readOrigin(source, o); err != nil {
			return nil, err
		}
		if len(r.sources) >= maxSources {
			clear(r.sources)
		}
		r.sources[o] = source
	}
	rl := r.logs.ResourceLogs().AppendEmpty()
	source.CopyTo(rl)
	g := &restoredGroup{records: rl.ScopeLogs().At(0).LogRecords()}
	r.groups[o] = g
	return g, nil
}

func (r *Restorer) readOrigin(rl plog.ResourceLogs, o Origin) error {
	attrs, scope := rl.Resource().Attributes(), rl.ScopeLogs().AppendEmpty().Scope()
	if o.Resource != "" {
		r.dec.ResetBytes([]byte(o.Resource))
		r.left = maxRestoredValues
		err := r.dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
			dst, k := attrs, string(key)
			if inScope, ok := strings.CutPrefix(k, scopePrefix); ok {
				dst, k = scope.Attributes(), inScope
			}
			return r.readMember(dec, dst, k, MaxDepth-rawDepth)
		})
		if err != nil {
			return notRestorable("the resource", err)
		}
	}
	if name, ok := scope.Attributes().Get("name"); ok && name.Type() == pcommon.ValueTypeStr && name.Str() != "" {
		scope.SetName(name.Str())
		scope.Attributes().RemoveIf(func(k string, _ pcommon.Value) bool { return k == "name" })
	}
	if version, ok := scope.Attributes().Get("version"); ok && version.Type() == pcommon.ValueTypeStr && version.Str() != "" {
		scope.SetVersion(version.Str())
		scope.Attributes().RemoveIf(func(k string, _ pcommon.Value) bool { return k == "version" })
	}
	var has Reader
	has.setResource(rl.Resource())
	if o.Tenant != "" && o.Tenant != has.tenant {
		attrs.PutStr(keyTenant, o.Tenant)
	}
	if o.Source != "" && o.Source != has.source {
		attrs.PutStr(keySource, o.Source)
	}
	return nil
}

const scopePrefix = "otel.scope."

func notRestorable(what string, err error) error {
	if errors.Is(err, ErrNotRestorable) {
		return err
	}
	return fmt.Errorf("%s %w: %w", what, ErrNotRestorable, err)
}

// Restored is an event being written, by Draft's methods and these. It is valid until the next Add or Batch.
type Restored struct {
	Draft
	group *restoredGroup
	r     *Restorer
}

// Discard takes the event, which must be the last one added, out of the batch.
func (d Restored) Discard() {
	d.Reset()
	d.group.spare = true
}

// Done says that the event is complete.
func (d Restored) Done() { d.r.width = d.lr.Attributes().Len() }

// SetPreviousSessionID sets the session before.
func (d Restored) SetPreviousSessionID(s string) { d.put(keyPreviousSession, s) }

// SetSession sets what sessionization had annotated: the event's number in its session, 0 for none, and that it came too late.
func (d Restored) SetSession(ordinal int64, late bool) {
	if ordinal > 0 {
		d.lr.Attributes().PutInt(KeySessionOrdinal, ordinal)
	}
	if late {
		d.lr.Attributes().PutBool(KeyLate, true)
	}
}

// SetSchema is Draft's, unless the Restorer drops schemas.
func (d Restored) SetSchema(subject, version string) {
	if !d.r.DropSchema {
		d.Draft.SetSchema(subject, version)
	}
}

// SetTraceID reads 32 hexadecimal digits, and SetSpanID 16; "" is none.
func (d Restored) SetTraceID(s string) error {
	var id pcommon.TraceID
	if err := readHex(id[:], s); err != nil {
		return notRestorable("the trace ID", err)
	}
	d.lr.SetTraceID(id)
	return nil
}

// SetSpanID reads 16 hexadecimal digits; "" is none.
func (d Restored) SetSpanID(s string) error {
	var id pcommon.SpanID
	if err := readHex(id[:], s); err != nil {
		return notRestorable("the span ID", err)
	}
	d.lr.SetSpanID(id)
	return nil
}

func readHex(dst []byte, s string) error {
	if s == "" {
		return nil
	}
	if len(s) != 2*len(dst) {
		return hex.ErrLength
	}
	_, err := hex.Decode(dst, []byte(s))
	return err
}

// Properties is where the event's properties are put.
func (d Restored) Properties() Object { return Object{d.lr.Attributes()} }

// PutPropertiesJSON reads a JSON object, as archives keep undeclared properties and context: each member becomes a property
// or, by its key, what it was in the record.
func (d Restored) PutPropertiesJSON(text string) error {
	if text == "" || text == "{}" {
		return nil
	}
	d.r.left = maxRestoredValues
	d.r.dec.ResetBytes([]byte(text))
	err := d.r.dec.ObjBytes(func(dec *jx.Decoder, key []byte) error { return d.putMember(dec, string(key), 0) })
	if err != nil {
		return notRestorable("the properties", err)
	}
	return nil
}

// putMember reads the value of one property or context value.
func (d Restored) putMember(dec *jx.Decoder, key string, depth int) error {
	switch key {
	case keyBody:
		if d.lr.Body().Type() != pcommon.ValueTypeEmpty { // the record's own comes last: what came before was an attribute
			v, _ := d.lr.Attributes().GetOrPutEmpty(key)
			d.lr.Body().MoveTo(v)
		}
		return d.r.readValue(dec, d.lr.Body(), depth)
	case keySeverityText, keySeverityNumber, keyPreviousSession:
		v := pcommon.NewValueEmpty()
		if err := d.r.readValue(dec, v, depth); err != nil {
			return err
		}
		number := plog.SeverityNumber(v.Int())
		switch {
		case key == keySeverityText && v.Str() != "" && d.lr.SeverityText() == "":
			d.lr.SetSeverityText(v.Str())
		case key == keySeverityNumber && number != 0 && int64(number) == v.Int() && d.lr.SeverityNumber() == 0:
			d.lr.SetSeverityNumber(number)
		default:
			if dst, exists := d.lr.Attributes().GetOrPutEmpty(key); !exists {
				v.MoveTo(dst)
			}
		}
		return nil
	}
	return d.r.readMember(dec, d.lr.Attributes(), key, depth)
}

// Object is a JSON object being written: the event's properties, or one of them.
type Object struct{ m pcommon.Map }

// PutString sets a member, as do the other Puts.
func (o Object) PutString(key, v string) { o.m.PutStr(key, v) }

// PutInt sets an integer.
func (o Object) PutInt(key string, v int64) { o.m.PutInt(key, v) }

// PutDouble sets a number.
func (o Object) PutDouble(key string, v float64) { o.m.PutDouble(key, v) }

// PutBool sets a boolean.
func (o Object) PutBool(key string, v bool) { o.m.PutBool(key, v) }

// Object returns the member that is an object, and makes it one where it is not.
func (o Object) Object(key string) Object {
	v, _ := o.m.GetOrPutEmpty(key)
	if v.Type() != pcommon.ValueTypeMap {
		return Object{v.SetEmptyMap()}
	}
	return Object{v.Map()}
}

// List returns the member that is an array, and makes it one where it is not.
func (o Object) List(key string) List {
	v, _ := o.m.GetOrPutEmpty(key)
	if v.Type() != pcommon.ValueTypeSlice {
		return List{v.SetEmptySlice()}
	}
	return List{v.Slice()}
}

// List is a JSON array being written.
type List struct{ s pcommon.Slice }

// AddString appends an element, as do the other Adds.
func (l List) AddString(v string) { l.s.AppendEmpty().SetStr(v) }

// AddInt appends an integer.
func (l List) AddInt(v int64) { l.s.AppendEmpty().SetInt(v) }

// AddDouble appends a number.
func (l List) AddDouble(v float64) { l.s.AppendEmpty().SetDouble(v) }

// AddBool appends a boolean.
func (l List) AddBool(v bool) { l.s.AppendEmpty().SetBool(v) }

// AddNull appends a null.
func (l List) AddNull() { l.s.AppendEmpty() }

// Object returns element i, and makes it an object where it is not. Elements before it are made objects too, where they
// are not there yet.
func (l List) Object(i int) Object {
	for l.s.Len() <= i {
		l.s.AppendEmpty().SetEmptyMap()
	}
	v := l.s.At(i)
	if v.Type() != pcommon.ValueTypeMap {
		return Object{v.SetEmptyMap()}
	}
	return Object{v.Map()}
}

// PropertyKey is the key under which a foreign record's member is kept as a property: as PutJSONProperties has it.
func PropertyKey(key string) string {
	if reserved(key) {
		return "properties." + key
	}
	return key
}
