// SPDX-License-Identifier: Apache-2.0

package httpingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxPooled is the largest buffer that is kept for the next request, in bytes, so that one large body does not
// hold its memory for ever.
const maxPooled = 1 << 20

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Body is a request's body in a pooled buffer. What refers to its bytes is invalid after Release.
type Body struct{ buf *bytes.Buffer }

// Bytes returns the body.
func (b Body) Bytes() []byte { return b.buf.Bytes() }

// Release gives the buffer back. It is called once.
func (b Body) Release() {
	if b.buf.Cap() <= maxPooled {
		b.buf.Reset()
		buffers.Put(b.buf)
	}
}

// ReadBody reads the whole body, which confighttp has bounded, before and after decompression. Its error is
// always a *AnswerError: 413 for a body over the bound, 400 for one that cannot be decompressed, and 503 where the
// connection failed half-way, which a retry mends.
func ReadBody(r *http.Request, retryAfter time.Duration) (Body, error) {
	buf := buffers.Get().(*bytes.Buffer)
	body := Body{buf: buf}
	if n := r.ContentLength; n > 0 && n <= maxPooled {
		buf.Grow(int(n) + bytes.MinRead) // more would trust the header with our memory
	}
	_, err := buf.ReadFrom(r.Body)
	if err == nil {
		return body, nil
	}
	body.Release()
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return Body{}, &AnswerError{
			Status: http.StatusRequestEntityTooLarge, Code: "body_too_large",
			Message: fmt.Sprintf("the body is larger than %d bytes, as sent or decompressed; send smaller batches", tooLarge.Limit),
		}
	}
	if connectionFailed(r, err) {
		return Body{}, &AnswerError{
			Status: http.StatusServiceUnavailable, Code: "body_incomplete",
			Message: "the connection failed before the whole body was there; send it again", RetryAfter: retryAfter,
		}
	}
	return Body{}, &AnswerError{
		Status: http.StatusBadRequest, Code: "body_unreadable",
		Message: "the body cannot be read as its Content-Encoding says",
	}
}

// connectionFailed tells a broken connection from a body that no retry would make readable. A decompressed body
// has no known length.
func connectionFailed(r *http.Request, err error) bool {
	var netErr net.Error
	return r.Context().Err() != nil || errors.As(err, &netErr) ||
		(errors.Is(err, io.ErrUnexpectedEOF) && r.ContentLength >= 0)
}
