// SPDX-License-Identifier: Apache-2.0

// Package prometheustest starts a real Prometheus with its OTLP receiver on, for a test, in about a second.
//
//	server := prometheustest.Start(t)
//	exporter.Endpoint = server.OTLP()
//	server.Query("sum(shop_orders_total)")
//
// It is what scripts/prometheus.sh builds from Prometheus' Go module. Where it cannot be had, the test is skipped and says so; with
// MILLRACE_REQUIRE_PROMETHEUS=1 it fails.
package prometheustest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/fetched"
	"github.com/millrace/millrace/testbed/freeport"
)

// RequireVariable makes a missing Prometheus a failure instead of a skip, if it is set to anything.
const RequireVariable = "MILLRACE_REQUIRE_PROMETHEUS"

// Server is a running Prometheus. Its methods fail the test on an error, so they belong to the test's own goroutine.
type Server struct {
	Addr string // 127.0.0.1:port

	tb      testing.TB
	binary  string
	dir     string
	process *child.Process
}

const (
	startTimeout = 3 * time.Minute // a busy machine
	stopTimeout  = time.Minute
)

var it = fetched.New("Prometheus", "prometheus.sh", RequireVariable)

// Start runs a server until the test ends. It takes points of the last hours in any order.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{Addr: freeport.Must(tb, 1)[0], tb: tb, binary: it.Path(tb), dir: tb.TempDir()}
	config := "storage:\n  tsdb:\n    out_of_order_time_window: 12h\n"
	if err := os.WriteFile(filepath.Join(s.dir, "prometheus.yml"), []byte(config), 0o644); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if s.process == nil {
			return
		}
		_ = s.process.End(syscall.SIGKILL, stopTimeout) // nothing of it is needed any more
		if tb.Failed() {
			tb.Logf("the end of Prometheus' log:\n%s", s.process.Tail(20))
		}
	})
	if err := s.start(); err != nil {
		tb.Fatalf("starting Prometheus: %v", err)
	}
	return s
}

// URL of the server.
func (s *Server) URL() string { return "http://" + s.Addr }

// OTLP is what an OTLP exporter over HTTP takes as its endpoint.
func (s *Server) OTLP() string { return s.URL() + "/api/v1/otlp" }

// start returns when the server serves requests.
func (s *Server) start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "prometheus.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	cmd := exec.Command(s.binary, "--config.file="+filepath.Join(s.dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(s.dir, "data"),
		"--web.listen-address="+s.Addr, "--web.enable-otlp-receiver")
	if s.process, err = child.Start("Prometheus", cmd, log, syscall.SIGKILL); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		if _, err := get(ctx, s.URL()+"/-/ready"); err == nil {
			return nil
		}
		select {
		case <-s.process.Exited():
			return s.process.Died()
		case <-ctx.Done():
			return fmt.Errorf("no answer from Prometheus on %s after %s. The end of its log:\n%s", s.Addr, startTimeout, s.process.Tail(20))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill ends the server by SIGKILL and leaves it down until Restart.
func (s *Server) Kill() {
	s.tb.Helper()
	if err := s.process.End(syscall.SIGKILL, stopTimeout); err != nil {
		s.tb.Fatalf("killing Prometheus: %v", err)
	}
}

// Restart starts the server again on the same data and address.
func (s *Server) Restart() {
	s.tb.Helper()
	if err := s.start(); err != nil {
		s.tb.Fatalf("starting Prometheus again: %v", err)
	}
}

// Sample is one of a query's answers.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Query asks in PromQL, as of now.
func (s *Server) Query(expression string) []Sample {
	s.tb.Helper()
	samples, err := s.query(expression)
	if err != nil {
		s.tb.Fatalf("asking %s: %v", expression, err)
	}
	return samples
}

// One is the value of a query with one answer, and whether there is any.
func (s *Server) One(expression string) (float64, bool) {
	s.tb.Helper()
	samples := s.Query(expression)
	if len(samples) > 1 {
		s.tb.Fatalf("%s has %d answers", expression, len(samples))
	}
	if len(samples) == 0 {
		return 0, false
	}
	return samples[0].Value, true
}

func (s *Server) query(expression string) ([]Sample, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	body, err := get(ctx, s.URL()+"/api/v1/query?query="+url.QueryEscape(expression))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	var samples []Sample
	for _, r := range answer.Data.Result {
		text, ok := r.Value[1].(string)
		if !ok {
			return nil, errors.New("a sample has no value")
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		samples = append(samples, Sample{r.Metric, v})
	}
	return samples, nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return body, err
}
