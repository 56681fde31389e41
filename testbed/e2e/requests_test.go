// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/testbed/rawgrpc"
)

// bomb is 64 MiB of spaces in 64 kB.
func bomb(t *testing.T) []byte {
	t.Helper()
	return gzipped(t, []byte(strings.Repeat(" ", 64<<20)))
}

func badOTLPRequests(t *testing.T, i *instance) {
	ld, records := events()
	id := newID("never")
	addValid(records, id)
	good := protobuf(t, ld)
	url := i.url("MILLRACE_OTLP_HTTP", "/v1/logs")
	f := func(wantStatus int, wantAnswer string, body []byte, headers ...string) {
		t.Helper()
		status, answer := post(t, url, body, headers...)
		assert.Equal(t, wantStatus, status, answer)
		assert.Contains(t, answer, wantAnswer)
		assert.LessOrEqual(t, len(answer), 2000)
	}
	f(http.StatusBadRequest, "", []byte(`{"resourceLogs": [`), "Content-Type", jsonType)
	f(http.StatusBadRequest, "", []byte(`nonsense`), "Content-Type", jsonType)
	f(http.StatusBadRequest, "", []byte(`{"resourceLogs": 7}`), "Content-Type", jsonType)
	f(http.StatusBadRequest, "", []byte(`{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "32503680000000000000"}]}]}]}`), "Content-Type", jsonType)
	f(http.StatusBadRequest, "", []byte(`{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "xyz"}]}]}]}`), "Content-Type", jsonType)
	f(http.StatusBadRequest, "", []byte(strings.Repeat(`{"resourceLogs":[`, 100_000)), "Content-Type", jsonType)
	f(http.StatusBadRequest, "", good[:len(good)-3], "Content-Type", protobufType)
	f(http.StatusBadRequest, "", []byte("\xff\xff\xff\xff"), "Content-Type", protobufType)
	f(http.StatusUnsupportedMediaType, "unsupported media type", good, "Content-Type", "text/plain")
	f(http.StatusUnsupportedMediaType, "unsupported media type", good)
	f(http.StatusBadRequest, "", good, "Content-Type", protobufType, "Content-Encoding", "gzip")
	f(http.StatusBadRequest, "", gzipped(t, good)[:40], "Content-Type", protobufType, "Content-Encoding", "gzip")
	f(http.StatusBadRequest, "", good, "Content-Type", protobufType, "Content-Encoding", "telepathy")
	f(http.StatusBadRequest, "too large", bomb(t), "Content-Type", jsonType, "Content-Encoding", "gzip")
	f(http.StatusBadRequest, "too large", make([]byte, 21<<20), "Content-Type", protobufType)

	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	code, answer := do(t, r)
	assert.Equal(t, http.StatusMethodNotAllowed, code, answer)

	// Nothing is no mistake.
	f(http.StatusOK, "", nil, "Content-Type", protobufType)
	f(http.StatusOK, "", []byte(`{}`), "Content-Type", jsonType)
	f(http.StatusOK, "", []byte(`{"resourceLogs": [{"scopeLogs": [{"logRecords": []}]}]}`), "Content-Type", jsonType)

	assert.Equal(t, "0", i.one(t, "SELECT count() FROM events WHERE event_id = '%s'", id))
}

