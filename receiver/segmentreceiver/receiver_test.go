// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/httpingest"
	"github.com/millrace/millrace/receiver/segmentreceiver/internal/metadata"
	"github.com/millrace/millrace/receiver/segmentreceiver/internal/metadatatest"
)

const testKey = "millrace-dev"

// sink is a pipeline that keeps what it takes. answer decides, under the mutex, what becomes of a batch.
type sink struct {
	mu     sync.Mutex
	answer func() error
	events []event.Event
}

var _ consumer.Logs = (*sink)(nil)

func (*sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *sink) ConsumeLogs(_ context.Context, ld plog.Logs) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer != nil {
		if err := s.answer(); err != nil {
			return err
		}
	}
	var r event.Reader
	r.Reset(event.FromLogs(ld))
	for e := r.Next(); e != nil; e = r.Next() {
		kept := *e
		kept.Properties, kept.Context = nil, nil
		s.events = append(s.events, kept)
	}
	return nil
}

func (s *sink) taken() []event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]event.Event(nil), s.events...)
}

// start runs a receiver on a free port until the test ends and returns its URL.
func start(t *testing.T, next consumer.Logs, change func(*Config), set ...receiver.Settings) (*segmentReceiver, string) {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	cfg.RetryAfter = time.Second
	cfg.WriteKeys = []httpingest.WriteKey{
		{Key: testKey, Tenant: "shop", Source: "web"},
		{Key: "other-key", Tenant: "other"},
	}
	if change != nil {
		change(cfg)
	}
	require.NoError(t, cfg.Validate())
	settings := receivertest.NewNopSettings(metadata.Type)
	if len(set) > 0 {
		settings = set[0]
	}
	r, err := newReceiver(settings, cfg, next)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, r.Shutdown(context.Background())) })
	return r, "http://" + r.server.Addr().String()
}

type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	got, err := try(t.Context(), method, url, body, headers...)
	require.NoError(t, err)
	return got
}

// sendTrack sends one event in the background.
func sendTrack(t *testing.T, url string) <-chan answer {
	t.Helper()
	done := make(chan answer, 1)
	go func() {
		got, err := try(t.Context(), http.MethodPost, url+"/v1/track", `{"event":"e"}`, "Authorization", basic(testKey))
		assert.NoError(t, err)
		done <- got
	}()
	return done
}

