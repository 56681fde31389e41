// SPDX-License-Identifier: Apache-2.0

package result

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Field numbers of opentelemetry/proto/logs/v1 and common/v1: number<<3 | wire type.
const (
	tagResourceLogs      = 1<<3 | 2
	tagResource          = 1<<3 | 2
	tagScopeLogs         = 2<<3 | 2
	tagScope             = 1<<3 | 2
	tagLogRecord         = 2<<3 | 2
	tagResourceAttribute = 1<<3 | 2
	tagName              = 1<<3 | 2
	tagScopeAttribute    = 3<<3 | 2
	tagTime              = 1<<3 | 1
	tagAttribute         = 6<<3 | 2
	tagObserved          = 11<<3 | 1
	tagEventName         = 12<<3 | 2
	tagKey               = 1<<3 | 2
	tagValue             = 2<<3 | 2
	tagString            = 1<<3 | 2
	tagBool              = 2 << 3
	tagInt               = 3 << 3
	tagDouble            = 4<<3 | 1
	tagArray             = 5<<3 | 2
	tagMap               = 6<<3 | 2
	tagElement           = 1<<3 | 2
)

func uvarintLen(n int) int { return (bits.Len64(uint64(n)|1) + 6) / 7 }

// appendBytes writes a field that is a text or a message.
func appendBytes[T string | []byte](b []byte, tag byte, s T) []byte {
	return append(binary.AppendUvarint(append(b, tag), uint64(len(s))), s...)
}

// appendString writes what is inside a KeyValue with a text; the other functions do so with another value.
func appendString(b []byte, key, s string) []byte {
	b = appendBytes(b, tagKey, key)
	b = binary.AppendUvarint(append(b, tagValue), uint64(1+uvarintLen(len(s))+len(s)))
	return appendBytes(b, tagString, s)
}

func appendInt(b []byte, key string, n int64) []byte {
	b = appendBytes(b, tagKey, key)
	size := (bits.Len64(uint64(n)|1) + 6) / 7
	return binary.AppendUvarint(append(b, tagValue, byte(1+size), tagInt), uint64(n))
}

func appendDouble(b []byte, key string, f float64) []byte {
	b = append(appendBytes(b, tagKey, key), tagValue, 9, tagDouble)
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

func appendBool(b []byte, key string, v bool) []byte {
	b = append(appendBytes(b, tagKey, key), tagValue, 2, tagBool, 0)
	if v {
		b[len(b)-1] = 1
	}
	return b
}

// appendNested writes a KeyValue with an array or a map of these elements.
func appendNested(b []byte, key string, tag byte, elements []byte) []byte {
	b = appendBytes(b, tagKey, key)
	b = binary.AppendUvarint(append(b, tagValue), uint64(1+uvarintLen(len(elements))+len(elements)))
	return appendBytes(b, tag, elements)
}