func badGRPCRequests(t *testing.T, i *instance) {
	conn, err := grpc.NewClient(i.env["MILLRACE_OTLP_GRPC"], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	f := func(want codes.Code, wantMessage string, body []byte, opts ...grpc.CallOption) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var answer []byte
		err := conn.Invoke(ctx, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", body, &answer, append(opts, rawgrpc.Option())...)
		st := status.Convert(err)
		assert.Equal(t, want, st.Code(), st.Message())
		assert.Contains(t, st.Message(), wantMessage)
	}
	ld, records := events()
	id := newID("never")
	addValid(records, id)
	good := protobuf(t, ld)
	f(codes.Internal, "unmarshal", good[:len(good)-3])
	f(codes.Internal, "unmarshal", []byte("\xff\xff\xff\xff"))
	f(codes.ResourceExhausted, "larger than max", make([]byte, 17<<20))
	f(codes.ResourceExhausted, "larger than max", make([]byte, 64<<20), grpc.UseCompressor("gzip"))
	f(codes.OK, "", nil)
	assert.Equal(t, "0", i.one(t, "SELECT count() FROM events WHERE event_id = '%s'", id))
}

func badSegmentRequests(t *testing.T, i *instance) {
	id := newID("never")
	good := fmt.Sprintf(`{"event": "E", "userId": "u", "messageId": "%s"}`, id)
	f := func(wantStatus int, wantCode, path, body string, headers ...string) {
		t.Helper()
		status, answer := post(t, i.url("MILLRACE_SEGMENT", path), []byte(body), headers...)
		assert.Equal(t, wantStatus, status, answer)
		assert.Contains(t, answer, `"code":"`+wantCode+`"`)
		assert.NotContains(t, answer, "millrace-dev")
		assert.LessOrEqual(t, len(answer), 500)
	}
	auth := []string{"Authorization", segmentAuth}
	f(http.StatusUnauthorized, "invalid_write_key", "/v1/track", good)
	f(http.StatusUnauthorized, "invalid_write_key", "/v1/track", good, "Authorization", "Basic bm9ib2R5Og==")
	f(http.StatusUnauthorized, "invalid_write_key", "/v1/track", good, "Authorization", "Basic !")
	f(http.StatusUnauthorized, "invalid_write_key", "/v1/track", `{"event": "E", "userId": "u", "writeKey": "millrace-de"}`)
	f(http.StatusUnauthorized, "invalid_write_key", "/v1/batch", `{"batch": [], "writeKey": ["millrace-dev"]}`)
	f(http.StatusBadRequest, "invalid_json", "/v1/track", good[:len(good)-2], auth...)
	f(http.StatusBadRequest, "invalid_json", "/v1/track", "", auth...)
	f(http.StatusBadRequest, "invalid_json", "/v1/track", `{"event": "E", "userId": tru}`, auth...)
	f(http.StatusBadRequest, "invalid_json", "/v1/batch", `{"batch": [{"type": "track"}`, auth...)
	f(http.StatusBadRequest, "invalid_json", "/v1/batch", `[]`, auth...)
	f(http.StatusBadRequest, "invalid_json", "/v1/batch", strings.Repeat(`{"batch":[`, 100_000), auth...)
	f(http.StatusBadRequest, "missing_batch", "/v1/batch", good, auth...)
	f(http.StatusBadRequest, "missing_batch", "/v1/batch", `{"batch": {}}`, auth...)
	f(http.StatusBadRequest, "body_unreadable", "/v1/track", good, append(auth, "Content-Encoding", "gzip")...)
	f(http.StatusBadRequest, "body_unreadable", "/v1/track", good, append(auth, "Content-Encoding", "telepathy")...)
	f(http.StatusRequestEntityTooLarge, "body_too_large", "/v1/track", strings.Repeat(" ", 6<<20), auth...)
	f(http.StatusRequestEntityTooLarge, "body_too_large", "/v1/track", string(bomb(t)), append(auth, "Content-Encoding", "gzip")...)
	f(http.StatusRequestEntityTooLarge, "too_many_events", "/v1/batch", `{"batch": [`+strings.Repeat("{},", 20_000)+`{}]}`, auth...)
	f(http.StatusNotFound, "not_found", "/v1/tracks", good, auth...)

	status, answer := postSegment(t, i, "/v1/batch", `{"batch": []}`)
	assert.Equal(t, http.StatusOK, status, answer)
	assert.Equal(t, "0", i.one(t, "SELECT count() FROM events WHERE event_id = '%s'", id))
	assert.Equal(t, "0", i.one(t, "SELECT count() FROM failed_events WHERE event_id = '%s'", id))
}
