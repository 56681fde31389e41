// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Encoder writes the events of a batch as OTLP protobuf (opentelemetry/proto/logs/v1), apart by where each goes, in one pass. It
// exists because pdata's marshaler walks every message twice, to learn its size and to write it, and makes a new buffer each
// time: here the length of a message that holds others takes four bytes, which are filled in when it ends. Such a
// length is longer than it need be, and any protobuf reader takes it. Its buffers are kept; one goroutine at a time.
type Encoder struct {
	parts     []encoded
	resource  []byte // of the ResourceLogs that is being read: all but its scopes
	scope     []byte
	marshaler plog.ProtoMarshaler
}

type encoded struct {
	b               []byte
	resource, scope int // numbers of what is open, 0 is none
	resourceAt      int // where the length of what is open stands
	scopeAt         int
}

// Tags of the fields: number<<3 | wire type.
const (
	tagResourceLogs = 1<<3 | 2
	tagScopeLogs    = 2<<3 | 2
	tagLogRecord    = 2<<3 | 2

	tagTime        = 1<<3 | 1
	tagSeverity    = 2 << 3
	tagSeverityTxt = 3<<3 | 2
	tagBody        = 5<<3 | 2
	tagAttribute   = 6<<3 | 2
	tagDropped     = 7 << 3
	tagFlags       = 8<<3 | 5
	tagTraceID     = 9<<3 | 2
	tagSpanID      = 10<<3 | 2
	tagObserved    = 11<<3 | 1
	tagEventName   = 12<<3 | 2

	tagKey   = 1<<3 | 2
	tagValue = 2<<3 | 2

	tagString = 1<<3 | 2
	tagBool   = 2 << 3
	tagInt    = 3 << 3
	tagDouble = 4<<3 | 1
	tagArray  = 5<<3 | 2
	tagMap    = 6<<3 | 2
	tagBytes  = 7<<3 | 2

	tagElement = 1<<3 | 2 // of ArrayValue and of KeyValueList

	lengthBytes = 4 // of a length that is filled in later
	maxLength   = 1<<(7*lengthBytes) - 1
)

// ErrTooLarge is of a batch that is larger than any receiver takes.
var ErrTooLarge = errors.New("the batch is larger than 256 MiB")

// Encode returns n requests: the i-th holds the events for which `to` says i, in their order, with their resources and
// scopes; one without events is empty. The bytes are valid until the next call. The batch is not changed.
func (e *Encoder) Encode(b Batch, n int, to []int) ([][]byte, error) {
	for len(e.parts) < n {
		e.parts = append(e.parts, encoded{})
	}
	for i := range e.parts {
		e.parts[i] = encoded{b: e.parts[i].b[:0]}
	}
	i, resource, scope := 0, 0, 0
	for _, rl := range b.Logs().ResourceLogs().All() {
		resource++
		e.resource = e.resource[:0]
		for _, sl := range rl.ScopeLogs().All() {
			scope++
			e.scope = e.scope[:0]
			for _, lr := range sl.LogRecords().All() {
				at := to[i]
				i++
				if at < 0 {
					continue
				}
				p := &e.parts[at]
				if err := e.open(p, resource, scope, rl, sl); err != nil {
					return nil, err
				}
				p.b = append(p.b, tagLogRecord, 0, 0, 0, 0)
				start := len(p.b)
				p.b = appendRecord(p.b, lr)
				if !setLength(p.b, start) {
					return nil, ErrTooLarge
				}
			}
		}
	}
	out := make([][]byte, n)
	for i := range out {
		p := &e.parts[i]
		if !p.closeScope() || !p.closeResource() {
			return nil, ErrTooLarge
		}
		out[i] = p.b
	}
	return out, nil
}

// open begins the resource and the scope of the next record, where they are others than the last one's.
func (e *Encoder) open(p *encoded, resource, scope int, rl plog.ResourceLogs, sl plog.ScopeLogs) error {
	if p.scope == scope {
		return nil
	}
	if !p.closeScope() {
		return ErrTooLarge
	}
	if p.resource != resource {
		if !p.closeResource() {
			return ErrTooLarge
		}
		if len(e.resource) == 0 {
			if err := e.encodeResource(rl); err != nil {
				return err
			}
		}
		p.b = append(p.b, tagResourceLogs, 0, 0, 0, 0)
		p.resource, p.resourceAt = resource, len(p.b)
		p.b = append(p.b, e.resource...)
	}
	if len(e.scope) == 0 {
		if err := e.encodeScope(sl); err != nil {
			return err
		}
	}
	p.b = append(p.b, tagScopeLogs, 0, 0, 0, 0)
	p.scope, p.scopeAt = scope, len(p.b)
	p.b = append(p.b, e.scope...)
	return nil
}