// try makes a request on a connection of its own, so that none outlives the test.
func try(ctx context.Context, method, url, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

func basic(key string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"))
}

func TestEveryPathTakesItsEvents(t *testing.T) {
	s := &sink{}
	_, url := start(t, s, nil)
	f := func(path, body string, want ...string) {
		t.Helper()
		before := len(s.taken())
		got := send(t, http.MethodPost, url+path, body, "Authorization", basic(testKey), "Content-Type", "application/json")
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.Equal(t, `{"success":true}`, got.body)
		require.Equal(t, "application/json", got.header.Get("Content-Type"))
		var names []string
		for _, e := range s.taken()[before:] {
			names = append(names, e.Name)
			assert.Equal(t, "shop", e.Tenant)
			assert.Equal(t, "web", e.Source)
			assert.False(t, e.Failed, e.Failure)
			assert.WithinDuration(t, time.Now(), e.Received.AsTime(), time.Minute)
		}
		require.Equal(t, want, names)
	}
	for _, short := range []bool{false, true} {
		for _, typ := range []string{"identify", "page", "screen", "group", "alias"} {
			path := "/v1/" + typ
			if short {
				path = "/v1/" + typ[:1]
			}
			f(path, `{"userId":"u"}`, typ)
		}
	}
	f("/v1/track", `{"event":"Signed Up"}`, "Signed Up")
	f("/v1/t", `{"event":"Signed Up"}`, "Signed Up")
	for _, path := range []string{"/v1/batch", "/v1/import", "/v1/b"} {
		f(path, `{"batch":[{"type":"track","event":"a"},{"type":"page"}]}`, "a", "page")
	}
	f("/v1/batch", `{"batch":[]}`)
	f("/v1/m", `{"series":[{"type":"Counter"}]}`)
}

func TestAnswersAreThoseThatSDKsExpect(t *testing.T) {
	s := &sink{}
	_, url := start(t, s, func(c *Config) {
		c.MaxRequestBodySize, c.MaxBatchEvents = 1000, 3
		c.CompressionAlgorithms = append(c.CompressionAlgorithms, "zstd") // as an operator may
	})
	gzipped := func(body string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(body))
		require.NoError(t, w.Close())
		return b.String()
	}
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	defer func() { _ = encoder.Close() }()
	track := `{"event":"e"}`
	big := `{"event":"e","properties":{"a":"` + strings.Repeat("a", 1000) + `"}}`
	f := func(name, method, path, body string, wantStatus int, wantCode string, headers ...string) {
		t.Helper()
		got := send(t, method, url+path, body, headers...)
		assert.Equal(t, wantStatus, got.status, "%s: %s", name, got.body)
		var parsed struct {
			Success bool
			Code    string
			Message string
		}
		require.NoError(t, json.Unmarshal([]byte(got.body), &parsed), "%s: %s", name, got.body)
		assert.Equal(t, wantCode, parsed.Code, name)
		assert.Equal(t, wantCode == "", parsed.Success, name)
		assert.Equal(t, wantCode == "", parsed.Message == "", name)
	}
	auth := func(key string) []string { return []string{"Authorization", basic(key)} }
	with := func(more ...string) []string { return append(auth(testKey), more...) }

	f("good", http.MethodPost, "/v1/track", track, 200, "", auth(testKey)...)
	f("no colon", http.MethodPost, "/v1/track", track, 200, "", "Authorization", "basic "+base64.StdEncoding.EncodeToString([]byte(testKey)))
	f("sendBeacon", http.MethodPost, "/v1/t", `{"event":"e","writeKey":"millrace-dev"}`, 200, "", "Content-Type", "text/plain;charset=UTF-8")
	f("key behind the batch", http.MethodPost, "/v1/batch", `{"batch":[{"type":"page"}],"writeKey":"other-key"}`, 200, "")
	f("OAuth", http.MethodPost, "/v1/track", `{"event":"e","writeKey":"millrace-dev"}`, 200, "", "Authorization", "Bearer token")
	f("gzip", http.MethodPost, "/v1/track", gzipped(track), 200, "", with("Content-Encoding", "gzip")...)
	f("zstd", http.MethodPost, "/v1/track", string(encoder.EncodeAll([]byte(track), nil)), 200, "", with("Content-Encoding", "zstd")...)
	f("failed event", http.MethodPost, "/v1/track", `{}`, 200, "", auth(testKey)...)

	f("wrong key", http.MethodPost, "/v1/track", track, 401, "invalid_write_key", auth("nope")...)
	f("wrong key, right one in body", http.MethodPost, "/v1/track", `{"event":"e","writeKey":"millrace-dev"}`, 401, "invalid_write_key", auth("nope")...)
	f("no key", http.MethodPost, "/v1/track", track, 401, "invalid_write_key")
	f("empty key", http.MethodPost, "/v1/track", track, 401, "invalid_write_key", auth("")...)
	f("not base64", http.MethodPost, "/v1/track", track, 401, "invalid_write_key", "Authorization", "Basic !!!")
	f("token only", http.MethodPost, "/v1/track", track, 401, "invalid_write_key", "Authorization", "Bearer millrace-dev")
	f("wrong key in body", http.MethodPost, "/v1/batch", `{"batch":[],"writeKey":"nope"}`, 401, "invalid_write_key")
	f("key of wrong type", http.MethodPost, "/v1/batch", `{"batch":[],"writeKey":{"a":1}}`, 401, "invalid_write_key")

	f("not JSON", http.MethodPost, "/v1/track", "event=e", 400, "invalid_json", auth(testKey)...)
	f("not JSON, no key", http.MethodPost, "/v1/track", "event=e", 400, "invalid_json")
	f("no body", http.MethodPost, "/v1/batch", "", 400, "invalid_json", auth(testKey)...)
	f("no batch", http.MethodPost, "/v1/batch", `{}`, 400, "missing_batch", auth(testKey)...)
	f("not gzip", http.MethodPost, "/v1/track", track, 400, "body_unreadable", with("Content-Encoding", "gzip")...)
	f("cut gzip", http.MethodPost, "/v1/track", gzipped(track)[:25], 400, "body_unreadable", with("Content-Encoding", "gzip")...)
	f("unknown encoding", http.MethodPost, "/v1/track", track, 400, "body_unreadable", with("Content-Encoding", "rot13")...)
	f("oversize", http.MethodPost, "/v1/track", big, 413, "body_too_large", auth(testKey)...)
	f("gzip bomb", http.MethodPost, "/v1/track", gzipped(big), 413, "body_too_large", with("Content-Encoding", "gzip")...)
	f("zstd bomb", http.MethodPost, "/v1/track", string(encoder.EncodeAll([]byte(big), nil)), 413, "body_too_large", with("Content-Encoding", "zstd")...)
	f("too many events", http.MethodPost, "/v1/batch", `{"batch":[1,2,3,4]}`, 413, "too_many_events", auth(testKey)...)
	f("unknown path", http.MethodPost, "/v1/tracks", track, 404, "not_found", auth(testKey)...)
	f("root", http.MethodGet, "/", "", 404, "not_found")
	f("wrong method", http.MethodGet, "/v1/track", "", 405, "method_not_allowed", auth(testKey)...)
	f("settings of an unknown key", http.MethodGet, "/v1/projects/nope/settings", "", 401, "invalid_write_key")

	assert.Len(t, s.taken(), 8)
}

