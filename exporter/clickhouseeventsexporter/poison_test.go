// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// oddKeys and oddStrings are what producers send and parsers stumble over.
var (
	oddKeys = []string{
		"a", "b", "a.b", "a.b.c", "", ".", "a.", ".a", "a..b", "a\x00b", "a\"b", "a\\b", "a`b", "a'b", "é", "😀", "\xff", "a b", "1", "-",
		"[]", "a[]", "a[0]", "$", "^x", ":", "null", "a:`Int64`", "\n", "\u202e", strings.Repeat("k", 2000), "properties", "resource",
		"__proto__", "%s", "a~b", "a/b", "A", "event_id",
	}
	oddStrings = []string{
		"", "x", "\x00", "\xff\xfe", "null", "NaN", "2026-01-01", "2026-01-01 00:00:00", "0001-01-01T00:00:00Z", "9999999999999999999999",
		"127.0.0.1", "'; DROP TABLE events; --", "😀\u0301", "\u2028", "{\"a\":1}", "\\N", strings.Repeat("long ", 5000),
	}
)

func randomValue(r *rand.Rand, v pcommon.Value, depth int) {
	switch n := r.IntN(12); {
	case n == 0 && depth < 4, n == 1 && depth < 4:
		m := v.SetEmptyMap()
		for range r.IntN(4) {
			randomValue(r, m.PutEmpty(oddKeys[r.IntN(len(oddKeys))]), depth+1)
		}
	case n == 2 && depth < 4:
		s := v.SetEmptySlice()
		for range r.IntN(4) {
			randomValue(r, s.AppendEmpty(), depth+1)
		}
	case n == 3:
		v.SetBool(r.IntN(2) == 0)
	case n == 4:
		v.SetInt([]int64{0, -1, math.MaxInt64, math.MinInt64, 1 << 53}[r.IntN(5)])
	case n == 5:
		v.SetDouble([]float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 1e308, 5e-324, 0.1, 1e21}[r.IntN(9)])
	case n == 6:
		v.SetEmptyBytes().FromRaw([]byte{0, 1, 255})
	case n == 7: // empty
	default:
		v.SetStr(oddStrings[r.IntN(len(oddStrings))])
	}
}

// TestNoValueIsPoison sends events of odd keys and values of every kind: each must be stored, or told apart
// before the INSERT; none may make the server refuse a batch.
func TestNoValueIsPoison(t *testing.T) {
	x := newTestExporter(t, map[string]string{"every": everyType}, nil)
	r := rand.New(rand.NewPCG(1, 2))
	const n = 3000
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	randomValue(r, rl.Resource().Attributes().PutEmpty("odd"), 0)
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for i := range n {
		lr := records.AppendEmpty()
		lr.SetEventName(oddStrings[r.IntN(len(oddStrings))])
		lr.SetTimestamp(pcommon.NewTimestampFromTime(someTime))
		lr.Attributes().PutStr("log.record.uid", fmt.Sprint(i))
		if r.IntN(2) == 0 {
			lr.Attributes().PutStr("event.schema", "every")
			lr.Attributes().PutStr("event.schema.version", "1")
			for _, key := range []string{"text", "low", "tags", "address", "products", "at", "money"} {
				if r.IntN(3) == 0 {
					randomValue(r, lr.Attributes().PutEmpty(key), 0)
				}
			}
		}
		for range r.IntN(6) {
			randomValue(r, lr.Attributes().PutEmpty(oddKeys[r.IntN(len(oddKeys))]), 0)
		}
		if r.IntN(10) == 0 {
			randomValue(r, lr.Body(), 0)
		}
	}
	require.NoError(t, x.ConsumeLogs(t.Context(), ld))
	assert.Equal(t, "0", x.engine.Query("SELECT count() FROM failed_events WHERE reason = 'refused_by_server'"),
		x.engine.Query("SELECT raw, error FROM failed_events WHERE reason = 'refused_by_server' ORDER BY length(raw) LIMIT 10"))
	assert.Equal(t, fmt.Sprint(n), x.engine.Query("SELECT uniqExact(event_id) FROM (SELECT event_id FROM events UNION ALL SELECT event_id FROM failed_events)"))
	assert.Equal(t, fmt.Sprint(n), x.engine.Query("SELECT (SELECT count() FROM events) + (SELECT count() FROM failed_events)"))
	t.Log(x.engine.Query("SELECT reason, count() FROM failed_events GROUP BY reason ORDER BY reason"))
	// What was stored can be read whole again.
	assert.NotEmpty(t, x.engine.Query("SELECT sum(length(toString(properties))) FROM events"))
}
