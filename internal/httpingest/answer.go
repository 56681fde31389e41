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
	Message    string        // a sentence for people; of what was sent at most a name
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

// FromConsumer says what to answer when the pipeline did not take a batch. A permanent error is mostly a fault of
// ours (a configuration to mend) and never a code on which a sender drops data: it is 500, which senders retry.
// Only where every branch of the pipeline that failed says that the events themselves are at fault (gRPC
// InvalidArgument, HTTP 400) it is 400. Pressure that says so (a full queue, a gRPC ResourceExhausted, an HTTP 429
// behind us) is 429; all else is 503.
func FromConsumer(err error, retryAfter time.Duration) *AnswerError {
	if isPressure(err) {
		return &AnswerError{
			Status: http.StatusTooManyRequests, Code: "overloaded",
			Message: "the pipeline is full; send this again later", RetryAfter: retryAfter,
		}
	}
	if !consumererror.IsPermanent(err) {
		return &AnswerError{
			Status: http.StatusServiceUnavailable, Code: "unavailable",
			Message: "the pipeline cannot take this now; send it again later", RetryAfter: retryAfter,
		}
	}
	if message, refused := refusal(err); refused {
		return &AnswerError{Status: http.StatusBadRequest, Code: "refused", Message: message}
	}
	return &AnswerError{
		Status: http.StatusInternalServerError, Code: "pipeline_error",
		Message: "the pipeline cannot take this; its operator finds the reason in the log",
	}
}

// refusal says whether the pipeline refused the events themselves, and what the sender is told. Of several
// branches each must: one that a retry or we can mend outweighs the others, since a sender that reads 400 never
// sends again.
func refusal(err error) (message string, refused bool) {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if branches, ok := e.(interface{ Unwrap() []error }); ok {
			return refusalOfAll(branches.Unwrap())
		}
	}
	if !consumererror.IsPermanent(err) {
		return "", false
	}
	var told *consumererror.Error // a component's own word to the sender
	if errors.As(err, &told) {
		if consumererror.ToHTTPStatus(told) != http.StatusBadRequest {
			return "", false
		}
		return consumererror.ToGRPCStatus(told).Message(), true // on another error it would dereference nil
	}
	// From behind an exporter, whose texts name our hosts.
	st, ok := status.FromError(err)
	return "the pipeline refused this as invalid", ok && st.Code() == codes.InvalidArgument
}

func refusalOfAll(branches []error) (first string, refused bool) {
	for i, err := range branches {
		message, refused := refusal(err)
		if !refused {
			return "", false
		}
		if i == 0 {
			first = message
		}
	}
	return first, len(branches) > 0
}

func isPressure(err error) bool {
	if errors.Is(err, exporterhelper.ErrQueueIsFull) || consumererror.ToHTTPStatus(err) == http.StatusTooManyRequests {
		return true
	}
	st, ok := status.FromError(err)
	return ok && st.Code() == codes.ResourceExhausted
}
