// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/httpingest"
	"github.com/millrace/millrace/receiver/segmentreceiver/internal/metadata"
)

// segmentReceiver answers Segment's tracking API. All fields are written before Start and immutable after, or
// guard themselves.
type segmentReceiver struct {
	cfg       *Config
	next      consumer.Logs
	log       *zap.Logger
	keys      *httpingest.Keys
	mapping   mapping
	now       func() time.Time
	server    *httpingest.Server
	obsreport *receiverhelper.ObsReport
	telemetry *metadata.TelemetryBuilder
}

var _ receiver.Logs = (*segmentReceiver)(nil)

func newReceiver(set receiver.Settings, cfg *Config, next consumer.Logs) (*segmentReceiver, error) {
	obsreport, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: set.ID, Transport: "http", ReceiverCreateSettings: set,
	})
	if err != nil {
		return nil, err
	}
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	r := &segmentReceiver{
		cfg: cfg, next: next, log: set.Logger, keys: httpingest.NewKeys(cfg.WriteKeys), now: time.Now,
		obsreport: obsreport, telemetry: telemetry,
		mapping: mapping{
			processor: set.ID.String(), generateMissingIDs: cfg.GenerateMissingIDs,
			correctClockSkew: cfg.CorrectClockSkew, maxBatchEvents: cfg.MaxBatchEvents, newID: newUUID,
		},
	}
	r.server = httpingest.NewServer(httpingest.Settings{
		HTTP: cfg.ServerConfig, MaxConcurrentRequests: cfg.MaxConcurrentRequests, MaxBytes: cfg.MaxBytesInFlight,
		RetryAfter: cfg.RetryAfter, Telemetry: set.TelemetrySettings, OnStatus: r.countStatus,
	})
	return r, nil
}

// Start begins to listen.
func (r *segmentReceiver) Start(ctx context.Context, host component.Host) error {
	if err := r.server.Start(ctx, host, r.routes()); err != nil {
		return err
	}
	r.log.Info("Receiving Segment events", zap.Stringer("address", r.server.Addr()))
	return nil
}

// Shutdown answers what is under way and refuses the rest; see httpingest.Server.
func (r *segmentReceiver) Shutdown(ctx context.Context) error {
	defer r.telemetry.Shutdown()
	return r.server.Shutdown(ctx)
}

// routes are Segment's paths, and the one-letter ones of browser and mobile SDKs.
func (r *segmentReceiver) routes() http.Handler {
	mux := http.NewServeMux()
	for _, call := range [...]struct{ typ, short string }{
		{typeIdentify, "i"}, {typeTrack, "t"}, {typePage, "p"}, {typeScreen, "s"}, {typeGroup, "g"}, {typeAlias, "a"},
	} {
		h := r.server.Limit(r.only(http.MethodPost, r.intake(call.typ)))
		mux.Handle("/v1/"+call.typ, h)
		mux.Handle("/v1/"+call.short, h)
	}
	batch := r.server.Limit(r.only(http.MethodPost, r.intake("")))
	for _, path := range [...]string{"/v1/batch", "/v1/import", "/v1/b"} {
		mux.Handle(path, batch)
	}
	mux.Handle("/v1/m", r.only(http.MethodPost, r.sdkMetrics))
	mux.Handle("/v1/projects/{writeKey}/settings", r.only(http.MethodGet, r.settings))
	mux.Handle("/health", r.only(http.MethodGet, r.health))
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		r.refuse(w, req, &httpingest.AnswerError{
			Status: http.StatusNotFound, Code: "not_found",
			Message: "no such path; events go to /v1/track, /v1/batch and the other paths of Segment's HTTP API",
		})
	})
	return mux
}

func (r *segmentReceiver) only(method string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if req.Method == method || (method == http.MethodGet && req.Method == http.MethodHead) {
			h(w, req)
			return
		}
		w.Header().Set("Allow", method)
		r.refuse(w, req, &httpingest.AnswerError{
			Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: "use " + method + " on this path",
		})
	}
}

// intake takes the events of a request; typ is "" for a batch.
func (r *segmentReceiver) intake(typ string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if err := r.take(req, typ); err != nil {
			r.refuse(w, req, err)
			return
		}
		r.answer(w, req, http.StatusOK, `{"success":true}`)
	}
}

// take reads the events of a request and hands them to the pipeline. It returns nil once they are the
// pipeline's: behind an event_log that means synced to disk. Its error is a *httpingest.AnswerError.
func (r *segmentReceiver) take(req *http.Request, typ string) error {
	header, inHeader := basicKey(req)
	var owner httpingest.Owner
	if inHeader { // known before the body is read, so that a stranger's is not
		var ok bool
		if owner, ok = r.keys.Owner([]byte(header)); !ok {
			return errWriteKey
		}
	}
	body, err := r.server.ReadBody(req)
	if err != nil {
		return err
	}
	defer body.Release()
	in := newRequest(&r.mapping, body.Bytes(), typ, r.now())
	defer in.release()
	if err := in.scan(); err != nil {
		return err
	}
	if !inHeader {
		var ok bool
		if owner, ok = r.keys.Owner(in.writeKey); !ok {
			return errWriteKey
		}
	} else {
		in.writeKey = []byte(header)
	}
	if err := r.server.Take(body, int64(len(in.messages))*messageBytes); err != nil {
		return err
	}
	return r.pass(req.Context(), in, owner)
}

