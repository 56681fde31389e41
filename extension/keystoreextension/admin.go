// SPDX-License-Identifier: Apache-2.0

package keystoreextension

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/audit"
)

// Bounds of a request.
const (
	maxBody        = 1 << 20
	maxValues      = 1000
	maxAtOnce      = 16
	maxPurpose     = 512 // characters
	maxActor       = 128
	maxTenant      = 256
	requestTimeout = time.Minute
)

// strangersPause is how long after a record of requests without a right token there is none of others: they are counted, and the next record
// has their number. Whoever knocks must not fill the disk.
const strangersPause = 10 * time.Second

// admin is the endpoint.
type admin struct {
	store  *keyStore
	cfg    *AdminConfig
	tokens atomic.Pointer[[]token] // written by newAdmin and reload
	slots  chan struct{}           // has an element for each request under way

	mu        sync.Mutex // guards what follows; any goroutine
	strangers int64      // since the last record
	recorded  time.Time

	server   *http.Server // written by start
	listener net.Listener // the same
	serving  sync.WaitGroup
}

func newAdmin(s *keyStore, cfg *AdminConfig) (*admin, error) {
	a := &admin{store: s, cfg: cfg, slots: make(chan struct{}, maxAtOnce)}
	if err := a.reload(); err != nil {
		return nil, err
	}
	return a, nil
}

// reload reads the tokens anew. After an error the former ones stay.
func (a *admin) reload() error {
	list, err := readTokens(a.cfg.TokenFile)
	if err != nil {
		return fmt.Errorf("admin::token_file: %w", err)
	}
	a.tokens.Store(&list)
	return nil
}

func (a *admin) start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Endpoint)
	if err != nil {
		return fmt.Errorf("admin::endpoint: listening on %s: %w: choose another address, or stop what listens there", a.cfg.Endpoint, err)
	}
	a.server = &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 2 * requestTimeout, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       zap.NewStdLog(a.store.logger),
	}
	if a.cfg.TLS != nil {
		if a.server.TLSConfig, err = a.cfg.TLS.LoadTLSConfig(ctx); err != nil {
			_ = listener.Close()
			return fmt.Errorf("admin::tls: %w", err)
		}
	}
	a.listener = listener
	a.serving.Go(func() {
		serve := func() error { return a.server.Serve(listener) }
		if a.cfg.TLS != nil {
			serve = func() error { return a.server.ServeTLS(listener, "", "") }
		}
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(a.store.host, componentstatus.NewFatalErrorEvent(fmt.Errorf("admin::endpoint: serving: %w", err)))
		}
	})
	a.store.logger.Info("Listening for those who may read values back or have a person forgotten", zap.Stringer("address", listener.Addr()))
	return nil
}

// shutdown waits for the requests under way, as long as ctx lets it.
func (a *admin) shutdown(ctx context.Context) error {
	if a.listener == nil {
		return nil
	}
	err := a.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("waiting for requests under way: %w", errors.Join(err, a.server.Close()))
	}
	a.serving.Wait()
	return err
}

// use is one request of somebody who is known.
type use struct {
	operation string
	actor     string
	purpose   string
	tenant    string
	subject   string // a handle
}

// record returns a record of the use.
func (u *use) record(action audit.Action, outcome string) audit.Record {
	return audit.Record{
		Action: action, Actor: u.actor, Purpose: u.purpose, Tenant: u.tenant, Subject: u.subject, Outcome: outcome,
		Rule: "admin." + u.operation,
	}
}

// refusal is why a request gets no more than an error.
type refusal struct {
	status  int
	reason  string // as in metadata.yaml
	message string
}

func (r *refusal) Error() string { return r.message }

func invalid(format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, "invalid", fmt.Sprintf(format, args...)}
}

func (a *admin) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /v1/detokenize", a.guard("detokenize", opDetokenize, a.detokenize))
	mux.Handle("POST /v1/erase", a.guard("erase", opErase, a.erase))
	mux.Handle("GET /v1/erasures", a.guard("erasures", opErase, a.erasures))
	mux.Handle("POST /v1/pseudonym", a.guard("pseudonym", opPseudonym, a.pseudonym))
	mux.Handle("GET /v1/keys", a.guard("keys", "", a.keys))
	mux.Handle("/", a.guard("unknown", "", func(context.Context, *http.Request, *use) (any, error) {
		return nil, &refusal{http.StatusNotFound, "invalid", "there is no such operation: see the README of key_store"}
	}))
	return mux
}

