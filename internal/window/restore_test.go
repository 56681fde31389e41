// SPDX-License-Identifier: Apache-2.0

package window

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyed"
)

// written is a checkpoint that can be restored from.
type written struct{ keys, values [][]byte }

func (w *written) Set(key, value []byte) {
	w.keys, w.values = append(w.keys, bytes.Clone(key)), append(w.values, bytes.Clone(value))
}
func (*written) Delete([]byte)             {}
func (*written) Emit(delivery.OutboxBatch) {}

func (w *written) Get(key []byte) ([]byte, bool, error) {
	for i := range w.keys {
		if bytes.Equal(w.keys[i], key) {
			return w.values[i], true, nil
		}
	}
	return nil, false, nil
}

func (w *written) Range(prefix []byte, f func(key, value []byte) error) error {
	for i := range w.keys {
		if bytes.HasPrefix(w.keys[i], prefix) {
			if err := f(w.keys[i], w.values[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestStateThatIsNoneIsAnErrorOfTheStartAndNoPanicLater: an accumulator is read without looking where it ends.
func TestStateThatIsNoneIsAnErrorOfTheStartAndNoPanicLater(t *testing.T) {
	users := []Value{{Function: aggregate.CountDistinct, Field: event.FieldUser}}
	plan, err := NewPlan(Options{}, []Definition{
		{Name: "tumbling", Window: Window{Type: Tumbling, Size: minSlice}, Values: users},
		{Name: "visits", Window: Window{Type: Session, Gap: minSlice}, Values: users},
	})
	require.NoError(t, err)
	f := func(aggregation int, kind byte, value []byte, want string) {
		t.Helper()
		space, err := keyed.Restore(&written{}, keyed.Options{})
		require.NoError(t, err)
		key := []byte("key")
		table := space.Table(0, tableName(plan.aggs[aggregation].id, kind, 0))
		copy(table.Edit(table.Insert(keyed.Hash(key), key, len(value))), value)
		space.BeginCheckpoint()
		state := &written{}
		require.NoError(t, space.Checkpoint(state))
		e := NewEngine(plan, EngineOptions{ID: component.MustNewID("window_aggregation"), Coordinator: coordinator{}, Logger: zap.NewNop(), Observer: nobody{}})
		if err := e.Restore(context.Background(), state); want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
	for n, a := range plan.aggs {
		good := slices.Clone(a.empty)
		if n == 0 {
			f(n, kindSlice, good, "")
			f(n, kindSlice, good[:len(good)-1], `reading what aggregation "tumbling" of partition 0 holds: `)
			f(n, kindSlice, nil, `reading what aggregation "tumbling" of partition 0 holds: `)
			continue
		}
		f(n, kindSessions, appendInterval(nil, 1, 2, good), "")
		f(n, kindSessions, appendInterval(nil, 1, 2, good[:len(good)-1]), `reading what aggregation "visits" of partition 0 holds: `)
		f(n, kindSessions, []byte("short"), errIntervals.Error())
	}
}