// Eleven bytes may say that their window is 512 MiB: what no SDK sends is not read.
func TestBodiesThatDemandMemoryByTheirHeaderAreNotRead(t *testing.T) {
	_, url := start(t, &sink{}, nil)
	window := "\x28\xb5\x2f\xfd\x00" + string([]byte{19 << 3}) + "\x11\x00\x00{}"
	for _, encoding := range []string{"zstd", "lz4", "snappy", "x-snappy-framed"} {
		got := send(t, http.MethodPost, url+"/v1/track", window, "Authorization", basic(testKey), "Content-Encoding", encoding)
		assert.Equal(t, 400, got.status)
		assert.Contains(t, got.body, "unsupported Content-Encoding: "+encoding)
	}
}

func TestTooManyBytesAtOnceAreTurnedAway(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := &sink{answer: func() error { entered <- struct{}{}; <-leave; return nil }}
	_, url := start(t, s, func(c *Config) { c.MaxRequestBodySize, c.MaxBatchEvents, c.MaxBytesInFlight = 20, 1, 52 })
	first := sendTrack(t, url)
	<-entered
	second := send(t, http.MethodPost, url+"/v1/track", `{"event":"e"}`, "Authorization", basic(testKey))
	assert.Equal(t, 429, second.status)
	assert.Contains(t, second.body, "too_many_bytes")
	assert.Equal(t, "1", second.header.Get("Retry-After"))
	close(leave)
	assert.Equal(t, 200, (<-first).status)
	go func() { <-entered }()
	assert.Equal(t, 200, send(t, http.MethodPost, url+"/v1/track", `{"event":"e"}`, "Authorization", basic(testKey)).status, "the bytes are free again")
}

func TestConsumerErrorsAreADropForTheSenderOnlyIfInvalid(t *testing.T) {
	f := func(err error, wantStatus int, wantCode, wantRetryAfter string) {
		t.Helper()
		s := &sink{answer: func() error { return err }}
		_, url := start(t, s, func(c *Config) { c.RetryAfter = 1500 * time.Millisecond })
		got := send(t, http.MethodPost, url+"/v1/track", `{"event":"e"}`, "Authorization", basic(testKey))
		assert.Equal(t, wantStatus, got.status)
		assert.Contains(t, got.body, `"`+wantCode+`"`)
		assert.NotContains(t, got.body, "secret")
		assert.Equal(t, wantRetryAfter, got.header.Get("Retry-After"))
	}
	f(errors.New("secret address refused"), 503, "unavailable", "2")
	f(context.DeadlineExceeded, 503, "unavailable", "2")
	f(consumererror.NewRetryableError(errors.New("secret")), 503, "unavailable", "2")
	f(status.Error(codes.Unavailable, "secret"), 503, "unavailable", "2")
	f(fmt.Errorf("sending: %w", exporterhelper.ErrQueueIsFull), 429, "overloaded", "2")
	f(fmt.Errorf("sending: %w", status.Error(codes.ResourceExhausted, "secret")), 429, "overloaded", "2")
	f(consumererror.NewOTLPHTTPError(errors.New("secret"), 429), 429, "overloaded", "2")
	f(consumererror.NewPermanent(errors.New("secret")), 500, "pipeline_error", "")
	f(consumererror.NewPermanent(status.Error(codes.InvalidArgument, "secret")), 400, "refused", "")
}