func (p *encoded) closeScope() bool {
	ok := p.scope == 0 || setLength(p.b, p.scopeAt)
	p.scope = 0
	return ok
}

func (p *encoded) closeResource() bool {
	ok := p.resource == 0 || setLength(p.b, p.resourceAt)
	p.resource = 0
	return ok
}

// encodeResource and encodeScope leave to pdata what has parts that its interface does not show.
func (e *Encoder) encodeResource(rl plog.ResourceLogs) error {
	only := plog.NewLogs()
	to := only.ResourceLogs().AppendEmpty()
	rl.Resource().CopyTo(to.Resource())
	to.SetSchemaUrl(rl.SchemaUrl())
	raw, err := e.marshaler.MarshalLogs(only)
	if err != nil {
		return fmt.Errorf("encoding a resource: %w", err)
	}
	e.resource, _, err = message(raw, tagResourceLogs)
	return err
}

func (e *Encoder) encodeScope(sl plog.ScopeLogs) error {
	only := plog.NewLogs()
	to := only.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty()
	sl.Scope().CopyTo(to.Scope())
	to.SetSchemaUrl(sl.SchemaUrl())
	raw, err := e.marshaler.MarshalLogs(only)
	if err != nil {
		return fmt.Errorf("encoding a scope: %w", err)
	}
	inner, _, err := message(raw, tagResourceLogs)
	for err == nil && len(inner) > 0 { // an empty resource stands before it
		tag := inner[0]
		var rest []byte
		if e.scope, rest, err = message(inner, tag); tag == tagScopeLogs {
			return err
		}
		inner = rest
	}
	return errors.Join(errMessage, err)
}

var errMessage = errors.New("pdata's encoding is not as expected")

// message takes one message off the front of b.
func message(b []byte, tag byte) (inside, rest []byte, err error) {
	if len(b) == 0 || b[0] != tag {
		return nil, nil, errMessage
	}
	n, used := binary.Uvarint(b[1:])
	if used <= 0 || n > uint64(len(b)-1-used) {
		return nil, nil, errMessage
	}
	b = b[1+used:]
	return b[:n], b[n:], nil
}

// setLength fills in the length of the message that begins at start and ends with b.
func setLength(b []byte, start int) bool {
	n := len(b) - start
	if n > maxLength {
		return false
	}
	at := b[start-lengthBytes : start]
	at[0], at[1], at[2], at[3] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)|0x80, byte(n>>21)
	return true
}

func appendRecord(b []byte, lr plog.LogRecord) []byte {
	if t := lr.Timestamp(); t != 0 {
		b = binary.LittleEndian.AppendUint64(append(b, tagTime), uint64(t))
	}
	if n := lr.SeverityNumber(); n != 0 {
		b = binary.AppendUvarint(append(b, tagSeverity), uint64(n))
	}
	if s := lr.SeverityText(); s != "" {
		b = appendText(b, tagSeverityTxt, s)
	}
	b = appendValue(b, tagBody, lr.Body())
	for k, v := range lr.Attributes().All() {
		b = appendKeyValue(b, tagAttribute, k, v)
	}
	if n := lr.DroppedAttributesCount(); n != 0 {
		b = binary.AppendUvarint(append(b, tagDropped), uint64(n))
	}
	if f := lr.Flags(); f != 0 {
		b = binary.LittleEndian.AppendUint32(append(b, tagFlags), uint32(f))
	}
	if id := lr.TraceID(); !id.IsEmpty() {
		b = append(append(b, tagTraceID, byte(len(id))), id[:]...)
	}
	if id := lr.SpanID(); !id.IsEmpty() {
		b = append(append(b, tagSpanID, byte(len(id))), id[:]...)
	}
	if t := lr.ObservedTimestamp(); t != 0 {
		b = binary.LittleEndian.AppendUint64(append(b, tagObserved), uint64(t))
	}
	if s := lr.EventName(); s != "" {
		b = appendText(b, tagEventName, s)
	}
	return b
}

