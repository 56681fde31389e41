// SPDX-License-Identifier: Apache-2.0

package httpingest

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/internal/event"
)

// AnswerError is an answer other than success. It is an error, so that a step of a request can return it.
type AnswerError struct {
	Status     int           // HTTP status
	Code       string        // a word for programs, such as "invalid_write_key"
	Message    string        // a sentence for people; never a value that was sent
	RetryAfter time.Duration // 0 sends no Retry-After header; rounded up to whole seconds
}

var _ error = (*AnswerError)(nil)

// Error returns the message.
func (p *AnswerError) Error() string { return p.Message }

// WriteError answers with p as a JSON object of "success" (false), "code" and "message".
func WriteError(w http.ResponseWriter, p *AnswerError) {
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
	body := append([]byte(`{"success":false,"code":`), event.AppendJSONString(nil, p.Code)...)
	body = append(body, `,"message":`...)
	body = append(event.AppendJSONString(body, p.Message), '}')
	WriteJSON(w, p.Status, body)
}

// WriteJSON answers with a status and a body that is JSON already.
func WriteJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the sender is gone if this fails, and will send again
}

// FromConsumer says what to answer when the pipeline did not take a batch. It is never a code on which a
// sender drops data: a permanent error is a fault of ours (a configuration to mend), so it is 500, which
// senders retry; pressure that says so (a full queue, a gRPC ResourceExhausted, an HTTP 429 behind us) is 429;
// all else is 503.
func FromConsumer(err error, retryAfter time.Duration) *AnswerError {
	switch {
	case isPressure(err):
		return &AnswerError{
			Status: http.StatusTooManyRequests, Code: "overloaded",
			Message: "the pipeline is full; send this again later", RetryAfter: retryAfter,
		}
	case consumererror.IsPermanent(err):
		return &AnswerError{
			Status: http.StatusInternalServerError, Code: "pipeline_error",
			Message: "the pipeline cannot take this; its operator finds the reason in the log",
		}
	default:
		return &AnswerError{
			Status: http.StatusServiceUnavailable, Code: "unavailable",
			Message: "the pipeline cannot take this now; send it again later", RetryAfter: retryAfter,
		}
	}
}

func isPressure(err error) bool {
	if errors.Is(err, exporterhelper.ErrQueueIsFull) || consumererror.ToHTTPStatus(err) == http.StatusTooManyRequests {
		return true
	}
	st, ok := status.FromError(err)
	return ok && st.Code() == codes.ResourceExhausted
}