func TestTooManyRequestsAtOnceAreTurnedAway(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := &sink{answer: func() error { entered <- struct{}{}; <-leave; return nil }}
	_, url := start(t, s, func(c *Config) { c.MaxConcurrentRequests = 1 })
	first := sendTrack(t, url)
	<-entered

	second := send(t, http.MethodPost, url+"/v1/track", `{"event":"e"}`, "Authorization", basic(testKey))
	assert.Equal(t, 429, second.status, "of which alone SDKs heed Retry-After")
	assert.Contains(t, second.body, "too_many_requests")
	assert.Equal(t, "1", second.header.Get("Retry-After"))
	assert.Equal(t, 200, send(t, http.MethodGet, url+"/health", "").status, "health must answer under load")

	close(leave)
	assert.Equal(t, 200, (<-first).status)
	go func() { <-entered }()
	assert.Equal(t, 200, send(t, http.MethodPost, url+"/v1/track", `{"event":"e"}`, "Authorization", basic(testKey)).status, "the place is free again")
}

func TestShutdownAnswersWhatIsUnderWayAndRefusesTheRest(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := &sink{answer: func() error { entered <- struct{}{}; <-leave; return nil }}
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	cfg.WriteKeys = []httpingest.WriteKey{{Key: testKey}}
	r, err := newReceiver(receivertest.NewNopSettings(metadata.Type), cfg, s)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	url := "http://" + r.server.Addr().String()

	first := sendTrack(t, url)
	<-entered
	stopped := make(chan error)
	go func() { stopped <- r.Shutdown(context.Background()) }()
	require.Eventually(t, r.server.Draining, time.Minute, time.Millisecond)

	// A request on a connection from before the shutdown reaches the handlers still.
	w := &recorder{header: http.Header{}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/track", strings.NewReader(`{"event":"late"}`))
	require.NoError(t, err)
	r.routes().ServeHTTP(w, req)
	assert.Equal(t, 503, w.status)
	assert.Equal(t, "10", w.header.Get("Retry-After"))
	w = &recorder{header: http.Header{}}
	req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, "/health", nil)
	require.NoError(t, err)
	r.routes().ServeHTTP(w, req)
	assert.Equal(t, 503, w.status)

	select {
	case err := <-stopped:
		t.Fatalf("shut down before the request under way was answered: %v", err)
	default:
	}
	close(leave)
	assert.Equal(t, 200, (<-first).status)
	require.NoError(t, <-stopped)
	assert.Len(t, s.taken(), 1)
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) WriteHeader(status int)      { r.status = status }

func TestShutdownGivesUpWhenItsTimeIsOver(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := &sink{answer: func() error { entered <- struct{}{}; <-leave; return nil }}
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	cfg.WriteKeys = []httpingest.WriteKey{{Key: testKey}}
	r, err := newReceiver(receivertest.NewNopSettings(metadata.Type), cfg, s)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, err := try(t.Context(), http.MethodPost, "http://"+r.server.Addr().String()+"/v1/track", `{"event":"e"}`,
			"Authorization", basic(testKey))
		assert.Error(t, err, "its connection is cut, so that it sends again")
	}()
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, r.Shutdown(ctx), context.Canceled)
	<-gone
	close(leave)
}

func TestBrowsersMayAskFirst(t *testing.T) {
	_, url := start(t, &sink{}, func(c *Config) {
		c.CORS = configoptional.Some(confighttp.CORSConfig{
			AllowedOrigins: []string{"https://shop.example.com"},
			AllowedHeaders: createDefaultConfig().(*Config).CORS.GetOrInsertDefault().AllowedHeaders,
		})
	})
	ask := func(origin string) answer {
		return send(t, http.MethodOptions, url+"/v1/t", "", "Origin", origin, "Access-Control-Request-Method", http.MethodPost,
			"Access-Control-Request-Headers", "authorization,content-type,x-retry-count")
	}
	got := ask("https://shop.example.com")
	assert.Equal(t, 204, got.status)
	assert.Equal(t, "https://shop.example.com", got.header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "authorization,content-type,x-retry-count", got.header.Get("Access-Control-Allow-Headers"))
	assert.Empty(t, ask("https://elsewhere.example.com").header.Get("Access-Control-Allow-Origin"))

	refused := send(t, http.MethodPost, url+"/v1/t", "{}", "Origin", "https://shop.example.com")
	assert.Equal(t, 401, refused.status)
	assert.Equal(t, "https://shop.example.com", refused.header.Get("Access-Control-Allow-Origin"), "a page can read why")
}

