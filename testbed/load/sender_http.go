// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
)

// httpSender posts OTLP/HTTP requests or, where it has write keys, Segment's batches.
type httpSender struct {
	client      *http.Client
	url         string
	contentType string
	gzip        bool
	auth        []string // by tenant
}

var _ sender = (*httpSender)(nil)

func newHTTPSender(url string, t *Targets, connections int, contentType string) *httpSender {
	return &httpSender{
		url: url, contentType: contentType, gzip: t.Gzip,
		client: &http.Client{Timeout: t.Timeout, Transport: &http.Transport{
			MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections,
			DisableCompression: true, WriteBufferSize: 64 << 10,
		}},
	}
}

func (s *httpSender) close() error {
	s.client.CloseIdleConnections()
	return nil
}

func (s *httpSender) send(ctx context.Context, b *batch) outcome {
	body := b.body
	if s.gzip {
		body = compress(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return outcome{verdict: refused, err: fmt.Errorf("making a request: %w", err)}
	}
	req.Header.Set("Content-Type", s.contentType)
	if s.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	if s.auth != nil {
		req.Header.Set("Authorization", s.auth[b.tenant])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return outcome{verdict: retryable, unsure: !errors.Is(err, syscall.ECONNREFUSED), err: fmt.Errorf("sending: %w", err)}
	}
	defer func() { _ = resp.Body.Close() }() // what matters was read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	switch {
	case resp.StatusCode/100 == 2 && err != nil:
		return outcome{verdict: retryable, unsure: true, err: fmt.Errorf("reading the answer: %w", err)}
	case resp.StatusCode/100 == 2 && s.auth == nil:
		return partialSuccess(answer)
	case resp.StatusCode/100 == 2:
		return outcome{}
	}
	out := outcome{verdict: refused, unsure: true, err: &httpStatusError{resp.StatusCode, plainText(answer)}}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusBadGateway,
		code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout,
		code/100 == 5 && s.auth != nil: // Segment's SDKs retry these, OTLP's do not
		out.verdict = retryable
		out.after = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return out
}

// retryAfter reads the header's seconds or date; 0 where there is neither.
func retryAfter(h string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(h, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(h); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// plainText makes the start of an answer fit for one line of a terminal.
func plainText(b []byte) string {
	s := strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == '�' {
			return -1
		}
		return r
	}, string(b))
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant that exists
	}
	return w
}}

func compress(b []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(b) / 4)
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	w.Reset(&out)
	_, _ = w.Write(b) // a bytes.Buffer takes all
	_ = w.Close()
	return out.Bytes()
}
