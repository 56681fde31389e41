// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // makes the compressor known
)

var lastID atomic.Int64

// newID returns an event ID that no other event of the process has.
func newID(what string) string { return fmt.Sprintf("%s-%d", what, lastID.Add(1)) }

// events begins a batch of one resource.
func events() (plog.Logs, plog.LogRecordSlice) {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "e2e")
	return ld, rl.ScopeLogs().AppendEmpty().LogRecords()
}

// addValid adds an event that its schema, signed_up, has nothing against.
func addValid(to plog.LogRecordSlice, id string) plog.LogRecord {
	lr := to.AppendEmpty()
	lr.SetEventName("signed_up")
	now := time.Now()
	lr.SetTimestamp(pcommon.NewTimestampFromTime(now))
	a := lr.Attributes()
	a.PutStr("log.record.uid", id)
	a.PutStr("signup_method", "email")
	a.PutStr("email", "a@example.com")
	a.PutStr("device_type", "mobile")
	a.PutStr("country", "DE")
	return lr
}

// sendGRPC returns the error as the sender gets it.
func sendGRPC(i *instance, ld plog.Logs) error {
	conn, err := grpc.NewClient(i.env["MILLRACE_OTLP_GRPC"], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err = plogotlp.NewGRPCClient(conn).Export(ctx, plogotlp.NewExportRequestFromLogs(ld))
	return err
}

func protobuf(tb testing.TB, ld plog.Logs) []byte {
	tb.Helper()
	b, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	require.NoError(tb, err)
	return b
}

// post sends a body and returns status and answer.
func post(tb testing.TB, url string, body []byte, headers ...string) (int, string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	require.NoError(tb, err)
	for h := 0; h < len(headers); h += 2 {
		r.Header.Set(headers[h], headers[h+1])
	}
	return do(tb, r)
}

func do(tb testing.TB, r *http.Request) (int, string) {
	tb.Helper()
	answer, err := http.DefaultClient.Do(r)
	require.NoError(tb, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(tb, err)
	return answer.StatusCode, string(text)
}

const (
	jsonType     = "application/json"
	protobufType = "application/x-protobuf"
	// segmentAuth is the quickstart's write key, as a user name without a password.
	segmentAuth = "Basic bWlsbHJhY2UtZGV2Og=="
)

// postSegment sends to Segment's API with the quickstart's key.
func postSegment(tb testing.TB, i *instance, path, body string) (int, string) {
	tb.Helper()
	return post(tb, i.url("MILLRACE_SEGMENT", path), []byte(body), "Authorization", segmentAuth)
}

func gzipped(tb testing.TB, b []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(tb, err)
	require.NoError(tb, w.Close())
	return out.Bytes()
}