func TestSettingsTellBrowsersWhereToSend(t *testing.T) {
	f := func(publicURL, wantProtocol, wantHost string) {
		t.Helper()
		_, url := start(t, &sink{}, func(c *Config) { c.PublicURL = publicURL })
		got := send(t, http.MethodGet, url+"/v1/projects/"+testKey+"/settings", "")
		require.Equal(t, 200, got.status)
		var settings struct {
			Integrations map[string]struct{ APIKey, APIHost, Protocol string }
			Metrics      struct{ SampleRate *float64 }
			Plan         map[string]any
		}
		require.NoError(t, json.Unmarshal([]byte(got.body), &settings))
		require.Len(t, settings.Integrations, 1, "more would make the SDK load other destinations")
		segment := settings.Integrations["Segment.io"]
		assert.Equal(t, testKey, segment.APIKey)
		assert.Equal(t, wantProtocol, segment.Protocol)
		if wantHost == "" {
			wantHost = strings.TrimPrefix(url, "http://") + "/v1"
		}
		assert.Equal(t, wantHost, segment.APIHost)
		require.NotNil(t, settings.Metrics.SampleRate)
		assert.Zero(t, *settings.Metrics.SampleRate)
	}
	f("", "http", "")
	f("https://events.example.com", "https", "events.example.com/v1")
	f("https://www.example.com/events/", "https", "www.example.com/events/v1")
}

func TestTelemetryCountsRequestsAndFailures(t *testing.T) {
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(context.Background())) }()
	set := receivertest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = tel.NewTelemetrySettings()
	_, url := start(t, &sink{}, func(c *Config) { c.MaxRequestBodySize = 1000 }, set)
	body := `{"batch":[{"type":"track","event":"e"},{"type":"track"},{"type":"track"},7]}`
	send(t, http.MethodPost, url+"/v1/batch", body, "Authorization", basic(testKey))
	send(t, http.MethodPost, url+"/v1/batch", body)
	send(t, http.MethodPost, url+"/v1/batch", "x", "Content-Encoding", "gzip")

	metadatatest.AssertEqualReceiverSegmentFailedEvents(t, tel, []metricdata.DataPoint[int64]{
		{Value: 2, Attributes: attribute.NewSet(attribute.String("reason", "missing_event_name"))},
		{Value: 1, Attributes: attribute.NewSet(attribute.String("reason", "not_an_object"))},
	}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
	metadatatest.AssertEqualReceiverSegmentRequests(t, tel, []metricdata.DataPoint[int64]{
		{Value: 1, Attributes: attribute.NewSet(attribute.Int("http.response.status_code", 200))},
		{Value: 1, Attributes: attribute.NewSet(attribute.Int("http.response.status_code", 401))},
		{Value: 1, Attributes: attribute.NewSet(attribute.Int("http.response.status_code", 400))},
	}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
	accepted, err := tel.GetMetric("otelcol_receiver_accepted_log_records")
	require.NoError(t, err)
	assert.Equal(t, int64(4), accepted.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
}

func TestATakenPortIsAnErrorAtStart(t *testing.T) {
	_, url := start(t, &sink{}, nil)
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = strings.TrimPrefix(url, "http://")
	cfg.WriteKeys = []httpingest.WriteKey{{Key: testKey}}
	r, err := newReceiver(receivertest.NewNopSettings(metadata.Type), cfg, &sink{})
	require.NoError(t, err)
	require.ErrorContains(t, r.Start(t.Context(), componenttest.NewNopHost()), "listening on "+cfg.NetAddr.Endpoint)
	require.NoError(t, r.Shutdown(context.Background()))
}
