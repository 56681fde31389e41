// SPDX-License-Identifier: Apache-2.0

package load

import (
	"math"
	"strconv"

	"github.com/millrace/millrace/internal/event"
)

type kind uint8

const (
	kindString kind = iota
	kindInt
	kindDouble
	kindMoney // in hundredths, written as a double
	kindBool
	kindList
	kindObject
)

// value is one property's value. Values are immutable once made, so that a kept event may share them.
type value struct {
	kind kind
	num  uint64
	str  string
	sub  *nested
}

// nested is the content of a list (elems) or of an object (props, sorted by name: see HashProperties).
type nested struct {
	elems []value
	props []prop
}

type prop struct {
	key *key
	val value
}

func strVal(s string) value        { return value{kind: kindString, str: s} }
func intVal(i int64) value         { return value{kind: kindInt, num: uint64(i)} }
func doubleVal(f float64) value    { return value{kind: kindDouble, num: math.Float64bits(f)} }
func moneyVal(cents int64) value   { return value{kind: kindMoney, num: uint64(cents)} }
func listVal(elems []value) value  { return value{kind: kindList, sub: &nested{elems: elems}} }
func objectVal(props []prop) value { return value{kind: kindObject, sub: &nested{props: props}} }
func boolVal(b bool) value {
	if b {
		return value{kind: kindBool, num: 1}
	}
	return value{kind: kindBool}
}

func (v value) double() float64 {
	if v.kind == kindMoney {
		return float64(int64(v.num)) / 100
	}
	return math.Float64frombits(v.num)
}

// appendJSON writes the value as the shortest JSON, objects in the order in which they were made.
func (v value) appendJSON(dst []byte) []byte {
	switch v.kind {
	case kindString:
		return event.AppendJSONString(dst, v.str)
	case kindInt:
		return strconv.AppendInt(dst, int64(v.num), 10)
	case kindMoney:
		return appendCents(dst, int64(v.num))
	case kindDouble:
		return strconv.AppendFloat(dst, v.double(), 'f', -1, 64)
	case kindBool:
		return strconv.AppendBool(dst, v.num == 1)
	case kindList:
		dst = append(dst, '[')
		for i, e := range v.sub.elems {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.appendJSON(dst)
		}
		return append(dst, ']')
	default:
		return appendJSONProps(dst, v.sub.props)
	}
}

func appendJSONProps(dst []byte, props []prop) []byte {
	dst = append(dst, '{')
	for i, p := range props {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, p.key.json...)
		dst = p.val.appendJSON(dst)
	}
	return append(dst, '}')
}

// appendCents writes hundredths as the shortest decimal: 1250 as 12.5, which is how the double 12.5 reads.
func appendCents(dst []byte, cents int64) []byte {
	u := uint64(cents)
	if cents < 0 {
		dst = append(dst, '-')
		u = -u
	}
	dst = strconv.AppendUint(dst, u/100, 10)
	switch frac := byte(u % 100); {
	case frac == 0:
		return dst
	case frac%10 == 0:
		return append(dst, '.', '0'+frac/10)
	default:
		return append(dst, '.', '0'+frac/10, '0'+frac%10)
	}
}
