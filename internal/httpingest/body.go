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
	"sync/atomic"
)

// maxPooled is the largest buffer that is kept for the next request, in bytes, so that one large body does not
// hold its memory for ever.
const maxPooled = 1 << 20

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Body is a request's body in a pooled buffer. What refers to its bytes is invalid after Release.
type Body struct {
	buf     *bytes.Buffer
	metered *metered
}

// Bytes returns the body.
func (b Body) Bytes() []byte { return b.buf.Bytes() }

// Release gives the buffer and its part of the server's bound back. It is called once.
func (b Body) Release() {
	b.metered.release()
	if b.buf.Cap() <= maxPooled {
		b.buf.Reset()
		buffers.Put(b.buf)
	}
}

// metered takes what it reads from a number of bytes that many bodies share, since a body costs memory by what
// arrives, not by what its headers say.
type metered struct {
	r    io.Reader
	left *atomic.Int64 // shared by all bodies of a server
	held int64
}

var errTooManyBytes = errors.New("too many bytes under way")

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.held += int64(n)
	if m.left.Add(-int64(n)) < 0 {
		return n, errTooManyBytes
	}
	return n, err
}

func (m *metered) release() {
	m.left.Add(m.held)
	m.held = 0
}

// ReadBody reads the whole body, which confighttp has bounded, before and after decompression. It may be called
// by many goroutines. Its error is always a *AnswerError: 413 for a body over the bound, 400 for one that cannot be
// decompressed, 429 where all bodies together would be over Settings.MaxBytes, and 503 where the connection
// failed half-way. The last two a retry mends.
func (s *Server) ReadBody(r *http.Request) (Body, error) {
	buf := buffers.Get().(*bytes.Buffer)
	body := Body{buf: buf, metered: &metered{r: r.Body, left: &s.bytesLeft}}
	n := r.ContentLength
	if n <= s.set.HTTP.MaxRequestBodySize && n > s.bytesLeft.Load() { // known before any is read
		body.Release()
		return Body{}, s.tooManyBytes()
	}
	if n > 0 && n <= maxPooled {
		buf.Grow(int(n) + bytes.MinRead) // more would trust the header with our memory
	}
	_, err := buf.ReadFrom(body.metered)
	if err == nil {
		return body, nil
	}
	body.Release()
	if errors.Is(err, errTooManyBytes) {
		return Body{}, s.tooManyBytes()
	}
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
			Message: "the connection failed before the whole body was there; send it again", RetryAfter: s.set.RetryAfter,
		}
	}
	return Body{}, &AnswerError{
		Status: http.StatusBadRequest, Code: "body_unreadable",
		Message: "the body cannot be read as its Content-Encoding says",
	}
}

// Take counts n more bytes against Settings.MaxBytes until Release, for what a body costs beyond its length. Its
// error is a *AnswerError, with 429.
func (s *Server) Take(b Body, n int64) error {
	b.metered.held += n
	if b.metered.left.Add(-n) < 0 {
		return s.tooManyBytes()
	}
	return nil
}

func (s *Server) tooManyBytes() error {
	return &AnswerError{
		Status: http.StatusTooManyRequests, Code: "too_many_bytes",
		Message: "too many bytes are being worked on at once; send this again later", RetryAfter: s.set.RetryAfter,
	}
}

// connectionFailed tells a broken connection from a body that no retry would make readable. A decompressed body
// has no known length.
func connectionFailed(r *http.Request, err error) bool {
	var netErr net.Error
	return r.Context().Err() != nil || errors.As(err, &netErr) ||
		(errors.Is(err, io.ErrUnexpectedEOF) && r.ContentLength >= 0)
}
