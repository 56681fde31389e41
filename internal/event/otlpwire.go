// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"unsafe"
)

// errOTLP is of bytes that are no protobuf, or hold another type where OTLP has one of its own.
var errOTLP = errors.New("the bytes are no OTLP logs")

// Wire types of protobuf.
const (
	wireVarint = iota
	wireI64
	wireLen
	wireStartGroup
	wireEndGroup
	wireI32
)

// Numbers of the fields of an AnyValue.
const (
	anyString = iota + 1
	anyBool
	anyInt
	anyDouble
	anyArray
	anyMap
	anyBytes
	anyStringIndex // into a table that logs do not have: empty
)

// varint reads a number as pdata does: ten bytes at most, and what does not fit is cut off.
func varint(b []byte, pos int) (v uint64, next int, err error) {
	for shift := uint(0); shift < 64; shift += 7 {
		if pos >= len(b) {
			break
		}
		c := b[pos]
		pos++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, pos, nil
		}
	}
	return 0, 0, errOTLP
}

// tag reads the number and the wire type of a field.
func tag(b []byte, pos int) (number int32, wire uint8, next int, err error) {
	v, next, err := varint(b, pos)
	number = int32(v >> 3)
	if err != nil || number <= 0 {
		return 0, 0, 0, errOTLP
	}
	return number, uint8(v & 7), next, nil
}

// length reads how long a field is, and where what is in it lies.
func length(b []byte, pos int) (start, end int, err error) {
	if pos < len(b) && b[pos] < 0x80 {
		start = pos + 1
		end = start + int(b[pos])
		if end <= len(b) {
			return start, end, nil
		}
		return 0, 0, errOTLP
	}
	n, start, err := varint(b, pos)
	if err != nil || n > uint64(len(b)-start) {
		return 0, 0, errOTLP
	}
	return start, start + int(n), nil
}

// skip passes over a field that nobody asks for, as pdata does: of a group it takes the beginning and the first field.
func skip(b []byte, pos int, wire uint8) (next int, err error) {
	depth := 0
	for pos < len(b) {
		switch wire {
		case wireVarint:
			_, next, err = varint(b, pos)
			return next, err
		case wireI64:
			return advance(b, pos, 8)
		case wireLen:
			_, next, err = length(b, pos)
			return next, err
		case wireI32:
			return advance(b, pos, 4)
		case wireStartGroup:
			depth++
		case wireEndGroup:
			if depth--; depth < 0 {
				return 0, errOTLP
			}
		default:
			return 0, errOTLP
		}
		if depth == 0 {
			return pos, nil
		}
		if _, wire, pos, err = tag(b, pos); err != nil {
			return 0, err
		}
	}
	return 0, errOTLP
}

func advance(b []byte, pos, n int) (int, error) {
	if n > len(b)-pos {
		return 0, errOTLP
	}
	return pos + n, nil
}

// rawValue is an AnyValue in bytes. inside is a string, the bytes, or what is in an ArrayValue or a KeyValueList.
type rawValue struct {
	kind   Kind
	bits   uint64
	inside []byte
}

// add reads an AnyValue over what was read of one before: of several values the last counts.
func (v *rawValue) add(b []byte) error {
	if len(b) >= 2 && b[0] == tagString && b[1] < 0x80 && int(b[1]) == len(b)-2 { // most are a short string and nothing else
		*v = rawValue{kind: KindString, inside: b[2:]}
		return nil
	}
	for pos := 0; pos < len(b); {
		number, wire, next, err := tag(b, pos)
		if err != nil {
			return err
		}
		pos = next
		want := uint8(wireLen)
		switch number {
		case anyBool, anyInt, anyStringIndex:
			want = wireVarint
		case anyDouble:
			want = wireI64
		case anyString, anyArray, anyMap, anyBytes:
		default:
			if pos, err = skip(b, pos, wire); err != nil {
				return err
			}
			continue
		}
		if wire != want {
			return errOTLP
		}
		switch want {
		case wireVarint:
			var n uint64
			if n, pos, err = varint(b, pos); err != nil {
				return err
			}
			switch {
			case number == anyInt:
				*v = rawValue{kind: KindInt, bits: n}
			case number == anyStringIndex:
				*v = rawValue{}
			case n != 0:
				*v = rawValue{kind: KindBool, bits: 1}
			default:
				*v = rawValue{kind: KindBool}
			}
		case wireI64:
			if next, err = advance(b, pos, 8); err != nil {
				return err
			}
			*v = rawValue{kind: KindDouble, bits: binary.LittleEndian.Uint64(b[pos:])}
			pos = next
		default:
			start, end, err := length(b, pos)
			if err != nil {
				return err
			}
			*v = rawValue{kind: anyKinds[number], inside: b[start:end]}
			pos = end
		}
	}
	return nil
}

var anyKinds = [...]Kind{anyString: KindString, anyArray: KindSlice, anyMap: KindMap, anyBytes: KindBytes}

// scalar is the value without what it lies in.
func (v *rawValue) scalar() Scalar {
	if v.kind == KindString {
		return Scalar{Kind: KindString, Text: view(v.inside)}
	}
	return Scalar{Kind: v.kind, Bits: v.bits}
}