// guard lets in who may, and answers when what was done, or refused, is recorded.
func (a *admin) guard(operation, right string, serve func(context.Context, *http.Request, *use) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case a.slots <- struct{}{}:
			defer func() { <-a.slots }()
		default:
			a.refused(operation, "busy", 1)
			write(w, http.StatusTooManyRequests, answerError{"busy", "too many requests at once: try again"})
			return
		}
		u := &use{operation: operation}
		// Whoever asks may go away: what has begun is carried on and recorded.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), requestTimeout)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		answer, err := func() (any, error) {
			if err := a.authenticate(r, u, right); err != nil {
				return nil, err
			}
			return serve(ctx, r, u)
		}()
		if err == nil {
			write(w, http.StatusOK, answer)
			return
		}
		refusal := a.refuse(u, err)
		if refusal.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="millrace"`)
		}
		write(w, refusal.status, answerError{refusal.reason, refusal.message})
	})
}

// authenticate finds out who asks, by the token, and whether they may.
func (a *admin) authenticate(r *http.Request, u *use, right string) error {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	t := findToken(*a.tokens.Load(), strings.TrimSpace(given))
	if !ok || t == nil {
		return &refusal{http.StatusUnauthorized, "unauthorized", "a token is needed: send it as Authorization: Bearer TOKEN"}
	}
	u.actor = t.name
	if actor := r.Header.Get("X-Millrace-Actor"); actor != "" {
		if !clean(actor, maxActor) {
			return invalid("X-Millrace-Actor: must have up to %d printable characters", maxActor)
		}
		u.actor += "/" + actor
	}
	if right == "" {
		return nil
	}
	for _, o := range t.allows {
		if o == right {
			return nil
		}
	}
	return &refusal{http.StatusForbidden, "forbidden", fmt.Sprintf("the token of %s does not allow to %s", t.name, right)}
}

// refuse records that something was refused. Where even that cannot be, that is the answer.
func (a *admin) refuse(u *use, err error) *refusal {
	var r *refusal
	if !errors.As(err, &r) {
		a.store.logger.Error("Serving the admin endpoint", zap.String("operation", u.operation), zap.Error(err))
		r = &refusal{http.StatusInternalServerError, "failed", "it failed: the collector's log says why"}
	}
	a.refused(u.operation, r.reason, 1)
	if r.reason == "audit" {
		return r // it was tried
	}
	var recordErr error
	if r.status == http.StatusUnauthorized {
		recordErr = a.stranger(u, r)
	} else {
		recordErr = a.store.record(u.record(audit.Refused, r.reason))
	}
	if recordErr != nil {
		return a.unrecorded(u, recordErr)
	}
	return r
}

// stranger records who has no right token, but not each.
func (a *admin) stranger(u *use, r *refusal) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.strangers++
	now := a.store.now()
	if !a.recorded.IsZero() && now.Sub(a.recorded) < strangersPause {
		return nil
	}
	record := u.record(audit.Refused, r.reason)
	record.Count = a.strangers
	if err := a.store.record(record); err != nil {
		return err
	}
	a.recorded, a.strangers = now, 0
	return nil
}

// unrecorded is the answer where the audit log cannot be written.
func (a *admin) unrecorded(u *use, err error) *refusal {
	a.store.logger.Error("Refusing what cannot be recorded", zap.String("operation", u.operation), zap.Error(err))
	a.refused(u.operation, "audit", 1)
	return &refusal{http.StatusServiceUnavailable, "audit", "it cannot be recorded in the audit log, so it is not answered: look after the log's disk"}
}

func (a *admin) refused(operation, reason string, n int64) {
	a.store.telemetry.KeyStoreRefused.Add(context.Background(), n,
		metric.WithAttributes(attribute.String("operation", operation), attribute.String("reason", reason)))
}

type answerError struct {
	Error   string `json:"error"`
	Message string `json:"message"`
}

func write(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// read reads a request's body. Errors hold nothing of it.
func read(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("more than one value")
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &refusal{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the request has more than %d bytes: send less at once", maxBody)}
	}
	var field *json.UnmarshalTypeError
	if errors.As(err, &field) {
		return invalid("%s: must be a %s", field.Field, field.Type)
	}
	return invalid("the body must be one JSON object of the fields that the README of key_store lists")
}

// say checks purpose and tenant and notes them.
func (u *use) say(purpose, tenant string) error {
	purpose = strings.TrimSpace(purpose)
	if purpose == "" {
		return invalid("purpose: is empty; say why, such as a ticket's number: it goes into the audit log")
	}
	if !clean(purpose, maxPurpose) {
		return invalid("purpose: must have up to %d printable characters", maxPurpose)
	}
	if len(tenant) > maxTenant {
		return invalid("tenant: must have up to %d bytes", maxTenant)
	}
	u.purpose, u.tenant = purpose, tenant
	return nil
}

func clean(text string, most int) bool {
	if len(text) > 4*most {
		return false
	}
	n := 0
	for _, c := range text {
		n++
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return n <= most
}
