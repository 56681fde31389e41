// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/clickhouseengine"
	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/lake"
)

// Spec says what a World is like.
type Spec struct {
	// Apart makes ClickHouse a process of its own, which outlives the collector.
	Apart bool
	// Data is where log and state lie; "" is a folder of the World's.
	Data string
	// MinFree is what the log leaves free on the disk.
	MinFree int64
	// InsertTimeout is the exporter's; "" is 10s.
	InsertTimeout string
	// Lake is where the files of the lake lie; nil is a directory among the data.
	Lake lake.Source
	// Compared has sessions and windows of many kinds, a log that keeps everything, and another run over it at the end. ClickHouse is apart.
	Compared bool
	// Overlays are merged over the configuration, as YAML.
	Overlays []string
}

// World is a collector with its data and its ClickHouse. Its methods belong to one goroutine.
type World struct {
	o    *Options
	spec Spec
	dir  string
	data string
	env  map[string]string
	ch   *chhttp.Client

	engine *clickhouseengine.Engine // nil where the collector has it, and while it is down
	proxy  *proxy                   // before that engine
	behind string                   // where that engine listens
	died   int64                    // how often that engine ended without being told to
	child  *child.Process           // the collector; nil before the first launch
	serve  []time.Duration          // from a launch to the last door open

	lake    lake.Source
	watcher *lake.Watcher // nil once it has ended
	seen    lake.Seen     // by the watcher, once it has ended
}

// The addresses, by their environment variables.
const (
	otlpGRPC       = "MILLRACE_OTLP_GRPC"
	otlpHTTP       = "MILLRACE_OTLP_HTTP"
	segmentAPI     = "MILLRACE_SEGMENT"
	clickHouseTCP  = "MILLRACE_CLICKHOUSE_TCP"
	clickHouseHTTP = "MILLRACE_CLICKHOUSE_HTTP"
	metrics        = "MILLRACE_METRICS"
	admin          = "MILLRACE_TEST_ADMIN"
	memory         = "MILLRACE_TEST_MEMORY"
)

var (
	doors  = []string{otlpGRPC, otlpHTTP, segmentAPI}
	places = append([]string{clickHouseTCP, clickHouseHTTP, metrics, admin}, doors...)
)

// patience bounds every wait: far above what is usual, since the machine may be busy.
const patience = 2 * time.Minute

func newWorld(ctx context.Context, o *Options, name string, spec Spec) (_ *World, err error) {
	w := &World{o: o, spec: spec, dir: filepath.Join(o.Dir, strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(name))}
	w.data = spec.Data
	if w.data == "" {
		w.data = filepath.Join(w.dir, "data")
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return nil, fmt.Errorf("preparing %s: %w", w.dir, err)
	}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return nil, fmt.Errorf("preparing %s: %w", w.dir, err)
	}
	addrs, err := freeport.Addrs(len(places) + 1)
	if err != nil {
		return nil, err
	}
	w.env = map[string]string{
		"MILLRACE_DATA_DIR": w.data, "MILLRACE_SCHEMA_DIR": filepath.Join(o.Root, "configs", "schemas"), "MILLRACE_LAKE_MAX_AGE": lakeMaxAge,
		memory: littleMemory,
	}
	for i, p := range places {
		w.env[p] = addrs[i]
	}
	w.ch = &chhttp.Client{URL: "http://" + w.env[clickHouseHTTP], Database: "analytics", HTTP: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience,
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if spec.Apart {
		w.behind = addrs[len(places)]
		if w.proxy, err = startProxy(w.env[clickHouseTCP], w.behind); err != nil {
			return nil, err
		}
		if err := w.StartEngine(ctx); err != nil {
			return nil, err
		}
	}
	var flaky bool
	if w.lake = spec.Lake; w.lake == nil {
		w.lake = lake.Directory(filepath.Join(w.data, "lake"))
	}
	every := watchInterval
	if _, flaky = w.lake.(lake.Bucket); flaky {
		every *= 5 // a request for a thousand files, and not what readers are promised
	}
	w.watcher = lake.Watch(w.lake, every, flaky)
	return w, nil
}

// watchInterval is how often the lake is listed.
const watchInterval = 50 * time.Millisecond

// StartEngine starts the ClickHouse that is a process of its own, on the data it had.
func (w *World) StartEngine(ctx context.Context) error {
	logger := zap.NewDevelopmentConfig()
	logger.OutputPaths = []string{filepath.Join(w.dir, "clickhouse.log")}
	logger.DisableStacktrace = true
	log, err := logger.Build()
	if err != nil {
		return fmt.Errorf("writing down what ClickHouse says: %w", err)
	}
	var readable []string
	if w.spec.Compared {
		readable = []string{filepath.Join(w.data, "lake")}
	}
	w.engine = clickhouseengine.New(clickhouseengine.Options{
		Logger:  log,
		DataDir: filepath.Join(w.dir, "clickhouse"), TCPAddr: w.behind, HTTPAddr: w.env[clickHouseHTTP],
		Databases: []string{"analytics", referenceDatabase}, Users: []clickhouseengine.User{{Name: clickhouseengine.InternalUser}},
		Readable: readable,
	})
	if err := w.engine.Start(ctx); err != nil {
		w.engine = nil
		return fmt.Errorf("starting ClickHouse: %w", err)
	}
	return nil
}

