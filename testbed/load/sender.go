// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// sender sends one batch once. Safe for concurrent use.
type sender interface {
	send(ctx context.Context, b *batch) outcome
	close() error
}

// outcome is what one attempt came to. The zero outcome is an acknowledgement.
type outcome struct {
	verdict  verdict
	rejected int64         // of an acknowledged OTLP batch, by its partial success
	after    time.Duration // to wait before the next attempt, where the server said so
	// unsure says that events may have been stored although they were not acknowledged.
	unsure bool
	err    error
}

type verdict uint8

const (
	acknowledged verdict = iota
	retryable
	refused // for good
)

// Targets are where to send to. Only those of the paths in use are needed.
type Targets struct {
	OTLPGRPC string // host:port
	OTLPHTTP string // base URL, such as http://127.0.0.1:4318
	Segment  string // base URL, such as http://127.0.0.1:8181
	// SegmentKeys are the write keys by tenant. The generator's SegmentTenants are set to these tenants.
	SegmentKeys map[string]string
	// Gzip compresses what is sent.
	Gzip bool
	// Timeout is that of one attempt (default 30s).
	Timeout time.Duration
}

// QuickstartSegmentKeys is the write key of configs/quickstart.yaml.
func QuickstartSegmentKeys() map[string]string { return map[string]string{"dev": "millrace-dev"} }

// newSender opens one connection, or for HTTP a pool of that many.
func newSender(p Path, t *Targets, tenants []string, connections int) (sender, error) {
	switch p {
	case OTLPGRPC:
		return newGRPCSender(t)
	case OTLPHTTP:
		return newHTTPSender(t.OTLPHTTP+"/v1/logs", t, connections, "application/x-protobuf"), nil
	case Segment:
		s := newHTTPSender(t.Segment+"/v1/batch", t, connections, "application/json")
		for _, tenant := range tenants {
			s.auth = append(s.auth, "Basic "+base64.StdEncoding.EncodeToString([]byte(t.SegmentKeys[tenant]+":")))
		}
		return s, nil
	default:
		return nil, fmt.Errorf("unknown path %d", p)
	}
}

// backoff is how long to wait after the nth failed attempt in a row where the server does not say.
func backoff(n int) time.Duration {
	return min(50*time.Millisecond<<min(n, 10), 5*time.Second)
}

// A server that asks for more than this is taken at this: a test must not hang for an hour.
const maxRetryAfter = time.Minute

func clampRetryAfter(d time.Duration) time.Duration { return max(0, min(d, maxRetryAfter)) }

// deliver sends the batch until it is acknowledged or refused for good, and counts.
func (r *Run) deliver(ctx context.Context, s sender, b *batch, due time.Time) {
	n := int64(b.events)
	r.stats.sent[b.path].Add(n)
	r.stats.bytes.Add(int64(len(b.body)))
	r.manifest.count(b.entries, countSent)
	for failures := 0; ; failures++ {
		out := s.send(ctx, b)
		r.stats.requests.Add(1)
		if out.err != nil && ctx.Err() == nil {
			r.stats.lastError.Store(&out.err)
		}
		switch out.verdict {
		case acknowledged:
			r.stats.latency.observe(time.Since(due))
			if out.rejected > 0 {
				// Which events they were is not told: none of them counts as acknowledged.
				r.stats.refused.Add(min(out.rejected, n))
				r.stats.acked.Add(max(n-out.rejected, 0))
				r.manifest.count(b.entries, countRefused)
				return
			}
			r.stats.acked.Add(n)
			r.manifest.count(b.entries, countAcked)
			return
		case refused:
			r.stats.refused.Add(n)
			r.manifest.count(b.entries, countRefused)
			return
		}
		if out.unsure {
			r.manifest.count(b.entries, countUnsure)
		}
		r.stats.retries.Add(1)
		wait := max(backoff(failures), clampRetryAfter(out.after))
		if !sleep(ctx, wait) {
			r.stats.abandoned.Add(n)
			return
		}
	}
}

// sleep waits, and returns false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// httpStatusError is an answer that is no acknowledgement.
type httpStatusError struct {
	status int
	body   string
}

func (e *httpStatusError) Error() string {
	return fmt.Sprintf("the server answered %d %s: %s", e.status, http.StatusText(e.status), e.body)
}

var errPartial = errors.New("the server rejected a part of a batch")
