// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/millrace/millrace/internal/event"
)

// rawHarness is one consumer that hands over bytes.
func rawHarness(t *testing.T, next func(d *Delivery, ld plog.Logs) error) *harness {
	t.Helper()
	h := newHarness(t, 1)
	h.clock.now = time.Unix(100, 0)
	o := h.options()
	o.Raw = true
	o.Next = func(ctx context.Context, ld plog.Logs) error {
		require.Zero(t, ld.LogRecordCount())
		return next(FromContext(ctx), ld)
	}
	var err error
	h.Consumer, err = NewConsumer(h.log, h.store, o)
	require.NoError(t, err)
	return h
}

// bodies reads a batch of bytes in place.
func bodies(t *testing.T, b event.Batch) string {
	t.Helper()
	require.True(t, b.IsRaw())
	fields, err := event.NewFields("n")
	require.NoError(t, err)
	var out []int64
	require.NoError(t, fields.Reader().Each(b, func(_ int, row *event.Row) bool {
		out = append(out, row.Values[0].Int())
		return true
	}))
	return fmt.Sprint(out)
}

func TestTheFirstThatAsksHasTheBytes(t *testing.T) {
	var got []string
	h := rawHarness(t, func(d *Delivery, ld plog.Logs) error {
		got = append(got, bodies(t, d.Batch(ld)))
		results := plog.NewLogs()
		results.ResourceLogs().AppendEmpty()
		for _, later := range []plog.Logs{ld, results} {
			b := d.Batch(later)
			require.False(t, b.IsRaw())
			require.Equal(t, later, b.Logs())
		}
		return nil
	})
	h.log.append(0, record{n: 1}, record{n: 2})
	h.log.append(0, record{n: 3}, record{n: 4}, record{n: 5}, record{n: 6}, record{n: 7}, record{n: 8})
	for range 3 {
		h.step(0)
	}
	require.Equal(t, []string{"[1 2]", "[3 4 5 6]", "[7 8]"}, got)
	require.Equal(t, []uint64{8}, h.Delivered())
}

func TestARepetitionHandsOverTheSameBytes(t *testing.T) {
	var got []string
	fail := errors.New("away")
	h := rawHarness(t, func(d *Delivery, ld plog.Logs) error {
		got = append(got, fmt.Sprint(d.Attempt, bodies(t, d.Batch(ld))))
		return fail
	})
	h.log.append(0, record{n: 1}, record{n: 2})
	h.step(0)
	h.step(0)
	fail = nil
	h.step(0)
	require.Equal(t, []string{"1[1 2]", "2[1 2]", "3[1 2]"}, got)
	require.Equal(t, []uint64{2}, h.Delivered())
}

func TestBytesThatNobodyReadBlockThePartition(t *testing.T) {
	h := rawHarness(t, func(*Delivery, plog.Logs) error { return nil })
	h.log.append(0, record{n: 1})
	o, _ := h.step(0)
	require.Equal(t, failed, o)
	require.ErrorIs(t, h.Blocked()[0], errUnread)
	require.Equal(t, []uint64{0}, h.Delivered())
	skipped := 0
	_, err := h.Skip(0, func(_ Identity, ld plog.Logs) error {
		skipped = ld.LogRecordCount()
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, skipped)
}

func TestAProbeHandsOverNoBytes(t *testing.T) {
	id := component.MustNewID("window_aggregation")
	probes := 0
	h := rawHarness(t, func(d *Delivery, ld plog.Logs) error {
		probes++
		b := d.Batch(ld)
		require.False(t, b.IsRaw())
		require.Zero(t, b.Len())
		return nil
	})
	h.record.Components = []string{id.String()}
	h.probe(context.Background())
	require.Equal(t, 1, probes)
}

func TestALogThatHandsOverTooFewEventsIsAnError(t *testing.T) {
	h := rawHarness(t, func(*Delivery, plog.Logs) error {
		t.Error("nothing is to be delivered")
		return nil
	})
	h.log.append(0, record{n: 1}, record{n: 2})
	h.Consumer.log = fewerEvents{h.log}
	o, _ := h.step(0)
	require.Equal(t, failed, o)
	require.Equal(t, []uint64{0}, h.Delivered())
}

type fewerEvents struct{ *memLog }

func (l fewerEvents) LoadRaw(p uint32, first, last uint64) ([]event.Chunk, error) {
	return l.memLog.LoadRaw(p, first, last-1)
}

func TestWithoutALogTheBatchIsWhatCame(t *testing.T) {
	ld := plog.NewLogs()
	ld.ResourceLogs().AppendEmpty()
	require.Equal(t, ld, (*Delivery)(nil).Batch(ld).Logs())
}

func TestBytesGoToWindowAggregationAlone(t *testing.T) {
	f := func(want bool, passEvents any, processors ...any) {
		t.Helper()
		windows := map[string]any{}
		if passEvents != nil {
			windows["pass_events"] = passEvents
		}
		conf := confmap.NewFromStringMap(map[string]any{
			"processors": map[string]any{"window_aggregation/a": windows, "window_aggregation/b": map[string]any{"pass_events": true}, "sessionization": nil},
			"service": map[string]any{"pipelines": map[string]any{
				"logs/windows": map[string]any{"receivers": []any{"event_log"}, "processors": processors},
			}},
		})
		require.Equal(t, want, HandsOverBytes(conf, pipeline.NewIDWithName(pipeline.SignalLogs, "windows")), processors)
		require.False(t, HandsOverBytes(conf, pipeline.NewID(pipeline.SignalLogs)), "no such pipeline")
	}
	f(true, nil, "window_aggregation/a")
	f(true, false, "window_aggregation/a")
	f(true, false, "memory_limiter", "memory_limiter/b", "window_aggregation/a", "sessionization")
	f(false, true, "window_aggregation/a")
	f(false, "true", "window_aggregation/a")
	f(false, nil, "sessionization", "window_aggregation/a")
	f(false, nil, "transform", "window_aggregation/a")
	f(false, nil, "window_aggregation/b", "window_aggregation/a")
	f(false, nil, "memory_limiter")
	f(false, nil)
	require.False(t, HandsOverBytes(nil, pipeline.NewID(pipeline.SignalLogs)))
}