// KillEngine ends it by SIGKILL.
func (w *World) KillEngine() error {
	w.died += w.engine.Restarts()
	err := w.engine.Abort()
	w.engine = nil
	return err
}

func (w *World) logPath() string { return filepath.Join(w.dir, "collector.log") }

// Launch starts the collector and does not wait. step arms a fail point, as NAME:COUNT; "" is none.
func (w *World) Launch(step string) error {
	log, err := os.OpenFile(w.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting the collector: %w", err)
	}
	args := []string{"--config", filepath.Join(w.o.Root, "configs", "quickstart.yaml")}
	for _, o := range w.overlays() {
		args = append(args, "--config", "yaml:"+o)
	}
	cmd := exec.Command(w.o.Binary, args...)
	cmd.Dir = w.dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "MILLRACE_") || strings.HasPrefix(kv, "MILLRACE_CACHE=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	for k, v := range w.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	if step != "" {
		cmd.Env = append(cmd.Env, failpoint.Variable+"="+step)
	}
	w.child, err = child.Start("the collector", cmd, log, syscall.SIGKILL)
	return err
}

// Start launches the collector and waits until it serves.
func (w *World) Start(ctx context.Context) error {
	began := time.Now()
	if err := w.Launch(""); err != nil {
		return err
	}
	served, err := w.awaitServing(ctx)
	if err != nil {
		return err
	}
	if !served {
		return w.child.Died()
	}
	w.serve = append(w.serve, time.Since(began))
	return nil
}

// awaitServing waits until every door is open; false says that the collector ended before.
func (w *World) awaitServing(ctx context.Context) (bool, error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		if w.serving() {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-w.child.Exited():
			return false, nil
		case <-deadline.C:
			return false, fmt.Errorf("the collector does not serve after %s. Its last words:\n%s", patience, w.child.Tail(12))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (w *World) serving() bool {
	for _, name := range doors {
		conn, err := net.DialTimeout("tcp", w.env[name], time.Second)
		if err != nil {
			return false
		}
		_ = conn.Close() // nothing was said
	}
	return true
}

// Running says whether the collector runs.
func (w *World) Running() bool {
	if w.child == nil {
		return false
	}
	select {
	case <-w.child.Exited():
		return false
	default:
		return true
	}
}

// Kill ends the collector by SIGKILL.
func (w *World) Kill() error { return w.child.End(syscall.SIGKILL, patience) }

// wasKilled says whether the collector that ended was ended by SIGKILL.
func (w *World) wasKilled() bool {
	var exit *exec.ExitError
	if !errors.As(w.child.Err(), &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// AwaitTables waits until the exporter has made its tables.
func (w *World) AwaitTables(ctx context.Context) error {
	return await(ctx, "the exporter makes its tables", func() bool {
		askCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return w.ch.Exec(askCtx, "SELECT 1 FROM analytics.events, analytics.failed_events LIMIT 1") == nil
	})
}

// AwaitDelivered waits until ClickHouse has everything that is acknowledged.
func (w *World) AwaitDelivered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	return lag.Through(ctx, "http://"+w.env[admin])
}

// AwaitFiles waits until everything that is staged is in files, and the files are in the catalogue. The log's consumers must have
// been given everything.
func (w *World) AwaitFiles(ctx context.Context) error {
	err := await(ctx, "what is staged becomes files", func() bool {
		n, err := lag.Staged(ctx, "http://"+w.env[metrics])
		return err == nil && n == 0
	})
	if err != nil {
		return err
	}
	// The comparison says which file is missing there, if one is: to wait for ever would not.
	soon, cancel := context.WithTimeout(ctx, catalogueTimeout)
	defer cancel()
	err = await(soon, "the catalogue has every file", func() bool {
		files, added, err := lake.Counts(soon, w.lake)
		return err == nil && files <= added
	})
	if soon.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// catalogueTimeout is for the write of the catalogue that follows that of the files.
const catalogueTimeout = 30 * time.Second

// stopWatching ends the watcher.
func (w *World) stopWatching() {
	if w.watcher != nil {
		w.seen, w.watcher = w.watcher.Stop(), nil
	}
}

// Close ends everything, in order where that is possible.
func (w *World) Close() error {
	w.stopWatching()
	var errs []error
	if w.child != nil {
		errs = append(errs, w.child.Stop(30*time.Second))
	}
	if w.engine != nil {
		w.died += w.engine.Restarts()
		errs = append(errs, w.engine.Stop(context.Background()))
	}
	if w.proxy != nil {
		errs = append(errs, w.proxy.close())
	}
	return errors.Join(errs...)
}

func await(ctx context.Context, what string, condition func() bool) error {
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s still not: %s", patience, what)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
