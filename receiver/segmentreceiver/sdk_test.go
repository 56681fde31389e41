// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exporterhelper"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/sdk"
)

// report is what drive.cjs prints.
type report struct {
	Calls    []struct{ Type, ID string }
	Failed   []string
	Statuses []int
}

func drive(t *testing.T, url string, rounds int) report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "testdata/sdk/drive.cjs", sdk.Install(t, "testdata/sdk"), url, testKey, strconv.Itoa(rounds))
	var stdout, stderr bytes.Buffer
	node.Stdout, node.Stderr = &stdout, &stderr
	require.NoError(t, node.Run(), "driving the Segment SDK:\n%s", &stderr)
	var r report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r), "%s", &stdout)
	require.Len(t, r.Calls, 6*rounds)
	return r
}

// requireAll checks that each call of the SDK arrived, by ID, and once where once is set.
func requireAll(t *testing.T, r report, events []event.Event, once bool) {
	t.Helper()
	require.Empty(t, r.Failed, "the SDK gave up on events")
	arrived := map[string]event.Event{}
	for _, e := range events {
		require.False(t, e.Failed, "%+v", e)
		arrived[e.ID] = e
	}
	if once {
		require.Len(t, events, len(r.Calls))
	}
	require.Len(t, arrived, len(r.Calls))
	for _, call := range r.Calls {
		e, ok := arrived[call.ID]
		require.True(t, ok, "%s %s was lost", call.Type, call.ID)
		want := call.Type
		if call.Type == typeTrack {
			want = "Order Completed"
			assert.Equal(t, "2026-01-02T03:04:05.678Z", timeText(e.Time))
		}
		assert.Equal(t, want, e.Name)
		assert.Equal(t, call.Type == typePage, e.UserID == "")
		assert.Equal(t, call.Type == typePage, e.AnonymousID != "")
		assert.Equal(t, "shop", e.Tenant)
	}
}

func TestStockSDKDeliversEveryCallOnce(t *testing.T) {
	s := &sink{}
	_, url := start(t, s, nil)
	r := drive(t, url, 20)
	requireAll(t, r, s.taken(), true)
	for _, status := range r.Statuses {
		assert.Equal(t, http.StatusOK, status)
	}
}

// A pipeline that refuses for a while costs a stock SDK time, never events.
func TestStockSDKLosesNothingWhileThePipelineRefuses(t *testing.T) {
	f := func(err error, wantStatus int) {
		t.Helper()
		refusals := 3
		s := &sink{}
		s.answer = func() error { // under the sink's mutex
			if refusals > 0 {
				refusals--
				return err
			}
			return nil
		}
		_, url := start(t, s, nil)
		r := drive(t, url, 3)
		refused := 0
		for _, status := range r.Statuses {
			if status != http.StatusOK {
				assert.Equal(t, wantStatus, status)
				refused++
			}
		}
		assert.Equal(t, 3, refused)
		requireAll(t, r, s.taken(), true)
	}
	f(errors.New("not now"), http.StatusServiceUnavailable)
	f(exporterhelper.ErrQueueIsFull, http.StatusTooManyRequests)
	f(consumererror.NewPermanent(errors.New("misconfigured")), http.StatusInternalServerError)
}
