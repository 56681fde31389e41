// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/binary"
	"math"
	"math/bits"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Events are written as OTLP protobuf in place, without pdata in between: the generator has to stay well ahead
// of what it tests. A test holds the bytes against pdata's own.

const (
	wireVarint = 0
	wireFixed8 = 1
	wireBytes  = 2
)

var (
	keyRecordUID = newKey("log.record.uid")
	keyUserID    = newKey("user.id")
	keyAnonID    = newKey("enduser.pseudo.id")
	keySessionID = newKey("session.id")
)

const (
	scopeName    = "shop.tracking"
	scopeVersion = "4.2.0"
)

func sizeVarint(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

func sizeBytesField(n int) int { return 1 + sizeVarint(uint64(n)) + n }

// appendBytesField appends a length-delimited field with a number below 16.
func appendBytesField[T string | []byte](dst []byte, field byte, s T) []byte {
	dst = append(dst, field<<3|wireBytes)
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// anySize is the size of the value as an AnyValue.
func (v value) anySize() int {
	switch v.kind {
	case kindString:
		return sizeBytesField(len(v.str))
	case kindInt:
		return 1 + sizeVarint(v.num)
	case kindDouble, kindMoney:
		return 9
	case kindBool:
		return 2
	default:
		return sizeBytesField(v.sub.size())
	}
}

// size is that of an ArrayValue or a KeyValueList.
func (n *nested) size() (size int) {
	for _, e := range n.elems {
		size += sizeBytesField(e.anySize())
	}
	for _, p := range n.props {
		size += sizeBytesField(kvSize(p.key, p.val))
	}
	return size
}

func kvSize(k *key, v value) int { return len(k.otlp) + sizeBytesField(v.anySize()) }

func (v value) appendAny(dst []byte) []byte {
	switch v.kind {
	case kindString:
		return appendBytesField(dst, 1, v.str)
	case kindBool:
		return append(dst, 2<<3|wireVarint, byte(v.num))
	case kindInt:
		return binary.AppendUvarint(append(dst, 3<<3|wireVarint), v.num)
	case kindDouble, kindMoney:
		return binary.LittleEndian.AppendUint64(append(dst, 4<<3|wireFixed8), math.Float64bits(v.double()))
	case kindList:
		dst = binary.AppendUvarint(append(dst, 5<<3|wireBytes), uint64(v.sub.size()))
		for _, e := range v.sub.elems {
			dst = binary.AppendUvarint(append(dst, 1<<3|wireBytes), uint64(e.anySize()))
			dst = e.appendAny(dst)
		}
		return dst
	default:
		dst = binary.AppendUvarint(append(dst, 6<<3|wireBytes), uint64(v.sub.size()))
		for _, p := range v.sub.props {
			dst = appendKV(dst, 1, p.key, p.val)
		}
		return dst
	}
}

// appendKV appends a KeyValue as a field of its parent.
func appendKV(dst []byte, field byte, k *key, v value) []byte {
	size := v.anySize()
	dst = append(dst, field<<3|wireBytes)
	dst = binary.AppendUvarint(dst, uint64(len(k.otlp)+sizeBytesField(size)))
	dst = append(dst, k.otlp...)
	dst = binary.AppendUvarint(append(dst, 2<<3|wireBytes), uint64(size))
	return v.appendAny(dst)
}

// appendStrKV is appendKV for a string attribute of a LogRecord.
func appendStrKV[T string | []byte](dst []byte, k *key, s T) []byte {
	size := sizeBytesField(len(s))
	dst = append(dst, 6<<3|wireBytes)
	dst = binary.AppendUvarint(dst, uint64(len(k.otlp)+sizeBytesField(size)))
	dst = append(dst, k.otlp...)
	dst = binary.AppendUvarint(append(dst, 2<<3|wireBytes), uint64(size))
	return appendBytesField(dst, 1, s)
}

// appendRecord appends the event as a LogRecord, without its own tag and length.
func (e *simEvent) appendRecord(dst []byte) []byte {
	dst = append(dst, 1<<3|wireFixed8)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.time))
	var id [36]byte
	e.id.put(id[:])
	dst = appendStrKV(dst, keyRecordUID, id[:])
	if e.known {
		dst = appendStrKV(dst, keyUserID, e.userID)
	}
	if e.anonymous {
		dst = appendStrKV(dst, keyAnonID, e.anonID)
	}
	if e.session != "" {
		dst = appendStrKV(dst, keySessionID, e.session)
	}
	for _, p := range e.props {
		dst = appendKV(dst, 6, p.key, p.val)
	}
	if e.traced {
		dst = appendBytesField(dst, 9, e.trace[:])
		dst = appendBytesField(dst, 10, e.span[:])
	}
	return appendBytesField(dst, 12, eventNames[e.name])
}

