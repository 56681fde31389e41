// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

func TestSortedReadsByTenantNameAndTime(t *testing.T) {
	ld := plog.NewLogs()
	add := func(tenant string, events ...any) {
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("tenant.id", tenant)
		rl.Resource().Attributes().PutStr("service.name", "s"+tenant)
		sl := rl.ScopeLogs().AppendEmpty()
		for i := 0; i < len(events); i += 2 {
			lr := sl.LogRecords().AppendEmpty()
			lr.SetEventName(events[i].(string))
			lr.SetTimestamp(pcommon.Timestamp(events[i+1].(int)))
		}
	}
	add("b", "x", 2, "a", 9, "x", 1)
	add("a", "y", 5, "y", 5)
	add("b", "a", 3)

	var s Sorted
	for range 2 {
		s.Reset(FromLogs(ld))
		var got []string
		for e, i := s.Next(); e != nil; e, i = s.Next() {
			got = append(got, fmt.Sprint(e.Tenant, e.Source, e.Name, uint64(e.Time), i, s.ResourceIndex()))
		}
		assert.Equal(t, []string{"asay5 3 2", "asay5 4 2", "bsba3 5 3", "bsba9 1 1", "bsbx1 2 1", "bsbx2 0 1"}, got)
		s.Release()
	}
}

func TestSortedAndReaderReadTheSameEvents(t *testing.T) {
	batch := benchmarkBatch(10)
	var r Reader
	var s Sorted
	r.Reset(batch)
	s.Reset(batch)
	for e := r.Next(); e != nil; e = r.Next() {
		sorted, _ := s.Next()
		assert.Equal(t, e, sorted)
	}
}

func BenchmarkSorted(b *testing.B) {
	batch := benchmarkBatch(1000)
	var s Sorted
	b.ReportAllocs()
	for b.Loop() {
		s.Reset(batch)
		for e, _ := s.Next(); e != nil; e, _ = s.Next() {
			if e.Name == "" {
				b.Fatal("no name")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