func appendText(b []byte, tag byte, s string) []byte {
	return append(binary.AppendUvarint(append(b, tag), uint64(len(s))), s...)
}

func uvarintLen(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

// scalarLen is the size of a value that holds no other, as an AnyValue without its own tag and length.
func scalarLen(v pcommon.Value) (int, bool) {
	switch v.Type() {
	case pcommon.ValueTypeEmpty:
		return 0, true
	case pcommon.ValueTypeStr:
		n := len(v.Str())
		return 1 + uvarintLen(uint64(n)) + n, true
	case pcommon.ValueTypeBool:
		return 2, true
	case pcommon.ValueTypeInt:
		return 1 + uvarintLen(uint64(v.Int())), true
	case pcommon.ValueTypeDouble:
		return 9, true
	case pcommon.ValueTypeBytes:
		n := v.Bytes().Len()
		return 1 + uvarintLen(uint64(n)) + n, true
	}
	return 0, false
}

func appendKeyValue(b []byte, tag byte, k string, v pcommon.Value) []byte {
	if v.Type() == pcommon.ValueTypeStr { // most are
		s := v.Str()
		if len(k)+len(s) < 100 && k != "" { // every length in one byte
			n, m := byte(len(k)), byte(len(s))
			b = append(append(b, tag, n+m+6, tagKey, n), k...)
			return append(append(b, tagValue, m+2, tagString, m), s...)
		}
	}
	size, scalar := scalarLen(v)
	if !scalar {
		b = append(b, tag, 0, 0, 0, 0)
		start := len(b)
		if k != "" {
			b = appendText(b, tagKey, k)
		}
		b = appendValue(b, tagValue, v)
		return mustSetLength(b, start)
	}
	n := 1 + uvarintLen(uint64(size)) + size
	if k != "" {
		n += 1 + uvarintLen(uint64(len(k))) + len(k)
	}
	b = binary.AppendUvarint(append(b, tag), uint64(n))
	if k != "" {
		b = appendText(b, tagKey, k)
	}
	return appendScalar(binary.AppendUvarint(append(b, tagValue), uint64(size)), v)
}

// appendValue writes an AnyValue with its tag and length. It goes as deep as the value, as pdata's decoder did before.
func appendValue(b []byte, tag byte, v pcommon.Value) []byte {
	if size, scalar := scalarLen(v); scalar {
		return appendScalar(binary.AppendUvarint(append(b, tag), uint64(size)), v)
	}
	b = append(b, tag, 0, 0, 0, 0)
	outer := len(b)
	if v.Type() == pcommon.ValueTypeMap {
		b = append(b, tagMap, 0, 0, 0, 0)
		inner := len(b)
		for k, member := range v.Map().All() {
			b = appendKeyValue(b, tagElement, k, member)
		}
		b = mustSetLength(b, inner)
	} else {
		b = append(b, tagArray, 0, 0, 0, 0)
		inner := len(b)
		for _, element := range v.Slice().All() {
			b = appendValue(b, tagElement, element)
		}
		b = mustSetLength(b, inner)
	}
	return mustSetLength(b, outer)
}

// mustSetLength is for a message within a record: the record's own length, which holds it, tells when it is too large.
func mustSetLength(b []byte, start int) []byte {
	_ = setLength(b, start)
	return b
}

func appendScalar(b []byte, v pcommon.Value) []byte {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return appendText(b, tagString, v.Str())
	case pcommon.ValueTypeBool:
		if v.Bool() {
			return append(b, tagBool, 1)
		}
		return append(b, tagBool, 0)
	case pcommon.ValueTypeInt:
		return binary.AppendUvarint(append(b, tagInt), uint64(v.Int()))
	case pcommon.ValueTypeDouble:
		return binary.LittleEndian.AppendUint64(append(b, tagDouble), math.Float64bits(v.Double()))
	case pcommon.ValueTypeBytes:
		raw := v.Bytes().AsRaw()
		return append(binary.AppendUvarint(append(b, tagBytes), uint64(len(raw))), raw...)
	}
	return b
}
