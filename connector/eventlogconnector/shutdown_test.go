// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/millrace/millrace/testbed/freeport"
)

// post sends a command, and closes the channel when it is being carried out: it asks for its body.
func post(url, body string) (begun <-chan struct{}) {
	asked := make(chan struct{})
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got100Continue: func() { close(asked) },
	})
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			panic(err) // cannot be
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Expect", "100-continue")
		transport := &http.Transport{ExpectContinueTimeout: time.Minute, DisableKeepAlives: true}
		if resp, err := transport.RoundTrip(req); err == nil { // what it is told is nothing to the test
			_ = resp.Body.Close()
		}
	}()
	return asked
}

// awaitShutdown ends the log, in bounded time.
func (h *harness) awaitShutdown(what string) {
	h.t.Helper()
	done := make(chan error, 1)
	go func() { done <- h.Shutdown(context.Background()) }()
	select {
	case err := <-done:
		require.NoError(h.t, err, what)
	case <-time.After(time.Minute):
		h.t.Fatal("the shutdown does not end: " + what)
	}
	require.NoError(h.t, h.store.Close())
	h.eventLog = nil
}

func TestAShutdownEndsAlthoughACommandWaitsForADeliveryThatHangs(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		c.Admin = configoptional.Some(AdminConfig{Endpoint: freeport.Must(t, 1)[0]})
		c.Delivery.ShutdownGrace = 3 * time.Second // of which the delivery takes one, and the rest has another
		c.Partitions = 1
	})
	reached := h.sink().hang()
	require.NoError(t, h.send("a"))
	<-reached
	<-post("http://"+h.cfg.Admin.Get().Endpoint+"/consumers/reset", `{"consumer":"logs","to":"end"}`)
	h.awaitShutdown("a reset")
	h.sink().release()
	require.NoError(t, h.start())
	require.NoError(t, h.send("b"))
	h.await("what came after", func() bool { return slices.Contains(h.sink().stored(), "b") })
}

func TestAShutdownEndsAlthoughRetentionWaitsForADeliveryThatHangs(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		small(c)
		c.Delivery.ShutdownGrace = 3 * time.Second // of which the delivery takes one, and the rest has another
		c.Retention.DropUnconsumed = true
	})
	reached := h.sink().hang()
	for i := range 40 {
		require.NoError(t, h.send(numbered(string(rune('A'+i)), 100)...))
	}
	<-reached
	h.askForRetention()
	h.await("retention", func() bool { return len(h.retain) == 0 })
	h.awaitShutdown("retention")
	h.sink().release()
	require.NoError(t, h.start())
	h.await("what was not dropped", func() bool { return len(h.sink().stored()) > 0 })
}

func TestNobodyAsksAClosedLogHowItIs(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	_, err := h.telemetry.GetMetric("otelcol_event_log_disk")
	require.NoError(t, err)
	require.NoError(t, h.Shutdown(context.Background()))
	var all metricdata.ResourceMetrics
	require.NoError(t, h.telemetry.Reader.Collect(context.Background(), &all))
	_, err = h.telemetry.GetMetric("otelcol_event_log_disk")
	require.Error(t, err)
	require.NoError(t, h.Shutdown(context.Background()), "a second time, as after a start that failed")
	require.NoError(t, h.store.Close())
	h.eventLog = nil
}

func TestAStartThatFailsLeavesNothingOpen(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	h.stop()
	l, err := net.Listen("tcp", freeport.Must(t, 1)[0])
	require.NoError(t, err)
	h.cfg.Admin = configoptional.Some(AdminConfig{Endpoint: l.Addr().String()})
	for range 3 {
		require.ErrorContains(t, h.start(), "admin.endpoint: listening on")
	}
	require.NoError(t, l.Close())
	require.NoError(t, h.start(), "the folder's lock is free, and the port too")
	require.NoError(t, h.send("a", "b"))
	h.awaitStored(2)
}
