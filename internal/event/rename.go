// SPDX-License-Identifier: Apache-2.0

package event

import (
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// rename gives a map's members other keys, in time by its size: pcommon.Map looks through all keys for each that is put, and a sender
// chooses how many there are. The order stays, and with it which value of a key that stands twice wins.
func rename(m pcommon.Map, f func(string) string) {
	renamed := map[string]string{}
	taken := map[string]bool{}
	for k := range m.All() {
		if _, known := renamed[k]; known || taken[k] {
			continue
		}
		if to := f(k); to != k {
			renamed[k] = to
		} else {
			taken[k] = true
		}
	}
	if len(renamed) == 0 {
		return
	}
	keys := make([]string, 0, m.Len())
	apart := map[string]int{} // the last number that tells a key apart
	given := map[string]string{}
	for k := range m.All() {
		to, moves := renamed[k]
		switch {
		case !moves:
			keys = append(keys, k)
			continue
		case to == "":
			continue
		}
		key, known := given[k]
		if !known {
			for key = to; taken[key]; key = to + "_" + strconv.Itoa(apart[to]+1) {
				apart[to]++
			}
			taken[key], given[k] = true, key
		}
		keys = append(keys, key)
	}
	fresh, ok := mapOf(keys)
	if !ok { // more than any receiver takes
		m.RemoveIf(func(k string, _ pcommon.Value) bool { _, moves := renamed[k]; return moves })
		return
	}
	i := 0
	at := make([]pcommon.Value, 0, len(keys))
	for _, v := range fresh.All() {
		at = append(at, v)
	}
	for k, v := range m.All() {
		if to, moves := renamed[k]; moves && to == "" {
			continue
		}
		v.MoveTo(at[i])
		i++
	}
	fresh.MoveTo(m)
}

// mapOf returns a map of empty values by those keys, in their order. It goes by OTLP's bytes, since pcommon.Map lets none be appended.
func mapOf(keys []string) (m pcommon.Map, ok bool) {
	var b []byte
	for _, tag := range [...]byte{tagResourceLogs, tagScopeLogs, tagLogRecord} {
		b = append(b, tag, 0, 0, 0, 0)
	}
	head := len(b)
	for _, k := range keys {
		b = append(b, tagAttribute, 0, 0, 0, 0)
		start := len(b)
		b = mustSetLength(appendText(b, tagKey, k), start)
	}
	const message = 1 + lengthBytes
	for start := head; start > 0; start -= message {
		if !setLength(b, start) {
			return m, false
		}
	}
	ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(b)
	if err != nil {
		return m, false
	}
	return ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes(), true
}
