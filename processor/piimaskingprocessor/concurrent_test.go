// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/subjectkey"
	"github.com/millrace/millrace/processor/piimaskingprocessor/internal/metadata"
)

// Batches come from many goroutines while keys are taken away and put back and persons are erased: what passes is masked, and of whom is
// forgotten nothing can be read, nor comes later.
func TestBatchesAtTheSameTimeAsErasuresAndLostKeys(t *testing.T) {
	store := newTestStore(t)
	ring := &goneRing{Ring: store.ring}
	keys := newTestSubjects(t, ring)
	store.ring, store.subjects = ring, keys
	next, err := consumer.NewLogs(func(_ context.Context, ld plog.Logs) error {
		wire, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
		if assert.NoError(t, err) {
			assert.NotContains(t, string(wire), "Jane")
			assert.NotContains(t, string(wire), "@example.com")
		}
		return nil
	})
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	cfg.KeyStore = &storeID
	cfg.Actions = map[string]masking.Spec{"email": {Action: masking.Pseudonym}, "name": {Action: masking.Erasable}}
	p, err := newProcessor(t.Context(), processortest.NewNopSettings(metadata.Type), cfg, next)
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), hostOf(newTestRegistry(), store)))
	t.Cleanup(func() { assert.NoError(t, p.Shutdown(context.Background())) })

	const persons, rounds = 8, 60
	batch := func() plog.Logs {
		ld := plog.NewLogs()
		records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
		for k := range persons {
			lr := records.AppendEmpty()
			lr.SetEventName("e")
			lr.Attributes().PutStr("user.id", fmt.Sprint("u", k))
			lr.Attributes().PutStr("first_name", "Jane")
			lr.Attributes().PutStr("x", "of jane@example.com")
		}
		return ld
	}
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			for range rounds {
				if err := p.ConsumeLogs(context.Background(), batch()); err != nil && !errors.Is(err, keyring.ErrNoKey) {
					assert.NoError(t, err)
				}
			}
		})
	}
	working.Go(func() {
		for i := range rounds {
			ring.gone.Store(i%3 == 0)
			keys.DropCache()
		}
		ring.gone.Store(false)
	})
	for k := range persons / 2 {
		_, err := keys.Erase(t.Context(), subjectkey.Subject{ID: fmt.Sprint("u", k)})
		require.NoError(t, err)
	}
	last := batch()
	ring.gone.Store(false)
	working.Wait()
	require.NoError(t, p.ConsumeLogs(context.Background(), last))
	require.Equal(t, persons/2, last.LogRecordCount())
	for _, lr := range recordsOf(last).All() {
		name, _ := lr.Attributes().Get("first_name")
		require.True(t, strings.HasPrefix(name.Str(), "er_"))
	}
}

func recordsOf(ld plog.Logs) plog.LogRecordSlice {
	return ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
}