func (r *segmentReceiver) pass(ctx context.Context, in *request, owner httpingest.Owner) error {
	ctx = r.obsreport.StartLogsOp(ctx)
	b := event.NewBuilder(owner.Tenant, owner.Source, metadata.ScopeName)
	err := in.read(b)
	if err != nil { // a single message that is not JSON: no event
		r.obsreport.EndLogsOp(ctx, formatJSON, 0, err)
		return err
	}
	n := b.Len()
	if n > 0 {
		err = r.next.ConsumeLogs(ctx, b.Batch().Logs())
	}
	r.obsreport.EndLogsOp(ctx, formatJSON, n, err)
	var problem *httpingest.AnswerError
	if err != nil {
		problem = httpingest.FromConsumer(err, r.cfg.RetryAfter)
		switch problem.Status {
		case http.StatusBadRequest: // the sender's fault, but it drops them: whoever runs both must be able to see it
			r.log.Warn("The pipeline refused events as invalid; their sender will not try again", zap.Int("events", n), zap.Error(err))
		case http.StatusInternalServerError:
			r.log.Error("The pipeline refused events for good; their sender will try again for a while", zap.Int("events", n), zap.Error(err))
		default:
			r.log.Debug("The pipeline refused events for now", zap.Int("events", n), zap.Error(err))
		}
		if problem.Status != http.StatusBadRequest {
			return problem
		}
	}
	// Of a batch with refused events the others, failed ones included, were passed on: see schema_validation.
	for _, reason := range in.failed {
		r.telemetry.ReceiverSegmentFailedEvents.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", reason)))
	}
	if problem != nil {
		return problem
	}
	return nil
}

// messageBytes is what a message counts against max_bytes_in_flight beside its text. An event costs some 600
// bytes of memory however short its text, and a byte of text at most some 24.
const messageBytes = 32

const formatJSON = "json"

var errWriteKey = &httpingest.AnswerError{
	Status: http.StatusUnauthorized, Code: "invalid_write_key",
	Message: `the write key is missing or unknown; send it as the user name of HTTP Basic authentication or as "writeKey" in the body`,
}

// basicKey returns the key in an Authorization header: its user name or, as Segment takes it too, all of it
// without a colon. A header of another scheme is not ours to judge: with OAuth the write key is in the body, and
// the token is for an authentication extension.
func basicKey(req *http.Request) (string, bool) {
	header := req.Header.Get("Authorization")
	if len(header) < 6 || !strings.EqualFold(header[:6], "Basic ") {
		return "", false
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(header[6:]))
	if err != nil {
		return "", true // no key that is known
	}
	key, _, _ := strings.Cut(string(plain), ":")
	return key, true
}

// sdkMetrics swallows what browser SDKs measure of themselves. It is no event of the site's.
func (r *segmentReceiver) sdkMetrics(w http.ResponseWriter, req *http.Request) {
	r.answer(w, req, http.StatusOK, `{"success":true}`)
}

// health says whether requests are taken: 200, or 503 while shutting down.
func (r *segmentReceiver) health(w http.ResponseWriter, req *http.Request) {
	if r.server.Draining() {
		r.answer(w, req, http.StatusServiceUnavailable, `{"status":"shutting_down"}`)
		return
	}
	r.answer(w, req, http.StatusOK, `{"status":"ok"}`)
}

func (r *segmentReceiver) answer(w http.ResponseWriter, req *http.Request, status int, body string) {
	r.countStatus(req.Context(), status)
	httpingest.WriteJSON(w, status, []byte(body))
}

// refuse answers with err, which is a *httpingest.AnswerError.
func (r *segmentReceiver) refuse(w http.ResponseWriter, req *http.Request, err error) {
	var problem *httpingest.AnswerError
	if !errors.As(err, &problem) {
		problem = &httpingest.AnswerError{Status: http.StatusInternalServerError, Code: "internal_error", Message: "internal error"}
		r.log.Error("A request failed without a reason for its sender", zap.Error(err))
	}
	r.countStatus(req.Context(), problem.Status)
	httpingest.WriteError(w, problem)
}

func (r *segmentReceiver) countStatus(ctx context.Context, status int) {
	r.telemetry.ReceiverSegmentRequests.Add(ctx, 1,
		metric.WithAttributes(attribute.Int("http.response.status_code", status)))
}
