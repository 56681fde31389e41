// SPDX-License-Identifier: Apache-2.0

package httpingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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

func newTestServer(maxBytes int64) *Server {
	return NewServer(Settings{
		MaxConcurrentRequests: 1, MaxBytes: maxBytes, RetryAfter: 7 * time.Second,
		OnStatus: func(context.Context, int) {},
	})
}

func TestReadBodyTellsWhatARetryMends(t *testing.T) {
	f := func(err error, length int64, wantStatus int) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(&errReader{"half", err}))
		r.ContentLength = length
		s := newTestServer(1000)
		_, got := s.ReadBody(r)
		assert.Equal(t, int64(1000), s.bytesLeft.Load(), "nothing is held")
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
	_, err := newTestServer(1000).ReadBody(r)
	var p *AnswerError
	require.ErrorAs(t, err, &p)
	assert.Equal(t, 503, p.Status)
}

func TestReadBodyReusesBuffersOfModerateSize(t *testing.T) {
	s := newTestServer(maxPooled + 1)
	for _, n := range []int{0, 1, 1000, maxPooled + 1} {
		text := strings.Repeat("x", n)
		body, err := s.ReadBody(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text)))
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

// Bodies that together would be over the bound are turned away, however each says how long it is, and hold nothing.
func TestReadBodyBoundsAllBodiesTogether(t *testing.T) {
	s := newTestServer(1000)
	read := func(n int) (Body, error) {
		r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(strings.NewReader(strings.Repeat("x", n))))
		r.ContentLength = -1
		return s.ReadBody(r)
	}
	first, err := read(600)
	require.NoError(t, err)
	_, err = read(401)
	var p *AnswerError
	require.ErrorAs(t, err, &p)
	assert.Equal(t, 429, p.Status)
	assert.Equal(t, 7*time.Second, p.RetryAfter)
	second, err := read(400)
	require.NoError(t, err)
	_, err = read(1)
	require.Error(t, err)
	first.Release()
	second.Release()
	assert.Equal(t, int64(1000), s.bytesLeft.Load())
	first, err = read(900)
	require.NoError(t, err)
	require.NoError(t, s.Take(first, 100))
	require.ErrorAs(t, s.Take(first, 1), &p)
	assert.Equal(t, 429, p.Status)

	// One whose length is known is not even read.
	s.set.HTTP.MaxRequestBodySize = 500
	r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(&errReader{"half", errors.New("was read")}))
	r.ContentLength = 100
	_, err = s.ReadBody(r)
	require.ErrorAs(t, err, &p)
	assert.Equal(t, 429, p.Status)
	first.Release()
	assert.Equal(t, int64(1000), s.bytesLeft.Load())
}

// A sender may say that a gigabyte follows; memory is taken for what arrives.
func TestReadBodyDoesNotTrustContentLength(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(strings.NewReader("small")))
	r.ContentLength = 1 << 40
	body, err := newTestServer(1000).ReadBody(r)
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

func TestConsumerErrorsBecomeTheAnswerThatMakesTheSenderDoRight(t *testing.T) {
	invalid := status.New(codes.InvalidArgument, "two of five are unknown")
	refused := consumererror.NewPermanent(consumererror.NewOTLPGRPCError(invalid.Err(), invalid))
	behind := consumererror.NewPermanent(status.Error(codes.InvalidArgument, "from http://10.0.0.1"))
	broken := consumererror.NewPermanent(errors.New("secret"))
	f := func(err error, want int, message string) {
		t.Helper()
		got := FromConsumer(err, time.Second)
		assert.Equal(t, want, got.Status, "%v", err)
		assert.NotContains(t, got.Message, "secret")
		assert.Equal(t, want == 429 || want == 503, got.RetryAfter > 0)
		if message != "" {
			assert.Equal(t, message, got.Message)
		}
	}
	// Refused as invalid.
	f(refused, 400, "two of five are unknown")
	f(fmt.Errorf("processing: %w", refused), 400, "two of five are unknown")
	f(consumererror.NewPermanent(consumererror.NewOTLPHTTPError(errors.New("no such event"), 400)), 400, "no such event")
	f(behind, 400, "the pipeline refused this as invalid")
	f(errors.Join(refused, behind), 400, "two of five are unknown")
	f(errors.Join(refused, refused), 400, "two of five are unknown")
	// Ours to mend.
	f(broken, 500, "")
	f(consumererror.NewPermanent(status.Error(codes.PermissionDenied, "secret")), 500, "")
	f(consumererror.NewPermanent(consumererror.NewOTLPHTTPError(errors.New("secret"), 401)), 500, "")
	f(errors.Join(refused, broken), 500, "")
	// Another branch still wants the events.
	f(errors.Join(refused, errors.New("secret")), 500, "")
	f(errors.Join(errors.New("secret"), refused), 500, "")
	f(errors.Join(refused, exporterhelper.ErrQueueIsFull), 429, "")
	// Later.
	f(errors.New("secret"), 503, "")
	f(status.Error(codes.InvalidArgument, "secret"), 503, "") // not permanent, so not for good
	f(status.Error(codes.ResourceExhausted, "secret"), 429, "")
	f(consumererror.NewRetryableError(errors.New("secret")), 503, "")
}

func TestLimitTurnsAwayWithTheCodeThatFits(t *testing.T) {
	s := newTestServer(1)
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.Limit(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
		return w
	}
	assert.Equal(t, 404, ask().Code)
	s.slots <- struct{}{}
	assert.Equal(t, 429, ask().Code)
	assert.Equal(t, "7", ask().Header().Get("Retry-After"))
	require.NoError(t, s.Shutdown(t.Context()))
	assert.Equal(t, 503, ask().Code, "whatever else holds")
	assert.Equal(t, "close", ask().Header().Get("Connection"))
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
