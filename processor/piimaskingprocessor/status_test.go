// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer/consumertest"

	"github.com/millrace/millrace/internal/keyring"
)

// goneRing is a ring whose keys can be taken away and put back.
type goneRing struct {
	keyring.Ring
	gone atomic.Bool
}

func (r *goneRing) Current() (*keyring.Key, error) {
	if r.gone.Load() {
		return nil, keyring.ErrNoKey
	}
	return r.Ring.Current()
}

type statusHost struct {
	component.Host
	told []componentstatus.Status
}

func (h *statusHost) Report(e *componentstatus.Event) { h.told = append(h.told, e.Status()) }

// Of two batches one needs a key and one does not: the status is not to change with each.
func TestTheStatusIsAnErrorAsLongAsKeysAreMissing(t *testing.T) {
	store := newTestStore(t)
	ring := &goneRing{Ring: store.ring}
	store.ring = ring
	host := &statusHost{Host: hostOf(nil, store)}
	p := started(t, host, new(consumertest.LogsSink), withKeys)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	p.now = func() time.Time { return now }
	send := func(attributes string) {
		require.NoError(t, p.ConsumeLogs(context.Background(), oneEvent(t, "e", attributes)))
	}
	both := func() {
		send(`{"x":"ann@example.com"}`)
		send(`{"x":"nothing"}`)
	}
	both()
	require.Empty(t, host.told)
	ring.gone.Store(true)
	for range 10 {
		both()
		now = now.Add(30 * time.Second)
	}
	require.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError}, host.told)
	ring.gone.Store(false)
	both()
	require.Len(t, host.told, 1)
	now = now.Add(30 * time.Second)
	both()
	require.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError, componentstatus.StatusOK}, host.told)
	both()
	require.Len(t, host.told, 2)
}
