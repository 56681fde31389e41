// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
)

// admin serves operators: where consumers are, resets, skips. It has no login, so it belongs on the loopback address; a
// web page that a browser shows there cannot use it, since it asks for a type of content that pages may not send
// unasked.
type admin struct {
	server *http.Server
	done   sync.WaitGroup
}

func startAdmin(ctx context.Context, l *eventLog) (*admin, error) {
	endpoint := l.cfg.Admin.Get().Endpoint
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", endpoint)
	if err != nil {
		return nil, fmt.Errorf("admin.endpoint: listening on %s: %w", endpoint, err)
	}
	a := &admin{server: &http.Server{Handler: l.adminHandler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}}
	a.done.Go(func() {
		if err := a.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			l.logger.Error("The admin endpoint has ended", zap.Error(err))
		}
	})
	return a, nil
}

func (a *admin) close(ctx context.Context) error {
	err := a.server.Shutdown(ctx)
	a.done.Wait()
	return err
}

func (l *eventLog) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /consumers", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, l.describe()) })
	mux.HandleFunc("POST /consumers/reset", l.command(l.resetCommand))
	mux.HandleFunc("POST /consumers/skip", l.command(l.skipCommand))
	mux.HandleFunc("POST /consumers/checkpoint", l.command(l.checkpointCommand))
	return mux
}

// commandRequest is the body of a command.
type commandRequest struct {
	Consumer string `json:"consumer"`
	// To is where a reset goes: beginning, end, or a time in RFC 3339.
	To string `json:"to,omitempty"`
	// Partition is the one whose blocked delivery is skipped.
	Partition uint32 `json:"partition,omitempty"`
}

type description struct {
	Log        string                `json:"log"`
	Partitions int                   `json:"partitions"`
	Bytes      int64                 `json:"bytes"`
	Segments   int                   `json:"segments"`
	Index      int                   `json:"ids"`
	Positions  []positionDescription `json:"positions"`
	Consumers  []consumerDescription `json:"consumers"`
}

type positionDescription struct {
	First uint64 `json:"first"`
	Next  uint64 `json:"next"`
}

type consumerDescription struct {
	Consumer   string   `json:"consumer"`
	Epoch      uint64   `json:"epoch"`
	Checkpoint uint64   `json:"checkpoint"`
	Committed  []uint64 `json:"committed"`
	Delivered  []uint64 `json:"delivered"`
	LagEvents  uint64   `json:"lag_events"`
	LagBytes   int64    `json:"lag_bytes"`
	LagSeconds float64  `json:"lag_seconds"`
	// Blocked has the error that blocks a partition, by partition.
	Blocked map[uint32]string `json:"blocked,omitempty"`
}

func (l *eventLog) describe() description {
	stats, id := l.log.Stats(), l.log.ID()
	d := description{
		Log: hex.EncodeToString(id[:]), Partitions: l.cfg.Partitions, Bytes: stats.Bytes, Segments: stats.Segments, Index: l.index.Len(),
		Consumers: []consumerDescription{},
	}
	for p := range uint32(l.cfg.Partitions) {
		d.Positions = append(d.Positions, positionDescription{l.log.First(p), l.log.Next(p)})
	}
	now := l.clock.Now()
	for _, c := range l.consumers {
		behind := l.lagOf(c, now)
		cd := consumerDescription{
			Consumer: c.id.String(), Epoch: c.Epoch(), Checkpoint: c.Checkpoint(), Committed: c.Positions(), Delivered: c.Delivered(),
			LagEvents: behind.total, LagBytes: behind.bytes, LagSeconds: behind.age,
		}
		for p, err := range c.Blocked() {
			if cd.Blocked == nil {
				cd.Blocked = map[uint32]string{}
			}
			cd.Blocked[p] = err.Error()
		}
		d.Consumers = append(d.Consumers, cd)
	}
	return d
}

// maxCommand bounds a command's body.
const maxCommand = 1 << 16

func (l *eventLog) command(run func(context.Context, *logConsumer, commandRequest) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/json" {
			answer(w, http.StatusUnsupportedMediaType, failure("send the command as JSON, with Content-Type: application/json"))
			return
		}
		var req commandRequest
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&req); err != nil {
			answer(w, http.StatusBadRequest, failure(err.Error()))
			return
		}
		i := slices.IndexFunc(l.consumers, func(c *logConsumer) bool { return c.id.String() == req.Consumer })
		if i < 0 {
			answer(w, http.StatusNotFound, failure(fmt.Sprintf("no consumer %q: GET /consumers lists them", req.Consumer)))
			return
		}
		out, err := run(r.Context(), l.consumers[i], req)
		switch {
		case errors.Is(err, errCommand), errors.Is(err, delivery.ErrNotBlocked):
			answer(w, http.StatusBadRequest, failure(err.Error()))
		case err != nil:
			answer(w, http.StatusInternalServerError, failure(err.Error()))
		default:
			answer(w, http.StatusOK, out)
		}
	}
}

// errCommand is a mistake in a command.
var errCommand = errors.New("the command cannot be carried out")

func failure(message string) any { return map[string]string{"error": message} }

func (l *eventLog) resetCommand(_ context.Context, c *logConsumer, req commandRequest) (any, error) {
	to, err := parseTarget(req.To)
	if err != nil {
		return nil, fmt.Errorf("%w: to: %w", errCommand, err)
	}
	if err := c.Reset(l.positionsOf(to)); err != nil {
		return nil, err
	}
	return map[string]any{"consumer": c.id.String(), "epoch": c.Epoch(), "positions": c.Positions()}, nil
}

func (l *eventLog) skipCommand(_ context.Context, c *logConsumer, req commandRequest) (any, error) {
	var file string
	id, err := c.Skip(req.Partition, func(id delivery.Identity, ld plog.Logs) (err error) {
		file, err = l.export(id, ld)
		return err
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"consumer": c.id.String(), "partition": id.Partition, "first": id.First, "last": id.Last, "exported_to": file}, nil
}

// export writes the records of a delivery as OTLP JSON, durably, under a name that is a function of the delivery.
func (l *eventLog) export(id delivery.Identity, ld plog.Logs) (string, error) {
	content, err := (&plog.JSONMarshaler{}).MarshalLogs(ld)
	if err != nil {
		return "", fmt.Errorf("encoding: %w", err)
	}
	dir := filepath.Join(l.cfg.Directory, "skipped")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := syncFolder(l.cfg.Directory); err != nil { // the folder may be new
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%s.%d.%d-%d.json", id.Token("skipped")[:8], id.Partition, id.First, id.Last))
	return path, replaceFile(path, append(content, '\n'))
}

func (l *eventLog) checkpointCommand(ctx context.Context, c *logConsumer, _ commandRequest) (any, error) {
	if err := c.CheckpointNow(ctx); err != nil {
		return nil, err
	}
	return map[string]any{"consumer": c.id.String(), "checkpoint": c.Checkpoint()}, nil
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(body) // the operator has gone
}
