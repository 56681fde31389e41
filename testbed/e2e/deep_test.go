// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/binary"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// nestedLogs is an OTLP request whose one attribute nests that deep, built from the inside out: neither our stack nor pdata's is needed.
func nestedLogs(depth int, list bool, key, name string) []byte {
	var b []byte // reversed
	prepend := func(tag byte) {
		n := binary.AppendUvarint(nil, uint64(len(b)))
		slices.Reverse(n)
		b = append(append(b, n...), tag)
	}
	for range depth {
		if list {
			prepend(0x0a) // ArrayValue.values
			prepend(0x2a) // AnyValue.array_value
		} else {
			prepend(0x12) // KeyValue.value
			prepend(0x0a) // KeyValueList.values
			prepend(0x32) // AnyValue.kvlist_value
		}
	}
	prepend(0x12) // KeyValue.value
	k := []byte(key)
	slices.Reverse(k)
	b = append(append(b, k...), byte(len(key)), 0x0a)
	prepend(0x32) // LogRecord.attributes
	n := []byte(name)
	slices.Reverse(n)
	b = slices.Concat(n, []byte{byte(len(name)), 0x62}, b) // LogRecord.event_name, behind it
	prepend(0x12)                                          // ScopeLogs.log_records
	prepend(0x12)                                          // ResourceLogs.scope_logs
	prepend(0x0a)                                          // resource_logs
	slices.Reverse(b)
	return b
}

// deepRequests sends the worst that is small enough to be taken: what decodes it recurses, and Go ends a process whose stack is too deep.
func deepRequests(t *testing.T, i *instance) {
	// In a property, in the envelope, and in a mark that is taken off again.
	for key, want := range map[string]string{"x": "validation too_deep /x", "user.id": "validation too_deep /user.id", "event.failure.reason": "stored"} {
		for _, list := range []bool{true, false} {
			depth := 850_000 // the quickstart takes 8 MiB
			if !list {
				depth = 580_000
			}
			name := newID("deep")
			body := nestedLogs(depth, list, key, name)
			require.Greater(t, len(body), 7<<20)
			status, answer := post(t, i.url("MILLRACE_OTLP_HTTP", "/v1/logs"), body, "Content-Type", protobufType)
			require.Equal(t, http.StatusOK, status, answer)
			require.Equal(t, []string{want}, i.rows(t, `SELECT 'stored' FROM events WHERE event_name = '%[1]s'
				UNION ALL SELECT stage || ' ' || reason || ' ' || pointer FROM failed_events WHERE event_name = '%[1]s'`, name))
		}
	}
	status, _ := post(t, i.url("MILLRACE_OTLP_HTTP", "/v1/logs"), nestedLogs(1_500_000, true, "x", "too large"), "Content-Type", protobufType)
	require.Equal(t, http.StatusBadRequest, status)
}