// fill writes the event into an empty record of pdata.
func (e *simEvent) fill(lr plog.LogRecord) {
	lr.SetTimestamp(pcommon.Timestamp(e.time))
	lr.SetEventName(eventNames[e.name])
	attrs := lr.Attributes()
	attrs.EnsureCapacity(len(e.props) + 4)
	attrs.PutStr(keyRecordUID.name, e.id.String())
	if e.known {
		attrs.PutStr(keyUserID.name, e.userID)
	}
	if e.anonymous {
		attrs.PutStr(keyAnonID.name, e.anonID)
	}
	if e.session != "" {
		attrs.PutStr(keySessionID.name, e.session)
	}
	fillMap(attrs, e.props)
	if e.traced {
		lr.SetTraceID(e.trace)
		lr.SetSpanID(e.span)
	}
}

func fillMap(m pcommon.Map, props []prop) {
	for _, p := range props {
		fillValue(m.PutEmpty(p.key.name), p.val)
	}
}

func fillValue(dst pcommon.Value, v value) {
	switch v.kind {
	case kindString:
		dst.SetStr(v.str)
	case kindInt:
		dst.SetInt(int64(v.num))
	case kindDouble, kindMoney:
		dst.SetDouble(v.double())
	case kindBool:
		dst.SetBool(v.num == 1)
	case kindList:
		s := dst.SetEmptySlice()
		s.EnsureCapacity(len(v.sub.elems))
		for _, e := range v.sub.elems {
			fillValue(s.AppendEmpty(), e)
		}
	default:
		m := dst.SetEmptyMap()
		m.EnsureCapacity(len(v.sub.props))
		fillMap(m, v.sub.props)
	}
}

// resourceAttrs describes the producer of one tenant's events.
func resourceAttrs(tenant string) [][2]string {
	return [][2]string{
		{"service.name", "shop-web"},
		{"service.version", "2026.11.3"},
		{"deployment.environment.name", "production"},
		{"telemetry.sdk.language", "go"},
		{"tenant.id", tenant},
	}
}

func fillResource(rl plog.ResourceLogs, tenant string) plog.LogRecordSlice {
	for _, kv := range resourceAttrs(tenant) {
		rl.Resource().Attributes().PutStr(kv[0], kv[1])
	}
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName(scopeName)
	sl.Scope().SetVersion(scopeVersion)
	return sl.LogRecords()
}

// otlpHead is what stands before the records of one tenant: ResourceLogs' resource and ScopeLogs' scope.
type otlpHead struct{ resource, scope []byte }

func newOTLPHead(tenant string) otlpHead {
	var res, scope []byte
	for _, kv := range resourceAttrs(tenant) {
		res = appendKV(res, 1, newKey(kv[0]), strVal(kv[1]))
	}
	scope = appendBytesField(scope, 1, scopeName)
	scope = appendBytesField(scope, 2, scopeVersion)
	return otlpHead{appendBytesField(nil, 1, res), appendBytesField(nil, 1, scope)}
}

// appendResourceLogs appends one tenant's records, each with its tag and length, as a field of an
// ExportLogsServiceRequest.
func (h otlpHead) appendResourceLogs(dst, records []byte) []byte {
	scopeLogs := len(h.scope) + len(records)
	dst = append(dst, 1<<3|wireBytes)
	dst = binary.AppendUvarint(dst, uint64(len(h.resource)+sizeBytesField(scopeLogs)))
	dst = append(dst, h.resource...)
	dst = append(dst, 2<<3|wireBytes)
	dst = binary.AppendUvarint(dst, uint64(scopeLogs))
	dst = append(dst, h.scope...)
	return append(dst, records...)
}
