// SPDX-License-Identifier: Apache-2.0

package httpingest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confighttp"
)

// Settings are what a Server needs. All fields are required unless they say otherwise.
type Settings struct {
	HTTP                  confighttp.ServerConfig
	MaxConcurrentRequests int           // of handlers wrapped in Limit
	MaxBytes              int64         // of bodies held at once, see ReadBody
	RetryAfter            time.Duration // told to senders that are turned away
	Telemetry             component.TelemetrySettings
	// OnStatus is called with the status of every answer that a handler did not write: a request turned away, or
	// refused by confighttp's authentication or decompression. It may be called by many goroutines.
	OnStatus func(ctx context.Context, status int)
}

// Server is an HTTP server with the life of a collector component. Start and Shutdown are called once each, in
// this order; Limit, ReadBody, Take, Draining and Addr at any time by any goroutine.
type Server struct {
	set      Settings
	slots    chan struct{} // holds one element for each request in a limited handler
	draining atomic.Bool   // set once, by Shutdown

	bytesLeft atomic.Int64 // of Settings.MaxBytes; each body takes what it reads, and gives it back when released

	server   *http.Server   // written by Start, read by Shutdown
	listener net.Listener   // written by Start
	serving  sync.WaitGroup // the goroutine in Serve
}

// NewServer makes a server that does not listen yet.
func NewServer(set Settings) *Server {
	s := &Server{set: set, slots: make(chan struct{}, set.MaxConcurrentRequests)}
	s.bytesLeft.Store(set.MaxBytes)
	return s
}

// Start listens and serves handler until Shutdown. If serving fails later, that is reported to the host as
// fatal.
func (s *Server) Start(ctx context.Context, host component.Host, handler http.Handler) error {
	server, err := s.set.HTTP.ToServer(ctx, host.GetExtensions(), s.set.Telemetry, handler,
		confighttp.WithErrorHandler(s.refuse))
	if err != nil {
		return fmt.Errorf("making HTTP server: %w", err)
	}
	listener, err := s.set.HTTP.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("endpoint: listening on %s: %w: choose another address, or stop what listens there", s.set.HTTP.NetAddr.Endpoint, err)
	}
	s.server, s.listener = server, listener
	s.serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(fmt.Errorf("serving HTTP: %w", err)))
		}
	})
	return nil
}

// Addr returns the address that Start listens on, which differs from the configured one for port 0.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Draining says whether Shutdown has begun.
func (s *Server) Draining() bool { return s.draining.Load() }

// Shutdown turns new requests away with 503 and waits until those under way are answered. When ctx ends first,
// their connections are cut; their senders send again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	if s.server == nil { // Start failed or was never called
		return nil
	}
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("waiting for HTTP requests under way: %w", errors.Join(err, s.server.Close()))
	}
	s.serving.Wait()
	return err
}

// Limit bounds how many requests are in h at once. One more is turned away at once: a queue here would hold
// memory and only delay the news. It is answered with 429, since of that alone senders heed Retry-After, and most try
// longer than on 5xx. During Shutdown any is turned away with 503, so that a load balancer, too, looks elsewhere.
func (s *Server) Limit(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
			s.turnAway(w, r, http.StatusServiceUnavailable, "shutting_down", "this server is shutting down; send this again")
			return
		}
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
			h.ServeHTTP(w, r)
		default:
			s.turnAway(w, r, http.StatusTooManyRequests, "too_many_requests", "too many requests at once; send this again later")
		}
	})
}

func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	s.set.OnStatus(r.Context(), status)
	WriteError(w, &AnswerError{Status: status, Code: code, Message: message, RetryAfter: s.set.RetryAfter})
}

// refuse answers for confighttp, which authenticates and decompresses before any handler.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, message string, status int) {
	s.set.OnStatus(r.Context(), status)
	code := "refused"
	switch status {
	case http.StatusUnauthorized:
		code = "unauthorized"
	case http.StatusBadRequest:
		code = "body_unreadable"
	}
	WriteError(w, &AnswerError{Status: status, Code: code, Message: message})
}

// ValidateHTTP checks what confighttp leaves to run time: bounds that must be there, and names it would panic on.
func ValidateHTTP(c *confighttp.ServerConfig) error {
	if c.NetAddr.Endpoint == "" {
		return errors.New("endpoint is empty: give an address and port, such as 127.0.0.1:8181")
	}
	if _, _, err := net.SplitHostPort(c.NetAddr.Endpoint); err != nil {
		return fmt.Errorf("endpoint %q is no address: give an address and port, such as 127.0.0.1:8181", c.NetAddr.Endpoint)
	}
	if c.MaxRequestBodySize <= 0 {
		return fmt.Errorf("max_request_body_size is %d: give a number of bytes above 0", c.MaxRequestBodySize)
	}
	for _, timeout := range [...]struct {
		name  string
		value time.Duration
	}{
		{"read_timeout", c.ReadTimeout},
		{"read_header_timeout", c.ReadHeaderTimeout},
		{"write_timeout", c.WriteTimeout},
		{"idle_timeout", c.IdleTimeout},
	} {
		if timeout.value <= 0 {
			return fmt.Errorf("%s is %s: give a time above 0, or senders that hang hold their connections for ever", timeout.name, timeout.value)
		}
		if timeout.value < time.Millisecond { // a number without a unit is nanoseconds
			return fmt.Errorf("%s is %s: give a time with its unit, such as 30s", timeout.name, timeout.value)
		}
	}
	for _, a := range c.CompressionAlgorithms {
		switch a {
		case "", "gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4":
		default:
			return fmt.Errorf("compression_algorithms has %q: use \"\", gzip, zstd, zlib, deflate, snappy, x-snappy-framed or lz4", a)
		}
	}
	return nil
}
