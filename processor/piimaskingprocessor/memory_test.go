// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A key is a piece of the text or the record that it stands in. To keep it as it is would be to keep all of that, clear values included.
func TestNothingOfAnEventIsKeptInMemory(t *testing.T) {
	const n, size = 64, 1 << 20
	p := started(t, hostOf(nil, newTestStore(t)), new(consumertest.LogsSink), withKeys)
	w := newWork(p)
	f := func(name string, set func(lr plog.LogRecord, i int)) {
		t.Helper()
		before := heap()
		for i := range n {
			ld := plog.NewLogs()
			set(ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty(), i)
			require.NoError(t, w.batch(context.Background(), event.FromLogs(ld)))
			w.release()
		}
		require.Less(t, heap(), before+4*size, name)
	}
	filler := strings.Repeat("x ", size/2)
	f("JSON", func(lr plog.LogRecord, i int) {
		lr.Attributes().PutStr("x", fmt.Sprintf(`{"key_%d":"a@example.com","%s":1}`, i, filler))
	})
	f("query", func(lr plog.LogRecord, i int) {
		lr.Attributes().PutStr("x", fmt.Sprintf("?name_%d=a%%40example.com&%s", i, filler))
	})
	f("keys", func(lr plog.LogRecord, i int) { lr.Attributes().PutStr(fmt.Sprint(i, filler), "a@example.com") })
	f("values", func(lr plog.LogRecord, _ int) { lr.Attributes().PutStr("x", strings.Clone(filler)) })
	f("many attributes", func(lr plog.LogRecord, i int) {
		for k := range 2000 {
			lr.Attributes().PutStr(fmt.Sprintf("k%d_%s", k, strings.Repeat("a", 40)), fmt.Sprintf("u%d-%d@example.com %s", i, k, filler[:200]))
		}
	})
	runtime.KeepAlive(w)
}
