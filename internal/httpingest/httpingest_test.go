// SPDX-License-Identifier: Apache-2.0

package httpingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProblemsAreJSON(t *testing.T) {
	f := func(p AnswerError, wantBody, wantRetryAfter string) {
		t.Helper()
		w := httptest.NewRecorder()
		WriteError(w, &p)
		assert.Equal(t, p.Status, w.Code)
		assert.Equal(t, wantBody, w.Body.String())
		assert.Equal(t, wantRetryAfter, w.Header().Get("Retry-After"))
		assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
	}
	f(AnswerError{Status: 400, Code: "c", Message: "with \"quotes\"\n"}, `{"success":false,"code":"c","message":"with \"quotes\"\n"}`, "")
	f(AnswerError{Status: 503, Code: "c", Message: "m", RetryAfter: 100 * time.Millisecond}, `{"success":false,"code":"c","message":"m"}`, "1")
	f(AnswerError{Status: 429, Code: "c", Message: "m", RetryAfter: 30 * time.Second}, `{"success":false,"code":"c","message":"m"}`, "30")
}

func TestKeysFindTheirOwners(t *testing.T) {
	k := NewKeys([]WriteKey{{Key: "a", Tenant: "t", Source: "s"}, {Key: "b"}})
	f := func(key string, want Owner, wantOK bool) {
		t.Helper()
		got, ok := k.Owner([]byte(key))
		assert.Equal(t, want, got)
		assert.Equal(t, wantOK, ok)
	}
	f("a", Owner{"t", "s"}, true)
	f("b", Owner{}, true)
	f("A", Owner{}, false)
	f("aa", Owner{}, false)
	f("", Owner{}, false)
}

// errReader fails after some bytes, as a connection does.
type errReader struct {
	text string
	err  error
}

func (r *errReader) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, r.err
	}
	n := copy(p, r.text)
	r.text = r.text[n:]
	return n, nil
}

func TestReadBodyTellsWhatARetryMends(t *testing.T) {
	f := func(err error, length int64, wantStatus int) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(&errReader{"half", err}))
		r.ContentLength = length
		_, got := ReadBody(r, time.Second)
		var p *AnswerError
		require.ErrorAs(t, got, &p)
		assert.Equal(t, wantStatus, p.Status)
	}
	f(&http.MaxBytesError{Limit: 10}, -1, 413)
	f(io.ErrUnexpectedEOF, 100, 503)
	f(io.ErrUnexpectedEOF, -1, 400) // a compressed body that ends early
	f(&net.OpError{Op: "read", Err: errors.New("reset")}, 100, 503)
	f(errors.New("corrupt"), -1, 400)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", io.NopCloser(&errReader{"half", errors.New("corrupt")}))
	_, err := ReadBody(r, time.Second)
	var p *AnswerError
	require.ErrorAs(t, err, &p)
	assert.Equal(t, 503, p.Status)
}

func TestReadBodyReusesBuffersOfModerateSize(t *testing.T) {
	for _, n := range []int{0, 1, 1000, maxPooled + 1} {
		text := strings.Repeat("x", n)
		body, err := ReadBody(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text)), time.Second)
		require.NoError(t, err)
		assert.Equal(t, text, string(body.Bytes()))
		body.Release()
	}
	for range 100 {
		b := buffers.Get().(*bytes.Buffer)
		assert.Zero(t, b.Len())
		assert.LessOrEqual(t, b.Cap(), maxPooled)
	}
}

// A sender may say that a gigabyte follows; memory is taken for what arrives.
func TestReadBodyDoesNotTrustContentLength(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(strings.NewReader("small")))
	r.ContentLength = 1 << 40
	body, err := ReadBody(r, time.Second)
	require.NoError(t, err)
	assert.LessOrEqual(t, body.buf.Cap(), maxPooled+bytes.MinRead)
	body.Release()
}

func TestServerRefusesAHalfConfiguration(t *testing.T) {
	cfg := confighttp.NewDefaultServerConfig()
	cfg.NetAddr.Endpoint = "127.0.0.1:no-port"
	s := NewServer(Settings{
		HTTP: cfg, MaxConcurrentRequests: 1, Telemetry: componenttest.NewNopTelemetrySettings(),
		OnStatus: func(context.Context, int) {},
	})
	require.ErrorContains(t, s.Start(t.Context(), componenttest.NewNopHost(), http.NotFoundHandler()), "listening on 127.0.0.1:no-port")
	require.NoError(t, s.Shutdown(t.Context()), "a server that did not start shuts down")
}

// A handler that panics gives its place back: net/http recovers, and a lost place would never return.
func TestLimitSurvivesAPanic(t *testing.T) {
	s := NewServer(Settings{MaxConcurrentRequests: 1, OnStatus: func(context.Context, int) {}})
	bad := s.Limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("bug") }))
	for range 3 {
		assert.Panics(t, func() { bad.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil)) })
	}
	assert.Empty(t, s.slots)
}