// view is a text that is as long valid as the bytes stay what they are.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // a copy would cost more than all else that reading a field does
}

// keyValue reads a KeyValue: of several keys the last counts, and of several values too.
func keyValue(b []byte) (key []byte, v rawValue, err error) {
	for pos := 0; pos < len(b); {
		number, wire, next, err := tag(b, pos)
		if err != nil {
			return nil, rawValue{}, err
		}
		pos = next
		if number > 2 {
			if number == 3 && wire != wireVarint { // an index of the key, which logs do not have
				return nil, rawValue{}, errOTLP
			}
			if pos, err = skip(b, pos, wire); err != nil {
				return nil, rawValue{}, err
			}
			continue
		}
		if wire != wireLen {
			return nil, rawValue{}, errOTLP
		}
		start, end, err := length(b, pos)
		if err != nil {
			return nil, rawValue{}, err
		}
		if number == 1 {
			key = b[start:end]
		} else if err := v.add(b[start:end]); err != nil {
			return nil, rawValue{}, err
		}
		pos = end
	}
	return key, v, nil
}

// within takes the next field with a number up to `last`, all of which are messages or texts, and passes over others. The number is
// 0 at the end.
func within(b []byte, pos int, last int32) (number int32, inside []byte, next int, err error) {
	for pos < len(b) {
		number, wire, at, err := tag(b, pos)
		if err != nil {
			return 0, nil, 0, err
		}
		if number > last {
			if pos, err = skip(b, at, wire); err != nil {
				return 0, nil, 0, err
			}
			continue
		}
		if wire != wireLen {
			return 0, nil, 0, errOTLP
		}
		start, end, err := length(b, at)
		if err != nil {
			return 0, nil, 0, err
		}
		return number, b[start:end], end, nil
	}
	return 0, nil, pos, nil
}

// rawGet returns the first member of that key.
func rawGet(members []byte, key string) (v rawValue, found bool, err error) {
	for pos := 0; ; {
		number, one, next, err := within(members, pos, 1)
		if err != nil || number == 0 {
			return rawValue{}, false, err
		}
		pos = next
		k, v, err := keyValue(one)
		if err != nil {
			return rawValue{}, false, err
		}
		if string(k) == key {
			return v, true, nil
		}
	}
}

// rawMember is mapMember over bytes.
func rawMember(members []byte, path string) (Scalar, nested, error) {
	var empty Scalar
	var emptyOf nested
	v, ok, err := rawGet(members, path)
	if err != nil {
		return Scalar{}, nested{}, err
	}
	if ok {
		s, of := v.scalar(), nested{isRaw: true, raw: v.inside}
		if !isEmpty(s, &of) {
			return s, of, nil
		}
		empty, emptyOf = s, of
	}
	for end := len(path) - 2; end > 0; end-- {
		if path[end] != '.' {
			continue
		}
		v, ok, err := rawGet(members, path[:end])
		if err != nil {
			return Scalar{}, nested{}, err
		}
		if !ok || v.kind != KindMap {
			continue
		}
		s, of, err := rawMember(v.inside, path[end+1:])
		if err != nil {
			return Scalar{}, nested{}, err
		}
		if !isEmpty(s, &of) {
			return s, of, nil
		}
		if empty.Kind == KindEmpty {
			empty, emptyOf = s, of
		}
	}
	return empty, emptyOf, nil
}

// appendJSON is Value's over bytes.
func (v *rawValue) appendJSON(dst []byte, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return dst, ErrTooDeep
	}
	switch v.kind {
	case KindString:
		return AppendJSONString(dst, view(v.inside)), nil
	case KindBool:
		return strconv.AppendBool(dst, v.bits != 0), nil
	case KindInt:
		return strconv.AppendInt(dst, int64(v.bits), 10), nil
	case KindDouble:
		return appendDouble(dst, math.Float64frombits(v.bits)), nil
	case KindBytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.inside)
		return append(dst, '"'), nil
	case KindMap, KindSlice:
		return v.appendMembers(dst, depth)
	default:
		return append(dst, "null"...), nil
	}
}

func (v *rawValue) appendMembers(dst []byte, depth int) ([]byte, error) {
	open, closing := byte('['), byte(']')
	if v.kind == KindMap {
		open, closing = '{', '}'
	}
	dst = append(dst, open)
	first := true
	for pos := 0; ; {
		number, one, next, err := within(v.inside, pos, 1)
		if err != nil {
			return dst, err
		}
		if number == 0 {
			return append(dst, closing), nil
		}
		if !first {
			dst = append(dst, ',')
		}
		pos, first = next, false
		var m rawValue
		if v.kind == KindMap {
			var key []byte
			if key, m, err = keyValue(one); err == nil {
				dst = append(AppendJSONString(dst, view(key)), ':')
			}
		} else {
			err = m.add(one)
		}
		if err != nil {
			return dst, err
		}
		if dst, err = m.appendJSON(dst, depth+1); err != nil {
			return dst, err
		}
	}
}
